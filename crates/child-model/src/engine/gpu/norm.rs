//! Batch normalisation.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, group, place, threads, width};
use super::elementwise::{activated, passed};
use crate::engine::{Batch, NormGradients, NormShape};
use crate::geometry::Activation;

/// Vectors of channels, and rows, that the threads of a workgroup share.
const COLUMNS: usize = 16;
const LANES: usize = 16;

/// The least rows for which a sum is split, and into how many parts at most.
const ROWS_A_SPLIT: usize = 512;
const MAX_SPLITS: usize = 64;

/// What two sums over rows are of.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Terms {
    /// Values, and their squares, each less a typical value, so that squares keep their digits.
    Moments,
    /// The gradient, and its product with the normalised value.
    Gradients(Activation),
}

/// The fixed sizes of two sums over rows.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Sums {
    terms: Terms,
    rows: usize,
    /// Vectors of channels.
    channels: usize,
    splits: usize,
}

impl Sums {
    fn new(terms: Terms, shape: &NormShape, width: usize, batch: Batch) -> Self {
        let rows = batch.images * shape.pixels;
        let splits = (rows / ROWS_A_SPLIT).clamp(1, MAX_SPLITS);
        Self { terms, rows, channels: shape.channels / width, splits }
    }

    fn columns(&self) -> usize {
        self.channels.div_ceil(COLUMNS)
    }
}

/// A typical value of each channel: the mean of four rows.
#[cube]
fn typical<N: Size>(x: &[Vector<f32, N>], first: usize, channel: usize, #[comptime] sums: Sums) -> Vector<f32, N> {
    let mut sum = Vector::<f32, N>::new(0.0f32);
    #[unroll]
    for quarter in 0..4usize {
        sum += x[(first + comptime!(quarter * sums.rows / 4)) * comptime!(sums.channels) + channel];
    }
    sum * Vector::new(0.25f32)
}

#[cube]
fn reciprocal_deviation<N: Size>(variance: Vector<f32, N>, epsilon: f32) -> Vector<f32, N> {
    Vector::new(1.0f32) / (variance + Vector::new(epsilon)).sqrt()
}

/// Two sums over a part of the rows, `[K, splits, 2, channels]`.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn sums_kernel<N: Size>(
    x: &[Vector<f32, N>],
    mean: &[Vector<f32, N>],
    variance: &[Vector<f32, N>],
    y: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    parts: &mut [Vector<f32, N>],
    epsilon: f32,
    #[comptime] sums: Sums,
) {
    let channels = comptime!(sums.channels);
    let child = CUBE_POS_Z as usize;
    let thread = UNIT_POS as usize;
    let (lane, column) = (thread / COLUMNS, thread % COLUMNS);
    let split = group() / comptime!(sums.columns());
    let channel = group() % comptime!(sums.columns()) * COLUMNS + column;
    let first_row = child * comptime!(sums.rows);
    let mut first = Vector::<f32, N>::new(0.0f32);
    let mut second = Vector::<f32, N>::new(0.0f32);
    if channel < channels && split < comptime!(sums.splits) {
        let mut row = split * LANES + lane;
        let step = comptime!(sums.splits * LANES);
        match comptime!(sums.terms) {
            Terms::Moments => {
                let shift = typical::<N>(x, first_row, channel, sums);
                while row < comptime!(sums.rows) {
                    let value = x[(first_row + row) * channels + channel] - shift;
                    first += value;
                    second += value * value;
                    row += step;
                }
            }
            Terms::Gradients(activation) => {
                let mean = mean[child * channels + channel];
                let scale = reciprocal_deviation::<N>(variance[child * channels + channel], epsilon);
                while row < comptime!(sums.rows) {
                    let at = (first_row + row) * channels + channel;
                    let gradient = passed::<N>(y[at], dy[at], activation);
                    first += gradient;
                    second += gradient * (x[at] - mean) * scale;
                    row += step;
                }
            }
        }
    }
    let mut shared = Shared::<[Vector<f32, N>]>::new_slice(comptime!(2 * LANES * COLUMNS));
    shared[thread] = first;
    shared[comptime!(LANES * COLUMNS) + thread] = second;
    sync_cube();
    if lane < 2 && channel < channels && split < comptime!(sums.splits) {
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for other in 0..LANES {
            sum += shared[lane * comptime!(LANES * COLUMNS) + other * COLUMNS + column];
        }
        parts[((child * comptime!(sums.splits) + split) * 2 + lane) * channels + channel] = sum;
    }
}

/// Joins the parts of two sums, `[K, channels]` each; those of moments become mean and variance.
#[cube(launch_unchecked)]
fn join_kernel<N: Size>(
    x: &[Vector<f32, N>],
    parts: &[Vector<f32, N>],
    first: &mut [Vector<f32, N>],
    second: &mut [Vector<f32, N>],
    #[comptime] sums: Sums,
) {
    let channel = place();
    let channels = comptime!(sums.channels);
    if channel < channels {
        let child = CUBE_POS_Z as usize;
        let mut a = Vector::<f32, N>::new(0.0f32);
        let mut b = Vector::<f32, N>::new(0.0f32);
        for split in 0..comptime!(sums.splits) {
            let at = (child * comptime!(sums.splits) + split) * 2 * channels + channel;
            a += parts[at];
            b += parts[at + channels];
        }
        if comptime!(sums.terms == Terms::Moments) {
            let share = Vector::new(comptime!(1.0 / sums.rows as f32));
            a *= share;
            b = max(b * share - a * a, Vector::new(0.0f32));
            a += typical::<N>(x, child * comptime!(sums.rows), channel, sums);
        }
        first[child * channels + channel] = a;
        second[child * channels + channel] = b;
    }
}

/// Computes two sums over the rows of each child, `[K, channels]` each.
fn two_sums(
    client: &Client,
    terms: Terms,
    [x, mean, variance, y, dy]: [&Buffer; 5],
    shape: &NormShape,
    batch: Batch,
) -> [Buffer; 2] {
    let width = width(&[shape.channels]);
    let sums = Sums::new(terms, shape, width, batch);
    let of_channels = batch.children * shape.channels;
    let parts = Buffer::new(client, 2 * sums.splits * of_channels);
    let count = super::buffer::groups(sums.columns() * sums.splits, batch.children);
    let dim = CubeDim::new_1d((LANES * COLUMNS) as u32);
    // SAFETY: all have the rows and channels of the shape, as far as the terms read them.
    unsafe {
        sums_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            x.arg(),
            mean.arg(),
            variance.arg(),
            y.arg(),
            dy.arg(),
            parts.arg(),
            shape.epsilon,
            sums,
        );
    }
    let [first, second] = [0, 1].map(|_| Buffer::new(client, of_channels));
    let (count, dim) = threads(sums.channels, batch.children);
    // SAFETY: as above.
    unsafe {
        join_kernel::launch_unchecked(client, count, dim, width, x.arg(), parts.arg(), first.arg(), second.arg(), sums)
    };
    [first, second]
}

/// Returns the mean and biased variance of each channel.
pub(super) fn moments(client: &Client, x: &Buffer, shape: &NormShape, batch: Batch) -> [Buffer; 2] {
    two_sums(client, Terms::Moments, [x; 5], shape, batch)
}

/// The fixed sizes of what is done to each value.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Each {
    rows: usize,
    /// Vectors of channels.
    channels: usize,
    scaled: bool,
    activation: Activation,
}

/// Computes `activation((x - mean) / sqrt(variance + epsilon) * gamma + beta)`.
pub(super) fn normalise(
    client: &Client,
    [x, mean, variance, beta]: [&Buffer; 4],
    gamma: Option<&Buffer>,
    shape: &NormShape,
    activation: Activation,
    batch: Batch,
) -> Buffer {
    let y = Buffer::new(client, x.length);
    let width = width(&[shape.channels]);
    let rows = batch.images * shape.pixels;
    let each = Each { rows, channels: shape.channels / width, scaled: gamma.is_some(), activation };
    let (count, dim) = threads(rows * each.channels, batch.children);
    // SAFETY: x and y have the rows and channels of the shape, the others its channels.
    unsafe {
        normalise_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            x.arg(),
            mean.arg(),
            variance.arg(),
            gamma.unwrap_or(beta).arg(),
            beta.arg(),
            y.arg(),
            shape.epsilon,
            each,
        );
    }
    y
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn normalise_kernel<N: Size>(
    x: &[Vector<f32, N>],
    mean: &[Vector<f32, N>],
    variance: &[Vector<f32, N>],
    gamma: &[Vector<f32, N>],
    beta: &[Vector<f32, N>],
    y: &mut [Vector<f32, N>],
    epsilon: f32,
    #[comptime] each: Each,
) {
    let i = place();
    if i < comptime!(each.rows * each.channels) {
        let child = CUBE_POS_Z as usize;
        let channel = child * comptime!(each.channels) + i % comptime!(each.channels);
        let at = child * comptime!(each.rows * each.channels) + i;
        let mut scale = reciprocal_deviation::<N>(variance[channel], epsilon);
        if comptime!(each.scaled) {
            scale *= gamma[channel];
        }
        y[at] = activated::<N>((x[at] - mean[channel]) * scale + beta[channel], comptime!(each.activation));
    }
}

/// Returns the gradients of [`normalise`] after [`moments`]; the result was `y`.
pub(super) fn normalise_backward(
    client: &Client,
    [x, mean, variance, y, dy]: [&Buffer; 5],
    gamma: Option<&Buffer>,
    shape: &NormShape,
    activation: Activation,
    batch: Batch,
) -> NormGradients<Buffer> {
    let [dbeta, dgamma] = two_sums(client, Terms::Gradients(activation), [x, mean, variance, y, dy], shape, batch);
    let dx = Buffer::new(client, x.length);
    let width = width(&[shape.channels]);
    let rows = batch.images * shape.pixels;
    let each = Each { rows, channels: shape.channels / width, scaled: gamma.is_some(), activation };
    let (count, dim) = threads(rows * each.channels, batch.children);
    // SAFETY: x, y, dy and dx have the rows and channels of the shape, the others its channels.
    unsafe {
        normalise_backward_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            x.arg(),
            mean.arg(),
            variance.arg(),
            gamma.unwrap_or(mean).arg(),
            y.arg(),
            dy.arg(),
            dgamma.arg(),
            dbeta.arg(),
            dx.arg(),
            shape.epsilon,
            each,
        );
    }
    NormGradients { x: dx, gamma: dgamma, beta: dbeta }
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn normalise_backward_kernel<N: Size>(
    x: &[Vector<f32, N>],
    mean: &[Vector<f32, N>],
    variance: &[Vector<f32, N>],
    gamma: &[Vector<f32, N>],
    y: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    dgamma: &[Vector<f32, N>],
    dbeta: &[Vector<f32, N>],
    dx: &mut [Vector<f32, N>],
    epsilon: f32,
    #[comptime] each: Each,
) {
    let i = place();
    if i < comptime!(each.rows * each.channels) {
        let child = CUBE_POS_Z as usize;
        let channel = child * comptime!(each.channels) + i % comptime!(each.channels);
        let at = child * comptime!(each.rows * each.channels) + i;
        let spread = reciprocal_deviation::<N>(variance[channel], epsilon);
        let standard = (x[at] - mean[channel]) * spread;
        let mut scale = spread;
        if comptime!(each.scaled) {
            scale *= gamma[channel];
        }
        let gradient = passed::<N>(y[at], dy[at], comptime!(each.activation));
        let share = Vector::new(comptime!(1.0 / each.rows as f32));
        dx[at] = (gradient - dbeta[channel] * share - standard * dgamma[channel] * share) * scale;
    }
}
