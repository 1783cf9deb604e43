//! Errors of devices and training runs.

use std::path::PathBuf;

/// Why a device cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The GPU was asked for and there is none.
    #[error("no GPU can be used through wgpu: {why}")]
    NoGpu {
        /// What the graphics system reported.
        why: String,
    },
    /// The GPU's results differ from the CPU's.
    #[error("{name} failed its check, one training step compared with the CPU's: {why}")]
    Wrong {
        /// The adapter.
        name: String,
        /// What differs.
        why: String,
    },
    /// The GPU was asked for, but this program was built without it.
    #[error("this program was built without GPU support")]
    NotBuilt,
}

/// Why a training run produced no history.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The images are smaller than the model's layers can take.
    #[error("{model} needs images of at least {least}x{least} pixels, these are {height}x{width}; set image_size")]
    TooSmall {
        /// The model's name.
        model: String,
        /// The smallest side, in pixels.
        least: usize,
        /// Height of the images.
        height: usize,
        /// Width of the images.
        width: usize,
    },
    /// The loss became infinite or not a number.
    #[error("the training diverged in epoch {epoch}: its loss is no longer a number")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: usize,
    },
    /// The pre-trained weights cannot be read or written, or do not fit the model.
    #[error("{}: pre-trained weights cannot be used: {why}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The user's layers do not form a net.
    #[error("the child model's layers: {why}")]
    Layers {
        /// The layer and what is wrong with it.
        why: String,
    },
    /// The device failed, and failed again on retry.
    #[error("the device failed: {why}")]
    Device {
        /// What it reported.
        why: String,
    },
    /// A session was given something that does not fit it.
    #[error("a training session cannot take this: {why}")]
    Session {
        /// What does not fit.
        why: String,
    },
    /// The training runs that serve as the reference for all others failed.
    #[error("{why}")]
    Failed {
        /// Which runs, and where the reason is given.
        why: String,
    },
    /// The user's program failed.
    #[error("the child program failed: {why}")]
    Program {
        /// What it did or reported.
        why: String,
    },
    /// The user's program was killed from outside.
    #[error("the child program failed: {why}")]
    Killed {
        /// What it did or reported.
        why: String,
    },
    /// The caller asked the training to stop.
    #[error("the training was stopped")]
    Stopped,
    /// The training thread panicked.
    #[error("the training failed: {why}")]
    Panicked {
        /// The panic's message.
        why: String,
    },
}

impl TrainError {
    /// Whether the failure was not caused by the training itself, so that a retry may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Killed { .. } | Self::Panicked { .. })
    }
}
