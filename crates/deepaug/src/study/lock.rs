//! Lets one process at a time write a journal; others wait for it, or are told about it.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How a process holds a journal, which only one process at a time can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A search, a comparison or a server: it keeps the journal for long, and other processes are told so at once.
    Long,
    /// A short command. Concurrent commands wait for one another, in order, for at most this long.
    Short(Duration),
}

/// How long a process waits for a short command that uses the journal of a study.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A note of who holds the journal for long may be left over from a killed process; it is believed if it stays
/// unchanged for as long as a short command takes to remove it.
const BELIEVED_AFTER: Duration = Duration::from_millis(200);

/// Locks a journal's file for as long as it is open. `note` names the file beside it that says who has it open for
/// long, `subject` what the journal belongs to.
pub(crate) fn lock(file: &File, path: &Path, note: &str, subject: &str, holder: Holder) -> Result<(), Error> {
    let note = path.with_file_name(note);
    let failed = |error| Error::file(path, error);
    if !try_lock(file).map_err(failed)? {
        let deadline = Instant::now() + BELIEVED_AFTER;
        let who = || std::fs::read_to_string(&note).ok();
        let first = who();
        while let Some(now) = who().filter(|now| Some(now) == first.as_ref()) {
            if try_lock(file).map_err(failed)? {
                break;
            }
            if Instant::now() > deadline {
                return Err(Error::study(path, format!("{now} is running this {subject}; wait for it, or stop it")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let patience = match holder {
            Holder::Long => PATIENCE,
            Holder::Short(patience) => patience,
        };
        if !wait(file, patience).map_err(failed)? {
            let seconds = patience.as_secs();
            let why = format!("other commands have been using this {subject} for {seconds} seconds; try again");
            return Err(Error::study(path, why));
        }
    }
    // Only long holders leave a note; one that is found is from a killed process.
    match holder {
        Holder::Long => _ = std::fs::write(note, format!("process {}", std::process::id())),
        Holder::Short(_) => _ = std::fs::remove_file(note),
    }
    Ok(())
}

fn try_lock(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Waits for the lock of a file, behind those already waiting; returns false on timeout.
fn wait(file: &File, patience: Duration) -> std::io::Result<bool> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(0);
    // The same open file: a lock held by one handle is held by both.
    let waiting = file.try_clone()?;
    std::thread::spawn(move || {
        let locked = waiting.lock();
        // Nobody is waiting any more: the file is closed, which releases the lock.
        let _ = sender.send(locked);
    });
    match receiver.recv_timeout(patience) {
        Ok(locked) => locked.map(|()| true),
        Err(_) => Ok(false),
    }
}
