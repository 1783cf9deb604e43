//! Labelled image sets: reads them from common formats, checks them, and splits them without leaks.
//!
//! ```
//! use deepaug_dataset::{Dataset, ReadOptions, Split, SplitSizes};
//!
//! # fn main() -> Result<(), deepaug_dataset::DataError> {
//! let dataset = Dataset::sample(); // or Dataset::read("my-images".as_ref(), &ReadOptions::default())?
//! let split = Split::draw(&dataset, SplitSizes::counts(500, 300), 7)?;
//! let images = dataset.gather(&split.train); // u8, [500, 28, 28, 1]
//! assert_eq!(images.dim(), (500, 28, 28, 1));
//! # Ok(())
//! # }
//! ```
//!
//! Modules: [`Dataset`] holds the images; `formats` finds them, one file per format; `raster` decodes them as
//! [`ReadOptions`] specify; `cache` keeps the decoded images; [`files`] reads and writes single images; [`Split`]
//! divides a set; [`Duplicates`] and [`Summary`] describe its contents; [`DataError`] says what is wrong with it.
//! Nothing here depends on training.

mod cache;
mod dataset;
mod duplicates;
mod error;
pub mod files;
mod formats;
mod guard;
mod notes;
mod options;
mod origins;
mod raster;
mod read;
mod resolve;
mod split;
mod subgroups;
mod summary;
mod tree;

pub use cache::{cache_folder, read_decoded, write_decoded};
pub use dataset::{Dataset, Part, Sample, Subgroups};
pub use duplicates::Duplicates;
pub use error::DataError;
pub use formats::format_names;
pub use options::{Channels, Columns, ImageSize, MAX_AUTO, OnBadImage, ReadOptions};
pub use origins::{Origins, Skipped};
pub use raster::{Fit, MAX_PIXELS};
pub use read::LabelledImage;
pub use split::{Amount, Split, SplitSizes, TEST_SHARE};
pub use summary::{ClassCounts, Summary};
