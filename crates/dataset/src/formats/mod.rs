//! The formats of image sets. A new one is one new file and one line in [`FORMATS`].

mod cifar;
mod folder;
pub(crate) mod idx;
pub(crate) mod manifest;
mod numpy;
mod parquet;
pub(crate) mod table;
mod webdataset;

use std::path::{Path, PathBuf};

use crate::dataset::Part;
use crate::error::DataError;
use crate::files::part_of_file;
use crate::notes::Notes;
use crate::options::ReadOptions;
use crate::raster::Raster;
use crate::tree::{Tree, is_image};
pub(crate) use crate::tree::{extension, file_name, has_image_name as is_image_name};

/// A format in which image sets are stored.
pub(crate) trait Format: Sync {
    /// Returns the name that users know it by.
    fn name(&self) -> &'static str;

    /// Whether what lies there is a set in this format. Only formats that hide images in other files, or name them in tables, look
    /// into files for it.
    fn recognises(&self, tree: &Tree, options: &ReadOptions) -> bool;

    /// Whether its images are image files, which take time to decode, rather than plain pixels.
    fn is_encoded(&self) -> bool {
        true
    }

    /// Returns every file of the set: if one changes, the set has changed.
    ///
    /// # Errors
    /// [`DataError`] names the file or folder at fault.
    fn files(&self, tree: &Tree, _options: &ReadOptions) -> Result<Vec<PathBuf>, DataError> {
        Ok(tree.files().map(PathBuf::from).collect())
    }

    /// Lists the contents of the set, without decoding its images.
    ///
    /// # Errors
    /// [`DataError`] names the file or image at fault.
    fn list(&self, tree: &Tree, options: &ReadOptions) -> Result<Listing, DataError>;
}

/// Every known format, the more telling first: arrays and archives that lie beside folders of images are something else.
static FORMATS: [&dyn Format; 7] = [
    &idx::Idx,
    &cifar::Cifar,
    &parquet::Parquet,
    &manifest::Manifest,
    &folder::Folder,
    &numpy::Numpy,
    &webdataset::WebDataset,
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
    /// Files that were read besides images.
    pub(crate) sources: Vec<PathBuf>,
    /// What was assumed, and what was passed over for a reason of its own.
    pub(crate) notes: Notes,
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
    /// Its subgroup, if that was asked for.
    pub(crate) subgroup: Option<String>,
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

/// The format of what lies there: the one that was asked for, or the first that recognises it.
///
/// # Errors
/// [`DataError::Unrecognised`].
pub(crate) fn of(tree: &Tree, options: &ReadOptions) -> Result<&'static dyn Format, DataError> {
    let unrecognised = |why: String| Err(DataError::Unrecognised { path: tree.root().into(), why });
    if let Some(name) = &options.format {
        return match FORMATS.iter().find(|format| format.name() == name) {
            Some(format) => Ok(*format),
            None => unrecognised(format!("there is no format \"{name}\"")),
        };
    }
    if let Some(format) = FORMATS.iter().find(|format| format.recognises(tree, options)) {
        return Ok(*format);
    }
    if !tree.is_folder() {
        return unrecognised("it is a single file of another kind".into());
    }
    let inside = tree.files_in(tree.root());
    if tree.files().next().is_none() {
        return unrecognised("the folder is empty".into());
    }
    if inside.iter().any(|file| file_name(file) == "data_batch_1") {
        return unrecognised("it holds CIFAR's files for Python; fetch the \"binary version\" instead".into());
    }
    if let Some(table) = inside.iter().find(|file| manifest::is_table(file)) {
        let why = format!(
            "no column of {} names the images that lie there; name the table and set image_column",
            file_name(table)
        );
        return unrecognised(why);
    }
    if inside.iter().any(|file| is_image(file)) {
        return unrecognised("its images lie side by side; put those of each class into a folder of their own".into());
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

/// The part that a file or folder name speaks of, if any.
fn part_in_name(name: &str) -> Option<Part> {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).find_map(|word| match word {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
        "test" | "testing" | "t10k" => Some(Part::Test),
        _ => None,
    })
}

/// The part that a whole name speaks of: `train`, `test_images`, `training_set`, but not `test tube`.
pub(crate) fn part_of_folder(name: &str) -> Option<Part> {
    let name = name.to_lowercase();
    let is_filler = |word: &str| {
        matches!(
            word,
            "" | "set"
                | "data"
                | "dataset"
                | "image"
                | "images"
                | "img"
                | "imgs"
                | "split"
                | "part"
                | "jpg"
                | "jpeg"
                | "png"
        ) || word.chars().all(|c| c.is_ascii_digit())
    };
    let words = || name.split(|c: char| !c.is_alphanumeric());
    words().all(|word| is_filler(word) || part_in_name(word).is_some()).then(|| part_in_name(&name)).flatten()
}

/// The part that the folders of a file are named by, the nearest first.
pub(crate) fn part_of_path(tree: &Tree, file: &Path) -> Option<Part> {
    part_of_file(tree.root(), file)
}

/// Files of one kind and the part each belongs to: the file alone, which is the whole set, or those in the folder, whose own or whose
/// folder's name tells the part.
fn shards(tree: &Tree, is_one: impl Fn(&Path) -> bool) -> Vec<(Part, PathBuf)> {
    let part = |file: &Path| {
        let inside = file.strip_prefix(tree.root()).unwrap_or(file);
        inside.ancestors().map(file_name).find_map(|name| part_in_name(&name)).unwrap_or(Part::Train)
    };
    let all = tree.files().filter(|file| is_one(file));
    all.map(|file| (if tree.is_folder() { part(file) } else { Part::Train }, file.to_path_buf())).collect()
}

/// Reads a whole file.
fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|error| DataError::io(path, error))
}

/// A value of JSON as a cell of a table: a word, a number, or the only one in a list.
fn json_cell(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(is) => Some(is.to_string()),
        serde_json::Value::Array(one) if one.len() == 1 => json_cell(&one[0]),
        _ => None,
    }
}
