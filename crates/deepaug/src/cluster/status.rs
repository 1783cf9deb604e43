//! What a study on many machines is doing, from its files alone, on any machine that sees them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::mailbox::Inbox;
use super::message::{Key, Order, Word};
use super::plan::{AgentPaths, Paths, Plan};
use super::slurm;
use crate::error::Error;
use crate::study::folder::read_ledger;

/// What a study on many machines is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// The study's folder.
    pub study: PathBuf,
    /// Whether a process runs it now; false as well where the file system has no locks.
    pub is_run: bool,
    /// Whether it was asked to stop.
    pub is_stopping: bool,
    /// Agents that there are to be.
    pub wanted: usize,
    /// Trials proposed, and trainings that have ended, of a search; absent for other trainings.
    pub trials: Option<usize>,
    /// See `trials`.
    pub trainings: Option<usize>,
    /// The agents, by name.
    pub agents: Vec<AgentStatus>,
}

/// What an agent is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentStatus {
    /// Its name.
    pub name: String,
    /// Its machine; empty until it says hello.
    pub node: String,
    /// `opening`, `training`, `idle`, `silent` or `ended`.
    pub state: &'static str,
    /// Trainings at once.
    pub slots: usize,
    /// Trainings given to it and not ended.
    pub under_way: usize,
    /// Trainings that it ended.
    pub ended: usize,
    /// Seconds since it wrote, by this machine's clock.
    pub silent: u64,
    /// What it said last about itself, if it has ended.
    pub why: Option<String>,
}

impl ClusterStatus {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error`]: nothing is trained on other machines for the study.
    pub fn read(study: &Path) -> Result<Self, Error> {
        let paths = Paths::of(study);
        if !paths.plan().exists() {
            return Err(Error::study(study, "nothing is trained on other machines for it"));
        }
        let plan = Plan::read(&paths)?;
        let ledger = read_ledger(study).ok().map(|(_, ledger)| ledger);
        let folder = paths.agents();
        let inside = std::fs::read_dir(&folder).map_err(|error| Error::file(&folder, error))?;
        let mut names: Vec<String> =
            inside.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(Self {
            study: study.into(),
            is_run: File::open(paths.lock()).is_ok_and(|file| file.try_lock().is_err()),
            is_stopping: paths.stop().exists(),
            wanted: plan.cluster.agents,
            trials: ledger.as_ref().map(|ledger| ledger.proposals().count()),
            trainings: ledger.as_ref().map(|ledger| ledger.counts().0),
            agents: names.iter().map(|name| AgentStatus::read(name, &paths.agent(name), &plan)).collect(),
        })
    }
}

impl AgentStatus {
    fn read(name: &str, paths: &AgentPaths, plan: &Plan) -> Self {
        let hello = paths.read_hello();
        let words: Vec<Word> = Inbox::new(&paths.outbox()).read().unwrap_or_default();
        let orders: Vec<Order> = Inbox::new(&paths.inbox()).read().unwrap_or_default();
        let mut open: BTreeSet<Key> = BTreeSet::new();
        for order in orders {
            if let Order::Job { key, .. } = order {
                open.insert(key);
            }
        }
        let (mut ended, mut why) = (0, None);
        for word in words {
            match word {
                Word::Ended { key, .. } => {
                    open.remove(&key);
                    ended += 1;
                }
                Word::Cancelled { key } => _ = open.remove(&key),
                Word::Bye { why: said } | Word::Broken { why: said } => why = Some(said),
                Word::Beat | Word::Epoch { .. } | Word::Repeated { .. } => {}
            }
        }
        let written = std::fs::metadata(paths.outbox()).and_then(|about| about.modified()).ok();
        let silent = written.and_then(|at| at.elapsed().ok()).unwrap_or_default();
        let state = match (&hello, &why) {
            (_, Some(_)) => "ended",
            (None, None) => "opening",
            _ if silent > plan.silence() => "silent",
            _ if open.is_empty() => "idle",
            _ => "training",
        };
        Self {
            name: name.into(),
            node: hello.as_ref().map(|hello| hello.node.clone()).unwrap_or_default(),
            state,
            slots: hello.map_or(0, |hello| hello.slots),
            under_way: if why.is_some() { 0 } else { open.len() },
            ended,
            silent: silent.as_secs(),
            why,
        }
    }
}

/// Asks everything that trains for a study, and the process that runs it, to end: what is nearly done is finished, and everything
/// that has ended is kept.
///
/// # Errors
/// [`Error`]: nothing is trained on other machines for the study.
pub fn stop(study: &Path) -> Result<(), Error> {
    let paths = Paths::of(study);
    if !paths.plan().exists() {
        return Err(Error::study(study, "nothing is trained on other machines for it"));
    }
    let path = paths.stop();
    File::create(&path).map_err(|error| Error::file(&path, error))?;
    slurm::cancel_all(&paths);
    Ok(())
}
