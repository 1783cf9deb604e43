//! Compares the kernels of the AutoAugment family with Pillow, pixel by pixel, and their tables with
//! torchvision's. `tests/reference/pillow.py` writes the reference for both.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use deepaug_augmenter::{
    Op, RangeTable,
    distribution::Distribution,
    ops::{Image, colour, enhance, histogram, nearest, occlusion, pairing},
    transform::{Transform, Unit},
};
use ndarray::{Array3, Array4};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
    torchvision_magnitudes: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

#[derive(Debug, Deserialize)]
struct Case {
    kernel: String,
    parameters: Vec<f64>,
    /// The factor of the contrast applied to the input first; 1 leaves it unchanged.
    contrast: f64,
    input: String,
    index: usize,
    tile: usize,
    /// Whether the image should stay unchanged.
    identity: bool,
}

fn reference() -> Reference {
    serde_json::from_str(&fs::read_to_string(common::path("pillow-cases.json")).unwrap()).unwrap()
}

fn run(kernel: &str, p: &[f64], image: &mut Array3<u8>, inputs: &Array4<u8>) {
    let (height, width, channels) = image.dim();
    let image = &mut Image::new(image.as_slice_mut().unwrap(), height, width, channels);
    match kernel {
        "shear_x" => nearest::shear_x(image, p[0]),
        "shear_y" => nearest::shear_y(image, p[0]),
        "translate" => nearest::translate(image, p[0] as isize, p[1] as isize),
        "rotate" => nearest::rotate(image, p[0]),
        "auto_contrast" => histogram::auto_contrast(image),
        "equalize" => histogram::equalize(image),
        "invert" => colour::invert(image),
        "solarize" => colour::solarize(image, p[0] as u16),
        "posterize" => colour::posterize(image, p[0] as u32),
        "contrast" => enhance::contrast(image, p[0]),
        "brightness" => enhance::brightness(image, p[0]),
        "saturation" => enhance::saturation(image, p[0]),
        "sharpness" => enhance::sharpness(image, p[0]),
        "cutout" => occlusion::cutout(image, p[0] as usize, p[1] as usize, p[2] as usize),
        "blend" => pairing::blend(image, common::nth(inputs, p[1] as usize).as_slice().unwrap(), p[0]),
        other => panic!("no kernel {other}"),
    }
}

#[test]
fn kernels_make_the_pixels_of_pillow() {
    let sheets = [("grey", common::grey()), ("colour", common::colour()), ("wide", common::wide())];
    let sheets: BTreeMap<_, _> = sheets
        .into_iter()
        .map(|(name, inputs)| {
            let expected = common::sheet(&format!("pillow-expected-{name}.png"), inputs.dim().1, inputs.dim().2);
            (name, (inputs, expected))
        })
        .collect();
    let cases = reference().cases;
    let mut failures = Vec::new();
    for case in &cases {
        let (inputs, expected) = &sheets[case.input.as_str()];
        let expected = common::nth(expected, case.tile);
        let mut before = common::nth(inputs, case.index);
        run("contrast", &[case.contrast], &mut before, inputs);
        if (before == expected) != case.identity {
            failures.push(format!("{case:?}: Pillow's image equals the input, or should and does not"));
        }
        let mut image = before;
        run(&case.kernel, &case.parameters, &mut image, inputs);
        let differences = || image.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
        let differing = differences().filter(|&d| d > 0).count();
        if differing > 0 {
            failures.push(format!("{case:?}: {differing} values differ, by up to {}", differences().max().unwrap()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let changing = cases.iter().filter(|case| !case.identity);
    let kernels: BTreeSet<_> = changing.map(|case| (case.kernel.as_str(), case.input.as_str())).collect();
    // Every kernel on every sheet, except the saturation of grey images.
    assert_eq!(kernels.len(), 15 * 3 - 1, "{kernels:?}");
}

/// Returns our op for torchvision's name.
fn op(name: &str) -> Op {
    match name {
        "ShearX" => Op::ShearX,
        "ShearY" => Op::ShearY,
        "TranslateX" => Op::TranslateXNearest,
        "TranslateY" => Op::TranslateYNearest,
        "Rotate" => Op::RotateNearest,
        "Brightness" => Op::Brightness,
        "Color" => Op::Saturation,
        "Contrast" => Op::Contrast,
        "Sharpness" => Op::Sharpness,
        "Posterize" => Op::Posterize,
        "Solarize" => Op::Solarize,
        other => panic!("no op {other}"),
    }
}

/// Returns what a recipe draws, in torchvision's terms: either sign of a magnitude, or the magnitude twice.
fn magnitudes(transform: Transform, table: RangeTable) -> [f64; 2] {
    let (draw, neutral) = match transform {
        Transform::ShearX(draw)
        | Transform::ShearY(draw)
        | Transform::RotateNearest(draw)
        | Transform::Posterize(draw) => (draw, 0.0),
        Transform::TranslateXNearest(draw, unit) | Transform::TranslateYNearest(draw, unit) => {
            assert_eq!(unit, if table == RangeTable::RandAugment { Unit::Side } else { Unit::Pixels });
            (draw, 0.0)
        }
        Transform::Brightness(draw)
        | Transform::Saturation(draw)
        | Transform::Contrast(draw)
        | Transform::Sharpness(draw) => (draw, 1.0),
        Transform::Solarize(draw) => (draw, 0.0),
        other => panic!("{other:?}"),
    };
    match draw {
        Distribution::Fixed(value) => [value, value],
        Distribution::Either(a, b) => [a - neutral, b - neutral],
        other => panic!("{other:?}"),
    }
}

/// RandAugment's translations and thresholds differ on purpose, by the stated tolerances. AutoAugment's table is
/// left out: ours follows the original TensorFlow code, where torchvision has the ranges of its RandAugment.
///
/// Our tables have a few more ops than torchvision's. Those without a magnitude are always applied.
#[test]
fn tables_have_the_magnitudes_of_torchvision() {
    const BINS: usize = 31;
    let torchvision = reference().torchvision_magnitudes;
    assert_eq!(torchvision.len(), 2);
    for (table, ops) in torchvision {
        let ranges = match table.as_str() {
            "RandAugment" => RangeTable::RandAugment,
            "TrivialAugmentWide" => RangeTable::TrivialAugmentWide,
            other => panic!("no table {other}"),
        };
        assert_eq!(ops.len(), 11);
        for (name, values) in ops {
            assert_eq!(values.len(), BINS);
            for (bin, value) in values.into_iter().enumerate() {
                let m = bin as f64 / (BINS - 1) as f64;
                // torchvision's have the precision of `f32`.
                let exact = 1e-6 * value.abs().max(1.0);
                let (expected, tolerance) = match (ranges, op(&name)) {
                    // 0.45 of the side, where torchvision has 150 pixels of 331.
                    (RangeTable::RandAugment, Op::TranslateXNearest | Op::TranslateYNearest) => {
                        (value, (150.0 / 331.0 - 0.45) * m + exact)
                    }
                    // Its ops shift by whole pixels, rounded towards 0.
                    (_, Op::TranslateXNearest | Op::TranslateYNearest) => (value.trunc(), 0.0),
                    // Integer thresholds from 256 to 0, where torchvision's are fractions of 255. Ours are larger
                    // by 1 - m and the fractional part of 256 m.
                    (RangeTable::RandAugment, Op::Solarize) => (255.0 * value, 2.0 - m),
                    (_, Op::Solarize) => (255.0 * value, 255.0 * exact),
                    _ => (value, exact),
                };
                let transform = ranges.transform(op(&name), m).unwrap();
                let found = magnitudes(transform, ranges);
                let signed = !matches!(op(&name), Op::Posterize | Op::Solarize);
                for (found, sign) in found.into_iter().zip([if signed { -1.0 } else { 1.0 }, 1.0]) {
                    let difference = (found - sign * expected).abs();
                    assert!(difference <= tolerance, "{table} {name} {bin}: {transform:?}, torchvision {expected}");
                }
            }
        }
        for op in [Op::AutoContrast, Op::Equalize] {
            let always = if op == Op::Equalize { Transform::Equalize(1.0) } else { Transform::AutoContrast(1.0) };
            assert_eq!(ranges.transform(op, 0.5), Some(always));
        }
    }
}
