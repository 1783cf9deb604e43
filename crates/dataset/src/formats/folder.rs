//! A folder with one folder of images per class, or with `train`, `val` and `test` folders of such.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Content, Format, Item, Listing, file_name, part_of_folder};
use crate::dataset::Part;
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::tree::{Tree, is_image};

/// Class folders of image files; the folder's name is the class.
#[derive(Debug)]
pub(crate) struct Folder;

/// Folders of pictures that say something of other pictures, pixel by pixel.
const MASKS: [&str; 12] = [
    "mask",
    "masks",
    "annotation",
    "annotations",
    "segmentation",
    "segmentations",
    "label_masks",
    "labels",
    "gt",
    "groundtruth",
    "ground_truth",
    "seg",
];

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn recognises(&self, tree: &Tree, _options: &ReadOptions) -> bool {
        let holds_images = |folder: &Path| tree.files_in(folder).iter().any(|file| is_image(file));
        let below = |folder: &Path| holds_images(folder) || tree.folders_in(folder).any(holds_images);
        tree.is_folder() && tree.folders_in(tree.root()).any(below)
    }

    fn list(&self, tree: &Tree, options: &ReadOptions) -> Result<Listing, DataError> {
        if !tree.is_folder() {
            let why = "not a folder; name the folder that holds the class folders";
            return Err(DataError::unusable(tree.root(), why));
        }
        let mut listing = Listing::default();
        let mut classes = Vec::new();
        let has_subgroups = options.columns.subgroup.as_deref() == Some(SUBGROUPS);
        for (part, root) in &part_folders(tree)? {
            refuse_masks(tree, root)?;
            let mut is_flat = true;
            for folder in tree.folders_in(root) {
                is_flat = false;
                let images_in = |folder: &Path| -> Vec<PathBuf> {
                    tree.files_in(folder).iter().filter(|file| is_image(file)).cloned().collect()
                };
                let inner: Vec<&Path> = tree.folders_in(folder).filter(|inner| tree.has_files(inner)).collect();
                let images: Vec<(PathBuf, Option<String>)> = match (has_subgroups, inner.first()) {
                    (true, _) => {
                        if let Some(stray) = images_in(folder).first() {
                            let why = "lies beside the folders of subgroups; move it into one of them";
                            return Err(DataError::unusable(stray, why));
                        }
                        let of = |inner: &&Path| (file_name(inner), images_in(inner));
                        let all = inner.iter().map(of);
                        all.flat_map(|(name, images)| images.into_iter().map(move |image| (image, Some(name.clone()))))
                            .collect()
                    }
                    (false, Some(inner)) => {
                        return Err(DataError::unusable(
                            inner,
                            "a folder inside a class folder; move its images up, or name the folder above. If these are \
                             subgroups of the class, set subgroup_column to \"folder\"",
                        ));
                    }
                    (false, None) => images_in(folder).into_iter().map(|image| (image, None)).collect(),
                };
                if images.is_empty() {
                    listing.notes.say(format!("{} has no images: it is no class", tree.name(folder)));
                    continue;
                }
                let label = file_name(folder);
                listing.items.extend(images.into_iter().map(|(name, subgroup)| Item {
                    name,
                    content: Content::File,
                    label: label.clone(),
                    part: *part,
                    group: None,
                    subgroup,
                }));
                classes.push(label);
            }
            if is_flat && *part == Part::Train {
                let why = "its images lie side by side; put those of each class into a folder of their own";
                return Err(DataError::unusable(root, why));
            }
        }
        classes.sort();
        classes.dedup();
        listing.classes = Some(classes);
        Ok(listing)
    }
}

/// What the column of subgroups is called where they are folders.
const SUBGROUPS: &str = "folder";

/// The roots that hold class folders: the user's own split where the folders are named so, else the folder itself.
fn part_folders(tree: &Tree) -> Result<Vec<(Part, PathBuf)>, DataError> {
    let root = tree.root();
    let inside: Vec<&Path> = tree.folders_in(root).filter(|folder| tree.has_files(folder)).collect();
    let part = |folder: &Path| part_of_folder(&file_name(folder));
    // A class may be called "train" too.
    let has_classes = |folder: &Path| tree.folders_in(folder).any(|inner| tree.has_files(inner));
    let is_split = inside.iter().any(|folder| part(folder) == Some(Part::Train))
        && (inside.iter().any(|folder| has_classes(folder)) || inside.iter().all(|folder| part(folder).is_some()));
    if !is_split {
        return Ok(vec![(Part::Train, root.into())]);
    }
    let part = |folder: &Path| match part(folder) {
        Some(part) => Ok((part, folder.to_path_buf())),
        None => Err(DataError::unusable(
            folder,
            "lies beside a train folder, so it should be val or test; rename it or move it away",
        )),
    };
    inside.into_iter().map(part).collect()
}

/// Refuses pictures and their masks, which are no two classes.
fn refuse_masks(tree: &Tree, root: &Path) -> Result<(), DataError> {
    let names = |folder: &Path| -> BTreeSet<String> {
        let stems = tree.files_in(folder).iter().filter_map(|file| file.file_stem());
        stems.map(|stem| stem.to_string_lossy().into_owned()).collect()
    };
    let folders: Vec<&Path> = tree.folders_in(root).collect();
    let masks = folders.iter().find(|folder| MASKS.contains(&file_name(folder).to_lowercase().as_str()));
    let Some(masks) = masks else { return Ok(()) };
    let of_masks = names(masks);
    let pictures = folders
        .iter()
        .find(|folder| *folder != masks && names(folder).intersection(&of_masks).count() * 2 > of_masks.len());
    match pictures {
        Some(pictures) => Err(DataError::unusable(
            root,
            format!(
                "{} and {} hold files of the same names: pictures and their masks, which are no classes. Name a folder \
                 of classes, or a table of images and labels",
                tree.name(pictures),
                tree.name(masks)
            ),
        )),
        None => Ok(()),
    }
}
