//! Steps as imgaug augmenters; where imgaug has no equivalent, functions of `opencv.py` called for each image.

use super::{
    calls::{call, finish_call, probability},
    python::{WIDTH, ends, number},
};
use crate::{
    distribution::Distribution,
    online::Online,
    policy::Step,
    transform::{Grid, Transform, Unit},
};

/// Writes a function that returns an augmenter, which applies `draws` of the functions' augmenters, drawn at
/// random, and one that always follows.
pub(super) fn drawn(name: &str, functions: &[String], draws: usize, always: Option<&str>) -> String {
    let mut code = format!("def {name}():\n    functions = [\n");
    code.extend(functions.iter().map(|function| format!("        {function},\n")));
    code.push_str("    ]\n    return iaa.Sequential([\n");
    code.push_str(&format!("        *[iaa.OneOf([make() for make in functions]) for _ in range({draws})],\n"));
    code.extend(always.map(|always| format!("        {always}(),\n")));
    code + "    ])"
}

/// Writes a function that returns an augmenter, which finishes an image.
pub(super) fn finish(name: &str, online: &Online) -> String {
    format!("def {name}():\n    return each(lambda image, rng: {})", finish_call(online))
}

/// Writes a function that returns an augmenter for the steps.
pub(super) fn sub_policy(name: &str, steps: &[(Step, Transform)]) -> String {
    let mut code = format!("def {name}():\n    return iaa.Sequential([\n");
    for (step, transform) in steps {
        code.push_str(&format!("        # {step}\n"));
        if matches!(transform, Transform::Fog(_) | Transform::Clouds(_)) {
            code.push_str(
                "        # On images of more than 64 pixels a side, imgaug's noise is finer than the search's.\n",
            );
        }
        let p = step.probability * probability(transform);
        let probable = match transform {
            Transform::Invert(_) => Some("Invert"),
            Transform::HorizontalFlip(_) => Some("Fliplr"),
            Transform::VerticalFlip(_) => Some("Flipud"),
            _ => None,
        };
        let augmenter = match probable {
            Some(name) => format!("iaa.{name}({})", number(p)),
            None if p < 1.0 => {
                format!("iaa.Sometimes(\n            {},\n            {},\n        )", number(p), always(transform, 12))
            }
            None => always(transform, 8),
        };
        code.push_str(&format!("        {augmenter},\n"));
    }
    code + "    ])"
}

/// Writes an augmenter for every image, in a line that starts at `column`.
fn always(transform: &Transform, column: usize) -> String {
    own(transform).unwrap_or_else(|| {
        let function = format!("lambda image, rng: {}", call(transform));
        let line = format!("each({function})");
        // A comma follows.
        if column + line.len() < WIDTH { line } else { format!("each(\n{:column$}    {function}\n{:column$})", "", "") }
    })
}

/// Returns imgaug's own augmenter, if it does the same.
fn own(transform: &Transform) -> Option<String> {
    Some(match *transform {
        Transform::Crop(cut, Unit::Pixels) => format!("iaa.Crop(px={})", parameter(cut)),
        Transform::Crop(cut, Unit::Side) => format!("iaa.Crop(percent={})", parameter(cut)),
        Transform::GaussianBlur(sigma, Unit::Pixels) => format!("iaa.GaussianBlur(sigma={})", parameter(sigma)),
        Transform::Rotate(degrees) => format!("iaa.Affine(rotate={})", parameter(degrees)),
        Transform::TranslateX(part) => {
            format!(r#"iaa.Affine(translate_percent={{"x": {}, "y": 0.0}})"#, parameter(part))
        }
        Transform::TranslateY(part) => {
            format!(r#"iaa.Affine(translate_percent={{"x": 0.0, "y": {}}})"#, parameter(part))
        }
        Transform::Sharpen { alpha, lightness } => {
            format!("iaa.Sharpen(alpha={}, lightness={})", parameter(alpha), parameter(lightness))
        }
        Transform::Emboss { alpha, strength } => {
            format!("iaa.Emboss(alpha={}, strength={})", parameter(alpha), parameter(strength))
        }
        Transform::AdditiveGaussianNoise(sd) => {
            format!("iaa.AdditiveGaussianNoise(loc=0, scale={}, per_channel=0.5)", parameter(sd))
        }
        Transform::Dropout(p) => format!("iaa.Dropout({}, per_channel=0.5)", parameter(p)),
        Transform::CoarseDropout(p, grid) => {
            format!("iaa.CoarseDropout({}, {}, per_channel=0.2)", parameter(p), cells(grid))
        }
        Transform::CoarseSaltPepper(p, grid) => format!("iaa.CoarseSaltAndPepper({}, {})", parameter(p), cells(grid)),
        Transform::GammaContrast(gamma) => format!("iaa.GammaContrast({})", parameter(gamma)),
        Transform::Brighten(added) => format!("iaa.Add({}, per_channel=0.5)", parameter(added)),
        Transform::Fog(1.0) => "iaa.Fog()".into(),
        Transform::Fog(opacity) => format!("iaa.BlendAlpha({}, iaa.Fog())", number(opacity)),
        Transform::Clouds(1.0) => "iaa.Clouds()".into(),
        Transform::Clouds(opacity) => {
            let layer = format!("iaa.BlendAlpha({}, layer)", number(opacity));
            format!("iaa.SomeOf((1, 2), [{layer} for layer in iaa.Clouds()])")
        }
        Transform::AutoContrast(_) => "iaa.pillike.Autocontrast(cutoff=0)".into(),
        Transform::Equalize(_) => "iaa.pillike.Equalize()".into(),
        Transform::Solarize(Distribution::Fixed(threshold)) if threshold <= 255.0 => {
            format!("iaa.pillike.Solarize(1.0, threshold={})", threshold.ceil())
        }
        Transform::Posterize(Distribution::Fixed(bits)) if bits.round() >= 1.0 => {
            format!("iaa.pillike.Posterize({})", bits.round())
        }
        Transform::Contrast(factor) => format!("iaa.pillike.EnhanceContrast({})", parameter(factor)),
        Transform::Saturation(factor) => format!("iaa.pillike.EnhanceColor({})", parameter(factor)),
        Transform::Brightness(factor) => format!("iaa.pillike.EnhanceBrightness({})", parameter(factor)),
        Transform::Sharpness(factor) if !is_negative(factor) => {
            format!("iaa.pillike.EnhanceSharpness({})", parameter(factor))
        }
        // Lengths relative to the image size, a shear that does not depend on the version of scikit-image, and
        // what imgaug lacks.
        _ => return None,
    })
}

/// Whether a factor may be negative, which imgaug does not accept.
fn is_negative(draw: Distribution) -> bool {
    matches!(draw, Distribution::Between(a, b) if a.min(b) < 0.0)
}

fn cells(grid: Grid) -> String {
    match grid {
        Grid::Cells(cells) => format!("size_px={}", parameter(cells)),
        Grid::OfSide(part) => format!("size_percent={}", parameter(part)),
    }
}

/// Writes a parameter in imgaug's shorthand: a number, a tuple for a range, a list for a choice.
fn parameter(draw: Distribution) -> String {
    match draw {
        Distribution::Fixed(value) => number(value),
        Distribution::Between(fixed, _) => {
            ends(draw).map_or_else(|| number(fixed), |(low, high)| format!("({low}, {high})"))
        }
        Distribution::Whole(low, high) => format!("({low}, {high})"),
        Distribution::Either(a, b) if a == b => number(a),
        Distribution::Either(a, b) => format!("[{}, {}]", number(a.min(b)), number(a.max(b))),
        Distribution::Power { base, most } => {
            let exponent = format!("iap.Uniform(-{}, {})", number(most), number(most));
            format!("iap.Power({}, {exponent}, elementwise=True)", number(base))
        }
    }
}
