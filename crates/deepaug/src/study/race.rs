//! The final race: the best policies of a search, the best scheme that needs none, and no policy, with seeds that the search has not
//! used.
//!
//! What is clearly behind the leader gets no further seeds, and the others get those that it would have had. No policy and the best
//! free scheme stay to the end, for the answer is beside them. What is trained next depends on what has been trained, and on nothing
//! else.

use std::ops::Range;

use deepaug_augmenter::{Policy, Step};

use crate::config::Config;
use crate::statistics::{Paired, mean};
use crate::study::candidate::{Candidate, distinct};
use crate::study::ledger::Ledger;

/// Fresh seeds that every finalist gets before any is left behind.
const MIN_SEEDS: usize = 3;

/// A finalist is behind when a paired t test against the leader has a p below this.
const DROPPED_BELOW: f64 = 0.1;

/// A race, and how far it has come.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Race {
    /// No policy, then the finalists, the best first.
    runners: Vec<u64>,
    /// Those that still get seeds.
    alive: Vec<u64>,
    /// The best that needs no search.
    free: Option<u64>,
    /// The first seed that the search has not used.
    first: usize,
    /// Seeds until here have been given out.
    until: usize,
    /// Seeds for each at first, and at most.
    samples: usize,
    most: usize,
    /// Trainings that are left.
    left: usize,
    has_ended: bool,
}

impl Race {
    /// A race of the best of these; none if there is nothing to confirm.
    pub(crate) fn new(candidates: Vec<Candidate>, config: &Config) -> Option<Self> {
        let chosen = finalists(candidates, config.confirm_policies);
        if chosen.is_empty() {
            return None;
        }
        let runners: Vec<u64> = std::iter::once(0).chain(chosen.iter().map(|candidate| candidate.trial)).collect();
        let (first, samples) = (config.opt_samples, config.confirm_samples);
        Some(Self {
            left: runners.len() * samples,
            free: chosen.iter().find(|candidate| candidate.scheme.is_some()).map(|candidate| candidate.trial),
            alive: runners.clone(),
            runners,
            first,
            until: first,
            samples,
            most: config.most_confirm_samples(),
            has_ended: false,
        })
    }

    /// The policies in it, by trial, the best of the search first.
    pub(crate) fn finalists(&self) -> &[u64] {
        &self.runners[1..]
    }

    /// Fresh seeds for each that is not left behind.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// The samples of each runner's that it has been given.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (u64, Range<usize>)> + '_ {
        let (alive, until) = if self.has_ended { (&[][..], self.first) } else { (&self.alive[..], self.until) };
        alive.iter().map(move |&trial| (trial, self.first..until))
    }

    /// Gives out further seeds, as long as all that were given out have ended.
    pub(crate) fn advance(&mut self, ledger: &Ledger) {
        while !self.has_ended {
            let is_complete =
                |&trial: &u64| (self.first..self.until).all(|sample| ledger.ended(trial, sample).is_some());
            if !self.alive.iter().all(is_complete) {
                return;
            }
            if self.until > self.first {
                self.drop_those_behind(ledger);
            }
            if self.left < self.alive.len() || self.until >= self.first + self.most {
                self.has_ended = true;
                return;
            }
            // The first seeds show no spread one by one.
            let more = if self.until == self.first { MIN_SEEDS.min(self.samples).max(1) } else { 1 };
            self.left = self.left.saturating_sub(more * self.alive.len());
            self.until += more;
        }
    }

    fn drop_those_behind(&mut self, ledger: &Ledger) {
        let worth = |trial: u64| -> Vec<Option<f64>> {
            let of = |sample| ledger.ended(trial, sample).and_then(|ended| ledger.worth(ended));
            (self.first..self.until).map(|sample| of(sample).map(|reward| reward.top_k)).collect()
        };
        let accuracy = |trial: u64| mean(&worth(trial).into_iter().flatten().collect::<Vec<_>>());
        let Some(leader) = self.alive.iter().copied().max_by(|&a, &b| accuracy(a).total_cmp(&accuracy(b))) else {
            return;
        };
        let is_behind = |trial: u64| {
            let paired = Paired::of(&worth(trial), &worth(leader));
            paired.is_some_and(|paired| paired.mean < 0.0 && paired.p.is_some_and(|p| p < DROPPED_BELOW))
        };
        let stays = |trial: u64| trial == 0 || Some(trial) == self.free;
        let alive = self.alive.iter().copied().filter(|&trial| stays(trial) || !is_behind(trial)).collect();
        self.alive = alive;
    }
}

/// The candidates that are worth fresh seeds, by their rewards in the search: the best, and the best that needs no search, if there
/// is one.
fn finalists(mut candidates: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.reward.total_cmp(&a.reward).then(a.trial.cmp(&b.trial)));
    let is_in_place = candidates.iter().any(|candidate| candidate.policy.in_place);
    // Variants of one add nothing to a race, nor to policies that make copies and are used together.
    let candidates = match is_in_place {
        true => without_variants(candidates),
        false => distinct(candidates, |candidate| &candidate.policy),
    };
    let free = candidates.iter().position(|candidate| candidate.scheme.is_some());
    let last = count.saturating_sub(1);
    let mut chosen: Vec<Candidate> = candidates.iter().take(count).cloned().collect();
    if let Some(free) = free.filter(|&free| free >= count && count > 1) {
        chosen[last] = candidates[free].clone();
    }
    chosen
}

/// Schemes whose magnitudes are no farther apart than this are variants of one.
const VARIANT: f64 = 0.1;

/// The candidates that are no variant of an earlier one; those that need no search stay.
fn without_variants(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let is_variant = |a: &Policy, b: &Policy| {
        let is_close = |(a, b): (&Step, &Step)| a.op == b.op && (a.magnitude - b.magnitude).abs() < VARIANT;
        (a.ranges, a.draws, a.sub_policies.len()) == (b.ranges, b.draws, b.sub_policies.len())
            && a.steps().count() == b.steps().count()
            && a.steps().zip(b.steps()).all(is_close)
    };
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let is_new = || kept.iter().all(|earlier| !is_variant(&earlier.policy, &candidate.policy));
        if candidate.scheme.is_some() || is_new() {
            kept.push(candidate);
        }
    }
    kept
}
