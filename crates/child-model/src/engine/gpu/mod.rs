//! Our own kernels for a GPU, in CubeCL on the wgpu client of burn. Every launch serves all children.
#![expect(clippy::manual_is_multiple_of, reason = "the language of kernels has no such function")]

mod batch;
mod buffer;
pub(crate) mod client;
mod depthwise;
mod direct;
mod elementwise;
mod lazy;
mod loss;
mod norm;
mod pool;
mod product;
mod tiles;
mod update;
mod weight_gradient;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cubecl::client::Client;
use ndarray::{CowArray, Ix4};

use self::batch::{Data, Draws, Packed};
use self::buffer::Buffer;
use self::direct::Place;
use self::elementwise::{Dropout, Strip};
pub(crate) use self::lazy::Array;
use self::tiles::Tiles;
use super::{Batch, Choices, DropoutKey, Engine, Gradients, Loss, NormGradients, NormShape, Rows};
use crate::geometry::{Activation, Conv, Window};
use crate::optimiser::Update;

/// The engine on an opened device.
#[derive(Clone)]
pub(crate) struct Gpu {
    client: Client,
    tiles: Arc<Tiles>,
    /// Whether something could not be computed or read.
    failed: Arc<AtomicBool>,
}

impl Gpu {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, tiles: Arc::default(), failed: Arc::default() }
    }

    fn buffers<const N: usize>(&self, arrays: [&Array; N]) -> [Buffer; N] {
        arrays.map(|array| array.buffer(self))
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether the device still works; if it does, failures are forgotten.
    fn answers(&self) -> bool {
        let answer = self.download(&self.upload(vec![1.0])).is_ok_and(|values| values == [1.0]);
        self.failed.store(!answer, Ordering::Relaxed);
        answer
    }

    fn place(&self) -> Place<'_> {
        Place { client: &self.client, tiles: &self.tiles }
    }
}

/// Returns what to tell of a failure; that of a shader that does not compile is too long for a line, and goes to a file.
fn described(error: &str) -> String {
    if !error.to_lowercase().contains("compilation") {
        return error.replace("\nBacktrace:\nNo backtrace available", "").replace('\n', " ");
    }
    let path = std::env::temp_dir().join(format!("deepaug-shader-{}.txt", std::process::id()));
    match std::fs::write(&path, error) {
        Ok(()) => format!("the driver could not compile a kernel; {} says why, for a report", path.display()),
        Err(_) => format!("the driver could not compile a kernel: {error}"),
    }
}

impl Engine for Gpu {
    type Array = Array;
    type Pixels<'a> = Rc<Packed>;
    type Data<'a> = Data;
    type Draws = Draws;

    fn upload(&self, values: Vec<f32>) -> Array {
        Array::ready(Buffer { length: values.len(), ..Buffer::of(&self.client, bytemuck::cast_slice(&values)) })
    }

    fn download(&self, array: &Array) -> Result<Vec<f32>, String> {
        let bytes = self.client.read_one(array.buffer(self).handle).map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            described(&format!("{error:?}"))
        })?;
        let mut values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        values.truncate(array.length());
        Ok(values)
    }

    fn pixels<'a>(&self, images: CowArray<'a, u8, Ix4>) -> Rc<Packed> {
        let (count, height, width, channels) = images.dim();
        let bytes = images.as_standard_layout();
        let bytes = bytes.as_slice().expect("this layout has no gaps");
        Rc::new(Packed::new(&self.client, bytes, count, [height, width, channels]))
    }

    fn data<'a>(&self, rows: Vec<Rows<'a, Self>>) -> Data {
        Data::new(self, &rows)
    }

    fn draws(&self, data: &Data, choices: Choices, batch: Batch) -> Draws {
        Draws::new(&self.client, data, &choices, batch)
    }

    fn batch(&self, data: &Data, draws: &Draws, step: usize, batch: Batch) -> [Array; 2] {
        batch::gather(&self.client, data, draws, step, batch).map(Array::ready)
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
        lazy::convolution(self, [x, weights], bias, conv, activation, batch)
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
        lazy::convolution_backward(self, [x, weights, y], dy, conv, activation, wants_x, batch)
    }

    fn depthwise(&self, x: &Array, weights: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let [x, weights] = self.buffers([x, weights]);
        Array::ready(depthwise::forward(&self.client, &x, &weights, window, channels, batch))
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
        let [x, weights, dy] = self.buffers([x, weights, &dy]);
        let dx = wants_x.then(|| depthwise::backward_input(&self.client, &weights, &dy, window, channels, batch));
        let dw = depthwise::backward_weights(&self.client, &x, &dy, window, channels, batch);
        Gradients { x: dx.map(Array::ready), weights: Array::ready(dw), bias: None }
    }

    fn moments(&self, x: &Array, shape: &NormShape, batch: Batch) -> [Array; 2] {
        norm::moments(&self.client, &x.buffer(self), shape, batch).map(Array::ready)
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
        let arrays = self.buffers([x, mean, variance, beta]);
        let gamma = gamma.map(|gamma| gamma.buffer(self));
        Array::ready(norm::normalise(&self.client, arrays.each_ref(), gamma.as_ref(), shape, activation, batch))
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
        let arrays = self.buffers([x, mean, variance, y, &dy]);
        let gamma = gamma.map(|gamma| gamma.buffer(self));
        let arrays = arrays.each_ref();
        let found = norm::normalise_backward(&self.client, arrays, gamma.as_ref(), shape, activation, batch);
        let [x, gamma, beta] = [found.x, found.gamma, found.beta].map(Array::ready);
        NormGradients { x, gamma, beta }
    }

    fn blend(&self, old: &Array, new: &Array, keep: f32) -> Array {
        let [old, new] = self.buffers([old, new]);
        Array::ready(elementwise::blend(&self.client, &old, &new, keep))
    }

    fn max_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        lazy::max_pool(x, window, channels, batch)
    }

    fn max_pool_backward(
        &self,
        x: &Array,
        y: &Array,
        dy: Array,
        window: &Window,
        channels: usize,
        batch: Batch,
    ) -> Array {
        lazy::max_pool_backward([x, y], dy, window, channels, batch)
    }

    fn average_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        Array::ready(pool::average_pool(&self.client, &x.buffer(self), window, channels, batch))
    }

    fn average_pool_backward(&self, dy: Array, window: &Window, channels: usize, batch: Batch) -> Array {
        Array::ready(pool::average_pool_backward(&self.client, &dy.buffer(self), window, channels, batch))
    }

    fn global_average(&self, x: &Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        Array::ready(pool::global_average(&self.client, &x.buffer(self), pixels, channels, batch))
    }

    fn global_average_backward(&self, dy: Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        Array::ready(pool::global_average_backward(&self.client, &dy.buffer(self), pixels, channels, batch))
    }

    fn dropout(&self, x: Array, rate: f32, draws: &Draws, key: DropoutKey, batch: Batch) -> Array {
        let dropout = Dropout { keys: draws.dropout.clone(), first: key.first(batch.children), rate };
        lazy::dropout(x, dropout, batch.children)
    }

    fn add(&self, a: Array, b: &Array) -> Array {
        let [a, b] = self.buffers([&a, b]);
        Array::ready(elementwise::add(&self.client, &a, &b))
    }

    fn concat(&self, parts: &[Array], pixels: usize, channels: &[usize], batch: Batch) -> Array {
        let (rows, total) = (batch.children * batch.images * pixels, channels.iter().sum());
        let whole = Buffer::new(&self.client, rows * total);
        let mut first = 0;
        for (part, &columns) in parts.iter().zip(channels) {
            let (part, from) = (part.buffer(self), Strip { row: columns, first: 0 });
            elementwise::copy(&self.client, (&part, from), (&whole, Strip { row: total, first }), [rows, columns]);
            first += columns;
        }
        Array::ready(whole)
    }

    fn split(&self, whole: &Array, pixels: usize, channels: &[usize], batch: Batch) -> Vec<Array> {
        let (rows, total) = (batch.children * batch.images * pixels, channels.iter().sum());
        let whole = whole.buffer(self);
        let mut first = 0;
        let cut = channels.iter().map(|&columns| {
            let part = Buffer::new(&self.client, rows * columns);
            let to = Strip { row: columns, first: 0 };
            elementwise::copy(&self.client, (&whole, Strip { row: total, first }), (&part, to), [rows, columns]);
            first += columns;
            Array::ready(part)
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
        let [logits, targets] = self.buffers([logits, targets]);
        let found = loss::cross_entropy(&self.client, &logits, &targets, classes, entropy, batch);
        let [gradient, sums, rows] = [found.gradient, found.sums, found.rows].map(Array::ready);
        Loss { gradient, sums, rows }
    }

    fn update(
        &self,
        parameter: Array,
        gradient: Array,
        slots: &mut [Array],
        update: &Update,
        children: usize,
    ) -> Array {
        debug_assert!(parameter.is_last(), "what is still to be computed would see the changed parameter");
        let slots: Vec<Buffer> = slots.iter().map(|slot| slot.buffer(self)).collect();
        let gradient = gradient.buffer(self);
        update::update(&self.client, &parameter.buffer(self), &gradient, &slots, update, children);
        parameter
    }
}
