//! Forward and backward passes of a net. In the forward pass, each step pushes onto the tape what its backward
//! pass needs, and the backward pass pops it again, so a tape is a stack and needs no names.

use std::sync::Arc;

use super::plan::{LayerStep, Norm, Plan};
use crate::engine::{Batch, DropoutKey, Engine, NormShape};
use crate::optimiser::{Optimiser, Update};

/// A net of K children with its parameters and their optimiser state.
pub(crate) struct Network<E: Engine> {
    plan: Arc<Plan>,
    engine: E,
    children: usize,
    /// Absent only while they are updated in place.
    parameters: Vec<Option<E::Array>>,
    slots: Vec<Vec<E::Array>>,
}

/// A parameter of one child.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParameterState {
    pub(crate) values: Vec<f32>,
    /// What the optimiser stores per value: one list per memory, empty if nothing is learnt.
    pub(crate) memories: Vec<Vec<f32>>,
}

/// A training step: where to find its random choices.
pub(crate) struct TrainingStep<'p, E: Engine> {
    pub(crate) draws: &'p E::Draws,
    pub(crate) step: usize,
    /// Whether dropout layers drop.
    pub(crate) dropout: bool,
}

/// What a pass needs besides the arrays.
struct Pass<'p, E: Engine> {
    batch: Batch,
    /// Absent when evaluating.
    training: Option<&'p TrainingStep<'p, E>>,
}

impl<E: Engine> Clone for Pass<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Engine> Copy for Pass<'_, E> {}

impl<E: Engine> Network<E> {
    /// `parameters` holds, in the plan's order, the values of all children one after another.
    pub(crate) fn new(
        plan: &Arc<Plan>,
        engine: &E,
        children: usize,
        parameters: Vec<Vec<f32>>,
        optimiser: &Optimiser,
    ) -> Self {
        let zeros = |length: usize| engine.upload(vec![0.0; length]);
        let slots = plan.parameters.iter().map(|parameter| {
            let count = if parameter.trainable { optimiser.slots() } else { 0 };
            (0..count).map(|_| zeros(children * parameter.len())).collect()
        });
        let slots = slots.collect();
        let parameters = parameters.into_iter().map(|values| Some(engine.upload(values))).collect();
        Self { plan: plan.clone(), engine: engine.clone(), children, parameters, slots }
    }

    pub(crate) fn children(&self) -> usize {
        self.children
    }

    /// Returns a child's values of each parameter, in the plan's order, and their optimiser state.
    pub(crate) fn state(&self, child: usize) -> Result<Vec<ParameterState>, String> {
        let part = |array: &E::Array| {
            let all = self.engine.download(array)?;
            let length = all.len() / self.children;
            Ok(all[child * length..(child + 1) * length].to_vec())
        };
        let parameters = (0..self.parameters.len()).map(|number| {
            let memories = self.slots[number].iter().map(part).collect::<Result<_, String>>()?;
            Ok(ParameterState { values: part(self.parameter(number))?, memories })
        });
        parameters.collect()
    }

    /// Replaces a child's state with a [`state`](Self::state) of a net like this one.
    pub(crate) fn load(&mut self, child: usize, state: &[ParameterState]) -> Result<(), String> {
        let replaced = |array: &E::Array, values: &[f32]| {
            let mut all = self.engine.download(array)?;
            let length = all.len() / self.children;
            all[child * length..(child + 1) * length].copy_from_slice(values);
            Ok::<_, String>(self.engine.upload(all))
        };
        let mut loaded = Vec::new();
        for (number, state) in state.iter().enumerate() {
            let memories = self.slots[number].iter().zip(&state.memories);
            let memories = memories.map(|(slot, values)| replaced(slot, values)).collect::<Result<Vec<_>, _>>()?;
            loaded.push((replaced(self.parameter(number), &state.values)?, memories));
        }
        for (number, (values, memories)) in loaded.into_iter().enumerate() {
            (self.parameters[number], self.slots[number]) = (Some(values), memories);
        }
        Ok(())
    }

    /// Returns logits `[K, B, classes]`.
    pub(crate) fn evaluate(&mut self, x: E::Array, images: usize) -> E::Array {
        let batch = Batch { children: self.children, images };
        let plan = self.plan.clone();
        self.forward(&plan.steps, x, Pass { batch, training: None }, &mut Vec::new())
    }

    /// Returns what the last layer, which gives the logits, receives: `[K, B, features]`.
    pub(crate) fn features(&mut self, x: E::Array, images: usize) -> E::Array {
        let batch = Batch { children: self.children, images };
        let plan = self.plan.clone();
        let before_last = &plan.steps[..plan.steps.len() - 1];
        self.forward(before_last, x, Pass { batch, training: None }, &mut Vec::new())
    }

    /// Returns logits `[K, B, classes]`, and leaves on the tape what [`backward`](Self::backward) needs.
    pub(crate) fn train(
        &mut self,
        x: E::Array,
        images: usize,
        training: &TrainingStep<'_, E>,
        tape: &mut Vec<E::Array>,
    ) -> E::Array {
        let batch = Batch { children: self.children, images };
        let plan = self.plan.clone();
        self.forward(&plan.steps, x, Pass { batch, training: Some(training) }, tape)
    }

    /// Returns the gradients of the parameters; absent for those that are not learnt. The gradient of the images
    /// is computed only if `wants_x` says that its time should be included.
    pub(crate) fn gradients(
        &mut self,
        dy: E::Array,
        images: usize,
        wants_x: bool,
        training: &TrainingStep<'_, E>,
        tape: &mut Vec<E::Array>,
    ) -> Vec<Option<E::Array>> {
        let batch = Batch { children: self.children, images };
        let mut gradients = self.plan.parameters.iter().map(|_| None).collect();
        self.backward(&self.plan.steps, dy, wants_x, Pass { batch, training: Some(training) }, tape, &mut gradients);
        gradients
    }

    /// Applies a step of the optimiser.
    pub(crate) fn update(&mut self, gradients: Vec<Option<E::Array>>, update: &Update) {
        for (number, gradient) in gradients.into_iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let Some(parameter) = self.parameters[number].take() else { continue };
            let mut update = *update;
            if !self.plan.parameters[number].decays() {
                update.weight_decay = 0.0;
            }
            let slots = &mut self.slots[number];
            self.parameters[number] = Some(self.engine.update(parameter, gradient, slots, &update, self.children));
        }
    }

    fn parameter(&self, number: usize) -> &E::Array {
        self.parameters[number].as_ref().expect("no pass is under way while parameters are updated")
    }

    fn forward(
        &mut self,
        steps: &[LayerStep],
        mut x: E::Array,
        pass: Pass<'_, E>,
        tape: &mut Vec<E::Array>,
    ) -> E::Array {
        for step in steps {
            x = self.step(step, x, pass, tape);
        }
        x
    }

    fn step(&mut self, step: &LayerStep, x: E::Array, pass: Pass<'_, E>, tape: &mut Vec<E::Array>) -> E::Array {
        let (engine, batch) = (self.engine.clone(), pass.batch);
        // An evaluation keeps nothing.
        let mut keep = |array: &E::Array| {
            if pass.training.is_some() {
                tape.push(array.clone());
            }
        };
        match step {
            LayerStep::Conv { conv, weights, bias, activation } => {
                let bias = bias.map(|bias| self.parameter(bias));
                let y = engine.conv(&x, self.parameter(*weights), bias, conv, *activation, batch);
                keep(&x);
                keep(&y);
                y
            }
            LayerStep::Depthwise { window, channels, weights } => {
                let y = engine.depthwise(&x, self.parameter(*weights), window, *channels, batch);
                keep(&x);
                y
            }
            LayerStep::BatchNorm { norm, activation } => {
                let shape = norm_shape(norm);
                let gamma = norm.gamma.map(|gamma| self.parameter(gamma).clone());
                let beta = self.parameter(norm.beta).clone();
                let moments = match pass.training {
                    Some(_) => engine.moments(&x, &shape, batch),
                    None => [norm.mean, norm.variance].map(|number| self.parameter(number).clone()),
                };
                let [mean, variance] = &moments;
                let y = engine.normalise(&x, [mean, variance], gamma.as_ref(), &beta, &shape, *activation, batch);
                if pass.training.is_some() {
                    for (number, new) in [(norm.mean, mean), (norm.variance, variance)] {
                        self.parameters[number] = Some(engine.blend(self.parameter(number), new, norm.momentum));
                    }
                }
                [&x, mean, variance, &y].into_iter().for_each(keep);
                y
            }
            LayerStep::MaxPool { window, channels } => {
                let y = engine.max_pool(&x, window, *channels, batch);
                keep(&x);
                keep(&y);
                y
            }
            LayerStep::AveragePool { window, channels } => engine.average_pool(&x, window, *channels, batch),
            LayerStep::GlobalAverage { pixels, channels } => engine.global_average(&x, *pixels, *channels, batch),
            LayerStep::Dropout { rate, layer } => self.dropout(x, *rate, *layer, pass),
            LayerStep::Residual { main, shortcut } => {
                let other = self.forward(shortcut, x.clone(), pass, tape);
                let y = self.forward(main, x, pass, tape);
                engine.add(y, &other)
            }
            LayerStep::Branches { branches, pixels, channels } => {
                let parts: Vec<_> = branches.iter().map(|branch| self.forward(branch, x.clone(), pass, tape)).collect();
                engine.concat(&parts, *pixels, channels, batch)
            }
        }
    }

    fn dropout(&self, x: E::Array, rate: f32, layer: usize, pass: Pass<'_, E>) -> E::Array {
        match pass.training {
            Some(training) if training.dropout => {
                let key = DropoutKey { step: training.step, layer, layers: self.plan.dropouts };
                self.engine.dropout(x, rate, training.draws, key, pass.batch)
            }
            _ => x,
        }
    }

    /// Returns the gradient of the input; absent if it was not asked for and the first step does not yield it for
    /// free.
    fn backward(
        &self,
        steps: &[LayerStep],
        mut dy: E::Array,
        wants_x: bool,
        pass: Pass<'_, E>,
        tape: &mut Vec<E::Array>,
        gradients: &mut Vec<Option<E::Array>>,
    ) -> Option<E::Array> {
        for (place, step) in steps.iter().enumerate().rev() {
            dy = self.step_back(step, dy, wants_x || place > 0, pass, tape, gradients)?;
        }
        Some(dy)
    }

    fn step_back(
        &self,
        step: &LayerStep,
        dy: E::Array,
        wants_x: bool,
        pass: Pass<'_, E>,
        tape: &mut Vec<E::Array>,
        gradients: &mut Vec<Option<E::Array>>,
    ) -> Option<E::Array> {
        let (engine, batch) = (&self.engine, pass.batch);
        let mut kept = || tape.pop().expect("each step takes as much off the tape as it put there");
        match step {
            LayerStep::Conv { conv, weights, bias, activation } => {
                let (y, x) = (kept(), kept());
                let w = self.parameter(*weights);
                let found = engine.conv_backward(&x, w, &y, dy, conv, *activation, wants_x, batch);
                gradients[*weights] = Some(found.weights);
                if let Some(bias) = bias {
                    gradients[*bias] = found.bias;
                }
                found.x
            }
            LayerStep::Depthwise { window, channels, weights } => {
                let x = kept();
                let w = self.parameter(*weights);
                let found = engine.depthwise_backward(&x, w, dy, window, *channels, wants_x, batch);
                gradients[*weights] = Some(found.weights);
                found.x
            }
            LayerStep::BatchNorm { norm, activation } => {
                let (y, variance, mean, x) = (kept(), kept(), kept(), kept());
                let gamma = norm.gamma.map(|gamma| self.parameter(gamma));
                let moments = [&mean, &variance];
                let found =
                    engine.normalise_backward(&x, moments, gamma, &y, dy, &norm_shape(norm), *activation, batch);
                if let Some(gamma) = norm.gamma {
                    gradients[gamma] = Some(found.gamma);
                }
                gradients[norm.beta] = Some(found.beta);
                Some(found.x)
            }
            LayerStep::MaxPool { window, channels } => {
                let (y, x) = (kept(), kept());
                wants_x.then(|| engine.max_pool_backward(&x, &y, dy, window, *channels, batch))
            }
            LayerStep::AveragePool { window, channels } => {
                wants_x.then(|| engine.average_pool_backward(dy, window, *channels, batch))
            }
            LayerStep::GlobalAverage { pixels, channels } => {
                wants_x.then(|| engine.global_average_backward(dy, *pixels, *channels, batch))
            }
            LayerStep::Dropout { rate, layer } => Some(self.dropout(dy, *rate, *layer, pass)),
            LayerStep::Residual { main, shortcut } => {
                let by_main = self.backward(main, dy.clone(), wants_x, pass, tape, gradients);
                let by_shortcut = self.backward(shortcut, dy, wants_x, pass, tape, gradients);
                Some(engine.add(by_main?, &by_shortcut?))
            }
            LayerStep::Branches { branches, pixels, channels } => {
                let parts = engine.split(&dy, *pixels, channels, batch);
                let mut sum = None;
                for (branch, part) in branches.iter().zip(parts).rev() {
                    let dx = self.backward(branch, part, wants_x, pass, tape, gradients);
                    sum = match (sum, dx) {
                        (Some(sum), Some(dx)) => Some(engine.add(sum, &dx)),
                        (sum, dx) => sum.or(dx),
                    };
                }
                sum.filter(|_| wants_x)
            }
        }
    }
}

fn norm_shape(norm: &Norm) -> NormShape {
    NormShape { pixels: norm.pixels, channels: norm.channels, epsilon: norm.epsilon }
}
