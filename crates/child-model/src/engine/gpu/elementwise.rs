//! What is done to each number, and where numbers are put.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, place, threads, width};
use crate::engine::dropout_threshold;
use crate::geometry::Activation;

/// Computes `a + b`.
pub(super) fn add(client: &Client, a: &Buffer, b: &Buffer) -> Buffer {
    let y = Buffer::new(client, a.length);
    let width = width(&[a.length]);
    let (count, dim) = threads(a.length / width, 1);
    // SAFETY: all three have this many vectors.
    unsafe {
        add_kernel::launch_unchecked(client, count, dim, width, a.arg(), b.arg(), y.arg(), (a.length / width) as u32)
    };
    y
}

#[cube(launch_unchecked)]
fn add_kernel<N: Size>(a: &[Vector<f32, N>], b: &[Vector<f32, N>], y: &mut [Vector<f32, N>], count: u32) {
    let i = place();
    if i < count as usize {
        y[i] = a[i] + b[i];
    }
}

/// Computes `old * keep + new * (1 - keep)`.
pub(super) fn blend(client: &Client, old: &Buffer, new: &Buffer, keep: f32) -> Buffer {
    let y = Buffer::new(client, old.length);
    let (count, dim) = threads(old.length, 1);
    // SAFETY: all three have this many values.
    unsafe {
        blend_kernel::launch_unchecked(client, count, dim, old.arg(), new.arg(), y.arg(), keep, old.length as u32)
    };
    y
}

#[cube(launch_unchecked)]
fn blend_kernel(old: &[f32], new: &[f32], y: &mut [f32], keep: f32, count: u32) {
    let i = place();
    if i < count as usize {
        y[i] = old[i] * keep + new[i] * (1.0f32 - keep);
    }
}

/// Returns the gradient before an activation whose result was `y`.
pub(super) fn masked(client: &Client, y: &Buffer, dy: &Buffer, activation: Activation) -> Buffer {
    let out = Buffer::new(client, dy.length);
    let width = width(&[dy.length]);
    let (count, dim) = threads(dy.length / width, 1);
    // SAFETY: all three have this many vectors.
    unsafe {
        masked_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            y.arg(),
            dy.arg(),
            out.arg(),
            (dy.length / width) as u32,
            activation,
        );
    }
    out
}

#[cube(launch_unchecked)]
fn masked_kernel<N: Size>(
    y: &[Vector<f32, N>],
    dy: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    count: u32,
    #[comptime] activation: Activation,
) {
    let i = place();
    if i < count as usize {
        out[i] = passed::<N>(y[i], dy[i], activation);
    }
}

/// The gradient before an activation whose result was `y`.
#[cube]
pub(super) fn passed<N: Size>(
    y: Vector<f32, N>,
    dy: Vector<f32, N>,
    #[comptime] activation: Activation,
) -> Vector<f32, N> {
    let mut out = dy;
    if comptime!(activation != Activation::None) {
        #[unroll]
        for j in 0..N::value() {
            let value = y.extract(j);
            let mut passes = value > 0.0f32;
            if comptime!(activation == Activation::Relu6) {
                passes = passes && value < 6.0f32;
            }
            out.insert(j, select(passes, dy.extract(j), 0.0f32));
        }
    }
    out
}

#[cube]
pub(super) fn activated<N: Size>(x: Vector<f32, N>, #[comptime] activation: Activation) -> Vector<f32, N> {
    let mut y = x;
    if comptime!(activation != Activation::None) {
        y = max(y, Vector::new(0.0f32));
    }
    if comptime!(activation == Activation::Relu6) {
        y = min(y, Vector::new(6.0f32));
    }
    y
}

/// A dropout layer: its keys, where the first child's is, and the share that it drops.
#[derive(Debug, Clone)]
pub(super) struct Dropout {
    pub(super) keys: Buffer,
    pub(super) first: usize,
    pub(super) rate: f32,
}

impl Dropout {
    pub(super) fn scale(&self) -> f32 {
        1.0 / (1.0 - self.rate)
    }
}

/// Drops a share of the values and scales the others up.
pub(super) fn dropout(client: &Client, x: &Buffer, dropout: &Dropout, children: usize) -> Buffer {
    let y = Buffer::new(client, x.length);
    let length = x.length / children;
    let width = width(&[length]);
    let (count, dim) = threads(length / width, children);
    // SAFETY: x and y have this many vectors for each child, and there is a key for each child from the first.
    unsafe {
        dropout_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            x.arg(),
            dropout.keys.arg(),
            y.arg(),
            (length / width) as u32,
            dropout.first as u32,
            dropout_threshold(dropout.rate),
            dropout.scale(),
        );
    }
    y
}

#[cube(launch_unchecked)]
fn dropout_kernel<N: Size>(
    x: &[Vector<f32, N>],
    keys: &[u32],
    y: &mut [Vector<f32, N>],
    count: u32,
    first: u32,
    threshold: u32,
    scale: f32,
) {
    let i = place();
    let child = CUBE_POS_Z as usize;
    if i < count as usize {
        let key = keys[first as usize + child];
        let at = child * count as usize + i;
        let value = x[at];
        let mut kept = value;
        #[unroll]
        for j in 0..N::value() {
            let dropped = is_dropped((i * N::value() + j) as u32, key, threshold);
            kept.insert(j, select(dropped, 0.0f32, value.extract(j) * scale));
        }
        y[at] = kept;
    }
}

/// Whether a child's value at a place is dropped.
#[cube]
pub(super) fn is_dropped(place: u32, key: u32, threshold: u32) -> bool {
    (lowbias(lowbias(place) ^ key) >> 8u32) < threshold
}

/// As in [`crate::engine::lowbias32`].
#[cube]
fn lowbias(x: u32) -> u32 {
    let a = x ^ (x >> 16u32);
    let b = a * 0x7feb_352du32;
    let c = b ^ (b >> 15u32);
    let d = c * 0x846c_a68bu32;
    d ^ (d >> 16u32)
}

/// Where a block of numbers lies: the length of a row, and where the block begins in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip {
    pub(super) row: usize,
    pub(super) first: usize,
}

/// Copies `[rows, columns]` numbers, bit for bit.
pub(super) fn copy(client: &Client, from: (&Buffer, Strip), to: (&Buffer, Strip), [rows, columns]: [usize; 2]) {
    let ((from, source), (to, target)) = (from, to);
    let width = width(&[columns, source.row, source.first, target.row, target.first]);
    let vectors = |count: usize| (count / width) as u32;
    let (count, dim) = threads(rows * columns / width, 1);
    // SAFETY: the caller's block lies within both.
    unsafe {
        copy_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            from.arg(),
            to.arg(),
            vectors(rows * columns),
            vectors(columns),
            vectors(source.row),
            vectors(source.first),
            vectors(target.row),
            vectors(target.first),
        );
    }
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn copy_kernel<N: Size>(
    from: &[Vector<u32, N>],
    to: &mut [Vector<u32, N>],
    count: u32,
    columns: u32,
    from_row: u32,
    from_first: u32,
    to_row: u32,
    to_first: u32,
) {
    let i = place() as u32;
    if i < count {
        let row = i / columns;
        let column = i % columns;
        to[(row * to_row + to_first + column) as usize] = from[(row * from_row + from_first + column) as usize];
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_hash_is_the_engines() {
        assert_eq!(super::lowbias(12_345), crate::engine::lowbias32(12_345));
    }
}
