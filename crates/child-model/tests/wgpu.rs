//! One real, tiny training run through wgpu; a software Vulkan adapter is enough. There is only one check, because
//! the first steps tune every kernel, which takes a minute or more on such an adapter. It has no test harness, so
//! that a machine without an adapter reports it as skipped rather than passed.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::{
    ChildModel, Device, DeviceChoice, Model, Net, Observer, Settings, Training, TrainingSet, adapters,
};
use deepaug_dataset::{Dataset, Split, SplitSizes};
use ndarray::s;

const NAME: &str = "a_training_on_the_gpu_agrees_with_the_cpu";

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return;
    }
    if adapters().is_empty() {
        println!("{NAME}: no Vulkan, Metal or DirectX adapter here (Debian: apt-get install mesa-vulkan-drivers)");
        println!("0 passed, 0 failed, 1 skipped");
        return;
    }
    a_training_on_the_gpu_agrees_with_the_cpu();
    println!("1 passed, 0 failed, 0 skipped");
}

fn a_training_on_the_gpu_agrees_with_the_cpu() {
    let sample = Dataset::sample();
    let split = Split::draw(&sample, SplitSizes::counts(16, 10), 1).unwrap();
    let other = split.redraw(&sample, SplitSizes::counts(16, 10), 2).unwrap();
    let gathered = [&split, &other].map(|split| {
        let parts = [&split.train, &split.validation];
        (parts.map(|part| sample.gather(part)), parts.map(|part| sample.gather_labels(part)))
    });
    let [set, other_set] = gathered.each_ref().map(|([train, validation], [labels, validation_labels])| TrainingSet {
        images: train.slice(s![.., 8..20, 8..20, ..]),
        labels,
        validation_images: validation.slice(s![.., 8..20, 8..20, ..]),
        validation_labels,
        classes: 10,
    });
    let ops = vec![Step::new(Op::Rotate, 0.5)];
    let policy = Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops }]);
    let none = Policy { sub_policies: Vec::new(), ..policy.clone() };
    let plain = Settings::plain(2, Model::TinyCnn.optimiser());
    let settings = Settings { batch_size: 8, images_per_epoch: Some(16), measured: 10, ..plain };
    let training = |set, policy, seed| Training { set, policy, settings: &settings, seed, initial_weights: None };
    struct Silent;
    impl Observer for Silent {}
    let on = |choice| {
        let device = Device::open(choice).unwrap();
        println!("{} on {}", device.kind(), device.name());
        // Two children with their own images: on the GPU they share every kernel.
        let net = Net::new(Model::TinyCnn, device);
        net.train_all(&[training(set.view(), &policy, 3), training(other_set.view(), &none, 4)], 2, &Silent)
    };
    let (cpu, gpu) = (on(DeviceChoice::Cpu), on(DeviceChoice::Wgpu));
    for (cpu, gpu) in cpu.into_iter().zip(gpu) {
        let (cpu, gpu) = (cpu.unwrap(), gpu.unwrap());
        assert_eq!(gpu.epochs.len(), 2);
        for (cpu, gpu) in cpu.epochs.iter().zip(&gpu.epochs) {
            assert!((cpu.loss - gpu.loss).abs() < 1e-3, "{cpu:?} {gpu:?}");
            assert!((cpu.val_loss - gpu.val_loss).abs() < 1e-3, "{cpu:?} {gpu:?}");
            let [cpu, gpu] = [cpu.train_acc.unwrap(), gpu.train_acc.unwrap()];
            assert!((cpu - gpu).abs() < 0.11, "{cpu} {gpu}");
        }
    }
}
