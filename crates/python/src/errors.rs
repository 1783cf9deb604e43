//! Errors as Python's exceptions, which `deepaug/_errors.py` defines.

use std::path::Path;

use deepaug::{Error, Remedy};
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;

/// Turns an error into the exception of its kind.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let words = in_words(error);
    let kind = match error {
        Error::Config(_) => "ConfigError",
        Error::Data(_) => "DataError",
        Error::Device(_) => "DeviceError",
        Error::Child(_) => "TrainError",
        Error::Search(_) | Error::Study { .. } => "StudyError",
        Error::File { path, source } => {
            // The subclass, such as FileNotFoundError, comes from the number.
            return match source.raw_os_error() {
                Some(number) => PyOSError::new_err((number, source.to_string(), path.display().to_string())),
                None => PyErr::from(std::io::Error::new(source.kind(), words)),
            };
        }
        Error::Interrupted { .. } | Error::Paused { .. } | Error::Stopped => {
            return PyKeyboardInterrupt::new_err(words);
        }
        _ => "DeepaugError",
    };
    named(py, kind, words, error.code(), error.path())
}

/// Makes an exception of ours.
pub(crate) fn named(py: Python<'_>, kind: &str, words: String, code: u8, path: Option<&Path>) -> PyErr {
    let made = || {
        let made = py.import("deepaug._errors")?.getattr(kind)?.call1((words.clone(),))?;
        made.setattr("code", code)?;
        made.setattr("path", path.map(|path| path.display().to_string()))?;
        Ok::<_, PyErr>(PyErr::from_value(made))
    };
    made().unwrap_or_else(|error| error)
}

/// Refuses a policy.
pub(crate) fn wrong_policy(py: Python<'_>, why: impl Into<String>) -> PyErr {
    named(py, "PolicyError", why.into(), deepaug::ExitCode::Configuration as u8, None)
}

/// Describes an error, and what to do about it in Python.
fn in_words(error: &Error) -> String {
    let remedy = match error.remedy() {
        None => return error.to_string(),
        Some(Remedy::AnotherDevice) => "Set device=\"cpu\", or device=\"auto\" to take whatever is available".into(),
        Some(Remedy::UpdateDriver) => "Update its driver, or set device=\"cpu\"".into(),
        Some(Remedy::BuildForGpu) => "Build the package for GPUs, or set device=\"cpu\"".into(),
        Some(Remedy::Resume { study }) => {
            format!("Continue with Study.load({:?}).optimize()", study.display().to_string())
        }
        Some(Remedy::AnotherFolder) => {
            "Choose another folder, or, if it is a study, continue it with Study.load".into()
        }
        Some(Remedy::FinishSearch { study }) => {
            format!("Continue with Study.load({:?}).optimize()", study.display().to_string())
        }
        Some(Remedy::NameNet) => "Name a net with model=".into(),
        Some(Remedy::AnotherName) => "Use the same options, or another name=".into(),
        Some(Remedy::AskAndTell) => "Continue with an objective, or by ask and tell".into(),
        Some(other) => other.to_string(),
    };
    format!("{error}. {remedy}")
}
