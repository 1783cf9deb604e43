//! burn's tensors, on any device burn supports. An array is `[K, B, height, width, channels]`, or whatever shape
//! it arrived in, and is reshaped as a layer needs.
//!
//! The number of kernel launches does not depend on K. Convolutions are matrix products over unrolled patches,
//! batched over all children: what f32 on Vulkan does best. Gradients are written out explicitly, so nothing
//! differentiates through an unrolling, whose general gradient loops over its windows.

use std::rc::Rc;

use burn::tensor::ops::PadMode;
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use ndarray::{CowArray, Ix4};

use super::{Batch, Choices, DropoutKey, Engine, Gradients, Loss, NormGradients, NormShape, Rows, dropout_threshold};
use crate::geometry::{Activation, Conv, Window};
use crate::optimiser::{BETA1, BETA2, EPSILON, RHO, Update, UpdateRule};

/// The engine on a device.
#[derive(Debug, Clone)]
pub(crate) struct Tensors {
    device: Device,
}

type Array = Tensor<5>;

/// Images, four values per number, because graphics APIs have no smaller numbers.
pub(crate) struct Packed {
    /// `[N, values / 4]`, rounded up.
    words: Tensor<2, Int>,
    /// Height, width and channels of an image.
    shape: [usize; 3],
}

/// Images and targets of all children, and where each child's are.
pub(crate) struct Data {
    /// As in [`Packed`].
    words: Tensor<2, Int>,
    /// `[rows, classes]`.
    targets: Tensor<2>,
    /// One for each child, or one for all.
    places: Vec<Places>,
    /// Factor and offset of pixels, `[K, 1, 1]` each.
    line: [Tensor<3>; 2],
    shape: [usize; 3],
}

/// Where a child's rows are among all rows.
struct Places {
    /// For each part, its number of rows and the index of its first image.
    parts: Vec<[usize; 2]>,
    first_target: usize,
}

impl Places {
    fn image(&self, row: u32) -> i32 {
        let mut row = row as usize;
        for &[count, first] in &self.parts {
            match row.checked_sub(count) {
                None => return (first + row) as i32,
                Some(left) => row = left,
            }
        }
        unreachable!("rows are drawn from those that there are")
    }
}

/// Rows of an epoch's steps, `[steps, K, B]` each.
struct Drawn {
    images: Tensor<3, Int>,
    targets: Tensor<3, Int>,
}

/// An epoch's choices.
pub(crate) struct Draws {
    rows: Drawn,
    /// Rows to mix with, and the share of the first.
    partners: Option<(Drawn, Tensor<3>)>,
    dropout: Option<Tensor<1, Int>>,
}

impl Tensors {
    pub(crate) fn new(device: Device) -> Self {
        Self { device }
    }

    fn floats<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, DType::F32))
    }

    fn ints<const D: usize>(&self, values: Vec<i32>, shape: [usize; D]) -> Tensor<D, Int> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, DType::I32))
    }
}

/// Returns the array in a shape.
fn shaped<const D: usize>(array: &Array, shape: [usize; D]) -> Tensor<D> {
    array.clone().reshape(shape)
}

fn images(array: &Array, batch: Batch, [height, width]: [usize; 2], channels: usize) -> Array {
    let shape = [batch.children, batch.images, height, width, channels];
    if array.dims() == shape { array.clone() } else { shaped(array, shape) }
}

/// Returns the array with its channels last.
fn pixels(array: &Array, batch: Batch, shape: &NormShape) -> Array {
    let dims = array.dims();
    if dims[0] == batch.children && dims[4] == shape.channels {
        return array.clone();
    }
    shaped(array, [batch.children, batch.images, 1, shape.pixels, shape.channels])
}

/// Returns one value per channel of each child, broadcastable to images.
fn per_channel(array: &Array, children: usize) -> Array {
    let channels = array.dims().iter().product::<usize>() / children;
    shaped(array, [children, 1, 1, 1, channels])
}

fn activate(x: Array, activation: Activation) -> Array {
    match activation {
        Activation::None => x,
        Activation::Relu => x.clamp_min(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

/// Returns the gradient before an activation whose result was `y`.
fn masked(y: &Array, dy: Array, activation: Activation) -> Array {
    let dy = if dy.dims() == y.dims() { dy } else { dy.reshape(y.dims()) };
    match activation {
        Activation::None => dy,
        Activation::Relu => dy.mask_fill(y.clone().lower_equal_elem(0.0), 0.0),
        Activation::Relu6 => {
            let outside = y.clone().lower_equal_elem(0.0).bool_or(y.clone().greater_equal_elem(6.0));
            dy.mask_fill(outside, 0.0)
        }
    }
}

/// Pads images with pixels of zeros, or crops them where a count is negative.
fn pad(x: Array, before: [isize; 2], after: [isize; 2]) -> Array {
    let [children, count, height, width, channels] = x.dims();
    let sides = [height, width];
    let more = |n: isize| n.max(0) as usize;
    let mut x = x;
    if before.iter().chain(&after).any(|&n| n > 0) {
        let pairs = [(more(before[0]), more(after[0])), (more(before[1]), more(after[1])), (0, 0)];
        x = x.pad(pairs, PadMode::Constant(0.0));
    }
    if before.iter().chain(&after).any(|&n| n < 0) {
        let range = |d: usize| {
            let first = more(-before[d]);
            first..(first as isize + sides[d] as isize + before[d] + after[d]) as usize
        };
        x = x.slice([0..children, 0..count, range(0), range(1), 0..channels]);
    }
    x
}

/// Inserts `stride - 1` zeros between the pixels of images.
fn dilate(x: Array, stride: usize) -> Array {
    if stride == 1 {
        return x;
    }
    let [children, count, height, width, channels] = x.dims();
    let between = |x: Tensor<4>| x.pad([(0, stride - 1), (0, 0)], PadMode::Constant(0.0));
    let wide = between(x.reshape([children * count * height, width, 1, channels]));
    let tall = between(wide.reshape([children * count, height, 1, width * stride * channels]));
    tall.reshape([children, count, height * stride, width * stride, channels]).slice([
        0..children,
        0..count,
        0..(height - 1) * stride + 1,
        0..(width - 1) * stride + 1,
        0..channels,
    ])
}

/// Returns, for each tap of a window, the pixels of padded images that it sees.
fn taps(padded: &Array, kernel: [usize; 2], stride: usize, out: [usize; 2]) -> Vec<Array> {
    let [children, count, _, _, channels] = padded.dims();
    let range = |first: usize, d: usize| {
        let end = first + (out[d] - 1) * stride + 1;
        burn::tensor::Slice::new(first as isize, Some(end as isize), stride as isize)
    };
    let whole = |n: usize| burn::tensor::Slice::new(0, Some(n as isize), 1);
    let tap = |r: usize, s: usize| {
        padded.clone().slice([whole(children), whole(count), range(r, 0), range(s, 1), whole(channels)])
    };
    (0..kernel[0]).flat_map(|r| (0..kernel[1]).map(move |s| (r, s))).map(|(r, s)| tap(r, s)).collect()
}

/// Returns the patches of a window, `[K, B * out pixels, taps * channels]`.
fn patches(padded: &Array, kernel: [usize; 2], stride: usize, out: [usize; 2]) -> Tensor<3> {
    let [children, count, _, _, channels] = padded.dims();
    let rows = count * out[0] * out[1];
    if kernel == [1, 1] && stride == 1 {
        return padded.clone().reshape([children, rows, channels]);
    }
    let all = Tensor::cat(taps(padded, kernel, stride, out), 4);
    all.reshape([children, rows, kernel[0] * kernel[1] * channels])
}

fn padded(x: &Array, window: &Window) -> Array {
    let before = window.before.map(|n| n as isize);
    pad(x.clone(), before, [window.after(0), window.after(1)])
}

/// Spreads out the gradient of the output so that a window of stride 1 over it gives the gradient of the input.
fn spread(dy: Array, window: &Window) -> Array {
    let last = |d: usize| window.kernel[d] as isize - 1;
    let before = [0, 1].map(|d| last(d) - window.before[d] as isize);
    let after = [0, 1].map(|d| last(d) - window.after(d));
    pad(dilate(dy, window.stride), before, after)
}

/// Puts the gradient of what a tap sees back where the tap saw it.
fn placed(seen: Array, window: &Window, tap: [usize; 2]) -> Array {
    let seen = dilate(seen, window.stride);
    let [_, _, height, width, _] = seen.dims();
    let sides = [height, width];
    let before = [0, 1].map(|d| tap[d] as isize - window.before[d] as isize);
    let after = [0, 1].map(|d| window.image[d] as isize - before[d] - sides[d] as isize);
    pad(seen, before, after)
}

/// Visits each tap of a window, in the order of [`taps`].
fn places(window: &Window) -> impl Iterator<Item = [usize; 2]> {
    let [rows, columns] = window.kernel;
    (0..rows * columns).map(move |tap| [tap / columns, tap % columns])
}

fn sum_of(parts: impl Iterator<Item = Array>) -> Array {
    parts.reduce(|a, b| a + b).expect("a window has at least one tap")
}

/// Returns the share that one pixel has in each output pixel's window: 1 / (pixels inside the image).
fn shares(window: &Window) -> Vec<f32> {
    let inside = |d: usize, at: usize| {
        let first = (at * window.stride).saturating_sub(window.before[d]);
        let end = (at * window.stride + window.kernel[d]).saturating_sub(window.before[d]).min(window.image[d]);
        (end - first) as f32
    };
    let [rows, columns] = window.out;
    (0..rows * columns).map(|place| 1.0 / (inside(0, place / columns) * inside(1, place % columns))).collect()
}

impl Engine for Tensors {
    type Array = Array;
    type Pixels<'a> = Rc<Packed>;
    type Data<'a> = Data;
    type Draws = Draws;

    fn upload(&self, values: Vec<f32>) -> Array {
        let length = values.len().max(1);
        let values = if values.is_empty() { vec![0.0] } else { values };
        self.floats(values, [1, 1, 1, 1, length])
    }

    fn download(&self, array: &Array) -> Result<Vec<f32>, String> {
        let data = array.clone().try_into_data().map_err(|error| format!("{error:?}"))?;
        data.try_into_vec::<f32>().map_err(|error| format!("{error:?}"))
    }

    fn pixels<'a>(&self, images: CowArray<'a, u8, Ix4>) -> Rc<Packed> {
        let (count, height, width, channels) = images.dim();
        let bytes = images.as_standard_layout();
        let bytes = bytes.as_slice().expect("this layout has no gaps");
        let values = height * width * channels;
        let word = |four: &[u8]| {
            let mut bytes = [0; 4];
            bytes[..four.len()].copy_from_slice(four);
            i32::from_le_bytes(bytes)
        };
        let words = bytes.chunks_exact(values).flat_map(|image| image.chunks(4).map(word)).collect();
        let words = self.ints(words, [count, values.div_ceil(4)]);
        Rc::new(Packed { words, shape: [height, width, channels] })
    }

    fn data<'a>(&self, rows: Vec<Rows<'a, Self>>) -> Data {
        let shape = rows[0].parts[0].shape;
        // What children share is stored once.
        let (mut distinct, mut first_rows): (Vec<Rc<Packed>>, Vec<usize>) = (Vec::new(), vec![0]);
        let (mut places, mut first_target) = (Vec::new(), 0);
        for rows in &rows {
            let part = |part: &Rc<Packed>| {
                let known = distinct.iter().position(|other| Rc::ptr_eq(other, part)).unwrap_or_else(|| {
                    distinct.push(part.clone());
                    first_rows.push(first_rows[distinct.len() - 1] + part.words.dims()[0]);
                    distinct.len() - 1
                });
                [part.words.dims()[0], first_rows[known]]
            };
            let parts: Vec<_> = rows.parts.iter().map(part).collect();
            let count: usize = parts.iter().map(|[count, _]| count).sum();
            places.push(Places { parts, first_target });
            first_target += count;
        }
        let lines: Vec<[f32; 2]> = rows.iter().map(|rows| rows.input.line(1.0)).collect();
        let of_rows = rows.iter().zip(&places).map(|(rows, places)| {
            let count: usize = places.parts.iter().map(|[count, _]| count).sum();
            rows.targets.clone().reshape([count, rows.targets.dims().iter().product::<usize>() / count])
        });
        Data {
            words: Tensor::cat(distinct.iter().map(|part| part.words.clone()).collect(), 0),
            targets: Tensor::cat(of_rows.collect(), 0),
            line: [0, 1].map(|which| self.floats(lines.iter().map(|line| line[which]).collect(), [lines.len(), 1, 1])),
            places,
            shape,
        }
    }

    fn draws(&self, data: &Data, choices: Choices, Batch { children, images }: Batch) -> Draws {
        let steps = choices.rows.len() / (children * images);
        let shape = [steps, children, images];
        let drawn = |rows: Vec<u32>| {
            let of = |place: usize| &data.places[place / images % children % data.places.len()];
            let rows = || rows.iter().enumerate().map(|(place, &row)| (of(place), row));
            let images = rows().map(|(places, row)| places.image(row)).collect();
            let targets = rows().map(|(places, row)| (places.first_target + row as usize) as i32).collect();
            Drawn { images: self.ints(images, shape), targets: self.ints(targets, shape) }
        };
        let partners = (!choices.partners.is_empty()).then(|| {
            let (partners, shares) = choices.partners.iter().copied().unzip();
            (drawn(partners), self.floats(shares, shape))
        });
        let keys: Vec<i32> = choices.dropout.iter().map(|&key| key as i32).collect();
        let dropout = (!keys.is_empty()).then(|| {
            let count = keys.len();
            self.ints(keys, [count])
        });
        Draws { rows: drawn(choices.rows), partners, dropout }
    }

    fn batch(&self, data: &Data, draws: &Draws, step: usize, batch: Batch) -> [Array; 2] {
        let Batch { children, images } = batch;
        let [height, width, channels] = data.shape;
        let values = height * width * channels;
        let words = values.div_ceil(4);
        let [_, classes] = data.targets.dims();
        let of_step = [step..step + 1, 0..children, 0..images];
        let [factor, summand] = &data.line;
        let pick = |drawn: &Drawn| {
            let [rows, targets] = [&drawn.images, &drawn.targets]
                .map(|rows| rows.clone().slice(of_step.clone()).reshape([children * images]));
            let packed = data.words.clone().select(0, rows).reshape([children * images, words, 1]);
            let byte = |n: i32| packed.clone().bitwise_right_shift_scalar(8 * n).bitwise_and_scalar(255);
            let pixels = Tensor::cat((0..4).map(byte).collect(), 2).reshape([children, images, 4 * words]);
            let pixels = pixels.narrow(2, 0, values).float() * factor.clone() + summand.clone();
            (pixels, data.targets.clone().select(0, targets))
        };
        let (mut x, mut targets) = pick(&draws.rows);
        if let Some((partners, shares)) = &draws.partners {
            let (other_x, other_targets) = pick(partners);
            let share = shares.clone().slice(of_step.clone()).reshape([children, images, 1]);
            x = x * share.clone() + other_x * (share.clone() * -1.0 + 1.0);
            let share = share.reshape([children * images, 1]);
            targets = targets * share.clone() + other_targets * (share * -1.0 + 1.0);
        }
        [x.reshape([children, images, height, width, channels]), targets.reshape([children, images, 1, 1, classes])]
    }

    fn conv(
        &self,
        x: &Array,
        weights: &Array,
        bias: Option<&Array>,
        conv: &Conv,
        activation: Activation,
        batch: Batch,
    ) -> Array {
        let Conv { window, input, output } = conv;
        let x = padded(&images(x, batch, window.image, *input), window);
        let weights = shaped(weights, [batch.children, window.taps() * input, *output]);
        let y = patches(&x, window.kernel, window.stride, window.out).matmul(weights);
        let y = y.reshape([batch.children, batch.images, window.out[0], window.out[1], *output]);
        let y = match bias {
            Some(bias) => y + per_channel(bias, batch.children),
            None => y,
        };
        activate(y, activation)
    }

    fn conv_backward(
        &self,
        x: &Array,
        weights: &Array,
        y: &Array,
        dy: Array,
        conv: &Conv,
        activation: Activation,
        wants_x: bool,
        batch: Batch,
    ) -> Gradients<Array> {
        let Conv { window, input, output } = conv;
        let (children, [rows, columns]) = (batch.children, window.kernel);
        let dy = masked(y, dy, activation);
        let flat: Tensor<3> = dy.clone().reshape([children, batch.images * window.out_pixels(), *output]);
        let x = padded(&images(x, batch, window.image, *input), window);
        let patches_of_x = patches(&x, window.kernel, window.stride, window.out);
        let dw = patches_of_x.swap_dims(1, 2).matmul(flat.clone());
        let dx = wants_x.then(|| {
            let turned = shaped(weights, [children, rows, columns, *input, *output]).flip([1, 2]).swap_dims(3, 4);
            let turned = turned.reshape([children, window.taps() * output, *input]);
            let dx = patches(&spread(dy, window), window.kernel, 1, window.image).matmul(turned);
            dx.reshape([children, batch.images, window.image[0], window.image[1], *input])
        });
        let db = flat.sum_dim(1).reshape([children, 1, 1, 1, *output]);
        let dw = dw.reshape([children, 1, 1, window.taps() * input, *output]);
        Gradients { x: dx, weights: dw, bias: Some(db) }
    }

    fn depthwise(&self, x: &Array, weights: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let x = padded(&images(x, batch, window.image, channels), window);
        let weights = shaped(weights, [batch.children, 1, 1, window.taps(), channels]);
        let seen = taps(&x, window.kernel, window.stride, window.out);
        sum_of(seen.into_iter().enumerate().map(|(tap, x)| x * weights.clone().narrow(3, tap, 1)))
    }

    fn depthwise_backward(
        &self,
        x: &Array,
        weights: &Array,
        dy: Array,
        window: &Window,
        channels: usize,
        wants_x: bool,
        batch: Batch,
    ) -> Gradients<Array> {
        let (children, count) = (batch.children, window.taps());
        let x = padded(&images(x, batch, window.image, channels), window);
        let dy = images(&dy, batch, window.out, channels);
        let of_tap = |x: Array| {
            let product: Tensor<3> = (x * dy.clone()).reshape([children, batch.images * window.out_pixels(), channels]);
            product.sum_dim(1)
        };
        let dw = Tensor::cat(
            taps(&x, window.kernel, window.stride, window.out).into_iter().map(of_tap).collect::<Vec<_>>(),
            1,
        );
        let dx = wants_x.then(|| {
            let weights = shaped(weights, [children, 1, 1, count, channels]);
            let seen = taps(&spread(dy.clone(), window), window.kernel, 1, window.image);
            sum_of(seen.into_iter().enumerate().map(|(tap, dy)| dy * weights.clone().narrow(3, count - 1 - tap, 1)))
        });
        Gradients { x: dx, weights: dw.reshape([children, 1, 1, count, channels]), bias: None }
    }

    fn moments(&self, x: &Array, shape: &NormShape, batch: Batch) -> [Array; 2] {
        let x: Tensor<3> = shaped(x, [batch.children, batch.images * shape.pixels, shape.channels]);
        let mean = x.clone().mean_dim(1);
        let away = x - mean.clone();
        let variance = (away.clone() * away).mean_dim(1);
        [mean, variance].map(|values| values.reshape([batch.children, 1, 1, 1, shape.channels]))
    }

    fn normalise(
        &self,
        x: &Array,
        moments: [&Array; 2],
        gamma: Option<&Array>,
        beta: &Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> Array {
        let [mean, variance] = moments.map(|values| per_channel(values, batch.children));
        let spread = (variance + shape.epsilon).sqrt().recip();
        let scale = match gamma {
            Some(gamma) => spread * per_channel(gamma, batch.children),
            None => spread,
        };
        let y = (pixels(x, batch, shape) - mean) * scale + per_channel(beta, batch.children);
        activate(y, activation)
    }

    fn normalise_backward(
        &self,
        x: &Array,
        moments: [&Array; 2],
        gamma: Option<&Array>,
        y: &Array,
        dy: Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> NormGradients<Array> {
        let (children, rows) = (batch.children, batch.images * shape.pixels);
        let [mean, variance] = moments.map(|values| per_channel(values, children));
        let spread = (variance + shape.epsilon).sqrt().recip();
        let dy = masked(y, dy, activation);
        let standard = (pixels(x, batch, shape) - mean) * spread.clone();
        let sum = |values: Array| {
            let values: Tensor<3> = values.reshape([children, rows, shape.channels]);
            values.sum_dim(1).reshape([children, 1, 1, 1, shape.channels])
        };
        let (dgamma, dbeta) = (sum(dy.clone() * standard.clone()), sum(dy.clone()));
        let scale = match gamma {
            Some(gamma) => spread * per_channel(gamma, children),
            None => spread,
        };
        let share = 1.0 / rows as f32;
        let dx = (dy - dbeta.clone() * share - standard * (dgamma.clone() * share)) * scale;
        NormGradients { x: dx, gamma: dgamma, beta: dbeta }
    }

    fn blend(&self, old: &Array, new: &Array, keep: f32) -> Array {
        let old = if old.dims() == new.dims() { old.clone() } else { shaped(old, new.dims()) };
        old * keep + new.clone() * (1.0 - keep)
    }

    fn max_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let x = padded(&images(x, batch, window.image, channels), window);
        let seen = taps(&x, window.kernel, window.stride, window.out).into_iter();
        seen.reduce(Tensor::max_pair).expect("a window has at least one tap")
    }

    fn max_pool_backward(
        &self,
        x: &Array,
        y: &Array,
        dy: Array,
        window: &Window,
        channels: usize,
        batch: Batch,
    ) -> Array {
        let x = padded(&images(x, batch, window.image, channels), window);
        let dy = images(&dy, batch, window.out, channels);
        let mut taken: Option<Tensor<5, Bool>> = None;
        let seen = taps(&x, window.kernel, window.stride, window.out);
        sum_of(seen.into_iter().zip(places(window)).map(|(x, tap)| {
            let greatest = x.equal(y.clone());
            let (skipped_originals, all) = match taken.take() {
                None => (greatest.clone().bool_not(), greatest),
                Some(taken) => (greatest.clone().bool_not().bool_or(taken.clone()), taken.bool_or(greatest)),
            };
            taken = Some(all);
            placed(dy.clone().mask_fill(skipped_originals, 0.0), window, tap)
        }))
    }

    fn average_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let x = padded(&images(x, batch, window.image, channels), window);
        let shares = self.floats(shares(window), [1, 1, window.out[0], window.out[1], 1]);
        sum_of(taps(&x, window.kernel, window.stride, window.out).into_iter()) * shares
    }

    fn average_pool_backward(&self, dy: Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let shares = self.floats(shares(window), [1, 1, window.out[0], window.out[1], 1]);
        let dy = images(&dy, batch, window.out, channels) * shares;
        sum_of(taps(&spread(dy, window), window.kernel, 1, window.image).into_iter())
    }

    fn global_average(&self, x: &Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        let x: Tensor<3> = shaped(x, [batch.children * batch.images, pixels, channels]);
        x.mean_dim(1).reshape([batch.children, batch.images, 1, 1, channels])
    }

    fn global_average_backward(&self, dy: Array, pixels: usize, channels: usize, batch: Batch) -> Array {
        let dy: Tensor<4> = dy.reshape([batch.children, batch.images, 1, channels]) * (1.0 / pixels as f32);
        let dy = dy.expand([batch.children, batch.images, pixels, channels]);
        dy.reshape([batch.children, batch.images, 1, pixels, channels])
    }

    fn dropout(&self, x: Array, rate: f32, draws: &Draws, key: DropoutKey, batch: Batch) -> Array {
        let shape = x.dims();
        let length = shape.iter().product::<usize>() / batch.children;
        let first = key.first(batch.children);
        let keys = draws.dropout.as_ref().expect("a net with dropout layers has keys for them");
        let keys = keys.clone().narrow(0, first, batch.children).reshape([batch.children, 1]);
        let places = Tensor::<1, Int>::arange(0..length as i64, (&self.device, DType::I32)).reshape([1, length]);
        let hashed = lowbias32(
            lowbias32(places).expand([batch.children, length]).bitwise_xor(keys.expand([batch.children, length])),
        );
        let dropped = shift_right(hashed, 8).lower_elem(dropout_threshold(rate) as i32);
        let x: Tensor<2> = x.reshape([batch.children, length]);
        (x * (1.0 / (1.0 - rate))).mask_fill(dropped, 0.0).reshape(shape)
    }

    fn add(&self, a: Array, b: &Array) -> Array {
        let b = if a.dims() == b.dims() { b.clone() } else { shaped(b, a.dims()) };
        a + b
    }

    fn concat(&self, parts: &[Array], _: usize, _: &[usize], _: Batch) -> Array {
        Tensor::cat(parts.to_vec(), 4)
    }

    fn split(&self, whole: &Array, pixels: usize, channels: &[usize], batch: Batch) -> Vec<Array> {
        let total: usize = channels.iter().sum();
        let [_, _, height, width, _] = whole.dims();
        let whole = if height * width == pixels {
            whole.clone()
        } else {
            shaped(whole, [batch.children, batch.images, 1, pixels, total])
        };
        let mut first = 0;
        let cut = channels.iter().map(|&channels| {
            first += channels;
            whole.clone().narrow(4, first - channels, channels)
        });
        cut.collect()
    }

    fn cross_entropy(&self, logits: &Array, targets: &Array, classes: usize, batch: Batch) -> Loss<Array> {
        let shape = [batch.children, batch.images, classes];
        let (logits, targets): (Tensor<3>, Tensor<3>) = (shaped(logits, shape), shaped(targets, shape));
        let greatest = logits.clone().max_dim(2);
        let powers = (logits.clone() - greatest.clone()).exp();
        let total = powers.clone().sum_dim(2);
        let weight = targets.clone().sum_dim(2);
        let log_total = total.clone().log() + greatest;
        let loss = (targets.clone() * (log_total - logits.clone())).sum_dim(2);
        let gradient = (powers / total * weight.clone() - targets.clone()) * (1.0 / batch.images as f32);
        let gradient = gradient.mask_fill(weight.clone().equal_elem(0.0).expand(shape), 0.0);
        let filler = weight.clone().equal_elem(0.0);
        let right = logits.argmax(2).equal(targets.argmax(2)).float().mask_fill(filler.clone(), 0.0);
        let sums = Tensor::cat(vec![loss.clone().sum_dim(1), right.clone().sum_dim(1)], 2);
        let rows = Tensor::cat(vec![(loss / weight).mask_fill(filler, 0.0), right], 2);
        Loss {
            gradient: gradient.reshape([batch.children, batch.images, 1, 1, classes]),
            sums: sums.reshape([1, 1, 1, 1, 2 * batch.children]),
            rows: rows.reshape([batch.children, batch.images, 1, 1, 2]),
        }
    }

    fn update(
        &self,
        parameter: Array,
        gradient: Array,
        slots: &mut [Array],
        update: &Update,
        children: usize,
    ) -> Array {
        let shape = gradient.dims();
        let same = |array: Array| if array.dims() == shape { array } else { array.reshape(shape) };
        let parameter = same(parameter);
        let mut gradient = gradient;
        if update.clip_norm > 0.0 {
            let length = shape.iter().product::<usize>() / children;
            let flat: Tensor<2> = gradient.clone().reshape([children, length]);
            let norm = (flat.clone() * flat.clone()).sum_dim(1).sqrt();
            let scale = (norm + f32::MIN_POSITIVE).recip() * update.clip_norm;
            gradient = (flat * scale.clamp_max(1.0)).reshape(shape);
        }
        if update.weight_decay > 0.0 {
            gradient = gradient + parameter.clone() * update.weight_decay;
        }
        let mut next = |number: usize, keep: f32, new: Array| {
            let memory = same(slots[number].clone()) * keep + new;
            slots[number] = memory.clone();
            memory
        };
        let step = match update.rule {
            UpdateRule::RmsProp => {
                let mean = next(0, RHO, gradient.clone() * gradient.clone() * (1.0 - RHO));
                gradient / (mean.sqrt() + EPSILON)
            }
            UpdateRule::Adam => {
                let first = next(0, BETA1, gradient.clone() * (1.0 - BETA1));
                let second = next(1, BETA2, gradient.clone() * gradient * (1.0 - BETA2));
                first / (second.sqrt() + EPSILON)
            }
            UpdateRule::Sgd { momentum: 0.0 } => gradient,
            UpdateRule::Sgd { momentum } => {
                let speed = next(0, momentum, gradient.clone());
                gradient + speed * momentum
            }
        };
        parameter - step * update.rate
    }
}

/// Shifts in zeros, as for unsigned numbers.
fn shift_right(x: Tensor<2, Int>, bits: i32) -> Tensor<2, Int> {
    x.bitwise_right_shift_scalar(bits).bitwise_and_scalar((1i32 << (32 - bits)) - 1)
}

/// Half of [`super::hash`]; products wrap.
fn lowbias32(x: Tensor<2, Int>) -> Tensor<2, Int> {
    let x = x.clone().bitwise_xor(shift_right(x, 16)) * 0x7feb_352d_i32;
    let x = x.clone().bitwise_xor(shift_right(x, 15)) * (0x846c_a68b_u32 as i32);
    x.clone().bitwise_xor(shift_right(x, 16))
}
