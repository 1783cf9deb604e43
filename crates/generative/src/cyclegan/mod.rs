//! Translations of images between two subgroups, learnt from images that are not paired (J.-Y. Zhu, T. Park, P. Isola,
//! A. Efros, Unpaired image-to-image translation using cycle-consistent adversarial networks, ICCV 2017), as model patching
//! uses them (K. Goel, A. Gu, Y. Li, C. Ré, Model patching: closing the subgroup performance gap with data augmentation,
//! ICLR 2021).
//!
//! What differs from the authors' code of model patching: generators say what to add to an image, so that they begin with the
//! identity and keep what they need not change; group norm replaces batch norm, so that an image's translation does not
//! depend on the images beside it; nets have a quarter of the widths; discriminators learn faster, the cycle counts half, and
//! learning slows down in the second half, as in the paper of CycleGAN; and images are only shifted, not turned, while
//! generators learn. With the authors' generators, translations of clothes were blurred (reports/methods.md).

mod buffer;
mod discriminator;
mod generator;
mod weights;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use deepaug_augmenter::{Online, Policy, RangeTable};
use ndarray::{Array4, ArrayView4, Axis, concatenate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::buffer::Buffer;
use self::discriminator::Discriminator;
use self::generator::Generator;
use crate::net::{images, planes, softplus, values};
use crate::{Device, Error};

/// Of the normal distribution that weights are drawn from: the authors'.
const DEVIATION: f64 = 0.02;

/// Of the leaky rectifiers: the authors'.
const SLOPE: f64 = 0.3;

/// Groups of channels that are normalised together.
const GROUPS: usize = 4;

/// The shorter side of the smallest images: discriminators have a patch left.
const LEAST_SIDE: usize = 16;

/// Images that are translated at once.
const AT_ONCE: usize = 100;

/// How translators are trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Outputs of a generator's first convolution, a multiple of 4; the authors' 32.
    pub width: usize,
    /// Batches that they learn from at most.
    pub steps: usize,
    /// Images of each subgroup in a batch.
    pub batch: usize,
    /// Of the generators, by Adam.
    pub generator_learning_rate: f64,
    /// Of the discriminators, by Adam.
    pub discriminator_learning_rate: f64,
    /// What the difference of an image from its translation there and back counts.
    pub cycle: f64,
    /// What, halved, the difference of an image from its translation into its own subgroup counts.
    pub identity: f64,
    /// Images made before that a discriminator learns from.
    pub buffer: usize,
    /// The margin that images are shifted into meanwhile, as a fraction of their shorter side.
    pub shift: f64,
}

impl Default for Settings {
    /// Sizes with which learning on 28 x 28 pixels takes minutes on two cores.
    fn default() -> Self {
        Self {
            width: 8,
            steps: 1500,
            batch: 25,
            generator_learning_rate: 1e-3,
            discriminator_learning_rate: 5e-4,
            cycle: 5.0,
            identity: 1.0,
            buffer: 50,
            shift: 2.0 / 28.0,
        }
    }
}

impl Settings {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, why: &str| Err(Error::Setting { key, why: why.into() });
        if self.width == 0 || !self.width.is_multiple_of(GROUPS) {
            return wrong("width", "must be a multiple of 4");
        }
        for (key, count) in [("steps", self.steps), ("batch", self.batch), ("buffer", self.buffer)] {
            if count == 0 {
                return wrong(key, "must be at least 1");
            }
        }
        for (key, rate) in [
            ("generator_learning_rate", self.generator_learning_rate),
            ("discriminator_learning_rate", self.discriminator_learning_rate),
        ] {
            if !(rate > 0.0 && rate.is_finite()) {
                return wrong(key, "must be above 0");
            }
        }
        for (key, weight) in [("cycle", self.cycle), ("identity", self.identity), ("shift", self.shift)] {
            if !(weight >= 0.0 && weight.is_finite()) {
                return wrong(key, "must be at least 0");
            }
        }
        Ok(())
    }
}

impl Settings {
    /// Returns how fast is learnt in a step: in the second half ever more slowly.
    fn slow(&self, step: usize) -> f64 {
        (2.0 * (self.steps - step + 1) as f64 / (self.steps + 1) as f64).min(1.0)
    }
}

/// Images of a subgroup to learn from, `[images, height, width, 1 or 3 channels]`, and their classes.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The images.
    pub images: ArrayView4<'a, u8>,
    /// The class of each. Every batch has as many of each class, so that classes do not become part of what makes a subgroup.
    pub classes: &'a [usize],
}

/// How one batch went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its number, counted from 1.
    pub step: usize,
    /// What the generators minimise.
    pub loss: f64,
    /// The mean difference of images of each subgroup from their translation there and back, with pixels from -1 to 1.
    pub cycle: [f64; 2],
    /// The loss of each subgroup's discriminator: ln 2 if it cannot tell, 0 if it sees through everything.
    pub discriminators: [f64; 2],
}

/// What a caller makes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are to learn more.
    GoOn,
    /// They have learnt enough.
    Enough,
    /// Everything is to stop.
    Stop,
}

/// A generator for each of the two subgroups, into which it translates.
#[derive(Module, Debug)]
struct Pair {
    into: Vec<Generator>,
}

#[derive(Module, Debug)]
struct Judges {
    of: Vec<Discriminator>,
}

/// Translations of images into each of two subgroups.
#[derive(Debug, Clone)]
pub struct Translators {
    pair: Pair,
    /// Height, width and channels of images.
    image: [usize; 3],
    width: usize,
    device: burn::tensor::Device,
}

impl Translators {
    /// Returns height, width and channels of the images that can be translated.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }

    /// Makes images look like those of a subgroup, 0 or 1.
    ///
    /// # Errors
    /// [`Error::Setting`] if images are of another size; [`Error::Device`].
    pub fn translate(&self, originals: ArrayView4<'_, u8>, into: usize) -> Result<Array4<u8>, Error> {
        let (count, height, width, channels) = originals.dim();
        if [height, width, channels] != self.image || into > 1 {
            let why = format!("images of {height}x{width}x{channels} cannot be translated into {into}");
            return Err(Error::Setting { key: "image", why });
        }
        let generator = self.pair.into[into].valid();
        let parts = (0..count).step_by(AT_ONCE).map(|first| {
            let part = originals.slice_axis(Axis(0), (first..count.min(first + AT_ONCE)).into());
            images(generator.forward(planes(part, &self.device).inner()))
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> = parts.iter().map(Array4::view).collect();
        match views.is_empty() {
            true => Ok(originals.to_owned()),
            false => concatenate(Axis(0), &views).map_err(|error| Error::Device(error.to_string())),
        }
    }
}

/// Trains translators between two subgroups. The same seed gives the same translators on the same kind of device. `hear` is
/// told how every batch went, with what has been learnt so far.
///
/// # Errors
/// [`Error`]; [`Error::Stopped`] if `hear` says so.
pub fn train(
    sides: [Side<'_>; 2],
    settings: &Settings,
    device: Device,
    seed: u64,
    hear: &mut dyn FnMut(&StepRecord, &Translators) -> Result<Verdict, Error>,
) -> Result<Translators, Error> {
    settings.check()?;
    let [(count, height, width, channels), other] = [sides[0].images.dim(), sides[1].images.dim()];
    if count == 0 || other.0 == 0 {
        return Err(Error::NoImages);
    }
    if height.min(width) < LEAST_SIDE || (height, width, channels) != (other.1, other.2, other.3) {
        let why = format!("translators need images of one size and {LEAST_SIDE} pixels at least, not {height}x{width}");
        return Err(Error::Setting { key: "image", why });
    }
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let image = [height, width, channels];
    let open = device.open();
    let pair = Pair { into: (0..2).map(|_| Generator::new(image, settings.width, &open, rng)).collect() };
    let judges = Judges { of: (0..2).map(|_| Discriminator::new(image, settings.width, &open, rng)).collect() };
    let adam = || AdamConfig::new().with_beta_1(0.5).with_epsilon(1e-8).init();
    let translators = Translators { pair, image, width: settings.width, device: open };
    let buffers = [Buffer::new(settings.buffer), Buffer::new(settings.buffer)];
    let mut training = Training { translators, judges, optimisers: [adam(), adam()], buffers, settings };
    let mut batches = sides.map(Batches::new);
    for step in 1..=settings.steps {
        let drawn = batches.each_mut().map(|batches| batches.next(settings, rng));
        let record = training.step(step, [drawn[0].view(), drawn[1].view()], rng)?;
        if !record.loss.is_finite() || record.discriminators.iter().any(|loss| !loss.is_finite()) {
            return Err(Error::Diverged { what: "translators", step });
        }
        match hear(&record, &training.translators)? {
            Verdict::GoOn => {}
            Verdict::Enough => break,
            Verdict::Stop => return Err(Error::Stopped),
        }
    }
    Ok(training.translators)
}

/// Both pairs of nets, between two batches.
struct Training<'s> {
    translators: Translators,
    judges: Judges,
    /// Of the generators, and of the discriminators.
    optimisers: [ModuleOptimizer; 2],
    buffers: [Buffer; 2],
    settings: &'s Settings,
}

impl Training<'_> {
    /// Learns from images of both subgroups: first the generators, then the discriminators.
    fn step(&mut self, step: usize, sides: [ArrayView4<'_, u8>; 2], rng: &mut impl Rng) -> Result<StepRecord, Error> {
        let device = self.translators.device.clone();
        let counts = sides.map(|side| side.dim().0);
        let real = sides.map(|side| planes(side, &device));
        let both = Tensor::cat(real.to_vec(), 0);
        let pair = &self.translators.pair;
        let split = |all: Tensor<4>| [all.clone().slice(0..counts[0]), all.slice(counts[0]..counts[0] + counts[1])];
        // Of each subgroup's images, what both generators make of them.
        let into = [0, 1].map(|side| split(pair.into[side].forward(both.clone())));
        let mut loss = Tensor::<1>::zeros([1], &device);
        let (mut made, mut cycles) = (Vec::new(), Vec::new());
        for side in 0..2 {
            let other = 1 - side;
            let away = into[other][side].clone();
            let back = pair.into[side].forward(away.clone());
            let cycle = (back - real[side].clone()).abs().mean();
            let own = (into[side][side].clone() - real[side].clone()).abs().mean();
            let taken_for_real = softplus(self.judges.of[other].forward(away.clone()).neg()).mean();
            loss = loss + taken_for_real + cycle.clone() * self.settings.cycle + own * (0.5 * self.settings.identity);
            made.push(away.detach());
            cycles.push(cycle);
        }
        let found = f64::from(values(loss.clone())?[0]);
        let of = |tensor: &Tensor<1>| Ok::<_, Error>(f64::from(values(tensor.clone())?[0]));
        let cycle = [of(&cycles[0])?, of(&cycles[1])?];
        let gradients = GradientsParams::from_grads(loss.backward(), pair);
        let slow = self.settings.slow(step);
        let rate = slow * self.settings.generator_learning_rate;
        let [generators, discriminators] = &mut self.optimisers;
        self.translators.pair = generators.step(rate, self.translators.pair.clone(), gradients);

        let mut losses = Vec::new();
        for (side, made) in made.into_iter().enumerate() {
            let judged = 1 - side;
            let fakes = self.buffers[judged].exchange(made, &device, rng)?;
            let judge = &self.judges.of[judged];
            let right = softplus(judge.forward(real[judged].clone()).neg()).mean();
            let wrong = softplus(judge.forward(fakes)).mean();
            losses.push((judged, (right + wrong) * 0.5));
        }
        losses.sort_by_key(|(judged, _)| *judged);
        let [first, second] = [losses[0].1.clone(), losses[1].1.clone()];
        let record = StepRecord { step, loss: found, cycle, discriminators: [of(&first)?, of(&second)?] };
        let gradients = GradientsParams::from_grads((first + second).backward(), &self.judges);
        let rate = slow * self.settings.discriminator_learning_rate;
        self.judges = discriminators.step(rate, self.judges.clone(), gradients);
        Ok(record)
    }
}

/// Random images of a subgroup, as many of each class.
struct Batches<'a> {
    images: ArrayView4<'a, u8>,
    of_class: Vec<Vec<usize>>,
}

impl<'a> Batches<'a> {
    fn new(side: Side<'a>) -> Self {
        let classes = side.classes.iter().map(|class| class + 1).max().unwrap_or(0);
        let mut of_class = vec![Vec::new(); classes];
        side.classes.iter().enumerate().for_each(|(image, &class)| of_class[class].push(image));
        of_class.retain(|images| !images.is_empty());
        Self { images: side.images, of_class }
    }

    fn next(&mut self, settings: &Settings, rng: &mut impl Rng) -> Array4<u8> {
        let first = rng.random_range(0..self.of_class.len());
        let draw = |place: usize| {
            let images = &self.of_class[(first + place) % self.of_class.len()];
            images[rng.random_range(0..images.len())]
        };
        let drawn: Vec<usize> = (0..settings.batch).map(draw).collect();
        let shifted = Online { pad: settings.shift, ..Online::NOTHING };
        let images = self.images.select(Axis(0), &drawn);
        shifted.images(&Policy::none(RangeTable::default()), images.view(), rng.random())
    }
}
