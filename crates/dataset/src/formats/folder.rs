//! A folder with one folder of images per class, or with `train`, `val` and `test` folders of such.

use std::path::{Path, PathBuf};

use super::{Format, ReadOptions, entries, file_name, raster};
use crate::{DataError, Dataset, Part};

/// Class folders of PNG and JPEG files; the folder's name is the class.
#[derive(Debug)]
pub struct Folder;

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn recognises(&self, path: &Path) -> bool {
        path.is_dir() && folders(path).is_ok_and(|inside| !inside.is_empty())
    }

    fn read(&self, path: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
        let parts = part_folders(path)?;
        let mut classes: Vec<String> = Vec::new();
        for (_, root) in &parts {
            classes.extend(folders(root)?.iter().map(|folder| file_name(folder)));
        }
        classes.sort();
        classes.dedup();
        let (mut files, mut labels, mut belongs) = (Vec::new(), Vec::new(), Vec::new());
        for (part, root) in &parts {
            for folder in folders(root)? {
                let images = image_files(&folder)?;
                if images.is_empty() {
                    return Err(DataError::unusable(
                        &folder,
                        "a class folder without PNG or JPEG files; add images or remove the folder",
                    ));
                }
                let name = file_name(&folder);
                let label = classes.binary_search(&name).expect("every folder's name was collected above");
                labels.extend(std::iter::repeat_n(label, images.len()));
                belongs.extend(std::iter::repeat_n(*part, images.len()));
                files.extend(images);
            }
        }
        if classes.len() < 2 {
            // Said before the images are decoded: the commonest mistake is to name the folder of one class.
            return Err(DataError::unusable(
                path,
                format!(
                    "there is only one class ({}); a classifier needs two or more folders of images",
                    classes.join("")
                ),
            ));
        }
        let images = raster::decode_all(&files, options, |file: &PathBuf| {
            let bytes = std::fs::read(file).map_err(|e| DataError::io(file, e))?;
            Ok((file.clone(), bytes.into()))
        })?;
        Dataset::new(path, raster::stack(path, images)?, labels, classes, belongs)
    }
}

/// The roots that hold class folders: the user's own split where the folders are named so, else the folder itself.
fn part_folders(path: &Path) -> Result<Vec<(Part, PathBuf)>, DataError> {
    let named = |folder: &PathBuf| match file_name(folder).to_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Validation),
        "test" => Some(Part::Test),
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

/// The images of a class. Other files are passed over, but not images of a kind that cannot be read, nor folders.
fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut images = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            return Err(DataError::unusable(
                &path,
                "a folder inside a class folder; move its images up, or name the folder above with --data",
            ));
        }
        if is_image(&path)? {
            images.push(path);
        }
    }
    Ok(images)
}

/// Whether a file's name says that it is an image.
///
/// # Errors
/// [`DataError::Damaged`] for an image of a kind that cannot be read.
pub(crate) fn is_image(path: &Path) -> Result<bool, DataError> {
    match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
        "png" | "jpg" | "jpeg" => Ok(true),
        "bmp" | "gif" | "tif" | "tiff" | "webp" | "avif" | "heic" => {
            Err(DataError::damaged(path, "only PNG and JPEG images are read; convert it"))
        }
        _ => Ok(false),
    }
}
