//! Where a comparison's trainings are handed in as they end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use deepaug_child_model::{EpochRecord, History, Observer, TrainError, Training};

use super::{CompareEvent, Entry, Outcome, Scheme};
use crate::error::Error;
use crate::study::journal::Journal;
use crate::train::final_training::FinalTraining;

/// What is to be trained: (scheme, sample).
pub(super) struct Work<'a> {
    pub(super) training: &'a FinalTraining,
    pub(super) schemes: &'a [Scheme],
    pub(super) todo: &'a [(usize, usize)],
    /// Trainings in all, those that are known included.
    pub(super) trainings: usize,
}

/// Trains, writing each training down as it ends. Returns whether all have ended: false if it was stopped.
pub(super) fn train(
    work: Work<'_>,
    journal: &mut Journal<Entry>,
    known: &mut HashMap<(String, usize), Outcome>,
    stop: &AtomicBool,
    on_event: &(dyn Fn(&CompareEvent) + Sync),
) -> Result<bool, Error> {
    let trainings: Vec<Training<'_>> = work
        .todo
        .iter()
        .map(|&(scheme, sample)| {
            let Scheme { policy, settings, .. } = &work.schemes[scheme];
            work.training.training(policy, settings, sample)
        })
        .collect();
    let state = Mutex::new(State { journal, known, ended: 0, error: None });
    let desk = Desk { work: &work, state, stop, on_event, start: Instant::now() };
    let results = work.training.child.train_all(&trainings, work.training.threads(), &desk);
    let state = desk.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(error) => Err(error),
        None => Ok(!results.iter().any(|result| matches!(result, Err(TrainError::Stopped)))),
    }
}

struct State<'a> {
    journal: &'a mut Journal<Entry>,
    known: &'a mut HashMap<(String, usize), Outcome>,
    ended: usize,
    error: Option<Error>,
}

struct Desk<'a> {
    work: &'a Work<'a>,
    state: Mutex<State<'a>>,
    stop: &'a AtomicBool,
    on_event: &'a (dyn Fn(&CompareEvent) + Sync),
    start: Instant,
}

impl<'a> Desk<'a> {
    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scheme's name and the sample of a training.
    fn name(&self, index: usize) -> (String, usize) {
        let (scheme, sample) = self.work.todo[index];
        (self.work.schemes[scheme].name.clone(), sample)
    }
}

impl Observer for Desk<'_> {
    fn begins(&self, _index: usize) -> bool {
        self.state().error.is_none() && !self.stop.load(Ordering::Relaxed)
    }

    fn epoch(&self, index: usize, record: &EpochRecord) -> bool {
        let (scheme, sample) = self.name(index);
        let epochs = self.work.training.settings().epochs;
        (self.on_event)(&CompareEvent::Epoch { scheme, sample, epochs, record: *record });
        // A training whose last epoch is over has something to keep.
        record.epoch == epochs || !(self.stop.load(Ordering::Relaxed) || self.state().error.is_some())
    }

    fn finished(&self, index: usize, result: &Result<History, TrainError>) {
        let (scheme, sample) = self.name(index);
        let seed = self.work.training.seed(sample);
        let device = self.work.training.child.device_kind().to_string();
        let (entry, outcome) = match result {
            Err(TrainError::Stopped) => return,
            // Not the training's fault, and no other training can do better.
            Err(error @ TrainError::Device { .. }) => {
                let mut state = self.state();
                state.error = state.error.take().or(Some(Error::Child(error.clone())));
                return;
            }
            Ok(history) => {
                let history = history.clone();
                (Entry::Trained { scheme: scheme.clone(), sample, seed, device, history: history.clone() }, Ok(history))
            }
            Err(error) => {
                let why = error.to_string();
                (Entry::Failed { scheme: scheme.clone(), sample, seed, device, why: why.clone() }, Err(why))
            }
        };
        let event = {
            let mut state = self.state();
            if let Err(error) = state.journal.append(&entry) {
                state.error = state.error.take().or(Some(error));
                return;
            }
            state.ended += 1;
            let (ended, todo) = (state.ended, self.work.todo.len());
            let seconds_left = self.start.elapsed().as_secs_f64() / ended as f64 * (todo - ended) as f64;
            let (trainings, done) = (self.work.trainings, self.work.trainings - todo + ended);
            state.known.insert((scheme.clone(), sample), outcome.clone());
            match outcome {
                Ok(history) => {
                    let accuracy = super::result::accuracy(&history);
                    CompareEvent::Trained { scheme, sample, accuracy, done, trainings, seconds_left }
                }
                Err(why) => CompareEvent::TrainingFailed { scheme, sample, why },
            }
        };
        (self.on_event)(&event);
    }
}
