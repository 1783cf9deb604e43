//! Summarises a notebook: the best policies, the effect of each op and magnitude, the course of the search, and
//! what went wrong.
//!
//! Notebooks of DeepAugment, in both of its formats, are read as well.

mod effects;
mod importance;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use deepaug_controller::LevelValue;
pub use effects::{MagnitudeEffect, OpEffect};
pub use importance::{Importance, Level};
pub use table::{NamedPolicy, NamedStep, Sample, Shape};

use crate::config::RewardKind;
use crate::error::Error;
use crate::layout;
use crate::statistics::{deviation, mean};
use crate::study::candidate::Gain;
use crate::study::candidate::best_first;
use crate::study::folder::read_ledger;
use crate::study::notebook;
use crate::study::recorder::rows;

/// A trial of a notebook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// Its number; 0 has no policy.
    pub trial: u64,
    /// Its policy.
    pub policy: NamedPolicy,
    /// The mean reward over the search's trainings; absent if none of them has one.
    pub reward: Option<f64>,
    /// The standard deviation of those rewards; absent for fewer than two.
    pub deviation: Option<f64>,
    /// The reward of each training of the search.
    pub samples: Vec<Option<f64>>,
    /// The mean of the highest validation accuracies of each training with a fresh seed.
    pub fresh: Vec<Option<f64>>,
    /// The reward above that of trial 0, in points of accuracy; absent without trial 0.
    #[serde(rename = "expected_accuracy_increase(%)")]
    pub increase: Option<f64>,
    /// The gain over trial 0 with fresh seeds, if there are any: the reliable one.
    pub confirmed: Option<Gain>,
}

/// A trial that is better than all before it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Improvement {
    /// Its number.
    pub trial: u64,
    /// Its reward.
    pub reward: f64,
}

/// Summary of a notebook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub notebook: PathBuf,
    /// Who wrote it.
    pub shape: Shape,
    /// Number of trainings.
    pub trainings: usize,
    /// Trainings that gave nothing, and why.
    pub failed: Vec<Failure>,
    /// Trainings in which every epoch overfitted.
    pub overfitted: usize,
    /// Trainings that were stopped early because others were better; their trials are not ranked.
    #[serde(rename = "behind")]
    pub pruned: usize,
    /// The time of all trainings, if the notebook has it.
    pub seconds: Option<f64>,
    /// No augmentation, if the notebook has it.
    pub baseline: Option<Trial>,
    /// All other trials with a reward, best first: those with fresh seeds by these, then the others by reward.
    pub ranked: Vec<Trial>,
    /// The course of the search: each trial that was better than all before it.
    pub course: Vec<Improvement>,
    /// The effect of each op, best first.
    pub ops: Vec<OpEffect>,
    /// What matters according to the surrogate fitted to all trials; empty for fewer than ten.
    pub importance: Vec<Importance>,
    /// The trainings themselves.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// The kind of reward. Rewards are as told; for gains and differences, more is better.
    pub reward: RewardKind,
}

/// A training that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// Its trial.
    pub trial: u64,
    /// Which of the trial's trainings.
    pub sample: u64,
    /// Why, if the notebook says so.
    pub why: String,
}

impl Inspection {
    /// Reads a notebook, or that of the study in a folder.
    ///
    /// # Errors
    /// [`Error::Study`] names the missing columns, or the line and the wrong cell; [`Error::File`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            return Ok(Self::of(path, table::read(path)?, RewardKind::Accuracy));
        }
        if !path.join(layout::CONFIG).is_file() {
            return Err(Error::study(
                path,
                format!("neither a notebook nor the folder of a study: no {}", layout::CONFIG),
            ));
        }
        // The contents of the study's own notebook, whatever has become of the file.
        let (config, ledger) = read_ledger(path)?;
        let notebook = path.join(&config.notebook_path);
        let contents = notebook::contents(rows(&ledger)).map_err(|error| Error::file(&notebook, error))?;
        let found = table::parse(&contents).map_err(|why| Error::study(path, why))?;
        Ok(Self::of(&notebook, found, config.reward))
    }

    fn of(path: &Path, (shape, mut samples): (Shape, Vec<Sample>), kind: RewardKind) -> Self {
        // More is better until everything is computed.
        for reward in samples.iter_mut().flat_map(|sample| [&mut sample.reward, &mut sample.top_k]).flatten() {
            *reward = kind.merit(*reward);
        }
        // While a study runs, trainings are written as they end.
        samples.sort_by_key(|sample| (sample.trial, sample.sample));
        let mut trials: BTreeMap<u64, Trial> = BTreeMap::new();
        for sample in &samples {
            let trial = trials.entry(sample.trial).or_insert_with(|| Trial {
                trial: sample.trial,
                policy: sample.policy.clone(),
                reward: None,
                deviation: None,
                samples: Vec::new(),
                fresh: Vec::new(),
                increase: None,
                confirmed: None,
            });
            if sample.is_fresh {
                trial.fresh.push(sample.top_k);
            } else {
                trial.samples.push(sample.reward);
            }
        }
        for trial in trials.values_mut() {
            let rewards: Vec<f64> = trial.samples.iter().flatten().copied().collect();
            trial.reward = (!rewards.is_empty()).then(|| mean(&rewards));
            trial.deviation = deviation(&rewards);
        }
        let baseline = trials.remove(&0);
        let base = baseline.as_ref().and_then(|trial| trial.reward);
        let is_pruned = |trial: &Trial| samples.iter().any(|sample| sample.trial == trial.trial && sample.is_pruned);
        let mut ranked: Vec<Trial> =
            trials.into_values().filter(|trial| trial.reward.is_some() && !is_pruned(trial)).collect();
        let course = course(&ranked);
        let confirmed = ranked.iter().filter(|trial| !trial.fresh.is_empty()).count();
        for trial in &mut ranked {
            let scale = if kind == RewardKind::Accuracy { 100.0 } else { 1.0 };
            trial.increase = base.zip(trial.reward).map(|(base, reward)| scale * (reward - base));
            let gain = baseline.as_ref().and_then(|baseline| Gain::paired(&trial.fresh, &baseline.fresh, confirmed));
            trial.confirmed = gain.map(|gain| gain.of(kind));
        }
        let standing = |trial: &Trial| (trial.fresh.len(), trial.confirmed, trial.reward.unwrap_or(0.0));
        ranked.sort_by(|a, b| best_first(standing(a), standing(b)));
        let seconds: Vec<f64> = samples.iter().filter_map(|sample| sample.seconds).collect();
        Self {
            notebook: path.into(),
            shape,
            trainings: samples.len(),
            failed: samples.iter().filter_map(failure).collect(),
            overfitted: samples.iter().filter(|sample| sample.is_overfitted).count(),
            pruned: samples.iter().filter(|sample| sample.is_pruned).count(),
            seconds: (!seconds.is_empty()).then(|| seconds.iter().sum()),
            baseline,
            ops: effects::of(&ranked),
            importance: importance::of(&ranked),
            ranked,
            course,
            samples,
            reward: kind,
        }
        .with_rewards_as_told()
    }

    /// Turns rewards back into the form in which they were told, where more need not be better.
    fn with_rewards_as_told(mut self) -> Self {
        let kind = self.reward;
        if kind != RewardKind::Loss {
            return self;
        }
        let turn = |reward: &mut f64| *reward = kind.merit(*reward);
        for trial in self.ranked.iter_mut().chain(&mut self.baseline) {
            let all = trial.samples.iter_mut().chain(&mut trial.fresh).flatten();
            all.chain(&mut trial.reward).for_each(turn);
        }
        self.course.iter_mut().for_each(|step| turn(&mut step.reward));
        for op in &mut self.ops {
            [&mut op.reward, &mut op.best]
                .into_iter()
                .chain(op.uses.iter_mut().map(|(_, reward)| reward))
                .for_each(turn);
            if let Some(magnitude) = &mut op.magnitude {
                magnitude.rho = -magnitude.rho;
            }
        }
        self.importance
            .iter_mut()
            .flat_map(|importance| &mut importance.levels)
            .for_each(|level| turn(&mut level.reward));
        self.samples.iter_mut().flat_map(|sample| [&mut sample.reward, &mut sample.top_k]).flatten().for_each(turn);
        self
    }

    /// Returns the best `top` trials as a table: the policy's columns as in the notebook, rewards, and their
    /// spread.
    pub fn csv(&self, top: usize) -> String {
        if self.ranked.iter().any(|trial| trial.policy.whole.is_some()) {
            return self.whole_csv(top);
        }
        let widest = self.ranked.first().map(|trial| trial.policy.sub_policies.as_slice()).unwrap_or_default();
        let mut header = vec!["trial_no".to_string()];
        for (s, steps) in widest.iter().enumerate() {
            let prefix = if widest.len() == 1 { String::new() } else { format!("{}_", char::from(b'A' + s as u8)) };
            header.extend(
                (1..=steps.len()).flat_map(|i| [format!("{prefix}aug{i}_type"), format!("{prefix}aug{i}_magnitude")]),
            );
        }
        header.extend(["portion", "reward", "expected_accuracy_increase(%)", "deviation", "samples"].map(String::from));
        let rows = self.ranked.iter().take(top).map(|trial| {
            let mut cells = vec![trial.trial.to_string()];
            let steps = trial.policy.sub_policies.iter().flatten();
            cells.extend(steps.flat_map(|step| [step.op.clone(), step.magnitude.to_string()]));
            cells.push(cell(trial.policy.portion));
            cells.extend([trial.reward, trial.increase, trial.deviation].map(cell));
            cells.push(trial.samples.iter().flatten().count().to_string());
            cells
        });
        to_csv(std::iter::once(header).chain(rows))
    }

    /// Does the same for a notebook that has whole policies.
    fn whole_csv(&self, top: usize) -> String {
        let header = ["trial_no", "policy", "reward", "expected_accuracy_increase(%)", "deviation", "samples"];
        let rows = self.ranked.iter().take(top).map(|trial| {
            let policy = trial.policy.whole.as_ref().and_then(|policy| serde_json::to_string(policy).ok());
            let mut cells = vec![trial.trial.to_string(), policy.unwrap_or_default()];
            cells.extend([trial.reward, trial.increase, trial.deviation].map(cell));
            cells.push(trial.samples.iter().flatten().count().to_string());
            cells
        });
        to_csv(std::iter::once(header.map(String::from).to_vec()).chain(rows))
    }

    /// Returns the effect of each op as a table.
    pub fn ops_csv(&self) -> String {
        let header = ["op", "trials", "reward", "best", "difference", "low", "high", "magnitude_rho", "magnitude_p"];
        let rows = self.ops.iter().map(|op| {
            let interval = [op.interval.map(|(low, _)| low), op.interval.map(|(_, high)| high)];
            let magnitude = [op.magnitude.map(|effect| effect.rho), op.magnitude.map(|effect| effect.p)];
            let numbers = [Some(op.reward), Some(op.best), op.difference].into_iter().chain(interval).chain(magnitude);
            [op.op.clone(), op.trials.to_string()].into_iter().chain(numbers.map(cell)).collect()
        });
        to_csv(std::iter::once(header.map(String::from).to_vec()).chain(rows))
    }

    /// Returns what matters according to the surrogate as a table: a line for each value of each curve.
    pub fn importance_csv(&self) -> String {
        let header = ["of", "share", "value", "reward", "deviation"].map(String::from).to_vec();
        let rows = self.importance.iter().flat_map(|importance| {
            importance.levels.iter().map(|level| {
                let numbers = [level.reward, level.deviation].map(|number| number.to_string());
                let named = [importance.of.clone(), importance.share.to_string(), level.value.to_string()];
                named.into_iter().chain(numbers).collect()
            })
        });
        to_csv(std::iter::once(header).chain(rows))
    }
}

fn cell(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn to_csv(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        table.write_record(row).expect("rows of any length are written to memory");
    }
    String::from_utf8_lossy(&table.into_inner().unwrap_or_default()).into_owned()
}

fn failure(sample: &Sample) -> Option<Failure> {
    let why = match (&sample.failed, sample.reward) {
        (Some(why), _) => why.clone(),
        (None, None) => "it has no reward: every epoch overfitted, or none was written".into(),
        (None, Some(_)) => return None,
    };
    Some(Failure { trial: sample.trial, sample: sample.sample, why })
}

/// Returns each trial that was better than all before it, in order of trial number.
fn course(trials: &[Trial]) -> Vec<Improvement> {
    let mut best = f64::NEG_INFINITY;
    let rewards = trials.iter().filter_map(|trial| Some(Improvement { trial: trial.trial, reward: trial.reward? }));
    rewards
        .filter(|step| {
            step.reward > best && {
                best = step.reward;
                true
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
