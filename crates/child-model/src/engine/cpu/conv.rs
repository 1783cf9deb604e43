//! Convolutions of one child with offsets and activation, forward and backward, by the most suitable method.

use super::shape::{ConvGradients, Shape};
use super::vector::LANES;
use super::{im2col, winograd};
use crate::geometry::Conv;

/// Winograd's method needs whole vectors of channels; with few channels its transforms cost more than they save.
fn suits_winograd(shape: &Shape) -> bool {
    let Conv { window, input, output } = shape.conv;
    window.kernel == [3, 3] && window.stride == 1 && input.is_multiple_of(LANES) && output.is_multiple_of(LANES)
}

/// Computes `activation(conv(x, w) + b)`, `[images, out_height, out_width, output]`.
pub(super) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    if suits_winograd(shape) { winograd::forward(shape, x, w, b, y) } else { im2col::forward(shape, x, w, b, y) }
}

/// Computes the gradients of [`forward`] with output `y`, given the gradient of the output.
pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], mut out: ConvGradients<'_>) {
    out.b.fill(0.0);
    if suits_winograd(shape) {
        winograd::backward(shape, x, w, y, dy, &mut out);
    } else {
        im2col::backward(shape, x, w, y, dy, &mut out);
    }
}
