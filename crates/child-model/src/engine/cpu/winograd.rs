//! Convolution by Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks"): 36
//! products instead of 144 for each 4x4 tile of the output.
//!
//! Tiles are processed in blocks that stay in the second-level cache, and for each of the 36 places a block is one
//! matrix product over the channels. Each transform is applied to the columns, then to the rows. The transforms of
//! the backward pass are the transposes of those of the forward pass, so the transformed gradient serves both the
//! weights' gradient and the input's.

#![expect(clippy::needless_range_loop, reason = "rows and columns of a tile are clearer by number than by iterator")]

use super::buffer::Buffer;
use super::matrix::{Strides, multiply};
use super::shape::{ConvGradients, Shape};
use super::vector::LANES;
use super::vector::{Vector, for_every_vector};

/// Number of floats in one place of a block (tiles times channels).
const BLOCK: usize = 4096;

/// The stride between two places of a block: a cache line more than their length. With a power of two, all 36
/// would share one set of the first-level cache.
fn place_stride(count: usize, channels: usize) -> usize {
    count * channels + LANES
}

/// Side of an output tile, and of the input tile that it is computed from.
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

/// The position of a tile: its image, and the row and column of its first output pixel.
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

    /// Returns blocks of tiles: the first tile of each, and their number.
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
    let mut u = Buffer::uninit(PLACES * input * output);
    transform_weights(input * output, w, &mut u);
    let size = tiles.block_size(shape);
    let mut v = Buffer::uninit(PLACES * place_stride(size, input));
    let mut m = Buffer::uninit(PLACES * place_stride(size, output));
    for (first, count) in tiles.blocks(shape) {
        transform_inputs(shape, &tiles, first, count, x, &mut v);
        for k in 0..PLACES {
            multiply(
                [count, input, output],
                (&v[k * place_stride(count, input)..], Strides::rows(input)),
                (&u[k * input * output..], Strides::rows(output)),
                &mut m[k * place_stride(count, output)..],
                false,
            );
        }
        transform_outputs(shape, &tiles, first, count, &m, b, y);
    }
}

pub(super) fn backward(shape: &Shape, x: &[f32], w: &[f32], y: &[f32], dy: &[f32], out: &mut ConvGradients<'_>) {
    let (input, output) = (shape.conv.input, shape.conv.output);
    let tiles = Tiles::new(shape);
    let mut u = Buffer::uninit(PLACES * input * output);
    transform_weights(input * output, w, &mut u);
    let size = tiles.block_size(shape);
    let mut v = Buffer::uninit(PLACES * place_stride(size, input));
    let mut z = Buffer::uninit(PLACES * place_stride(size, output));
    let mut du = Buffer::uninit(PLACES * input * output);
    if let Some(dx) = out.x.as_deref_mut() {
        dx.fill(0.0);
    }
    for (first, count) in tiles.blocks(shape) {
        transform_inputs(shape, &tiles, first, count, x, &mut v);
        transform_gradients(shape, &tiles, first, count, y, dy, &mut z, out.b);
        for k in 0..PLACES {
            multiply(
                [input, count, output],
                (&v[k * place_stride(count, input)..], Strides::transposed(input)),
                (&z[k * place_stride(count, output)..], Strides::rows(output)),
                &mut du[k * input * output..],
                first > 0,
            );
        }
        if let Some(dx) = out.x.as_deref_mut() {
            for k in 0..PLACES {
                multiply(
                    [count, output, input],
                    (&z[k * place_stride(count, output)..], Strides::rows(output)),
                    (&u[k * input * output..], Strides::transposed(output)),
                    &mut v[k * place_stride(count, input)..],
                    false,
                );
            }
            add_input_gradients(shape, &tiles, first, count, &v, dx);
        }
    }
    restore_weight_gradients(input * output, &du, out.w);
}

/// A one-dimensional transform of vectors.
trait Transform<const N: usize, const M: usize> {
    /// # Safety
    /// As for [`Vector`]'s methods.
    unsafe fn apply<V: Vector>(x: [V; N]) -> [V; M];
}

/// `a + b * factor`.
#[inline(always)]
unsafe fn plus<V: Vector>(a: V, b: V, factor: f32) -> V {
    // SAFETY: the caller's.
    unsafe { a.add(b.mul(V::all(factor))) }
}

/// `B' d`, from inputs.
struct Input;

impl Transform<IN, IN> for Input {
    #[inline(always)]
    unsafe fn apply<V: Vector>(d: [V; IN]) -> [V; IN] {
        // SAFETY: the caller's.
        unsafe {
            let (even, odd) = (plus(d[4], d[2], -4.0), plus(d[3], d[1], -4.0));
            let (wide, narrow) = (d[4].sub(d[2]), d[3].sub(d[1]).mul(V::all(2.0)));
            [
                plus(plus(d[4], d[0], 4.0), d[2], -5.0),
                even.add(odd),
                even.sub(odd),
                wide.add(narrow),
                wide.sub(narrow),
                plus(plus(d[5], d[1], 4.0), d[3], -5.0),
            ]
        }
    }
}

/// `B v`, the transpose of [`Input`].
struct InputBack;

impl Transform<IN, IN> for InputBack {
    #[inline(always)]
    unsafe fn apply<V: Vector>(v: [V; IN]) -> [V; IN] {
        // SAFETY: the caller's.
        unsafe {
            let (sum12, minus12) = (v[1].add(v[2]), v[1].sub(v[2]));
            let (sum34, minus34) = (v[3].add(v[4]), v[3].sub(v[4]).mul(V::all(2.0)));
            [
                v[0].mul(V::all(4.0)),
                v[5].sub(minus12).mul(V::all(4.0)).sub(minus34),
                v[0].add(sum12).mul(V::all(-4.0)).sub(v[0].add(sum34)),
                plus(minus12.add(minus34), v[5], -5.0),
                v[0].add(sum12.add(sum34)),
                v[5],
            ]
        }
    }
}

/// `A' m`, from products to outputs.
struct Output;

impl Transform<IN, OUT> for Output {
    #[inline(always)]
    unsafe fn apply<V: Vector>(m: [V; IN]) -> [V; OUT] {
        // SAFETY: the caller's.
        unsafe {
            let (sum12, minus12) = (m[1].add(m[2]), m[1].sub(m[2]));
            let (sum34, minus34) = (m[3].add(m[4]), m[3].sub(m[4]));
            [
                m[0].add(sum12).add(sum34),
                plus(minus12, minus34, 2.0),
                plus(sum12, sum34, 4.0),
                plus(minus12, minus34, 8.0).add(m[5]),
            ]
        }
    }
}

/// `A y`, the transpose of [`Output`].
struct OutputBack;

impl Transform<OUT, IN> for OutputBack {
    #[inline(always)]
    unsafe fn apply<V: Vector>(y: [V; OUT]) -> [V; IN] {
        // SAFETY: the caller's.
        unsafe {
            let (even, odd) = (y[0].add(y[2]), y[1].add(y[3]));
            let (wide, steep) = (plus(y[0], y[2], 4.0), plus(y[1].mul(V::all(2.0)), y[3], 8.0));
            [y[0], even.add(odd), even.sub(odd), wide.add(steep), wide.sub(steep), y[3]]
        }
    }
}

/// `G g`, from weights.
struct Weight;

impl Transform<3, IN> for Weight {
    #[inline(always)]
    unsafe fn apply<V: Vector>(g: [V; 3]) -> [V; IN] {
        // SAFETY: the caller's.
        unsafe {
            let even = g[0].add(g[2]).mul(V::all(-1.0 / 6.0));
            let odd = g[1].mul(V::all(1.0 / 6.0));
            let wide = plus(g[0].mul(V::all(1.0 / 24.0)), g[2], 1.0 / 6.0);
            let narrow = g[1].mul(V::all(1.0 / 12.0));
            [g[0].mul(V::all(0.25)), even.sub(odd), even.add(odd), wide.add(narrow), wide.sub(narrow), g[2]]
        }
    }
}

/// `G' u`, the transpose of [`Weight`].
struct WeightBack;

impl Transform<IN, 3> for WeightBack {
    #[inline(always)]
    unsafe fn apply<V: Vector>(u: [V; IN]) -> [V; 3] {
        // SAFETY: the caller's.
        unsafe {
            let (sum12, minus21) = (u[1].add(u[2]), u[2].sub(u[1]));
            let (sum34, minus34) = (u[3].add(u[4]), u[3].sub(u[4]));
            [
                plus(plus(u[0].mul(V::all(0.25)), sum12, -1.0 / 6.0), sum34, 1.0 / 24.0),
                plus(minus21.mul(V::all(1.0 / 6.0)), minus34, 1.0 / 12.0),
                plus(plus(u[5], sum12, -1.0 / 6.0), sum34, 1.0 / 6.0),
            ]
        }
    }
}

/// The positions of a tile's elements: `r * row + s * column` from the first.
#[derive(Clone, Copy)]
struct Grid {
    row: isize,
    column: isize,
}

impl Grid {
    /// Returns a tile of `N` by `N` whose elements are at multiples of a distance.
    #[inline(always)]
    fn places<const N: usize>(distance: usize) -> Self {
        Self { row: (N * distance) as isize, column: distance as isize }
    }

    #[inline(always)]
    fn at(&self, r: usize, s: usize) -> isize {
        r as isize * self.row + s as isize * self.column
    }
}

/// Applies a transform to the columns of a tile, then to the rows. In between, the tile is in memory because it
/// does not fit into registers.
///
/// # Safety
/// The machine supports the vectors; all elements of the grids, N x N and M x M, can be read and written.
#[inline(always)]
unsafe fn both<V: Vector, T: Transform<N, M>, const N: usize, const M: usize>(
    from: *const f32,
    from_grid: Grid,
    to: *mut f32,
    to_grid: Grid,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut between = [[V::all(0.0); N]; M];
        for c in 0..N {
            let mut x = [V::all(0.0); N];
            for r in 0..N {
                x[r] = V::read(from.offset(from_grid.at(r, c)));
            }
            let y = T::apply(x);
            for r in 0..M {
                between[r][c] = y[r];
            }
        }
        for r in 0..M {
            let y = T::apply(between[r]);
            for c in 0..M {
                y[c].write(to.offset(to_grid.at(r, c)));
            }
        }
    }
}

for_every_vector! {
    /// Transforms weights from `[9, size]` to `[36, size]`.
    fn transform_weights<V>(size: usize, w: &[f32], u: &mut [f32]) {
        assert!(w.len() >= 9 * size && u.len() >= PLACES * size && size.is_multiple_of(LANES));
        for i in (0..size).step_by(V::WIDTH) {
            let (from, to) = (Grid::places::<3>(size), Grid::places::<IN>(size));
            both::<V, Weight, 3, IN>(w.as_ptr().add(i), from, u.as_mut_ptr().add(i), to);
        }
    }
}

for_every_vector! {
    /// The transpose of [`transform_weights`].
    fn restore_weight_gradients<V>(size: usize, du: &[f32], dw: &mut [f32]) {
        assert!(dw.len() >= 9 * size && du.len() >= PLACES * size && size.is_multiple_of(LANES));
        for i in (0..size).step_by(V::WIDTH) {
            let (from, to) = (Grid::places::<IN>(size), Grid::places::<3>(size));
            both::<V, WeightBack, IN, 3>(du.as_ptr().add(i), from, dw.as_mut_ptr().add(i), to);
        }
    }
}

for_every_vector! {
    /// Computes V of a block of tiles, `[36, count, input]`.
    fn transform_inputs<V>(shape: &Shape, tiles: &Tiles, first: usize, count: usize, x: &[f32], v: &mut [f32]) {
        let channels = shape.conv.input;
        let stride = place_stride(count, channels);
        assert!(x.len() == shape.inputs() && v.len() >= PLACES * stride && channels.is_multiple_of(LANES));
        let places = Grid::places::<IN>(stride);
        for t in 0..count {
            let pixels = input_pixels(shape, tiles.place(first + t));
            for c in (0..channels).step_by(V::WIDTH) {
                let (from, to) = (x.as_ptr().add(c), v.as_mut_ptr().add(t * channels + c));
                if pixels.is_whole() {
                    both::<V, Input, IN, IN>(from.offset(pixels.start), pixels.grid, to, places);
                } else {
                    let mut tile = [[V::all(0.0); IN]; IN];
                    let [[top, bottom], [left, right]] = pixels.inside;
                    for r in top..bottom {
                        for s in left..right {
                            tile[r][s] = V::read(from.offset(pixels.at(r, s)));
                        }
                    }
                    both::<V, Input, IN, IN>(tile.as_ptr().cast(), Grid::places::<IN>(V::WIDTH), to, places);
                }
            }
        }
    }
}

for_every_vector! {
    /// The transpose of [`transform_inputs`], added to the gradient of the input.
    fn add_input_gradients<V>(shape: &Shape, tiles: &Tiles, first: usize, count: usize, dv: &[f32], dx: &mut [f32]) {
        let channels = shape.conv.input;
        let stride = place_stride(count, channels);
        assert!(dx.len() == shape.inputs() && dv.len() >= PLACES * stride && channels.is_multiple_of(LANES));
        for t in 0..count {
            let pixels = input_pixels(shape, tiles.place(first + t));
            for c in (0..channels).step_by(V::WIDTH) {
                let mut tile = [[V::all(0.0); IN]; IN];
                let (from, own) = (dv.as_ptr().add(t * channels + c), Grid::places::<IN>(V::WIDTH));
                both::<V, InputBack, IN, IN>(from, Grid::places::<IN>(stride), tile.as_mut_ptr().cast(), own);
                let [[top, bottom], [left, right]] = pixels.inside;
                for r in top..bottom {
                    for s in left..right {
                        let place = dx.as_mut_ptr().add(c).offset(pixels.at(r, s));
                        V::read(place).add(tile[r][s]).write(place);
                    }
                }
            }
        }
    }
}

for_every_vector! {
    /// Computes the outputs of a block of tiles from their products, with offsets and activation.
    fn transform_outputs<V>(
        shape: &Shape, tiles: &Tiles, first: usize, count: usize, m: &[f32], b: &[f32], y: &mut [f32],
    ) {
        let channels = shape.conv.output;
        let stride = place_stride(count, channels);
        assert!(y.len() == shape.outputs() && m.len() >= PLACES * stride);
        assert!(b.len() == channels && channels.is_multiple_of(LANES));
        let (low, high) = (V::all(shape.bounds.low), V::all(shape.bounds.high));
        for t in 0..count {
            let pixels = output_pixels(shape, tiles.place(first + t));
            for c in (0..channels).step_by(V::WIDTH) {
                let bias = V::read(b.as_ptr().add(c));
                let mut tile = [[V::all(0.0); OUT]; OUT];
                let (from, own) = (m.as_ptr().add(t * channels + c), Grid::places::<OUT>(V::WIDTH));
                both::<V, Output, IN, OUT>(from, Grid::places::<IN>(stride), tile.as_mut_ptr().cast(), own);
                let [[top, bottom], [left, right]] = pixels.inside;
                for r in top..bottom {
                    for s in left..right {
                        let place = y.as_mut_ptr().add(c).offset(pixels.at(r, s));
                        tile[r][s].add(bias).clamp(low, high).write(place);
                    }
                }
            }
        }
    }
}

for_every_vector! {
    /// Computes Z of a block of tiles, `[36, count, output]`, the transpose of [`transform_outputs`], and the
    /// offsets' gradient.
    fn transform_gradients<V>(
        shape: &Shape, tiles: &Tiles, first: usize, count: usize, y: &[f32], dy: &[f32], z: &mut [f32], db: &mut [f32],
    ) {
        let channels = shape.conv.output;
        let stride = place_stride(count, channels);
        assert!(y.len() == shape.outputs() && dy.len() == y.len() && z.len() >= PLACES * stride);
        assert!(db.len() == channels && channels.is_multiple_of(LANES));
        let (low, high) = (V::all(shape.bounds.low), V::all(shape.bounds.high));
        for t in 0..count {
            let pixels = output_pixels(shape, tiles.place(first + t));
            for c in (0..channels).step_by(V::WIDTH) {
                let mut tile = [[V::all(0.0); OUT]; OUT];
                let mut sum = V::read(db.as_ptr().add(c));
                let [[top, bottom], [left, right]] = pixels.inside;
                for r in top..bottom {
                    for s in left..right {
                        let at = pixels.at(r, s) + c as isize;
                        let (y, dy) = (V::read(y.as_ptr().offset(at)), V::read(dy.as_ptr().offset(at)));
                        tile[r][s] = dy.keep_between(y, low, high);
                        sum = sum.add(tile[r][s]);
                    }
                }
                sum.write(db.as_mut_ptr().add(c));
                let (to, own) = (z.as_mut_ptr().add(t * channels + c), Grid::places::<OUT>(V::WIDTH));
                both::<V, OutputBack, OUT, IN>(tile.as_ptr().cast(), own, to, Grid::places::<IN>(stride));
            }
        }
    }
}

/// The N x N pixels of a tile in a stack of images: where they start, and which of them are inside the image.
#[derive(Clone, Copy)]
struct Pixels<const N: usize> {
    /// The position of the first pixel; outside the image it may be negative.
    start: isize,
    grid: Grid,
    /// The rows and the columns that are inside: the first, and the one after the last.
    inside: [[usize; 2]; 2],
}

impl<const N: usize> Pixels<N> {
    /// Returns the pixels from `(row, column)` on of an image of the given height, width and channels.
    #[inline(always)]
    fn new(image: usize, corner: [isize; 2], [height, width, channels]: [usize; 3]) -> Self {
        let [row, column] = corner;
        let inside = |first: isize, side: usize| {
            [(-first).clamp(0, N as isize) as usize, (side as isize - first).clamp(0, N as isize) as usize]
        };
        Self {
            start: (((image * height) as isize + row) * width as isize + column) * channels as isize,
            grid: Grid { row: (width * channels) as isize, column: channels as isize },
            inside: [inside(row, height), inside(column, width)],
        }
    }

    #[inline(always)]
    fn at(&self, r: usize, s: usize) -> isize {
        self.start + self.grid.at(r, s)
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.inside == [[0, N]; 2]
    }
}

#[inline(always)]
fn input_pixels(shape: &Shape, place: Place) -> Pixels<IN> {
    let window = shape.conv.window;
    let corner = [place.row as isize - window.before[0] as isize, place.column as isize - window.before[1] as isize];
    Pixels::new(place.image, corner, [window.image[0], window.image[1], shape.conv.input])
}

#[inline(always)]
fn output_pixels(shape: &Shape, place: Place) -> Pixels<OUT> {
    let [height, width] = shape.conv.window.out;
    let corner = [place.row as isize, place.column as isize];
    Pixels::new(place.image, corner, [height, width, shape.conv.output])
}
