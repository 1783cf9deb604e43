//! What ops do to a net that has not been trained with them.

use std::path::Path;

use maud::{Markup, html};

use super::chart;
use super::material::Material;
use super::shell;
use super::words::percent;
use crate::error::Error;
use crate::explain::{Change, Explanation, Finding};
use crate::files::write_whole;

/// Columns and rows of the map; more would not be read.
const CLASSES: usize = 24;
const OPS: usize = 30;
/// The loss that has the full colour, in nats.
const FULL: f64 = 2.0;

/// Shows it if it has been computed.
pub(super) fn shown(material: &Material) -> Markup {
    match &material.explanation {
        Some(explanation) => html! { h2 { "What each op does to each class" } (body(explanation)) },
        None => html! {},
    }
}

/// Writes an explanation as a page of its own.
///
/// # Errors
/// [`Error::File`].
pub fn write_explanation(explanation: &Explanation, of: &str, to: &Path) -> Result<(), Error> {
    let page = shell(
        &format!("What ops do to {of}"),
        html! {
            h1 { "What each op does to each class of " (of) } (body(explanation))
        },
    );
    write_whole(to, page.into_string().as_bytes())
}

fn body(explanation: &Explanation) -> Markup {
    let Explanation { accuracy, images, draws, changes, harmful, helpful, .. } = explanation;
    let whole = changes.iter().find(|change| change.op.is_none());
    let dots = changes.iter().filter(|change| change.op.is_some());
    let dots: Vec<_> = dots.map(|change| (change.all.shift, change.all.variance, change.name())).collect();
    html! {
        p {
            "A net trained without augmentation reads " (percent(*accuracy)) " of " (images) " images right that it has not learnt from. "
            "Here each of them was changed " (draws) " times by every op."
        }
        @if !harmful.is_empty() { h3 { "What costs most" } (list(harmful)) }
        @if !helpful.is_empty() { h3 { "What adds variety and is still read as before" } (list(helpful)) }
        @if let Some(whole) = whole {
            p {
                "The whole policy adds " (loss(whole.all.cost)) " to a loss of " (loss(whole.all.loss)) ": " (loss(whole.all.shift))
                " because images move away from their class, " (loss(whole.all.variance)) " because they vary, and "
                (loss(whole.all.remainder())) " that these two do not account for. " (percent(whole.all.changed))
                " of the changed images are read otherwise than before."
            }
        }
        (map(explanation))
        @if !dots.is_empty() {
            figure {
                (chart::scatter(&dots, "shift: loss of the mean version", "variance: penalty"))
                figcaption {
                    "One dot for each op and magnitude. Far to the right, images leave their class; high up and near zero, they "
                    "vary about where they were: what regularises a net that is trained with them."
                }
            }
        }
    }
}

fn list(findings: &[Finding]) -> Markup {
    html! { ul { @for finding in findings { li { (finding.words) } } } }
}

fn loss(value: f64) -> String {
    format!("{value:.2}")
}

/// Draws the cost by op and class, each op at its highest magnitude.
fn map(explanation: &Explanation) -> Markup {
    let strongest = |change: &&Change| {
        let others = explanation.changes.iter().filter(|other| other.op == change.op);
        others.filter_map(|other| other.magnitude).all(|magnitude| Some(magnitude) <= change.magnitude)
    };
    let rows: Vec<&Change> = explanation.changes.iter().filter(strongest).take(OPS).collect();
    let classes = &explanation.classes[..explanation.classes.len().min(CLASSES)];
    let left = explanation.classes.len() - classes.len();
    let about = |change: &Change, class: usize| {
        let terms = &change.by_class[class];
        let mistaken = change.mistaken[class]
            .map(|mistaken| format!(", {} read as {}", percent(mistaken.share), explanation.classes[mistaken.class]));
        format!(
            "{} {}: loss {:+.2}{}",
            change.name(),
            explanation.classes[class],
            terms.cost,
            mistaken.unwrap_or_default()
        )
    };
    html! {
        figure {
            div.map {
                table {
                    tr { th { } th.number { "all" } @for class in classes { th { span { (class) } } } }
                    @for change in &rows {
                        tr {
                            td { (change.name()) }
                            td.number { (format!("{:+.2}", change.all.cost)) }
                            @for class in 0..classes.len() {
                                td.cell title=(about(change, class)) style=(colour(change.by_class[class].cost)) {}
                            }
                        }
                    }
                }
            }
            figcaption {
                "What each op, at the highest magnitude looked at, adds to the net's loss on each class, in nats: the darker the more, from 0 to "
                (FULL) " and above; blue where it makes the class easier to read."
                @if left > 0 { " " (left) " classes are in explanation.csv only." }
            }
        }
    }
}

fn colour(cost: f64) -> String {
    let strength = (cost.abs() / FULL).min(1.0);
    let rgb = if cost >= 0.0 { "180, 35, 24" } else { "11, 107, 203" };
    format!("background: rgba({rgb}, {strength:.2})")
}
