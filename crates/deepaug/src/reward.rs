//! The reward of a training (DeepAugment 1.1.2: the mean of the highest validation accuracies of epochs that do
//! not overfit).

use deepaug_child_model::EpochRecord;
use serde::{Deserialize, Serialize};

use crate::config::{OverfitMeasure, RewardKind};

/// The reward of one training. Accuracies are in [0, 1], never NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// The value that the controller is told, averaged over a trial's samples.
    pub value: f64,
    /// Whether too few epochs did not overfit, so that `value` partly comes from the least overfitted ones.
    pub overfitted: bool,
    /// The mean of the highest validation accuracies of all epochs, for comparison: a strongly augmented training
    /// looks less overfitted than it is.
    pub top_k: f64,
}

impl Reward {
    /// Converts it back to the direction in which it was told.
    pub(crate) fn as_told(self, kind: RewardKind) -> Self {
        Self { value: kind.merit(self.value), top_k: kind.merit(self.top_k), ..self }
    }
}

impl OverfitMeasure {
    /// Returns how far training accuracy exceeds validation accuracy; absent if it was not measured, as by a
    /// user's program, or if nothing counts as overfitting.
    fn gap(self, epoch: &EpochRecord) -> Option<f64> {
        match self {
            // Children that do not measure it use what they have.
            Self::Evaluation => Some(epoch.train_acc.unwrap_or(epoch.acc) - epoch.val_acc),
            Self::DeepAugment => Some(epoch.acc - epoch.val_acc),
            Self::Off => None,
        }
    }
}

/// Returns the mean of the `k` highest validation accuracies among epochs that do not overfit: those whose gap, by
/// `measure`, is at most `tolerance`.
///
/// If fewer than `k` epochs pass, the epochs with the smallest gaps stand in for the missing ones, and the reward
/// is marked as overfitted: a value that the training did reach, and no higher than its best. With
/// [`OverfitMeasure::DeepAugment`] this happens only if no epoch passes (the original has NaN there); fewer than
/// `k` epochs are averaged as they are.
///
/// ```
/// # use deepaug::{EpochRecord, OverfitMeasure, reward::reward};
/// let epoch = |acc, val_acc| EpochRecord { epoch: 1, acc, loss: 1.0, val_acc, val_loss: 1.0, train_acc: Some(acc) };
/// let epochs = [epoch(0.5, 0.5), epoch(0.6, 0.6), epoch(0.9, 0.7)]; // the last one overfits
/// assert_eq!(reward(&epochs, 2, OverfitMeasure::Evaluation, 0.1).value, 0.55);
/// assert!((reward(&epochs, 2, OverfitMeasure::Off, 0.1).value - 0.65).abs() < 1e-12);
/// ```
pub fn reward(epochs: &[EpochRecord], k: usize, measure: OverfitMeasure, tolerance: f64) -> Reward {
    // A gap of exactly the tolerance passes, whatever the last bit of the difference says.
    let fits = |epoch: &EpochRecord| measure.gap(epoch).is_none_or(|gap| gap <= tolerance + 1e-12);
    let accuracies = |epochs: &[&EpochRecord]| epochs.iter().map(|epoch| epoch.val_acc).collect();
    let (mut kept, mut others): (Vec<&EpochRecord>, Vec<&EpochRecord>) = epochs.iter().partition(|epoch| fits(epoch));
    let top_k = mean_of_highest(epochs.iter().map(|epoch| epoch.val_acc).collect(), k);
    let lacking = match measure {
        OverfitMeasure::DeepAugment if !kept.is_empty() => 0,
        _ => k.saturating_sub(kept.len()),
    };
    others.sort_by(|a, b| measure.gap(a).unwrap_or(0.0).total_cmp(&measure.gap(b).unwrap_or(0.0)));
    let overfitted = lacking > 0 && !others.is_empty();
    kept.extend(others.into_iter().take(lacking));
    Reward { value: mean_of_highest(accuracies(&kept), k), overfitted, top_k }
}

/// Returns the mean of the `k` highest values, 0 for none.
pub(crate) fn mean_of_highest(mut values: Vec<f64>, k: usize) -> f64 {
    values.sort_by(|a, b| b.total_cmp(a));
    values.truncate(k.max(1));
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEASURE: OverfitMeasure = OverfitMeasure::Evaluation;

    fn epoch(acc: f64, val_acc: f64) -> EpochRecord {
        EpochRecord { epoch: 1, acc, loss: 1.0, val_acc, val_loss: 1.0, train_acc: None }
    }

    #[test]
    fn overfitting_epochs_do_not_count() {
        let epochs = [epoch(0.50, 0.48), epoch(0.60, 0.55), epoch(0.70, 0.62), epoch(0.95, 0.80)];
        let found = reward(&epochs, 3, MEASURE, 0.10);
        assert!((found.value - (0.48 + 0.55 + 0.62) / 3.0).abs() < 1e-12);
        assert!((found.top_k - (0.80 + 0.62 + 0.55) / 3.0).abs() < 1e-12);
        assert!(!found.overfitted);
        assert_eq!(reward(&epochs, 1, MEASURE, 0.06).value, 0.55);
        assert_eq!(reward(&[epoch(0.8, 0.7)], 3, MEASURE, 0.10).value, 0.7, "the tolerance itself is allowed");
    }

    #[test]
    fn the_gap_is_measured_alike_for_all_or_as_deepaugment_does_or_not_at_all() {
        let augmented = |acc, train_acc, val_acc| EpochRecord { train_acc: Some(train_acc), ..epoch(acc, val_acc) };
        // Strongly augmented: less accurate on what it trains on than on validation images, and yet overfitted.
        let epochs = [augmented(0.4, 0.55, 0.5), augmented(0.5, 0.9, 0.6)];
        let of = |measure| reward(&epochs, 1, measure, 0.1).value;
        assert_eq!(of(OverfitMeasure::Evaluation), 0.5);
        assert_eq!(of(OverfitMeasure::DeepAugment), 0.6);
        assert_eq!(of(OverfitMeasure::Off), 0.6);
        let off = reward(&epochs, 2, OverfitMeasure::Off, 0.0);
        assert_eq!((off.value, off.overfitted), (0.55, false));
    }

    #[test]
    fn what_is_lacking_is_made_up_by_the_least_overfitted_and_said() {
        let epochs = [epoch(0.5, 0.5), epoch(0.8, 0.6), epoch(0.95, 0.7)];
        let found = reward(&epochs, 2, MEASURE, 0.1);
        assert_eq!((found.value, found.overfitted), (0.55, true));
    }

    #[test]
    fn when_all_overfit_the_least_overfitted_count_and_it_is_said() {
        let epochs = [epoch(0.7, 0.4), epoch(0.8, 0.5), epoch(0.9, 0.7)];
        let found = reward(&epochs, 1, MEASURE, 0.10);
        assert_eq!((found.value, found.overfitted), (0.7, true));
        assert_eq!(reward(&epochs[..2], 3, MEASURE, 0.1).value, 0.45);
    }

    proptest! {
        #[test]
        fn it_is_always_an_accuracy(
            epochs in prop::collection::vec((0.0f64..=1.0, 0.0f64..=1.0), 0..20), k in 0usize..6, tolerance in 0.0f64..=1.0,
        ) {
            let epochs: Vec<_> = epochs.into_iter().map(|(acc, val_acc)| epoch(acc, val_acc)).collect();
            let found = reward(&epochs, k, MEASURE, tolerance);
            let highest = epochs.iter().map(|epoch| epoch.val_acc).fold(0.0, f64::max);
            prop_assert!((0.0..=1.0).contains(&found.value) && found.value <= highest + 1e-12);
            prop_assert!((0.0..=1.0).contains(&found.top_k) && found.top_k <= highest + 1e-12);
        }
    }
}
