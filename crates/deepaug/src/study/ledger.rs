//! What a study knows: its proposals, and the outcomes of their trainings. All of it is in the journal.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use deepaug_augmenter::{Application, Policy};
use deepaug_child_model::{EpochRecord, History, StrategyRecord};

use crate::config::Config;
use crate::config::{OverfitMeasure, RewardKind};
use crate::execute::epoch_of_value;
use crate::policies::space::Proposal;
use crate::reward::{Reward, reward};
use crate::strategies;
use crate::study::adversary::Opposed;
use crate::study::candidate::{Candidate, mean_reward};
use crate::study::journal::{Entry, ReportedOutcome};
use crate::study::population::record::PopulationRecord;
#[cfg(feature = "generative")]
use crate::study::tanda::Taught;

/// A training that has ended, in this run or an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TrainingOutcome {
    Trained {
        seed: u64,
        device: String,
        history: History,
        /// Whether it was stopped at a rung.
        pruned: bool,
    },
    Failed {
        seed: u64,
        device: String,
        why: String,
    },
    /// The result reported by another program; `whole` if it stands for all samples of its trial.
    Reported {
        told: ReportedOutcome,
        whole: bool,
        /// The epochs that were reported before it, of which only the number and the validation accuracy are known: any
        /// number of which more is better.
        epochs: Vec<EpochRecord>,
        /// Whether it was stopped at a rung.
        pruned: bool,
    },
}

impl TrainingOutcome {
    /// Makes the outcome of a training that another program judged, from what it told.
    pub(crate) fn reported(kind: RewardKind, told: ReportedOutcome, whole: bool, values: &[f64], pruned: bool) -> Self {
        let epochs = values.iter().zip(1..).map(|(value, epoch)| epoch_of_value(epoch, kind.merit(*value))).collect();
        Self::Reported { told, whole, epochs, pruned }
    }

    /// Returns the journal's line.
    pub(crate) fn entry(&self, kind: RewardKind, trial: u64, sample: usize) -> Entry {
        match self.clone() {
            Self::Trained { seed, device, history, pruned } => {
                Entry::Trained { trial, sample, seed, device, history, pruned }
            }
            Self::Failed { seed, device, why } => Entry::Failed { trial, sample, seed, device, why },
            Self::Reported { told, whole, epochs, pruned } => {
                let values = epochs.iter().map(|epoch| kind.merit(epoch.val_acc)).collect();
                Entry::Told { trial, sample: (!whole).then_some(sample), told, values, pruned }
            }
        }
    }

    /// Returns the history, if the training gave one.
    pub(crate) fn history(&self) -> Option<&History> {
        match self {
            Self::Trained { history, .. } => Some(history),
            _ => None,
        }
    }

    /// Returns the epochs that are known of it.
    pub(crate) fn epochs(&self) -> &[EpochRecord] {
        match self {
            Self::Trained { history, .. } => &history.epochs,
            Self::Reported { epochs, .. } => epochs,
            Self::Failed { .. } => &[],
        }
    }

    pub(crate) fn is_pruned(&self) -> bool {
        matches!(self, Self::Trained { pruned: true, .. } | Self::Reported { pruned: true, .. })
    }

    /// Returns why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed { why, .. } | Self::Reported { told: ReportedOutcome::Failed(why), .. } => Some(why),
            Self::Trained { .. } | Self::Reported { .. } => None,
        }
    }

    fn has_failed(&self) -> bool {
        self.failure().is_some()
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    /// Samples of the search; higher ones are fresh.
    samples: usize,
    epochs: usize,
    last_n_epochs: usize,
    kind: RewardKind,
    application: Application,
    measure: OverfitMeasure,
    tolerance: f64,
    proposed: BTreeMap<u64, Proposal>,
    /// The digests of their policies.
    policies: HashSet<u64>,
    ended: BTreeMap<(u64, usize), TrainingOutcome>,
    /// How many others had ended before the last training of each trial in the search.
    completed: BTreeMap<u64, usize>,
    population: PopulationRecord,
    opposed: Option<Opposed>,
    #[cfg(feature = "generative")]
    taught: Option<Taught>,
    /// The one that ended last.
    last: Option<(u64, usize)>,
}

impl Ledger {
    pub(crate) fn new(config: &Config, entries: Vec<Entry>) -> Self {
        let mut ledger = Self {
            samples: config.opt_samples,
            epochs: config.epochs(),
            last_n_epochs: config.opt_last_n_epochs,
            kind: config.reward,
            application: config.application(),
            measure: config.overfit_measure,
            tolerance: config.overfit_tolerance,
            proposed: BTreeMap::new(),
            policies: HashSet::new(),
            ended: BTreeMap::new(),
            completed: BTreeMap::new(),
            population: PopulationRecord::default(),
            opposed: None,
            #[cfg(feature = "generative")]
            taught: None,
            last: None,
        };
        for entry in entries {
            match entry {
                Entry::Exploited { .. }
                | Entry::MemberTrained { .. }
                | Entry::MemberFailed { .. }
                | Entry::Opposed { .. } => ledger.note(entry),
                #[cfg(feature = "generative")]
                Entry::Taught(_) => ledger.note(entry),
                Entry::Proposed { trial, point, policy, scheme } => {
                    ledger.propose(trial, Proposal { point, policy, scheme });
                }
                Entry::Trained { trial, sample, seed, device, history, pruned } => {
                    ledger.end(trial, sample, TrainingOutcome::Trained { seed, device, history, pruned });
                }
                Entry::Failed { trial, sample, seed, device, why } => {
                    ledger.end(trial, sample, TrainingOutcome::Failed { seed, device, why });
                }
                Entry::Told { trial, sample, told, values, pruned } => {
                    let whole = sample.is_none();
                    let outcome = TrainingOutcome::reported(ledger.kind, told, whole, &values, pruned);
                    ledger.end(trial, sample.unwrap_or(0), outcome);
                }
            }
        }
        ledger
    }

    /// Takes in an entry about a training that is looked into.
    pub(crate) fn note(&mut self, entry: Entry) {
        let population = &mut self.population;
        match entry {
            Entry::Exploited { epoch, members } => population.assign(epoch, members),
            Entry::MemberTrained { member, from, seed, device, history } => {
                population.end(from, member, TrainingOutcome::Trained { seed, device, history, pruned: false });
            }
            Entry::MemberFailed { member, from, seed, device, why } => {
                population.end(from, member, TrainingOutcome::Failed { seed, device, why });
            }
            Entry::Opposed { seed, device, record } => self.opposed = Some(Opposed::new(seed, device, record)),
            #[cfg(feature = "generative")]
            Entry::Taught(taught) => self.taught = Some(taught),
            _ => {}
        }
    }

    /// Returns what is known about the generator of sequences, if there is one.
    #[cfg(feature = "generative")]
    pub(crate) fn taught(&self) -> Option<&Taught> {
        self.taught.as_ref()
    }

    /// Returns what is known about the training against an adversary, if there was one.
    pub(crate) fn opposed(&self) -> Option<&Opposed> {
        self.opposed.as_ref()
    }

    /// Returns what is known about the population, if there is one.
    pub(crate) fn population(&self) -> &PopulationRecord {
        &self.population
    }

    pub(crate) fn propose(&mut self, trial: u64, proposal: Proposal) {
        self.policies.insert(proposal.policy.digest());
        self.proposed.insert(trial, proposal);
    }

    pub(crate) fn end(&mut self, trial: u64, sample: usize, ended: TrainingOutcome) {
        if sample < self.samples {
            self.completed.insert(trial, self.ended.len());
        }
        self.ended.insert((trial, sample), ended);
        self.last = Some((trial, sample));
    }

    /// Returns whether some trial has this policy.
    pub(crate) fn has_proposed(&self, policy: &Policy) -> bool {
        self.policies.contains(&policy.digest())
    }

    pub(crate) fn proposal(&self, trial: u64) -> Option<&Proposal> {
        self.proposed.get(&trial)
    }

    /// Returns all proposals, in the order of their trials.
    pub(crate) fn proposals(&self) -> impl Iterator<Item = (u64, &Proposal)> {
        self.proposed.iter().map(|(&trial, proposal)| (trial, proposal))
    }

    pub(crate) fn ended(&self, trial: u64, sample: usize) -> Option<&TrainingOutcome> {
        self.ended.get(&(trial, sample))
    }

    /// Returns a number that orders trials by when their last training in the search ended.
    pub(crate) fn completed(&self, trial: u64) -> Option<usize> {
        self.completed.get(&trial).copied()
    }

    /// Returns the training that ended last.
    pub(crate) fn last(&self) -> Option<(u64, usize)> {
        self.last
    }

    /// Returns what the strategy of all trainings found, if it was not a plain one.
    pub(crate) fn strategy(&self) -> Option<StrategyRecord> {
        strategies::joined(self.ended.values().filter_map(TrainingOutcome::history))
    }

    /// Returns all trainings that have ended: those of the search by trial and sample, then those with fresh
    /// seeds.
    pub(crate) fn trainings(&self) -> impl Iterator<Item = (u64, usize, &TrainingOutcome)> {
        let part = |fresh: bool| self.ended.iter().filter(move |((_, sample), _)| (*sample >= self.samples) == fresh);
        part(false).chain(part(true)).map(|(&(trial, sample), ended)| (trial, sample, ended))
    }

    /// Returns the number of trainings that have ended, and how many of them failed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.ended.len(), self.ended.values().filter(|ended| ended.has_failed()).count())
    }

    /// Returns the epochs of the search's trainings, and those saved by ending trials early.
    pub(crate) fn epochs(&self) -> (usize, usize) {
        let search = self.ended.iter().filter(|((_, sample), _)| *sample < self.samples);
        search.fold((0, 0), |(taken, spared), (_, ended)| {
            let epochs = ended.epochs().len();
            let left = if ended.is_pruned() { self.samples * self.epochs - epochs } else { 0 };
            (taken + epochs, spared + left)
        })
    }

    /// Returns `search`, or `confirm` for the trainings with fresh seeds after it.
    pub(crate) fn phase(&self, sample: usize) -> &'static str {
        if sample < self.samples { "search" } else { "confirm" }
    }

    /// Returns how policies are applied.
    pub(crate) fn application(&self) -> Application {
        self.application
    }

    /// Returns the kind of reward.
    pub(crate) fn kind(&self) -> RewardKind {
        self.kind
    }

    /// Returns the reward of a training, where more is better; `None` if it failed.
    pub(crate) fn worth(&self, ended: &TrainingOutcome) -> Option<Reward> {
        match ended {
            TrainingOutcome::Trained { history, .. } => {
                Some(reward(&history.epochs, self.last_n_epochs, self.measure, self.tolerance))
            }
            TrainingOutcome::Reported { told: ReportedOutcome::Reward(value), .. } => {
                let value = self.kind.merit(*value);
                Some(Reward { value, overfitted: false, top_k: value })
            }
            TrainingOutcome::Failed { .. } | TrainingOutcome::Reported { .. } => None,
        }
    }

    fn rewards(&self, trial: u64, samples: Range<usize>) -> Vec<Option<Reward>> {
        samples.filter_map(|sample| self.ended(trial, sample)).map(|ended| self.worth(ended)).collect()
    }

    /// Returns the mean reward of a trial's trainings so far; `None` if all failed.
    pub(crate) fn reward(&self, trial: u64) -> Option<f64> {
        mean_reward(&self.rewards(trial, 0..self.samples))
    }

    /// Returns the standard error of a reward, from the spread of the samples of each of these trials; `None` if no
    /// trial has two.
    pub(crate) fn noise(&self, trials: impl Iterator<Item = u64>) -> Option<f64> {
        let (mut squares, mut freedom) = (0.0, 0);
        for trial in trials {
            let rewards: Vec<f64> = self.rewards(trial, 0..self.samples).iter().flatten().map(|r| r.value).collect();
            let mean = rewards.iter().sum::<f64>() / rewards.len().max(1) as f64;
            squares += rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>();
            freedom += rewards.len().saturating_sub(1);
        }
        (freedom > 0).then(|| (squares / freedom as f64 / self.samples as f64).sqrt())
    }

    /// Returns a trial as a candidate for use.
    pub(crate) fn candidate(&self, trial: u64) -> Option<Candidate> {
        let Proposal { point, policy, scheme } = self.proposal(trial)?.clone();
        let mut candidate = Candidate::new(trial, policy, point, self.rewards(trial, 0..self.samples));
        candidate.scheme = scheme;
        candidate.fresh =
            self.ended.range((trial, self.samples)..=(trial, usize::MAX)).map(|(_, e)| self.worth(e)).collect();
        candidate.pruned = self.ended(trial, 0).filter(|ended| ended.is_pruned()).map(|ended| ended.epochs().len());
        Some(candidate)
    }

    /// Returns the epochs of a trial's first sample, and whether it was pruned.
    pub(crate) fn first_sample(&self, trial: u64) -> Option<(&[EpochRecord], bool)> {
        let ended = self.ended(trial, 0).filter(|ended| !ended.has_failed())?;
        Some((ended.epochs(), ended.is_pruned()))
    }

    /// Returns the samples that a trial needs: if trials are stopped early, its first decides whether the others
    /// are trained.
    pub(crate) fn wanted(&self, trial: u64, first_samples: bool) -> Range<usize> {
        match self.ended(trial, 0) {
            None if first_samples => 0..1,
            Some(ended) if ended.is_pruned() => 0..1,
            Some(TrainingOutcome::Reported { whole: true, .. }) => 0..1,
            _ => 0..self.samples,
        }
    }
}
