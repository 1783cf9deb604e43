//! The native half of the Python package: types, errors, signals and arrays. Everything that searches, trains or augments
//! is in the other crates, and everything that needs no arrays or threads is in `python/deepaug`.

// Python's keyword arguments.
#![allow(clippy::too_many_arguments)]

mod attend;
mod config;
mod data;
mod errors;
mod executor;
mod judge;
mod policy;
mod process;
mod results;
mod search;
mod sheet;

use pyo3::prelude::*;

/// Results of more than 128 KiB, such as an image of 224 pixels, are otherwise taken from the system and given back one by
/// one: an inversion takes ten times as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _native {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::config::{config, study_config};
    #[pymodule_export]
    use crate::data::Dataset;
    #[pymodule_export]
    use crate::executor::JobRunner;
    #[pymodule_export]
    use crate::judge::{Trial, wait_for_objectives};
    #[pymodule_export]
    use crate::policy::{Application, Policy, ops};
    #[pymodule_export]
    use crate::process::set_threads;
    #[pymodule_export]
    use crate::results::{best_policy, compare, inspection, report, result, train, trials};
    #[pymodule_export]
    use crate::search::{AskTell, Search, is_judged, new_folder};
    #[pymodule_export]
    use crate::sheet::Sheet;

    /// Runs the command with its arguments, of which the first is the program's name, and returns its exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| deepaug_cli::run(arguments))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::process::remember();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
