//! How the network learns: by which rule, from which advantages, and in which steps.

use super::PolicyGradientSettings;
use super::network::{Decision, Network, Shape};
use crate::rng::{Purpose, stream};

/// How the network learns from rewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Proximal policy optimisation (J. Schulman et al., 2017).
    Proximal,
    /// Plain policy gradients (R. Williams, 1992).
    Reinforce,
}

/// A ratio of probabilities this far from 1 is not driven further (Schulman et al. 2017).
const CLIP: f64 = 0.2;

/// The most that a gradient's norm may be.
const MAX_NORM: f64 = 5.0;

/// The network and what it has learnt from.
#[derive(Debug, Clone)]
pub(super) struct Learner {
    pub(super) network: Network,
    adam: Adam,
    /// The moving average of rewards; nothing before the first batch.
    baseline: Option<f64>,
    /// The trials learnt from.
    pub(super) seen: Vec<u64>,
}

impl Learner {
    pub(super) fn new(choices: Vec<usize>, settings: &PolicyGradientSettings, seed: u64) -> Self {
        let shape = Shape { units: settings.units, embedding: settings.embedding, choices };
        let network = Network::new(shape, &mut stream(seed, Purpose::Network, 0));
        let adam = Adam::new(network.weights.len());
        Self { network, adam, baseline: None, seen: Vec::new() }
    }

    /// Takes rewards as they are, if the average keeps all of its old value.
    pub(super) fn without_baseline(&mut self) {
        self.baseline = Some(0.0);
    }

    /// Learns from sequences of decisions and their rewards.
    pub(super) fn learn(
        &mut self,
        sequences: &[Vec<Decision>],
        rewards: &[f64],
        rule: Rule,
        settings: &PolicyGradientSettings,
    ) {
        let advantages = advantages(rewards, &mut self.baseline, settings.baseline);
        if advantages.is_empty() {
            return;
        }
        let mut before: Option<Vec<f64>> = None;
        for _ in 0..if rule == Rule::Proximal { settings.passes } else { 1 } {
            let passes: Vec<_> = sequences.iter().map(|sequence| self.network.pass(sequence)).collect();
            let old = before.get_or_insert_with(|| passes.iter().map(|pass| pass.log_probability).collect());
            let mut gradient = vec![0.0; self.network.weights.len()];
            let share = 1.0 / passes.len() as f64;
            for ((pass, old), &advantage) in passes.iter().zip(old).zip(&advantages) {
                let slope = match rule {
                    Rule::Proximal => proximal((pass.log_probability - *old).exp(), advantage)[1],
                    Rule::Reinforce => advantage,
                };
                self.network.backward(pass, share * slope, share * settings.entropy, &mut gradient);
            }
            self.adam.step(&mut self.network.weights, &gradient, settings.learning_rate);
        }
    }
}

/// Adam (D. Kingma, J. Ba, 2015) with its usual numbers.
#[derive(Debug, Clone)]
struct Adam {
    steps: i32,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Adam {
    fn new(length: usize) -> Self {
        Self { steps: 0, first: vec![0.0; length], second: vec![0.0; length] }
    }

    /// Moves weights up along a gradient, whose norm is cut.
    fn step(&mut self, weights: &mut [f64], gradient: &[f64], rate: f64) {
        self.steps += 1;
        let norm = gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
        let cut = if norm > MAX_NORM { MAX_NORM / norm } else { 1.0 };
        let [bias1, bias2] = [0.9, 0.999_f64].map(|keep: f64| 1.0 - keep.powi(self.steps));
        let memories = self.first.iter_mut().zip(&mut self.second);
        for ((weight, slope), (first, second)) in weights.iter_mut().zip(gradient).zip(memories) {
            let slope = slope * cut;
            *first = 0.9 * *first + 0.1 * slope;
            *second = 0.999 * *second + 0.001 * slope * slope;
            *weight += rate * (*first / bias1) / ((*second / bias2).sqrt() + 1e-8);
        }
    }
}

/// Returns each reward less the moving average before it, and updates the average, which begins at their mean.
fn advantages(rewards: &[f64], baseline: &mut Option<f64>, keep: f64) -> Vec<f64> {
    if rewards.is_empty() {
        return Vec::new();
    }
    let average = baseline.get_or_insert_with(|| rewards.iter().sum::<f64>() / rewards.len() as f64);
    let advantage = |reward: &f64| {
        let advantage = reward - *average;
        *average = keep * *average + (1.0 - keep) * reward;
        advantage
    };
    rewards.iter().map(advantage).collect()
}

/// Returns PPO's objective, and its slope by the logarithm of the probability.
fn proximal(ratio: f64, advantage: f64) -> [f64; 2] {
    let (free, clipped) = (ratio * advantage, ratio.clamp(1.0 - CLIP, 1.0 + CLIP) * advantage);
    if free <= clipped { [free, free] } else { [clipped, 0.0] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objective_is_clipped_as_published() {
        let cases = [
            (1.0, 1.0, [1.0, 1.0]),
            (1.1, 1.0, [1.1, 1.1]),
            (1.3, 1.0, [1.2, 0.0]),
            (0.7, 1.0, [0.7, 0.7]),
            (1.3, -1.0, [-1.3, -1.3]),
            (0.7, -1.0, [-0.8, 0.0]),
            (0.9, -1.0, [-0.9, -0.9]),
        ];
        for (ratio, advantage, expected) in cases {
            let found = proximal(ratio, advantage);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{ratio} {advantage} {found:?}");
        }
    }

    #[test]
    fn advantages_are_over_the_average_before() {
        let rewards = [0.5, 0.6, 0.4, 0.7];
        for (start, expected, average) in [
            (0.5, [0.0, 0.1, -0.105, 0.200_25], 0.509_762_5),
            (0.0, [0.5, 0.575, 0.346_25, 0.628_937_5], 0.102_509_375),
        ] {
            let mut baseline = Some(start);
            let found = advantages(&rewards, &mut baseline, 0.95);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
            assert!((baseline.unwrap() - average).abs() < 1e-12);
        }
        let mut baseline = None;
        advantages(&rewards, &mut baseline, 0.95);
        assert!((baseline.unwrap() - 0.55).abs() < 0.02, "it begins at the mean of the first batch");
    }
}
