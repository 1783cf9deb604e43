//! The effect of each op, as far as rewards tell.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Trial;
use crate::statistics::{LEVEL, RankCorrelation, difference_of_means, mean};

/// How rewards of the trials with an op differ from those without it. A hint, not proof: the search tries more of
/// what it thinks good, and ops come in pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpEffect {
    /// The op.
    pub op: String,
    /// Number of trials with it.
    pub trials: usize,
    /// Their mean reward.
    pub reward: f64,
    /// The highest of their rewards.
    pub best: f64,
    /// Their mean reward above that of the trials without it; absent if all have it.
    pub difference: Option<f64>,
    /// The 95 % interval of that difference, by Welch's t.
    pub interval: Option<(f64, f64)>,
    /// How rewards vary with its magnitude; absent for fewer than three uses.
    pub magnitude: Option<MagnitudeEffect>,
    /// Each use: its magnitude and the trial's reward.
    pub uses: Vec<(f64, f64)>,
}

/// Whether rewards rise or fall with a magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MagnitudeEffect {
    /// Spearman's rank correlation of magnitude and reward.
    pub rho: f64,
    /// The probability of a correlation this large by chance.
    pub p: f64,
}

/// Returns the ops of the trials, by descending mean reward.
pub(super) fn of(trials: &[Trial]) -> Vec<OpEffect> {
    let mut uses: BTreeMap<&str, Vec<(u64, f64, f64)>> = BTreeMap::new();
    for trial in trials {
        for step in trial.policy.sub_policies.iter().flatten() {
            let reward = trial.reward.unwrap_or(f64::NAN);
            uses.entry(&step.op).or_default().push((trial.trial, step.magnitude, reward));
        }
    }
    let mut effects: Vec<OpEffect> = uses
        .into_iter()
        .map(|(op, uses)| {
            let has = |trial: &Trial| uses.iter().any(|(number, ..)| *number == trial.trial);
            let (with, without): (Vec<&Trial>, Vec<&Trial>) = trials.iter().partition(|trial| has(trial));
            let rewards = |trials: &[&Trial]| trials.iter().filter_map(|trial| trial.reward).collect::<Vec<f64>>();
            let (with, without) = (rewards(&with), rewards(&without));
            let (difference, interval) = match without.is_empty() {
                true => (None, None),
                false => {
                    let (difference, interval) = difference_of_means(&with, &without, LEVEL);
                    (Some(difference), interval)
                }
            };
            let uses: Vec<(f64, f64)> = uses.iter().map(|&(_, magnitude, reward)| (magnitude, reward)).collect();
            let (magnitudes, of_uses): (Vec<f64>, Vec<f64>) = uses.iter().copied().unzip();
            OpEffect {
                op: op.to_string(),
                trials: with.len(),
                reward: mean(&with),
                best: with.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                difference,
                interval,
                magnitude: RankCorrelation::of(&magnitudes, &of_uses)
                    .map(|RankCorrelation { rho, p, .. }| MagnitudeEffect { rho, p }),
                uses,
            }
        })
        .collect();
    effects.sort_by(|a, b| b.reward.total_cmp(&a.reward));
    effects
}
