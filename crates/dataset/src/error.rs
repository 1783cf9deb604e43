//! Errors in a user's images.

use std::path::{Path, PathBuf};

/// Why an image set could not be read or split. Every message says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing exists at the path.
    #[error("{}: no such file or folder", path.display())]
    Missing {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path exists, but is in no known format.
    #[error(
        "{}: not an image set in a known format: {why}. Known are a folder with one folder of images per class, a table \
         (.csv, .tsv) of images and labels, Hugging Face parquet files, NumPy arrays (.npz, .npy), WebDataset shards \
         (.tar), and folders of CIFAR's or MNIST's files",
        path.display()
    )]
    Unrecognised {
        /// The path that was given.
        path: PathBuf,
        /// What was found there instead.
        why: String,
    },
    /// A file is damaged or not what its name says.
    #[error("{}: {why}", path.display())]
    Damaged {
        /// The file; for a row of a table, followed by the row number.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The images were read, but nothing can be learnt from them in this form.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// Where the images came from.
        path: PathBuf,
        /// What is wrong with them, and what to do.
        why: String,
    },
    /// The operating system could not read a file or folder.
    #[error("{}: cannot read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system reported.
        source: std::io::Error,
    },
}

impl DataError {
    /// The file or folder the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing { path }
            | Self::Unrecognised { path, .. }
            | Self::Damaged { path, .. }
            | Self::Unusable { path, .. }
            | Self::Io { path, .. } => path,
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), why: why.into() }
    }

    pub(crate) fn unusable(path: &Path, why: impl Into<String>) -> Self {
        Self::Unusable { path: path.into(), why: why.into() }
    }
}
