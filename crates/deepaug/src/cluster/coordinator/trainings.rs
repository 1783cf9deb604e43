//! Trainings: who has them, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use deepaug_child_model::History;
use xxhash_rust::xxh3::xxh3_64;

use super::Cluster;
use super::agents::{Agent, End, State};
use crate::cluster::event::ClusterEvent;
use crate::cluster::message::{Key, Order, Outcome};
use crate::error::Error;
use crate::execute::{Job, JobId, Report, Task};

/// A training that was with so many agents when they ended by themselves is taken to be what ends them; from the second on it
/// was there alone.
pub(super) const DEADLY: usize = 3;

/// A machine on which so many trainings failed that others then did is not used any more.
const BLAME: usize = 3;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) job: Job,
    pub(super) ids: Vec<JobId>,
    pub(super) at: Option<String>,
    /// Agents that ended by themselves while they had it.
    pub(super) losses: usize,
    /// Machines on which it failed, and what it said.
    pub(super) failed: Vec<(String, String, String)>,
    pub(super) is_cancelled: bool,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) device: String,
    pub(super) outcome: Outcome,
}

impl Cluster {
    /// Takes a training from an agent, which has ended it.
    pub(super) fn let_go(&mut self, name: &str, key: &Key) {
        if let Some(agent) = self.agents.get_mut(name) {
            agent.jobs.remove(key);
        }
    }

    pub(super) fn ended(&mut self, name: &str, key: Key, device: String, outcome: Outcome) {
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
    pub(super) fn others(&self, node: &str) -> bool {
        self.agents.values().any(|agent| agent.state == State::Ready && agent.node != node)
    }

    pub(super) fn blame(&mut self, node: String) {
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
    pub(super) fn close(&mut self, key: &Key, report: &dyn Fn(JobId) -> Report) {
        let Some(open) = self.open.remove(key) else { return };
        for id in open.ids {
            self.waiting.remove(&(id, key.clone()));
            self.keys.remove(&id);
            self.ready.push_back(report(id));
        }
    }

    /// Puts a training back to those that wait.
    pub(super) fn again(&mut self, key: &Key) {
        let Some(open) = self.open.get_mut(key) else { return };
        open.at = None;
        if open.is_cancelled {
            return self.close(key, &|id| Report::Cancelled { id });
        }
        if let Some(&id) = open.ids.first() {
            self.waiting.insert((id, key.clone()));
        }
    }

    /// Gives waiting trainings to agents: one more than each trains at once, so that none waits for the next.
    pub(super) fn assign(&mut self) -> Result<(), Error> {
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
}

/// Whether a result of an earlier process is what a job would give: a training that was stopped has fewer epochs.
pub(super) fn is_whole(job: &Job, outcome: &Outcome) -> bool {
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
