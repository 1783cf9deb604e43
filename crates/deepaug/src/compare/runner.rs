//! Runs a comparison's trainings, recording each as it ends.

use std::time::Instant;

use super::{CompareEvent, Comparison, Entry, Scheme, TrainingResult};
use crate::error::Error;
use crate::execute::{Executor, Job, JobId, Report, Task, run_all};

/// Trains each (scheme, sample). Returns whether all have ended: false if it was stopped.
pub(super) fn train(
    comparison: &mut Comparison,
    todo: &[(usize, usize)],
    executor: &mut dyn Executor,
    on_event: &dyn Fn(&CompareEvent),
) -> Result<bool, Error> {
    if todo.is_empty() {
        return Ok(true);
    }
    let Comparison { training, schemes, journal, known, cancel, compare, .. } = comparison;
    // An executor starts with the lowest ids, which are places in the given order, sorted by sample.
    let job = |(place, &(scheme, sample)): (usize, &(usize, usize))| {
        let Scheme { policy, settings, adversary, .. } = &schemes[scheme];
        let job = training.job(JobId { trial: place as u64, sample }, policy, *settings);
        let task = adversary.clone().map_or(Task::Train, |adversary| Task::Oppose { adversary, weights: None });
        Job { task, ..job }
    };
    let jobs = todo.iter().enumerate().map(job).collect();
    let (trainings, start, mut left) = (compare.seeds * schemes.len(), Instant::now(), todo.len());
    let name = |id: JobId| (schemes[todo[id.trial as usize].0].name.clone(), id.sample);
    let mut hear = |report: Report| {
        let event = match report {
            Report::Epoch { id, record } => {
                let (scheme, sample) = name(id);
                CompareEvent::Epoch { scheme, sample, epochs: training.settings().epochs, record }
            }
            Report::Repeated { id, why } => {
                let (scheme, sample) = name(id);
                CompareEvent::TrainingRepeated { scheme, sample, why }
            }
            Report::Ended { id, device, result: outcome } => {
                let (scheme, sample) = name(id);
                left -= 1;
                journal.append(&entry(scheme.clone(), sample, training.seed(sample), device, &outcome))?;
                known.insert((scheme.clone(), sample), outcome.clone());
                let ended = (todo.len() - left) as f64;
                let seconds_left = start.elapsed().as_secs_f64() / ended * left as f64;
                match outcome {
                    Ok(history) => CompareEvent::Trained {
                        scheme,
                        sample,
                        accuracy: super::result::accuracy(&history),
                        done: trainings - left,
                        trainings,
                        seconds_left,
                    },
                    Err(why) => CompareEvent::TrainingFailed { scheme, sample, why },
                }
            }
            Report::Cancelled { .. } | Report::Broken { .. } | Report::Judged { .. } => return Ok(()),
        };
        on_event(&event);
        Ok(())
    };
    run_all(executor, jobs, &|| cancel.is_cancelled(), &mut hear)
}

fn entry(scheme: String, sample: usize, seed: u64, device: String, outcome: &TrainingResult) -> Entry {
    match outcome.clone() {
        Ok(history) => Entry::Trained { scheme, sample, seed, device, history },
        Err(why) => Entry::Failed { scheme, sample, seed, device, why },
    }
}
