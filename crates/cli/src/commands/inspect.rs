//! `deepaug inspect`.

use deepaug::inspect::{Importance, Level, LevelValue, OpEffect};
use deepaug::{Error, Gain, Inspection, RewardKind};

use crate::args::By;
use crate::{args, output};

/// Failures to list by name.
const SHOWN: usize = 3;

pub(crate) fn run(args: &args::Inspect) -> Result<(), Error> {
    let mut found = Inspection::read(&args.path)?;
    if args.json {
        found.ranked.truncate(args.top);
        output::json(&found);
    } else if args.csv {
        let table = match args.by {
            None | Some(By::Policy) => found.csv(args.top),
            Some(By::Op) => found.ops_csv(),
            Some(By::Importance) => found.importance_csv(),
        };
        output::line(table.trim_end());
    } else {
        describe(&found);
        match args.by {
            None | Some(By::Policy) => policies(&found, args.top),
            Some(By::Op) => ops(&found.ops, found.reward),
            Some(By::Importance) => importance(&found.importance, found.reward),
        }
        course(&found);
        failures(&found);
    }
    Ok(())
}

fn describe(found: &Inspection) {
    let trials = found.ranked.len() + usize::from(found.baseline.is_some());
    output::line(format_args!("{}: {trials} trials, {} trainings", found.shape, found.trainings));
    let Some(baseline) = &found.baseline else {
        return output::line("It has no trial 0 (no policy), so gains are unknown.");
    };
    let spread = baseline.deviation.map(|deviation| format!(" ± {deviation:.4}")).unwrap_or_default();
    let (reward, samples) = (baseline.reward.unwrap_or(f64::NAN), baseline.samples.len());
    output::line(format_args!("no policy: {reward:.4}{spread} ({samples} samples)"));
}

/// Formats a gain, where more is better: in points of accuracy, or unchanged.
fn scale(kind: RewardKind) -> impl Fn(f64) -> String {
    move |gain: f64| match kind {
        RewardKind::Accuracy => format!("{:+.2}", 100.0 * gain),
        RewardKind::Score | RewardKind::Loss => format!("{gain:+.4}"),
    }
}

fn policies(found: &Inspection, top: usize) {
    let scaled = scale(found.reward);
    let of = if found.reward == RewardKind::Accuracy { "gain, in points" } else { "gain" };
    output::line(format_args!("\nrank  trial  reward  ± deviation  samples  {of:<31}  policy"));
    for (index, trial) in found.ranked.iter().take(top).enumerate() {
        let deviation = trial.deviation.map(|deviation| format!("± {deviation:.4}")).unwrap_or_default();
        let gain = match (trial.confirmed, trial.increase) {
            (Some(Gain { mean, interval: Some((low, high)), .. }), _) => {
                format!("{} ({} to {}), fresh", scaled(mean), scaled(low), scaled(high))
            }
            (Some(gain), _) => format!("{}, fresh", scaled(gain.mean)),
            (None, Some(increase)) => format!("{increase:+.2} in the search"),
            (None, None) => String::new(),
        };
        let samples = trial.samples.iter().flatten().count();
        let (rank, reward) = (index + 1, trial.reward.unwrap_or(f64::NAN));
        output::line(format_args!(
            "{rank:>4}  {:>5}  {reward:.4}  {deviation:<11}  {samples:>7}  {gain:<31}  {}",
            trial.trial, trial.policy
        ));
    }
}

fn ops(ops: &[OpEffect], kind: RewardKind) {
    let scaled = scale(kind);
    let with = if kind == RewardKind::Accuracy { "with it, in points" } else { "gain with it" };
    output::line(format_args!("\nop                         trials  mean    best    {with:<22} by magnitude"));
    for op in ops {
        let difference = match (op.difference, op.interval) {
            (Some(d), Some((low, high))) => {
                format!("{} ({} to {})", scaled(d), scaled(low), scaled(high))
            }
            (Some(d), None) => scaled(d),
            (None, _) => String::new(),
        };
        let magnitude = match op.magnitude {
            Some(effect) if effect.p < 0.05 && effect.rho > 0.0 => {
                format!("rewards rise (rank correlation {:+.2}, p {:.3})", effect.rho, effect.p)
            }
            Some(effect) if effect.p < 0.05 => {
                format!("rewards fall (rank correlation {:+.2}, p {:.3})", effect.rho, effect.p)
            }
            Some(effect) => format!("no effect seen (p {:.2})", effect.p),
            None => "too few uses".into(),
        };
        output::line(format_args!(
            "{:<25}  {:>6}  {:.4}  {:.4}  {difference:<22}  {magnitude}",
            op.op, op.trials, op.reward, op.best
        ));
    }
}

/// Prints the shares of the predicted variance, and for each the values with the highest and the lowest reward.
fn importance(importance: &[Importance], kind: RewardKind) {
    if importance.is_empty() {
        return output::line("\nToo few trials, or all with the same reward: nothing has been learnt.");
    }
    output::line(
        "\nshare   of                                      best value (reward predicted)             worst value",
    );
    for Importance { of, share, levels } in importance {
        let merit = |level: &Level| kind.merit(level.reward);
        let by_reward = |a: &&Level, b: &&Level| merit(a).total_cmp(&merit(b));
        let show = |level: Option<&Level>| {
            let value = |level: &Level| match &level.value {
                LevelValue::Number(number) => format!("{number:.2}"),
                LevelValue::Choice(op) => op.clone(),
            };
            let level = level.map(|l| format!("{} ({:.4} ± {:.4})", value(l), l.reward, l.deviation));
            level.unwrap_or_default()
        };
        let (best, worst) = (show(levels.iter().max_by(by_reward)), show(levels.iter().min_by(by_reward)));
        output::line(format_args!("{:>4.0} %  {of:<38}  {best:<40}  {worst}", 100.0 * share));
    }
}

fn course(found: &Inspection) {
    let steps: Vec<String> =
        found.course.iter().map(|step| format!("{:.4} (trial {})", step.reward, step.trial)).collect();
    output::line(format_args!("\nbest so far: {}", steps.join(", ")));
}

fn failures(found: &Inspection) {
    if found.overfitted > 0 {
        let (overfitted, all) = (found.overfitted, found.trainings);
        output::line(format_args!("overfitted in every epoch: {overfitted} of {all} trainings"));
    }
    if found.pruned > 0 {
        output::line(format_args!("stopped early and not ranked: {} trainings", found.pruned));
    }
    if !found.failed.is_empty() {
        output::line(format_args!("without a reward: {} trainings", found.failed.len()));
    }
    for failure in found.failed.iter().take(SHOWN) {
        output::line(format_args!("  trial {} sample {}: {}", failure.trial, failure.sample, failure.why));
    }
}
