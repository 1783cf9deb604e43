//! The study's memory: an append-only file, one event a line, synced before anything depends on it. Everything else
//! in a study's folder can be rebuilt from it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use deepaug_child_model::History;
use deepaug_controller::Point;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of the file's form.
const FORMAT: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The first line.
    Opened { format: u32, program: String, pins: Pins },
    /// A policy was chosen for a trial.
    Proposed { trial: u64, point: Point, policy: Policy },
    /// A child was trained.
    Trained { trial: u64, sample: usize, seed: u64, device: String, history: History },
    /// A training failed.
    Failed { trial: u64, sample: usize, seed: u64, device: String, why: String },
}

/// What must not change while a study lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pins {
    /// A checksum of the images and labels.
    pub(crate) data: String,
    /// The configuration's values that decide what a training is.
    pub(crate) config: serde_json::Value,
}

impl Pins {
    /// What differs from `now`, in words.
    fn changed(&self, now: &Self) -> Option<String> {
        if self.data != now.data {
            return Some("the data set has changed since the study was made; restore it or start a new study".into());
        }
        let now = now.config.as_object()?;
        let known = self.config.as_object()?;
        let key = now.keys().find(|key| now.get(*key) != known.get(*key))?;
        let was = known.get(key).map_or("absent".into(), ToString::to_string);
        Some(format!("the study was made with {key} = {was}; restore that in study.toml or start a new study"))
    }
}

/// The file, open for appending and locked against other processes for as long as it is open.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// A new journal.
    pub(crate) fn create(path: &Path, pins: Pins) -> Result<Self, Error> {
        let file =
            OpenOptions::new().create_new(true).append(true).open(path).map_err(|error| Error::file(path, error))?;
        let mut journal = Self { file, path: path.into() };
        journal.lock()?;
        journal.append(&Entry::Opened { format: FORMAT, program: env!("CARGO_PKG_VERSION").into(), pins })?;
        Ok(journal)
    }

    /// An existing journal and what it holds after its first line. A last line that a crash cut short is removed.
    pub(crate) fn open(path: &Path, pins: &Pins) -> Result<(Self, Vec<Entry>), Error> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|error| Error::study(path, format!("not a study that can be resumed: {error}")))?;
        let mut journal = Self { file, path: path.into() };
        journal.lock()?;
        let mut text = String::new();
        journal.file.read_to_string(&mut text).map_err(|error| Error::file(path, error))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            journal.file.set_len(whole as u64).map_err(|error| Error::file(path, error))?;
            journal.file.seek(SeekFrom::End(0)).map_err(|error| Error::file(path, error))?;
        }
        let mut entries = Vec::new();
        for (index, line) in text[..whole].lines().enumerate() {
            let entry = serde_json::from_str(line)
                .map_err(|error| Error::study(path, format!("line {} is damaged: {error}", index + 1)))?;
            entries.push(entry);
        }
        match entries.first() {
            Some(Entry::Opened { format, .. }) if *format > FORMAT => Err(Error::study(
                path,
                format!("format {format} is newer than this program reads ({FORMAT}); use a newer deepaug"),
            )),
            Some(Entry::Opened { pins: known, .. }) => match known.changed(pins) {
                Some(change) => Err(Error::study(path, change)),
                None => Ok((journal, entries.split_off(1))),
            },
            _ => Err(Error::study(path, "its first line is not a journal's")),
        }
    }

    /// Writes one event and waits until it is on disk.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let mut line = serde_json::to_string(entry).map_err(|error| Error::file(&self.path, error.into()))?;
        line.push('\n');
        let result = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        result.map_err(|error| Error::file(&self.path, error))
    }

    /// The error for a proposal that is not the one in the file.
    pub(crate) fn mismatch(&self, trial: u64) -> Error {
        Error::study(
            &self.path,
            format!(
                "trial {trial} was proposed differently by the program that wrote it; resume with that version, or start a \
                 new study"
            ),
        )
    }

    fn lock(&self) -> Result<(), Error> {
        self.file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::study(&self.path, "another process is running this study"),
            TryLockError::Error(error) => Error::file(&self.path, error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(data: &str, epochs: usize) -> Pins {
        Pins { data: data.into(), config: serde_json::json!({ "child_epochs": epochs }) }
    }

    fn failed(sample: usize) -> Entry {
        Entry::Failed { trial: 1, sample, seed: 7, device: "cpu".into(), why: "it\nbroke".into() }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_writing_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::create(&path, pins("d", 1)).unwrap();
        journal.append(&failed(0)).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for torn in ["{", "{\"event\":\"failed\",\"trial\":1", "\u{0}\u{0}"] {
            std::fs::write(&path, [&whole, torn.as_bytes()].concat()).unwrap();
            let (mut journal, entries) = Journal::open(&path, &pins("d", 1)).unwrap();
            assert_eq!(entries, [failed(0)]);
            journal.append(&failed(1)).unwrap();
            drop(journal);
            assert_eq!(Journal::open(&path, &pins("d", 1)).unwrap().1, [failed(0), failed(1)]);
        }
    }

    #[test]
    fn a_second_writer_other_data_and_damage_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::create(&path, pins("d", 1)).unwrap();
        let refused = |data, epochs| Journal::open(&path, &pins(data, epochs)).unwrap_err().to_string();
        let refusal = |data| refused(data, 1);
        assert!(refusal("d").contains("another process is running this study"));
        drop(journal);
        assert!(refusal("e").contains("the data set has changed"));
        assert!(refused("d", 2).contains("made with child_epochs = 1"));
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}nonsense\n")).unwrap();
        assert!(refusal("d").contains("line 2 is damaged"));
        std::fs::write(&path, whole.replace("\"format\":1", "\"format\":9")).unwrap();
        assert!(refusal("d").contains("format 9 is newer"));
        std::fs::write(&path, "").unwrap();
        assert!(refusal("d").contains("first line"));
    }
}
