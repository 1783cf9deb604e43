//! A folder with one folder of images per class, or with `train`, `val` and `test` folders of such.

use std::path::{Path, PathBuf};

use super::{Content, Format, Item, Listing, entries, file_name, is_image_name};
use crate::dataset::Part;
use crate::error::DataError;
use crate::options::ReadOptions;

/// Class folders of image files; the folder's name is the class.
#[derive(Debug)]
pub(crate) struct Folder;

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn recognises(&self, path: &Path) -> bool {
        path.is_dir() && folders(path).is_ok_and(|inside| !inside.is_empty())
    }

    fn list(&self, path: &Path, _options: &ReadOptions) -> Result<Listing, DataError> {
        if !path.is_dir() {
            return Err(DataError::unusable(path, "not a folder; name the folder that holds the class folders"));
        }
        let mut items = Vec::new();
        let mut classes = Vec::new();
        for (part, root) in &part_folders(path)? {
            for folder in folders(root)? {
                let images = image_files(&folder)?;
                if images.is_empty() {
                    return Err(DataError::unusable(
                        &folder,
                        "a class folder without images; add images or remove the folder",
                    ));
                }
                let label = file_name(&folder);
                items.extend(images.into_iter().map(|name| Item {
                    name,
                    content: Content::File,
                    label: label.clone(),
                    part: *part,
                    group: None,
                }));
                classes.push(label);
            }
        }
        classes.sort();
        classes.dedup();
        Ok(Listing { items, classes: Some(classes) })
    }
}

/// Returns the roots that hold class folders: the user's own split if the folders are named for one, otherwise the
/// folder.
fn part_folders(path: &Path) -> Result<Vec<(Part, PathBuf)>, DataError> {
    let named = |folder: &PathBuf| match file_name(folder).to_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Validation),
        "test" | "testing" => Some(Part::Test),
        _ => None,
    };
    let inside = folders(path)?;
    if !inside.iter().any(|folder| named(folder) == Some(Part::Train)) {
        return Ok(vec![(Part::Train, path.into())]);
    }
    let part = |folder: PathBuf| match named(&folder) {
        Some(part) => Ok((part, folder)),
        None => Err(DataError::unusable(
            &folder,
            "lies beside a train folder, so it should be val or test; rename it or move it away",
        )),
    };
    inside.into_iter().map(part).collect()
}

fn folders(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(entries(path)?.into_iter().filter(|entry| entry.is_dir()).collect())
}

/// Returns the images of a class. Files of other kinds are ignored, but folders are not, because they might be
/// classes.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let inside = entries(folder)?;
    // The most common case is recognised by names alone, without looking at each of many files.
    let (images, others): (Vec<_>, Vec<_>) = inside.into_iter().partition(|path| is_image_name(path));
    if let Some(inner) = others.into_iter().chain(images.iter().take(1).cloned()).find(|path| path.is_dir()) {
        return Err(DataError::unusable(
            &inner,
            "a folder inside a class folder; move its images up, or name the folder above",
        ));
    }
    Ok(images)
}
