//! A record that survives kills: an append-only file, one event per line, synced before anything depends on it.
//! Everything else in a study's folder can be rebuilt from its journals.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use deepaug_child_model::History;
use deepaug_controller::Point;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::execute::AdversaryRecord;
use crate::layout;
use crate::remedy::Remedy;
use crate::study::lock::{Holder, lock};
use crate::study::methods::Methods;
use crate::study::population::record::Assignment;
#[cfg(feature = "generative")]
use crate::study::tanda::Taught;

/// The version of the file format.
const FORMAT: u32 = 1;

/// The data of a study whose trials are judged elsewhere.
pub(crate) const OUTSIDE: &str = "none";

/// The lines of a journal after the first.
pub(crate) trait JournalLine: Serialize + DeserializeOwned {
    /// What the journal belongs to.
    const SUBJECT: &'static str = "study";
    /// What to do if something about it has changed.
    const REMEDY: Remedy = Remedy::RestoreStudy;
    /// The file beside it that says who has it open for long.
    const LOCK: &'static str = layout::LOCK;
    /// The kinds of its lines.
    const EVENTS: &'static [&'static str];
}

impl JournalLine for Entry {
    const EVENTS: &'static [&'static str] =
        &["proposed", "trained", "failed", "told", "exploited", "member_trained", "member_failed", "opposed", "taught"];
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum First {
    /// What the file belongs to.
    Opened {
        format: u32,
        program: String,
        #[serde(rename = "pins")]
        fingerprint: Fingerprint,
    },
}

/// A line of a search's journal, after the first. Epochs are not among them: an interrupted training is repeated,
/// and the history of a finished one contains them all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A policy was chosen for a trial.
    Proposed {
        trial: u64,
        point: Point,
        policy: Policy,
        /// The name of a policy that needs no search.
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
    /// Members of a population were given policies, at its start or after some epochs.
    Exploited { epoch: usize, members: Vec<Assignment> },
    /// A member of a population was trained for some epochs, after `from` others.
    MemberTrained { member: usize, from: usize, seed: u64, device: String, history: History },
    /// It failed in them.
    MemberFailed { member: usize, from: usize, seed: u64, device: String, why: String },
    /// A child was trained against an adversary.
    Opposed { seed: u64, device: String, record: AdversaryRecord },
    /// A generator of sequences has learnt.
    #[cfg(feature = "generative")]
    Taught(Taught),
    /// Another program judged a trial, or one sample of it, perhaps after values by epoch.
    Told {
        trial: u64,
        sample: Option<usize>,
        told: ReportedOutcome,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<f64>,
        #[serde(rename = "behind", default, skip_serializing_if = "std::ops::Not::not")]
        pruned: bool,
    },
}

/// The result that another program reports for a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedOutcome {
    /// Its reward: an accuracy, a score or a loss, according to the study's `reward`.
    Reward(f64),
    /// It failed, for this reason.
    Failed(String),
}

/// What must not change while a study exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// A checksum of the images and labels.
    pub(crate) data: String,
    /// The configuration's values that affect a training.
    pub(crate) config: serde_json::Value,
}

impl Fingerprint {
    /// Makes the fingerprint of a study whose trials are judged elsewhere.
    pub(crate) fn outside(config: serde_json::Value) -> Self {
        Self { data: OUTSIDE.into(), config }
    }

    /// Returns what differs from `now`, in words, and what to do.
    fn changed<E: JournalLine>(&self, now: &Self, path: &Path) -> Option<(String, Option<Remedy>)> {
        if self.data == OUTSIDE && now.data != OUTSIDE {
            return Some(("the trials of this study are judged by another program".into(), Some(Remedy::AskAndTell)));
        }
        if now.data == OUTSIDE && self.data != OUTSIDE {
            let study = path.parent().unwrap_or(path).into();
            return Some(("the study trains its own children".into(), Some(Remedy::Resume { study })));
        }
        if self.data != now.data {
            let subject = E::SUBJECT;
            let why =
                format!("the data set has changed since the {subject} was made; restore it or start a new {subject}");
            return Some((why, None));
        }
        let now = now.config.as_object()?;
        let known = self.config.as_object()?;
        let (subject, remedy) = (E::SUBJECT, E::REMEDY);
        // A caller's own methods are there if they are given.
        if let Some(key) = Methods::KEYS.into_iter().find(|key| now.get(*key) != known.get(*key)) {
            let or_none = |value: Option<&serde_json::Value>| value.map_or("none".into(), |value| value.to_string());
            let (was, is) = (or_none(known.get(key)), or_none(now.get(key)));
            return Some((format!("the {subject} was made with {key} = {was}, not {is}; open it with that"), None));
        }
        let key = now.keys().find(|key| now.get(*key) != known.get(*key))?;
        Some(match known.get(key) {
            Some(was) => (format!("the {subject} was made with {key} = {was}"), Some(remedy)),
            None => {
                let why = format!(
                    "the {subject} was made by a version of deepaug that does not know {key}; use that \
                     version or start a new {subject}"
                );
                (why, None)
            }
        })
    }
}

/// The file, open for appending and locked against other processes while open. Its lines after the first are of
/// one kind.
#[derive(Debug)]
pub(crate) struct Journal<E = Entry> {
    file: File,
    path: PathBuf,
    /// Length of the complete lines in bytes.
    len: u64,
    /// Lines written since it was opened, for [`fault`].
    written: u64,
    entries: PhantomData<E>,
}

impl<E: JournalLine> Journal<E> {
    /// Makes a new journal.
    pub(crate) fn create(path: &Path, fingerprint: Fingerprint, holder: Holder) -> Result<Self, Error> {
        let file =
            OpenOptions::new().create_new(true).append(true).open(path).map_err(|error| Error::file(path, error))?;
        let mut journal = Self { file, path: path.into(), len: 0, written: 0, entries: PhantomData };
        lock(&journal.file, path, E::LOCK, E::SUBJECT, holder)?;
        journal.write_first(&First::Opened {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").into(),
            fingerprint,
        })?;
        // The file's name is on disk only once its folder is.
        #[cfg(unix)]
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Error::file(folder, error))?;
        }
        Ok(journal)
    }

    /// Opens an existing journal and returns what it contains after its first line; with `fingerprint`, only if
    /// that is its own. A last line that a crash cut short is removed.
    pub(crate) fn open(
        path: &Path,
        fingerprint: Option<&Fingerprint>,
        holder: Holder,
    ) -> Result<(Self, Vec<E>), Error> {
        Self::open_some(path, fingerprint, holder, &|_| true)
    }

    /// Does the same, but returns only the wanted lines.
    pub(crate) fn open_some(
        path: &Path,
        fingerprint: Option<&Fingerprint>,
        holder: Holder,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<(Self, Vec<E>), Error> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(path)
            .map_err(|error| Error::study(path, format!("not a study that can be resumed: {error}")))?;
        let mut journal = Self { file, path: path.into(), len: 0, written: 0, entries: PhantomData };
        // What is there already is parsed before waiting for the lock, so that others need not wait for that.
        let (before, _) = Self::read_whole(path)?;
        let before = before.as_str();
        let parsed = Self::parse(path, before, fingerprint, is_wanted);
        lock(&journal.file, path, E::LOCK, E::SUBJECT, holder)?;
        let (whole, is_torn) = Self::read_whole(path)?;
        let whole = whole.as_str();
        journal.len = whole.len() as u64;
        if is_torn {
            journal.file.set_len(journal.len).map_err(|error| Error::file(path, error))?;
        }
        let entries = match (whole.strip_prefix(before), parsed) {
            (Some(new), Ok(mut entries)) if !before.is_empty() => {
                let number = before.matches('\n').count();
                entries.extend(Self::parse_lines(path, new, number, is_wanted)?);
                entries
            }
            _ => Self::parse(path, whole, fingerprint, is_wanted)?,
        };
        Ok((journal, entries))
    }

    /// Reads what a journal contains so far, without disturbing a process that is writing it.
    pub(crate) fn read(path: &Path) -> Result<Vec<E>, Error> {
        Self::parse(path, &Self::read_whole(path)?.0, None, &|_| true)
    }

    /// Returns all lines except a last one that is being written, or was when its writer was killed, and whether
    /// there is one.
    fn read_whole(path: &Path) -> Result<(String, bool), Error> {
        let mut bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
        let len = bytes.len();
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        let is_torn = bytes.len() < len;
        let text = String::from_utf8(bytes).map_err(|_| Error::study(path, "is damaged: it is not UTF-8 text"))?;
        Ok((text, is_torn))
    }

    /// Whether a journal is of a study whose trials are judged elsewhere.
    pub(crate) fn is_outside(path: &Path) -> Result<bool, Error> {
        let mut first = String::new();
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        std::io::BufReader::new(file).read_line(&mut first).map_err(|error| Error::file(path, error))?;
        // A line that cannot be read is said to be damaged where the journal is.
        let opened: Option<First> = read_line(first.trim_end()).ok();
        Ok(opened.is_some_and(|First::Opened { fingerprint, .. }| fingerprint.data == OUTSIDE))
    }

    fn parse(
        path: &Path,
        text: &str,
        fingerprint: Option<&Fingerprint>,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<E>, Error> {
        let (first, rest) = text.split_once('\n').unwrap_or_default();
        let opened = (!first.is_empty()).then(|| read_line(first).map_err(|error| damaged(path, 0, error)));
        let Some(First::Opened { format, fingerprint: known, .. }) = opened.transpose()? else {
            return Err(Error::study(path, "its first line is not a journal's"));
        };
        if format > FORMAT {
            let why = format!("format {format} is newer than this program can read ({FORMAT}); use a newer deepaug");
            return Err(Error::study(path, why));
        }
        if let Some((change, remedy)) = fingerprint.and_then(|fingerprint| known.changed::<E>(fingerprint, path)) {
            return Err(remedy.into_iter().fold(Error::study(path, change), Error::with));
        }
        Self::parse_lines(path, rest, 1, is_wanted)
    }

    /// Parses lines after the first, of which `before` precede them.
    fn parse_lines(path: &Path, text: &str, before: usize, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<E>, Error> {
        let entry = |(line, text): (usize, &str)| {
            read_line(text).map_err(|error| match event_of(text) {
                Some((event, _)) if !E::EVENTS.contains(&event) => {
                    let why = format!(
                        "line {} is an event \"{event}\" that this deepaug ({}) does not know: a newer version wrote \
                         it; continue the {} with that version",
                        before + line + 1,
                        env!("CARGO_PKG_VERSION"),
                        E::SUBJECT
                    );
                    Error::study(path, why)
                }
                _ => damaged(path, before + line, error),
            })
        };
        text.lines().enumerate().filter(|(_, line)| is_wanted(line)).map(entry).collect()
    }

    /// Writes one event and waits until it is on disk. An event that cannot be written completely is not written
    /// at all.
    pub(crate) fn append(&mut self, entry: &E) -> Result<(), Error> {
        self.append_all(std::slice::from_ref(entry))
    }

    /// Writes several events, which reach the disk together.
    pub(crate) fn append_all(&mut self, entries: &[E]) -> Result<(), Error> {
        let lines = entries.iter().map(|entry| self.line(entry)).collect::<Result<Vec<_>, _>>()?;
        self.write(&lines)
    }

    fn write_first(&mut self, first: &First) -> Result<(), Error> {
        let line = self.line(first)?;
        self.write(&[line])
    }

    fn line(&self, value: &impl Serialize) -> Result<String, Error> {
        write_line(value).map_err(|error| Error::file(&self.path, error.into()))
    }

    fn write(&mut self, lines: &[String]) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path, error);
        if !self.is_in_place() {
            let gone = "the study's folder has been moved or deleted while it was running";
            return Err(failed(std::io::Error::new(std::io::ErrorKind::NotFound, gone)));
        }
        fault::within(self.written, &mut self.file, lines);
        let text = lines.concat();
        if let Err(error) = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()) {
            // If this fails as well, the torn line is cut off when the study is opened again.
            let _ = self.file.set_len(self.len);
            return Err(failed(error));
        }
        self.len += text.len() as u64;
        self.written += lines.len() as u64;
        fault::after(self.written);
        Ok(())
    }

    /// Returns whether the file still has its name: everything written to a deleted file would be lost.
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
}

fn damaged(path: &Path, line: usize, error: serde_json::Error) -> Error {
    Error::study(path, format!("line {} is damaged: {error}", line + 1))
}

// Lines are `{"event":"kind","key":..}`. serde reads enums tagged within in twice the time of those tagged around
// (72 and 34 ms for 20,000 lines), so that is the form it sees: `{"kind":{"key":..}}`.

/// Returns the kind of a line, and its other keys.
fn event_of(line: &str) -> Option<(&str, &str)> {
    let (event, keys) = line.strip_prefix(r#"{"event":""#)?.split_once('"')?;
    Some((event, keys.strip_prefix(',').unwrap_or(keys)))
}

fn read_line<T: DeserializeOwned>(line: &str) -> serde_json::Result<T> {
    match event_of(line) {
        Some((event, keys)) => serde_json::from_str(&format!(r#"{{"{event}":{{{keys}}}"#)),
        None => Err(serde::de::Error::custom("it does not begin with its event")),
    }
}

/// Returns a value, an enum whose variants have fields, as a line.
fn write_line(value: &impl Serialize) -> serde_json::Result<String> {
    let tagged = serde_json::to_string(value)?;
    let (kind, rest) = tagged.split_once(":{").unwrap_or_default();
    let keys = rest.strip_suffix('}').unwrap_or(rest);
    Ok(format!("{{\"event\":{},{keys}\n", kind.trim_start_matches('{')))
}

/// Returns the trial that a line is about, if any, without parsing the rest of it.
pub(crate) fn trial_of(line: &str) -> Option<u64> {
    let (_, number) = line.split_once(r#""trial":"#)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Crashes on purpose, to test that the binary survives it: `DEEPAUG_CRASH=torn:N` ends the process in the middle
/// of the journal's line N, counted from 0 since it was opened, `DEEPAUG_CRASH=after:N` right after N lines.
mod fault {
    use std::fs::File;
    use std::io::Write;
    use std::sync::LazyLock;

    static CRASH: LazyLock<Option<(bool, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("DEEPAUG_CRASH").ok()?;
        let (kind, line) = wanted.split_once(':')?;
        Some((kind == "torn", line.parse().ok()?))
    });

    pub(super) fn within(written: u64, file: &mut File, lines: &[String]) {
        let Some((is_torn, line)) = *CRASH else { return };
        let Some(at) = line.checked_sub(written).map(|at| at as usize) else { return };
        if is_torn && at < lines.len() {
            let text = lines[..at].concat() + &lines[at][..lines[at].len() / 2];
            let _ = file.write_all(text.as_bytes());
            std::process::abort();
        }
        if !is_torn && (1..lines.len()).contains(&at) {
            let _ = file.write_all(lines[..at].concat().as_bytes());
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
    use std::time::Duration;

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
        let mut journal = Journal::<Entry>::create(&path, fingerprint("d", 1), Holder::Long).unwrap();
        journal.append(&failed(0)).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for torn in [&b"{"[..], b"{\"event\":\"failed\",\"trial\":1", b"\0\0", b"{\"why\":\"\xc3"] {
            std::fs::write(&path, [&whole, torn].concat()).unwrap();
            let (mut journal, entries) =
                Journal::<Entry>::open(&path, Some(&fingerprint("d", 1)), Holder::Long).unwrap();
            assert_eq!(entries, [failed(0)]);
            journal.append(&failed(1)).unwrap();
            drop(journal);
            assert_eq!(
                Journal::<Entry>::open(&path, Some(&fingerprint("d", 1)), Holder::Long).unwrap().1,
                [failed(0), failed(1)]
            );
        }
    }

    #[test]
    fn a_second_writer_other_data_and_damage_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::<Entry>::create(&path, fingerprint("d", 1), Holder::Long).unwrap();
        let refused = |data, epochs| {
            Journal::<Entry>::open(&path, Some(&fingerprint(data, epochs)), Holder::Long).unwrap_err().to_string()
        };
        let refusal = |data| refused(data, 1);
        assert!(refusal("d").contains(&format!("process {} is running this study", std::process::id())));
        drop(journal);
        assert!(refusal("e").contains("the data set has changed"));
        assert!(refused("d", 2).contains("made with child_epochs = 1"));
        let newer = Fingerprint { data: "d".into(), config: serde_json::json!({ "child_epochs": 1, "pad": 4 }) };
        let unknown = Journal::<Entry>::open(&path, Some(&newer), Holder::Long).unwrap_err().to_string();
        assert!(unknown.contains("a version of deepaug that does not know pad"), "{unknown}");
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}nonsense\n")).unwrap();
        assert!(refusal("d").contains("line 2 is damaged"));
        std::fs::write(&path, format!("{whole}{{\"event\":\"dreamt\",\"trial\":3}}\n")).unwrap();
        assert!(refusal("d").contains("an event \"dreamt\" that this deepaug"), "{}", refusal("d"));
        std::fs::write(&path, whole.replace("\"format\":1", "\"format\":9")).unwrap();
        assert!(refusal("d").contains("format 9 is newer"));
        std::fs::write(&path, "").unwrap();
        assert!(refusal("d").contains("first line"));
    }

    /// Lines as written by earlier versions.
    #[test]
    fn the_form_of_lines_stays() {
        let lines = [
            r#"{"event":"told","trial":1,"sample":null,"told":{"reward":0.5}}"#,
            r#"{"event":"told","trial":2,"sample":1,"told":{"failed":"out of memory"}}"#,
            r#"{"event":"failed","trial":1,"sample":0,"seed":7,"device":"cpu","why":"it broke"}"#,
            r#"{"event":"trained","trial":1,"sample":0,"seed":7,"device":"cpu","history":{"epochs":[],"seconds":1.5},"behind":true}"#,
        ];
        for line in lines {
            assert_eq!(write_line(&read_line::<Entry>(line).unwrap()).unwrap(), format!("{line}\n"));
        }
        let first = r#"{"event":"opened","format":1,"program":"0.1.0","pins":{"data":"none","config":{}}}"#;
        assert_eq!(write_line(&read_line::<First>(first).unwrap()).unwrap(), format!("{first}\n"));
    }

    #[test]
    fn commands_that_come_at_once_wait_for_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        drop(Journal::<Entry>::create(&path, fingerprint("d", 1), Holder::Long).unwrap());
        let short = Holder::Short(Duration::from_secs(60));
        // The note of a killed process.
        assert!(path.with_file_name(layout::LOCK).exists());
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..4 {
                        Journal::<Entry>::open(&path, None, short).unwrap().0.append(&failed(0)).unwrap();
                    }
                });
            }
        });
        let (journal, entries) = Journal::<Entry>::open(&path, None, short).unwrap();
        assert_eq!(entries.len(), 64);
        let why = Journal::<Entry>::open(&path, None, Holder::Short(Duration::from_secs(0))).unwrap_err().to_string();
        assert!(why.contains("other commands have been using this study"), "{why}");
        drop(journal);
    }

    #[test]
    fn several_lines_are_on_disk_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::<Entry>::create(&path, fingerprint("d", 1), Holder::Long).unwrap();
        let lines: Vec<Entry> = (0..5).map(failed).collect();
        journal.append_all(&lines).unwrap();
        drop(journal);
        assert_eq!(Journal::<Entry>::open(&path, None, Holder::Long).unwrap().1, lines);
    }
}
