//! One training from first weights to last epoch.

use std::path::Path;
use std::time::Instant;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::store::ModuleRecord;
use burn::tensor::{ElementConversion, Int, Tensor};
use deepaug_augmenter::Policy;
use ndarray::ArrayView4;

use crate::batches::{Order, assemble};
use crate::nets::Net;
use crate::nets::basic_cnn::BasicCnn;
use crate::noise::{Dropout, Stream, generator};
use crate::{Device, EpochRecord, History, Model, TrainError};

/// DeepAugment 1.1.2's optimiser for basiccnn, Keras's RMSprop: learning rate 1e-3, divided by 1 + 1e-6 a step.
const LEARNING_RATE: f64 = 1e-3;
const DECAY: f64 = 1e-6;

/// Images evaluated at once; about 100 keeps a batch's activations in cache (measured on two AVX-512 cores).
const EVALUATION_BATCH: usize = 100;

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

/// What all trainings of a search share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The net.
    pub model: Model,
    /// Passes of `images_per_epoch` images.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Images an epoch draws from originals and copies; `None` draws as many as there are. Rounded up to whole batches.
    ///
    /// Equal numbers for every policy keep the number of steps equal, so that a policy is not rewarded for training
    /// longer.
    pub images_per_epoch: Option<usize>,
}

/// One training: a policy under a seed.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The images.
    pub set: TrainingSet<'a>,
    /// How the training images are augmented: copies are made once, before the first epoch.
    pub policy: &'a Policy,
    /// Decides first weights, order, dropout and the policy's own randomness.
    pub seed: u64,
    /// Weights to start from instead of fresh ones, as [`pretrain`] writes them.
    pub initial_weights: Option<&'a Path>,
}

/// Trains a child and returns its history. `on_epoch` is called after each epoch and ends the training by returning
/// false.
///
/// # Errors
/// [`TrainError`]: images too small for the model, a loss that is no number, weights that do not fit, or the wish of
/// `on_epoch`.
pub fn train(
    training: &Training<'_>,
    settings: &Settings,
    device: &Device,
    on_epoch: &dyn Fn(&EpochRecord) -> bool,
) -> Result<History, TrainError> {
    fit(training, settings, device, on_epoch, None)
}

/// Trains a child as [`train`] does, and saves its last weights at `path` for other trainings to start from.
///
/// # Errors
/// As [`train`], and [`TrainError::Weights`] when the file cannot be written.
pub fn pretrain(
    training: &Training<'_>,
    settings: &Settings,
    device: &Device,
    path: &Path,
    on_epoch: &dyn Fn(&EpochRecord) -> bool,
) -> Result<History, TrainError> {
    fit(training, settings, device, on_epoch, Some(path))
}

fn fit(
    training: &Training<'_>,
    settings: &Settings,
    device: &Device,
    on_epoch: &dyn Fn(&EpochRecord) -> bool,
    save: Option<&Path>,
) -> Result<History, TrainError> {
    let (_, height, width, channels) = training.set.images.dim();
    let shape = [height, width, channels];
    settings.model.check(shape)?;
    let sizes = match settings.model {
        Model::BasicCnn => BasicCnn::STANDARD,
        Model::TinyCnn => BasicCnn::TINY,
    };
    let mut weights = generator(training.seed, Stream::Weights);
    let tracking = device.inner.clone().autodiff();
    let net = sizes.init(shape, training.set.classes, &mut weights, &tracking, device.is_cpu());
    fit_net(net, training, settings, device, on_epoch, save)
}

fn fit_net<N: Net>(
    mut net: N,
    training: &Training<'_>,
    settings: &Settings,
    device: &Device,
    on_epoch: &dyn Fn(&EpochRecord) -> bool,
    save: Option<&Path>,
) -> Result<History, TrainError> {
    let start = Instant::now();
    let set = &training.set;
    let unfit = |path: &Path, why: String| TrainError::Weights { path: path.into(), why };
    if let Some(path) = training.initial_weights {
        let record = ModuleRecord::load(path).map_err(|error| unfit(path, error.to_string()))?;
        net = net.try_load_record(record).map_err(|error| unfit(path, error.to_string()))?;
    }
    let copies = training.policy.copies(set.images, training.seed);
    let originals = set.labels.len();
    let labels: Vec<usize> =
        set.labels.iter().copied().chain(copies.sources.iter().map(|&source| set.labels[source])).collect();
    let (original_images, copied_images) = (set.images.view(), copies.images.view());
    let pick = |index: usize| match index.checked_sub(originals) {
        None => (original_images, index),
        Some(copy) => (copied_images, copy),
    };

    let batch = settings.batch_size.min(settings.images_per_epoch.unwrap_or(labels.len())).max(1);
    let steps = settings.images_per_epoch.unwrap_or(labels.len()).div_ceil(batch).max(1);
    let mut order = Order::new(labels.len(), generator(training.seed, Stream::Order));
    let mut dropout = generator(training.seed, Stream::Dropout);
    let mut optimiser = RmsPropConfig::new().with_alpha(0.9).with_momentum(0.0).with_epsilon(1e-7).init();
    let tracking = device.inner.clone().autodiff();
    let cross_entropy = CrossEntropyLossConfig::new().init(&tracking);
    let mut epochs = Vec::with_capacity(settings.epochs);
    for epoch in 1..=settings.epochs {
        let mut sums = Sums::new(device);
        for step in 0..steps {
            let (images, targets) = assemble(&order.take(batch), pick, &labels, &tracking);
            let logits = net.forward(images, &mut Dropout::on(&mut dropout));
            let loss = cross_entropy.forward(logits.clone(), targets.clone());
            sums.add(logits.inner(), targets.inner(), loss.clone().inner(), batch);
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            let steps_before = ((epoch - 1) * steps + step) as f64;
            net = optimiser.step(LEARNING_RATE / (1.0 + DECAY * steps_before), net, gradients);
        }
        let (acc, loss) = sums.means();
        let (val_acc, val_loss) = evaluate(&net.valid(), set, device);
        if !loss.is_finite() || !val_loss.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        let record = EpochRecord { epoch, acc, loss, val_acc, val_loss };
        epochs.push(record);
        if !on_epoch(&record) {
            return Err(TrainError::Stopped);
        }
    }
    if let Some(path) = save {
        net.valid().into_record().save(path).map_err(|error| unfit(path, error.to_string()))?;
    }
    Ok(History { epochs, seconds: start.elapsed().as_secs_f64() })
}

/// Accuracy and mean cross-entropy on the validation images.
fn evaluate<N: Net>(net: &N, set: &TrainingSet<'_>, device: &Device) -> (f64, f64) {
    let cross_entropy = CrossEntropyLossConfig::new().init(&device.inner);
    let all: Vec<usize> = (0..set.validation_labels.len()).collect();
    let mut sums = Sums::new(device);
    for indices in all.chunks(EVALUATION_BATCH) {
        let pick = |index| (set.validation_images, index);
        let (images, targets) = assemble(indices, pick, set.validation_labels, &device.inner);
        let logits = net.forward(images, &mut Dropout::off());
        let loss = cross_entropy.forward(logits.clone(), targets.clone());
        sums.add(logits, targets, loss, indices.len());
    }
    sums.means()
}

/// Running sums of an epoch, kept on the device until its end: reading a value waits for the device.
struct Sums {
    correct: Tensor<1>,
    loss: Tensor<1>,
    images: usize,
}

impl Sums {
    fn new(device: &Device) -> Self {
        Self { correct: Tensor::zeros([1], &device.inner), loss: Tensor::zeros([1], &device.inner), images: 0 }
    }

    fn add(&mut self, logits: Tensor<2>, targets: Tensor<1, Int>, mean_loss: Tensor<1>, images: usize) {
        let hits = logits.argmax(1).flatten::<1>(0, 1).equal(targets).float().sum();
        self.correct = self.correct.clone() + hits;
        self.loss = self.loss.clone() + mean_loss.mul_scalar(images as f64);
        self.images += images;
    }

    fn means(self) -> (f64, f64) {
        let read = |sum: Tensor<1>| f64::from(sum.into_scalar::<f32>().elem::<f32>()) / self.images as f64;
        (read(self.correct), read(self.loss))
    }
}
