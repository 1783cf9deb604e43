//! Pools of one child: the largest value or the mean of each window.

use crate::geometry::Window;
use deepaug_simd::for_every_instruction_set;

/// Locates an output pixel's window: its image's first pixel, and the rows and columns of it that are inside.
#[inline(always)]
fn extent(window: &Window, pixel: usize) -> (usize, [usize; 2], [usize; 2]) {
    let (image, place) = (pixel / window.out_pixels(), pixel % window.out_pixels());
    let corner = [place / window.out[1] * window.stride, place % window.out[1] * window.stride];
    let from = [0, 1].map(|d| corner[d].saturating_sub(window.before[d]));
    let to = [0, 1].map(|d| (corner[d] + window.kernel[d]).saturating_sub(window.before[d]).min(window.image[d]));
    (image * window.in_pixels(), from, to)
}

for_every_instruction_set! {
    /// Computes the largest value of each window.
    pub(super) fn max(window: &Window, channels: usize, x: &[f32], y: &mut [f32]) {
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            let (image, from, to) = extent(window, pixel);
            y.fill(f32::NEG_INFINITY);
            for row in from[0]..to[0] {
                for column in from[1]..to[1] {
                    let x = &x[(image + row * window.image[1] + column) * channels..][..channels];
                    for c in 0..channels {
                        y[c] = if y[c] > x[c] { y[c] } else { x[c] };
                    }
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the gradient of [`max`]; the first of equal values receives it. `taken` is space for `channels`
    /// numbers.
    pub(super) fn max_back(
        window: &Window, channels: usize, x: &[f32], y: &[f32], dy: &[f32], taken: &mut [f32], dx: &mut [f32],
    ) {
        // Adjacent windows write each pixel once, except those that no window reaches.
        let apart = window.kernel == [window.stride; 2];
        if !apart || window.after(0) < 0 || window.after(1) < 0 {
            dx.fill(0.0);
        }
        for (pixel, (y, dy)) in y.chunks_exact(channels).zip(dy.chunks_exact(channels)).enumerate() {
            let (image, from, to) = extent(window, pixel);
            let left = &mut taken[..channels];
            left.copy_from_slice(dy);
            for row in from[0]..to[0] {
                for column in from[1]..to[1] {
                    let start = (image + row * window.image[1] + column) * channels;
                    let (x, dx) = (&x[start..start + channels], &mut dx[start..start + channels]);
                    for c in 0..channels {
                        let has = x[c] == y[c];
                        let gradient = if has { left[c] } else { 0.0 };
                        dx[c] = if apart { gradient } else { dx[c] + gradient };
                        left[c] = if has { 0.0 } else { left[c] };
                    }
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the mean of each window over the pixels inside the image.
    pub(super) fn average(window: &Window, channels: usize, x: &[f32], y: &mut [f32]) {
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            let (image, from, to) = extent(window, pixel);
            y.fill(0.0);
            for row in from[0]..to[0] {
                for column in from[1]..to[1] {
                    let x = &x[(image + row * window.image[1] + column) * channels..][..channels];
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                }
            }
            let count = ((to[0] - from[0]) * (to[1] - from[1])) as f32;
            y.iter_mut().for_each(|y| *y /= count);
        }
    }
}

for_every_instruction_set! {
    /// Computes the gradient of [`average`].
    pub(super) fn average_back(window: &Window, channels: usize, dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
            let (image, from, to) = extent(window, pixel);
            let share = 1.0 / ((to[0] - from[0]) * (to[1] - from[1])) as f32;
            for row in from[0]..to[0] {
                for column in from[1]..to[1] {
                    let dx = &mut dx[(image + row * window.image[1] + column) * channels..][..channels];
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy * share);
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the mean of each channel over the pixels of each image.
    pub(super) fn global(pixels: usize, channels: usize, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(pixels * channels).zip(y.chunks_exact_mut(channels)) {
            y.fill(0.0);
            for x in x.chunks_exact(channels) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            }
            y.iter_mut().for_each(|y| *y /= pixels as f32);
        }
    }
}

for_every_instruction_set! {
    /// Computes the gradient of [`global`].
    pub(super) fn global_back(pixels: usize, channels: usize, dy: &[f32], dx: &mut [f32]) {
        for (dy, dx) in dy.chunks_exact(channels).zip(dx.chunks_exact_mut(pixels * channels)) {
            for dx in dx.chunks_exact_mut(channels) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy / pixels as f32);
            }
        }
    }
}
