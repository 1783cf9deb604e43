//! The default table.

use crate::{
    distribution::Distribution,
    op::Op,
    ops::Fill,
    transform::{Grid, Transform, Unit, Warp},
};

pub(super) fn transform(op: Op, m: f64) -> Transform {
    let (to, within) = (Distribution::to, Distribution::within);
    // Factors of the enhancers; 1 leaves the image unchanged.
    let around_1 = |most: f64| Distribution::Between(1.0 - most, 1.0 + most);
    match op {
        Op::Crop => Transform::Crop(to(0.2 * m), Unit::Side),
        Op::GaussianBlur => Transform::GaussianBlur(to(0.06 * m), Unit::Side),
        Op::Rotate => Transform::Warp(Warp::Rotate(within(45.0 * m)), Fill::Black),
        Op::Shear => Transform::Warp(Warp::Shear(within(35.0 * m)), Fill::Black),
        Op::TranslateX => Transform::Warp(Warp::TranslateX(within(0.3 * m)), Fill::Black),
        Op::TranslateY => Transform::Warp(Warp::TranslateY(within(0.3 * m)), Fill::Black),
        Op::Sharpen => Transform::Sharpen { alpha: to(0.6 * m), lightness: Distribution::Fixed(1.0) },
        Op::Emboss => Transform::Emboss { alpha: to(0.7 * m), strength: Distribution::Fixed(1.0) },
        Op::AdditiveGaussianNoise => Transform::AdditiveGaussianNoise(to(64.0 * m)),
        Op::Dropout => Transform::Dropout(to(0.3 * m)),
        Op::CoarseDropout => Transform::CoarseDropout(to(0.3 * m), Grid::Cells(Distribution::Whole(4, 8))),
        Op::GammaContrast => Transform::GammaContrast(Distribution::Power { base: 3.0, most: m }),
        Op::Brighten => Transform::Brighten(within(96.0 * m)),
        Op::Invert => Transform::Invert(m),
        Op::Fog => Transform::Fog(0.8 * m),
        Op::Clouds => Transform::Clouds(m),
        Op::AddToHueAndSaturation => Transform::AddToHueAndSaturation { shift: within(64.0 * m), shared: false },
        Op::CoarseSaltPepper => Transform::CoarseSaltPepper(to(0.3 * m), Grid::Cells(Distribution::Whole(8, 16))),
        Op::HorizontalFlip => Transform::HorizontalFlip(m),
        Op::VerticalFlip => Transform::VerticalFlip(m),
        Op::ShearX => Transform::ShearX(within(0.5 * m)),
        Op::ShearY => Transform::ShearY(within(0.5 * m)),
        Op::TranslateXNearest => Transform::TranslateXNearest(within(0.3 * m), Unit::Side),
        Op::TranslateYNearest => Transform::TranslateYNearest(within(0.3 * m), Unit::Side),
        Op::RotateNearest => Transform::RotateNearest(within(45.0 * m)),
        Op::AutoContrast => Transform::AutoContrast(m),
        Op::Equalize => Transform::Equalize(m),
        Op::Solarize => Transform::Solarize(Distribution::Between(256.0, 256.0 * (1.0 - m))),
        Op::Posterize => Transform::Posterize(Distribution::Between(8.0, 8.0 - 6.0 * m)),
        Op::Contrast => Transform::Contrast(around_1(0.9 * m)),
        Op::Saturation => Transform::Saturation(around_1(0.9 * m)),
        Op::Brightness => Transform::Brightness(around_1(0.8 * m)),
        Op::Sharpness => Transform::Sharpness(around_1(3.0 * m)),
        Op::Cutout => Transform::Cutout(to(0.6 * m)),
        Op::SamplePairing => Transform::SamplePairing(to(0.4 * m)),
        Op::Zoom => Transform::Warp(Warp::Zoom(around_1(0.4 * m)), Fill::Black),
        Op::Swirl => Transform::Warp(Warp::Swirl(within(1.2 * m)), Fill::Black),
        Op::Elastic => Transform::Warp(Warp::Elastic(to(0.1 * m)), Fill::Black),
        Op::Erode => Transform::Erode(to(m)),
        Op::Dilate => Transform::Dilate(to(m)),
    }
}
