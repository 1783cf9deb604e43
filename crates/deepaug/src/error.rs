//! Errors, and the exit code of each kind.

use std::path::{Path, PathBuf};

use deepaug_child_model::{DeviceError, TrainError};
use deepaug_controller::SearchError;
use deepaug_dataset::DataError;

use crate::remedy::Remedy;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{}{why}", file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default(),
    line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// The file, unless the configuration came from elsewhere.
    pub file: Option<PathBuf>,
    /// The line in it, counted from 1, if known.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub why: String,
    /// What else to do.
    pub remedy: Option<Remedy>,
}

impl ConfigError {
    /// Makes an error without a file.
    pub fn new(why: impl Into<String>) -> Self {
        Self { file: None, line: None, why: why.into(), remedy: None }
    }
}

/// Exit code of the command: one for each kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// All went well.
    Done = 0,
    /// The command line is wrong.
    Arguments = 2,
    /// The configuration is wrong.
    Configuration = 3,
    /// The images cannot be used.
    Data = 4,
    /// The device cannot be used.
    Device = 5,
    /// The study cannot be used: it is locked, does not match, or is damaged.
    Study = 6,
    /// A file or folder cannot be read or written.
    FileSystem = 7,
    /// A child model, or a user's program, failed.
    Child = 8,
    /// Other machines cannot be used.
    Cluster = 9,
    /// A bug: this should never happen.
    Defect = 70,
    /// The user stopped it.
    Interrupted = 130,
}

impl ExitCode {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Arguments,
        Self::Configuration,
        Self::Data,
        Self::Device,
        Self::Study,
        Self::FileSystem,
        Self::Child,
        Self::Cluster,
        Self::Defect,
        Self::Interrupted,
    ];

    /// Describes the code in a word or two, as in the help of every command.
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Arguments => "wrong arguments",
            Self::Configuration => "configuration",
            Self::Data => "data",
            Self::Device => "device",
            Self::Study => "study",
            Self::FileSystem => "file system",
            Self::Child => "a child failed",
            Self::Cluster => "cluster",
            Self::Defect => "a bug in deepaug",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a study could not be made, run or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// The controller refused its input; a bug in this program, unless the space is exhausted.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The study on disk cannot be used.
    #[error("{}: {why}", path.display())]
    Study {
        /// The study's folder or a file in it.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do, if the text does not say so.
        remedy: Option<Remedy>,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Other machines cannot be used.
    #[error("{why}")]
    Cluster {
        /// What is wrong, and what to do.
        why: String,
    },
    /// The user stopped the search; finished trainings are kept.
    #[error("stopped; everything finished is kept")]
    Interrupted {
        /// The study's folder.
        path: PathBuf,
    },
    /// The user stopped a comparison; finished trainings are kept.
    #[error("stopped; everything finished is kept in {}", path.display())]
    Paused {
        /// The comparison's journal.
        path: PathBuf,
    },
    /// The user stopped work that cannot be resumed.
    #[error("stopped; nothing was written")]
    Stopped,
}

impl Error {
    /// Returns the process exit code documented in the README.
    pub fn code(&self) -> u8 {
        self.exit_code() as u8
    }

    /// Returns the exit code of a command that fails with this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Data(_) | Self::Child(TrainError::TooSmall { .. }) => ExitCode::Data,
            Self::Device(_) | Self::Child(TrainError::Device { .. }) => ExitCode::Device,
            Self::Config(_) | Self::Child(TrainError::Layers { .. }) => ExitCode::Configuration,
            Self::Study { .. } | Self::Child(TrainError::Weights { .. }) => ExitCode::Study,
            Self::File { .. } => ExitCode::FileSystem,
            Self::Child(_) => ExitCode::Child,
            Self::Search(_) => ExitCode::Defect,
            Self::Cluster { .. } => ExitCode::Cluster,
            Self::Interrupted { .. } | Self::Paused { .. } | Self::Stopped => ExitCode::Interrupted,
        }
    }

    /// Returns what to do about it, if its text does not say so.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Config(error) => error.remedy.clone(),
            Self::Device(DeviceError::NoGpu { .. }) => Some(Remedy::AnotherDevice),
            Self::Device(DeviceError::Wrong { .. }) => Some(Remedy::UpdateDriver),
            Self::Device(DeviceError::NotBuilt) => Some(Remedy::BuildForGpu),
            Self::Child(TrainError::Device { .. }) => Some(Remedy::ResumeOnDevice),
            Self::Study { remedy, .. } => remedy.clone(),
            Self::Interrupted { path } => Some(Remedy::Resume { study: path.clone() }),
            Self::Paused { .. } => Some(Remedy::Again),
            _ => None,
        }
    }

    /// Returns what is wrong, and what to do.
    pub fn in_full(&self) -> String {
        match self.remedy() {
            Some(remedy) => format!("{self}. {remedy}"),
            None => self.to_string(),
        }
    }

    /// Returns the file or folder that the error is about, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Config(error) => error.file.as_deref(),
            Self::Data(error) => Some(error.path()),
            Self::Child(TrainError::Weights { path, .. }) => Some(path),
            Self::Study { path, .. } | Self::File { path, .. } | Self::Interrupted { path } | Self::Paused { path } => {
                Some(path)
            }
            Self::Device(_) | Self::Child(_) | Self::Search(_) | Self::Cluster { .. } | Self::Stopped => None,
        }
    }

    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }

    pub(crate) fn cluster(why: impl Into<String>) -> Self {
        Self::Cluster { why: why.into() }
    }

    pub(crate) fn study(path: &Path, why: impl Into<String>) -> Self {
        Self::Study { path: path.into(), why: why.into(), remedy: None }
    }

    /// Adds what to do.
    pub(crate) fn with(self, remedy: Remedy) -> Self {
        match self {
            Self::Study { path, why, .. } => Self::Study { path, why, remedy: Some(remedy) },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_every_exit_code() {
        let readme = include_str!("../../../README.md").replace('\n', " ");
        let all = ExitCode::ALL.map(|code| format!("{} {}", code as u8, code.words())).join(" · ");
        assert!(readme.contains(&format!("Exit codes: {all}.")), "{all}");
    }
}
