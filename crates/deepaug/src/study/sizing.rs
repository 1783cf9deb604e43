//! Chooses sizes from the data: images per split, epochs, policies and trainings, so that a search on any images
//! can show something in the available time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deepaug_augmenter::{Policy, RangeTable};
use deepaug_child_model::{Capacity, ChildModel, EpochRecord, History, Schedule, TrainError};
use deepaug_dataset::{Amount, Dataset, Sample, Split, SplitSizes};
use serde::Serialize;

use crate::cancel::Cancel;
use crate::config::auto::Auto;
use crate::config::{Config, Holdout, Sizes};
use crate::error::Error;
use crate::execute::{JobId, Report, run_all};
use crate::reward::mean_of_highest;
use crate::rng::{Purpose, derive};
use crate::statistics::{LEVEL, detectable, deviation, mean};
use crate::study::objective::Objective;
use crate::study::search::Trainings;

/// Maximum size of the training set, and of the validation set, in the usual time: with more, a training takes so
/// long that few fit. In four times the time, twice as many.
const MAX_IMAGES: f64 = 1000.0;

/// The share of the images outside the test set that children are trained on.
const TRAINING_SHARE: f64 = 0.7;

/// Steps of a pilot, and its minimum and maximum number of epochs. Without augmentation the small net had levelled
/// off after 900 steps on the built-in letters, and after 700 on photographs of waste (`reports/defaults.md`).
const PILOT_STEPS: usize = 1200;
const PILOT_EPOCHS: [usize; 2] = [16, 120];

/// Trainings without a policy from which the sizes are chosen.
const PILOTS: usize = 3;

/// Augmented children get this many times the epochs after which an unaugmented one no longer gains: they learn
/// more slowly and reach a higher accuracy.
const LONGER: usize = 2;

/// An unaugmented child no longer gains once it is within this of its highest accuracy.
const LEVEL_ACCURACY: f64 = 0.01;

/// The default time of a search.
pub(crate) const USUAL_TIME: Duration = Duration::from_secs(600);

/// The same for the built-in images, which show what a search does.
const SAMPLE_TIME: Duration = Duration::from_secs(165);

/// Training pixels per second of the small net on two cores of a common machine (7,000 images of 32 x 32,
/// reports/child-models.md, minus the cost of augmentation). Sizes that are not chosen for a given time depend on
/// this constant, not on the machine, so that they are reproducible.
const USUAL_SPEED: f64 = 6000.0 * 32.0 * 32.0;

/// A search with fewer trainings than this has shorter ones instead, down to a fraction of the levelling-off time:
/// it compares many policies, and what helps in the end mostly helps earlier too.
const MIN_TRAININGS: f64 = 60.0;
const SHORTEST: f64 = 0.6;

/// Maximum share of trials for schemes that need no search: in simulated searches, trying all of them followed by
/// a few proposals achieves more than trying half of them followed by more (reports/defaults.md).
const FREE: f64 = 0.75;

/// An estimate this many times the time asked for is said to be longer: estimates are within a quarter of the truth.
const LONGER_THAN_ASKED: f64 = 1.25;

/// Maximum number of trainings per policy in the search, and of policies in the final race.
const SAMPLES: usize = 2;
const FINALISTS: usize = 4;

/// Fresh seeds for each of them: with fewer an interval is too wide to show anything, and more are better spent on
/// other policies.
const MIN_SEEDS: usize = 5;
const MAX_SEEDS: usize = 20;

/// Policies to try.
const MIN_POLICIES: usize = 8;
const MAX_POLICIES: usize = 300;

/// The chosen sizes, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sizing {
    /// Numbers of images that children are trained on and judged on.
    pub images: [usize; 2],
    /// Epochs per training.
    pub epochs: usize,
    /// The epoch after which a child without augmentation no longer gained.
    pub level: usize,
    /// Policies to try.
    pub policies: u64,
    /// Trainings with fresh seeds for each confirmed policy.
    pub confirmations: usize,
    /// The accuracy without augmentation: the mean of the highest few over the first trainings.
    pub accuracy: f64,
    /// The smallest gain that the confirmation shows four times in five, in accuracy.
    pub detectable: f64,
    /// The expected time of the search.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub time: Duration,
    /// Whether that is longer than asked for, because a shorter search could show nothing.
    pub is_longer: bool,
}

fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64().round())
}

impl fmt::Display for Sizing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images: [train, validation], epochs, level, policies, confirmations, .. } = self;
        write!(
            f,
            "sizes chosen: {train} images to train on and {validation} to judge by; {epochs} epochs, because accuracy \
             without augmentation levelled off at {:.1} % by epoch {level}; {policies} policies, with {confirmations} \
             fresh seeds for each of the best\n\
             a gain of {:.1} points or more will show (four times in five); about {}",
            100.0 * self.accuracy,
            100.0 * self.detectable,
            crate::study::event::clock(self.time)
        )?;
        if self.is_longer {
            f.write_str(", which is longer than asked for: a shorter search could show nothing")?;
        }
        Ok(())
    }
}

/// Limits for a search whose sizes are chosen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// The time that it may take on this machine; by default about ten minutes on a common one.
    pub time: Option<Duration>,
    /// Policies to try; by default as many as the time allows.
    pub iters: Option<u64>,
}

/// Chooses the sizes that a configuration leaves open, or its epochs alone, from a few trainings without a policy.
///
/// # Errors
/// [`Error`], from the data or a training.
pub(crate) fn choose(
    config: &mut Config,
    dataset: &Dataset,
    child: Arc<dyn ChildModel>,
    wanted: Wanted,
    cancel: &Cancel,
) -> Result<Sizing, Error> {
    let seed = derive(config.seed, Purpose::Split, 0);
    let usual = if Sample::named(&config.data).is_some() { SAMPLE_TIME } else { USUAL_TIME };
    if config.sizes == Sizes::Auto {
        choose_parts(config, dataset, wanted.time.unwrap_or(USUAL_TIME))?;
    }
    let split = Split::draw(dataset, config.split_sizes(), seed)?;

    let steps = split.train.len().div_ceil(config.child_batch_size).max(1);
    let pilot_epochs = PILOT_STEPS.div_ceil(steps).clamp(PILOT_EPOCHS[0], PILOT_EPOCHS[1]);
    // The difficulty of a validation set is common to all policies, and adds no noise to a gain; and if a learning
    // rate falls until the end, accuracy rises until the end.
    let child_epochs = Auto::Given(pilot_epochs);
    let pilot = Config { child_epochs, holdout: Holdout::Fixed, schedule: Schedule::Constant, ..config.clone() };
    let objective = Objective::new(&pilot.check()?, dataset, &split, child)?;
    let Capacity { passes, children } = objective.capacity()?;
    let none = Policy::none(RangeTable::Monotone);
    let pilot = |sample| objective.job(JobId { trial: 0, sample }, &none);
    let at_once = (passes * children).clamp(1, PILOTS);
    let begun = std::time::Instant::now();
    let mut histories = BTreeMap::new();
    let mut hear = |report: Report| {
        if let Report::Ended { id, result, .. } = report {
            let failed = |why| Error::Child(TrainError::Failed { why });
            histories.insert(id, result.map_err(failed)?);
        }
        Ok(())
    };
    let pilots = (0..PILOTS).map(pilot).collect();
    if !run_all(&mut objective.executor()?, pilots, &|| cancel.is_cancelled(), &mut hear)? {
        return Err(Error::Stopped);
    }
    let histories: Vec<History> = histories.into_values().collect();
    // Slots without a remaining pilot wait for the others.
    let took = begun.elapsed().as_secs_f64() / PILOTS.div_ceil(at_once) as f64;

    let k = config.opt_last_n_epochs;
    let level = mean(&histories.iter().map(|history| levelled_off(&history.epochs) as f64).collect::<Vec<_>>()).round();
    // Seconds that an epoch occupies one slot: as measured on this machine, and as assumed for the sizes.
    let measured = took / pilot_epochs as f64;
    let (seconds, places, time) = match wanted.time {
        // Part of it has been used.
        Some(time) => (measured, (passes * children) as f64, time.saturating_sub(begun.elapsed())),
        None => {
            let [height, width, _] = dataset.image_shape();
            let images = split.train.len() + (split.validation.len() + objective.measured()) / 3;
            (2.0 * (images * height * width) as f64 / USUAL_SPEED, 2.0, usual)
        }
    };
    let epochs_in_all = time.as_secs_f64() * places / seconds;
    let longest = (LONGER as f64 * level).clamp(pilot_epochs as f64 / 3.0, pilot_epochs as f64);
    let fitting = match config.sizes {
        Sizes::Auto => longest.min((epochs_in_all / MIN_TRAININGS).max(SHORTEST * level)),
        Sizes::Given => longest,
    };
    let epochs = config.child_epochs.unwrap_or(fitting.round().max(k as f64) as usize);
    config.child_epochs = Auto::Given(epochs);
    if config.sizes == Sizes::Auto {
        let trainings = (epochs_in_all / epochs as f64) as usize;
        let (policies, confirmations) = allocate(trainings, config.early_stopping.trainings(SAMPLES));
        config.iters = wanted.iters.unwrap_or(policies);
        config.opt_initial_points = ((FREE * config.iters as f64) as usize).max(1);
        config.opt_samples = SAMPLES;
        config.confirm_policies = FINALISTS.min(config.iters as usize);
        config.confirm_samples = confirmations;
    }
    let (policies, confirmations) = (config.iters, config.confirm_samples);
    let accuracies: Vec<f64> = histories
        .iter()
        .map(|history| mean_of_highest(history.epochs.iter().map(|epoch| epoch.val_acc).collect(), k))
        .collect();
    // Two trainings with equal seeds differ about as much as two with different ones.
    let spread = std::f64::consts::SQRT_2 * deviation(&accuracies).unwrap_or(0.0);
    let all = config.trainings(policies + 1);
    let expected = Duration::try_from_secs_f64(measured * (epochs * all) as f64 / (passes * children) as f64);
    let expected = expected.unwrap_or(Duration::MAX);
    let sizing = Sizing {
        images: [split.train.len(), split.validation.len()],
        epochs,
        level: level as usize,
        policies,
        confirmations,
        accuracy: mean(&accuracies),
        detectable: detectable(spread, confirmations, (1.0 - LEVEL) / config.confirm_policies.max(1) as f64),
        time: expected,
        is_longer: wanted.time.is_some_and(|asked| expected > asked.mul_f64(LONGER_THAN_ASKED)),
    };
    Ok(sizing)
}

/// Chooses how many images children are trained on and judged by, of those outside the test set.
pub(crate) fn choose_parts(config: &mut Config, dataset: &Dataset, time: Duration) -> Result<(), Error> {
    let all = SplitSizes {
        train: Amount::Count(dataset.len()),
        validation: Amount::Count(dataset.len()),
        test: config.test_set_size,
    };
    let Split { train, validation, rest, .. } = Split::draw(dataset, all, derive(config.seed, Purpose::Split, 0))?;
    let usable = train.len() + validation.len() + rest.len();
    let most = (MAX_IMAGES * (time.as_secs_f64() / USUAL_TIME.as_secs_f64()).sqrt()).max(1.0) as usize;
    let train = ((TRAINING_SHARE * usable as f64) as usize).clamp(1, most);
    let classes = dataset.classes().len();
    config.train_set_size = Amount::Count(train.max(classes));
    config.validation_set_size = Amount::Count((usable - train.min(usable)).clamp(1, most).max(classes));
    Ok(())
}

/// Divides `trainings` trainings into policies to try and fresh seeds for the best: a third goes to the fresh
/// seeds, because they tell which of the best is the best.
fn allocate(trainings: usize, of_a_policy: f64) -> (u64, usize) {
    let confirmations = (trainings / 3 / (FINALISTS + 1)).clamp(MIN_SEEDS, MAX_SEEDS);
    let left = trainings.saturating_sub(confirmations * (FINALISTS + 1));
    let policies = ((left as f64 / of_a_policy) as usize).saturating_sub(1).clamp(MIN_POLICIES, MAX_POLICIES);
    (policies as u64, confirmations)
}

/// Returns the first epoch from which the accuracy, smoothed over a tenth of the training, is as high as it gets.
fn levelled_off(epochs: &[EpochRecord]) -> usize {
    let width = (epochs.len() / 10).max(1);
    let accuracies: Vec<f64> = epochs.iter().map(|epoch| epoch.val_acc).collect();
    let smooth: Vec<f64> = accuracies.windows(width).map(mean).collect();
    let highest = smooth.iter().copied().fold(0.0, f64::max);
    smooth.iter().position(|&accuracy| accuracy >= highest - LEVEL_ACCURACY).map_or(epochs.len(), |first| first + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(accuracies: impl IntoIterator<Item = f64>) -> Vec<EpochRecord> {
        let record =
            |(i, val_acc)| EpochRecord { epoch: i + 1, acc: 0.5, loss: 1.0, val_acc, val_loss: 1.0, train_acc: None };
        accuracies.into_iter().enumerate().map(record).collect()
    }

    #[test]
    fn a_training_has_levelled_off_where_it_no_longer_gains() {
        let rising = |until: usize| epochs((0..40).map(|i| 0.5 + 0.4 * (i.min(until) as f64 / until as f64)));
        let found = levelled_off(&rising(20));
        assert!((19..=24).contains(&found), "{found}");
        assert!(levelled_off(&rising(39)) > 37);
        assert_eq!(levelled_off(&epochs([0.5])), 1);
    }

    #[test]
    fn trainings_are_shared_between_the_search_and_fresh_seeds() {
        assert_eq!(allocate(10, 2.0), (8, 5));
        let (policies, seeds) = allocate(120, 2.0);
        assert!(policies as usize * SAMPLES + SAMPLES + seeds * (FINALISTS + 1) <= 120);
        assert!(policies > 30 && seeds >= 6, "{policies} {seeds}");
        assert_eq!(allocate(100_000, 2.0), (300, 20));
    }
}
