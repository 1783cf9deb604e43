//! The threads that train: they take trainings off a queue, the first trial's first, and write down what comes of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use deepaug_augmenter::Policy;
use deepaug_child_model::{EpochRecord, History, Observer, TrainError};

use crate::error::Error;
use crate::study::event::Event;
use crate::study::ledger::Ended;
use crate::study::objective::Objective;
use crate::study::pruning::{Hurdles, Rungs};
use crate::study::recorder::Recorder;

/// A training that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) trial: u64,
    pub(crate) sample: usize,
    pub(crate) policy: Policy,
    /// Where it has to be good enough to go on.
    pub(crate) hurdles: Hurdles,
    /// Whether it failed once through no fault of its own.
    pub(crate) again: bool,
}

/// What the threads tell the search.
#[derive(Debug)]
pub(crate) enum Report {
    /// A training has ended and is written down.
    Ended,
    /// Nothing more can be done.
    Broken(Error),
}

/// What the threads share.
pub(crate) struct Workers<'a> {
    pub(crate) objective: &'a Objective,
    pub(crate) rungs: Option<&'a Rungs>,
    pub(crate) epochs: usize,
    /// Set by the user: nothing new is begun.
    pub(crate) stop: &'a AtomicBool,
    pub(crate) emit: &'a (dyn Fn(&Event) + Sync),
    recorder: &'a Mutex<Recorder>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Set when nothing more can be done.
    broken: AtomicBool,
    /// Images learnt from in this run.
    images: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: BTreeMap<(u64, usize), Job>,
    closed: bool,
}

impl<'a> Workers<'a> {
    pub(crate) fn new(
        objective: &'a Objective,
        rungs: Option<&'a Rungs>,
        epochs: usize,
        stop: &'a AtomicBool,
        recorder: &'a Mutex<Recorder>,
        emit: &'a (dyn Fn(&Event) + Sync),
    ) -> Self {
        let (queue, wake, broken, images) = Default::default();
        Self { objective, rungs, epochs, stop, emit, recorder, queue, wake, broken, images }
    }

    /// Wants a training.
    pub(crate) fn add(&self, job: Job) {
        locked(&self.queue).jobs.insert((job.trial, job.sample), job);
        self.wake.notify_one();
    }

    /// Lets the threads end after what they are doing.
    pub(crate) fn close(&self) {
        locked(&self.queue).closed = true;
        self.wake.notify_all();
    }

    /// Images learnt from in this run.
    pub(crate) fn images(&self) -> u64 {
        self.images.load(Ordering::Relaxed)
    }

    /// What a thread does, until the queue is closed: passes of up to so many trainings.
    pub(crate) fn work(&self, children: usize, reports: &Sender<Report>) {
        // With several in a pass, those of the next one are got ready meanwhile.
        let most = if children > 1 { 2 * children } else { 1 };
        while let Some(jobs) = self.take(most) {
            let trainings: Vec<_> = jobs.iter().map(|job| (&job.policy, job.sample)).collect();
            let runs = jobs.iter().map(|_| Mutex::new(Run::default())).collect();
            self.objective.train(&trainings, &Watch { workers: self, jobs: &jobs, runs, reports });
        }
    }

    fn take(&self, most: usize) -> Option<Vec<Job>> {
        let mut queue = locked(&self.queue);
        loop {
            if queue.closed || self.is_stopping() {
                return None;
            }
            let jobs: Vec<Job> = std::iter::from_fn(|| queue.jobs.pop_first()).map(|(_, job)| job).take(most).collect();
            if !jobs.is_empty() {
                return Some(jobs);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.broken.load(Ordering::Relaxed)
    }

    fn break_off(&self, error: Error, reports: &Sender<Report>) {
        self.broken.store(true, Ordering::Relaxed);
        self.wake.notify_all();
        // Nobody listens any more when the search has ended.
        let _ = reports.send(Report::Broken(error));
    }
}

/// A lock that a panic elsewhere leaves usable: everything behind one is changed in one step.
pub(crate) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A training under way.
#[derive(Default)]
struct Run {
    begun: Option<Instant>,
    epochs: Vec<EpochRecord>,
    behind: bool,
}

/// Follows the trainings of one pass.
struct Watch<'a, 'w> {
    workers: &'a Workers<'w>,
    jobs: &'a [Job],
    runs: Vec<Mutex<Run>>,
    reports: &'a Sender<Report>,
}

impl Observer for Watch<'_, '_> {
    fn begins(&self, index: usize) -> bool {
        locked(&self.runs[index]).begun.get_or_insert_with(Instant::now);
        !self.workers.is_stopping()
    }

    fn epoch(&self, index: usize, record: &EpochRecord) -> bool {
        let Workers { objective, rungs, epochs, emit, ref images, .. } = *self.workers;
        let Job { trial, sample, ref hurdles, .. } = self.jobs[index];
        images.fetch_add(objective.images_per_epoch() as u64, Ordering::Relaxed);
        emit(&Event::Epoch { trial, sample, epochs, record: *record });
        let mut run = locked(&self.runs[index]);
        // A pass that is tried again begins anew.
        run.epochs.truncate(record.epoch - 1);
        run.epochs.push(*record);
        run.behind = rungs.is_some_and(|rungs| rungs.is_behind(hurdles, &run.epochs));
        // What is nearly done is finished, also when everything is to end.
        let nearly_done = 4 * record.epoch >= 3 * epochs;
        !run.behind && (nearly_done || !self.workers.is_stopping())
    }

    fn finished(&self, index: usize, result: &Result<History, TrainError>) {
        let workers = self.workers;
        let job = &self.jobs[index];
        let Job { trial, sample, .. } = *job;
        let mut run = locked(&self.runs[index]);
        let (seed, device) =
            (workers.objective.sample_seed(sample), workers.objective.child().device_kind().to_string());
        let ended = match result {
            Ok(history) => Ended::Trained { seed, device, history: history.clone(), behind: run.behind },
            Err(TrainError::Stopped) if run.behind => {
                let seconds = run.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                let history = History { epochs: std::mem::take(&mut run.epochs), seconds };
                Ended::Trained { seed, device, history, behind: true }
            }
            Err(TrainError::Stopped) => return,
            // What a program of the user's does while the study is being stopped may be the stop's doing.
            Err(TrainError::Program { .. } | TrainError::Killed { .. }) if workers.stop.load(Ordering::Relaxed) => {
                return;
            }
            // Not the training's fault, and no other training can do better.
            Err(error @ (TrainError::Weights { .. } | TrainError::Device { .. })) => {
                return workers.break_off(Error::Child(error.clone()), self.reports);
            }
            Err(error) if error.may_pass() && !job.again => {
                (workers.emit)(&Event::TrainingRepeated { trial, sample, why: error.to_string() });
                return workers.add(Job { again: true, ..job.clone() });
            }
            Err(error) => Ended::Failed { seed, device, why: error.to_string() },
        };
        let (event, written) = {
            let mut recorder = locked(workers.recorder);
            let event = match (&ended, recorder.ledger().worth(&ended)) {
                (Ended::Failed { why, .. }, _) => Event::TrainingFailed { trial, sample, why: why.clone() },
                (_, worth) => {
                    let phase = recorder.ledger().phase(sample);
                    let accuracy = worth.map(|worth| worth.top_k).unwrap_or_default();
                    Event::Trained { trial, sample, phase, accuracy, behind: ended.is_behind() }
                }
            };
            (event, recorder.end(trial, sample, ended))
        };
        match written {
            Ok(()) => {
                (workers.emit)(&event);
                // Nobody listens any more when the search has ended.
                let _ = self.reports.send(Report::Ended);
            }
            Err(error) => workers.break_off(error, self.reports),
        }
    }
}
