//! Trials for Python, and an executor that has a Python function judge them, on threads of its own.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use deepaug::execute::{Executor, Job, JobId, Report, epoch_of_value};
use deepaug::{Application, Augmentation, Error, RewardKind};
use pyo3::exceptions::{PyException, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::policy::Policy;
use crate::process::is_fork;

/// A trial to be judged: a policy, and what a training needs to be comparable with others.
#[pyclass(frozen, module = "deepaug")]
pub(crate) struct Trial {
    /// Its number. Trial 0 has no policy: it is what others are compared with.
    #[pyo3(get)]
    number: u64,
    /// Its policy.
    policy: Policy,
    /// The policy's name, if it needs no search.
    #[pyo3(get)]
    scheme: Option<String>,
    /// Which of the trial's trainings; None for all of them together.
    #[pyo3(get)]
    sample: Option<usize>,
    /// The seed for this training: equal for equal samples of all trials.
    #[pyo3(get)]
    seed: u64,
    /// Epochs of a training, by the configuration.
    #[pyo3(get)]
    epochs: usize,
    /// A folder for this training's own files, which is removed when it has ended; None where trials are asked for.
    #[pyo3(get)]
    folder: Option<PathBuf>,
    link: Option<Link>,
}

impl Trial {
    pub(crate) fn asked(asked: deepaug::Asked, application: Application, seed: u64, epochs: usize) -> Self {
        let deepaug::Asked { trial, policy, scheme } = asked;
        let policy = Policy::of(Augmentation { policy, application });
        Self { number: trial, policy, scheme, sample: None, seed, epochs, folder: None, link: None }
    }
}

#[pymethods]
impl Trial {
    /// Its policy.
    #[getter]
    fn policy(&self) -> Policy {
        self.policy.clone()
    }

    /// Reports what the training has reached after an epoch, counted from 1: a reward like the one that is returned in
    /// the end. Raises `Pruned` when the trial is to end; let it through.
    fn report(&self, py: Python<'_>, epoch: usize, value: f64) -> PyResult<()> {
        let Some(Link { id, shared, reported }) = &self.link else {
            return Err(PyRuntimeError::new_err("only trials of an objective can report; tell the reward instead"));
        };
        shared.kind.check(value).map_err(PyValueError::new_err)?;
        let next = {
            let mut reported = lock(reported);
            if epoch != *reported + 1 {
                let why = format!(
                    "epochs are reported in order, each once: after {reported} comes {}, not {epoch}",
                    *reported + 1
                );
                return Err(PyValueError::new_err(why));
            }
            *reported = epoch;
            epoch_of_value(epoch, value)
        };
        let id = *id;
        if shared.is_wanted(id) {
            shared.tell(Report::Epoch { id, record: next });
            // The search decides on another thread, which needs a moment.
            let decided = py.detach(|| shared.decision(id, epoch));
            if decided == Decision::Continues {
                return Ok(());
            }
        }
        let pruned =
            py.import("deepaug._errors")?.getattr("Pruned")?.call1((format!("trial {} ends here", self.number),))?;
        Err(PyErr::from_value(pruned))
    }

    fn __repr__(&self) -> String {
        format!("<deepaug.Trial {}>", self.number)
    }
}

/// What connects a trial with the search.
struct Link {
    id: JobId,
    shared: Arc<Shared>,
    /// Epochs that have been reported.
    reported: Mutex<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Continues,
    Ends,
}

/// How far a job is that a thread is at.
#[derive(Debug, Default, Clone, Copy)]
struct Running {
    /// Whether the search has stopped it.
    stopped: bool,
    /// Epochs that the search has decided about.
    heard: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<JobId, Job>,
    running: HashMap<JobId, Running>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    reports: Mutex<Sender<Report>>,
    /// The first exception that ends the search.
    raised: Mutex<Option<PyErr>>,
    raises: bool,
    objective: Py<PyAny>,
    application: Application,
    kind: RewardKind,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn tell(&self, report: Report) {
        // Nobody listens once the search has ended.
        let _ = lock(&self.reports).send(report);
    }

    /// Whether the search still waits for a job.
    fn is_wanted(&self, id: JobId) -> bool {
        let state = lock(&self.state);
        !state.closed && state.running.get(&id).is_some_and(|running| !running.stopped)
    }

    /// Waits until the search has heard of an epoch.
    fn decision(&self, id: JobId, epoch: usize) -> Decision {
        let mut state = lock(&self.state);
        loop {
            match state.running.get(&id) {
                _ if state.closed => return Decision::Ends,
                None => return Decision::Ends,
                Some(running) if running.stopped => return Decision::Ends,
                Some(running) if running.heard >= epoch => return Decision::Continues,
                Some(_) => {}
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes jobs, one after another, until the search has ended.
    fn work(self: &Arc<Self>) {
        loop {
            let job = {
                let mut state = lock(&self.state);
                loop {
                    if state.closed {
                        return;
                    }
                    if let Some((id, job)) = state.waiting.pop_first() {
                        state.running.insert(id, Running::default());
                        break job;
                    }
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let id = job.id;
            let result = self.judge(job);
            // A job that was cancelled meanwhile has been reported.
            if lock(&self.state).running.remove(&id).is_some() {
                self.tell(Report::Judged { id, result });
            }
        }
    }

    fn judge(self: &Arc<Self>, job: Job) -> Result<f64, String> {
        let Job { id, policy, settings, seed, .. } = job;
        let folder = tempfile::Builder::new().prefix("deepaug-trial-").tempdir();
        let folder = folder.map_err(|error| format!("no folder for its files: {error}"))?;
        let link = Link { id, shared: self.clone(), reported: Mutex::new(0) };
        Python::attach(|py| {
            let policy = Policy::of(Augmentation { policy, application: self.application });
            let trial = Trial {
                number: id.trial,
                policy: policy.clone(),
                scheme: None,
                sample: Some(id.sample),
                seed,
                epochs: settings.epochs,
                folder: Some(folder.path().into()),
                link: Some(link),
            };
            let judged = self.objective.bind(py).call1((policy, trial)).and_then(|told| reward(&told, self.kind));
            judged.map_err(|error| self.failure(py, error))
        })
    }

    /// Says why a training failed, and ends the search if it is to end with that.
    fn failure(&self, py: Python<'_>, error: PyErr) -> String {
        let why = error.to_string();
        let pruned = py.import("deepaug._errors").and_then(|errors| errors.getattr("Pruned"));
        if pruned.is_ok_and(|pruned| error.matches(py, pruned).unwrap_or(false)) {
            return why;
        }
        if let Ok(tell) = py.import("deepaug._study").and_then(|study| study.getattr("tell_of_failure")) {
            let _ = tell.call1((error.clone_ref(py),));
        }
        if self.raises || !error.is_instance_of::<PyException>(py) {
            lock(&self.raised).get_or_insert(error);
        }
        why
    }
}

/// Reads a reward.
fn reward(told: &Bound<'_, PyAny>, kind: RewardKind) -> PyResult<f64> {
    let value: f64 = told.extract().map_err(|_| {
        let kind = told.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("the objective must return a number, not {kind}"))
    })?;
    kind.check(value).map_err(PyValueError::new_err)?;
    Ok(value)
}

/// The threads that judge.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// Waits for objectives that are still running, before the interpreter ends: they could not return to it afterwards.
#[pyfunction]
pub(crate) fn wait_for_objectives(py: Python<'_>) {
    if is_fork() {
        return;
    }
    let threads = std::mem::take(&mut *lock(&THREADS));
    py.detach(|| threads.into_iter().for_each(|thread| _ = thread.join()));
}

/// Has a Python function judge policies.
pub(crate) struct Judge {
    shared: Arc<Shared>,
    reports: Receiver<Report>,
    workers: usize,
    /// The epoch that was handed to the search last, which decides about it before it asks for the next report.
    handed: Option<(JobId, usize)>,
}

impl Judge {
    /// Starts as many threads as trainings run at once. If `raises`, the first exception ends the search.
    pub(crate) fn new(
        objective: Py<PyAny>,
        workers: usize,
        raises: bool,
        application: Application,
        kind: RewardKind,
    ) -> Self {
        let (sender, reports) = channel();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            reports: Mutex::new(sender),
            raised: Mutex::new(None),
            raises,
            objective,
            application,
            kind,
        });
        let mut threads = lock(&THREADS);
        threads.retain(|thread| !thread.is_finished());
        threads.extend((0..workers).map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.work())
        }));
        drop(threads);
        Self { shared, reports, workers, handed: None }
    }

    /// Returns what hands out the exception that ended the search.
    pub(crate) fn raised(&self) -> impl FnOnce() -> Option<PyErr> + use<> {
        let shared = self.shared.clone();
        move || lock(&shared.raised).take()
    }
}

impl Executor for Judge {
    fn capacity(&self) -> usize {
        self.workers
    }

    fn submit(&mut self, job: Job) -> Result<(), Error> {
        lock(&self.shared.state).waiting.insert(job.id, job);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<Report>, Error> {
        if let Some((id, epoch)) = self.handed.take() {
            if let Some(running) = lock(&self.shared.state).running.get_mut(&id) {
                running.heard = epoch;
            }
            self.shared.changed.notify_all();
        }
        if lock(&self.shared.raised).is_some() {
            return Err(Error::Stopped);
        }
        match self.reports.recv_timeout(timeout) {
            Ok(report) => {
                if let Report::Epoch { id, record } = &report {
                    self.handed = Some((*id, record.epoch));
                }
                Ok(Some(report))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Stopped),
        }
    }

    fn stop(&mut self, jobs: &[JobId]) {
        let mut state = lock(&self.shared.state);
        for id in jobs {
            if let Some(running) = state.running.get_mut(id) {
                running.stopped = true;
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// A function cannot be interrupted: what it still returns is dropped.
    fn cancel(&mut self, jobs: &[JobId]) {
        let mut state = lock(&self.shared.state);
        for &id in jobs {
            if state.waiting.remove(&id).is_some() || state.running.remove(&id).is_some() {
                self.shared.tell(Report::Cancelled { id });
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
    }
}
