//! Asynchronous successive halving over epochs (L. Li et al., A system for massively parallel hyperparameter
//! tuning, MLSys 2020), in the form that stops rather than pauses.
//!
//! A trial whose first sample is behind at a rung ends there. The last rung is the complete training, after which
//! only the other samples can be saved. All first samples have the same seed, so that differences between them are
//! not differences of luck.

use std::collections::BTreeMap;

use deepaug_child_model::EpochRecord;

use super::{Decision, Finished, Scheduler, TrialProgress};
use crate::config::{Config, EarlyStopping};
use crate::reward::mean_of_highest;

impl EarlyStopping {
    /// Returns n if one trial in n continues.
    fn reduction(self) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::Median => Some(2),
            Self::Samples | Self::Halving => Some(3),
        }
    }

    /// Returns the average number of trainings of a trial with `samples` samples.
    pub(crate) fn trainings(self, samples: usize) -> f64 {
        match self.reduction() {
            None => samples as f64,
            // The first trials are compared with few.
            Some(reduction) => 1.0 + 1.4 * (samples - 1) as f64 / reduction as f64,
        }
    }
}

/// The first rung comes no earlier than one part in this many of the epochs: earlier accuracies say too little
/// about the last ones. With no rung before a quarter, the searches of `reports/studies.md` saved a factor of 2.1
/// instead of 3.7, and found no more.
const EARLIEST: usize = 16;

/// Compares trials at rungs, where one in `reduction` continues.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Halving {
    /// The rungs.
    epochs: Vec<usize>,
    /// Epochs of a complete training.
    whole: usize,
    reduction: usize,
    last_n_epochs: usize,
    /// What each trial has to reach: the epoch of each rung, and the value there.
    thresholds: BTreeMap<u64, Vec<(usize, f64)>>,
}

impl Halving {
    /// Makes the rungs of a configuration; `None` if no trial ends early.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let reduction = config.early_stopping.reduction()?;
        let shorter = |&epochs: &usize| (epochs > 1).then(|| epochs.div_ceil(reduction));
        // The highest accuracies of fewer epochs than the reward uses are not comparable.
        let least = config.epochs().div_ceil(EARLIEST).max(config.opt_last_n_epochs).min(config.epochs());
        let whole = usize::from(config.opt_samples == 1);
        let rungs = if config.early_stopping == EarlyStopping::Samples { 1 } else { usize::MAX };
        let mut epochs: Vec<usize> = std::iter::successors(Some(config.epochs()), shorter)
            .skip(whole)
            .take_while(|&e| e >= least)
            .take(rungs - whole)
            .collect();
        epochs.reverse();
        let (whole, last_n_epochs, thresholds) = (config.epochs(), config.opt_last_n_epochs, BTreeMap::new());
        Some(Self { epochs, whole, reduction, last_n_epochs, thresholds })
    }

    /// Returns the value at a rung: the mean of the highest validation accuracies so far, as in the reward.
    fn value(&self, epochs: &[EpochRecord], rung: usize) -> Option<f64> {
        let until = epochs.get(..rung)?.iter().map(|epoch| epoch.val_acc).collect();
        Some(mean_of_highest(until, self.last_n_epochs))
    }

    /// Returns what a new trial has to reach to be among the best of the known first samples. A rung with few of
    /// them has no threshold, because the best after a few epochs need not be the best in the end; after a
    /// complete training it is.
    fn thresholds(&self, known: &[Finished<'_>]) -> Vec<(usize, f64)> {
        let threshold = |&rung: &usize| {
            let mut values: Vec<f64> = known.iter().filter_map(|trial| self.value(trial.epochs, rung)).collect();
            values.sort_by(|a, b| b.total_cmp(a));
            let stay = (values.len() + 1) / self.reduction;
            let fewest = if rung == self.whole { 1 } else { 2 };
            (stay >= fewest).then(|| (rung, values[stay - 1]))
        };
        self.epochs.iter().filter_map(threshold).collect()
    }

    fn is_behind(&self, trial: u64, epochs: &[EpochRecord]) -> bool {
        let thresholds = self.thresholds.get(&trial).map_or(&[][..], Vec::as_slice);
        let least = thresholds.iter().find(|(rung, _)| *rung == epochs.len()).map(|(_, least)| *least);
        least.zip(self.value(epochs, epochs.len())).is_some_and(|(least, value)| value < least)
    }
}

impl Scheduler for Halving {
    fn begin(&mut self, trial: u64, known: &[Finished<'_>]) {
        self.thresholds.insert(trial, self.thresholds(known));
    }

    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
        let decide = |report: &TrialProgress<'_>| match self.is_behind(report.trial, report.epochs) {
            true => Decision::Stop,
            false => Decision::Continue,
        };
        reports.iter().map(decide).collect()
    }

    /// Adds to its value at its rung what others gained from there on in complete trainings, and the average
    /// difference between rewards and the values of complete first samples. The result is at most the median of
    /// what complete ones reach, unless it is complete itself, because it was stopped.
    fn estimate(&self, stopped: &[EpochRecord], known: &[Finished<'_>]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let rung = stopped.len();
        let value = self.value(stopped, rung).unwrap_or_default();
        let whole: Vec<(f64, f64, Option<f64>)> = known
            .iter()
            .filter_map(|&Finished { epochs, reward }| {
                Some((self.value(epochs, self.whole)?, self.value(epochs, rung)?, reward))
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
            Halving::new(&Config { early_stopping, child_epochs: Auto::Given(50), opt_samples, ..Config::default() })
                .unwrap()
                .epochs
        };
        assert_eq!(of(2), [50]);
        assert_eq!(of(1), [0; 0], "there are none to save");
    }

    fn rungs(early_stopping: EarlyStopping, child_epochs: usize) -> Option<Halving> {
        Halving::new(&Config {
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
            Halving::new(&config).unwrap().epochs
        };
        assert_eq!(of(9, 3, 3), [3, 9], "a reward is made of three epochs");
        assert_eq!(of(2, 3, 3), [2]);
        assert_eq!(of(9, 1, 1), [1, 3], "no other samples are left to save");
    }

    fn finished(epochs: &[EpochRecord], reward: Option<f64>) -> Finished<'_> {
        Finished { epochs, reward }
    }

    #[test]
    fn one_in_three_goes_on() {
        let mut rungs = rungs(EarlyStopping::Halving, 9).unwrap();
        let first_sample = |i: u32| epochs(&[0.1 * f64::from(i), 0.0, 0.5]);
        let first_samples: Vec<Vec<EpochRecord>> = (1..=8).map(first_sample).collect();
        let known = |n: usize| first_samples[..n].iter().map(|epochs| finished(epochs, None)).collect::<Vec<_>>();
        assert_eq!(rungs.thresholds(&known(4)), []);
        // The third highest of eight, because the ninth may be third.
        let thresholds = rungs.thresholds(&known(8));
        assert_eq!(thresholds.len(), 2);
        assert!((thresholds[0].1 - 0.6).abs() < 1e-12 && thresholds[1].0 == 3, "{thresholds:?}");
        rungs.begin(9, &known(8));
        let mut after =
            |trial, accuracies: &[f64]| rungs.report(&[TrialProgress { trial, epochs: &epochs(accuracies) }]).remove(0);
        assert_eq!(after(9, &[0.59]), Decision::Stop);
        assert_eq!(after(9, &[0.61]), Decision::Continue);
        assert_eq!(after(9, &[0.61, 0.0]), Decision::Continue, "there is no rung at epoch 2");
        assert_eq!(after(8, &[0.59]), Decision::Continue, "nothing was known when it began");
    }

    #[test]
    fn what_a_stopped_trial_would_have_come_to_is_estimated_from_the_others() {
        let rungs = rungs(EarlyStopping::Halving, 3).unwrap();
        let (a, b, c) = (epochs(&[0.3, 0.5, 0.7]), epochs(&[0.4, 0.6, 0.6]), epochs(&[0.1]));
        // Complete first samples gained 0.4 and 0.2; the reward of one was 0.02 above its first sample's value.
        let others = [finished(&a, Some(0.72)), finished(&b, None), finished(&c, None)];
        assert!((rungs.estimate(&epochs(&[0.2]), &others) - 0.52).abs() < 1e-12);
        assert!(
            (rungs.estimate(&epochs(&[0.5]), &others) - 0.72).abs() < 1e-12,
            "no more than the median of 0.6 and 0.7"
        );
        assert!((rungs.estimate(&epochs(&[0.2, 0.3, 0.9]), &others) - 0.92).abs() < 1e-12);
        assert!((rungs.estimate(&epochs(&[0.2]), &[]) - 0.2).abs() < 1e-12);
    }
}
