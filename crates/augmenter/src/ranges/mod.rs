//! What a magnitude means: for each op and table, how the op's parameters are drawn.
//!
//! The [ops' pages](crate::op) describe every range in words. Under the default table, `monotone`, one contract
//! holds for every op: magnitude 0 leaves every image unchanged, bit for bit; the mean distortion does not fall as
//! the magnitude grows; at magnitude 1 most images can still be recognised. Lengths are fractions of the image's
//! side, so that a magnitude means the same at every size.
//!
//! `deepaugment-1.1.2` has the ranges that DeepAugment's release 1.1.2 passes to imgaug in its `augmenter.py`, so
//! that its policies keep their meaning. Lengths are in pixels where the original used pixels; some ranges do not
//! start at the identity, and some magnitudes have no effect. Shear is horizontal only, as in imgaug before 0.4.0.
//! Where the original is undefined, coarse-dropout at magnitude 0 uses the coarsest grid, 3 cells a side, as it
//! does for every magnitude up to 1/3.
//!
//! `autoaugment` (magnitude = level / 10), `randaugment` (M / 30) and `trivialaugment-wide` (bin / 30) have the
//! ranges of the methods with these names, for the ops of that family.
//!
//! `tanda` has steps of a fixed size and direction, from which longer transformations are composed: where an op has a
//! direction, magnitude 1/2 changes nothing, 1 is the largest step one way and 0 the largest the other way. What comes from
//! outside an image is its nearest pixel.

mod autoaugment;
mod deepaugment_112;
mod monotone;
mod tanda;

use std::{fmt, str::FromStr};

use ndarray::{ArrayView4, ArrayViewMut3};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{op::Op, ops::Image, transform::Transform};

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
    /// The ranges of AutoAugment's code.
    #[serde(rename = "autoaugment")]
    AutoAugment,
    /// The ranges of RandAugment.
    #[serde(rename = "randaugment")]
    RandAugment,
    /// The wide ranges of TrivialAugment.
    #[serde(rename = "trivialaugment-wide")]
    TrivialAugmentWide,
    /// Steps of fixed size and direction, as in TANDA.
    #[serde(rename = "tanda")]
    Tanda,
}

impl RangeTable {
    /// Every table.
    pub const ALL: [RangeTable; 6] = [
        Self::Monotone,
        Self::DeepAugment112,
        Self::AutoAugment,
        Self::RandAugment,
        Self::TrivialAugmentWide,
        Self::Tanda,
    ];

    /// Returns the name in configurations and policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monotone => "monotone",
            Self::DeepAugment112 => "deepaugment-1.1.2",
            Self::AutoAugment => "autoaugment",
            Self::RandAugment => "randaugment",
            Self::TrivialAugmentWide => "trivialaugment-wide",
            Self::Tanda => "tanda",
        }
    }

    /// Returns what the op does at a magnitude, or none if the table does not have the op. The magnitude is
    /// clamped to 0..=1 (NaN counts as 0).
    pub fn transform(self, op: Op, magnitude: f64) -> Option<Transform> {
        let m = if magnitude.is_nan() { 0.0 } else { magnitude.clamp(0.0, 1.0) };
        match self {
            Self::Monotone => Some(monotone::transform(op, m)),
            Self::DeepAugment112 => deepaugment_112::transform(op, m),
            Self::AutoAugment => autoaugment::autoaugment(op, m),
            Self::RandAugment => autoaugment::randaugment(op, m),
            Self::TrivialAugmentWide => autoaugment::trivialaugment_wide(op, m),
            Self::Tanda => tanda::transform(op, m),
        }
    }

    /// Whether the table has the op.
    pub fn has(self, op: Op) -> bool {
        self.transform(op, 0.0).is_some()
    }

    /// Returns the smallest magnitude worth trying. Under the monotone ranges, it is the one at which an op
    /// changes some pixel of most images by 4 of 255 or more, which is visible (tested in `tests/contract.rs`).
    /// Under all others it is 0, because magnitude 0 may be as strong as any.
    pub fn least_magnitude(self, op: Op) -> f64 {
        match (self, op) {
            (Self::Monotone, Op::Posterize) => 0.5,
            (Self::Monotone, Op::GaussianBlur | Op::Solarize) => 0.2,
            (Self::Monotone, _) => 0.1,
            _ => 0.0,
        }
    }

    /// Whether the magnitude changes what the op does under this table.
    pub fn uses_magnitude(self, op: Op) -> bool {
        self.transform(op, 0.5) != self.transform(op, 1.0)
    }
}

impl Op {
    /// Applies the op in place to one image of height x width x channels.
    ///
    /// Accepts any height and width, and 1 or 3 channels. The parameters are drawn from `rng` as
    /// [`RangeTable::transform`] says. Equal arguments and generator state give equal pixels.
    ///
    /// The image stays unchanged if the table does not have the op, if a colour op gets an image without 3
    /// channels ([`Op::AddToHueAndSaturation`], [`Op::Saturation`]), and under [`Op::SamplePairing`], which needs
    /// a batch ([`Policy::copies`](crate::Policy::copies)).
    ///
    /// ```
    /// use deepaug_augmenter::{Op, RangeTable};
    /// use rand::SeedableRng;
    ///
    /// let mut image = ndarray::Array3::from_elem((32, 32, 3), 200_u8);
    /// let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
    /// Op::Invert.apply(RangeTable::Monotone, 1.0, image.view_mut(), &mut rng);
    /// assert!(image.iter().all(|&value| value == 55));
    /// ```
    pub fn apply(self, ranges: RangeTable, magnitude: f64, mut image: ArrayViewMut3<'_, u8>, rng: &mut impl Rng) {
        let Some(transform) = ranges.transform(self, magnitude) else { return };
        let (height, width, channels) = image.dim();
        if image.is_empty() {
            return;
        }
        let alone = ArrayView4::from_shape((0, 0, 0, 0), &[]).expect("no values fill no batch");
        if let Some(pixels) = image.as_slice_mut() {
            transform.apply(&mut Image::new(pixels, height, width, channels), alone, rng);
        } else {
            let mut pixels: Vec<u8> = image.iter().copied().collect();
            transform.apply(&mut Image::new(&mut pixels, height, width, channels), alone, rng);
            image.iter_mut().zip(pixels).for_each(|(to, from)| *to = from);
        }
    }
}

impl fmt::Display for RangeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of parsing a table's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown range table `{0}`; there are `monotone`, `deepaugment-1.1.2`, `autoaugment`, `randaugment`, \
     `trivialaugment-wide` and `tanda`"
)]
pub struct UnknownRangeTable(pub String);

impl FromStr for RangeTable {
    type Err = UnknownRangeTable;

    fn from_str(name: &str) -> Result<Self, UnknownRangeTable> {
        Self::ALL.into_iter().find(|table| table.name() == name).ok_or_else(|| UnknownRangeTable(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    /// Returns the smallest and largest values that the op leaves in the upper left corner over many draws.
    fn corner(op: Op, ranges: RangeTable, magnitude: f64, image: &Array3<u8>) -> (u8, u8) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
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
        // In an image whose columns count from 0, the left column's value shows how many were cut off.
        let ramp = Array3::from_shape_fn((8, 200, 1), |(_, x, _)| x as u8);
        assert_eq!(corner(Op::Crop, monotone, 0.5, &ramp), (0, 20));
        assert_eq!(corner(Op::Crop, old, 0.5, &ramp), (0, 16));
        assert_eq!(corner(Op::Crop, old, 0.49, &ramp), (0, 15));
        // A shift to the left, likewise.
        assert!((28..=30).contains(&corner(Op::TranslateX, monotone, 0.5, &ramp).1));
        assert!((97..=100).contains(&corner(Op::TranslateX, old, 0.5, &ramp).1));
        assert_eq!(corner(Op::TranslateXNearest, RangeTable::AutoAugment, 0.5, &ramp), (0, 31));
        assert_eq!(corner(Op::TranslateXNearest, RangeTable::RandAugment, 0.5, &ramp), (0, 45));
        assert_eq!(corner(Op::TranslateXNearest, RangeTable::TrivialAugmentWide, 0.5, &ramp), (0, 16));
        let flat = Array3::from_elem((2, 2, 1), 128);
        assert_eq!(corner(Op::Brighten, monotone, 0.5, &flat), (80, 176));
        assert_eq!(corner(Op::Brighten, old, 0.52, &flat), (108, 148));
        let flat = Array3::from_elem((2, 2, 1), 100);
        assert_eq!(corner(Op::Brightness, RangeTable::AutoAugment, 0.9, &flat), (172, 172));
        assert_eq!(corner(Op::Brightness, RangeTable::RandAugment, 1.0, &flat), (10, 190));
        assert_eq!(corner(Op::Solarize, RangeTable::AutoAugment, 0.5, &flat), (100, 100));
        assert_eq!(corner(Op::Solarize, RangeTable::AutoAugment, 0.7, &flat), (155, 155));
        assert_eq!(corner(Op::Posterize, RangeTable::AutoAugment, 0.9, &flat), (0, 0));
        assert_eq!(corner(Op::Posterize, RangeTable::RandAugment, 1.0, &flat), (96, 96));
        assert_eq!(corner(Op::Brightness, RangeTable::Tanda, 0.25, &flat), (75, 75));
        assert_eq!(corner(Op::TranslateX, RangeTable::Tanda, 0.0, &ramp), (50, 50));
    }

    #[test]
    fn every_op_has_a_page_with_the_tables_that_have_it() {
        let pages = include_str!("../../OPS.md");
        for op in Op::ALL {
            let (_, page) = pages.split_once(&format!("\n## {op}\n")).unwrap_or_else(|| panic!("{op} has no page"));
            let page = page.split("\n## ").next().unwrap_or_default();
            assert!(page.contains(&format!("[`Op::{op:?}`]")) && page.contains("\nFollows "), "{op}");
            for table in RangeTable::ALL {
                let has = |line: &&str| line.split('|').nth(1).is_some_and(|cell| cell.contains(table.name()));
                let row = page.lines().find(has);
                assert_eq!(row.is_some(), table.has(op), "{op} {table}");
            }
        }
    }

    #[test]
    fn tables_have_the_ops_of_their_family() {
        for op in Op::ALL {
            assert!(RangeTable::Monotone.has(op));
            assert_eq!(RangeTable::DeepAugment112.has(op), Op::DEEPAUGMENT.contains(&op), "{op}");
            assert_eq!(RangeTable::AutoAugment.has(op), Op::AUTOAUGMENT.contains(&op), "{op}");
        }
        assert!(!RangeTable::RandAugment.has(Op::SamplePairing) && !RangeTable::TrivialAugmentWide.has(Op::Cutout));
    }

    #[test]
    fn steps_with_a_direction_do_nothing_in_the_middle() {
        let image = Array3::from_shape_fn((8, 8, 3), |(y, x, c)| (y * 20 + x * 9 + c * 30) as u8);
        let directed = [
            Op::Rotate,
            Op::Shear,
            Op::Zoom,
            Op::Swirl,
            Op::TranslateX,
            Op::TranslateY,
            Op::AddToHueAndSaturation,
            Op::Contrast,
            Op::Saturation,
            Op::Brightness,
        ];
        for op in Op::ALL.into_iter().filter(|op| RangeTable::Tanda.has(*op)) {
            let mut changed = image.clone();
            op.apply(RangeTable::Tanda, 0.5, changed.view_mut(), &mut Xoshiro256PlusPlus::seed_from_u64(1));
            assert_eq!(changed == image, directed.contains(&op), "{op}");
        }
    }

    #[test]
    fn ops_without_a_magnitude_are_known() {
        let ignoring = |ranges: RangeTable| {
            Op::ALL.into_iter().filter(|&op| ranges.has(op) && !ranges.uses_magnitude(op)).collect::<Vec<_>>()
        };
        assert!(ignoring(RangeTable::Monotone).is_empty());
        assert_eq!(ignoring(RangeTable::DeepAugment112), [Op::Invert, Op::Fog, Op::Clouds]);
        assert_eq!(ignoring(RangeTable::AutoAugment), [Op::Invert, Op::AutoContrast, Op::Equalize]);
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
