//! Each comparison of a study, with its intervals.

use maud::{Markup, html};

use super::chart::{self, Line, Row};
use super::material::Material;
use super::strategy;
use super::words::{between, percent, points};
use crate::compare::{ComparisonResult, FORMAT, Finding, GroupAccuracy, RankCheck, SEARCHED, SchemeResult, Versus};

/// Shows each comparison with its intervals.
pub(super) fn all(material: &Material) -> Markup {
    html! {
        h2 { "Does it help?" }
        @if material.comparisons.is_empty() {
            p {
                "The policies have not been compared on test images yet. "
                code { "deepaug compare " (material.study.display()) }
                " trains a final model with them and with schemes that need no search, with equal seeds."
            }
        }
        @for comparison in &material.comparisons { (compared(comparison, material)) }
    }
}

fn compared(comparison: &ComparisonResult, material: &Material) -> Markup {
    let none = comparison.schemes.iter().find(|scheme| scheme.name == "none");
    let row = |scheme: &SchemeResult| {
        let gain = scheme.gain?;
        let interval = gain.interval.map(|(low, high)| (100.0 * low, 100.0 * high));
        let note = format!("{}  ({})", points(gain.mean, 1), percent(scheme.mean?));
        Some(Row {
            name: name_of(&scheme.name),
            note,
            value: 100.0 * gain.mean,
            interval,
            is_subject: scheme.name == SEARCHED,
        })
    };
    let rows: Vec<Row> = comparison.schemes.iter().filter_map(row).collect();
    let base = none.and_then(|none| none.mean).map(percent).unwrap_or_default();
    let (model, seeds) = (&comparison.model, comparison.seeds);
    html! {
        h3 { (model) ", " (comparison.train_images) " training images, " (comparison.settings.epochs) " epochs, " (seeds) " seeds" }
        @if !rows.is_empty() {
            figure {
                (chart::intervals(&rows, "", Some(&format!("no augmentation: {base}"))))
                figcaption {
                    "Points of accuracy on " (comparison.test_images) " test images above no augmentation, "
                    "with 95 % intervals (Student's t, paired by seed); the accuracy is in parentheses. "
                    "Every scheme took the same number of steps. The search never saw the test images."
                }
            }
        }
        table {
            tr {
                th { "the policies found, against" } th.number { "points" } th.number { "95 % interval" }
                th.number { "p, corrected" } th { "verdict" }
            }
            @for versus in &comparison.versus {
                tr {
                    td { (what(comparison, &versus.baseline)) }
                    td.number { (points(versus.difference.mean, 2)) }
                    td.number {
                        @if let Some(interval) = versus.difference.interval { (between(interval, 2)) }
                    }
                    td.number { @if let Some(p) = versus.p_corrected { (format!("{p:.3}")) } }
                    td { (verdict(versus)) }
                }
            }
        }
        @if comparison.format < FORMAT {
            p { "This comparison was made by an older version of deepaug. If the study has finish = false, "
                "its baselines were shifted, mirrored and covered while the policies found were not: "
                "the difference then reflects the finish. Compare again." }
        }
        p.soft {
            "p and intervals are from paired t tests, corrected for " (comparison.versus.len())
            " comparisons (Bonferroni)."
        }
        (by_group(comparison))
        @for scheme in &comparison.schemes {
            @if let Some(found) = &scheme.strategy {
                h3 { "What nets found hard under " (name_of(&scheme.name)) }
                (strategy::shown(found, &material.classes))
            }
        }
        @if let Some(check) = &comparison.rank_check { (ranks(check, model)) }
    }
}

/// The classes of lines; so many are drawn.
const LINES: [&str; 5] = ["op-1", "op-2", "op-3", "op-4", "op-5"];

/// Shows how groups of images fared, those of one class and one subgroup.
fn by_group(comparison: &ComparisonResult) -> Markup {
    let row = |scheme: &SchemeResult| {
        let worst = scheme.worst_group.as_ref()?;
        let gain = worst.gain.map(|gain| format!("  ({} over none)", points(gain.mean, 1))).unwrap_or_default();
        Some(Row {
            name: name_of(&scheme.name),
            note: format!("{}{gain}", percent(worst.mean)),
            value: 100.0 * worst.mean,
            interval: worst.interval.map(|(low, high)| (100.0 * low, 100.0 * high)),
            is_subject: scheme.name == SEARCHED,
        })
    };
    let rows: Vec<Row> = comparison.schemes.iter().filter_map(row).collect();
    let Some(first) = comparison.schemes.iter().find(|scheme| !scheme.groups.is_empty()) else { return html! {} };
    let shown: Vec<&SchemeResult> = comparison.schemes.iter().filter(|scheme| !scheme.groups.is_empty()).collect();
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
                    @for scheme in &shown { th.number { (name_of(&scheme.name)) } }
                }
                @for (number, group) in first.groups.iter().enumerate() {
                    tr {
                        td { (group.class) } td { (group.subgroup) }
                        td.number { (group.train_images) } td.number { (group.test_images) }
                        @for scheme in &shown {
                            td.number { @if let Some(mean) = scheme.groups.get(number).and_then(|group| group.mean) { (percent(mean)) } }
                        }
                    }
                }
            }
        }
        @for scheme in &shown {
            @if let Some(last) = scheme.group_weights.last().filter(|last| **last != scheme.group_weights[0]) {
                @let lines = weights(scheme, last);
                @let lines: Vec<Line<'_>> = lines.iter().zip(LINES).map(|((name, points), class)| Line::new(name, class, points.clone())).collect();
                figure {
                    (chart::lines(&lines, "epoch", "weight"))
                    figcaption { "What the loss of the heaviest groups counted under " (name_of(&scheme.name)) ", of 1 in all." }
                }
            }
        }
    }
}

/// Returns the course of the weights of the groups that are heaviest at the end.
fn weights(scheme: &SchemeResult, last: &[f64]) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut order: Vec<usize> = (0..last.len()).filter(|&group| last[group] > 0.0).collect();
    order.sort_by(|&a, &b| last[b].total_cmp(&last[a]));
    // Groups are listed without those that have no image.
    let listed: Vec<usize> = (0..last.len()).filter(|&group| last[group] > 0.0).collect();
    let trained: Vec<&GroupAccuracy> = scheme.groups.iter().filter(|group| group.train_images > 0).collect();
    let name = |group: usize| {
        let place = listed.iter().position(|&other| other == group);
        let group = place.and_then(|place| trained.get(place));
        group.map(|group| format!("{}, {}", group.class, group.subgroup)).unwrap_or_default()
    };
    let course = |group: usize| -> Vec<(f64, f64)> {
        let epochs = scheme.group_weights.iter().enumerate();
        epochs.filter_map(|(epoch, weights)| Some((epoch as f64 + 1.0, *weights.get(group)?))).collect()
    };
    order.into_iter().take(LINES.len()).map(|group| (name(group), course(group))).collect()
}

fn what(comparison: &ComparisonResult, name: &str) -> Markup {
    let words = comparison.schemes.iter().find(|scheme| scheme.name == name).map(|scheme| scheme.what.as_str());
    html! { (name) @if let Some(words) = words { br; span.soft { (words) } } }
}

fn verdict(versus: &Versus) -> String {
    match versus.verdict {
        Finding::Better => "better".into(),
        Finding::Worse => "worse".into(),
        Finding::Unknown => "unknown".into(),
        Finding::NoDifference => match versus.seeds_needed {
            Some(needed) => format!("no difference shown; {needed} seeds would be needed"),
            None => "no difference".into(),
        },
    }
}

fn ranks(check: &RankCheck, model: &str) -> Markup {
    let words = check.correlation.map(|found| {
        format!(
            "rank correlation {:+.2} (p {:.3}) over {} policies from both ends of the search's ranking",
            found.rho, found.p, found.count
        )
    });
    html! {
        h3 { "Does " (model) " rank policies as the child does?" }
        p { (words.unwrap_or_else(|| "too few policies to tell".into())) "." }
        table {
            tr { th { "trial" } th.number { "reward in the search" } th.number { "accuracy on test images" } }
            @for trial in &check.trials {
                tr {
                    td { (trial.trial) }
                    td.number { (format!("{:.4}", trial.reward)) }
                    td.number { @if let Some(accuracy) = trial.accuracy { (format!("{accuracy:.4}")) } }
                }
            }
        }
    }
}

/// Returns a scheme's name on the page.
fn name_of(scheme: &str) -> String {
    if scheme == SEARCHED { "policies found".into() } else { scheme.into() }
}
