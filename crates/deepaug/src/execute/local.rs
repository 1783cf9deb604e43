//! Trains in this process: on threads of a CPU, or in passes of several children on a GPU.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use deepaug_child_model::{Capacity, ChildModel, EpochRecord, History, Observer, StateFiles, TrainError, Training};

use super::adversary::Adversary;
use super::density::{Density, Judges};
use super::scored::Shares;
use super::{Executor, Job, JobId, Report, Task};
use crate::error::Error;
use crate::study::objective::Fold;

/// Provides the images that jobs name.
pub(crate) trait Folds: fmt::Debug + Send + Sync {
    /// Returns those of a sample.
    fn fold(&self, sample: usize) -> Cow<'_, Fold>;

    /// Returns the number of classes.
    fn classes(&self) -> usize;
}

/// Trains in this process: one training per thread at a time, or as many as suit a GPU.
#[derive(Debug)]
pub struct Local {
    shared: Arc<Shared>,
    capacity: Capacity,
    threads: Vec<JoinHandle<()>>,
    reports: Receiver<Report>,
}

#[derive(Debug)]
struct Shared {
    child: Arc<dyn ChildModel>,
    folds: Arc<dyn Folds>,
    queue: Mutex<Queue>,
    wake: Condvar,
    judges: Judges,
    shares: Shares,
    /// Set once no further job can succeed.
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<JobId, Pending>,
    /// Running jobs that are to end.
    cancelled: HashSet<JobId>,
    /// Running jobs that need no more epochs.
    stopped: HashSet<JobId>,
    closed: bool,
}

#[derive(Debug)]
struct Pending {
    job: Job,
    /// Whether it has failed once through no fault of its own.
    again: bool,
}

impl Local {
    pub(crate) fn new(child: Arc<dyn ChildModel>, folds: Arc<dyn Folds>, capacity: Capacity) -> Self {
        let (queue, wake, judges, shares, broken) = Default::default();
        let shared = Arc::new(Shared { child, folds, queue, wake, judges, shares, broken });
        let (sender, reports) = channel();
        let work = |_| {
            let (shared, sender) = (shared.clone(), sender.clone());
            std::thread::spawn(move || shared.work(capacity.children, &sender))
        };
        let threads = (0..capacity.passes.max(1)).map(work).collect();
        Self { shared, capacity, threads, reports }
    }
}

impl Executor for Local {
    fn capacity(&self) -> usize {
        self.capacity.passes * self.capacity.children
    }

    fn is_here(&self) -> bool {
        true
    }

    fn submit(&mut self, job: Job) -> Result<(), Error> {
        let mut queue = self.shared.queue();
        // It may have been cancelled when it was submitted before.
        queue.cancelled.remove(&job.id);
        queue.stopped.remove(&job.id);
        queue.waiting.insert(job.id, Pending { job, again: false });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<Report>, Error> {
        match self.reports.recv_timeout(timeout) {
            Ok(report) => Ok(Some(report)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let why = "the training threads ended before their work was done".into();
                Err(Error::Child(TrainError::Panicked { why }))
            }
        }
    }

    fn stop(&mut self, jobs: &[JobId]) {
        self.shared.queue().stopped.extend(jobs);
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        self.shared.queue().cancelled.extend(jobs);
        self.shared.wake.notify_all();
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        locked(&self.queue)
    }

    /// Runs a thread until the queue is closed, in passes of up to `children` trainings.
    fn work(&self, children: usize, reports: &Sender<Report>) {
        // With several per pass, those of the next pass are prepared meanwhile.
        let most = if children > 1 { 2 * children } else { 1 };
        while let Some(jobs) = self.take(most, reports) {
            self.train(&jobs, reports);
        }
    }

    /// Returns the next jobs. Those that were cancelled while they waited are reported.
    fn take(&self, most: usize, reports: &Sender<Report>) -> Option<Vec<Pending>> {
        let mut queue = self.queue();
        loop {
            if queue.closed || self.broken.load(Ordering::Relaxed) {
                return None;
            }
            let mut jobs = Vec::new();
            while jobs.len() < most
                && let Some((id, pending)) = queue.waiting.pop_first()
            {
                if queue.cancelled.remove(&id) {
                    send(reports, Report::Cancelled { id });
                } else {
                    jobs.push(pending);
                }
            }
            let others = jobs.iter().skip(1).position(|other| !shares_pass(&jobs[0].job, &other.job));
            if let Some(others) = others {
                let others = jobs.split_off(others + 1);
                queue.waiting.extend(others.into_iter().map(|pending| (pending.job.id, pending)));
            }
            if !jobs.is_empty() {
                return Some(jobs);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn train(&self, jobs: &[Pending], reports: &Sender<Report>) {
        let folds: Vec<Cow<'_, Fold>> = jobs.iter().map(|pending| self.folds.fold(pending.job.id.sample)).collect();
        let trainings: Vec<Training<'_>> = jobs
            .iter()
            .zip(&folds)
            .map(|(Pending { job, .. }, fold)| Training {
                initial_weights: job.start.as_deref(),
                ..Training::new(fold.set(self.folds.classes()), &job.policy, &job.settings, job.seed)
            })
            .collect();
        let runs = jobs.iter().map(|_| Mutex::new(Run::default())).collect();
        let watch = Watch { shared: self, jobs, runs, reports };
        let train = || {
            let shares = jobs.iter().zip(&trainings).map(|(pending, training)| self.shares(&pending.job, training));
            let shares = match shares.collect::<Result<Vec<_>, _>>() {
                Ok(shares) => shares,
                Err(error) => return vec![Err(error); jobs.len()],
            };
            let with_shares = trainings.iter().zip(&shares);
            let with_shares = with_shares.map(|(training, shares)| Training {
                set: training.set.view(),
                shares: shares.as_ref().map(|shares| shares.as_slice()),
                ..*training
            });
            let trainings: Vec<Training<'_>> = with_shares.collect();
            match &jobs[0].job.task {
                Task::Train => self.child.train_all(&trainings, 1, &watch),
                Task::Keep { weights } => vec![self.keep(weights, &trainings[0], &watch)],
                Task::Part { epochs, .. } => self.child.train_part(&trainings, epochs.clone(), &states(jobs), &watch),
                Task::Judge(density) => vec![self.judge(density, &trainings[0], &watch)],
                Task::Oppose { adversary, weights } => {
                    vec![self.oppose(adversary, weights.as_deref(), &trainings[0], &watch)]
                }
            }
        };
        let results = catch_unwind(AssertUnwindSafe(train)).unwrap_or_default();
        // A custom child may not have said how each of its trainings ended, or may have panicked.
        for index in 0..jobs.len() {
            if !locked(&watch.runs[index]).is_reported {
                let panicked = || Err(TrainError::Panicked { why: "the child model panicked".into() });
                watch.finished(index, &results.get(index).cloned().unwrap_or_else(panicked));
            }
        }
    }

    /// Returns how likely each training image is to be copied, if some are likelier than others.
    fn shares(&self, job: &Job, training: &Training<'_>) -> Result<Option<Arc<Vec<f64>>>, TrainError> {
        let goes_on = || !self.is_cancelled(job.id);
        let scored = job.scored.as_ref();
        scored.map(|scored| scored.shares(self.child.as_ref(), training, &self.shares, &goes_on)).transpose()
    }

    /// Judges a policy without training with it.
    fn judge(&self, density: &Density, training: &Training<'_>, watch: &Watch<'_>) -> Result<History, TrainError> {
        if !watch.begins(0) {
            return Err(TrainError::Stopped);
        }
        let goes_on = || !self.is_cancelled(watch.jobs[0].job.id);
        let history = density.judge(self.child.as_ref(), training, &self.judges, &goes_on)?;
        history.epochs.iter().for_each(|record| _ = watch.epoch(0, record));
        Ok(history)
    }

    /// Trains against an adversary.
    fn oppose(
        &self,
        adversary: &Adversary,
        keep: Option<&Path>,
        training: &Training<'_>,
        watch: &Watch<'_>,
    ) -> Result<History, TrainError> {
        if !watch.begins(0) {
            return Err(TrainError::Stopped);
        }
        adversary.train(self.child.as_ref(), training, keep, &|record| watch.epoch(0, record))
    }

    /// Runs a training whose final weights are kept.
    fn keep(&self, path: &Path, training: &Training<'_>, watch: &Watch<'_>) -> Result<History, TrainError> {
        if !watch.begins(0) {
            return Err(TrainError::Stopped);
        }
        let history = self.child.pretrain(training, path, &|record| watch.epoch(0, record))?;
        Ok(history.unwrap_or_else(|| History::new(Vec::new(), 0.0)))
    }

    fn is_stopped(&self, id: JobId) -> bool {
        self.queue().stopped.contains(&id)
    }

    fn is_cancelled(&self, id: JobId) -> bool {
        let queue = self.queue();
        queue.closed || queue.cancelled.contains(&id) || self.broken.load(Ordering::Relaxed)
    }
}

/// Returns the files between which parts of trainings run.
fn states(jobs: &[Pending]) -> Vec<StateFiles<'_>> {
    let tasks = jobs.iter().map(|pending| &pending.job.task);
    let files = tasks.filter_map(|task| match task {
        Task::Part { from, to, .. } => Some(StateFiles { start: from.as_deref(), keep: to }),
        _ => None,
    });
    files.collect()
}

/// Whether two jobs may be trained in one pass: whole trainings whose weights are not kept, or parts of the same epochs.
fn shares_pass(a: &Job, b: &Job) -> bool {
    match (&a.task, &b.task) {
        (Task::Train, Task::Train) => true,
        (Task::Part { epochs, .. }, Task::Part { epochs: others, .. }) => epochs == others,
        _ => false,
    }
}

/// Locks, ignoring a panic elsewhere: everything behind a lock is changed in one step.
pub(super) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a report. Nobody receives it while the executor is being dropped.
fn send(reports: &Sender<Report>, report: Report) {
    let _ = reports.send(report);
}

/// A running training.
#[derive(Default)]
struct Run {
    begun: Option<Instant>,
    epochs: Vec<EpochRecord>,
    is_reported: bool,
}

/// Follows the trainings of one pass.
struct Watch<'a> {
    shared: &'a Shared,
    jobs: &'a [Pending],
    runs: Vec<Mutex<Run>>,
    reports: &'a Sender<Report>,
}

impl Observer for Watch<'_> {
    fn begins(&self, index: usize) -> bool {
        locked(&self.runs[index]).begun.get_or_insert_with(Instant::now);
        !self.shared.is_cancelled(self.jobs[index].job.id)
    }

    fn epoch(&self, index: usize, record: &EpochRecord) -> bool {
        let Job { id, settings, task, .. } = &self.jobs[index].job;
        send(self.reports, Report::Epoch { id: *id, record: *record });
        let Range { start, end } = match task {
            Task::Part { epochs, .. } => epochs.clone(),
            _ => 0..settings.epochs,
        };
        let done = record.epoch.saturating_sub(start);
        let mut run = locked(&self.runs[index]);
        // A repeated pass starts over.
        run.epochs.truncate(done.saturating_sub(1));
        run.epochs.push(*record);
        // What is nearly done is finished, even if everything is to end.
        let is_nearly_done = 4 * done >= 3 * (end - start);
        !self.shared.is_stopped(*id) && (is_nearly_done || !self.shared.is_cancelled(*id))
    }

    fn finished(&self, index: usize, result: &Result<History, TrainError>) {
        let Self { shared, reports, .. } = *self;
        let Pending { job, again } = &self.jobs[index];
        let id = job.id;
        let mut run = locked(&self.runs[index]);
        run.is_reported = true;
        let is_cancelled = shared.is_cancelled(id);
        let result = match result {
            Ok(history) => Ok(history.clone()),
            // If a user's program fails while it is being stopped, the stop may be the cause.
            Err(TrainError::Program { .. } | TrainError::Killed { .. }) if is_cancelled => {
                return send(reports, Report::Cancelled { id });
            }
            // Not the training's fault, and no other training can do better.
            Err(error @ (TrainError::Weights { .. } | TrainError::Device { .. })) => {
                shared.broken.store(true, Ordering::Relaxed);
                shared.wake.notify_all();
                return send(reports, Report::Broken { error: Error::Child(error.clone()) });
            }
            // Whatever ended it, it needed no more epochs.
            Err(_) if shared.is_stopped(id) && !run.epochs.is_empty() => {
                let seconds = run.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                Ok(History::new(std::mem::take(&mut run.epochs), seconds))
            }
            Err(TrainError::Stopped) => return send(reports, Report::Cancelled { id }),
            Err(error) if error.may_pass() && !again => {
                send(reports, Report::Repeated { id, why: error.to_string() });
                shared.queue().waiting.insert(id, Pending { job: job.clone(), again: true });
                return shared.wake.notify_one();
            }
            Err(error) => Err(error.to_string()),
        };
        let mut queue = shared.queue();
        queue.cancelled.remove(&id);
        queue.stopped.remove(&id);
        drop(queue);
        send(reports, Report::Ended { id, device: shared.child.device_kind().into(), result });
    }
}
