//! What a training was worth (DeepAugment 1.1.2: the mean of the highest validation accuracies of epochs that do not
//! overfit).

use deepaug_child_model::EpochRecord;
use serde::{Deserialize, Serialize};

/// What one training was worth. Accuracies in [0, 1], never NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// What the controller is told, averaged over a trial's samples.
    pub value: f64,
    /// Whether every epoch overfitted, so that `value` comes from the epochs that did so least.
    pub overfitted: bool,
    /// The mean of the highest validation accuracies of all epochs, for comparison: a strongly augmented training
    /// looks less overfitted than it is.
    pub top_k: f64,
}

/// The mean of the `k` highest validation accuracies among epochs whose `acc - val_acc` is at most `tolerance`, or of
/// as many as there are.
///
/// Where no such epoch exists (the original's NaN) it is the mean validation accuracy of the `k` epochs with the
/// smallest gap: a value the training did reach, and no higher than its best.
///
/// ```
/// # use deepaug::{EpochRecord, reward::reward};
/// let epoch = |acc, val_acc| EpochRecord { epoch: 1, acc, loss: 1.0, val_acc, val_loss: 1.0 };
/// let epochs = [epoch(0.5, 0.5), epoch(0.6, 0.6), epoch(0.9, 0.7)]; // the last one overfits
/// assert_eq!(reward(&epochs, 2, 0.1).value, 0.55);
/// ```
pub fn reward(epochs: &[EpochRecord], k: usize, tolerance: f64) -> Reward {
    // A gap of exactly the tolerance stays in, whatever the last bit of its difference says.
    let fits = |epoch: &&EpochRecord| epoch.acc - epoch.val_acc <= tolerance + 1e-12;
    let mut kept: Vec<f64> = epochs.iter().filter(fits).map(|epoch| epoch.val_acc).collect();
    let top_k = mean_of_highest(epochs.iter().map(|epoch| epoch.val_acc).collect(), k);
    if kept.is_empty() {
        let mut by_gap: Vec<&EpochRecord> = epochs.iter().collect();
        by_gap.sort_by(|a, b| (a.acc - a.val_acc).total_cmp(&(b.acc - b.val_acc)));
        kept = by_gap.iter().take(k).map(|epoch| epoch.val_acc).collect();
        return Reward { value: mean_of_highest(kept, k), overfitted: true, top_k };
    }
    Reward { value: mean_of_highest(kept, k), overfitted: false, top_k }
}

/// The mean of the `k` highest values, 0 for none.
pub(crate) fn mean_of_highest(mut values: Vec<f64>, k: usize) -> f64 {
    values.sort_by(|a, b| b.total_cmp(a));
    values.truncate(k.max(1));
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epoch(acc: f64, val_acc: f64) -> EpochRecord {
        EpochRecord { epoch: 1, acc, loss: 1.0, val_acc, val_loss: 1.0 }
    }

    #[test]
    fn overfitting_epochs_do_not_count() {
        let epochs = [epoch(0.50, 0.48), epoch(0.60, 0.55), epoch(0.70, 0.62), epoch(0.95, 0.80)];
        let found = reward(&epochs, 3, 0.10);
        assert!((found.value - (0.48 + 0.55 + 0.62) / 3.0).abs() < 1e-12);
        assert!((found.top_k - (0.80 + 0.62 + 0.55) / 3.0).abs() < 1e-12);
        assert!(!found.overfitted);
        assert_eq!(reward(&epochs, 1, 0.06).value, 0.55);
        assert_eq!(reward(&[epoch(0.8, 0.7)], 3, 0.10).value, 0.7, "the tolerance itself is allowed");
    }

    #[test]
    fn when_all_overfit_the_least_overfitted_count_and_it_is_said() {
        let epochs = [epoch(0.7, 0.4), epoch(0.8, 0.5), epoch(0.9, 0.7)];
        let found = reward(&epochs, 1, 0.10);
        assert_eq!((found.value, found.overfitted), (0.7, true));
        assert_eq!(reward(&epochs[..2], 3, 0.1).value, 0.45);
    }

    proptest! {
        #[test]
        fn it_is_always_an_accuracy(
            epochs in prop::collection::vec((0.0f64..=1.0, 0.0f64..=1.0), 0..20), k in 0usize..6, tolerance in 0.0f64..=1.0,
        ) {
            let epochs: Vec<_> = epochs.into_iter().map(|(acc, val_acc)| epoch(acc, val_acc)).collect();
            let found = reward(&epochs, k, tolerance);
            let highest = epochs.iter().map(|epoch| epoch.val_acc).fold(0.0, f64::max);
            prop_assert!((0.0..=1.0).contains(&found.value) && found.value <= highest + 1e-12);
            prop_assert!((0.0..=1.0).contains(&found.top_k) && found.top_k <= highest + 1e-12);
        }
    }
}
