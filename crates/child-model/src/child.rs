//! What a child model is: anything that can be trained on images under a policy and says how well it did.

use std::fmt;
use std::path::Path;

use deepaug_augmenter::{Copies, Policy};
use ndarray::ArrayView4;
use rand::RngCore;

use crate::rng::{Stream, generator};
use crate::{EpochRecord, History, Session, Settings, TrainError, parallel};

/// The images a child learns from and is measured on. Images are u8 `[N, H, W, C]`, labels below `classes`.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSet<'a> {
    /// Images to learn from, before augmentation.
    pub images: ArrayView4<'a, u8>,
    /// Their labels.
    pub labels: &'a [usize],
    /// Images to measure on; never augmented.
    pub validation_images: ArrayView4<'a, u8>,
    /// Their labels.
    pub validation_labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
}

impl TrainingSet<'_> {
    /// The same images, for as long as this is borrowed.
    pub fn view(&self) -> TrainingSet<'_> {
        let (images, validation_images) = (self.images.view(), self.validation_images.view());
        TrainingSet { images, validation_images, ..*self }
    }
}

/// One training: a policy under a seed.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The images.
    pub set: TrainingSet<'a>,
    /// How the training images are augmented.
    pub policy: &'a Policy,
    /// How to train.
    pub settings: &'a Settings,
    /// Decides everything random of it.
    pub seed: u64,
    /// Weights to start from instead of fresh ones, as [`ChildModel::pretrain`] writes them.
    pub initial_weights: Option<&'a Path>,
}

impl Training<'_> {
    /// The images that the policy makes for an epoch, counted from 0: to be learnt from beside the originals, or in their place, as
    /// [`Application::keeps_originals`] of the settings says. Where they are made once, they are the same in every epoch.
    ///
    /// [`Application::keeps_originals`]: deepaug_augmenter::Application::keeps_originals
    pub fn augmented(&self, epoch: usize) -> Copies {
        let application = &self.settings.augment;
        let seed_of_epoch = || {
            let mut seeds = generator(self.seed, Stream::Augmentation);
            (0..epoch).for_each(|_| _ = seeds.next_u64());
            seeds.next_u64()
        };
        let seed = if application.is_once() { self.seed } else { seed_of_epoch() };
        application.copies(self.policy, self.set.images, seed)
    }
}

/// How many trainings a child model takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Calls of [`ChildModel::train_all`] side by side.
    pub passes: usize,
    /// Trainings that each of them does best with.
    pub children: usize,
}

/// Follows several trainings at once, from several threads. A training is named by its index.
pub trait Observer: Sync {
    /// A training is about to begin. Returning false leaves it out, with [`TrainError::Stopped`].
    fn begins(&self, _index: usize) -> bool {
        true
    }

    /// An epoch has ended. Returning false ends the training.
    fn epoch(&self, _index: usize, _record: &EpochRecord) -> bool {
        true
    }

    /// A training has ended.
    fn finished(&self, _index: usize, _result: &Result<History, TrainError>) {}
}

/// A model that a study trains once for each policy and sample.
///
/// [`Net`](crate::Net) trains the nets of this crate, [`Program`](crate::Program) runs a program of the user's. Anything
/// else that learns can stand in their place: see `examples/nearest-mean`.
pub trait ChildModel: fmt::Debug + Send + Sync {
    /// What it is called; a study is only resumed with a child of the same name.
    fn name(&self) -> String;

    /// Trains one child and returns one record an epoch. `on_epoch` is called after each epoch and ends the training by
    /// returning false, with [`TrainError::Stopped`].
    ///
    /// The same training must give the same history.
    ///
    /// # Errors
    /// [`TrainError`].
    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError>;

    /// Trains every child and returns the histories in the order given; no history may depend on the other trainings.
    /// By default, `threads` children train at once.
    fn train_all(
        &self,
        trainings: &[Training<'_>],
        threads: usize,
        observer: &dyn Observer,
    ) -> Vec<Result<History, TrainError>> {
        parallel::train_all(self, trainings, threads, observer)
    }

    /// How many trainings like this one it takes at once when it may use so many threads: passes side by side, and children
    /// in each. By default, a pass of one child on each thread.
    ///
    /// # Errors
    /// [`TrainError`].
    fn capacity(&self, _training: &Training<'_>, threads: usize) -> Result<Capacity, TrainError> {
        Ok(Capacity { passes: threads.max(1), children: 1 })
    }

    /// Trains a child as [`train`](Self::train) does, and saves its last weights at `path` for other trainings to start
    /// from. Weights that were saved there by the same training are left as they are, and no epoch is reported.
    ///
    /// # Errors
    /// [`TrainError`]; by default, that this model cannot.
    fn pretrain(
        &self,
        _training: &Training<'_>,
        _path: &Path,
        _on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<(), TrainError> {
        Err(TrainError::Program { why: "this child model keeps no weights; set child_first_train_epochs to 0".into() })
    }

    /// Starts to train children side by side, an epoch at a time, for callers that look into trainings; each with its first
    /// copies, as [`Training::augmented`] makes them. The trainings share their settings, and the shape and number of their images.
    ///
    /// # Errors
    /// [`TrainError`]; by default, that this model cannot.
    fn session<'a>(
        &self,
        _trainings: &[Training<'a>],
        _copies: Vec<Copies>,
    ) -> Result<Box<dyn Session + 'a>, TrainError> {
        Err(TrainError::Session { why: "this child model cannot be looked into while it is trained".into() })
    }

    /// Whether the model can learn from images of `[height, width, channels]`.
    ///
    /// # Errors
    /// [`TrainError`].
    fn check(&self, _image: [usize; 3], _classes: usize) -> Result<(), TrainError> {
        Ok(())
    }

    /// The name of the device it trains on.
    fn device(&self) -> String {
        "cpu".into()
    }

    /// The kind of that device, as the notebook has it: histories of the same kind are the same bit for bit.
    fn device_kind(&self) -> &'static str {
        "cpu"
    }

    /// Whether a few steps of it take little time, so that its speed can be measured before a study.
    fn is_quick(&self) -> bool {
        false
    }
}
