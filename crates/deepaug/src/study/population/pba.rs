//! Population Based Augmentation (D. Ho et al. 2019, Population Based Augmentation: Efficient Learning of Augmentation
//! Policy Schedules; numbers as in its published code).

use deepaug_augmenter::{Piece, Policy, Step, SubPolicy};
use deepaug_child_model::EpochRecord;
use deepaug_controller::population::{exploit, explore};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::config::Config;
use crate::rng::{Purpose, derive};
use crate::study::scheduler::{Decision, Finished, Scheduler, TrialProgress};

/// The probabilities that an image gets 0, 1 or 2 ops.
const COUNTS: [f64; 3] = [0.2, 0.3, 0.5];

/// Probabilities go from 0 to 1 in steps of a tenth, and so do magnitudes, up to 0.9.
const MAX_PROBABILITY: u32 = 10;
const MAX_MAGNITUDE: u32 = 9;

/// What is tried after a population: a scheme that needs no search, and up to three [candidates].
pub(crate) const CANDIDATES: u64 = 4;

/// Its scheduler: the worst quarter takes over from the best, with changed policies.
pub(crate) struct Pba {
    seed: u64,
    resample_probability: f64,
    /// The policy of each member.
    policies: Vec<Policy>,
}

impl Pba {
    /// Makes the scheduler of a population that starts with these policies.
    pub(crate) fn new(config: &Config, first: Vec<Policy>) -> Self {
        Self { seed: config.seed, resample_probability: config.resample_probability, policies: first }
    }

    fn rng(&self, epoch: usize) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(derive(self.seed, Purpose::Exploration, epoch as u64))
    }
}

/// Returns the policy whose slots do nothing.
fn nothing(config: &Config) -> Policy {
    let slot = |&op| SubPolicy { ops: vec![Step { probability: 0.0, ..Step::new(op, 0.0) }] };
    let slots = (0..config.slots_per_op).flat_map(|_| config.ops.iter().map(slot)).collect();
    Policy { counts: COUNTS.to_vec(), in_place: true, ..Policy::new(config.ranges, 1.0, slots) }
}

/// Returns a policy whose probabilities and magnitudes are all drawn at random, for comparison.
pub(crate) fn random_policy(config: &Config) -> Policy {
    explored(&nothing(config), 1.0, &mut ChaCha8Rng::seed_from_u64(derive(config.seed, Purpose::RandomPolicies, 0)))
}

/// Returns the policies that a population starts with: they do nothing, but for those that are explored at the start.
pub(crate) fn first_policies(config: &Config) -> Vec<Policy> {
    let nothing = nothing(config);
    let mut rng = Pba::new(config, Vec::new()).rng(0);
    let of_member = |member| match config.explore_all_at_start && member > 0 {
        true => explored(&nothing, config.resample_probability, &mut rng),
        false => nothing.clone(),
    };
    (0..config.population).map(of_member).collect()
}

/// Returns a copy whose probabilities and magnitudes have each been changed.
fn explored(policy: &Policy, resample_probability: f64, rng: &mut ChaCha8Rng) -> Policy {
    let mut tenths = |value: f64, most: u32| {
        f64::from(explore((10.0 * value).round() as u32, most, resample_probability, rng)) / 10.0
    };
    let mut changed = policy.clone();
    for step in changed.sub_policies.iter_mut().flat_map(|sub_policy| &mut sub_policy.ops) {
        step.probability = tenths(step.probability, MAX_PROBABILITY);
        step.magnitude = tenths(step.magnitude, MAX_MAGNITUDE);
    }
    changed
}

impl Scheduler for Pba {
    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
        let epoch = reports.iter().map(|report| report.epochs.len()).max().unwrap_or(0);
        let score = |report: &TrialProgress<'_>| report.epochs.get(epoch.checked_sub(1)?).map(|last| last.val_acc);
        let scores: Vec<Option<f64>> = reports.iter().map(score).collect();
        let rng = &mut self.rng(epoch);
        let Some(taken) = exploit(&scores, rng) else {
            return vec![Decision::Stop; reports.len()];
        };
        // All policies are those before the exchange, no matter who takes over from whom.
        let before = self.policies.clone();
        let mut decisions = vec![Decision::Continue; reports.len()];
        for (member, donor) in taken {
            let policy = explored(&before[donor], self.resample_probability, rng);
            self.policies[member] = policy.clone();
            decisions[member] = Decision::TakeOver { from: donor as u64, policy };
        }
        decisions
    }

    fn estimate(&self, stopped: &[EpochRecord], _: &[Finished<'_>]) -> f64 {
        stopped.last().map_or(0.0, |last| last.val_acc)
    }
}

/// Returns what a population's schedule is compared with, besides none and a free scheme: its last policy from the
/// start, and its policies in another order. It comes first itself.
pub(crate) fn candidates(schedule: &Policy, config: &Config) -> Vec<Policy> {
    let last = Policy { earlier: Vec::new(), epochs: 1, ..schedule.clone() };
    let each = |(epochs, policy): (usize, &Policy)| {
        let policy = Policy { earlier: Vec::new(), epochs: 1, ..policy.clone() };
        std::iter::repeat_n(Piece { epochs: 1, policy }, epochs)
    };
    let mut shuffled: Vec<Piece> = schedule.pieces().flat_map(each).collect();
    shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(config.seed, Purpose::RandomPolicies, 1)));
    let mut all: Vec<Policy> = Vec::new();
    for policy in [Some(schedule.clone()), Some(last), Policy::schedule(shuffled)].into_iter().flatten() {
        if !all.contains(&policy) {
            all.push(policy);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use deepaug_augmenter::Op;

    use super::*;

    fn config() -> Config {
        Config { population: 8, ops: Op::AUTOAUGMENT[..4].to_vec(), ..Config::default() }
    }

    fn epochs(accuracies: &[f64]) -> Vec<EpochRecord> {
        let record = |(n, &val_acc): (usize, &f64)| EpochRecord {
            epoch: n + 1,
            acc: 0.0,
            loss: 0.0,
            val_acc,
            val_loss: 0.0,
            train_acc: None,
        };
        accuracies.iter().enumerate().map(record).collect()
    }

    #[test]
    fn all_begin_with_nothing_unless_they_explore() {
        let all = first_policies(&config());
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|policy| *policy == all[0]));
        assert_eq!(all[0].sub_policies.len(), 8);
        assert!(all[0].steps().all(|step| step.probability == 0.0 && step.magnitude == 0.0));
        let explored = first_policies(&Config { explore_all_at_start: true, ..config() });
        assert_eq!(explored[0], all[0]);
        assert!(explored[1..].iter().all(|policy| *policy != all[0] && policy.validate().is_ok()));
        assert!(explored.iter().flat_map(Policy::steps).all(|step| step.magnitude <= 0.9));
    }

    #[test]
    fn the_worst_take_over_policies_that_are_changed_and_a_failed_one_is_never_copied() {
        let first = first_policies(&Config { explore_all_at_start: true, ..config() });
        let mut pba = Pba::new(&config(), first.clone());
        let accuracies = [0.5, 0.9, 0.4, 0.3, 0.6, 0.7, 0.65, 0.8];
        let mut all: Vec<Vec<EpochRecord>> = accuracies.iter().map(|&last| epochs(&[0.1, last])).collect();
        // The best so far fails in the second epoch.
        all[1].pop();
        let progress = |(member, epochs): (usize, &Vec<EpochRecord>)| (member as u64, epochs.clone());
        let all: Vec<(u64, Vec<EpochRecord>)> = all.iter().enumerate().map(progress).collect();
        let reports: Vec<TrialProgress<'_>> =
            all.iter().map(|(trial, epochs)| TrialProgress { trial: *trial, epochs }).collect();
        let decisions = pba.report(&reports);
        let mut again = Pba::new(&config(), first.clone());
        assert_eq!(again.report(&reports), decisions);
        for (member, decision) in decisions.iter().enumerate() {
            match decision {
                Decision::TakeOver { from, policy } => {
                    assert!([1, 3].contains(&member) && [5, 7].contains(from), "{member} {from}");
                    assert_eq!(pba.policies[member], *policy);
                    policy.validate().unwrap();
                }
                Decision::Continue => assert_eq!(pba.policies[member], first[member]),
                Decision::Stop => panic!(),
            }
        }
        let nobody: Vec<TrialProgress<'_>> = reports
            .iter()
            .map(|report| TrialProgress { epochs: &report.epochs[..1 + (report.trial == 0) as usize], ..*report })
            .collect();
        assert!(pba.report(&nobody).iter().all(|decision| *decision == Decision::Stop));
    }

    #[test]
    fn a_schedule_is_compared_with_its_end_and_with_another_order() {
        let config = Config { explore_all_at_start: true, ..config() };
        let policies = first_policies(&config);
        let piece =
            |(epochs, member): (usize, usize)| deepaug_augmenter::Piece { epochs, policy: policies[member].clone() };
        let schedule = Policy::schedule([(3, 0), (2, 1), (4, 2)].map(piece).to_vec()).unwrap();
        let [first, last, shuffled] = &candidates(&schedule, &config)[..] else { panic!() };
        assert_eq!((first, last), (&schedule, &policies[2]));
        let share = |policy: &Policy, of: &Policy| {
            let same = |policy: &Policy| policy.sub_policies == of.sub_policies;
            policy.pieces().filter(|(_, policy)| same(policy)).map(|(epochs, _)| epochs).sum::<usize>()
        };
        assert_eq!([0, 1, 2].map(|member| share(shuffled, &policies[member])), [3, 2, 4]);
        assert_eq!(candidates(&policies[1], &config), [policies[1].clone()]);
    }
}
