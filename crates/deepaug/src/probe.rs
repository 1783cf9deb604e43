//! A child that is trained without augmentation, to see what it makes of images.

use std::path::{Path, PathBuf};

use deepaug_augmenter::{Application, Online, Policy};
use deepaug_child_model::{ChildModel, Device, EpochRecord, Net, Settings, TrainError, Training};
use deepaug_dataset::{Dataset, Split, SplitSizes};
use ndarray::{Array2, ArrayView4};

use crate::config::{Config, Sizes, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::layout;
use crate::rng::{Purpose, derive};
use crate::study::objective::Fold;

/// Images to train on and to look at where a configuration leaves that open.
const SIZES: [usize; 2] = [2000, 1000];
/// Of larger sets, an epoch has so many images: enough to learn from, on a CPU, within minutes.
const MOST_PER_EPOCH: usize = 5000;

/// What is being done while it trains.
pub(crate) const TRAINING: &str = "training without augmentation";

/// The child, and the images that it has learnt from, and not.
#[derive(Debug)]
pub(crate) struct Probe {
    child: Net,
    settings: Settings,
    policy: Policy,
    seed: u64,
    fold: Fold,
    classes: usize,
    weights: PathBuf,
    /// Where they are if nobody asked for them.
    _folder: Option<tempfile::TempDir>,
}

impl Probe {
    /// Trains it on the images that a search with this configuration would train on, to look at those that it would judge
    /// by. Its weights are kept in a file if `weights` names one, and not trained again if they are there already.
    ///
    /// # Errors
    /// [`Error`]: too few images, a device that cannot be used, a training that failed or was stopped by `on_epoch`.
    pub(crate) fn train(
        config: &ValidConfig,
        dataset: &Dataset,
        weights: Option<PathBuf>,
        on_epoch: &dyn Fn(&EpochRecord, usize) -> bool,
    ) -> Result<Self, Error> {
        let Split { train, validation, .. } = split(config, dataset)?;
        Self::of(config, dataset, [&train, &validation], 0, weights, on_epoch)
    }

    /// Trains it as the configuration says on some images, to look at others. Children of other numbers are made of other
    /// random choices.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub(crate) fn of(
        config: &ValidConfig,
        dataset: &Dataset,
        [train, others]: [&[usize]; 2],
        number: u64,
        weights: Option<PathBuf>,
        on_epoch: &dyn Fn(&EpochRecord, usize) -> bool,
    ) -> Result<Self, Error> {
        if !config.child.command.is_empty() {
            return Err(ConfigError::new("child.command: a program does not say what it makes of each image").into());
        }
        let (weights, folder) = match weights {
            Some(weights) => (weights, None),
            None => {
                let folder = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
                (folder.path().join(layout::PROBE), Some(folder))
            }
        };
        let settings = config.settings();
        let probe = Self {
            child: Net::new(config.model.clone(), Device::open(config.device)?),
            settings: Settings {
                augment: Application::Online(Online::NOTHING),
                images_per_epoch: Some(train.len().clamp(1, MOST_PER_EPOCH)),
                ..settings
            },
            policy: Policy::none(config.ranges),
            seed: derive(config.seed, Purpose::Sample, number),
            fold: Fold::new(dataset, train, others),
            classes: dataset.classes().len(),
            weights,
            _folder: folder,
        };
        let epochs = probe.settings.epochs;
        probe.child.check(dataset.image_shape(), probe.classes)?;
        match probe.child.pretrain(&probe.training(), &probe.weights, &|record| on_epoch(record, epochs)) {
            Ok(_) => Ok(probe),
            Err(TrainError::Stopped) => Err(Error::Stopped),
            Err(error) => Err(error.into()),
        }
    }

    fn training(&self) -> Training<'_> {
        let (policy, settings) = (&self.policy, &self.settings);
        Training::new(self.fold.set(self.classes), policy, settings, self.seed)
    }

    /// Returns the logits `[images, classes]` of images.
    ///
    /// # Errors
    /// [`Error::Child`].
    pub(crate) fn logits(&self, images: ArrayView4<'_, u8>) -> Result<Array2<f32>, Error> {
        Ok(self.child.predict(&self.weights, &self.training(), images)?)
    }

    /// Returns what the last layer receives for images, `[images, dimensions]`.
    ///
    /// # Errors
    /// [`Error::Child`].
    pub(crate) fn features(&self, images: ArrayView4<'_, u8>) -> Result<Array2<f64>, Error> {
        Ok(self.child.features(&self.weights, &self.training(), images)?.mapv(f64::from))
    }

    /// Returns the images that it has learnt from, and those that it has not.
    pub(crate) fn fold(&self) -> &Fold {
        &self.fold
    }
}

/// Returns the images that a search with this configuration would train on, those that it would judge by, and others.
///
/// # Errors
/// [`Error::Data`]: too few images.
pub(crate) fn split(config: &ValidConfig, dataset: &Dataset) -> Result<Split, Error> {
    let sizes = match config.sizes {
        Sizes::Given => config.split_sizes(),
        // Of a small set, half is learnt from and a quarter looked at; the rest are test images.
        Sizes::Auto => SplitSizes::counts(SIZES[0].min(dataset.len() / 2), SIZES[1].min(dataset.len() / 4)),
    };
    Ok(Split::draw(dataset, sizes, derive(config.seed, Purpose::Split, 0))?)
}

/// Returns the configuration for looking at images: a study's, or what a search of any set starts from.
pub(crate) fn config(study: Option<&Config>, data: Option<&Path>) -> Config {
    let config = study.cloned().unwrap_or_else(Config::quickstart);
    match data {
        // A study's reading options apply only to its own images.
        Some(path) => Config { data: path.to_string_lossy().into_owned(), ..Config::quickstart() },
        None => config,
    }
}
