//! Starts agents, and knows what has become of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::plan::Paths;
use crate::error::Error;

/// What a launcher started: a process, or a job of Slurm. Its agents are named after it, with a dash and a number that grows
/// each time it is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: UnitState,
}

/// What a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitState {
    /// It waits for a machine.
    Waiting,
    /// It runs.
    Running,
    /// It has ended for good.
    Ended,
}

/// Starts agents.
pub trait Launcher: fmt::Debug {
    /// Asks for more agents of a study, which it then starts as machines allow.
    ///
    /// # Errors
    /// [`Error::Cluster`]: none can be had, and why.
    fn ask(&mut self, agents: usize) -> Result<(), Error>;

    /// Returns everything it started, also before this process; a unit that has ended may be left out.
    fn look(&mut self) -> Vec<Unit>;

    /// Returns how often looking is worth its cost.
    fn interval(&self) -> Duration;

    /// Keeps agents from a machine from now on.
    fn exclude(&mut self, _node: &str) {}

    /// Returns the file with what a unit printed.
    fn log(&self, unit: &str) -> Option<PathBuf>;

    /// Ends everything that it started, or had no machine for yet.
    fn stop(&mut self);
}

/// Agents as processes of this machine: a training that ends its process does not end the study.
#[derive(Debug)]
pub struct Processes {
    study: PathBuf,
    paths: Paths,
    program: PathBuf,
    started: usize,
    children: BTreeMap<String, Child>,
}

/// How long processes have to end before they are killed.
const GRACE: Duration = Duration::from_secs(20);

impl Processes {
    /// Makes a launcher of a study whose agents are a program with `agent STUDY` as its first arguments.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn new(study: &Path, program: &Path) -> Result<Self, Error> {
        let study = study.canonicalize().map_err(|error| Error::file(study, error))?;
        let paths = Paths::of(&study);
        Ok(Self { paths, study, program: program.into(), started: 0, children: BTreeMap::new() })
    }
}

impl Launcher for Processes {
    fn ask(&mut self, agents: usize) -> Result<(), Error> {
        for _ in 0..agents {
            // Those of an earlier process may still be there.
            let name = loop {
                let name = format!("process{}", self.started);
                self.started += 1;
                if !self.paths.agent(&format!("{name}-0")).0.exists() {
                    break name;
                }
            };
            let log = self.paths.logs().join(format!("{name}.log"));
            let log = std::fs::File::create(&log).map_err(|error| Error::file(&log, error))?;
            let mut command = Command::new(&self.program);
            command.arg("agent").arg(&self.study).args(["--name", &format!("{name}-0")]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            // Ctrl-C is for the study, which then ends its agents.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let child = command.spawn().map_err(|error| Error::file(&self.program, error))?;
            self.children.insert(name, child);
        }
        Ok(())
    }

    fn look(&mut self) -> Vec<Unit> {
        let state = |child: &mut Child| match child.try_wait() {
            Ok(None) => UnitState::Running,
            Ok(Some(_)) | Err(_) => UnitState::Ended,
        };
        self.children.iter_mut().map(|(name, child)| Unit { name: name.clone(), state: state(child) }).collect()
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(300)
    }

    fn log(&self, unit: &str) -> Option<PathBuf> {
        Some(self.paths.logs().join(format!("{unit}.log")))
    }

    fn stop(&mut self) {
        let begun = std::time::Instant::now();
        for (_, mut child) in std::mem::take(&mut self.children) {
            while let Ok(None) = child.try_wait() {
                if begun.elapsed() > GRACE {
                    let _ = child.kill();
                    let _ = child.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Agents that a person starts, or another program: over SSH, by Kubernetes, by HyperQueue.
#[derive(Debug)]
pub struct ByHand;

impl Launcher for ByHand {
    fn ask(&mut self, _agents: usize) -> Result<(), Error> {
        Ok(())
    }

    fn look(&mut self) -> Vec<Unit> {
        Vec::new()
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn log(&self, _unit: &str) -> Option<PathBuf> {
        None
    }

    fn stop(&mut self) {}
}
