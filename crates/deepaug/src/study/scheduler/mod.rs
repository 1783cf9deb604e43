//! Who goes on: schedulers see how trainings are getting on and stop those that are losing, or let them go on from another's net.

pub(crate) mod halving;
pub(crate) mod population;

use deepaug_augmenter::Policy;
use deepaug_child_model::EpochRecord;

use self::halving::Halving;
use crate::config::Config;

/// Decides about trainings that are under way, after each of their epochs.
///
/// A search reports the first sample of each trial, one by one as epochs end, and spares a stopped trial its other samples; trial 0, that
/// has no policy, is what others are compared with and is never reported. A [`Population`](crate::Population) reports all its members
/// together. Decisions must depend on nothing but what is given here, so that a study that is resumed goes on as it would have.
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
    /// A trial begins. `known` are the trials that the searcher has been told of by then.
    fn begin(&mut self, _trial: u64, _known: &[Finished<'_>]) {}

    /// What becomes of trainings after an epoch: a decision for each, in the same order. Those that are left out go on.
    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision>;

    /// The reward that a trial would have come to that was stopped after these epochs. `known` are the trials before it.
    fn estimate(&self, stopped: &[EpochRecord], known: &[Finished<'_>]) -> f64;
}

/// A training under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrialProgress<'a> {
    /// Its trial.
    pub trial: u64,
    /// Its epochs until now.
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

/// What becomes of a training.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Decision {
    /// It goes on.
    #[default]
    Continue,
    /// It ends here.
    Stop,
    /// It goes on from another's net and optimiser, under a policy. Only the members of a population can: to a search, whose
    /// trials are independent, this is an error.
    TakeOver {
        /// The trial whose state it gets.
        from: u64,
        /// Its own policy from now on.
        policy: Policy,
    },
}

/// The scheduler of a configuration; none if every training is whole. This is the registry: a new one is a file and a line here.
pub(crate) fn scheduler(config: &Config) -> Option<Box<dyn Scheduler>> {
    Some(Box::new(Halving::new(config)?))
}
