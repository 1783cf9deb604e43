//! A session from its first epoch to its last, under its training runs' own policies.

use std::time::Instant;

use super::Session;
use crate::{EpochRecord, History, TrainError, Training};

/// Trains everything in the session. Calls `on_epoch` for each child after each epoch; if it returns false, that
/// child's training ends. With `ahead`, copies for the next epoch are made while the device trains this one.
/// `since` is when they began.
///
/// # Errors
/// What failed for all of them.
pub(crate) fn run(
    session: &mut dyn Session,
    trainings: &[&Training<'_>],
    ahead: bool,
    since: Instant,
    on_epoch: &dyn Fn(usize, &EpochRecord) -> bool,
) -> Result<Vec<Result<History, TrainError>>, TrainError> {
    let settings = trainings[0].settings;
    let mut ended: Vec<Option<TrainError>> = trainings.iter().map(|_| None).collect();
    let mut epochs: Vec<Vec<EpochRecord>> = trainings.iter().map(|_| Vec::new()).collect();
    for epoch in 0..settings.epochs {
        let next = (!settings.augment.is_once() && epoch + 1 < settings.epochs)
            .then_some(|| trainings.iter().map(|t| t.augmented(epoch + 1)).collect::<Vec<_>>());
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
        for (child, copies) in after.into_iter().flatten().enumerate() {
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
