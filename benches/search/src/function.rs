//! Objectives: functions of a mixed space with a known lowest value, and their measurement noise.

use deepaug_controller::{Domain, Parameter, Point, Space, Value};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A function of a mixed space, one instance of a family: its constants are drawn from a seed.
pub trait Function: Send + Sync {
    /// Returns its domain.
    fn space(&self) -> &Space;

    /// Returns the cost without noise, in the function's own unit.
    fn cost(&self, point: &Point) -> f64;

    /// Returns the standard deviation of a measurement's normal noise at a point, in the unit of the cost.
    fn noise(&self, point: &Point) -> f64;

    /// Returns the lowest cost, if it is known.
    fn lowest(&self) -> Option<f64> {
        None
    }
}

/// A function, its lowest cost, and the noise of one search on it: the k-th measurement has the k-th draw, for
/// every method.
pub struct Measured {
    pub function: Box<dyn Function>,
    pub lowest: f64,
    noise: ChaCha8Rng,
}

impl Measured {
    pub fn new(function: Box<dyn Function>, seed: u64) -> Self {
        let lowest =
            function.lowest().unwrap_or_else(|| lowest(&*function, seed, Descent { starts: 60, pairs: false }));
        let mut noise = ChaCha8Rng::seed_from_u64(seed);
        noise.set_stream(1);
        Self { function, lowest, noise }
    }

    /// Returns a noisy cost.
    pub fn measure(&mut self, point: &Point) -> f64 {
        let draw: f64 = self.noise.sample(StandardNormal);
        self.function.cost(point) + self.function.noise(point) * draw
    }

    /// Returns how far a point's noiseless cost is above the lowest.
    pub fn regret(&self, point: &Point) -> f64 {
        self.function.cost(point) - self.lowest
    }
}

/// How to search for the lowest cost.
#[derive(Clone, Copy)]
pub struct Descent {
    /// Number of random starting points.
    pub starts: u64,
    /// Whether a choice is also tried together with other values of the number that belongs to it.
    pub pairs: bool,
}

/// Finds the lowest cost: coordinate descent from many random points, which tries every choice and integer and,
/// for a real, a grid and then ever smaller steps.
pub fn lowest(function: &dyn Function, seed: u64, descent: Descent) -> f64 {
    let space = function.space();
    let descend = |start| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(100 + start);
        let mut point = space.sample(&mut rng);
        let mut best = function.cost(&point);
        let mut order: Vec<usize> = (0..point.len()).collect();
        loop {
            let before = best;
            order.shuffle(&mut rng);
            for &index in &order {
                let trial = |value, point: &mut Point, best: &mut f64| {
                    let old = std::mem::replace(&mut point.0[index], value);
                    let cost = function.cost(point);
                    if cost < *best { *best = cost } else { point.0[index] = old }
                };
                match space.parameters()[index].domain {
                    Domain::Categorical { ref choices } => {
                        (0..choices.len()).for_each(|choice| trial(Value::Category(choice), &mut point, &mut best));
                        for changes in pairs(space, index, choices.len()).filter(|_| descent.pairs) {
                            let mut other = point.clone();
                            changes.into_iter().for_each(|(index, value)| other.0[index] = value);
                            let cost = function.cost(&other);
                            if cost < best {
                                (best, point) = (cost, other);
                            }
                        }
                    }
                    Domain::Integer { low, high } => {
                        (low..=high).for_each(|value| trial(Value::Integer(value), &mut point, &mut best));
                    }
                    Domain::Real { low, high } => {
                        let mut step = (high - low) / 20.0;
                        (0..=20).for_each(|k| trial(Value::Real(low + f64::from(k) * step), &mut point, &mut best));
                        while step > 1e-7 * (high - low) {
                            for signed in [-step, step] {
                                let value = point[index].real().unwrap_or(low) + signed;
                                trial(Value::Real(value.clamp(low, high)), &mut point, &mut best);
                            }
                            step *= 0.6;
                        }
                    }
                }
            }
            if before - best <= 1e-9 {
                return best;
            }
        }
    };
    (0..descent.starts).map(descend).fold(f64::INFINITY, f64::min)
}

/// Returns every choice of a parameter together with five values of each real number that belongs to it.
fn pairs(space: &Space, parent: usize, choices: usize) -> impl Iterator<Item = [(usize, Value); 2]> {
    let real = move |(number, parameter): (usize, &Parameter)| match (&parameter.condition, &parameter.domain) {
        (Some(on), &Domain::Real { low, high }) if on.parent == parent => Some((number, low, high)),
        _ => None,
    };
    space.parameters().iter().enumerate().filter_map(real).flat_map(move |(number, low, high)| {
        let values = [0.1, 0.3, 0.5, 0.7, 0.9].map(|share| Value::Real(low + share * (high - low)));
        (0..choices).flat_map(move |choice| values.map(|value| [(parent, Value::Category(choice)), (number, value)]))
    })
}

/// Returns the choice at a position of a point.
pub fn choice(point: &Point, index: usize) -> usize {
    point[index].category().unwrap_or_default()
}

/// Returns the number at a position of a point, whatever its kind.
pub fn number(point: &Point, index: usize) -> f64 {
    match point[index] {
        Value::Real(value) => value,
        Value::Integer(value) => value as f64,
        Value::Category(choice) => choice as f64,
    }
}
