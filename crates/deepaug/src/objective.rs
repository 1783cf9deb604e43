//! From a policy to histories: the part of a study that trains.

use std::path::PathBuf;
use std::time::Duration;

use deepaug_augmenter::{Policy, RangeTable, SubPolicy};
use deepaug_child_model::{
    Capacity, ChildModel, EpochRecord, History, Observer, Settings, TrainError, Training, TrainingSet,
    images_per_second,
};
use deepaug_dataset::{Dataset, Split};
use ndarray::Array4;

use crate::reward::OverfitMeasure;
use crate::seeds::{Purpose, derive};
use crate::{Config, EpochSize};

/// How long a child's speed is measured before a study.
const PROBE: Duration = Duration::from_millis(300);

/// What a policy is judged by: children trained on images augmented by it, and measured on validation images.
#[derive(Debug)]
pub struct Objective {
    images: Array4<u8>,
    labels: Vec<usize>,
    validation_images: Array4<u8>,
    validation_labels: Vec<usize>,
    classes: usize,
    settings: Settings,
    child: Box<dyn ChildModel>,
    threads: usize,
    sub_policies: usize,
    seed: u64,
    initial_weights: Option<PathBuf>,
}

impl Objective {
    /// The objective of a configuration on the training and validation images of a split; the test part is not even
    /// copied.
    pub fn new(config: &Config, dataset: &Dataset, split: &Split, child: Box<dyn ChildModel>) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            images: dataset.gather(&split.train),
            labels: dataset.gather_labels(&split.train),
            validation_images: dataset.gather(&split.validation),
            validation_labels: dataset.gather_labels(&split.validation),
            classes: dataset.classes().len(),
            settings: Settings {
                images_per_epoch: match config.epoch_size {
                    EpochSize::Fixed => Some(config.epoch_of(split.train.len())),
                    EpochSize::Pool => None,
                },
                // As many as there are to be set against.
                measured: match config.overfit_measure {
                    OverfitMeasure::Evaluation => split.validation.len(),
                    OverfitMeasure::DeepAugment | OverfitMeasure::Off => 0,
                },
                ..config.settings()
            },
            child,
            threads: if config.threads == 0 { cores() } else { config.threads },
            sub_policies: config.sub_policies,
            seed: config.seed,
            initial_weights: None,
        }
    }

    /// The seed of a sample, the same in every trial.
    pub fn sample_seed(&self, sample: usize) -> u64 {
        derive(self.seed, Purpose::Sample, sample as u64)
    }

    /// The model that is trained.
    pub fn child(&self) -> &dyn ChildModel {
        self.child.as_ref()
    }

    /// How long so many trainings will take, from the speed of a few steps, and the training images a second; absent for a
    /// child whose speed is not quickly measured.
    ///
    /// # Errors
    /// [`TrainError`].
    pub(crate) fn estimate(&self, trainings: usize) -> Result<Option<(f64, Duration)>, TrainError> {
        if !self.child.is_quick() {
            return Ok(None);
        }
        let Capacity { passes, children } = self.capacity()?;
        let at_once = (passes * children).min(trainings);
        let policy = Policy::none(RangeTable::Monotone);
        let speed = images_per_second(self.child(), &self.training(&policy, 0), [at_once, passes], PROBE)?;
        let learnt = self.images_per_epoch() as f64;
        // An evaluation is the way there without the way back.
        let measured = (self.validation_labels.len() + self.settings.measured) as f64 / 3.0;
        let images = trainings as f64 * self.settings.epochs as f64 * (learnt + measured);
        Ok(Some((speed, Duration::try_from_secs_f64(images / speed).unwrap_or(Duration::MAX))))
    }

    /// Trains one child for each (policy, sample) on this thread, and returns their histories in that order.
    pub fn train(&self, samples: &[(&Policy, usize)], observer: &dyn Observer) -> Vec<Result<History, TrainError>> {
        self.train_on(samples, 1, observer)
    }

    /// The same, so many at once.
    pub(crate) fn train_on(
        &self,
        samples: &[(&Policy, usize)],
        at_once: usize,
        observer: &dyn Observer,
    ) -> Vec<Result<History, TrainError>> {
        let trainings: Vec<Training<'_>> =
            samples.iter().map(|&(policy, sample)| self.training(policy, sample)).collect();
        self.child.train_all(&trainings, at_once, observer)
    }

    /// Training images whose accuracy is measured after each epoch.
    pub(crate) fn measured(&self) -> usize {
        self.settings.measured.min(self.labels.len())
    }

    /// The model, for another objective.
    pub(crate) fn into_child(self) -> Box<dyn ChildModel> {
        self.child
    }

    /// How many trainings the child model takes at once.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn capacity(&self) -> Result<Capacity, TrainError> {
        // As many copies as a policy can make.
        let sub_policies = vec![SubPolicy::default(); self.sub_policies];
        let policy = Policy::new(RangeTable::Monotone, 1.0, sub_policies);
        self.child.capacity(&self.training(&policy, 0), self.threads)
    }

    /// Images that a training learns from an epoch; where that depends on its policy, without one.
    pub fn images_per_epoch(&self) -> usize {
        self.settings.images_per_epoch.unwrap_or(self.labels.len())
    }

    /// Trains a child without a policy for `epochs` and lets every later training start from its weights, which
    /// are kept at `path`. Weights of the very same training that already lie there are used as they are.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn pretrain(
        &mut self,
        policy: &Policy,
        epochs: usize,
        path: PathBuf,
        on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<(), TrainError> {
        let settings = Settings { epochs, ..self.settings };
        let seed = derive(self.seed, Purpose::Pretraining, 0);
        let training = Training { set: self.set(), policy, settings: &settings, seed, initial_weights: None };
        self.child.pretrain(&training, &path, on_epoch)?;
        self.initial_weights = Some(path);
        Ok(())
    }

    fn training<'a>(&'a self, policy: &'a Policy, sample: usize) -> Training<'a> {
        Training {
            set: self.set(),
            policy,
            settings: &self.settings,
            seed: self.sample_seed(sample),
            initial_weights: self.initial_weights.as_deref(),
        }
    }

    fn set(&self) -> TrainingSet<'_> {
        TrainingSet {
            images: self.images.view(),
            labels: &self.labels,
            validation_images: self.validation_images.view(),
            validation_labels: &self.validation_labels,
            classes: self.classes,
        }
    }
}
