//! Convolutions of one child with offsets and activation, forwards and backwards.

use super::buffer::Buffer;
use super::vector::LANES;
use super::{im2col, winograd};
use crate::network::{Activation, Conv};

/// A convolution of a batch: images `[images, height, width, input]`, weights `[taps * input, output]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) images: usize,
    pub(crate) conv: Conv,
    pub(crate) bounds: Bounds,
}

/// An activation as the two numbers between which values stay.
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
    /// The activation of a value; what is not a number stays so.
    #[inline(always)]
    pub(super) fn apply(self, value: f32) -> f32 {
        let value = if value < self.low { self.low } else { value };
        if value > self.high { self.high } else { value }
    }

    /// The gradient by a value whose activation is `y`.
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

    /// Winograd's way needs whole vectors of channels; with few channels its transforms cost more than they save.
    fn suits_winograd(&self) -> bool {
        let Conv { window, input, output } = self.conv;
        window.kernel == [3, 3] && window.stride == 1 && input.is_multiple_of(LANES) && output.is_multiple_of(LANES)
    }
}

/// `activation(conv(x, w) + b)`, `[images, out_height, out_width, output]`.
pub(super) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    if shape.suits_winograd() { winograd::forward(shape, x, w, b, y) } else { im2col::forward(shape, x, w, b, y) }
}

/// Where [`backward`] puts the gradients by input, weights and offsets.
pub(super) struct Out<'a> {
    /// Absent when it is not wanted.
    pub(super) x: Option<&'a mut [f32]>,
    pub(super) w: &'a mut [f32],
    pub(super) b: &'a mut [f32],
}

/// The gradients of [`forward`] whose output was `y`, given the gradient by the output.
pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], mut out: Out<'_>) {
    out.b.fill(0.0);
    if shape.suits_winograd() {
        winograd::backward(shape, x, w, y, dy, &mut out);
    } else {
        im2col::backward(shape, x, w, y, dy, &mut out);
    }
}

/// Room for a block of work, kept from one call to the next.
pub(super) fn room(length: usize) -> Buffer {
    Buffer::any(length)
}
