//! Labelled image sets: read from the formats people have, checked, and split honestly.
//!
//! ```
//! use deepaug_dataset::{Dataset, ReadOptions, Split, SplitSizes};
//!
//! # fn main() -> Result<(), deepaug_dataset::DataError> {
//! let dataset = Dataset::sample(); // or Dataset::read("my-images".as_ref(), &ReadOptions::default())?
//! let split = Split::draw(&dataset, SplitSizes { train: 500, validation: 300 }, 7)?;
//! let images = dataset.gather(&split.train); // u8, [500, 28, 28, 1]
//! assert_eq!(images.dim(), (500, 28, 28, 1));
//! # Ok(())
//! # }
//! ```
//!
//! Modules: [`Dataset`] holds the images; [`formats`] reads them, one file a format; [`files`] reads
//! and writes single images; [`Split`] divides them;
//! [`DataError`] says what is wrong with them. Nothing here knows of training.

mod dataset;
mod error;
pub mod files;
pub mod formats;
mod split;

pub use dataset::{Dataset, Part, SAMPLE_NAME};
pub use error::DataError;
pub use formats::{Format, ReadOptions};
pub use split::{Split, SplitSizes};
