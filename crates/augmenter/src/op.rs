#![doc = include_str!("../OPS.md")]

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an op changes in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// The positions of pixels.
    Geometric,
    /// The value of each pixel on its own.
    Colour,
    /// Pixels through their neighbourhood, or noise.
    BlurNoise,
    /// Parts of the image, which are replaced.
    Occlusion,
    /// Weather between the camera and the scene.
    Weather,
}

impl Category {
    /// Every category.
    pub const ALL: [Category; 5] = [Self::Geometric, Self::Colour, Self::BlurNoise, Self::Occlusion, Self::Weather];

    /// Returns the name in kebab-case, such as `blur-noise`.
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
    ($count:literal; $($(#[$doc:meta])* $op:ident $name:literal $category:ident,)*) => {
        /// An augmentation op; the [module](self) has a page for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Op {
            $($(#[$doc])* $op,)*
        }

        impl Op {
            /// Every op: DeepAugment's twenty in the order of its search space, then those of the AutoAugment
            /// family, then TANDA's.
            pub const ALL: [Op; $count] = [$(Op::$op,)*];

            /// Returns the canonical name, in kebab-case.
            pub fn name(self) -> &'static str {
                match self {
                    $(Op::$op => $name,)*
                }
            }

            /// Returns what the op changes.
            pub fn category(self) -> Category {
                match self {
                    $(Op::$op => Category::$category,)*
                }
            }
        }
    };
}

// A new op needs its kernel in `ops`, a recipe for it, a line here, its page in OPS.md, and its row in the tables
// of `ranges`.
registry! { 40;
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
    /// Shear horizontally about the upper edge; nearest pixel, black outside.
    ShearX "shear-x" Geometric,
    /// Shear vertically about the left edge; nearest pixel, black outside.
    ShearY "shear-y" Geometric,
    /// Shift horizontally by whole pixels, black outside.
    TranslateXNearest "translate-x-nearest" Geometric,
    /// Shift vertically by whole pixels, black outside.
    TranslateYNearest "translate-y-nearest" Geometric,
    /// Rotate about the centre; nearest pixel, black outside.
    RotateNearest "rotate-nearest" Geometric,
    /// Stretch each channel to the full range.
    AutoContrast "auto-contrast" Colour,
    /// Make the values of each channel about equally frequent.
    Equalize "equalize" Colour,
    /// Invert the values above a threshold.
    Solarize "solarize" Colour,
    /// Keep the upper bits of every value.
    Posterize "posterize" Colour,
    /// Blend with the mean grey, or away from it.
    Contrast "contrast" Colour,
    /// Blend with the grey image, or away from it (AutoAugment's Color); leaves images of one channel unchanged.
    Saturation "saturation" Colour,
    /// Blend with black, or away from it.
    Brightness "brightness" Colour,
    /// Blend with the smoothed image, or away from it.
    Sharpness "sharpness" BlurNoise,
    /// Cover a square with grey.
    Cutout "cutout" Occlusion,
    /// Blend with another image of the batch; the label stays.
    SamplePairing "sample-pairing" Occlusion,
    /// Zoom in or out about the centre, black outside.
    Zoom "zoom" Geometric,
    /// Twist about the centre, less and less outwards; black outside.
    Swirl "swirl" Geometric,
    /// Bend by a smooth random field, black outside.
    Elastic "elastic" Geometric,
    /// Blend with the darkest pixels around: bright shapes get thinner.
    Erode "erode" BlurNoise,
    /// Blend with the brightest pixels around: bright shapes get thicker.
    Dilate "dilate" BlurNoise,
}

impl Op {
    /// Whether the order of the two makes no difference, pixel for pixel. Mirror images commute with each other
    /// and with ops that look only at values; shifts by whole pixels along the two axes commute.
    pub fn commutes_with(self, other: Op) -> bool {
        let is_flip = |op| matches!(op, Op::HorizontalFlip | Op::VerticalFlip);
        let goes_with_flip = |op: Op| is_flip(op) || op.category() == Category::Colour;
        match (self, other) {
            _ if self == other => false,
            (Op::TranslateXNearest, Op::TranslateYNearest) | (Op::TranslateYNearest, Op::TranslateXNearest) => true,
            _ => is_flip(self) && goes_with_flip(other) || is_flip(other) && goes_with_flip(self),
        }
    }

    /// Whether it leaves every single-channel image unchanged, whatever its magnitude.
    pub fn needs_colour(self) -> bool {
        matches!(self, Op::AddToHueAndSaturation | Op::Saturation)
    }

    /// DeepAugment's twenty ops.
    pub const DEEPAUGMENT: [Op; 20] = *Self::ALL.first_chunk().expect("the first ops of the registry");

    /// The sixteen ops of the AutoAugment family; `invert` is also one of DeepAugment's.
    pub const AUTOAUGMENT: [Op; 16] = {
        let mut family = [Op::Invert; 16];
        let mut i = 0;
        while i < 15 {
            family[i] = Self::ALL[Self::DEEPAUGMENT.len() + i];
            i += 1;
        }
        family
    };
}

/// A set of ops, such as those that were applied to an image.
///
/// ```
/// use deepaug_augmenter::{Op, Ops};
///
/// let mut ops = Ops::default();
/// ops.insert(Op::Rotate);
/// ops.insert(Op::Crop);
/// assert!(ops.contains(Op::Crop) && !ops.contains(Op::Shear));
/// assert_eq!(ops.iter().collect::<Vec<_>>(), [Op::Crop, Op::Rotate]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ops(u64);

impl Ops {
    /// Adds an op.
    pub fn insert(&mut self, op: Op) {
        self.0 |= 1 << op as u64;
    }

    /// Whether it has an op.
    pub fn contains(self, op: Op) -> bool {
        self.0 >> op as u64 & 1 == 1
    }

    /// Returns its ops, in the order of [`Op::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Op> {
        Op::ALL.into_iter().filter(move |&op| self.contains(op))
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of parsing an op's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown op `{name}`; the nearest is `{nearest}`")]
pub struct UnknownOp {
    /// The name as given.
    pub name: String,
    /// The op with the most similar name.
    pub nearest: Op,
}

impl FromStr for Op {
    type Err = UnknownOp;

    /// Parses a name in any case, with hyphens, underscores, spaces or nothing between its words.
    fn from_str(name: &str) -> Result<Self, UnknownOp> {
        // The form used in policies on disk.
        if let Some(op) = Self::ALL.into_iter().find(|op| op.name() == name) {
            return Ok(op);
        }
        let wanted = letters(name);
        let distance = |op: &Op| edit_distance(&wanted, &letters(op.name()));
        let nearest = Op::ALL.into_iter().min_by_key(distance).expect("there are ops");
        if letters(nearest.name()) == wanted { Ok(nearest) } else { Err(UnknownOp { name: name.to_owned(), nearest }) }
    }
}

pub(crate) fn letters(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Returns the Levenshtein distance.
pub(crate) fn edit_distance(a: &[char], b: &[char]) -> usize {
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
}
