//! What studies on disk have found, and what is done with it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use deepaug::compare::{Baseline, Compare, CompareEvent, Comparison};
use deepaug::{
    Augmentation, Cancel, Config, ConfigError, Error, FinalOptions, Inspection, Policies, SearchResult, Train,
    TrialRecord, write_report,
};
use pyo3::prelude::*;
use serde::Serialize;

use crate::attend::{Message, attend};
use crate::errors::raise;
use crate::policy::Policy;
use crate::process::refuse_fork;

fn json<T: Serialize>(py: Python<'_>, found: Result<T, Error>) -> PyResult<String> {
    let found = found.map_err(|error| raise(py, &error))?;
    Ok(serde_json::to_string(&found).unwrap_or_default())
}

/// Returns the trials of a study as JSON.
#[pyfunction]
pub(crate) fn trials(py: Python<'_>, study: PathBuf) -> PyResult<String> {
    json(py, py.detach(|| TrialRecord::read(&study)))
}

/// Returns what a study has found so far as JSON: null before a policy can be compared with none.
#[pyfunction]
pub(crate) fn result(py: Python<'_>, study: PathBuf) -> PyResult<String> {
    json(py, py.detach(|| SearchResult::read(&study)))
}

/// Returns the policy to use, by what a study has found so far.
#[pyfunction]
pub(crate) fn best_policy(py: Python<'_>, study: PathBuf) -> PyResult<Option<Policy>> {
    // Before the search has ended there is what it has found so far.
    let found = match Policies::answer(&study, 1) {
        Ok(Policies { mut policies, application, .. }) => policies.pop().map(|policy| (policy, application)),
        Err(_) => {
            let found = SearchResult::read(&study).map_err(|error| raise(py, &error))?;
            found.map(|found| (found.policy(), found.application))
        }
    };
    Ok(found.map(|(policy, application)| Policy::of(Augmentation { policy, application })))
}

/// Returns a summary of a study or a notebook as JSON.
#[pyfunction]
pub(crate) fn inspection(py: Python<'_>, path: PathBuf) -> PyResult<String> {
    json(py, py.detach(|| Inspection::read(&path)))
}

/// Writes a study's page.
#[pyfunction]
pub(crate) fn report(py: Python<'_>, study: PathBuf, to: PathBuf) -> PyResult<()> {
    py.detach(|| write_report(&study, &to)).map_err(|error| raise(py, &error))
}

/// Reads a value that is given as text.
fn given<T: FromStr<Err: Display>>(key: &str, text: Option<String>) -> Result<Option<T>, Error> {
    let read = |text: String| text.parse().map_err(|why| Error::from(ConfigError::new(format!("{key}: {why}"))));
    text.map(read).transpose()
}

/// Options of final trainings, as Python gives them.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    config: Option<PathBuf>,
    model: Option<String>,
    epochs: Option<usize>,
    train_size: Option<String>,
    test_size: Option<usize>,
    device: Option<String>,
    chance: Option<f64>,
    finish: Option<bool>,
    pad: Option<f64>,
    flip: Option<bool>,
    cutout: Option<f64>,
    top: Option<usize>,
}

impl Options {
    fn training(self) -> Result<(FinalOptions, usize), Error> {
        let Self { config, model, epochs, train_size, test_size, device, chance, finish, pad, flip, cutout, top } =
            self;
        let training = FinalOptions {
            config: config.as_deref().map(Config::read).transpose()?,
            model: given("model", model)?,
            epochs,
            train_size: given("train_size", train_size)?.unwrap_or_default(),
            test_size,
            device: given("device", device)?,
            chance,
            finish,
            pad,
            flip,
            cutout,
            elsewhere: false,
        };
        Ok((training, top.unwrap_or(Compare::default().top)))
    }
}

/// Compares a study's answer with baselines, and returns the result as JSON, or None if it was stopped.
#[pyfunction]
#[pyo3(signature = (study, options, seeds, baselines, beside, name, on_event))]
pub(crate) fn compare(
    py: Python<'_>,
    study: PathBuf,
    options: Options,
    seeds: usize,
    baselines: Option<Vec<String>>,
    beside: Vec<PathBuf>,
    name: Option<String>,
    on_event: Option<Py<PyAny>>,
) -> PyResult<Option<String>> {
    refuse_fork("a comparison")?;
    let opened = || {
        let (training, top) = options.training()?;
        let baselines = match baselines {
            None => Baseline::USUAL.to_vec(),
            Some(names) => {
                let read = |name| given("baselines", Some(name));
                names
                    .into_iter()
                    .map(read)
                    .collect::<Result<Vec<Option<Baseline>>, _>>()?
                    .into_iter()
                    .flatten()
                    .collect()
            }
        };
        let compare = Compare { training, top, seeds, baselines, beside, name, ..Compare::default() };
        Comparison::open(&study, compare)
    };
    let comparison = py.detach(opened).map_err(|error| raise(py, &error))?;
    let cancel = comparison.cancel();
    let result = attend(py, &cancel, on_event.as_ref(), |tell| {
        comparison.run(&|event| {
            tell(match event {
                CompareEvent::Epoch { .. } => Message::epoch(event),
                event => Message::new(event),
            });
        })
    })?;
    Ok(result.map(|result| serde_json::to_string(&result).unwrap_or_default()))
}

/// Trains a final model, and returns its record as JSON, or None if it was stopped.
#[pyfunction]
#[pyo3(signature = (study, options, scheme, policy, sample, out, on_event))]
pub(crate) fn train(
    py: Python<'_>,
    study: PathBuf,
    options: Options,
    scheme: Option<String>,
    policy: Option<PathBuf>,
    sample: usize,
    out: PathBuf,
    on_event: Option<Py<PyAny>>,
) -> PyResult<Option<String>> {
    refuse_fork("a training")?;
    let made = || {
        let (training, top) = options.training()?;
        Ok(Train { training, top, instead: given("scheme", scheme)?, policies: policy, sample, out })
    };
    let train = made().map_err(|error: Error| raise(py, &error))?;
    let cancel = Cancel::new();
    let switch = cancel.clone();
    let trained = attend(py, &cancel, on_event.as_ref(), |tell| {
        train.run(Path::new(&study), &switch, &|record, epochs| {
            tell(Message::epoch(&Epoch { event: "epoch", epochs, record }));
        })
    })?;
    Ok(trained.map(|trained| serde_json::to_string(&trained).unwrap_or_default()))
}

/// An epoch of a final training.
#[derive(Serialize)]
struct Epoch<'a> {
    event: &'static str,
    epochs: usize,
    record: &'a deepaug::EpochRecord,
}

impl Display for Epoch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deepaug::EpochRecord { epoch, acc, val_acc, .. } = self.record;
        write!(f, "epoch {epoch}/{}: accuracy {acc:.3}, test {val_acc:.3}", self.epochs)
    }
}
