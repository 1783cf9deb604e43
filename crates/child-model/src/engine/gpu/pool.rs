//! Pools: a value for each window.

use std::rc::Rc;

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, place, threads, width};
use crate::engine::Batch;
use crate::geometry::Window;

/// The fixed sizes of a pool.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Pool {
    window: Window,
    images: usize,
    /// Vectors of channels.
    channels: usize,
}

fn sizes(window: &Window, channels: usize, batch: Batch) -> (Pool, usize) {
    let width = width(&[channels]);
    (Pool { window: *window, images: batch.children * batch.images, channels: channels / width }, width)
}

/// Returns the largest value of each window, and where it came from.
pub(super) fn max_pool(client: &Client, x: &Buffer, window: &Window, channels: usize, batch: Batch) -> Buffer {
    let (pool, width) = sizes(window, channels, batch);
    let length = pool.images * window.out_pixels() * channels;
    let (mut y, origins) = (Buffer::new(client, length), Buffer::new(client, length));
    let (count, dim) = threads(length / width, 1);
    // SAFETY: x has the images of the window, y and its origins a value for each output pixel.
    unsafe { max_kernel::launch_unchecked(client, count, dim, width, x.arg(), y.arg(), origins.arg(), pool) };
    y.origins = Some(Rc::new(origins));
    y
}

/// Finds the output pixel and image of a vector.
#[cube]
fn output_place(i: usize, #[comptime] pool: Pool) -> (usize, u32, u32, usize) {
    let channel = i % comptime!(pool.channels);
    let pixel = i / comptime!(pool.channels);
    let column = pixel % comptime!(pool.window.out[1]);
    let rest = pixel / comptime!(pool.window.out[1]);
    let row = rest % comptime!(pool.window.out[0]);
    (rest / comptime!(pool.window.out[0]), row as u32, column as u32, channel)
}

#[cube(launch_unchecked)]
fn max_kernel<N: Size>(
    x: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    origins: &mut [Vector<u32, N>],
    #[comptime] pool: Pool,
) {
    let i = place();
    if i < comptime!(pool.images * pool.window.out_pixels() * pool.channels) {
        let (image, row, column, channel) = output_place(i, pool);
        let mut best = Vector::<f32, N>::new(0.0f32);
        let mut origin = Vector::<u32, N>::new(0u32);
        let mut found = false;
        for tap in 0..comptime!(pool.window.taps()) {
            let (inside, pixel) = seen(row, column, tap, comptime!(pool.window));
            if inside {
                let value =
                    x[(image * comptime!(pool.window.in_pixels()) + pixel) * comptime!(pool.channels) + channel];
                #[unroll]
                for j in 0..N::value() {
                    if !found || value.extract(j) > best.extract(j) {
                        best.insert(j, value.extract(j));
                        origin.insert(j, tap as u32);
                    }
                }
                found = true;
            }
        }
        y[i] = best;
        origins[i] = origin;
    }
}

/// Whether a tap of the window at an output pixel lies within the image, and at which pixel.
#[cube]
pub(super) fn seen(row: u32, column: u32, tap: usize, #[comptime] window: Window) -> (bool, usize) {
    // Above the first row, or left of the first column, these wrap around to large numbers.
    let y = row * comptime!(window.stride as u32) + (tap / comptime!(window.kernel[1])) as u32
        - comptime!(window.before[0] as u32);
    let x = column * comptime!(window.stride as u32) + (tap % comptime!(window.kernel[1])) as u32
        - comptime!(window.before[1] as u32);
    let inside = y < comptime!(window.image[0] as u32) && x < comptime!(window.image[1] as u32);
    (inside, (y * comptime!(window.image[1] as u32) + x) as usize)
}

/// Whether a tap of some window sees an input pixel, and at which output pixel that window is.
#[cube]
pub(super) fn seen_by(row: u32, column: u32, tap: usize, #[comptime] window: Window) -> (bool, usize) {
    let stride = comptime!(window.stride as u32);
    let y = row + comptime!(window.before[0] as u32) - (tap / comptime!(window.kernel[1])) as u32;
    let x = column + comptime!(window.before[1] as u32) - (tap % comptime!(window.kernel[1])) as u32;
    let mut inside =
        y < comptime!((window.out[0] * window.stride) as u32) && x < comptime!((window.out[1] * window.stride) as u32);
    if comptime!(window.stride > 1) {
        inside = inside && y % stride == 0 && x % stride == 0;
    }
    (inside, (y / stride * comptime!(window.out[1] as u32) + x / stride) as usize)
}

/// Finds the input pixel and image of a vector.
#[cube]
fn input_place(i: usize, #[comptime] pool: Pool) -> (usize, u32, u32, usize) {
    let channel = i % comptime!(pool.channels);
    let pixel = i / comptime!(pool.channels);
    let column = pixel % comptime!(pool.window.image[1]);
    let rest = pixel / comptime!(pool.window.image[1]);
    let row = rest % comptime!(pool.window.image[0]);
    (rest / comptime!(pool.window.image[0]), row as u32, column as u32, channel)
}

/// The gradient goes where the largest value came from; `y` is the result of [`max_pool`].
pub(super) fn max_pool_backward(
    client: &Client,
    y: &Buffer,
    dy: &Buffer,
    window: &Window,
    channels: usize,
    batch: Batch,
) -> Buffer {
    let (pool, width) = sizes(window, channels, batch);
    let dx = Buffer::new(client, pool.images * window.in_pixels() * channels);
    let (count, dim) = threads(dx.length / width, 1);
    let origins = y.origins.as_ref().expect("a max pool says where its values came from");
    // SAFETY: dx has the images of the window, the others a value for each output pixel.
    unsafe {
        max_backward_kernel::launch_unchecked(client, count, dim, width, origins.arg(), dy.arg(), dx.arg(), pool)
    };
    dx
}

#[cube(launch_unchecked)]
fn max_backward_kernel<N: Size>(
    origins: &[Vector<u32, N>],
    dy: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    #[comptime] pool: Pool,
) {
    let i = place();
    if i < comptime!(pool.images * pool.window.in_pixels() * pool.channels) {
        let (image, row, column, channel) = input_place(i, pool);
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for tap in 0..comptime!(pool.window.taps()) {
            let (inside, pixel) = seen_by(row, column, tap, comptime!(pool.window));
            if inside {
                let at = (image * comptime!(pool.window.out_pixels()) + pixel) * comptime!(pool.channels) + channel;
                let (origin, gradient) = (origins[at], dy[at]);
                #[unroll]
                for j in 0..N::value() {
                    let share = select(origin.extract(j) == tap as u32, gradient.extract(j), 0.0f32);
                    sum.insert(j, sum.extract(j) + share);
                }
            }
        }
        dx[i] = sum;
    }
}

/// Returns the mean of each window, over the pixels inside the image.
pub(super) fn average_pool(client: &Client, x: &Buffer, window: &Window, channels: usize, batch: Batch) -> Buffer {
    let (pool, width) = sizes(window, channels, batch);
    let y = Buffer::new(client, pool.images * window.out_pixels() * channels);
    let (count, dim) = threads(y.length / width, 1);
    // SAFETY: x has the images of the window, y a value for each output pixel.
    unsafe { average_kernel::launch_unchecked(client, count, dim, width, x.arg(), y.arg(), pool) };
    y
}

#[cube(launch_unchecked)]
fn average_kernel<N: Size>(x: &[Vector<f32, N>], y: &mut [Vector<f32, N>], #[comptime] pool: Pool) {
    let i = place();
    if i < comptime!(pool.images * pool.window.out_pixels() * pool.channels) {
        let (image, row, column, channel) = output_place(i, pool);
        let mut sum = Vector::<f32, N>::new(0.0f32);
        let mut count = 0.0f32;
        for tap in 0..comptime!(pool.window.taps()) {
            let (inside, pixel) = seen(row, column, tap, comptime!(pool.window));
            if inside {
                sum += x[(image * comptime!(pool.window.in_pixels()) + pixel) * comptime!(pool.channels) + channel];
                count += 1.0f32;
            }
        }
        y[i] = sum * Vector::new(1.0f32 / count);
    }
}

pub(super) fn average_pool_backward(
    client: &Client,
    dy: &Buffer,
    window: &Window,
    channels: usize,
    batch: Batch,
) -> Buffer {
    let (pool, width) = sizes(window, channels, batch);
    let dx = Buffer::new(client, pool.images * window.in_pixels() * channels);
    let (count, dim) = threads(dx.length / width, 1);
    // SAFETY: dx has the images of the window, dy a value for each output pixel.
    unsafe { average_backward_kernel::launch_unchecked(client, count, dim, width, dy.arg(), dx.arg(), pool) };
    dx
}

/// How many rows or columns of a window lie within the image.
#[cube]
fn extent(at: u32, #[comptime] window: Window, #[comptime] axis: usize) -> f32 {
    let first = at * comptime!(window.stride as u32);
    let end = min(
        first + comptime!(window.kernel[axis] as u32),
        comptime!((window.image[axis] + window.before[axis]) as u32),
    );
    f32::cast_from(end - max(first, comptime!(window.before[axis] as u32)))
}

#[cube(launch_unchecked)]
fn average_backward_kernel<N: Size>(dy: &[Vector<f32, N>], dx: &mut [Vector<f32, N>], #[comptime] pool: Pool) {
    let i = place();
    if i < comptime!(pool.images * pool.window.in_pixels() * pool.channels) {
        let (image, row, column, channel) = input_place(i, pool);
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for tap in 0..comptime!(pool.window.taps()) {
            let (inside, pixel) = seen_by(row, column, tap, comptime!(pool.window));
            if inside {
                let at = (image * comptime!(pool.window.out_pixels()) + pixel) * comptime!(pool.channels) + channel;
                let out = pixel as u32;
                let pixels = extent(out / comptime!(pool.window.out[1] as u32), comptime!(pool.window), 0usize)
                    * extent(out % comptime!(pool.window.out[1] as u32), comptime!(pool.window), 1usize);
                sum += dy[at] * Vector::new(1.0f32 / pixels);
            }
        }
        dx[i] = sum;
    }
}

/// Returns the mean of each channel over the whole image.
pub(super) fn global_average(client: &Client, x: &Buffer, pixels: usize, channels: usize, batch: Batch) -> Buffer {
    let width = width(&[channels]);
    let y = Buffer::new(client, batch.children * batch.images * channels);
    let (count, dim) = threads(y.length / width, 1);
    let (total, of_image) = ((y.length / width) as u32, (channels / width) as u32);
    // SAFETY: x has so many pixels for each vector of y.
    unsafe {
        global_kernel::launch_unchecked(client, count, dim, width, x.arg(), y.arg(), total, of_image, pixels as u32);
    }
    y
}

#[cube(launch_unchecked)]
fn global_kernel<N: Size>(x: &[Vector<f32, N>], y: &mut [Vector<f32, N>], count: u32, channels: u32, pixels: u32) {
    let i = place() as u32;
    if i < count {
        let mut at = (i / channels * pixels * channels + i % channels) as usize;
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for _ in 0..pixels {
            sum += x[at];
            at += channels as usize;
        }
        y[i as usize] = sum * Vector::new(1.0f32 / f32::cast_from(pixels));
    }
}

pub(super) fn global_average_backward(
    client: &Client,
    dy: &Buffer,
    pixels: usize,
    channels: usize,
    batch: Batch,
) -> Buffer {
    let width = width(&[channels]);
    let dx = Buffer::new(client, batch.children * batch.images * pixels * channels);
    let (count, dim) = threads(dx.length / width, 1);
    let (total, of_image) = ((dx.length / width) as u32, (channels / width) as u32);
    // SAFETY: dx has so many pixels for each vector of dy.
    unsafe {
        global_backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            dy.arg(),
            dx.arg(),
            total,
            of_image,
            pixels as u32,
        );
    }
    dx
}

#[cube(launch_unchecked)]
fn global_backward_kernel<N: Size>(
    dy: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    count: u32,
    channels: u32,
    pixels: u32,
) {
    let i = place() as u32;
    if i < count {
        let image = i / channels / pixels;
        let share = Vector::new(1.0f32 / f32::cast_from(pixels));
        dx[i as usize] = dy[(image * channels + i % channels) as usize] * share;
    }
}
