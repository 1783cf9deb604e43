//! Each comparison of a study, with its intervals.

use maud::{Markup, html};

use super::chart::{self, Row};
use super::material::Material;
use super::words::{between, percent, points};
use super::{strategy, subgroups};
use crate::compare::{ComparisonResult, FORMAT, Finding, RankCheck, SEARCHED, SchemeResult, Versus};

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
        (subgroups::shown(comparison))
        @for scheme in &comparison.schemes {
            @if let Some(found) = &scheme.strategy {
                h3 { "What nets found hard under " (name_of(&scheme.name)) }
                (strategy::shown(found, &material.classes))
            }
        }
        @if let Some(check) = &comparison.rank_check { (ranks(check, model)) }
    }
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
pub(super) fn name_of(scheme: &str) -> String {
    if scheme == SEARCHED { "policies found".into() } else { scheme.into() }
}
