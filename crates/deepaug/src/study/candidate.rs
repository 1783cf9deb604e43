//! A trial as a candidate for use: its measured reward, and its rank among others.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use deepaug_augmenter::{Policy, SubPolicy};
use deepaug_controller::Point;
use serde::{Deserialize, Serialize};

use crate::config::RewardKind;
use crate::reward::Reward;
use crate::statistics::Paired;

/// A difference in validation accuracy from no policy, over trainings paired by their seeds: of the mean of the K
/// highest accuracies, overfitting or not. The reward would not do: its tolerance compares validation accuracy
/// with accuracy on augmented images, which is lower by itself, so it drops epochs of the unaugmented trainings
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The mean of the paired differences.
    pub mean: f64,
    /// The 95 % interval of that mean by Student's t, widened for the number of policies compared (Bonferroni);
    /// absent for fewer than two pairs, and if all differences are equal.
    pub interval: Option<(f64, f64)>,
    /// Number of pairs.
    pub pairs: usize,
    /// The mean accuracy of the baseline in those pairs; absent in results of older versions.
    #[serde(default)]
    pub baseline: Option<f64>,
    /// The kind of reward.
    #[serde(default, skip_serializing_if = "is_accuracy")]
    pub kind: RewardKind,
}

fn is_accuracy(kind: &RewardKind) -> bool {
    *kind == RewardKind::Accuracy
}

impl Gain {
    /// Returns the gain of `accuracies` over `baseline`, both by sample, as one of `comparisons` simultaneous
    /// comparisons; samples missing in either are left out.
    pub fn paired(accuracies: &[Option<f64>], baseline: &[Option<f64>], comparisons: usize) -> Option<Self> {
        let Paired { mean, interval, pairs, .. } = Paired::of_several(accuracies, baseline, comparisons)?;
        let of_pairs: Vec<Option<f64>> =
            accuracies.iter().zip(baseline).map(|(accuracy, &base)| accuracy.and(base)).collect();
        Some(Self { mean, interval, pairs, baseline: mean_of_present(&of_pairs), kind: RewardKind::Accuracy })
    }

    /// Converts the gain to another kind of reward.
    pub fn of(self, kind: RewardKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns the two rewards whose difference is the gain, its own and the baseline's, for people: those in
    /// percent are rounded so that they add up as shown.
    pub fn rewards(&self) -> Option<[String; 2]> {
        let shown = |share: f64| (10_000.0 * share).round() / 10_000.0;
        let baseline = self.baseline?;
        let own = match self.kind {
            RewardKind::Accuracy => shown(baseline) + shown(self.mean),
            RewardKind::Score | RewardKind::Loss => baseline + self.mean,
        };
        Some([self.kind.words(own), self.kind.words(baseline)])
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, interval, pairs, kind, .. } = *self;
        write!(f, "{}{}", kind.difference(mean), kind.unit())?;
        match interval {
            Some((low, high)) => {
                // The ends of an interval of losses swap.
                let ends = if kind == RewardKind::Loss { [high, low] } else { [low, high] };
                let [low, high] = ends.map(|end| kind.difference(end));
                write!(f, " (95 %: {low} to {high}, {pairs} seeds)")
            }
            None if pairs == 1 => write!(f, " (one seed)"),
            None => write!(f, " (the same with each of {pairs} seeds, too few for an interval)"),
        }
    }
}

/// A trial as a candidate for use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The trial's number; 0 has no policy.
    pub trial: u64,
    /// Its name, if it needs no search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Its policy.
    pub policy: Policy,
    #[serde(skip)]
    pub(crate) point: Point,
    /// The mean reward of the search's trainings, 0 if all failed.
    pub reward: f64,
    /// Their rewards, by sample; absent if a training failed.
    pub samples: Vec<Option<Reward>>,
    /// The same for the trainings with fresh seeds; empty unless the policy was confirmed.
    pub fresh: Vec<Option<Reward>>,
    /// The gain over no policy in the search; too high for the best of many.
    pub search_gain: Option<Gain>,
    /// The gain over no policy with fresh seeds.
    pub fresh_gain: Option<Gain>,
    /// The epoch after which its first sample was stopped and the others left out, if so.
    #[serde(rename = "behind")]
    pub pruned: Option<usize>,
}

impl Candidate {
    pub(crate) fn standing(&self) -> Standing {
        (self.fresh.len(), self.fresh_gain, self.reward)
    }

    pub(crate) fn new(trial: u64, policy: Policy, point: Point, samples: Vec<Option<Reward>>) -> Self {
        let reward = mean_reward(&samples).unwrap_or(0.0);
        let (scheme, fresh, search_gain, fresh_gain, pruned) = Default::default();
        Self { trial, scheme, policy, point, reward, samples, fresh, search_gain, fresh_gain, pruned }
    }

    /// Returns whether it was measured to the end, so that it can be compared with others.
    pub(crate) fn is_usable(&self) -> bool {
        !self.has_failed() && self.pruned.is_none()
    }

    /// Returns its gains over a baseline, in the search and with fresh seeds, the latter as one of `confirmed` policies
    /// that were confirmed.
    pub(crate) fn gains(&self, baseline: &Self, confirmed: usize, kind: RewardKind) -> [Option<Gain>; 2] {
        let gain =
            |samples: &[_], base: &[_], n| Some(Gain::paired(&accuracies(samples), &accuracies(base), n)?.of(kind));
        [gain(&self.samples, &baseline.samples, 1), gain(&self.fresh, &baseline.fresh, confirmed)]
    }

    /// Returns whether every training of the search failed.
    pub fn has_failed(&self) -> bool {
        self.samples.iter().all(Option::is_none)
    }
}

/// Returns those candidates, given best first, whose ops no better one has. A search ends among variants of its
/// best policy, whose magnitudes make less difference than luck; used together, as policies are, they would add
/// nothing to one another.
pub(crate) fn distinct<T>(candidates: Vec<T>, policy: impl Fn(&T) -> &Policy) -> Vec<T> {
    let mut seen = HashSet::new();
    let ops = |candidate: &T| {
        let sorted = |sub_policy: &SubPolicy| {
            let mut names: Vec<&str> = sub_policy.ops.iter().map(|step| step.op.name()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        let mut all: Vec<String> = policy(candidate).sub_policies.iter().map(sorted).collect();
        all.sort_unstable();
        all
    };
    candidates.into_iter().filter(|candidate| seen.insert(ops(candidate))).collect()
}

/// What a trial is ranked by: its number of fresh seeds, the gain that they show, and the reward of the search.
pub(crate) type Standing = (usize, Option<Gain>, f64);

/// Orders trials: those with fresh seeds come first, and of them those that were never dropped.
pub(crate) fn best_first(a: Standing, b: Standing) -> Ordering {
    let gain = |standing: Standing| standing.1.map_or(f64::NEG_INFINITY, |gain| gain.mean);
    b.0.cmp(&a.0).then(gain(b).total_cmp(&gain(a))).then(b.2.total_cmp(&a.2))
}

/// Returns the mean reward over the samples that have one.
pub(crate) fn mean_reward(samples: &[Option<Reward>]) -> Option<f64> {
    mean_of_present(&samples.iter().map(|reward| Some(reward.as_ref()?.value)).collect::<Vec<_>>())
}

/// Returns the accuracies that gains are stated in.
pub(crate) fn accuracies(samples: &[Option<Reward>]) -> Vec<Option<f64>> {
    samples.iter().map(|reward| Some(reward.as_ref()?.top_k)).collect()
}

/// Returns the mean of the values that are present.
pub(crate) fn mean_of_present(values: &[Option<f64>]) -> Option<f64> {
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
}
