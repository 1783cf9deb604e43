//! How fast children train on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deepaug_augmenter::{Policy, RangeTable};
use ndarray::s;

use crate::engine::cpu::Cpu;
use crate::engine::{Choices, Engine, lowbias32};
use crate::network::{self, Layer, Network, Plan};
use crate::{ChildModel, Observer, Optimiser, Rule, Settings, Subgroups, TrainError, Training, TrainingSet};

struct Silent;

impl Observer for Silent {}

/// Measures the training images per second of all children together, for a given number of children and threads.
/// `training` says what to train on and how, without a policy; its weights are discarded. Takes a few seconds.
///
/// # Errors
/// [`TrainError`].
pub fn images_per_second(
    child: &dyn ChildModel,
    training: &Training<'_>,
    sides: [usize; 2],
    enough: Duration,
) -> Result<f64, TrainError> {
    measured(child, training, sides, enough, false)
}

/// The same with the training's policy, for whole epochs: where it is applied again for every epoch, the time that
/// takes counts as far as training has to wait for it.
///
/// # Errors
/// [`TrainError`].
pub fn augmented_images_per_second(
    child: &dyn ChildModel,
    training: &Training<'_>,
    sides: [usize; 2],
    enough: Duration,
) -> Result<f64, TrainError> {
    measured(child, training, sides, enough, true)
}

fn measured(
    child: &dyn ChildModel,
    training: &Training<'_>,
    [children, threads]: [usize; 2],
    enough: Duration,
    augmented: bool,
) -> Result<f64, TrainError> {
    let none = Policy::none(RangeTable::Monotone);
    let pool = training.settings.images_per_epoch.unwrap_or(training.set.labels.len());
    // What time is measured for: a step, or an epoch.
    let (policy, images) = if augmented { (training.policy, pool) } else { (&none, training.settings.batch_size) };
    let run = |count: usize| {
        let (epochs, drawn) = if augmented { (count, pool) } else { (1, images * count) };
        let settings = Settings { epochs, images_per_epoch: Some(drawn), ..*training.settings };
        let set = TrainingSet {
            validation_images: training.set.validation_images.slice(s![..1, .., .., ..]),
            validation_labels: &training.set.validation_labels[..1],
            subgroups: training.set.subgroups.map(|of| Subgroups { validation: &of.validation[..1], ..of }),
            translations: &[],
            ..training.set.view()
        };
        let training = Training::new(set, policy, &settings, 0);
        let start = Instant::now();
        child.train_all(&vec![training; children], threads, &Silent).into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(start.elapsed())
    };
    let first = run(2)?;
    // For a net this slow one more is enough, without warm-up.
    if first > 4 * enough {
        return Ok((children * images) as f64 / run(1)?.as_secs_f64());
    }
    let mut count = 4;
    loop {
        let taken = run(count)?;
        if taken >= enough || count >= 4096 {
            // Time that does not grow with them is not part of their speed.
            let one = run(1)?;
            let images = children * images * (count - 1);
            return Ok(images as f64 / taken.saturating_sub(one).as_secs_f64().max(1e-9));
        }
        let factor = (enough.as_secs_f64() / taken.as_secs_f64().max(1e-3) * 1.2).clamp(2.0, 16.0);
        count = (count as f64 * factor) as usize;
    }
}

/// One layer on one CPU thread, for benchmarks: a net of this layer alone. It computes the gradients of its
/// parameters, and of its input as if another layer came before.
#[doc(hidden)]
pub struct LayerBench {
    plan: Arc<Plan>,
    images: usize,
    x: <Cpu as Engine>::Array,
    dy: <Cpu as Engine>::Array,
    weights: Vec<Vec<f32>>,
}

impl LayerBench {
    /// Creates a benchmark from a layer, the image that reaches it, and the images per step.
    ///
    /// # Errors
    /// What does not fit.
    pub fn new(layer: Layer, image: [usize; 3], images: usize) -> Result<Self, String> {
        let (plan, out) = Plan::of_layer(&layer, image)?;
        let rng = |count: usize| (0..count as u32).map(|i| lowbias32(i) as f32 / u32::MAX as f32 - 0.5).collect();
        let size = |shape: [usize; 3]| images * shape.iter().product::<usize>();
        let (x, dy) = (Cpu.upload(rng(size(image))), Cpu.upload(rng(size(out))));
        Ok(Self { weights: plan.first_weights(1), plan: plan.into(), images, x, dy })
    }

    /// Runs a forward and a backward pass.
    pub fn step(&mut self) {
        let optimiser = Optimiser::plain(Rule::Sgd, 1.0);
        let mut network = Network::new(&self.plan, &Cpu, 1, self.weights.clone(), &optimiser);
        let choices = Choices::default();
        let training = network::TrainingStep { draws: &choices, step: 0, dropout: false };
        let mut tape = Vec::new();
        network.train(self.x.clone(), self.images, &training, &mut tape);
        network.gradients(self.dy.clone(), self.images, true, &training, &mut tape);
    }
}
