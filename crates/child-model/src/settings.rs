//! How children are trained.

use deepaug_augmenter::Application;
use serde::{Deserialize, Serialize};

use crate::{GroupDro, Optimiser, Strategy};

/// Settings shared by all training runs of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Number of passes over `images_per_epoch` images.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Images an epoch draws from originals and copies; `None` draws as many as there are. Rounded up to whole
    /// batches.
    ///
    /// The same number for every policy keeps the number of steps equal, so that a policy is not rewarded for
    /// training longer.
    pub images_per_epoch: Option<usize>,
    /// How weights are changed.
    pub optimiser: Optimiser,
    /// The share of each target that is spread over all classes (Szegedy et al. 2016), in `[0, 1)`.
    pub label_smoothing: f64,
    /// Images are mixed with others by shares from Beta(`mixup`, `mixup`) (Zhang et al. 2018); 0 for never.
    pub mixup: f64,
    /// How the policy is applied during training.
    pub augment: Application,
    /// How training uses what the policy makes of an image.
    #[serde(default, skip_serializing_if = "Strategy::is_plain")]
    pub strategy: Strategy,
    /// Weight of the entropy of the net's probabilities beside the cross-entropy, as a share of the entropy of equal
    /// ones (Yang et al. 2024, EntLoss); 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub entropy_loss: f64,
    /// How groups are weighted, if it is not the mean over images that is made small. Images must have
    /// [subgroups](crate::Subgroups), and nothing is mixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub robust: Option<GroupDro>,
    /// Whether the values that the net sees are standardised: the mean of all training image values is subtracted
    /// and the result divided by their deviation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standardize: bool,
    /// Number of original training images, evenly spaced over all of them, whose accuracy is measured after each
    /// epoch; 0 for none.
    #[serde(default)]
    pub measured: usize,
}

fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

impl Settings {
    /// Returns settings with this many epochs, batches of 64, an optimiser, and nothing else.
    pub const fn plain(epochs: usize, optimiser: Optimiser) -> Self {
        Self {
            epochs,
            batch_size: 64,
            images_per_epoch: None,
            optimiser,
            label_smoothing: 0.0,
            mixup: 0.0,
            augment: Application::Once,
            strategy: Strategy::Plain,
            entropy_loss: 0.0,
            robust: None,
            standardize: false,
            measured: 0,
        }
    }
}
