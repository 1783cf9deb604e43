//! Steps as calls to the functions in `torchvision.py` and `opencv.py`, which have the same names and arguments.

use super::python::{ends, number};
use crate::{
    distribution::Distribution,
    online::Online,
    policy::Step,
    transform::{Grid, Transform, Unit},
};

/// Writes a function that applies the steps to `image` with random numbers from `rng`.
pub(super) fn sub_policy(name: &str, steps: &[(Step, Transform)]) -> String {
    let mut code = format!("def {name}(image, rng):\n");
    for (step, transform) in steps {
        let p = step.probability * probability(transform);
        code.push_str(&format!("    # {step}\n"));
        if p < 1.0 {
            code.push_str(&format!("    if rng.random() < {}:\n    ", number(p)));
        }
        code.push_str(&format!("    image = {}\n", call(transform)));
    }
    code + "    return image"
}

/// Writes a function that applies `draws` of the functions, drawn at random, and one that always follows.
pub(super) fn drawn(name: &str, functions: &[String], draws: usize, always: Option<&str>) -> String {
    let mut code = format!("def {name}(image, rng):\n    functions = [\n");
    code.extend(functions.iter().map(|function| format!("        {function},\n")));
    code.push_str(&format!(
        "    ]\n    for _ in range({draws}):\n        image = functions[rng.integers(0, len(functions))](image, rng)\n"
    ));
    match always {
        Some(always) => code + &format!("    return {always}(image, rng)"),
        None => code + "    return image",
    }
}

/// Writes a function that finishes an image.
pub(super) fn finish(name: &str, online: &Online) -> String {
    format!("def {name}(image, rng):\n    return {}", finish_call(online))
}

/// Writes an expression of `image` and `rng`.
pub(super) fn finish_call(Online { pad, flip, cutout, .. }: &Online) -> String {
    let flip = if *flip { "True" } else { "False" };
    format!("finish(image, {}, {flip}, {}, rng)", number(*pad), number(*cutout))
}

/// Returns the probability that a transform changes an image, where that is its only parameter.
pub(super) fn probability(transform: &Transform) -> f64 {
    match *transform {
        Transform::Invert(p)
        | Transform::HorizontalFlip(p)
        | Transform::VerticalFlip(p)
        | Transform::AutoContrast(p)
        | Transform::Equalize(p) => p,
        _ => 1.0,
    }
}

/// Writes an expression of `image` and `rng`.
pub(super) fn call(transform: &Transform) -> String {
    match *transform {
        Transform::Crop(cut, Unit::Pixels) => format!("crop(image, pixels={})", values(cut, 4)),
        Transform::Crop(cut, Unit::Side) => format!("crop(image, parts={})", values(cut, 4)),
        Transform::GaussianBlur(sigma, Unit::Pixels) => format!("gaussian_blur(image, {})", value(sigma)),
        Transform::GaussianBlur(part, Unit::Side) => format!("gaussian_blur(image, part={})", value(part)),
        Transform::Rotate(degrees) => format!("rotate(image, {})", value(degrees)),
        Transform::Shear(degrees) => format!("shear(image, {})", value(degrees)),
        Transform::TranslateX(part) => format!("translate(image, x={})", value(part)),
        Transform::TranslateY(part) => format!("translate(image, y={})", value(part)),
        Transform::Sharpen { alpha, lightness } => format!("sharpen(image, {}, {})", value(alpha), value(lightness)),
        Transform::Emboss { alpha, strength } => format!("emboss(image, {}, {})", value(alpha), value(strength)),
        Transform::AdditiveGaussianNoise(sd) => format!("gaussian_noise(image, {}, rng)", value(sd)),
        Transform::Dropout(p) => format!("dropout(image, {}, rng)", value(p)),
        Transform::CoarseDropout(p, grid) => format!("coarse_dropout(image, {}, rng, {})", value(p), cells(grid)),
        Transform::CoarseSaltPepper(p, grid) => {
            format!("coarse_salt_pepper(image, {}, rng, {})", value(p), cells(grid))
        }
        Transform::GammaContrast(gamma) => format!("gamma_contrast(image, {})", value(gamma)),
        Transform::Brighten(added) => {
            let (low, high) = ends(added).unwrap_or_else(|| (value(added), value(added)));
            format!("brighten(image, {low}, {high}, rng)")
        }
        Transform::Invert(_) => "invert(image)".into(),
        Transform::Fog(opacity) => format!("fog(image, {}, rng)", number(opacity)),
        Transform::Clouds(opacity) => format!("clouds(image, {}, rng)", number(opacity)),
        Transform::AddToHueAndSaturation { shift, shared: true } => {
            format!("hue_and_saturation(image, both={})", value(shift))
        }
        Transform::AddToHueAndSaturation { shift, shared: false } => {
            format!("hue_and_saturation(image, *{})", values(shift, 2))
        }
        Transform::HorizontalFlip(_) => "horizontal_flip(image)".into(),
        Transform::VerticalFlip(_) => "vertical_flip(image)".into(),
        Transform::ShearX(slope) => format!("shear_nearest(image, x={})", value(slope)),
        Transform::ShearY(slope) => format!("shear_nearest(image, y={})", value(slope)),
        Transform::TranslateXNearest(shift, Unit::Side) => format!("translate_nearest(image, x={})", value(shift)),
        Transform::TranslateYNearest(shift, Unit::Side) => format!("translate_nearest(image, y={})", value(shift)),
        Transform::TranslateXNearest(shift, Unit::Pixels) => {
            format!("translate_nearest(image, pixels_x={})", value(shift))
        }
        Transform::TranslateYNearest(shift, Unit::Pixels) => {
            format!("translate_nearest(image, pixels_y={})", value(shift))
        }
        Transform::RotateNearest(degrees) => format!("rotate_nearest(image, {})", value(degrees)),
        Transform::AutoContrast(_) => "auto_contrast(image)".into(),
        Transform::Equalize(_) => "equalize(image)".into(),
        Transform::Solarize(threshold) => format!("solarize(image, {})", value(threshold)),
        Transform::Posterize(bits) => format!("posterize(image, {})", value(bits)),
        Transform::Contrast(factor) => format!("contrast(image, {})", value(factor)),
        Transform::Saturation(factor) => format!("saturation(image, {})", value(factor)),
        Transform::Brightness(factor) => format!("brightness(image, {})", value(factor)),
        Transform::Sharpness(factor) => format!("sharpness(image, {})", value(factor)),
        Transform::Cutout(part) => format!("cutout(image, {}, rng)", value(part)),
        Transform::SamplePairing(_) => unreachable!("every library refuses the op"),
    }
}

/// Writes rows and columns.
fn cells(grid: Grid) -> String {
    match grid {
        Grid::Cells(cells) => format!("cells={}", values(cells, 2)),
        Grid::OfSide(part) => format!("parts={}", values(part, 2)),
    }
}

/// Writes a number, or how it is drawn.
fn value(draw: Distribution) -> String {
    match draw {
        Distribution::Fixed(value) => number(value),
        Distribution::Between(fixed, _) => {
            ends(draw).map_or_else(|| number(fixed), |(low, high)| format!("rng.uniform({low}, {high})"))
        }
        Distribution::Whole(low, high) => format!("rng.integers({low}, {high} + 1)"),
        Distribution::Either(a, b) if a == b => number(a),
        Distribution::Either(a, b) => format!("rng.choice([{}, {}])", number(a.min(b)), number(a.max(b))),
        Distribution::Power { base, most } => format!("{} ** {}", number(base), value(Distribution::within(most))),
    }
}

/// Writes several numbers, each drawn separately.
fn values(draw: Distribution, count: usize) -> String {
    match (draw, ends(draw)) {
        (_, Some((low, high))) => format!("rng.uniform({low}, {high}, {count})"),
        (Distribution::Whole(low, high), _) => format!("rng.integers({low}, {high} + 1, {count})"),
        _ => format!("[{}]", vec![value(draw); count].join(", ")),
    }
}
