//! What all processes of a study on many machines know, and where it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::ClusterConfig;
use crate::error::Error;
use crate::execute::ImagesRef;
use crate::layout;

/// Looks into mailboxes a second, at most, by one process: an NFS server does some 10,000 operations.
const LOOKS: f64 = 64.0;

/// The shortest and the longest time between two looks into a mailbox, in seconds.
const PACE: [f64; 2] = [0.2, 5.0];

/// `plan.json`: written by the process that runs the study, read by its agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The version of deepaug, the same for all.
    pub(super) version: String,
    /// A number that tells this folder from another of the same name on a machine's own disk.
    pub(super) nonce: String,
    /// How many agents there are to be, and how they live.
    pub(super) cluster: ClusterConfig,
    /// The images of most jobs.
    pub(super) images: ImagesRef,
    /// Their decoded form in the study's folder, if there is one.
    pub(super) decoded: Option<String>,
}

impl Plan {
    pub(super) fn read(paths: &Paths) -> Result<Self, Error> {
        let path = paths.plan();
        let bytes = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::study(&path, format!("is damaged: {error}")))
    }

    /// Returns the time between two looks into a mailbox.
    pub(super) fn pace(&self) -> Duration {
        pace(self.cluster.agents)
    }

    /// Returns the time without a sign of life after which an agent is given up.
    pub(super) fn silence(&self) -> Duration {
        Duration::from_secs(self.cluster.silence)
    }

    /// Returns the time between two signs of life.
    pub(super) fn beat(&self) -> Duration {
        self.silence() / 6
    }

    /// Returns the time after which an agent ends that hears nothing.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(self.cluster.idle)
    }
}

/// Returns the time between two looks of one process into the mailboxes of as many agents.
pub(super) fn pace(agents: usize) -> Duration {
    Duration::from_secs_f64((agents as f64 / LOOKS).clamp(PACE[0], PACE[1]))
}

/// `hello.json`: what an agent says of itself, once its mailboxes are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: String,
    pub(super) nonce: String,
    pub(super) node: String,
    pub(super) process: u32,
    /// Trainings at once.
    pub(super) slots: usize,
    pub(super) device: String,
}

/// The files.
#[derive(Debug, Clone)]
pub(super) struct Paths(PathBuf);

impl Paths {
    pub(super) fn of(study: &Path) -> Self {
        Self(study.join(layout::CLUSTER))
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    pub(super) fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    /// Locked by the process that runs the study.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Its presence asks all to end.
    pub(super) fn stop(&self) -> PathBuf {
        self.0.join("stop")
    }

    /// What was submitted to Slurm.
    pub(super) fn slurm(&self) -> PathBuf {
        self.0.join("slurm.json")
    }

    /// Decoded images.
    pub(super) fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// What agents print.
    pub(super) fn logs(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(super) fn agents(&self) -> PathBuf {
        self.0.join("agents")
    }

    pub(super) fn agent(&self, name: &str) -> AgentPaths {
        AgentPaths(self.agents().join(name))
    }
}

/// The files of an agent.
#[derive(Debug, Clone)]
pub(super) struct AgentPaths(pub(super) PathBuf);

impl AgentPaths {
    pub(super) fn hello(&self) -> PathBuf {
        self.0.join("hello.json")
    }

    /// Orders.
    pub(super) fn inbox(&self) -> PathBuf {
        self.0.join("in.jsonl")
    }

    /// Words.
    pub(super) fn outbox(&self) -> PathBuf {
        self.0.join("out.jsonl")
    }

    /// Returns what it says of itself; `None` until it does.
    pub(super) fn read_hello(&self) -> Option<Hello> {
        serde_json::from_slice(&std::fs::read(self.hello()).ok()?).ok()
    }
}

/// Returns this machine's name: Slurm's for it, or its own.
pub(super) fn node() -> String {
    let own = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_string());
    std::env::var("SLURMD_NODENAME").ok().or_else(own).unwrap_or_else(|| "here".into())
}

/// The version that all processes of a study have.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
