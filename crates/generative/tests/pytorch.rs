//! Translators as code for PyTorch give the images that ours give. There is no test harness, so that a machine without PyTorch
//! shows the test as skipped, not as passed. `DEEPAUG_PYTHON_TORCH` names Python programs, separated by colons; `python3` is
//! taken if it does not.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

use std::path::Path;
use std::process::Command;

use deepaug_dataset::Dataset;
use deepaug_generative::Device;
use deepaug_generative::cyclegan::{Settings, Side, Verdict, train};
use ndarray::{Array4, concatenate, s};

const NAME: &str = "translators_are_the_same_in_pytorch";

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return;
    }
    let named = std::env::var("DEEPAUG_PYTHON_TORCH").unwrap_or_else(|_| "python3".into());
    let (mut passed, mut skipped) = (0, 0);
    for python in named.split(':') {
        let has_torch = Command::new(python).args(["-c", "import numpy, torch, safetensors"]).output();
        if !has_torch.is_ok_and(|output| output.status.success()) {
            println!("{NAME}: {python} has no torch, numpy or safetensors; tests/python.sh installs them");
            skipped += 1;
            continue;
        }
        translators_are_the_same_in_pytorch(python);
        passed += 1;
    }
    println!("{passed} passed, 0 failed, {skipped} skipped");
}

fn translators_are_the_same_in_pytorch(python: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/exported_translators.py");
    let clothes = Dataset::sample().images().slice(s![..40, .., .., ..]).to_owned();
    let wide = Array4::from_shape_fn((6, 20, 37, 3), |(n, y, x, c)| (n * 37 + y * 5 + x * 3 + c * 60) as u8);
    for (images, width) in [(clothes, 8), (wide, 4)] {
        let folder = tempfile::tempdir().unwrap();
        let classes = vec![0; images.dim().0];
        let mut other = images.clone();
        other.mapv_inplace(|value| 255 - value);
        let sides = [&images, &other].map(|images| Side { images: images.view(), classes: &classes });
        let settings = Settings { steps: 20, batch: 8, width, ..Settings::default() };
        let translators = train(sides, &settings, Device::Cpu, 1, &mut |_, _| Ok(Verdict::GoOn)).unwrap();
        let made = [0, 1].map(|into| translators.translate(images.view(), into).unwrap());
        let weights = "translators.safetensors";
        translators.save(&folder.path().join(weights)).unwrap();
        let names = ["as it is", "in \"negative\""].map(String::from);
        std::fs::write(folder.path().join("translators.py"), translators.pytorch(&names, weights)).unwrap();
        let all = concatenate(ndarray::Axis(0), &[images.view(), made[0].view(), made[1].view()]).unwrap();
        std::fs::write(folder.path().join("images.bin"), all.as_standard_layout().as_slice().unwrap()).unwrap();
        let run = Command::new(python).arg(&script).arg(folder.path()).output().unwrap();
        let words = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{words}{}", String::from_utf8_lossy(&run.stderr));
        print!("{words}");
    }
}
