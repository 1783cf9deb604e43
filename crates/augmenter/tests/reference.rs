//! Compares the ops with imgaug 0.4.0: pixels if an op is deterministic given its parameters, distributions for
//! all.

mod common;

use std::fs;

use deepaug_augmenter::{
    Op, RangeTable,
    ops::{Fill, Image, affine, blur, colour, convolution, crop, flip},
};
use ndarray::{Array3, ArrayView3};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    kernel: String,
    parameters: Vec<f64>,
    input: String,
    index: usize,
    tile: usize,
}

/// Returns how far values may differ from imgaug's. OpenCV itself gives two results here, depending on the
/// processor and on the image width: `filter2D` with or without fused multiply-add, and HSV to RGB rounded (as
/// here) or, in its vector code, truncated.
fn tolerance(kernel: &str) -> u8 {
    match kernel {
        "sharpen" | "add_to_hue_and_saturation" => 1,
        _ => 0,
    }
}

fn run(kernel: &str, p: &[f64], image: &mut Array3<u8>) {
    let (height, width, channels) = image.dim();
    let image = &mut Image::new(image.as_slice_mut().unwrap(), height, width, channels);
    match kernel {
        "rotate" => affine::rotate(image, p[0], Fill::Black),
        "shear" => affine::shear(image, p[0], Fill::Black),
        "translate_x" => affine::translate(image, p[0] * width as f64, 0.0, Fill::Black),
        "translate_y" => affine::translate(image, 0.0, p[0] * height as f64, Fill::Black),
        "crop" => crop::crop(image, std::array::from_fn(|i| p[i] as usize)),
        "gaussian_blur" => blur::gaussian(image, p[0]),
        "sharpen" => convolution::sharpen(image, p[0], p[1]),
        "emboss" => convolution::emboss(image, p[0], p[1]),
        "gamma_contrast" => colour::gamma(image, p[0]),
        "brighten" => colour::add(image, &[p[0] as i16]),
        "invert" => colour::invert(image),
        "add_to_hue_and_saturation" => colour::add_hue_saturation(image, p[0] as i32, p[1] as i32),
        "horizontal_flip" => flip::horizontal(image),
        "vertical_flip" => flip::vertical(image),
        other => panic!("no kernel {other}"),
    }
}

#[test]
fn kernels_make_the_pixels_of_imgaug() {
    let Cases { cases } = serde_json::from_str(&fs::read_to_string(common::path("cases.json")).unwrap()).unwrap();
    assert!(cases.len() > 60);
    let mut failures = Vec::new();
    for case in cases {
        let (inputs, height, width) = match case.input.as_str() {
            "grey" => (common::grey(), 28, 28),
            "colour" => (common::colour(), 32, 32),
            _ => (common::wide(), 19, 31),
        };
        let expected = common::nth(&common::sheet(&format!("expected-{}.png", case.input), height, width), case.tile);
        let before = common::nth(&inputs, case.index);
        let mut image = before.clone();
        run(&case.kernel, &case.parameters, &mut image);
        let differences: Vec<u8> = image.iter().zip(&expected).map(|(&a, &b)| a.abs_diff(b)).collect();
        let largest = *differences.iter().max().unwrap();
        if largest > tolerance(&case.kernel) {
            let differing = differences.iter().filter(|&&d| d > 0).count();
            failures.push(format!("{case:?}: {differing} values differ, by up to {largest}"));
        }
        assert_ne!(before, expected, "{case:?} changes nothing: a useless case");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[derive(Deserialize)]
struct Draws {
    draws: usize,
    ops: Vec<Distribution>,
}

#[derive(Deserialize)]
struct Distribution {
    op: Op,
    magnitude: f64,
    mean_and_sd: Measures<[f64; 2]>,
}

#[derive(Deserialize)]
struct Measures<T> {
    change: T,
    distortion: T,
    sd: T,
    zeros: T,
    roughness: T,
    colour: T,
}

/// Computes what `make.py` also measures.
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

/// Means must agree within five standard errors of their difference, standard deviations within 15 %; a small
/// slack covers what does not vary.
#[test]
fn draws_under_the_old_ranges_are_distributed_as_imgaugs() {
    let reference: Draws = serde_json::from_str(&fs::read_to_string(common::path("draws.json")).unwrap()).unwrap();
    let images = common::colour();
    assert_eq!(reference.ops.len(), 2 * Op::DEEPAUGMENT.len());
    let mut failures = Vec::new();
    for Distribution { op, magnitude, mean_and_sd: expected } in reference.ops {
        let rows: Vec<[f64; 6]> = (0..reference.draws)
            .map(|draw| {
                let before = common::nth(&images, draw % images.dim().0);
                let mut after = before.clone();
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(draw as u64);
                op.apply(RangeTable::DeepAugment112, magnitude, after.view_mut(), &mut rng);
                measures(before.view(), after.view())
            })
            .collect();
        let n = rows.len() as f64;
        let Measures { change, distortion, sd, zeros, roughness, colour } = expected;
        let expected = [
            ("change", change),
            ("distortion", distortion),
            ("sd", sd),
            ("zeros", zeros),
            ("roughness", roughness),
            ("colour", colour),
        ];
        for (i, (measure, [mean, sd])) in expected.into_iter().enumerate() {
            let ours = rows.iter().map(|row| row[i]).sum::<f64>() / n;
            let our_sd = (rows.iter().map(|row| (row[i] - ours).powi(2)).sum::<f64>() / n).sqrt();
            let slack = if measure == "zeros" { 0.0005 } else { 0.02 };
            let tolerance = 5.0 * ((sd * sd + our_sd * our_sd) / n).sqrt() + slack;
            if (ours - mean).abs() > tolerance || (our_sd - sd).abs() > 0.15 * sd + slack {
                failures.push(format!("{op} {magnitude}: {measure} {ours:.3} ± {our_sd:.3}, imgaug {mean} ± {sd}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
