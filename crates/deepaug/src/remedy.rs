//! What to do about errors.

use std::fmt;
use std::path::PathBuf;

/// What to do about an [`Error`](crate::Error). It is said as whoever embeds the library would do it; a command says it in words of its
/// own.
///
/// ```
/// use deepaug::{Error, Remedy};
///
/// let error = Error::Interrupted { path: "my-study".into() };
/// assert_eq!(error.remedy(), Some(Remedy::Resume { study: "my-study".into() }));
/// assert_eq!(error.in_full(), "stopped; everything finished is kept. Go on by resuming the study in my-study");
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
    /// Go on with the study when its device works again, or on another.
    ResumeOnDevice,
    /// Go on with the study.
    Resume {
        /// Its folder.
        study: PathBuf,
    },
    /// Do the same again, which goes on where it stopped.
    Again,
    /// Take another folder, or go on with the study in this one.
    AnotherFolder,
    /// Finish the search first, or, if its trials are judged elsewhere, have its results written.
    FinishSearch {
        /// Its folder.
        study: PathBuf,
    },
    /// Name a net that is trained here.
    NameNet,
    /// Restore what the study was made with, or make a new one.
    RestoreStudy,
    /// Compare as before, or under another name.
    AnotherName,
    /// Go on by asking and telling.
    AskAndTell,
    /// Ask for the trial first.
    AskFirst,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnotherDevice => f.write_str("Use the CPU, or whatever device there is"),
            Self::UpdateDriver => f.write_str("Update its driver, or use the CPU"),
            Self::BuildForGpu => f.write_str("Build it with the feature \"gpu\", or use the CPU"),
            Self::ResumeOnDevice => f.write_str("Resume the study when it works again, or on another device"),
            Self::Resume { study } => write!(f, "Go on by resuming the study in {}", study.display()),
            Self::Again => f.write_str("The same again goes on"),
            Self::AnotherFolder => f.write_str("Choose another folder, or resume the study that lies there"),
            Self::FinishSearch { study } => {
                let study = study.display();
                write!(f, "Resume the study in {study}, or, if other programs judge its trials, rebuild its results")
            }
            Self::NameNet => f.write_str("Name a net"),
            Self::RestoreStudy => f.write_str("Restore that in study.toml or make a new study"),
            Self::AnotherName => f.write_str("Give the same again, or another name"),
            Self::AskAndTell => f.write_str("Go on by asking and telling"),
            Self::AskFirst => f.write_str("Ask for it first"),
        }
    }
}
