//! Trainings after a search: on images of the training set, or all outside the test set, measured on the test set.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deepaug_augmenter::{Application, Online, Policy};
use deepaug_child_model::{
    ChildModel, DeviceChoice, Model, Settings, Strategy, TrainError, Training, images_per_second, standard_values,
};
use deepaug_dataset::{Dataset, Split};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Machines};
use crate::config::auto::Auto;
use crate::config::{Config, LossKind, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::execute::{Folds, ImagesPart, ImagesRef, Job, JobId, Local, Task};
use crate::images::data::{fingerprint, read};
use crate::read::report::Pictured;
use crate::remedy::Remedy;
use crate::rng::{Purpose, derive};
use crate::study::folder::{read_frozen, read_images};
use crate::study::objective::{Fold, missing_group, refuse_missing};

/// How long a model's speed is measured before trainings start.
const PROBE: Duration = Duration::from_millis(300);

/// The training images of a final training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum TrainSize {
    /// Those that the search trained on.
    #[default]
    Search,
    /// This many outside the test set, those of the search first.
    Images(usize),
    /// All outside the test set.
    All,
}

impl FromStr for TrainSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            ("search", _) => Ok(Self::Search),
            (_, Ok(images)) if images > 0 => Ok(Self::Images(images)),
            _ => Err("must be a number of images, \"all\" or \"search\"".into()),
        }
    }
}

impl TryFrom<String> for TrainSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TrainSize> for String {
    fn from(size: TrainSize) -> Self {
        size.to_string()
    }
}

impl fmt::Display for TrainSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Search => f.write_str("search"),
            Self::Images(images) => write!(f, "{images}"),
            Self::All => f.write_str("all"),
        }
    }
}

/// Options of a final training. Anything left out is as in the search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FinalOptions {
    /// A configuration whose child model keys say how to train.
    pub config: Option<Config>,
    /// The model, with its own default optimiser unless a configuration says otherwise.
    pub model: Option<Model>,
    /// Epochs per training.
    pub epochs: Option<usize>,
    /// Images to train on.
    pub train_size: TrainSize,
    /// Maximum number of test images to measure on; all unless given.
    pub test_size: Option<usize>,
    /// The device to train on.
    pub device: Option<DeviceChoice>,
    /// Probability that one of a policy's sub-policies augments an image.
    pub chance: Option<f64>,
    /// Whether the shift, the mirror image and the square follow every policy, searched or published.
    pub finish: Option<bool>,
    /// Largest shift of an image, in pixels of 32.
    pub pad: Option<f64>,
    /// Whether half of the images are mirrored.
    pub flip: Option<bool>,
    /// Side of the covered square, in pixels of 32.
    pub cutout: Option<f64>,
    /// Whether other machines train, whose device is not opened here.
    pub elsewhere: bool,
}

/// Images, a model and settings, ready to train.
#[derive(Debug)]
pub(crate) struct FinalTraining {
    /// The study's configuration, with the model and the training settings used here.
    pub(crate) config: ValidConfig,
    /// The same, for jobs.
    shared: Arc<Config>,
    pub(crate) child: Arc<dyn ChildModel>,
    pub(crate) classes: Vec<String>,
    /// The names of subgroups; empty if they are not known.
    pub(crate) subgroups: Vec<String>,
    /// A group without images to learn from, if there is one.
    missing_group: Option<String>,
    /// A checksum of the whole data set.
    pub(crate) data: String,
    images: Arc<FinalImages>,
    part: ImagesPart,
    /// Indices of the test images in the data set.
    test: Vec<usize>,
    settings: Settings,
}

/// Images to learn from, and test images.
#[derive(Debug)]
struct FinalImages {
    fold: Fold,
    classes: usize,
}

impl Folds for FinalImages {
    fn fold(&self, _sample: usize) -> Cow<'_, Fold> {
        Cow::Borrowed(&self.fold)
    }

    fn classes(&self) -> usize {
        self.classes
    }
}

impl FinalTraining {
    /// Reads a study's images and opens the device.
    ///
    /// # Errors
    /// [`Error`]: no study, images or a device that cannot be used, or images too small for the model.
    pub(crate) fn new(study: &Path, options: &FinalOptions) -> Result<Self, Error> {
        let searched = read_frozen(study)?;
        let dataset = read_images(study, &searched)?;
        Self::with(searched, &dataset, options)
    }

    /// Does the same with images that have been read.
    pub(crate) fn with(searched: ValidConfig, dataset: &Dataset, options: &FinalOptions) -> Result<Self, Error> {
        let split = Split::draw(dataset, searched.split_sizes(), derive(searched.seed, Purpose::Split, 0))?;
        let config = how_to_train(searched.into_inner(), options)?;
        let child = config.child_of(options.elsewhere)?;
        child.check(dataset.image_shape(), dataset.classes().len())?;
        let train = chosen(&split, options.train_size, config.seed);
        let missing_group = missing_group(dataset, &train);
        if config.loss == LossKind::GroupDro {
            refuse_missing(dataset, missing_group.as_ref())?;
        }
        let mut test = split.test;
        if let Some(size) = options.test_size.filter(|&size| size < test.len()) {
            test.shuffle(&mut ChaCha8Rng::seed_from_u64(derive(config.seed, Purpose::FinalImages, 1)));
            test.truncate(size);
            test.sort_unstable();
        }
        Ok(Self {
            images: Arc::new(FinalImages { fold: Fold::new(dataset, &train, &test), classes: dataset.classes().len() }),
            part: ImagesPart::Final { train_size: options.train_size, test_size: options.test_size },
            test,
            classes: dataset.classes().to_vec(),
            subgroups: dataset.subgroups().map(|all| all.names.clone()).unwrap_or_default(),
            missing_group,
            data: fingerprint(dataset),
            settings: Settings {
                images_per_epoch: Some(train.len()),
                // Each scheme has its own.
                strategy: Strategy::Plain,
                ..config.settings()
            },
            child: child.into(),
            shared: Arc::new(config.clone().into_inner()),
            config,
        })
    }

    /// Returns whether a search with another configuration, if it had these images, trained or judged on some that
    /// are test images here.
    pub(crate) fn has_seen_test_images(&self, other: &ValidConfig) -> Result<bool, Error> {
        let dataset = read(other)?;
        // The same folder is the same data set at another size or with other channels, whose pixels differ.
        let place = |config: &Config| std::fs::canonicalize(&config.data).ok();
        let is_same_place = place(other).is_some_and(|other| Some(other) == place(&self.config));
        if !is_same_place && fingerprint(&dataset) != self.data {
            return Ok(false);
        }
        let split = Split::draw(&dataset, other.split_sizes(), derive(other.seed, Purpose::Split, 0))?;
        let seen: HashSet<usize> = split.train.into_iter().chain(split.validation).collect();
        Ok(self.test.iter().any(|image| seen.contains(image)))
    }

    /// Returns why groups cannot be weighted, if they cannot.
    pub(crate) fn no_groups(&self) -> Option<String> {
        if self.subgroups.is_empty() {
            return Some("the study's images have no subgroups; set subgroup_column when it is made".into());
        }
        self.missing_group.as_ref().map(|group| format!("there is no image of {group} to learn from"))
    }

    /// Returns the seed of a sample, the same whatever is trained.
    pub(crate) fn seed(&self, sample: usize) -> u64 {
        derive(self.config.seed, Purpose::Final, sample as u64)
    }

    /// Returns the settings of every training, except for the augmentation.
    pub(crate) fn settings(&self) -> Settings {
        self.settings
    }

    /// Returns the settings with which the search judges policies: copies beside the originals, in the same number
    /// of steps for each.
    pub(crate) fn as_in_the_search(&self) -> Settings {
        Settings { images_per_epoch: Some(self.config.epoch_of(self.sizes()[0])), ..self.config.settings() }
    }

    /// Makes a training job with a policy; the caller chooses its identifier.
    pub(crate) fn job(&self, id: JobId, policy: &Policy, settings: Settings) -> Job {
        Job {
            id,
            policy: policy.clone(),
            settings,
            seed: self.seed(id.sample),
            images: self.images(),
            start: None,
            scored: None,
            task: Task::Train,
        }
    }

    /// Returns the images, by name.
    pub(crate) fn images(&self) -> ImagesRef {
        ImagesRef { config: self.shared.clone(), fingerprint: self.data.clone(), part: self.part }
    }

    /// Returns an executor that trains on other machines.
    ///
    /// # Errors
    /// As [`Study::cluster`](crate::Study::cluster).
    pub(crate) fn cluster(&self, study: &Path, machines: Machines) -> Result<Cluster, Error> {
        let study = study.canonicalize().map_err(|error| Error::file(study, error))?;
        Cluster::new(&study, self.images(), machines, || read_images(&study, &self.config))
    }

    /// Makes an executor that trains in this process.
    ///
    /// # Errors
    /// [`TrainError`].
    pub(crate) fn executor(&self) -> Result<Local, TrainError> {
        let policy = Policy::none(self.config.ranges);
        let settings = Settings { augment: Application::Online(Online::NOTHING), ..self.settings };
        let capacity = self.child.capacity(&self.training(&policy, &settings), self.config.threads())?;
        Ok(Local::new(self.child.clone(), self.images.clone(), capacity))
    }

    /// Returns the training images per second with one child per thread at a time.
    ///
    /// # Errors
    /// [`TrainError`].
    pub(crate) fn speed(&self, policy: &Policy, settings: &Settings) -> Result<f64, TrainError> {
        images_per_second(self.child.as_ref(), &self.training(policy, settings), [self.config.threads(); 2], PROBE)
    }

    fn training<'a>(&'a self, policy: &'a Policy, settings: &'a Settings) -> Training<'a> {
        let set = self.images.fold.set(self.images.classes);
        Training::new(set, policy, settings, self.seed(0))
    }

    /// Returns the images that it learns from.
    pub(crate) fn pictured(&self) -> Pictured<'_> {
        let set = self.images.fold.set(self.images.classes);
        Pictured { images: set.images, labels: set.labels, classes: &self.classes }
    }

    /// Returns the mean and deviation that standardise inputs.
    pub(crate) fn standard_values(&self) -> [f64; 2] {
        standard_values(self.images.fold.set(self.images.classes).images)
    }

    /// Returns the numbers of training and test images.
    pub(crate) fn sizes(&self) -> [usize; 2] {
        let set = self.images.fold.set(self.images.classes);
        [set.labels.len(), set.validation_labels.len()]
    }

    /// Returns the height, width and channels of the images.
    pub(crate) fn shape(&self) -> [usize; 3] {
        let (_, height, width, channels) = self.images.fold.set(self.images.classes).images.dim();
        [height, width, channels]
    }

    /// Returns what decides a training besides the scheme, the seed and the images.
    pub(crate) fn fingerprint(&self) -> serde_json::Value {
        let [train_images, test_images] = self.sizes();
        let mut fingerprint = serde_json::json!({
            "model": self.config.model,
            "train_size": train_images,
            "test_size": test_images,
            "seed": self.config.seed,
            // Comparisons without this key finished the baselines but not the policies found, and cannot be
            // continued.
            "finish": self.config.finish,
        });
        if let (Some(fingerprint), Ok(serde_json::Value::Object(settings))) =
            (fingerprint.as_object_mut(), serde_json::to_value(self.settings))
        {
            fingerprint.extend(settings);
            // Each scheme has its own.
            fingerprint.remove("augment");
        }
        fingerprint
    }
}

/// Returns the study's configuration with the model and the training settings of the options.
fn how_to_train(searched: Config, options: &FinalOptions) -> Result<ValidConfig, Error> {
    let same_model = options.model.as_ref().is_none_or(|model| *model == searched.model);
    // Values chosen for another model do not apply to this one.
    let base = match &options.config {
        Some(given) => given.clone(),
        None if same_model => searched.clone(),
        None => Config {
            standardize: searched.standardize,
            child_epochs: searched.child_epochs,
            child_batch_size: searched.child_batch_size,
            ..Config::default()
        },
    };
    let device = options.device.unwrap_or(searched.device);
    let config = Config {
        model: options.model.clone().unwrap_or(base.model),
        child: if options.model.is_some() { Default::default() } else { base.child },
        child_epochs: options.epochs.map_or(base.child_epochs, Auto::Given),
        child_batch_size: base.child_batch_size,
        optimizer: base.optimizer,
        learning_rate: base.learning_rate,
        learning_rate_decay: base.learning_rate_decay,
        schedule: base.schedule,
        warmup_epochs: base.warmup_epochs,
        momentum: base.momentum,
        weight_decay: base.weight_decay,
        clip_norm: base.clip_norm,
        label_smoothing: base.label_smoothing,
        mixup: base.mixup,
        entropy_loss: base.entropy_loss,
        consistency: base.consistency,
        consistency_views: base.consistency_views,
        loss: base.loss,
        robust_learning_rate: base.robust_learning_rate,
        robust_adjustment: base.robust_adjustment,
        robust_within_class: base.robust_within_class,
        candidates: base.candidates,
        keep: base.keep,
        choose: base.choose,
        selection_warm_up: base.selection_warm_up,
        standardize: base.standardize,
        device,
        chance: options.chance.unwrap_or(searched.chance),
        finish: options.finish.unwrap_or(searched.finish),
        pad: options.pad.unwrap_or(searched.pad),
        flip: options.flip.unwrap_or(searched.flip),
        cutout: options.cutout.unwrap_or(searched.cutout),
        adversarial_policies: base.adversarial_policies,
        adversarial_updates: base.adversarial_updates,
        adversarial_learning_rate: base.adversarial_learning_rate,
        adversarial_entropy: base.adversarial_entropy,
        adversarial_clean: base.adversarial_clean,
        adversarial_largest_level: base.adversarial_largest_level,
        ..searched
    };
    if !config.child.command.is_empty() {
        let why = "the study's child is a program, which cannot get fresh images every epoch";
        return Err(ConfigError { remedy: Some(Remedy::NameNet), ..ConfigError::new(why) }.into());
    }
    Ok(config.check()?)
}

/// Returns the images to train on.
fn chosen(split: &Split, size: TrainSize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(derive(seed, Purpose::FinalImages, 0));
    let mut searched = split.train.clone();
    let mut others: Vec<usize> = [&split.validation[..], &split.rest].concat();
    let wanted = match size {
        TrainSize::Search => searched.len(),
        TrainSize::Images(images) => images,
        TrainSize::All => searched.len() + others.len(),
    };
    searched.shuffle(&mut rng);
    others.shuffle(&mut rng);
    let mut chosen: Vec<usize> = searched.into_iter().chain(others).take(wanted).collect();
    chosen.sort_unstable();
    chosen
}
