//! Makes a study's folder, and reads its configuration back.

use std::path::{Path, PathBuf};

use deepaug_child_model::DeviceChoice;
use deepaug_dataset::{Dataset, Sample};

use crate::config::{Config, ValidConfig};
use crate::error::Error;
use crate::images::data::read_data;
use crate::layout;
use crate::remedy::Remedy;
use crate::study::journal::{Entry, Journal};
use crate::study::ledger::Ledger;

/// The default folder for studies.
const STUDIES: &str = "reports/experiments";

/// Changes to a study when it is resumed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    /// More iterations than before.
    pub iters: Option<u64>,
    /// Another device; its trainings are then no longer identical bit for bit.
    pub device: Option<DeviceChoice>,
}

/// Returns the configuration as a file.
pub(crate) fn frozen(config: &Config) -> String {
    format!("# Frozen by deepaug {}.\n\n{}", env!("CARGO_PKG_VERSION"), config.documented())
}

/// Reads the configuration of a study on disk.
pub(crate) fn read_frozen(folder: &Path) -> Result<ValidConfig, Error> {
    let path = folder.join(layout::CONFIG);
    if !path.is_file() {
        return Err(Error::study(folder, format!("not a study: there is no {} in it", layout::CONFIG)));
    }
    Ok(Config::read(&path)?.check()?)
}

/// Reads the configuration of a study on disk.
///
/// # Errors
/// [`Error::Study`]: there is none. [`Error::Config`]: its study.toml was changed and is wrong.
pub fn study_config(folder: &Path) -> Result<ValidConfig, Error> {
    read_frozen(folder)
}

/// Reads what a study knows so far from its journal, without opening it for writing.
pub(crate) fn read_ledger(folder: &Path) -> Result<(ValidConfig, Ledger), Error> {
    let config = read_frozen(folder)?;
    let ledger = Ledger::new(&config, Journal::read(&folder.join(layout::JOURNAL))?);
    Ok((config, ledger))
}

/// Reads the images of a study on disk. A study whose trials other programs judge has those that its configuration names, and
/// never the built-in ones, which are only its default.
pub(crate) fn read_images(folder: &Path, config: &ValidConfig) -> Result<Dataset, Error> {
    let is_outside = || Journal::<Entry>::is_outside(&folder.join(layout::JOURNAL));
    if Sample::named(&config.data).is_some() && is_outside()? {
        let why = "other programs judge its trials, and its configuration names no images; set data in its study.toml";
        return Err(Error::study(folder, why));
    }
    read_data(config, &|_, _| ())
}

/// Reads the configuration of a study on disk, and applies changes.
pub(crate) fn thaw(folder: &Path, changes: &Changes) -> Result<ValidConfig, Error> {
    let mut config = read_frozen(folder)?.into_inner();
    if let Some(iters) = changes.iters {
        if iters < config.iters {
            return Err(Error::study(
                folder,
                format!("the study was made for {} iterations; it can have more, but not fewer", config.iters),
            ));
        }
        config.iters = iters;
    }
    config.device = changes.device.unwrap_or(config.device);
    Ok(config.check()?)
}

/// Makes the requested folder, which must be new or empty but for images that were given in memory.
pub(crate) fn claim(folder: &Path) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
    let mut inside = std::fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    if inside.any(|entry| entry.map_or(true, |entry| entry.file_name() != layout::IMAGES)) {
        return Err(Error::study(folder, "is not empty").with(Remedy::AnotherFolder));
    }
    Ok(folder.into())
}

/// Makes a folder for a study whose images are in memory, where a program then keeps them as `images.npz`, so that the
/// study can be resumed and compared without it: the folder asked for, which must be new or empty, or the next free one.
/// Returns it with the path for the images, which a configuration should name as its data. `name` begins the name of a
/// free one.
///
/// # Errors
/// [`Error::Study`], [`Error::File`].
pub fn folder_with_images(name: &str, folder: Option<&Path>) -> Result<[PathBuf; 2], Error> {
    let folder = match folder {
        Some(folder) => claim(folder)?,
        None => next_free(Path::new(name))?,
    };
    let folder = folder.canonicalize().map_err(|error| Error::file(&folder, error))?;
    let images = folder.join(layout::IMAGES);
    Ok([folder, images])
}

/// Makes the next free folder: a name, such as that of a data set's file, and a number.
pub(crate) fn next_free(name: &Path) -> Result<PathBuf, Error> {
    let root = Path::new(STUDIES);
    std::fs::create_dir_all(root).map_err(|error| Error::file(root, error))?;
    let name = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1;
    loop {
        let folder = root.join(format!("{name}-{number:03}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::file(&folder, error)),
        }
    }
}

/// Removes what was made of a study that cannot be completed, and leaves files that are not ours.
pub(crate) fn unmake(folder: &Path) {
    for name in [layout::CONFIG, layout::JOURNAL, layout::LOCK] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    let _ = std::fs::remove_dir(folder);
}
