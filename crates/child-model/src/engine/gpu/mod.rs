//! Our own kernels for a GPU, in CubeCL on the wgpu client of burn. Every launch serves all children.
#![expect(clippy::manual_is_multiple_of, reason = "the language of kernels has no such function")]

mod array;
mod batch;
mod depthwise;
mod elementwise;
mod loss;
mod norm;
mod pool;
mod product;
mod update;

use std::fmt;
use std::rc::Rc;

use cubecl::client::Client;
use ndarray::{CowArray, Ix4};

pub(crate) use self::array::Array;
use self::batch::{Data, Draws, Packed};
use self::elementwise::Strip;
use super::{Batch, Choices, DropoutKey, Engine, Gradients, Loss, NormGradients, NormShape, Rows};
use crate::geometry::{Activation, Conv, Window};
use crate::optimiser::Update;

/// The engine on an opened device.
#[derive(Clone)]
pub(crate) struct Gpu {
    client: Client,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gpu")
    }
}

impl Gpu {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Engine for Gpu {
    type Array = Array;
    type Pixels<'a> = Rc<Packed>;
    type Data<'a> = Data;
    type Draws = Draws;

    fn upload(&self, values: Vec<f32>) -> Array {
        Array { length: values.len(), ..Array::of(&self.client, bytemuck::cast_slice(&values)) }
    }

    fn download(&self, array: &Array) -> Result<Vec<f32>, String> {
        let bytes = self.client.read_one(array.handle.clone()).map_err(|error| format!("{error:?}"))?;
        let mut values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        values.truncate(array.length);
        Ok(values)
    }

    fn pixels<'a>(&self, images: CowArray<'a, u8, Ix4>) -> Rc<Packed> {
        let (count, height, width, channels) = images.dim();
        let bytes = images.as_standard_layout();
        let bytes = bytes.as_slice().expect("this layout has no gaps");
        Rc::new(Packed::new(&self.client, bytes, count, [height, width, channels]))
    }

    fn data<'a>(&self, rows: Vec<Rows<'a, Self>>) -> Data {
        Data::new(&self.client, &rows)
    }

    fn draws(&self, data: &Data, choices: Choices, batch: Batch) -> Draws {
        Draws::new(&self.client, data, &choices, batch)
    }

    fn batch(&self, data: &Data, draws: &Draws, step: usize, batch: Batch) -> [Array; 2] {
        batch::gather(&self.client, data, draws, step, batch)
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
        product::forward(&self.client, x, weights, bias, conv, activation, batch)
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
        let dy = elementwise::masked(&self.client, y, dy, activation);
        product::backward(&self.client, x, weights, &dy, conv, wants_x, batch)
    }

    fn depthwise(&self, x: &Array, weights: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        depthwise::forward(&self.client, x, weights, window, channels, batch)
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
        let dx = wants_x.then(|| depthwise::backward_input(&self.client, weights, &dy, window, channels, batch));
        let dw = depthwise::backward_weights(&self.client, x, &dy, window, channels, batch);
        Gradients { x: dx, weights: dw, bias: None }
    }

    fn moments(&self, x: &Array, shape: &NormShape, batch: Batch) -> [Array; 2] {
        norm::moments(&self.client, x, shape, batch)
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
        norm::normalise(&self.client, [x, mean, variance, beta], gamma, shape, activation, batch)
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
        norm::normalise_backward(&self.client, [x, mean, variance, y, &dy], gamma, shape, activation, batch)
    }

    fn blend(&self, old: &Array, new: &Array, keep: f32) -> Array {
        elementwise::blend(&self.client, old, new, keep)
    }

    fn max_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        pool::max_pool(&self.client, x, window, channels, batch)
    }

    fn max_pool_backward(
        &self,
        _: &Array,
        y: &Array,
        dy: Array,
        window: &Window,
        channels: usize,
        batch: Batch,
    ) -> Array {
        pool::max_pool_backward(&self.client, y, &dy, window, channels, batch)
    }

    fn average_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        pool::average_pool(&self.client, x, window, channels, batch)
    }

    fn average_pool_backward(&self, dy: Array, window: &Window, channels: usize, batch: Batch) -> Array {
        pool::average_pool_backward(&self.client, &dy, window, channels, batch)
    }

    fn global_average(&self, x: &Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        pool::global_average(&self.client, x, pixels, channels, batch)
    }

    fn global_average_backward(&self, dy: Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        pool::global_average_backward(&self.client, &dy, pixels, channels, batch)
    }

    fn dropout(&self, x: Array, rate: f32, draws: &Draws, key: DropoutKey, batch: Batch) -> Array {
        let first = key.first(batch.children);
        elementwise::dropout(&self.client, &x, (&draws.dropout, first), rate, batch.children)
    }

    fn add(&self, a: Array, b: &Array) -> Array {
        elementwise::add(&self.client, &a, b)
    }

    fn concat(&self, parts: &[Array], pixels: usize, channels: &[usize], batch: Batch) -> Array {
        let (rows, total) = (batch.children * batch.images * pixels, channels.iter().sum());
        let whole = Array::new(&self.client, rows * total);
        let mut first = 0;
        for (part, &columns) in parts.iter().zip(channels) {
            let from = Strip { row: columns, first: 0 };
            elementwise::copy(&self.client, (part, from), (&whole, Strip { row: total, first }), [rows, columns]);
            first += columns;
        }
        whole
    }

    fn split(&self, whole: &Array, pixels: usize, channels: &[usize], batch: Batch) -> Vec<Array> {
        let (rows, total) = (batch.children * batch.images * pixels, channels.iter().sum());
        let mut first = 0;
        let cut = channels.iter().map(|&columns| {
            let part = Array::new(&self.client, rows * columns);
            let to = Strip { row: columns, first: 0 };
            elementwise::copy(&self.client, (whole, Strip { row: total, first }), (&part, to), [rows, columns]);
            first += columns;
            part
        });
        cut.collect()
    }

    fn cross_entropy(&self, logits: &Array, targets: &Array, classes: usize, batch: Batch) -> Loss<Array> {
        loss::cross_entropy(&self.client, logits, targets, classes, batch)
    }

    fn update(
        &self,
        parameter: Array,
        gradient: Array,
        slots: &mut [Array],
        update: &Update,
        children: usize,
    ) -> Array {
        update::update(&self.client, &parameter, &gradient, slots, update, children);
        parameter
    }
}
