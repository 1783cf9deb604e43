//! The program on another machine that trains what a study asks for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use deepaug_dataset::{Dataset, read_decoded};

use super::mailbox::{Inbox, Outbox};
use super::message::{Key, Order, Word, are_together, job_of};
use super::plan::{AgentPaths, Hello, Paths, Plan, VERSION, node};
use crate::cancel::Cancel;
use crate::config::{ClusterConfig, Config, ValidConfig};
use crate::error::Error;
use crate::execute::{Executor, ImagesRef, JobId, Local, Report, open_with};
use crate::files::write_json;
use crate::study::folder::read_images;

/// How long an agent tries to reach a folder that it cannot read or write.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long trainings may go on that are nearly done when the machine is taken away: Slurm kills 30 seconds after it warns,
/// unless told otherwise.
const GRACE: Duration = Duration::from_secs(15);

/// The same when the study is stopped.
const DRAIN: Duration = Duration::from_secs(600);

/// The shortest time between two writes of what is not urgent.
const GATHERED: Duration = Duration::from_millis(500);

/// How long the agent waits for its trainings between two looks at everything else.
const PULSE: Duration = Duration::from_millis(20);

/// Sets of more bytes are read from the study's folder, not copied to the machine.
const LARGEST_COPY: u64 = 20 << 30;

/// Less time left than this, and the time limit is why Slurm ends an agent: it warns two minutes before.
const AT_LIMIT: Duration = Duration::from_secs(180);

/// An agent, before it runs.
#[derive(Debug, Clone, Default)]
pub struct Agent {
    /// The study's folder, as this machine sees it.
    pub study: PathBuf,
    /// What the study's `cluster/plan.json` must have as its nonce, to tell it from another folder of that name.
    pub nonce: Option<String>,
    /// Its name, which no other agent of the study has had; made from the machine's name unless given.
    pub name: Option<String>,
}

/// Why an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEnd {
    /// The study needs it no more.
    Done,
    /// It was asked to end, by a signal or because the study is stopped.
    Stopped,
    /// It heard nothing from the study for too long.
    Idle,
}

impl fmt::Display for AgentEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "the study needs this agent no more",
            Self::Stopped => "ended as asked; others get what was under way",
            Self::Idle => "ended, because nothing was heard from the study",
        })
    }
}

impl Agent {
    /// Trains what the study asks for, until it needs nothing more or `cancel` is set. `note` is called with what a person may
    /// want to know.
    ///
    /// # Errors
    /// [`Error`]: the folder is not that of a study that is run on other machines, or is another one; this is another version
    /// of deepaug; images or the device cannot be used; the folder can no longer be read or written.
    pub fn run(&self, cancel: &Cancel, note: &dyn Fn(&str)) -> Result<AgentEnd, Error> {
        let paths = Paths::of(&self.study);
        let plan = self.plan(&paths)?;
        let node = node();
        let name = self.name.clone().unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            format!("{node}-{}-{:x}", std::process::id(), since.as_millis())
        });
        let own = paths.agent(&name);
        let failed = |error| Error::file(&own.0, error);
        std::fs::create_dir(&own.0).map_err(failed)?;
        Outbox::create(&own.inbox()).map_err(failed)?;
        let outbox = Outbox::create(&own.outbox()).map_err(failed)?;
        let mut hello = Hello {
            version: VERSION.into(),
            nonce: plan.nonce.clone(),
            node,
            process: std::process::id(),
            slots: 0,
            device: String::new(),
        };
        let opened = match plan.version == VERSION {
            true => self.open(&paths, &plan, &plan.images),
            false => {
                let other = &plan.version;
                let why =
                    format!("this is deepaug {VERSION}, but the study is run by {other}; use the same on all machines");
                Err(Error::cluster(why))
            }
        };
        let room = match opened {
            Ok(room) => room,
            Err(error) => {
                write_json(&own.hello(), &hello)?;
                outbox.append(&[Word::Broken { why: error.in_full() }], true).map_err(failed)?;
                return Err(error);
            }
        };
        hello.slots = room.executor.capacity();
        hello.device = plan.images.config.device.to_string();
        note(&format!("{name} trains {} at once for {}", hello.slots, self.study.display()));
        write_json(&own.hello(), &hello)?;
        let now = Instant::now();
        let mut running = Running {
            agent: self,
            inbox: Inbox::new(&own.inbox()),
            paths,
            plan,
            own,
            outbox,
            rooms: vec![room],
            images: HashMap::new(),
            under_way: BTreeMap::new(),
            next: 0,
            words: Vec::new(),
            is_urgent: false,
            written: now,
            beaten: now,
            heard: now,
            looked: now,
            trouble: None,
        };
        let end = running.work(cancel, note)?;
        if !running.under_way.is_empty() {
            // Their threads end with the process.
            running.rooms.drain(..).for_each(std::mem::forget);
        }
        Ok(end)
    }

    /// Reads what is to be done here.
    fn plan(&self, paths: &Paths) -> Result<Plan, Error> {
        let study = self.study.display();
        if !paths.plan().exists() {
            let why = format!(
                "{study}: nothing is trained on other machines for it, or this machine does not see the folder; start \
                 \"deepaug optimize --on\" first, and keep studies where all machines see them"
            );
            return Err(Error::cluster(why));
        }
        let plan = Plan::read(paths)?;
        match &self.nonce {
            Some(nonce) if *nonce != plan.nonce => Err(Error::cluster(format!(
                "{study}: this machine has another folder of that name; keep studies where all machines see them"
            ))),
            _ => Ok(plan),
        }
    }

    /// Opens images and device.
    fn open(&self, paths: &Paths, plan: &Plan, images: &ImagesRef) -> Result<Room, Error> {
        let threads = threads(&plan.cluster, &images.config);
        let here = ImagesRef { config: Arc::new(Config { threads, ..(*images.config).clone() }), ..images.clone() };
        let read = |config: &ValidConfig| -> Result<Dataset, Error> {
            let kept = plan.decoded.as_ref().and_then(|name| staged(paths, name, plan, config));
            kept.map_or_else(|| read_images(&self.study, config), Ok)
        };
        Ok(Room { executor: open_with(&here, read)?, images: images.clone() })
    }
}

/// Returns how many trainings run at once on a CPU.
fn threads(cluster: &ClusterConfig, config: &Config) -> usize {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let of_slurm = || number("SLURM_CPUS_PER_TASK").or_else(|| number("SLURM_CPUS_ON_NODE"));
    let given = [cluster.slots, cluster.cpus].into_iter().find(|&count| count > 0);
    given.or_else(of_slurm).unwrap_or(config.threads)
}

/// Returns the decoded images of a study, from this machine's own disk, where they are copied once; `None` if that does not
/// work, and they have to be read from where they come from.
fn staged(paths: &Paths, name: &str, plan: &Plan, config: &Config) -> Option<Dataset> {
    let shared = paths.images().join(name);
    let data = Path::new(&config.data);
    let size = std::fs::metadata(&shared).ok()?.len();
    let copied = || {
        let folder = local_folder(&plan.cluster);
        let own = folder.join(name);
        if !own.exists() {
            std::fs::create_dir_all(&folder).ok()?;
            let mut draft = tempfile::NamedTempFile::new_in(&folder).ok()?;
            std::io::copy(&mut std::fs::File::open(&shared).ok()?, draft.as_file_mut()).ok()?;
            draft.persist(&own).ok()?;
        }
        let read = read_decoded(&own, data);
        if read.is_none() {
            // Damaged: it is not used again.
            let _ = std::fs::remove_file(&own);
        }
        read
    };
    let copy = if size <= LARGEST_COPY { copied() } else { None };
    copy.or_else(|| read_decoded(&shared, data))
}

/// Returns a folder on this machine's own disk.
fn local_folder(cluster: &ClusterConfig) -> PathBuf {
    if !cluster.cache.is_empty() {
        return PathBuf::from(&cluster.cache);
    }
    let of_slurm = std::env::var_os("SLURM_TMPDIR").filter(|value| !value.is_empty());
    of_slurm.map_or_else(std::env::temp_dir, PathBuf::from).join("deepaug-images")
}

/// An executor, and the images of its jobs.
struct Room {
    images: ImagesRef,
    executor: Local,
}

/// An agent at work.
struct Running<'a> {
    agent: &'a Agent,
    paths: Paths,
    plan: Plan,
    own: AgentPaths,
    outbox: Outbox,
    inbox: Inbox,
    rooms: Vec<Room>,
    /// Images by the number that orders name them by.
    images: HashMap<usize, ImagesRef>,
    under_way: BTreeMap<JobId, Key>,
    /// The number of the next job, which is its trial here.
    next: u64,
    words: Vec<Word>,
    /// Whether others wait for one of the words.
    is_urgent: bool,
    written: Instant,
    beaten: Instant,
    heard: Instant,
    looked: Instant,
    /// Since when the folder cannot be read or written.
    trouble: Option<Instant>,
}

impl Running<'_> {
    fn work(&mut self, cancel: &Cancel, note: &dyn Fn(&str)) -> Result<AgentEnd, Error> {
        loop {
            self.listen()?;
            if cancel.is_cancelled() {
                self.leave(GRACE, "it was asked to end")?;
                self.queue_again(note);
                return Ok(AgentEnd::Stopped);
            }
            if self.looked.elapsed() >= self.plan.pace() {
                self.looked = Instant::now();
                if self.read()? {
                    self.say(Word::Bye { why: "it is needed no more".into() });
                    self.write()?;
                    return Ok(AgentEnd::Done);
                }
                if self.paths.stop().exists() {
                    self.leave(DRAIN, "the study is stopped")?;
                    return Ok(AgentEnd::Stopped);
                }
            }
            if self.beaten.elapsed() >= self.plan.beat() {
                self.say(Word::Beat);
            }
            self.write()?;
            if self.under_way.is_empty() && self.heard.elapsed() >= self.plan.idle() {
                note("nothing was heard from the study for long");
                self.leave(GRACE, "it heard nothing")?;
                return Ok(AgentEnd::Idle);
            }
        }
    }

    /// Hears trainings for a moment.
    fn listen(&mut self) -> Result<(), Error> {
        let mut wait = PULSE;
        for index in 0..self.rooms.len() {
            while let Some(report) = self.rooms[index].executor.next(wait)? {
                wait = Duration::ZERO;
                self.hear(report)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, report: Report) -> Result<(), Error> {
        let key = |running: &Self, id: &JobId| running.under_way.get(id).cloned();
        match report {
            Report::Epoch { id, record } => {
                if let Some(key) = key(self, &id) {
                    self.words.push(Word::Epoch { key, record });
                }
            }
            Report::Repeated { id, why } => {
                if let Some(key) = key(self, &id) {
                    self.words.push(Word::Repeated { key, why });
                }
            }
            Report::Ended { id, device, result } => {
                if let Some(key) = self.under_way.remove(&id) {
                    self.say(Word::Ended { key, device, outcome: result.into() });
                }
            }
            Report::Judged { id, .. } | Report::Cancelled { id } => {
                if let Some(key) = self.under_way.remove(&id) {
                    self.say(Word::Cancelled { key });
                }
            }
            Report::Broken { error } => {
                self.say(Word::Broken { why: error.in_full() });
                self.write()?;
                return Err(error);
            }
        }
        Ok(())
    }

    fn say(&mut self, word: Word) {
        self.is_urgent = true;
        self.words.push(word);
    }

    /// Writes what is to be said, if it is time.
    fn write(&mut self) -> Result<(), Error> {
        let since = self.written.elapsed();
        let is_time = match self.trouble {
            // A disk that was full is asked again after a while.
            Some(_) => since >= Duration::from_secs(1),
            None => self.is_urgent || since >= GATHERED,
        };
        if self.words.is_empty() || !is_time {
            return Ok(());
        }
        self.written = Instant::now();
        let is_kept = self.words.iter().any(|word| !matches!(word, Word::Beat | Word::Epoch { .. }));
        match self.outbox.append(&self.words, is_kept) {
            Ok(()) => {
                self.words.clear();
                self.is_urgent = false;
                self.beaten = self.written;
                self.trouble = None;
                Ok(())
            }
            Err(error) => self.bear(&self.own.outbox(), error),
        }
    }

    /// Bears with a folder that cannot be read or written, for a while.
    fn bear(&mut self, path: &Path, error: std::io::Error) -> Result<(), Error> {
        match self.trouble.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            true => Err(Error::file(path, error)),
            false => Ok(()),
        }
    }

    /// Reads orders, and returns whether the last is to end.
    fn read(&mut self) -> Result<bool, Error> {
        let orders = match self.inbox.read::<Order>() {
            Ok(orders) => orders,
            Err(error) => return self.bear(&self.own.inbox(), error).map(|()| false),
        };
        if self.inbox.is_damaged(PATIENCE) {
            return Err(Error::study(&self.own.inbox(), "a line is damaged, or of another version of deepaug"));
        }
        if !orders.is_empty() {
            self.heard = Instant::now();
        }
        for order in orders {
            match order {
                Order::Images { number, images } => _ = self.images.insert(number, images),
                Order::Job { key, images, job } => self.start(key, images, job)?,
                Order::Stop { keys } => {
                    let jobs = self.named(&keys);
                    self.rooms.iter_mut().for_each(|room| room.executor.stop(&jobs));
                }
                Order::Cancel { keys } => {
                    let jobs = self.named(&keys);
                    self.rooms.iter_mut().for_each(|room| room.executor.cancel(&jobs));
                }
                Order::Beat => self.say(Word::Beat),
                Order::Bye => return Ok(true),
            }
        }
        Ok(false)
    }

    fn named(&self, keys: &[Key]) -> Vec<JobId> {
        self.under_way.iter().filter(|(_, key)| keys.contains(key)).map(|(id, _)| *id).collect()
    }

    fn start(&mut self, key: Key, images: usize, job: serde_json::Value) -> Result<(), Error> {
        if self.under_way.values().any(|known| *known == key) {
            return Ok(());
        }
        let damaged = |why: &str| Error::study(&self.own.inbox(), format!("a job cannot be read: {why}"));
        let images = self.images.get(&images).ok_or_else(|| damaged("its images have no number"))?;
        let sample = job["id"]["sample"].as_u64().unwrap_or(0) as usize;
        let id = JobId { trial: self.next, sample };
        let job = job_of(job, images, id).map_err(|error| damaged(&error.to_string()))?;
        self.next += 1;
        let place = match self.rooms.iter().position(|room| are_together(&room.images, &job.images)) {
            Some(place) => place,
            None => {
                match self.agent.open(&self.paths, &self.plan, &job.images) {
                    Ok(room) => self.rooms.push(room),
                    Err(error) => {
                        self.say(Word::Broken { why: error.in_full() });
                        self.write()?;
                        return Err(error);
                    }
                }
                self.rooms.len() - 1
            }
        };
        self.under_way.insert(id, key);
        self.rooms[place].executor.submit(job)
    }

    /// Ends what is under way as soon as it can, and says so.
    fn leave(&mut self, grace: Duration, why: &str) -> Result<(), Error> {
        let all: Vec<JobId> = self.under_way.keys().copied().collect();
        self.rooms.iter_mut().for_each(|room| room.executor.cancel(&all));
        let begun = Instant::now();
        while !self.under_way.is_empty() && begun.elapsed() < grace {
            self.listen()?;
            if self.beaten.elapsed() >= self.plan.beat() {
                self.say(Word::Beat);
            }
            self.write()?;
        }
        self.say(Word::Bye { why: why.into() });
        self.write()
    }

    /// Puts an agent that Slurm's time limit ends back into the queue.
    fn queue_again(&self, note: &dyn Fn(&str)) {
        let named = |name: &str| std::env::var(name).ok();
        // The number of one task of an array is that of the whole array.
        let task = named("SLURM_ARRAY_JOB_ID").zip(named("SLURM_ARRAY_TASK_ID"));
        let job = task.map(|(array, task)| format!("{array}_{task}")).or_else(|| named("SLURM_JOB_ID"));
        let Some(job) = job.filter(|_| !self.paths.stop().exists()) else { return };
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
        };
        let left = said("squeue", &["-h", "-j", &job, "-o", "%L"]).and_then(|text| of_slurm(&text));
        if left.is_some_and(|left| left <= AT_LIMIT) {
            note("its time is up: it queues again");
            let _ = said("scontrol", &["requeue", &job]);
        }
    }
}

/// Reads a time as Slurm writes it: `[days-][[hours:]minutes:]seconds`.
pub(super) fn of_slurm(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (days.parse::<u64>().ok()?, rest),
        None => (0, text),
    };
    let parts = rest.split(':').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>().ok()?;
    let seconds = parts.iter().fold(0u64, |sum, part| sum * 60 + part);
    (parts.len() <= 3).then(|| Duration::from_secs(days * 86_400 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_slurm() {
        let read = |text| of_slurm(text).map(|time| time.as_secs());
        assert_eq!(["59", "1:59", "2:00:00", "1-00:00:01"].map(read), [59, 119, 7200, 86_401].map(Some));
        assert_eq!(["UNLIMITED", "INVALID", ""].map(read), [None; 3]);
    }
}
