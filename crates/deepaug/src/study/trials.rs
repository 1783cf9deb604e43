//! The trials of a study on disk, for reading.

use std::path::Path;

use deepaug_augmenter::Policy;
use serde::Serialize;

use crate::config::EarlyStopping;
use crate::error::Error;
use crate::rng::{Purpose, derive};
use crate::study::candidate::Gain;
use crate::study::folder::read_ledger;
use crate::study::ledger::TrainingOutcome;

/// How far a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Some of its trainings have not ended.
    Pending,
    /// All of them have.
    Complete,
    /// All of them failed.
    Failed,
    /// It was ended early because it was behind.
    Pruned,
}

/// A trial of a study on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialRecord {
    /// Its number; 0 has no policy.
    pub trial: u64,
    /// Its policy.
    pub policy: Policy,
    /// The policy's name, if it needs no search.
    pub scheme: Option<String>,
    /// How far it is.
    pub state: TrialState,
    /// The mean reward of the search's trainings so far, as told.
    pub reward: Option<f64>,
    /// The gain over no policy: with fresh seeds if it has been confirmed, otherwise in the search, where that of the
    /// best of many is too high.
    pub gain: Option<Gain>,
    /// Whether the gain is one with fresh seeds.
    pub is_confirmed: bool,
    /// The time of its trainings in seconds, if known.
    pub seconds: Option<f64>,
    /// Validation accuracies, or the values that were reported, by epoch, for each training of the search that has ended.
    pub curves: Vec<Vec<f64>>,
    /// Why trainings failed.
    pub failed: Vec<String>,
}

impl TrialRecord {
    /// Reads the trials of a study so far, without opening it: it may be running.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none, or it is damaged; [`Error::File`].
    pub fn read(folder: &Path) -> Result<Vec<Self>, Error> {
        let (config, ledger) = read_ledger(folder)?;
        let kind = config.reward;
        let confirmed = |trial: u64| ledger.candidate(trial).is_some_and(|candidate| !candidate.fresh.is_empty());
        let finalists = ledger.proposals().filter(|&(trial, _)| trial > 0 && confirmed(trial)).count();
        let Some(baseline) = ledger.candidate(0) else { return Ok(Vec::new()) };
        let record = |(trial, proposal): (u64, &crate::policies::space::Proposal)| {
            let candidate = ledger.candidate(trial)?;
            let all: Vec<(usize, &TrainingOutcome)> =
                ledger.trainings().filter(|(of, ..)| *of == trial).map(|(_, sample, ended)| (sample, ended)).collect();
            let search = || all.iter().filter(|(sample, _)| *sample < config.opt_samples).map(|(_, ended)| *ended);
            let failed: Vec<String> = all.iter().filter_map(|(_, ended)| ended.failure()).map(String::from).collect();
            let whole = ledger
                .wanted(trial, config.early_stopping != EarlyStopping::Off && trial > 0)
                .all(|sample| ledger.ended(trial, sample).is_some());
            let state = match whole {
                _ if candidate.pruned.is_some() => TrialState::Pruned,
                true if candidate.has_failed() => TrialState::Failed,
                true => TrialState::Complete,
                false => TrialState::Pending,
            };
            let gains = candidate.gains(&baseline, finalists, kind);
            let seconds: Vec<f64> = all.iter().filter_map(|(_, ended)| Some(ended.history()?.seconds)).collect();
            Some(Self {
                trial,
                policy: proposal.policy.clone(),
                scheme: proposal.scheme.clone(),
                state,
                reward: ledger.reward(trial).map(|reward| kind.merit(reward)),
                gain: gains[1].or(gains[0]).filter(|_| trial > 0),
                is_confirmed: gains[1].is_some() && trial > 0,
                seconds: (!seconds.is_empty()).then(|| seconds.iter().sum()),
                curves: search()
                    .map(|ended| ended.epochs().iter().map(|epoch| kind.merit(epoch.val_acc)).collect())
                    .collect(),
                failed,
            })
        };
        Ok(ledger.proposals().filter_map(record).collect())
    }
}

/// Returns the seed of a sample in a study: the same in every trial.
///
/// # Errors
/// As [`TrialRecord::read`].
pub fn seed_of_sample(folder: &Path, sample: usize) -> Result<u64, Error> {
    let config = crate::study::folder::read_frozen(folder)?;
    Ok(derive(config.seed, Purpose::Sample, sample as u64))
}
