//! Convolution by Winograd's F(2x2, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks"): 16
//! products instead of 36 for each 2x2 tile of the output.
//!
//! With d a 4x4 tile of the input, g a kernel and m a 4x4 tile of products, the one-dimensional transforms are
//! V: (d0-d2, d1+d2, d2-d1, d1-d3), U: (g0, (g0+g1+g2)/2, (g0-g1+g2)/2, g2), Y: (m0+m1+m2, m1-m2-m3); each backward
//! transform is the transpose of its forward one. Tiles are taken in blocks that stay in the second-level cache, and
//! for each of the 16 places a block is one matrix product over the channels.

use super::conv::{Gradients, Shape};
use super::{LANES, Lanes, Strides, for_every_instruction_set, multiply};

/// Floats of one place of a block (tiles times channels).
const BLOCK: usize = 4096;

/// The 2x2 tiles of all outputs.
#[derive(Clone, Copy)]
struct Tiles {
    rows: usize,
    columns: usize,
    count: usize,
}

/// Where a tile lies: its image, and the row and column of its first output pixel.
#[derive(Clone, Copy)]
struct Place {
    image: usize,
    row: usize,
    column: usize,
}

impl Tiles {
    fn new(shape: &Shape) -> Self {
        let (rows, columns) = (shape.out_height().div_ceil(2), shape.out_width().div_ceil(2));
        Self { rows, columns, count: shape.batch * rows * columns }
    }

    fn place(&self, tile: usize) -> Place {
        Place {
            image: tile / (self.rows * self.columns),
            row: 2 * (tile / self.columns % self.rows),
            column: 2 * (tile % self.columns),
        }
    }

    /// Blocks of tiles: the first of each and how many.
    fn blocks(&self, shape: &Shape) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (size, count) = (self.block_size(shape), self.count);
        (0..count).step_by(size).map(move |first| (first, size.min(count - first)))
    }

    fn block_size(&self, shape: &Shape) -> usize {
        (BLOCK / shape.input.max(shape.output)).max(1).min(self.count)
    }
}

pub(super) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let tiles = Tiles::new(shape);
    let u = transform_weights(shape, w);
    let size = tiles.block_size(shape);
    let mut v = vec![0.0; 16 * size * shape.input];
    let mut m = vec![0.0; 16 * size * shape.output];
    for (first, count) in tiles.blocks(shape) {
        transform_inputs(shape, &tiles, first, count, x, &mut v);
        for k in 0..16 {
            multiply(
                [count, shape.input, shape.output],
                (&v[k * count * shape.input..], Strides::rows(shape.input)),
                (&u[k * shape.input * shape.output..], Strides::rows(shape.output)),
                &mut m[k * count * shape.output..],
                false,
            );
        }
        transform_outputs(shape, &tiles, first, count, &m, b, y);
    }
}

pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], gradients: &mut Gradients) {
    let tiles = Tiles::new(shape);
    let u = transform_weights(shape, w);
    let size = tiles.block_size(shape);
    let mut v = vec![0.0; 16 * size * shape.input];
    let mut z = vec![0.0; 16 * size * shape.output];
    let mut du = vec![0.0; 16 * shape.input * shape.output];
    for (first, count) in tiles.blocks(shape) {
        transform_inputs(shape, &tiles, first, count, x, &mut v);
        transform_gradients(shape, &tiles, first, count, y, dy, &mut z, &mut gradients.b);
        for k in 0..16 {
            multiply(
                [shape.input, count, shape.output],
                (&v[k * count * shape.input..], Strides::transposed(shape.input)),
                (&z[k * count * shape.output..], Strides::rows(shape.output)),
                &mut du[k * shape.input * shape.output..],
                true,
            );
        }
        if let Some(dx) = &mut gradients.x {
            for k in 0..16 {
                multiply(
                    [count, shape.output, shape.input],
                    (&z[k * count * shape.output..], Strides::rows(shape.output)),
                    (&u[k * shape.input * shape.output..], Strides::transposed(shape.output)),
                    &mut v[k * count * shape.input..],
                    false,
                );
            }
            add_input_gradients(shape, &tiles, first, count, &v, dx);
        }
    }
    restore_weight_gradients(shape, &du, &mut gradients.w);
}

/// `[9, input, output]` to `[16, input, output]`.
fn transform_weights(shape: &Shape, w: &[f32]) -> Vec<f32> {
    let size = shape.input * shape.output;
    let mut u = vec![0.0; 16 * size];
    for i in 0..size {
        let one = |g: [f32; 3]| [g[0], 0.5 * (g[0] + g[1] + g[2]), 0.5 * (g[0] - g[1] + g[2]), g[2]];
        let columns: [[f32; 4]; 3] = std::array::from_fn(|c| one(std::array::from_fn(|r| w[(3 * r + c) * size + i])));
        for r in 0..4 {
            let row = one([columns[0][r], columns[1][r], columns[2][r]]);
            for (c, value) in row.into_iter().enumerate() {
                u[(4 * r + c) * size + i] = value;
            }
        }
    }
    u
}

/// The transpose of [`transform_weights`].
fn restore_weight_gradients(shape: &Shape, du: &[f32], dw: &mut [f32]) {
    let size = shape.input * shape.output;
    for i in 0..size {
        let one = |u: [f32; 4]| [u[0] + 0.5 * (u[1] + u[2]), 0.5 * (u[1] - u[2]), 0.5 * (u[1] + u[2]) + u[3]];
        let columns: [[f32; 3]; 4] = std::array::from_fn(|c| one(std::array::from_fn(|r| du[(4 * r + c) * size + i])));
        for r in 0..3 {
            let row = one(std::array::from_fn(|c| columns[c][r]));
            for (c, value) in row.into_iter().enumerate() {
                dw[(3 * r + c) * size + i] = value;
            }
        }
    }
}

/// `[f(0), f(1), ...]`. `std::array::from_fn` is not always inlined, and then does not use this function's instructions.
#[inline(always)]
fn array<T: Copy, const N: usize>(zero: T, mut f: impl FnMut(usize) -> T) -> [T; N] {
    let mut values = [zero; N];
    for (i, value) in values.iter_mut().enumerate() {
        *value = f(i);
    }
    values
}

const ZERO: Lanes = [0.0; LANES];

/// A tile whose element at row `r` and column `s` is `f(r, s)`.
#[inline(always)]
fn tile<const N: usize>(mut f: impl FnMut(usize, usize) -> Lanes) -> [[Lanes; N]; N] {
    array([ZERO; N], |r| array(ZERO, |s| f(r, s)))
}

#[inline(always)]
fn zip(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    array(0.0, |i| f(a[i], b[i]))
}

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    zip(a, b, |a, b| a + b)
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    zip(a, b, |a, b| a - b)
}

#[inline(always)]
fn load(from: &[f32], at: usize) -> Lanes {
    from[at..at + LANES].try_into().expect("the slice has this length")
}

#[inline(always)]
fn store(to: &mut [f32], at: usize, value: Lanes) {
    to[at..at + LANES].copy_from_slice(&value);
}

/// Applies a one-dimensional transform to the columns, then to the rows.
#[inline(always)]
fn both<const N: usize, const M: usize>(
    tile: [[Lanes; N]; N],
    one: impl Fn([Lanes; N]) -> [Lanes; M],
) -> [[Lanes; M]; M] {
    let columns: [[Lanes; M]; N] = array([ZERO; M], |c| one(array(ZERO, |r| tile[r][c])));
    array([ZERO; M], |r| one(array(ZERO, |c| columns[c][r])))
}

for_every_instruction_set! {
    /// V of a block of tiles, `[16, count, input]`.
    fn transform_inputs(shape: &Shape, tiles: &Tiles, first: usize, count: usize, x: &[f32], v: &mut [f32]) {
        let channels = shape.input;
        let stride = count * channels;
        for t in 0..count {
            let window = input_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let tile = both(window.load(x, c), |d| [sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])]);
                for k in 0..16 {
                    store(v, k * stride + t * channels + c, tile[k / 4][k % 4]);
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// The transpose of [`transform_inputs`], added to the gradient by the input.
    fn add_input_gradients(shape: &Shape, tiles: &Tiles, first: usize, count: usize, dv: &[f32], dx: &mut [f32]) {
        let channels = shape.input;
        let stride = count * channels;
        for t in 0..count {
            let window = input_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let tile = tile::<4>(|r, s| load(dv, (4 * r + s) * stride + t * channels + c));
                let tile = both(tile, |v| {
                    [v[0], add(sub(v[1], v[2]), v[3]), sub(add(v[1], v[2]), v[0]), sub(ZERO, v[3])]
                });
                window.merge(dx, c, tile, add);
            }
        }
    }
}

for_every_instruction_set! {
    /// The outputs of a block of tiles from their products, with bias and ReLU.
    fn transform_outputs(
        shape: &Shape, tiles: &Tiles, first: usize, count: usize, m: &[f32], b: &[f32], y: &mut [f32],
    ) {
        let channels = shape.output;
        let stride = count * channels;
        for t in 0..count {
            let window = output_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let tile = tile::<4>(|r, s| load(m, (4 * r + s) * stride + t * channels + c));
                let tile: [[Lanes; 2]; 2] =
                    both(tile, |m| [add(add(m[0], m[1]), m[2]), sub(sub(m[1], m[2]), m[3])]);
                let bias = load(b, c);
                window.merge(y, c, tile, |_, value| zip(value, bias, |value, bias| (value + bias).max(0.0)));
            }
        }
    }
}

for_every_instruction_set! {
    /// Z of a block of tiles, `[16, count, output]`: the transpose of [`transform_outputs`]; and the bias's gradient.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
    fn transform_gradients(
        shape: &Shape, tiles: &Tiles, first: usize, count: usize, y: &[f32], dy: &[f32], z: &mut [f32], db: &mut [f32],
    ) {
        let channels = shape.output;
        let stride = count * channels;
        for t in 0..count {
            let window = output_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let (y, dy) = (window.load(y, c), window.load(dy, c));
                let tile = tile::<2>(|r, s| zip(y[r][s], dy[r][s], |y, dy| if y > 0.0 { dy } else { 0.0 }));
                let sum = add(add(tile[0][0], tile[0][1]), add(tile[1][0], tile[1][1]));
                store(db, c, add(load(db, c), sum));
                let tile: [[Lanes; 4]; 4] =
                    both(tile, |y| [y[0], add(y[0], y[1]), sub(y[0], y[1]), sub(ZERO, y[1])]);
                for k in 0..16 {
                    store(z, k * stride + t * channels + c, tile[k / 4][k % 4]);
                }
            }
        }
    }
}

/// The N x N pixels of a tile in a stack of images: where they start, and which of them lie inside the image.
#[derive(Clone, Copy)]
struct Window<const N: usize> {
    /// Where the first pixel starts; outside the image it may be less than 0 and wraps around.
    start: usize,
    /// Distance between rows, and between columns.
    strides: [usize; 2],
    /// Whether a row, or a column, lies inside.
    inside: [[bool; N]; 2],
    whole: bool,
}

impl<const N: usize> Window<N> {
    /// The window at `(row, column)` of an image of the given height, width and channels.
    #[inline(always)]
    fn new(image: usize, corner: [usize; 2], [height, width, channels]: [usize; 3]) -> Self {
        let [row, column] = corner;
        let pixel = (image * height).wrapping_add(row).wrapping_mul(width).wrapping_add(column);
        let rows = array(false, |r| row.wrapping_add(r) < height);
        let columns = array(false, |s| column.wrapping_add(s) < width);
        Self {
            start: pixel.wrapping_mul(channels),
            strides: [width * channels, channels],
            inside: [rows, columns],
            whole: rows[0] & rows[N - 1] & columns[0] & columns[N - 1],
        }
    }

    #[inline(always)]
    fn pixel(&self, r: usize, s: usize) -> usize {
        self.start.wrapping_add(r * self.strides[0] + s * self.strides[1])
    }

    /// The tile of `values` at channel `c`, zeros outside.
    #[inline(always)]
    fn load(&self, values: &[f32], c: usize) -> [[Lanes; N]; N] {
        let mut tile = [[ZERO; N]; N];
        for (r, row) in tile.iter_mut().enumerate() {
            for (s, value) in row.iter_mut().enumerate() {
                if self.whole || (self.inside[0][r] && self.inside[1][s]) {
                    *value = load(values, self.pixel(r, s) + c);
                }
            }
        }
        tile
    }

    /// Combines the tile into `values` at channel `c`, leaving out what lies outside.
    #[inline(always)]
    fn merge(&self, values: &mut [f32], c: usize, tile: [[Lanes; N]; N], combine: impl Fn(Lanes, Lanes) -> Lanes) {
        for (r, row) in tile.into_iter().enumerate() {
            for (s, value) in row.into_iter().enumerate() {
                if self.whole || (self.inside[0][r] && self.inside[1][s]) {
                    let pixel = self.pixel(r, s) + c;
                    store(values, pixel, combine(load(values, pixel), value));
                }
            }
        }
    }
}

#[inline(always)]
fn input_window(shape: &Shape, place: Place) -> Window<4> {
    let corner = [place.row.wrapping_sub(shape.pad), place.column.wrapping_sub(shape.pad)];
    Window::new(place.image, corner, [shape.height, shape.width, shape.input])
}

#[inline(always)]
fn output_window(shape: &Shape, place: Place) -> Window<2> {
    Window::new(place.image, [place.row, place.column], [shape.out_height(), shape.out_width(), shape.output])
}
