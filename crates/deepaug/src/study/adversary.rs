//! A child that is trained against an adversary before anything is tried, and what comes of it: the net, and policies.

use std::path::Path;
use std::time::Instant;

use deepaug_augmenter::Policy;
use deepaug_child_model::{History, TrainError};
use deepaug_controller::SearchError;

use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::Error;
use crate::execute::{Adversary, AdversaryRecord, Executor, Report, adversary_schedule, run_all};
use crate::layout;
use crate::rng::{Purpose, derive};
use crate::study::core::Core;
use crate::study::event::Event;
use crate::study::journal::Entry;
use crate::study::ledger::TrainingOutcome;
use crate::study::objective::Objective;
use crate::study::write_schedule;

/// What is tried after the training: a scheme that needs no search, and up to three [candidates].
pub(crate) const CANDIDATES: u64 = 4;

/// What is known about the training, once it has ended.
#[derive(Debug, Clone)]
pub(crate) struct Opposed {
    record: AdversaryRecord,
    /// Its policies and its outcome, epoch by epoch.
    epochs: Vec<(Policy, TrainingOutcome)>,
}

impl Opposed {
    pub(crate) fn new(seed: u64, device: String, record: AdversaryRecord) -> Self {
        let seconds = record.seconds / record.epochs.len().max(1) as f64;
        let outcome = |epoch| {
            let history = History::new(vec![epoch], seconds);
            TrainingOutcome::Trained { seed, device: device.clone(), history, pruned: false }
        };
        let epochs = record.policies().into_iter().zip(record.epochs.iter().copied().map(outcome)).collect();
        Self { record, epochs }
    }

    pub(crate) fn record(&self) -> &AdversaryRecord {
        &self.record
    }

    pub(crate) fn epochs(&self) -> &[(Policy, TrainingOutcome)] {
        &self.epochs
    }

    /// Returns the policies by epoch.
    fn schedule(&self) -> Option<Policy> {
        adversary_schedule(self.epochs.iter().map(|(policy, _)| policy.clone()).collect())
    }

    /// Writes its table.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        self.record.write_table(&folder.join(layout::ADVERSARY))
    }
}

/// Trains the child, from where a killed run was, and returns the policies by epoch. Writes the net, the schedule and the
/// table.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::Child`] if it diverged; errors of the executor and of files.
pub(crate) fn train(
    folder: &Path,
    core: &mut Core,
    objective: &Objective,
    executor: &mut dyn Executor,
    cancel: &Cancel,
    emit: &dyn Fn(&Event),
) -> Result<Policy, Error> {
    let [record, weights] = [layout::ADVERSARY_RECORD, layout::ADVERSARY_WEIGHTS].map(|name| folder.join(name));
    if core.ledger().opposed().is_none() {
        let job = objective.opposed(record.clone(), weights.clone());
        let (seed, epochs, begun) = (job.seed, job.settings.epochs, Instant::now());
        let mut done = 0;
        let mut hear = |report: Report| match report {
            Report::Epoch { record, .. } => {
                done += 1;
                let left = begun.elapsed().div_f64(f64::from(done)).mul_f64((epochs - record.epoch) as f64);
                emit(&Event::AdversaryEpoch { epochs, record, left: Some(left) });
                Ok(())
            }
            Report::Ended { result: Err(why), .. } => Err(Error::Child(TrainError::Failed { why })),
            Report::Ended { device, result: Ok(_), .. } => {
                let [model, module] = layout::MODEL.map(|name| folder.join(name));
                objective.write_model(&weights, [&model, &module])?;
                let record = AdversaryRecord::read(&record)?;
                let accuracy = record.epochs.last().map_or(0.0, |last| last.val_acc);
                core.note(Entry::Opposed { seed, device, record })?;
                emit(&Event::AdversaryEnded { model, accuracy });
                Ok(())
            }
            _ => Ok(()),
        };
        if !run_all(executor, vec![job], &|| cancel.is_cancelled(), &mut hear)? {
            return Err(Error::Interrupted { path: folder.into() });
        }
    }
    let config = core.config().clone();
    let opposed = core.ledger().opposed().ok_or_else(|| Error::Interrupted { path: folder.into() })?;
    opposed.record().remove(&record);
    let _ = std::fs::remove_file(&weights);
    opposed.write(folder)?;
    let schedule = opposed.schedule().unwrap_or_else(|| Policy::none(config.ranges));
    write_schedule(folder, &schedule, &config)?;
    Ok(schedule)
}

/// Returns what an adversary's policies are compared with, besides none and a free scheme: the last of them from the start,
/// and policies by epoch as it writes them without having learnt. They come first themselves.
///
/// # Errors
/// [`Error::Search`].
pub(crate) fn candidates(schedule: &Policy, config: &Config) -> Result<Vec<Policy>, Error> {
    let last = Policy { earlier: Vec::new(), epochs: 1, ..schedule.clone() };
    let random = adversary_schedule(untaught(config, config.epochs())?);
    let mut all: Vec<Policy> = Vec::new();
    for policy in [Some(schedule.clone()), Some(last), random].into_iter().flatten() {
        if !all.contains(&policy) {
            all.push(policy);
        }
    }
    Ok(all)
}

/// Returns a policy as an adversary writes it that has not learnt, for comparison.
pub(crate) fn random_policy(config: &Config) -> Result<Policy, SearchError> {
    Ok(untaught(config, 1)?.pop().unwrap_or_else(|| Policy::none(config.ranges)))
}

fn untaught(config: &Config, epochs: usize) -> Result<Vec<Policy>, SearchError> {
    // Ops that change only colours are not in the configuration of a study of grey images.
    let adversary = Adversary::new(config, true, false);
    adversary.untaught(epochs, derive(config.seed, Purpose::RandomPolicies, 2))
}
