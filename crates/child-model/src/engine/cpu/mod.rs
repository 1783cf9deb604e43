//! Our own kernels for the CPU: a child on the calling thread. The children of a batch are computed one after
//! another by the same code as a single child, so their results are identical bit for bit.

mod buffer;
mod conv;
mod depthwise;
mod elementwise;
mod im2col;
mod matrix;
mod norm;
mod pool;
mod shape;
mod vector;
mod winograd;

use std::rc::Rc;

use ndarray::{Axis, CowArray, Ix4};

pub(crate) use buffer::Buffer;

use self::shape::{ConvGradients, Shape};
use super::{Batch, Choices, DropoutKey, Engine, Gradients, Loss, NormGradients, NormShape, Rows};
use crate::geometry::{Activation, Conv, Window};
use crate::optimiser::Update;

/// The engine; all its state is in its arrays.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu;

type Array = Rc<Buffer>;

/// Returns the array's numbers for modification: its own if nobody else has them, otherwise a copy.
fn own(array: Array) -> Buffer {
    Rc::try_unwrap(array).unwrap_or_else(|shared| Buffer::copy(&shared))
}

/// Splits arrays of all children into the part of each.
fn parts(values: &[f32], children: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact((values.len() / children).max(1))
}

fn parts_mut(values: &mut [f32], children: usize) -> impl Iterator<Item = &mut [f32]> {
    let length = (values.len() / children).max(1);
    values.chunks_exact_mut(length)
}

/// Returns the part of one child.
fn part(values: &[f32], child: usize, children: usize) -> &[f32] {
    let length = values.len() / children;
    &values[child * length..(child + 1) * length]
}

fn part_mut(values: &mut [f32], child: usize, children: usize) -> &mut [f32] {
    let length = values.len() / children;
    &mut values[child * length..(child + 1) * length]
}

impl Cpu {
    /// Makes an array for all children, part by part.
    fn each(batch: Batch, length: usize, mut make: impl FnMut(usize, &mut [f32])) -> Array {
        let mut all = Buffer::uninit(batch.children * length);
        for (child, part) in all.chunks_exact_mut(length.max(1)).enumerate() {
            make(child, part);
        }
        Rc::new(all)
    }
}

impl Engine for Cpu {
    type Array = Array;
    type Pixels<'a> = Rc<CowArray<'a, u8, Ix4>>;
    type Data<'a> = Vec<Rows<'a, Cpu>>;
    type Draws = Choices;

    fn upload(&self, values: Vec<f32>) -> Array {
        Rc::new(values.into())
    }

    fn download(&self, array: &Array) -> Result<Vec<f32>, String> {
        Ok(array.to_vec())
    }

    fn pixels<'a>(&self, images: CowArray<'a, u8, Ix4>) -> Rc<CowArray<'a, u8, Ix4>> {
        Rc::new(if images.is_standard_layout() { images } else { images.as_standard_layout().into_owned().into() })
    }

    fn data<'a>(&self, rows: Vec<Rows<'a, Cpu>>) -> Vec<Rows<'a, Cpu>> {
        rows
    }

    fn draws(&self, _: &Vec<Rows<'_, Cpu>>, choices: Choices, _: Batch) -> Choices {
        choices
    }

    fn batch(&self, data: &Vec<Rows<'_, Cpu>>, draws: &Choices, step: usize, batch: Batch) -> [Array; 2] {
        let (_, height, width, channels) = data[0].parts[0].dim();
        let size = height * width * channels;
        let classes = data[0].targets.len() / data[0].parts.iter().map(|part| part.dim().0).sum::<usize>();
        let mut images = Buffer::uninit(batch.children * batch.images * size);
        let mut targets = Buffer::zeros(batch.children * batch.images * classes);
        let first = step * batch.children * batch.images;
        let places = images.chunks_exact_mut(size).zip(targets.chunks_exact_mut(classes));
        for (place, (image, target)) in places.enumerate() {
            let rows = &data[place / batch.images % data.len()];
            let mut mix = |row: u32, share: f32, write: fn(&[u8], [f32; 2], &mut [f32])| {
                let row = row as usize;
                let (mut part, mut at) = (0, row);
                while at >= rows.parts[part].dim().0 {
                    at -= rows.parts[part].dim().0;
                    part += 1;
                }
                let pixels = rows.parts[part].index_axis(Axis(0), at);
                let pixels = pixels.to_slice().expect("images are stored whole, one after another");
                write(pixels, rows.input.line(share), image);
                let weights = &rows.targets[row * classes..][..classes];
                target.iter_mut().zip(weights).for_each(|(target, weight)| *target += share * weight);
            };
            let (partner, share) = draws.partners.get(first + place).copied().unwrap_or((0, 1.0));
            mix(draws.rows[first + place], share, elementwise::scale_pixels);
            if share < 1.0 {
                mix(partner, 1.0 - share, elementwise::add_scaled_pixels);
            }
        }
        [Rc::new(images), Rc::new(targets)]
    }

    fn conv(
        &self,
        x: &Array,
        weights: &Array,
        bias: Option<&Array>,
        conv: &Conv,
        activation: Activation,
        batch: Batch,
    ) -> Array {
        let shape = Shape { images: batch.images, conv: *conv, bounds: activation.into() };
        let no_bias = if bias.is_none() { Buffer::zeros(conv.output) } else { Buffer::default() };
        Self::each(batch, shape.outputs(), |child, y| {
            let [x, w] = [x, weights].map(|array| part(array, child, batch.children));
            let b = bias.map_or(&*no_bias, |bias| part(bias, child, batch.children));
            conv::forward(&shape, x, w, b, y);
        })
    }

    fn conv_backward(
        &self,
        x: &Array,
        weights: &Array,
        y: &Array,
        dy: Array,
        conv: &Conv,
        activation: Activation,
        wants_x: bool,
        batch: Batch,
    ) -> Gradients<Array> {
        let shape = Shape { images: batch.images, conv: *conv, bounds: activation.into() };
        let children = batch.children;
        let mut dx = Buffer::uninit(if wants_x { children * shape.inputs() } else { 0 });
        let mut dw = Buffer::uninit(children * shape.weights());
        let mut db = Buffer::uninit(children * conv.output);
        for child in 0..children {
            let [x, w, y, dy] = [x, weights, y, &dy].map(|array| part(array, child, children));
            let out = ConvGradients {
                x: wants_x.then(|| part_mut(&mut dx, child, children)),
                w: part_mut(&mut dw, child, children),
                b: part_mut(&mut db, child, children),
            };
            conv::backward(&shape, x, w, y, dy, out);
        }
        Gradients { x: wants_x.then(|| Rc::new(dx)), weights: Rc::new(dw), bias: Some(Rc::new(db)) }
    }

    fn depthwise(&self, x: &Array, weights: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        Self::each(batch, batch.images * window.out_pixels() * channels, |child, y| {
            let [x, w] = [x, weights].map(|array| part(array, child, batch.children));
            depthwise::forward(window, channels, x, w, y);
        })
    }

    fn depthwise_backward(
        &self,
        x: &Array,
        weights: &Array,
        dy: Array,
        window: &Window,
        channels: usize,
        wants_x: bool,
        batch: Batch,
    ) -> Gradients<Array> {
        let mut dx = Buffer::uninit(if wants_x { x.len() } else { 0 });
        let mut dw = Buffer::uninit(weights.len());
        for child in 0..batch.children {
            let [x, w, dy] = [x, weights, &dy].map(|array| part(array, child, batch.children));
            let dx = part_mut(&mut dx, child, batch.children);
            depthwise::backward(window, channels, x, w, dy, dx, part_mut(&mut dw, child, batch.children));
        }
        Gradients { x: wants_x.then(|| Rc::new(dx)), weights: Rc::new(dw), bias: None }
    }

    fn moments(&self, x: &Array, shape: &NormShape, batch: Batch) -> [Array; 2] {
        let [mut mean, mut variance] = [0, 1].map(|_| Buffer::uninit(batch.children * shape.channels));
        let out = parts_mut(&mut mean, batch.children).zip(parts_mut(&mut variance, batch.children));
        for (x, (mean, variance)) in parts(x, batch.children).zip(out) {
            norm::moments(x, mean, variance);
        }
        [Rc::new(mean), Rc::new(variance)]
    }

    fn normalise(
        &self,
        x: &Array,
        [mean, variance]: [&Array; 2],
        gamma: Option<&Array>,
        beta: &Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> Array {
        let [mut scale, mut shift] = [0, 1].map(|_| Buffer::uninit(mean.len()));
        for i in 0..mean.len() {
            scale[i] = gamma.map_or(1.0, |gamma| gamma[i]) / (variance[i] + shape.epsilon).sqrt();
            shift[i] = beta[i] - mean[i] * scale[i];
        }
        Self::each(batch, x.len() / batch.children, |child, y| {
            let [scale, shift] = [&scale, &shift].map(|values| part(values, child, batch.children));
            norm::apply(part(x, child, batch.children), scale, shift, activation.into(), y);
        })
    }

    fn normalise_backward(
        &self,
        x: &Array,
        [mean, variance]: [&Array; 2],
        gamma: Option<&Array>,
        y: &Array,
        dy: Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> NormGradients<Array> {
        let children = batch.children;
        let mut dx = own(dy);
        let [mut spread, mut scale, mut by_x, mut constant, mut dgamma, mut dbeta] =
            [0; 6].map(|_| Buffer::uninit(mean.len()));
        for i in 0..mean.len() {
            spread[i] = 1.0 / (variance[i] + shape.epsilon).sqrt();
            scale[i] = spread[i] * gamma.map_or(1.0, |gamma| gamma[i]);
        }
        let rows = (batch.images * shape.pixels) as f32;
        for child in 0..children {
            let [x, y, mean] = [x, y, mean].map(|array| part(array, child, children));
            let [spread, scale] = [&spread, &scale].map(|values| part(values, child, children));
            let dx = part_mut(&mut dx, child, children);
            let [dgamma, dbeta] = [&mut dgamma, &mut dbeta].map(|values| part_mut(values, child, children));
            norm::parameter_gradients(x, mean, spread, y, dx, activation.into(), dgamma, dbeta);
            let [by_x, constant] = [&mut by_x, &mut constant].map(|values| part_mut(values, child, children));
            for c in 0..shape.channels {
                by_x[c] = -scale[c] * spread[c] * dgamma[c] / rows;
                constant[c] = -scale[c] * dbeta[c] / rows - by_x[c] * mean[c];
            }
            norm::input_gradients(x, y, dx, activation.into(), scale, by_x, constant);
        }
        NormGradients { x: Rc::new(dx), gamma: Rc::new(dgamma), beta: Rc::new(dbeta) }
    }

    fn blend(&self, old: &Array, new: &Array, keep: f32) -> Array {
        let mut blended = Buffer::copy(old);
        elementwise::blend(&mut blended, new, keep);
        Rc::new(blended)
    }

    // Pools see all children's images as one batch: each image is independent.
    fn max_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let mut y = Buffer::uninit(batch.children * batch.images * window.out_pixels() * channels);
        pool::max(window, channels, x, &mut y);
        Rc::new(y)
    }

    fn max_pool_backward(&self, x: &Array, y: &Array, dy: Array, window: &Window, channels: usize, _: Batch) -> Array {
        let mut dx = Buffer::uninit(x.len());
        pool::max_back(window, channels, x, y, &dy, &mut Buffer::uninit(channels), &mut dx);
        Rc::new(dx)
    }

    fn average_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let mut y = Buffer::uninit(batch.children * batch.images * window.out_pixels() * channels);
        pool::average(window, channels, x, &mut y);
        Rc::new(y)
    }

    fn average_pool_backward(&self, dy: Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let mut dx = Buffer::uninit(batch.children * batch.images * window.in_pixels() * channels);
        pool::average_back(window, channels, &dy, &mut dx);
        Rc::new(dx)
    }

    fn global_average(&self, x: &Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        let mut y = Buffer::uninit(batch.children * batch.images * channels);
        pool::global(pixels, channels, x, &mut y);
        Rc::new(y)
    }

    fn global_average_backward(&self, dy: Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        let mut dx = Buffer::uninit(batch.children * batch.images * pixels * channels);
        pool::global_back(pixels, channels, &dy, &mut dx);
        Rc::new(dx)
    }

    fn dropout(&self, x: Array, rate: f32, draws: &Choices, key: DropoutKey, batch: Batch) -> Array {
        let mut x = own(x);
        let keys = &draws.dropout[key.first(batch.children)..];
        for (x, key) in parts_mut(&mut x, batch.children).zip(keys) {
            elementwise::dropout(x, rate, *key);
        }
        Rc::new(x)
    }

    fn add(&self, a: Array, b: &Array) -> Array {
        let mut a = own(a);
        elementwise::add(&mut a, b);
        Rc::new(a)
    }

    fn concat(&self, parts: &[Array], pixels: usize, channels: &[usize], batch: Batch) -> Array {
        let total: usize = channels.iter().sum();
        let mut whole = Buffer::uninit(batch.children * batch.images * pixels * total);
        for (pixel, whole) in whole.chunks_exact_mut(total).enumerate() {
            let mut first = 0;
            for (part, &channels) in parts.iter().zip(channels) {
                whole[first..first + channels].copy_from_slice(&part[pixel * channels..][..channels]);
                first += channels;
            }
        }
        Rc::new(whole)
    }

    fn split(&self, whole: &Array, pixels: usize, channels: &[usize], batch: Batch) -> Vec<Array> {
        let total: usize = channels.iter().sum();
        let rows = batch.children * batch.images * pixels;
        let mut first = 0;
        let cut = channels.iter().map(|&channels| {
            let mut part = Buffer::uninit(rows * channels);
            for (pixel, part) in part.chunks_exact_mut(channels).enumerate() {
                part.copy_from_slice(&whole[pixel * total + first..][..channels]);
            }
            first += channels;
            Rc::new(part)
        });
        cut.collect()
    }

    fn cross_entropy(
        &self,
        logits: &Array,
        targets: &Array,
        classes: usize,
        entropy: f32,
        batch: Batch,
    ) -> Loss<Array> {
        let mut gradient = Buffer::uninit(logits.len());
        let mut sums = Buffer::uninit(2 * batch.children);
        let mut rows = Buffer::zeros(3 * batch.children * batch.images);
        for child in 0..batch.children {
            let [logits, targets] = [logits, targets].map(|array| part(array, child, batch.children));
            let [gradient, rows] = [&mut gradient, &mut rows].map(|array| part_mut(array, child, batch.children));
            let found = elementwise::cross_entropy(logits, targets, classes, entropy, gradient, rows);
            sums[2 * child..2 * child + 2].copy_from_slice(&found);
        }
        Loss { gradient: Rc::new(gradient), sums: Rc::new(sums), rows: Rc::new(rows) }
    }

    fn update(
        &self,
        parameter: Array,
        gradient: Array,
        slots: &mut [Array],
        update: &Update,
        children: usize,
    ) -> Array {
        let mut parameter = own(parameter);
        let mut memories: Vec<Buffer> = slots.iter_mut().map(|slot| own(std::mem::take(slot))).collect();
        for child in 0..children {
            let mut memories = memories.iter_mut().map(|memory| part_mut(memory, child, children));
            let mut memory = || memories.next().unwrap_or_default();
            let slots = [memory(), memory()];
            let parameter = part_mut(&mut parameter, child, children);
            elementwise::update(parameter, part(&gradient, child, children), slots, update);
        }
        slots.iter_mut().zip(memories).for_each(|(slot, memory)| *slot = Rc::new(memory));
        Rc::new(parameter)
    }
}
