//! Schedulers decide which trainings continue: they watch them and stop those that are losing, or let them take
//! over another's net.

pub(crate) mod halving;

use deepaug_augmenter::Policy;
use deepaug_child_model::EpochRecord;

use self::halving::Halving;
use crate::config::Config;

/// Decides about running trainings after each of their epochs.
///
/// A search reports the first sample of each trial, one by one as epochs end, and saves a stopped trial its other
/// samples; trial 0, which has no policy, is the reference for others and is never reported. With the method `pba`, a
/// population reports all its members together, every `interval` epochs; they are numbered like trials, and one that
/// diverged has fewer epochs than the others. Decisions must depend only on what is given here, so that a resumed study
/// continues as it would have.
///
/// ```
/// use deepaug::controller::Outcome;
/// use deepaug::prelude::*;
/// use deepaug::{Decision, Finished, TrialProgress, Scheduler};
///
/// /// Gives up what has not learnt anything after three epochs.
/// struct Guess {
///     classes: f64,
/// }
///
/// impl Scheduler for Guess {
///     fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
///         let is_guess = |report: &TrialProgress<'_>| report.epochs.len() == 3 && report.epochs[2].val_acc < 1.5 / self.classes;
///         let decide = |report| if is_guess(report) { Decision::Stop } else { Decision::Continue };
///         reports.iter().map(decide).collect()
///     }
///
///     fn estimate(&self, stopped: &[EpochRecord], _: &[Finished<'_>]) -> f64 {
///         stopped.last().map_or(0.0, |epoch| epoch.val_acc)
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let out = folder.path().join("first");
/// # let mut config = Config { iters: 1, train_set_size: 40.into(), validation_set_size: 20.into(), ..Config::default() };
/// # config.model = deepaug::Model::TinyCnn;
/// # config.child_epochs = 4.into();
/// let study = Study::builder(config).folder(&out).scheduler("guess", || Box::new(Guess { classes: 10.0 })).create()?;
/// # study.run(&|_| ())?;
/// # Ok(())
/// # }
/// ```
pub trait Scheduler: Send {
    /// Called when a trial begins. `known` holds the trials that the searcher has been told about by then.
    fn begin(&mut self, _trial: u64, _known: &[Finished<'_>]) {}

    /// Decides about trainings after an epoch: a decision for each, in the same order. Those left out continue.
    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision>;

    /// Estimates the reward of a trial that was stopped after these epochs. `known` holds the trials before it.
    fn estimate(&self, stopped: &[EpochRecord], known: &[Finished<'_>]) -> f64;
}

/// A running training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialProgress<'a> {
    /// Its trial.
    pub trial: u64,
    /// Its epochs so far.
    pub epochs: &'a [EpochRecord],
}

/// A trial that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finished<'a> {
    /// The epochs of its first sample.
    pub epochs: &'a [EpochRecord],
    /// Its reward, if it was not stopped and did not fail.
    pub reward: Option<f64>,
}

/// A decision about a training.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Decision {
    /// It continues.
    #[default]
    Continue,
    /// It ends here.
    Stop,
    /// It continues from another's net and optimiser, with a policy. Only the members of a population can do so:
    /// in a search, whose trials are independent, this is an error.
    TakeOver {
        /// The trial whose state it gets.
        from: u64,
        /// Its own policy from now on.
        policy: Policy,
    },
}

/// Makes the scheduler of a configuration; `None` if every training is complete. This is the registry: a new
/// scheduler is a file and a line here.
pub(crate) fn scheduler(config: &Config) -> Option<Box<dyn Scheduler>> {
    Some(Box::new(Halving::new(config)?))
}
