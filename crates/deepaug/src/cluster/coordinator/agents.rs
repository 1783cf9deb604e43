//! Agents: who is there, what they say, and who is missing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::trainings::DEADLY;
use super::{ANSWER, Cluster};
use crate::cluster::coordinator::Counts;
use crate::cluster::event::ClusterEvent;
use crate::cluster::launcher::{Unit, UnitState};
use crate::cluster::mailbox::{Inbox, Outbox};
use crate::cluster::message::{Key, Order, Word};
use crate::cluster::plan::Paths;
use crate::error::Error;
use crate::execute::{Executor, ImagesRef, Report};

/// How long a line of an agent may be wrong, or its mailbox unreadable, before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that ends sooner than this, with nothing done, ended too soon; after so many in a row no more are started.
pub(super) const SOON: Duration = Duration::from_secs(60);
const TOO_MANY: usize = 3;

/// A running agent that has not written for so long after its start does not see the study's folder.
const UNSEEN: Duration = Duration::from_secs(180);

/// Lines of a log that are shown.
const SHOWN: usize = 20;

#[derive(Debug)]
pub(super) struct Agent {
    pub(super) state: State,
    pub(super) node: String,
    pub(super) slots: usize,
    pub(super) orders: Option<Outbox>,
    pub(super) words: Inbox,
    /// Images that it has a number for.
    pub(super) images: Vec<ImagesRef>,
    /// What it has, and has not reported.
    pub(super) jobs: BTreeSet<Key>,
    pub(super) ended: usize,
    /// Whether an earlier process knew it.
    pub(super) is_adopted: bool,
    pub(super) joined: Instant,
    pub(super) heard: Instant,
    pub(super) spoken: Instant,
    /// Since when its mailbox cannot be read.
    pub(super) trouble: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
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
pub(super) enum End {
    /// As it said, or as it was told.
    Said,
    /// Perhaps with its machine.
    Unknown,
    /// Nobody ended it, so that one of its trainings may have.
    ByItself,
}

impl Cluster {
    /// Finds new agents.
    pub(super) fn arrivals(&mut self, state: State) -> Result<(), Error> {
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
            let agent = Agent {
                state,
                node,
                slots,
                orders,
                words,
                images,
                jobs,
                ended,
                is_adopted: self.is_adopting,
                joined,
                heard,
                spoken,
                trouble,
            };
            self.agents.insert(name, agent);
        }
        Ok(())
    }

    /// Takes in an agent that has said hello.
    pub(super) fn greet(&mut self, name: &str) -> Result<(), Error> {
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

    pub(super) fn joined(&mut self, name: &str) {
        let all_slots = self.capacity();
        let Some(agent) = self.agents.get(name).filter(|agent| agent.state == State::Ready) else { return };
        let (node, slots) = (agent.node.clone(), agent.slots);
        (self.tell)(&ClusterEvent::AgentJoined { agent: name.into(), node, slots, all_slots });
    }

    /// Hears what an agent has to say.
    pub(super) fn read(&mut self, name: &str) -> Result<(), Error> {
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

    pub(super) fn hear(&mut self, name: &str, word: Word) -> Result<(), Error> {
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

    /// Gives an agent up.
    pub(super) fn lose(&mut self, name: &str, why: &str, end: End) -> Result<(), Error> {
        let Some(agent) = self.agents.get_mut(name).filter(|agent| agent.state != State::Gone) else { return Ok(()) };
        agent.state = State::Gone;
        let node = agent.node.clone();
        // Nobody knows when one ended that an earlier process knew.
        let was_quick = agent.ended == 0 && agent.joined.elapsed() < SOON && !agent.is_adopted;
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
        if end == End::ByItself && was_quick && !was_suspect {
            self.ended_soon(name)?;
        }
        Ok(())
    }

    /// Counts an agent that ended soon, and gives up after too many.
    pub(super) fn ended_soon(&mut self, name: &str) -> Result<(), Error> {
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
    pub(super) fn check(&mut self, name: &str) -> Result<(), Error> {
        let Some(agent) = self.agents.get(name) else { return Ok(()) };
        if agent.state != State::Gone && agent.heard.elapsed() > self.plan.silence() {
            let why = format!("nothing was heard of it for {} seconds", self.plan.silence().as_secs());
            return self.lose(name, &why, End::Unknown);
        }
        Ok(())
    }

    /// Compares what the launcher started with what has shown itself, and starts what is missing.
    pub(super) fn units(&mut self) -> Result<(), Error> {
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
    pub(super) fn live(&self) -> usize {
        let is_live = |agent: &&Agent| match agent.state {
            State::Opening | State::Ready => true,
            State::Asked => self.began.elapsed() < ANSWER,
            State::Gone => false,
        };
        self.agents.values().filter(is_live).count()
    }

    /// Asks for agents until there are as many as wanted.
    pub(super) fn supply(&mut self, units: &[Unit]) -> Result<(), Error> {
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
}

impl Agent {
    /// Writes orders into its mailbox.
    pub(super) fn order(
        &mut self,
        paths: &Paths,
        name: &str,
        orders: &[Order],
        counts: &mut Counts,
    ) -> std::io::Result<()> {
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
