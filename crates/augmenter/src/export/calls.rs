//! Steps as calls of the functions in `torchvision.py` and `opencv.py`, which have the same names and arguments.

use super::python::{ends, number};
use crate::{
    draw::Draw,
    policy::Step,
    recipe::{Grid, Recipe, Unit},
};

/// A function that applies the steps to `image` with random numbers from `rng`.
pub(super) fn sub_policy(name: &str, steps: &[(Step, Recipe)]) -> String {
    let mut code = format!("def {name}(image, rng):\n");
    for (step, recipe) in steps {
        let p = step.probability * probability(recipe);
        code.push_str(&format!("    # {step}\n"));
        if p < 1.0 {
            code.push_str(&format!("    if rng.random() < {}:\n    ", number(p)));
        }
        code.push_str(&format!("    image = {}\n", call(recipe)));
    }
    code + "    return image"
}

/// A function that applies so many of the functions, drawn at random, and one that always follows.
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

/// With which probability a recipe changes an image, where that is its only parameter.
pub(super) fn probability(recipe: &Recipe) -> f64 {
    match *recipe {
        Recipe::Invert(p)
        | Recipe::HorizontalFlip(p)
        | Recipe::VerticalFlip(p)
        | Recipe::AutoContrast(p)
        | Recipe::Equalize(p) => p,
        _ => 1.0,
    }
}

/// An expression of `image` and `rng`.
pub(super) fn call(recipe: &Recipe) -> String {
    match *recipe {
        Recipe::Crop(cut, Unit::Pixels) => format!("crop(image, pixels={})", values(cut, 4)),
        Recipe::Crop(cut, Unit::Side) => format!("crop(image, parts={})", values(cut, 4)),
        Recipe::GaussianBlur(sigma, Unit::Pixels) => format!("gaussian_blur(image, {})", value(sigma)),
        Recipe::GaussianBlur(part, Unit::Side) => format!("gaussian_blur(image, part={})", value(part)),
        Recipe::Rotate(degrees) => format!("rotate(image, {})", value(degrees)),
        Recipe::Shear(degrees) => format!("shear(image, {})", value(degrees)),
        Recipe::TranslateX(part) => format!("translate(image, x={})", value(part)),
        Recipe::TranslateY(part) => format!("translate(image, y={})", value(part)),
        Recipe::Sharpen { alpha, lightness } => format!("sharpen(image, {}, {})", value(alpha), value(lightness)),
        Recipe::Emboss { alpha, strength } => format!("emboss(image, {}, {})", value(alpha), value(strength)),
        Recipe::AdditiveGaussianNoise(sd) => format!("gaussian_noise(image, {}, rng)", value(sd)),
        Recipe::Dropout(p) => format!("dropout(image, {}, rng)", value(p)),
        Recipe::CoarseDropout(p, grid) => format!("coarse_dropout(image, {}, rng, {})", value(p), cells(grid)),
        Recipe::CoarseSaltPepper(p, grid) => format!("coarse_salt_pepper(image, {}, rng, {})", value(p), cells(grid)),
        Recipe::GammaContrast(gamma) => format!("gamma_contrast(image, {})", value(gamma)),
        Recipe::Brighten(added) => {
            let (low, high) = ends(added).unwrap_or_else(|| (value(added), value(added)));
            format!("brighten(image, {low}, {high}, rng)")
        }
        Recipe::Invert(_) => "invert(image)".into(),
        Recipe::Fog(opacity) => format!("fog(image, {}, rng)", number(opacity)),
        Recipe::Clouds(opacity) => format!("clouds(image, {}, rng)", number(opacity)),
        Recipe::AddToHueAndSaturation { shift, shared: true } => {
            format!("hue_and_saturation(image, both={})", value(shift))
        }
        Recipe::AddToHueAndSaturation { shift, shared: false } => {
            format!("hue_and_saturation(image, *{})", values(shift, 2))
        }
        Recipe::HorizontalFlip(_) => "horizontal_flip(image)".into(),
        Recipe::VerticalFlip(_) => "vertical_flip(image)".into(),
        Recipe::ShearX(slope) => format!("shear_nearest(image, x={})", value(slope)),
        Recipe::ShearY(slope) => format!("shear_nearest(image, y={})", value(slope)),
        Recipe::TranslateXNearest(shift, Unit::Side) => format!("translate_nearest(image, x={})", value(shift)),
        Recipe::TranslateYNearest(shift, Unit::Side) => format!("translate_nearest(image, y={})", value(shift)),
        Recipe::TranslateXNearest(shift, Unit::Pixels) => {
            format!("translate_nearest(image, pixels_x={})", value(shift))
        }
        Recipe::TranslateYNearest(shift, Unit::Pixels) => {
            format!("translate_nearest(image, pixels_y={})", value(shift))
        }
        Recipe::RotateNearest(degrees) => format!("rotate_nearest(image, {})", value(degrees)),
        Recipe::AutoContrast(_) => "auto_contrast(image)".into(),
        Recipe::Equalize(_) => "equalize(image)".into(),
        Recipe::Solarize(threshold) => format!("solarize(image, {})", value(threshold)),
        Recipe::Posterize(bits) => format!("posterize(image, {})", value(bits)),
        Recipe::Contrast(factor) => format!("contrast(image, {})", value(factor)),
        Recipe::Saturation(factor) => format!("saturation(image, {})", value(factor)),
        Recipe::Brightness(factor) => format!("brightness(image, {})", value(factor)),
        Recipe::Sharpness(factor) => format!("sharpness(image, {})", value(factor)),
        Recipe::Cutout(part) => format!("cutout(image, {}, rng)", value(part)),
        Recipe::SamplePairing(_) => unreachable!("every library refuses the op"),
    }
}

/// Rows and columns.
fn cells(grid: Grid) -> String {
    match grid {
        Grid::Cells(cells) => format!("cells={}", values(cells, 2)),
        Grid::OfSide(part) => format!("parts={}", values(part, 2)),
    }
}

/// A number, or how it is drawn.
fn value(draw: Draw) -> String {
    match draw {
        Draw::Fixed(value) => number(value),
        Draw::Between(fixed, _) => {
            ends(draw).map_or_else(|| number(fixed), |(low, high)| format!("rng.uniform({low}, {high})"))
        }
        Draw::Whole(low, high) => format!("rng.integers({low}, {high} + 1)"),
        Draw::Either(a, b) if a == b => number(a),
        Draw::Either(a, b) => format!("rng.choice([{}, {}])", number(a.min(b)), number(a.max(b))),
        Draw::Power { base, most } => format!("{} ** {}", number(base), value(Draw::within(most))),
    }
}

/// Several numbers, each drawn by itself.
fn values(draw: Draw, count: usize) -> String {
    match (draw, ends(draw)) {
        (_, Some((low, high))) => format!("rng.uniform({low}, {high}, {count})"),
        (Draw::Whole(low, high), _) => format!("rng.integers({low}, {high} + 1, {count})"),
        _ => format!("[{}]", vec![value(draw); count].join(", ")),
    }
}
