//! Real training runs through wgpu; a software Vulkan adapter is enough. They have no test harness, so that a machine
//! without an adapter reports them as skipped rather than passed.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

use deepaug_augmenter::{Application, Online, Op, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::{
    ChildModel, Device, DeviceChoice, History, Model, Net, Observer, Settings, StateFiles, Training, TrainingSet,
    adapters,
};
use deepaug_dataset::{Dataset, Split, SplitSizes};
use ndarray::s;

const TESTS: [(&str, fn()); 3] = [
    ("parts_of_trainings_are_the_whole_ones_on_the_gpu_too", parts_of_trainings_are_the_whole_ones_on_the_gpu_too),
    ("a_training_on_the_gpu_agrees_with_the_cpu", a_training_on_the_gpu_agrees_with_the_cpu),
    ("eight_children_become_as_good_on_the_gpu_as_on_the_cpu", eight_children_become_as_good_on_the_gpu_as_on_the_cpu),
];

struct Silent;

impl Observer for Silent {}

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let chosen = TESTS.iter().filter(|(name, _)| filter.as_ref().is_none_or(|filter| name.contains(filter)));
    let none = adapters().is_empty();
    let mut count = 0;
    for (name, test) in chosen {
        count += 1;
        if none {
            println!(
                "{name}: skipped, no Vulkan, Metal or DirectX adapter (Debian: apt-get install mesa-vulkan-drivers)"
            );
        } else {
            test();
            println!("{name}: ok");
        }
    }
    let (passed, skipped) = if none { (0, count) } else { (count, 0) };
    println!("{passed} passed, 0 failed, {skipped} skipped");
}

fn net(choice: DeviceChoice, model: Model) -> Net {
    let device = Device::open(choice).unwrap();
    println!("{} on {}", device.kind(), device.name());
    Net::new(model, device)
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
        subgroups: None,
        translations: &[],
    });
    let ops = vec![Step::new(Op::Rotate, 0.5)];
    let policy = Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops }]);
    let none = Policy { sub_policies: Vec::new(), ..policy.clone() };
    let plain = Settings::plain(2, Model::TinyCnn.optimiser());
    let settings = Settings { batch_size: 8, images_per_epoch: Some(16), measured: 10, ..plain };
    let training = |set, policy, seed| Training::new(set, policy, &settings, seed);
    let on = |choice| {
        // Two children with their own images: on the GPU they share every kernel.
        net(choice, Model::TinyCnn).train_all(
            &[training(set.view(), &policy, 3), training(other_set.view(), &none, 4)],
            2,
            &Silent,
        )
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

/// Whole training runs with dropout, pools and an augmented copy of every image: rounding differs from the first step
/// on, what is learnt must not.
fn eight_children_become_as_good_on_the_gpu_as_on_the_cpu() {
    let sample = Dataset::sample();
    let split = Split::draw(&sample, SplitSizes::counts(160, 200), 1).unwrap();
    let [train, validation] = [&split.train, &split.validation].map(|part| sample.gather(part));
    let [labels, validation_labels] = [&split.train, &split.validation].map(|part| sample.gather_labels(part));
    let set = TrainingSet {
        images: train.slice(s![.., 6..22, 6..22, ..]),
        labels: &labels,
        validation_images: validation.slice(s![.., 6..22, 6..22, ..]),
        validation_labels: &validation_labels,
        classes: 10,
        subgroups: None,
        translations: &[],
    };
    let model: Model = "simplecnn".parse().unwrap();
    let policy = Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops: vec![Step::new(Op::Rotate, 0.3)] }]);
    let settings = Settings { batch_size: 32, images_per_epoch: Some(320), ..Settings::plain(12, model.optimiser()) };
    let trainings: Vec<_> = (0..8).map(|seed| Training::new(set.view(), &policy, &settings, seed)).collect();
    let accuracy = |choice| {
        let histories = net(choice, model.clone()).with_stack(8).train_all(&trainings, 2, &Silent);
        // The last epochs together, so that a single image does not decide.
        let last = |history: &History| history.epochs[8..].iter().map(|epoch| epoch.val_acc).sum::<f64>() / 4.0;
        histories.iter().map(|history| last(history.as_ref().unwrap())).sum::<f64>() / 8.0
    };
    let (cpu, gpu) = (accuracy(DeviceChoice::Cpu), accuracy(DeviceChoice::Wgpu));
    println!("mean accuracy on the CPU {cpu:.4}, on the GPU {gpu:.4}");
    assert!(cpu > 0.4 && (cpu - gpu).abs() < 0.005, "{cpu} {gpu}");
}

/// Three children in one pass, stopped and continued: bit for bit what each becomes in one go.
fn parts_of_trainings_are_the_whole_ones_on_the_gpu_too() {
    let sample = Dataset::sample();
    let split = Split::draw(&sample, SplitSizes::counts(32, 20), 1).unwrap();
    let [train, validation] = [&split.train, &split.validation].map(|part| sample.gather(part));
    let [labels, validation_labels] = [&split.train, &split.validation].map(|part| sample.gather_labels(part));
    let set = TrainingSet {
        images: train.slice(s![.., 8..20, 8..20, ..]),
        labels: &labels,
        validation_images: validation.slice(s![.., 8..20, 8..20, ..]),
        validation_labels: &validation_labels,
        classes: 10,
        subgroups: None,
        translations: &[],
    };
    let policy = Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops: vec![Step::new(Op::Rotate, 0.3)] }]);
    let plain = Settings::plain(3, Model::TinyCnn.optimiser());
    let augment = Application::Online(Online { chance: 1.0, ..Online::STANDARD });
    let settings = Settings { batch_size: 8, images_per_epoch: Some(32), augment, ..plain };
    let trainings: Vec<_> = (0..3).map(|seed| Training::new(set.view(), &policy, &settings, seed)).collect();
    let net = net(DeviceChoice::Wgpu, Model::TinyCnn);
    let whole = net.train_all(&trainings, 2, &Silent);
    let folder = tempfile::tempdir().unwrap();
    let path = |child: usize, epoch: usize| folder.path().join(format!("{child}-{epoch}"));
    let mut epochs = vec![Vec::new(); 3];
    for (from, until) in [(0, 1), (1, 3)] {
        let paths: Vec<_> = (0..3).map(|child| (path(child, from), path(child, until))).collect();
        let states: Vec<StateFiles<'_>> = paths
            .iter()
            .map(|(start, keep)| StateFiles { start: (from > 0).then_some(start.as_path()), keep })
            .collect();
        for (epochs, history) in epochs.iter_mut().zip(net.train_part(&trainings, from..until, &states, &Silent)) {
            epochs.extend(history.unwrap().epochs);
        }
    }
    let whole: Vec<_> = whole.into_iter().map(|history| history.unwrap().epochs).collect();
    assert_eq!(epochs, whole);
}
