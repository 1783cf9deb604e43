//! The side of the study: gives trainings to agents, and hears of them.

mod agents;
#[cfg(test)]
mod tests;
mod trainings;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use deepaug_dataset::{Dataset, write_decoded};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use self::agents::{Agent, SOON, State};
use self::trainings::{Found, Open, is_whole};
use crate::cluster::event::ClusterEvent;
use crate::cluster::launcher::{Launcher, Unit, UnitState};
use crate::cluster::mailbox::Inbox;
use crate::cluster::message::{Key, Order, are_together};
use crate::cluster::plan::{Paths, Plan, VERSION, node};
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::execute::{Executor, ImagesRef, Job, JobId, Report};
use crate::files::write_json;

/// The time between two looks for new agents, and the time that an agent of an earlier process has to answer.
const ARRIVALS: Duration = Duration::from_secs(2);
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The time between two pauses while nothing happens.
const NAP: Duration = Duration::from_millis(10);

/// Where other machines come from.
pub struct Machines {
    /// How many agents there are to be, and how they live.
    pub wanted: ClusterConfig,
    /// Who starts them.
    pub launcher: Box<dyn Launcher>,
    /// Called with what happens to them.
    pub tell: Box<dyn Fn(&ClusterEvent)>,
}

impl fmt::Debug for Machines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machines").field("launcher", &self.launcher).finish_non_exhaustive()
    }
}

/// An executor whose trainings run on other machines.
///
/// Agents are started by a [`Launcher`] and found in the study's folder. When it is dropped, they end.
pub struct Cluster {
    study: PathBuf,
    paths: Paths,
    plan: Plan,
    launcher: Box<dyn Launcher>,
    tell: Box<dyn Fn(&ClusterEvent)>,
    agents: BTreeMap<String, Agent>,
    open: HashMap<Key, Open>,
    /// Jobs that no agent has, lowest first.
    waiting: BTreeSet<(JobId, Key)>,
    keys: HashMap<JobId, Key>,
    /// Results of trainings that nobody has asked for since this process began.
    found: HashMap<Key, Found>,
    /// What became of each training: its device, a digest, and the machine.
    known: HashMap<Key, (String, u64, String)>,
    ready: VecDeque<Report>,
    /// When what the launcher started was first seen to run.
    units: BTreeMap<String, Instant>,
    /// What it started that has ended for good, and that has run for long without an agent.
    over: BTreeSet<String>,
    missed: BTreeSet<String>,
    blame: BTreeMap<String, usize>,
    excluded: BTreeSet<String>,
    /// Agents in a row that ended soon, and what the last of them said.
    quick: usize,
    /// What agents said that cannot train.
    broken: Vec<String>,
    /// Whether it takes over from an earlier process.
    is_adopting: bool,
    /// Since when some agent has had nothing to do, and whether that was said.
    idle: Option<Instant>,
    is_idle_told: bool,
    looked: [Option<Instant>; 3],
    began: Instant,
    counts: Counts,
    /// Held for as long as this process runs the study.
    lock: Option<File>,
}

/// What a [`Cluster`] has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Mailboxes opened, to read or to write.
    pub opened: u64,
    /// Looks into the folder of agents.
    pub listed: u64,
    /// Trainings that were lost with an agent, and given to another.
    pub lost: u64,
    /// Results that arrived twice, and were told once.
    pub twice: u64,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("study", &self.study)
            .field("agents", &self.agents.len())
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Opens the study's folder for agents, finds those that are there, and asks for those that are missing.
    pub(crate) fn new(
        study: &Path,
        images: ImagesRef,
        Machines { wanted, launcher, tell }: Machines,
        read: impl FnOnce() -> Result<Dataset, Error>,
    ) -> Result<Self, Error> {
        let paths = Paths::of(study);
        for folder in [paths.root(), &paths.agents(), &paths.logs()] {
            std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
        }
        only_for_us(paths.root());
        let lock = locked(&paths)?;
        let _ = std::fs::remove_file(paths.stop());
        let plan = match Plan::read(&paths) {
            Ok(plan) if plan.version == VERSION && are_together(&plan.images, &images) => {
                let plan = Plan { cluster: wanted, images, ..plan };
                write_json(&paths.plan(), &plan)?;
                plan
            }
            _ => {
                // What agents of other trainings left.
                let _ = std::fs::remove_dir_all(paths.agents()).and_then(|()| std::fs::create_dir(paths.agents()));
                let _ = std::fs::remove_dir_all(paths.images());
                // Without it, every machine reads the images from where they come from.
                let decoded = read().ok().and_then(|dataset| write_decoded(&dataset, &paths.images()).ok());
                let name = decoded.and_then(|file| Some(file.file_name()?.to_string_lossy().into_owned()));
                let plan = Plan { version: VERSION.into(), nonce: nonce(), cluster: wanted, images, decoded: name };
                write_json(&paths.plan(), &plan)?;
                plan
            }
        };
        let now = Instant::now();
        let mut cluster = Self {
            study: study.into(),
            paths,
            plan,
            launcher,
            tell,
            agents: BTreeMap::new(),
            open: HashMap::new(),
            waiting: BTreeSet::new(),
            keys: HashMap::new(),
            found: HashMap::new(),
            known: HashMap::new(),
            ready: VecDeque::new(),
            units: BTreeMap::new(),
            over: BTreeSet::new(),
            missed: BTreeSet::new(),
            blame: BTreeMap::new(),
            excluded: BTreeSet::new(),
            quick: 0,
            broken: Vec::new(),
            is_adopting: true,
            idle: None,
            is_idle_told: false,
            looked: [None; 3],
            began: now,
            counts: Counts::default(),
            lock: Some(lock),
        };
        let units = cluster.launcher.look();
        cluster.adopt(&units)?;
        cluster.is_adopting = false;
        cluster.supply(&units)?;
        Ok(cluster)
    }

    /// Returns the number that tells this study's folder from others of its name.
    pub fn nonce(&self) -> &str {
        &self.plan.nonce
    }

    /// Returns what it has done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes over what agents of an earlier process did, and the agents that still live.
    fn adopt(&mut self, units: &[Unit]) -> Result<(), Error> {
        let over = units.iter().filter(|unit| unit.state == UnitState::Ended);
        self.over.extend(over.map(|unit| unit.name.clone()));
        self.arrivals(State::Asked)?;
        for name in self.names(|_| true) {
            let orders: Vec<Order> = Inbox::new(&self.paths.agent(&name).inbox()).read().unwrap_or_default();
            let keys = orders.into_iter().filter_map(|order| match order {
                Order::Job { key, .. } => Some(key),
                _ => None,
            });
            if let Some(agent) = self.agents.get_mut(&name) {
                agent.jobs.extend(keys);
            }
            self.read(&name)?;
        }
        let here = node();
        for (name, agent) in &mut self.agents {
            let hello = self.paths.agent(name).read_hello();
            let is_ours = hello.as_ref().is_some_and(|hello| hello.nonce == self.plan.nonce);
            let is_dead = hello.as_ref().is_some_and(|hello| hello.node == here && is_dead(hello.process));
            if !is_ours || is_dead {
                agent.state = State::Gone;
            }
            if agent.state == State::Asked {
                let _ = agent.order(&self.paths, name, &[Order::Beat], &mut self.counts);
            }
        }
        Ok(())
    }

    fn names(&self, is_wanted: impl Fn(&Agent) -> bool) -> Vec<String> {
        self.agents.iter().filter(|(_, agent)| is_wanted(agent)).map(|(name, _)| name.clone()).collect()
    }

    /// Does everything that is due.
    fn look(&mut self) -> Result<(), Error> {
        let pace = self.plan.pace();
        let is_due = |last: &mut Option<Instant>, interval: Duration| {
            let due = last.is_none_or(|last| last.elapsed() >= interval);
            if due {
                *last = Some(Instant::now());
            }
            due
        };
        let [arrivals, words, units] = &mut self.looked;
        let is_due =
            [is_due(arrivals, ARRIVALS.max(pace)), is_due(words, pace), is_due(units, self.launcher.interval())];
        // Before agents are missed that have ended because of it.
        if is_due.contains(&true) && self.paths.stop().exists() {
            return Err(Error::Interrupted { path: self.study.clone() });
        }
        if is_due[0] {
            self.arrivals(State::Opening)?;
        }
        if is_due[1] {
            for name in self.names(|agent| agent.state != State::Opening && agent.state != State::Gone) {
                self.read(&name)?;
                self.check(&name)?;
            }
        }
        if is_due[0] {
            for name in self.names(|agent| agent.state == State::Opening) {
                self.greet(&name)?;
            }
            // Back from the dead, they may have ended something.
            for name in self.names(|agent| agent.state == State::Gone && !agent.jobs.is_empty()) {
                self.read(&name)?;
            }
        }
        if is_due[2] {
            self.units()?;
        }
        self.assign()?;
        if is_due[0] {
            self.keep_alive();
            self.mind_idle();
        }
        Ok(())
    }

    /// Says once that agents have nothing to do, which a study that tells its trials in order can change.
    fn mind_idle(&mut self) {
        let ready = self.agents.values().filter(|agent| agent.state == State::Ready);
        let idle = ready.clone().filter(|agent| agent.jobs.is_empty()).count();
        if idle == 0 || !self.waiting.is_empty() || !self.plan.images.config.in_order {
            self.idle = None;
        } else if self.idle.get_or_insert_with(Instant::now).elapsed() > SOON && !self.is_idle_told {
            self.is_idle_told = true;
            let what = format!(
                "{idle} of {} agents have had nothing to do for a minute: trials are told in order, and more of them under way \
                 (workers, of a new study) would keep them busy",
                ready.count()
            );
            (self.tell)(&ClusterEvent::Noted { what });
        }
    }

    /// Lets agents that have nothing to do know that the study is there.
    fn keep_alive(&mut self) {
        let interval = self.plan.idle() / 3;
        for name in self.names(|agent| agent.state == State::Ready && agent.spoken.elapsed() > interval) {
            if let Some(agent) = self.agents.get_mut(&name) {
                let _ = agent.order(&self.paths, &name, &[Order::Beat], &mut self.counts);
            }
        }
    }

    /// Sends agents that have these jobs an order about them.
    fn order_about(&mut self, jobs: &[JobId], order: &dyn Fn(Vec<Key>) -> Order) {
        let mut of_agents: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for key in jobs.iter().filter_map(|id| self.keys.get(id)) {
            if let Some(name) = self.open.get(key).and_then(|open| open.at.clone()) {
                of_agents.entry(name).or_default().push(key.clone());
            }
        }
        for (name, keys) in of_agents {
            if let Some(agent) = self.agents.get_mut(&name) {
                let _ = agent.order(&self.paths, &name, &[order(keys)], &mut self.counts);
            }
        }
    }
}

impl Executor for Cluster {
    fn capacity(&self) -> usize {
        self.agents.values().filter(|agent| agent.state == State::Ready).map(|agent| agent.slots).sum()
    }

    fn submit(&mut self, job: Job) -> Result<(), Error> {
        let (id, key) = (job.id, Key::of(&job));
        if let Some(Found { device, outcome }) = self.found.remove(&key)
            && is_whole(&job, &outcome)
        {
            self.ready.push_back(Report::Ended { id, device, result: outcome.into() });
            return Ok(());
        }
        self.keys.insert(id, key.clone());
        if let Some(open) = self.open.get_mut(&key) {
            open.ids.push(id);
            return Ok(());
        }
        // An earlier process has given it to an agent that still lives.
        let has_it = |agent: &&Agent| agent.state != State::Gone && agent.jobs.contains(&key);
        let at = self.agents.iter().find(|(_, agent)| has_it(agent)).map(|(name, _)| name.clone());
        if at.is_none() {
            self.waiting.insert((id, key.clone()));
        }
        self.open.insert(key, Open { job, ids: vec![id], at, losses: 0, failed: Vec::new(), is_cancelled: false });
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<Report>, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(report) = self.ready.pop_front() {
                return Ok(Some(report));
            }
            self.look()?;
            if self.ready.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(None);
                }
                std::thread::sleep(NAP.min(left));
            }
        }
    }

    fn stop(&mut self, jobs: &[JobId]) {
        // One that begins anew elsewhere may run to its end: what it does beyond that does not count.
        self.order_about(jobs, &|keys| Order::Stop { keys });
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        let keys: Vec<Key> = jobs.iter().filter_map(|id| self.keys.get(id)).cloned().collect();
        for key in keys {
            let Some(open) = self.open.get_mut(&key) else { continue };
            open.is_cancelled = true;
            if open.at.is_none() {
                self.close(&key, &|id| Report::Cancelled { id });
            }
        }
        self.order_about(jobs, &|keys| Order::Cancel { keys });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for name in self.names(|agent| agent.state != State::Gone) {
            if let Some(agent) = self.agents.get_mut(&name) {
                let _ = agent.order(&self.paths, &name, &[Order::Bye], &mut self.counts);
            }
        }
        self.launcher.stop();
        self.lock = None;
    }
}

/// Makes a number that no other study has.
fn nonce() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text = format!("{} {} {}", node(), std::process::id(), since.as_nanos());
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// Locks the folder for this process.
fn locked(paths: &Paths) -> Result<File, Error> {
    let path = paths.lock();
    let file = File::create(&path).map_err(|error| Error::file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let why = "another process runs trainings of this study on other machines; wait for it, or stop it";
            Err(Error::study(paths.root(), why))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(Error::file(&path, error)),
    }
}

/// Keeps others out of the folder: who can write it can have programs run.
fn only_for_us(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    }
    #[cfg(not(unix))]
    let _ = folder;
}

/// Whether a process of this machine has ended, if that can be said.
fn is_dead(process: u32) -> bool {
    cfg!(target_os = "linux") && !Path::new("/proc").join(process.to_string()).exists()
}
