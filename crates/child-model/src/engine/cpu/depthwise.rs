//! Depthwise convolutions of one child. Weights are `[taps, channels]`.

use crate::geometry::Window;
use deepaug_simd::for_every_instruction_set;

/// Returns the input pixel that a tap of an output pixel's window sees, unless it is outside. The loops below are
/// written out because closures are not compiled for the instruction set of the function around them.
#[inline(always)]
fn seen(window: &Window, pixel: usize, r: usize, s: usize) -> Option<usize> {
    let (image, place) = (pixel / window.out_pixels(), pixel % window.out_pixels());
    let row = (place / window.out[1] * window.stride + r).wrapping_sub(window.before[0]);
    let column = (place % window.out[1] * window.stride + s).wrapping_sub(window.before[1]);
    let inside = row < window.image[0] && column < window.image[1];
    inside.then_some(image * window.in_pixels() + row * window.image[1] + column)
}

for_every_instruction_set! {
    pub(super) fn forward(window: &Window, channels: usize, x: &[f32], w: &[f32], y: &mut [f32]) {
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            y.fill(0.0);
            for tap in 0..window.taps() {
                let Some(place) = seen(window, pixel, tap / window.kernel[1], tap % window.kernel[1]) else { continue };
                let (x, w) = (&x[place * channels..][..channels], &w[tap * channels..][..channels]);
                for c in 0..channels {
                    y[c] += x[c] * w[c];
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the gradients of the weights, and of the input unless `dx` is empty.
    pub(super) fn backward(
        window: &Window, channels: usize, x: &[f32], w: &[f32], dy: &[f32], dx: &mut [f32], dw: &mut [f32],
    ) {
        dw.fill(0.0);
        dx.fill(0.0);
        let wants_x = !dx.is_empty();
        for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
            for tap in 0..window.taps() {
                let Some(place) = seen(window, pixel, tap / window.kernel[1], tap % window.kernel[1]) else { continue };
                let (x, dw) = (&x[place * channels..][..channels], &mut dw[tap * channels..][..channels]);
                for c in 0..channels {
                    dw[c] += x[c] * dy[c];
                }
                if wants_x {
                    let (w, dx) = (&w[tap * channels..][..channels], &mut dx[place * channels..][..channels]);
                    for c in 0..channels {
                        dx[c] += w[c] * dy[c];
                    }
                }
            }
        }
    }
}
