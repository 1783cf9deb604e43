//! What augmentation policies really do: functions fitted to training runs, see `real/fit.py`.

use std::io::Read;

use deepaug_controller::{Point, Space, SpaceError};
use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::function::{Function, choice, number};

/// The mean of a Gaussian process fitted to the rewards of random policies. Nothing in it comes from the
/// optimiser's own model: policies are compared as sets of sequences, by a sum of three kernels.
#[derive(Deserialize)]
struct Fit {
    ops: Vec<String>,
    sequences: usize,
    /// The mean reward.
    mean: f64,
    /// Standard deviation of the mean of three training runs of one policy.
    noise: f64,
    /// The lowest cost found.
    lowest: Option<f64>,
    /// Length scale of magnitudes.
    length: f64,
    /// Weights of the kernels: steps alone, pairs of steps, whole policies.
    scales: [f64; 3],
    /// Length scale of whole policies.
    reach: f64,
    /// The trained policies: op and magnitude of each step.
    policies: Vec<Vec<(usize, f64)>>,
    /// The contribution of each policy.
    weights: Vec<f64>,
}

pub struct Real {
    space: Space,
    fit: Fit,
    /// The similarity of each trained policy with itself.
    alike: Vec<f64>,
}

impl Real {
    pub fn fashion_mnist() -> Result<Self, SpaceError> {
        Self::new(include_bytes!("../real/fashion-mnist.json.gz"))
    }

    pub fn cifar10() -> Result<Self, SpaceError> {
        Self::new(include_bytes!("../real/cifar10.json.gz"))
    }

    fn new(packed: &[u8]) -> Result<Self, SpaceError> {
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).expect("the file is part of the program");
        let fit: Fit = serde_json::from_str(&text).expect("the file is part of the program");
        let mut space = Space::new();
        let names: Vec<Vec<[String; 2]>> = (0..fit.sequences)
            .map(|s| (0..2).map(|place| ["op", "magnitude"].map(|what| format!("{s}.{place}.{what}"))).collect())
            .collect();
        for [op, magnitude] in names.iter().flatten() {
            space = space.categorical(op, fit.ops.clone())?.real(magnitude, 0.0, 1.0)?;
            space = space.active_when(magnitude, op, &fit.ops)?;
        }
        space = space.exchangeable(names.iter().map(|steps| steps.iter().flatten().cloned()))?;
        let alike = fit.policies.iter().map(|policy| fit.steps_alike(policy, policy)).collect();
        Ok(Self { space, fit, alike })
    }

    fn steps(&self, point: &Point) -> Vec<(usize, f64)> {
        (0..2 * self.fit.sequences).map(|step| (choice(point, 2 * step), number(point, 2 * step + 1))).collect()
    }
}

impl Fit {
    fn alike(&self, a: (usize, f64), b: (usize, f64)) -> f64 {
        if a.0 == b.0 { (-0.5 * ((a.1 - b.1) / self.length).powi(2)).exp() } else { 0.0 }
    }

    /// Returns the mean similarity of the steps over pairs of sequences, whatever their positions.
    fn steps_alike(&self, a: &[(usize, f64)], b: &[(usize, f64)]) -> f64 {
        let pairs = a.iter().flat_map(|&a| b.iter().map(move |&b| (a, b)));
        pairs.map(|(a, b)| self.alike(a, b)).sum::<f64>() / (self.sequences * self.sequences) as f64
    }

    /// Does the same for pairs of steps, each in its position.
    fn pairs_alike(&self, a: &[(usize, f64)], b: &[(usize, f64)]) -> f64 {
        let pairs = a.chunks(2).flat_map(|a| b.chunks(2).map(move |b| (a, b)));
        let alike = pairs.map(|(a, b)| match (self.alike(a[0], b[0]), a[1].0 == b[1].0) {
            (first, true) if first > 0.0 => first * self.alike(a[1], b[1]),
            _ => 0.0,
        });
        alike.sum::<f64>() / (self.sequences * self.sequences) as f64
    }
}

impl Function for Real {
    fn space(&self) -> &Space {
        &self.space
    }

    fn cost(&self, point: &Point) -> f64 {
        let fit = &self.fit;
        let policy = self.steps(point);
        let own = fit.steps_alike(&policy, &policy);
        let kernel = |known: &[(usize, f64)], alike: f64| {
            let steps = fit.steps_alike(&policy, known);
            let distance = (own + alike - 2.0 * steps).max(0.0);
            let whole = (-0.5 * distance / fit.reach.powi(2)).exp();
            fit.scales[0] * steps + fit.scales[1] * fit.pairs_alike(&policy, known) + fit.scales[2] * whole
        };
        let known = fit.policies.iter().zip(&self.alike).zip(&fit.weights);
        let reward = fit.mean + known.map(|((known, &alike), weight)| weight * kernel(known, alike)).sum::<f64>();
        1.0 - reward
    }

    fn noise(&self, _: &Point) -> f64 {
        self.fit.noise
    }

    fn lowest(&self) -> Option<f64> {
        self.fit.lowest
    }
}
