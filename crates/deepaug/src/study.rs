//! One search, from its first training to its result, in one folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deepaug_augmenter::Policy;
use deepaug_child_model::{ChildModel, DeviceChoice, EpochRecord, TrainError};
use deepaug_controller::{Outcome, SearchError, Searcher, Settings, searcher};
use deepaug_dataset::{Dataset, ReadOptions, Split, SplitSizes};

use crate::journal::{Entry, Journal, Pins};
use crate::notebook::Notebook;
use crate::record::{Recorder, Wanted};
use crate::result::{Candidate, SearchResult, mean_reward, write_whole};
use crate::seeds::{Purpose, derive};
use crate::{Codec, Config, ConfigError, Error, Event, Objective, Progress};

/// Where studies go unless told otherwise.
const STUDIES: &str = "reports/experiments";
pub(crate) const FROZEN_CONFIG: &str = "study.toml";
pub(crate) const JOURNAL: &str = "journal.jsonl";

/// One search in one folder: `study.toml` (the frozen configuration), `journal.jsonl` (all that happened),
/// `notebook.csv` (the same as a table), and at the end `best_policy.json`, `top_policies.csv` and `result.json`.
#[derive(Debug)]
pub struct Study {
    config: Config,
    codec: Codec,
    folder: PathBuf,
    split: Split,
    classes: usize,
    objective: Objective,
    recorder: Recorder,
    stop: Arc<AtomicBool>,
}

/// What may be changed of a study when it is resumed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes {
    /// More iterations than before.
    pub iters: Option<u64>,
    /// Another device; its trainings are then no longer the same bit for bit.
    pub device: Option<DeviceChoice>,
}

impl Study {
    /// Makes a new study: reads the data, opens the device, and only then makes the folder, `out` or the next free
    /// one under `reports/experiments`.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind by a wrong configuration, data set or device.
    pub fn create(config: Config, out: Option<&Path>) -> Result<Self, Error> {
        let dataset = read(&config)?;
        Self::create_with(config, &dataset, out)
    }

    /// Makes a new study on images that are already in memory; `config.data` only names it.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with(config: Config, dataset: &Dataset, out: Option<&Path>) -> Result<Self, Error> {
        let child = config.child_model()?;
        Self::create_from(config, dataset, child, out)
    }

    /// Makes a new study of a child model of the caller's own, which takes the place of what the configuration says.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_child(config: Config, child: Box<dyn ChildModel>, out: Option<&Path>) -> Result<Self, Error> {
        let dataset = read(&config)?;
        Self::create_from(config, &dataset, child, out)
    }

    fn create_from(
        mut config: Config,
        dataset: &Dataset,
        child: Box<dyn ChildModel>,
        out: Option<&Path>,
    ) -> Result<Self, Error> {
        // A study stays on the kind of device it began on, and can be resumed from any folder.
        config.device = if child.device_kind() == "wgpu" { DeviceChoice::Wgpu } else { DeviceChoice::Cpu };
        if config.data != deepaug_dataset::SAMPLE_NAME
            && let Ok(path) = Path::new(&config.data).canonicalize()
        {
            config.data = path.to_string_lossy().into_owned();
        }
        if !config.child.command.is_empty()
            && let Ok(folder) = Path::new(".").join(&config.child.folder).canonicalize()
        {
            config.child.folder = folder.to_string_lossy().into_owned();
        }
        let parts = Parts::new(&config, dataset, child)?;
        let folder = match out {
            Some(out) => claim(out)?,
            None => next_free(&config)?,
        };
        Self::found(config, &folder, parts).inspect_err(|_| {
            // Nothing half-made stays behind; what is not ours does.
            let _ = std::fs::remove_file(folder.join(FROZEN_CONFIG));
            let _ = std::fs::remove_file(folder.join(JOURNAL));
            let _ = std::fs::remove_dir(&folder);
        })
    }

    fn found(config: Config, folder: &Path, parts: Parts) -> Result<Self, Error> {
        let journal = Journal::create(&folder.join(JOURNAL), parts.pins.clone())?;
        write_whole(&folder.join(FROZEN_CONFIG), frozen(&config).as_bytes())?;
        Self::assemble(config, folder.into(), parts, journal, Vec::new())
    }

    /// Opens a study that was stopped, killed or finished, with more iterations or on another device if `changes` say
    /// so. What it has finished is not done again, and what is left comes out as if it had never stopped.
    ///
    /// # Errors
    /// [`Error`]: no study there, one that another process is running, a damaged journal, or changed images.
    pub fn resume(folder: &Path, changes: &Changes) -> Result<Self, Error> {
        let config = thaw(folder, changes)?;
        let (dataset, child) = (read(&config)?, config.child_model()?);
        Self::reopen(config, &dataset, child, folder)
    }

    /// Opens a study made by [`create_with`](Self::create_with).
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn resume_with(folder: &Path, dataset: &Dataset, changes: &Changes) -> Result<Self, Error> {
        let config = thaw(folder, changes)?;
        let child = config.child_model()?;
        Self::reopen(config, dataset, child, folder)
    }

    /// Opens a study made by [`create_with_child`](Self::create_with_child), with the same child.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn resume_with_child(folder: &Path, child: Box<dyn ChildModel>, changes: &Changes) -> Result<Self, Error> {
        let config = thaw(folder, changes)?;
        let dataset = read(&config)?;
        Self::reopen(config, &dataset, child, folder)
    }

    fn reopen(config: Config, dataset: &Dataset, child: Box<dyn ChildModel>, folder: &Path) -> Result<Self, Error> {
        let parts = Parts::new(&config, dataset, child)?;
        let (journal, entries) = Journal::open(&folder.join(JOURNAL), &parts.pins)?;
        write_whole(&folder.join(FROZEN_CONFIG), frozen(&config).as_bytes())?;
        Self::assemble(config, folder.into(), parts, journal, entries)
    }

    fn assemble(
        config: Config,
        folder: PathBuf,
        parts: Parts,
        journal: Journal,
        entries: Vec<Entry>,
    ) -> Result<Self, Error> {
        let codec = Codec::new(&config);
        let notebook = Notebook::create(&folder.join(&config.notebook_path), codec.clone())?;
        let recorder = Recorder::new(&config, journal, notebook, entries);
        let Parts { split, classes, objective, .. } = parts;
        Ok(Self { config, codec, folder, split, classes, objective, recorder, stop: Arc::default() })
    }

    /// The study's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Set to true, from any thread, this ends [`run`](Self::run) with [`Error::Interrupted`] after the epochs under
    /// way.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Runs the search to its end. Events come from several threads, one at a time each.
    ///
    /// # Errors
    /// [`Error`]; all that finished before it is kept and can be resumed.
    pub fn run(mut self, on_event: &(dyn Fn(&Event) + Sync)) -> Result<SearchResult, Error> {
        let config = self.config.clone();
        let confirmed = (config.iters as usize).min(config.confirm_policies);
        let confirmations = if confirmed > 0 { (confirmed + 1) * config.confirm_samples } else { 0 };
        let trainings = (config.iters as usize + 1) * config.opt_samples + confirmations;
        on_event(&Event::Started {
            study: self.folder.clone(),
            images: [self.split.train.len(), self.split.validation.len(), self.split.test.len()],
            classes: self.classes,
            device: self.objective.child().device(),
            iters: config.iters,
            trainings,
        });
        let todo = trainings.saturating_sub(self.recorder.ended());
        // What is wrong with a training is said where it is trained in earnest.
        if todo > 0
            && let Ok(Some((images_per_second, left))) = self.objective.estimate(todo, config.opt_samples)
        {
            on_event(&Event::Estimated { images_per_second, left: Some(left) });
        }
        if config.child_first_train_epochs > 0 {
            let weights = self.folder.join(&config.pre_aug_weights_path);
            let (epochs, stop) = (config.child_first_train_epochs, self.stop.clone());
            let on_epoch = |record: &EpochRecord| {
                on_event(&Event::Pretraining { epochs, record: *record });
                !stop.load(Ordering::Relaxed)
            };
            self.objective.pretrain(&Policy::none(config.ranges), epochs, weights, &on_epoch).map_err(|error| {
                match error {
                    TrainError::Stopped => Error::Interrupted { path: self.folder.clone() },
                    error => Error::Child(error),
                }
            })?;
        }
        let mut meter = Meter::new(trainings);
        let mut searcher = searcher(
            config.method,
            self.codec.space().map_err(|error| ConfigError::new(error.to_string()))?,
            Settings { initial_points: config.opt_initial_points, ..Settings::default() },
            derive(config.seed, Purpose::Searcher, 0),
        )?;
        let mut trials: Vec<Candidate> = Vec::new();
        for number in 0..=config.iters {
            match self.trial(number, searcher.as_mut(), &mut meter, on_event) {
                // A space of few policies has been tried through.
                Err(Error::Search(SearchError::Exhausted)) => break,
                trial => trials.push(trial?),
            }
        }
        self.confirm(&mut trials, confirmed, on_event)?;
        self.recorder.file_rest()?;
        let baseline = trials.remove(0);
        let result = SearchResult::new(&self.folder, baseline, trials, self.recorder.trained(), self.recorder.failed())
            .ok_or_else(|| Error::study(&self.folder, "every training failed; journal.jsonl says why"))?;
        result.write(&self.codec)?;
        Ok(result)
    }

    /// One trial: a policy is proposed, judged, and the searcher told.
    fn trial(
        &mut self,
        number: u64,
        searcher: &mut dyn Searcher,
        meter: &mut Meter,
        on_event: &(dyn Fn(&Event) + Sync),
    ) -> Result<Candidate, Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted { path: self.folder.clone() });
        }
        let (point, policy) = if number == 0 {
            (self.codec.baseline(), Policy::none(self.config.ranges))
        } else {
            let point = searcher.ask(number)?;
            let policy = self.codec.decode(&point);
            (point, policy)
        };
        self.recorder.propose(number, &point, &policy)?;
        on_event(&Event::TrialStarted { trial: number, policy: policy.clone() });
        let batch: Vec<_> = (0..self.config.opt_samples)
            .map(|sample| Wanted { trial: number, sample, policy: &policy, point: &point })
            .collect();
        let fresh_before = self.recorder.fresh();
        let start = Instant::now();
        let samples = self.recorder.evaluate(&self.objective, &batch, &self.stop, &self.folder, on_event)?;
        meter.add(samples.len(), self.recorder.fresh() - fresh_before, start.elapsed());
        let reward = mean_reward(&samples);
        let outcome = reward.map_or(Outcome::Failed, |reward| Outcome::Cost(1.0 - reward));
        if number == 0 {
            if reward.is_none() {
                let why =
                    "the trainings without augmentation failed, so nothing can be compared; journal.jsonl says why";
                return Err(Error::Child(TrainError::Failed { why: why.into() }));
            }
            if self.codec.baseline_is_exact() {
                searcher.observe(0, point.clone(), outcome)?;
            }
        } else {
            searcher.tell(number, outcome)?;
        }
        let progress = meter.progress(number, reward);
        on_event(&Event::TrialFinished { trial: number, policy: policy.clone(), reward, progress });
        Ok(Candidate::new(number, policy, point, samples))
    }

    /// Trains the best policies of the search, and no augmentation, with seeds the search has not used.
    fn confirm(
        &mut self,
        trials: &mut [Candidate],
        policies: usize,
        on_event: &(dyn Fn(&Event) + Sync),
    ) -> Result<(), Error> {
        let mut order: Vec<usize> = (1..trials.len()).filter(|&t| !trials[t].has_failed()).collect();
        order.sort_by(|&a, &b| trials[b].reward.total_cmp(&trials[a].reward).then(a.cmp(&b)));
        order.truncate(policies);
        if order.is_empty() {
            return Ok(());
        }
        let first = self.config.opt_samples;
        let samples = self.config.confirm_samples;
        on_event(&Event::Confirming { trials: order.iter().map(|&t| trials[t].trial).collect(), samples });
        order.insert(0, 0);
        let batch: Vec<_> = order
            .iter()
            .flat_map(|&t| {
                let Candidate { trial, policy, point, .. } = &trials[t];
                (first..first + samples).map(move |sample| Wanted { trial: *trial, sample, policy, point })
            })
            .collect();
        let rewards = self.recorder.evaluate(&self.objective, &batch, &self.stop, &self.folder, on_event)?;
        for (&t, fresh) in order.iter().zip(rewards.chunks(samples)) {
            trials[t].fresh = fresh.to_vec();
        }
        Ok(())
    }
}

/// What a study needs before its folder exists.
struct Parts {
    split: Split,
    classes: usize,
    objective: Objective,
    pins: Pins,
}

impl Parts {
    fn new(config: &Config, dataset: &Dataset, child: Box<dyn ChildModel>) -> Result<Self, Error> {
        config.check().map_err(|(key, why)| ConfigError::new(format!("{key}: {why}")))?;
        child.check(dataset.image_shape(), dataset.classes().len())?;
        let sizes = SplitSizes { train: config.train_set_size, validation: config.validation_set_size };
        let split = Split::draw(dataset, sizes, derive(config.seed, Purpose::Split, 0))?;
        let mut fixed = config.fixed();
        fixed["child_model"] = child.name().into();
        let pins = Pins { data: fingerprint(dataset), config: fixed };
        let objective = Objective::new(config, dataset, &split, child);
        Ok(Self { split, classes: dataset.classes().len(), objective, pins })
    }
}

pub(crate) fn read(config: &Config) -> Result<Dataset, Error> {
    let options = ReadOptions { image_size: (config.image_size > 0).then_some(config.image_size) };
    Ok(Dataset::read(Path::new(&config.data), &options)?)
}

/// A checksum of every pixel and label, so that a study is not resumed on other images.
fn fingerprint(dataset: &Dataset) -> String {
    let mut checksum = crc32fast::Hasher::new();
    for image in dataset.images().outer_iter() {
        match image.as_slice() {
            Some(pixels) => checksum.update(pixels),
            None => image.iter().for_each(|&pixel| checksum.update(&[pixel])),
        }
    }
    for &label in dataset.labels() {
        checksum.update(&(label as u64).to_le_bytes());
    }
    format!("{} images, crc32 {:08x}", dataset.len(), checksum.finalize())
}

fn frozen(config: &Config) -> String {
    format!("# Frozen by deepaug {}.\n\n{}", env!("CARGO_PKG_VERSION"), config.documented())
}

fn thaw(folder: &Path, changes: &Changes) -> Result<Config, Error> {
    let path = folder.join(FROZEN_CONFIG);
    if !path.is_file() {
        return Err(Error::study(folder, format!("not a study: there is no {FROZEN_CONFIG} in it")));
    }
    let mut config = Config::read(&path)?;
    if let Some(iters) = changes.iters {
        if iters < config.iters {
            return Err(Error::study(
                folder,
                format!("the study was made for {} iterations; --iters can only raise that", config.iters),
            ));
        }
        config.iters = iters;
    }
    config.device = changes.device.unwrap_or(config.device);
    Ok(config)
}

/// Makes the folder that was asked for, which must be new or empty.
fn claim(folder: &Path) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, error))?;
    let mut inside = std::fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    if inside.next().is_some() {
        return Err(Error::study(
            folder,
            "is not empty; choose another --out, or go on with a study that lies there by --resume",
        ));
    }
    Ok(folder.into())
}

/// Makes the next folder that is free: the data set's name and a number.
fn next_free(config: &Config) -> Result<PathBuf, Error> {
    let root = Path::new(STUDIES);
    std::fs::create_dir_all(root).map_err(|error| Error::file(root, error))?;
    let name = Path::new(&config.data).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut number = 1;
    loop {
        let folder = root.join(format!("{name}-{number:03}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::file(&folder, error)),
        }
    }
}

/// How far a study has come and how fast it goes.
struct Meter {
    trainings: usize,
    done: usize,
    fresh: usize,
    spent: Duration,
    baseline: Option<f64>,
    best: Option<(u64, f64)>,
}

impl Meter {
    fn new(trainings: usize) -> Self {
        Self { trainings, done: 0, fresh: 0, spent: Duration::ZERO, baseline: None, best: None }
    }

    /// `done` trainings have ended, `fresh` of them in this run, which took `spent`.
    fn add(&mut self, done: usize, fresh: usize, spent: Duration) {
        self.done += done;
        self.fresh += fresh;
        if fresh > 0 {
            self.spent += spent;
        }
    }

    fn progress(&mut self, trial: u64, reward: Option<f64>) -> Progress {
        match reward {
            Some(reward) if trial == 0 => self.baseline = Some(reward),
            Some(reward) if self.best.is_none_or(|(_, best)| reward > best) => self.best = Some((trial, reward)),
            _ => {}
        }
        Progress {
            trainings_done: self.done,
            trainings: self.trainings,
            left: (self.fresh > 0).then(|| self.spent.div_f64(self.fresh as f64) * (self.trainings - self.done) as u32),
            baseline: self.baseline,
            best: self.best,
        }
    }
}
