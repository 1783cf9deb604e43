//! A file to which one process adds lines that another reads.
//!
//! NFS promises that what was written before a file was closed is seen by who opens it afterwards, so both sides open it for
//! each look. Every line ends with its checksum: a reader takes no line of which a part has not arrived.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What stands between a line and its checksum.
const MARK: &str = ",\"crc\":\"";

/// The end of a line after its checksum.
const END: &str = "\"}";

/// The side of a mailbox that writes.
#[derive(Debug)]
pub(super) struct Outbox {
    path: PathBuf,
}

impl Outbox {
    /// Makes an empty mailbox.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        File::create_new(path)?;
        Ok(Self { path: path.into() })
    }

    /// Continues a mailbox whose writer was killed, perhaps in the middle of a line.
    pub(super) fn adopt(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
        }
        Ok(Self { path: path.into() })
    }

    /// Adds lines, all or none of them; `sync` waits until they are on disk.
    pub(super) fn append<T: Serialize>(&self, messages: &[T], sync: bool) -> io::Result<()> {
        let mut text = String::new();
        for message in messages {
            let line = serde_json::to_string(message)?;
            let line = line.strip_suffix('}').ok_or_else(|| io::Error::other("a message is an object"))?;
            text.push_str(&format!("{line}{MARK}{:08x}{END}\n", crc32fast::hash(line.as_bytes())));
        }
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        let length = file.metadata()?.len();
        let written = file.write_all(text.as_bytes()).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        // A disk that is full may have taken half of it.
        written.inspect_err(|_| _ = file.set_len(length))
    }
}

/// The side of a mailbox that reads.
#[derive(Debug)]
pub(super) struct Inbox {
    path: PathBuf,
    offset: u64,
    /// Since when the next line has been wrong.
    wrong: Option<Instant>,
}

impl Inbox {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), offset: 0, wrong: None }
    }

    /// Returns the messages that are new.
    pub(super) fn read<T: DeserializeOwned>(&mut self) -> io::Result<Vec<T>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut messages = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if line.last() != Some(&b'\n') {
                break;
            }
            let Some(message) = parse(line) else {
                self.wrong.get_or_insert_with(Instant::now);
                return Ok(messages);
            };
            messages.push(message);
            self.offset += line.len() as u64;
        }
        self.wrong = None;
        Ok(messages)
    }

    /// Whether the next line has been there, and wrong, for so long that it will not become right.
    pub(super) fn is_damaged(&self, patience: Duration) -> bool {
        self.wrong.is_some_and(|since| since.elapsed() > patience)
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (text, check) = line.strip_suffix(END)?.rsplit_once(MARK)?;
    (u32::from_str_radix(check, 16) == Ok(crc32fast::hash(text.as_bytes()))).then_some(())?;
    serde_json::from_str(&format!("{text}}}")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Note {
        text: String,
        number: f64,
    }

    proptest! {
        /// Whatever part of a file has arrived, and however a look falls, each line is read once, whole and in order.
        #[test]
        fn lines_arrive_once_and_whole(notes in prop::collection::vec((".{0,12}", -1e9..1e9f64), 0..6), cuts in prop::collection::vec(0usize..600, 0..8)) {
            let folder = tempfile::tempdir().unwrap();
            let [whole, seen] = ["whole", "seen"].map(|name| folder.path().join(name));
            let notes: Vec<Note> = notes.into_iter().map(|(text, number)| Note { text, number }).collect();
            Outbox::create(&whole).unwrap().append(&notes, true).unwrap();
            let bytes = std::fs::read(&whole).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([bytes.len()]).collect();
            cuts.sort_unstable();
            let (mut inbox, mut read) = (Inbox::new(&seen), Vec::new());
            for cut in cuts {
                std::fs::write(&seen, &bytes[..cut]).unwrap();
                read.extend(inbox.read::<Note>().unwrap());
                prop_assert!(!inbox.is_damaged(Duration::ZERO));
            }
            prop_assert_eq!(read, notes);
        }
    }

    #[test]
    fn a_writer_that_was_killed_in_a_line_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box");
        let note = |text: &str| Note { text: text.into(), number: 0.1 };
        Outbox::create(&path).unwrap().append(&[note("one"), note("two")], true).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for torn in 1..bytes.len() {
            std::fs::write(&path, &bytes[..torn]).unwrap();
            Outbox::adopt(&path).unwrap().append(&[note("three")], true).unwrap();
            let read: Vec<Note> = Inbox::new(&path).read().unwrap();
            assert_eq!(read.last(), Some(&note("three")), "torn at {torn}");
        }
    }

    #[test]
    fn a_wrong_line_stops_what_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box");
        let outbox = Outbox::create(&path).unwrap();
        outbox.append(&[(); 2].map(|()| Note { text: "right".into(), number: 1.0 }), true).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("right", "wrong", 2).replacen("wrong", "right", 1)).unwrap();
        let mut inbox = Inbox::new(&path);
        assert_eq!(inbox.read::<Note>().unwrap().len(), 1);
        assert!(inbox.read::<Note>().unwrap().is_empty());
        assert!(inbox.is_damaged(Duration::ZERO));
    }
}
