//! The final race: the best policies of a search, the best scheme that needs no search, and no policy, with seeds
//! that the search has not used.
//!
//! A policy that is clearly behind the leader gets no further seeds, and the others get its share. No policy and
//! the best free scheme stay to the end, because the answer compares with them. What is trained next depends only
//! on what has been trained.

use std::ops::Range;

use deepaug_augmenter::{Policy, Step};

use crate::config::Config;
use crate::statistics::{Paired, mean};
use crate::study::candidate::{Candidate, distinct};
use crate::study::ledger::Ledger;

/// Fresh seeds that every finalist gets before any is dropped.
const MIN_SEEDS: usize = 3;

/// A finalist is behind if a paired t test against the leader has a p-value below this.
const DROPPED_BELOW: f64 = 0.1;

/// A race, and its progress.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Race {
    /// No policy, then the finalists, best first.
    runners: Vec<u64>,
    /// Those that still get seeds.
    alive: Vec<u64>,
    /// The best scheme that needs no search.
    free: Option<u64>,
    /// The first seed that the search has not used.
    first: usize,
    /// Seeds below this have been given out.
    until: usize,
    /// Seeds for each at first, and at most.
    samples: usize,
    most: usize,
    /// Remaining trainings.
    left: usize,
    has_ended: bool,
}

impl Race {
    /// Makes a race of the best of these candidates; `None` if there is nothing to confirm.
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

    /// Returns the policies in it, by trial, starting with the best of the search.
    pub(crate) fn finalists(&self) -> &[u64] {
        &self.runners[1..]
    }

    /// Returns the fresh seeds for each policy that is not dropped.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// Returns the samples given to each runner.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (u64, Range<usize>)> + '_ {
        let (alive, until) = if self.has_ended { (&[][..], self.first) } else { (&self.alive[..], self.until) };
        alive.iter().map(move |&trial| (trial, self.first..until))
    }

    /// Gives out further seeds, provided that all trainings given out have ended.
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
            // One seed at a time shows no spread at first.
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

/// Returns the candidates that are worth fresh seeds, by their rewards in the search: the best, and the best that
/// needs no search, if there is one.
fn finalists(mut candidates: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.reward.total_cmp(&a.reward).then(a.trial.cmp(&b.trial)));
    let is_in_place = candidates.iter().any(|candidate| candidate.policy.in_place);
    // Variants of one policy add nothing to a race, nor to policies that make copies and are used together.
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

/// Schemes whose magnitudes differ by less than this are variants of each other.
const VARIANT: f64 = 0.1;

/// Returns the candidates that are not a variant of an earlier one; those that need no search stay.
fn without_variants(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let is_variant = |a: &Policy, b: &Policy| {
        let is_close = |(a, b): (&Step, &Step)| a.op == b.op && (a.magnitude - b.magnitude).abs() < VARIANT;
        (a.ranges, a.draws, a.sub_policies.len()) == (b.ranges, b.draws, b.sub_policies.len())
            && (&a.counts, &a.earlier) == (&b.counts, &b.earlier)
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
