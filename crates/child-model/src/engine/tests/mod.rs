//! Compares every operation of every engine with plain loops in f64.

mod plain;

use deepaug_simd::with_every_instruction_set;

use self::plain::Plain;
use super::cpu::Cpu;
use super::{Batch, Choices, DropoutKey, Engine, NormShape, Rows, hash};
use crate::geometry::{Activation, Conv, Padding, Window};
use crate::input::Input;
use crate::optimiser::{Update, UpdateRule};

const BATCH: Batch = Batch { children: 2, images: 3 };

/// Returns numbers in -1..1 without a pattern.
fn numbers(count: usize, salt: u32) -> Vec<f32> {
    (0..count as u32).map(|i| hash(i, salt) as f32 / 2f32.powi(31) - 1.0).collect()
}

/// What an engine made, and how far it may be off, as a share of the largest number that is expected.
type Made = Vec<(&'static str, f32, Vec<f32>)>;

fn read<E: Engine>(engine: &E, tolerance: f32, arrays: &[(&'static str, &E::Array)]) -> Made {
    arrays.iter().map(|(name, array)| (*name, tolerance, engine.download(array).unwrap())).collect()
}

fn compare(found: &Made, expected: &Made, what: &str) {
    for ((name, tolerance, found), (_, _, expected)) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{what}: {name}");
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let away = (found - expected).abs();
            assert!(
                away <= tolerance * largest,
                "{what}: {name} {i} is {found}, not {expected}; the largest is {largest}"
            );
        }
    }
}

/// Operations that any engine can run.
trait Case {
    fn name(&self) -> String;
    fn run<E: Engine>(&self, engine: &E) -> Made;

    fn check<E: Engine>(&self, engine: &E) {
        compare(&self.run(engine), &self.run(&Plain), &self.name());
    }
}

fn window(image: [usize; 2], kernel: [usize; 2], stride: usize, padding: Padding) -> Window {
    Window::new(image, kernel, stride, padding).unwrap()
}

fn windows() -> Vec<Window> {
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

struct Convolution {
    conv: Conv,
    activation: Activation,
    batch: Batch,
    tolerance: f32,
}

impl Case for Convolution {
    fn name(&self) -> String {
        format!("{:?} {:?} {:?}", self.conv, self.activation, self.batch)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let Conv { window, input, output } = self.conv;
        let count = self.batch.children * self.batch.images;
        // Sums on both sides of 6.
        let weights =
            numbers(self.batch.children * window.taps() * input * output, 2).iter().map(|w| 4.0 * w).collect();
        let x = engine.upload(numbers(count * window.in_pixels() * input, 1));
        let (w, b) = (engine.upload(weights), engine.upload(numbers(self.batch.children * output, 3)));
        let dy = engine.upload(numbers(count * window.out_pixels() * output, 4));
        let y = engine.conv(&x, &w, Some(&b), &self.conv, self.activation, self.batch);
        let found = engine.conv_backward(&x, &w, &y, dy, &self.conv, self.activation, true, self.batch);
        let (dx, db) = (found.x.unwrap(), found.bias.unwrap());
        read(engine, self.tolerance, &[("y", &y), ("dx", &dx), ("dw", &found.weights), ("db", &db)])
    }
}

fn convolutions(batch: Batch, tolerance: f32, channels: &[(usize, usize)], windows: &[Window]) -> Vec<Convolution> {
    let mut cases = Vec::new();
    for &window in windows {
        for &(input, output) in channels {
            for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
                cases.push(Convolution { conv: Conv { window, input, output }, activation, batch, tolerance });
            }
        }
    }
    cases
}

struct Depthwise(Window, usize);

impl Case for Depthwise {
    fn name(&self) -> String {
        format!("depthwise {:?}, {} channels", self.0, self.1)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let (&Self(ref window, channels), count) = (self, BATCH.children * BATCH.images);
        let x = engine.upload(numbers(count * window.in_pixels() * channels, 1));
        let w = engine.upload(numbers(BATCH.children * window.taps() * channels, 2));
        let dy = engine.upload(numbers(count * window.out_pixels() * channels, 3));
        let y = engine.depthwise(&x, &w, window, channels, BATCH);
        let found = engine.depthwise_backward(&x, &w, dy, window, channels, true, BATCH);
        read(engine, 1e-5, &[("y", &y), ("dx", &found.x.unwrap()), ("dw", &found.weights)])
    }
}

struct Pools(Window, usize);

impl Case for Pools {
    fn name(&self) -> String {
        format!("pools {:?}, {} channels", self.0, self.1)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let (&Self(ref window, channels), count) = (self, BATCH.children * BATCH.images);
        let x = numbers(count * window.in_pixels() * channels, 1);
        let dy = engine.upload(numbers(count * window.out_pixels() * channels, 3));
        let average = engine.average_pool(&engine.upload(x.clone()), window, channels, BATCH);
        let back = engine.average_pool_backward(dy.clone(), window, channels, BATCH);
        let mut made = read(engine, 1e-5, &[("average", &average), ("its gradient", &back)]);
        // Nets have no padded max pools.
        if window.before == [0, 0] && window.after(0) <= 0 && window.after(1) <= 0 {
            // Few distinct values, so that there are ties.
            let x = engine.upload(x.iter().map(|x| (2.0 * x).round()).collect());
            let y = engine.max_pool(&x, window, channels, BATCH);
            let dx = engine.max_pool_backward(&x, &y, dy, window, channels, BATCH);
            made.extend(read(engine, 1e-6, &[("max", &y), ("its gradient", &dx)]));
        }
        made
    }
}

struct Normalisation {
    gamma: bool,
    activation: Activation,
    shape: NormShape,
    batch: Batch,
}

impl Case for Normalisation {
    fn name(&self) -> String {
        format!("{:?} {:?}, gamma {}", self.shape, self.activation, self.gamma)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let Self { gamma, activation, ref shape, batch } = *self;
        let length = batch.children * batch.images * shape.pixels * shape.channels;
        // Far from zero, where a careless variance loses its digits.
        let x = engine.upload(numbers(length, 1).iter().map(|x| 30.0 + x).collect());
        let [g, b] = [2, 3].map(|salt| engine.upload(numbers(batch.children * shape.channels, salt)));
        let dy = engine.upload(numbers(length, 4));
        let gamma = gamma.then_some(&g);
        let [mean, variance] = engine.moments(&x, shape, batch);
        let moments = [&mean, &variance];
        let y = engine.normalise(&x, moments, gamma, &b, shape, activation, batch);
        let back = engine.normalise_backward(&x, moments, gamma, &y, dy, shape, activation, batch);
        let blended = engine.blend(&b, &mean, 0.9);
        let made = [("mean", &mean), ("variance", &variance), ("y", &y), ("blended", &blended)];
        let back = [("dx", &back.x), ("dgamma", &back.gamma), ("dbeta", &back.beta)];
        [read(engine, 1e-4, &made), read(engine, 1e-4, &back)].concat()
    }
}

fn normalisations() -> Vec<Normalisation> {
    let shape = |pixels, channels| NormShape { pixels, channels, epsilon: 1e-3 };
    let case = |gamma, activation, shape, batch| Normalisation { gamma, activation, shape, batch };
    vec![
        case(true, Activation::None, shape(20, 6), BATCH),
        case(false, Activation::Relu, shape(20, 6), BATCH),
        case(true, Activation::Relu6, shape(1, 40), BATCH),
        // So many values that rounding moves one across the kink of an activation.
        case(true, Activation::None, shape(33 * 33, 72), Batch { children: 1, images: 5 }),
    ]
}

struct EachNumber;

impl Case for EachNumber {
    fn name(&self) -> String {
        "dropout, sums and cuts".into()
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let choices =
            Choices { rows: vec![0; 12], dropout: vec![9, 0xdead_beef, 0x8000_0001, 3], ..Choices::default() };
        let key = DropoutKey { step: 1, layer: 0, layers: 1 };
        let parts = vec![engine.pixels(ndarray::Array4::zeros((1, 1, 1, 1)).into())];
        let data = engine.data(vec![Rows { parts, targets: engine.upload(vec![1.0]), input: Input::UNIT }]);
        let draws = engine.draws(&data, choices, BATCH);
        let x = engine.upload(numbers(BATCH.children * BATCH.images * 4 * 5, 1));
        let dropped = engine.dropout(x.clone(), 0.4, &draws, key, BATCH);
        let average = engine.global_average(&x, 4, 5, BATCH);
        let whole = engine.global_average_backward(average.clone(), 4, 5, BATCH);
        let parts = engine.split(&whole, 4, &[2, 3], BATCH);
        let joined = engine.concat(&parts, 4, &[2, 3], BATCH);
        let sum = engine.add(joined.clone(), &dropped);
        let made = [
            ("dropped", &dropped),
            ("average", &average),
            ("its gradient", &whole),
            ("a part", &parts[0]),
            ("joined", &joined),
            ("sum", &sum),
        ];
        read(engine, 1e-6, &made)
    }
}

/// With this weight of the entropy of the probabilities.
struct CrossEntropy(f32);

impl Case for CrossEntropy {
    fn name(&self) -> String {
        format!("cross-entropy, entropy {}", self.0)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let mut targets = vec![0.02; 60];
        (0..5).for_each(|row| targets[10 * row + row] = 0.82);
        targets[50..].fill(0.0);
        let logits = engine.upload(numbers(60, 1).iter().map(|x| 20.0 * x).collect());
        let loss = engine.cross_entropy(&logits, &engine.upload(targets), 10, self.0, BATCH);
        read(engine, 1e-5, &[("gradient", &loss.gradient), ("sums", &loss.sums), ("rows", &loss.rows)])
    }
}

struct Steps(UpdateRule, usize);

impl Case for Steps {
    fn name(&self) -> String {
        format!("steps of {:?}, {} numbers", self.0, self.1)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let length = 2 * self.1;
        let mut slots = [engine.upload(vec![0.0; length]), engine.upload(vec![0.0; length])];
        let mut parameter = engine.upload(numbers(length, 6));
        for step in 0..10 {
            let clip_norm = if step % 2 == 0 { 0.5 } else { 0.0 };
            let update = Update { rule: self.0, rate: 0.1, weight_decay: 0.01, clip_norm };
            let gradient = engine.upload(numbers(length, 10 + step));
            parameter = engine.update(parameter, gradient, &mut slots, &update, 2);
        }
        let [first, second] = &slots;
        // A root of a number near 0 enlarges its rounding errors.
        read(engine, 1e-4, &[("parameter", &parameter), ("first memory", first), ("second memory", second)])
    }
}

fn steps() -> Vec<Steps> {
    let rules =
        [UpdateRule::RmsProp, UpdateRule::Adam, UpdateRule::Sgd { momentum: 0.0 }, UpdateRule::Sgd { momentum: 0.9 }];
    rules.into_iter().flat_map(|rule| [1, 30, 9_001].map(|length| Steps(rule, length))).collect()
}

struct Gathering {
    mixed: bool,
    channels: usize,
}

impl Case for Gathering {
    fn name(&self) -> String {
        format!("a batch, mixed {}, {} channels", self.mixed, self.channels)
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let image = |n: usize, salt: usize| {
            let shape = (n, 2, 3, self.channels);
            ndarray::Array4::from_shape_fn(shape, |(n, r, c, k)| (salt + 31 * n + 7 * r + 3 * c + 50 * k) as u8)
        };
        let [a, b, more] = [(4, 0), (4, 100), (3, 200)].map(|(n, salt)| engine.pixels(image(n, salt).into()));
        let [first, second] = [1, 2].map(|salt| engine.upload(numbers(14, salt)));
        let data = engine.data(vec![
            Rows { parts: vec![a, more.clone()], targets: first, input: Input::UNIT },
            Rows { parts: vec![b, more], targets: second, input: Input { mean: 0.6, deviation: 0.2 } },
        ]);
        let partners = if self.mixed { (0..12).map(|i| (i % 4, 0.09 * i as f32)).collect() } else { Vec::new() };
        let choices = Choices { rows: vec![0, 6, 3, 3, 1, 2, 5, 4, 0, 0, 6, 1], partners, dropout: Vec::new() };
        let draws = engine.draws(&data, choices, BATCH);
        let [x0, t0] = engine.batch(&data, &draws, 0, BATCH);
        let [x1, t1] = engine.batch(&data, &draws, 1, BATCH);
        read(engine, 1e-6, &[("images", &x0), ("targets", &t0), ("images", &x1), ("targets", &t1)])
    }
}

fn gatherings() -> Vec<Gathering> {
    [(false, 1), (true, 1), (false, 3), (true, 2)].map(|(mixed, channels)| Gathering { mixed, channels }).into()
}

/// What most nets are made of: a convolution, a pool and dropout, and a convolution after another.
struct Block {
    side: usize,
    padding: Padding,
    activation: Activation,
    pooled: bool,
    dropout: bool,
    batch: Batch,
}

impl Case for Block {
    fn name(&self) -> String {
        let Self { side, padding, activation, pooled, dropout, batch } = self;
        format!("a block of {side} {padding:?} {activation:?}, pool {pooled}, dropout {dropout}, {batch:?}")
    }

    fn run<E: Engine>(&self, engine: &E) -> Made {
        let Self { side, padding, activation, pooled, dropout, batch } = *self;
        let count = batch.children * batch.images;
        let choices = Choices {
            rows: vec![0; count],
            dropout: numbers(batch.children, 9).iter().map(|x| x.to_bits()).collect(),
            ..Choices::default()
        };
        let parts = vec![engine.pixels(ndarray::Array4::zeros((1, 1, 1, 1)).into())];
        let data = engine.data(vec![Rows { parts, targets: engine.upload(vec![1.0]), input: Input::UNIT }]);
        let draws = engine.draws(&data, choices, batch);
        let key = DropoutKey { step: 0, layer: 0, layers: 1 };

        let first = Conv { window: window([side; 2], [3, 3], 1, padding), input: 8, output: 16 };
        let pool = window(first.window.out, [2, 2], 2, Padding::Valid);
        let after = if pooled { pool.out } else { first.window.out };
        let second = Conv { window: window(after, [3, 3], 1, padding), input: 16, output: 12 };
        let weights = |conv: &Conv, salt| {
            let scale = 6.0 / (9 * conv.input) as f32;
            let values = numbers(batch.children * 9 * conv.input * conv.output, salt);
            engine.upload(values.iter().map(|w| scale.sqrt() * w).collect())
        };
        let (w1, w2) = (weights(&first, 2), weights(&second, 5));
        let [b1, b2] = [(16, 3), (12, 6)].map(|(length, salt)| engine.upload(numbers(batch.children * length, salt)));
        let x = engine.upload(numbers(count * side * side * 8, 1));
        let dz = engine.upload(numbers(count * second.window.out_pixels() * 12, 4));

        let y = engine.conv(&x, &w1, Some(&b1), &first, activation, batch);
        let p = if pooled { engine.max_pool(&y, &pool, 16, batch) } else { y.clone() };
        let d = if dropout { engine.dropout(p.clone(), 0.4, &draws, key, batch) } else { p.clone() };
        let z = engine.conv(&d, &w2, Some(&b2), &second, activation, batch);
        let z_back = engine.conv_backward(&d, &w2, &z, dz, &second, activation, true, batch);
        let mut dy = z_back.x.unwrap();
        if dropout {
            dy = engine.dropout(dy, 0.4, &draws, key, batch);
        }
        if pooled {
            dy = engine.max_pool_backward(&y, &p, dy, &pool, 16, batch);
        }
        let y_back = engine.conv_backward(&x, &w1, &y, dy, &first, activation, true, batch);
        let (dx, db) = (y_back.x.unwrap(), y_back.bias.unwrap());
        let made = [
            ("z", &z),
            ("dw of the second", &z_back.weights),
            ("dx", &dx),
            ("dw", &y_back.weights),
            ("db", &db),
            ("p", &p),
            ("y", &y),
        ];
        read(engine, 1e-5, &made)
    }
}

fn blocks(sides: &[usize]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (number, &side) in sides.iter().enumerate() {
        for (pooled, dropout) in [(true, true), (true, false), (false, false), (false, true)] {
            let padding = [Padding::Same, Padding::Valid][(number + usize::from(dropout)) % 2];
            let activation = [Activation::Relu, Activation::Relu6, Activation::None][number % 3];
            let batch = Batch { children: [1, 3][number % 2], images: 2 };
            blocks.push(Block { side, padding, activation, pooled, dropout, batch });
        }
    }
    blocks
}

#[test]
fn convolutions_on_the_cpu_under_every_instruction_set() {
    let channels = [(1, 16), (3, 32), (16, 32), (32, 16), (5, 7)];
    // What remains of f32's digits after the Winograd transforms.
    let cases = convolutions(BATCH, 2e-4, &channels, &windows());
    with_every_instruction_set(|_| cases.iter().for_each(|case| case.check(&Cpu)));
}

#[test]
fn depthwise_convolutions_on_the_cpu_under_every_instruction_set() {
    with_every_instruction_set(|_| {
        for window in windows() {
            [1, 5, 32].into_iter().for_each(|channels| Depthwise(window, channels).check(&Cpu));
        }
    });
}

#[test]
fn everything_else_on_the_cpu() {
    windows().into_iter().for_each(|window| Pools(window, 5).check(&Cpu));
    normalisations().iter().for_each(|case| case.check(&Cpu));
    EachNumber.check(&Cpu);
    [0.0, 0.7].into_iter().for_each(|entropy| CrossEntropy(entropy).check(&Cpu));
    steps().iter().for_each(|case| case.check(&Cpu));
    gatherings().iter().for_each(|case| case.check(&Cpu));
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

/// On a GPU, or a software adapter.
#[cfg(feature = "gpu")]
mod on_a_gpu {
    use super::*;
    use crate::device::gpu_engine;

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn convolutions() {
        let gpu = gpu_engine();
        let small = super::convolutions(BATCH, 1e-5, &[(1, 16), (16, 8), (5, 7)], &windows());
        small.iter().for_each(|case| case.check(&gpu));
        let sides = |side: usize, children: usize| {
            let window = [[side, side], [side, side + 1]].map(|image| super::window(image, [3, 3], 1, Padding::Same));
            super::convolutions(Batch { children, images: 2 }, 1e-5, &[(3, 32), (1, 8), (32, 64)], &window[..1])
                .into_iter()
                .chain(super::convolutions(Batch { children, images: 1 }, 1e-5, &[(12, 20)], &window[1..]))
        };
        for case in sides(28, 3).chain(sides(32, 1)).chain(sides(33, 3)) {
            case.check(&gpu);
        }
        // Layers of the nets: strides, wide maps, deep ones, a dense layer whose sums are split.
        let layer = |side, kernel, stride, input, output| {
            let conv = Conv { window: window([side; 2], [kernel; 2], stride, Padding::Same), input, output };
            Convolution { conv, activation: Activation::Relu, batch: Batch { children: 1, images: 2 }, tolerance: 1e-5 }
        };
        let dense = |input, output| Convolution {
            conv: Conv { window: Window::point(), input, output },
            activation: Activation::Relu,
            batch: Batch { children: 3, images: 33 },
            tolerance: 1e-5,
        };
        let cases = [
            layer(64, 3, 1, 8, 8),
            layer(96, 3, 1, 4, 16),
            layer(96, 3, 2, 3, 8),
            layer(8, 3, 1, 160, 160),
            layer(32, 3, 2, 32, 64),
            layer(16, 1, 1, 24, 96),
            layer(33, 5, 1, 3, 6),
            dense(2304, 96),
            dense(100, 10),
        ];
        cases.iter().for_each(|case| case.check(&gpu));
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn convolutions_with_what_follows_them() {
        let gpu = gpu_engine();
        blocks(&[8, 9, 28, 32, 33, 15, 64]).iter().for_each(|case| case.check(&gpu));
    }

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn everything_else() {
        let gpu = gpu_engine();
        for window in windows().into_iter().chain([window([33, 28], [3, 3], 2, Padding::Same)]) {
            for channels in [5, 32] {
                Depthwise(window, channels).check(&gpu);
                Pools(window, channels).check(&gpu);
            }
        }
        Depthwise(window([33, 33], [3, 3], 1, Padding::Same), 68).check(&gpu);
        normalisations().iter().for_each(|case| case.check(&gpu));
        EachNumber.check(&gpu);
        [0.0, 0.7].into_iter().for_each(|entropy| CrossEntropy(entropy).check(&gpu));
        steps().iter().for_each(|case| case.check(&gpu));
        gatherings().iter().for_each(|case| case.check(&gpu));
    }
}
