//! How groups of images fared, those of one class and one subgroup.

use maud::{Markup, html};

use super::chart::{self, Line, Row, SERIES};
use super::comparisons::name_of;
use super::words::{percent, points};
use crate::compare::{ComparisonResult, GroupAccuracy, SEARCHED, SchemeResult};

/// Shows the worst group and all groups under each scheme; nothing if subgroups are not known.
pub(super) fn shown(comparison: &ComparisonResult) -> Markup {
    let schemes: Vec<&SchemeResult> = comparison.schemes.iter().filter(|scheme| !scheme.groups.is_empty()).collect();
    let Some(first) = schemes.first() else { return html! {} };
    let rows: Vec<Row> = schemes.iter().filter_map(|scheme| worst(scheme)).collect();
    html! {
        h3 { "By subgroup" }
        figure {
            (chart::intervals(&rows, " %", None))
            figcaption {
                "Accuracy on the test images of the group that fares worst, the images of one class and one subgroup, with 95 % "
                "intervals over seeds. Which group that is may differ from seed to seed."
            }
        }
        div.map {
            table {
                tr {
                    th { "class" } th { "subgroup" } th.number { "to learn from" } th.number { "test" }
                    @for scheme in &schemes { th.number { (name_of(&scheme.name)) } }
                }
                @for (number, group) in first.groups.iter().enumerate() {
                    tr {
                        td { (group.class) } td { (group.subgroup) }
                        td.number { (group.train_images) } td.number { (group.test_images) }
                        @for mean in schemes.iter().map(|scheme| scheme.groups.get(number).and_then(|group| group.mean)) {
                            td.number { @if let Some(mean) = mean { (percent(mean)) } }
                        }
                    }
                }
            }
        }
        @for scheme in &schemes { (weights(scheme)) }
    }
}

fn worst(scheme: &SchemeResult) -> Option<Row> {
    let worst = scheme.worst_group.as_ref()?;
    let gain = worst.gain.map(|gain| format!("  ({} over none)", points(gain.mean, 1))).unwrap_or_default();
    Some(Row {
        name: name_of(&scheme.name),
        note: format!("{}{gain}", percent(worst.mean)),
        value: 100.0 * worst.mean,
        interval: worst.interval.map(|(low, high)| (100.0 * low, 100.0 * high)),
        is_subject: scheme.name == SEARCHED,
    })
}

/// Shows the course of the weights of the groups that are heaviest at the end, if weights moved.
fn weights(scheme: &SchemeResult) -> Markup {
    let moved = |group: &GroupAccuracy| group.weights.first() != group.weights.last();
    if !scheme.groups.iter().any(moved) {
        return html! {};
    }
    let last = |group: &GroupAccuracy| group.weights.last().copied().unwrap_or(0.0);
    let mut groups: Vec<&GroupAccuracy> = scheme.groups.iter().collect();
    groups.sort_by(|a, b| last(b).total_cmp(&last(a)));
    let named: Vec<(String, &GroupAccuracy)> = groups
        .iter()
        .take(SERIES.len())
        .map(|group| (format!("{}, {}", group.class, group.subgroup), *group))
        .collect();
    let line = |((name, group), class)| {
        let (name, group): (&String, &GroupAccuracy) = (name, group);
        let points = group.weights.iter().enumerate().map(|(epoch, &weight)| (epoch as f64 + 1.0, weight));
        Line::new(name, class, points.collect())
    };
    let lines: Vec<Line<'_>> = named.iter().map(|(name, group)| (name, *group)).zip(SERIES).map(line).collect();
    html! {
        figure {
            (chart::lines(&lines, "epoch", "weight"))
            figcaption { "What the loss of the heaviest groups counted under " (name_of(&scheme.name)) ", of 1 in all." }
        }
    }
}
