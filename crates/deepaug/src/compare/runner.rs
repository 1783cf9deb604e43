//! A comparison's trainings, written down as they end.

use std::time::Instant;

use super::{CompareEvent, Comparison, Entry, Scheme};
use crate::error::Error;
use crate::execute::{Job, JobId, Report, Trained, run_all};

/// Trains, of each (scheme, sample). Returns whether all have ended: false if it was stopped.
pub(super) fn train(
    comparison: &mut Comparison,
    todo: &[(usize, usize)],
    on_event: &dyn Fn(&CompareEvent),
) -> Result<bool, Error> {
    if todo.is_empty() {
        return Ok(true);
    }
    let Comparison { training, schemes, journal, known, cancel, compare, .. } = comparison;
    // In the order given, which is by sample: a job's place in it is what an executor goes by.
    let job = |(place, &(scheme, sample)): (usize, &(usize, usize))| {
        let Scheme { policy, settings, .. } = &schemes[scheme];
        let job = training.job(JobId { trial: place as u64, sample }, policy, *settings);
        Job { id: JobId { trial: place as u64, sample }, ..job }
    };
    let jobs = todo.iter().enumerate().map(job).collect();
    let (trainings, start, mut ended) = (compare.seeds * schemes.len(), Instant::now(), 0);
    let name = |id: JobId| (schemes[todo[id.trial as usize].0].name.clone(), id.sample);
    let mut hear = |report: Report| {
        let (scheme, sample, event, entry, outcome) = match report {
            Report::Epoch { id, record } => {
                let (scheme, sample) = name(id);
                let epochs = training.settings().epochs;
                on_event(&CompareEvent::Epoch { scheme, sample, epochs, record });
                return Ok(());
            }
            Report::Repeated { id, why } => {
                let (scheme, sample) = name(id);
                on_event(&CompareEvent::TrainingRepeated { scheme, sample, why });
                return Ok(());
            }
            Report::Ended { id, device, result } => {
                let (scheme, sample) = name(id);
                let seed = training.seed(sample);
                ended += 1;
                let left = todo.len() - ended;
                let seconds_left = start.elapsed().as_secs_f64() / ended as f64 * left as f64;
                match result {
                    Ok(Trained { history, .. }) => {
                        let accuracy = super::result::accuracy(&history);
                        let done = trainings - left;
                        let (s, h) = (scheme.clone(), history.clone());
                        let event = CompareEvent::Trained {
                            scheme: s.clone(),
                            sample,
                            accuracy,
                            done,
                            trainings,
                            seconds_left,
                        };
                        (scheme, sample, event, Entry::Trained { scheme: s, sample, seed, device, history }, Ok(h))
                    }
                    Err(why) => {
                        let s = scheme.clone();
                        let event = CompareEvent::TrainingFailed { scheme: s.clone(), sample, why: why.clone() };
                        let entry = Entry::Failed { scheme: s, sample, seed, device, why: why.clone() };
                        (scheme, sample, event, entry, Err(why))
                    }
                }
            }
            Report::Cancelled { .. } | Report::Broken { .. } => return Ok(()),
        };
        journal.append(&entry)?;
        known.insert((scheme, sample), outcome);
        on_event(&event);
        Ok(())
    };
    let mut executor = training.executor()?;
    run_all(&mut executor, jobs, &|| cancel.is_cancelled(), &mut hear)
}
