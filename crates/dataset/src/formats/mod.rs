//! The formats of image sets. A new one is one new file and one line in [`FORMATS`].

mod cifar;
mod folder;
pub(crate) mod idx;
mod manifest;
mod numpy;
mod parquet;
mod webdataset;

use std::path::{Path, PathBuf};

use crate::dataset::Part;
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::raster::Raster;

/// A format in which image sets are stored.
pub(crate) trait Format: Sync {
    /// Returns the name that users know it by.
    fn name(&self) -> &'static str;

    /// Whether the path looks like this format, judging by names alone.
    fn recognises(&self, path: &Path) -> bool;

    /// Whether its images are image files, which take time to decode, rather than plain pixels.
    fn is_encoded(&self) -> bool {
        true
    }

    /// Returns every file of the set: if one changes, the set has changed.
    ///
    /// # Errors
    /// [`DataError`] names the file or folder at fault.
    fn files(&self, path: &Path, _options: &ReadOptions) -> Result<Vec<PathBuf>, DataError> {
        all_files(path)
    }

    /// Lists the contents of the set, without decoding its images.
    ///
    /// # Errors
    /// [`DataError`] names the file or image at fault.
    fn list(&self, path: &Path, options: &ReadOptions) -> Result<Listing, DataError>;
}

/// Every known format, the more specific ones first.
static FORMATS: [&dyn Format; 7] = [
    &idx::Idx,
    &cifar::Cifar,
    &parquet::Parquet,
    &numpy::Numpy,
    &webdataset::WebDataset,
    &manifest::Manifest,
    &folder::Folder,
];

/// Returns the names of the formats, as accepted by [`ReadOptions::format`].
pub fn format_names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|format| format.name())
}

/// The images of a set, not decoded yet.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) items: Vec<Item>,
    /// Names of classes in order, if the source has an order. Those without images are left out.
    pub(crate) classes: Option<Vec<String>>,
}

/// One image of a set.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its name in errors: its file, or its position in one.
    pub(crate) name: PathBuf,
    pub(crate) content: Content,
    /// The name of its class.
    pub(crate) label: String,
    pub(crate) part: Part,
    /// The group it belongs to.
    pub(crate) group: Option<String>,
}

/// Where an image's pixels are.
#[derive(Debug)]
pub(crate) enum Content {
    /// In the image file with the item's name.
    File,
    /// In these bytes of an image file.
    Encoded(Vec<u8>),
    /// Here.
    Pixels(Raster),
}

/// Returns the format of the path: the one asked for, or the first that recognises it.
///
/// # Errors
/// [`DataError::Missing`] and [`DataError::Unrecognised`].
pub(crate) fn of(path: &Path, options: &ReadOptions) -> Result<&'static dyn Format, DataError> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => DataError::Missing { path: path.into() },
        _ => DataError::io(path, source),
    })?;
    let unrecognised = |why: String| Err(DataError::Unrecognised { path: path.into(), why });
    if let Some(name) = &options.format {
        return match FORMATS.iter().find(|format| format.name() == name) {
            Some(format) => Ok(*format),
            None => unrecognised(format!("there is no format \"{name}\"")),
        };
    }
    if let Some(format) = FORMATS.iter().find(|format| format.recognises(path)) {
        return Ok(*format);
    }
    if !metadata.is_dir() {
        return unrecognised("it is a single file of another kind".into());
    }
    let inside = entries(path)?;
    if inside.is_empty() {
        return unrecognised("the folder is empty".into());
    }
    if inside.iter().any(|file| file_name(file) == "data_batch_1") {
        return unrecognised("it holds CIFAR's files for Python; fetch the \"binary version\" instead".into());
    }
    if inside.iter().any(|file| is_image_name(file)) {
        return unrecognised("its images lie side by side; put those of each class into a separate folder".into());
    }
    unrecognised("it holds neither class folders nor known files".into())
}

/// Returns the entries of a folder without hidden files, sorted by name: the same on every machine.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let entry = entry.map_err(|e| DataError::io(folder, e))?;
        match entry.file_name().to_str() {
            // Archives from a Mac contain a second, useless tree.
            Some(name) if name.starts_with('.') || name == "__MACOSX" => {}
            Some(_) => paths.push(entry.path()),
            None => return Err(DataError::damaged(&entry.path(), "its name is not UTF-8; rename it")),
        }
    }
    paths.sort();
    Ok(paths)
}

/// Returns the file, or every file in the folder and its subfolders. Symbolic links to folders are followed, but
/// never in a circle.
pub(crate) fn all_files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0
            || !matches!(entry.file_name().to_str(), Some(name) if name.starts_with('.') || name == "__MACOSX")
    };
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let at = error.path().unwrap_or(path).to_path_buf();
                if error.loop_ancestor().is_some() {
                    return Err(DataError::unusable(&at, "a symbolic link to a folder that it lies in; remove it"));
                }
                // A link that leads nowhere does not matter until its image is needed.
                if std::fs::symlink_metadata(&at).is_ok_and(|metadata| metadata.is_symlink()) {
                    files.push(at);
                    continue;
                }
                let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("cannot be walked"));
                return Err(DataError::io(&at, source));
            }
        };
        if entry.path().to_str().is_none() {
            return Err(DataError::damaged(entry.path(), "its name is not UTF-8; rename it"));
        }
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Returns the part that a file or folder name refers to, if any.
fn part_in_name(name: &str) -> Option<Part> {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).find_map(|word| match word {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
        "test" | "testing" | "t10k" => Some(Part::Test),
        _ => None,
    })
}

/// Returns files of one kind and the part each belongs to: the file at the path, which is then the whole set, or
/// those in the folder, whose own name or folder name gives the part.
fn shards(path: &Path, is_one: impl Fn(&Path) -> bool) -> Result<Vec<(Part, PathBuf)>, DataError> {
    if !path.is_dir() {
        return Ok(vec![(Part::Train, path.to_path_buf())]);
    }
    let part = |file: &Path| {
        let inside = file.strip_prefix(path).unwrap_or(file);
        let names = inside.ancestors().map(file_name);
        names.into_iter().find_map(|name| part_in_name(&name)).unwrap_or(Part::Train)
    };
    Ok(all_files(path)?.into_iter().filter(|file| is_one(file)).map(|file| (part(&file), file)).collect())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns a file's extension, in lower case.
fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Whether a file's name says that it is an image, of a readable kind or not.
pub(crate) fn is_image_name(path: &Path) -> bool {
    matches!(
        extension(path).as_str(),
        "png"
            | "jpg"
            | "jpeg"
            | "jpe"
            | "jfif"
            | "webp"
            | "bmp"
            | "gif"
            | "tif"
            | "tiff"
            | "avif"
            | "heic"
            | "heif"
            | "jp2"
            | "jxl"
            | "ppm"
            | "pgm"
            | "tga"
    )
}

/// Reads a whole file.
fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|error| DataError::io(path, error))
}
