//! Functions of other mixed spaces: separate slots, learners with conditional parameters, a rotated valley, and
//! categories only.

use deepaug_controller::{Domain, Point, Space, SpaceError, Value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::function::{Function, choice, number};

/// A sum over three slots, each a choice out of twenty with a cost and its own best number. Slots share nothing,
/// and their order matters.
pub struct Slots {
    space: Space,
    tables: Vec<[(f64, f64); 20]>,
}

impl Slots {
    pub fn new(rng: &mut ChaCha8Rng) -> Result<Self, SpaceError> {
        let mut space = Space::new();
        for slot in 0..3 {
            let choices = (0..20).map(|choice| choice.to_string());
            space = space.categorical(format!("choice {slot}"), choices)?.real(format!("number {slot}"), 0.0, 1.0)?;
        }
        let tables = (0..3).map(|_| std::array::from_fn(|_| rng.random())).collect();
        Ok(Self { space, tables })
    }
}

impl Function for Slots {
    fn space(&self) -> &Space {
        &self.space
    }

    fn cost(&self, point: &Point) -> f64 {
        let slot = |(slot, table): (usize, &[(f64, f64); 20])| {
            let (cost, best) = table[choice(point, 2 * slot)];
            cost + (number(point, 2 * slot + 1) - best).powi(2)
        };
        self.tables.iter().enumerate().map(slot).sum()
    }

    fn noise(&self, _: &Point) -> f64 {
        0.1
    }
}

/// The error of one of four learners, each with its own parameters, some conditional on others: every active
/// parameter adds a parabola, or its choice's cost, and neighbours in the list interact.
pub struct Learners {
    space: Space,
    /// For each parameter: the best share of its range and the weight, or a cost for each choice.
    terms: Vec<Term>,
    interactions: Vec<f64>,
}

enum Term {
    Parabola { best: f64, weight: f64 },
    Table(Vec<f64>),
}

impl Learners {
    pub fn new(rng: &mut ChaCha8Rng) -> Result<Self, SpaceError> {
        let space = Space::new()
            .categorical("learner", ["kernel", "forest", "net", "linear"])?
            .real("subsample", 0.1, 1.0)?
            .categorical("scaler", ["none", "standard", "robust", "quantile"])?
            .real("log10 cost", -3.0, 3.0)?
            .categorical("kernel", ["radial", "polynomial", "sigmoid"])?
            .real("log10 gamma", -4.0, 1.0)?
            .integer("degree", 2, 6)?
            .integer("depth", 1, 20)?
            .real("features", 0.0, 1.0)?
            .integer("layers", 1, 5)?
            .categorical("activation", ["relu", "tanh", "gelu"])?
            .real("log10 rate", -5.0, 0.0)?
            .real("dropout", 0.0, 0.8)?
            .real("log10 alpha", -6.0, 2.0)?
            .active_when("log10 cost", "learner", ["kernel"])?
            .active_when("kernel", "learner", ["kernel"])?
            .active_when("log10 gamma", "kernel", ["radial", "sigmoid"])?
            .active_when("degree", "kernel", ["polynomial"])?
            .active_when("depth", "learner", ["forest"])?
            .active_when("features", "learner", ["forest"])?
            .active_when("layers", "learner", ["net"])?
            .active_when("activation", "learner", ["net"])?
            .active_when("log10 rate", "learner", ["net"])?
            .active_when("dropout", "learner", ["net"])?
            .active_when("log10 alpha", "learner", ["linear"])?;
        let terms = space
            .parameters()
            .iter()
            .map(|parameter| match &parameter.domain {
                Domain::Categorical { choices } => {
                    Term::Table(choices.iter().map(|_| rng.random_range(0.0..0.5)).collect())
                }
                _ => Term::Parabola { best: rng.random_range(0.1..0.9), weight: rng.random_range(0.5..2.5) },
            })
            .collect();
        let interactions = space.parameters().iter().map(|_| rng.random_range(-0.5..0.5)).collect();
        Ok(Self { space, terms, interactions })
    }
}

impl Function for Learners {
    fn space(&self) -> &Space {
        &self.space
    }

    fn cost(&self, point: &Point) -> f64 {
        let active = self.space.active(point).unwrap_or_default();
        let mut sum = 0.0;
        let mut before = 0.0;
        for (index, parameter) in self.space.parameters().iter().enumerate().filter(|&(index, _)| active[index]) {
            let share = |low: f64, high: f64| (number(point, index) - low) / (high - low);
            let unit = match parameter.domain {
                Domain::Categorical { .. } => 0.0,
                Domain::Real { low, high } => share(low, high),
                Domain::Integer { low, high } => share(low as f64, high as f64),
            };
            match &self.terms[index] {
                Term::Table(costs) => sum += costs[choice(point, index)],
                Term::Parabola { best, weight } => {
                    let distance = unit - best;
                    sum += weight * distance * distance + self.interactions[index] * before * distance;
                    before = distance;
                }
            }
        }
        sum
    }

    fn noise(&self, _: &Point) -> f64 {
        0.08
    }
}

/// A rotated, stretched and slightly wavy valley of six reals and two integers; each of five choices has its own
/// offset and its own optimum.
pub struct Valley {
    space: Space,
    offsets: [f64; 5],
    optima: Vec<[f64; 8]>,
    /// Rows are the valley's axes, times the square root of their weight.
    axes: Vec<[f64; 8]>,
}

impl Valley {
    pub fn new(rng: &mut ChaCha8Rng) -> Result<Self, SpaceError> {
        let mut space = Space::new().categorical("kind", ["a", "b", "c", "d", "e"])?;
        for index in 0..6 {
            space = space.real(format!("x{index}"), -5.0, 5.0)?;
        }
        space = space.integer("n0", 1, 32)?.integer("n1", 1, 32)?;
        let offsets = std::array::from_fn(|_| rng.random_range(0.0..0.5));
        let base: [f64; 8] = std::array::from_fn(|_| rng.random_range(0.2..0.8));
        let optima = (0..5).map(|_| base.map(|place| place + rng.random_range(-0.15..0.15))).collect();
        // Gram-Schmidt on random vectors near the coordinate axes.
        let mut axes: Vec<[f64; 8]> = Vec::new();
        for index in 0..8 {
            let mut axis: [f64; 8] = std::array::from_fn(|_| 0.35 * rng.sample::<f64, _>(StandardNormal));
            axis[index] += 1.0;
            for other in &axes {
                let along: f64 = axis.iter().zip(other).map(|(a, b)| a * b).sum();
                axis.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
            let length = axis.iter().map(|a| a * a).sum::<f64>().sqrt();
            axes.push(axis.map(|a| a / length));
        }
        for (index, axis) in axes.iter_mut().enumerate() {
            // Weights from 3 down to 0.2.
            let weight = 3.0 * (0.2_f64 / 3.0).powf(index as f64 / 7.0);
            *axis = axis.map(|a| a * weight.sqrt());
        }
        Ok(Self { space, offsets, optima, axes })
    }
}

impl Function for Valley {
    fn space(&self) -> &Space {
        &self.space
    }

    fn cost(&self, point: &Point) -> f64 {
        let kind = choice(point, 0);
        let unit = |index: usize| match point[index + 1] {
            Value::Integer(value) => (value - 1) as f64 / 31.0,
            _ => (number(point, index + 1) + 5.0) / 10.0,
        };
        let away: [f64; 8] = std::array::from_fn(|index| unit(index) - self.optima[kind][index]);
        let along = |axis: &[f64; 8]| axis.iter().zip(away).map(|(a, b)| a * b).sum::<f64>();
        let wave = |z: f64| z * z + 0.02 * (1.0 - (20.0 * z).cos());
        self.offsets[kind] + self.axes.iter().map(|axis| wave(along(axis))).sum::<f64>()
    }

    fn noise(&self, _: &Point) -> f64 {
        0.1
    }
}

/// Eight parameters of six choices: each choice has a cost, and so has each pair of choices of neighbouring
/// parameters.
pub struct Categories {
    space: Space,
    alone: Vec<[f64; 6]>,
    pairs: Vec<[[f64; 6]; 6]>,
}

impl Categories {
    pub fn new(rng: &mut ChaCha8Rng) -> Result<Self, SpaceError> {
        let mut space = Space::new();
        for index in 0..8 {
            space = space.categorical(format!("c{index}"), ["a", "b", "c", "d", "e", "f"])?;
        }
        let mut draw = || 0.15 * rng.sample::<f64, _>(StandardNormal);
        let alone = (0..8).map(|_| std::array::from_fn(|_| draw())).collect();
        let pairs = (0..7).map(|_| std::array::from_fn(|_| std::array::from_fn(|_| draw()))).collect();
        Ok(Self { space, alone, pairs })
    }
}

impl Function for Categories {
    fn space(&self) -> &Space {
        &self.space
    }

    fn cost(&self, point: &Point) -> f64 {
        let alone: f64 = self.alone.iter().enumerate().map(|(index, costs)| costs[choice(point, index)]).sum();
        let pair = |(index, costs): (usize, &[[f64; 6]; 6])| costs[choice(point, index)][choice(point, index + 1)];
        alone + self.pairs.iter().enumerate().map(pair).sum::<f64>()
    }

    fn noise(&self, _: &Point) -> f64 {
        0.2
    }
}
