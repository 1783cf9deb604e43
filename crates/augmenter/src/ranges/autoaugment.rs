//! The tables of the AutoAugment family: AutoAugment's own, RandAugment's and TrivialAugment's wide one.

use crate::{
    draw::Draw,
    op::Op,
    recipe::{Recipe, Unit},
};

/// AutoAugment's, as its code has it: magnitude = level / 10. Posterize reaches 0 bits at level 10, a known fault of it.
pub(super) fn autoaugment(op: Op, m: f64) -> Option<Recipe> {
    let factor = Draw::Fixed(0.1 + 1.8 * m);
    Some(match op {
        // Ten of 32 pixels, and twenty for the side of a cutout.
        Op::TranslateXNearest => Recipe::TranslateXNearest(Draw::signed(10.0 / 32.0 * m), Unit::Side),
        Op::TranslateYNearest => Recipe::TranslateYNearest(Draw::signed(10.0 / 32.0 * m), Unit::Side),
        Op::Cutout => Recipe::Cutout(Draw::Fixed(20.0 / 32.0 * m)),
        Op::Solarize => Recipe::Solarize(Draw::Fixed(256.0 - (256.0 * m).trunc())),
        Op::Posterize => Recipe::Posterize(Draw::Fixed(4.0 - (4.0 * m).trunc())),
        Op::SamplePairing => Recipe::SamplePairing(Draw::Fixed(0.4 * m)),
        _ => return common(op, m, [0.3, 30.0], factor),
    })
}

/// RandAugment's: magnitude = M / 30.
pub(super) fn randaugment(op: Op, m: f64) -> Option<Recipe> {
    let factor = Draw::Either(1.0 - 0.9 * m, 1.0 + 0.9 * m);
    Some(match op {
        Op::TranslateXNearest => Recipe::TranslateXNearest(Draw::signed(0.45 * m), Unit::Side),
        Op::TranslateYNearest => Recipe::TranslateYNearest(Draw::signed(0.45 * m), Unit::Side),
        Op::Cutout => Recipe::Cutout(Draw::Fixed(0.2 * m)),
        Op::Solarize => Recipe::Solarize(Draw::Fixed(256.0 - (256.0 * m).trunc())),
        Op::Posterize => Recipe::Posterize(Draw::Fixed(8.0 - (4.0 * m).round_ties_even())),
        _ => return common(op, m, [0.3, 30.0], factor),
    })
}

/// TrivialAugment's wide ranges: magnitude = bin / 30.
pub(super) fn trivialaugment_wide(op: Op, m: f64) -> Option<Recipe> {
    let factor = Draw::Either(1.0 - 0.99 * m, 1.0 + 0.99 * m);
    Some(match op {
        Op::TranslateXNearest => Recipe::TranslateXNearest(Draw::signed((32.0 * m).trunc()), Unit::Pixels),
        Op::TranslateYNearest => Recipe::TranslateYNearest(Draw::signed((32.0 * m).trunc()), Unit::Pixels),
        Op::Solarize => Recipe::Solarize(Draw::Fixed(255.0 * (1.0 - m))),
        Op::Posterize => Recipe::Posterize(Draw::Fixed(8.0 - (6.0 * m).round_ties_even())),
        _ => return common(op, m, [0.99, 135.0], factor),
    })
}

/// What the three tables have in common: a slope and an angle at magnitude 1, either sign; one factor for the enhancers; and
/// ops without a magnitude, which are always applied.
fn common(op: Op, m: f64, [slope, degrees]: [f64; 2], factor: Draw) -> Option<Recipe> {
    Some(match op {
        Op::ShearX => Recipe::ShearX(Draw::signed(slope * m)),
        Op::ShearY => Recipe::ShearY(Draw::signed(slope * m)),
        Op::RotateNearest => Recipe::RotateNearest(Draw::signed(degrees * m)),
        Op::Contrast => Recipe::Contrast(factor),
        Op::Saturation => Recipe::Saturation(factor),
        Op::Brightness => Recipe::Brightness(factor),
        Op::Sharpness => Recipe::Sharpness(factor),
        Op::AutoContrast => Recipe::AutoContrast(1.0),
        Op::Equalize => Recipe::Equalize(1.0),
        Op::Invert => Recipe::Invert(1.0),
        _ => return None,
    })
}
