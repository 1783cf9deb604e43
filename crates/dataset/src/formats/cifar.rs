//! CIFAR-10 and CIFAR-100 in their binary version (Krizhevsky 2009: "Learning Multiple Layers of Features from Tiny
//! Images"): rows of a label, or a coarse and a fine label, and 3 x 32 x 32 bytes.

use std::path::{Path, PathBuf};

use super::{Content, Format, Item, Listing, file_name, read_file};
use crate::dataset::Part;
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::raster::Raster;
use crate::tree::Tree;

const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;

/// A folder of `data_batch_1.bin` and so on, or of `train.bin` and `test.bin`.
#[derive(Debug)]
pub(crate) struct Cifar;

impl Format for Cifar {
    fn name(&self) -> &'static str {
        "cifar"
    }

    fn recognises(&self, tree: &Tree, _options: &ReadOptions) -> bool {
        tree.is_folder() && tree.files_in(tree.root()).iter().any(|file| batch(file).is_some())
    }

    fn is_encoded(&self) -> bool {
        false
    }

    fn list(&self, tree: &Tree, _options: &ReadOptions) -> Result<Listing, DataError> {
        let path = tree.root();
        if !tree.is_folder() {
            return Err(DataError::unusable(path, "not a folder; name the folder of the .bin files"));
        }
        let mut listing = Listing::default();
        for file in tree.files_in(path) {
            let Some((part, kind)) = batch(file) else { continue };
            listing.sources.push(file.clone());
            if listing.classes.is_none() {
                let names = path.join(kind.names);
                listing.classes = class_names(&names)?;
                listing.sources.push(names);
            }
            listing.items.extend(items(file, &read_file(file)?, part, &kind, listing.classes.as_deref())?);
        }
        if listing.items.is_empty() {
            return Err(DataError::unusable(path, "there is no data_batch_1.bin or train.bin in it"));
        }
        Ok(listing)
    }
}

/// How a row begins, and which file names the classes.
struct Kind {
    labels: usize,
    names: &'static str,
    classes: u8,
}

/// Returns what a file's name says about it.
fn batch(path: &Path) -> Option<(Part, Kind)> {
    let ten = Kind { labels: 1, names: "batches.meta.txt", classes: 10 };
    let hundred = Kind { labels: 2, names: "fine_label_names.txt", classes: 100 };
    match file_name(path).as_str() {
        "test_batch.bin" => Some((Part::Test, ten)),
        "train.bin" => Some((Part::Train, hundred)),
        "test.bin" => Some((Part::Test, hundred)),
        name if name.starts_with("data_batch_") && name.ends_with(".bin") => Some((Part::Train, ten)),
        _ => None,
    }
}

/// Returns the names of the classes, one per line, if the file exists.
fn class_names(path: &Path) -> Result<Option<Vec<String>>, DataError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = String::from_utf8(read_file(path)?).map_err(|_| DataError::damaged(path, "not text; fetch it again"))?;
    Ok(Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()))
}

fn items(path: &Path, bytes: &[u8], part: Part, kind: &Kind, names: Option<&[String]>) -> Result<Vec<Item>, DataError> {
    let row_length = kind.labels + 3 * PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(row_length) {
        let why = format!("{} bytes are not a whole number of rows of {row_length}; fetch it again", bytes.len());
        return Err(DataError::damaged(path, why));
    }
    let item = |(number, row): (usize, &[u8])| {
        let name = PathBuf::from(format!("{} (image {number})", path.display()));
        let (labels, planes) = row.split_at(kind.labels);
        let label = labels[kind.labels - 1];
        if label >= kind.classes {
            let why = format!("label {label} is beyond {}; is this really CIFAR-{}?", kind.classes - 1, kind.classes);
            return Err(DataError::damaged(&name, why));
        }
        let pixels = (0..PIXELS).flat_map(|i| [planes[i], planes[PIXELS + i], planes[2 * PIXELS + i]]).collect();
        let label = names.and_then(|names| names.get(usize::from(label)).cloned()).unwrap_or_else(|| label.to_string());
        let content = Content::Pixels(Raster::new(pixels, [SIDE, SIDE], 3));
        Ok(Item { name, content, label, part, group: None, subgroup: None })
    };
    bytes.chunks_exact(row_length).enumerate().map(item).collect()
}
