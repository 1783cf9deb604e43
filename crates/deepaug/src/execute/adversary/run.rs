//! A training against an adversary, from its first epoch or from where one was killed to its last.

use std::path::Path;
use std::time::Instant;

use deepaug_augmenter::{Application, Copies, Online, Policy};
use deepaug_child_model::{
    ChildModel, EpochRecord, History, Optimiser, RowLoss, Session, Settings, State, TrainError, Training, TrainingSet,
};
use deepaug_controller::{Point, Writer, normalised};
use ndarray::{Array4, Axis, concatenate, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::record::{AdversaryRecord, Update};
use super::{Adversary, SUB_POLICIES};
use crate::rng::{Purpose, derive};

/// An adversary that is this decided, in nats a decision, is no longer taught: one that always writes the same leaves
/// the net nothing else to see.
const LEAST_ENTROPY: f64 = 1.5;

/// Numbers of images.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sizes {
    /// Updates an epoch.
    updates: usize,
    /// Batches an update.
    batches: usize,
    /// Images of a batch, each of which is there under every policy.
    batch: usize,
}

impl Sizes {
    /// Divides an epoch's images into updates of whole batches of one size.
    fn new(adversary: &Adversary, training: &Training<'_>) -> Result<Self, TrainError> {
        let all = training.set.labels.len();
        let per_epoch = training.settings.images_per_epoch.unwrap_or(all).min(all);
        if per_epoch == 0 || training.set.validation_labels.is_empty() {
            return Err(failed("there are no images to learn from, or none to measure on"));
        }
        let updates = adversary.updates_per_epoch.clamp(1, per_epoch);
        let images = per_epoch / updates;
        let batches = images.div_ceil(training.settings.batch_size.max(1));
        Ok(Self { updates, batches, batch: images / batches })
    }

    /// Images an update.
    fn images(&self) -> usize {
        self.batch * self.batches
    }
}

fn failed(why: impl ToString) -> TrainError {
    TrainError::Session { why: why.to_string() }
}

/// Returns the settings of the session that trains the net: one of its epochs is an update.
pub(super) fn settings(adversary: &Adversary, training: &Training<'_>) -> Result<Settings, TrainError> {
    let sizes = Sizes::new(adversary, training)?;
    let Sizes { updates, batch, .. } = sizes;
    let whole = training.settings;
    Ok(Settings {
        epochs: whole.epochs * updates,
        batch_size: batch * adversary.policies,
        images_per_epoch: Some(sizes.images() * adversary.policies),
        optimiser: Optimiser { warmup_epochs: whole.optimiser.warmup_epochs * updates as f64, ..whole.optimiser },
        ..*whole
    })
}

/// The training.
pub(super) struct Run<'a> {
    adversary: &'a Adversary,
    training: Training<'a>,
    /// What is done to every image besides its policy.
    online: Online,
    sizes: Sizes,
    session: Box<dyn Session + 'a>,
    writer: Writer,
    record: AdversaryRecord,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        adversary: &'a Adversary,
        child: &dyn ChildModel,
        training: Training<'a>,
        settings: &'a Settings,
    ) -> Result<Self, TrainError> {
        let Application::Online(online) = training.settings.augment else {
            return Err(failed("an adversary augments images in place, so augment must be online"));
        };
        let sizes = Sizes::new(adversary, &training)?;
        // It is measured after its last update of an epoch, not after each.
        let set = TrainingSet {
            validation_images: training.set.validation_images.slice_move(s![..1, .., .., ..]),
            validation_labels: &training.set.validation_labels[..1],
            subgroups: None,
            translations: &[],
            ..training.set
        };
        // The first images are put in place of these before they are learnt from.
        let images = sizes.images() * adversary.policies;
        let sources = vec![0; images];
        let copies = Copies { images: training.set.images.select(Axis(0), &sources), ops: Vec::new(), sources };
        let mut session = child.session(&[Training { set, settings, ..training }], vec![copies])?;
        session.keep_losses(true);
        session.keep_order(true);
        let writer = adversary.writer(training.seed).map_err(failed)?;
        let record = AdversaryRecord::default();
        let mut run = Self { adversary, training, online, sizes, session, writer, record };
        if let Some((record, net)) = adversary.record.as_deref().and_then(AdversaryRecord::left_behind) {
            run.go_on_from(record, &net)?;
        }
        Ok(run)
    }

    /// Brings itself to where a killed training was, if it was this one.
    fn go_on_from(&mut self, record: AdversaryRecord, net: &State) -> Result<(), TrainError> {
        let mut writer = self.adversary.writer(self.training.seed).map_err(failed)?;
        for update in &record.updates {
            let points = self.adversary.write(&mut writer);
            if self.adversary.policies_of(&points) != update.policies {
                return Ok(());
            }
            self.adversary.teach(&mut writer, &points, &update.losses);
        }
        self.session.skip(record.updates.len());
        self.session.load(0, net)?;
        (self.writer, self.record) = (writer, record);
        Ok(())
    }

    /// Trains to the last epoch, and keeps the net's weights if `keep` says where.
    pub(super) fn finish(
        mut self,
        keep: Option<&Path>,
        on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<History, TrainError> {
        let (begun, before) = (Instant::now(), self.record.seconds);
        for epoch in self.record.epochs.len()..self.training.settings.epochs {
            let mut trained = Vec::new();
            for _ in 0..self.sizes.updates {
                let points = self.adversary.write(&mut self.writer);
                let policies = self.adversary.policies_of(&points);
                let number = self.record.updates.len();
                let (measured, losses) = self.train_under(&policies, number)?;
                trained.push(measured);
                let entropy = self.adversary.teach(&mut self.writer, &points, &losses);
                self.record.updates.push(Update { epoch, entropy, losses, policies });
            }
            let measured = self.measure(epoch + 1, &trained)?;
            self.record.epochs.push(measured);
            self.record.seconds = before + begun.elapsed().as_secs_f64();
            if let Some(path) = &self.adversary.record {
                self.record.leave(path, &self.session.state(0)?).map_err(failed)?;
            }
            if !on_epoch(&measured) {
                return Err(TrainError::Stopped);
            }
        }
        if let Some(path) = keep {
            self.session.state(0)?.save(path)?;
        }
        Ok(History::new(self.record.epochs, self.record.seconds))
    }

    /// Trains on the images of an update, and returns how it went, with the mean loss under each policy.
    fn train_under(&mut self, policies: &[Policy], number: usize) -> Result<(EpochRecord, Vec<f64>), TrainError> {
        let views = self.views(policies, number);
        self.session.set_copies(0, views)?;
        let measured = self.session.epoch()?.remove(0)?;
        let losses = mean_losses(self.session.losses(0), self.sizes.batch, policies.len());
        Ok((measured, losses))
    }

    /// Returns the images of an update under each policy: batch by batch, one policy after another.
    fn views(&self, policies: &[Policy], number: usize) -> Copies {
        let Sizes { updates, batch, .. } = self.sizes;
        let training = &self.training;
        let mut order: Vec<usize> = (0..training.set.labels.len()).collect();
        let epoch = (number / updates) as u64;
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(training.seed, Purpose::Adversary, 1 + epoch)));
        let images = self.sizes.images();
        let chosen = &order[number % updates * images..][..images];
        let originals = training.set.images.select(Axis(0), chosen);
        let view = |(place, policy): (usize, &Policy)| {
            let seed = derive(training.seed, Purpose::Views, (number * policies.len() + place) as u64);
            self.online.images(policy, originals.view(), seed)
        };
        let views: Vec<Array4<u8>> = policies.iter().enumerate().map(view).collect();
        let batches = || (0..images).step_by(batch).map(|first| first..first + batch);
        let parts: Vec<_> =
            batches().flat_map(|rows| views.iter().map(move |view| view.slice(s![rows.clone(), .., .., ..]))).collect();
        let sources = batches().flat_map(|rows| std::iter::repeat_n(&chosen[rows], policies.len()).flatten());
        Copies {
            sources: sources.copied().collect(),
            images: concatenate(Axis(0), &parts).expect("views of the same images"),
            ops: Vec::new(),
        }
    }

    /// Measures the net after an epoch.
    fn measure(&mut self, epoch: usize, trained: &[EpochRecord]) -> Result<EpochRecord, TrainError> {
        let set = &self.training.set;
        let judged = self.session.evaluate(set.validation_images, set.validation_labels)?.remove(0);
        let mean = |of: &dyn Fn(&RowLoss) -> f64| judged.iter().map(of).sum::<f64>() / judged.len().max(1) as f64;
        let over_updates =
            |of: fn(&EpochRecord) -> f64| trained.iter().map(of).sum::<f64>() / trained.len().max(1) as f64;
        let measured = EpochRecord {
            epoch,
            acc: over_updates(|record| record.acc),
            loss: over_updates(|record| record.loss),
            val_acc: mean(&|row| f64::from(u8::from(row.right))),
            val_loss: mean(&|row| f64::from(row.loss)),
            train_acc: trained.last().and_then(|record| record.train_acc),
        };
        if measured.val_loss.is_finite() { Ok(measured) } else { Err(TrainError::Diverged { epoch }) }
    }
}

impl Adversary {
    /// Teaches the network which of its policies the net found hard, and returns how undecided it was before.
    fn teach(&self, writer: &mut Writer, points: &[Vec<Point>], losses: &[f64]) -> f64 {
        let entropy = writer.entropy();
        if self.learning_rate > 0.0 && entropy > LEAST_ENTROPY {
            let of_point = normalised(losses).into_iter().flat_map(|advantage| [advantage; SUB_POLICIES]);
            writer.reinforce(&points.concat(), &of_point.collect::<Vec<_>>());
        }
        entropy
    }
}

/// Returns the mean loss under each policy, of batches in which their images follow one another.
fn mean_losses(rows: &[RowLoss], batch: usize, policies: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); policies];
    for row in rows {
        let (sum, count) = &mut sums[row.row / batch % policies];
        (*sum, *count) = (*sum + f64::from(row.loss), *count + 1.0);
    }
    sums.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use deepaug_child_model::{Device, DeviceChoice, Model, Net, Rule};

    use super::*;
    use crate::config::Config;
    use deepaug_augmenter::RangeTable;

    #[test]
    fn losses_are_those_of_each_policy() {
        let row = |(row, loss): (usize, f32)| RowLoss { row, loss, right: false, entropy: 0.0 };
        let first: Vec<RowLoss> = [(0, 1.0), (5, 4.0), (2, 2.0), (1, 3.0), (3, 2.0), (4, 6.0)].map(row).to_vec();
        assert_eq!(mean_losses(&first, 2, 3), [2.0, 2.0, 5.0]);
        let second: Vec<RowLoss> = [(6, 3.0), (7, 3.0), (8, 0.0), (9, 2.0), (10, 5.0), (11, 5.0)].map(row).to_vec();
        assert_eq!(mean_losses(&[first, second].concat(), 2, 3), [2.5, 1.5, 5.0]);
    }

    struct Case {
        images: Array4<u8>,
        labels: Vec<usize>,
        policy: Policy,
        settings: Settings,
        child: Net,
    }

    impl Case {
        fn new() -> Self {
            let images =
                Array4::from_shape_fn((60, 12, 12, 3), |(n, r, c, k)| ((n % 3) * 70 + r * c + 5 * k + n) as u8);
            let plain = Settings::plain(3, Optimiser::plain(Rule::Adam, 2e-3));
            Self {
                images,
                labels: (0..60).map(|n| n % 3).collect(),
                policy: Policy::none(RangeTable::AutoAugment),
                settings: Settings {
                    batch_size: 10,
                    images_per_epoch: Some(50),
                    augment: Application::Online(Online::NOTHING),
                    ..plain
                },
                child: Net::new(Model::TinyCnn, Device::open(DeviceChoice::Cpu).unwrap()),
            }
        }

        fn training(&self) -> Training<'_> {
            let set = TrainingSet {
                images: self.images.view(),
                labels: &self.labels,
                validation_images: self.images.view(),
                validation_labels: &self.labels,
                classes: 3,
                subgroups: None,
                translations: &[],
            };
            Training::new(set, &self.policy, &self.settings, 4)
        }
    }

    fn adversary() -> Adversary {
        let config = Config { adversarial_policies: 3, adversarial_updates: 2, ..Config::default() };
        Adversary::new(&config, true, true)
    }

    #[test]
    fn every_image_of_a_batch_is_there_under_every_policy() {
        let (case, adversary) = (Case::new(), Adversary { clean: 0.0, ..adversary() });
        let training = case.training();
        let settings = settings(&adversary, &training).unwrap();
        // Fifty images in two updates of three batches: 25 are 3 of 8.
        assert_eq!((settings.epochs, settings.batch_size, settings.images_per_epoch), (6, 24, Some(72)));
        let run = Run::new(&adversary, &case.child, training, &settings).unwrap();
        let policies = adversary.policies_of(&adversary.write(&mut adversary.writer(7).unwrap()));
        let (first, second) = (run.views(&policies, 0), run.views(&policies, 1));
        for batch in first.sources.chunks(24) {
            assert!(batch[..8] == batch[8..16] && batch[..8] == batch[16..]);
        }
        let of_epoch: std::collections::BTreeSet<usize> =
            [&first, &second].iter().flat_map(|views| views.sources.clone()).collect();
        assert_eq!(of_epoch.len(), 48, "no image comes twice in an epoch");
        // Each policy does to all images of an update what it does to them at once.
        let chosen: Vec<usize> = first.sources.chunks(24).flat_map(|batch| batch[..8].to_vec()).collect();
        let alone = Online::NOTHING.images(
            &policies[1],
            case.images.select(Axis(0), &chosen).view(),
            derive(4, Purpose::Views, 1),
        );
        let found: Vec<usize> = (0..72).filter(|row| row / 8 % 3 == 1).collect();
        assert_eq!(first.images.select(Axis(0), &found), alone);
    }

    #[test]
    fn it_trains_the_same_again_and_records_what_it_did() {
        let case = Case::new();
        let training = case.training();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let whole = Adversary { record: Some(at("whole.json")), ..adversary() };
        let history = whole.train(&case.child, &training, Some(&at("whole")), &|_| true).unwrap();
        assert_eq!(history.epochs.len(), 3);
        let again = adversary().train(&case.child, &training, None, &|_| true).unwrap();
        assert_eq!(again.epochs, history.epochs);
        let random = Adversary { learning_rate: 0.0, ..adversary() };
        assert_ne!(random.train(&case.child, &training, None, &|_| true).unwrap().epochs, history.epochs);

        // Killed after any epoch, it goes on as if nothing had happened.
        let killed = Adversary { record: Some(at("killed.json")), ..adversary() };
        for _ in 0..2 {
            let result = killed.train(&case.child, &training, None, &|_| false);
            assert!(matches!(result, Err(TrainError::Stopped)));
        }
        let resumed = killed.train(&case.child, &training, Some(&at("killed")), &|record| record.epoch == 3).unwrap();
        assert_eq!(resumed.epochs, history.epochs);
        assert_eq!(std::fs::read(at("killed")).unwrap(), std::fs::read(at("whole")).unwrap());
        let [record, other] = ["whole.json", "killed.json"].map(|name| AdversaryRecord::read(&at(name)).unwrap());
        assert_eq!(record.updates, other.updates);
        for name in ["whole.json", "killed.json"] {
            record.remove(&at(name));
        }
        // Nothing but the weights is left, and another training does not go on from here.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        crate::files::write_json(&at("other.json"), &record).unwrap();
        let other = Adversary { record: Some(at("other.json")), ..adversary() };
        assert_eq!(other.train(&case.child, &training, None, &|_| true).unwrap().epochs, history.epochs);

        record.export(&at("net"), Application::Online(Online::NOTHING)).unwrap();
        let text = std::fs::read_to_string(at("net.schedule.json")).unwrap();
        let schedule: deepaug_augmenter::Augmentation = serde_json::from_str(&text).unwrap();
        assert_eq!(schedule.policy.pieces().map(|(epochs, _)| epochs).sum::<usize>(), 3);
        assert!(schedule.policy.pieces().all(|(_, policy)| policy.sub_policies.len() == 30));
        let table = std::fs::read_to_string(at("net.adversary.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + 3 * 2 * 3);
    }

    #[test]
    fn recorded_policies_train_the_same_net_without_the_adversary() {
        let case = Case::new();
        let training = case.training();
        let folder = tempfile::tempdir().unwrap();
        let taught = Adversary { record: Some(folder.path().join("record.json")), ..adversary() };
        let weights = folder.path().join("net");
        taught.train(&case.child, &training, Some(&weights), &|_| true).unwrap();
        let record = AdversaryRecord::read(&folder.path().join("record.json")).unwrap();
        let off = Adversary { learning_rate: 0.0, ..adversary() };
        let settings = settings(&off, &training).unwrap();
        let mut run = Run::new(&off, &case.child, training, &settings).unwrap();
        for (number, update) in record.updates.iter().enumerate() {
            let (_, losses) = run.train_under(&update.policies, number).unwrap();
            assert_eq!(losses, update.losses);
        }
        let replayed = folder.path().join("replayed");
        run.session.state(0).unwrap().save(&replayed).unwrap();
        assert!(std::fs::read(replayed).unwrap() == std::fs::read(weights).unwrap());
    }
}
