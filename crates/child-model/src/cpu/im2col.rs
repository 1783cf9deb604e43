//! Convolution as a matrix product over unrolled patches: for few channels.

use super::conv::{Gradients, Shape};
use super::{Strides, multiply};

/// Rows of patches multiplied at once; such blocks stay in the second-level cache.
const BLOCK: usize = 512;

pub(super) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let depth = 9 * shape.input;
    let mut patches = vec![0.0; BLOCK * depth];
    for (block, y) in y.chunks_mut(BLOCK * shape.output).enumerate() {
        let rows = y.len() / shape.output;
        unroll(shape, x, block * BLOCK, &mut patches[..rows * depth]);
        multiply(
            [rows, depth, shape.output],
            (&patches, Strides::rows(depth)),
            (w, Strides::rows(shape.output)),
            y,
            false,
        );
        for pixel in y.chunks_exact_mut(shape.output) {
            pixel.iter_mut().zip(b).for_each(|(value, b)| *value = (*value + b).max(0.0));
        }
    }
}

pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], gradients: &mut Gradients) {
    let depth = 9 * shape.input;
    let mut patches = vec![0.0; BLOCK * depth];
    let mut masked = vec![0.0; BLOCK * shape.output];
    let size = BLOCK * shape.output;
    for (block, (y, dy)) in y.chunks(size).zip(dy.chunks(size)).enumerate() {
        let rows = y.len() / shape.output;
        let masked = &mut masked[..y.len()];
        for ((masked, y), dy) in masked.iter_mut().zip(y).zip(dy) {
            *masked = if *y > 0.0 { *dy } else { 0.0 };
        }
        for pixel in masked.chunks_exact(shape.output) {
            gradients.b.iter_mut().zip(pixel).for_each(|(b, value)| *b += value);
        }
        let patches = &mut patches[..rows * depth];
        unroll(shape, x, block * BLOCK, patches);
        multiply(
            [depth, rows, shape.output],
            (patches, Strides::transposed(depth)),
            (masked, Strides::rows(shape.output)),
            &mut gradients.w,
            true,
        );
        if let Some(dx) = &mut gradients.x {
            multiply(
                [rows, shape.output, depth],
                (masked, Strides::rows(shape.output)),
                (w, Strides::transposed(shape.output)),
                patches,
                false,
            );
            for_each_pixel(shape, block * BLOCK, rows, |row, tap, pixel| {
                let patch = &patches[row * depth + tap * shape.input..][..shape.input];
                if let Some(pixel) = pixel {
                    dx[pixel..pixel + shape.input].iter_mut().zip(patch).for_each(|(dx, value)| *dx += value);
                }
            });
        }
    }
}

/// Writes the patches of `patches.len()` output pixels, from the given one on, zeros where they leave the image.
fn unroll(shape: &Shape, x: &[f32], first: usize, patches: &mut [f32]) {
    let depth = 9 * shape.input;
    for_each_pixel(shape, first, patches.len() / depth, |row, tap, pixel| {
        let patch = &mut patches[row * depth + tap * shape.input..][..shape.input];
        match pixel {
            Some(pixel) => patch.copy_from_slice(&x[pixel..pixel + shape.input]),
            None => patch.fill(0.0),
        }
    });
}

/// Visits the nine taps of `count` output pixels from `first` on: the pixel counted from `first`, the tap, and where its
/// input pixel starts in the images, unless it lies outside.
fn for_each_pixel(shape: &Shape, first: usize, count: usize, mut visit: impl FnMut(usize, usize, Option<usize>)) {
    let (height, width) = (shape.out_height(), shape.out_width());
    for row in 0..count {
        let pixel = first + row;
        let (image, i, j) = (pixel / (height * width), pixel / width % height, pixel % width);
        for tap in 0..9 {
            let (r, c) = ((i + tap / 3).wrapping_sub(shape.pad), (j + tap % 3).wrapping_sub(shape.pad));
            let inside = r < shape.height && c < shape.width;
            visit(row, tap, inside.then(|| ((image * shape.height + r) * shape.width + c) * shape.input));
        }
    }
}
