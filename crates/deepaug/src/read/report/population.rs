//! How a population came to its schedule.

use deepaug_augmenter::Policy;
use maud::{Markup, html};

use super::chart::{self, Area, Descent};
use super::material::Material;
use super::ops;

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

/// Returns the strength of each op in each epoch.
fn areas(schedule: &Policy, epochs: usize) -> Vec<Area> {
    ops::areas(epochs, &|op, epoch| {
        let steps = schedule.at(epoch, epochs).steps().filter(|step| step.op == op);
        steps.map(|step| step.probability * step.magnitude).sum()
    })
}
