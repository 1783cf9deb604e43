//! Checks that a GPU computes what the CPU computes. Drivers have given wrong numbers before,
//! and a study must not be built on them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::cpu::Cpu;
use crate::engine::{Batch, Choices, Engine, Rows, lowbias32};
use crate::geometry::{Activation, Padding};
use crate::input::Input;
use crate::network::{Layer, Network, Plan, TrainingStep};
use crate::{Optimiser, Rule};

/// How far a result may be off, as a share of its norm. In f32 both are right to about 1e-4; a wrong kernel is off
/// by far more.
const TOLERANCE: f64 = 0.02;

/// To be raised when kernels change, so that they are checked anew.
const KERNELS: u32 = 2;

/// Runs one step of a small net with every common layer on both, once per device and driver; the outcome is
/// cached. `name` identifies the device and driver.
///
/// # Errors
/// What differs.
pub(crate) fn check<E: Engine>(engine: &E, name: &str) -> Result<(), String> {
    let key = format!("{name}, deepaug {}, kernels {KERNELS}", env!("CARGO_PKG_VERSION"));
    let path = cache();
    let mut known = path.as_ref().map(read).unwrap_or_default();
    if let Some(outcome) = known.get(&key) {
        return outcome.clone().map_or(Ok(()), Err);
    }
    let outcome = Plan::new(&layers(), [12, 12, 3], 5).and_then(|plan| compare(engine, &Arc::new(plan), Rule::Adam));
    known.insert(key, outcome.clone().err());
    if let Some(path) = path {
        // Without a cache the check is simply repeated.
        let _ = write(&path, &known);
    }
    outcome
}

/// For each device and driver, nothing or what was wrong with it.
type Known = BTreeMap<String, Option<String>>;

fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let root = folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    Some(root.join("deepaug").join("gpu-check.json"))
}

fn read(path: &PathBuf) -> Known {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn write(path: &PathBuf, known: &Known) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let unfinished = path.with_extension(format!("{}", std::process::id()));
    std::fs::write(&unfinished, serde_json::to_string_pretty(known)?)?;
    std::fs::rename(unfinished, path)
}

fn compare<E: Engine>(engine: &E, plan: &Arc<Plan>, rule: Rule) -> Result<(), String> {
    let (ours, theirs) = (step(plan, &Cpu, rule)?, step(plan, engine, rule)?);
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let norms: Vec<f64> = ours.iter().map(|(_, ours)| norm(&mut ours.iter().map(|&value| f64::from(value)))).collect();
    // The gradient of offsets in front of a normalisation is nothing but rounding error.
    let slack = 1e-5 * norms.iter().fold(0.0f64, |largest, norm| largest.max(*norm));
    for (((what, ours), (_, theirs)), of_ours) in ours.iter().zip(&theirs).zip(norms) {
        let away = norm(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        let right = ours.len() == theirs.len() && away <= TOLERANCE * of_ours + slack;
        if !right {
            return Err(format!("{what} is {away:.2e} away from the CPU's, whose norm is {of_ours:.2e}"));
        }
    }
    Ok(())
}

fn layers() -> Vec<Layer> {
    vec![
        Layer::conv_relu(8, Padding::Same),
        Layer::bare_conv(8, [3, 3], 2),
        Layer::batch_norm(Activation::Relu),
        Layer::Residual { layers: vec![Layer::conv(8, 3)], shortcut: Vec::new() },
        Layer::conv_relu(12, Padding::Same),
        Layer::MaxPool { size: 2, stride: 2 },
        Layer::Dropout { rate: 0.3 },
        Layer::dense_relu(16),
    ]
}

/// Runs a step of two children and returns their logits, gradients, and logits after the step.
fn step<E: Engine>(plan: &Arc<Plan>, engine: &E, rule: Rule) -> Result<Vec<(String, Vec<f32>)>, String> {
    let batch = Batch { children: 2, images: 4 };
    let optimiser = Optimiser::plain(rule, 1e-2);
    let ([height, width, channels], classes) = (plan.image, plan.classes);
    let (first, second) = (plan.first_weights(1), plan.first_weights(2));
    let weights = first.into_iter().zip(second).map(|(first, second)| [first, second].concat()).collect();
    let mut network = Network::new(plan, engine, batch.children, weights, &optimiser);
    let images = ndarray::Array4::from_shape_fn((6, height, width, channels), |(n, r, c, k)| {
        lowbias32((((n * height + r) * width + c) * channels + k) as u32) as u8
    });
    let pixels = engine.pixels(images.into());
    let one_hot = |i: usize| f32::from(u8::from(i % classes == i / classes % classes));
    let targets = engine.upload((0..6 * classes).map(one_hot).collect());
    let data = engine.data(vec![Rows { parts: vec![pixels], targets, input: Input::UNIT }]);
    let dropout = (7..).take(batch.children * plan.dropouts).collect();
    let choices = Choices { rows: vec![0, 1, 2, 3, 3, 4, 5, 0], dropout, ..Choices::default() };
    let choices = engine.draws(&data, choices, batch);
    let training = TrainingStep { draws: &choices, step: 0, dropout: true };
    let [images, targets] = engine.batch(&data, &choices, 0, batch);
    let mut tape = Vec::new();
    let logits = network.train(images.clone(), batch.images, &training, &mut tape);
    let loss = engine.cross_entropy(&logits, &targets, plan.classes, 0.0, batch);
    let gradients = network.gradients(loss.gradient, batch.images, false, &training, &mut tape);
    let mut found = vec![("logits".to_string(), engine.download(&logits)?)];
    for (parameter, gradient) in plan.parameters.iter().zip(&gradients) {
        if let Some(gradient) = gradient {
            found.push((format!("the gradient of {}", parameter.name), engine.download(gradient)?));
        }
    }
    network.update(gradients, &optimiser.update(0, 1, 1));
    found.push(("logits after a step".into(), engine.download(&network.evaluate(images, batch.images))?));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::network::KernelSize;

    #[test]
    fn a_right_engine_passes() {
        let plan = Plan::new(&layers(), [12, 12, 3], 5).unwrap().into();
        assert_eq!(compare(&Cpu, &plan, Rule::Adam), Ok(()));
    }

    /// Numbers below a bound, one after the other.
    struct Dice(u32);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9);
            lowbias32(self.0) as usize % bound
        }

        fn of<T: Copy>(&mut self, choices: &[T]) -> T {
            choices[self.below(choices.len())]
        }

        fn layer(&mut self, channels: &mut usize) -> Layer {
            let activation = self.of(&[Activation::None, Activation::Relu, Activation::Relu, Activation::Relu6]);
            let padding = self.of(&[Padding::Same, Padding::Valid]);
            let (stride, bias) = (self.of(&[1, 1, 2]), self.below(3) > 0);
            let kernel = self.of(&[
                KernelSize::Square(3),
                KernelSize::Square(3),
                KernelSize::Both([1, 3]),
                KernelSize::Square(5),
                KernelSize::Square(1),
            ]);
            let same =
                |filters: usize| Layer::Conv { filters, kernel, stride: 1, padding: Padding::Same, bias, activation };
            match self.below(11) {
                0..=3 => {
                    *channels = self.of(&[4, 5, 8, 12, 16, 24]);
                    Layer::Conv { filters: *channels, kernel, stride, padding, bias, activation }
                }
                4 => Layer::Depthwise { kernel, stride, padding },
                5 => Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3, scale: bias, activation },
                6 => Layer::MaxPool { size: self.of(&[2, 2, 3]), stride: self.of(&[2, 2, 1]) },
                7 => Layer::AveragePool { size: self.of(&[2, 3]), stride, padding },
                8 => Layer::Dropout { rate: self.of(&[0.2, 0.5]) },
                9 => {
                    let shortcut = if bias { vec![same(*channels)] } else { Vec::new() };
                    Layer::Residual { layers: vec![same(*channels)], shortcut }
                }
                _ => {
                    let parts = [self.of(&[3, 4, 8]), self.of(&[4, 12])];
                    *channels = parts.iter().sum();
                    Layer::Branches { branches: parts.map(|filters| vec![same(filters)]).into() }
                }
            }
        }

        /// Returns a net of any layers that fit together.
        fn net(&mut self) -> Plan {
            let image = [5 + self.below(20), 5 + self.below(20), self.of(&[1, 3])];
            let classes = 2 + self.below(9);
            let (mut layers, mut channels, wanted) = (Vec::new(), image[2], 3 + self.below(5));
            let mut plan = None;
            for _ in 0..30 {
                let before = channels;
                layers.push(self.layer(&mut channels));
                match Plan::new(&layers, image, classes) {
                    Ok(fits) => plan = Some(fits),
                    Err(_) => {
                        layers.pop();
                        channels = before;
                    }
                }
                if layers.len() == wanted {
                    break;
                }
            }
            plan.expect("some layer fits")
        }
    }

    #[cfg(feature = "gpu")]
    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn nets_of_any_layers_are_the_same_on_a_gpu() {
        let gpu = crate::device::gpu_engine();
        for seed in 0..10 {
            let plan = Arc::new(Dice(seed).net());
            // Adam would enlarge what is left of gradients that cancel out.
            let found = compare(&gpu, &plan, Rule::Sgd);
            assert_eq!(found, Ok(()), "seed {seed}: {:?}", plan.steps);
        }
    }
}
