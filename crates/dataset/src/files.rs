//! Single images as files.

use std::path::{Path, PathBuf};

use image::DynamicImage;
use ndarray::Array3;

use crate::dataset::Part;
use crate::error::DataError;
use crate::formats::part_of_folder;
use crate::raster::Raster;
use crate::tree::{Tree, file_name, is_image};

/// Returns the image files in a folder and all its subfolders, sorted by name, also those behind symbolic links. Hidden
/// files are left out, and so is whatever is not a regular file.
///
/// # Errors
/// [`DataError`] if a folder cannot be read, a link leads in a circle, or there are no images.
pub fn image_files(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let tree = Tree::new(root)?;
    let mut files: Vec<PathBuf> = tree.files().filter(|file| is_image(file)).map(PathBuf::from).collect();
    files.sort();
    if files.is_empty() {
        return Err(DataError::unusable(root, "there are no images in it"));
    }
    Ok(files)
}

/// Returns the part that the folders of an image, from a root on, speak of: `test/`, `training_set/` and the like.
pub fn part_of_file(root: &Path, file: &Path) -> Option<Part> {
    let inside = file.strip_prefix(root).unwrap_or(file);
    inside.ancestors().skip(1).find_map(|folder| part_of_folder(&file_name(folder)))
}

/// Reads an image as height x width x channels: 1 if it is grey, else 3. See [`ReadOptions`](crate::ReadOptions)
/// for the conversion of each kind of image; alpha is blended over white.
///
/// # Errors
/// [`DataError`] names the file.
pub fn read_image(path: &Path) -> Result<Array3<u8>, DataError> {
    decode_image(path, &std::fs::read(path).map_err(|error| DataError::io(path, error))?)
}

/// Decodes the bytes of an image file as [`read_image`] does; `name` is its name in errors.
///
/// # Errors
/// As [`read_image`].
pub fn decode_image(name: &Path, bytes: &[u8]) -> Result<Array3<u8>, DataError> {
    let Raster { pixels, width, height, channels, .. } =
        Raster::decode(bytes, [255; 3], None).map_err(|why| DataError::damaged(name, why))?;
    Ok(Array3::from_shape_vec((height, width, channels), pixels).expect("a decoded image has all its pixels"))
}

/// Encodes an image, height x width x 1 or 3, as the bytes of a PNG file.
///
/// # Errors
/// What the encoder cannot do: images without pixels, or other numbers of channels.
pub fn png(image: Array3<u8>) -> Result<Vec<u8>, String> {
    let (height, width, channels) = image.dim();
    let size = |side: usize| u32::try_from(side).map_err(|error| error.to_string());
    let pixels = image.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
    let (height, width) = (size(height)?, size(width)?);
    let image: Option<DynamicImage> = match channels {
        1 => image::GrayImage::from_raw(width, height, pixels).map(Into::into),
        3 => image::RgbImage::from_raw(width, height, pixels).map(Into::into),
        _ => None,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = image.ok_or_else(|| format!("{channels} channels are not 1 or 3"))?;
    image.write_to(&mut bytes, image::ImageFormat::Png).map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}
