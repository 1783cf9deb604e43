//! What is known about the source of images.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What was found at the source of a set's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    /// The format, one of [`format_names`](crate::format_names); empty for a set made in memory.
    pub format: String,
    /// The name of each image: its file, or its position in one.
    pub names: Vec<PathBuf>,
    /// Width and height of each image before resizing.
    pub sizes: Vec<[usize; 2]>,
    /// Whether images were brought to size whole, with background beside them.
    pub padded: bool,
    /// Whether the source says which images belong together.
    pub grouped: bool,
    /// Images that could not be read and were left out.
    pub skipped: Vec<Skipped>,
    /// What was assumed, and what was passed over.
    pub notes: Vec<String>,
}

/// An image that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its file, or its position in one.
    pub name: PathBuf,
    /// What is wrong with it.
    pub why: String,
}
