//! The side of the study: gives trainings to agents, and hears of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use deepaug_child_model::History;
use deepaug_dataset::{Dataset, write_decoded};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::launcher::{Launcher, Unit, UnitState};
use super::mailbox::{Inbox, Outbox};
use super::message::{Key, Order, Outcome, Word, are_together};
use super::plan::{Paths, Plan, VERSION, node};
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::execute::{Executor, ImagesRef, Job, JobId, Report, Task};
use crate::files::write_json;

/// How long a line of an agent may be wrong, or its mailbox unreadable, before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two looks for new agents, and the time that an agent of an earlier process has to answer.
const ARRIVALS: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(10);

/// An agent that ends sooner than this, with nothing done, ended too soon; after so many in a row no more are started.
const SOON: Duration = Duration::from_secs(60);
const TOO_MANY: usize = 3;

/// A training that was with so many agents when they ended by themselves is taken to be what ends them; from the second on it
/// was there alone.
const DEADLY: usize = 3;

/// A machine on which so many trainings failed that others then did is not used any more.
const BLAME: usize = 3;

/// A running agent that has not written for so long after its start does not see the study's folder.
const UNSEEN: Duration = Duration::from_secs(180);

/// The time between two pauses while nothing happens.
const NAP: Duration = Duration::from_millis(10);

/// Lines of a log that are shown.
const SHOWN: usize = 20;

/// What happens to agents, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClusterEvent {
    /// Agents were asked for.
    AgentsAsked {
        /// How many.
        agents: usize,
    },
    /// An agent is ready.
    AgentJoined {
        /// Its name.
        agent: String,
        /// Its machine.
        node: String,
        /// Trainings at once on it.
        slots: usize,
        /// Trainings at once on all.
        all_slots: usize,
    },
    /// An agent has ended, or is given up; others get its trainings.
    AgentLost {
        /// Its name.
        agent: String,
        /// Its machine.
        node: String,
        /// Why.
        why: String,
        /// How many of its trainings others get.
        trainings: usize,
    },
    /// A training failed on one machine, and is tried on another.
    TriedElsewhere {
        /// The machine.
        node: String,
        /// Why it failed.
        why: String,
    },
    /// A machine is not used any more.
    NodeExcluded {
        /// Its name.
        node: String,
        /// Trainings that failed there and not on another.
        failures: usize,
    },
    /// Two machines gave different results for the same training.
    ResultsDiffer {
        /// Their names.
        nodes: [String; 2],
    },
    /// Something that a person should know.
    Noted {
        /// What.
        what: String,
    },
}

impl fmt::Display for ClusterEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentsAsked { agents } => write!(f, "{agents} agents asked for"),
            Self::AgentJoined { agent, node, slots, all_slots } => {
                write!(f, "agent {agent} on {node} trains {slots} at once, all together {all_slots}")
            }
            Self::AgentLost { agent, node, why, trainings: 0 } => write!(f, "agent {agent} on {node} has ended: {why}"),
            Self::AgentLost { agent, node, why, trainings } => {
                write!(f, "agent {agent} on {node} has ended: {why}; others get its {trainings} trainings")
            }
            Self::TriedElsewhere { node, why } => {
                write!(f, "a training failed on {node} and is tried on another machine: {why}")
            }
            Self::NodeExcluded { node, failures } => {
                write!(f, "{node} is not used any more: {failures} trainings failed there and succeeded elsewhere")
            }
            Self::ResultsDiffer { nodes: [one, other] } => {
                write!(f, "{one} and {other} gave different results for the same training; check their hardware")
            }
            Self::Noted { what } => f.write_str(what),
        }
    }
}

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

#[derive(Debug)]
struct Agent {
    state: State,
    node: String,
    slots: usize,
    orders: Option<Outbox>,
    words: Inbox,
    /// Images that it has a number for.
    images: Vec<ImagesRef>,
    /// What it has, and has not reported.
    jobs: BTreeSet<Key>,
    ended: usize,
    joined: Instant,
    heard: Instant,
    spoken: Instant,
    /// Since when its mailbox cannot be read.
    trouble: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not said hello.
    Opening,
    /// It was there before this process, and has not answered yet.
    Asked,
    Ready,
    /// It has ended, or is given up. What it still says counts.
    Gone,
}

/// How an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As it said, or as it was told.
    Said,
    /// Perhaps with its machine.
    Unknown,
    /// Nobody ended it, so that one of its trainings may have.
    ByItself,
}

#[derive(Debug)]
struct Open {
    job: Job,
    ids: Vec<JobId>,
    at: Option<String>,
    /// Agents that ended by themselves while they had it.
    losses: usize,
    /// Machines on which it failed, and what it said.
    failed: Vec<(String, String, String)>,
    is_cancelled: bool,
}

#[derive(Debug)]
struct Found {
    device: String,
    outcome: Outcome,
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

    /// Finds new agents.
    fn arrivals(&mut self, state: State) -> Result<(), Error> {
        let folder = self.paths.agents();
        self.counts.listed += 1;
        let inside = std::fs::read_dir(&folder).map_err(|error| Error::file(&folder, error))?;
        for entry in inside.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if self.agents.contains_key(&name) {
                continue;
            }
            let hello = self.paths.agent(&name).read_hello();
            let (state, node, slots) = match (hello, state) {
                (Some(hello), State::Asked) => (State::Asked, hello.node, hello.slots),
                _ => (State::Opening, String::new(), 0),
            };
            let now = Instant::now();
            let (joined, heard, spoken) = (now, now, now);
            let words = Inbox::new(&self.paths.agent(&name).outbox());
            let (orders, images, jobs, ended, trouble) = Default::default();
            let agent =
                Agent { state, node, slots, orders, words, images, jobs, ended, joined, heard, spoken, trouble };
            self.agents.insert(name, agent);
        }
        Ok(())
    }

    /// Takes in an agent that has said hello.
    fn greet(&mut self, name: &str) -> Result<(), Error> {
        let Some(hello) = self.paths.agent(name).read_hello() else {
            let waited = self.agents.get(name).map(|agent| agent.joined.elapsed());
            if waited.is_some_and(|waited| waited > self.plan.silence().max(UNSEEN)) {
                self.lose(name, "it never said hello", End::Unknown)?;
            }
            return Ok(());
        };
        let Some(agent) = self.agents.get_mut(name) else { return Ok(()) };
        agent.node.clone_from(&hello.node);
        agent.slots = hello.slots;
        agent.heard = Instant::now();
        if hello.nonce != self.plan.nonce || self.excluded.contains(&hello.node) {
            agent.state = State::Gone;
            let _ = agent.order(&self.paths, name, &[Order::Bye], &mut self.counts);
            return Ok(());
        }
        agent.state = State::Ready;
        // It may have said at once that it cannot train.
        self.read(name)?;
        self.joined(name);
        Ok(())
    }

    fn joined(&mut self, name: &str) {
        let all_slots = self.capacity();
        let Some(agent) = self.agents.get(name).filter(|agent| agent.state == State::Ready) else { return };
        let (node, slots) = (agent.node.clone(), agent.slots);
        (self.tell)(&ClusterEvent::AgentJoined { agent: name.into(), node, slots, all_slots });
    }

    /// Hears what an agent has to say.
    fn read(&mut self, name: &str) -> Result<(), Error> {
        let Some(agent) = self.agents.get_mut(name) else { return Ok(()) };
        self.counts.opened += 1;
        let words = match agent.words.read::<Word>() {
            Ok(words) => words,
            Err(error) => {
                let since = *agent.trouble.get_or_insert_with(Instant::now);
                return match since.elapsed() > PATIENCE && agent.state != State::Gone {
                    true => self.lose(name, &format!("its mailbox cannot be read: {error}"), End::Unknown),
                    false => Ok(()),
                };
            }
        };
        agent.trouble = None;
        if agent.words.is_damaged(PATIENCE) && agent.state != State::Gone {
            return self.lose(name, "a line of its mailbox is damaged", End::Unknown);
        }
        if words.is_empty() {
            return Ok(());
        }
        agent.heard = Instant::now();
        let was_asked = agent.state == State::Asked && !self.is_adopting;
        if was_asked {
            agent.state = State::Ready;
        }
        for word in words {
            self.hear(name, word)?;
        }
        if was_asked {
            self.joined(name);
        }
        Ok(())
    }

    fn hear(&mut self, name: &str, word: Word) -> Result<(), Error> {
        match word {
            Word::Beat => {}
            Word::Epoch { key, record } => {
                let ids = self.open.get(&key).filter(|open| open.at.as_deref() == Some(name)).map(|open| &open.ids);
                let reports = ids.into_iter().flatten().map(|&id| Report::Epoch { id, record });
                self.ready.extend(reports);
            }
            Word::Repeated { key, why } => {
                let ids = self.open.get(&key).map(|open| &open.ids);
                let reports = ids.into_iter().flatten().map(|&id| Report::Repeated { id, why: why.clone() });
                self.ready.extend(reports);
            }
            Word::Ended { key, device, outcome } => self.ended(name, key, device, outcome),
            Word::Cancelled { key } => {
                self.let_go(name, &key);
                match self.open.get(&key).filter(|open| open.at.as_deref() == Some(name)) {
                    Some(open) if open.is_cancelled => self.close(&key, &|id| Report::Cancelled { id }),
                    // The agent has to end.
                    Some(_) => self.again(&key),
                    None => {}
                }
            }
            Word::Broken { .. } if self.is_adopting => self.lose(name, "it could not train", End::Said)?,
            Word::Broken { why } => {
                self.broken.push(why.clone());
                if let Some(node) = self.agents.get(name).map(|agent| agent.node.clone()) {
                    self.lose(name, &why, End::Said)?;
                    let wanted = self.plan.cluster.agents.min(TOO_MANY);
                    if self.broken.len() >= wanted && self.live() == 0 {
                        return Err(Error::cluster(format!("no agent can train; the last, on {node}: {why}")));
                    }
                }
            }
            Word::Bye { why } => self.lose(name, &why, End::Said)?,
        }
        Ok(())
    }

    /// Takes a training from an agent, which has ended it.
    fn let_go(&mut self, name: &str, key: &Key) {
        if let Some(agent) = self.agents.get_mut(name) {
            agent.jobs.remove(key);
        }
    }

    fn ended(&mut self, name: &str, key: Key, device: String, outcome: Outcome) {
        self.let_go(name, &key);
        let Some(agent) = self.agents.get_mut(name) else { return };
        agent.ended += 1;
        let node = agent.node.clone();
        self.quick = 0;
        let digest = digest(&outcome);
        match self.known.get(&key) {
            Some((known, other, there)) if !self.open.contains_key(&key) => {
                self.counts.twice += 1;
                if *known == device && *other != digest && !matches!(outcome, Outcome::Failed(_)) {
                    (self.tell)(&ClusterEvent::ResultsDiffer { nodes: [there.clone(), node] });
                }
                return;
            }
            _ => {}
        }
        let others = self.others(&node);
        let Some(open) = self.open.get_mut(&key) else {
            // Of an earlier process; the study asks for it, if it has not heard of it.
            self.found.insert(key.clone(), Found { device: device.clone(), outcome });
            self.known.insert(key, (device, digest, node));
            return;
        };
        if let Outcome::Failed(why) = &outcome
            && open.failed.is_empty()
            && others
        {
            open.failed.push((node.clone(), device, why.clone()));
            let why = why.clone();
            self.again(&key);
            (self.tell)(&ClusterEvent::TriedElsewhere { node, why });
            return;
        }
        let blamed = match &outcome {
            Outcome::Trained(_) => open.failed.iter().map(|(node, ..)| node.clone()).collect(),
            Outcome::Failed(_) => Vec::new(),
        };
        // Another agent may have it, which was slower.
        if let Some(other) = open.at.clone().filter(|other| other != name) {
            self.let_go(&other, &key);
            let stop = [Order::Cancel { keys: vec![key.clone()] }];
            if let Some(agent) = self.agents.get_mut(&other) {
                let _ = agent.order(&self.paths, &other, &stop, &mut self.counts);
            }
        }
        self.known.insert(key.clone(), (device.clone(), digest, node));
        let result: Result<History, String> = outcome.into();
        self.close(&key, &|id| Report::Ended { id, device: device.clone(), result: result.clone() });
        blamed.into_iter().for_each(|node| self.blame(node));
    }

    /// Whether a machine other than this one trains.
    fn others(&self, node: &str) -> bool {
        self.agents.values().any(|agent| agent.state == State::Ready && agent.node != node)
    }

    fn blame(&mut self, node: String) {
        let failures = self.blame.entry(node.clone()).or_default();
        *failures += 1;
        if *failures != BLAME || !self.excluded.insert(node.clone()) {
            return;
        }
        (self.tell)(&ClusterEvent::NodeExcluded { node: node.clone(), failures: BLAME });
        self.launcher.exclude(&node);
        for name in self.names(|agent| agent.state == State::Ready && agent.node == node) {
            if let Some(agent) = self.agents.get_mut(&name) {
                let _ = agent.order(&self.paths, &name, &[Order::Bye], &mut self.counts);
            }
            // Its own trainings are lost, and no error of the study.
            let _ = self.lose(&name, "its machine is not used any more", End::Said);
        }
    }

    /// Reports the end of a training to whoever asked for it.
    fn close(&mut self, key: &Key, report: &dyn Fn(JobId) -> Report) {
        let Some(open) = self.open.remove(key) else { return };
        for id in open.ids {
            self.waiting.remove(&(id, key.clone()));
            self.keys.remove(&id);
            self.ready.push_back(report(id));
        }
    }

    /// Puts a training back to those that wait.
    fn again(&mut self, key: &Key) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.at = None;
        if open.is_cancelled {
            return self.close(key, &|id| Report::Cancelled { id });
        }
        if let Some(&id) = open.ids.first() {
            self.waiting.insert((id, key.clone()));
        }
    }

    /// Gives an agent up.
    fn lose(&mut self, name: &str, why: &str, end: End) -> Result<(), Error> {
        let Some(agent) = self.agents.get_mut(name).filter(|agent| agent.state != State::Gone) else { return Ok(()) };
        agent.state = State::Gone;
        let node = agent.node.clone();
        let was_quick = agent.ended == 0 && agent.joined.elapsed() < SOON;
        // If it comes back from the dead, it is to end.
        let _ = agent.order(&self.paths, name, &[Order::Bye], &mut self.counts);
        let jobs: Vec<Key> = agent.jobs.iter().cloned().collect();
        let was_suspect = jobs.iter().any(|key| self.open.get(key).is_some_and(|open| open.losses > 0));
        let mut trainings = 0;
        for key in jobs {
            let Some(open) = self.open.get_mut(&key).filter(|open| open.at.as_deref() == Some(name)) else { continue };
            trainings += 1;
            open.losses += usize::from(end == End::ByItself);
            if open.losses >= DEADLY {
                let why = format!("its agent died {DEADLY} times while it ran, the last time because {why}");
                self.close(&key, &|id| Report::Ended { id, device: String::new(), result: Err(why.clone()) });
            } else {
                self.again(&key);
            }
        }
        self.counts.lost += trainings as u64;
        if self.is_adopting {
            // An earlier process has said so.
            return Ok(());
        }
        (self.tell)(&ClusterEvent::AgentLost { agent: name.into(), node, why: why.into(), trainings });
        // A training that is alone with it is the likelier reason.
        if end != End::Said && was_quick && !was_suspect {
            self.ended_soon(name)?;
        }
        Ok(())
    }

    /// Counts an agent that ended soon, and gives up after too many.
    fn ended_soon(&mut self, name: &str) -> Result<(), Error> {
        self.quick += 1;
        if self.quick < TOO_MANY {
            return Ok(());
        }
        let unit = name.rsplit_once('-').map_or(name, |(unit, _)| unit);
        let log = self.launcher.log(unit).and_then(|path| Some((std::fs::read_to_string(&path).ok()?, path)));
        let said = match log {
            Some((text, path)) if !text.trim().is_empty() => {
                let lines: Vec<&str> = text.trim_end().lines().collect();
                let last = &lines[lines.len().saturating_sub(SHOWN)..];
                format!("; {} ends with:\n{}", path.display(), last.join("\n"))
            }
            _ => format!("; they left nothing in {}: do all machines see that folder?", self.paths.logs().display()),
        };
        Err(Error::cluster(format!("{TOO_MANY} agents in a row ended within a minute, with nothing done{said}")))
    }

    /// Gives up an agent that has been silent for too long, or whose process has gone.
    fn check(&mut self, name: &str) -> Result<(), Error> {
        let Some(agent) = self.agents.get(name) else { return Ok(()) };
        if agent.state != State::Gone && agent.heard.elapsed() > self.plan.silence() {
            let why = format!("nothing was heard of it for {} seconds", self.plan.silence().as_secs());
            return self.lose(name, &why, End::Unknown);
        }
        Ok(())
    }

    /// Compares what the launcher started with what has shown itself, and starts what is missing.
    fn units(&mut self) -> Result<(), Error> {
        let units = self.launcher.look();
        for Unit { name, state } in units.clone() {
            let has_agent = self.agents.keys().any(|agent| is_of(agent, &name));
            match state {
                UnitState::Running => {
                    let begun = *self.units.entry(name.clone()).or_insert_with(Instant::now);
                    if !has_agent && begun.elapsed() > UNSEEN && self.missed.insert(name.clone()) {
                        let folder = self.paths.root().display();
                        let what =
                            format!("{name} runs, but has not written to {folder}: does its machine see that folder?");
                        (self.tell)(&ClusterEvent::Noted { what });
                    }
                }
                UnitState::Waiting | UnitState::Ended => {
                    let begun = self.units.remove(&name);
                    // One that waits was taken away, with its machine or for another job.
                    let end = if state == UnitState::Ended { End::ByItself } else { End::Unknown };
                    for agent in self.names(|agent| agent.state != State::Gone) {
                        if is_of(&agent, &name) {
                            // The last that it said.
                            self.read(&agent)?;
                            self.lose(&agent, "its process has ended", end)?;
                        }
                    }
                    let is_new = state == UnitState::Ended && self.over.insert(name.clone());
                    let ended_soon = begun.is_none_or(|begun| begun.elapsed() < SOON);
                    if is_new && !has_agent && ended_soon {
                        self.ended_soon(&name)?;
                    }
                }
            }
        }
        self.supply(&units)
    }

    /// Returns how many agents there are, or will be without asking.
    fn live(&self) -> usize {
        let is_live = |agent: &&Agent| match agent.state {
            State::Opening | State::Ready => true,
            State::Asked => self.began.elapsed() < ANSWER,
            State::Gone => false,
        };
        self.agents.values().filter(is_live).count()
    }

    /// Asks for agents until there are as many as wanted.
    fn supply(&mut self, units: &[Unit]) -> Result<(), Error> {
        // One that has no agent yet.
        let is_unseen = |unit: &&Unit| {
            let has_agent =
                self.agents.iter().any(|(name, agent)| agent.state != State::Gone && is_of(name, &unit.name));
            unit.state != UnitState::Ended && !has_agent
        };
        let there = self.live() + units.iter().filter(is_unseen).count();
        let missing = self.plan.cluster.agents.saturating_sub(there);
        if missing > 0 {
            self.launcher.ask(missing)?;
            (self.tell)(&ClusterEvent::AgentsAsked { agents: missing });
        }
        Ok(())
    }

    /// Gives waiting trainings to agents: one more than each trains at once, so that none waits for the next.
    fn assign(&mut self) -> Result<(), Error> {
        let mut orders: BTreeMap<String, Vec<Order>> = BTreeMap::new();
        let mut skipped = Vec::new();
        let mut places: BTreeSet<(i64, String)> = BTreeSet::new();
        let load = |agent: &Agent| agent.jobs.len() as i64 - agent.slots as i64;
        if !self.waiting.is_empty() {
            let is_suspect = |key: &Key| self.open.get(key).is_some_and(|open| open.losses > 0);
            let ready = self.agents.iter().filter(|(_, agent)| {
                agent.state == State::Ready && agent.slots > 0 && !agent.jobs.iter().any(is_suspect)
            });
            places.extend(ready.map(|(name, agent)| (load(agent), name.clone())).filter(|(load, _)| *load < 1));
        }
        while let Some((id, key)) = self.waiting.pop_first() {
            let Some(open) = self.open.get_mut(&key) else { continue };
            let is_avoided = |name: &String| {
                let node = self.agents.get(name).map(|agent| &agent.node);
                open.failed.iter().any(|(failed, ..)| Some(failed) == node)
            };
            let is_suspect = open.losses > 0;
            let is_fit = |name: &String| {
                !is_avoided(name) && (!is_suspect || self.agents.get(name).is_some_and(|agent| agent.jobs.is_empty()))
            };
            let place = places.iter().find(|(_, name)| is_fit(name)).cloned();
            if place.is_none() && is_suspect {
                // One agent becomes free for it.
                places.pop_first();
                skipped.push((id, key));
                continue;
            }
            let Some((load, name)) = place else {
                let others = self.agents.values().any(|agent| {
                    agent.state == State::Ready && !open.failed.iter().any(|(failed, ..)| *failed == agent.node)
                });
                match open.failed.last().cloned() {
                    // The other machines have gone in the meantime.
                    Some((_, device, why)) if !others => {
                        let report = |id| Report::Ended { id, device: device.clone(), result: Err(why.clone()) };
                        self.close(&key, &report);
                        continue;
                    }
                    _ => {}
                }
                let is_for_all = open.failed.is_empty();
                skipped.push((id, key));
                if is_for_all {
                    break;
                }
                continue;
            };
            places.remove(&(load, name.clone()));
            if load + 1 < 1 && !is_suspect {
                places.insert((load + 1, name.clone()));
            }
            let Some(agent) = self.agents.get_mut(&name) else { continue };
            let list = orders.entry(name.clone()).or_default();
            let images = agent.images.iter().position(|images| *images == open.job.images);
            let number = images.unwrap_or_else(|| {
                let number = agent.images.len();
                agent.images.push(open.job.images.clone());
                list.push(Order::Images { number, images: open.job.images.clone() });
                number
            });
            let job = Order::job(key.clone(), number, &open.job);
            list.push(job.map_err(|error| Error::file(&self.paths.agent(&name).inbox(), error.into()))?);
            open.at = Some(name);
            agent.jobs.insert(key);
        }
        self.waiting.extend(skipped);
        for (name, orders) in orders {
            let Some(agent) = self.agents.get_mut(&name) else { continue };
            if let Err(error) = agent.order(&self.paths, &name, &orders, &mut self.counts) {
                // Nothing of it was written. If the disk is full, the journal will say so.
                self.lose(&name, &format!("its mailbox cannot be written: {error}"), End::Said)?;
            }
        }
        Ok(())
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

impl Agent {
    /// Writes orders into its mailbox.
    fn order(&mut self, paths: &Paths, name: &str, orders: &[Order], counts: &mut Counts) -> std::io::Result<()> {
        counts.opened += 1;
        if self.orders.is_none() {
            // Of an earlier process, perhaps, which was killed in a line.
            self.orders = Some(Outbox::adopt(&paths.agent(name).inbox())?);
        }
        self.spoken = Instant::now();
        self.orders.as_ref().map_or(Ok(()), |outbox| outbox.append(orders, false))
    }
}

/// Whether an agent is of a unit, after which it is named.
fn is_of(agent: &str, unit: &str) -> bool {
    agent.rsplit_once('-').is_some_and(|(of, _)| of == unit)
}

/// Whether a result of an earlier process is what a job would give: a training that was stopped has fewer epochs.
fn is_whole(job: &Job, outcome: &Outcome) -> bool {
    match (&job.task, outcome) {
        (Task::Train | Task::Keep { .. }, Outcome::Trained(history)) => history.epochs.len() == job.settings.epochs,
        _ => true,
    }
}

/// Returns a digest of a result without the time that it took.
fn digest(outcome: &Outcome) -> u64 {
    let timeless = match outcome.clone() {
        Outcome::Trained(history) => Outcome::Trained(History { seconds: 0.0, ..history }),
        failed => failed,
    };
    xxh3_64(&serde_json::to_vec(&timeless).unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;

    use deepaug_augmenter::{Policy, RangeTable};
    use deepaug_child_model::EpochRecord;
    use proptest::prelude::*;

    use super::super::plan::Hello;
    use super::*;
    use crate::config::Config;
    use crate::execute::ImagesPart;

    /// Units whose state the test decides.
    #[derive(Debug, Clone, Default)]
    struct Decided(Rc<RefCell<Vec<Unit>>>);

    impl Launcher for Decided {
        fn ask(&mut self, _agents: usize) -> Result<(), Error> {
            Ok(())
        }

        fn look(&mut self) -> Vec<Unit> {
            self.0.borrow().clone()
        }

        fn interval(&self) -> Duration {
            Duration::ZERO
        }

        fn log(&self, _unit: &str) -> Option<PathBuf> {
            None
        }

        fn stop(&mut self) {}
    }

    /// An agent of the test: it does what it is told, when the test says so.
    struct Puppet {
        orders: Inbox,
        words: Outbox,
        jobs: Vec<Key>,
    }

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Submit,
        Join,
        Listen(usize),
        End(usize),
        Die(usize),
        Leave(usize),
        Restart,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => Just(Act::Submit),
            2 => Just(Act::Join),
            5 => (0..9usize).prop_map(Act::Listen),
            5 => (0..9usize).prop_map(Act::End),
            1 => (0..9usize).prop_map(Act::Die),
            1 => (0..9usize).prop_map(Act::Leave),
            1 => Just(Act::Restart),
        ]
    }

    struct World {
        folder: tempfile::TempDir,
        images: ImagesRef,
        units: Decided,
        cluster: Option<Cluster>,
        puppets: Vec<Puppet>,
        submitted: Vec<Job>,
        told: BTreeMap<u64, Vec<f64>>,
    }

    impl World {
        fn new() -> Self {
            let config = Arc::new(Config::default());
            let images = ImagesRef { config, fingerprint: "f".into(), part: ImagesPart::Search { sample: 0 } };
            let (units, cluster, puppets, submitted, told) = Default::default();
            let folder = tempfile::tempdir().unwrap();
            let mut world = Self { folder, images, units, cluster, puppets, submitted, told };
            world.open();
            world
        }

        fn open(&mut self) {
            let wanted = ClusterConfig { agents: 1000, ..ClusterConfig::default() };
            let machines = Machines { wanted, launcher: Box::new(self.units.clone()), tell: Box::new(|_| ()) };
            let none = || Err(Error::cluster("none"));
            let mut cluster = Cluster::new(self.folder.path(), self.images.clone(), machines, none).unwrap();
            // A study asks for what its journal does not have.
            for job in &self.submitted {
                if !self.told.contains_key(&job.id.trial) {
                    cluster.submit(job.clone()).unwrap();
                }
            }
            self.cluster = Some(cluster);
        }

        /// Everything that is due at some time, at once.
        fn look(&mut self) {
            let cluster = self.cluster.as_mut().unwrap();
            cluster.arrivals(State::Opening).unwrap();
            for name in cluster.names(|agent| agent.state == State::Opening) {
                cluster.greet(&name).unwrap();
            }
            for name in cluster.names(|_| true) {
                cluster.read(&name).unwrap();
            }
            // Agents that end soon are no error of this study.
            cluster.quick = 0;
            cluster.units().unwrap();
            cluster.quick = 0;
            cluster.assign().unwrap();
            while let Some(report) = cluster.ready.pop_front() {
                if let Report::Ended { id, result, .. } = report {
                    self.told.entry(id.trial).or_default().push(result.unwrap().seconds);
                }
            }
        }

        fn perform(&mut self, act: Act) {
            let count = self.puppets.len().max(1);
            match act {
                Act::Submit => {
                    let trial = self.submitted.len() as u64;
                    let job = Job {
                        id: JobId { trial, sample: 0 },
                        policy: Policy::none(RangeTable::Monotone),
                        settings: self.images.config.settings(),
                        seed: trial,
                        images: self.images.clone(),
                        start: None,
                        scored: None,
                        task: Task::Train,
                    };
                    self.submitted.push(job.clone());
                    self.cluster.as_mut().unwrap().submit(job).unwrap();
                }
                Act::Join => {
                    let name = format!("u{}-0", self.puppets.len());
                    let own = Paths::of(self.folder.path()).agent(&name);
                    std::fs::create_dir(&own.0).unwrap();
                    Outbox::create(&own.inbox()).unwrap();
                    let words = Outbox::create(&own.outbox()).unwrap();
                    let nonce = self.cluster.as_ref().unwrap().nonce().to_string();
                    // Not this machine: nobody looks for its process.
                    let node = format!("n{}", self.puppets.len() % 3);
                    let hello =
                        Hello { version: VERSION.into(), nonce, node, process: 1, slots: 2, device: "cpu".into() };
                    write_json(&own.hello(), &hello).unwrap();
                    self.units
                        .0
                        .borrow_mut()
                        .push(Unit { name: name[..name.len() - 2].into(), state: UnitState::Running });
                    self.puppets.push(Puppet { orders: Inbox::new(&own.inbox()), words, jobs: Vec::new() });
                }
                Act::Listen(which) => {
                    if let Some(puppet) = self.puppets.get_mut(which % count) {
                        for order in puppet.orders.read::<Order>().unwrap() {
                            match order {
                                Order::Job { key, .. } if !puppet.jobs.contains(&key) => puppet.jobs.push(key),
                                Order::Beat => puppet.words.append(&[Word::Beat], false).unwrap(),
                                _ => {}
                            }
                        }
                    }
                }
                // Also of an agent that is taken to be dead: it is back.
                Act::End(which) => {
                    if let Some(puppet) = self.puppets.get_mut(which % count)
                        && let Some(key) = puppet.jobs.pop()
                    {
                        let seed = self.submitted.iter().find(|job| Key::of(job) == key).unwrap().seed;
                        let (device, outcome) = ("cpu".into(), Outcome::Trained(history(seed, &self.images)));
                        puppet.words.append(&[Word::Ended { key, device, outcome }], true).unwrap();
                    }
                }
                // Its machine does.
                Act::Die(which) => {
                    if let Some(unit) = self.units.0.borrow_mut().get_mut(which % count) {
                        unit.state = UnitState::Waiting;
                    }
                }
                Act::Leave(which) => {
                    if let Some(puppet) = self.puppets.get_mut(which % count) {
                        puppet.jobs.clear();
                        puppet.words.append(&[Word::Bye { why: "asked".into() }], true).unwrap();
                    }
                }
                Act::Restart => {
                    let mut cluster = self.cluster.take().unwrap();
                    // Killed: it tells nobody.
                    cluster.lock = None;
                    std::mem::forget(cluster);
                    self.open();
                }
            }
        }
    }

    /// What a training gives, which follows from its seed.
    fn history(seed: u64, images: &ImagesRef) -> History {
        let record = |epoch| EpochRecord { epoch, acc: 0.5, loss: 1.0, val_acc: 0.5, val_loss: 1.0, train_acc: None };
        History::new((1..=images.config.epochs()).map(record).collect(), seed as f64)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Agents join, work, die, leave and come back, and the process that runs the study is killed: every training is told
        /// once, with what it gave.
        #[test]
        fn every_training_is_told_once(acts in prop::collection::vec(act(), 1..60)) {
            let mut world = World::new();
            for act in acts {
                world.perform(act);
                world.look();
            }
            // One that stays does what is left.
            world.perform(Act::Join);
            let last = world.puppets.len() - 1;
            world.look();
            // The others have gone, one by one.
            for unit in 0..last {
                world.perform(Act::Die(unit));
                world.look();
            }
            for _ in 0..2 * world.submitted.len() + 4 {
                world.look();
                world.perform(Act::Listen(last));
                world.perform(Act::End(last));
            }
            world.look();
            for job in &world.submitted {
                prop_assert_eq!(world.told.get(&job.id.trial), Some(&vec![job.seed as f64]), "trial {}", job.id.trial);
            }
        }
    }
}
