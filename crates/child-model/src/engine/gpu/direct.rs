//! 3x3 convolutions of stride 1, computed directly: what most of a net's time is spent on.
//!
//! A workgroup computes a few tiles of the output, each a part of one image, for a band of channels. The input of a
//! tile and the weights go to the workgroup's memory, some channels at a time; a thread sums up a block of pixels for
//! a few quads of channels in registers. What follows a convolution is done before its sums are stored: bias and
//! activation, or a 2x2 max pool and dropout too, of which the backward pass needs a code for each value and nothing
//! else.

use cubecl::client::Client;
use cubecl::prelude::{Array as Registers, *};

use super::buffer::{Buffer, group, groups};
use super::elementwise::{Dropout, activated, is_dropped, passed};
use super::tiles::{Shape, Tile, Tiles};
use super::weight_gradient;
use crate::engine::{Batch, dropout_threshold};
use crate::geometry::{Activation, Conv};

type Quad = Vector<f32, Const<4>>;

/// Where the input comes from.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Input {
    /// The map itself.
    Map,
    /// A pooled map and its codes: the gradient before the pool.
    Unpooled,
}

/// What becomes of the sums.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Finish {
    /// Bias, if there is one, and activation.
    Activate(Activation),
    /// Bias, activation, 2x2 max pool and dropout.
    Pool(Activation),
    /// Passes where the activation let a map pass.
    Mask(Activation),
}

/// The code of a pooled value that has no gradient: it was dropped, or its activation is flat there.
const NO_GRADIENT: u32 = 4;

/// The fixed sizes of a convolution.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Direct {
    images: usize,
    /// Rows and columns of the map that is read.
    seen: [usize; 2],
    inputs: usize,
    /// Rows and columns that are computed.
    out: [usize; 2],
    outputs: usize,
    /// Rows above and columns before the map.
    before: [usize; 2],
    /// Whether weights are `[taps, outputs, inputs]`, taps backwards: for the gradient of the input.
    turned: bool,
    input: Input,
    finish: Finish,
    bias: bool,
    dropout: bool,
    tile: Tile,
}

/// Whether a convolution, its gradients, and a pool after it are computed here.
pub(super) fn fits(place: Place<'_>, conv: &Conv, batch: Batch) -> bool {
    let Conv { window, input, output } = *conv;
    if window.kernel != [3, 3] || window.stride != 1 || input % 4 != 0 || output % 4 != 0 {
        return false;
    }
    let shape = |out, inputs, outputs, pools| Shape { out, inputs, outputs, images: batch.images, pools };
    let shapes = [
        shape(window.out, input, output, false),
        shape(window.out.map(even), input, output, true),
        shape(window.image, output, input, false),
    ];
    // A map of a single row or column has no pool.
    shapes
        .into_iter()
        .filter(|shape| !shape.out.contains(&0))
        .all(|shape| place.tiles.best(place.client, shape).is_some())
        && weight_gradient::fits(place.client, conv, batch)
}

/// What a 2x2 pool covers.
pub(super) fn even(side: usize) -> usize {
    side / 2 * 2
}

/// The gradient of a convolution's sums.
#[derive(Debug, Clone)]
pub(super) enum Gradient {
    Map(Buffer),
    /// That of the pooled map, the codes of [`forward_pooled`], and what dropout scaled up by.
    Pooled {
        dy: Buffer,
        codes: Buffer,
        scale: f32,
    },
}

/// Where a convolution is computed: the device, and the tiles known for it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) client: &'a Client,
    pub(super) tiles: &'a Tiles,
}

impl Place<'_> {
    fn tile(&self, shape: Shape) -> Tile {
        self.tiles.best(self.client, shape).expect("the caller knows that the convolution fits")
    }
}

/// Returns `activation(x * weights + bias)` of a convolution that [`fits`], as do the others below.
pub(super) fn forward(
    place: Place<'_>,
    [x, weights]: [&Buffer; 2],
    bias: Option<&Buffer>,
    conv: &Conv,
    activation: Activation,
    batch: Batch,
) -> Buffer {
    let sizes = Direct::forward(place, conv, Finish::Activate(activation), bias.is_some(), false, batch);
    let y = Buffer::new(place.client, batch.children * batch.images * conv.window.out_pixels() * conv.output);
    sizes.run(place.client, &Arrays { bias: bias.unwrap_or(x), ..Arrays::new(x, weights, &y) }, batch.children);
    y
}

/// Returns [`forward`]'s result after a 2x2 max pool and dropout, and a code for each value: four in a number, each
/// the pixel of the window that the value came from, or that it has no gradient.
pub(super) fn forward_pooled(
    place: Place<'_>,
    [x, weights]: [&Buffer; 2],
    bias: Option<&Buffer>,
    conv: &Conv,
    activation: Activation,
    dropout: Option<&Dropout>,
    batch: Batch,
) -> [Buffer; 2] {
    let finish = Finish::Pool(activation);
    let sizes = Direct::forward(place, conv, finish, bias.is_some(), dropout.is_some(), batch);
    let length = batch.children * batch.images * (sizes.out[0] / 2) * (sizes.out[1] / 2) * conv.output;
    let [y, codes] = [length, length / 4].map(|length| Buffer::new(place.client, length));
    let arrays = Arrays {
        bias: bias.unwrap_or(x),
        y_codes: &codes,
        keys: dropout.map_or(x, |dropout| &dropout.keys),
        first_key: dropout.map_or(0, |dropout| dropout.first),
        threshold: dropout.map_or(0, |dropout| dropout_threshold(dropout.rate)),
        scale: dropout.map_or(1.0, Dropout::scale),
        ..Arrays::new(x, weights, &y)
    };
    sizes.run(place.client, &arrays, batch.children);
    [y, codes]
}

/// Returns the gradient of the input; with a mask, of what came before the activation whose result the mask is.
pub(super) fn backward_input(
    place: Place<'_>,
    weights: &Buffer,
    gradient: &Gradient,
    mask: Option<(&Buffer, Activation)>,
    conv: &Conv,
    batch: Batch,
) -> Buffer {
    let Conv { window, input, output } = *conv;
    let finish = mask.map_or(Finish::Activate(Activation::None), |(_, activation)| Finish::Mask(activation));
    let (seen, source) = match gradient {
        Gradient::Map(_) => (window.out, Input::Map),
        Gradient::Pooled { .. } => (window.out.map(even), Input::Unpooled),
    };
    let shape = Shape { out: window.image, inputs: output, outputs: input, images: batch.images, pools: false };
    let sizes = Direct {
        images: batch.images,
        seen,
        inputs: output,
        out: window.image,
        outputs: input,
        before: window.before.map(|before| 2 - before),
        turned: true,
        input: source,
        finish,
        bias: false,
        dropout: false,
        tile: place.tile(shape),
    };
    let dx = Buffer::new(place.client, batch.children * batch.images * window.in_pixels() * input);
    let arrays = match gradient {
        Gradient::Map(dy) => Arrays::new(dy, weights, &dx),
        Gradient::Pooled { dy, codes, scale } => Arrays { codes, scale: *scale, ..Arrays::new(dy, weights, &dx) },
    };
    sizes.run(place.client, &Arrays { mask: mask.map_or(weights, |(mask, _)| mask), ..arrays }, batch.children);
    dx
}

impl Direct {
    fn forward(place: Place<'_>, conv: &Conv, finish: Finish, bias: bool, dropout: bool, batch: Batch) -> Self {
        let Conv { window, input, output } = *conv;
        let pools = matches!(finish, Finish::Pool(_));
        // What a pool leaves out is not computed.
        let out = if pools { window.out.map(even) } else { window.out };
        let shape = Shape { out, inputs: input, outputs: output, images: batch.images, pools };
        Self {
            images: batch.images,
            seen: window.image,
            inputs: input,
            out,
            outputs: output,
            before: window.before,
            turned: false,
            input: Input::Map,
            finish,
            bias,
            dropout,
            tile: place.tile(shape),
        }
    }

    /// Tiles of an image, down and across, and bands of channels.
    fn tiles(&self) -> [usize; 3] {
        let [height, width] = self.out;
        [height.div_ceil(self.tile.height()), width.div_ceil(self.tile.width()), self.outputs / self.tile.outputs()]
    }

    fn groups(&self) -> usize {
        let [down, across, bands] = self.tiles();
        (self.images * down * across).div_ceil(self.tile.tiles) * bands
    }

    fn run(&self, client: &Client, arrays: &Arrays<'_>, children: usize) {
        let &Arrays { x, codes, weights, bias, mask, keys, y, y_codes, first_key, threshold, scale } = arrays;
        let (count, dim) = (groups(self.groups(), children), CubeDim::new_1d(self.tile.threads() as u32));
        // SAFETY: the arrays have the sizes of the convolution for each child, as far as it reads them.
        unsafe {
            direct_kernel::launch_unchecked(
                client,
                count,
                dim,
                if self.turned { 1 } else { 4 },
                x.arg(),
                codes.arg(),
                weights.arg(),
                bias.arg(),
                mask.arg(),
                keys.arg(),
                y.arg(),
                y_codes.arg(),
                first_key as u32,
                threshold,
                scale,
                *self,
            );
        }
    }
}

/// What a launch reads and writes; whatever it does not use may be any array.
struct Arrays<'a> {
    x: &'a Buffer,
    codes: &'a Buffer,
    weights: &'a Buffer,
    bias: &'a Buffer,
    mask: &'a Buffer,
    keys: &'a Buffer,
    y: &'a Buffer,
    y_codes: &'a Buffer,
    first_key: usize,
    threshold: u32,
    scale: f32,
}

impl<'a> Arrays<'a> {
    fn new(x: &'a Buffer, weights: &'a Buffer, y: &'a Buffer) -> Self {
        Self { x, codes: x, weights, bias: x, mask: x, keys: x, y, y_codes: y, first_key: 0, threshold: 0, scale: 1.0 }
    }
}

/// Loads a quad of the input at a row and column of the map that is read; zeros outside.
#[cube]
fn input(
    x: &[Quad],
    codes: &[u32],
    image: usize,
    row: u32,
    column: u32,
    quad: usize,
    scale: f32,
    #[comptime] sizes: Direct,
) -> Quad {
    let (height, width) = comptime!((sizes.seen[0] as u32, sizes.seen[1] as u32));
    let quads = comptime!(sizes.inputs / 4);
    let mut value = Quad::new(0.0f32);
    if row < height && column < width {
        if comptime!(sizes.input == Input::Unpooled) {
            let pooled = image * comptime!(sizes.seen[0] / 2 * (sizes.seen[1] / 2))
                + (row / 2u32 * comptime!(sizes.seen[1] as u32 / 2) + column / 2u32) as usize;
            let at = pooled * quads + quad;
            let tap = row % 2u32 * 2u32 + column % 2u32;
            value = unpooled(x[at] * Quad::new(scale), codes[at], tap);
        } else {
            let pixel = image * comptime!(sizes.seen[0] * sizes.seen[1]) + (row * width + column) as usize;
            value = x[pixel * quads + quad];
        }
    }
    value
}

/// The part of a pooled gradient that a pixel of its window gets.
#[cube]
pub(super) fn unpooled(gradient: Quad, codes: u32, tap: u32) -> Quad {
    let mut value = Quad::new(0.0f32);
    #[unroll]
    for j in 0..4usize {
        let code = (codes >> comptime!(8 * j as u32)) & 255u32;
        value.insert(j, select(code == tap, gradient.extract(j), 0.0f32));
    }
    value
}

/// Loads a quad of weights for an output quad, an input channel and a tap.
#[cube]
fn weight<W: Size>(
    weights: &[Vector<f32, W>],
    child: usize,
    tap: usize,
    channel: usize,
    output: usize,
    #[comptime] sizes: Direct,
) -> Quad {
    let (inputs, outputs) = comptime!((sizes.inputs, sizes.outputs));
    let first = child * comptime!(9 * sizes.inputs * sizes.outputs);
    let mut quad = Quad::new(0.0f32);
    if comptime!(sizes.turned) {
        let at = first + ((8usize - tap) * outputs + output) * inputs + channel;
        #[unroll]
        for j in 0..4usize {
            quad.insert(j, weights[at + comptime!(j * sizes.inputs)].extract(0usize));
        }
    } else {
        let values = weights[(first + (tap * inputs + channel) * outputs + output) / 4];
        #[unroll]
        for j in 0..4usize {
            quad.insert(j, values.extract(j));
        }
    }
    quad
}

/// Loads of a thread that are under way at once.
const AT_ONCE: usize = 4;

/// Weights are read in vectors of W values.
#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn direct_kernel<W: Size>(
    x: &[Quad],
    codes: &[u32],
    weights: &[Vector<f32, W>],
    bias: &[Quad],
    mask: &[Quad],
    keys: &[u32],
    y: &mut [Quad],
    y_codes: &mut [u32],
    first_key: u32,
    threshold: u32,
    scale: f32,
    #[comptime] sizes: Direct,
) {
    let threads = comptime!(sizes.tile.threads());
    let (rows, columns, quads) = comptime!((sizes.tile.rows, sizes.tile.columns, sizes.tile.quads));
    let (down, across, deep) = comptime!((sizes.tile.down, sizes.tile.across, sizes.tile.deep));
    let (stride, plane) = comptime!((sizes.tile.stride(), sizes.tile.plane()));
    let channels = comptime!(sizes.tile.channels);
    let (tiles_down, tiles_across, bands) = comptime!((sizes.tiles()[0], sizes.tiles()[1], sizes.tiles()[2]));
    let of_band = comptime!(sizes.tile.outputs() / 4);

    let child = CUBE_POS_Z as usize;
    let band = group() % bands;
    let first_tile = group() / bands * comptime!(sizes.tile.tiles);
    let thread = UNIT_POS as usize;
    let thread_quad = thread % deep;
    let thread_column = thread / deep % across;
    let thread_row = thread / comptime!(sizes.tile.deep * sizes.tile.across) % down;
    let thread_tile = thread / comptime!(sizes.tile.deep * sizes.tile.across * sizes.tile.down);

    let mut input_slab = Shared::<[f32]>::new_slice(comptime!(sizes.tile.input_length()));
    let mut weight_slab = Shared::<[Quad]>::new_slice(comptime!(sizes.tile.weight_length()));
    let mut sums = Registers::<Quad>::new(comptime!(sizes.tile.rows * sizes.tile.columns * sizes.tile.quads));
    #[unroll]
    for i in 0..comptime!(sizes.tile.rows * sizes.tile.columns * sizes.tile.quads) {
        sums[i] = Quad::new(0.0f32);
    }

    for slab in 0..comptime!(sizes.inputs / sizes.tile.channels) {
        sync_cube();
        let loads = comptime!(
            sizes.tile.tiles * (sizes.tile.height() + 2) * (sizes.tile.width() + 2) * sizes.tile.channels / 4
        );
        let mut first = thread;
        while first < loads {
            let mut loaded = Registers::<Quad>::new(AT_ONCE);
            #[unroll]
            for u in 0..AT_ONCE {
                let i = first + comptime!(u * sizes.tile.threads());
                let mut value = Quad::new(0.0f32);
                if i < loads {
                    let quad = i % comptime!(sizes.tile.channels / 4);
                    let pixel = i / comptime!(sizes.tile.channels / 4);
                    let column = pixel % comptime!(sizes.tile.width() + 2);
                    let row = pixel / comptime!(sizes.tile.width() + 2) % comptime!(sizes.tile.height() + 2);
                    let tile = first_tile + pixel / comptime!((sizes.tile.width() + 2) * (sizes.tile.height() + 2));
                    let image = tile / comptime!(sizes.tiles()[0] * sizes.tiles()[1]);
                    let top = tile / tiles_across % tiles_down * comptime!(sizes.tile.height());
                    let start = tile % tiles_across * comptime!(sizes.tile.width());
                    if image < comptime!(sizes.images) {
                        // Above the first row, or left of the first column, these wrap around to large numbers.
                        value = input(
                            x,
                            codes,
                            child * comptime!(sizes.images) + image,
                            (top + row) as u32 - comptime!(sizes.before[0] as u32),
                            (start + column) as u32 - comptime!(sizes.before[1] as u32),
                            slab * comptime!(sizes.tile.channels / 4) + quad,
                            scale,
                            sizes,
                        );
                    }
                }
                loaded[u] = value;
            }
            #[unroll]
            for u in 0..AT_ONCE {
                let i = first + comptime!(u * sizes.tile.threads());
                if i < loads {
                    let quad = i % comptime!(sizes.tile.channels / 4);
                    let pixel = i / comptime!(sizes.tile.channels / 4);
                    let column = pixel % comptime!(sizes.tile.width() + 2);
                    let row = pixel / comptime!(sizes.tile.width() + 2) % comptime!(sizes.tile.height() + 2);
                    let tile = pixel / comptime!((sizes.tile.width() + 2) * (sizes.tile.height() + 2));
                    let at = (tile * channels + quad * 4) * plane + row * stride + column;
                    #[unroll]
                    for j in 0..4usize {
                        input_slab[at + comptime!(j * sizes.tile.plane())] = loaded[u].extract(j);
                    }
                }
            }
            first += comptime!(AT_ONCE * sizes.tile.threads());
        }
        // Weights `[taps, channels of the slab, quads of the band]`.
        let mut i = thread;
        while i < comptime!(sizes.tile.weight_length()) {
            if comptime!(sizes.turned) {
                // Threads side by side read channels side by side.
                let channel = i % channels;
                let quad = i / channels % of_band;
                let tap = i / comptime!(sizes.tile.channels * (sizes.tile.outputs() / 4));
                let value =
                    weight::<W>(weights, child, tap, slab * channels + channel, (band * of_band + quad) * 4, sizes);
                weight_slab[(tap * channels + channel) * of_band + quad] = value;
            } else {
                let quad = i % of_band;
                let channel = i / of_band % channels;
                let tap = i / comptime!(sizes.tile.channels * (sizes.tile.outputs() / 4));
                weight_slab[i] =
                    weight::<W>(weights, child, tap, slab * channels + channel, (band * of_band + quad) * 4, sizes);
            }
            i += threads;
        }
        sync_cube();
        for channel in 0..channels {
            let at = (thread_tile * channels + channel) * plane
                + thread_row * comptime!(sizes.tile.rows * sizes.tile.stride())
                + thread_column * columns;
            let mut values = Registers::<f32>::new(comptime!((sizes.tile.rows + 2) * (sizes.tile.columns + 2)));
            #[unroll]
            for r in 0..comptime!(sizes.tile.rows + 2) {
                #[unroll]
                for c in 0..comptime!(sizes.tile.columns + 2) {
                    values[comptime!(r * (sizes.tile.columns + 2) + c)] =
                        input_slab[at + comptime!(r * sizes.tile.stride() + c)];
                }
            }
            #[unroll]
            for tap in 0..9usize {
                #[unroll]
                for q in 0..quads {
                    let weight = weight_slab[(tap * channels + channel) * of_band + thread_quad * quads + q];
                    #[unroll]
                    for r in 0..rows {
                        #[unroll]
                        for c in 0..columns {
                            let value = values[comptime!((r + tap / 3) * (sizes.tile.columns + 2) + c + tap % 3)];
                            let sum = comptime!((r * sizes.tile.columns + c) * sizes.tile.quads + q);
                            sums[sum] = fma(Quad::new(value), weight, sums[sum]);
                        }
                    }
                }
            }
        }
    }

    let tile = first_tile + thread_tile;
    let image = tile / comptime!(sizes.tiles()[0] * sizes.tiles()[1]);
    let top = tile / tiles_across % tiles_down * comptime!(sizes.tile.height()) + thread_row * rows;
    let start = tile % tiles_across * comptime!(sizes.tile.width()) + thread_column * columns;
    let (height, width) = comptime!((sizes.out[0], sizes.out[1]));
    let all_quads = comptime!(sizes.outputs / 4);
    let mut key = 0u32;
    if comptime!(sizes.dropout) {
        key = keys[first_key as usize + child];
    }
    if image < comptime!(sizes.images) {
        #[unroll]
        for q in 0..quads {
            let quad = band * of_band + thread_quad * quads + q;
            let mut offset = Quad::new(0.0f32);
            if comptime!(sizes.bias) {
                offset = bias[child * all_quads + quad];
            }
            match comptime!(sizes.finish) {
                Finish::Pool(activation) => {
                    #[unroll]
                    for r in 0..comptime!(sizes.tile.rows / 2) {
                        #[unroll]
                        for c in 0..comptime!(sizes.tile.columns / 2) {
                            let (row, column) = (top / 2 + r, start / 2 + c);
                            if row < comptime!(sizes.out[0] / 2) && column < comptime!(sizes.out[1] / 2) {
                                let of_child =
                                    (image * comptime!(sizes.out[0] / 2) + row) * comptime!(sizes.out[1] / 2) + column;
                                let mut best = Quad::new(0.0f32);
                                let mut taps = Registers::<u32>::new(4usize);
                                #[unroll]
                                for tap in 0..4usize {
                                    let sum = sums[comptime!(
                                        ((2 * r + tap / 2) * sizes.tile.columns + 2 * c + tap % 2) * sizes.tile.quads
                                            + q
                                    )];
                                    let value = activated::<Const<4>>(sum + offset, activation);
                                    #[unroll]
                                    for j in 0..4usize {
                                        if comptime!(tap == 0) {
                                            best.insert(j, value.extract(j));
                                            taps[j] = 0u32;
                                        } else if value.extract(j) > best.extract(j) {
                                            best.insert(j, value.extract(j));
                                            taps[j] = comptime!(tap as u32);
                                        }
                                    }
                                }
                                let mut code = 0u32;
                                // Ones where a gradient passes the activation.
                                let passes = passed::<Const<4>>(best, Quad::new(1.0f32), activation);
                                #[unroll]
                                for j in 0..4usize {
                                    let mut of_value = select(passes.extract(j) > 0.0f32, taps[j], NO_GRADIENT);
                                    if comptime!(sizes.dropout) {
                                        let place = ((of_child * all_quads + quad) * 4 + j) as u32;
                                        let dropped = is_dropped(place, key, threshold);
                                        best.insert(j, select(dropped, 0.0f32, best.extract(j) * scale));
                                        of_value = select(dropped, NO_GRADIENT, of_value);
                                    }
                                    code |= of_value << comptime!(8 * j as u32);
                                }
                                let of_image =
                                    child * comptime!(sizes.images * (sizes.out[0] / 2) * (sizes.out[1] / 2));
                                let at = (of_image + of_child) * all_quads + quad;
                                y[at] = best;
                                y_codes[at] = code;
                            }
                        }
                    }
                }
                finish =>
                {
                    #[unroll]
                    for r in 0..rows {
                        #[unroll]
                        for c in 0..columns {
                            let (row, column) = (top + r, start + c);
                            if row < height && column < width {
                                let pixel = ((child * comptime!(sizes.images) + image) * height + row) * width + column;
                                let at = pixel * all_quads + quad;
                                let sum = sums[comptime!((r * sizes.tile.columns + c) * sizes.tile.quads + q)] + offset;
                                match finish {
                                    Finish::Mask(activation) => {
                                        y[at] = passed::<Const<4>>(mask[at], sum, activation);
                                    }
                                    Finish::Activate(activation) => {
                                        y[at] = activated::<Const<4>>(sum, activation);
                                    }
                                    Finish::Pool(_) => {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
