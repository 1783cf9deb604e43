//! Trainings as they end: into the journal at once, into the notebook in order, and never done twice.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use deepaug_augmenter::Policy;
use deepaug_child_model::{EpochRecord, History, Observer, TrainError};
use deepaug_controller::Point;

use crate::journal::{Entry, Journal};
use crate::notebook::{Notebook, Row};
use crate::reward::{Reward, reward};
use crate::{Config, Error, Event, Objective};

/// One training that is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) trial: u64,
    pub(crate) sample: usize,
    pub(crate) policy: &'a Policy,
    pub(crate) point: &'a Point,
}

/// A training that has ended, in this run or an earlier one.
#[derive(Debug, Clone)]
enum Ended {
    Trained { seed: u64, device: String, history: History },
    Failed { seed: u64, device: String, why: String },
}

#[derive(Debug)]
pub(crate) struct Recorder {
    journal: Journal,
    notebook: Notebook,
    proposed: HashMap<u64, Point>,
    known: HashMap<(u64, usize), Ended>,
    epochs: usize,
    /// Samples of the search; those above them are fresh ones.
    search_samples: usize,
    last_n_epochs: usize,
    tolerance: f64,
    trained: usize,
    failed: usize,
    fresh: usize,
}

impl Recorder {
    pub(crate) fn new(config: &Config, journal: Journal, notebook: Notebook, entries: Vec<Entry>) -> Self {
        let (mut proposed, mut known) = (HashMap::new(), HashMap::new());
        for entry in entries {
            match entry {
                Entry::Proposed { trial, point, .. } => {
                    proposed.insert(trial, point);
                }
                Entry::Trained { trial, sample, seed, device, history } => {
                    known.insert((trial, sample), Ended::Trained { seed, device, history });
                }
                Entry::Failed { trial, sample, seed, device, why } => {
                    known.insert((trial, sample), Ended::Failed { seed, device, why });
                }
                Entry::Opened { .. } => {}
            }
        }
        Self {
            journal,
            notebook,
            proposed,
            known,
            epochs: config.child_epochs,
            search_samples: config.opt_samples,
            last_n_epochs: config.opt_last_n_epochs,
            tolerance: config.overfit_tolerance,
            trained: 0,
            failed: 0,
            fresh: 0,
        }
    }

    /// Trainings that gave a history, earlier runs included.
    pub(crate) fn trained(&self) -> usize {
        self.trained
    }

    /// Trainings that failed, earlier runs included.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Trainings that an earlier run has ended.
    pub(crate) fn ended(&self) -> usize {
        self.known.len()
    }

    /// Trainings that ended in this run.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh
    }

    /// Writes a proposal down, or checks that it is what an earlier run proposed.
    pub(crate) fn propose(&mut self, trial: u64, point: &Point, policy: &Policy) -> Result<(), Error> {
        match self.proposed.get(&trial) {
            None => self.journal.append(&Entry::Proposed { trial, point: point.clone(), policy: policy.clone() }),
            Some(known) if known == point => Ok(()),
            Some(_) => Err(self.journal.mismatch(trial)),
        }
    }

    /// Puts trainings of earlier runs that this run did not ask for into the notebook, so that it holds all there are:
    /// with more iterations other policies are confirmed.
    pub(crate) fn file_rest(&mut self) -> Result<(), Error> {
        let mut rest: Vec<_> = self.known.drain().collect();
        rest.sort_by_key(|(key, _)| *key);
        for ((trial, sample), ended) in rest {
            if let Some(point) = self.proposed.get(&trial).cloned() {
                self.file(trial, sample, &point, &ended)?;
            }
        }
        Ok(())
    }

    /// Counts a training that has ended and puts it into the notebook; its reward, unless it failed.
    fn file(&mut self, trial: u64, sample: usize, point: &Point, ended: &Ended) -> Result<Option<Reward>, Error> {
        let phase = self.phase(sample);
        let row = |seed: u64, device, outcome| Row { trial, point, sample, phase, seed, device, outcome };
        match ended {
            Ended::Trained { seed, device, history } => {
                let reward = self.worth(history);
                self.trained += 1;
                self.notebook.append(&row(*seed, device, Ok((history, reward))))?;
                Ok(Some(reward))
            }
            Ended::Failed { seed, device, why } => {
                self.failed += 1;
                self.notebook.append(&row(*seed, device, Err(why)))?;
                Ok(None)
            }
        }
    }

    fn phase(&self, sample: usize) -> &'static str {
        if sample < self.search_samples { "search" } else { "confirm" }
    }

    fn worth(&self, history: &History) -> Reward {
        reward(&history.epochs, self.last_n_epochs, self.tolerance)
    }

    /// Trains what is not known yet, and returns every reward in the order of the batch, `None` for failures.
    pub(crate) fn evaluate(
        &mut self,
        objective: &Objective,
        batch: &[Wanted<'_>],
        stop: &AtomicBool,
        folder: &Path,
        on_event: &(dyn Fn(&Event) + Sync),
    ) -> Result<Vec<Option<Reward>>, Error> {
        let todo: Vec<usize> =
            (0..batch.len()).filter(|&i| !self.known.contains_key(&(batch[i].trial, batch[i].sample))).collect();
        let epochs = self.epochs;
        let mut desk = Desk { recorder: self, batch, waiting: BTreeMap::new(), rewards: Vec::new(), error: None };
        for (index, wanted) in batch.iter().enumerate() {
            if let Some(ended) = desk.recorder.known.remove(&(wanted.trial, wanted.sample)) {
                desk.file(index, ended);
            }
        }
        let desk = Mutex::new(desk);
        let watch = Watch { desk: &desk, objective, todo: &todo, stop, epochs, on_event };
        let samples: Vec<_> = todo.iter().map(|&index| (batch[index].policy, batch[index].sample)).collect();
        let results = objective.train(&samples, &watch);
        let desk = desk.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(error) = desk.error {
            return Err(error);
        }
        if results.iter().any(|result| is_stopped(result, stop)) {
            return Err(Error::Interrupted { path: folder.into() });
        }
        Ok(desk.rewards)
    }
}

/// Where the trainings of one batch are handed in. They end in any order; the notebook gets them in the batch's.
struct Desk<'a> {
    recorder: &'a mut Recorder,
    batch: &'a [Wanted<'a>],
    waiting: BTreeMap<usize, Ended>,
    rewards: Vec<Option<Reward>>,
    error: Option<Error>,
}

impl Desk<'_> {
    /// Takes a training that has just ended by itself.
    fn hand_in(&mut self, index: usize, result: &Result<History, TrainError>, seed: u64, device: &str) {
        let Wanted { trial, sample, .. } = self.batch[index];
        let (entry, ended) = match result {
            // Not the training's fault, and no other training can do better.
            Err(error @ (TrainError::Weights { .. } | TrainError::Device { .. })) => {
                self.error = self.error.take().or(Some(Error::Child(error.clone())));
                return;
            }
            Ok(history) => {
                let (device, history) = (device.to_string(), history.clone());
                let ended = Ended::Trained { seed, device: device.clone(), history: history.clone() };
                (Entry::Trained { trial, sample, seed, device, history }, ended)
            }
            Err(error) => {
                let (device, why) = (device.to_string(), error.to_string());
                let ended = Ended::Failed { seed, device: device.clone(), why: why.clone() };
                (Entry::Failed { trial, sample, seed, device, why }, ended)
            }
        };
        match self.recorder.journal.append(&entry) {
            Ok(()) => {
                self.recorder.fresh += 1;
                self.file(index, ended);
            }
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    fn file(&mut self, index: usize, ended: Ended) {
        self.waiting.insert(index, ended);
        while let Some(ended) = self.waiting.remove(&self.rewards.len()) {
            let Wanted { trial, sample, point, .. } = self.batch[self.rewards.len()];
            let reward = self.recorder.file(trial, sample, point, &ended).unwrap_or_else(|error| {
                self.error = self.error.take().or(Some(error));
                None
            });
            self.rewards.push(reward);
        }
    }
}

/// Whether a training did not come to an end of its own: a resumed study trains it again. What a program of the user's
/// does while the study is being stopped may be the stop's doing.
fn is_stopped(result: &Result<History, TrainError>, stop: &AtomicBool) -> bool {
    match result {
        Err(TrainError::Stopped) => true,
        Err(TrainError::Program { .. }) => stop.load(Ordering::Relaxed),
        _ => false,
    }
}

/// Follows the trainings of one batch.
struct Watch<'a, 'b> {
    desk: &'a Mutex<Desk<'b>>,
    objective: &'a Objective,
    todo: &'a [usize],
    stop: &'a AtomicBool,
    epochs: usize,
    on_event: &'a (dyn Fn(&Event) + Sync),
}

impl Observer for Watch<'_, '_> {
    fn begins(&self, _index: usize) -> bool {
        let desk = self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        desk.error.is_none() && !self.stop.load(Ordering::Relaxed)
    }

    fn epoch(&self, index: usize, record: &EpochRecord) -> bool {
        let (trial, sample, broken) = {
            let desk = self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let Wanted { trial, sample, .. } = desk.batch[self.todo[index]];
            (trial, sample, desk.error.is_some())
        };
        (self.on_event)(&Event::Epoch { trial, sample, epochs: self.epochs, record: *record });
        // A training whose last epoch is over has something to keep.
        record.epoch == self.epochs || !(broken || self.stop.load(Ordering::Relaxed))
    }

    fn finished(&self, index: usize, result: &Result<History, TrainError>) {
        if is_stopped(result, self.stop) {
            return;
        }
        let index = self.todo[index];
        let mut desk = self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Wanted { trial, sample, .. } = desk.batch[index];
        desk.hand_in(index, result, self.objective.sample_seed(sample), self.objective.child().device_kind());
        let event = match result {
            Ok(history) => {
                let (phase, accuracy) = (desk.recorder.phase(sample), desk.recorder.worth(history).top_k);
                Event::Trained { trial, sample, phase, accuracy }
            }
            Err(error) => Event::TrainingFailed { trial, sample, why: error.to_string() },
        };
        drop(desk);
        (self.on_event)(&event);
    }
}
