//! Convolutions of each channel by itself, of one child. Weights are `[taps, channels]`.

use super::dispatch::for_every_instruction_set;
use crate::network::Window;

/// The window of an output pixel: each tap inside the image, with the place of its input pixel.
#[inline(always)]
fn for_each_tap(window: &Window, pixel: usize, mut visit: impl FnMut(usize, usize)) {
    let (image, place) = (pixel / window.out_pixels(), pixel % window.out_pixels());
    let (i, j) = (place / window.out[1] * window.stride, place % window.out[1] * window.stride);
    for r in 0..window.kernel[0] {
        let row = (i + r).wrapping_sub(window.before[0]);
        if row >= window.image[0] {
            continue;
        }
        for s in 0..window.kernel[1] {
            let column = (j + s).wrapping_sub(window.before[1]);
            if column < window.image[1] {
                visit(r * window.kernel[1] + s, image * window.in_pixels() + row * window.image[1] + column);
            }
        }
    }
}

for_every_instruction_set! {
    pub(super) fn forward(window: &Window, channels: usize, x: &[f32], w: &[f32], y: &mut [f32]) {
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            y.fill(0.0);
            for_each_tap(window, pixel, |tap, place| {
                let (x, w) = (&x[place * channels..][..channels], &w[tap * channels..][..channels]);
                for c in 0..channels {
                    y[c] += x[c] * w[c];
                }
            });
        }
    }
}

for_every_instruction_set! {
    /// The gradients by the weights, and by the input unless `dx` is empty.
    pub(super) fn backward(
        window: &Window, channels: usize, x: &[f32], w: &[f32], dy: &[f32], dx: &mut [f32], dw: &mut [f32],
    ) {
        dw.fill(0.0);
        dx.fill(0.0);
        let wants_x = !dx.is_empty();
        for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
            for_each_tap(window, pixel, |tap, place| {
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
            });
        }
    }
}
