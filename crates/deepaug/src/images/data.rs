//! Reads the user's images as the configuration says, and describes them.

use std::path::Path;

use deepaug_augmenter::sheet;
use deepaug_dataset::{Dataset, ImageSize, OnBadImage, ReadOptions, Sample, Split, Summary};
use ndarray::Array3;
use serde::Serialize;

use crate::config::Config;
use crate::config::ValidConfig;
use crate::error::{ConfigError, Error};
use crate::rng::{Purpose, derive};

/// Images per class in a contact sheet.
const SHOWN: usize = 8;
/// Classes in a contact sheet.
const CLASSES: usize = 100;

/// Reads the images that a configuration names. `progress` is called, from several threads, with the number of
/// decoded images and the total.
///
/// # Errors
/// [`Error::Data`]; [`Error::Config`] if the built-in images are to be resized.
pub fn read_data(config: &ValidConfig, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Dataset, Error> {
    check_sample(config)?;
    Ok(Dataset::read_with(Path::new(&config.data), &config.read_options(), progress)?)
}

/// Reads the images without reporting progress.
pub(crate) fn read(config: &ValidConfig) -> Result<Dataset, Error> {
    read_data(config, &|_, _| ())
}

/// Returns a checksum of every pixel and label, so that a study is not resumed on other images.
pub(crate) fn fingerprint(dataset: &Dataset) -> String {
    let mut checksum = crc32fast::Hasher::new();
    for image in dataset.images().outer_iter() {
        match image.as_slice() {
            Some(pixels) => checksum.update(pixels),
            None => image.iter().for_each(|&pixel| checksum.update(&[pixel])),
        }
    }
    for &label in dataset.labels() {
        checksum.update(&(label as u64).to_le_bytes());
    }
    format!("{} images, crc32 {:08x}", dataset.len(), checksum.finalize())
}

/// Checks the size of built-in images, which is fixed. This is not part of the configuration's own check, because
/// a file may leave the data to the command line.
fn check_sample(config: &Config) -> Result<(), ConfigError> {
    if Sample::named(&config.data).is_some() && ![0, Sample::SIDE].contains(&config.image_size.unwrap_or(0)) {
        let why = "image_size: must be 0 for the built-in images, which are always 28x28";
        return Err(ConfigError::new(why));
    }
    Ok(())
}

/// Description of a set of images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataReport {
    /// Its contents, split as a search would split it.
    #[serde(flatten)]
    pub summary: Summary,
    /// Why a search would refuse it, if it would.
    pub refused: Option<String>,
}

impl DataReport {
    /// Reads and examines the images that a configuration names. Anything that would stop a search is reported
    /// instead: unreadable images are listed, and images of different sizes are resized to one.
    ///
    /// # Errors
    /// As [`read_data`], if nothing can be read.
    pub fn new(config: &ValidConfig, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<(Self, Dataset), Error> {
        check_sample(config)?;
        let asked = config.read_options();
        let image_size = if asked.image_size == ImageSize::Own { ImageSize::Auto } else { asked.image_size };
        let options = ReadOptions { image_size, on_bad_image: OnBadImage::Skip, ..asked.clone() };
        let dataset = Dataset::read_with(Path::new(&config.data), &options, progress)?;
        let split = Split::draw(&dataset, config.split_sizes(), derive(config.seed, Purpose::Split, 0));
        let summary = Summary::new(&dataset, split.as_ref().ok());
        let [height, width, _] = summary.shape;
        let refused = match (&split, &summary.skipped[..]) {
            (_, [first, ..]) if asked.on_bad_image == OnBadImage::Error => {
                Some(format!("{}: {}; or set on_bad_image = \"skip\"", first.name.display(), first.why))
            }
            (Err(error), _) => Some(error.to_string()),
            _ if asked.image_size == ImageSize::Own && summary.different_sizes > 1 => {
                Some(format!("images differ in size; set image_size (\"auto\" gives {width}x{height})"))
            }
            _ => None,
        };
        Ok((Self { summary, refused }, dataset))
    }
}

/// Draws a sheet of the first images of each class, for up to a hundred classes.
pub fn data_sheet(dataset: &Dataset) -> Array3<u8> {
    let mut of_class = vec![Vec::new(); dataset.classes().len()];
    for (image, &label) in dataset.labels().iter().enumerate() {
        of_class[label].push(image);
    }
    let row = |(name, images): (&String, &Vec<usize>)| {
        let shown = &images[..images.len().min(SHOWN)];
        (format!("{name} ({})", images.len()), dataset.gather(shown))
    };
    let rows: Vec<_> = dataset.classes().iter().zip(&of_class).take(CLASSES).map(row).collect();
    sheet::rows(&rows)
}
