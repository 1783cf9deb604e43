//! Model patching (K. Goel, A. Gu, Y. Li, C. Ré, "Model Patching: Closing the Subgroup Performance Gap with Data Augmentation",
//! ICLR 2021): a model that depends on what tells subgroups apart, such as the site that an image comes from, is trained so
//! that it reads every subgroup of every class equally well.
//!
//! Images are translated into each subgroup, and a net that reads an image otherwise than its translations is corrected. That is
//! compared with plain training, with batches of as many images of each group, and with weighting groups by their losses; epochs
//! are chosen by the worst group of validation images, and results are of test images.
//!
//! ```no_run
//! use deepaug::patch::Patch;
//! use deepaug::{Cancel, Config, read_data};
//!
//! let config = Config { data: "chest-x-rays".into(), subgroup_column: "site".into(), ..Config::quickstart() }.check()?;
//! let dataset = read_data(&config, &|_, _| ())?;
//! let patch = Patch { seeds: 5, ..Patch::new("patched") };
//! let result = patch.run(&config, &dataset, &Cancel::new(), &|event| eprintln!("{event}"))?;
//! println!("{}", result.sentence);
//! # Ok::<(), deepaug::Error>(())
//! ```

mod arm;
mod check;
mod event;
mod judges;
#[cfg(feature = "generative")]
mod learn;
mod result;
mod translations;
mod translator;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deepaug_augmenter::Policy;
use deepaug_child_model::{ChildModel, History, Settings, TrainError, Training, images_per_second};
use deepaug_dataset::{Dataset, Split, Subgroups};
use serde::{Deserialize, Serialize};

pub use self::arm::Arm;
pub use self::event::PatchEvent;
pub use self::judges::{Judged, KEPT, TAKEN};
pub use self::result::{ArmResult, Group, PatchResult};
pub use self::translator::{LearningStep, TranslatorRecord};

use self::check::split;
use self::result::{FORMAT, best_arm, best_epoch, sentence, warnings, with_gains};
use crate::cancel::Cancel;
use crate::config::ValidConfig;
use crate::error::Error;
use crate::execute::{Folds, ImagesPart, ImagesRef, Job, JobId, Local, Report, Task, run_all};
use crate::files::write_whole;
use crate::images::data::fingerprint;
use crate::layout;
use crate::remedy::Remedy;
use crate::rng::{Purpose, derive};
use crate::study::folder::frozen;
use crate::study::journal::{Fingerprint, Journal, JournalLine};
use crate::study::lock::Holder;
use crate::study::objective::Fold;
use crate::train::pytorch;

/// How long the model's speed is measured before trainings start.
const PROBE: Duration = Duration::from_millis(300);

/// What to compare, and where to write it.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// Ways of training.
    pub arms: Vec<Arm>,
    /// Trainings of each.
    pub seeds: usize,
    /// The folder. Repeating a call with the same folder continues where it stopped.
    pub out: PathBuf,
}

impl Patch {
    /// Compares everything with five seeds.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self { arms: Arm::ALL.to_vec(), seeds: 5, out: out.into() }
    }

    /// Learns or reads translations, trains every arm, and writes tables, result and the model of the best arm. The page is
    /// [`write_patch`](crate::write_patch)'s.
    ///
    /// # Errors
    /// [`Error`]: no subgroups, a group without images, a configuration that does not fit, translators that are not good enough,
    /// a folder that is used otherwise; [`Error::Paused`], after which everything finished is kept.
    pub fn run(
        &self,
        config: &ValidConfig,
        dataset: &Dataset,
        cancel: &Cancel,
        on_event: &dyn Fn(&PatchEvent),
    ) -> Result<PatchResult, Error> {
        let subgroups = self.check(config, dataset)?;
        let split = split(config, dataset, subgroups)?;
        let child = config.child_model()?;
        child.check(dataset.image_shape(), dataset.classes().len())?;
        std::fs::create_dir_all(&self.out).map_err(|error| Error::file(&self.out, error))?;
        let path = self.out.join(layout::PATCH_JOURNAL);
        let fingerprint = Fingerprint { data: fingerprint(dataset), config: config.fixed_for_patching() };
        let (journal, entries) = match path.exists() {
            true => Journal::open(&path, Some(&fingerprint), Holder::Long)?,
            false => (self.begin(&path, fingerprint.clone())?, Vec::new()),
        };
        write_whole(&self.out.join(layout::PATCH_CONFIG), frozen(config).as_bytes())?;
        let mut run = Run {
            patch: self,
            config,
            dataset,
            subgroups,
            split,
            child: child.into(),
            data: fingerprint.data,
            journal,
            translator: None,
            known: HashMap::new(),
            cancel,
            on_event,
        };
        for entry in entries {
            match entry {
                Entry::Translated(record) => run.translator = Some(record),
                Entry::Trained { arm, sample, history, .. } => _ = run.known.insert((arm, sample), Ok(history)),
                Entry::Failed { arm, sample, why, .. } => _ = run.known.insert((arm, sample), Err(why)),
            }
        }
        run.whole()
    }

    /// Makes the journal in a folder that holds nothing else.
    fn begin(&self, path: &Path, fingerprint: Fingerprint) -> Result<Journal<Entry>, Error> {
        let inside = std::fs::read_dir(&self.out).map_err(|error| Error::file(&self.out, error))?.next();
        if inside.is_some() {
            let why = "not empty, and not made by deepaug patch";
            return Err(Error::study(&self.out, why).with(Remedy::EmptyFolder));
        }
        Journal::create(path, fingerprint, Holder::Long)
    }
}

/// A line of the journal, after the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// Translations are known.
    Translated(TranslatorRecord),
    /// A child was trained.
    Trained { arm: Arm, sample: usize, seed: u64, device: String, history: History },
    /// A training failed.
    Failed { arm: Arm, sample: usize, seed: u64, device: String, why: String },
}

impl JournalLine for Entry {
    const SUBJECT: &'static str = "patching";
    const REMEDY: Remedy = Remedy::EmptyFolder;
    const LOCK: &'static str = layout::LOCK;
    const EVENTS: &'static [&'static str] = &["translated", "trained", "failed"];
}

/// The outcome of a training: its history, or why it has none.
type Outcome = Result<History, String>;

/// The images of all trainings: those to learn from, and validation and test images, told apart by their subgroups.
#[derive(Debug)]
struct Images {
    fold: Fold,
    classes: usize,
}

impl Folds for Images {
    fn fold(&self, _sample: usize) -> Cow<'_, Fold> {
        Cow::Borrowed(&self.fold)
    }

    fn classes(&self) -> usize {
        self.classes
    }
}

/// A run from its first translation to its result.
struct Run<'r> {
    patch: &'r Patch,
    config: &'r ValidConfig,
    dataset: &'r Dataset,
    subgroups: &'r Subgroups,
    split: Split,
    child: Arc<dyn ChildModel>,
    data: String,
    journal: Journal<Entry>,
    translator: Option<TranslatorRecord>,
    known: HashMap<(Arm, usize), Outcome>,
    cancel: &'r Cancel,
    on_event: &'r dyn Fn(&PatchEvent),
}

impl Run<'_> {
    fn whole(mut self) -> Result<PatchResult, Error> {
        let needs = self.patch.arms.iter().any(|arm| arm.needs_translations());
        let translations = if needs { self.translations()? } else { Vec::new() };
        let Split { train, validation, test, .. } = &self.split;
        let held_out = [&validation[..], test].concat();
        let fold = Fold::new(self.dataset, train, &held_out).apart_from(validation.len());
        let fold = fold.with_translations(translations);
        let images = Arc::new(Images { fold, classes: self.dataset.classes().len() });
        self.train(&images)?;
        let mut result = self.result();
        result.write_tables(&self.patch.out)?;
        let is_kept = |old: &PatchResult| old.arms == result.arms && old.files.iter().all(|file| file.is_file());
        result.files = match (PatchResult::read(&self.patch.out).filter(is_kept), result.best) {
            (Some(old), _) => old.files,
            (None, Some(best)) => self.keep(best, &images)?,
            (None, None) => Vec::new(),
        };
        result.write(&self.patch.out)?;
        Ok(result)
    }

    fn paused(&self) -> Error {
        Error::Paused { path: self.patch.out.join(layout::PATCH_JOURNAL) }
    }

    fn settings(&self, arm: Arm) -> Settings {
        arm.settings(self.config, self.split.train.len(), self.subgroups.names.len())
    }

    /// Returns a training of an arm; the caller chooses its identifier and what is done with it.
    fn job(&self, id: JobId, arm: Arm, task: Task) -> Job {
        let (config, fingerprint) = (Arc::new((**self.config).clone()), self.data.clone());
        Job {
            id,
            policy: Policy::none(self.config.ranges),
            settings: self.settings(arm),
            // Arms differ in nothing else.
            seed: derive(self.config.seed, Purpose::Final, id.sample as u64),
            images: ImagesRef { config, fingerprint, part: ImagesPart::Patch },
            start: None,
            scored: None,
            task,
        }
    }

    fn executor(&self, images: &Arc<Images>) -> Result<Local, Error> {
        let (policy, settings) = (Policy::none(self.config.ranges), self.settings(Arm::Erm));
        let training = Training::new(images.fold.set(images.classes), &policy, &settings, 0);
        let capacity = self.child.capacity(&training, self.config.threads())?;
        Ok(Local::new(self.child.clone(), images.clone(), capacity))
    }

    /// Trains whatever is missing, seed by seed, so that an early stop leaves complete pairs.
    fn train(&mut self, images: &Arc<Images>) -> Result<(), Error> {
        let wanted = (0..self.patch.seeds).flat_map(|sample| self.patch.arms.iter().map(move |&arm| (arm, sample)));
        let todo: Vec<(Arm, usize)> = wanted.filter(|training| !self.known.contains_key(training)).collect();
        let trainings = self.patch.arms.len() * self.patch.seeds;
        (self.on_event)(&PatchEvent::Started {
            journal: self.patch.out.join(layout::PATCH_JOURNAL),
            model: self.child.name(),
            device: self.child.device(),
            images: [self.split.train.len(), self.split.validation.len(), self.split.test.len()],
            arms: self.patch.arms.clone(),
            trainings,
            known: trainings - todo.len(),
            seconds: self.seconds(images, &todo),
        });
        if todo.is_empty() {
            return Ok(());
        }
        let job = |(place, &(arm, sample)): (usize, &(Arm, usize))| {
            self.job(JobId { trial: place as u64, sample }, arm, Task::Train)
        };
        let jobs = todo.iter().enumerate().map(job).collect();
        let mut executor = self.executor(images)?;
        let (start, mut left) = (Instant::now(), todo.len());
        let (on_event, cancel, config, subgroups) =
            (self.on_event, self.cancel, self.config, self.subgroups.names.len());
        let (journal, known) = (&mut self.journal, &mut self.known);
        let mut hear = |report: Report| {
            match report {
                Report::Epoch { id, record } => {
                    let (arm, sample) = todo[id.trial as usize];
                    on_event(&PatchEvent::Epoch { arm, sample, epochs: config.epochs(), record });
                }
                Report::Repeated { id, why } => {
                    let (arm, sample) = todo[id.trial as usize];
                    on_event(&PatchEvent::Repeated { arm, sample, why });
                }
                Report::Ended { id, device, result } => {
                    let (arm, sample) = todo[id.trial as usize];
                    let seed = derive(config.seed, Purpose::Final, sample as u64);
                    left -= 1;
                    journal.append(&match result.clone() {
                        Ok(history) => Entry::Trained { arm, sample, seed, device, history },
                        Err(why) => Entry::Failed { arm, sample, seed, device, why },
                    })?;
                    let seconds_left = start.elapsed().as_secs_f64() / (todo.len() - left) as f64 * left as f64;
                    on_event(&match &result {
                        Ok(history) => {
                            let worst = history.groups.as_ref().and_then(|groups| best_epoch(groups, subgroups));
                            let worst = worst.map(|best| best.worst);
                            PatchEvent::Trained { arm, sample, worst, done: trainings - left, trainings, seconds_left }
                        }
                        Err(why) => PatchEvent::Failed { arm, sample, why: why.clone() },
                    });
                    known.insert((arm, sample), result);
                }
                Report::Cancelled { .. } | Report::Broken { .. } | Report::Judged { .. } => {}
            }
            Ok(())
        };
        match run_all(&mut executor, jobs, &|| cancel.is_cancelled(), &mut hear)? {
            true => Ok(()),
            false => Err(self.paused()),
        }
    }

    /// Returns how long trainings will take, from the speed of a few steps.
    fn seconds(&self, images: &Images, todo: &[(Arm, usize)]) -> Option<f64> {
        if todo.is_empty() || !self.child.is_quick() {
            return None;
        }
        let (policy, settings) = (Policy::none(self.config.ranges), self.settings(Arm::Erm));
        let training = Training::new(images.fold.set(images.classes), &policy, &settings, 0);
        let speed = images_per_second(self.child.as_ref(), &training, [self.config.threads(); 2], PROBE).ok()?;
        let held_out = (self.split.validation.len() + self.split.test.len()) as f64;
        let of = |&(arm, _): &(Arm, usize)| {
            let settings = self.settings(arm);
            // An evaluation is a forward pass: a third of a training step.
            let cost = settings.strategy.cost(settings.epochs) * self.split.train.len() as f64 + held_out / 3.0;
            settings.epochs as f64 * cost
        };
        Some(todo.iter().map(of).sum::<f64>() / speed)
    }

    /// Trains the best training of an arm once more, up to the epoch that was chosen, and writes its net.
    fn keep(&self, arm: Arm, images: &Arc<Images>) -> Result<Vec<PathBuf>, Error> {
        let subgroups = self.subgroups.names.len();
        let of = |sample: usize| {
            let groups = self.known.get(&(arm, sample))?.as_ref().ok()?.groups.as_ref()?;
            Some((sample, best_epoch(groups, subgroups)?))
        };
        let found = (0..self.patch.seeds).filter_map(of).reduce(|a, b| if b.1.worst > a.1.worst { b } else { a });
        let Some((sample, best)) = found else { return Ok(Vec::new()) };
        (self.on_event)(&PatchEvent::Keeping { arm, epochs: best.epoch + 1 });
        let draft = tempfile::Builder::new().prefix(".deepaug-").tempdir_in(&self.patch.out);
        let draft = draft.map_err(|error| Error::file(&self.patch.out, error))?;
        let state = draft.path().join("state");
        let task = Task::Part { epochs: 0..best.epoch + 1, from: None, to: state.clone() };
        let (mut failed, cancel) = (None, self.cancel);
        let mut hear = |report: Report| {
            if let Report::Ended { result: Err(why), .. } = report {
                failed = Some(why);
            }
            Ok(())
        };
        let job = self.job(JobId { trial: 0, sample }, arm, task);
        if !run_all(&mut self.executor(images)?, vec![job], &|| cancel.is_cancelled(), &mut hear)? {
            return Err(self.paused());
        }
        if let Some(why) = failed {
            return Err(Error::Child(TrainError::Failed { why }));
        }
        let standard = self
            .config
            .standardize
            .then(|| deepaug_child_model::standard_values(images.fold.set(images.classes).images));
        let net = pytorch(self.config, self.dataset.image_shape(), self.dataset.classes(), standard);
        let [weights, module] = [layout::PATCHED, layout::PATCHED_MODULE].map(|name| self.patch.out.join(name));
        let converted = draft.path().join(layout::PATCHED);
        let code = net.write(&state, &converted)?;
        write_whole(&module, code.as_bytes())?;
        std::fs::rename(&converted, &weights).map_err(|error| Error::file(&weights, error))?;
        let mut files = vec![weights, module];
        files.extend(self.translator_as_code()?);
        Ok(files)
    }

    fn result(&self) -> PatchResult {
        let histories = |arm: Arm| -> Vec<Option<&History>> {
            (0..self.patch.seeds)
                .map(|sample| self.known.get(&(arm, sample)).and_then(|outcome| outcome.as_ref().ok()))
                .collect()
        };
        let (classes, subgroups) = (self.dataset.classes().to_vec(), self.subgroups.names.clone());
        let arms = self.patch.arms.iter().map(|&arm| ArmResult::of(arm, &histories(arm), &classes, &subgroups));
        let arms = with_gains(arms.collect());
        let best = best_arm(&arms);
        let ended = self.known.values();
        PatchResult {
            format: FORMAT,
            sentence: sentence(&arms, best),
            best,
            model: self.child.name(),
            settings: self.settings(Arm::Erm),
            images: [self.split.train.len(), self.split.validation.len(), self.split.test.len()],
            classes,
            subgroups,
            warnings: warnings(&arms, self.translator.as_ref()),
            translator: self.translator.clone(),
            arms,
            seconds: ended.clone().flatten().map(|history| history.seconds).sum(),
            failed: ended.filter(|outcome| outcome.is_err()).count(),
            files: Vec::new(),
        }
    }
}
