//! Trains a net on a data set without augmentation under several seeds, and prints each history as a line of JSON:
//! the counterpart of benches/peers/torch_accuracy.py.
//!
//!     cargo run --release --workspace --example accuracy -- DATA wrn_16_2 5000 2000 15 5
//!
//! Arguments: data, model, training images, validation images, epochs, seeds.
#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;
use std::path::Path;

use deepaug_augmenter::{Policy, RangeTable};
use deepaug_child_model::{ChildModel, Device, DeviceChoice, Model, Net, Settings, Training, TrainingSet};
use deepaug_dataset::{Dataset, ReadOptions, Split, SplitSizes};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, model, train, validation, epochs, seeds] = arguments.as_slice() else {
        return Err("arguments: DATA MODEL TRAIN VALIDATION EPOCHS SEEDS".into());
    };
    let model: Model = model.parse()?;
    let dataset = Dataset::read(Path::new(data), &ReadOptions::default())?;
    let settings = Settings::plain(epochs.parse()?, model.optimiser());
    let net = Net::new(model, Device::open(DeviceChoice::Auto)?);
    let policy = Policy::none(RangeTable::Monotone);
    for seed in 0..seeds.parse()? {
        let sizes = SplitSizes::counts(train.parse()?, validation.parse()?);
        let split = Split::draw(&dataset, sizes, seed)?;
        let (images, validation_images) = (dataset.gather(&split.train), dataset.gather(&split.validation));
        let set = TrainingSet {
            images: images.view(),
            labels: &dataset.gather_labels(&split.train),
            validation_images: validation_images.view(),
            validation_labels: &dataset.gather_labels(&split.validation),
            classes: dataset.classes().len(),
            subgroups: None,
            translations: &[],
        };
        let training = Training::new(set, &policy, &settings, seed);
        let history = net.train(&training, &|_| true)?;
        println!("{}", serde_json::json!({ "model": net.name(), "seed": seed, "history": history }));
    }
    Ok(())
}
