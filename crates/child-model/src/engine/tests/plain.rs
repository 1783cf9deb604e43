//! The engine that others are compared with: plain loops in f64, as the definitions read.

use std::rc::Rc;

use ndarray::{Array4, CowArray, Ix4};

use crate::engine::{
    Batch, Choices, DropoutKey, Engine, Gradients, Loss, NormGradients, NormShape, Rows, dropout_threshold, hash,
};
use crate::geometry::{Activation, Conv, Window};
use crate::optimiser::{BETA1, BETA2, EPSILON, RHO, Update, UpdateRule};

#[derive(Clone)]
pub(super) struct Plain;

type Array = Rc<Vec<f64>>;

fn passes(y: f64, activation: Activation) -> bool {
    match activation {
        Activation::None => true,
        Activation::Relu => y > 0.0,
        Activation::Relu6 => y > 0.0 && y < 6.0,
    }
}

fn activate(x: f64, activation: Activation) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

/// Visits each pixel that a window sees: output pixel, tap and input pixel, all of them among the images of all
/// children.
fn each_seen(window: &Window, batch: Batch, mut visit: impl FnMut(usize, usize, usize)) {
    for image in 0..batch.children * batch.images {
        for out in 0..window.out_pixels() {
            let (i, j) = (out / window.out[1] * window.stride, out % window.out[1] * window.stride);
            for tap in 0..window.taps() {
                let (r, s) = (tap / window.kernel[1], tap % window.kernel[1]);
                let (row, column) = ((i + r).wrapping_sub(window.before[0]), (j + s).wrapping_sub(window.before[1]));
                if row < window.image[0] && column < window.image[1] {
                    let pixel = image * window.in_pixels() + row * window.image[1] + column;
                    visit(image * window.out_pixels() + out, tap, pixel);
                }
            }
        }
    }
}

/// Returns the child of a pixel among the output pixels of all children.
fn child(out: usize, window: &Window, batch: Batch) -> usize {
    out / (window.out_pixels() * batch.images)
}

fn first_greatest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Returns how many pixels each window sees.
fn seen(window: &Window, batch: Batch) -> Vec<f64> {
    let mut counts = vec![0.0; batch.children * batch.images * window.out_pixels()];
    each_seen(window, batch, |out, _, _| counts[out] += 1.0);
    counts
}

impl Engine for Plain {
    type Array = Array;
    type Pixels<'a> = Rc<Array4<u8>>;
    type Data<'a> = Vec<Rows<'a, Plain>>;
    type Draws = Choices;

    fn upload(&self, values: Vec<f32>) -> Array {
        Rc::new(values.into_iter().map(f64::from).collect())
    }

    fn download(&self, array: &Array) -> Result<Vec<f32>, String> {
        Ok(array.iter().map(|&value| value as f32).collect())
    }

    fn pixels<'a>(&self, images: CowArray<'a, u8, Ix4>) -> Rc<Array4<u8>> {
        Rc::new(images.to_owned())
    }

    fn data<'a>(&self, rows: Vec<Rows<'a, Self>>) -> Vec<Rows<'a, Self>> {
        rows
    }

    fn draws(&self, _: &Vec<Rows<'_, Self>>, choices: Choices, _: Batch) -> Choices {
        choices
    }

    fn batch(&self, data: &Vec<Rows<'_, Self>>, draws: &Choices, step: usize, batch: Batch) -> [Array; 2] {
        let (mut images, mut targets) = (Vec::new(), Vec::new());
        for place in 0..batch.children * batch.images {
            let rows = &data[place / batch.images % data.len()];
            let at = step * batch.children * batch.images + place;
            let all: Vec<_> = rows.parts.iter().flat_map(|part| part.outer_iter()).collect();
            let classes = rows.targets.len() / all.len();
            let of_row = |row: u32| {
                let pixels = all[row as usize].iter().map(|&byte| {
                    (f64::from(byte) / 255.0 - f64::from(rows.input.mean)) / f64::from(rows.input.deviation)
                });
                let targets = rows.targets[row as usize * classes..][..classes].to_vec();
                (pixels.collect::<Vec<_>>(), targets)
            };
            let (mut pixels, mut target) = of_row(draws.rows[at]);
            if let Some(&(partner, share)) = draws.partners.get(at) {
                let (others, other) = of_row(partner);
                let mix = |a: &mut [f64], b: &[f64]| {
                    let share = f64::from(share);
                    a.iter_mut().zip(b).for_each(|(a, b)| *a = share * *a + (1.0 - share) * b);
                };
                mix(&mut pixels, &others);
                mix(&mut target, &other);
            }
            images.extend(pixels);
            targets.extend(target);
        }
        [images.into(), targets.into()]
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
        let Conv { window, input, output } = *conv;
        let mut y = vec![0.0; batch.children * batch.images * window.out_pixels() * output];
        each_seen(&window, batch, |out, tap, pixel| {
            let first = (child(out, &window, batch) * window.taps() + tap) * input;
            for c in 0..input {
                let value = x[pixel * input + c];
                let row = &weights[(first + c) * output..][..output];
                y[out * output..][..output].iter_mut().zip(row).for_each(|(y, weight)| *y += value * weight);
            }
        });
        for (i, y) in y.iter_mut().enumerate() {
            let offset = bias.map_or(0.0, |bias| bias[child(i / output, &window, batch) * output + i % output]);
            *y = activate(*y + offset, activation);
        }
        y.into()
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
        let Conv { window, input, output } = *conv;
        let dy: Vec<f64> = dy.iter().zip(&**y).map(|(dy, &y)| if passes(y, activation) { *dy } else { 0.0 }).collect();
        let [mut dx, mut dw] = [x.len(), weights.len()].map(|length| vec![0.0; length]);
        let mut db = vec![0.0; batch.children * output];
        each_seen(&window, batch, |out, tap, pixel| {
            let first = (child(out, &window, batch) * window.taps() + tap) * input;
            let dy = &dy[out * output..][..output];
            for c in 0..input {
                let (row, value) = ((first + c) * output, x[pixel * input + c]);
                dw[row..][..output].iter_mut().zip(dy).for_each(|(dw, dy)| *dw += value * dy);
                dx[pixel * input + c] += weights[row..][..output].iter().zip(dy).map(|(w, dy)| w * dy).sum::<f64>();
            }
        });
        for (i, dy) in dy.iter().enumerate() {
            db[child(i / output, &window, batch) * output + i % output] += dy;
        }
        Gradients { x: wants_x.then(|| dx.into()), weights: dw.into(), bias: Some(db.into()) }
    }

    fn depthwise(&self, x: &Array, weights: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let mut y = vec![0.0; batch.children * batch.images * window.out_pixels() * channels];
        each_seen(window, batch, |out, tap, pixel| {
            let first = (child(out, window, batch) * window.taps() + tap) * channels;
            for c in 0..channels {
                y[out * channels + c] += x[pixel * channels + c] * weights[first + c];
            }
        });
        y.into()
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
        let [mut dx, mut dw] = [x.len(), weights.len()].map(|length| vec![0.0; length]);
        each_seen(window, batch, |out, tap, pixel| {
            let first = (child(out, window, batch) * window.taps() + tap) * channels;
            for c in 0..channels {
                dx[pixel * channels + c] += dy[out * channels + c] * weights[first + c];
                dw[first + c] += dy[out * channels + c] * x[pixel * channels + c];
            }
        });
        Gradients { x: wants_x.then(|| dx.into()), weights: dw.into(), bias: None }
    }

    fn moments(&self, x: &Array, shape: &NormShape, batch: Batch) -> [Array; 2] {
        let rows = batch.images * shape.pixels;
        let of_channel = |i: usize| {
            let first = i / shape.channels * rows * shape.channels + i % shape.channels;
            (0..rows).map(move |row| x[first + row * shape.channels])
        };
        let mean = |i: usize| of_channel(i).sum::<f64>() / rows as f64;
        let variance = |i: usize| of_channel(i).map(|value| (value - mean(i)).powi(2)).sum::<f64>() / rows as f64;
        let all = 0..batch.children * shape.channels;
        let means: Vec<f64> = all.clone().map(mean).collect();
        [Rc::new(means), Rc::new(all.map(variance).collect())]
    }

    fn normalise(
        &self,
        x: &Array,
        [mean, variance]: [&Array; 2],
        gamma: Option<&Array>,
        beta: &Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> Array {
        let of_child = batch.images * shape.pixels * shape.channels;
        let y = x.iter().enumerate().map(|(i, x)| {
            let c = i / of_child * shape.channels + i % shape.channels;
            let standard = (x - mean[c]) / (variance[c] + f64::from(shape.epsilon)).sqrt();
            activate(standard * gamma.map_or(1.0, |gamma| gamma[c]) + beta[c], activation)
        });
        Rc::new(y.collect())
    }

    /// As Ioffe & Szegedy (2015, section 3) write it.
    fn normalise_backward(
        &self,
        x: &Array,
        [mean, variance]: [&Array; 2],
        gamma: Option<&Array>,
        y: &Array,
        dy: Array,
        shape: &NormShape,
        activation: Activation,
        batch: Batch,
    ) -> NormGradients<Array> {
        let (rows, of_child) = (batch.images * shape.pixels, batch.images * shape.pixels * shape.channels);
        let channel = |i: usize| i / of_child * shape.channels + i % shape.channels;
        let dy: Vec<f64> = dy.iter().zip(&**y).map(|(dy, &y)| if passes(y, activation) { *dy } else { 0.0 }).collect();
        let zeros = || vec![0.0; batch.children * shape.channels];
        let [mut dgamma, mut dbeta, mut dvariance, mut dmean] = [zeros(), zeros(), zeros(), zeros()];
        let spread = |c: usize| (variance[c] + f64::from(shape.epsilon)).sqrt();
        let dstandard = |i: usize| dy[i] * gamma.map_or(1.0, |gamma| gamma[channel(i)]);
        for i in 0..x.len() {
            let c = channel(i);
            dgamma[c] += dy[i] * (x[i] - mean[c]) / spread(c);
            dbeta[c] += dy[i];
            dvariance[c] += dstandard(i) * (x[i] - mean[c]) * -0.5 / spread(c).powi(3);
            dmean[c] -= dstandard(i) / spread(c);
        }
        let dx = (0..x.len()).map(|i| {
            let c = channel(i);
            let by_variance = dvariance[c] * 2.0 * (x[i] - mean[c]) / rows as f64;
            dstandard(i) / spread(c) + by_variance + dmean[c] / rows as f64
        });
        NormGradients { x: Rc::new(dx.collect()), gamma: dgamma.into(), beta: dbeta.into() }
    }

    fn blend(&self, old: &Array, new: &Array, keep: f32) -> Array {
        let keep = f64::from(keep);
        Rc::new(old.iter().zip(&**new).map(|(old, new)| old * keep + new * (1.0 - keep)).collect())
    }

    fn max_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let mut y = vec![f64::NEG_INFINITY; batch.children * batch.images * window.out_pixels() * channels];
        each_seen(window, batch, |out, _, pixel| {
            for c in 0..channels {
                y[out * channels + c] = y[out * channels + c].max(x[pixel * channels + c]);
            }
        });
        y.into()
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
        let (mut dx, mut found) = (vec![0.0; x.len()], vec![false; y.len()]);
        each_seen(window, batch, |out, _, pixel| {
            for c in 0..channels {
                let at = out * channels + c;
                if !found[at] && x[pixel * channels + c] == y[at] {
                    found[at] = true;
                    dx[pixel * channels + c] += dy[at];
                }
            }
        });
        dx.into()
    }

    fn average_pool(&self, x: &Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let counts = seen(window, batch);
        let mut y = vec![0.0; counts.len() * channels];
        each_seen(window, batch, |out, _, pixel| {
            (0..channels).for_each(|c| y[out * channels + c] += x[pixel * channels + c] / counts[out]);
        });
        y.into()
    }

    fn average_pool_backward(&self, dy: Array, window: &Window, channels: usize, batch: Batch) -> Array {
        let counts = seen(window, batch);
        let mut dx = vec![0.0; batch.children * batch.images * window.in_pixels() * channels];
        each_seen(window, batch, |out, _, pixel| {
            (0..channels).for_each(|c| dx[pixel * channels + c] += dy[out * channels + c] / counts[out]);
        });
        dx.into()
    }

    fn global_average(&self, x: &Array, pixels: usize, channels: usize, _: Batch) -> Array {
        let image = |image: &[f64], c: usize| (0..pixels).map(|p| image[p * channels + c]).sum::<f64>() / pixels as f64;
        let y = x.chunks_exact(pixels * channels).flat_map(|values| (0..channels).map(move |c| image(values, c)));
        Rc::new(y.collect())
    }

    fn global_average_backward(&self, dy: Array, pixels: usize, channels: usize, _: Batch) -> Array {
        let image = |image: &[f64]| image.iter().map(|dy| dy / pixels as f64).collect::<Vec<_>>().repeat(pixels);
        Rc::new(dy.chunks_exact(channels).flat_map(image).collect())
    }

    fn dropout(&self, x: Array, rate: f32, draws: &Choices, key: DropoutKey, batch: Batch) -> Array {
        let of_child = x.len() / batch.children;
        let y = x.iter().enumerate().map(|(i, value)| {
            let key = draws.dropout[key.first(batch.children) + i / of_child];
            let dropped = hash((i % of_child) as u32, key) >> 8 < dropout_threshold(rate);
            if dropped { 0.0 } else { value / (1.0 - f64::from(rate)) }
        });
        Rc::new(y.collect())
    }

    fn add(&self, a: Array, b: &Array) -> Array {
        Rc::new(a.iter().zip(&**b).map(|(a, b)| a + b).collect())
    }

    fn concat(&self, parts: &[Array], pixels: usize, channels: &[usize], batch: Batch) -> Array {
        let rows = 0..batch.children * batch.images * pixels;
        let row = |row: usize| parts.iter().zip(channels).flat_map(move |(part, &n)| part[row * n..][..n].to_vec());
        Rc::new(rows.flat_map(row).collect())
    }

    fn split(&self, whole: &Array, _: usize, channels: &[usize], _: Batch) -> Vec<Array> {
        let total: usize = channels.iter().sum();
        let part = |number: usize| {
            let first: usize = channels[..number].iter().sum();
            whole.chunks_exact(total).flat_map(|row| row[first..][..channels[number]].to_vec()).collect()
        };
        (0..channels.len()).map(|number| Rc::new(part(number))).collect()
    }

    fn cross_entropy(
        &self,
        logits: &Array,
        targets: &Array,
        classes: usize,
        entropy: f32,
        batch: Batch,
    ) -> Loss<Array> {
        let (mut gradient, mut rows, mut sums) = (Vec::new(), Vec::new(), vec![0.0; 2 * batch.children]);
        for (row, (logits, targets)) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)).enumerate() {
            let weight: f64 = targets.iter().sum();
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let of_row: f64 = targets.iter().zip(logits).map(|(target, logit)| target * (total.ln() - logit)).sum();
            let right = f64::from(u8::from(weight > 0.0 && first_greatest(logits) == first_greatest(targets)));
            let probabilities: Vec<f64> = logits.iter().map(|logit| logit.exp() / total).collect();
            let of_probabilities: f64 = probabilities.iter().map(|p| if *p > 0.0 { -p * p.ln() } else { 0.0 }).sum();
            gradient.extend(probabilities.iter().zip(targets).map(|(p, target)| {
                let of_entropy = if *p > 0.0 { -p * (p.ln() + of_probabilities) } else { 0.0 };
                ((p + f64::from(entropy) * of_entropy) * weight - target) / batch.images as f64
            }));
            let counts = f64::from(u8::from(weight > 0.0));
            rows.extend([if weight == 0.0 { 0.0 } else { of_row / weight }, right, counts * of_probabilities]);
            sums[row / batch.images * 2] += of_row;
            sums[row / batch.images * 2 + 1] += right;
        }
        Loss { gradient: gradient.into(), sums: sums.into(), rows: rows.into() }
    }

    fn update(
        &self,
        parameter: Array,
        gradient: Array,
        slots: &mut [Array],
        update: &Update,
        children: usize,
    ) -> Array {
        let of_child = parameter.len() / children;
        let mut memories: Vec<Vec<f64>> = slots.iter().map(|slot| slot.to_vec()).collect();
        let norm = |i: usize| gradient[i / of_child * of_child..][..of_child].iter().map(|g| g * g).sum::<f64>().sqrt();
        let mut keep = |slot: usize, i: usize, share: f32, new: f64| {
            let share = f64::from(share);
            memories[slot][i] = share * memories[slot][i] + (1.0 - share) * new;
            memories[slot][i]
        };
        let changed = (0..parameter.len()).map(|i| {
            let clip = if update.clip_norm > 0.0 { (f64::from(update.clip_norm) / norm(i)).min(1.0) } else { 1.0 };
            let g = gradient[i] * clip + f64::from(update.weight_decay) * parameter[i];
            let step = match update.rule {
                UpdateRule::RmsProp => g / (keep(0, i, RHO, g * g).sqrt() + f64::from(EPSILON)),
                UpdateRule::Adam => keep(0, i, BETA1, g) / (keep(1, i, BETA2, g * g).sqrt() + f64::from(EPSILON)),
                UpdateRule::Sgd { momentum: 0.0 } => g,
                UpdateRule::Sgd { momentum } => {
                    let speed = keep(0, i, momentum, g / (1.0 - f64::from(momentum)));
                    g + f64::from(momentum) * speed
                }
            };
            parameter[i] - f64::from(update.rate) * step
        });
        let changed = Rc::new(changed.collect());
        slots.iter_mut().zip(memories).for_each(|(slot, memory)| *slot = memory.into());
        changed
    }
}
