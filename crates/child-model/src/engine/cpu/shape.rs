//! The description of a convolution, for all kernels that compute one.

use crate::geometry::{Activation, Conv};

/// A convolution of a batch: images `[images, height, width, input]`, weights `[taps * input, output]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) images: usize,
    pub(crate) conv: Conv,
    pub(crate) bounds: Bounds,
}

/// An activation as the two bounds that values are clamped to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(super) low: f32,
    pub(super) high: f32,
}

impl From<Activation> for Bounds {
    fn from(activation: Activation) -> Self {
        let (low, high) = match activation {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
        };
        Self { low, high }
    }
}

impl Bounds {
    /// Applies the activation to a value; NaN stays NaN.
    #[inline(always)]
    pub(super) fn apply(self, value: f32) -> f32 {
        let value = if value < self.low { self.low } else { value };
        if value > self.high { self.high } else { value }
    }

    /// Returns the gradient of a value whose activation is `y`.
    #[inline(always)]
    pub(super) fn mask(self, y: f32, dy: f32) -> f32 {
        if y > self.low && y < self.high { dy } else { 0.0 }
    }
}

impl Shape {
    pub(super) fn inputs(&self) -> usize {
        self.images * self.conv.window.in_pixels() * self.conv.input
    }

    pub(super) fn outputs(&self) -> usize {
        self.images * self.conv.window.out_pixels() * self.conv.output
    }

    pub(super) fn weights(&self) -> usize {
        self.conv.window.taps() * self.conv.input * self.conv.output
    }
}

/// Where the gradients of input, weights and offsets are written.
pub(super) struct ConvGradients<'a> {
    /// Absent if it is not wanted.
    pub(super) x: Option<&'a mut [f32]>,
    pub(super) w: &'a mut [f32],
    pub(super) b: &'a mut [f32],
}
