//! Random histories against a model.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use deepaug_augmenter::{Policy, RangeTable};
use deepaug_child_model::{EpochRecord, History};
use proptest::prelude::*;

use super::agents::State;
use super::{Cluster, Machines};
use crate::cluster::launcher::{Launcher, Unit, UnitState};
use crate::cluster::mailbox::{Inbox, Outbox};
use crate::cluster::message::{Key, Order, Outcome, Word};
use crate::cluster::plan::{Hello, Paths, VERSION};
use crate::config::{ClusterConfig, Config};
use crate::error::Error;
use crate::execute::{Executor, ImagesPart, ImagesRef, Job, JobId, Report, Task};
use crate::files::write_json;

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
        cluster.units().unwrap();
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
                let hello = Hello { version: VERSION.into(), nonce, node, process: 1, slots: 2, device: "cpu".into() };
                write_json(&own.hello(), &hello).unwrap();
                self.units.0.borrow_mut().push(Unit { name: name[..name.len() - 2].into(), state: UnitState::Running });
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
