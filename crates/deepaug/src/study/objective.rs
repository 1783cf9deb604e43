//! From a policy to histories: the part of a study that trains.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use deepaug_augmenter::{Policy, RangeTable, SubPolicy};
use deepaug_child_model::{
    Capacity, ChildModel, EpochRecord, History, Observer, Settings, TrainError, Training, TrainingSet,
    images_per_second,
};
use deepaug_dataset::{Dataset, Split};
use ndarray::{Array4, Axis};

use crate::config::OverfitMeasure;
use crate::config::{Config, EpochSize, Holdout};
use crate::error::Error;
use crate::rng::{Purpose, derive};

/// How long a child's speed is measured before a study.
const PROBE: Duration = Duration::from_millis(300);

/// Training images at most whose accuracy is set against that on validation images: its deviation is 0.03 at most, a tenth of
/// what it may be above. With 1,000 they took a sixth of a search's time.
const MEASURED: usize = 256;

/// What a policy is judged by: children trained on images augmented by it, and measured on validation images.
#[derive(Debug)]
pub struct Objective {
    images: Images,
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
    ///
    /// # Errors
    /// [`Error`], when other parts cannot be drawn for other samples.
    pub fn new(config: &Config, dataset: &Dataset, split: &Split, child: Box<dyn ChildModel>) -> Result<Self, Error> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            images: Images::new(config, dataset, split)?,
            classes: dataset.classes().len(),
            settings: Settings {
                images_per_epoch: match config.epoch_size {
                    EpochSize::Fixed => Some(config.epoch_of(split.train.len())),
                    EpochSize::Pool => None,
                },
                measured: match config.overfit_measure {
                    OverfitMeasure::Evaluation => split.validation.len().min(MEASURED),
                    OverfitMeasure::DeepAugment | OverfitMeasure::Off => 0,
                },
                ..config.settings()
            },
            child,
            threads: if config.threads == 0 { cores() } else { config.threads },
            sub_policies: config.sub_policies,
            seed: config.seed,
            initial_weights: None,
        })
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
        let fold = self.images.of(0);
        let speed = images_per_second(self.child(), &self.training(&policy, 0, &fold), [at_once, passes], PROBE)?;
        let learnt = self.images_per_epoch() as f64;
        // An evaluation is the way there without the way back.
        let measured = (fold.validation_labels.len() + self.settings.measured) as f64 / 3.0;
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
        let folds: BTreeMap<usize, Cow<'_, Fold>> =
            samples.iter().map(|&(_, sample)| (sample, self.images.of(sample))).collect();
        let trainings: Vec<Training<'_>> =
            samples.iter().map(|&(policy, sample)| self.training(policy, sample, &folds[&sample])).collect();
        self.child.train_all(&trainings, at_once, observer)
    }

    /// Training images whose accuracy is measured after each epoch.
    pub(crate) fn measured(&self) -> usize {
        self.settings.measured.min(self.images.of_training())
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
        self.child.capacity(&self.training(&policy, 0, &self.images.of(0)), self.threads)
    }

    /// Images that a training learns from an epoch; where that depends on its policy, without one.
    pub fn images_per_epoch(&self) -> usize {
        self.settings.images_per_epoch.unwrap_or(self.images.of_training())
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
        let fold = self.images.of(0);
        let set = fold.set(self.classes);
        let training = Training { set, policy, settings: &settings, seed, initial_weights: None };
        self.child.pretrain(&training, &path, on_epoch)?;
        self.initial_weights = Some(path);
        Ok(())
    }

    fn training<'a>(&'a self, policy: &'a Policy, sample: usize, fold: &'a Fold) -> Training<'a> {
        Training {
            set: fold.set(self.classes),
            policy,
            settings: &self.settings,
            seed: self.sample_seed(sample),
            initial_weights: self.initial_weights.as_deref(),
        }
    }
}

/// The images that samples learn from and are judged by.
#[derive(Debug)]
enum Images {
    Fixed(Fold),
    /// All images that some sample uses, and which of them each sample learns from and is judged by.
    Repeated {
        images: Array4<u8>,
        labels: Vec<usize>,
        of_samples: Vec<[Vec<usize>; 2]>,
    },
}

impl Images {
    fn new(config: &Config, dataset: &Dataset, split: &Split) -> Result<Self, Error> {
        if config.holdout == Holdout::Fixed {
            return Ok(Self::Fixed(Fold::new(dataset, &split.train, &split.validation)));
        }
        let samples = (config.opt_samples + config.most_confirm_samples()).max(1);
        let mut of_samples = Vec::with_capacity(samples);
        for sample in 0..samples as u64 {
            let seed = derive(config.seed, Purpose::Holdout, sample);
            let Split { train, validation, .. } = split.redraw(dataset, config.split_sizes(), seed)?;
            of_samples.push([train, validation]);
        }
        let mut used: Vec<usize> = of_samples.iter().flatten().flatten().copied().collect();
        used.sort_unstable();
        used.dedup();
        for image in of_samples.iter_mut().flatten().flatten() {
            *image = used.partition_point(|other| other < image);
        }
        Ok(Self::Repeated { images: dataset.gather(&used), labels: dataset.gather_labels(&used), of_samples })
    }

    /// Those of one sample. Samples beyond those that the configuration has begin again with the first.
    fn of(&self, sample: usize) -> Cow<'_, Fold> {
        match self {
            Self::Fixed(fold) => Cow::Borrowed(fold),
            Self::Repeated { images, labels, of_samples } => {
                let [train, validation] = &of_samples[sample % of_samples.len()];
                let labels_of = |part: &[usize]| part.iter().map(|&image| labels[image]).collect();
                Cow::Owned(Fold {
                    images: images.select(Axis(0), train),
                    labels: labels_of(train),
                    validation_images: images.select(Axis(0), validation),
                    validation_labels: labels_of(validation),
                })
            }
        }
    }

    /// How many images the first sample learns from.
    fn of_training(&self) -> usize {
        match self {
            Self::Fixed(fold) => fold.labels.len(),
            Self::Repeated { of_samples, .. } => of_samples[0][0].len(),
        }
    }
}

/// What one sample learns from, and what it is judged by.
#[derive(Debug, Clone)]
pub struct Fold {
    images: Array4<u8>,
    labels: Vec<usize>,
    validation_images: Array4<u8>,
    validation_labels: Vec<usize>,
}

impl Fold {
    /// Images of a set, by their places in it.
    pub fn new(dataset: &Dataset, train: &[usize], validation: &[usize]) -> Self {
        Self {
            images: dataset.gather(train),
            labels: dataset.gather_labels(train),
            validation_images: dataset.gather(validation),
            validation_labels: dataset.gather_labels(validation),
        }
    }

    /// The same for a child model; so many classes.
    pub fn set(&self, classes: usize) -> TrainingSet<'_> {
        TrainingSet {
            images: self.images.view(),
            labels: &self.labels,
            validation_images: self.validation_images.view(),
            validation_labels: &self.validation_labels,
            classes,
        }
    }
}
