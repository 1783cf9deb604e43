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
    /// How each group of images fared, if their [subgroups](crate::Subgroups) are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupRecord>,
}

/// How each group of images fared: those of one class and one subgroup, class by class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Number of subgroups; a class has so many groups.
    pub subgroups: usize,
    /// Images to learn from of each group.
    pub images: Vec<usize>,
    /// Images to measure on of each group.
    pub validation: Vec<usize>,
    /// The accuracy on those in each epoch; absent for groups without any.
    pub accuracies: Vec<Vec<Option<f64>>>,
    /// What the loss of each group counted at the end of each epoch, if groups were [weighted](crate::GroupDro).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Vec<f64>>,
}

impl GroupRecord {
    /// Returns the lowest accuracy of any group after the last epoch.
    pub fn worst(&self) -> Option<f64> {
        self.accuracies.last()?.iter().flatten().copied().min_by(f64::total_cmp)
    }
}

impl History {
    /// Makes the history of a training run without a strategy of its own.
    pub fn new(epochs: Vec<EpochRecord>, seconds: f64) -> Self {
        Self { epochs, seconds, strategy: None, groups: None }
    }
}
