//! What to do about errors.

use std::fmt;
use std::path::PathBuf;

/// What to do about an [`Error`](crate::Error), for programs that embed the library; the command words it in its
/// own way.
///
/// ```
/// use deepaug::{Error, Remedy};
///
/// let error = Error::Interrupted { path: "my-study".into() };
/// assert_eq!(error.remedy(), Some(Remedy::Resume { study: "my-study".into() }));
/// assert_eq!(error.in_full(), "stopped; everything finished is kept. Continue by resuming the study in my-study");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Use another device.
    AnotherDevice,
    /// Update the device's driver, or use another device.
    UpdateDriver,
    /// Build the program for GPUs, or use another device.
    BuildForGpu,
    /// Resume the study when its device works again, or on another.
    ResumeOnDevice,
    /// Resume the study.
    Resume {
        /// Its folder.
        study: PathBuf,
    },
    /// Repeat the call, which continues where it stopped.
    Again,
    /// Choose another folder, or resume the study in this one.
    AnotherFolder,
    /// Choose a folder that is empty or does not exist.
    EmptyFolder,
    /// Finish the search first, or, if its trials are judged elsewhere, rebuild its results.
    FinishSearch {
        /// Its folder.
        study: PathBuf,
    },
    /// Name a net that is trained here.
    NameNet,
    /// Restore what the study was made with, or make a new one.
    RestoreStudy,
    /// Compare with the same options, or under another name.
    AnotherName,
    /// Continue by asking and telling.
    AskAndTell,
    /// Ask for the trial first.
    AskFirst,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherDevice => f.write_str("Use the CPU, or whatever device is available"),
            Self::UpdateDriver => f.write_str("Update its driver, or use the CPU"),
            Self::BuildForGpu => f.write_str("Build deepaug with the feature \"gpu\", or use the CPU"),
            Self::ResumeOnDevice => f.write_str("Resume the study when the device works again, or on another"),
            Self::Resume { study } => write!(f, "Continue by resuming the study in {}", study.display()),
            Self::Again => f.write_str("Repeat the call to continue"),
            Self::AnotherFolder => f.write_str("Choose another folder, or resume the study there"),
            Self::EmptyFolder => f.write_str("Choose a folder that is empty or does not exist"),
            Self::FinishSearch { study } => {
                let study = study.display();
                write!(f, "Resume the study in {study}, or, if other programs judge its trials, rebuild its results")
            }
            Self::NameNet => f.write_str("Name a net"),
            Self::RestoreStudy => f.write_str("Restore it in study.toml, or make a new study"),
            Self::AnotherName => f.write_str("Use the same options, or another name"),
            Self::AskAndTell => f.write_str("Continue by asking and telling"),
            Self::AskFirst => f.write_str("Ask for it first"),
        }
    }
}
