//! Searches that run in this process, and studies that are asked and told.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deepaug::{
    Application, Asked, Budget, Cancel, Changes, Error, Event, JudgedStudy, ReportedOutcome, Study, StudyBuilder,
    Wanted, folder_with_images, seed_of_sample,
};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::attend::{Message, Tell, attend};
use crate::config::parse;
use crate::data::Dataset;
use crate::errors::raise;
use crate::executor::Outside;
use crate::judge::{Judge, Trial};
use crate::process::refuse_fork;

/// A search that is ready to run.
enum Ready {
    Trained(Box<Study>),
    Judged(Box<JudgedStudy>),
}

/// A search in this process. It can run once.
#[pyclass(frozen, module = "deepaug._native")]
pub(crate) struct Search {
    ready: Mutex<Option<Ready>>,
    folder: PathBuf,
    cancel: Cancel,
}

fn seconds(time: Option<f64>) -> PyResult<Option<Duration>> {
    let given =
        |time| Duration::try_from_secs_f64(time).map_err(|_| PyValueError::new_err("time must be seconds above 0"));
    time.map(given).transpose()
}

/// Tells the events of a study.
fn say(tell: Tell<'_>, event: &Event) {
    tell(match event {
        Event::Epoch { .. }
        | Event::PopulationEpoch { .. }
        | Event::AdversaryEpoch { .. }
        | Event::TandaStep { .. } => Message::epoch(event),
        event => Message::new(event),
    });
}

impl Search {
    fn trained(py: Python<'_>, make: impl FnOnce(Cancel) -> Result<Study, Error> + Send) -> PyResult<Option<Self>> {
        refuse_fork("a search")?;
        let cancel = Cancel::new();
        let switch = cancel.clone();
        let Some(study) = attend(py, &cancel, None, move |_| make(switch))? else { return Ok(None) };
        let (folder, cancel) = (study.folder().into(), study.cancel());
        Ok(Some(Self { ready: Mutex::new(Some(Ready::Trained(Box::new(study)))), folder, cancel }))
    }

    fn judged(py: Python<'_>, study: Result<JudgedStudy, Error>) -> PyResult<Self> {
        let study = study.map_err(|error| raise(py, &error))?;
        let (folder, cancel) = (study.folder().into(), study.cancel());
        Ok(Self { ready: Mutex::new(Some(Ready::Judged(Box::new(study)))), folder, cancel })
    }
}

#[pymethods]
impl Search {
    /// Makes a study that trains its own children.
    #[staticmethod]
    #[pyo3(signature = (toml, folder, dataset, time, iterations, elsewhere))]
    fn train(
        py: Python<'_>,
        toml: &str,
        folder: Option<PathBuf>,
        dataset: Option<&Bound<'_, Dataset>>,
        time: Option<f64>,
        iterations: Option<u64>,
        elsewhere: bool,
    ) -> PyResult<Option<Self>> {
        let config = parse(py, toml)?;
        let images = dataset.map(|dataset| dataset.get().inner.clone());
        let wanted = Wanted { time: seconds(time)?, iters: iterations };
        Self::trained(py, move |cancel| {
            let new = Study::builder(config).wanted(wanted).cancel(cancel).elsewhere(elsewhere);
            let new = folder.iter().fold(new, |new, folder| new.folder(folder));
            images.iter().fold(new, |new, images| new.dataset(images)).create()
        })
    }

    /// Opens such a study again.
    #[staticmethod]
    #[pyo3(signature = (folder, iterations, dataset, elsewhere))]
    fn resume_training(
        py: Python<'_>,
        folder: PathBuf,
        iterations: Option<u64>,
        dataset: Option<&Bound<'_, Dataset>>,
        elsewhere: bool,
    ) -> PyResult<Option<Self>> {
        let images = dataset.map(|dataset| dataset.get().inner.clone());
        let changes = Changes { iters: iterations, device: None };
        Self::trained(py, move |cancel| {
            let study = StudyBuilder::default().folder(&folder).changes(changes).cancel(cancel).elsewhere(elsewhere);
            images.iter().fold(study, |study, images| study.dataset(images)).resume()
        })
    }

    /// Makes a study whose trainings a function judges.
    #[staticmethod]
    fn judge(py: Python<'_>, toml: &str, folder: Option<PathBuf>) -> PyResult<Self> {
        Self::judged(py, JudgedStudy::create(parse(py, toml)?, folder.as_deref()))
    }

    /// Opens such a study again.
    #[staticmethod]
    fn resume_judging(py: Python<'_>, folder: PathBuf, iterations: Option<u64>) -> PyResult<Self> {
        Self::judged(py, JudgedStudy::resume(&folder, iterations))
    }

    /// The study's folder.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Ends the run, from any thread; what is nearly done is finished first.
    fn stop(&self) {
        self.cancel.cancel();
    }

    /// Runs it to its end, and returns the result as JSON, or None if it was stopped. `on_event(json, words)` is called on
    /// this thread.
    #[pyo3(signature = (on_event, objective, executor, raises, time, trainings))]
    fn run(
        &self,
        py: Python<'_>,
        on_event: Option<Py<PyAny>>,
        objective: Option<Py<PyAny>>,
        executor: Option<Py<PyAny>>,
        raises: bool,
        time: Option<f64>,
        trainings: Option<usize>,
    ) -> PyResult<Option<String>> {
        refuse_fork("a search")?;
        let budget = Budget { time: seconds(time)?, trainings };
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        let result = match (ready, objective) {
            (None, _) => return Err(PyRuntimeError::new_err("this search has run")),
            (Some(Ready::Trained(study)), _) if let Some(executor) = executor => {
                let mut outside = Outside::new(executor);
                let raised = outside.raised();
                let run = attend(py, &self.cancel, on_event.as_ref(), move |tell| {
                    study.within(budget).run_on(&mut outside, &|event| say(tell, event))
                });
                if let Some(error) = raised() {
                    return Err(error);
                }
                run?
            }
            (Some(Ready::Trained(study)), _) => {
                attend(py, &self.cancel, on_event.as_ref(), |tell| study.within(budget).run(&|event| say(tell, event)))?
            }
            (Some(Ready::Judged(_)), None) => return Err(PyRuntimeError::new_err("this search needs an objective")),
            (Some(Ready::Judged(study)), Some(objective)) => {
                let config = study.config();
                let (workers, application) = (config.workers.unwrap_or(1), config.application());
                let mut judge = Judge::new(objective, workers, raises, application, config.reward);
                let raised = judge.raised();
                let run = attend(py, &self.cancel, on_event.as_ref(), move |tell| {
                    study.within(budget).run_on(&mut judge, &|event| say(tell, event))
                });
                if let Some(error) = raised() {
                    return Err(error);
                }
                run?
            }
        };
        Ok(result.map(|result| serde_json::to_string(&result).unwrap_or_default()))
    }
}

/// A study that is asked and told, held open.
#[pyclass(frozen, module = "deepaug._native")]
pub(crate) struct AskTell {
    study: Mutex<Option<deepaug::AskTell>>,
    folder: PathBuf,
    application: Application,
    epochs: usize,
    seed: u64,
}

impl AskTell {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        then: impl FnOnce(&mut deepaug::AskTell) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| self.study.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(then));
        let done = done.ok_or_else(|| PyRuntimeError::new_err("the study has been closed"))?;
        done.map_err(|error| raise(py, &error))
    }

    fn trials(&self, asked: Vec<Asked>) -> Vec<Trial> {
        asked.into_iter().map(|asked| Trial::asked(asked, self.application, self.seed, self.epochs)).collect()
    }
}

#[pymethods]
impl AskTell {
    /// Makes a study in a new folder; it is closed again.
    #[staticmethod]
    fn create(py: Python<'_>, toml: &str, folder: PathBuf) -> PyResult<()> {
        let config = parse(py, toml)?;
        deepaug::AskTell::create(config, &folder).map(drop).map_err(|error| raise(py, &error))
    }

    #[new]
    fn open(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let opened = || {
            let study = py.detach(|| deepaug::AskTell::open_to_serve(&folder))?;
            let config = deepaug::Config::read(&folder.join("study.toml"))?;
            let seed = seed_of_sample(&folder, 0)?;
            Ok((study, config.application(), config.epochs(), seed))
        };
        let (study, application, epochs, seed) = opened().map_err(|error: Error| raise(py, &error))?;
        Ok(Self { study: Mutex::new(Some(study)), folder, application, epochs, seed })
    }

    /// Proposes trials.
    fn ask(&self, py: Python<'_>, count: usize) -> PyResult<Vec<Trial>> {
        Ok(self.trials(self.with(py, |study| study.ask(count))?))
    }

    /// Returns the trials that have been asked for and not told.
    fn pending(&self, py: Python<'_>) -> PyResult<Vec<Trial>> {
        Ok(self.trials(self.with(py, |study| Ok(study.pending()))?))
    }

    /// Takes the result of a trial.
    #[pyo3(signature = (trial, reward, failed, sample))]
    fn tell(
        &self,
        py: Python<'_>,
        trial: u64,
        reward: Option<f64>,
        failed: Option<String>,
        sample: Option<usize>,
    ) -> PyResult<()> {
        let told = match (reward, failed) {
            (Some(reward), None) => ReportedOutcome::Reward(reward),
            (None, Some(why)) => ReportedOutcome::Failed(why),
            _ => return Err(PyValueError::new_err("tell either a reward or failed=, why there is none")),
        };
        self.with(py, |study| study.tell(trial, sample, told))
    }

    /// Writes what has been found so far into the study's folder, and returns it as JSON, or None.
    fn result(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let result = self.with(py, |study| study.result())?;
        Ok(result.map(|result| serde_json::to_string(&result).unwrap_or_default()))
    }

    /// Lets others open it.
    fn close(&self) {
        self.study.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn __repr__(&self) -> String {
        format!("<deepaug._native.AskTell {}>", self.folder.display())
    }
}

/// Returns whether the trials of a study are judged elsewhere.
#[pyfunction]
pub(crate) fn is_judged(py: Python<'_>, folder: PathBuf) -> PyResult<bool> {
    deepaug::AskTell::is_one(&folder).map_err(|error| raise(py, &error))
}

/// Makes the folder of a study whose images are in memory, and returns it with the path for them.
#[pyfunction]
#[pyo3(signature = (name, folder))]
pub(crate) fn new_folder(py: Python<'_>, name: &str, folder: Option<PathBuf>) -> PyResult<[PathBuf; 2]> {
    folder_with_images(name, folder.as_deref()).map_err(|error| raise(py, &error))
}
