//! Decoded images of any kind, brought to one shape.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use image::DynamicImage;
use image::imageops::FilterType;
use ndarray::Array4;
use rayon::prelude::*;

use super::ReadOptions;
use crate::error::DataError;

/// Decodes the bytes of a PNG or JPEG file; `name` is what an error calls it.
pub(crate) fn decode(name: &Path, bytes: &[u8]) -> Result<DynamicImage, DataError> {
    image::load_from_memory(bytes)
        .map_err(|error| DataError::damaged(name, format!("not a readable image ({error}); repair or remove it")))
}

/// Decodes many images at once, in the order given, and brings each to the side that `options` ask for; `load` returns
/// each one's name and bytes.
pub(super) fn decode_all<'a, T: Sync>(
    items: &'a [T],
    options: &ReadOptions,
    load: impl Fn(&'a T) -> Result<(PathBuf, Cow<'a, [u8]>), DataError> + Sync,
) -> Result<Vec<(PathBuf, DynamicImage)>, DataError> {
    let decoded: Vec<_> = items
        .par_iter()
        .map(|item| {
            let (name, bytes) = load(item)?;
            let image = decode(&name, &bytes)?;
            Ok((name, sized(image, options)))
        })
        .collect();
    // The first failure in the order of the set, whichever thread met one first.
    decoded.into_iter().collect()
}

/// The image, or its central square brought to the side that `options` ask for.
pub(super) fn sized(image: DynamicImage, options: &ReadOptions) -> DynamicImage {
    match options.image_size {
        Some(side) if (image.width(), image.height()) != (side, side) => {
            let short = image.width().min(image.height());
            let (left, top) = ((image.width() - short) / 2, (image.height() - short) / 2);
            image.crop_imm(left, top, short, short).resize_exact(side, side, FilterType::Triangle)
        }
        _ => image,
    }
}

/// Stacks images into `[N, H, W, C]`: grey when every one is grey, else RGB. Alpha is dropped, 16 bits become 8.
pub(super) fn stack(origin: &Path, images: Vec<(PathBuf, DynamicImage)>) -> Result<Array4<u8>, DataError> {
    let Some((first, image)) = images.first() else {
        return Err(DataError::unusable(origin, "there are no images in it"));
    };
    let (width, height) = (image.width(), image.height());
    let grey = images.iter().all(|(_, image)| !image.color().has_color());
    let other = |(_, image): &&(PathBuf, DynamicImage)| (image.width(), image.height()) != (width, height);
    if let Some((name, image)) = images.iter().find(other) {
        return Err(DataError::unusable(
            origin,
            format!(
                "images differ in size: {} is {width}x{height} pixels, {} is {}x{}; set image_size to bring all to one \
                 size",
                first.display(),
                name.display(),
                image.width(),
                image.height()
            ),
        ));
    }
    let channels = if grey { 1 } else { 3 };
    let count = images.len();
    let pixels: Vec<Vec<u8>> = images
        .into_par_iter()
        .map(|(_, image)| if grey { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() })
        .collect();
    let shape = (count, height as usize, width as usize, channels);
    Ok(Array4::from_shape_vec(shape, pixels.concat()).expect("every image has the size checked above"))
}
