//! From a policy to histories: the part of a study that trains.

use std::path::PathBuf;

use deepaug_augmenter::Policy;
use deepaug_child_model::{
    Device, EpochRecord, History, Observer, Settings, TrainError, Training, TrainingSet, pretrain, train_all,
};
use deepaug_dataset::{Dataset, Split};
use ndarray::Array4;

use crate::seeds::{Purpose, derive};
use crate::{Config, EpochSize};

/// What a policy is judged by: children trained on images augmented by it, and measured on validation images.
#[derive(Debug)]
pub struct Objective {
    images: Array4<u8>,
    labels: Vec<usize>,
    validation_images: Array4<u8>,
    validation_labels: Vec<usize>,
    classes: usize,
    settings: Settings,
    device: Device,
    threads: usize,
    seed: u64,
    initial_weights: Option<PathBuf>,
}

impl Objective {
    /// The objective of a configuration on the training and validation images of a split; the test part is not even
    /// copied.
    pub fn new(config: &Config, dataset: &Dataset, split: &Split, device: Device) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            images: dataset.gather(&split.train),
            labels: dataset.gather_labels(&split.train),
            validation_images: dataset.gather(&split.validation),
            validation_labels: dataset.gather_labels(&split.validation),
            classes: dataset.classes().len(),
            settings: Settings {
                model: config.model,
                epochs: config.child_epochs,
                batch_size: config.child_batch_size,
                images_per_epoch: match config.epoch_size {
                    EpochSize::Fixed => Some(split.train.len() * (1 + config.sub_policies)),
                    EpochSize::Pool => None,
                },
            },
            device,
            threads: if config.threads == 0 { cores() } else { config.threads },
            seed: config.seed,
            initial_weights: None,
        }
    }

    /// The seed of a sample, the same in every trial.
    pub fn sample_seed(&self, sample: usize) -> u64 {
        derive(self.seed, Purpose::Sample, sample as u64)
    }

    /// The device that trainings run on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many trainings run at once.
    pub fn lanes(&self) -> usize {
        if self.device.is_cpu() { self.threads } else { 1 }
    }

    /// Trains one child for each (policy, sample), and returns their histories in that order.
    pub fn train(&self, samples: &[(&Policy, usize)], observer: &dyn Observer) -> Vec<Result<History, TrainError>> {
        let trainings: Vec<Training<'_>> = samples
            .iter()
            .map(|&(policy, sample)| Training {
                set: self.set(),
                policy,
                seed: self.sample_seed(sample),
                initial_weights: self.initial_weights.as_deref(),
            })
            .collect();
        train_all(&trainings, &self.settings, &self.device, self.threads, observer)
    }

    /// Trains a child without augmentation for `epochs` and lets every later training start from its weights, which
    /// are kept at `path`. Weights that already lie there are used as they are.
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
        if !path.exists() {
            let seed = derive(self.seed, Purpose::Pretraining, 0);
            let training = Training { set: self.set(), policy, seed, initial_weights: None };
            pretrain(&training, &Settings { epochs, ..self.settings }, &self.device, &path, on_epoch)?;
        }
        self.initial_weights = Some(path);
        Ok(())
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
