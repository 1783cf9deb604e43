//! How children are trained.

use deepaug_augmenter::Application;
use serde::{Deserialize, Serialize};

use crate::Optimiser;

/// What all trainings of a search share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Passes of `images_per_epoch` images.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Images an epoch draws from originals and copies; `None` draws as many as there are. Rounded up to whole batches.
    ///
    /// Equal numbers for every policy keep the number of steps equal, so that a policy is not rewarded for training
    /// longer.
    pub images_per_epoch: Option<usize>,
    /// How weights are changed.
    pub optimiser: Optimiser,
    /// The share of each target that is spread over all classes (Szegedy et al. 2016), in `[0, 1)`.
    pub label_smoothing: f64,
    /// Images are mixed with others by shares from Beta(`mixup`, `mixup`) (Zhang et al. 2018); 0 for never.
    pub mixup: f64,
    /// How the training's policy is applied.
    pub augment: Application,
    /// Whether the mean of all values of the training images is taken out of what the net sees, and their deviation divided by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standardize: bool,
    /// Original training images whose accuracy is measured after each epoch, in even steps through all; 0 for none.
    #[serde(default)]
    pub measured: usize,
}

impl Settings {
    /// So many epochs of batches of 64 with an optimiser, and nothing else.
    pub const fn plain(epochs: usize, optimiser: Optimiser) -> Self {
        Self {
            epochs,
            batch_size: 64,
            images_per_epoch: None,
            optimiser,
            label_smoothing: 0.0,
            mixup: 0.0,
            augment: Application::Once,
            standardize: false,
            measured: 0,
        }
    }
}
