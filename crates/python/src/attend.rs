//! Long work on a thread of its own, while this one hands its events to Python and lets Python handle signals.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use deepaug::{Cancel, Error};
use pyo3::prelude::*;
use serde::Serialize;

use crate::errors::raise;

/// How often signals are looked for: Ctrl-C is answered within this time.
const PULSE: Duration = Duration::from_millis(50);

/// How often epochs are told at most, so that a thousand of them in a second do not keep Python from its own work.
const EPOCHS: Duration = Duration::from_millis(100);

/// An event as `--json` writes it, and in words.
pub(crate) struct Message {
    json: String,
    words: String,
    is_epoch: bool,
}

/// Tells events.
pub(crate) type Tell<'a> = &'a dyn Fn(Message);

impl Message {
    pub(crate) fn new(event: &(impl Serialize + ToString)) -> Self {
        Self { json: serde_json::to_string(event).unwrap_or_default(), words: event.to_string(), is_epoch: false }
    }

    /// Makes the message of an epoch, of which some are left out.
    pub(crate) fn epoch(event: &(impl Serialize + ToString)) -> Self {
        Self { is_epoch: true, ..Self::new(event) }
    }
}

/// Does work, and calls `on_event(json, words)` with its events, on this thread and in order. An exception there, or one
/// that a signal raises, ends the work and is raised; so does the switch, after which there is no result.
pub(crate) fn attend<T: Send>(
    py: Python<'_>,
    cancel: &Cancel,
    on_event: Option<&Py<PyAny>>,
    work: impl FnOnce(Tell<'_>) -> Result<T, Error> + Send,
) -> PyResult<Option<T>> {
    let (done, raised) = py.detach(|| {
        let (sender, messages) = channel();
        std::thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let last = std::cell::Cell::new(None::<Instant>);
                work(&|message: Message| {
                    if message.is_epoch {
                        if last.get().is_some_and(|last| last.elapsed() < EPOCHS) {
                            return;
                        }
                        last.set(Some(Instant::now()));
                    }
                    // Nobody listens any more once an exception has been raised.
                    let _ = sender.send(message);
                })
            });
            let mut raised: Option<PyErr> = None;
            loop {
                let received = messages.recv_timeout(PULSE);
                let ended = matches!(received, Err(RecvTimeoutError::Disconnected));
                let attended = Python::attach(|py| {
                    if let (Ok(Message { json, words, .. }), None, Some(on_event)) = (received, &raised, on_event) {
                        on_event.bind(py).call1((json, words))?;
                    }
                    // Python's signal handlers run here: KeyboardInterrupt, or whatever was installed.
                    py.check_signals()
                });
                if let Err(error) = attended {
                    if cancel.cancel() {
                        // The second time, nothing is waited for that is not ours.
                        deepaug::kill_programs();
                    }
                    raised.get_or_insert(error);
                }
                if ended {
                    break;
                }
            }
            (worker.join(), raised)
        })
    });
    let done = match done {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    match (raised, done) {
        (Some(raised), _) => Err(raised),
        (None, Ok(done)) => Ok(Some(done)),
        (None, Err(Error::Interrupted { .. } | Error::Paused { .. } | Error::Stopped)) => Ok(None),
        (None, Err(error)) => Err(raise(py, &error)),
    }
}
