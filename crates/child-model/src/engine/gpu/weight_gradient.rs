//! The weight gradient of 3x3 convolutions of stride 1, computed directly.
//!
//! A workgroup sums over some images, rows of pixels at a time, for a band of input and a band of output channels. A
//! thread holds the sums of a row of the window for a quad of inputs and a few quads of outputs: each pixel it reads
//! takes part in three taps. The sums of all workgroups are added up by a second launch.

use cubecl::client::Client;
use cubecl::prelude::{Array as Registers, *};

use super::buffer::{Buffer, ENOUGH_GROUPS, group, groups};
use super::direct::{Gradient, even, unpooled};
use super::product::join;
use crate::engine::Batch;
use crate::geometry::{Activation, Conv};

type Quad = Vector<f32, Const<4>>;

/// Threads that a workgroup should have at least, and the most that every graphics API allows.
const MIN_THREADS: usize = 96;
const MAX_THREADS: usize = 256;

/// Memory of a workgroup of which two still run side by side on one core of a GPU.
const SHARED_BYTES: usize = 24 << 10;

/// The fixed sizes of a weight gradient.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Sizes {
    images: usize,
    /// Rows and columns of the input, and rows above and columns before it.
    seen: [usize; 2],
    before: [usize; 2],
    inputs: usize,
    outputs: usize,
    /// Rows and columns of the output's gradient; pooled, twice those that are stored.
    out: [usize; 2],
    pooled: bool,
    /// Rows of pixels at a time, and how many groups of threads share them.
    rows: usize,
    shares: usize,
    /// Channels of a band, and quads of outputs of a thread.
    band_inputs: usize,
    band_outputs: usize,
    quads: usize,
    splits: usize,
}

impl Sizes {
    /// Returns sizes whose slabs fit the memory of a workgroup, or nothing.
    fn new(conv: &Conv, out: [usize; 2], pooled: bool, memory: usize, batch: Batch) -> Option<Self> {
        let divisor = |channels: usize, most: usize| {
            (0..).map(|power| most >> power).find(|band| *band >= 4 && channels % band == 0).unwrap_or(4)
        };
        let band_outputs = divisor(conv.output, 64);
        let widest = divisor(conv.input, 32);
        for band_inputs in (0..4).map(|power| widest >> power).filter(|&band| band >= 4) {
            let quads = if band_outputs.is_multiple_of(8) && band_inputs.is_multiple_of(8) { 2 } else { 1 };
            let threads = 3 * (band_inputs / 4) * (band_outputs / 4 / quads);
            let shares = MIN_THREADS.div_ceil(threads).min(4);
            for rows in [4_usize, 3, 2, 1].into_iter().filter(|rows| rows.is_multiple_of(shares) || *rows == 1) {
                let mut sizes = Self {
                    images: batch.images,
                    seen: conv.window.image,
                    before: conv.window.before,
                    inputs: conv.input,
                    outputs: conv.output,
                    out,
                    pooled,
                    rows,
                    shares: shares.min(rows),
                    band_inputs,
                    band_outputs,
                    quads,
                    splits: 1,
                };
                let most = memory.min(if rows > 1 { SHARED_BYTES } else { memory });
                if sizes.threads() <= MAX_THREADS && sizes.bytes() <= most {
                    sizes.splits = ENOUGH_GROUPS.div_ceil(sizes.bands()).min(batch.images);
                    return Some(sizes);
                }
            }
        }
        None
    }

    fn threads(&self) -> usize {
        self.shares * 3 * (self.band_inputs / 4) * (self.band_outputs / 4 / self.quads)
    }

    fn bands(&self) -> usize {
        self.inputs / self.band_inputs * (self.outputs / self.band_outputs)
    }

    /// Columns of the gradient that are read: threes.
    fn columns(&self) -> usize {
        self.out[1].div_ceil(3) * 3
    }

    fn input_length(&self) -> usize {
        (self.rows + 2) * (self.columns() + 2) * self.band_inputs / 4
    }

    fn gradient_length(&self) -> usize {
        // Column sums are added up in the same place.
        (self.rows * self.columns() * self.band_outputs / 4).max(self.threads())
    }

    fn bytes(&self) -> usize {
        16 * (self.input_length() + self.gradient_length())
    }
}

fn sizes(client: &Client, conv: &Conv, pooled: bool, batch: Batch) -> Option<Sizes> {
    let memory = client.properties().hardware.max_shared_memory_size;
    let out = if pooled { conv.window.out.map(even) } else { conv.window.out };
    Sizes::new(conv, out, pooled, memory, batch)
}

/// Whether slabs fit the memory of a workgroup.
pub(super) fn fits(client: &Client, conv: &Conv, batch: Batch) -> bool {
    [false, true].into_iter().all(|pooled| sizes(client, conv, pooled, batch).is_some())
}

/// Returns the gradients of weights and bias of a convolution that [`fits`].
pub(super) fn weight_gradient(
    client: &Client,
    x: &Buffer,
    gradient: &Gradient,
    conv: &Conv,
    batch: Batch,
) -> [Buffer; 2] {
    let (dy, codes, scale) = match gradient {
        Gradient::Map(dy) => (dy, dy, 1.0),
        Gradient::Pooled { dy, codes, scale } => (dy, codes, *scale),
    };
    let pooled = matches!(gradient, Gradient::Pooled { .. });
    let sizes = sizes(client, conv, pooled, batch).expect("the caller knows that the convolution fits");
    let (children, parts, weights) = (batch.children, sizes.splits * sizes.shares, 9 * conv.input * conv.output);
    let dw = Buffer::new(client, children * parts * weights);
    let db = Buffer::new(client, children * sizes.splits * conv.output);
    let (count, dim) = (groups(sizes.bands() * sizes.splits, children), CubeDim::new_1d(sizes.threads() as u32));
    // SAFETY: the arrays have the sizes of the convolution for each child and part.
    unsafe {
        weight_gradient_kernel::launch_unchecked(
            client,
            count,
            dim,
            x.arg(),
            dy.arg(),
            codes.arg(),
            dw.arg(),
            db.arg(),
            scale,
            sizes,
        );
    }
    let joined =
        |array, parts, length| join(client, array, None, Activation::None, [children, parts, length, conv.output]);
    [joined(dw, parts, weights), joined(db, sizes.splits, conv.output)]
}

#[cube(launch_unchecked)]
fn weight_gradient_kernel(
    x: &[Quad],
    dy: &[Quad],
    codes: &[u32],
    dw: &mut [Quad],
    db: &mut [Quad],
    scale: f32,
    #[comptime] sizes: Sizes,
) {
    let threads = comptime!(sizes.threads());
    let (in_quads, out_quads) = comptime!((sizes.band_inputs / 4, sizes.band_outputs / 4));
    let (rows, columns, quads, shares) = comptime!((sizes.rows, sizes.columns(), sizes.quads, sizes.shares));
    let thread_groups = comptime!(sizes.band_outputs / 4 / sizes.quads);
    let in_bands = comptime!(sizes.inputs / sizes.band_inputs);
    let out_bands = comptime!(sizes.outputs / sizes.band_outputs);
    let mut input = Shared::<[Quad]>::new_slice(comptime!(sizes.input_length()));
    let mut gradient = Shared::<[Quad]>::new_slice(comptime!(sizes.gradient_length()));

    let child = CUBE_POS_Z as usize;
    let in_band = group() % in_bands;
    let out_band = group() / in_bands % out_bands;
    let split = group() / comptime!(sizes.bands());
    let thread = UNIT_POS as usize;
    let thread_output = thread % thread_groups * quads;
    let thread_input = thread / thread_groups % in_quads;
    let down = thread / comptime!(sizes.band_outputs / 4 / sizes.quads * (sizes.band_inputs / 4)) % 3usize;
    let share = thread / comptime!(sizes.band_outputs / 4 / sizes.quads * (sizes.band_inputs / 4) * 3);

    let mut sums = Registers::<Quad>::new(comptime!(12 * sizes.quads));
    #[unroll]
    for i in 0..comptime!(12 * sizes.quads) {
        sums[i] = Quad::new(0.0f32);
    }
    // Of the quads of the gradient that this thread loads, which all belong to the same outputs.
    let mut column_sum = Quad::new(0.0f32);

    let mut last = 0usize;
    if split < comptime!(sizes.splits) {
        last = (split + 1) * comptime!(sizes.images) / comptime!(sizes.splits);
    }
    for image in split * comptime!(sizes.images) / comptime!(sizes.splits)..last {
        let image = child * comptime!(sizes.images) + image;
        for tile in 0..comptime!(sizes.out[0].div_ceil(sizes.rows)) {
            let top = tile * rows;
            sync_cube();
            let mut i = thread;
            while i < comptime!(sizes.input_length()) {
                let pixel = i / in_quads;
                // Above the first row, or left of the first column, these wrap around to large numbers.
                let row = (top + pixel / comptime!(sizes.columns() + 2)) as u32 - comptime!(sizes.before[0] as u32);
                let column = (pixel % comptime!(sizes.columns() + 2)) as u32 - comptime!(sizes.before[1] as u32);
                let mut value = Quad::new(0.0f32);
                if row < comptime!(sizes.seen[0] as u32) && column < comptime!(sizes.seen[1] as u32) {
                    let at = image * comptime!(sizes.seen[0] * sizes.seen[1])
                        + (row * comptime!(sizes.seen[1] as u32) + column) as usize;
                    value = x[at * comptime!(sizes.inputs / 4) + in_band * in_quads + i % in_quads];
                }
                input[i] = value;
                i += threads;
            }
            let mut i = thread;
            while i < comptime!(sizes.rows * sizes.columns() * sizes.band_outputs / 4) {
                let pixel = i / out_quads;
                let row = (top + pixel / columns) as u32;
                let column = (pixel % columns) as u32;
                let quad = out_band * out_quads + i % out_quads;
                let mut value = Quad::new(0.0f32);
                if row < comptime!(sizes.out[0] as u32) && column < comptime!(sizes.out[1] as u32) {
                    if comptime!(sizes.pooled) {
                        let pooled = image * comptime!(sizes.out[0] / 2 * (sizes.out[1] / 2))
                            + (row / 2u32 * comptime!(sizes.out[1] as u32 / 2) + column / 2u32) as usize;
                        let at = pooled * comptime!(sizes.outputs / 4) + quad;
                        value = unpooled(dy[at] * Quad::new(scale), codes[at], row % 2u32 * 2u32 + column % 2u32);
                    } else {
                        let at = image * comptime!(sizes.out[0] * sizes.out[1])
                            + (row * comptime!(sizes.out[1] as u32) + column) as usize;
                        value = dy[at * comptime!(sizes.outputs / 4) + quad];
                    }
                }
                gradient[i] = value;
                column_sum += value;
                i += threads;
            }
            sync_cube();
            let mut row = share;
            while row < rows {
                let first = (row + down) * comptime!((sizes.columns() + 2) * sizes.band_inputs / 4) + thread_input;
                let of_row = row * comptime!(sizes.columns() * sizes.band_outputs / 4) + thread_output;
                let mut values = Registers::<Quad>::new(5usize);
                values[0usize] = input[first];
                values[1usize] = input[first + in_quads];
                for three in 0..comptime!(sizes.columns() / 3) {
                    let at = first + three * comptime!(3 * sizes.band_inputs / 4);
                    let of_three = of_row + three * comptime!(3 * sizes.band_outputs / 4);
                    #[unroll]
                    for c in 0..3usize {
                        values[comptime!(c + 2)] = input[at + comptime!((c + 2) * sizes.band_inputs / 4)];
                        #[unroll]
                        for q in 0..quads {
                            let slope = gradient[of_three + comptime!(c * sizes.band_outputs / 4 + q)];
                            #[unroll]
                            for tap in 0..3usize {
                                let value = values[comptime!(c + tap)];
                                #[unroll]
                                for j in 0..4usize {
                                    let sum = comptime!((tap * 4 + j) * sizes.quads + q);
                                    sums[sum] = fma(Quad::new(value.extract(j)), slope, sums[sum]);
                                }
                            }
                        }
                    }
                    values[0usize] = values[3usize];
                    values[1usize] = values[4usize];
                }
                row += shares;
            }
        }
    }

    sync_cube();
    gradient[thread] = column_sum;
    sync_cube();
    if split < comptime!(sizes.splits) {
        let all_quads = comptime!(sizes.outputs / 4);
        if in_band == 0 && thread < out_quads {
            let mut total = Quad::new(0.0f32);
            let mut other = thread;
            while other < threads {
                total += gradient[other];
                other += out_quads;
            }
            db[(child * comptime!(sizes.splits) + split) * all_quads + out_band * out_quads + thread] = total;
        }
        let part = (child * comptime!(sizes.splits) + split) * shares + share;
        #[unroll]
        for tap in 0..3usize {
            #[unroll]
            for j in 0..4usize {
                #[unroll]
                for q in 0..quads {
                    let row = (part * 9 + down * 3 + tap) * comptime!(sizes.inputs)
                        + (in_band * in_quads + thread_input) * 4
                        + j;
                    let quad = out_band * out_quads + thread_output + q;
                    dw[row * all_quads + quad] = sums[comptime!((tap * 4 + j) * sizes.quads + q)];
                }
            }
        }
    }
}
