//! Reads the user's images as the configuration says, and describes them.

use std::path::Path;

use deepaug_augmenter::sheet;
use deepaug_dataset::{DataError, Dataset, ImageSize, OnBadImage, ReadOptions, Sample, Split, Summary};
use ndarray::Array3;
use serde::Serialize;

use crate::config::{Config, Sizes, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::files::write_whole;
use crate::rng::{Purpose, derive};
use crate::study::sizing::{USUAL_TIME, choose_parts};

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

/// Divides images as a search with a configuration divides them; with repeated hold-out, as for its first sample.
///
/// # Errors
/// [`Error::Data`]: too few images.
pub fn split(config: &ValidConfig, dataset: &Dataset) -> Result<Split, Error> {
    let mut sized = (**config).clone();
    // Epochs and policies take trainings to choose; the images do not.
    if sized.sizes == Sizes::Auto {
        choose_parts(&mut sized, dataset, USUAL_TIME)?;
    }
    Ok(Split::draw(dataset, sized.split_sizes(), derive(config.seed, Purpose::Split, 0))?)
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
    for &subgroup in dataset.subgroups().map_or(&[][..], |subgroups| &subgroups.of) {
        checksum.update(&(subgroup as u64).to_le_bytes());
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
    /// Its contents, split as a search with this configuration splits it.
    #[serde(flatten)]
    pub summary: Summary,
    /// Images that such a search has no use for: training images beyond its sizes.
    pub unused: usize,
    /// Why a search would refuse it, if it would.
    pub refused: Option<String>,
    /// The split itself, unless the data is refused.
    #[serde(skip)]
    pub split: Option<Split>,
}

impl DataReport {
    /// How the table of [`write_split`](Self::write_split) begins.
    pub const SPLIT_HEAD: &'static str = "image,class,part\n";

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
        let split = split(config, &dataset);
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
        let split = split.ok();
        let unused = split.as_ref().map_or(0, |split| split.rest.len());
        Ok((Self { summary, unused, refused, split }, dataset))
    }

    /// Writes the part of each image as a table: `image,class,part`, where parts are train, validation, test and
    /// unused. With repeated hold-out, the first sample's are written; others divide the same images outside the test
    /// set anew.
    ///
    /// # Errors
    /// [`Error::Data`] if a search would refuse the data, [`Error::File`] if the table cannot be written.
    pub fn write_split(&self, dataset: &Dataset, path: &Path) -> Result<(), Error> {
        let Some(split) = &self.split else {
            let why = self.refused.clone().unwrap_or_default();
            return Err(DataError::Unusable { path: dataset.origin().into(), why }.into());
        };
        let mut parts = vec!["unused"; dataset.len()];
        for (part, images) in [("train", &split.train), ("validation", &split.validation), ("test", &split.test)] {
            images.iter().for_each(|&image| parts[image] = part);
        }
        let mut table = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::file(path, std::io::Error::other(error));
        table.write_record(["image", "class", "part"]).map_err(failed)?;
        for (image, part) in parts.into_iter().enumerate() {
            let class = &dataset.classes()[dataset.labels()[image]];
            table.write_record([&dataset.name(image), class, part]).map_err(failed)?;
        }
        let bytes = table.into_inner().map_err(|error| Error::file(path, error.into_error()))?;
        write_whole(path, &bytes)
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
