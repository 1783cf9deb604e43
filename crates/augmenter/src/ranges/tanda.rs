//! The steps of TANDA (A. Ratner, H. Ehrenberg, Z. Hussain, J. Dunnmon, C. Re, Learning to compose domain-specific
//! transformations for data augmentation, NIPS 2017): each of a fixed size and direction.

use crate::{
    distribution::Distribution::Fixed,
    op::Op,
    ops::Fill,
    transform::{Transform, Warp},
};

/// The largest steps of its scripts for MNIST and CIFAR-10, so that theirs are round magnitudes, with what lies outside filled by the
/// edge as there: a discriminator would see black corners; shifts, vertical mirror
/// images, solarize, noise and cutout are ours, for lists of one's own.
pub(super) fn transform(op: Op, m: f64) -> Option<Transform> {
    let signed = |most: f64| Fixed(most * (2.0 * m - 1.0));
    let factor = |most: f64| Fixed(1.0 + most * (2.0 * m - 1.0));
    Some(match op {
        Op::Rotate => Transform::Warp(Warp::Rotate(signed(10.0)), Fill::Edge),
        // In radians there.
        Op::Shear => Transform::Warp(Warp::Shear(signed(0.4_f64.to_degrees())), Fill::Edge),
        Op::Zoom => Transform::Warp(Warp::Zoom(factor(0.25)), Fill::Edge),
        Op::Swirl => Transform::Warp(Warp::Swirl(signed(0.4)), Fill::Edge),
        Op::TranslateX => Transform::Warp(Warp::TranslateX(signed(0.25)), Fill::Edge),
        Op::TranslateY => Transform::Warp(Warp::TranslateY(signed(0.25)), Fill::Edge),
        Op::AddToHueAndSaturation => Transform::Hue(signed(0.25 * 255.0)),
        Op::Contrast => Transform::Contrast(factor(0.5)),
        Op::Saturation => Transform::Saturation(factor(0.5)),
        Op::Brightness => Transform::Brightness(factor(0.5)),
        Op::HorizontalFlip => Transform::HorizontalFlip(1.0),
        Op::Elastic => Transform::Warp(Warp::Elastic(Fixed(0.09 * m)), Fill::Edge),
        Op::Erode => Transform::Erode(Fixed(1.0)),
        Op::Dilate => Transform::Dilate(Fixed(1.0)),
        Op::Invert => Transform::Invert(1.0),
        Op::VerticalFlip => Transform::VerticalFlip(1.0),
        Op::Solarize => Transform::Solarize(Fixed(256.0 * (1.0 - m))),
        Op::AdditiveGaussianNoise => Transform::AdditiveGaussianNoise(Fixed(128.0 * m)),
        Op::Cutout => Transform::Cutout(Fixed(m)),
        _ => return None,
    })
}
