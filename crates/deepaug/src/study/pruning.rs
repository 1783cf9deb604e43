//! Stopping trials early that are clearly losing: successive halving over epochs, without waiting for one another (L. Li et
//! al., A system for massively parallel hyperparameter tuning, MLSys 2020), in the form that stops rather than pauses.
//!
//! A trial whose first sample is behind at a rung is pruned: it ends there, and its other samples are not trained. The last rung is the
//! whole training, after which only the other samples are left to be spared. All first samples have the same seed, so that differences between them are not differences of luck. What a new trial has to
//! reach is decided when it is proposed, from the trials that the searcher has been told, so that it does not depend on
//! timing.

use deepaug_child_model::EpochRecord;

use crate::config::{Config, EarlyStopping};
use crate::execute::Thresholds;
use crate::reward::mean_of_highest;

impl EarlyStopping {
    /// One in so many goes on.
    fn reduction(self) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::Median => Some(2),
            Self::Samples | Self::Halving => Some(3),
        }
    }

    /// Trainings of a trial on the average, of so many samples.
    pub(crate) fn trainings(self, samples: usize) -> f64 {
        match self.reduction() {
            None => samples as f64,
            // The first trials are compared with few.
            Some(reduction) => 1.0 + 1.4 * (samples - 1) as f64 / reduction as f64,
        }
    }
}

/// Accuracies of earlier epochs than this part of all say too little of the last ones. With no rung before a quarter the searches
/// of `reports/studies.md` spared a factor of 2.1 instead of 3.7, and found no more.
const EARLIEST: usize = 16;

/// The epochs at which trials are compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rungs {
    epochs: Vec<usize>,
    /// Epochs of a whole training.
    whole: usize,
    reduction: usize,
    last_n_epochs: usize,
}

impl Rungs {
    /// Those of a configuration; none if no trial ends early.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let reduction = config.early_stopping.reduction()?;
        let shorter = |&epochs: &usize| (epochs > 1).then(|| epochs.div_ceil(reduction));
        // Of fewer epochs than the reward is made of, the highest accuracies are another thing.
        let least = config.epochs().div_ceil(EARLIEST).max(config.opt_last_n_epochs).min(config.epochs());
        let whole = usize::from(config.opt_samples == 1);
        let rungs = if config.early_stopping == EarlyStopping::Samples { 1 } else { usize::MAX };
        let mut epochs: Vec<usize> = std::iter::successors(Some(config.epochs()), shorter)
            .skip(whole)
            .take_while(|&e| e >= least)
            .take(rungs - whole)
            .collect();
        epochs.reverse();
        Some(Self { epochs, whole: config.epochs(), reduction, last_n_epochs: config.opt_last_n_epochs })
    }

    /// What counts at a rung: the mean of the highest validation accuracies so far, as in the reward.
    fn value(&self, epochs: &[EpochRecord], rung: usize) -> Option<f64> {
        let until = epochs.get(..rung)?.iter().map(|epoch| epoch.val_acc).collect();
        Some(mean_of_highest(until, self.last_n_epochs))
    }

    /// What a new trial has to reach to be among the best of the first samples known. A rung with few of them has no threshold, for what
    /// is best after a few epochs need not be so in the end; after a whole training it is.
    pub(crate) fn thresholds(&self, first_samples: &[&[EpochRecord]]) -> Thresholds {
        let threshold = |&rung: &usize| {
            let mut values: Vec<f64> = first_samples.iter().filter_map(|epochs| self.value(epochs, rung)).collect();
            values.sort_by(|a, b| b.total_cmp(a));
            let stay = (values.len() + 1) / self.reduction;
            let fewest = if rung == self.whole { 1 } else { 2 };
            (stay >= fewest).then(|| (rung, values[stay - 1]))
        };
        Thresholds { top_k: self.last_n_epochs, at: self.epochs.iter().filter_map(threshold).collect() }
    }

    /// The reward that a pruned first sample would have come to, from what became of others, each given as its first sample and
    /// its reward if it was trained to the end: its value at its rung, what others gained from there on in whole trainings, and
    /// how rewards differed from the values of whole first samples, on the average. No more than the median of whole ones would come to,
    /// unless it is one itself, for it was pruned.
    pub(crate) fn estimate(&self, stopped: &[EpochRecord], others: &[(&[EpochRecord], Option<f64>)]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let rung = stopped.len();
        let value = self.value(stopped, rung).unwrap_or_default();
        let whole: Vec<(f64, f64, Option<f64>)> = others
            .iter()
            .filter_map(|(first_sample, reward)| {
                Some((self.value(first_sample, self.whole)?, self.value(first_sample, rung)?, *reward))
            })
            .collect();
        let shift = mean(&whole.iter().filter_map(|(value, _, reward)| Some((*reward)? - value)).collect::<Vec<_>>());
        if rung == self.whole {
            return value + shift;
        }
        let growth = mean(&whole.iter().map(|(value, then, _)| value - then).collect::<Vec<_>>());
        let mut values: Vec<f64> = whole.iter().map(|(value, ..)| *value).collect();
        values.sort_by(f64::total_cmp);
        let most = values.get(values.len() / 2).copied().unwrap_or(1.0);
        (value + growth).min(most) + shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::auto::Auto;

    fn epochs(accuracies: &[f64]) -> Vec<EpochRecord> {
        let record =
            |(i, &val_acc)| EpochRecord { epoch: i + 1, acc: 0.5, loss: 1.0, val_acc, val_loss: 1.0, train_acc: None };
        accuracies.iter().enumerate().map(record).collect()
    }

    #[test]
    fn other_samples_are_spared_after_a_whole_first_one() {
        let of = |opt_samples| {
            let early_stopping = EarlyStopping::Samples;
            Rungs::new(&Config { early_stopping, child_epochs: Auto::Given(50), opt_samples, ..Config::default() })
                .unwrap()
                .epochs
        };
        assert_eq!(of(2), [50]);
        assert_eq!(of(1), [0; 0], "there are none to be spared");
    }

    fn rungs(early_stopping: EarlyStopping, child_epochs: usize) -> Option<Rungs> {
        Rungs::new(&Config {
            early_stopping,
            child_epochs: Auto::Given(child_epochs),
            opt_last_n_epochs: 1,
            ..Config::default()
        })
    }

    #[test]
    fn rungs_are_thirds_or_halves_of_the_epochs() {
        assert_eq!(rungs(EarlyStopping::Off, 50), None);
        assert_eq!(rungs(EarlyStopping::Halving, 50).unwrap().epochs, [6, 17, 50]);
        assert_eq!(rungs(EarlyStopping::Median, 50).unwrap().epochs, [4, 7, 13, 25, 50]);
        assert_eq!(rungs(EarlyStopping::Halving, 9).unwrap().epochs, [1, 3, 9]);
        assert_eq!(rungs(EarlyStopping::Halving, 1).unwrap().epochs, [1]);
        let of = |child_epochs, opt_samples, opt_last_n_epochs| {
            let early_stopping = EarlyStopping::Halving;
            let config = Config {
                early_stopping,
                child_epochs: Auto::Given(child_epochs),
                opt_samples,
                opt_last_n_epochs,
                ..Config::default()
            };
            Rungs::new(&config).unwrap().epochs
        };
        assert_eq!(of(9, 3, 3), [3, 9], "a reward is made of three epochs");
        assert_eq!(of(2, 3, 3), [2]);
        assert_eq!(of(9, 1, 1), [1, 3], "no other samples are left to be spared");
    }

    #[test]
    fn one_in_three_goes_on() {
        let rungs = rungs(EarlyStopping::Halving, 9).unwrap();
        let first_sample = |i: u32| epochs(&[0.1 * f64::from(i), 0.0, 0.5]);
        let first_samples: Vec<Vec<EpochRecord>> = (1..=8).map(first_sample).collect();
        let known = |n: usize| first_samples[..n].iter().map(Vec::as_slice).collect::<Vec<_>>();
        assert_eq!(rungs.thresholds(&known(4)).at, []);
        // The third highest of eight, for a ninth may be third.
        let thresholds = rungs.thresholds(&known(8));
        assert_eq!(thresholds.at.len(), 2);
        assert!((thresholds.at[0].1 - 0.6).abs() < 1e-12 && thresholds.at[1].0 == 3, "{thresholds:?}");
        assert!(thresholds.is_pruned(&epochs(&[0.59])));
        assert!(!thresholds.is_pruned(&epochs(&[0.61])));
        assert!(!thresholds.is_pruned(&epochs(&[0.61, 0.0])), "there is no rung at epoch 2");
    }

    #[test]
    fn what_a_stopped_trial_would_have_come_to_is_estimated_from_the_others() {
        let rungs = rungs(EarlyStopping::Halving, 3).unwrap();
        let (a, b, c) = (epochs(&[0.3, 0.5, 0.7]), epochs(&[0.4, 0.6, 0.6]), epochs(&[0.1]));
        // Whole scouts gained 0.4 and 0.2; the reward of one was 0.02 above its scout's value.
        let others: Vec<(&[EpochRecord], Option<f64>)> = vec![(&a, Some(0.72)), (&b, None), (&c, None)];
        assert!((rungs.estimate(&epochs(&[0.2]), &others) - 0.52).abs() < 1e-12);
        assert!(
            (rungs.estimate(&epochs(&[0.5]), &others) - 0.72).abs() < 1e-12,
            "no more than the median of 0.6 and 0.7"
        );
        assert!((rungs.estimate(&epochs(&[0.2, 0.3, 0.9]), &others) - 0.92).abs() < 1e-12);
        assert!((rungs.estimate(&epochs(&[0.2]), &[]) - 0.2).abs() < 1e-12);
    }
}
