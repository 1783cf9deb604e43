//! The result of a search, and how reliable it is.

use std::fmt;
use std::path::{Path, PathBuf};

use deepaug_augmenter::{Application, Augmentation, Policy};
use serde::{Deserialize, Serialize};

use crate::config::RewardKind;
use crate::error::Error;
use crate::files::{write_json, write_whole};
use crate::layout;
use crate::study::candidate::{Candidate, Gain, accuracies, best_first, mean_of_present};
use crate::study::folder::read_ledger;
use crate::study::ledger::Ledger;
use crate::study::notebook::{POLICY_COLUMNS, op_cells, op_columns, policy_cells};

/// What the trainings with fresh seeds say about the best policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval lies above 0.
    Better,
    /// The interval contains 0.
    NoDifference,
    /// The whole interval lies below 0.
    Worse,
    /// There were fewer than two fresh seeds.
    Unconfirmed,
}

impl Verdict {
    /// Returns the verdict on a candidate.
    pub fn of(best: &Candidate) -> Self {
        match best.fresh_gain.and_then(|gain| gain.interval) {
            Some((low, _)) if low > 0.0 => Self::Better,
            Some((_, high)) if high < 0.0 => Self::Worse,
            Some(_) => Self::NoDifference,
            None => Self::Unconfirmed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "The best policy is better than no policy on fresh seeds, measured on validation images.",
            Self::NoDifference => "These seeds show no difference between the best policy and none; more might.",
            Self::Worse => "The best policy is worse than no policy; do not use it.",
            Self::Unconfirmed => {
                "Not confirmed with fresh seeds: the best of many noisy rewards is too high, so expect less."
            }
        })
    }
}

/// What to use, by the search's own measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// No augmentation: the best policy came out no better.
    None,
    /// The best policy, which is a scheme that needs no search.
    Free,
    /// The best policy, which the search found.
    Policy,
}

/// What ended a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// All iterations are done.
    Iterations,
    /// The time budget is spent.
    Time,
    /// The training budget is spent.
    Trainings,
    /// Every policy of the space has been tried.
    Exhausted,
    /// The expected improvement stayed below the noise of a reward for `patience` proposals in a row.
    Patience,
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Iterations => "all policies have been tried",
            Self::Time => "the time budget is spent",
            Self::Trainings => "the training budget is spent",
            Self::Exhausted => "every policy of the space has been tried",
            Self::Patience => {
                "the expected improvement has stayed below a reward's noise for as long as patience allows"
            }
        })
    }
}

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResult {
    /// The study's folder.
    pub study: PathBuf,
    /// Trial 0, no policy.
    pub baseline: Candidate,
    /// The best policy: the confirmed one with the highest accuracy over fresh seeds.
    pub best: Candidate,
    /// Up to 20 policies, confirmed ones first, by reward.
    pub top: Vec<Candidate>,
    /// What to use; `best_policy.json` holds it.
    pub advice: Advice,
    /// The same in words, with the gains that it rests on.
    pub answer: String,
    /// The best scheme that needs no search, other than none, by the same measurements; absent if the space has no
    /// schemes.
    pub free: Option<Candidate>,
    /// The gain of the best policy over that scheme, with fresh seeds; absent if they are the same.
    pub gain_over_free: Option<Gain>,
    /// Whether the best policy helps.
    pub verdict: Verdict,
    /// Trainings that gave a history.
    pub trainings: usize,
    /// Trainings that failed.
    pub failed: usize,
    /// Epochs that the search's trainings took.
    pub epochs: usize,
    /// Epochs saved by ending trials early.
    pub epochs_spared: usize,
    /// What ended the search, if known.
    pub ended_by: Option<Termination>,
    /// How policies are applied.
    pub application: Application,
    /// The kind of reward. Rewards of candidates are as told; for gains, more is better.
    pub reward: RewardKind,
}

/// How many policies a result lists, as in DeepAugment.
const TOP: usize = 20;

impl SearchResult {
    /// Returns what a study has found so far; `None` before a policy can be compared with no policy.
    pub(crate) fn new(study: &Path, ledger: &Ledger, ended_by: Option<Termination>) -> Option<Self> {
        let (ended, failed) = ledger.counts();
        let (epochs, epochs_spared) = ledger.epochs();
        let baseline = ledger.candidate(0).filter(Candidate::is_usable)?;
        let others =
            ledger.proposals().filter(|&(trial, _)| trial > 0).filter_map(|(trial, _)| ledger.candidate(trial));
        let (study, best) = (study.into(), baseline.clone());
        let (verdict, advice, answer) = (Verdict::Unconfirmed, Advice::None, String::new());
        let top = Vec::new();
        let trainings = ended - failed;
        let (free, gain_over_free) = (None, None);
        Self {
            study,
            baseline,
            best,
            top,
            advice,
            answer,
            free,
            gain_over_free,
            verdict,
            trainings,
            failed,
            epochs,
            epochs_spared,
            ended_by,
            application: ledger.application(),
            reward: ledger.kind(),
        }
        .ranked(others.collect())
    }

    /// Reads what a study on disk has found so far, without opening it: it may be running. `None` before a policy can be
    /// compared with no policy.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none, or it is damaged; [`Error::File`].
    pub fn read(study: &Path) -> Result<Option<Self>, Error> {
        let (_, ledger) = read_ledger(study)?;
        Ok(Self::new(study, &ledger, None))
    }

    /// Ranks `others` and adds the best of them.
    fn ranked(mut self, mut others: Vec<Candidate>) -> Option<Self> {
        let baseline = &self.baseline;
        let confirmed = others.iter().filter(|candidate| !candidate.fresh.is_empty()).count();
        for candidate in &mut others {
            [candidate.search_gain, candidate.fresh_gain] = candidate.gains(baseline, confirmed, self.reward);
        }
        others.retain(Candidate::is_usable);
        others.sort_by(|a, b| best_first(a.standing(), b.standing()));
        self.free = others.iter().find(|candidate| candidate.scheme.is_some()).cloned();
        others.truncate(TOP);
        self.best = others.first()?.clone();
        self.verdict = Verdict::of(&self.best);
        if self.gain().is_some_and(|gain| gain.mean > 0.0) {
            self.advice = if self.best.scheme.is_some() { Advice::Free } else { Advice::Policy };
        }
        if let Some(free) = self.free.as_ref().filter(|free| free.trial != self.best.trial) {
            let gain = Gain::paired(&accuracies(&self.best.fresh), &accuracies(&free.fresh), confirmed);
            self.gain_over_free = gain.map(|gain| gain.of(self.reward));
        }
        self.top = others;
        self.answer = self.answer();
        Some(self.with_rewards_as_told())
    }

    /// Turns the rewards of candidates back into the form in which they were told.
    fn with_rewards_as_told(mut self) -> Self {
        let kind = self.reward;
        let candidates = [&mut self.baseline, &mut self.best].into_iter().chain(&mut self.top).chain(&mut self.free);
        for candidate in candidates.filter(|_| kind == RewardKind::Loss) {
            candidate.reward = kind.merit(candidate.reward);
            for reward in candidate.samples.iter_mut().chain(&mut candidate.fresh).flatten() {
                *reward = reward.as_told(kind);
            }
        }
        self
    }

    /// Returns the best policy's gain over none: on fresh seeds if there are any.
    pub fn gain(&self) -> Option<Gain> {
        self.best.fresh_gain.or(self.best.search_gain)
    }

    /// Returns the policy to use: the best, or none if that came out no better.
    pub fn policy(&self) -> Policy {
        match self.advice {
            Advice::Policy | Advice::Free => self.best.policy.clone(),
            Advice::None => Policy::none(self.best.policy.ranges),
        }
    }

    fn answer(&self) -> String {
        let trial = self.best.trial;
        let seeds = if self.best.fresh_gain.is_some() { "on fresh seeds" } else { "in the search, so expect less" };
        let gain =
            self.gain().map(|gain| format!("{gain} over none, {seeds}")).unwrap_or_else(|| "not measured".into());
        match self.advice {
            Advice::Policy => {
                let beside = self.gain_over_free.zip(self.free.as_ref().and_then(|free| free.scheme.as_ref()));
                let beside = beside.map(|(gain, free)| format!("; {gain} over {free}, the best that needs no search"));
                format!("Use the policy of trial {trial}: {gain}{}.", beside.unwrap_or_default())
            }
            Advice::Free => {
                format!("Use {}, which needs no search: {gain}.", self.best.scheme.as_deref().unwrap_or_default())
            }
            Advice::None => format!("Use none: the best policy, of trial {trial}, came to {gain}."),
        }
    }

    /// Writes `top_policies.csv`, `best_policy.json` and `result.json` into the study's folder, each whole or not at
    /// all.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let best = Augmentation { policy: self.policy(), application: self.application };
        write_json(&self.study.join(layout::BEST_POLICY), &best)?;
        write_json(&self.study.join(layout::RESULT), self)?;
        let path = self.study.join(layout::TOP_POLICIES);
        let failed = |error: csv::Error| Error::file(&path, error.into());
        let mut table = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = vec!["trial_no".into()];
        header.extend(op_columns().chain(POLICY_COLUMNS.map(String::from)));
        header.extend(
            ["reward", "expected_accuracy_increase(%)", "samples", "fresh_val_acc", "fresh_accuracy_increase(%)"]
                .map(String::from),
        );
        table.write_record(&header).map_err(failed)?;
        for candidate in &self.top {
            let points = |gain: f64| match self.reward {
                RewardKind::Accuracy => format!("{:.4}", 100.0 * gain),
                RewardKind::Score | RewardKind::Loss => gain.to_string(),
            };
            let mut cells = vec![candidate.trial.to_string()];
            cells.extend(op_cells(&candidate.policy));
            cells.extend(policy_cells(&candidate.policy, candidate.scheme.as_deref()));
            cells.extend([
                candidate.reward.to_string(),
                points(self.reward.merit(candidate.reward - self.baseline.reward)),
                candidate.samples.iter().flatten().count().to_string(),
                mean_of_present(&accuracies(&candidate.fresh)).map(|reward| reward.to_string()).unwrap_or_default(),
                candidate.fresh_gain.map(|gain| points(gain.mean)).unwrap_or_default(),
            ]);
            table.write_record(&cells).map_err(failed)?;
        }
        let bytes = table.into_inner().map_err(|error| Error::file(&path, error.into_error()))?;
        write_whole(&path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use deepaug_augmenter::{Op, Step, SubPolicy};
    use deepaug_controller::Point;

    use super::*;
    use crate::reward::Reward;
    use crate::study::candidate::distinct;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    fn rewards(values: &[f64]) -> Vec<Option<Reward>> {
        values.iter().map(|&value| Some(Reward { value, overfitted: false, top_k: value })).collect()
    }

    #[test]
    fn gains_are_paired_and_have_students_interval() {
        // scipy 1.15.3: stats.t.interval(0.95, 3, d.mean(), d.std(ddof=1) / 2) for the four differences d.
        let gain = Gain::paired(&some(&[0.52, 0.55, 0.61, 0.50]), &some(&[0.50, 0.49, 0.58, 0.51]), 1).unwrap();
        assert!((gain.mean - 0.025).abs() < 1e-12);
        let (low, high) = gain.interval.unwrap();
        // stats.t.interval(1 - 0.05 / 3, 3, ...) for three comparisons.
        let wide = Gain::paired(&some(&[0.52, 0.55, 0.61, 0.50]), &some(&[0.50, 0.49, 0.58, 0.51]), 3)
            .unwrap()
            .interval
            .unwrap();
        assert!(
            (wide.0 - -0.04509980959487302).abs() < 1e-7 && (wide.1 - 0.09509980959487323).abs() < 1e-7,
            "{wide:?}"
        );
        assert!((low - -0.020934655775935).abs() < 1e-7 && (high - 0.070934655775935).abs() < 1e-7, "{low} {high}");
    }

    #[test]
    fn failed_samples_leave_their_pair_out() {
        let gain = Gain::paired(&[Some(0.6), None, Some(0.7)], &[Some(0.5), Some(0.5), None], 1).unwrap();
        assert_eq!((gain.pairs, gain.interval), (1, None));
        assert_eq!(Gain::paired(&[None], &some(&[0.5]), 1), None);
    }

    fn candidate(trial: u64, samples: &[f64], fresh: &[f64]) -> Candidate {
        let candidate = Candidate::new(trial, policy(&[&[trial as usize]]), Point(Vec::new()), rewards(samples));
        Candidate { fresh: rewards(fresh), ..candidate }
    }

    /// Makes a policy from ops by number, with magnitudes that differ.
    fn policy(sub_policies: &[&[usize]]) -> Policy {
        let step = |(place, &op): (usize, &usize)| Step::new(Op::DEEPAUGMENT[op], 0.1 * (place + op) as f64 % 1.0);
        let sub_policy = |ops: &&[usize]| SubPolicy { ops: ops.iter().enumerate().map(step).collect() };
        Policy { sub_policies: sub_policies.iter().map(sub_policy).collect(), ..Policy::none(Default::default()) }
    }

    #[test]
    fn of_policies_with_the_same_ops_the_best_is_kept() {
        let policies: [&[&[usize]]; 6] =
            [&[&[1, 2], &[3, 3]], &[&[3, 3], &[2, 1]], &[&[1, 2], &[1, 3]], &[&[1, 2]], &[&[2], &[1]], &[&[2, 1]]];
        let candidates = policies
            .iter()
            .zip(1..)
            .map(|(&ops, trial)| Candidate::new(trial, policy(ops), Point(Vec::new()), rewards(&[1.0 / trial as f64])));
        let kept = distinct(candidates.collect(), |candidate: &Candidate| &candidate.policy);
        let kept: Vec<u64> = kept.iter().map(|candidate| candidate.trial).collect();
        assert_eq!(kept, [1, 3, 4, 5]);
    }

    #[test]
    fn fresh_seeds_decide_and_the_verdict_is_plain() {
        let result = |fresh: &[f64]| {
            let others = vec![
                candidate(1, &[0.9], &[0.5, 0.5, 0.5]),
                candidate(2, &[0.8], fresh),
                candidate(3, &[0.95], &[]),
                Candidate { pruned: Some(2), ..candidate(4, &[0.99], &[]) },
            ];
            let baseline = candidate(0, &[0.7], &[0.6, 0.61, 0.59]);
            let found = SearchResult {
                study: "s".into(),
                best: baseline.clone(),
                baseline,
                top: Vec::new(),
                advice: Advice::None,
                answer: String::new(),
                free: None,
                gain_over_free: None,
                verdict: Verdict::Unconfirmed,
                trainings: 9,
                failed: 0,
                epochs: 9,
                epochs_spared: 0,
                ended_by: None,
                application: Application::Once,
                reward: RewardKind::Accuracy,
            };
            found.ranked(others).unwrap()
        };
        let better = result(&[0.7, 0.72, 0.69]);
        assert_eq!(better.top.iter().map(|c| c.trial).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!(better.verdict, Verdict::Better);
        assert!(better.answer.starts_with("Use the policy of trial 2: +10.33 points (95 %: "), "{}", better.answer);
        let [accuracy, none] = better.best.fresh_gain.unwrap().rewards().unwrap();
        assert_eq!([accuracy, none], ["70.33 %", "60.00 %"]);
        assert_eq!(result(&[0.55, 0.75, 0.6]).verdict, Verdict::NoDifference);
        assert_eq!(result(&[0.4, 0.41, 0.39]).verdict, Verdict::Worse);
        assert_eq!(
            result(&[0.9]).best.trial,
            1,
            "what was left behind in the race is not the best by the luck of fewer seeds"
        );
        // Trial 1 came to 0.5 on fresh seeds, no policy to 0.6.
        let worse = result(&[0.4, 0.41, 0.39]);
        assert_eq!((worse.advice, worse.policy().sub_policies.len()), (Advice::None, 0));
        assert!(
            worse.answer().starts_with("Use none: the best policy, of trial 1, came to -10.00 points"),
            "{}",
            worse.answer()
        );
        let better = result(&[0.7, 0.71, 0.69]);
        assert_eq!((better.advice, better.policy()), (Advice::Policy, better.best.policy.clone()));
        assert!(better.answer().starts_with("Use the policy of trial 2: +10.00 points"), "{}", better.answer());
    }
}
