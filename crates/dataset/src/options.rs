//! How to read a set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::raster::Fit;

/// How images are to be read. The default takes what is there: any format, the images' own size, an error for a bad one.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// The name of the format, one of [`format_names`](crate::format_names); `None` to detect it.
    pub format: Option<String>,
    /// The side that every image is resized to.
    pub image_size: ImageSize,
    /// How images of other shapes become squares.
    pub fit: Fit,
    /// Grey or colour.
    pub channels: Channels,
    /// Red, green and blue of the colour that shows through transparent pixels and fills [`Fit::Pad`].
    pub background: [u8; 3],
    /// The values that mean black and white in arrays, and in image files of 16 bits; `None` finds them: 0 and 1 for floats up to 1 and for
    /// arrays of nothing but 0 and 1, else 0 and the full scale of 8, 10, 12, 14 or 16 bits.
    pub value_range: Option<[f64; 2]>,
    /// Columns of tables and names of arrays.
    pub columns: Columns,
    /// What to do with images that cannot be read.
    pub on_bad_image: OnBadImage,
    /// The folder that keeps decoded images for the next start; `None` disables it. See
    /// [`cache_folder`](crate::cache_folder).
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
            value_range: None,
            columns: Columns::default(),
            on_bad_image: OnBadImage::Error,
            cache: None,
        }
    }
}

/// The side that every image is resized to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageSize {
    /// Images keep their size; a set with different sizes is rejected.
    #[default]
    Own,
    /// Their own size if all share one of at most [`MAX_AUTO`]; otherwise the median of the shorter sides, but at
    /// most that.
    Auto,
    /// This many pixels.
    Side(u32),
}

/// The largest side that [`ImageSize::Auto`] chooses: CIFAR's. The cost of training grows with its square, and a
/// search gains more from more training runs.
pub const MAX_AUTO: usize = 32;

/// How many channels images have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// One if every image is grey, otherwise three.
    #[default]
    Auto,
    /// One; colours are converted to luma by ITU-R BT.601, as in Pillow's `convert("L")`.
    Grey,
    /// Three.
    Rgb,
}

/// Columns of a table, keys of a shard's JSON, or names of arrays; `None` for the usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Columns {
    /// The column with images, or paths to them.
    pub image: Option<String>,
    /// The column with labels.
    pub label: Option<String>,
    /// The column with train, validation or test.
    pub split: Option<String>,
    /// The column that says which images belong together, such as those of one patient.
    pub group: Option<String>,
    /// The column with the subgroup of each image, such as the site that it comes from, on whose differences a model should not
    /// depend; for class folders, `folder` if each holds a folder for every subgroup.
    pub subgroup: Option<String>,
    /// A further table with that column, and one that names images, where what is read says nothing of subgroups.
    pub subgroup_table: Option<PathBuf>,
}

/// What to do with images that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadImage {
    /// The first one is an error.
    #[default]
    Error,
    /// They are skipped and listed.
    Skip,
}
