//! Opens what jobs name, on this machine.

use deepaug_dataset::Dataset;

use super::{ImagesPart, ImagesRef, Local};
use crate::config::ValidConfig;
use crate::error::Error;
use crate::images::data::{fingerprint, read};
use crate::study::objective::Objective;
use crate::train::final_training::{FinalOptions, FinalTraining};

/// Opens the images and the device that a job names, and returns an executor for all jobs with the same images.
///
/// # Errors
/// [`Error`]: the images cannot be read here or are not those that the job was made for, or its device is not here.
pub fn open(images: &ImagesRef) -> Result<Local, Error> {
    open_with(images, read)
}

/// Does the same with images that are read in another way.
pub(crate) fn open_with(
    images: &ImagesRef,
    read: impl FnOnce(&ValidConfig) -> Result<Dataset, Error>,
) -> Result<Local, Error> {
    let config = (*images.config).clone().check()?;
    let dataset = read(&config)?;
    let found = fingerprint(&dataset);
    if found != images.fingerprint {
        let why = format!("these are other images than the study was made with: {found}, not {}", images.fingerprint);
        return Err(Error::study(dataset.origin(), why));
    }
    match images.part {
        ImagesPart::Search { .. } => Ok(Objective::open(&config, &dataset)?.executor()?),
        ImagesPart::Final { train_size, test_size } => {
            let options = FinalOptions { train_size, test_size, ..FinalOptions::default() };
            Ok(FinalTraining::with(config, &dataset, &options)?.executor()?)
        }
        ImagesPart::Patch => {
            let why = "model patching has translations, which only the process that made them knows";
            Err(Error::study(dataset.origin(), why))
        }
    }
}
