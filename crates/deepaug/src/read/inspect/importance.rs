//! What matters, according to the surrogate.

use std::collections::BTreeSet;

use deepaug_controller::{
    Effect, Explanation, History, LevelValue, Outcome, Point, SearchError, Settings, Space, SpaceError, Value,
};
use serde::Serialize;

use super::Trial;

/// The fewest trials to learn from; with fewer, the curves are flat and the shares are chance.
const MIN_TRIALS: usize = 10;

/// Stands for a missing step in a policy that has fewer steps than others.
const NOTHING: &str = "nothing";

/// How much one choice matters: which ops there are, the magnitude of one of them, the portion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// `op`, `portion`, or `magnitude of` an op.
    pub of: String,
    /// The share of the variance of predicted rewards over all policies that it alone explains, in [0, 1].
    pub share: f64,
    /// The predicted reward for each value: ops by name, numbers ascending.
    pub levels: Vec<Level>,
}

/// One value, and the reward predicted for it over random policies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Level {
    /// The value: the name of an op in one place of the policy, or a number.
    pub value: LevelValue,
    /// The predicted reward.
    pub reward: f64,
    /// The standard deviation of that prediction: the surrogate's uncertainty.
    pub deviation: f64,
}

/// Returns the main effects under the surrogate fitted to the trials (see [`Explanation`]), most important first.
/// Empty for fewer than ten trials, or if all rewards are equal.
pub(super) fn of(trials: &[Trial]) -> Vec<Importance> {
    // Without a fit there is no explanation; the notebook is worth reading all the same.
    let explained = if trials.len() < MIN_TRIALS { None } else { explain(trials).ok().flatten() };
    explained.map(|explanation| explanation.effects.into_iter().map(importance).collect()).unwrap_or_default()
}

fn importance(effect: Effect) -> Importance {
    let level = |level: deepaug_controller::Level| Level {
        value: level.value,
        reward: 1.0 - level.mean,
        deviation: level.deviation,
    };
    let of = match (effect.of, effect.parameters.first()) {
        (Some(op), _) => format!("magnitude of {op}"),
        (None, Some(name)) if name == "portion" => name.clone(),
        _ => "op".into(),
    };
    Importance { of, share: effect.importance, levels: effect.levels.into_iter().map(level).collect() }
}

fn explain(trials: &[Trial]) -> Result<Option<Explanation>, SearchError> {
    // Policies that draw their ops are not points of one shape.
    if trials.iter().any(|trial| trial.policy.whole.as_ref().is_some_and(|policy| policy.in_place)) {
        return Ok(None);
    }
    let steps = || trials.iter().flat_map(|trial| trial.policy.sub_policies.iter().flatten());
    let ops: Vec<&str> = steps().map(|step| step.op.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    // As many steps as the longest policy; a missing step is nothing.
    let mut shape: Vec<usize> = Vec::new();
    for trial in trials {
        shape.resize(shape.len().max(trial.policy.sub_policies.len()), 0);
        shape.iter_mut().zip(&trial.policy.sub_policies).for_each(|(most, steps)| *most = steps.len().max(*most));
    }
    let portion = |trial: &Trial| trial.policy.portion.unwrap_or(1.0);
    let (least, most) = ends(trials.iter().map(portion));
    let has_portion = least < most;
    let places: usize = shape.iter().sum();
    let lacks = trials.iter().any(|trial| trial.policy.sub_policies.iter().flatten().count() < places);
    let mut space = space(&ops, &shape, lacks, ends(steps().map(|step| step.magnitude).chain([0.0, 1.0])))?;
    if has_portion {
        space = space.real("portion", least, most)?;
    }
    let mut history = History::default();
    for trial in trials {
        let Some(reward) = trial.reward else { continue };
        let mut values = Vec::new();
        for (place, &most) in shape.iter().enumerate() {
            let steps = trial.policy.sub_policies.get(place).map(Vec::as_slice).unwrap_or_default();
            for step in (0..most).map(|step| steps.get(step)) {
                let op = step.and_then(|step| ops.binary_search(&step.op.as_str()).ok()).unwrap_or(ops.len());
                values.extend([Value::Category(op), Value::Real(step.map_or(0.0, |step| step.magnitude))]);
            }
        }
        values.extend(has_portion.then(|| Value::Real(portion(trial))));
        history.register(&space, trial.trial, Point(values))?;
        history.tell(trial.trial, Outcome::Cost(1.0 - reward))?;
    }
    Explanation::of(&space, &history, &Settings::default(), 0)
}

/// Returns the space of a notebook's trials, as far as the notebook tells.
fn space(ops: &[&str], shape: &[usize], lacks: bool, (low, high): (f64, f64)) -> Result<Space, SpaceError> {
    let mut space = Space::new();
    let mut groups = Vec::new();
    for (sub_policy, &length) in shape.iter().enumerate() {
        let mut group = Vec::new();
        for place in 0..length {
            let (kind, magnitude) = (format!("{sub_policy}.{place}.op"), format!("{sub_policy}.{place}.magnitude"));
            let choices = ops.iter().copied().chain(lacks.then_some(NOTHING));
            space = space.categorical(&kind, choices)?.real(&magnitude, low, high)?;
            // It tells which magnitude belongs to which op.
            space = space.active_when(&magnitude, &kind, ops)?;
            group.extend([kind, magnitude]);
        }
        groups.push(group);
    }
    if shape.len() > 1 && shape.iter().all(|length| *length == shape[0]) {
        space = space.exchangeable(groups)?;
    }
    Ok(space)
}

/// Returns the lowest and the highest of some numbers.
fn ends(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| (low.min(number), high.max(number)))
}
