//! What can go wrong with a device or a training.

use std::path::PathBuf;

/// Why a device cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The GPU was asked for and there is none.
    #[error("no GPU can be used through wgpu: {why}")]
    NoGpu {
        /// What the graphics system said.
        why: String,
    },
    /// The GPU computes something else than the CPU.
    #[error("{name} failed its check, one training step beside the CPU's: {why}")]
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

/// Why a training gave no history.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Images smaller than the model's layers can take.
    #[error("{model} needs images of at least {least}x{least} pixels, these are {height}x{width}; set image_size")]
    TooSmall {
        /// The model's name.
        model: String,
        /// The least side in pixels.
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
    /// The pre-trained weights cannot be read, written, or do not fit the model.
    #[error("{}: pre-trained weights cannot be used: {why}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The layers of the user's own do not make a net.
    #[error("the child's layers: {why}")]
    Layers {
        /// The layer and what is wrong with it.
        why: String,
    },
    /// The device failed, also when it was tried again.
    #[error("the device failed: {why}")]
    Device {
        /// What it said.
        why: String,
    },
    /// A session was given what does not fit it.
    #[error("a training session cannot take this: {why}")]
    Session {
        /// What does not fit.
        why: String,
    },
    /// The trainings that everything is compared with failed.
    #[error("{why}")]
    Failed {
        /// Which, and what says why.
        why: String,
    },
    /// The user's program failed.
    #[error("the child program failed: {why}")]
    Program {
        /// What it did or said.
        why: String,
    },
    /// The user's program was killed from outside.
    #[error("the child program failed: {why}")]
    Killed {
        /// What it did or said.
        why: String,
    },
    /// The caller asked for the training to end.
    #[error("the training was stopped")]
    Stopped,
    /// The training's thread panicked.
    #[error("the training failed: {why}")]
    Panicked {
        /// The panic's message.
        why: String,
    },
}

impl TrainError {
    /// Whether what failed was not the training itself, so that the same training may do better when it is tried again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Killed { .. } | Self::Panicked { .. })
    }
}
