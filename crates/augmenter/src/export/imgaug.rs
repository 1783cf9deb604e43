//! Steps as augmenters of imgaug; where it has none that does the same, functions of `opencv.py` called for each image.

use super::{
    calls::{call, probability},
    python::{WIDTH, ends, number},
};
use crate::{
    draw::Draw,
    policy::Step,
    recipe::{Grid, Recipe, Unit},
};

/// A function that makes an augmenter which applies so many of the functions' augmenters, drawn at random, and one that always
/// follows.
pub(super) fn drawn(name: &str, functions: &[String], draws: usize, always: Option<&str>) -> String {
    let mut code = format!("def {name}():\n    functions = [\n");
    code.extend(functions.iter().map(|function| format!("        {function},\n")));
    code.push_str("    ]\n    return iaa.Sequential([\n");
    code.push_str(&format!("        *[iaa.OneOf([make() for make in functions]) for _ in range({draws})],\n"));
    code.extend(always.map(|always| format!("        {always}(),\n")));
    code + "    ])"
}

/// A function that makes an augmenter of the steps.
pub(super) fn sub_policy(name: &str, steps: &[(Step, Recipe)]) -> String {
    let mut code = format!("def {name}():\n    return iaa.Sequential([\n");
    for (step, recipe) in steps {
        code.push_str(&format!("        # {step}\n"));
        if matches!(recipe, Recipe::Fog(_) | Recipe::Clouds(_)) {
            code.push_str(
                "        # On images of more than 64 pixels a side, imgaug's noise is finer than the search's.\n",
            );
        }
        let p = step.probability * probability(recipe);
        let probable = match recipe {
            Recipe::Invert(_) => Some("Invert"),
            Recipe::HorizontalFlip(_) => Some("Fliplr"),
            Recipe::VerticalFlip(_) => Some("Flipud"),
            _ => None,
        };
        let augmenter = match probable {
            Some(name) => format!("iaa.{name}({})", number(p)),
            None if p < 1.0 => {
                format!("iaa.Sometimes(\n            {},\n            {},\n        )", number(p), always(recipe, 12))
            }
            None => always(recipe, 8),
        };
        code.push_str(&format!("        {augmenter},\n"));
    }
    code + "    ])"
}

/// An augmenter for every image, in a line that starts at `column`.
fn always(recipe: &Recipe, column: usize) -> String {
    own(recipe).unwrap_or_else(|| {
        let function = format!("lambda image, rng: {}", call(recipe));
        let line = format!("each({function})");
        // A comma follows.
        if column + line.len() < WIDTH { line } else { format!("each(\n{:column$}    {function}\n{:column$})", "", "") }
    })
}

/// imgaug's own augmenter, if it does the same.
fn own(recipe: &Recipe) -> Option<String> {
    Some(match *recipe {
        Recipe::Crop(cut, Unit::Pixels) => format!("iaa.Crop(px={})", parameter(cut)),
        Recipe::Crop(cut, Unit::Side) => format!("iaa.Crop(percent={})", parameter(cut)),
        Recipe::GaussianBlur(sigma, Unit::Pixels) => format!("iaa.GaussianBlur(sigma={})", parameter(sigma)),
        Recipe::Rotate(degrees) => format!("iaa.Affine(rotate={})", parameter(degrees)),
        Recipe::TranslateX(part) => format!(r#"iaa.Affine(translate_percent={{"x": {}, "y": 0.0}})"#, parameter(part)),
        Recipe::TranslateY(part) => format!(r#"iaa.Affine(translate_percent={{"x": 0.0, "y": {}}})"#, parameter(part)),
        Recipe::Sharpen { alpha, lightness } => {
            format!("iaa.Sharpen(alpha={}, lightness={})", parameter(alpha), parameter(lightness))
        }
        Recipe::Emboss { alpha, strength } => {
            format!("iaa.Emboss(alpha={}, strength={})", parameter(alpha), parameter(strength))
        }
        Recipe::AdditiveGaussianNoise(sd) => {
            format!("iaa.AdditiveGaussianNoise(loc=0, scale={}, per_channel=0.5)", parameter(sd))
        }
        Recipe::Dropout(p) => format!("iaa.Dropout({}, per_channel=0.5)", parameter(p)),
        Recipe::CoarseDropout(p, grid) => {
            format!("iaa.CoarseDropout({}, {}, per_channel=0.2)", parameter(p), cells(grid))
        }
        Recipe::CoarseSaltPepper(p, grid) => format!("iaa.CoarseSaltAndPepper({}, {})", parameter(p), cells(grid)),
        Recipe::GammaContrast(gamma) => format!("iaa.GammaContrast({})", parameter(gamma)),
        Recipe::Brighten(added) => format!("iaa.Add({}, per_channel=0.5)", parameter(added)),
        Recipe::Fog(1.0) => "iaa.Fog()".into(),
        Recipe::Fog(opacity) => format!("iaa.BlendAlpha({}, iaa.Fog())", number(opacity)),
        Recipe::Clouds(1.0) => "iaa.Clouds()".into(),
        Recipe::Clouds(opacity) => {
            let layer = format!("iaa.BlendAlpha({}, layer)", number(opacity));
            format!("iaa.SomeOf((1, 2), [{layer} for layer in iaa.Clouds()])")
        }
        Recipe::AutoContrast(_) => "iaa.pillike.Autocontrast(cutoff=0)".into(),
        Recipe::Equalize(_) => "iaa.pillike.Equalize()".into(),
        Recipe::Solarize(Draw::Fixed(threshold)) if threshold <= 255.0 => {
            format!("iaa.pillike.Solarize(1.0, threshold={})", threshold.ceil())
        }
        Recipe::Posterize(Draw::Fixed(bits)) if bits.round() >= 1.0 => {
            format!("iaa.pillike.Posterize({})", bits.round())
        }
        Recipe::Contrast(factor) => format!("iaa.pillike.EnhanceContrast({})", parameter(factor)),
        Recipe::Saturation(factor) => format!("iaa.pillike.EnhanceColor({})", parameter(factor)),
        Recipe::Brightness(factor) => format!("iaa.pillike.EnhanceBrightness({})", parameter(factor)),
        Recipe::Sharpness(factor) if !is_negative(factor) => {
            format!("iaa.pillike.EnhanceSharpness({})", parameter(factor))
        }
        // Lengths by the size of the image, a shear that does not depend on the version of scikit-image, and what imgaug lacks.
        _ => return None,
    })
}

/// Whether a factor may be negative, which imgaug does not take.
fn is_negative(draw: Draw) -> bool {
    matches!(draw, Draw::Between(a, b) if a.min(b) < 0.0)
}

fn cells(grid: Grid) -> String {
    match grid {
        Grid::Cells(cells) => format!("size_px={}", parameter(cells)),
        Grid::OfSide(part) => format!("size_percent={}", parameter(part)),
    }
}

/// A parameter in imgaug's shorthand: a number, a tuple for a range, a list for a choice.
fn parameter(draw: Draw) -> String {
    match draw {
        Draw::Fixed(value) => number(value),
        Draw::Between(fixed, _) => ends(draw).map_or_else(|| number(fixed), |(low, high)| format!("({low}, {high})")),
        Draw::Whole(low, high) => format!("({low}, {high})"),
        Draw::Either(a, b) if a == b => number(a),
        Draw::Either(a, b) => format!("[{}, {}]", number(a.min(b)), number(a.max(b))),
        Draw::Power { base, most } => {
            let exponent = format!("iap.Uniform(-{}, {})", number(most), number(most));
            format!("iap.Power({}, {exponent}, elementwise=True)", number(base))
        }
    }
}
