//! Depthwise convolutions: each channel by itself.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, group, groups, place, threads, width};
use super::pool::{seen, seen_by};
use super::product::join;
use crate::engine::Batch;
use crate::geometry::{Activation, Window};

/// Vectors of channels, and pixels, that the threads of a workgroup share.
const COLUMNS: usize = 16;
const LANES: usize = 16;

/// The least pixels for which a sum is split, and into how many parts at most.
const PIXELS_A_SPLIT: usize = 1024;
const MAX_SPLITS: usize = 32;

/// The fixed sizes of a depthwise convolution.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Depthwise {
    window: Window,
    images: usize,
    /// Vectors of channels.
    channels: usize,
}

fn sizes(window: &Window, channels: usize, batch: Batch) -> (Depthwise, usize) {
    let width = width(&[channels]);
    (Depthwise { window: *window, images: batch.images, channels: channels / width }, width)
}

pub(super) fn forward(
    client: &Client,
    x: &Buffer,
    weights: &Buffer,
    window: &Window,
    channels: usize,
    batch: Batch,
) -> Buffer {
    through_window(client, x, weights, (window, window.out_pixels()), channels, false, batch)
}

/// Returns the gradient of the input.
pub(super) fn backward_input(
    client: &Client,
    weights: &Buffer,
    dy: &Buffer,
    window: &Window,
    channels: usize,
    batch: Batch,
) -> Buffer {
    through_window(client, dy, weights, (window, window.in_pixels()), channels, true, batch)
}

/// Computes so many pixels of each image from those that a window joins them with, from input to output or back.
fn through_window(
    client: &Client,
    from: &Buffer,
    weights: &Buffer,
    (window, pixels): (&Window, usize),
    channels: usize,
    back: bool,
    batch: Batch,
) -> Buffer {
    let (sizes, width) = sizes(window, channels, batch);
    let of_child = batch.images * pixels * channels;
    let to = Buffer::new(client, batch.children * of_child);
    let (count, dim) = threads(of_child / width, batch.children);
    // SAFETY: both have the images of the window, and there are weights for each tap.
    unsafe {
        window_kernel::launch_unchecked(client, count, dim, width, from.arg(), weights.arg(), to.arg(), sizes, back);
    }
    to
}

/// Whether a tap joins a pixel with one on the other side, and with which.
#[cube]
fn joined(row: u32, column: u32, tap: usize, #[comptime] window: Window, #[comptime] back: bool) -> (bool, usize) {
    if back { seen_by(row, column, tap, window) } else { seen(row, column, tap, window) }
}

#[cube(launch_unchecked)]
fn window_kernel<N: Size>(
    from: &[Vector<f32, N>],
    weights: &[Vector<f32, N>],
    to: &mut [Vector<f32, N>],
    #[comptime] sizes: Depthwise,
    #[comptime] back: bool,
) {
    let i = place();
    let window = comptime!(sizes.window);
    let (columns, pixels) =
        comptime!(if back { (window.image[1], window.in_pixels()) } else { (window.out[1], window.out_pixels()) });
    let other_pixels = comptime!(if back { window.out_pixels() } else { window.in_pixels() });
    let channels = comptime!(sizes.channels);
    let of_child = comptime!(sizes.images) * pixels * channels;
    if i < of_child {
        let child = CUBE_POS_Z as usize;
        let channel = i % channels;
        let image = child * comptime!(sizes.images) + i / channels / pixels;
        let pixel = (i / channels % pixels) as u32;
        let (row, column) = (pixel / comptime!(columns as u32), pixel % comptime!(columns as u32));
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for tap in 0..comptime!(sizes.window.taps()) {
            let (inside, at) = joined(row, column, tap, window, back);
            if inside {
                let weight = weights[(child * comptime!(sizes.window.taps()) + tap) * channels + channel];
                sum += from[(image * other_pixels + at) * channels + channel] * weight;
            }
        }
        to[child * of_child + i] = sum;
    }
}

/// Returns the gradient of the weights.
pub(super) fn backward_weights(
    client: &Client,
    x: &Buffer,
    dy: &Buffer,
    window: &Window,
    channels: usize,
    batch: Batch,
) -> Buffer {
    let (sizes, width) = sizes(window, channels, batch);
    let splits = (batch.images * window.out_pixels() / PIXELS_A_SPLIT).clamp(1, MAX_SPLITS);
    let of_child = window.taps() * channels;
    let parts = Buffer::new(client, batch.children * splits * of_child);
    let columns = sizes.channels.div_ceil(COLUMNS);
    let (count, dim) =
        (groups(columns * window.taps() * splits, batch.children), CubeDim::new_1d((LANES * COLUMNS) as u32));
    // SAFETY: x and dy have the images of the window, and each split has a part of the sums for each tap.
    unsafe {
        weights_kernel::launch_unchecked(client, count, dim, width, x.arg(), dy.arg(), parts.arg(), sizes, splits);
    }
    join(client, parts, None, Activation::None, [batch.children, splits, of_child, channels])
}

/// A sum over a part of the pixels, `[K, splits, taps, channels]`.
#[cube(launch_unchecked)]
fn weights_kernel<N: Size>(
    x: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    parts: &mut [Vector<f32, N>],
    #[comptime] sizes: Depthwise,
    #[comptime] splits: usize,
) {
    let channels = comptime!(sizes.channels);
    let columns = comptime!(sizes.channels.div_ceil(COLUMNS));
    let child = CUBE_POS_Z as usize;
    let thread = UNIT_POS as usize;
    let (lane, column) = (thread / COLUMNS, thread % COLUMNS);
    let channel = group() % columns * COLUMNS + column;
    let tap = group() / columns % comptime!(sizes.window.taps());
    let split = group() / columns / comptime!(sizes.window.taps());
    let mut sum = Vector::<f32, N>::new(0.0f32);
    if channel < channels && split < splits {
        let mut pixel = split * LANES + lane;
        while pixel < comptime!(sizes.images * sizes.window.out_pixels()) {
            let image = child * comptime!(sizes.images) + pixel / comptime!(sizes.window.out_pixels());
            let out = (pixel % comptime!(sizes.window.out_pixels())) as u32;
            let row = out / comptime!(sizes.window.out[1] as u32);
            let (inside, at) = seen(row, out % comptime!(sizes.window.out[1] as u32), tap, comptime!(sizes.window));
            if inside {
                let gradient = dy[(image * comptime!(sizes.window.out_pixels()) + out as usize) * channels + channel];
                sum += x[(image * comptime!(sizes.window.in_pixels()) + at) * channels + channel] * gradient;
            }
            pixel += comptime!(splits * LANES);
        }
    }
    let mut shared = Shared::<[Vector<f32, N>]>::new_slice(comptime!(LANES * COLUMNS));
    shared[thread] = sum;
    sync_cube();
    if lane == 0 && channel < channels && split < splits {
        let mut total = Vector::<f32, N>::new(0.0f32);
        for other in 0..LANES {
            total += shared[other * COLUMNS + column];
        }
        parts[((child * splits + split) * comptime!(sizes.window.taps()) + tap) * channels + channel] = total;
    }
}
