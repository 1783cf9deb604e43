//! How a set is to be read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::raster::Fit;

/// How images are to be read. The default takes what is there: any format, the images' own size, an error for a bad one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The name of the format, one of [`format_names`](crate::format_names); `None` finds out.
    pub format: Option<String>,
    /// The side that every image is brought to.
    pub image_size: ImageSize,
    /// How images of other shapes become squares.
    pub fit: Fit,
    /// Grey or colour.
    pub channels: Channels,
    /// Red, green and blue of what shows through transparent pixels and fills [`Fit::Pad`].
    pub background: [u8; 3],
    /// Columns of tables and names of arrays.
    pub columns: Columns,
    /// What becomes of images that cannot be read.
    pub on_bad_image: OnBadImage,
    /// The folder that keeps decoded images for the next start; `None` keeps none. See [`cache_folder`](crate::cache_folder).
    pub cache: Option<PathBuf>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            image_size: ImageSize::Own,
            fit: Fit::Crop,
            channels: Channels::Auto,
            background: [255; 3],
            columns: Columns::default(),
            on_bad_image: OnBadImage::Error,
            cache: None,
        }
    }
}

/// The side that every image is brought to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageSize {
    /// Images keep their size; a set whose images differ is refused.
    #[default]
    Own,
    /// Their own size where all agree on one of at most [`MAX_AUTO`]; else the median of the shorter sides, but at
    /// most that.
    Auto,
    /// This many pixels.
    Side(u32),
}

/// The largest side that [`ImageSize::Auto`] chooses: CIFAR's. The cost of a training grows with the square of it, and a search
/// gains more from more trainings.
pub const MAX_AUTO: usize = 32;

/// How many channels images have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// One where every image is grey, else three.
    #[default]
    Auto,
    /// One; colours become their luma by ITU-R BT.601, as in Pillow's `convert("L")`.
    Grey,
    /// Three.
    Rgb,
}

/// Columns of a table, keys of a shard's JSON, or names of arrays; `None` for the usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Columns {
    /// Where images, or paths to them, stand.
    pub image: Option<String>,
    /// Where labels stand.
    pub label: Option<String>,
    /// Where train, validation or test stands.
    pub split: Option<String>,
    /// Where it stands which images belong together, such as those of one patient.
    pub group: Option<String>,
}

/// What becomes of images that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadImage {
    /// The first of them is an error.
    #[default]
    Error,
    /// They are left out, and listed.
    Skip,
}
