//! The training of K children at once, from first weights to last epoch, on any engine.

use std::time::Instant;

use deepaug_augmenter::Copies;
use ndarray::{Array4, ArrayView4, Axis, CowArray};
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use crate::engine::{Batch, Choices, Engine, Rows};
use crate::input::Input;
use crate::network::{self, Network, Plan, Weights};
use crate::rng::{Stream, generator};
use crate::sampler::Sampler;
use crate::{EpochRecord, History, Settings, TrainError, Training, TrainingSet};

/// Images evaluated at once, at most; about 100 keeps a batch's activations in cache (measured on two AVX-512 cores).
const EVALUATION_BATCH: usize = 100;

/// Trainings that share their settings and the shape of their images.
pub(crate) struct Stack<'a, 't> {
    pub(crate) plan: &'a Plan,
    pub(crate) trainings: &'a [&'a Training<'t>],
    pub(crate) weights: Vec<Weights>,
}

/// What came of a stack: for each training its history, or why it has none; and all last weights.
pub(crate) struct Fitted {
    pub(crate) histories: Vec<Result<History, TrainError>>,
    pub(crate) weights: Vec<Weights>,
}

/// The rows that are not learnt from, before those that are: the originals, where their copies take their place.
fn skipped_originals(training: &Training<'_>) -> usize {
    if training.settings.augment.keeps_originals() { 0 } else { training.set.labels.len() }
}

/// Trains the stack. `on_epoch` is called for each child after each epoch and ends its training by returning false. With
/// `ahead`, copies for the next epoch are made while the device trains this one.
///
/// # Errors
/// What failed for all of them: the device.
pub(crate) fn fit<E: Engine>(
    engine: &E,
    stack: Stack<'_, '_>,
    mut copies: Vec<Copies>,
    ahead: bool,
    on_epoch: &dyn Fn(usize, &EpochRecord) -> bool,
) -> Result<Fitted, TrainError> {
    let start = Instant::now();
    let Stack { plan, trainings, weights } = stack;
    let children = trainings.len();
    let (set, settings) = (&trainings[0].set, trainings[0].settings);
    let device = |why: String| TrainError::Device { why };

    let pool = set.labels.len() + copies[0].sources.len() - skipped_originals(trainings[0]);
    let drawn = settings.images_per_epoch.unwrap_or(pool);
    let images = settings.batch_size.min(drawn).max(1);
    let steps = drawn.div_ceil(images).max(1);
    let batch = Batch { children, images };

    let inputs: Vec<Input> = trainings.iter().map(|t| Input::of(&t.set, settings)).collect();
    let mut network = Network::new(plan, engine, children, merge(weights), &settings.optimiser);
    let mut chance: Vec<ChildRng> = trainings.iter().zip(&copies).map(|(t, c)| ChildRng::new(t, c)).collect();
    // Views of parts of images may be full of gaps.
    let originals: Vec<_> = trainings.iter().map(|t| t.set.images.as_standard_layout()).collect();
    // What all children are judged by is kept once.
    let judged = if trainings.iter().all(|t| is_same(&t.set, set)) { &trainings[..1] } else { trainings };
    let validation_images: Vec<_> = judged.iter().map(|t| t.set.validation_images.as_standard_layout()).collect();
    let validation = Validation::new(judged.iter().map(|t| t.set.validation_labels), set.classes);
    let validation_data = engine.data(&validation.rows(validation_images.iter().map(CowArray::view), &inputs));
    let measured: Vec<_> = judged.iter().map(|t| measured(&t.set, settings.measured)).collect();
    let part = Validation::new(measured.iter().map(|(_, labels)| &labels[..]), set.classes);
    let part_data =
        (part.count > 0).then(|| engine.data(&part.rows(measured.iter().map(|(images, _)| images.view()), &inputs)));
    let mut ended: Vec<Option<TrainError>> = trainings.iter().map(|_| None).collect();
    let mut epochs: Vec<Vec<EpochRecord>> = trainings.iter().map(|_| Vec::new()).collect();
    let mut tape = Vec::new();

    for epoch in 0..settings.epochs {
        let targets: Vec<Vec<f32>> = trainings.iter().zip(&copies).map(|(t, c)| targets(t, c)).collect();
        let rows: Vec<Rows<'_>> = originals
            .iter()
            .zip(copies.iter().zip(&targets))
            .zip(&inputs)
            .map(|((images, (c, targets)), &input)| Rows {
                images: images.view(),
                copies: c.images.view(),
                targets,
                input,
            })
            .collect();
        let next = (!settings.augment.is_once() && epoch + 1 < settings.epochs)
            .then_some(|| trainings.iter().map(|t| t.augmented(epoch + 1)).collect::<Vec<_>>());
        let mut train = || {
            let data = engine.data(&rows);
            let plan_of_epoch = engine.plan(choices(&mut chance, settings, plan.dropouts, steps, images), batch);
            let mut sums = engine.upload(vec![0.0; 2 * children]);
            for step in 0..steps {
                let [x, targets] = engine.batch(&data, &plan_of_epoch, step, batch);
                let training = network::Training { plan: &plan_of_epoch, step, dropout: true };
                let logits = network.train(x, images, &training, &mut tape);
                let loss = engine.cross_entropy(&logits, &targets, plan.classes, batch);
                sums = engine.add(sums, &loss.sums);
                let gradients = network.gradients(loss.gradient, images, false, &training, &mut tape);
                let done = epoch * steps + step;
                network.update(gradients, &settings.optimiser.update(done, settings.epochs * steps, steps));
            }
            sums
        };
        let (sums, after) = match next {
            Some(next) if ahead => std::thread::scope(|scope| {
                let after = scope.spawn(next);
                let sums = train();
                (sums, after.join().map(Some).unwrap_or_default())
            }),
            next => (train(), next.map(|next| next())),
        };
        let training_sums = engine.download(&sums).map_err(device)?;
        let validation_sums = validation.evaluate(&mut network, engine, &validation_data, plan).map_err(device)?;
        let measured_sums = part_data.as_ref().map(|data| part.evaluate(&mut network, engine, data, plan));
        let measured_sums = measured_sums.transpose().map_err(device)?;
        for child in 0..children {
            if ended[child].is_some() {
                continue;
            }
            let mean = |sums: &[f32], which: usize, count: usize| f64::from(sums[2 * child + which]) / count as f64;
            let (seen, validated) = (steps * images, validation.count);
            let record = EpochRecord {
                epoch: epoch + 1,
                acc: mean(&training_sums, 1, seen),
                loss: mean(&training_sums, 0, seen),
                val_acc: mean(&validation_sums, 1, validated),
                val_loss: mean(&validation_sums, 0, validated),
                train_acc: measured_sums.as_ref().map(|sums| mean(sums, 1, part.count)),
            };
            if !record.loss.is_finite() || !record.val_loss.is_finite() {
                ended[child] = Some(TrainError::Diverged { epoch: epoch + 1 });
                continue;
            }
            epochs[child].push(record);
            if !on_epoch(child, &record) {
                ended[child] = Some(TrainError::Stopped);
            }
        }
        if ended.iter().all(Option::is_some) {
            break;
        }
        if let Some(after) = after {
            copies = after;
        }
    }
    let weights = split(network.parameters().map_err(device)?, children);
    // The children of a stack share its time.
    let seconds = start.elapsed().as_secs_f64() / children as f64;
    let histories = epochs.into_iter().zip(ended).map(|(epochs, ended)| match ended {
        None => Ok(History { epochs, seconds }),
        Some(error) => Err(error),
    });
    Ok(Fitted { histories: histories.collect(), weights })
}

/// The share of the validation images that a net of these weights names rightly.
pub(crate) fn accuracy<E: Engine>(
    engine: &E,
    plan: &Plan,
    weights: &Weights,
    set: &TrainingSet<'_>,
    settings: &Settings,
) -> Result<f64, TrainError> {
    let mut network = Network::new(plan, engine, 1, weights.clone(), &settings.optimiser);
    let images = set.validation_images.as_standard_layout();
    let validation = Validation::new(std::iter::once(set.validation_labels), set.classes);
    let data = engine.data(&validation.rows(std::iter::once(images.view()), &[Input::of(set, settings)]));
    let sums = validation.evaluate(&mut network, engine, &data, plan).map_err(|why| TrainError::Device { why })?;
    Ok(f64::from(sums[1]) / set.validation_labels.len() as f64)
}

/// A child's own random choices.
struct ChildRng {
    order: Sampler,
    dropout: ChaCha8Rng,
    mixup: ChaCha8Rng,
    /// The rows that are learnt from, and those before them that are not.
    pool: u32,
    before: u32,
}

impl ChildRng {
    fn new(training: &Training<'_>, copies: &Copies) -> Self {
        let before = skipped_originals(training);
        let pool = training.set.labels.len() + copies.sources.len() - before;
        Self {
            order: Sampler::new(pool, generator(training.seed, Stream::Order)),
            dropout: generator(training.seed, Stream::Dropout),
            mixup: generator(training.seed, Stream::Mixup),
            pool: pool as u32,
            before: before as u32,
        }
    }
}

/// The choices of an epoch.
fn choices(chance: &mut [ChildRng], settings: &Settings, dropouts: usize, steps: usize, images: usize) -> Choices {
    let mut choices = Choices::default();
    // No share is mixed where the parameter is out of the distribution's range.
    let beta = (settings.mixup > 0.0).then(|| Beta::new(settings.mixup, settings.mixup).ok()).flatten();
    for _ in 0..steps {
        for child in chance.iter_mut() {
            choices.rows.extend((0..images).map(|_| child.before + child.order.next()));
            if let Some(beta) = &beta {
                // One share for the batch, as in the paper's code.
                let share = beta.sample(&mut child.mixup) as f32;
                let rows = child.before..child.before + child.pool;
                choices.partners.extend((0..images).map(|_| (child.mixup.random_range(rows.clone()), share)));
            }
        }
        for _ in 0..dropouts {
            choices.dropout.extend(chance.iter_mut().map(|child| child.dropout.next_u32()));
        }
    }
    choices
}

/// Class weights of a training's images and copies, `[rows, classes]`.
fn targets(training: &Training<'_>, copies: &Copies) -> Vec<f32> {
    let TrainingSet { labels, classes, .. } = training.set;
    let smoothing = training.settings.label_smoothing as f32;
    let others = smoothing / classes as f32;
    let all = labels.iter().copied().chain(copies.sources.iter().map(|&source| labels[source]));
    all.flat_map(|label| (0..classes).map(move |c| if c == label { 1.0 - smoothing + others } else { others }))
        .collect()
}

/// So many of the training images, in even steps through all, and their labels.
fn measured(set: &TrainingSet<'_>, count: usize) -> (Array4<u8>, Vec<usize>) {
    let all = set.labels.len();
    let chosen: Vec<usize> = (0..count.min(all)).map(|i| i * all / count.min(all)).collect();
    (set.images.select(Axis(0), &chosen), chosen.iter().map(|&image| set.labels[image]).collect())
}

/// Whether two sets are views of the same images.
fn is_same(a: &TrainingSet<'_>, b: &TrainingSet<'_>) -> bool {
    std::ptr::eq(a.images.as_ptr(), b.images.as_ptr())
        && std::ptr::eq(a.validation_images.as_ptr(), b.validation_images.as_ptr())
        && std::ptr::eq(a.validation_labels, b.validation_labels)
}

/// Images that children are measured on, as many for each, in batches of one size, the last filled with rows that count for
/// nothing.
struct Validation {
    /// Of each child, or once for all.
    targets: Vec<Vec<f32>>,
    count: usize,
    images: usize,
    batches: usize,
}

impl Validation {
    fn new<'a>(labels: impl Iterator<Item = &'a [usize]>, classes: usize) -> Self {
        let one_hot = |&label: &usize| (0..classes).map(move |c| f32::from(u8::from(c == label)));
        let (mut targets, mut count) = (Vec::new(), 0);
        for labels in labels {
            count = labels.len();
            targets.push(labels.iter().flat_map(one_hot).chain(std::iter::repeat_n(0.0, classes)).collect());
        }
        let batches = count.div_ceil(EVALUATION_BATCH).max(1);
        Self { targets, count, images: count.div_ceil(batches), batches }
    }

    /// The images, and one more that only fills, as each child sees them.
    fn rows<'a>(&'a self, images: impl Iterator<Item = ArrayView4<'a, u8>>, inputs: &[Input]) -> Vec<Rows<'a>> {
        let images: Vec<_> = images.zip(&self.targets).collect();
        let of = |(child, &input): (usize, &Input)| {
            let (images, targets) = images[child % images.len()];
            Rows { images, copies: images.split_at(Axis(0), 1).0, targets, input }
        };
        inputs.iter().enumerate().map(of).collect()
    }

    /// Sums of losses and right answers, two numbers a child.
    fn evaluate<E: Engine>(
        &self,
        network: &mut Network<'_, E>,
        engine: &E,
        data: &E::Data<'_>,
        plan: &Plan,
    ) -> Result<Vec<f32>, String> {
        let children = network.children();
        let batch = Batch { children, images: self.images };
        let last = self.count as u32;
        let rows = (0..self.batches * children).flat_map(|place| {
            let first = (place / children * self.images) as u32;
            (first..first + self.images as u32).map(move |row| row.min(last))
        });
        let order = engine.plan(Choices { rows: rows.collect(), ..Choices::default() }, batch);
        let mut sums = engine.upload(vec![0.0; 2 * children]);
        for step in 0..self.batches {
            let [x, targets] = engine.batch(data, &order, step, batch);
            let logits = network.evaluate(x, self.images);
            sums = engine.add(sums, &engine.cross_entropy(&logits, &targets, plan.classes, batch).sums);
        }
        engine.download(&sums)
    }
}

/// From the weights of each child to those of all, parameter by parameter.
fn merge(children: Vec<Weights>) -> Vec<Vec<f32>> {
    let mut children = children.into_iter();
    let first = children.next().unwrap_or_default();
    children.fold(first, |mut all, child| {
        all.iter_mut().zip(child).for_each(|(all, values)| all.extend(values));
        all
    })
}

/// The inverse of [`merge`].
fn split(parameters: Vec<Vec<f32>>, children: usize) -> Vec<Weights> {
    let part = |all: &Vec<f32>, child: usize| {
        let length = all.len() / children;
        all[child * length..(child + 1) * length].to_vec()
    };
    (0..children).map(|child| parameters.iter().map(|all| part(all, child)).collect()).collect()
}
