//! Compares the exported Python modules with our own pixels, using `tests/exported_policies.py` of the repository.
//! It has no test harness, so that a machine without the libraries reports it as skipped rather than passed.
//!
//! `DEEPAUG_PYTHON_TORCH` names Pythons with torch, torchvision and albumentations, separated by colons,
//! `DEEPAUG_PYTHON_IMGAUG` those with imgaug; the default for both is `python3`. `tests/python.sh` installs them.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use deepaug_augmenter::{
    Application, Online, Op, Piece, Policy, RangeTable, Step, SubPolicy,
    export::{Target, export},
    ops::{
        Fill, Image, affine, blur, colour, convolution, crop, deform, enhance, flip, histogram, morphology, nearest,
    },
};
use ndarray::{Array4, ArrayView3, Axis};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};

const NAME: &str = "exported_policies_make_our_pixels";

/// Number of draws of each op and image on our side; the script makes fewer.
const REPEATS: usize = 60;

fn main() -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return ExitCode::SUCCESS;
    }
    let python = |variable| std::env::var(variable).unwrap_or_else(|_| "python3".into());
    let (torch, imgaug) = (python("DEEPAUG_PYTHON_TORCH"), python("DEEPAUG_PYTHON_IMGAUG"));
    let targets = [
        (Target::Torchvision, &torch, "torchvision, numpy, PIL", "DEEPAUG_PYTHON_TORCH"),
        (Target::Albumentations, &torch, "albumentations, cv2, numpy", "DEEPAUG_PYTHON_TORCH"),
        (Target::Imgaug, &imgaug, "imgaug.augmenters, cv2, numpy", "DEEPAUG_PYTHON_IMGAUG"),
    ];
    let (mut skipped, mut able) = (0, Vec::new());
    let every = targets.iter().flat_map(|&(target, pythons, packages, variable)| {
        pythons.split(':').map(move |python| (target, python, packages, variable))
    });
    for (target, python, packages, variable) in every {
        let found = Command::new(python).args(["-c", &format!("import {packages}")]).output();
        if found.is_ok_and(|output| output.status.success()) {
            able.push((target, python));
        } else {
            println!(
                "skipped: {NAME} ({target}): {python} cannot import {packages}; {variable} can name another Python, and \
                 tests/python.sh installs some"
            );
            skipped += 1;
        }
    }
    let ours = (!able.is_empty()).then(our_side);
    let failed = thread::scope(|scope| {
        let runs: Vec<_> = able.iter().map(|&(target, python)| scope.spawn(move || run(target, python))).collect();
        runs.into_iter().filter(|_| ours.is_some()).map(|run| run.join().unwrap()).filter(|passed| !passed).count()
    });
    println!("{} passed, {failed} failed, {skipped} skipped", able.len() - failed);
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("exported")
}

fn run(target: Target, python: &str) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/exported_policies.py");
    let output = Command::new(python).arg(script).arg(folder()).arg(target.name()).output().unwrap();
    let says = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    println!("{NAME} ({target}, {python}): {}", says.trim_end());
    output.status.success()
}

fn policy(ranges: RangeTable, portion: f64, sub_policies: &[&[Step]]) -> Policy {
    let sub_policies = sub_policies.iter().map(|steps| SubPolicy { ops: steps.to_vec() }).collect();
    Policy::new(ranges, portion, sub_policies)
}

/// Writes the modules, our pixels or their distribution, and `cases.json`, which describes them.
fn our_side() {
    fs::remove_dir_all(folder()).ok();
    fs::create_dir_all(folder()).unwrap();
    let images = [("colour", common::colour()), ("grey", common::grey()), ("wide", common::wide())];
    let mut shapes = serde_json::Map::new();
    for (name, images) in &images {
        fs::write(folder().join(format!("{name}.bin")), images.iter().copied().collect::<Vec<u8>>()).unwrap();
        let (n, height, width, channels) = images.dim();
        shapes.insert((*name).into(), json!([n, height, width, channels]));
    }
    write_modules("every_function", &every_op());
    let flip_rarely = Step { probability: 0.25, ..Step::new(Op::HorizontalFlip, 1.0) };
    let chance = policy(
        RangeTable::Monotone,
        0.8,
        &[&[Step::new(Op::Invert, 1.0)], &[Step::new(Op::VerticalFlip, 1.0), flip_rarely]],
    );
    write_modules("chance", &[chance]);
    let several = [
        policy(RangeTable::Monotone, 1.0, &[&[Step::new(Op::Invert, 1.0)]]),
        policy(RangeTable::DeepAugment112, 0.25, &[&[Step::new(Op::HorizontalFlip, 1.0)]]),
        Policy::none(RangeTable::Monotone),
    ];
    write_modules("several", &several);
    let slots = [(Op::VerticalFlip, 0.5), (Op::HorizontalFlip, 0.25)];
    let slots = slots.map(|(op, probability)| vec![Step { probability, ..Step::new(op, 1.0) }]);
    let slots: Vec<&[Step]> = slots.iter().map(Vec::as_slice).collect();
    let in_place = Policy { in_place: true, ..policy(RangeTable::Monotone, 1.0, &slots) };
    let counted = Policy { counts: vec![0.2, 0.3, 0.5], ..in_place };
    let nothing = Policy { in_place: true, ..Policy::none(RangeTable::Monotone) };
    let pieces = [nothing, counted.clone()].map(|policy| Piece { epochs: 1, policy });
    write_modules("counted", &[counted]);
    write_modules("scheduled", &[Policy::schedule(pieces.to_vec()).unwrap()]);
    let invert = policy(RangeTable::Monotone, 0.5, &[&[Step::new(Op::Invert, 1.0)]]);
    let finish = Online { chance: 0.25, pad: 0.1, flip: true, cutout: 0.0 };
    write_applied("finished", std::slice::from_ref(&invert), Application::Online(finish));
    let cover = Online { chance: 0.0, pad: 0.0, flip: false, cutout: 0.25 };
    write_applied("covered", &[invert], Application::Online(cover));
    let cases = json!({ "images": shapes, "kernels": kernels(&images), "draws": draws(&images[0].1, &images[1].1) });
    fs::write(folder().join("cases.json"), cases.to_string()).unwrap();
}

fn write_modules(name: &str, policies: &[Policy]) {
    write_applied(name, policies, Application::Once);
}

fn write_applied(name: &str, policies: &[Policy], application: Application) {
    for target in [Target::Torchvision, Target::Albumentations, Target::Imgaug] {
        fs::write(folder().join(format!("{name}_{target}.py")), export(policies, application, "", target).unwrap())
            .unwrap();
    }
}

/// Returns policies that need every function.
fn every_op() -> Vec<Policy> {
    let of = |ranges: RangeTable| {
        let ops = Op::ALL.into_iter().filter(|&op| op != Op::SamplePairing && ranges.has(op));
        let steps: Vec<Step> = ops.map(|op| Step::new(op, 0.5)).collect();
        policy(ranges, 0.5, &[&steps])
    };
    vec![of(RangeTable::Monotone), of(RangeTable::DeepAugment112)]
}

type Kernel = fn(&mut Image<'_>);

/// The modules' ops with given numbers, and our kernels with the same numbers.
const KERNELS: [(&str, &str, Kernel); 72] = [
    ("crop", "pixels=[1, 2, 3, 4]", |image| crop::crop(image, [1, 2, 3, 4])),
    ("crop", "pixels=[0, 0, 7, 0]", |image| crop::crop(image, [0, 0, 7, 0])),
    ("crop", "pixels=[20, 25, 30, 22]", |image| crop::crop(image, [20, 25, 30, 22])),
    ("crop", "pixels=[0, 0, 0, 0]", |image| crop::crop(image, [0, 0, 0, 0])),
    ("gaussian_blur", "0.4", |image| blur::gaussian(image, 0.4)),
    ("gaussian_blur", "2.6", |image| blur::gaussian(image, 2.6)),
    ("gaussian_blur", "3.7", |image| blur::gaussian(image, 3.7)),
    ("gaussian_blur", "21.3", |image| blur::gaussian(image, 21.3)),
    ("gaussian_blur", "0.0", |image| blur::gaussian(image, 0.0)),
    ("rotate", "17.0", |image| affine::rotate(image, 17.0, Fill::Black)),
    ("rotate", "-90.0", |image| affine::rotate(image, -90.0, Fill::Black)),
    ("rotate", "133.3", |image| affine::rotate(image, 133.3, Fill::Black)),
    ("shear", "12.5", |image| affine::shear(image, 12.5, Fill::Black)),
    ("shear", "-71.0", |image| affine::shear(image, -71.0, Fill::Black)),
    ("shear", "90.0", |image| affine::shear(image, 90.0, Fill::Black)),
    ("translate", "x=4.16 / width", |image| affine::translate(image, 4.16, 0.0, Fill::Black)),
    ("translate", "y=-11.3 / height", |image| affine::translate(image, 0.0, -11.3, Fill::Black)),
    ("sharpen", "0.3, 1.0", |image| convolution::sharpen(image, 0.3, 1.0)),
    ("sharpen", "0.77, 4.2", |image| convolution::sharpen(image, 0.77, 4.2)),
    ("emboss", "0.25, 1.0", |image| convolution::emboss(image, 0.25, 1.0)),
    ("emboss", "0.6, 13.0", |image| convolution::emboss(image, 0.6, 13.0)),
    ("gamma_contrast", "0.4", |image| colour::gamma(image, 0.4)),
    ("gamma_contrast", "1.0", |image| colour::gamma(image, 1.0)),
    ("gamma_contrast", "1.75", |image| colour::gamma(image, 1.75)),
    ("gamma_contrast", "0.0", |image| colour::gamma(image, 0.0)),
    ("brighten", "3 * [37.0]", |image| colour::add(image, &[37])),
    ("brighten", "3 * [-40.4]", |image| colour::add(image, &[-40])),
    ("invert", "", colour::invert),
    ("hue_and_saturation", "both=45", |image| colour::add_hue_saturation(image, 45, 45)),
    ("hue_and_saturation", "both=0", |image| colour::add_hue_saturation(image, 0, 0)),
    ("hue_and_saturation", "[100.2, -20.0]", |image| colour::add_hue_saturation(image, 100, -20)),
    ("hue_and_saturation", "[-17.0, 60.0]", |image| colour::add_hue_saturation(image, -17, 60)),
    ("hue_and_saturation", "[0.2, -0.3]", |_| ()),
    ("horizontal_flip", "", flip::horizontal),
    ("vertical_flip", "", flip::vertical),
    ("shear_nearest", "x=0.31", |image| nearest::shear_x(image, 0.31)),
    ("shear_nearest", "x=-0.9", |image| nearest::shear_x(image, -0.9)),
    ("shear_nearest", "y=0.27", |image| nearest::shear_y(image, 0.27)),
    ("translate_nearest", "pixels_x=4.5", |image| nearest::translate(image, 5, 0)),
    ("translate_nearest", "pixels_x=-99.0", |image| nearest::translate(image, -99, 0)),
    ("translate_nearest", "pixels_y=-3.2", |image| nearest::translate(image, 0, -3)),
    ("rotate_nearest", "23.0", |image| nearest::rotate(image, 23.0)),
    ("rotate_nearest", "-90.0", |image| nearest::rotate(image, -90.0)),
    ("rotate_nearest", "-121.5", |image| nearest::rotate(image, -121.5)),
    ("auto_contrast", "", histogram::auto_contrast),
    ("equalize", "", histogram::equalize),
    ("solarize", "256.0", |image| colour::solarize(image, 256)),
    ("solarize", "127.2", |image| colour::solarize(image, 128)),
    ("solarize", "0.0", |image| colour::solarize(image, 0)),
    ("posterize", "4.5", |image| colour::posterize(image, 5)),
    ("posterize", "0.0", |image| colour::posterize(image, 0)),
    ("contrast", "0.19", |image| enhance::contrast(image, 0.19)),
    ("contrast", "1.7", |image| enhance::contrast(image, 1.7)),
    ("saturation", "0.3", |image| enhance::saturation(image, 0.3)),
    ("saturation", "1.81", |image| enhance::saturation(image, 1.81)),
    ("brightness", "0.64", |image| enhance::brightness(image, 0.64)),
    ("brightness", "1.72", |image| enhance::brightness(image, 1.72)),
    ("sharpness", "-1.7", |image| enhance::sharpness(image, -1.7)),
    ("sharpness", "0.19", |image| enhance::sharpness(image, 0.19)),
    ("sharpness", "3.7", |image| enhance::sharpness(image, 3.7)),
    ("zoom", "1.23", |image| affine::zoom(image, 1.23, Fill::Black)),
    ("zoom", "0.71", |image| affine::zoom(image, 0.71, Fill::Black)),
    ("swirl", "0.7", |image| deform::swirl(image, 0.7, Fill::Black)),
    ("swirl", "-1.9", |image| deform::swirl(image, -1.9, Fill::Black)),
    ("rotate", "17.0, edge=True", |image| affine::rotate(image, 17.0, Fill::Edge)),
    ("translate", "y=-11.3 / height, edge=True", |image| affine::translate(image, 0.0, -11.3, Fill::Edge)),
    ("zoom", "0.71, edge=True", |image| affine::zoom(image, 0.71, Fill::Edge)),
    ("swirl", "-1.9, edge=True", |image| deform::swirl(image, -1.9, Fill::Edge)),
    ("erode", "1.0", |image| morphology::erode(image, 1, 1.0)),
    ("erode", "0.37", |image| morphology::erode(image, 1, 0.37)),
    ("dilate", "1.0", |image| morphology::dilate(image, 1, 1.0)),
    ("dilate", "0.52", |image| morphology::dilate(image, 1, 0.52)),
];

/// Runs every kernel on one image of each kind.
fn kernels(images: &[(&str, Array4<u8>)]) -> Vec<Value> {
    let mut pixels = Vec::new();
    let mut cases = Vec::new();
    for (i, (op, numbers, kernel)) in KERNELS.into_iter().enumerate() {
        for (name, images) in images {
            let index = 7 * i % images.dim().0;
            let mut image = common::nth(images, index);
            let (height, width, channels) = image.dim();
            kernel(&mut Image::new(image.as_slice_mut().unwrap(), height, width, channels));
            cases.push(json!({ "op": op, "numbers": numbers, "images": name, "index": index, "at": pixels.len() }));
            pixels.extend(image);
        }
    }
    fs::write(folder().join("kernels.bin"), pixels).unwrap();
    cases
}

/// Runs every op at two magnitudes under every table that has it, and at full magnitude, where some become
/// certain. Returns the pixels if nothing is drawn, otherwise the distribution.
fn draws(images: &Array4<u8>, grey: &Array4<u8>) -> Vec<Value> {
    let n = images.dim().0;
    let mut pixels = Vec::new();
    let mut cases = Vec::new();
    for ranges in RangeTable::ALL {
        for op in Op::ALL.into_iter().filter(|&op| op != Op::SamplePairing && ranges.has(op)) {
            let magnitudes: &[f64] = if ranges.uses_magnitude(op) { &[0.3, 0.9, 1.0] } else { &[0.3] };
            for &magnitude in magnitudes {
                let apply = |images: &Array4<u8>, draw: usize| {
                    let mut image = common::nth(images, draw % images.dim().0);
                    let mut rng = Xoshiro256PlusPlus::seed_from_u64(draw as u64);
                    op.apply(ranges, magnitude, image.view_mut(), &mut rng);
                    image
                };
                let is_fixed = (1..20).all(|repeat| apply(images, repeat * n) == apply(images, 0));
                // At full magnitude the distributions add nothing new.
                if !is_fixed && magnitude == 1.0 {
                    continue;
                }
                let name = format!("{}_{op}_{}", ranges.name(), (10.0 * magnitude) as u32).replace(['-', '.'], "_");
                write_modules(&name, &[policy(ranges, 1.0, &[&[Step::new(op, magnitude)]])]);
                let mut case = json!({ "module": name, "op": op, "ranges": ranges, "magnitude": magnitude });
                if is_fixed {
                    for (key, images) in [("at", images), ("grey_at", grey)] {
                        case[key] = json!(pixels.len());
                        (0..images.dim().0).for_each(|i| pixels.extend(apply(images, i)));
                    }
                } else {
                    let row = |draw| measures(images.index_axis(Axis(0), draw % n), apply(images, draw).view());
                    case["measures"] = json!((0..REPEATS * n).map(row).collect::<Vec<[f64; 6]>>());
                }
                cases.push(case);
            }
        }
    }
    fs::write(folder().join("fixed.bin"), pixels).unwrap();
    cases
}

/// Computes what the script also measures: mean change, mean absolute change, and for the result the standard
/// deviation, the share of zeros, the mean difference of neighbours in a row, and that of red and blue.
fn measures(before: ArrayView3<'_, u8>, after: ArrayView3<'_, u8>) -> [f64; 6] {
    let n = after.len() as f64;
    let mean = |image: ArrayView3<'_, u8>| image.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let (mean_before, mean_after) = (mean(before), mean(after));
    let variance = after.iter().map(|&v| (f64::from(v) - mean_after).powi(2)).sum::<f64>() / n;
    let zeros = after.iter().filter(|&&v| v == 0).count() as f64 / n;
    let width = after.dim().1;
    let roughness =
        common::distortion(after.slice(ndarray::s![.., 1.., ..]), after.slice(ndarray::s![.., ..width - 1, ..]));
    let colour = common::distortion(after.slice(ndarray::s![.., .., ..1]), after.slice(ndarray::s![.., .., 2..]));
    [mean_after - mean_before, common::distortion(before, after), variance.sqrt(), zeros, roughness, colour]
}
