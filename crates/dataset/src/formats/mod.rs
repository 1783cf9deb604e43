//! The formats image sets come in. A new one is one new file and one line in [`FORMATS`].

pub mod folder;
pub mod idx;
pub mod parquet;
pub(crate) mod raster;

use std::path::{Path, PathBuf};

use crate::{DataError, Dataset, Part};

/// How images are to be read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Side in pixels that every image is brought to: its central square, resized. `None` keeps images as they are and
    /// refuses a set whose images differ in size.
    pub image_size: Option<u32>,
}

/// A way in which image sets are stored.
pub trait Format: Sync {
    /// The name users know it by.
    fn name(&self) -> &'static str;

    /// Whether what lies at the path looks like this format, judged by names alone.
    fn recognises(&self, path: &Path) -> bool;

    /// Reads the whole set.
    ///
    /// # Errors
    /// [`DataError`] names the file or image at fault.
    fn read(&self, path: &Path, options: &ReadOptions) -> Result<Dataset, DataError>;
}

/// Every known format, the more telling first.
pub static FORMATS: [&dyn Format; 3] = [&idx::Idx, &parquet::Parquet, &folder::Folder];

/// Reads the set at `path` in the first format that recognises it.
///
/// # Errors
/// [`DataError::Missing`] and [`DataError::Unrecognised`], and what the format itself finds wrong.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing { path: path.into() },
        _ => DataError::io(path, source),
    })?;
    if let Some(format) = FORMATS.iter().find(|format| format.recognises(path)) {
        return format.read(path, options);
    }
    let why = if !metadata.is_dir() {
        "it is a single file of another kind".to_string()
    } else if entries(path)?.is_empty() {
        "the folder is empty".to_string()
    } else {
        "it holds neither class folders nor known files".to_string()
    };
    Err(DataError::Unrecognised { path: path.into(), why })
}

/// What lies in a folder, hidden files left out, in the order of names: the same on every machine.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let entry = entry.map_err(|e| DataError::io(folder, e))?;
        match entry.file_name().to_str() {
            // Archives from a Mac carry a second tree of no use.
            Some(name) if name.starts_with('.') || name == "__MACOSX" => {}
            Some(_) => paths.push(entry.path()),
            None => return Err(DataError::damaged(&entry.path(), "its name is not UTF-8; rename it")),
        }
    }
    paths.sort();
    Ok(paths)
}

/// The part that a file or folder name speaks of, if any.
fn part_in_name(name: &str) -> Option<Part> {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).find_map(|word| match word {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Validation),
        "test" | "t10k" => Some(Part::Test),
        _ => None,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
