//! From a policy to histories: the part of a study that trains.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deepaug_augmenter::{Policy, RangeTable, SubPolicy};
use deepaug_child_model::{
    Capacity, ChildModel, Settings, TrainError, Training, TrainingSet, images_per_second, standard_values,
};
use deepaug_dataset::{DataError, Dataset, Split, Subgroups};
#[cfg(feature = "generative")]
use ndarray::ArrayView4;
use ndarray::{Array4, Axis};

use crate::config::{Config, EpochSize, Holdout, LossKind, ObjectiveKind, OverfitMeasure, ValidConfig};
use crate::error::Error;
use crate::execute::{Adversary, Density, Folds, ImagesPart, ImagesRef, Job, JobId, Local, Scored, Task};
use crate::files::write_whole;
use crate::images::data::fingerprint;
use crate::layout;
use crate::rng::{Purpose, derive};
use crate::study::search::Trainings;
use crate::train::pytorch;

/// How long a child's speed is measured before a study.
const PROBE: Duration = Duration::from_millis(300);

/// Maximum number of training images whose accuracy is compared with that on validation images: its standard
/// deviation is at most 0.03, against a tolerance of a tenth. With 1,000 they took a sixth of a search's time.
const MEASURED: usize = 256;

/// Judges a policy by children trained on images augmented by it, and measured on validation images.
#[derive(Debug)]
pub struct Objective {
    config: Arc<Config>,
    /// A checksum of the whole data set.
    fingerprint: String,
    images: Arc<StudyImages>,
    settings: Settings,
    child: Arc<dyn ChildModel>,
    initial_weights: Option<PathBuf>,
    /// Where the weights of children without a policy are kept, which judge policies that no child is trained with.
    judges: Option<PathBuf>,
    /// Where those are kept by which images are chosen of which a policy copies only some.
    scorers: Option<PathBuf>,
}

impl Objective {
    /// Makes the objective of a configuration on the training and validation images of a split; the test set is
    /// not even copied.
    ///
    /// # Errors
    /// [`Error`]: splits for other samples cannot be drawn.
    pub fn new(
        config: &ValidConfig,
        dataset: &Dataset,
        split: &Split,
        child: Arc<dyn ChildModel>,
    ) -> Result<Self, Error> {
        Ok(Self {
            fingerprint: fingerprint(dataset),
            images: Arc::new(StudyImages {
                images: Images::new(config, dataset, split)?,
                classes: dataset.classes().to_vec(),
            }),
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
            initial_weights: None,
            judges: None,
            scorers: None,
            config: Arc::new(config.clone().into_inner()),
        })
    }

    /// Makes the objective of a study that has begun, with its images and on its device.
    ///
    /// # Errors
    /// [`Error`]: the device is not here, or the images are too small for the model.
    pub(crate) fn open(config: &ValidConfig, dataset: &Dataset) -> Result<Self, Error> {
        let child = config.child_model()?;
        child.check(dataset.image_shape(), dataset.classes().len())?;
        let split = Split::draw(dataset, config.split_sizes(), derive(config.seed, Purpose::Split, 0))?;
        Self::new(config, dataset, &split, child.into())
    }

    /// Returns a checksum of the whole data set.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the images of a sample, by name.
    pub(crate) fn images(&self, sample: usize) -> ImagesRef {
        let part = ImagesPart::Search { sample };
        ImagesRef { config: self.config.clone(), fingerprint: self.fingerprint.clone(), part }
    }

    /// Returns how a sample is judged without training; fresh samples are trained.
    fn density(&self, sample: usize) -> Option<Density> {
        let folder = self.judges.as_ref().filter(|_| sample < self.config.opt_samples)?;
        Some(Density {
            weights: folder.join(layout::judge(sample)),
            copies: self.config.density_copies,
            count: self.config.density_count,
        })
    }

    /// Makes the search judge policies without training, by children whose weights are kept in a folder.
    pub(crate) fn judge_in(&mut self, folder: PathBuf) {
        self.judges = Some(folder);
    }

    /// Makes policies copy images by what children make of them whose weights are kept in a folder.
    pub(crate) fn score_in(&mut self, folder: PathBuf) {
        self.scorers = Some(folder);
    }

    /// Returns by what a sample's images are chosen, if not all are alike. Samples with the same images share the child.
    fn scored(&self, sample: usize) -> Option<Scored> {
        let sample = if self.config.holdout == Holdout::Fixed { 0 } else { sample };
        let weights = self.scorers.as_ref()?.join(layout::scorer(sample));
        Some(Scored { weights, seed: self.sample_seed(sample), by: self.config.portion_by })
    }

    /// Makes an executor that trains in this process.
    ///
    /// # Errors
    /// [`TrainError`].
    pub(crate) fn executor(&self) -> Result<Local, TrainError> {
        Ok(Local::new(self.child.clone(), self.images.clone(), self.capacity()?))
    }

    /// Returns the model to train.
    pub fn child(&self) -> &dyn ChildModel {
        self.child.as_ref()
    }

    /// Returns the training images per second, and the time for `trainings` trainings, from the speed of a few
    /// steps; absent for a child whose speed is not quickly measured.
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
        let fold = self.images.images.of(0);
        let speed = images_per_second(self.child(), &self.training(&policy, 0, &fold), [at_once, passes], PROBE)?;
        let learnt = self.images_per_epoch() as f64;
        // An evaluation is a forward pass: a third of a training step.
        let measured = (fold.validation_labels.len() + self.settings.measured) as f64 / 3.0;
        // What is judged without training is only read.
        let judged = match self.config.objective {
            ObjectiveKind::Training => 0,
            ObjectiveKind::Density => trainings.min((self.config.iters as usize + 1) * self.config.opt_samples),
        };
        let trained = trainings - judged + judged.min(self.config.opt_samples);
        let read = judged * self.config.density_copies * fold.validation_labels.len();
        let images = trained as f64 * self.settings.epochs as f64 * (learnt + measured) + read as f64 / 3.0;
        Ok(Some((speed, Duration::try_from_secs_f64(images / speed).unwrap_or(Duration::MAX))))
    }

    /// Returns how many training images are measured after each epoch.
    pub(crate) fn measured(&self) -> usize {
        self.settings.measured.min(self.images.images.of_training())
    }

    /// Returns how many trainings the child model takes at once.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn capacity(&self) -> Result<Capacity, TrainError> {
        // As many copies as a policy can make.
        let sub_policies = vec![SubPolicy::default(); self.config.sub_policies];
        let policy = Policy::new(RangeTable::Monotone, 1.0, sub_policies);
        self.child.capacity(&self.training(&policy, 0, &self.images.images.of(0)), self.config.threads())
    }

    /// Makes the training without a policy, of `epochs` epochs, that all others start from; its weights are kept
    /// at `path`. Existing weights of the very same training are used as they are.
    pub(crate) fn pretraining(&self, policy: &Policy, epochs: usize, path: PathBuf) -> Job {
        let job = self.job(JobId { trial: 0, sample: 0 }, policy);
        let settings = Settings { epochs, ..self.settings };
        let seed = derive(self.config.seed, Purpose::Pretraining, 0);
        Job { settings, seed, start: None, task: Task::Keep { weights: path }, ..job }
    }

    /// Makes the job that trains a member of a population for some epochs, from one saved state to another.
    pub(crate) fn member(
        &self,
        member: usize,
        policy: &Policy,
        epochs: Range<usize>,
        from: Option<PathBuf>,
        to: PathBuf,
    ) -> Job {
        let id = JobId { trial: member as u64, sample: 0 };
        let task = Task::Part { epochs, from, to };
        Job { id, seed: self.member_seed(member), task, ..self.job(JobId { trial: 0, sample: 0 }, policy) }
    }

    /// Makes the job that trains a child against the adversary of the configuration, with the seed and images of the
    /// first sample. It keeps the record and the weights.
    pub(crate) fn opposed(&self, record: PathBuf, weights: PathBuf) -> Job {
        let adversary = Adversary { record: Some(record), ..Adversary::new(&self.config, self.has_colour(), true) };
        let job = self.job(JobId { trial: 0, sample: 0 }, &Policy::none(self.config.ranges));
        Job { task: Task::Oppose { adversary, weights: Some(weights) }, ..job }
    }

    /// Lends the training images of the first sample.
    #[cfg(feature = "generative")]
    pub(crate) fn with_training_images<T>(&self, use_them: impl FnOnce(ArrayView4<'_, u8>) -> T) -> T {
        use_them(self.images.images.of(0).images.view())
    }

    /// Whether its images have colours.
    pub(crate) fn has_colour(&self) -> bool {
        self.images.images.of(0).images.dim().3 == 3
    }

    /// Converts the weights of a child that was trained on the images of the first sample, and writes them for PyTorch,
    /// with a module that loads them.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn write_model(&self, weights: &Path, [model, module]: [&Path; 2]) -> Result<(), Error> {
        let fold = self.images.images.of(0);
        let (_, height, width, channels) = fold.images.dim();
        let standard = self.settings.standardize.then(|| standard_values(fold.images.view()));
        let net = pytorch(&self.config, [height, width, channels], &self.images.classes, standard);
        let code = net.write(weights, model)?;
        write_whole(module, code.as_bytes())
    }

    /// Returns the seed of a member of a population.
    pub(crate) fn member_seed(&self, member: usize) -> u64 {
        derive(self.config.seed, Purpose::Member, member as u64)
    }

    /// Makes every later training start from the weights at a path.
    pub(crate) fn start_from(&mut self, path: PathBuf) {
        self.initial_weights = Some(path);
    }

    fn training<'a>(&'a self, policy: &'a Policy, sample: usize, fold: &'a Fold) -> Training<'a> {
        Training {
            initial_weights: self.initial_weights.as_deref(),
            ..Training::new(fold.set(self.images.classes.len()), policy, &self.settings, self.sample_seed(sample))
        }
    }
}

impl Trainings for Objective {
    fn job(&self, id: JobId, policy: &Policy) -> Job {
        Job {
            id,
            policy: policy.clone(),
            settings: self.settings,
            seed: self.sample_seed(id.sample),
            images: self.images(id.sample),
            start: self.initial_weights.clone(),
            scored: self.scored(id.sample),
            task: self.density(id.sample).map_or(Task::Train, Task::Judge),
        }
    }

    fn sample_seed(&self, sample: usize) -> u64 {
        derive(self.config.seed, Purpose::Sample, sample as u64)
    }

    /// If it depends on the policy, that without one.
    fn images_per_epoch(&self) -> usize {
        self.settings.images_per_epoch.unwrap_or(self.images.images.of_training())
    }
}

/// The images of a search.
#[derive(Debug)]
struct StudyImages {
    images: Images,
    /// The names of the classes.
    classes: Vec<String>,
}

impl Folds for StudyImages {
    fn fold(&self, sample: usize) -> Cow<'_, Fold> {
        self.images.of(sample)
    }

    fn classes(&self) -> usize {
        self.classes.len()
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
        subgroups: Option<Subgroups>,
        of_samples: Vec<[Vec<usize>; 2]>,
    },
}

impl Images {
    fn new(config: &Config, dataset: &Dataset, split: &Split) -> Result<Self, Error> {
        let check = |train: &[usize]| match config.loss {
            LossKind::Mean => Ok(()),
            LossKind::GroupDro => refuse_missing(dataset, missing_group(dataset, train).as_ref()),
        };
        if config.holdout == Holdout::Fixed {
            check(&split.train)?;
            return Ok(Self::Fixed(Fold::new(dataset, &split.train, &split.validation)));
        }
        let samples = (config.opt_samples + config.most_confirm_samples()).max(1);
        let mut of_samples = Vec::with_capacity(samples);
        for sample in 0..samples as u64 {
            let seed = derive(config.seed, Purpose::Holdout, sample);
            let Split { train, validation, .. } = split.redraw(dataset, config.split_sizes(), seed)?;
            check(&train)?;
            of_samples.push([train, validation]);
        }
        let mut used: Vec<usize> = of_samples.iter().flatten().flatten().copied().collect();
        used.sort_unstable();
        used.dedup();
        for image in of_samples.iter_mut().flatten().flatten() {
            *image = used.partition_point(|other| other < image);
        }
        let subgroups = dataset
            .subgroups()
            .map(|all| Subgroups { names: all.names.clone(), of: used.iter().map(|&image| all.of[image]).collect() });
        let (images, labels) = (dataset.gather(&used), dataset.gather_labels(&used));
        Ok(Self::Repeated { images, labels, subgroups, of_samples })
    }

    /// Returns those of one sample. Samples beyond the configured number start again with the first.
    fn of(&self, sample: usize) -> Cow<'_, Fold> {
        match self {
            Self::Fixed(fold) => Cow::Borrowed(fold),
            Self::Repeated { images, labels, subgroups, of_samples } => {
                let [train, validation] = &of_samples[sample % of_samples.len()];
                let labels_of = |part: &[usize]| part.iter().map(|&image| labels[image]).collect();
                Cow::Owned(Fold {
                    images: images.select(Axis(0), train),
                    labels: labels_of(train),
                    validation_images: images.select(Axis(0), validation),
                    validation_labels: labels_of(validation),
                    subgroups: subgroups.as_ref().map(|all| SubgroupsOfFold::of(all, train, validation)),
                    translations: Vec::new(),
                })
            }
        }
    }

    /// Returns how many images the first sample learns from.
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
    subgroups: Option<SubgroupsOfFold>,
    translations: Vec<Array4<u8>>,
}

/// Returns a group of images, those of one class and one subgroup, of which none is among those to learn from.
pub(crate) fn missing_group(dataset: &Dataset, train: &[usize]) -> Option<String> {
    let subgroups = dataset.subgroups()?;
    let groups = |images: &mut dyn Iterator<Item = usize>| -> BTreeSet<(usize, usize)> {
        images.map(|image| (dataset.labels()[image], subgroups.of[image])).collect()
    };
    let all = groups(&mut (0..dataset.len()));
    let (class, subgroup) = *all.difference(&groups(&mut train.iter().copied())).next()?;
    Some(format!("class \"{}\", subgroup \"{}\"", dataset.classes()[class], subgroups.names[subgroup]))
}

/// Refuses to weigh groups of which one has no image to learn from.
///
/// # Errors
/// [`DataError::Unusable`].
pub(crate) fn refuse_missing(dataset: &Dataset, missing: Option<&String>) -> Result<(), DataError> {
    missing.map_or(Ok(()), |group| {
        let why =
            format!("there is no image of {group} to learn from, so it cannot be weighted; give more training images");
        Err(DataError::Unusable { path: dataset.origin().into(), why })
    })
}

/// The subgroups of a fold's images.
#[derive(Debug, Clone)]
struct SubgroupsOfFold {
    images: Vec<usize>,
    validation: Vec<usize>,
    count: usize,
}

impl SubgroupsOfFold {
    fn of(all: &Subgroups, train: &[usize], validation: &[usize]) -> Self {
        let [images, validation] = [train, validation].map(|part| part.iter().map(|&image| all.of[image]).collect());
        Self { images, validation, count: all.names.len() }
    }
}

impl Fold {
    /// Takes images from a data set, by their indices.
    pub fn new(dataset: &Dataset, train: &[usize], validation: &[usize]) -> Self {
        Self {
            images: dataset.gather(train),
            labels: dataset.gather_labels(train),
            validation_images: dataset.gather(validation),
            validation_labels: dataset.gather_labels(validation),
            subgroups: dataset.subgroups().map(|all| SubgroupsOfFold::of(all, train, validation)),
            translations: Vec::new(),
        }
    }

    /// Adds what the images to learn from would look like in each subgroup.
    pub(crate) fn with_translations(self, translations: Vec<Array4<u8>>) -> Self {
        Self { translations, ..self }
    }

    /// Counts validation images from the `first` on as of further subgroups, as many again: those before and those after it are
    /// then told apart.
    pub(crate) fn apart_from(mut self, first: usize) -> Self {
        if let Some(subgroups) = &mut self.subgroups {
            subgroups.validation[first..].iter_mut().for_each(|subgroup| *subgroup += subgroups.count);
            subgroups.count *= 2;
        }
        self
    }

    /// Returns the training set for a child model with `classes` classes.
    pub fn set(&self, classes: usize) -> TrainingSet<'_> {
        TrainingSet {
            images: self.images.view(),
            labels: &self.labels,
            validation_images: self.validation_images.view(),
            validation_labels: &self.validation_labels,
            classes,
            subgroups: self.subgroups.as_ref().map(|of| deepaug_child_model::Subgroups {
                images: &of.images,
                validation: &of.validation,
                count: of.count,
            }),
            translations: &self.translations,
        }
    }
}
