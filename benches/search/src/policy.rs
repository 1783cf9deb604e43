//! A model of augmentation policies: sequences of two ops with magnitudes, whose effects add up and interact.

use deepaug_controller::{Point, Space, SpaceError};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::function::{Function, choice, number};

const OPS: usize = 20;

/// Each op helps most at its own magnitude, or does harm in proportion; a sixth of the ordered pairs interact; ops
/// that occur often lose effect. The last four ops have no magnitude. With five sequences, their order does not
/// matter; a single one has a portion that scales its effect.
pub struct Policies {
    space: Space,
    sequences: usize,
    ops: Vec<Effect>,
    pairs: Vec<[f64; OPS]>,
    portion: f64,
    noise: f64,
}

#[derive(Clone, Copy)]
enum Effect {
    /// Lowers the cost by `gain` at magnitude `best`, and not at all at 0 and at twice `best`.
    Helps { gain: f64, best: f64 },
    /// Raises the cost by this much times the magnitude.
    Harms(f64),
    /// Changes the cost by this, whatever the magnitude.
    Constant(f64),
}

impl Effect {
    fn at(self, magnitude: f64) -> f64 {
        match self {
            Self::Helps { gain, best } => -gain * (magnitude / best) * (2.0 - magnitude / best),
            Self::Harms(harm) => harm * magnitude,
            Self::Constant(change) => change,
        }
    }
}

impl Policies {
    pub fn new(sequences: usize, rng: &mut ChaCha8Rng) -> Result<Self, SpaceError> {
        let names: Vec<String> = (0..OPS).map(|op| format!("op{op}")).collect();
        let mut space = Space::new();
        for sequence in 0..sequences {
            for place in 0..2 {
                let (op, magnitude) = (format!("{sequence}.{place}.op"), format!("{sequence}.{place}.magnitude"));
                space = space.categorical(&op, names.clone())?.real(&magnitude, 0.0, 1.0)?.active_when(
                    &magnitude,
                    &op,
                    &names[..OPS - 4],
                )?;
            }
        }
        space = match sequences {
            1 => space.real("portion", 0.0, 1.0)?,
            _ => {
                let group =
                    |sequence| [0, 1].map(|place| ["op", "magnitude"].map(|what| format!("{sequence}.{place}.{what}")));
                space.exchangeable((0..sequences).map(|sequence| group(sequence).into_iter().flatten()))?
            }
        };
        let mut ops: Vec<Effect> = (0..OPS - 4)
            .map(|op| match op {
                0..5 => Effect::Helps { gain: rng.random_range(0.3..1.0), best: rng.random_range(0.2..0.9) },
                5..11 => Effect::Helps { gain: rng.random_range(0.0..0.2), best: rng.random_range(0.5..0.9) },
                _ => Effect::Harms(rng.random_range(0.2..1.0)),
            })
            .collect();
        ops.extend((0..4).map(|_| Effect::Constant(rng.random_range(-0.5..0.5))));
        // The order of the ops is drawn too, except for those without a magnitude.
        rand::seq::SliceRandom::shuffle(&mut ops[..OPS - 4], rng);
        let mut pair = || if rng.random_bool(1.0 / 6.0) { 0.3 * rng.sample::<f64, _>(StandardNormal) } else { 0.0 };
        let pairs = (0..OPS).map(|_| std::array::from_fn(|_| pair())).collect();
        Ok(Self { space, sequences, ops, pairs, portion: rng.random_range(0.3..1.0), noise: 0.12 })
    }
}

impl Function for Policies {
    fn space(&self) -> &Space {
        &self.space
    }

    fn cost(&self, point: &Point) -> f64 {
        let mut counts = [0.0; OPS];
        let mut sum = 0.0;
        for sequence in 0..self.sequences {
            let at = 4 * sequence;
            let (first, second) = (choice(point, at), choice(point, at + 2));
            counts[first] += 1.0;
            counts[second] += 1.0;
            sum += self.ops[first].at(number(point, at + 1)) + self.ops[second].at(number(point, at + 3));
            sum += self.pairs[first][second];
        }
        let mean = sum / self.sequences as f64;
        if self.sequences == 1 {
            let portion = number(point, 4);
            return mean * portion + 0.3 * (portion - self.portion).powi(2);
        }
        let places = 2.0 * self.sequences as f64;
        mean + 0.3 * counts.iter().map(|count| (count / places).powi(2)).sum::<f64>()
    }

    fn noise(&self, _: &Point) -> f64 {
        self.noise
    }
}
