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
    let outcome = compare(engine);
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

fn compare<E: Engine>(engine: &E) -> Result<(), String> {
    let plan = Arc::new(Plan::new(&layers(), [12, 12, 3], 5)?);
    let (ours, theirs) = (step(&plan, &Cpu)?, step(&plan, engine)?);
    for ((what, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let norm = square(&mut ours.iter().map(|value| f64::from(*value)));
        let away = square(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        let right = ours.len() == theirs.len() && away <= TOLERANCE * norm + 1e-6;
        if !right {
            return Err(format!("{what} is {away:.2e} away from the CPU's, whose norm is {norm:.2e}"));
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
fn step<E: Engine>(plan: &Arc<Plan>, engine: &E) -> Result<Vec<(String, Vec<f32>)>, String> {
    let batch = Batch { children: 2, images: 4 };
    let optimiser = Optimiser::plain(Rule::Adam, 1e-2);
    let (first, second) = (plan.first_weights(1), plan.first_weights(2));
    let weights = first.into_iter().zip(second).map(|(first, second)| [first, second].concat()).collect();
    let mut network = Network::new(plan, engine, batch.children, weights, &optimiser);
    let images = ndarray::Array4::from_shape_fn((6, 12, 12, 3), |(n, r, c, k)| {
        lowbias32((((n * 12 + r) * 12 + c) * 3 + k) as u32) as u8
    });
    let pixels = engine.pixels(images.into());
    let targets = engine.upload((0..30).map(|i| f32::from(u8::from(i % 5 == i / 5 % 5))).collect());
    let data = engine.data(vec![Rows { parts: vec![pixels], targets, input: Input::UNIT }]);
    let choices = Choices { rows: vec![0, 1, 2, 3, 3, 4, 5, 0], dropout: vec![7, 8], ..Choices::default() };
    let choices = engine.draws(&data, choices, batch);
    let training = TrainingStep { draws: &choices, step: 0, dropout: true };
    let [images, targets] = engine.batch(&data, &choices, 0, batch);
    let mut tape = Vec::new();
    let logits = network.train(images.clone(), batch.images, &training, &mut tape);
    let loss = engine.cross_entropy(&logits, &targets, plan.classes, batch);
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

    #[test]
    fn a_right_engine_passes() {
        assert_eq!(compare(&Cpu), Ok(()));
    }
}
