//! What a child model is: anything that can be trained on images under a policy and reports how well it did.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use deepaug_augmenter::{Application, Copies, Online, Policy};
use ndarray::{Array2, Array4, ArrayView4, Axis, concatenate};
use rand::{Rng, RngCore};

use crate::rng::{Stream, generator};
use crate::strategy::{levels, strengths};
use crate::{EpochRecord, History, Session, Settings, Strategy, TrainError, parallel};

/// The images a child learns from and is measured on. Images are u8 `[N, H, W, C]`; labels are below `classes`.
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
    /// The subgroups of images, if they are known.
    pub subgroups: Option<Subgroups<'a>>,
    /// What the images to learn from would look like in each subgroup; empty if that is not known.
    pub translations: &'a [Array4<u8>],
}

/// Which subgroup, below `count`, each image is of, such as the hospital that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subgroups<'a> {
    /// Of each image to learn from.
    pub images: &'a [usize],
    /// Of each image to measure on.
    pub validation: &'a [usize],
    /// Number of subgroups.
    pub count: usize,
}

impl TrainingSet<'_> {
    /// Returns the same images, borrowed from this set.
    pub fn view(&self) -> TrainingSet<'_> {
        let (images, validation_images) = (self.images.view(), self.validation_images.view());
        TrainingSet { images, validation_images, ..*self }
    }
}

/// One training run: a policy under a seed.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The images.
    pub set: TrainingSet<'a>,
    /// How the training images are augmented.
    pub policy: &'a Policy,
    /// How to train.
    pub settings: &'a Settings,
    /// Determines everything random about the run.
    pub seed: u64,
    /// Weights to start from instead of fresh ones, as written by [`ChildModel::pretrain`].
    pub initial_weights: Option<&'a Path>,
    /// For each image, how likely it is to be among those that a sub-policy copies if it copies only some: numbers above 0, in
    /// proportion to which images are drawn without replacement. Absent if all are equally likely.
    pub shares: Option<&'a [f64]>,
}

impl<'a> Training<'a> {
    /// Makes a training run from fresh weights, in which all images are equally likely to be copied.
    pub fn new(set: TrainingSet<'a>, policy: &'a Policy, settings: &'a Settings, seed: u64) -> Self {
        Self { set, policy, settings, seed, initial_weights: None, shares: None }
    }
}

impl Training<'_> {
    /// Makes the policy's images for an epoch, counted from 0. They are learnt from beside the originals or
    /// instead of them, as [`Application::keeps_originals`] of the settings says. If copies are made only once,
    /// they are the same in every epoch that has the same policy: one may [change](Policy::at) during training.
    ///
    /// If candidates are to be [chosen from](Strategy::Uncertain), all images follow again for each of them, as they do for
    /// versions that are to be [held together](Strategy::Consistent), or for [translations](Strategy::Patched). If images are
    /// augmented [by how sure the net is](Strategy::Entropy), it is taken to have seen none.
    pub fn augmented(&self, epoch: usize) -> Copies {
        match (self.settings.strategy, self.settings.augment) {
            (Strategy::Entropy, Application::Online(_)) => self.augmented_by(&vec![None; self.set.labels.len()], epoch),
            (Strategy::Uncertain(_) | Strategy::Consistent(_), Application::Online(_)) => self.candidates(epoch),
            (Strategy::Translated, Application::Online(_)) => self.translated(epoch),
            (Strategy::Patched(patching), Application::Online(_)) if patching.versions() > 1 => self.patched(epoch),
            _ => {
                let (policy, seed) = self.at(epoch);
                self.settings.augment.copies(policy, self.set.images, self.shares, seed)
            }
        }
    }

    /// Makes every candidate of an epoch's images; the first is what would be made without a choice, or, where versions are
    /// to be held together, without the policy.
    fn candidates(&self, epoch: usize) -> Copies {
        let (policy, seed) = self.at(epoch);
        let mut others = generator(seed, Stream::Candidates);
        // Where nothing is done to images, candidates would be the same.
        let count =
            if self.changes_images() { self.settings.strategy.candidates(epoch, self.settings.epochs) } else { 1 };
        let seeds = std::iter::once(seed).chain(std::iter::repeat_with(|| others.next_u64()));
        let none = Policy { in_place: true, ..Policy::none(policy.ranges) };
        let is_held = matches!(self.settings.strategy, Strategy::Consistent(_));
        let made = seeds.take(count).enumerate().map(|(number, seed)| {
            let policy = if is_held && number == 0 { &none } else { policy };
            self.settings.augment.copies(policy, self.set.images, None, seed)
        });
        joined(made.collect())
    }

    /// Makes an epoch's images out of one translation of each.
    fn translated(&self, epoch: usize) -> Copies {
        let (policy, seed) = self.at(epoch);
        let mut choose = generator(seed, Stream::Candidates);
        let mut images = self.set.images.to_owned();
        for (number, mut image) in images.outer_iter_mut().enumerate() {
            let into = choose.random_range(0..self.set.translations.len().max(1));
            if let Some(translated) = self.set.translations.get(into) {
                image.assign(&translated.index_axis(Axis(0), number));
            }
        }
        self.settings.augment.copies(policy, images.view(), None, seed)
    }

    /// Makes an epoch's images and all their translations, each augmented as the image is.
    fn patched(&self, epoch: usize) -> Copies {
        let (policy, seed) = self.at(epoch);
        let versions = std::iter::once(self.set.images).chain(self.set.translations.iter().map(Array4::view));
        joined(versions.map(|images| self.settings.augment.copies(policy, images, None, seed)).collect())
    }

    /// Whether anything is ever done to images in place.
    pub(crate) fn changes_images(&self) -> bool {
        let has_ops = self.policy.pieces().any(|(_, policy)| policy.steps().next().is_some());
        has_ops || self.settings.augment.online() != Some(Online::NOTHING)
    }

    /// Makes an epoch's images, each as strong as the net was sure of it, if it has seen it.
    pub(crate) fn augmented_by(&self, sureness: &[Option<f64>], epoch: usize) -> Copies {
        let (policy, seed) = self.at(epoch);
        let Application::Online(online) = self.settings.augment else { return self.augmented(epoch) };
        let levels = levels(sureness, epoch, self.settings.epochs, &mut generator(seed, Stream::Strengths));
        let (images, ops) = online.images_at(policy, self.set.images, &strengths(&levels), seed);
        Copies { sources: (0..sureness.len()).collect(), images, ops }
    }

    /// Returns the policy of an epoch, and the seed of its images.
    fn at(&self, epoch: usize) -> (&Policy, u64) {
        let seed_of_epoch = || {
            let mut seeds = generator(self.seed, Stream::Augmentation);
            (0..epoch).for_each(|_| _ = seeds.next_u64());
            seeds.next_u64()
        };
        let seed = if self.settings.augment.is_once() { self.seed } else { seed_of_epoch() };
        (self.policy.at(epoch, self.settings.epochs), seed)
    }

    /// Whether the images of an epoch are others than those of the epoch before.
    pub(crate) fn changes_at(&self, epoch: usize) -> bool {
        let policy = |epoch| self.policy.at(epoch, self.settings.epochs);
        !self.settings.augment.is_once() || !std::ptr::eq(policy(epoch), policy(epoch - 1))
    }
}

/// Joins copies, one set after another.
fn joined(mut all: Vec<Copies>) -> Copies {
    if all.len() == 1 {
        return all.remove(0);
    }
    let images: Vec<_> = all.iter().map(|copies| copies.images.view()).collect();
    let images = concatenate(Axis(0), &images).expect("copies of one size");
    let sources = all.iter().flat_map(|copies| copies.sources.iter().copied()).collect();
    Copies { sources, images, ops: all.into_iter().flat_map(|copies| copies.ops).collect() }
}

/// Where the state of a training run is before and after some of its epochs, as [`State::save`](crate::State::save)
/// writes it.
#[derive(Debug, Clone, Copy)]
pub struct StateFiles<'a> {
    /// The state to start from; absent to start from fresh weights.
    pub start: Option<&'a Path>,
    /// Where to save the state that is reached.
    pub keep: &'a Path,
}

/// How many training runs a child model takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Number of concurrent calls of [`ChildModel::train_all`].
    pub passes: usize,
    /// Number of training runs that suits each call best.
    pub children: usize,
}

/// Follows several training runs at once, from several threads. Each run is identified by its index.
pub trait Observer: Sync {
    /// Called before a training run begins. Returning false skips it, with [`TrainError::Stopped`].
    fn begins(&self, _index: usize) -> bool {
        true
    }

    /// Called after an epoch. Returning false ends the training run.
    fn epoch(&self, _index: usize, _record: &EpochRecord) -> bool {
        true
    }

    /// Called after a training run.
    fn finished(&self, _index: usize, _result: &Result<History, TrainError>) {}
}

/// A model that a study trains once for each policy and sample.
///
/// [`Net`](crate::Net) trains the nets of this crate, [`Program`](crate::Program) runs the user's own program.
/// Anything else that learns can take their place: see `examples/nearest-mean`.
pub trait ChildModel: fmt::Debug + Send + Sync {
    /// Returns the model's name; a study resumes only with a child of the same name.
    fn name(&self) -> String;

    /// Trains one child and returns one record per epoch. Calls `on_epoch` after each epoch; if it returns false,
    /// the training ends with [`TrainError::Stopped`].
    ///
    /// The same training must give the same history.
    ///
    /// # Errors
    /// [`TrainError`].
    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError>;

    /// Trains every child and returns the histories in the given order. No history may depend on the other
    /// training runs. By default, `threads` children train at once.
    fn train_all(
        &self,
        trainings: &[Training<'_>],
        threads: usize,
        observer: &dyn Observer,
    ) -> Vec<Result<History, TrainError>> {
        parallel::train_all(self, trainings, threads, observer)
    }

    /// Returns how many training runs like this one the model takes at once on the given number of threads:
    /// concurrent passes, and children per pass. By default, one pass of one child per thread.
    ///
    /// # Errors
    /// [`TrainError`].
    fn capacity(&self, _training: &Training<'_>, threads: usize) -> Result<Capacity, TrainError> {
        Ok(Capacity { passes: threads.max(1), children: 1 })
    }

    /// Trains a child as [`train`](Self::train) does, and saves its final weights at `path` as a starting point
    /// for other training runs. Weights that the same training run saved there before are kept, no epoch is
    /// reported, and there is no history.
    ///
    /// # Errors
    /// [`TrainError`]; by default, that this model does not support it.
    fn pretrain(
        &self,
        _training: &Training<'_>,
        _path: &Path,
        _on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<Option<History>, TrainError> {
        Err(TrainError::Program { why: "this child model keeps no weights; set child_first_train_epochs to 0".into() })
    }

    /// Trains children for some of their epochs, each from one saved state to another, and returns the histories of
    /// those epochs. Training runs that share their settings train side by side where that is faster. What they
    /// become does not depend on it, nor on how their epochs are divided.
    ///
    /// # Errors
    /// For each, [`TrainError`]; by default, that this model does not support it.
    fn train_part(
        &self,
        trainings: &[Training<'_>],
        _epochs: Range<usize>,
        _states: &[StateFiles<'_>],
        _observer: &dyn Observer,
    ) -> Vec<Result<History, TrainError>> {
        let why = "this child model cannot be stopped and continued between epochs";
        trainings.iter().map(|_| Err(TrainError::Session { why: why.into() })).collect()
    }

    /// Computes the logits `[images, classes]` of images (NHWC) under weights that [`pretrain`](Self::pretrain) saved for
    /// a training, which says how they are seen.
    ///
    /// # Errors
    /// [`TrainError`]; by default, that this model does not support it.
    fn predict(
        &self,
        _weights: &Path,
        _training: &Training<'_>,
        _images: ArrayView4<'_, u8>,
    ) -> Result<Array2<f32>, TrainError> {
        Err(TrainError::Program { why: "this child model keeps no weights, so it cannot judge other images".into() })
    }

    /// Computes what the last layer receives for each image, `[images, features]`, as [`predict`](Self::predict) does: the
    /// net's view of images, of which the logits are a linear function.
    ///
    /// # Errors
    /// [`TrainError`]; by default, that this model does not support it.
    fn features(
        &self,
        _weights: &Path,
        _training: &Training<'_>,
        _images: ArrayView4<'_, u8>,
    ) -> Result<Array2<f32>, TrainError> {
        Err(TrainError::Program { why: "this child model does not say what its last layer receives".into() })
    }

    /// Starts training children side by side, one epoch at a time, for callers that inspect training runs. Each
    /// child starts with its first copies, as made by [`Training::augmented`]. The training runs share their
    /// settings, and the shape and number of their images.
    ///
    /// # Errors
    /// [`TrainError`]; by default, that this model does not support it.
    fn session<'a>(
        &self,
        _trainings: &[Training<'a>],
        _copies: Vec<Copies>,
    ) -> Result<Box<dyn Session + 'a>, TrainError> {
        Err(TrainError::Session { why: "this child model cannot be inspected while it trains".into() })
    }

    /// Whether the model can learn from images of `[height, width, channels]`.
    ///
    /// # Errors
    /// [`TrainError`].
    fn check(&self, _image: [usize; 3], _classes: usize) -> Result<(), TrainError> {
        Ok(())
    }

    /// Returns the name of the device it trains on.
    fn device(&self) -> String {
        "cpu".into()
    }

    /// Returns the kind of that device, as recorded in the notebook. Histories of the same kind are identical bit
    /// for bit.
    fn device_kind(&self) -> &'static str {
        "cpu"
    }

    /// Whether a few steps take little enough time that its speed can be measured before a study.
    fn is_quick(&self) -> bool {
        false
    }
}
