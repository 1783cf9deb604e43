//! Adversarial AutoAugment (X. Zhang, Q. Wang, J. Zhang, Z. Zhong, ICLR 2020): while a net trains, a network writes the
//! policies that its images are augmented by, and learns which of them the net finds hard.

mod record;
mod run;

use std::path::{Path, PathBuf};

use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::{ChildModel, EpochRecord, History, TrainError, Training};
use deepaug_controller::{Point, PolicyGradientSettings, SearchError, Space, Value, Writer};
use serde::{Deserialize, Serialize};

use self::record::joined;
pub(crate) use self::record::{AdversaryRecord, schedule as adversary_schedule};
use self::run::Run;
use crate::config::{Config, SearchMethod};
use crate::rng::{Purpose, derive};

/// Sub-policies of a policy, of which an image gets one, and ops of each, as in the paper.
const SUB_POLICIES: usize = 5;
const OPS: usize = 2;

/// Who writes a training's policies while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adversary {
    /// Policies at a time: every step has an image of each for each image of a batch.
    pub policies: usize,
    /// How often it learns and writes new ones, in an epoch.
    pub updates_per_epoch: usize,
    /// Of Adam; 0 for policies that stay random.
    pub learning_rate: f64,
    /// Weight of its decisions' entropy.
    pub entropy: f64,
    /// The share of images that no policy changes.
    pub clean: f64,
    /// The largest magnitude that it writes, in tenths.
    pub largest_level: u32,
    /// The ops that it chooses from.
    pub ops: Vec<Op>,
    /// What magnitudes mean.
    #[serde(default)]
    pub ranges: RangeTable,
    /// Where to write after every epoch what it has written and learnt from, as JSON, with the net beside it, if
    /// anywhere. What a killed training left there is continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
}

impl Adversary {
    /// Makes the adversary of a configuration, for images with or without colour. If it is not what the configuration
    /// searches with, its ops are AutoAugment's. Without `is_taught` its policies stay random.
    pub(crate) fn new(config: &Config, has_colour: bool, is_taught: bool) -> Self {
        let (ops, ranges) = match config.method {
            SearchMethod::Adversarial => (config.ops.clone(), config.ranges),
            _ => {
                let all = Op::AUTOAUGMENT.into_iter().filter(|&op| op != Op::SamplePairing);
                (all.collect(), RangeTable::AutoAugment)
            }
        };
        Self {
            policies: config.adversarial_policies,
            updates_per_epoch: config.adversarial_updates,
            learning_rate: if is_taught { config.adversarial_learning_rate } else { 0.0 },
            entropy: config.adversarial_entropy,
            clean: config.adversarial_clean,
            largest_level: config.adversarial_largest_level,
            ops: ops.into_iter().filter(|op| has_colour || !op.needs_colour()).collect(),
            ranges,
            record: None,
        }
    }

    /// Trains a child against it, and keeps its weights if `keep` says where.
    ///
    /// # Errors
    /// [`TrainError`].
    pub(super) fn train(
        &self,
        child: &dyn ChildModel,
        training: &Training<'_>,
        keep: Option<&Path>,
        on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<History, TrainError> {
        let settings = run::settings(self, training)?;
        let training = Training { set: training.set.view(), ..*training };
        Run::new(self, child, training, &settings)?.finish(keep, on_epoch)
    }

    /// Returns policies by epoch as it writes them without having learnt.
    pub(crate) fn untaught(&self, epochs: usize, seed: u64) -> Result<Vec<Policy>, SearchError> {
        let mut writer = self.writer(seed)?;
        let mut of_epoch = || {
            let updates = (0..self.updates_per_epoch).map(|_| self.policies_of(&self.write(&mut writer)));
            joined(&updates.collect::<Vec<_>>().concat())
        };
        Ok((0..epochs).filter_map(|_| of_epoch()).collect())
    }

    /// Returns the network that writes its policies, before it has learnt.
    fn writer(&self, training_seed: u64) -> Result<Writer, SearchError> {
        let settings = PolicyGradientSettings {
            learning_rate: self.learning_rate.max(f64::MIN_POSITIVE),
            entropy: self.entropy,
            ..PolicyGradientSettings::default()
        };
        Writer::new(self.space()?, settings, derive(training_seed, Purpose::Adversary, 0))
    }

    /// The space of one sub-policy. The paper's network writes the five of a policy one after another; each here is
    /// written afresh, as in the re-implementation that reached the paper's result.
    fn space(&self) -> Result<Space, SearchError> {
        let mut space = Space::new();
        for place in 1..=OPS {
            space = space.categorical(format!("op {place}"), self.ops.iter().map(|op| op.name()))?;
            space = space.integer(format!("level {place}"), 0, i64::from(self.largest_level))?;
        }
        Ok(space)
    }

    /// Writes the sub-policies of each policy.
    fn write(&self, writer: &mut Writer) -> Vec<Vec<Point>> {
        (0..self.policies).map(|_| (0..SUB_POLICIES).map(|_| writer.write()).collect()).collect()
    }

    fn policies_of(&self, points: &[Vec<Point>]) -> Vec<Policy> {
        let policy = |points: &Vec<Point>| {
            let sub_policies = points.iter().map(|point| self.sub_policy(point)).collect();
            Policy { in_place: true, ..Policy::new(self.ranges, 1.0 - self.clean, sub_policies) }
        };
        points.iter().map(policy).collect()
    }

    fn sub_policy(&self, point: &Point) -> SubPolicy {
        let step = |values: &[Value]| {
            let op = self.ops[values[0].category().unwrap_or(0)];
            Step::new(op, values[1].integer().unwrap_or(0) as f64 / 10.0)
        };
        SubPolicy { ops: point.0.chunks_exact(2).map(step).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_policies_of_ops_and_levels_that_are_allowed() {
        let config = Config { adversarial_policies: 3, adversarial_largest_level: 4, ..Config::default() };
        let adversary = Adversary::new(&config, true, true);
        let policies = adversary.untaught(2, 1).unwrap();
        assert_eq!(policies.len(), 2);
        for policy in &policies {
            policy.validate().unwrap();
            // Four updates of three policies.
            assert_eq!((policy.sub_policies.len(), policy.portion), (5 * 3 * 4, 0.8));
            assert!(policy.steps().all(|step| step.magnitude <= 0.4));
        }
        let grey = Adversary::new(&Config::default(), false, true);
        assert_eq!([grey.ops.len(), adversary.ops.len()], [14, 15]);
    }
}
