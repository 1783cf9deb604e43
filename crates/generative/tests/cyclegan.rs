//! Translators between two subgroups of real images: clean ones, and ones with a white corner.

use deepaug_dataset::Dataset;
use deepaug_generative::cyclegan::{Settings, Side, StepRecord, Translators, Verdict, train};
use deepaug_generative::{Device, Error};
use ndarray::{Array4, s};

/// Clothes without and with the corner; images of the one are not those of the other.
fn sides() -> [Array4<u8>; 2] {
    let all = Dataset::sample().images().to_owned();
    let clean = all.slice(s![..300, .., .., ..]).to_owned();
    let mut marked = all.slice(s![300..600, .., .., ..]).to_owned();
    marked.slice_mut(s![.., ..7, ..7, ..]).fill(255);
    [clean, marked]
}

fn learn(
    images: [&Array4<u8>; 2],
    settings: &Settings,
    seed: u64,
    hear: &mut dyn FnMut(&StepRecord, &Translators) -> Result<Verdict, Error>,
) -> Result<Translators, Error> {
    let classes = images.map(|images| vec![0; images.dim().0]);
    let sides = [0, 1].map(|side| Side { images: images[side].view(), classes: &classes[side] });
    train(sides, settings, Device::Cpu, seed, hear)
}

/// The mean value of the corner.
fn corner(images: &Array4<u8>) -> f64 {
    let corner = images.slice(s![.., ..7, ..7, ..]);
    corner.iter().map(|&value| f64::from(value)).sum::<f64>() / corner.len() as f64
}

fn distance(a: &Array4<u8>, b: &Array4<u8>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum::<f64>() / a.len() as f64
}

#[test]
fn what_tells_subgroups_apart_is_put_on_and_taken_off() {
    let [clean, marked] = sides();
    let settings = Settings { steps: 150, batch: 16, ..Settings::default() };
    let mut steps = Vec::new();
    let translators = learn([&clean, &marked], &settings, 0, &mut |step, _| {
        steps.push(*step);
        Ok(Verdict::GoOn)
    })
    .unwrap();
    assert_eq!(steps.len(), 150);
    let others = Dataset::sample().images().slice(s![600..700, .., .., ..]).to_owned();
    let mut truth = others.clone();
    truth.slice_mut(s![.., ..7, ..7, ..]).fill(255);
    let made = translators.translate(others.view(), 1).unwrap();
    let taken_off = translators.translate(truth.view(), 0).unwrap();
    assert!(corner(&made) > 170.0 && corner(&taken_off) < 80.0, "{} {}", corner(&made), corner(&taken_off));
    // The rest of the image is still there.
    let rest = |images: &Array4<u8>| images.slice(s![.., 10.., .., ..]).to_owned();
    assert!(distance(&rest(&made), &rest(&others)) < 20.0, "{}", distance(&rest(&made), &rest(&others)));
    assert!(distance(&rest(&taken_off), &rest(&others)) < 20.0, "{}", distance(&rest(&taken_off), &rest(&others)));
}

#[test]
fn the_same_seed_learns_the_same_and_files_keep_it() {
    let [clean, marked] = sides();
    let settings = Settings { steps: 3, batch: 4, width: 4, ..Settings::default() };
    let run = |seed: u64| {
        let mut steps = Vec::new();
        let hear = &mut |step: &StepRecord, _: &Translators| {
            steps.push(*step);
            Ok(Verdict::GoOn)
        };
        let translators = learn([&clean, &marked], &settings, seed, hear).unwrap();
        (translators.translate(clean.slice(s![..5, .., .., ..]), 1).unwrap(), translators, steps)
    };
    let (made, translators, steps) = run(3);
    let (again, _, same_steps) = run(3);
    assert!(made == again && steps == same_steps);
    assert_ne!(steps, run(4).2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("translators.safetensors");
    translators.save(&path).unwrap();
    let read = Translators::read(&path, Device::Cpu).unwrap();
    assert_eq!(read.translate(clean.slice(s![..5, .., .., ..]), 1).unwrap(), made);
    assert_eq!(read.image(), [28, 28, 1]);
    // An image's translation does not depend on the images beside it.
    assert_eq!(read.translate(clean.slice(s![2..3, .., .., ..]), 1).unwrap(), made.slice(s![2..3, .., .., ..]));
    std::fs::write(&path, b"nothing").unwrap();
    assert!(matches!(Translators::read(&path, Device::Cpu), Err(Error::File { .. })));
}

/// Generators learn first, from discriminators as they are; these learn from what generators made before.
#[test]
fn generators_and_discriminators_learn_in_turn() {
    let [clean, marked] = sides();
    let run = |generators: f64, discriminators: f64| {
        let settings = Settings {
            steps: 2,
            batch: 4,
            width: 4,
            generator_learning_rate: generators,
            discriminator_learning_rate: discriminators,
            ..Settings::default()
        };
        let mut steps = Vec::new();
        learn([&clean, &marked], &settings, 0, &mut |step, _| {
            steps.push(*step);
            Ok(Verdict::GoOn)
        })
        .unwrap();
        steps
    };
    let (base, generators, discriminators) = (run(1e-3, 1e-3), run(5e-3, 1e-3), run(1e-3, 5e-3));
    assert_eq!(base[0], generators[0]);
    assert_eq!(base[0], discriminators[0]);
    // The second step shows who learnt what in the first.
    assert_ne!(base[1].cycle, generators[1].cycle);
    assert_eq!(base[1].cycle, discriminators[1].cycle);
    assert_ne!(base[1].loss, discriminators[1].loss);
    assert!(base[1].discriminators != generators[1].discriminators);
    assert!(base[1].discriminators != discriminators[1].discriminators);
}

#[test]
fn odd_sizes_and_colours_are_translated_and_small_images_refused() {
    let settings = Settings { steps: 1, batch: 2, width: 4, ..Settings::default() };
    let images = |height: usize, width: usize, channels: usize| {
        Array4::from_shape_fn((4, height, width, channels), |(n, y, x, c)| (n * 60 + y * 3 + x * 2 + c * 20) as u8)
    };
    for (height, width, channels) in [(16, 16, 1), (33, 28, 3), (17, 40, 3)] {
        let all = images(height, width, channels);
        let translators = learn([&all, &all], &settings, 0, &mut |_, _| Ok(Verdict::GoOn)).unwrap();
        assert_eq!(translators.translate(all.view(), 0).unwrap().dim(), all.dim());
        assert!(translators.translate(images(16, 17, 1).view(), 0).is_err());
    }
    let (small, none) = (images(15, 20, 1), images(20, 20, 1).slice_move(s![..0, .., .., ..]));
    let refused = |a: &Array4<u8>, settings: &Settings| {
        learn([a, a], settings, 0, &mut |_, _| Ok(Verdict::GoOn)).unwrap_err().to_string()
    };
    assert!(refused(&small, &settings).contains("16 pixels at least"));
    assert_eq!(refused(&none, &settings), Error::NoImages.to_string());
    assert!(refused(&images(20, 20, 1), &Settings { width: 6, ..settings }).contains("multiple of 4"));
    let all = images(20, 20, 1);
    let stopped = learn([&all, &all], &Settings { steps: 9, ..settings }, 0, &mut |_, _| Ok(Verdict::Stop));
    assert_eq!(stopped.unwrap_err(), Error::Stopped);
    let mut heard = 0;
    let enough = learn([&all, &all], &Settings { steps: 9, ..settings }, 0, &mut |_, _| {
        heard += 1;
        Ok(if heard == 2 { Verdict::Enough } else { Verdict::GoOn })
    });
    assert!(enough.is_ok() && heard == 2);
}
