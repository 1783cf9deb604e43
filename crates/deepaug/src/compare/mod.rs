//! Tests whether the policies that a search found help: trains a final model under each way of augmenting, with
//! paired seeds and equal steps, and measures it on test images that the search never saw.
//!
//! ```no_run
//! use deepaug::compare::{Compare, Comparison};
//!
//! let compare = Compare { seeds: 5, ..Compare::default() };
//! let result = Comparison::open("reports/experiments/my-images-001".as_ref(), compare)?.run(&|event| eprintln!("{event}"))?;
//! println!("{}", result.sentence);
//! # Ok::<(), deepaug::Error>(())
//! ```

mod event;
mod result;
mod runner;
mod scheme;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use deepaug_child_model::History;
use serde::{Deserialize, Serialize};

pub use event::CompareEvent;
pub use result::{
    ComparisonResult, Cost, Finding, GroupAccuracy, RankCheck, RankedTrial, SchemeResult, Versus, WorstGroup,
};
pub(crate) use result::{FORMAT, best_free};
pub use scheme::Baseline;
pub(crate) use scheme::{SEARCHED, Scheme};

use crate::cancel::Cancel;
use crate::cluster::{Cluster, Machines};
use crate::config::ClusterConfig;
use crate::error::{ConfigError, Error};
use crate::execute::Executor;
use crate::files::write_json;
use crate::layout;
use crate::read::inspect::Inspection;
use crate::remedy::Remedy;
use crate::strategies;
use crate::study::journal::{Fingerprint, Journal, JournalLine};
use crate::study::lock::Holder;
use crate::train::final_training::{FinalOptions, FinalTraining};

/// Options of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// How to train.
    pub training: FinalOptions,
    /// Number of best policies to use together.
    pub top: usize,
    /// Trainings of each scheme.
    pub seeds: usize,
    /// Baselines to compare the policies with.
    pub baselines: Vec<Baseline>,
    /// Other studies, and files of policies, to compare with as well, applied in the same way.
    pub beside: Vec<PathBuf>,
    /// This many of the best and of the worst policies are each trained by themselves, to see whether their order
    /// holds.
    pub rank_check: usize,
    /// The comparison's name in the study; by default the model's.
    pub name: Option<String>,
}

impl Default for Compare {
    fn default() -> Self {
        Self {
            training: FinalOptions::default(),
            top: 5,
            seeds: 5,
            baselines: Baseline::USUAL.to_vec(),
            beside: Vec::new(),
            rank_check: 0,
            name: None,
        }
    }
}

/// A line of a comparison's journal, after the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    /// A scheme was added; its digest identifies what it does.
    Scheme { name: String, digest: String },
    /// A model was trained under it.
    Trained { scheme: String, sample: usize, seed: u64, device: String, history: History },
    /// A training failed.
    Failed { scheme: String, sample: usize, seed: u64, device: String, why: String },
}

impl JournalLine for Entry {
    const SUBJECT: &'static str = "comparison";
    const REMEDY: Remedy = Remedy::AnotherName;
    const LOCK: &'static str = layout::COMPARE_LOCK;
    const EVENTS: &'static [&'static str] = &["scheme", "trained", "failed"];
}

/// The outcome of a training: its history, or why it has none.
type TrainingResult = Result<History, String>;

/// A comparison in a study's folder: `compare-<name>.jsonl` is its journal, `compare-<name>.json` its result.
#[derive(Debug)]
pub struct Comparison {
    study: PathBuf,
    name: String,
    compare: Compare,
    training: FinalTraining,
    schemes: Vec<Scheme>,
    trials: Vec<RankedTrial>,
    search: Inspection,
    journal: Journal<Entry>,
    known: HashMap<(String, usize), TrainingResult>,
    cancel: Cancel,
}

impl Comparison {
    /// Begins a comparison in a study's folder, or continues one that was stopped or killed. The number of seeds
    /// and the baselines may have changed since.
    ///
    /// # Errors
    /// [`Error`]: a study without a result, a comparison that was begun with different options such as the model
    /// or the number of epochs, one that another process is running, images or a device that cannot be used.
    pub fn open(study: &Path, compare: Compare) -> Result<Self, Error> {
        let training = FinalTraining::new(study, &compare.training)?;
        let name = compare.name.clone().unwrap_or_else(|| training.config.model.name());
        if name.is_empty() || name.contains(['/', '\\']) {
            return Err(ConfigError::new(format!(
                "{name:?} cannot name a comparison, because the name is part of a file name"
            ))
            .into());
        }
        let mut schemes = Vec::new();
        for &baseline in &compare.baselines {
            schemes.push(Scheme::baseline(baseline, compare.top, &training)?);
        }
        for path in &compare.beside {
            schemes.push(Scheme::beside(path, compare.top, &training)?);
        }
        schemes.push(Scheme::searched(study, compare.top, &training)?);
        let search = Inspection::read(study)?;
        let trials = ends(&search, compare.rank_check);
        for trial in &trials {
            let named = search.ranked.iter().find(|named| named.trial == trial.trial);
            schemes.extend(named.map(|named| Scheme::trial(named, &training)).transpose()?);
        }
        if let Some(twice) = schemes.iter().enumerate().find(|(i, s)| schemes[..*i].iter().any(|t| t.name == s.name)) {
            return Err(ConfigError::new(format!("{} is compared twice", twice.1.name)).into());
        }
        let path = study.join(layout::comparison_journal(&name));
        let fingerprint = Fingerprint { data: training.data.clone(), config: training.fingerprint() };
        let (mut journal, entries) = match path.exists() {
            true => Journal::open(&path, Some(&fingerprint), Holder::Long)?,
            false => (Journal::create(&path, fingerprint, Holder::Long)?, Vec::new()),
        };
        let (mut known, mut digests) = (HashMap::new(), HashMap::new());
        for entry in entries {
            match entry {
                Entry::Scheme { name, digest } => _ = digests.insert(name, digest),
                Entry::Trained { scheme, sample, history, .. } => _ = known.insert((scheme, sample), Ok(history)),
                Entry::Failed { scheme, sample, why, .. } => _ = known.insert((scheme, sample), Err(why)),
            }
        }
        for scheme in &schemes {
            match digests.get(&scheme.name) {
                Some(digest) if *digest == scheme.digest() => {}
                Some(_) => return Err(Error::study(&path, changed(&scheme.name))),
                None => journal.append(&Entry::Scheme { name: scheme.name.clone(), digest: scheme.digest() })?,
            }
        }
        let (study, cancel) = (study.to_path_buf(), Cancel::new());
        Ok(Self { study, name, compare, training, schemes, trials, search, journal, known, cancel })
    }

    /// Returns a switch that ends [`run`](Self::run) with [`Error::Paused`].
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Returns the path of the comparison's journal.
    pub fn journal(&self) -> PathBuf {
        self.study.join(layout::comparison_journal(&self.name))
    }

    /// Returns how trainings of the study reach other machines.
    pub fn cluster_config(&self) -> &ClusterConfig {
        &self.training.config.cluster
    }

    /// Returns an executor that trains on other machines, as [`Study::cluster`](crate::Study::cluster) does.
    ///
    /// # Errors
    /// As [`Study::cluster`](crate::Study::cluster).
    pub fn cluster(&self, machines: Machines) -> Result<Cluster, Error> {
        self.training.cluster(&self.study, machines)
    }

    /// Runs the missing trainings in this process, and compares.
    ///
    /// # Errors
    /// [`Error`]; everything that finished before it is kept.
    pub fn run(self, on_event: &dyn Fn(&CompareEvent)) -> Result<ComparisonResult, Error> {
        let mut executor = self.training.executor()?;
        self.run_on(&mut executor, on_event)
    }

    /// Runs the missing trainings on an executor, and compares.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on(
        mut self,
        executor: &mut dyn Executor,
        on_event: &dyn Fn(&CompareEvent),
    ) -> Result<ComparisonResult, Error> {
        // Seed by seed, so that a comparison that is stopped early has complete pairs.
        let wanted: Vec<(usize, usize)> = (0..self.compare.seeds)
            .flat_map(|sample| (0..self.schemes.len()).map(move |scheme| (scheme, sample)))
            .collect();
        let is_known =
            |&(scheme, sample): &(usize, usize)| self.known.contains_key(&(self.schemes[scheme].name.clone(), sample));
        let todo: Vec<(usize, usize)> = wanted.iter().copied().filter(|training| !is_known(training)).collect();
        on_event(&self.started(wanted.len(), &todo, executor.is_here()));
        if !runner::train(&mut self, &todo, executor, on_event)? {
            return Err(Error::Paused { path: self.journal() });
        }
        let result = self.result();
        for scheme in &result.schemes {
            if let Some(found) = &scheme.strategy {
                let path = |table: &str| self.study.join(layout::comparison_table(&self.name, &scheme.name, table));
                strategies::write_table_of(found, &self.training.classes, path)?;
            }
        }
        write_json(&self.study.join(layout::comparison_result(&self.name)), &result)?;
        Ok(result)
    }

    fn started(&self, trainings: usize, todo: &[(usize, usize)], is_here: bool) -> CompareEvent {
        let [train_images, test_images] = self.training.sizes();
        let settings = self.training.settings();
        let Scheme { policy, settings: with, .. } = &self.schemes[0];
        let speed = (is_here && !todo.is_empty() && self.training.child.is_quick())
            .then(|| self.training.speed(policy, with).ok())
            .flatten();
        let seconds = speed.map(|speed| {
            // An evaluation is a forward pass: a third of a training step.
            let images = |&(scheme, _): &(usize, usize)| {
                settings.epochs as f64 * (self.schemes[scheme].cost() * train_images as f64 + test_images as f64 / 3.0)
            };
            todo.iter().map(images).sum::<f64>() / speed
        });
        CompareEvent::Started {
            journal: self.journal(),
            model: self.training.child.name(),
            device: match is_here {
                true => self.training.child.device(),
                false => format!("{} of other machines", self.training.config.device),
            },
            train_images,
            test_images,
            schemes: self.schemes.iter().map(|scheme| scheme.name.clone()).collect(),
            seeds: self.compare.seeds,
            trainings,
            known: trainings - todo.len(),
            seconds,
        }
    }
}

/// Returns the best and the worst policies of a search.
fn ends(search: &Inspection, count: usize) -> Vec<RankedTrial> {
    let all = &search.ranked;
    let count = count.min(all.len() / 2);
    let chosen = all.iter().take(count).chain(&all[all.len() - count..]);
    chosen
        .map(|trial| RankedTrial { trial: trial.trial, reward: trial.reward.unwrap_or(0.0), accuracy: None })
        .collect()
}

fn changed(scheme: &str) -> String {
    format!(
        "{scheme} has changed since the comparison began: the study has continued, or options differ. Use the same \
         options, or another --name"
    )
}
