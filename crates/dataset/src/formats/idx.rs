//! MNIST's IDX files, plain or gzipped (LeCun, Cortes, Burges: "The MNIST database of handwritten digits").

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Content, Format, Item, Listing, file_name, part_in_name, read_file};
use crate::dataset::{Part, Sample};
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::raster::Raster;
use crate::tree::Tree;

/// A folder of `*-images-idx3-ubyte` and `*-labels-idx1-ubyte` files, with or without `.gz`.
#[derive(Debug)]
pub(crate) struct Idx;

impl Format for Idx {
    fn name(&self) -> &'static str {
        "idx"
    }

    fn recognises(&self, tree: &Tree, _options: &ReadOptions) -> bool {
        tree.is_folder() && tree.files_in(tree.root()).iter().any(|file| is_images(file))
    }

    fn is_encoded(&self) -> bool {
        false
    }

    fn list(&self, tree: &Tree, _options: &ReadOptions) -> Result<Listing, DataError> {
        let path = tree.root();
        if !tree.is_folder() {
            return Err(DataError::unusable(path, "not a folder; name the folder of the images and labels files"));
        }
        let mut listing = Listing::default();
        for images in tree.files_in(path).iter().filter(|file| is_images(file)) {
            let labels = labels_of(images)?;
            let part = part_in_name(&file_name(images)).unwrap_or(Part::Train);
            let pair = Pair {
                part,
                images: (images, &read_file(images)?),
                labels: (&labels, &read_file(&labels)?),
                classes: None,
            };
            listing.items.extend(pair.items()?);
            listing.sources.extend([images.clone(), labels.clone()]);
        }
        if listing.items.is_empty() {
            return Err(DataError::unusable(path, "there is no file whose name ends in images-idx3-ubyte in it"));
        }
        Ok(listing)
    }
}

/// Returns a sample built into the program.
pub(crate) fn sample(sample: Sample) -> Result<Listing, DataError> {
    const CLOTHES: [&str; 10] =
        ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"];
    macro_rules! embedded {
        ($part:expr, $folder:literal, $name:literal, $classes:expr) => {
            Pair {
                part: $part,
                images: (
                    Path::new(concat!($name, "-images-idx3-ubyte.gz")),
                    include_bytes!(concat!("../../sample/", $folder, "/", $name, "-images-idx3-ubyte.gz")),
                ),
                labels: (
                    Path::new(concat!($name, "-labels-idx1-ubyte.gz")),
                    include_bytes!(concat!("../../sample/", $folder, "/", $name, "-labels-idx1-ubyte.gz")),
                ),
                classes: $classes,
            }
        };
    }
    Ok(match sample {
        Sample::FashionMnist => {
            let mut items = embedded!(Part::Train, "fashion-mnist", "train", Some(&CLOTHES[..])).items()?;
            items.extend(embedded!(Part::Test, "fashion-mnist", "t10k", Some(&CLOTHES[..])).items()?);
            Listing { items, classes: Some(CLOTHES.map(String::from).to_vec()), ..Listing::default() }
        }
        Sample::Omniglot => {
            let mut items = embedded!(Part::Train, "omniglot", "train", None).items()?;
            items.extend(embedded!(Part::Test, "omniglot", "t10k", None).items()?);
            Listing { items, ..Listing::default() }
        }
    })
}

/// A file of images and one of labels, with names and bytes.
struct Pair<'a> {
    part: Part,
    images: (&'a Path, &'a [u8]),
    labels: (&'a Path, &'a [u8]),
    classes: Option<&'a [&'static str]>,
}

impl Pair<'_> {
    fn items(&self) -> Result<Vec<Item>, DataError> {
        let (path, bytes) = self.images;
        let (shape, pixels) = array(path, bytes)?;
        let (count, height, width, channels) = match *shape.as_slice() {
            [count, height, width] => (count, height, width, 1),
            [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
            _ => return Err(DataError::damaged(path, format!("an array of shape {shape:?}, which holds no images"))),
        };
        let (labels_path, labels_bytes) = self.labels;
        let (labels_shape, labels) = array(labels_path, labels_bytes)?;
        if labels_shape != [count] {
            let why = format!("labels of shape {labels_shape:?}, but {} has {count} images", path.display());
            return Err(DataError::damaged(labels_path, why));
        }
        if height == 0 || width == 0 {
            return Err(DataError::damaged(path, format!("its images have {width}x{height} pixels")));
        }
        let image = |(i, (pixels, &label)): (usize, (&[u8], &u8))| Item {
            name: format!("{} (image {i})", path.display()).into(),
            content: Content::Pixels(Raster::new(pixels.to_vec(), [width, height], channels)),
            label: match self.classes.and_then(|classes| classes.get(usize::from(label))) {
                Some(name) => name.to_string(),
                None => label.to_string(),
            },
            part: self.part,
            group: None,
            subgroup: None,
        };
        Ok(pixels.chunks_exact(height * width * channels).zip(&labels).enumerate().map(image).collect())
    }
}

fn is_images(path: &Path) -> bool {
    let name = file_name(path);
    name.contains("images")
        && matches!(name.trim_end_matches(".gz").rsplit(['-', '.', '_']).nth(1), Some("idx3" | "idx4"))
}

/// Returns the labels file next to an images file, gzipped or not, whether or not the images are.
fn labels_of(images: &Path) -> Result<PathBuf, DataError> {
    let name = file_name(images).replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1");
    let plain = name.trim_end_matches(".gz");
    let found = [plain.to_string(), format!("{plain}.gz")].map(|name| images.with_file_name(name));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| {
        DataError::damaged(images, format!("there is no {plain} beside it, which would hold its labels"))
    })
}

/// Returns the shape and the bytes of an IDX file of u8, gzipped or not.
fn array(path: &Path, bytes: &[u8]) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let damaged = |why: String| DataError::damaged(path, why);
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return payload(bytes, bytes.len() as u64).map_err(damaged);
    }
    // The header's promise limits what is unpacked: a small file can hold a great many zeros.
    payload(MultiGzDecoder::new(bytes), u64::MAX).map_err(damaged)
}

/// Reads a header and as many bytes as it promises, but at most `most`.
fn payload(mut stream: impl Read, most: u64) -> Result<(Vec<usize>, Vec<u8>), String> {
    let cut = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the file is cut short; fetch it again".to_string(),
        _ => format!("not a whole gzip file ({error}); fetch it again"),
    };
    let mut magic = [0; 4];
    stream.read_exact(&mut magic).map_err(cut)?;
    let [0, 0, 8, dimensions @ 1..=4] = magic else {
        return Err("not an IDX file of bytes: it does not start with 0, 0, 8 and a number of dimensions".into());
    };
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let mut size = [0; 4];
        stream.read_exact(&mut size).map_err(cut)?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    let promised = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
    let promised = promised.ok_or_else(|| format!("its header promises {shape:?} bytes, which is absurd"))?;
    let mut body = Vec::with_capacity(promised.min(most).min(1 << 26) as usize);
    let found = stream.take(promised.saturating_add(1)).read_to_end(&mut body).map_err(cut)? as u64;
    if found != promised {
        let found = if found > promised { "more".into() } else { found.to_string() };
        return Err(format!("its header promises {shape:?} bytes, but {found} follow; fetch it again"));
    }
    Ok((shape, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_known() {
        for name in
            ["train-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz", "emnist-letters-train-images-idx3-ubyte.gz"]
        {
            assert!(is_images(Path::new(name)), "{name}");
        }
        assert!(!is_images(Path::new("train-labels-idx1-ubyte")) && !is_images(Path::new("images.png")));
    }

    #[test]
    fn headers_that_lie_take_no_memory() {
        let claim = |sizes: &[u32]| {
            let mut bytes = vec![0, 0, 8, sizes.len() as u8];
            sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
            payload(&bytes[..], bytes.len() as u64).unwrap_err()
        };
        assert!(claim(&[u32::MAX, u32::MAX, u32::MAX]).contains("absurd"));
        assert!(claim(&[u32::MAX, 28, 28]).contains("but 0 follow"));
    }
}
