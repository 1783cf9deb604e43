//! A recurrent network that writes sequences of decisions: a layer of long short-term memory (S. Hochreiter, J.
//! Schmidhuber, 1997), whose input is the embedding of the decision before, and a softmax over the choices of each.

use rand::Rng;

/// A decision: of which kind, and which choice was made. Decisions of one kind share their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) kind: usize,
    pub(super) choice: usize,
}

/// The sizes of a network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) units: usize,
    pub(super) embedding: usize,
    /// The number of choices of each kind of decision.
    pub(super) choices: Vec<usize>,
}

/// Where the weights of each part begin in the list of all.
#[derive(Debug, Clone, PartialEq)]
struct Layout {
    /// `[4 units, embedding]`; the gates in the order input, forget, candidate, output.
    input: usize,
    /// `[4 units, units]`.
    hidden: usize,
    /// `[4 units]`.
    offsets: usize,
    /// For each kind, `[choices, units]`, then `[choices]`.
    heads: Vec<usize>,
    /// What comes in before the first decision.
    start: usize,
    /// For each kind, `[choices, embedding]`.
    embeddings: Vec<usize>,
    length: usize,
}

/// The network and its weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Network {
    shape: Shape,
    layout: Layout,
    pub(super) weights: Vec<f64>,
}

/// What the network remembers between decisions.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    input: Vec<f64>,
    hidden: Vec<f64>,
    cell: Vec<f64>,
}

/// One decision's part of a pass, for the gradients.
struct Step {
    /// Where the input's weights are: those of the start, or of an embedding.
    input: usize,
    before: Memory,
    /// The four gates after their functions.
    gates: Vec<f64>,
    cell: Vec<f64>,
    hidden: Vec<f64>,
    probabilities: Vec<f64>,
    decision: Decision,
}

impl Pass {
    /// Returns the kind of each decision, and the probabilities of its choices.
    pub(super) fn distributions(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.steps.iter().map(|step| (step.decision.kind, step.probabilities.as_slice()))
    }
}

/// A sequence of decisions as the network sees it.
pub(super) struct Pass {
    steps: Vec<Step>,
    pub(super) log_probability: f64,
    /// The sum of the entropies of the distributions along the way.
    pub(super) entropy: f64,
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

pub(super) fn entropy(probabilities: &[f64]) -> f64 {
    -probabilities.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Adds `factor * values` to a part of the gradient.
fn add(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor * value);
}

impl Shape {
    fn layout(&self) -> Layout {
        let mut length = 0;
        let mut part = |count: usize| {
            length += count;
            length - count
        };
        let Self { units, embedding, choices } = self;
        let input = part(4 * units * embedding);
        let hidden = part(4 * units * units);
        let offsets = part(4 * units);
        let heads = choices.iter().map(|choices| part(choices * (units + 1))).collect();
        let start = part(*embedding);
        let embeddings = choices.iter().map(|choices| part(choices * embedding)).collect();
        Layout { input, hidden, offsets, heads, start, embeddings, length }
    }
}

impl Network {
    /// Draws weights from U(-0.1, 0.1), offsets of the heads 0 (E. Cubuk et al., AutoAugment, 2019, appendix).
    pub(super) fn new<R: Rng>(shape: Shape, rng: &mut R) -> Self {
        let layout = shape.layout();
        let mut weights: Vec<f64> = (0..layout.length).map(|_| rng.random_range(-0.1..0.1)).collect();
        for (&head, &choices) in layout.heads.iter().zip(&shape.choices) {
            weights[head + choices * shape.units..][..choices].fill(0.0);
        }
        Self { shape, layout, weights }
    }

    /// Returns the number of choices of each kind of decision.
    pub(super) fn choices(&self) -> &[usize] {
        &self.shape.choices
    }

    /// Returns what it remembers before the first decision.
    pub(super) fn start(&self) -> Memory {
        let zeros = || vec![0.0; self.shape.units];
        let input = self.weights[self.layout.start..][..self.shape.embedding].to_vec();
        Memory { input, hidden: zeros(), cell: zeros() }
    }

    /// Returns the probability of each choice of the next decision, and what is remembered until its outcome is
    /// [told](Self::decided).
    pub(super) fn probabilities(&self, memory: &mut Memory, kind: usize) -> Vec<f64> {
        let (gates, cell) = self.gates(memory);
        memory.hidden = self.hidden(&gates, &cell);
        memory.cell = cell;
        self.head(&memory.hidden, kind)
    }

    pub(super) fn decided(&self, memory: &mut Memory, decision: Decision) {
        memory.input = self.embedded(decision).1.to_vec();
    }

    fn embedded(&self, Decision { kind, choice }: Decision) -> (usize, &[f64]) {
        let first = self.layout.embeddings[kind] + choice * self.shape.embedding;
        (first, &self.weights[first..][..self.shape.embedding])
    }

    fn gates(&self, memory: &Memory) -> (Vec<f64>, Vec<f64>) {
        let Shape { units, embedding, .. } = self.shape;
        let [input, hidden] = [self.layout.input, self.layout.hidden].map(|first| &self.weights[first..]);
        let offsets = &self.weights[self.layout.offsets..];
        let gates: Vec<f64> = (0..4 * units)
            .map(|row| {
                let sum = dot(&input[row * embedding..][..embedding], &memory.input)
                    + dot(&hidden[row * units..][..units], &memory.hidden)
                    + offsets[row];
                if row / units == 2 { sum.tanh() } else { sigmoid(sum) }
            })
            .collect();
        let cell = (0..units).map(|u| gates[units + u] * memory.cell[u] + gates[u] * gates[2 * units + u]).collect();
        (gates, cell)
    }

    fn hidden(&self, gates: &[f64], cell: &[f64]) -> Vec<f64> {
        let output = &gates[3 * self.shape.units..];
        output.iter().zip(cell).map(|(output, cell)| output * cell.tanh()).collect()
    }

    fn head(&self, hidden: &[f64], kind: usize) -> Vec<f64> {
        let (units, choices) = (self.shape.units, self.shape.choices[kind]);
        let head = &self.weights[self.layout.heads[kind]..];
        let logit = |row: usize| dot(&head[row * units..][..units], hidden) + head[choices * units + row];
        softmax(&(0..choices).map(logit).collect::<Vec<_>>())
    }

    /// Computes how likely a sequence is.
    pub(super) fn pass(&self, decisions: &[Decision]) -> Pass {
        let mut memory = self.start();
        let mut input = self.layout.start;
        let mut pass = Pass { steps: Vec::with_capacity(decisions.len()), log_probability: 0.0, entropy: 0.0 };
        for &decision in decisions {
            let before = memory.clone();
            let (gates, cell) = self.gates(&memory);
            let hidden = self.hidden(&gates, &cell);
            let probabilities = self.head(&hidden, decision.kind);
            pass.log_probability += probabilities[decision.choice].ln();
            pass.entropy += entropy(&probabilities);
            (memory.hidden, memory.cell) = (hidden.clone(), cell.clone());
            pass.steps.push(Step { input, before, gates, cell, hidden, probabilities, decision });
            let (first, values) = self.embedded(decision);
            (input, memory.input) = (first, values.to_vec());
        }
        pass
    }

    /// Adds the gradient of `by_log_probability * log p + by_entropy * entropy` to that of the weights.
    pub(super) fn backward(&self, pass: &Pass, by_log_probability: f64, by_entropy: f64, gradient: &mut [f64]) {
        let Shape { units, embedding, .. } = self.shape;
        let layout = &self.layout;
        let (mut dhidden, mut dcell) = (vec![0.0; units], vec![0.0; units]);
        let mut dinput = vec![0.0; embedding];
        for step in pass.steps.iter().rev() {
            let Decision { kind, choice } = step.decision;
            let choices = self.shape.choices[kind];
            let of_step = entropy(&step.probabilities);
            let head = layout.heads[kind];
            for (row, &p) in step.probabilities.iter().enumerate() {
                let by_entropy = if p > 0.0 { -by_entropy * p * (p.ln() + of_step) } else { 0.0 };
                let slope = by_log_probability * (f64::from(u8::from(row == choice)) - p) + by_entropy;
                add(&mut gradient[head + row * units..][..units], slope, &step.hidden);
                gradient[head + choices * units + row] += slope;
                add(&mut dhidden, slope, &self.weights[head + row * units..][..units]);
            }
            let gate = |number: usize| &step.gates[number * units..][..units];
            let [enter, forget, candidate, output] = [0, 1, 2, 3].map(gate);
            let mut slopes = vec![0.0; 4 * units];
            for u in 0..units {
                let squashed = step.cell[u].tanh();
                let dc = dcell[u] + dhidden[u] * output[u] * (1.0 - squashed * squashed);
                slopes[u] = dc * candidate[u] * enter[u] * (1.0 - enter[u]);
                slopes[units + u] = dc * step.before.cell[u] * forget[u] * (1.0 - forget[u]);
                slopes[2 * units + u] = dc * enter[u] * (1.0 - candidate[u] * candidate[u]);
                slopes[3 * units + u] = dhidden[u] * squashed * output[u] * (1.0 - output[u]);
                dcell[u] = dc * forget[u];
            }
            dhidden.fill(0.0);
            dinput.fill(0.0);
            for (row, &slope) in slopes.iter().enumerate() {
                let (input, hidden) = (layout.input + row * embedding, layout.hidden + row * units);
                add(&mut gradient[input..][..embedding], slope, &step.before.input);
                add(&mut gradient[hidden..][..units], slope, &step.before.hidden);
                gradient[layout.offsets + row] += slope;
                add(&mut dinput, slope, &self.weights[input..][..embedding]);
                add(&mut dhidden, slope, &self.weights[hidden..][..units]);
            }
            add(&mut gradient[step.input..][..embedding], 1.0, &dinput);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The controller of two units whose values an independent program in f64 NumPy worked out.
    fn tiny() -> Network {
        let shape = Shape { units: 2, embedding: 2, choices: vec![3, 2, 2] };
        let layout = shape.layout();
        let mut weights = vec![0.0; layout.length];
        let mut fill = |first: usize, count: usize, start: f64, step: f64| {
            (0..count).for_each(|i| weights[first + i] = start + step * i as f64);
        };
        fill(layout.input, 16, -0.4, 0.05);
        fill(layout.hidden, 16, 0.3, -0.04);
        fill(layout.offsets, 8, -0.1, 0.03);
        fill(layout.heads[0], 6, -0.3, 0.1);
        fill(layout.heads[0] + 6, 3, 0.0, 0.05);
        fill(layout.heads[1], 4, 0.2, -0.1);
        fill(layout.heads[1] + 4, 2, 0.0, 0.1);
        fill(layout.heads[2], 4, -0.1, 0.15);
        fill(layout.heads[2] + 4, 2, 0.1, -0.1);
        fill(layout.start, 2, 0.1, 0.1);
        fill(layout.embeddings[0], 6, -0.2, 0.1);
        fill(layout.embeddings[1], 4, 0.3, -0.1);
        Network { shape, layout, weights }
    }

    fn decisions(choices: [usize; 3]) -> Vec<Decision> {
        choices.into_iter().enumerate().map(|(kind, choice)| Decision { kind, choice }).collect()
    }

    fn close(found: &[f64], expected: &[f64], digits: i32) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 10f64.powi(-digits), "{found} {expected}");
        }
    }

    fn norm(values: &[f64]) -> f64 {
        dot(values, values).sqrt()
    }

    #[test]
    fn probabilities_and_gradients_are_the_reference_programs() {
        let network = tiny();
        let pass = network.pass(&decisions([2, 0, 1]));
        close(&[pass.log_probability, pass.entropy], &[-2.518_142_784_7, 2.481_995_812_2], 9);
        close(&pass.steps[0].probabilities, &[0.314_841_765_8, 0.332_984_829_4, 0.352_173_404_8], 9);
        close(&pass.steps[1].probabilities, &[0.477_563_849, 0.522_436_151], 9);
        close(&pass.steps[2].probabilities, &[0.520_712_079, 0.479_287_921], 9);
        let others = [([0, 0, 0], -2.548_764_554_4), ([1, 1, 0], -2.397_004_678_7), ([2, 1, 1], -2.430_772_455)];
        for (choices, expected) in others {
            close(&[network.pass(&decisions(choices)).log_probability], &[expected], 9);
        }
        let gradient = |by_log_probability, by_entropy| {
            let mut gradient = vec![0.0; network.weights.len()];
            network.backward(&pass, by_log_probability, by_entropy, &mut gradient);
            gradient
        };
        let (found, layout) = (gradient(1.0, 0.0), &network.layout);
        close(&[norm(&found)], &[1.329_417_5], 7);
        let offsets =
            [0.002_423_5, 0.008_206_5, 0.000_754_9, 0.002_537_8, 0.142_293_2, 0.150_412_7, 0.001_973_5, 0.006_634_5];
        close(&found[layout.offsets..], &offsets, 6);
        close(&found[layout.start..], &[0.006_098_9, 0.013_110_5], 6);
        close(&found[layout.embeddings[0]..], &[0.0, 0.0, 0.0, 0.0, 0.003_641_9, 0.008_177_5], 6);
        close(&found[layout.heads[0] + 6..], &[-0.314_841_8, -0.332_984_8, 0.647_826_6], 6);
        let found = gradient(0.0, 1.0);
        close(&[norm(&found)], &[0.050_715_1], 7);
        close(&found[layout.heads[0] + 6..], &[0.018_298_1, 0.000_696_5, -0.018_994_5], 6);
    }

    #[test]
    fn the_mean_gradient_of_the_reward_is_the_gradient_of_the_mean_reward() {
        let network = tiny();
        let mut gradient = vec![0.0; network.weights.len()];
        let (mut total, mut mean, mut entropies) = (0.0, 0.0, 0.0);
        for number in 0..12 {
            let choices = [number / 4, number / 2 % 2, number % 2];
            let pass = network.pass(&decisions(choices));
            let p = pass.log_probability.exp();
            let reward = (choices[0] + 2 * choices[1] + 4 * choices[2]) as f64;
            network.backward(&pass, p * reward, 0.0, &mut gradient);
            (total, mean, entropies) = (total + p, mean + p * reward, entropies + p * pass.entropy);
        }
        close(&[total, mean, entropies], &[1.0, 3.996_709_487, 2.481_839_208_8], 9);
        close(&[norm(&gradient)], &[1.656_107_9], 7);
        close(&gradient[network.layout.heads[0] + 6..], &[-0.326_694_2, -0.012_406_1, 0.339_100_4], 6);
        close(&gradient[network.layout.heads[2] + 4..], &[-0.998_107_2, 0.998_107_2], 6);
    }

    #[test]
    fn a_gradient_is_the_slope() {
        let mut network = tiny();
        let sequence: Vec<Decision> =
            [(0, 1), (2, 0), (0, 2), (1, 1), (1, 0), (0, 0)].map(|(kind, choice)| Decision { kind, choice }).into();
        let mut gradient = vec![0.0; network.weights.len()];
        network.backward(&network.pass(&sequence), 0.7, -1.3, &mut gradient);
        for (weight, found) in gradient.into_iter().enumerate() {
            let mut value = |change: f64| {
                network.weights[weight] += change;
                let pass = network.pass(&sequence);
                network.weights[weight] -= change;
                0.7 * pass.log_probability - 1.3 * pass.entropy
            };
            let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
            assert!((found - slope).abs() < 1e-8, "{weight}: {found} {slope}");
        }
    }

    #[test]
    fn a_pass_sees_what_was_sampled() {
        let network = tiny();
        let mut memory = network.start();
        let mut log_probability = 0.0;
        for decision in decisions([1, 1, 0]) {
            log_probability += network.probabilities(&mut memory, decision.kind)[decision.choice].ln();
            network.decided(&mut memory, decision);
        }
        assert_eq!(log_probability, network.pass(&decisions([1, 1, 0])).log_probability);
    }
}
