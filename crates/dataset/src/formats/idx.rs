//! MNIST's IDX files, plain or gzipped (LeCun, Cortes, Burges: "The MNIST database of handwritten digits").

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use image::{DynamicImage, GrayImage};
use ndarray::{Array4, Axis, concatenate};

use super::{Format, ReadOptions, entries, file_name, part_in_name, raster};
use crate::{DataError, Dataset, Part, SAMPLE_NAME};

/// A folder of `*-images-idx3-ubyte` and `*-labels-idx1-ubyte` files, with or without `.gz`.
#[derive(Debug)]
pub struct Idx;

impl Format for Idx {
    fn name(&self) -> &'static str {
        "idx"
    }

    fn recognises(&self, path: &Path) -> bool {
        path.is_dir() && entries(path).is_ok_and(|files| files.iter().any(|file| is_images(file)))
    }

    fn read(&self, path: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
        let mut files = Vec::new();
        for images in entries(path)?.into_iter().filter(|file| is_images(file)) {
            let labels = images.with_file_name(file_name(&images).replace("images", "labels").replace("idx3", "idx1"));
            let part = part_in_name(&file_name(&images)).unwrap_or(Part::Train);
            files.push((part, read_file(&images)?, images, read_file(&labels)?, labels));
        }
        assemble(path, &files, None, options)
    }
}

/// The sample that is part of the program.
pub(crate) fn sample() -> Result<Dataset, DataError> {
    macro_rules! embedded {
        ($name:literal) => {{
            let name = PathBuf::from($name);
            (unzip(&name, include_bytes!(concat!("../../sample/", $name, ".gz")))?, name)
        }};
    }
    let ((train, a), (train_labels, b)) = (embedded!("train-images-idx3-ubyte"), embedded!("train-labels-idx1-ubyte"));
    let ((test, c), (test_labels, d)) = (embedded!("t10k-images-idx3-ubyte"), embedded!("t10k-labels-idx1-ubyte"));
    let files = [(Part::Train, train, a, train_labels, b), (Part::Test, test, c, test_labels, d)];
    let names = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"];
    assemble(Path::new(SAMPLE_NAME), &files, Some(names.map(String::from).to_vec()), &ReadOptions::default())
}

type Pair = (Part, Vec<u8>, PathBuf, Vec<u8>, PathBuf);

fn assemble(
    origin: &Path,
    files: &[Pair],
    names: Option<Vec<String>>,
    options: &ReadOptions,
) -> Result<Dataset, DataError> {
    let (mut stacks, mut labels, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for (part, image_bytes, image_path, label_bytes, label_path) in files {
        let images = images(image_path, image_bytes)?;
        let ([count], body) = payload::<1>(label_path, label_bytes)?;
        if count != images.dim().0 {
            return Err(DataError::damaged(
                label_path,
                format!("{count} labels, but {} has {} images", image_path.display(), images.dim().0),
            ));
        }
        stacks.push(resized(origin, images, options)?);
        labels.extend(body.iter().map(|&label| usize::from(label)));
        parts.extend(std::iter::repeat_n(*part, count));
    }
    let views: Vec<_> = stacks.iter().map(Array4::view).collect();
    let images = concatenate(Axis(0), &views)
        .map_err(|_| DataError::unusable(origin, "its files hold images of different sizes; set image_size"))?;
    let classes = labels.iter().max().map_or(0, |&largest| largest + 1);
    let names = names.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
    Dataset::new(origin, images, labels, names, parts)
}

fn is_images(path: &Path) -> bool {
    let name = file_name(path);
    name.contains("images") && name.trim_end_matches(".gz").ends_with("idx3-ubyte")
}

fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
    if path.extension().is_some_and(|extension| extension == "gz") { unzip(path, &bytes) } else { Ok(bytes) }
}

fn unzip(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .map_err(|error| DataError::damaged(path, format!("not a whole gzip file ({error}); fetch it again")))?;
    Ok(plain)
}

/// The dimensions and the bytes after them of an IDX file of u8 with `D` dimensions.
fn payload<'a, const D: usize>(path: &Path, bytes: &'a [u8]) -> Result<([usize; D], &'a [u8]), DataError> {
    let header = 4 + 4 * D;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, D as u8] {
        return Err(DataError::damaged(path, format!("not an IDX file of bytes with {D} dimensions")));
    }
    let mut shape = [0usize; D];
    for (size, word) in shape.iter_mut().zip(bytes[4..header].chunks_exact(4)) {
        *size = u32::from_be_bytes([word[0], word[1], word[2], word[3]]) as usize;
    }
    let body = &bytes[header..];
    if shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) != Some(body.len()) {
        return Err(DataError::damaged(
            path,
            format!("its header promises {shape:?} bytes, but {} follow; fetch it again", body.len()),
        ));
    }
    Ok((shape, body))
}

fn images(path: &Path, bytes: &[u8]) -> Result<Array4<u8>, DataError> {
    let ([count, height, width], body) = payload::<3>(path, bytes)?;
    Ok(Array4::from_shape_vec((count, height, width, 1), body.to_vec()).expect("payload checked the length"))
}

fn resized(origin: &Path, images: Array4<u8>, options: &ReadOptions) -> Result<Array4<u8>, DataError> {
    let (_, height, width, _) = images.dim();
    match options.image_size {
        Some(side) if (height, width) != (side as usize, side as usize) => {
            let images = images
                .outer_iter()
                .map(|image| {
                    let pixels = image.iter().copied().collect();
                    let image =
                        GrayImage::from_raw(width as u32, height as u32, pixels).expect("pixels fill the image");
                    (origin.to_path_buf(), raster::sized(DynamicImage::from(image), options))
                })
                .collect();
            raster::stack(origin, images)
        }
        _ => Ok(images),
    }
}
