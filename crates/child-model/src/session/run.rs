//! A session from its first epoch to its last, under its training runs' own policies.

use std::ops::Range;
use std::time::Instant;

use super::{Session, group_record};
use crate::strategy::Recorder;
use crate::{EpochRecord, History, Strategy, TrainError, Training};

/// Trains everything in the session for some epochs, which are the next. Calls `on_epoch` for each child after each epoch; if it returns false, that
/// child's training ends. With `ahead`, copies for the next epoch are made while the device trains this one.
/// `since` is when they began.
///
/// # Errors
/// What failed for all of them.
pub(crate) fn run(
    session: &mut dyn Session,
    trainings: &[&Training<'_>],
    part: Range<usize>,
    ahead: bool,
    since: Instant,
    on_epoch: &dyn Fn(usize, &EpochRecord) -> bool,
) -> Result<Vec<Result<History, TrainError>>, TrainError> {
    let mut ended: Vec<Option<TrainError>> = trainings.iter().map(|_| None).collect();
    let mut epochs: Vec<Vec<EpochRecord>> = trainings.iter().map(|_| Vec::new()).collect();
    let strategy = trainings[0].settings.strategy;
    let mut recorders: Vec<Recorder<'_>> =
        trainings.iter().map(|t| Recorder::new(strategy, t.set.labels, t.set.classes)).collect();
    let mut groups: Vec<_> = trainings.iter().map(|training| group_record(&training.set)).collect();
    // What the net makes of this epoch's images decides how the next epoch's are augmented.
    let looks_back = strategy == Strategy::Entropy;
    session.keep_losses(looks_back);
    for epoch in part.clone() {
        let changing = || trainings.iter().enumerate().filter(|(_, training)| training.changes_at(epoch + 1));
        let next = (!looks_back && epoch + 1 < part.end && changing().next().is_some())
            .then_some(|| changing().map(|(child, t)| (child, t.augmented(epoch + 1))).collect::<Vec<_>>());
        let (records, after) = match next {
            Some(next) if ahead => std::thread::scope(|scope| {
                let after = scope.spawn(next);
                let records = session.epoch();
                // If it panicked, making the copies here raises the panic again.
                (records, after.join().ok().or_else(|| Some(next())))
            }),
            next => (session.epoch(), next.map(|next| next())),
        };
        for (child, record) in records?.into_iter().enumerate() {
            match record {
                _ if ended[child].is_some() => {}
                Ok(record) => {
                    epochs[child].push(record);
                    if !on_epoch(child, &record) {
                        ended[child] = Some(TrainError::Stopped);
                    }
                }
                Err(error) => ended[child] = Some(error),
            }
        }
        if ended.iter().all(Option::is_some) {
            break;
        }
        for (child, record) in groups.iter_mut().enumerate() {
            if let (Some(record), Some(epoch)) = (record, session.groups(child)) {
                record.accuracies.push(epoch.accuracies.clone());
                record.weights.extend((!epoch.weights.is_empty()).then(|| epoch.weights.clone()));
            }
        }
        for (child, recorder) in recorders.iter_mut().enumerate() {
            recorder.epoch(epoch + 1, session.candidates(child), session.losses(child));
        }
        let after = match looks_back && epoch + 1 < part.end {
            true => {
                let made =
                    trainings.iter().zip(&recorders).map(|(t, recorder)| t.augmented_by(&recorder.sureness, epoch + 1));
                Some(made.enumerate().collect())
            }
            false => after,
        };
        for (child, copies) in after.into_iter().flatten() {
            session.set_copies(child, copies)?;
        }
    }
    // The children of a stack share its time.
    let seconds = since.elapsed().as_secs_f64() / trainings.len() as f64;
    let found = recorders.into_iter().zip(groups);
    let histories = epochs.into_iter().zip(ended).zip(found).map(|((epochs, ended), (recorder, groups))| match ended {
        None => Ok(History { epochs, seconds, strategy: recorder.finish(), groups }),
        Some(error) => Err(error),
    });
    Ok(histories.collect())
}
