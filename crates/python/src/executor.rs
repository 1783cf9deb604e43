//! Trainings that Python has others carry out, such as Ray.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deepaug::cluster::JobRunner as Runner;
use deepaug::execute::{Executor, Job, JobId, Report};
use deepaug::{Cancel, EpochRecord, Error, History};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Deserialize;

use crate::errors::raise;
use crate::process::refuse_fork;

/// Trains jobs one after another, in this process.
#[pyclass(frozen, module = "deepaug._native")]
pub(crate) struct JobRunner {
    runner: Mutex<Runner>,
    cancel: Cancel,
}

#[pymethods]
impl JobRunner {
    #[new]
    fn new() -> Self {
        Self { runner: Mutex::default(), cancel: Cancel::new() }
    }

    /// Trains a job, given as JSON, and returns its result as JSON. A training that fails is a result.
    fn run(&self, py: Python<'_>, job: &str) -> PyResult<String> {
        refuse_fork("a training")?;
        let job: Job = serde_json::from_str(job).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let result = py.detach(|| {
            let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
            runner.run(job, &self.cancel)
        });
        let result = result.map_err(|error| raise(py, &error))?;
        Ok(serde_json::to_string(&result).unwrap_or_default())
    }

    /// Ends what it trains, from another thread.
    fn stop(&self) {
        self.cancel.cancel();
    }
}

/// A report as JSON.
#[derive(Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
enum Said {
    Epoch { id: JobId, record: EpochRecord },
    Repeated { id: JobId, why: String },
    Ended { id: JobId, device: String, history: Option<History>, failed: Option<String> },
    Cancelled { id: JobId },
    Broken { why: String },
}

impl From<Said> for Report {
    fn from(said: Said) -> Self {
        match said {
            Said::Epoch { id, record } => Self::Epoch { id, record },
            Said::Repeated { id, why } => Self::Repeated { id, why },
            Said::Ended { id, device, history, failed } => {
                let why = || failed.unwrap_or_else(|| "it ended without a history".into());
                Self::Ended { id, device, result: history.ok_or_else(why) }
            }
            Said::Cancelled { id } => Self::Cancelled { id },
            Said::Broken { why } => Self::Broken { error: Error::Cluster { why } },
        }
    }
}

/// An executor that is written in Python.
pub(crate) struct Outside {
    executor: Py<PyAny>,
    /// The exception that ended it.
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Outside {
    pub(crate) fn new(executor: Py<PyAny>) -> Self {
        Self { executor, raised: Arc::default() }
    }

    /// Returns a function that takes the exception, if there was one.
    pub(crate) fn raised(&self) -> impl FnOnce() -> Option<PyErr> + use<> {
        let raised = self.raised.clone();
        move || raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn call<T>(&self, work: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>) -> Result<T, Error> {
        Python::attach(|py| work(self.executor.bind(py))).map_err(|error| {
            let why = error.to_string();
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            Error::Cluster { why }
        })
    }

    fn tell(&self, method: &str, jobs: &[JobId]) {
        let ids: Vec<(u64, usize)> = jobs.iter().map(|id| (id.trial, id.sample)).collect();
        // What it raises ends the search at its next report.
        let _ = self.call(|executor| executor.call_method1(method, (ids,)).map(drop));
    }
}

impl Executor for Outside {
    fn capacity(&self) -> usize {
        self.call(|executor| executor.call_method0("capacity")?.extract()).unwrap_or(0)
    }

    fn submit(&mut self, job: Job) -> Result<(), Error> {
        let text = serde_json::to_string(&job).map_err(|error| Error::Cluster { why: error.to_string() })?;
        self.call(|executor| executor.call_method1("submit", (text,)).map(drop))
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<Report>, Error> {
        if let Some(error) = &*self.raised.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(Error::Cluster { why: error.to_string() });
        }
        let said: Option<String> =
            self.call(|executor| executor.call_method1("next", (timeout.as_secs_f64(),))?.extract())?;
        let wrong =
            |error: serde_json::Error| Error::Cluster { why: format!("the executor's report is wrong: {error}") };
        said.map(|said| serde_json::from_str::<Said>(&said).map(Report::from).map_err(wrong)).transpose()
    }

    fn stop(&mut self, jobs: &[JobId]) {
        self.tell("stop", jobs);
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        self.tell("cancel", jobs);
    }
}
