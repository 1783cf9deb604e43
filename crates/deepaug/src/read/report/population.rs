//! How a population came to its schedule.

use deepaug_augmenter::{Op, Policy};
use maud::{Markup, html};

use super::chart::{self, Area, Descent};
use super::material::Material;

/// The classes of the areas of ops; so many are drawn, and the others as one.
const OPS: [&str; 5] = ["op-1", "op-2", "op-3", "op-4", "op-5"];

/// Shows who took over from whom, and what the winner's policies did epoch by epoch.
pub(super) fn course(material: &Material) -> Markup {
    let (record, epochs) = (&material.population, material.config.epochs());
    let Some((winner, _)) = record.best(epochs) else { return html! {} };
    let Some(schedule) = record.schedule(winner, epochs) else { return html! {} };
    let mut descent = Descent {
        members: record.members(),
        epochs,
        scores: Vec::new(),
        takeovers: Vec::new(),
        line: record.line(winner, epochs),
    };
    for (from, member, outcome) in record.parts() {
        for epoch in outcome.history().iter().flat_map(|history| &history.epochs) {
            descent.scores.push((member, epoch.epoch, epoch.val_acc));
        }
        let assigned = record.policy(member, from).filter(|(since, ..)| *since == from);
        descent.takeovers.extend(assigned.and_then(|(_, donor, _)| Some((from, donor?, member))));
    }
    let areas = areas(&schedule, epochs);
    let every = match material.config.interval {
        1 => "epoch".into(),
        epochs => format!("{epochs} epochs"),
    };
    html! {
        h2 { "How the population came to its schedule" }
        figure {
            (chart::descent(&descent))
            figcaption {
                (record.members()) " children trained side by side, one line each; the darker, the higher its validation accuracy. "
                "After every " (every) " the worst quarter took over the nets of the best, with changed policies. The marked "
                "line leads to the best child at the end: its policies are the schedule."
            }
        }
        @if areas.iter().any(|area| area.heights.iter().any(|&height| height > 0.0)) {
            figure {
                (chart::areas(&areas, "epoch", "probability × magnitude"))
                figcaption {
                    "What the schedule does: the probability of each op times its magnitude, summed over its slots. An image gets "
                    "no more than " (schedule.counts.len().saturating_sub(1)) " of them."
                }
            }
        } @else {
            p { "The best child never left the policy that does nothing." }
        }
    }
}

/// Returns the weights of the strongest ops, and of all others together, in each epoch.
fn areas(schedule: &Policy, epochs: usize) -> Vec<Area> {
    let weight = |op: Option<Op>, epoch: usize| -> f64 {
        let steps = schedule.at(epoch, epochs).steps();
        steps.filter(|step| op.is_none_or(|op| step.op == op)).map(|step| step.probability * step.magnitude).sum()
    };
    let all = |op: Op| (0..epochs).map(|epoch| weight(Some(op), epoch)).sum::<f64>();
    let mut ops: Vec<(Op, f64)> = Op::ALL.into_iter().map(|op| (op, all(op))).filter(|(_, all)| *all > 0.0).collect();
    ops.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut areas: Vec<Area> = Vec::new();
    for (&(op, _), class) in ops.iter().zip(OPS) {
        let heights = (0..epochs).map(|epoch| weight(Some(op), epoch)).collect();
        areas.push(Area { name: op.name().into(), class, heights });
    }
    if ops.len() > OPS.len() {
        let drawn = |epoch: usize| areas.iter().map(|area| area.heights[epoch]).sum::<f64>();
        let heights = (0..epochs).map(|epoch| (weight(None, epoch) - drawn(epoch)).max(0.0)).collect();
        areas.push(Area { name: format!("{} others", ops.len() - OPS.len()), class: "none", heights });
    }
    areas
}
