//! A generator against a discriminator, on real images.

use deepaug_augmenter::{Op, RangeTable, Step};
use deepaug_dataset::Dataset;
use deepaug_generative::tanda::{End, Kind, Learnt, Settings, functions, train};
use deepaug_generative::{Device, Error};
use ndarray::{Array4, s};

/// Ten mild functions, the last of which does nothing, and four that destroy an image.
fn mild_and_destructive() -> Vec<Step> {
    [
        (Op::Rotate, 0.25),
        (Op::Rotate, 0.75),
        (Op::Zoom, 0.4),
        (Op::Zoom, 0.6),
        (Op::TranslateX, 0.43),
        (Op::TranslateX, 0.57),
        (Op::TranslateY, 0.43),
        (Op::TranslateY, 0.57),
        (Op::HorizontalFlip, 1.0),
        (Op::Contrast, 0.5),
        (Op::Invert, 1.0),
        (Op::AdditiveGaussianNoise, 0.6),
        (Op::Solarize, 0.7),
        (Op::Cutout, 1.0),
    ]
    .map(|(op, magnitude)| Step::new(op, magnitude))
    .to_vec()
}

fn clothes() -> Array4<u8> {
    Dataset::sample().images().slice(s![..1500, .., .., ..]).to_owned()
}

fn learnt(settings: &Settings, seed: u64) -> Learnt {
    train(clothes().view(), settings, Device::Cpu, seed, &mut |_| true).unwrap()
}

#[test]
fn functions_that_destroy_images_are_unlearnt() {
    let settings = Settings {
        steps: 120,
        sequences: 2,
        warm_up: 60,
        ..Settings::small(mild_and_destructive(), RangeTable::Tanda)
    };
    let learnt = learnt(&settings, 0);
    let mass = |probabilities: &[f64]| probabilities[10..].iter().sum::<f64>();
    let first = mass(&learnt.steps[0].probabilities);
    assert!((first - 4.0 / 14.0).abs() < 1e-12, "all are equally likely before it has learnt");
    let last = mass(&learnt.generator.probabilities(&[0])[0]);
    assert!(last < 0.5 * first, "{last}: {:?}", learnt.steps.last());
}

#[test]
fn the_same_seed_learns_the_same_and_a_caller_can_stop_it() {
    let images = clothes();
    for kind in Kind::ALL {
        let settings = Settings {
            steps: 4,
            warm_up: 2,
            batch: 8,
            length: 3,
            generator: kind,
            widths: [4, 6, 8, 8],
            ..Settings::small(functions(false), RangeTable::Tanda)
        };
        let run = |seed| train(images.view(), &settings, Device::Cpu, seed, &mut |_| true).unwrap();
        let first = run(1);
        assert_eq!(first, run(1));
        assert_ne!(first.generator, run(2).generator);
        assert_eq!((first.steps.len(), first.end), (6, End::Steps));
        let policy = first.policy(20, 5);
        policy.validate().unwrap();
        assert!(policy.in_place && policy.sub_policies.len() == 20);
        assert!(policy.sub_policies.iter().all(|sub_policy| sub_policy.ops.len() == 3));
        assert_eq!(policy, first.policy(20, 5));
        let stopped = train(images.view(), &settings, Device::Cpu, 1, &mut |step| step.step < 3);
        assert_eq!(stopped, Err(Error::Stopped));
    }
    let small = Settings::small(functions(false), RangeTable::Tanda);
    let none = Array4::<u8>::zeros((0, 28, 28, 1));
    assert_eq!(train(none.view(), &small, Device::Cpu, 1, &mut |_| true), Err(Error::NoImages));
    for (wrong, key) in [
        (Settings { functions: functions(false)[..1].to_vec(), ..small.clone() }, "functions"),
        (Settings { ranges: RangeTable::RandAugment, ..small.clone() }, "functions"),
        (Settings { length: 0, ..small.clone() }, "length"),
        (Settings { lambda: f64::NAN, ..small.clone() }, "lambda"),
        (Settings { generator_learning_rate: 0.0, ..small.clone() }, "generator_learning_rate"),
    ] {
        match train(images.view(), &wrong, Device::Cpu, 1, &mut |_| true) {
            Err(Error::Setting { key: found, .. }) => assert_eq!(found, key),
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[test]
fn images_of_any_size_and_colour_are_learnt_from() {
    for shape in [(3, 1, 1, 1), (5, 8, 13, 3), (2, 40, 33, 1)] {
        let images = Array4::from_shape_fn(shape, |(n, y, x, c)| (n * 50 + y * 7 + x * 3 + c * 40) as u8);
        let settings = Settings {
            steps: 2,
            warm_up: 1,
            length: 2,
            widths: [2, 3, 4, 4],
            ..Settings::small(functions(shape.3 == 3), RangeTable::Tanda)
        };
        let learnt = train(images.view(), &settings, Device::Cpu, 1, &mut |_| true).unwrap();
        assert_eq!(learnt.generator.functions, if shape.3 == 3 { 33 } else { 25 });
    }
}
