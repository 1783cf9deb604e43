//! What can go wrong, and the exit code each kind has.

use std::path::{Path, PathBuf};

use deepaug_child_model::{DeviceError, TrainError};
use deepaug_controller::SearchError;
use deepaug_dataset::DataError;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{}{why}", file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default(),
    line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// The file, unless the configuration came from elsewhere.
    pub file: Option<PathBuf>,
    /// The line in it, counted from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub why: String,
}

impl ConfigError {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { file: None, line: None, why: why.into() }
    }
}

/// Why a study could not be made, run or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The images are wrong.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The child model cannot be trained.
    #[error(transparent)]
    Child(#[from] TrainError),
    /// The controller refused what it was told; a defect of this program unless the space is exhausted.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The study on disk cannot be used.
    #[error("{}: {why}", path.display())]
    Study {
        /// The study's folder or a file in it.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The user stopped the search; what had finished is kept.
    #[error("stopped; everything finished is kept. Go on with: deepaug optimize --resume \"{}\"", path.display())]
    Interrupted {
        /// The study's folder.
        path: PathBuf,
    },
    /// The user stopped a comparison; what had finished is kept.
    #[error("stopped; everything finished is kept in {}. The same command goes on", path.display())]
    Paused {
        /// The comparison's journal.
        path: PathBuf,
    },
    /// The user stopped work that has nothing to go on with.
    #[error("stopped; nothing was written")]
    Stopped,
}

impl Error {
    /// The process exit code documented in the README.
    pub fn code(&self) -> u8 {
        match self {
            Self::Data(_) | Self::Child(TrainError::TooSmall { .. }) => 4,
            Self::Device(_) | Self::Child(TrainError::Device { .. }) => 5,
            Self::Config(_) | Self::Child(TrainError::Layers { .. }) => 3,
            Self::Study { .. } | Self::Child(TrainError::Weights { .. }) => 6,
            Self::File { .. } => 7,
            Self::Child(_) => 8,
            Self::Search(_) => 70,
            Self::Interrupted { .. } | Self::Paused { .. } | Self::Stopped => 130,
        }
    }

    /// The file or folder the error is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Config(error) => error.file.as_deref(),
            Self::Data(error) => Some(error.path()),
            Self::Child(TrainError::Weights { path, .. }) => Some(path),
            Self::Study { path, .. } | Self::File { path, .. } | Self::Interrupted { path } | Self::Paused { path } => {
                Some(path)
            }
            Self::Device(_) | Self::Child(_) | Self::Search(_) | Self::Stopped => None,
        }
    }

    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    pub(crate) fn study(path: &Path, why: impl Into<String>) -> Self {
        Self::Study { path: path.into(), why: why.into() }
    }
}
