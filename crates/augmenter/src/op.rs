//! The ops by name: the registry of the crate.

use std::{fmt, str::FromStr};

use ndarray::ArrayViewMut3;
use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    ops::Image,
    ranges::{self, RangeTable},
};

/// What an op changes in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Where pixels lie.
    Geometric,
    /// The value of each pixel by itself.
    Colour,
    /// Pixels by their neighbourhood, or by noise.
    BlurNoise,
    /// Parts of the image replaced.
    Occlusion,
    /// Weather between the camera and the scene.
    Weather,
}

impl Category {
    /// The name in kebab-case, such as `blur-noise`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Geometric => "geometric",
            Self::Colour => "colour",
            Self::BlurNoise => "blur-noise",
            Self::Occlusion => "occlusion",
            Self::Weather => "weather",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

macro_rules! registry {
    ($count:literal: $($(#[$doc:meta])* $op:ident $name:literal $category:ident,)*) => {
        /// One of the twenty augmentation ops; [`RangeTable`] says what a magnitude means for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Op {
            $($(#[$doc])* $op,)*
        }

        impl Op {
            /// Every op, in the order of the DeepAugment search space.
            pub const ALL: [Op; $count] = [$(Op::$op,)*];

            /// The canonical name, in kebab-case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Op::$op => $name,)*
                }
            }

            /// What the op changes.
            pub fn category(self) -> Category {
                match self {
                    $(Op::$op => Category::$category,)*
                }
            }
        }
    };
}

// A new op: its kernel in `ops`, a line here, and its row in each table of `ranges`.
registry! { 20:
    /// Cut pixels off each side and resize back.
    Crop "crop" Geometric,
    /// Gaussian blur.
    GaussianBlur "gaussian-blur" BlurNoise,
    /// Rotate about the centre, black outside.
    Rotate "rotate" Geometric,
    /// Shear horizontally about the centre, black outside.
    Shear "shear" Geometric,
    /// Shift horizontally, black outside.
    TranslateX "translate-x" Geometric,
    /// Shift vertically, black outside.
    TranslateY "translate-y" Geometric,
    /// Blend with a sharpened image.
    Sharpen "sharpen" BlurNoise,
    /// Blend with an embossed image.
    Emboss "emboss" BlurNoise,
    /// Add Gaussian noise.
    AdditiveGaussianNoise "additive-gaussian-noise" BlurNoise,
    /// Set single pixels to 0.
    Dropout "dropout" Occlusion,
    /// Set the cells of a coarse grid to 0.
    CoarseDropout "coarse-dropout" Occlusion,
    /// Raise pixel values to a power.
    GammaContrast "gamma-contrast" Colour,
    /// Add one value to all pixels.
    Brighten "brighten" Colour,
    /// Invert all pixel values.
    Invert "invert" Colour,
    /// Cover with fog.
    Fog "fog" Weather,
    /// Cover with clouds.
    Clouds "clouds" Weather,
    /// Shift hue and saturation; leaves images of one channel unchanged.
    AddToHueAndSaturation "add-to-hue-and-saturation" Colour,
    /// Replace the cells of a coarse grid by mostly dark or bright pixels.
    CoarseSaltPepper "coarse-salt-pepper" Occlusion,
    /// Mirror left and right.
    HorizontalFlip "horizontal-flip" Geometric,
    /// Mirror top and bottom.
    VerticalFlip "vertical-flip" Geometric,
}

impl Op {
    /// Whether the magnitude changes what the op does under this table: always, except for invert, fog and clouds under
    /// [`RangeTable::DeepAugment112`].
    pub fn uses_magnitude(self, ranges: RangeTable) -> bool {
        ranges == RangeTable::Monotone || !matches!(self, Op::Invert | Op::Fog | Op::Clouds)
    }

    /// Applies the op in place to one image of height x width x channels.
    ///
    /// Any height and width are accepted, and 1 or 3 channels. The parameters are drawn from `rng` within the ranges that
    /// the table gives for `magnitude`, which is clamped to 0..=1 (NaN counts as 0). Equal arguments and generator state
    /// give equal pixels.
    ///
    /// [`Op::AddToHueAndSaturation`] leaves an image unchanged unless it has 3 channels.
    ///
    /// ```
    /// use deepaug_augmenter::{Op, RangeTable};
    /// use rand::SeedableRng;
    ///
    /// let mut image = ndarray::Array3::from_elem((32, 32, 3), 200_u8);
    /// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    /// Op::Invert.apply(RangeTable::Monotone, 1.0, image.view_mut(), &mut rng);
    /// assert!(image.iter().all(|&value| value == 55));
    /// ```
    pub fn apply(self, ranges: RangeTable, magnitude: f64, mut image: ArrayViewMut3<'_, u8>, rng: &mut impl Rng) {
        let magnitude = if magnitude.is_nan() { 0.0 } else { magnitude.clamp(0.0, 1.0) };
        let (height, width, channels) = image.dim();
        if image.is_empty() {
            return;
        }
        if let Some(pixels) = image.as_slice_mut() {
            ranges::apply(self, ranges, magnitude, &mut Image::new(pixels, height, width, channels), rng);
        } else {
            let mut pixels: Vec<u8> = image.iter().copied().collect();
            ranges::apply(self, ranges, magnitude, &mut Image::new(&mut pixels, height, width, channels), rng);
            image.iter_mut().zip(pixels).for_each(|(to, from)| *to = from);
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of reading an op's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown op `{name}`; the nearest is `{nearest}`")]
pub struct UnknownOp {
    /// What was read.
    pub name: String,
    /// The op whose name is nearest to it.
    pub nearest: Op,
}

impl FromStr for Op {
    type Err = UnknownOp;

    /// Reads a name in any case, with hyphens, underscores, spaces or nothing between its words.
    fn from_str(name: &str) -> Result<Self, UnknownOp> {
        let wanted = letters(name);
        let distance = |op: &Op| edit_distance(&wanted, &letters(op.name()));
        let nearest = Op::ALL.into_iter().min_by_key(distance).expect("there are ops");
        if letters(nearest.name()) == wanted { Ok(nearest) } else { Err(UnknownOp { name: name.to_owned(), nearest }) }
    }
}

fn letters(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Levenshtein distance.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_every_spelling() {
        for op in Op::ALL {
            let name = op.name();
            for spelling in [name.to_owned(), name.replace('-', ""), name.replace('-', "_"), name.to_uppercase()] {
                assert_eq!(spelling.parse(), Ok(op));
            }
            assert_eq!(serde_json::to_string(&op).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Op>(&format!("\"{}\"", name.replace('-', ""))).unwrap(), op);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = "gausian-blurr".parse::<Op>().unwrap_err();
        assert_eq!(error.nearest, Op::GaussianBlur);
        assert_eq!(error.to_string(), "unknown op `gausian-blurr`; the nearest is `gaussian-blur`");
        assert_eq!("rotation".parse::<Op>().unwrap_err().nearest, Op::Rotate);
        assert!("".parse::<Op>().is_err());
    }

    #[test]
    fn edit_distance_counts_edits() {
        let distance = |a: &str, b: &str| edit_distance(&letters(a), &letters(b));
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "fog"), 3);
        assert_eq!(distance("fog", "fog"), 0);
    }

    #[test]
    fn only_three_ops_ignore_the_magnitude_and_only_in_the_old_table() {
        let ignoring = |ranges| Op::ALL.into_iter().filter(|op| !op.uses_magnitude(ranges)).collect::<Vec<_>>();
        assert!(ignoring(RangeTable::Monotone).is_empty());
        assert_eq!(ignoring(RangeTable::DeepAugment112), [Op::Invert, Op::Fog, Op::Clouds]);
    }
}
