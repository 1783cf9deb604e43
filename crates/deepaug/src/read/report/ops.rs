//! The effects of ops and magnitudes, and what the surrogate has learnt about them.

use deepaug_augmenter::Op;
use maud::{Markup, html};

use super::chart::{self, Area, Row};
use super::material::Material;
use super::words::{percent, signed};
use crate::read::inspect::Inspection;
use crate::read::inspect::{Importance, OpEffect};

/// Maximum number of ops whose rewards are drawn by magnitude.
const OPS: usize = 20;
/// Maximum number of choices listed by importance.
const MATTERS: usize = 8;

/// Returns the weights of the weightiest ops, and of all others together, in each epoch.
pub(super) fn areas(epochs: usize, weight: &dyn Fn(Op, usize) -> f64) -> Vec<Area> {
    let course = |op: Op| (op.name().to_string(), (0..epochs).map(|epoch| weight(op, epoch)).collect());
    weightiest(epochs, Op::ALL.into_iter().map(course).collect())
}

/// Returns the weightiest of some courses, and all others together.
pub(super) fn weightiest(epochs: usize, mut courses: Vec<(String, Vec<f64>)>) -> Vec<Area> {
    courses.retain(|(_, heights)| heights.iter().any(|&height| height > 0.0));
    let total = |heights: &[f64]| heights.iter().sum::<f64>();
    courses.sort_by(|a, b| total(&b.1).total_cmp(&total(&a.1)));
    let others = courses.split_off(courses.len().min(chart::SERIES.len()));
    let drawn = courses.into_iter().zip(chart::SERIES);
    let mut areas: Vec<Area> = drawn.map(|((name, heights), class)| Area { name, class, heights }).collect();
    if !others.is_empty() {
        let heights = (0..epochs).map(|epoch| others.iter().map(|(_, heights)| heights[epoch]).sum()).collect();
        areas.push(Area { name: format!("{} others", others.len()), class: "none", heights });
    }
    areas
}

/// Shows the effect of each op.
pub(super) fn effects(material: &Material) -> Markup {
    let notebook = &material.notebook;
    // What comes out of trainings are few policies, which have all ops.
    if notebook.ops.is_empty() || material.config.method.looks_into_trainings() {
        return html! {};
    }
    let mut compared: Vec<_> = notebook.ops.iter().filter(|op| op.interval.is_some()).collect();
    compared.sort_by(|a, b| b.difference.unwrap_or(0.0).total_cmp(&a.difference.unwrap_or(0.0)));
    let row = |op: &&OpEffect| {
        let interval = op.interval.map(|(low, high)| (100.0 * low, 100.0 * high));
        let value = 100.0 * op.difference.unwrap_or(0.0);
        Row {
            name: op.op.clone(),
            note: format!("{}  in {}", signed(value, 1), op.trials),
            value,
            interval,
            is_subject: false,
        }
    };
    let rows: Vec<Row> = compared.iter().map(row).collect();
    let rewards: Vec<f64> = notebook.ranked.iter().filter_map(|trial| trial.reward).collect();
    let low = rewards.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let base = notebook.baseline.as_ref().and_then(|trial| trial.reward);
    let mut most_used: Vec<_> = notebook.ops.iter().collect();
    most_used.sort_by_key(|op| std::cmp::Reverse(op.uses.len()));
    most_used.truncate(OPS);
    html! {
        h2 { "Ops and magnitudes" }
        @if !rows.is_empty() {
            figure {
                (chart::intervals(&rows, "", Some("policies without it")))
                figcaption {
                    "Difference in reward, in points, between policies with an op and those without it, "
                    "with 95 % intervals (Welch), and in how many policies it was. A hint, not proof: ops come "
                    "in pairs, and the search tries more of what it likes."
                }
            }
        }
        (importance(notebook))
        h3 { "Reward by magnitude" }
        div.grid-of-ops {
            @for op in &most_used {
                @let name = format!("magnitude of {}", op.op);
                @let learnt = notebook.importance.iter().find(|learnt| learnt.of == name);
                @let curve = learnt.map(|learnt| learnt.levels.as_slice()).unwrap_or_default();
                div { (op.op) (chart::magnitudes(&op.uses, curve, low, high, base)) }
            }
        }
        p.soft {
            "All share one scale of rewards; the dashed line is no policy, the other is what the "
            "surrogate predicts for random policies with the op at that magnitude, with its standard deviation."
        }
    }
}

/// Shows what matters, as the surrogate has learnt it.
fn importance(notebook: &Inspection) -> Markup {
    let most: Vec<&Importance> = notebook.importance.iter().take(MATTERS).collect();
    let row = |learnt: &&Importance| Row {
        name: if learnt.of == "op" { "which op".into() } else { learnt.of.clone() },
        note: percent(learnt.share),
        value: 100.0 * learnt.share,
        interval: None,
        is_subject: false,
    };
    let rows: Vec<Row> = most.iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            h3 { "What matters most" }
            figure {
                (chart::intervals(&rows, " %", None))
                figcaption {
                    "Shares of the variance of predicted rewards over all policies, each explained by one choice "
                    "alone (functional analysis of variance, first order): which op is in a place, or how strong one op is. "
                    code { "deepaug inspect " (notebook.notebook.display()) " --by importance" } " lists all of them."
                }
            }
        }
    }
}
