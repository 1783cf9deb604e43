//! Convolutions and dense layers as matrix products whose left factor is read from the images as it is needed: no
//! patch is ever stored.
//!
//! A workgroup computes a tile of the result. It loads a slab of each factor into its own memory while it multiplies
//! the slab before, and each thread sums up a block of the tile in registers.

use cubecl::client::Client;
use cubecl::prelude::{Array as Registers, *};

use super::buffer::{Buffer, ENOUGH_GROUPS, group, groups, place, threads, width};
use super::elementwise::activated;
use crate::engine::{Batch, Gradients};
use crate::geometry::{Activation, Conv};

type Quad = Vector<f32, Const<4>>;

/// What is computed.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Of {
    /// `[output pixels, outputs]`: patches of the input times weights.
    Output,
    /// `[input pixels, inputs]`: patches of the output's gradient times turned weights.
    Input,
    /// `[taps * inputs, outputs]`: turned patches of the input times the output's gradient.
    Weights,
}

/// The sizes of a tile, and of the block of it that a thread computes.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Tile {
    rows: usize,
    columns: usize,
    block_rows: usize,
    block_columns: usize,
}

/// How deep a slab of the factors is.
const DEPTH: usize = 16;

/// The least depth of a part of a split product.
const MIN_DEPTH: usize = 256;

/// Marks a row past the last one: no window that begins there reaches the image.
const NO_ROW: u32 = 1 << 31;

impl Tile {
    fn new(rows: usize, columns: usize) -> Self {
        match (rows, columns) {
            (..=32, ..=32) | (_, ..=16) => Self { rows: 32, columns: 16, block_rows: 4, block_columns: 4 },
            (_, ..=32) => Self { rows: 128, columns: 32, block_rows: 8, block_columns: 8 },
            (..=32, _) => Self { rows: 32, columns: 64, block_rows: 4, block_columns: 8 },
            _ => Self { rows: 64, columns: 64, block_rows: 8, block_columns: 8 },
        }
    }

    fn threads(&self) -> usize {
        self.rows / self.block_rows * (self.columns / self.block_columns)
    }

    /// The length of a row of the left slab in memory: threads that store side by side use different banks.
    fn stride(&self) -> usize {
        self.rows + 2
    }
}

/// The fixed sizes of a product.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Product {
    of: Of,
    conv: Conv,
    images: usize,
    tile: Tile,
    splits: usize,
    activation: Activation,
    /// Whether the result gets a bias, or that of the gradient is computed.
    bias: bool,
}

impl Product {
    fn new(of: Of, conv: &Conv, activation: Activation, bias: bool, batch: Batch) -> Self {
        let tile = Tile { rows: 0, columns: 0, block_rows: 0, block_columns: 0 };
        let mut product = Self { of, conv: *conv, images: batch.images, tile, splits: 1, activation, bias };
        product.tile = Tile::new(product.rows(), product.columns());
        product.splits = ENOUGH_GROUPS.div_ceil(product.tiles()).min(product.depth() / MIN_DEPTH).max(1);
        product
    }

    fn rows(&self) -> usize {
        match self.of {
            Of::Output => self.images * self.conv.window.out_pixels(),
            Of::Input => self.images * self.conv.window.in_pixels(),
            Of::Weights => self.conv.window.taps() * self.conv.input,
        }
    }

    fn columns(&self) -> usize {
        match self.of {
            Of::Output | Of::Weights => self.conv.output,
            Of::Input => self.conv.input,
        }
    }

    fn depth(&self) -> usize {
        match self.of {
            Of::Output => self.conv.window.taps() * self.conv.input,
            Of::Input => self.conv.window.taps() * self.conv.output,
            Of::Weights => self.images * self.conv.window.out_pixels(),
        }
    }

    /// Channels of the images that the left factor is read from.
    fn left_channels(&self) -> usize {
        match self.of {
            Of::Output | Of::Weights => self.conv.input,
            Of::Input => self.conv.output,
        }
    }

    fn column_tiles(&self) -> usize {
        self.columns().div_ceil(self.tile.columns)
    }

    fn tiles(&self) -> usize {
        self.rows().div_ceil(self.tile.rows) * self.column_tiles()
    }

    /// Slabs of a part.
    fn slabs(&self) -> usize {
        self.depth().div_ceil(self.splits).div_ceil(DEPTH)
    }

    /// Rows and columns of the images whose pixels windows are counted by.
    fn windows(&self) -> [usize; 2] {
        if self.of == Of::Input { self.conv.window.image } else { self.conv.window.out }
    }

    /// Rows and columns of the images that the left factor is read from.
    fn seen(&self) -> [usize; 2] {
        if self.of == Of::Input { self.conv.window.out } else { self.conv.window.image }
    }

    fn run(
        &self,
        client: &Client,
        [left, right]: [&Buffer; 2],
        bias: Option<&Buffer>,
        children: usize,
    ) -> (Buffer, Option<Buffer>) {
        let (rows, columns) = (self.rows(), self.columns());
        let parts = children * self.splits;
        let out = Buffer::new(client, parts * rows * columns);
        let column_sums = (self.of == Of::Weights && self.bias).then(|| Buffer::new(client, parts * columns));
        // Whatever is not needed is not read.
        let bias_arg = column_sums.as_ref().or(bias).unwrap_or(&out).arg();
        let left_width = width(&[self.left_channels()]);
        let wide = width(&[columns]);
        let right_width = if self.of == Of::Input { 1 } else { wide };
        let (count, dim) = (groups(self.tiles(), parts), CubeDim::new_1d(self.tile.threads() as u32));
        // SAFETY: the factors and the result have the sizes of the convolution for each child and split.
        unsafe {
            product_kernel::launch_unchecked(
                client,
                count,
                dim,
                left_width,
                right_width,
                wide,
                left.arg(),
                right.arg(),
                bias_arg,
                out.arg(),
                *self,
            );
        }
        if self.splits == 1 {
            return (out, column_sums);
        }
        let result = if self.of == Of::Output { (bias, self.activation) } else { (None, Activation::None) };
        let sizes = |length| [children, self.splits, length, columns];
        let column_sums = column_sums.map(|sums| join(client, sums, None, Activation::None, sizes(columns)));
        (join(client, out, result.0, result.1, sizes(rows * columns)), column_sums)
    }
}

pub(super) fn forward(
    client: &Client,
    [x, weights]: [&Buffer; 2],
    bias: Option<&Buffer>,
    conv: &Conv,
    activation: Activation,
    batch: Batch,
) -> Buffer {
    let product = Product::new(Of::Output, conv, activation, bias.is_some(), batch);
    product.run(client, [x, weights], bias, batch.children).0
}

/// Returns the gradients; `dy` is that of the sums before the activation.
pub(super) fn backward(
    client: &Client,
    [x, weights, dy]: [&Buffer; 3],
    conv: &Conv,
    wants_x: bool,
    batch: Batch,
) -> Gradients<Buffer> {
    let dx = wants_x.then(|| {
        let product = Product::new(Of::Input, conv, Activation::None, false, batch);
        product.run(client, [dy, weights], None, batch.children).0
    });
    let product = Product::new(Of::Weights, conv, Activation::None, true, batch);
    let (dw, db) = product.run(client, [x, dy], None, batch.children);
    Gradients { x: dx, weights: dw, bias: db }
}

/// Where the window of a pixel begins: the first pixel of its image, its row and its column. For the gradient of the
/// input, where it ends.
#[cube]
fn corner(pixel: usize, child: usize, #[comptime] product: Product) -> (u32, u32, u32) {
    let (height, columns) = comptime!((product.windows()[0], product.windows()[1]));
    let (above, before) = comptime!((product.conv.window.before[0] as u32, product.conv.window.before[1] as u32));
    let image = child * comptime!(product.images) + pixel / comptime!(height * columns);
    let first = (image * comptime!(product.seen()[0] * product.seen()[1])) as u32;
    let of_image = (pixel % comptime!(height * columns)) as u32;
    let (y, x) = (of_image / comptime!(columns as u32), of_image % comptime!(columns as u32));
    if comptime!(product.of == Of::Input) {
        (first, y + above, x + before)
    } else {
        // Above the first row, or left of the first column, these wrap around to large numbers.
        let stride = comptime!(product.conv.window.stride as u32);
        (first, y * stride - above, x * stride - before)
    }
}

/// Whether a tap of a window lies within the image, and where its channel is stored. `at` counts channels, tap after
/// tap.
#[cube]
fn source(first: u32, row: u32, column: u32, at: usize, #[comptime] product: Product) -> (bool, usize) {
    let channels = comptime!(product.left_channels());
    let (height, width) = comptime!((product.seen()[0] as u32, product.seen()[1] as u32));
    let stride = comptime!(product.conv.window.stride as u32);
    let kernel = comptime!(product.conv.window.kernel[1]);
    let tap = at / channels;
    let (down, right) = ((tap / kernel) as u32, (tap % kernel) as u32);
    let mut y = row + down;
    let mut x = column + right;
    let mut inside = true;
    if comptime!(product.of == Of::Input) {
        y = row - down;
        x = column - right;
        if comptime!(stride > 1) {
            inside = y % stride == 0 && x % stride == 0;
            y /= stride;
            x /= stride;
        }
    }
    inside = inside && y < height && x < width;
    (inside, (first + y * width + x) as usize * channels + at % channels)
}

/// Loads four values, `step` apart, of which `count` exist; the others are 0.
#[cube]
fn load<N: Size>(from: &[Vector<f32, N>], at: usize, count: usize, #[comptime] step: usize) -> Quad {
    let mut quad = Quad::new(0.0f32);
    let width = N::value();
    if comptime!(width == 4) {
        if count > 0 {
            let values = from[at / 4];
            #[unroll]
            for j in 0..4usize {
                quad.insert(j, values.extract(j));
            }
        }
    } else {
        #[unroll]
        for j in 0..4usize {
            if j < count {
                quad.insert(j, from[at + comptime!(j * step)].extract(0usize));
            }
        }
    }
    quad
}

/// Stores the first `count` of four values.
#[cube]
fn store<N: Size>(to: &mut [Vector<f32, N>], at: usize, count: usize, quad: Quad) {
    let width = N::value();
    if comptime!(width == 4) {
        let mut values = Vector::<f32, N>::new(0.0f32);
        #[unroll]
        for j in 0..4usize {
            values.insert(j, quad.extract(j));
        }
        to[at / 4] = values;
    } else {
        #[unroll]
        for j in 0..4usize {
            if j < count {
                to[at + j] = Vector::new(quad.extract(j));
            }
        }
    }
}

/// `left` and `right` are read in vectors of L and R values, `bias` and `out` of W.
#[cube(launch_unchecked)]
fn product_kernel<L: Size, R: Size, W: Size>(
    left: &[Vector<f32, L>],
    right: &[Vector<f32, R>],
    bias: &mut [Vector<f32, W>],
    out: &mut [Vector<f32, W>],
    #[comptime] product: Product,
) {
    let of = comptime!(product.of);
    let (rows, columns, depth) = comptime!((product.rows(), product.columns(), product.depth()));
    let (tile_rows, tile_columns) = comptime!((product.tile.rows, product.tile.columns));
    let threads = comptime!(product.tile.threads());
    let stride = comptime!(product.tile.stride());
    let quads = comptime!(product.tile.columns / 4);
    let wide = L::value();
    // Rows, and quads of columns, of a thread's block, and how far apart they are in the tile.
    let (block_rows, block_quads) = comptime!((product.tile.block_rows, product.tile.block_columns / 4));
    let (row_step, quad_step) =
        comptime!((product.tile.rows / product.tile.block_rows, product.tile.columns / product.tile.block_columns));

    let thread = UNIT_POS as usize;
    let (thread_row, thread_quad) = (thread / quad_step, thread % quad_step);
    let part = CUBE_POS_Z as usize;
    let (child, split) = (part / comptime!(product.splits), part % comptime!(product.splits));
    let column_tile = group() % comptime!(product.column_tiles());
    let first_row = group() / comptime!(product.column_tiles()) * tile_rows;
    let first_column = column_tile * tile_columns;
    let first_depth = split * comptime!(product.slabs() * DEPTH);

    let mut left_slab = Shared::<[f32]>::new_slice(comptime!(DEPTH * product.tile.stride()));
    let mut right_slab = Shared::<[Quad]>::new_slice(comptime!(DEPTH * (product.tile.columns / 4 + 1)));
    // Where the window of each row begins.
    let mut firsts = Shared::<[u32]>::new_slice(tile_rows);
    let mut tops = Shared::<[u32]>::new_slice(tile_rows);
    let mut starts = Shared::<[u32]>::new_slice(tile_rows);
    if comptime!(of != Of::Weights) {
        let mut row = thread;
        while row < tile_rows {
            let (first, top, start) = corner(first_row + row, child, product);
            firsts[row] = first;
            tops[row] = select(first_row + row < rows, top, NO_ROW);
            starts[row] = start;
            row += threads;
        }
        sync_cube();
    }

    let left_loads = comptime!(DEPTH * product.tile.rows / (wide * product.tile.threads()));
    let right_loads = comptime!(DEPTH * product.tile.columns / (4 * product.tile.threads()));
    let mut next_left = Registers::<Vector<f32, L>>::new(left_loads);
    let mut next_right = Registers::<Quad>::new(right_loads);
    let mut sums = Registers::<Quad>::new(comptime!(product.tile.block_rows * product.tile.block_columns / 4));
    #[unroll]
    for i in 0..comptime!(product.tile.block_rows * product.tile.block_columns / 4) {
        sums[i] = Quad::new(0.0f32);
    }
    let mut column_sums = Registers::<Quad>::new(block_quads);
    #[unroll]
    for j in 0..block_quads {
        column_sums[j] = Quad::new(0.0f32);
    }

    for slab in 0..comptime!(product.slabs() + 1) {
        // What the threads loaded in the turn before.
        if slab > 0 {
            sync_cube();
            #[unroll]
            for load in 0..left_loads {
                let i = thread + comptime!(load * product.tile.threads());
                #[unroll]
                for j in 0..wide {
                    let value = next_left[load].extract(j);
                    if comptime!(of == Of::Weights) {
                        let of_row = comptime!(product.tile.rows / wide);
                        left_slab[i / of_row * stride + i % of_row * wide + j] = value;
                    } else {
                        let of_depth = comptime!(DEPTH / wide);
                        left_slab[(i % of_depth * wide + j) * stride + i / of_depth] = value;
                    }
                }
            }
            #[unroll]
            for load in 0..right_loads {
                let i = thread + comptime!(load * product.tile.threads());
                if comptime!(of == Of::Input) {
                    right_slab[i % DEPTH * comptime!(product.tile.columns / 4 + 1) + i / DEPTH] = next_right[load];
                } else {
                    right_slab[i / quads * comptime!(product.tile.columns / 4 + 1) + i % quads] = next_right[load];
                }
            }
            sync_cube();
        }
        if slab < comptime!(product.slabs()) {
            let at = first_depth + slab * DEPTH;
            #[unroll]
            for load in 0..left_loads {
                let i = thread + comptime!(load * product.tile.threads());
                let mut value = Vector::<f32, L>::new(0.0f32);
                if comptime!(of == Of::Weights) {
                    let of_row = comptime!(product.tile.rows / wide);
                    let (row, pixel) = (first_row + i % of_row * wide, at + i / of_row);
                    let (first, top, start) = corner(pixel, child, product);
                    let (inside, place) = source(first, top, start, row, product);
                    if inside && row < rows && pixel < depth {
                        value = left[place / wide];
                    }
                } else {
                    let of_depth = comptime!(DEPTH / wide);
                    let (row, tap) = (i / of_depth, at + i % of_depth * wide);
                    let (inside, place) = source(firsts[row], tops[row], starts[row], tap, product);
                    if inside && tap < depth {
                        value = left[place / wide];
                    }
                }
                next_left[load] = value;
            }
            #[unroll]
            for load in 0..right_loads {
                let i = thread + comptime!(load * product.tile.threads());
                if comptime!(of == Of::Input) {
                    // Weights `[taps, inputs, outputs]`; the depth counts outputs, tap after tap.
                    let outputs = comptime!(product.conv.output);
                    let (row, column) = (at + i % DEPTH, first_column + i / DEPTH * 4);
                    let tap = (child * comptime!(product.conv.window.taps()) + row / outputs) * columns;
                    let place = (tap + column) * outputs + row % outputs;
                    let count = select(row < depth && column < columns, columns - column, 0usize);
                    next_right[load] = self::load::<R>(right, place, count, comptime!(product.conv.output));
                } else {
                    let (row, column) = (at + i / quads, first_column + i % quads * 4);
                    let count = select(row < depth && column < columns, columns - column, 0usize);
                    next_right[load] = self::load::<R>(right, (child * depth + row) * columns + column, count, 1usize);
                }
            }
        }
        if slab > 0 {
            for k in 0..DEPTH {
                let mut values = Registers::<f32>::new(block_rows);
                #[unroll]
                for i in 0..block_rows {
                    values[i] = left_slab
                        [k * stride + thread_row + comptime!(i * (product.tile.rows / product.tile.block_rows))];
                }
                #[unroll]
                for j in 0..block_quads {
                    let quad = right_slab[k * comptime!(product.tile.columns / 4 + 1)
                        + thread_quad
                        + comptime!(j * (product.tile.columns / product.tile.block_columns))];
                    if comptime!(of == Of::Weights && product.bias) {
                        column_sums[j] += quad;
                    }
                    #[unroll]
                    for i in 0..block_rows {
                        let sum = comptime!(i * (product.tile.block_columns / 4) + j);
                        sums[sum] = fma(Quad::new(values[i]), quad, sums[sum]);
                    }
                }
            }
        }
    }

    #[unroll]
    for j in 0..block_quads {
        let column = first_column + (thread_quad + j * quad_step) * 4;
        if column < columns {
            #[unroll]
            for i in 0..block_rows {
                let row = first_row + thread_row + i * row_step;
                if row < rows {
                    let mut sum = sums[comptime!(i * (product.tile.block_columns / 4) + j)];
                    if comptime!(of == Of::Output && product.splits == 1) {
                        if comptime!(product.bias) {
                            sum += load::<W>(&*bias, child * columns + column, columns - column, 1usize);
                        }
                        sum = activated::<Const<4>>(sum, comptime!(product.activation));
                    }
                    store::<W>(out, (part * rows + row) * columns + column, columns - column, sum);
                }
            }
            if comptime!(of == Of::Weights && product.bias) && first_row == 0 && thread_row == 0 {
                store::<W>(bias, part * columns + column, columns - column, column_sums[j]);
            }
        }
    }
}

/// Sums up the parts `[K, splits, length]` of a result whose rows have so many columns.
pub(super) fn join(
    client: &Client,
    parts: Buffer,
    bias: Option<&Buffer>,
    activation: Activation,
    [children, splits, length, columns]: [usize; 4],
) -> Buffer {
    if splits == 1 {
        return parts;
    }
    let out = Buffer::new(client, children * length);
    let width = width(&[columns]);
    let (count, dim) = threads(length / width, children);
    // SAFETY: the caller's sizes are those of the parts; the bias has a value for each column of each child.
    unsafe {
        join_kernel::launch_unchecked(
            client,
            count,
            dim,
            width,
            parts.arg(),
            bias.unwrap_or(&parts).arg(),
            out.arg(),
            (length / width) as u32,
            (columns / width) as u32,
            splits as u32,
            bias.is_some(),
            activation,
        );
    }
    out
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn join_kernel<N: Size>(
    parts: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    length: u32,
    columns: u32,
    splits: u32,
    #[comptime] with_bias: bool,
    #[comptime] activation: Activation,
) {
    let i = place() as u32;
    if i < length {
        let child = CUBE_POS_Z;
        let mut at = child * splits * length + i;
        let mut sum = Vector::<f32, N>::new(0.0f32);
        for _ in 0..splits {
            sum += parts[at as usize];
            at += length;
        }
        if comptime!(with_bias) {
            sum += bias[(child * columns + i % columns) as usize];
        }
        out[(child * length + i) as usize] = activated::<N>(sum, activation);
    }
}
