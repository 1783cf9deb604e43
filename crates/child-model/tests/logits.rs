//! Compares our logits with those of the generated PyTorch modules, and of ONNX Runtime, using
//! `tests/exported_models.py` of the repository. It has no test harness, so that a machine without the libraries
//! reports it as skipped rather than passed.
//!
//! `DEEPAUG_PYTHON_TORCH` names Pythons with torch and safetensors, separated by colons; the default is `python3`.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use deepaug_augmenter::{Policy, RangeTable};
use deepaug_child_model::{ChildModel, Device, DeviceChoice, Model, Net, PyTorch, Settings, Training, TrainingSet};
use deepaug_dataset::Dataset;
use ndarray::{Array4, ArrayView4, s};
use serde_json::{Value, json};

const NAME: &str = "pytorch_computes_our_logits";

/// Layers of every kind, with padding that differs between sides, and shapes that become flat and images again.
const EVERY_LAYER: &str = r#"[
    { "kind": "conv", "filters": 6, "kernel": [3, 5], "stride": 2, "activation": "relu6" },
    { "kind": "depthwise", "kernel": 3, "stride": 2 },
    { "kind": "batch-norm", "scale": false, "activation": "relu" },
    { "kind": "average-pool", "size": 2, "stride": 1, "padding": "same" },
    { "kind": "residual", "layers": [{ "kind": "conv", "filters": 8, "bias": false }, { "kind": "batch-norm" }],
      "shortcut": [{ "kind": "conv", "filters": 8, "kernel": 1, "padding": "valid" }] },
    { "kind": "residual", "layers": [{ "kind": "conv", "filters": 8 }] },
    { "kind": "branches", "branches": [
        [{ "kind": "conv", "filters": 3, "activation": "relu" }],
        [{ "kind": "average-pool", "size": 3, "stride": 1, "padding": "same" }, { "kind": "conv", "filters": 4 }]] },
    { "kind": "max-pool" },
    { "kind": "dropout", "rate": 0.1 },
    { "kind": "dense", "units": 24, "activation": "relu" },
    { "kind": "batch-norm" },
    { "kind": "residual", "layers": [{ "kind": "dense", "units": 24 }] },
    { "kind": "global-average" }
]"#;

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return ExitCode::SUCCESS;
    }
    let pythons = std::env::var("DEEPAUG_PYTHON_TORCH").unwrap_or_else(|_| "python3".into());
    let packages = "torch, safetensors, numpy, PIL";
    let (mut passed, mut failed, mut skipped, mut is_written) = (0, 0, 0, false);
    for python in pythons.split(':') {
        let found = Command::new(python).args(["-c", &format!("import {packages}")]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            println!(
                "skipped: {NAME}: {python} cannot import {packages}; DEEPAUG_PYTHON_TORCH can name another Python, and \
                 tests/python.sh installs some"
            );
            skipped += 1;
            continue;
        }
        if !is_written {
            our_side();
            is_written = true;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/exported_models.py");
        let output = Command::new(python).arg(script).arg(folder()).output().unwrap();
        let says = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        println!("{NAME} ({python}): {}", says.trim_end());
        if output.status.success() { passed += 1 } else { failed += 1 }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pytorch")
}

/// Trains nets of every family for an epoch on real images, and writes their modules, weights and logits.
fn our_side() {
    fs::remove_dir_all(folder()).ok();
    fs::create_dir_all(folder()).unwrap();
    let fashion = Dataset::sample();
    // Not square, so that swapped sides show.
    let framed = |count: usize, height: usize, width: usize| {
        let mut frame = Array4::zeros((count, height, width, 1));
        frame.slice_mut(s![.., 2..30, 3..31, ..]).assign(&fashion.images().slice(s![..count, .., .., ..]));
        frame
    };
    let (grey, large) = (framed(96, 32, 37), framed(24, 76, 81));
    let colour = coloured(grey.view());
    let layers = Model::Layers(serde_json::from_str(EVERY_LAYER).unwrap());
    let named = |name: &str| {
        let mut layers = serde_json::to_value(name.parse::<Model>().unwrap().layers()).unwrap();
        adapt_quickly(&mut layers);
        Model::Layers(serde_json::from_value(layers).unwrap())
    };
    let cases = [
        ("layers", layers.clone(), &colour, true),
        ("layers_grey", layers, &grey, false),
        ("basiccnn", named("basiccnn"), &grey, false),
        ("simplecnn", named("simplecnn"), &colour, true),
        ("wrn_10_2", named("wrn_10_2"), &colour, false),
        ("mobilenetv2", named("mobilenetv2"), &colour, false),
        ("inceptionv3", named("inceptionv3"), &large, true),
    ];
    let cases: Vec<Value> = cases
        .iter()
        .map(|(name, model, images, standardize)| {
            case(name, model, images, &fashion.labels()[..images.dim().0], *standardize)
        })
        .collect();
    fs::write(folder().join("cases.json"), Value::from(cases).to_string()).unwrap();
}

/// Lets moving statistics follow within an epoch; otherwise, deep nets hardly tell one image from another.
fn adapt_quickly(layers: &mut Value) {
    match layers {
        Value::Array(all) => all.iter_mut().for_each(adapt_quickly),
        Value::Object(layer) => {
            if layer.contains_key("momentum") {
                layer.insert("momentum".into(), json!(0.3));
            }
            layer.values_mut().for_each(adapt_quickly);
        }
        _ => {}
    }
}

/// Gives each channel its own contrast, so that swapped channels show.
fn coloured(grey: ArrayView4<'_, u8>) -> Array4<u8> {
    let (count, height, width, _) = grey.dim();
    Array4::from_shape_fn((count, height, width, 3), |(n, y, x, c)| {
        (f64::from(grey[[n, y, x, 0]]) * [1.0, 0.6, 0.3][c]) as u8
    })
}

fn case(name: &str, model: &Model, images: &Array4<u8>, labels: &[usize], standardize: bool) -> Value {
    let (count, height, width, channels) = images.dim();
    let set = TrainingSet {
        images: images.view(),
        labels,
        validation_images: images.slice(s![..8, .., .., ..]),
        validation_labels: &labels[..8],
        classes: 10,
        subgroups: None,
        translations: &[],
    };
    let settings = Settings { standardize, batch_size: 16, ..Settings::plain(1, model.optimiser()) };
    let policy = Policy::none(RangeTable::Monotone);
    let training = Training::new(set, &policy, &settings, 3);
    let net = Net::new(model.clone(), Device::open(DeviceChoice::Cpu).unwrap());
    let weights = folder().join(format!("{name}.ours"));
    net.pretrain(&training, &weights, &|_| true).unwrap();
    let standard = standardize.then(|| deepaug_child_model::standard_values(images.view()));
    let logits = net.logits(&weights, images.view(), 10, standard).unwrap();
    let classes: Vec<String> = (0..10).map(|class| format!("class \"{class}\"")).collect();
    let theirs = folder().join(format!("{name}.safetensors"));
    let image = [height, width, channels];
    let exported = PyTorch { model, image, classes: &classes, standard, padded: false, background: [255; 3] };
    fs::write(folder().join(format!("{name}.py")), exported.write(&weights, &theirs).unwrap()).unwrap();
    fs::write(folder().join(format!("{name}.bin")), images.iter().copied().collect::<Vec<u8>>()).unwrap();
    json!({ "name": name, "images": [count, height, width, channels], "logits": logits.iter().collect::<Vec<_>>(),
            "classes": classes })
}
