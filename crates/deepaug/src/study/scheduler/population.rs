//! Trainings side by side in one session, which can take over one another's nets and policies between epochs.

use deepaug_augmenter::Policy;
use deepaug_child_model::{ChildModel, EpochRecord, Session, TrainError, Training};

use super::{Decision, Scheduler, TrialProgress};

/// A population of children that a [`Scheduler`] watches together: after each epoch it decides who continues, who
/// stops, and who takes over another's net and optimiser with its own policy, as in population-based training (M.
/// Jaderberg et al. 2017).
///
/// A child that stops keeps its net; one that diverged continues only by taking over another's.
pub struct Population<'a> {
    session: Box<dyn Session + 'a>,
    trainings: Vec<Training<'a>>,
    members: Vec<Member>,
}

/// A child of a population.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its epochs until it stopped, whichever net it had at the time.
    pub epochs: Vec<EpochRecord>,
    /// Its policies, each with the number of epochs done when it took effect, and the member whose net was taken
    /// over then.
    pub policies: Vec<(usize, Option<usize>, Policy)>,
    /// Why it no longer learns; [`TrainError::Stopped`] if the scheduler ended it.
    pub ended: Option<TrainError>,
}

impl<'a> Population<'a> {
    /// Starts a population with a member for each training. All share their settings and the shape and number of
    /// their images.
    ///
    /// # Errors
    /// [`TrainError`]; [`TrainError::Session`] if the child model has no sessions.
    pub fn start(child: &dyn ChildModel, trainings: Vec<Training<'a>>) -> Result<Self, TrainError> {
        let copies = trainings.iter().map(|training| training.augmented(0)).collect();
        let session = child.session(&trainings, copies)?;
        let member = |training: &Training<'_>| Member {
            epochs: Vec::new(),
            policies: vec![(0, None, training.policy.clone())],
            ended: None,
        };
        Ok(Self { members: trainings.iter().map(member).collect(), session, trainings })
    }

    /// Returns the members, in the order of the trainings.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Trains until each member has its epochs or has stopped. `on_epoch` is called for each member after each
    /// epoch, before the scheduler decides.
    ///
    /// # Errors
    /// [`TrainError::Device`]; [`TrainError::Session`] if the scheduler names a member that does not exist, or
    /// whose net diverged.
    pub fn run(
        &mut self,
        scheduler: &mut dyn Scheduler,
        on_epoch: &mut dyn FnMut(usize, &EpochRecord),
    ) -> Result<(), TrainError> {
        let epochs = self.trainings.first().map_or(0, |training| training.settings.epochs);
        while self.session.epochs_done() < epochs && self.members.iter().any(|member| member.ended.is_none()) {
            self.epoch(on_epoch)?;
            if self.session.epochs_done() < epochs {
                self.decide(scheduler)?;
                self.augment()?;
            }
        }
        Ok(())
    }

    fn epoch(&mut self, on_epoch: &mut dyn FnMut(usize, &EpochRecord)) -> Result<(), TrainError> {
        for (number, (member, record)) in self.members.iter_mut().zip(self.session.epoch()?).enumerate() {
            match record {
                _ if member.ended.is_some() => {}
                Ok(record) => {
                    on_epoch(number, &record);
                    member.epochs.push(record);
                }
                Err(error) => member.ended = Some(error),
            }
        }
        Ok(())
    }

    fn decide(&mut self, scheduler: &mut dyn Scheduler) -> Result<(), TrainError> {
        let reported: Vec<usize> =
            (0..self.members.len()).filter(|&member| !is_stopped(&self.members[member])).collect();
        let progress = |&member: &usize| TrialProgress { trial: member as u64, epochs: &self.members[member].epochs };
        let decisions = scheduler.report(&reported.iter().map(progress).collect::<Vec<_>>());
        let decided: Vec<(usize, Decision)> = reported.into_iter().zip(decisions).collect();
        // All states are those at the end of the epoch, no matter who takes over from whom.
        let states = decided.iter().map(|(member, decision)| match decision {
            Decision::TakeOver { from, .. } => self.state_of(*member, *from).map(Some),
            Decision::Continue | Decision::Stop => Ok(None),
        });
        let states = states.collect::<Result<Vec<_>, _>>()?;
        for ((number, decision), state) in decided.into_iter().zip(states) {
            let member = &mut self.members[number];
            match (decision, state) {
                (Decision::Stop, _) => member.ended = Some(TrainError::Stopped),
                (Decision::TakeOver { from, policy }, Some(state)) => {
                    self.session.load(number, &state)?;
                    member.policies.push((self.session.epochs_done(), Some(from as usize), policy));
                    member.ended = None;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn state_of(&self, member: usize, from: u64) -> Result<deepaug_child_model::State, TrainError> {
        let donor =
            usize::try_from(from).ok().filter(|&donor| self.members.get(donor).is_some_and(|d| d.ended.is_none()));
        let why = || format!("member {member} cannot take over from {from}, which does not exist or no longer learns");
        self.session.state(donor.ok_or_else(|| TrainError::Session { why: why() })?)
    }

    /// Gives each member its next training data.
    fn augment(&mut self) -> Result<(), TrainError> {
        let epoch = self.session.epochs_done();
        for (number, (training, member)) in self.trainings.iter().zip(&self.members).enumerate() {
            let Some((since, _, policy)) = member.policies.last() else { continue };
            if *since == epoch || !training.settings.augment.is_once() {
                let training = Training { set: training.set.view(), policy, ..*training };
                self.session.set_copies(number, training.augmented(epoch))?;
            }
        }
        Ok(())
    }
}

fn is_stopped(member: &Member) -> bool {
    matches!(member.ended, Some(TrainError::Stopped))
}

#[cfg(test)]
mod tests {
    use deepaug_augmenter::{Application, Online, Op, RangeTable, Step, SubPolicy};
    use deepaug_child_model::{Device, DeviceChoice, Model, Net, Optimiser, Rule, Settings, TrainingSet};
    use ndarray::Array4;

    use super::*;
    use crate::study::scheduler::Finished;

    /// After two epochs the last of three takes over the first's net, with the policy of the second, and the
    /// second stops.
    struct Swap(Policy);

    impl Scheduler for Swap {
        fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
            let decide = |report: &TrialProgress<'_>| match (report.trial, report.epochs.len()) {
                (1, 2) => Decision::Stop,
                (2, 2) => Decision::TakeOver { from: 0, policy: self.0.clone() },
                _ => Decision::Continue,
            };
            reports.iter().map(decide).collect()
        }

        fn estimate(&self, _: &[EpochRecord], _: &[Finished<'_>]) -> f64 {
            0.0
        }
    }

    struct Stranger;

    impl Scheduler for Stranger {
        fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
            let policy = Policy::none(RangeTable::Monotone);
            reports.iter().map(|_| Decision::TakeOver { from: 7, policy: policy.clone() }).collect()
        }

        fn estimate(&self, _: &[EpochRecord], _: &[Finished<'_>]) -> f64 {
            0.0
        }
    }

    #[test]
    fn members_stop_and_take_one_another_over() {
        let images = Array4::from_shape_fn((40, 12, 12, 3), |(n, r, c, k)| ((n % 4) * 60 + r * c + 5 * k) as u8);
        let labels: Vec<usize> = (0..40).map(|n| n % 4).collect();
        let set = TrainingSet {
            images: images.view(),
            labels: &labels,
            validation_images: images.view(),
            validation_labels: &labels,
            classes: 4,
        };
        let policy = |op| {
            let ops = vec![Step::new(op, 0.5)];
            Policy::new(RangeTable::Monotone, 0.5, vec![SubPolicy { ops }])
        };
        let policies = [policy(Op::Rotate), policy(Op::Invert), policy(Op::Shear)];
        let child = Net::new(Model::TinyCnn, Device::open(DeviceChoice::Cpu).unwrap());
        for augment in [Application::Once, Application::Epoch, Application::Online(Online::STANDARD)] {
            let plain = Settings::plain(4, Optimiser::plain(Rule::Adam, 1e-3));
            let settings = Settings { images_per_epoch: Some(48), augment, ..plain };
            let training =
                |policy, seed| Training { set: set.view(), policy, settings: &settings, seed, initial_weights: None };
            let trainings = vec![training(&policies[0], 5), training(&policies[1], 5), training(&policies[2], 9)];
            let mut population = Population::start(&child, trainings.clone()).unwrap();
            let mut told = Vec::new();
            population
                .run(&mut Swap(policies[1].clone()), &mut |member, record| told.push((member, record.epoch)))
                .unwrap();
            let [first, second, third] = population.members() else { panic!() };
            assert_eq!(told, [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2), (0, 3), (2, 3), (0, 4), (2, 4)]);
            assert!(first.ended.is_none() && is_stopped(second) && third.ended.is_none());
            assert_eq!(third.policies[1], (2, Some(0), policies[1].clone()));
            // The first trains as if alone; so does the stopped one until then.
            let alone = child.train(&trainings[0], &|_| true).unwrap().epochs;
            assert_eq!(first.epochs, alone);
            assert_eq!(second.epochs, child.train(&trainings[1], &|_| true).unwrap().epochs[..2]);
            // The third continues as the first would with the second's policy and the third's seed.
            let two = [trainings[0]];
            let mut donor = child.session(&two, vec![two[0].augmented(0)]).unwrap();
            for epoch in 1..=2 {
                donor.epoch().unwrap();
                if !augment.is_once() {
                    donor.set_copies(0, two[0].augmented(epoch)).unwrap();
                }
            }
            let heir = [training(&policies[1], 9)];
            let mut session = child.session(&heir, vec![heir[0].augmented(2)]).unwrap();
            session.skip(2);
            session.load(0, &donor.state(0).unwrap()).unwrap();
            assert_eq!(session.epoch().unwrap().remove(0).unwrap(), third.epochs[2], "{augment}");
        }

        let settings = Settings::plain(2, Optimiser::plain(Rule::Adam, 1e-3));
        let training =
            Training { set: set.view(), policy: &policies[0], settings: &settings, seed: 1, initial_weights: None };
        let mut population = Population::start(&child, vec![training]).unwrap();
        let error = population.run(&mut Stranger, &mut |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("cannot take over from 7"), "{error}");
    }
}
