//! The engines that compute a net: `cpu`, our own kernels on the calling thread, and `gpu`, our own kernels on any
//! graphics API that wgpu supports.
//!
//! Everything is computed for K children at once, which share only their shapes: activations are `[K, B, height,
//! width, channels]`, parameters `[K, ...]`, and every launch on a GPU serves all of them.

pub(crate) mod backend;
pub(crate) mod cpu;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
#[cfg(test)]
mod tests;

use ndarray::{CowArray, Ix4};

use crate::geometry::{Activation, Conv, Window};
use crate::input::Input;
use crate::optimiser::Update;

/// Number of children, and number of images of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) children: usize,
    pub(crate) images: usize,
}

/// The sizes of a normalisation, and the number added to variances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NormShape {
    pub(crate) pixels: usize,
    pub(crate) channels: usize,
    pub(crate) epsilon: f32,
}

/// Gradients of a layer's input and of its parameters.
pub(crate) struct Gradients<A> {
    /// Absent if it was not requested.
    pub(crate) x: Option<A>,
    pub(crate) weights: A,
    pub(crate) bias: Option<A>,
}

/// Gradients of a normalisation's input, factors and offsets.
pub(crate) struct NormGradients<A> {
    pub(crate) x: A,
    pub(crate) gamma: A,
    pub(crate) beta: A,
}

/// What one child learns from or is measured on: images of one size, part after part, with a row of class weights
/// for each image.
pub(crate) struct Rows<'a, E: Engine> {
    pub(crate) parts: Vec<E::Pixels<'a>>,
    /// `[rows, classes]`; a row of zeros counts for nothing.
    pub(crate) targets: E::Array,
    pub(crate) input: Input,
}

/// Random choices of an epoch, made on the host. A step uses `children * images` of them, child by child.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choices {
    /// The row of each image.
    pub(crate) rows: Vec<u32>,
    /// The row it is mixed with, and the share of the first (Zhang et al. 2018, mixup); empty for none.
    pub(crate) partners: Vec<(u32, f32)>,
    /// A key for each dropout layer and child in each step.
    pub(crate) dropout: Vec<u32>,
}

impl Choices {
    /// Returns those of one of `steps` steps.
    pub(crate) fn of_step(&self, step: usize, steps: usize) -> Self {
        fn part<T: Copy>(all: &[T], step: usize, steps: usize) -> Vec<T> {
            let count = all.len() / steps.max(1);
            all[step * count..][..count].to_vec()
        }
        Self {
            rows: part(&self.rows, step, steps),
            partners: part(&self.partners, step, steps),
            dropout: part(&self.dropout, step, steps),
        }
    }
}

/// The loss of a batch and its gradient.
pub(crate) struct Loss<A> {
    /// With respect to the logits, of the mean over the images of each child.
    pub(crate) gradient: A,
    /// `[K, 2]`: the sum of the losses, and the number of images whose heaviest class has the largest logit.
    pub(crate) sums: A,
    /// `[K, B, 3]`: for each image, the loss with its targets scaled to a sum of 1; 1 if its heaviest class has the
    /// largest logit; the entropy of its probabilities. All 0 if it counts for nothing.
    pub(crate) rows: A,
}

/// The operations that nets and their training use.
pub(crate) trait Engine: Clone + 'static {
    /// Numbers on the device. Clones share them.
    type Array: Clone;
    /// Images on the device, one byte per value. Clones share them.
    type Pixels<'a>: Clone + 'a;
    /// The rows of all children, ready to be sampled.
    type Data<'a>: 'a;
    /// An epoch's choices on the device.
    type Draws;

    fn upload(&self, values: Vec<f32>) -> Self::Array;
    /// Waits for the device.
    fn download(&self, array: &Self::Array) -> Result<Vec<f32>, String>;

    /// Puts images `[N, H, W, C]` on the device; N is above 0.
    fn pixels<'a>(&self, images: CowArray<'a, u8, Ix4>) -> Self::Pixels<'a>;
    /// Joins the rows of each child or, given only one set, of all children. Nothing is sent to the device again.
    fn data<'a>(&self, rows: Vec<Rows<'a, Self>>) -> Self::Data<'a>;
    fn draws(&self, data: &Self::Data<'_>, choices: Choices, batch: Batch) -> Self::Draws;
    /// Returns the images, as their [`Input`] says, and the targets `[K, B, classes]` of a step.
    fn batch(&self, data: &Self::Data<'_>, draws: &Self::Draws, step: usize, batch: Batch) -> [Self::Array; 2];

    fn conv(
        &self,
        x: &Self::Array,
        weights: &Self::Array,
        bias: Option<&Self::Array>,
        conv: &Conv,
        activation: Activation,
        batch: Batch,
    ) -> Self::Array;
    /// `y` is the result of [`conv`](Self::conv).
    #[expect(clippy::too_many_arguments, reason = "the arrays of one layer")]
    fn conv_backward(
        &self,
        x: &Self::Array,
        weights: &Self::Array,
        y: &Self::Array,
        dy: Self::Array,
        conv: &Conv,
        activation: Activation,
        wants_x: bool,
        batch: Batch,
    ) -> Gradients<Self::Array>;

    fn depthwise(
        &self,
        x: &Self::Array,
        weights: &Self::Array,
        window: &Window,
        channels: usize,
        batch: Batch,
    ) -> Self::Array;
    #[expect(clippy::too_many_arguments, reason = "the arrays of one layer")]
    fn depthwise_backward(
        &self,
        x: &Self::Array,
        weights: &Self::Array,
        dy: Self::Array,
        window: &Window,
        channels: usize,
        wants_x: bool,
        batch: Batch,
    ) -> Gradients<Self::Array>;

    /// Returns the mean and biased variance of each channel over images and pixels, `[K, channels]` each.
    fn moments(&self, x: &Self::Array, shape: &NormShape, batch: Batch) -> [Self::Array; 2];
    /// Computes `activation((x - mean) / sqrt(variance + epsilon) * gamma + beta)`.
    #[expect(clippy::too_many_arguments, reason = "the arrays of one layer")]
    fn normalise(
        &self,
        x: &Self::Array,
        moments: [&Self::Array; 2],
        gamma: Option<&Self::Array>,
        beta: &Self::Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> Self::Array;
    /// Returns the gradients of [`normalise`](Self::normalise) after [`moments`](Self::moments); the result was
    /// `y`.
    #[expect(clippy::too_many_arguments, reason = "the arrays of one layer")]
    fn normalise_backward(
        &self,
        x: &Self::Array,
        moments: [&Self::Array; 2],
        gamma: Option<&Self::Array>,
        y: &Self::Array,
        dy: Self::Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> NormGradients<Self::Array>;
    /// Computes `old * keep + new * (1 - keep)`.
    fn blend(&self, old: &Self::Array, new: &Self::Array, keep: f32) -> Self::Array;

    fn max_pool(&self, x: &Self::Array, window: &Window, channels: usize, batch: Batch) -> Self::Array;
    /// The gradient goes to the first of equal pixels.
    fn max_pool_backward(
        &self,
        x: &Self::Array,
        y: &Self::Array,
        dy: Self::Array,
        window: &Window,
        channels: usize,
        batch: Batch,
    ) -> Self::Array;
    fn average_pool(&self, x: &Self::Array, window: &Window, channels: usize, batch: Batch) -> Self::Array;
    fn average_pool_backward(&self, dy: Self::Array, window: &Window, channels: usize, batch: Batch) -> Self::Array;
    fn global_average(&self, x: &Self::Array, pixels: usize, channels: usize, batch: Batch) -> Self::Array;
    fn global_average_backward(&self, dy: Self::Array, pixels: usize, channels: usize, batch: Batch) -> Self::Array;

    /// Drops values and scales the rest up. The mask depends only on the key of the step, layer and child, so the
    /// backward pass is the same call on the gradient.
    fn dropout(&self, x: Self::Array, rate: f32, draws: &Self::Draws, key: DropoutKey, batch: Batch) -> Self::Array;
    fn add(&self, a: Self::Array, b: &Self::Array) -> Self::Array;
    /// Concatenates channels.
    fn concat(&self, parts: &[Self::Array], pixels: usize, channels: &[usize], batch: Batch) -> Self::Array;
    /// The backward pass of [`concat`](Self::concat).
    fn split(&self, whole: &Self::Array, pixels: usize, channels: &[usize], batch: Batch) -> Vec<Self::Array>;

    /// Computes the cross-entropy of the softmax against class weights. The gradient is that of its sum with `entropy`
    /// times the entropy of the probabilities.
    fn cross_entropy(
        &self,
        logits: &Self::Array,
        targets: &Self::Array,
        classes: usize,
        entropy: f32,
        batch: Batch,
    ) -> Loss<Self::Array>;

    /// Applies one step of an optimiser. `slots` are its memories of the parameter, initially zero.
    fn update(
        &self,
        parameter: Self::Array,
        gradient: Self::Array,
        slots: &mut [Self::Array],
        update: &Update,
        children: usize,
    ) -> Self::Array;
}

/// Locates a dropout's keys among an epoch's: those of step `step`, layer `layer` of `layers`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropoutKey {
    pub(crate) step: usize,
    pub(crate) layer: usize,
    pub(crate) layers: usize,
}

impl DropoutKey {
    /// Returns the position of the first child's key.
    pub(crate) fn first(&self, children: usize) -> usize {
        (self.step * self.layers + self.layer) * children
    }
}

/// Returns a random number for each position that any device can compute without the ones before it: a round of
/// [`lowbias32`] on each side of the key.
pub(crate) fn hash(place: u32, key: u32) -> u32 {
    lowbias32(lowbias32(place) ^ key)
}

/// A 32-bit hash (C. Wellons, "Prospecting for Hash Functions", 2018).
pub(crate) fn lowbias32(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Returns the threshold below which the upper 24 bits of a value's hash mean that it is dropped.
pub(crate) fn dropout_threshold(rate: f32) -> u32 {
    (f64::from(rate) * f64::from(1u32 << 24)).round() as u32
}
