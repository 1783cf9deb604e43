//! The tables of the AutoAugment family: AutoAugment's own, RandAugment's and TrivialAugment's wide one.

use crate::{
    distribution::Distribution,
    op::Op,
    transform::{Transform, Unit},
};

/// AutoAugment's, as in its code: magnitude = level / 10. Posterize reaches 0 bits at level 10, a known flaw.
pub(super) fn autoaugment(op: Op, m: f64) -> Option<Transform> {
    let factor = Distribution::Fixed(0.1 + 1.8 * m);
    Some(match op {
        // Ten of 32 pixels, and twenty for the side of a cutout.
        Op::TranslateXNearest => Transform::TranslateXNearest(Distribution::signed(10.0 / 32.0 * m), Unit::Side),
        Op::TranslateYNearest => Transform::TranslateYNearest(Distribution::signed(10.0 / 32.0 * m), Unit::Side),
        Op::Cutout => Transform::Cutout(Distribution::Fixed(20.0 / 32.0 * m)),
        Op::Solarize => Transform::Solarize(Distribution::Fixed(256.0 - (256.0 * m).trunc())),
        Op::Posterize => Transform::Posterize(Distribution::Fixed(4.0 - (4.0 * m).trunc())),
        Op::SamplePairing => Transform::SamplePairing(Distribution::Fixed(0.4 * m)),
        _ => return common(op, m, [0.3, 30.0], factor),
    })
}

/// RandAugment's: magnitude = M / 30.
pub(super) fn randaugment(op: Op, m: f64) -> Option<Transform> {
    let factor = Distribution::Either(1.0 - 0.9 * m, 1.0 + 0.9 * m);
    Some(match op {
        Op::TranslateXNearest => Transform::TranslateXNearest(Distribution::signed(0.45 * m), Unit::Side),
        Op::TranslateYNearest => Transform::TranslateYNearest(Distribution::signed(0.45 * m), Unit::Side),
        Op::Cutout => Transform::Cutout(Distribution::Fixed(0.2 * m)),
        Op::Solarize => Transform::Solarize(Distribution::Fixed(256.0 - (256.0 * m).trunc())),
        Op::Posterize => Transform::Posterize(Distribution::Fixed(8.0 - (4.0 * m).round_ties_even())),
        _ => return common(op, m, [0.3, 30.0], factor),
    })
}

/// TrivialAugment's wide ranges: magnitude = bin / 30.
pub(super) fn trivialaugment_wide(op: Op, m: f64) -> Option<Transform> {
    let factor = Distribution::Either(1.0 - 0.99 * m, 1.0 + 0.99 * m);
    Some(match op {
        Op::TranslateXNearest => Transform::TranslateXNearest(Distribution::signed((32.0 * m).trunc()), Unit::Pixels),
        Op::TranslateYNearest => Transform::TranslateYNearest(Distribution::signed((32.0 * m).trunc()), Unit::Pixels),
        Op::Solarize => Transform::Solarize(Distribution::Fixed(255.0 * (1.0 - m))),
        Op::Posterize => Transform::Posterize(Distribution::Fixed(8.0 - (6.0 * m).round_ties_even())),
        _ => return common(op, m, [0.99, 135.0], factor),
    })
}

/// What the three tables have in common: a slope and an angle at magnitude 1, with either sign; one factor for the
/// enhancers; and ops without a magnitude, which are always applied.
fn common(op: Op, m: f64, [slope, degrees]: [f64; 2], factor: Distribution) -> Option<Transform> {
    Some(match op {
        Op::ShearX => Transform::ShearX(Distribution::signed(slope * m)),
        Op::ShearY => Transform::ShearY(Distribution::signed(slope * m)),
        Op::RotateNearest => Transform::RotateNearest(Distribution::signed(degrees * m)),
        Op::Contrast => Transform::Contrast(factor),
        Op::Saturation => Transform::Saturation(factor),
        Op::Brightness => Transform::Brightness(factor),
        Op::Sharpness => Transform::Sharpness(factor),
        Op::AutoContrast => Transform::AutoContrast(1.0),
        Op::Equalize => Transform::Equalize(1.0),
        Op::Invert => Transform::Invert(1.0),
        _ => return None,
    })
}
