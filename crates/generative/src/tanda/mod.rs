//! TANDA (A. Ratner, H. Ehrenberg, Z. Hussain, J. Dunnmon, C. Re, Learning to compose domain-specific transformations for
//! data augmentation, NIPS 2017): a generator writes sequences of fixed small transformation functions, and learns by policy
//! gradient to write those whose results a discriminator takes for images of the set.
//!
//! What differs from the authors' code, which ran to the worst function within fifty steps on small sets: the discriminator
//! has no batch norm, learns before the generator does, and faster; doing nothing costs 1 instead of a thousand; and learning
//! ends when the generator has nearly decided
//! for one or two functions, as this is a game that does not settle.

mod advantage;
mod discriminator;
mod generator;

use deepaug_augmenter::{Policy, RangeTable, Step, SubPolicy};
use ndarray::{Array4, ArrayView4, ArrayViewMut3, Axis, s};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::advantage::{advantages, loss};
use self::discriminator::Discriminator;
pub use self::generator::{Generator, Kind};
use crate::{Device, Error};

/// How much less a later loss counts than the one before it: the authors'.
const DISCOUNT: f64 = 0.5;

/// The share of the entropy of equal chances below which the generator has decided. It was 1.5 of ln 14 where this was
/// measured.
const LEAST_ENTROPY: f64 = 0.57;

/// After so many steps in which the discriminator sees through everything, there is nothing to learn from it.
const LOST: usize = 20;

/// How a generator is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The transformation functions.
    pub functions: Vec<Step>,
    /// What their magnitudes mean.
    pub ranges: RangeTable,
    /// Functions in a sequence.
    pub length: usize,
    /// How steps are chosen.
    pub generator: Kind,
    /// Batches that it learns from.
    pub steps: usize,
    /// Images of a batch.
    pub batch: usize,
    /// Sequences of each.
    pub sequences: usize,
    /// Batches that the discriminator learns from before the generator does.
    pub warm_up: usize,
    /// Of the generator, by plain gradient descent on a sum over the batch.
    pub generator_learning_rate: f64,
    /// Of the discriminator, by Adam.
    pub discriminator_learning_rate: f64,
    /// How much a result must differ from its original, in the discriminator's eyes.
    pub lambda: f64,
    /// Widths of the discriminator's convolutions.
    pub widths: [usize; 4],
}

impl Settings {
    /// Sizes with which learning takes about a minute on two cores.
    pub fn small(functions: Vec<Step>, ranges: RangeTable) -> Self {
        Self {
            functions,
            ranges,
            length: 5,
            generator: Kind::MeanField,
            steps: 300,
            batch: 32,
            sequences: 3,
            warm_up: 60,
            generator_learning_rate: 2e-3,
            discriminator_learning_rate: 5e-4,
            lambda: 1e-3,
            widths: [16, 32, 64, 128],
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, why: &str| Err(Error::Setting { key, why: why.into() });
        let Self { functions, length, steps, batch, sequences, lambda, widths, .. } = self;
        if functions.len() < 2 {
            return wrong("functions", "at least two are needed to choose from");
        }
        if let Some(step) = functions.iter().find(|step| !self.ranges.has(step.op)) {
            return wrong("functions", &format!("the {} ranges do not have the op {}", self.ranges, step.op));
        }
        for (key, count) in [("length", *length), ("steps", *steps), ("batch", *batch), ("sequences", *sequences)] {
            if count == 0 {
                return wrong(key, "must be at least 1");
            }
        }
        if batch * sequences < 2 {
            return wrong("sequences", "two of a batch at least are compared");
        }
        if widths.contains(&0) {
            return wrong("widths", "must be at least 1");
        }
        for (key, rate) in [
            ("generator_learning_rate", self.generator_learning_rate),
            ("discriminator_learning_rate", self.discriminator_learning_rate),
        ] {
            if !(rate > 0.0 && rate.is_finite()) {
                return wrong(key, "must be above 0");
            }
        }
        if !(*lambda >= 0.0 && lambda.is_finite()) {
            return wrong("lambda", "must be at least 0");
        }
        Ok(())
    }
}

/// How one batch went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its number, counted from 1; the warm-up has those up to its length.
    pub step: usize,
    /// The discriminator's loss: ln 2 if it cannot tell, 0 if it sees through everything.
    pub discriminator_loss: f64,
    /// The mean loss of whole sequences; none while the discriminator warms up.
    pub loss: Option<f64>,
    /// The entropy of the functions' probabilities, in nats.
    pub entropy: f64,
    /// How likely each function is, on average over places of sequences.
    pub probabilities: Vec<f64>,
}

/// Why learning ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// After all steps.
    Steps,
    /// The generator had nearly decided for a few functions.
    Decided,
    /// The discriminator saw through everything, so that there was nothing to learn from it.
    Lost,
}

/// A generator that has learnt, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// The functions that it writes sequences of.
    pub functions: Vec<Step>,
    /// What their magnitudes mean.
    pub ranges: RangeTable,
    /// Functions in a sequence.
    pub length: usize,
    /// The generator.
    pub generator: Generator,
    /// How every batch went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
    /// Why it ended.
    pub end: End,
}

impl Learnt {
    /// Returns a policy of so many of its sequences, of which every image gets one.
    pub fn policy(&self, sequences: usize, seed: u64) -> Policy {
        policy_of(&self.generator, &self.functions, self.ranges, self.length, sequences, seed)
    }
}

/// Returns a policy of sequences in which every function is equally likely, for comparison.
pub fn untaught_policy(functions: &[Step], ranges: RangeTable, length: usize, sequences: usize, seed: u64) -> Policy {
    let generator =
        Generator { kind: Kind::MeanField, functions: functions.len(), weights: vec![0.0; functions.len()] };
    policy_of(&generator, functions, ranges, length, sequences, seed)
}

fn policy_of(
    generator: &Generator,
    functions: &[Step],
    ranges: RangeTable,
    length: usize,
    sequences: usize,
    seed: u64,
) -> Policy {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut sequence = || {
        let ops = generator.sample(length, &mut rng).into_iter().map(|function| functions[function]);
        SubPolicy { ops: ops.collect() }
    };
    let sub_policies = (0..sequences).map(|_| sequence()).collect();
    Policy { in_place: true, ..Policy::new(ranges, 1.0, sub_policies) }
}

/// Trains a generator on images, `[images, height, width, 1 or 3 channels]`. The same seed gives the same generator on the
/// same kind of device. `hear` is told how every batch went; learning stops if it returns false.
///
/// # Errors
/// [`Error`]; [`Error::Stopped`] if `hear` says so.
pub fn train(
    images: ArrayView4<'_, u8>,
    settings: &Settings,
    device: Device,
    seed: u64,
    hear: &mut dyn FnMut(&StepRecord) -> bool,
) -> Result<Learnt, Error> {
    settings.check()?;
    if images.is_empty() {
        return Err(Error::NoImages);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let channels = images.dim().3;
    let mut discriminator =
        Discriminator::new(channels, settings.widths, settings.discriminator_learning_rate, device, &mut rng);
    let mut generator = Generator::new(settings.generator, settings.functions.len(), &mut rng);
    let mut batches = Batches { images, order: Vec::new(), at: 0 };
    let (mut records, mut end, mut seen_through) = (Vec::new(), End::Steps, 0);
    let most = (settings.functions.len() as f64).ln();
    for step in 1..=settings.warm_up + settings.steps {
        let batch = batches.next(settings.batch, &mut rng);
        let transformed = Transformed::new(settings, &generator, batch.view(), &mut rng);
        let discriminator_loss = discriminator.learn(batch.view(), transformed.whole(settings.sequences).view())?;
        if !discriminator_loss.is_finite() {
            return Err(Error::Diverged { what: "discriminator", step });
        }
        let (mut of_sequences, mut next) = (None, generator.clone());
        if step > settings.warm_up {
            let losses = transformed.losses(&discriminator, settings.lambda)?;
            let whole = losses.iter().filter_map(|losses| losses.last()).sum::<f64>() / losses.len() as f64;
            if !whole.is_finite() {
                return Err(Error::Diverged { what: "generator", step });
            }
            of_sequences = Some(whole);
            let mut gradient = vec![0.0; next.weights.len()];
            for (sequence, advantages) in transformed.sequences.iter().zip(advantages(&losses, DISCOUNT)) {
                generator.add_gradient(sequence, &advantages, &mut gradient);
            }
            let rate = settings.generator_learning_rate;
            next.weights.iter_mut().zip(gradient).for_each(|(weight, slope)| *weight -= rate * slope);
        }
        let probabilities = mean_probabilities(&next, &transformed.sequences);
        let entropy = -probabilities.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        // The step that would decide is not taken: what is recorded last is what is kept.
        if step > settings.warm_up && entropy < LEAST_ENTROPY * most {
            end = End::Decided;
            break;
        }
        generator = next;
        let record = StepRecord { step, discriminator_loss, loss: of_sequences, entropy, probabilities };
        let goes_on = hear(&record);
        records.push(record);
        if !goes_on {
            return Err(Error::Stopped);
        }
        seen_through = if discriminator_loss < 1e-3 { seen_through + 1 } else { 0 };
        if seen_through == LOST {
            end = End::Lost;
            break;
        }
    }
    let Settings { functions, ranges, length, .. } = settings.clone();
    Ok(Learnt { functions, ranges, length, generator, steps: records, end })
}

/// Returns how likely each function is, on average over places of sequences that the generator wrote.
fn mean_probabilities(generator: &Generator, sequences: &[Vec<usize>]) -> Vec<f64> {
    let mut mean = vec![0.0; generator.functions];
    let mut count = 0.0;
    // One sequence is enough for a generator that does not look at the steps before.
    let sequences = if generator.kind == Kind::MeanField { &sequences[..1] } else { sequences };
    for probabilities in sequences.iter().flat_map(|sequence| generator.probabilities(sequence)) {
        mean.iter_mut().zip(&probabilities).for_each(|(mean, p)| *mean += p);
        count += 1.0;
    }
    mean.iter_mut().for_each(|p| *p /= count);
    mean
}

/// Images in random order, again and again.
struct Batches<'a> {
    images: ArrayView4<'a, u8>,
    order: Vec<usize>,
    at: usize,
}

impl Batches<'_> {
    /// Returns the next images; all of them if there are fewer.
    fn next(&mut self, count: usize, rng: &mut impl Rng) -> Array4<u8> {
        let count = count.min(self.images.dim().0);
        if self.at + count > self.order.len() {
            self.order = (0..self.images.dim().0).collect();
            self.order.shuffle(rng);
            self.at = 0;
        }
        let chosen = &self.order[self.at..self.at + count];
        self.at += count;
        self.images.select(Axis(0), chosen)
    }
}

/// The images of a batch after each step of their sequences.
struct Transformed {
    /// Those of an image follow one another.
    sequences: Vec<Vec<usize>>,
    /// `[places + 1][sequences, height, width, channels]`: the originals, and what each step makes of them.
    images: Vec<Array4<u8>>,
}

impl Transformed {
    fn new(settings: &Settings, generator: &Generator, batch: ArrayView4<'_, u8>, rng: &mut impl Rng) -> Self {
        let count = batch.dim().0 * settings.sequences;
        let sequences: Vec<Vec<usize>> = (0..count).map(|_| generator.sample(settings.length, rng)).collect();
        let seeds: Vec<u64> = (0..count).map(|_| rng.random()).collect();
        let sources: Vec<usize> = (0..count).map(|number| number / settings.sequences).collect();
        let mut images = vec![batch.select(Axis(0), &sources)];
        for place in 0..settings.length {
            let mut next = images[place].clone();
            let each: Vec<(usize, ArrayViewMut3<'_, u8>)> = next.outer_iter_mut().enumerate().collect();
            each.into_par_iter().for_each(|(number, image)| {
                let Step { op, magnitude, .. } = settings.functions[sequences[number][place]];
                let rng = &mut ChaCha8Rng::seed_from_u64(seeds[number].wrapping_add(place as u64));
                op.apply(settings.ranges, magnitude, image, rng);
            });
            images.push(next);
        }
        Self { sequences, images }
    }

    /// Returns what whole sequences make of each image, one of its sequences each.
    fn whole(&self, sequences: usize) -> Array4<u8> {
        let last = &self.images[self.images.len() - 1];
        last.slice(s![..;sequences, .., .., ..]).to_owned()
    }

    /// Returns the losses of each sequence before its first step and after each.
    fn losses(&self, discriminator: &Discriminator, lambda: f64) -> Result<Vec<Vec<f64>>, Error> {
        let count = self.sequences.len();
        let views: Vec<ArrayView4<'_, u8>> = self.images.iter().map(Array4::view).collect();
        let all = ndarray::concatenate(Axis(0), &views).map_err(|error| Error::Device(error.to_string()))?;
        let verdicts = discriminator.judge(all.view())?;
        let of = |sequence: usize, place: usize| {
            let image = place * count + sequence;
            loss(verdicts.logits[image], verdicts.distance(image, sequence), lambda, lambda)
        };
        Ok((0..count).map(|sequence| (0..self.images.len()).map(|place| of(sequence, place)).collect()).collect())
    }
}

/// Returns the functions of the authors' scripts, for photographs or for digits and letters, under the `tanda` ranges.
/// Where images have no colour, there are none that change colours.
pub fn functions(has_colour: bool) -> Vec<Step> {
    use deepaug_augmenter::Op;
    let steps = |op: Op, magnitudes: &[f64]| magnitudes.iter().map(move |&m| Step::new(op, m)).collect::<Vec<_>>();
    // 2.5, 5 and 10 degrees; 0.1, 0.2, 0.25 and 0.4 radians; factors of 1 ± 0.1 and 0.25; factors of 1 ± 0.25 and 0.5.
    let (turns, twists): (&[f64], &[f64]) = if has_colour {
        (&[0.25, 0.375, 0.625, 0.75], &[0.1875, 0.375, 0.625, 0.8125])
    } else {
        (&[0.0, 0.25, 0.375, 0.625, 0.75, 1.0], &[0.0, 0.25, 0.375, 0.625, 0.75, 1.0])
    };
    let zooms: &[f64] = if has_colour { &[0.0, 0.3, 0.7, 1.0] } else { &[0.3, 0.7] };
    let mut all =
        [steps(Op::Rotate, turns), steps(Op::Zoom, zooms), steps(Op::Shear, twists), steps(Op::Swirl, twists)].concat();
    if has_colour {
        // A hue of ± 0.1 and 0.25 of a full turn.
        all.extend(steps(Op::AddToHueAndSaturation, &[0.0, 0.3, 0.7, 1.0]));
        for op in [Op::Contrast, Op::Brightness, Op::Saturation] {
            all.extend(steps(op, &[0.0, 0.25, 0.75, 1.0]));
        }
        all.extend(steps(Op::HorizontalFlip, &[1.0]));
    } else {
        // A strength of 1, 1.25 and 1.5, where 1.5 is the most.
        all.extend(steps(Op::Elastic, &[2.0 / 3.0, 1.25 / 1.5, 1.0]));
        all.extend([Op::Erode, Op::Dilate].map(|op| Step::new(op, 1.0)));
    }
    all
}
