//! DeepAugment's release 1.1.2.

use crate::{
    distribution::Distribution,
    op::Op,
    ops::Fill,
    transform::{Grid, Transform, Unit, Warp},
};

pub(super) fn transform(op: Op, m: f64) -> Option<Transform> {
    let (to, within) = (Distribution::to, Distribution::within);
    Some(match op {
        Op::Crop => Transform::Crop(Distribution::Whole(0, (32.0 * m) as i32), Unit::Pixels),
        Op::GaussianBlur => Transform::GaussianBlur(to(25.0 * m), Unit::Pixels),
        Op::Rotate => Transform::Warp(Warp::Rotate(within(180.0 * m)), Fill::Black),
        Op::Shear => Transform::Warp(Warp::Shear(within(90.0 * m)), Fill::Black),
        Op::TranslateX => Transform::Warp(Warp::TranslateX(within(m)), Fill::Black),
        Op::TranslateY => Transform::Warp(Warp::TranslateY(within(m)), Fill::Black),
        Op::Sharpen => Transform::Sharpen { alpha: to(1.0), lightness: Distribution::Between(0.5, 5.0 * m) },
        Op::Emboss => Transform::Emboss { alpha: to(1.0), strength: to(20.0 * m) },
        Op::AdditiveGaussianNoise => Transform::AdditiveGaussianNoise(to(255.0 * m)),
        Op::Dropout => Transform::Dropout(Distribution::Between(0.01, m.max(0.011))),
        // A uniform range cannot reach the logarithm of 0; any negative fraction gives the coarsest grid.
        Op::CoarseDropout => {
            let finest = (3.0 * m).log10().max(-1.0);
            Transform::CoarseDropout(
                Distribution::Between(0.03, 0.15),
                Grid::OfSide(Distribution::Between(0.3, finest)),
            )
        }
        Op::GammaContrast => Transform::GammaContrast(Distribution::Fixed(1.75 * m)),
        Op::Brighten => Transform::Brighten(within((40.0 * m).trunc())),
        Op::Invert => Transform::Invert(1.0),
        Op::Fog => Transform::Fog(1.0),
        Op::Clouds => Transform::Clouds(1.0),
        Op::AddToHueAndSaturation => {
            let most = (45.0 * m) as i32;
            Transform::AddToHueAndSaturation { shift: Distribution::Whole(-most, most), shared: true }
        }
        Op::CoarseSaltPepper => {
            Transform::CoarseSaltPepper(Distribution::Fixed(0.2), Grid::OfSide(Distribution::Fixed(m)))
        }
        Op::HorizontalFlip => Transform::HorizontalFlip(m),
        Op::VerticalFlip => Transform::VerticalFlip(m),
        _ => return None,
    })
}
