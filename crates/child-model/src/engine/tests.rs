//! Compares our own kernels with plain loops in f64, and those for GPUs with those for the CPU.

use super::cpu::Cpu;
use super::{Batch, Choices, DropoutKey, Engine, NormShape, hash};
use crate::geometry::{Activation, Conv, Padding, Window};
use crate::optimiser::{Update, UpdateRule};
use deepaug_simd::with_every_instruction_set;

const BATCH: Batch = Batch { children: 2, images: 3 };

/// Returns numbers in -1..1 without a pattern.
fn numbers(count: usize, salt: u32) -> Vec<f32> {
    (0..count as u32).map(|i| hash(i, salt) as f32 / 2f32.powi(31) - 1.0).collect()
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance * scale, "{what} {i}: {found} {expected}");
    }
}

fn windows() -> Vec<Window> {
    let window = |image, kernel, stride, padding| Window::new(image, kernel, stride, padding).unwrap();
    vec![
        window([8, 8], [3, 3], 1, Padding::Same),
        window([7, 9], [3, 3], 1, Padding::Same),
        window([9, 6], [3, 3], 1, Padding::Valid),
        window([3, 3], [3, 3], 1, Padding::Valid),
        window([2, 5], [3, 3], 1, Padding::Same),
        window([13, 14], [3, 3], 1, Padding::Valid),
        window([8, 9], [3, 3], 2, Padding::Same),
        window([9, 8], [3, 3], 2, Padding::Valid),
        window([6, 7], [1, 1], 1, Padding::Same),
        window([6, 7], [1, 1], 2, Padding::Same),
        window([5, 8], [1, 7], 1, Padding::Same),
        window([8, 5], [5, 2], 3, Padding::Same),
        Window::point(),
    ]
}

/// Visits each product of a convolution: image, output pixel, tap, and input pixel.
fn for_each_product(window: &Window, images: usize, mut visit: impl FnMut(usize, usize, usize)) {
    for image in 0..images {
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

struct ConvCase {
    conv: Conv,
    activation: Activation,
    x: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    dy: Vec<f32>,
}

impl ConvCase {
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for window in windows() {
            for (input, output) in [(1, 16), (3, 32), (16, 32), (32, 16), (5, 7)] {
                for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                    let conv = Conv { window, input, output };
                    let count = BATCH.children * BATCH.images;
                    cases.push(Self {
                        conv,
                        activation,
                        x: numbers(count * window.in_pixels() * input, 1),
                        // Sums on both sides of 6.
                        w: numbers(BATCH.children * window.taps() * input * output, 2)
                            .iter()
                            .map(|w| 4.0 * w)
                            .collect(),
                        b: numbers(BATCH.children * output, 3),
                        dy: numbers(count * window.out_pixels() * output, 4),
                    });
                }
            }
        }
        cases
    }

    fn name(&self) -> String {
        format!("{:?} {:?}", self.conv, self.activation)
    }

    /// Returns y, dx, dw, db.
    fn run<E: Engine>(&self, engine: &E) -> [Vec<f32>; 4] {
        let [x, w, b, dy] = [&self.x, &self.w, &self.b, &self.dy].map(|values| engine.upload(values.clone()));
        let y = engine.conv(&x, &w, Some(&b), &self.conv, self.activation, BATCH);
        let found = engine.conv_backward(&x, &w, &y, dy, &self.conv, self.activation, true, BATCH);
        [y, found.x.unwrap(), found.weights, found.bias.unwrap()].map(|array| engine.download(&array).unwrap())
    }

    /// Computes the same with plain loops in f64; the activation's mask is taken from `y`.
    fn plain(&self, y: &[f32]) -> [Vec<f32>; 4] {
        let Conv { window, input, output } = self.conv;
        let [mut z, mut dx, mut dw, mut db] =
            [y.len(), self.x.len(), self.w.len(), self.b.len()].map(|length| vec![0f64; length]);
        for child in 0..BATCH.children {
            let (first_in, first_out) =
                (child * BATCH.images * window.in_pixels(), child * BATCH.images * window.out_pixels());
            for_each_product(&window, BATCH.images, |out, tap, pixel| {
                for o in 0..output {
                    let at = (first_out + out) * output + o;
                    let passes = match self.activation {
                        Activation::None => true,
                        Activation::Relu => y[at] > 0.0,
                        Activation::Relu6 => y[at] > 0.0 && y[at] < 6.0,
                    };
                    let dy = if passes { f64::from(self.dy[at]) } else { 0.0 };
                    for c in 0..input {
                        let xi = (first_in + pixel) * input + c;
                        let wi = ((child * window.taps() + tap) * input + c) * output + o;
                        z[at] += f64::from(self.x[xi]) * f64::from(self.w[wi]);
                        dx[xi] += f64::from(self.w[wi]) * dy;
                        dw[wi] += f64::from(self.x[xi]) * dy;
                    }
                }
            });
            for at in first_out * output..(first_out + BATCH.images * window.out_pixels()) * output {
                let bias = child * output + at % output;
                z[at] += f64::from(self.b[bias]);
                let passes = match self.activation {
                    Activation::None => true,
                    Activation::Relu => y[at] > 0.0,
                    Activation::Relu6 => y[at] > 0.0 && y[at] < 6.0,
                };
                db[bias] += if passes { f64::from(self.dy[at]) } else { 0.0 };
                z[at] = match self.activation {
                    Activation::None => z[at],
                    Activation::Relu => z[at].max(0.0),
                    Activation::Relu6 => z[at].clamp(0.0, 6.0),
                };
            }
        }
        [z, dx, dw, db].map(|values| values.into_iter().map(|value| value as f32).collect())
    }
}

#[test]
fn convolutions_agree_with_plain_loops_under_every_instruction_set() {
    with_every_instruction_set(|_| {
        for case in ConvCase::all() {
            let found = case.run(&Cpu);
            let expected = case.plain(&found[0]);
            for ((found, expected), what) in found.iter().zip(&expected).zip(["y", "dx", "dw", "db"]) {
                // Relu6 leaves 6 of sums of about 50, so this is what remains of f32's digits after the Winograd
                // transforms.
                close(found, expected, 2e-4, &format!("{} {what}", case.name()));
            }
        }
    });
}

#[test]
fn depthwise_convolutions_agree_with_plain_loops() {
    with_every_instruction_set(|_| {
        for window in windows() {
            for channels in [1, 5, 32] {
                let count = BATCH.children * BATCH.images;
                let x = numbers(count * window.in_pixels() * channels, 1);
                let w = numbers(BATCH.children * window.taps() * channels, 2);
                let dy = numbers(count * window.out_pixels() * channels, 3);
                let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(|length| vec![0f32; length]);
                for child in 0..BATCH.children {
                    let first = child * BATCH.images;
                    for_each_product(&window, BATCH.images, |out, tap, pixel| {
                        for c in 0..channels {
                            let xi = (first * window.in_pixels() + pixel) * channels + c;
                            let yi = (first * window.out_pixels() + out) * channels + c;
                            let wi = (child * window.taps() + tap) * channels + c;
                            y[yi] += x[xi] * w[wi];
                            dx[xi] += dy[yi] * w[wi];
                            dw[wi] += dy[yi] * x[xi];
                        }
                    });
                }
                let [x, w, dy] = [x, w, dy].map(|values| Cpu.upload(values));
                close(&Cpu.depthwise(&x, &w, &window, channels, BATCH), &y, 1e-5, "y");
                let found = Cpu.depthwise_backward(&x, &w, dy, &window, channels, true, BATCH);
                close(&found.x.unwrap(), &dx, 1e-5, "dx");
                close(&found.weights, &dw, 1e-5, "dw");
            }
        }
    });
}

#[test]
fn one_child_of_many_is_as_it_is_alone_bit_for_bit() {
    let window = Window::new([9, 9], [3, 3], 1, Padding::Same).unwrap();
    let conv = Conv { window, input: 16, output: 16 };
    let alone = Batch { children: 1, images: 3 };
    let (x, w, b) = (numbers(3 * 81 * 16, 1), numbers(9 * 16 * 16, 2), numbers(16, 3));
    let other = |values: &[f32]| [values.iter().map(|v| -v).collect::<Vec<_>>(), values.to_vec()].concat();
    let run = |x: Vec<f32>, w: Vec<f32>, b: Vec<f32>, batch| {
        let [x, w, b] = [x, w, b].map(|values| Cpu.upload(values));
        Cpu.conv(&x, &w, Some(&b), &conv, Activation::Relu, batch).to_vec()
    };
    let both = run(other(&x), other(&w), other(&b), Batch { children: 2, images: 3 });
    let one = run(x, w, b, alone);
    assert_eq!(both[one.len()..], one);
}

#[test]
fn dropout_drops_its_share_and_scales_the_rest() {
    let choices = Choices { dropout: vec![7, 8], ..Choices::default() };
    let batch = Batch { children: 2, images: 1 };
    let key = DropoutKey { step: 0, layer: 0, layers: 1 };
    let found = Cpu.dropout(Cpu.upload(vec![1.0; 200_000]), 0.3, &choices, key, batch);
    let (first, second) = found.split_at(100_000);
    for half in [first, second] {
        let dropped = half.iter().filter(|&&value| value == 0.0).count() as f64 / 100_000.0;
        // Five standard deviations of a share of 100,000.
        assert!((dropped - 0.3).abs() < 5.0 * (0.3f64 * 0.7 / 1e5).sqrt(), "{dropped}");
        assert!(half.iter().all(|&value| value == 0.0 || value == 1.0 / 0.7));
    }
    let both = first.iter().zip(second).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64 / 1e5;
    assert!((both - 0.09).abs() < 5.0 * (0.09f64 * 0.91 / 1e5).sqrt(), "keys must be independent: {both}");
}

/// Compares ten optimiser steps on two numbers, one per child, with the formulas in f64.
#[test]
fn optimisers_follow_their_formulas() {
    let rules =
        [UpdateRule::RmsProp, UpdateRule::Adam, UpdateRule::Sgd { momentum: 0.0 }, UpdateRule::Sgd { momentum: 0.9 }];
    for rule in rules {
        let update = Update { rule, rate: 0.1, weight_decay: 0.01, clip_norm: 0.5 };
        let mut p = Cpu.upload(vec![1.0, -2.0]);
        let mut slots = [Cpu.upload(vec![0.0; 2]), Cpu.upload(vec![0.0; 2])];
        let mut expected = [1.0f64, -2.0];
        let mut memory = [[0.0f64; 2]; 2];
        for step in 0..10 {
            let gradient = [0.3 * f64::from(step) - 1.0, 0.01 * f64::from(step)];
            p = Cpu.update(p, Cpu.upload(gradient.map(|g| g as f32).to_vec()), &mut slots, &update, 2);
            for child in 0..2 {
                let g = gradient[child].clamp(-0.5, 0.5) + 0.01 * expected[child];
                let [first, second] = &mut memory[child];
                expected[child] -= 0.1
                    * match rule {
                        UpdateRule::RmsProp => {
                            *first = 0.9 * *first + 0.1 * g * g;
                            g / (first.sqrt() + 1e-7)
                        }
                        UpdateRule::Adam => {
                            *first = 0.9 * *first + 0.1 * g;
                            *second = 0.999 * *second + 0.001 * g * g;
                            *first / (second.sqrt() + 1e-7)
                        }
                        UpdateRule::Sgd { momentum } => {
                            let momentum = f64::from(momentum);
                            *first = momentum * *first + g;
                            if momentum > 0.0 { g + momentum * *first } else { g }
                        }
                    };
            }
        }
        close(&p, &expected.map(|value| value as f32), 1e-5, &format!("{rule:?}"));
    }
}

/// Checks every operation, with two children, on a GPU or a software adapter.
#[cfg(feature = "gpu")]
mod on_a_gpu {
    use super::*;
    use crate::engine::Rows;
    use crate::engine::gpu::Gpu;
    use crate::input::Input;

    fn gpu() -> Gpu {
        crate::device::gpu_engine()
    }

    /// Runs the same on both and compares everything it returns.
    macro_rules! agree {
        ($what:expr, $tolerance:expr, |$engine:ident| $run:expr) => {{
            let ours = {
                let $engine = &Cpu;
                $run
            };
            let theirs = {
                let $engine = &gpu();
                $run
            };
            for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                close(ours, theirs, $tolerance, &format!("{} {number}", $what));
            }
        }};
    }

    /// For tests of random choices alone.
    fn any_data<E: Engine>(engine: &E) -> E::Data<'static> {
        let parts = vec![engine.pixels(ndarray::Array4::zeros((1, 1, 1, 1)).into())];
        engine.data(vec![Rows { parts, targets: engine.upload(vec![1.0]), input: Input::UNIT }])
    }

    fn read<E: Engine, const N: usize>(engine: &E, arrays: [E::Array; N]) -> [Vec<f32>; N] {
        arrays.map(|array| engine.download(&array).unwrap())
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn convolutions() {
        for case in ConvCase::all() {
            // A value within rounding error of a bound may be masked on one side and not on the other.
            if case.activation == Activation::None {
                agree!(case.name(), 5e-5, |engine| case.run(engine));
            }
        }
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn depthwise_convolutions_and_pools() {
        for window in windows() {
            let (channels, count) = (5, BATCH.children * BATCH.images);
            let x = numbers(count * window.in_pixels() * channels, 1);
            let w = numbers(BATCH.children * window.taps() * channels, 2);
            let dy = numbers(count * window.out_pixels() * channels, 3);
            agree!(format!("{window:?}"), 1e-5, |engine| {
                let [x, w, dy] = [&x, &w, &dy].map(|values| engine.upload(values.clone()));
                let y = engine.depthwise(&x, &w, &window, channels, BATCH);
                let back = engine.depthwise_backward(&x, &w, dy.clone(), &window, channels, true, BATCH);
                let average = engine.average_pool(&x, &window, channels, BATCH);
                let average_back = engine.average_pool_backward(dy, &window, channels, BATCH);
                read(engine, [y, back.x.unwrap(), back.weights, average, average_back])
            });
            if window.before == [0, 0] && window.after(0) <= 0 && window.after(1) <= 0 {
                // Few distinct values, so that there are ties.
                let x: Vec<f32> = x.iter().map(|x| (2.0 * x).round()).collect();
                agree!(format!("max {window:?}"), 1e-6, |engine| {
                    let [x, dy] = [&x, &dy].map(|values| engine.upload(values.clone()));
                    let y = engine.max_pool(&x, &window, channels, BATCH);
                    let dx = engine.max_pool_backward(&x, &y, dy, &window, channels, BATCH);
                    read(engine, [y, dx])
                });
            }
        }
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn normalisations() {
        for gamma in [true, false] {
            let shape = NormShape { pixels: 20, channels: 6, epsilon: 1e-3 };
            let length = BATCH.children * BATCH.images * 20 * 6;
            // Far from zero, where a careless variance loses its digits.
            let x: Vec<f32> = numbers(length, 1).iter().map(|x| 30.0 + x).collect();
            let (g, b, dy) = (numbers(12, 2), numbers(12, 3), numbers(length, 4));
            agree!("normalisation", 1e-4, |engine| {
                let [x, g, b, dy] = [&x, &g, &b, &dy].map(|values| engine.upload(values.clone()));
                let gamma = gamma.then_some(&g);
                let [mean, variance] = engine.moments(&x, &shape, BATCH);
                let moments = [&mean, &variance];
                let y = engine.normalise(&x, moments, gamma, &b, &shape, Activation::None, BATCH);
                let back = engine.normalise_backward(&x, moments, gamma, &y, dy, &shape, Activation::None, BATCH);
                let blended = engine.blend(&b, &mean, 0.9);
                read(engine, [mean, variance, y, back.x, back.gamma, back.beta, blended])
            });
        }
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn what_is_done_to_each_number() {
        let choices = || Choices { dropout: vec![9, 0xdead_beef, 0x8000_0001, 3], ..Choices::default() };
        let key = DropoutKey { step: 1, layer: 0, layers: 1 };
        let x = numbers(BATCH.children * BATCH.images * 4 * 5, 1);
        agree!("dropout, sums and cuts", 1e-6, |engine| {
            let data = any_data(engine);
            let draws = engine.draws(&data, Choices { rows: vec![0; 12], ..choices() }, BATCH);
            let uploaded = engine.upload(x.clone());
            let dropped = engine.dropout(uploaded.clone(), 0.4, &draws, key, BATCH);
            let whole = engine.global_average_backward(engine.global_average(&uploaded, 4, 5, BATCH), 4, 5, BATCH);
            let parts = engine.split(&whole, 4, &[2, 3], BATCH);
            let joined = engine.concat(&parts, 4, &[2, 3], BATCH);
            let sum = engine.add(joined.clone(), &dropped);
            read(engine, [dropped, whole, parts[0].clone(), joined, sum])
        });
        let (logits, mut targets) = (numbers(60, 1).iter().map(|x| 20.0 * x).collect::<Vec<_>>(), vec![0.02; 60]);
        (0..5).for_each(|row| targets[10 * row + row] = 0.82);
        targets[50..].fill(0.0);
        agree!("cross-entropy", 1e-5, |engine| {
            let [logits, targets] = [&logits, &targets].map(|values| engine.upload(values.clone()));
            let loss = engine.cross_entropy(&logits, &targets, 10, BATCH);
            read(engine, [loss.gradient, loss.sums, loss.rows])
        });
        let rules = [UpdateRule::RmsProp, UpdateRule::Adam, UpdateRule::Sgd { momentum: 0.9 }];
        for rule in rules {
            let update = Update { rule, rate: 0.1, weight_decay: 0.01, clip_norm: 0.7 };
            agree!(format!("{rule:?}"), 1e-5, |engine| {
                let mut slots = [engine.upload(vec![0.1; 60]), engine.upload(vec![0.2; 60])];
                let gradient = engine.upload(numbers(60, 5));
                let p = engine.update(engine.upload(numbers(60, 6)), gradient, &mut slots, &update, 2);
                let [first, second] = slots;
                read(engine, [p, first, second])
            });
        }
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn batches() {
        let image = |n: usize, salt: usize| {
            ndarray::Array4::from_shape_fn((n, 2, 3, 1), |(n, r, c, _)| (salt + 31 * n + 7 * r + 3 * c) as u8)
        };
        let (a, b, more) = (image(4, 0), image(4, 100), image(3, 200));
        let targets = [numbers(14, 1), numbers(14, 2)];
        let choices = || Choices {
            rows: vec![0, 6, 3, 3, 1, 2, 5, 4, 0, 0, 6, 1],
            partners: (0..12).map(|i| (i % 4, 0.09 * i as f32)).collect(),
            dropout: Vec::new(),
        };
        for mixed in [false, true] {
            agree!("batch", 1e-6, |engine| {
                let input = Input { mean: 0.6, deviation: 0.2 };
                let [a, b, more] = [&a, &b, &more].map(|images| engine.pixels(images.view().into()));
                let [first, second] = [&targets[0], &targets[1]].map(|targets| engine.upload(targets.clone()));
                let data = engine.data(vec![
                    Rows { parts: vec![a, more.clone()], targets: first, input: Input::UNIT },
                    Rows { parts: vec![b, more], targets: second, input },
                ]);
                let mut choices = choices();
                if !mixed {
                    choices.partners.clear();
                }
                let draws = engine.draws(&data, choices, BATCH);
                let [x0, t0] = engine.batch(&data, &draws, 0, BATCH);
                let [x1, t1] = engine.batch(&data, &draws, 1, BATCH);
                read(engine, [x0, t0, x1, t1])
            });
        }
    }
}
