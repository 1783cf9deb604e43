//! The result of a training run.

use serde::{Deserialize, Serialize};

use crate::StrategyRecord;

/// One epoch of one training run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Accuracy in [0, 1] on the augmented images as they are trained on, with dropout.
    pub acc: f64,
    /// Mean cross-entropy over the same images.
    pub loss: f64,
    /// Accuracy in [0, 1] on the validation images after the epoch.
    pub val_acc: f64,
    /// Mean cross-entropy on the validation images after the epoch.
    pub val_loss: f64,
    /// Accuracy in [0, 1] on original training images after the epoch, measured as on validation images: without
    /// augmentation or dropout. Absent unless [`Settings::measured`](crate::Settings::measured) asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_acc: Option<f64>,
}

/// All epochs of one training run, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One record per epoch.
    pub epochs: Vec<EpochRecord>,
    /// How long its epochs took; children of one pass share its time equally. The time to make copies beforehand
    /// does not count.
    pub seconds: f64,
    /// What its [strategy](crate::Strategy) found, if it was not a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyRecord>,
}

impl History {
    /// Makes the history of a training run without a strategy of its own.
    pub fn new(epochs: Vec<EpochRecord>, seconds: f64) -> Self {
        Self { epochs, seconds, strategy: None }
    }
}
