//! Convolution by Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks"): 36
//! products instead of 144 for each 4x4 tile of the output.
//!
//! Tiles are taken in blocks that stay in the second-level cache, and for each of the 36 places a block is one matrix
//! product over the channels. Each transform is applied to the columns, then to the rows; the transforms of the way
//! back are the transposes of those of the way there, so that the transformed gradient serves both the weights'
//! gradient and the input's.

use super::conv::{Bounds, Out, Shape, room};
use super::dispatch::{LANES, Lanes, array, for_every_instruction_set, load, store, zip};
use super::matrix::{Strides, multiply};

/// Floats of one place of a block (tiles times channels).
const BLOCK: usize = 4096;

/// Side of a tile of the output, and of the tile of the input that it is made of.
const OUT: usize = 4;
const IN: usize = 6;
const PLACES: usize = IN * IN;

/// The tiles of all outputs.
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
        let [rows, columns] = shape.conv.window.out.map(|side| side.div_ceil(OUT));
        Self { rows, columns, count: shape.images * rows * columns }
    }

    fn place(&self, tile: usize) -> Place {
        Place {
            image: tile / (self.rows * self.columns),
            row: OUT * (tile / self.columns % self.rows),
            column: OUT * (tile % self.columns),
        }
    }

    /// Blocks of tiles: the first of each and how many.
    fn blocks(&self, shape: &Shape) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (size, count) = (self.block_size(shape), self.count);
        (0..count).step_by(size).map(move |first| (first, size.min(count - first)))
    }

    fn block_size(&self, shape: &Shape) -> usize {
        (BLOCK / shape.conv.input.max(shape.conv.output)).max(1).min(self.count)
    }
}

pub(super) fn forward(shape: &Shape, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
    let (input, output) = (shape.conv.input, shape.conv.output);
    let tiles = Tiles::new(shape);
    let mut u = room(PLACES * input * output);
    transform_weights(input * output, w, &mut u);
    let size = tiles.block_size(shape);
    let mut v = room(PLACES * size * input);
    let mut m = room(PLACES * size * output);
    for (first, count) in tiles.blocks(shape) {
        transform_inputs(shape, &tiles, first, count, x, &mut v);
        for k in 0..PLACES {
            multiply(
                [count, input, output],
                (&v[k * count * input..], Strides::rows(input)),
                (&u[k * input * output..], Strides::rows(output)),
                &mut m[k * count * output..],
                false,
            );
        }
        transform_outputs(shape, &tiles, first, count, &m, b, y);
    }
}

pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], out: &mut Out<'_>) {
    let (input, output) = (shape.conv.input, shape.conv.output);
    let tiles = Tiles::new(shape);
    let mut u = room(PLACES * input * output);
    transform_weights(input * output, w, &mut u);
    let size = tiles.block_size(shape);
    let mut v = room(PLACES * size * input);
    let mut z = room(PLACES * size * output);
    let mut du = room(PLACES * input * output);
    if let Some(dx) = out.x.as_deref_mut() {
        dx.fill(0.0);
    }
    for (first, count) in tiles.blocks(shape) {
        transform_inputs(shape, &tiles, first, count, x, &mut v);
        transform_gradients(shape, &tiles, first, count, y, dy, &mut z, out.b);
        for k in 0..PLACES {
            multiply(
                [input, count, output],
                (&v[k * count * input..], Strides::transposed(input)),
                (&z[k * count * output..], Strides::rows(output)),
                &mut du[k * input * output..],
                first > 0,
            );
        }
        if let Some(dx) = out.x.as_deref_mut() {
            for k in 0..PLACES {
                multiply(
                    [count, output, input],
                    (&z[k * count * output..], Strides::rows(output)),
                    (&u[k * input * output..], Strides::transposed(output)),
                    &mut v[k * count * input..],
                    false,
                );
            }
            add_input_gradients(shape, &tiles, first, count, &v, dx);
        }
    }
    restore_weight_gradients(input * output, &du, out.w);
}

const ZERO: Lanes = [0.0; LANES];

#[inline(always)]
fn add(a: Lanes, b: Lanes) -> Lanes {
    zip(a, b, |a, b| a + b)
}

#[inline(always)]
fn sub(a: Lanes, b: Lanes) -> Lanes {
    zip(a, b, |a, b| a - b)
}

#[inline(always)]
fn times(a: Lanes, factor: f32) -> Lanes {
    array(0.0, |i| a[i] * factor)
}

/// `B' d`: the input's transform.
#[inline(always)]
fn input_transform(d: [Lanes; IN]) -> [Lanes; IN] {
    let (even, odd) = (sub(d[4], times(d[2], 4.0)), sub(d[3], times(d[1], 4.0)));
    let (wide, narrow) = (sub(d[4], d[2]), times(sub(d[3], d[1]), 2.0));
    [
        add(sub(times(d[0], 4.0), times(d[2], 5.0)), d[4]),
        add(even, odd),
        sub(even, odd),
        add(wide, narrow),
        sub(wide, narrow),
        add(sub(times(d[1], 4.0), times(d[3], 5.0)), d[5]),
    ]
}

/// `B v`: the transpose of [`input_transform`].
#[inline(always)]
fn input_transform_back(v: [Lanes; IN]) -> [Lanes; IN] {
    let (sum12, minus12) = (add(v[1], v[2]), sub(v[1], v[2]));
    let (sum34, minus34) = (add(v[3], v[4]), times(sub(v[3], v[4]), 2.0));
    [
        times(v[0], 4.0),
        sub(times(sub(v[5], minus12), 4.0), minus34),
        sub(times(add(v[0], sum12), -4.0), add(v[0], sum34)),
        sub(add(minus12, minus34), times(v[5], 5.0)),
        add(v[0], add(sum12, sum34)),
        v[5],
    ]
}

/// `A' m`: from products to outputs.
#[inline(always)]
fn output_transform(m: [Lanes; IN]) -> [Lanes; OUT] {
    let (sum12, minus12) = (add(m[1], m[2]), sub(m[1], m[2]));
    let (sum34, minus34) = (add(m[3], m[4]), sub(m[3], m[4]));
    [
        add(add(m[0], sum12), sum34),
        add(minus12, times(minus34, 2.0)),
        add(sum12, times(sum34, 4.0)),
        add(add(minus12, times(minus34, 8.0)), m[5]),
    ]
}

/// `A y`: the transpose of [`output_transform`].
#[inline(always)]
fn output_transform_back(y: [Lanes; OUT]) -> [Lanes; IN] {
    let (even, odd) = (add(y[0], y[2]), add(y[1], y[3]));
    let (wide, steep) = (add(y[0], times(y[2], 4.0)), add(times(y[1], 2.0), times(y[3], 8.0)));
    [y[0], add(even, odd), sub(even, odd), add(wide, steep), sub(wide, steep), y[3]]
}

/// `G g`: the weights' transform.
#[inline(always)]
fn weight_transform(g: [Lanes; 3]) -> [Lanes; IN] {
    let even = times(add(g[0], g[2]), -1.0 / 6.0);
    let odd = times(g[1], 1.0 / 6.0);
    let wide = add(times(g[0], 1.0 / 24.0), times(g[2], 1.0 / 6.0));
    let narrow = times(g[1], 1.0 / 12.0);
    [times(g[0], 0.25), sub(even, odd), add(even, odd), add(wide, narrow), sub(wide, narrow), g[2]]
}

/// `G' u`: the transpose of [`weight_transform`].
#[inline(always)]
fn weight_transform_back(u: [Lanes; IN]) -> [Lanes; 3] {
    let (sum12, minus12) = (times(add(u[1], u[2]), -1.0 / 6.0), times(sub(u[2], u[1]), 1.0 / 6.0));
    let (sum34, minus34) = (add(u[3], u[4]), sub(u[3], u[4]));
    [
        add(add(times(u[0], 0.25), sum12), times(sum34, 1.0 / 24.0)),
        add(minus12, times(minus34, 1.0 / 12.0)),
        add(add(sum12, times(sum34, 1.0 / 6.0)), u[5]),
    ]
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

/// A tile whose element at row `r` and column `s` is `f(r, s)`.
#[inline(always)]
fn tile<const N: usize>(mut f: impl FnMut(usize, usize) -> Lanes) -> [[Lanes; N]; N] {
    array([ZERO; N], |r| array(ZERO, |s| f(r, s)))
}

for_every_instruction_set! {
    /// `[9, size]` to `[36, size]`.
    fn transform_weights(size: usize, w: &[f32], u: &mut [f32]) {
        for i in (0..size).step_by(LANES) {
            let tile = both(tile::<3>(|r, s| load(w, (3 * r + s) * size + i)), weight_transform);
            for k in 0..PLACES {
                store(u, k * size + i, tile[k / IN][k % IN]);
            }
        }
    }
}

for_every_instruction_set! {
    /// The transpose of [`transform_weights`].
    fn restore_weight_gradients(size: usize, du: &[f32], dw: &mut [f32]) {
        for i in (0..size).step_by(LANES) {
            let tile = both(tile::<IN>(|r, s| load(du, (IN * r + s) * size + i)), weight_transform_back);
            for k in 0..9 {
                store(dw, k * size + i, tile[k / 3][k % 3]);
            }
        }
    }
}

for_every_instruction_set! {
    /// V of a block of tiles, `[36, count, input]`.
    fn transform_inputs(shape: &Shape, tiles: &Tiles, first: usize, count: usize, x: &[f32], v: &mut [f32]) {
        let channels = shape.conv.input;
        let stride = count * channels;
        for t in 0..count {
            let window = input_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let tile = both(window.load(x, c), input_transform);
                for k in 0..PLACES {
                    store(v, k * stride + t * channels + c, tile[k / IN][k % IN]);
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// The transpose of [`transform_inputs`], added to the gradient by the input.
    fn add_input_gradients(shape: &Shape, tiles: &Tiles, first: usize, count: usize, dv: &[f32], dx: &mut [f32]) {
        let channels = shape.conv.input;
        let stride = count * channels;
        for t in 0..count {
            let window = input_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let tile = tile::<IN>(|r, s| load(dv, (IN * r + s) * stride + t * channels + c));
                window.merge(dx, c, both(tile, input_transform_back), |old, value| add(old, value));
            }
        }
    }
}

for_every_instruction_set! {
    /// The outputs of a block of tiles from their products, with offsets and activation.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
    fn transform_outputs(
        shape: &Shape, tiles: &Tiles, first: usize, count: usize, m: &[f32], b: &[f32], y: &mut [f32],
    ) {
        let channels = shape.conv.output;
        let stride = count * channels;
        let bounds: Bounds = shape.bounds;
        for t in 0..count {
            let window = output_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let tile = tile::<IN>(|r, s| load(m, (IN * r + s) * stride + t * channels + c));
                let bias = load(b, c);
                let finish = |_: Lanes, value: Lanes| zip(value, bias, |value, bias| bounds.apply(value + bias));
                window.merge(y, c, both(tile, output_transform), finish);
            }
        }
    }
}

for_every_instruction_set! {
    /// Z of a block of tiles, `[36, count, output]`: the transpose of [`transform_outputs`]; and the offsets' gradient.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
    fn transform_gradients(
        shape: &Shape, tiles: &Tiles, first: usize, count: usize, y: &[f32], dy: &[f32], z: &mut [f32], db: &mut [f32],
    ) {
        let channels = shape.conv.output;
        let stride = count * channels;
        let bounds: Bounds = shape.bounds;
        for t in 0..count {
            let window = output_window(shape, tiles.place(first + t));
            for c in (0..channels).step_by(LANES) {
                let (y, dy) = (window.load(y, c), window.load(dy, c));
                let tile = tile::<OUT>(|r, s| zip(y[r][s], dy[r][s], |y, dy| bounds.mask(y, dy)));
                let rows = array(ZERO, |r: usize| add(add(tile[r][0], tile[r][1]), add(tile[r][2], tile[r][3])));
                let rows: [Lanes; OUT] = rows;
                let sum = add(add(rows[0], rows[1]), add(rows[2], rows[3]));
                store(db, c, add(load(db, c), sum));
                let tile = both(tile, output_transform_back);
                for k in 0..PLACES {
                    store(z, k * stride + t * channels + c, tile[k / IN][k % IN]);
                }
            }
        }
    }
}

/// The N x N pixels of a tile in a stack of images: where they start, and which of them lie inside the image.
#[derive(Clone, Copy)]
struct Pixels<const N: usize> {
    /// Where the first pixel starts; outside the image it may be less than 0 and wraps around.
    start: usize,
    /// Distance between rows, and between columns.
    strides: [usize; 2],
    /// Whether a row, or a column, lies inside.
    inside: [[bool; N]; 2],
    whole: bool,
}

impl<const N: usize> Pixels<N> {
    /// The pixels from `(row, column)` on of an image of the given height, width and channels.
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
fn input_window(shape: &Shape, place: Place) -> Pixels<IN> {
    let window = shape.conv.window;
    let corner = [place.row.wrapping_sub(window.before[0]), place.column.wrapping_sub(window.before[1])];
    Pixels::new(place.image, corner, [window.image[0], window.image[1], shape.conv.input])
}

#[inline(always)]
fn output_window(shape: &Shape, place: Place) -> Pixels<OUT> {
    let [height, width] = shape.conv.window.out;
    Pixels::new(place.image, [place.row, place.column], [height, width, shape.conv.output])
}
