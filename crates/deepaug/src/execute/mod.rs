//! Carries out trainings: takes jobs and returns reports.
//!
//! A study trains in its own process unless it is given an executor:
//!
//! ```
//! use deepaug::execute::Executor;
//! use deepaug::{Config, Study};
//!
//! # fn main() -> Result<(), deepaug::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let out = folder.path().join("first");
//! # let mut config = Config { iters: 1, train_set_size: 40.into(), validation_set_size: 20.into(), ..Config::default() };
//! # config.model = deepaug::Model::TinyCnn;
//! # config.child_epochs = 1.into();
//! let study = Study::create(config, Some(&out))?;
//! let mut executor = study.executor()?; // or one of your own
//! assert!(executor.capacity() >= 1);
//! let result = study.run_on(&mut executor, &|event| eprintln!("{event}"))?;
//! # Ok(())
//! # }
//! ```

mod adversary;
mod density;
mod job;
mod local;
mod open;
mod scored;
mod slots;

use std::collections::BTreeSet;
use std::time::Duration;

pub use adversary::Adversary;
pub(crate) use adversary::{AdversaryRecord, adversary_schedule};
pub use density::Density;
pub use job::{ImagesPart, ImagesRef, Job, JobId, Report, Task, epoch_of_value};
pub(crate) use local::Folds;
pub use local::Local;
pub use open::open;
pub(crate) use open::open_with;
pub use scored::Scored;

use crate::error::Error;

/// How often a loop that waits for a report checks whether to stop.
pub(crate) const PULSE: Duration = Duration::from_millis(50);

/// Runs jobs and handles the executor's reports. Returns whether all have ended: once `is_stopped` returns true
/// the remaining jobs are cancelled, but what is nearly done is finished first.
///
/// # Errors
/// Errors of the executor or of the report handler; jobs are then cancelled, and reports of those that still end
/// are handled.
pub(crate) fn run_all(
    executor: &mut dyn Executor,
    jobs: Vec<Job>,
    is_stopped: &dyn Fn() -> bool,
    hear: &mut dyn FnMut(Report) -> Result<(), Error>,
) -> Result<bool, Error> {
    let mut under_way: BTreeSet<JobId> = jobs.iter().map(|job| job.id).collect();
    jobs.into_iter().try_for_each(|job| executor.submit(job))?;
    let (mut is_cancelled, mut all_ended, mut failed) = (false, true, None);
    while !under_way.is_empty() {
        if !is_cancelled && (is_stopped() || failed.is_some()) {
            is_cancelled = true;
            executor.cancel(&under_way.iter().copied().collect::<Vec<_>>());
        }
        let Some(report) = executor.next(PULSE)? else { continue };
        let report = match report {
            Report::Judged { id, .. } => {
                let why = "its executor judged it, but has to train it".into();
                Report::Ended { id, device: String::new(), result: Err(why) }
            }
            report => report,
        };
        match &report {
            Report::Ended { id, .. } => _ = under_way.remove(id),
            Report::Cancelled { id } => {
                under_way.remove(id);
                all_ended = false;
            }
            Report::Broken { .. } | Report::Epoch { .. } | Report::Repeated { .. } | Report::Judged { .. } => {}
        }
        if let Report::Broken { error } = report {
            return Err(failed.unwrap_or(error));
        }
        if let Err(error) = hear(report) {
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(all_ended), Err)
}

/// Takes jobs and returns reports. A result depends on its job alone: not on the executor, nor on when or
/// alongside what it runs.
///
/// A job is open until it is reported as [`Report::Ended`], [`Report::Judged`] or [`Report::Cancelled`], once.
pub trait Executor {
    /// Returns how many trainings can run at once; it may change between reports.
    fn capacity(&self) -> usize;

    /// Whether it trains on the device that the study has opened, so that its speed can be foretold.
    fn is_here(&self) -> bool {
        false
    }

    /// Takes a job; returns at once. Among waiting jobs, those with the lowest ids start first.
    ///
    /// # Errors
    /// [`Error`], if no further job can be taken.
    fn submit(&mut self, job: Job) -> Result<(), Error>;

    /// Returns the next report; `None` if none arrives within the timeout.
    ///
    /// # Errors
    /// [`Error`], if no further report can arrive.
    fn next(&mut self, timeout: Duration) -> Result<Option<Report>, Error>;

    /// Ends jobs after their current epoch, because they need no more: each is then reported as ended, with its
    /// epochs so far. A waiting job may be cancelled.
    fn stop(&mut self, jobs: &[JobId]);

    /// Ends jobs as soon as possible: waiting jobs at once, running ones after an epoch. Each is then reported as
    /// cancelled, or as ended if it finished first; a job past three quarters of its epochs is finished.
    fn cancel(&mut self, jobs: &[JobId]);
}
