//! Configurations.

use std::path::PathBuf;

use deepaug::{Config, ConfigError, Error};
use pyo3::prelude::*;

use crate::errors::raise;

/// Returns a configuration as documented TOML and as JSON: a file, TOML text, or a named one, with keys set in the form
/// `key=value`.
#[pyfunction]
#[pyo3(signature = (base, file, text, pairs))]
pub(crate) fn config(
    py: Python<'_>,
    base: &str,
    file: Option<PathBuf>,
    text: Option<&str>,
    pairs: Vec<String>,
) -> PyResult<(String, String)> {
    let read = || {
        let config = match (file, text, base) {
            (Some(file), ..) => Config::read(&file)?,
            (None, Some(text), _) => Config::parse(text)?,
            (None, None, "default") => Config::default(),
            (None, None, "quickstart") => Config::quickstart(),
            (None, None, "deepaugment") => Config::parse(include_str!("../../../configs/deepaugment.toml"))?,
            (None, None, other) => {
                let why = format!(
                    "base must be \"default\", \"quickstart\" or \"deepaugment\", a path or a mapping, not {other:?}"
                );
                return Err(ConfigError::new(why).into());
            }
        };
        let config = config.with_all(pairs.iter().map(String::as_str))?;
        config.clone().check()?;
        Ok::<_, Error>(texts(&config))
    };
    read().map_err(|error| raise(py, &error))
}

/// Returns the configuration of a study, in the same forms.
#[pyfunction]
pub(crate) fn study_config(py: Python<'_>, study: PathBuf) -> PyResult<(String, String)> {
    let read = || {
        deepaug::AskTell::is_one(&study)?;
        Ok::<_, Error>(texts(&Config::read(&study.join("study.toml"))?))
    };
    read().map_err(|error| raise(py, &error))
}

fn texts(config: &Config) -> (String, String) {
    (config.documented(), serde_json::to_string(config).unwrap_or_default())
}

/// Reads what [`config`] returned.
pub(crate) fn parse(py: Python<'_>, toml: &str) -> PyResult<Config> {
    Config::parse(toml).map_err(|error| raise(py, &error.into()))
}
