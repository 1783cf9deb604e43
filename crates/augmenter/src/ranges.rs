//! What a magnitude means: for each op and table, the range from which the op's parameters are drawn.
//!
//! # The `monotone` table
//!
//! One contract for every op: magnitude 0 leaves every image as it is, bit for bit; the mean distortion does not fall as the
//! magnitude m grows; at magnitude 1 most images can still be recognised. Lengths are fractions of the image's side, so that
//! a magnitude means the same at every size. All parameters are drawn afresh for each image. "±a" is uniform in -a..a, "to a"
//! uniform in 0..a.
//!
//! | op | parameter | range at m |
//! | --- | --- | --- |
//! | crop | cut off each side, of that side's length, in whole pixels | to 0.2 m |
//! | gaussian-blur | standard deviation, of the shorter side | to 0.06 m |
//! | rotate | angle | ±45 m degrees |
//! | shear | angle | ±35 m degrees |
//! | translate-x, translate-y | shift, of the side | ±0.3 m |
//! | sharpen | blend with the sharpened image | to 0.6 m |
//! | emboss | blend with the embossed image of strength 1 | to 0.7 m |
//! | additive-gaussian-noise | standard deviation, of 255; per channel half the time | to 64 m |
//! | dropout | probability of a pixel; per channel half the time | to 0.3 m |
//! | coarse-dropout | probability of a cell, 4 to 8 cells a side; per channel a fifth of the time | to 0.3 m |
//! | gamma-contrast | gamma | 3^u, u in ±m |
//! | brighten | added value, of 255; per channel half the time | ±96 m |
//! | invert | probability | m |
//! | fog | opacity, relative to imgaug's fog | 0.8 m |
//! | clouds | opacity, relative to imgaug's clouds | m |
//! | add-to-hue-and-saturation | added to hue and to saturation, each by itself, of 255 | ±64 m |
//! | coarse-salt-pepper | probability of a cell, 8 to 16 cells a side | to 0.3 m |
//! | horizontal-flip, vertical-flip | probability | m |
//!
//! # The `deepaugment-1.1.2` table
//!
//! The ranges of DeepAugment's release 1.1.2, as its `augmenter.py` passes them to imgaug, so that its policies keep their
//! meaning. Lengths are pixels where the original had pixels; some ranges do not start at the identity, and some magnitudes
//! have no effect. Shear is horizontal only, as it was in imgaug before 0.4.0. Where the original is undefined: coarse-dropout at magnitude 0 uses the coarsest grid, 3 cells a side, as
//! it does for every magnitude up to 1/3.

use std::{fmt, str::FromStr};

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    op::Op,
    ops::{Image, affine, blur, colour, convolution, crop, flip, noise, occlusion, weather},
};

/// A table that gives magnitudes their meaning. See the [module](self) for the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RangeTable {
    /// Magnitude 0 is the identity and distortion grows with the magnitude, for every op and image size.
    #[default]
    #[serde(rename = "monotone")]
    Monotone,
    /// The ranges of DeepAugment's release 1.1.2.
    #[serde(rename = "deepaugment-1.1.2")]
    DeepAugment112,
}

impl RangeTable {
    /// Both tables.
    pub const ALL: [RangeTable; 2] = [RangeTable::Monotone, RangeTable::DeepAugment112];

    /// The name in configurations and policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monotone => "monotone",
            Self::DeepAugment112 => "deepaugment-1.1.2",
        }
    }
}

impl fmt::Display for RangeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of reading a table's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown range table `{0}`; there are `monotone` and `deepaugment-1.1.2`")]
pub struct UnknownRangeTable(pub String);

impl FromStr for RangeTable {
    type Err = UnknownRangeTable;

    fn from_str(name: &str) -> Result<Self, UnknownRangeTable> {
        Self::ALL.into_iter().find(|table| table.name() == name).ok_or_else(|| UnknownRangeTable(name.to_owned()))
    }
}

/// Draws the op's parameters at a magnitude in 0..=1 and applies it.
pub(crate) fn apply(op: Op, ranges: RangeTable, magnitude: f64, image: &mut Image<'_>, rng: &mut impl Rng) {
    match ranges {
        RangeTable::Monotone => monotone(op, magnitude, image, rng),
        RangeTable::DeepAugment112 => deepaugment_112(op, magnitude, image, rng),
    }
}

fn monotone(op: Op, m: f64, image: &mut Image<'_>, rng: &mut impl Rng) {
    let (height, width) = (image.height as f64, image.width as f64);
    match op {
        Op::Crop => {
            let sides = [height, width, height, width];
            crop::crop(image, sides.map(|side| to(0.2 * m * side, rng).round() as usize));
        }
        Op::GaussianBlur => blur::gaussian(image, to(0.06 * m * height.min(width), rng)),
        Op::Rotate => affine::rotate(image, within(45.0 * m, rng)),
        Op::Shear => affine::shear(image, within(35.0 * m, rng)),
        Op::TranslateX => affine::translate(image, within(0.3 * m * width, rng), 0.0),
        Op::TranslateY => affine::translate(image, 0.0, within(0.3 * m * height, rng)),
        Op::Sharpen => convolution::sharpen(image, to(0.6 * m, rng), 1.0),
        Op::Emboss => convolution::emboss(image, to(0.7 * m, rng), 1.0),
        Op::AdditiveGaussianNoise => noise::gaussian(image, to(64.0 * m, rng), rng.random_bool(0.5), rng),
        Op::Dropout => occlusion::dropout(image, to(0.3 * m, rng), rng.random_bool(0.5), rng),
        Op::CoarseDropout => {
            let grid = (rng.random_range(4..=8), rng.random_range(4..=8));
            occlusion::coarse_dropout(image, to(0.3 * m, rng), grid, rng.random_bool(0.2), rng);
        }
        Op::GammaContrast => colour::gamma(image, 3.0_f64.powf(within(m, rng))),
        Op::Brighten => add(image, 96.0 * m, rng),
        Op::Invert if rng.random_bool(m) => colour::invert(image),
        Op::Fog => weather::fog(image, 0.8 * m, rng),
        Op::Clouds => weather::clouds(image, m, rng),
        Op::AddToHueAndSaturation => {
            let (hue, saturation) = (within(64.0 * m, rng).round(), within(64.0 * m, rng).round());
            // Even without a shift, a way to HSV and back would change pixels.
            if (hue, saturation) != (0.0, 0.0) {
                colour::add_hue_saturation(image, hue as i32, saturation as i32);
            }
        }
        Op::CoarseSaltPepper => {
            let grid = (rng.random_range(8..=16), rng.random_range(8..=16));
            occlusion::coarse_salt_pepper(image, to(0.3 * m, rng), grid, rng);
        }
        Op::HorizontalFlip if rng.random_bool(m) => flip::horizontal(image),
        Op::VerticalFlip if rng.random_bool(m) => flip::vertical(image),
        Op::Invert | Op::HorizontalFlip | Op::VerticalFlip => {}
    }
}

fn deepaugment_112(op: Op, m: f64, image: &mut Image<'_>, rng: &mut impl Rng) {
    match op {
        Op::Crop => {
            let most = (32.0 * m) as usize;
            crop::crop(image, std::array::from_fn(|_| rng.random_range(0..=most)));
        }
        Op::GaussianBlur => blur::gaussian(image, to(25.0 * m, rng)),
        Op::Rotate => affine::rotate(image, within(180.0 * m, rng)),
        Op::Shear => affine::shear(image, within(90.0 * m, rng)),
        Op::TranslateX => affine::translate(image, within(m * image.width as f64, rng), 0.0),
        Op::TranslateY => affine::translate(image, 0.0, within(m * image.height as f64, rng)),
        Op::Sharpen => convolution::sharpen(image, to(1.0, rng), between(0.5, 5.0 * m, rng)),
        Op::Emboss => convolution::emboss(image, to(1.0, rng), to(20.0 * m, rng)),
        Op::AdditiveGaussianNoise => noise::gaussian(image, to(255.0 * m, rng), rng.random_bool(0.5), rng),
        Op::Dropout => occlusion::dropout(image, between(0.01, m.max(0.011), rng), rng.random_bool(0.5), rng),
        Op::CoarseDropout => {
            // The logarithm of 0 is out of reach of a uniform range; any negative fraction gives the coarsest grid.
            let finest = (3.0 * m).log10().max(-1.0);
            let grid = [image.height, image.width].map(|side| cells(between(0.3, finest, rng), side));
            let p = between(0.03, 0.15, rng);
            occlusion::coarse_dropout(image, p, grid.into(), rng.random_bool(0.2), rng);
        }
        Op::GammaContrast => colour::gamma(image, 1.75 * m),
        Op::Brighten => add(image, (40.0 * m).trunc(), rng),
        Op::Invert => colour::invert(image),
        Op::Fog => weather::fog(image, 1.0, rng),
        Op::Clouds => weather::clouds(image, 1.0, rng),
        Op::AddToHueAndSaturation => {
            let most = (45.0 * m) as i32;
            let shift = rng.random_range(-most..=most);
            colour::add_hue_saturation(image, shift, shift);
        }
        Op::CoarseSaltPepper => {
            let grid = (cells(m, image.height), cells(m, image.width));
            occlusion::coarse_salt_pepper(image, 0.2, grid, rng);
        }
        Op::HorizontalFlip if rng.random_bool(m) => flip::horizontal(image),
        Op::VerticalFlip if rng.random_bool(m) => flip::vertical(image),
        Op::HorizontalFlip | Op::VerticalFlip => {}
    }
}

/// Uniform from 0 to `most`.
fn to(most: f64, rng: &mut impl Rng) -> f64 {
    most * rng.random::<f64>()
}

/// Uniform from `-most` to `most`.
fn within(most: f64, rng: &mut impl Rng) -> f64 {
    between(-most, most, rng)
}

/// Uniform between two ends, given in either order.
fn between(a: f64, b: f64, rng: &mut impl Rng) -> f64 {
    a + (b - a) * rng.random::<f64>()
}

/// Adds a value within ±`most` to all channels or, half the time, a value to each.
fn add(image: &mut Image<'_>, most: f64, rng: &mut impl Rng) {
    let values = if rng.random_bool(0.5) { image.channels } else { 1 };
    let added: Vec<i16> = (0..values).map(|_| within(most, rng).round_ties_even() as i16).collect();
    colour::add(image, &added);
}

/// The cells along a side of which a grid has the given fraction; at least 3, imgaug's least.
fn cells(fraction: f64, side: usize) -> usize {
    ((fraction * side as f64) as usize).max(3)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The least and the largest value that the op leaves in the upper left corner over many draws.
    fn corner(op: Op, ranges: RangeTable, magnitude: f64, image: &Array3<u8>) -> (u8, u8) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let corners = (0..2000).map(|_| {
            let mut image = image.clone();
            op.apply(ranges, magnitude, image.view_mut(), &mut rng);
            image[[0, 0, 0]]
        });
        corners.fold((255, 0), |(least, largest), corner| (least.min(corner), largest.max(corner)))
    }

    #[test]
    fn ranges_end_where_the_tables_say() {
        let (monotone, old) = (RangeTable::Monotone, RangeTable::DeepAugment112);
        // In an image whose columns count from 0, the left column's value tells how many were cut off.
        let ramp = Array3::from_shape_fn((8, 200, 1), |(_, x, _)| x as u8);
        assert_eq!(corner(Op::Crop, monotone, 0.5, &ramp), (0, 20));
        assert_eq!(corner(Op::Crop, old, 0.5, &ramp), (0, 16));
        assert_eq!(corner(Op::Crop, old, 0.49, &ramp), (0, 15));
        // A shift to the left, likewise.
        assert!((28..=30).contains(&corner(Op::TranslateX, monotone, 0.5, &ramp).1));
        assert!((97..=100).contains(&corner(Op::TranslateX, old, 0.5, &ramp).1));
        let flat = Array3::from_elem((2, 2, 1), 128);
        assert_eq!(corner(Op::Brighten, monotone, 0.5, &flat), (80, 176));
        assert_eq!(corner(Op::Brighten, old, 0.52, &flat), (108, 148));
    }

    #[test]
    fn grids_have_at_least_3_cells_a_side() {
        assert_eq!([-0.9, 0.0, 0.1, 0.5, 1.0].map(|fraction| cells(fraction, 32)), [3, 3, 3, 16, 32]);
    }

    #[test]
    fn table_names_round_trip() {
        for table in RangeTable::ALL {
            assert_eq!(table.name().parse(), Ok(table));
            assert_eq!(serde_json::to_string(&table).unwrap(), format!("\"{table}\""));
        }
        assert!("monoton".parse::<RangeTable>().is_err());
    }
}
