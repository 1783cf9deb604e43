//! A memory that survives being killed: an append-only file, one event a line, synced before anything depends on it.
//! Everything else in a study's folder can be rebuilt from its journals.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use deepaug_child_model::History;
use deepaug_controller::Point;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::layout;

/// The version of the file's form.
const FORMAT: u32 = 1;

/// Data of a study whose trials are judged by somebody else.
const OUTSIDE: &str = "none";

/// What a journal's lines after the first are.
pub(crate) trait Line: Serialize + DeserializeOwned {
    /// What the journal is of.
    const SUBJECT: &'static str = "study";
    /// What to do where something of it has changed.
    const REMEDY: &'static str = "restore that in study.toml or start a new study";
    /// The file beside it that says who has it open.
    const LOCK: &'static str = layout::LOCK;
}

impl Line for Entry {}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum First {
    /// What the file is for.
    Opened {
        format: u32,
        program: String,
        #[serde(rename = "pins")]
        fingerprint: Fingerprint,
    },
}

/// A line of a search's journal, after the first. Epochs are not among them: a training that was cut short is done again, and the history of one that ended holds
/// them all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A policy was chosen for a trial.
    Proposed {
        trial: u64,
        point: Point,
        policy: Policy,
        /// The name of one that needs no search.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scheme: Option<String>,
    },
    /// A child was trained. One that was pruned at a rung has only the epochs up to it.
    Trained {
        trial: u64,
        sample: usize,
        seed: u64,
        device: String,
        history: History,
        #[serde(rename = "behind", default, skip_serializing_if = "std::ops::Not::not")]
        pruned: bool,
    },
    /// A training failed.
    Failed { trial: u64, sample: usize, seed: u64, device: String, why: String },
    /// Somebody else judged a trial, or one sample of it.
    ReportedOutcome { trial: u64, sample: Option<usize>, told: ReportedOutcome },
}

/// What somebody else says of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedOutcome {
    /// What it was worth; more is better.
    Reward(f64),
    /// That it failed, and why.
    Failed(String),
}

/// What must not change while a study lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// A checksum of the images and labels.
    pub(crate) data: String,
    /// The configuration's values that decide what a training is.
    pub(crate) config: serde_json::Value,
}

impl Fingerprint {
    /// Those of a study whose trials are judged by somebody else.
    pub(crate) fn outside(config: serde_json::Value) -> Self {
        Self { data: OUTSIDE.into(), config }
    }

    /// What differs from `now`, in words.
    fn changed<E: Line>(&self, now: &Self) -> Option<String> {
        if self.data == OUTSIDE && now.data != OUTSIDE {
            return Some("the study was made by deepaug init; go on with deepaug ask and deepaug tell".into());
        }
        if now.data == OUTSIDE && self.data != OUTSIDE {
            return Some("the study trains its own children; go on with deepaug optimize --resume".into());
        }
        if self.data != now.data {
            let subject = E::SUBJECT;
            return Some(format!(
                "the data set has changed since the {subject} was made; restore it or start a new {subject}"
            ));
        }
        let now = now.config.as_object()?;
        let known = self.config.as_object()?;
        let key = now.keys().find(|key| now.get(*key) != known.get(*key))?;
        let (subject, remedy) = (E::SUBJECT, E::REMEDY);
        Some(match known.get(key) {
            Some(was) => format!("the {subject} was made with {key} = {was}; {remedy}"),
            None => format!(
                "the {subject} was made by a version of deepaug that does not know {key}; go on with that version or start a \
                 new {subject}"
            ),
        })
    }
}

/// The file, open for appending and locked against other processes for as long as it is open. Its lines after the first
/// are of one kind.
#[derive(Debug)]
pub(crate) struct Journal<E = Entry> {
    file: File,
    path: PathBuf,
    /// Bytes of whole lines.
    len: u64,
    /// Lines that were written since it was opened, for [`fault`].
    written: u64,
    entries: PhantomData<E>,
}

impl<E: Line> Journal<E> {
    /// A new journal.
    pub(crate) fn create(path: &Path, fingerprint: Fingerprint) -> Result<Self, Error> {
        let file =
            OpenOptions::new().create_new(true).append(true).open(path).map_err(|error| Error::file(path, error))?;
        let mut journal = Self { file, path: path.into(), len: 0, written: 0, entries: PhantomData };
        journal.lock()?;
        journal.write(&First::Opened { format: FORMAT, program: env!("CARGO_PKG_VERSION").into(), fingerprint })?;
        // The file's name is on disk only when its folder is.
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::file(folder, error))?;
        }
        Ok(journal)
    }

    /// An existing journal and what it holds after its first line; with `fingerprint`, only if they are its own. A last line that a
    /// crash cut short is removed.
    pub(crate) fn open(path: &Path, fingerprint: Option<&Fingerprint>) -> Result<(Self, Vec<E>), Error> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|error| Error::study(path, format!("not a study that can be resumed: {error}")))?;
        let mut journal = Self { file, path: path.into(), len: 0, written: 0, entries: PhantomData };
        journal.lock()?;
        let mut text = String::new();
        journal.file.read_to_string(&mut text).map_err(|error| Error::file(path, error))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        journal.len = whole as u64;
        if whole < text.len() {
            journal.file.set_len(journal.len).map_err(|error| Error::file(path, error))?;
        }
        let damaged = |line: usize, error: serde_json::Error| {
            Error::study(path, format!("line {} is damaged: {error}", line + 1))
        };
        let mut lines = text[..whole].lines().enumerate();
        let first = lines.next().map(|(line, text)| serde_json::from_str(text).map_err(|error| damaged(line, error)));
        let Some(First::Opened { format, fingerprint: known, .. }) = first.transpose()? else {
            return Err(Error::study(path, "its first line is not a journal's"));
        };
        if format > FORMAT {
            let why = format!("format {format} is newer than this program reads ({FORMAT}); use a newer deepaug");
            return Err(Error::study(path, why));
        }
        if let Some(change) = fingerprint.and_then(|fingerprint| known.changed::<E>(fingerprint)) {
            return Err(Error::study(path, change));
        }
        let entries = lines.map(|(line, text)| serde_json::from_str(text).map_err(|error| damaged(line, error)));
        Ok((journal, entries.collect::<Result<_, _>>()?))
    }

    /// Writes one event and waits until it is on disk. What cannot be written whole is not written at all.
    pub(crate) fn append(&mut self, entry: &E) -> Result<(), Error> {
        self.write(entry)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path, error);
        let mut line = serde_json::to_string(line).map_err(|error| failed(error.into()))?;
        line.push('\n');
        if !self.is_in_place() {
            let gone = "the study's folder has been moved or deleted while it was running";
            return Err(failed(std::io::Error::new(std::io::ErrorKind::NotFound, gone)));
        }
        fault::before(self.written, &mut self.file, &line);
        if let Err(error) = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Should this fail as well, the torn line is cut off when the study is opened again.
            let _ = self.file.set_len(self.len);
            return Err(failed(error));
        }
        self.len += line.len() as u64;
        self.written += 1;
        fault::after(self.written);
        Ok(())
    }

    /// Whether the file still has its name: to one that has been deleted everything could be written, and be lost.
    fn is_in_place(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let number = |about: std::io::Result<std::fs::Metadata>| about.map(|about| (about.dev(), about.ino())).ok();
            number(self.file.metadata()) == number(std::fs::metadata(&self.path))
        }
        #[cfg(not(unix))]
        self.path.exists()
    }

    fn lock(&self) -> Result<(), Error> {
        let note = self.path.with_file_name(E::LOCK);
        match self.file.try_lock() {
            Ok(()) => {
                // Only read by a process that finds the file locked, so that it need not be removed.
                let _ = std::fs::write(note, format!("process {}", std::process::id()));
                Ok(())
            }
            Err(TryLockError::WouldBlock) => {
                let who = std::fs::read_to_string(note).unwrap_or_else(|_| "another process".into());
                Err(Error::study(&self.path, format!("{who} is running this {}; wait for it, or stop it", E::SUBJECT)))
            }
            Err(TryLockError::Error(error)) => Err(Error::file(&self.path, error)),
        }
    }
}

/// Crashes on purpose, for tests that the binary survives them: `DEEPAUG_CRASH=torn:N` ends the process in the middle of
/// the journal's line N, counted from 0 since it was opened, `DEEPAUG_CRASH=after:N` right after N lines.
mod fault {
    use std::fs::File;
    use std::io::Write;
    use std::sync::LazyLock;

    static CRASH: LazyLock<Option<(bool, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("DEEPAUG_CRASH").ok()?;
        let (kind, line) = wanted.split_once(':')?;
        Some((kind == "torn", line.parse().ok()?))
    });

    pub(super) fn before(written: u64, file: &mut File, line: &str) {
        if *CRASH == Some((true, written)) {
            let _ = file.write_all(&line.as_bytes()[..line.len() / 2]);
            std::process::abort();
        }
    }

    pub(super) fn after(written: u64) {
        if *CRASH == Some((false, written)) {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(data: &str, epochs: usize) -> Fingerprint {
        Fingerprint { data: data.into(), config: serde_json::json!({ "child_epochs": epochs }) }
    }

    fn failed(sample: usize) -> Entry {
        Entry::Failed { trial: 1, sample, seed: 7, device: "cpu".into(), why: "it\nbroke".into() }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_writing_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::<Entry>::create(&path, fingerprint("d", 1)).unwrap();
        journal.append(&failed(0)).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for torn in ["{", "{\"event\":\"failed\",\"trial\":1", "\u{0}\u{0}"] {
            std::fs::write(&path, [&whole, torn.as_bytes()].concat()).unwrap();
            let (mut journal, entries) = Journal::<Entry>::open(&path, Some(&fingerprint("d", 1))).unwrap();
            assert_eq!(entries, [failed(0)]);
            journal.append(&failed(1)).unwrap();
            drop(journal);
            assert_eq!(Journal::<Entry>::open(&path, Some(&fingerprint("d", 1))).unwrap().1, [failed(0), failed(1)]);
        }
    }

    #[test]
    fn a_second_writer_other_data_and_damage_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::<Entry>::create(&path, fingerprint("d", 1)).unwrap();
        let refused =
            |data, epochs| Journal::<Entry>::open(&path, Some(&fingerprint(data, epochs))).unwrap_err().to_string();
        let refusal = |data| refused(data, 1);
        assert!(refusal("d").contains(&format!("process {} is running this study", std::process::id())));
        drop(journal);
        assert!(refusal("e").contains("the data set has changed"));
        assert!(refused("d", 2).contains("made with child_epochs = 1"));
        let newer = Fingerprint { data: "d".into(), config: serde_json::json!({ "child_epochs": 1, "pad": 4 }) };
        let unknown = Journal::<Entry>::open(&path, Some(&newer)).unwrap_err().to_string();
        assert!(unknown.contains("a version of deepaug that does not know pad"), "{unknown}");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}nonsense\n")).unwrap();
        assert!(refusal("d").contains("line 2 is damaged"));
        std::fs::write(&path, whole.replace("\"format\":1", "\"format\":9")).unwrap();
        assert!(refusal("d").contains("format 9 is newer"));
        std::fs::write(&path, "").unwrap();
        assert!(refusal("d").contains("first line"));
    }
}
