//! DeepAugment's release 1.1.2.

use crate::{
    draw::Draw,
    op::Op,
    recipe::{Grid, Recipe, Unit},
};

pub(super) fn recipe(op: Op, m: f64) -> Option<Recipe> {
    let (to, within) = (Draw::to, Draw::within);
    Some(match op {
        Op::Crop => Recipe::Crop(Draw::Whole(0, (32.0 * m) as i32), Unit::Pixels),
        Op::GaussianBlur => Recipe::GaussianBlur(to(25.0 * m), Unit::Pixels),
        Op::Rotate => Recipe::Rotate(within(180.0 * m)),
        Op::Shear => Recipe::Shear(within(90.0 * m)),
        Op::TranslateX => Recipe::TranslateX(within(m)),
        Op::TranslateY => Recipe::TranslateY(within(m)),
        Op::Sharpen => Recipe::Sharpen { alpha: to(1.0), lightness: Draw::Between(0.5, 5.0 * m) },
        Op::Emboss => Recipe::Emboss { alpha: to(1.0), strength: to(20.0 * m) },
        Op::AdditiveGaussianNoise => Recipe::AdditiveGaussianNoise(to(255.0 * m)),
        Op::Dropout => Recipe::Dropout(Draw::Between(0.01, m.max(0.011))),
        // The logarithm of 0 is out of reach of a uniform range; any negative fraction gives the coarsest grid.
        Op::CoarseDropout => {
            let finest = (3.0 * m).log10().max(-1.0);
            Recipe::CoarseDropout(Draw::Between(0.03, 0.15), Grid::OfSide(Draw::Between(0.3, finest)))
        }
        Op::GammaContrast => Recipe::GammaContrast(Draw::Fixed(1.75 * m)),
        Op::Brighten => Recipe::Brighten(within((40.0 * m).trunc())),
        Op::Invert => Recipe::Invert(1.0),
        Op::Fog => Recipe::Fog(1.0),
        Op::Clouds => Recipe::Clouds(1.0),
        Op::AddToHueAndSaturation => {
            let most = (45.0 * m) as i32;
            Recipe::AddToHueAndSaturation { shift: Draw::Whole(-most, most), shared: true }
        }
        Op::CoarseSaltPepper => Recipe::CoarseSaltPepper(Draw::Fixed(0.2), Grid::OfSide(Draw::Fixed(m))),
        Op::HorizontalFlip => Recipe::HorizontalFlip(m),
        Op::VerticalFlip => Recipe::VerticalFlip(m),
        _ => return None,
    })
}
