//! A session from its first epoch to its last, under its training runs' own policies.

use std::ops::Range;
use std::time::Instant;

use super::Session;
use crate::{EpochRecord, History, TrainError, Training};

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
    for epoch in part.clone() {
        let changing = || trainings.iter().enumerate().filter(|(_, training)| training.changes_at(epoch + 1));
        let next = (epoch + 1 < part.end && changing().next().is_some())
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
        for (child, copies) in after.into_iter().flatten() {
            session.set_copies(child, copies)?;
        }
    }
    // The children of a stack share its time.
    let seconds = since.elapsed().as_secs_f64() / trainings.len() as f64;
    let histories = epochs.into_iter().zip(ended).map(|(epochs, ended)| match ended {
        None => Ok(History { epochs, seconds }),
        Some(error) => Err(error),
    });
    Ok(histories.collect())
}
