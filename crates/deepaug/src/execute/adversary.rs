//! Adversarial AutoAugment (X. Zhang, Q. Wang, J. Zhang, Z. Zhong, ICLR 2020): while a net trains, a network writes the
//! policies that its images are augmented by, and learns which of them the net finds hard.

use std::path::{Path, PathBuf};
use std::time::Instant;

use deepaug_augmenter::{Application, Augmentation, Copies, Online, Op, Piece, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::{
    ChildModel, EpochRecord, History, Optimiser, RowLoss, Session, Settings, TrainError, Training, TrainingSet,
};
use deepaug_controller::{Point, PolicyGradientSettings, SearchError, Space, Value, Writer, normalised};
use ndarray::{Array4, Axis, concatenate, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::files::{write_json, write_whole};
use crate::rng::{Purpose, derive};

/// Sub-policies of a policy, of which an image gets one, and ops of each, as in the paper.
const SUB_POLICIES: usize = 5;
const OPS: usize = 2;

/// An adversary that is this decided, in nats a decision, is no longer taught: one that always writes the same leaves
/// the net nothing else to see.
const LEAST_ENTROPY: f64 = 1.5;

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
    /// The ops that it chooses from, of AutoAugment's.
    pub ops: Vec<Op>,
    /// Where to write the policies by epoch (`NAME.schedule.json`) and what it learnt from (`NAME.adversary.csv`), as a
    /// path without ending, if anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
}

/// A row of the record.
struct Update {
    epoch: usize,
    entropy: f64,
    losses: Vec<f64>,
    policies: Vec<Policy>,
}

impl Adversary {
    /// Makes the adversary of a configuration, for images with or without colour. Without `is_taught` its policies stay
    /// random.
    pub(crate) fn new(config: &Config, has_colour: bool, is_taught: bool) -> Self {
        let all = Op::AUTOAUGMENT.into_iter().filter(|&op| op != Op::SamplePairing);
        Self {
            policies: config.adversarial_policies,
            updates_per_epoch: config.adversarial_updates,
            learning_rate: if is_taught { config.adversarial_learning_rate } else { 0.0 },
            entropy: config.adversarial_entropy,
            clean: config.adversarial_clean,
            largest_level: config.adversarial_largest_level,
            ops: all.filter(|op| has_colour || !op.needs_colour()).collect(),
            record: None,
        }
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

    fn sub_policy(&self, point: &Point) -> SubPolicy {
        let step = |values: &[Value]| {
            let op = self.ops[values[0].category().unwrap_or(0)];
            Step::new(op, values[1].integer().unwrap_or(0) as f64 / 10.0)
        };
        SubPolicy { ops: point.0.chunks_exact(2).map(step).collect() }
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
        let begun = Instant::now();
        let failed = |why: String| TrainError::Session { why };
        let Application::Online(online) = training.settings.augment else {
            return Err(failed("an adversary augments images in place, so augment must be online".into()));
        };
        if training.set.validation_labels.is_empty() {
            return Err(failed("there are no images to measure on".into()));
        }
        let settings = PolicyGradientSettings {
            learning_rate: self.learning_rate.max(f64::MIN_POSITIVE),
            entropy: self.entropy,
            ..PolicyGradientSettings::default()
        };
        let seed = derive(training.seed, Purpose::Adversary, 0);
        let space = self.space().map_err(|error| failed(error.to_string()))?;
        let mut writer = Writer::new(space, settings, seed).map_err(|error| failed(error.to_string()))?;

        let whole = training.settings;
        let all = training.set.labels.len();
        let per_epoch = whole.images_per_epoch.unwrap_or(all).min(all);
        let updates = self.updates_per_epoch.clamp(1, per_epoch.max(1));
        let images = (per_epoch / updates).max(1);
        // An update's images are an epoch of the session's.
        let settings = Settings {
            epochs: whole.epochs * updates,
            batch_size: whole.batch_size.min(images) * self.policies,
            images_per_epoch: Some(images * self.policies),
            optimiser: Optimiser { warmup_epochs: whole.optimiser.warmup_epochs * updates as f64, ..whole.optimiser },
            ..*whole
        };
        // It is measured after its last update of an epoch, not after each.
        let set = TrainingSet {
            validation_images: training.set.validation_images.slice(s![..1, .., .., ..]),
            validation_labels: &training.set.validation_labels[..1],
            ..training.set.view()
        };
        let session_of = [Training { set, settings: &settings, ..*training }];
        let mut record = Vec::new();
        let mut epochs = Vec::new();
        let mut running: Option<Box<dyn Session + '_>> = None;
        for epoch in 0..whole.epochs {
            let mut order: Vec<usize> = (0..all).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(training.seed, Purpose::Adversary, 1 + epoch as u64)));
            let mut sums = [0.0; 2];
            let mut train_acc = None;
            for (update, chosen) in order.chunks_exact(images).take(updates).enumerate() {
                let points = self.write(&mut writer);
                let policies = self.policies_of(&points);
                let views = self.views(training, &online, &policies, chosen, epoch * updates + update);
                let session = match &mut running {
                    Some(session) => {
                        session.set_copies(0, views)?;
                        session
                    }
                    None => {
                        let session = running.insert(child.session(&session_of, vec![views])?);
                        session.keep_losses(true);
                        session
                    }
                };
                let measured = session.epoch()?.remove(0)?;
                (sums[0], sums[1]) = (sums[0] + measured.acc, sums[1] + measured.loss);
                train_acc = measured.train_acc;
                let losses = mean_losses(session.losses(0), images, self.policies);
                let entropy = writer.entropy();
                if self.learning_rate > 0.0 && entropy > LEAST_ENTROPY {
                    let advantages = normalised(&losses);
                    let of_point = advantages.iter().flat_map(|&advantage| [advantage; SUB_POLICIES]);
                    writer.reinforce(&points.concat(), &of_point.collect::<Vec<_>>());
                }
                record.push(Update { epoch, entropy, losses, policies });
            }
            let Some(session) = &mut running else { return Err(failed("there are no images to learn from".into())) };
            let judged = session.evaluate(training.set.validation_images, training.set.validation_labels)?.remove(0);
            let mean = |of: &dyn Fn(&RowLoss) -> f64| judged.iter().map(of).sum::<f64>() / judged.len().max(1) as f64;
            let measured = EpochRecord {
                epoch: epoch + 1,
                acc: sums[0] / updates as f64,
                loss: sums[1] / updates as f64,
                val_acc: mean(&|row| f64::from(u8::from(row.right))),
                val_loss: mean(&|row| f64::from(row.loss)),
                train_acc,
            };
            if !measured.val_loss.is_finite() {
                return Err(TrainError::Diverged { epoch: epoch + 1 });
            }
            epochs.push(measured);
            if !on_epoch(&measured) {
                return Err(TrainError::Stopped);
            }
        }
        if let Some((path, session)) = keep.zip(running) {
            session.state(0)?.save(path)?;
        }
        if let Some(path) = &self.record {
            self.write_record(path, training.settings.augment, &record).map_err(|error| failed(error.to_string()))?;
        }
        Ok(History { epochs, seconds: begun.elapsed().as_secs_f64() })
    }

    /// Writes the sub-policies of each policy.
    fn write(&self, writer: &mut Writer) -> Vec<Vec<Point>> {
        (0..self.policies).map(|_| (0..SUB_POLICIES).map(|_| writer.write()).collect()).collect()
    }

    fn policies_of(&self, points: &[Vec<Point>]) -> Vec<Policy> {
        let policy = |points: &Vec<Point>| {
            let sub_policies = points.iter().map(|point| self.sub_policy(point)).collect();
            Policy { in_place: true, ..Policy::new(RangeTable::AutoAugment, 1.0 - self.clean, sub_policies) }
        };
        points.iter().map(policy).collect()
    }

    /// Returns the chosen images under each policy, one policy after another.
    fn views(
        &self,
        training: &Training<'_>,
        online: &Online,
        policies: &[Policy],
        chosen: &[usize],
        update: usize,
    ) -> Copies {
        let images = training.set.images.select(Axis(0), chosen);
        let view = |(number, policy): (usize, &Policy)| {
            let number = (update * policies.len() + number) as u64;
            online.images(policy, images.view(), derive(training.seed, Purpose::Views, number))
        };
        let views: Vec<Array4<u8>> = policies.iter().enumerate().map(view).collect();
        let parts: Vec<_> = views.iter().map(|view| view.view()).collect();
        let images = concatenate(Axis(0), &parts).expect("views of the same images");
        Copies { sources: std::iter::repeat_n(chosen, policies.len()).flatten().copied().collect(), images }
    }

    /// Writes the policies by epoch, and what the adversary learnt from.
    fn write_record(&self, path: &Path, application: Application, updates: &[Update]) -> Result<(), crate::Error> {
        let with_ending = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        // An image gets one of the policies, so one of all their sub-policies.
        let piece = |update: &Update| {
            let sub_policies = update.policies.iter().flat_map(|policy| policy.sub_policies.clone()).collect();
            Some(Piece { epochs: 1, policy: Policy { sub_policies, ..update.policies.first()?.clone() } })
        };
        if let Some(policy) = Policy::schedule(updates.iter().filter_map(piece).collect()) {
            write_json(&with_ending(".schedule.json"), &Augmentation { policy, application })?;
        }
        let path = with_ending(".adversary.csv");
        let table = || -> std::io::Result<Vec<u8>> {
            let mut table = csv::Writer::from_writer(Vec::new());
            table.write_record(["epoch", "update", "policy_no", "loss", "normalised", "entropy", "policy"])?;
            for (number, update) in updates.iter().enumerate() {
                let advantages = normalised(&update.losses);
                for (policy, of_policy) in update.policies.iter().enumerate() {
                    let numbers = [update.epoch + 1, number + 1, policy].map(|number| number.to_string());
                    let values = [update.losses[policy], advantages[policy], update.entropy];
                    let cells = numbers.into_iter().chain(values.map(|value| value.to_string()));
                    table.write_record(cells.chain([of_policy.to_string()]))?;
                }
            }
            table.into_inner().map_err(|error| error.into_error())
        };
        write_whole(&path, &table().map_err(|error| crate::Error::file(&path, error))?)
    }
}

/// Returns the mean loss under each policy, whose rows follow one another.
fn mean_losses(rows: &[RowLoss], images: usize, policies: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); policies];
    for row in rows {
        if let Some((sum, count)) = sums.get_mut(row.row / images) {
            (*sum, *count) = (*sum + f64::from(row.loss), *count + 1.0);
        }
    }
    sums.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use deepaug_child_model::{Device, DeviceChoice, Model, Net, Rule};

    use super::*;

    fn adversary() -> Adversary {
        let config = Config { adversarial_policies: 3, adversarial_updates: 2, ..Config::default() };
        Adversary::new(&config, true, true)
    }

    #[test]
    fn losses_are_those_of_each_policy() {
        let row = |(row, loss): (usize, f32)| RowLoss { row, loss, right: false };
        let rows: Vec<RowLoss> = [(0, 1.0), (5, 4.0), (2, 2.0), (1, 3.0), (3, 2.0), (4, 6.0)].map(row).to_vec();
        assert_eq!(mean_losses(&rows, 2, 3), [2.0, 2.0, 5.0]);
    }

    #[test]
    fn it_writes_policies_of_ops_and_levels_that_are_allowed() {
        let adversary = Adversary { largest_level: 4, ..adversary() };
        let settings = PolicyGradientSettings::default();
        let mut writer = Writer::new(adversary.space().unwrap(), settings, 1).unwrap();
        let policies = adversary.policies_of(&adversary.write(&mut writer));
        assert_eq!(policies.len(), 3);
        for policy in &policies {
            policy.validate().unwrap();
            assert_eq!((policy.sub_policies.len(), policy.portion), (5, 0.8));
            assert!(policy.steps().all(|step| step.magnitude <= 0.4));
        }
        let grey = Adversary::new(&Config::default(), false, true);
        assert_eq!([grey.ops.len(), adversary.ops.len()], [14, 15]);
    }

    #[test]
    fn it_trains_the_same_again_and_records_what_it_did() {
        let images = Array4::from_shape_fn((60, 12, 12, 3), |(n, r, c, k)| ((n % 3) * 70 + r * c + 5 * k) as u8);
        let labels: Vec<usize> = (0..60).map(|n| n % 3).collect();
        let set = TrainingSet {
            images: images.view(),
            labels: &labels,
            validation_images: images.view(),
            validation_labels: &labels,
            classes: 3,
        };
        let plain = Settings::plain(3, Optimiser::plain(Rule::Adam, 2e-3));
        let settings = Settings {
            batch_size: 10,
            images_per_epoch: Some(60),
            augment: Application::Online(Online::NOTHING),
            ..plain
        };
        let policy = Policy::none(RangeTable::AutoAugment);
        let training = Training { set, policy: &policy, settings: &settings, seed: 4, initial_weights: None };
        let child = Net::new(Model::TinyCnn, Device::open(DeviceChoice::Cpu).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let adversary = Adversary { record: Some(folder.path().join("net")), ..adversary() };
        let weights = folder.path().join("net.safetensors");
        let history = adversary.train(&child, &training, Some(&weights), &|_| true).unwrap();
        assert_eq!(history.epochs.len(), 3);
        assert!(weights.exists());
        let again = Adversary { record: None, ..adversary.clone() }.train(&child, &training, None, &|_| true).unwrap();
        assert_eq!(again.epochs, history.epochs);
        let random = Adversary { learning_rate: 0.0, record: None, ..adversary.clone() };
        assert_ne!(random.train(&child, &training, None, &|_| true).unwrap().epochs, history.epochs);

        let text = std::fs::read_to_string(folder.path().join("net.schedule.json")).unwrap();
        let schedule: Augmentation = serde_json::from_str(&text).unwrap();
        assert_eq!(schedule.policy.pieces().map(|(epochs, _)| epochs).sum::<usize>(), 6);
        assert!(schedule.policy.pieces().all(|(_, policy)| policy.sub_policies.len() == 15));
        let table = std::fs::read_to_string(folder.path().join("net.adversary.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + 3 * 2 * 3);
        let stopped = adversary.train(&child, &training, None, &|record| record.epoch < 2);
        assert!(matches!(stopped, Err(TrainError::Stopped)));
    }
}
