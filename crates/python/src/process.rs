//! Threads, in the process that loaded the module and in its forks.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The process that loaded the module.
static LOADED_IN: AtomicU32 = AtomicU32::new(0);

pub(crate) fn remember() {
    LOADED_IN.store(std::process::id(), Ordering::Relaxed);
}

/// Whether this process is a fork of the one that loaded the module: it has none of rayon's threads, though rayon
/// thinks so, and would wait for them for ever.
pub(crate) fn is_fork() -> bool {
    LOADED_IN.load(Ordering::Relaxed) != std::process::id()
}

/// Refuses work that needs threads in a fork.
pub(crate) fn refuse_fork(what: &str) -> PyResult<()> {
    if !is_fork() {
        return Ok(());
    }
    let why =
        format!("{what} cannot run in a forked process, which has lost its threads; start it in a new one (spawn)");
    Err(PyRuntimeError::new_err(why))
}

/// Does work on this thread alone, without starting another.
pub(crate) fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread_local! {
        static POOL: Option<ThreadPool> = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok();
    }
    POOL.with(|pool| match pool {
        Some(pool) => pool.install(work),
        // This thread is another pool's.
        None => work(),
    })
}

/// Sets how many threads augmentation and reading use: once, before the first use.
#[pyfunction]
pub(crate) fn set_threads(count: usize) -> PyResult<()> {
    if count == 0 {
        return Err(PyValueError::new_err("count must be at least 1"));
    }
    let built = ThreadPoolBuilder::new().num_threads(count).build_global();
    built.map_err(|_| PyRuntimeError::new_err("the threads have been started; call set_threads before anything else"))
}
