//! Measures the process that runs a study, with agents that only pretend to train: real files, a real search, no images.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deepaug_child_model::{EpochRecord, History};
use serde::Serialize;

use super::coordinator::{Cluster, Machines};
use super::launcher::ByHand;
use super::mailbox::{Inbox, Outbox};
use super::message::{Key, Order, Word};
use super::plan::{Hello, Paths, VERSION, pace};
use crate::config::auto::Auto;
use crate::config::{ClusterConfig, Config, EarlyStopping};
use crate::error::Error;
use crate::execute::{ImagesPart, ImagesRef};
use crate::files::write_json;
use crate::study::journal::OUTSIDE;
use crate::study::judged::JudgedStudy;

/// Epochs of a training, as in DeepAugment.
const EPOCHS: usize = 50;

/// The spread of the trainings' times: the deviation of their logarithm.
const SPREAD: f64 = 0.1;

/// A study with agents that pretend.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// Agents, each of which trains one child at a time.
    pub agents: usize,
    /// Trainings; each is a trial.
    pub trainings: u64,
    /// Seconds that a training takes.
    pub seconds: f64,
    /// How policies are found.
    pub config: Config,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulationResult {
    /// Agents.
    pub agents: usize,
    /// Trainings that were told.
    pub trainings: usize,
    /// Seconds from the first training to the last.
    pub seconds: f64,
    /// Trainings a second.
    pub per_second: f64,
    /// The share of the agents' time in which they trained.
    pub share: f64,
    /// The share of a core that the process took, with its search, and without its agents; absent where it cannot be measured.
    pub core: Option<f64>,
    /// Mailboxes opened a second, by the process.
    pub opened_per_second: f64,
    /// Looks into the agents' folder a second.
    pub listed_per_second: f64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Bytes of all mailboxes.
    pub mailbox_bytes: u64,
    /// Trainings that were lost or told twice.
    pub wrong: u64,
}

impl Simulation {
    /// Runs it in a new folder.
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&self, folder: &Path) -> Result<SimulationResult, Error> {
        let config = Config {
            iters: self.trainings.saturating_sub(1).max(1),
            opt_samples: 1,
            confirm_policies: 0,
            early_stopping: EarlyStopping::Off,
            in_order: false,
            workers: Auto::Given(1),
            ..self.config.clone()
        };
        let study = JudgedStudy::create(config.clone(), Some(folder))?;
        let images = ImagesRef {
            config: std::sync::Arc::new(config),
            fingerprint: OUTSIDE.into(),
            part: ImagesPart::Search { sample: 0 },
        };
        let wanted = ClusterConfig { agents: self.agents, silence: 600, ..ClusterConfig::default() };
        let machines = Machines { wanted, launcher: Box::new(ByHand), tell: Box::new(|_| ()) };
        let nothing = || Err(Error::cluster("there are no images"));
        let mut cluster = Cluster::new(folder, images, machines, nothing)?;
        let paths = Paths::of(folder);
        let mut pretended = Pretended::new(&paths, cluster.nonce(), self)?;
        let is_over = AtomicBool::new(false);
        let (used, begun) = (process_time(), Instant::now());
        let (result, agents_used) = std::thread::scope(|scope| {
            let agents = scope.spawn(|| {
                let before = thread_time();
                let worked = pretended.work(&is_over);
                worked.map(|trained| (trained, thread_time().zip(before).map(|(now, then)| now - then)))
            });
            let result = study.run_on(&mut cluster, &|_| ());
            is_over.store(true, Ordering::Relaxed);
            let agents = agents.join().unwrap_or_else(|_| Err(std::io::Error::other("the agents panicked")));
            (result, agents)
        });
        result?;
        let seconds = begun.elapsed().as_secs_f64();
        let (trained, agents_used) = agents_used.map_err(|error| Error::file(&paths.agents(), error))?;
        let core =
            process_time().zip(used).zip(agents_used).map(|((now, then), agents)| (now - then - agents) / seconds);
        let counts = cluster.counts();
        drop(cluster);
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
        let mailboxes = (0..self.agents).map(|agent| paths.agent(&name(agent)));
        Ok(SimulationResult {
            agents: self.agents,
            trainings: trained.count,
            seconds,
            per_second: trained.count as f64 / seconds,
            share: trained.seconds / (seconds * self.agents as f64),
            core,
            opened_per_second: counts.opened as f64 / seconds,
            listed_per_second: counts.listed as f64 / seconds,
            journal_bytes: size(&folder.join(crate::layout::JOURNAL)),
            mailbox_bytes: mailboxes.map(|paths| size(&paths.inbox()) + size(&paths.outbox())).sum(),
            wrong: counts.lost + counts.twice,
        })
    }
}

fn name(agent: usize) -> String {
    format!("pretended{agent}-0")
}

/// What agents have pretended to do.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    count: usize,
    seconds: f64,
}

/// All agents, in one thread.
struct Pretended {
    boxes: Vec<(Inbox, Outbox)>,
    queues: Vec<VecDeque<Key>>,
    /// When each ends what it trains, soonest first.
    ends: BinaryHeap<std::cmp::Reverse<(Instant, usize)>>,
    trains: BTreeMap<usize, (Key, f64)>,
    seconds: f64,
    pace: Duration,
    drawn: u64,
}

impl Pretended {
    fn new(paths: &Paths, nonce: &str, simulation: &Simulation) -> Result<Self, Error> {
        let mut boxes = Vec::new();
        for agent in 0..simulation.agents {
            let own = paths.agent(&name(agent));
            let made = || {
                std::fs::create_dir(&own.0)?;
                Outbox::create(&own.inbox())?;
                Ok((Inbox::new(&own.inbox()), Outbox::create(&own.outbox())?))
            };
            boxes.push(made().map_err(|error| Error::file(&own.0, error))?);
            let (version, nonce) = (VERSION.into(), nonce.into());
            let node = format!("node{}", agent / 8);
            write_json(&own.hello(), &Hello { version, nonce, node, process: 0, slots: 1, device: "none".into() })?;
        }
        Ok(Self {
            queues: vec![VecDeque::new(); boxes.len()],
            boxes,
            ends: BinaryHeap::new(),
            trains: BTreeMap::new(),
            seconds: simulation.seconds,
            pace: pace(simulation.agents),
            drawn: 0,
        })
    }

    /// Works until the study is over. Agents look into their mailboxes one after another, each at its pace.
    fn work(&mut self, is_over: &AtomicBool) -> std::io::Result<Done> {
        let (mut next, mut done) = (0, Done::default());
        let pause = self.pace / self.boxes.len() as u32;
        let mut due = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            let now = Instant::now();
            while let Some(&std::cmp::Reverse((end, agent))) = self.ends.peek()
                && end <= now
            {
                self.ends.pop();
                if let Some((key, seconds)) = self.trains.remove(&agent) {
                    done = Done { count: done.count + 1, seconds: done.seconds + seconds };
                    let words = self.words(key, seconds);
                    self.boxes[agent].1.append(&words, false)?;
                }
                self.begin(agent);
            }
            if now >= due {
                due = (due + pause).max(now - self.pace);
                let agent = next % self.boxes.len();
                next += 1;
                for order in self.boxes[agent].0.read::<Order>()? {
                    match order {
                        Order::Job { key, .. } => self.queues[agent].push_back(key),
                        Order::Beat => self.boxes[agent].1.append(&[Word::Beat], false)?,
                        _ => {}
                    }
                }
                self.begin(agent);
            } else {
                std::thread::sleep((due - now).min(Duration::from_millis(1)));
            }
        }
        Ok(done)
    }

    fn begin(&mut self, agent: usize) {
        if self.trains.contains_key(&agent) {
            return;
        }
        if let Some(key) = self.queues[agent].pop_front() {
            let seconds = self.seconds * (SPREAD * self.normal()).exp();
            self.trains.insert(agent, (key, seconds));
            self.ends.push(std::cmp::Reverse((Instant::now() + Duration::from_secs_f64(seconds), agent)));
        }
    }

    /// What an agent says of a training: its epochs, and its end.
    fn words(&mut self, key: Key, seconds: f64) -> Vec<Word> {
        let best = 0.5 + 0.05 * self.normal();
        let record = |epoch: usize| {
            let share = epoch as f64 / EPOCHS as f64;
            let (val_acc, loss) = (best * share.sqrt() + 0.001 * (epoch % 7) as f64, 2.3 - share);
            EpochRecord { epoch, acc: val_acc * 1.01, loss, val_acc, val_loss: loss * 1.07, train_acc: Some(val_acc) }
        };
        let epochs: Vec<EpochRecord> = (1..=EPOCHS).map(record).collect();
        let told = epochs.iter().map(|&record| Word::Epoch { key: key.clone(), record });
        let mut words: Vec<Word> = told.collect();
        let outcome = Ok(History::new(epochs, seconds)).into();
        words.push(Word::Ended { key, device: "none".into(), outcome });
        words
    }

    /// Returns a number that is nearly normally distributed: a sum of twelve uniform ones.
    fn normal(&mut self) -> f64 {
        let uniform = |_| {
            self.drawn += 1;
            xxhash_rust::xxh3::xxh3_64(&self.drawn.to_le_bytes()) as f64 / u64::MAX as f64
        };
        (0..12).map(uniform).sum::<f64>() - 6.0
    }
}

/// Seconds of all cores that this process has used.
fn process_time() -> Option<f64> {
    of_tasks("/proc/self/task")
}

/// The same of this thread.
fn thread_time() -> Option<f64> {
    of_task(Path::new("/proc/thread-self"))
}

fn of_task(task: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
    text.split(' ').next()?.parse::<u64>().ok().map(|nanoseconds| nanoseconds as f64 * 1e-9)
}

fn of_tasks(folder: &str) -> Option<f64> {
    let tasks = std::fs::read_dir(folder).ok()?;
    Some(tasks.flatten().filter_map(|task| of_task(&task.path())).sum())
}
