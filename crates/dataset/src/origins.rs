//! What is known of where images came from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What was found where the images of a set came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    /// The format, one of [`format_names`](crate::format_names); empty for a set made in memory.
    pub format: String,
    /// What each image is called: its file, or its place in one.
    pub names: Vec<PathBuf>,
    /// Width and height of each image before it was brought to size.
    pub sizes: Vec<[usize; 2]>,
    /// Whether the source says which images belong together.
    pub grouped: bool,
    /// Images that could not be read and were left out.
    pub skipped: Vec<Skipped>,
}

/// An image that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its file, or its place in one.
    pub name: PathBuf,
    /// What is wrong with it.
    pub why: String,
}
