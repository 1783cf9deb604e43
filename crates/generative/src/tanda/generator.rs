//! Who chooses the steps of a sequence.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// How the next step of a sequence is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Independently of the steps before: one logit for each function.
    #[default]
    MeanField,
    /// By a layer of long short-term memory with as many units as there are functions, whose outputs are the logits, times
    /// 2.
    Lstm,
    /// By a layer of gated recurrent units (K. Cho et al. 2014), as many as functions, whose outputs are the logits, less
    /// 1/2 and times 6.
    Gru,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Self::MeanField, Self::Lstm, Self::Gru];

    /// Returns the name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanField => "mean-field",
            Self::Lstm => "lstm",
            Self::Gru => "gru",
        }
    }

    /// Returns the number of gates of a unit.
    fn gates(self) -> usize {
        match self {
            Self::MeanField => 0,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }

    /// Returns the slope of the logits by a unit's output.
    fn range(self) -> f64 {
        match self {
            Self::MeanField => 1.0,
            Self::Lstm => 2.0,
            Self::Gru => 6.0,
        }
    }
}

/// A distribution of sequences of functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// How steps are chosen.
    pub kind: Kind,
    /// The number of functions.
    pub functions: usize,
    /// Of `"mean-field"`, a logit for each function. Otherwise `[gates x functions, functions]` by the step before,
    /// `[gates x functions, functions]` by the outputs before, `[gates x functions]` offsets, and the `[functions]` that take
    /// the place of a step before the first. The gates are input, forget, candidate and output, or reset, update and
    /// candidate.
    pub weights: Vec<f64>,
}

/// A unit's outputs and memory; a GRU has no further memory.
#[derive(Debug, Clone)]
struct Memory {
    hidden: Vec<f64>,
    cell: Vec<f64>,
}

/// One step as it was chosen, for the gradients.
struct Step {
    input: Vec<f64>,
    before: Memory,
    gates: Vec<f64>,
    cell: Vec<f64>,
    probabilities: Vec<f64>,
}

impl Generator {
    /// Makes one that has not learnt: every function is equally likely if it is mean-field, and nearly so otherwise. Weights
    /// are drawn as by X. Glorot, Y. Bengio 2010; forgetting, and of a GRU both gates, begin with an offset of 1.
    pub fn new<R: Rng + ?Sized>(kind: Kind, functions: usize, rng: &mut R) -> Self {
        let (rows, k) = (kind.gates() * functions, functions);
        let mut weights = Vec::new();
        match kind {
            Kind::MeanField => weights.resize(k, 0.0),
            _ => {
                let most = (6.0 / (2 * k + rows) as f64).sqrt();
                weights.extend((0..2 * rows * k).map(|_| rng.random_range(-most..most)));
                let ones = if kind == Kind::Lstm { k..2 * k } else { 0..2 * k };
                weights.extend((0..rows).map(|row| f64::from(u8::from(ones.contains(&row)))));
                weights.resize(weights.len() + k, 0.0);
            }
        }
        Self { kind, functions, weights }
    }

    /// Draws a sequence.
    pub fn sample<R: Rng + ?Sized>(&self, length: usize, rng: &mut R) -> Vec<usize> {
        let mut memory = self.start();
        let mut sequence = Vec::with_capacity(length);
        for _ in 0..length {
            let step = self.step(&mut memory, sequence.last().copied());
            let mut left = rng.random::<f64>();
            let chosen = step.probabilities.iter().position(|&p| {
                left -= p;
                left < 0.0
            });
            sequence.push(chosen.unwrap_or(self.functions - 1));
        }
        sequence
    }

    /// Returns the probabilities of each step of a sequence, given those before it.
    pub fn probabilities(&self, sequence: &[usize]) -> Vec<Vec<f64>> {
        self.steps(sequence).into_iter().map(|step| step.probabilities).collect()
    }

    /// Adds the gradient of `sum_t factor_t log p(step t)` to that of the weights.
    pub(super) fn add_gradient(&self, sequence: &[usize], factors: &[f64], gradient: &mut [f64]) {
        let (k, steps) = (self.functions, self.steps(sequence));
        let slopes_of = |step: &Step, chosen: usize, factor: f64| -> Vec<f64> {
            let hit = |function: usize| f64::from(u8::from(function == chosen));
            step.probabilities.iter().enumerate().map(|(function, p)| factor * (hit(function) - p)).collect()
        };
        if self.kind == Kind::MeanField {
            for ((step, &chosen), &factor) in steps.iter().zip(sequence).zip(factors) {
                add(gradient, 1.0, &slopes_of(step, chosen, factor));
            }
            return;
        }
        let rows = self.kind.gates() * k;
        let (by_hidden, offsets, start) = (rows * k, 2 * rows * k, 2 * rows * k + rows);
        let (mut dhidden, mut dcell) = (vec![0.0; k], vec![0.0; k]);
        for (at, step) in steps.iter().enumerate().rev() {
            add(&mut dhidden, self.kind.range(), &slopes_of(step, sequence[at], factors[at]));
            let gate = |number: usize| &step.gates[number * k..][..k];
            let mut slopes = vec![0.0; rows];
            // What the outputs before reach past the gates.
            let mut past = vec![0.0; k];
            // What the candidate's weights by the outputs before are multiplied with.
            let mut reset = step.before.hidden.clone();
            match self.kind {
                Kind::Lstm => {
                    let [enter, forget, candidate, output] = [0, 1, 2, 3].map(gate);
                    for u in 0..k {
                        let squashed = step.cell[u].tanh();
                        let dc = dcell[u] + dhidden[u] * output[u] * (1.0 - squashed * squashed);
                        slopes[u] = dc * candidate[u] * enter[u] * (1.0 - enter[u]);
                        slopes[k + u] = dc * step.before.cell[u] * forget[u] * (1.0 - forget[u]);
                        slopes[2 * k + u] = dc * enter[u] * (1.0 - candidate[u] * candidate[u]);
                        slopes[3 * k + u] = dhidden[u] * squashed * output[u] * (1.0 - output[u]);
                        dcell[u] = dc * forget[u];
                    }
                }
                _ => {
                    let [keep, update, candidate] = [0, 1, 2].map(gate);
                    for u in 0..k {
                        let before = step.before.hidden[u];
                        slopes[k + u] = dhidden[u] * (before - candidate[u]) * update[u] * (1.0 - update[u]);
                        slopes[2 * k + u] = dhidden[u] * (1.0 - update[u]) * (1.0 - candidate[u] * candidate[u]);
                        past[u] = dhidden[u] * update[u];
                        reset[u] = before * keep[u];
                    }
                    for u in 0..k {
                        let column = |row: usize| self.weights[by_hidden + (2 * k + row) * k + u];
                        let dreset: f64 = (0..k).map(|row| slopes[2 * k + row] * column(row)).sum();
                        slopes[u] = dreset * step.before.hidden[u] * keep[u] * (1.0 - keep[u]);
                        past[u] += dreset * keep[u];
                    }
                }
            }
            dhidden = past;
            let mut dinput = vec![0.0; k];
            for (row, &slope) in slopes.iter().enumerate() {
                let is_candidate = self.kind == Kind::Gru && row >= 2 * k;
                let seen = if is_candidate { &reset } else { &step.before.hidden };
                add(&mut gradient[row * k..][..k], slope, &step.input);
                add(&mut gradient[by_hidden + row * k..][..k], slope, seen);
                gradient[offsets + row] += slope;
                add(&mut dinput, slope, &self.weights[row * k..][..k]);
                if !is_candidate {
                    add(&mut dhidden, slope, &self.weights[by_hidden + row * k..][..k]);
                }
            }
            if at == 0 {
                add(&mut gradient[start..], 1.0, &dinput);
            }
        }
    }

    fn start(&self) -> Memory {
        Memory { hidden: vec![0.0; self.functions], cell: vec![0.0; self.functions] }
    }

    fn steps(&self, sequence: &[usize]) -> Vec<Step> {
        let mut memory = self.start();
        let before = std::iter::once(None).chain(sequence.iter().copied().map(Some));
        before.take(sequence.len()).map(|before| self.step(&mut memory, before)).collect()
    }

    /// Returns the distribution of the next step.
    fn step(&self, memory: &mut Memory, before: Option<usize>) -> Step {
        let k = self.functions;
        if self.kind == Kind::MeanField {
            let probabilities = softmax(&self.weights);
            return Step {
                input: Vec::new(),
                before: memory.clone(),
                gates: Vec::new(),
                cell: Vec::new(),
                probabilities,
            };
        }
        let rows = self.kind.gates() * k;
        let (by_hidden, offsets, start) =
            (&self.weights[rows * k..], &self.weights[2 * rows * k..], &self.weights[2 * rows * k + rows..]);
        let input: Vec<f64> = match before {
            Some(function) => (0..k).map(|other| f64::from(u8::from(other == function))).collect(),
            None => start[..k].to_vec(),
        };
        let of_row = |row: usize, hidden: &[f64]| {
            dot(&self.weights[row * k..][..k], &input) + dot(&by_hidden[row * k..][..k], hidden) + offsets[row]
        };
        let earlier = memory.clone();
        let mut gates: Vec<f64> = Vec::with_capacity(rows);
        match self.kind {
            Kind::Lstm => {
                gates.extend((0..rows).map(|row| {
                    let sum = of_row(row, &earlier.hidden);
                    if row / k == 2 { sum.tanh() } else { sigmoid(sum) }
                }));
                for u in 0..k {
                    memory.cell[u] = gates[k + u] * earlier.cell[u] + gates[u] * gates[2 * k + u];
                    memory.hidden[u] = gates[3 * k + u] * memory.cell[u].tanh();
                }
            }
            _ => {
                gates.extend((0..2 * k).map(|row| sigmoid(of_row(row, &earlier.hidden))));
                let reset: Vec<f64> = (0..k).map(|u| gates[u] * earlier.hidden[u]).collect();
                gates.extend((2 * k..rows).map(|row| of_row(row, &reset).tanh()));
                for u in 0..k {
                    memory.hidden[u] = gates[k + u] * earlier.hidden[u] + (1.0 - gates[k + u]) * gates[2 * k + u];
                }
            }
        }
        let (shift, range) = (if self.kind == Kind::Gru { 0.5 } else { 0.0 }, self.kind.range());
        let logits: Vec<f64> = memory.hidden.iter().map(|hidden| range * (hidden - shift)).collect();
        Step { input, before: earlier, gates, cell: memory.cell.clone(), probabilities: softmax(&logits) }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor * value);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::advantage::advantages;
    use super::*;

    fn log_probability(generator: &Generator, sequence: &[usize], factors: &[f64]) -> f64 {
        let all = generator.probabilities(sequence);
        all.iter().zip(sequence).zip(factors).map(|((p, &chosen), factor)| factor * p[chosen].ln()).sum()
    }

    /// The advantages are those of `advantage::tests`.
    #[test]
    fn a_step_of_the_mean_field_generator_is_that_of_the_paper() {
        let mut generator = Generator { kind: Kind::MeanField, functions: 3, weights: vec![0.0, 1.0, 2.0] };
        let batch = [([0, 1, 2], [1.5, 2.0, 1.0]), ([2, 2, 0], [-1.5, -2.0, -1.0])];
        let objective: f64 = batch.iter().map(|(s, a)| log_probability(&generator, s, a)).sum();
        assert!((objective + 3.0).abs() < 1e-12, "{objective}");
        let mut gradient = vec![0.0; 3];
        batch.iter().for_each(|(sequence, advantages)| generator.add_gradient(sequence, advantages, &mut gradient));
        for (found, expected) in gradient.iter().zip([0.5, 2.0, -2.5]) {
            assert!((found - expected).abs() < 1e-12, "{gradient:?}");
        }
        add(&mut generator.weights, -1e-3, &gradient);
        for (found, expected) in generator.weights.iter().zip([-0.0005, 0.998, 2.0025]) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for kind in Kind::ALL {
            let mut generator = Generator::new(kind, 4, &mut rng);
            generator.weights.iter_mut().for_each(|weight| *weight += rng.random_range(-0.5..0.5));
            let (sequence, factors) = ([1, 3, 3, 0, 2], [0.7, -1.3, 0.4, 2.0, -0.6]);
            let mut gradient = vec![0.0; generator.weights.len()];
            generator.add_gradient(&sequence, &factors, &mut gradient);
            for (i, &found) in gradient.iter().enumerate() {
                let at = |moved: f64| {
                    let mut other = generator.clone();
                    other.weights[i] += moved;
                    log_probability(&other, &sequence, &factors)
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((found - expected).abs() < 1e-7, "{kind:?} {i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn probabilities_stay_within_the_range_of_the_logits() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for (kind, most) in [(Kind::MeanField, 1.0), (Kind::Lstm, 4.0_f64.exp()), (Kind::Gru, 12.0_f64.exp())] {
            let generator = Generator::new(kind, 6, &mut rng);
            assert_eq!(generator.sample(7, &mut rng).len(), 7);
            for p in generator.probabilities(&[0, 5, 2, 2, 1]) {
                assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                let (low, high) = p.iter().fold((1.0_f64, 0.0_f64), |(a, b), &p| (a.min(p), b.max(p)));
                assert!(high / low <= most + 1e-9, "{kind:?}");
            }
        }
        let first = |kind| Generator::new(kind, 6, &mut ChaCha8Rng::seed_from_u64(5));
        assert_eq!(first(Kind::Lstm), first(Kind::Lstm));
    }

    /// Points of a disc of radius 1/2 that steps move; a loss of 1 outside the disc of radius 1. Ten steps of length 0.1
    /// and five of length 2. After the original's synthetic experiment; its means are 0.0686, 0.0292 and 0.0179.
    #[test]
    fn steps_that_leave_the_data_are_unlearnt() {
        let moves: Vec<[f64; 2]> = (0..15)
            .map(|k| {
                let (angle, length) = (std::f64::consts::TAU * f64::from(k) / 15.0, if k < 10 { 0.1 } else { 2.0 });
                [length * angle.cos(), length * angle.sin()]
            })
            .collect();
        for seed in 0..3 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut generator = Generator::new(Kind::MeanField, 15, &mut rng);
            let mut mass = Vec::new();
            for step in 1..=300 {
                let sequences: Vec<Vec<usize>> = (0..160).map(|_| generator.sample(5, &mut rng)).collect();
                let losses: Vec<Vec<f64>> = sequences
                    .iter()
                    .map(|sequence| {
                        let (radius, angle) =
                            (0.5 * rng.random::<f64>().sqrt(), std::f64::consts::TAU * rng.random::<f64>());
                        let mut at = [radius * angle.cos(), radius * angle.sin()];
                        let mut losses = vec![0.0];
                        for &function in sequence {
                            at = [at[0] + moves[function][0], at[1] + moves[function][1]];
                            losses.push(f64::from(u8::from(at[0].hypot(at[1]) > 1.0)));
                        }
                        losses
                    })
                    .collect();
                let mut gradient = vec![0.0; 15];
                for (sequence, advantages) in sequences.iter().zip(advantages(&losses, 0.5)) {
                    generator.add_gradient(sequence, &advantages, &mut gradient);
                }
                add(&mut generator.weights, -1e-3, &gradient);
                if step % 100 == 0 {
                    mass.push(softmax(&generator.weights)[10..].iter().sum::<f64>());
                }
            }
            assert!(mass[0] < 0.08 && mass[1] < 0.035 && mass[2] < 0.022, "seed {seed}: {mass:?}");
        }
    }
}
