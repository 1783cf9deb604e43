//! The default table.

use crate::{
    draw::Draw,
    op::Op,
    recipe::{Grid, Recipe, Unit},
};

pub(super) fn recipe(op: Op, m: f64) -> Recipe {
    let (to, within) = (Draw::to, Draw::within);
    // Factors of the enhancers: 1 is the image itself.
    let around_1 = |most: f64| Draw::Between(1.0 - most, 1.0 + most);
    match op {
        Op::Crop => Recipe::Crop(to(0.2 * m), Unit::Side),
        Op::GaussianBlur => Recipe::GaussianBlur(to(0.06 * m), Unit::Side),
        Op::Rotate => Recipe::Rotate(within(45.0 * m)),
        Op::Shear => Recipe::Shear(within(35.0 * m)),
        Op::TranslateX => Recipe::TranslateX(within(0.3 * m)),
        Op::TranslateY => Recipe::TranslateY(within(0.3 * m)),
        Op::Sharpen => Recipe::Sharpen { alpha: to(0.6 * m), lightness: Draw::Fixed(1.0) },
        Op::Emboss => Recipe::Emboss { alpha: to(0.7 * m), strength: Draw::Fixed(1.0) },
        Op::AdditiveGaussianNoise => Recipe::AdditiveGaussianNoise(to(64.0 * m)),
        Op::Dropout => Recipe::Dropout(to(0.3 * m)),
        Op::CoarseDropout => Recipe::CoarseDropout(to(0.3 * m), Grid::Cells(Draw::Whole(4, 8))),
        Op::GammaContrast => Recipe::GammaContrast(Draw::Power { base: 3.0, most: m }),
        Op::Brighten => Recipe::Brighten(within(96.0 * m)),
        Op::Invert => Recipe::Invert(m),
        Op::Fog => Recipe::Fog(0.8 * m),
        Op::Clouds => Recipe::Clouds(m),
        Op::AddToHueAndSaturation => Recipe::AddToHueAndSaturation { shift: within(64.0 * m), shared: false },
        Op::CoarseSaltPepper => Recipe::CoarseSaltPepper(to(0.3 * m), Grid::Cells(Draw::Whole(8, 16))),
        Op::HorizontalFlip => Recipe::HorizontalFlip(m),
        Op::VerticalFlip => Recipe::VerticalFlip(m),
        Op::ShearX => Recipe::ShearX(within(0.5 * m)),
        Op::ShearY => Recipe::ShearY(within(0.5 * m)),
        Op::TranslateXNearest => Recipe::TranslateXNearest(within(0.3 * m), Unit::Side),
        Op::TranslateYNearest => Recipe::TranslateYNearest(within(0.3 * m), Unit::Side),
        Op::RotateNearest => Recipe::RotateNearest(within(45.0 * m)),
        Op::AutoContrast => Recipe::AutoContrast(m),
        Op::Equalize => Recipe::Equalize(m),
        Op::Solarize => Recipe::Solarize(Draw::Between(256.0, 256.0 * (1.0 - m))),
        Op::Posterize => Recipe::Posterize(Draw::Between(8.0, 8.0 - 6.0 * m)),
        Op::Contrast => Recipe::Contrast(around_1(0.9 * m)),
        Op::Saturation => Recipe::Saturation(around_1(0.9 * m)),
        Op::Brightness => Recipe::Brightness(around_1(0.8 * m)),
        Op::Sharpness => Recipe::Sharpness(around_1(3.0 * m)),
        Op::Cutout => Recipe::Cutout(to(0.6 * m)),
        Op::SamplePairing => Recipe::SamplePairing(to(0.4 * m)),
    }
}
