//! Why nothing could be learnt.

use std::path::PathBuf;

/// Why nothing could be learnt.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are no images.
    #[error("there are no images to learn from")]
    NoImages,
    /// A setting is out of range.
    #[error("{key}: {why}")]
    Setting {
        /// The field of the settings.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A loss became infinite or NaN.
    #[error("the {what} diverged in step {step}; a lower learning rate may help")]
    Diverged {
        /// Which net.
        what: &'static str,
        /// When, counted from 1.
        step: usize,
    },
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
    /// A file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A net on a device failed.
    #[error("the device failed: {0}")]
    Device(String),
}
