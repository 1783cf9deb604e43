//! Convolution as a matrix product over unrolled patches: any window, any number of channels.

use super::buffer::Buffer;
use super::matrix::{Strides, multiply};
use super::shape::{Bounds, ConvGradients, Shape};
use deepaug_simd::for_every_instruction_set;

/// Number of patch rows multiplied at once; such blocks stay in the second-level cache.
const BLOCK: usize = 512;

pub(super) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let (depth, output) = (shape.conv.window.taps() * shape.conv.input, shape.conv.output);
    let mut unrolled = patches(shape);
    for (block, y) in y.chunks_mut(BLOCK * output).enumerate() {
        let rows = y.len() / output;
        let patches = patches_of(shape, x, block, rows, &mut unrolled);
        multiply([rows, depth, output], (patches, Strides::rows(depth)), (w, Strides::rows(output)), y, false);
        finish(shape.bounds, b, y);
    }
}

pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], out: &mut ConvGradients<'_>) {
    let (depth, output) = (shape.conv.window.taps() * shape.conv.input, shape.conv.output);
    let pointwise = shape.conv.window.is_pointwise();
    let mut unrolled = patches(shape);
    let mut masked = Buffer::uninit(BLOCK * output);
    if let Some(dx) = out.x.as_deref_mut().filter(|_| !pointwise) {
        dx.fill(0.0);
    }
    let size = BLOCK * output;
    for (block, (y, dy)) in y.chunks(size).zip(dy.chunks(size)).enumerate() {
        let rows = y.len() / output;
        let masked = &mut masked[..y.len()];
        mask(shape.bounds, y, dy, masked, out.b);
        let masked = (&*masked, Strides::rows(output));
        let patches = patches_of(shape, x, block, rows, &mut unrolled);
        multiply([depth, rows, output], (patches, Strides::transposed(depth)), masked, out.w, block > 0);
        let Some(dx) = out.x.as_deref_mut() else { continue };
        let weights = (w, Strides::transposed(output));
        if pointwise {
            multiply([rows, output, depth], masked, weights, &mut dx[block * BLOCK * depth..], false);
        } else {
            let patches = &mut unrolled[..rows * depth];
            multiply([rows, output, depth], masked, weights, patches, false);
            for_each_run(shape, block * BLOCK, rows, |patch, inside, count| {
                if let Some(start) = inside {
                    let (dx, patch) = (&mut dx[start..start + count], &patches[patch..patch + count]);
                    dx.iter_mut().zip(patch).for_each(|(dx, value)| *dx += value);
                }
            });
        }
    }
}

/// Returns space for a block of patches, if they have to be unrolled at all.
fn patches(shape: &Shape) -> super::buffer::Buffer {
    let pointwise = shape.conv.window.is_pointwise();
    Buffer::uninit(if pointwise { 0 } else { BLOCK * shape.conv.window.taps() * shape.conv.input })
}

/// Returns the patches of a block of `rows` output pixels.
fn patches_of<'a>(shape: &Shape, x: &'a [f32], block: usize, rows: usize, room: &'a mut [f32]) -> &'a [f32] {
    let depth = shape.conv.window.taps() * shape.conv.input;
    if shape.conv.window.is_pointwise() {
        return &x[block * BLOCK * depth..][..rows * depth];
    }
    let patches = &mut room[..rows * depth];
    for_each_run(shape, block * BLOCK, rows, |patch, inside, count| {
        let patch = &mut patches[patch..patch + count];
        match inside {
            Some(start) => copy_run(&x[start..start + count], patch),
            None => patch.fill(0.0),
        }
    });
    patches
}

/// Copies a run. Those of a 3x3 window over one or three channels are too short for a function call.
#[inline(always)]
fn copy_run(from: &[f32], to: &mut [f32]) {
    fn whole<const N: usize>(from: &[f32], to: &mut [f32]) -> Option<()> {
        *<&mut [f32; N]>::try_from(to).ok()? = *<&[f32; N]>::try_from(from).ok()?;
        Some(())
    }
    match from.len() {
        3 => whole::<3>(from, to),
        9 => whole::<9>(from, to),
        _ => {
            to.copy_from_slice(from);
            None
        }
    };
}

/// Visits the patches of `count` output pixels from `first` on, in runs that are contiguous in both patch and
/// image. Gives the start of the run in the patches, its start in the images unless it is outside, and its length.
fn for_each_run(shape: &Shape, first: usize, count: usize, mut visit: impl FnMut(usize, Option<usize>, usize)) {
    let (window, channels) = (shape.conv.window, shape.conv.input);
    let ([height, width], [rows, columns]) = (window.image, window.kernel);
    let ([_, out_width], depth) = (window.out, window.taps() * channels);
    let pixels = window.out_pixels();
    for at in 0..count {
        let pixel = first + at;
        let (image, place) = (pixel / pixels, pixel % pixels);
        let (i, j) = (place / out_width * window.stride, place % out_width * window.stride);
        // Columns before the image, and after the last one inside.
        let outside = window.before[1].saturating_sub(j).min(columns);
        let end = (width + window.before[1]).saturating_sub(j).min(columns);
        for r in 0..rows {
            let patch = at * depth + r * columns * channels;
            let row = (i + r).wrapping_sub(window.before[0]);
            if row >= height || end <= outside {
                visit(patch, None, columns * channels);
                continue;
            }
            let start = ((image * height + row) * width + j + outside - window.before[1]) * channels;
            if outside > 0 {
                visit(patch, None, outside * channels);
            }
            visit(patch + outside * channels, Some(start), (end - outside) * channels);
            if end < columns {
                visit(patch + end * channels, None, (columns - end) * channels);
            }
        }
    }
}

for_every_instruction_set! {
    /// Adds the offsets and applies the activation.
    fn finish(bounds: Bounds, b: &[f32], y: &mut [f32]) {
        for pixel in y.chunks_exact_mut(b.len()) {
            for (value, b) in pixel.iter_mut().zip(b) {
                *value = bounds.apply(*value + b);
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the gradient before the activation, and adds its sums over the pixels to `db`.
    fn mask(bounds: Bounds, y: &[f32], dy: &[f32], masked: &mut [f32], db: &mut [f32]) {
        let channels = db.len();
        let pixels = y.chunks_exact(channels).zip(dy.chunks_exact(channels));
        for ((y, dy), masked) in pixels.zip(masked.chunks_exact_mut(channels)) {
            for i in 0..channels {
                masked[i] = bounds.mask(y[i], dy[i]);
                db[i] += masked[i];
            }
        }
    }
}
