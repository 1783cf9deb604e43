//! Model patching, as a page.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::chart::{self, Line, Row, SERIES};
use super::shell;
use super::words::{between, percent, points, time_of};
use crate::error::Error;
use crate::files::write_whole;
use crate::layout;
use crate::patch::{ArmResult, Group, KEPT, PatchResult, TAKEN, TranslatorRecord};

/// Writes how every group of images fares under every arm, and what translations look like.
///
/// # Errors
/// [`Error::File`].
pub fn write_patch(result: &PatchResult, data: &str, folder: &Path, to: &Path) -> Result<(), Error> {
    let [train, validation, test] = result.images;
    let page = shell(
        &format!("How every subgroup of {data} fares"),
        html! {
            h1 { "How every subgroup of " (data) " fares" }
            p { b { (result.sentence) } }
            @for warning in &result.warnings { p { b { "Note: " } (warning) "." } }
            p {
                (result.model) ", trained on " (train) " images; of " (validation) " others the worst group chose the epoch of each training, "
                "and what follows is of " (test) " test images that decided nothing. " (time_of(result.seconds)) " of training."
                @if result.failed > 0 { " Trainings that failed: " (result.failed) "." }
            }
            (worst(result))
            (groups(result))
            @if let Some(translator) = &result.translator { (translations(translator, result, folder)) }
            (courses(result))
            h2 { "How to use it" }
            ul {
                @for file in &result.files { li { code { (file.display()) } } }
                li { code { "groups.csv" } ": the accuracy of every group in every training; " code { "weights.csv" } ": the weights, epoch by epoch" }
            }
            p {
                code { "model.py" } " is the net of the best arm as a PyTorch module, which loads " code { "model.safetensors" } ". "
                @if result.files.iter().any(|file| file.ends_with("translators.py")) {
                    code { "translators.py" } " has the translations, and " code { "Translated" } " in it is an augmentation for torchvision's transforms."
                }
            }
        },
    );
    write_whole(to, page.into_string().as_bytes())
}

fn worst(result: &PatchResult) -> Markup {
    let row = |arm: &ArmResult| {
        let worst = arm.worst.as_ref()?;
        let gain = worst.gain.and_then(|gain| gain.interval.map(|interval| (gain.mean, interval)));
        let gain = gain.map(|(mean, interval)| format!("  {} ({}) over erm", points(mean, 1), between(interval, 1)));
        Some(Row {
            name: arm.arm.to_string(),
            note: format!("{}{}", percent(worst.mean), gain.unwrap_or_default()),
            value: 100.0 * worst.mean,
            interval: worst.interval.map(|(low, high)| (100.0 * low, 100.0 * high)),
            is_subject: result.best == Some(arm.arm),
        })
    };
    let rows: Vec<Row> = result.arms.iter().filter_map(row).collect();
    html! {
        h2 { "The worst group" }
        figure {
            (chart::intervals(&rows, " %", None))
            figcaption {
                "Accuracy of the group that fares worst, the images of one class and one subgroup, with 95 % intervals over seeds; gains are "
                "paired by seed, and their intervals are corrected for the number of arms."
            }
        }
        ul { @for arm in &result.arms { li { b { (arm.arm) } ": " (arm.what) } } }
    }
}

fn groups(result: &PatchResult) -> Markup {
    let Some(first) = result.arms.first() else { return html! {} };
    let cell = |group: &Group| {
        let interval = group.interval.map(|(low, high)| format!(" ±{:.1}", 50.0 * (high - low)));
        group.mean.map(|mean| format!("{}{}", percent(mean), interval.unwrap_or_default()))
    };
    html! {
        h2 { "Every group" }
        div.map {
            table {
                tr {
                    th { "class" } th { "subgroup" } th.number { "to learn from" } th.number { "test" }
                    @for arm in &result.arms { th.number { (arm.arm) } }
                }
                @for (number, group) in first.groups.iter().enumerate() {
                    tr {
                        td { (group.class) } td { (group.subgroup) }
                        td.number { (group.images[0]) } td.number { (group.images[2]) }
                        @for arm in &result.arms { td.number { @if let Some(text) = arm.groups.get(number).and_then(cell) { (text) } } }
                    }
                }
                @for (number, class) in result.classes.iter().enumerate() {
                    tr {
                        td { (class) } td colspan="3" { "difference between its best and its worst subgroup" }
                        @for arm in &result.arms { td.number { @if let Some(gap) = arm.gaps.get(number) { (format!("{:.1}", 100.0 * gap)) } } }
                    }
                }
                tr {
                    td colspan="4" { "mean over groups" }
                    @for arm in &result.arms { td.number { @if let Some(mean) = arm.mean { (percent(mean)) } } }
                }
                tr {
                    td colspan="4" { "time of a training" }
                    @for arm in &result.arms { td.number { @if let Some(seconds) = arm.seconds { (time_of(seconds)) } } }
                }
            }
        }
    }
}

fn translations(translator: &TranslatorRecord, result: &PatchResult, folder: &Path) -> Markup {
    let sheet = std::fs::read(folder.join(layout::TRANSLATIONS)).ok();
    let judged = translator.judged.last();
    let names: Vec<String> = result.subgroups.iter().map(|name| format!("into {name}")).collect();
    let course = |of: &dyn Fn(&crate::patch::Judged, usize) -> f64| -> Vec<Line<'_>> {
        names
            .iter()
            .zip(SERIES)
            .enumerate()
            .map(|(into, (name, class))| {
                let points = translator.judged.iter().map(|judged| (judged.step as f64, 100.0 * of(judged, into)));
                Line::new(name, class, points.collect())
            })
            .collect()
    };
    html! {
        h2 { "What translations look like" }
        @if let Some(sheet) = sheet {
            figure {
                img src=(format!("data:image/png;base64,{}", STANDARD.encode(sheet))) alt="images, their translations, and back" style="max-width: 100%";
                figcaption { "Images that translators have not learnt from, what they become in another subgroup, and what becomes of that on the way back." }
            }
        }
        @if let Some(judged) = judged {
            p {
                "Two nets that were trained to tell subgroups and classes apart read " (percent(judged.own_subgroup)) " and " (percent(judged.own_class))
                " of untouched images right. Of translated ones, "
                @for (into, name) in result.subgroups.iter().enumerate() {
                    @if into > 0 { "; " }
                    (percent(judged.taken[into])) " of those into " (name) " are taken for it, and the class of " (percent(judged.kept[into])) " is read right"
                }
                ". Learnt translators are used if these are at least " (format!("{TAKEN} and {KEPT}")) " times the former. Judges do not see whether an image is blurred: look at the pictures."
            }
        }
        @if translator.judged.len() > 1 {
            figure {
                (chart::lines(&course(&|judged, into| judged.taken[into]), "batches", "taken for it, %"))
                figcaption { "How many translated images are taken for those of their new subgroup." }
            }
            figure {
                (chart::lines(&course(&|judged, into| judged.kept[into]), "batches", "class kept, %"))
                figcaption { "Of how many the class is still read right." }
            }
        }
    }
}

/// Shows the course of the weights under each arm in which they moved.
fn courses(result: &PatchResult) -> Markup {
    let moved = |arm: &&ArmResult| arm.groups.iter().any(|group| group.weights.first() != group.weights.last());
    let moving: Vec<&ArmResult> = result.arms.iter().filter(moved).collect();
    if moving.is_empty() {
        return html! {};
    }
    html! {
        h2 { "What the loss of groups counted" }
        @for arm in moving {
            @let named: Vec<(String, &Group)> = heaviest(arm);
            @let lines: Vec<Line<'_>> = named.iter().zip(SERIES).map(|((name, group), class)| {
                let points = group.weights.iter().enumerate().map(|(epoch, &weight)| (epoch as f64 + 1.0, weight));
                Line::new(name, class, points.collect())
            }).collect();
            figure {
                (chart::lines(&lines, "epoch", "weight"))
                figcaption { (arm.arm) ": the weights of the heaviest groups, of 1 in all, on average over trainings." }
            }
        }
    }
}

fn heaviest(arm: &ArmResult) -> Vec<(String, &Group)> {
    let last = |group: &Group| group.weights.last().copied().unwrap_or(0.0);
    let mut groups: Vec<&Group> = arm.groups.iter().collect();
    groups.sort_by(|a, b| last(b).total_cmp(&last(a)));
    groups.truncate(SERIES.len());
    groups.into_iter().map(|group| (format!("{}, {}", group.class, group.subgroup), group)).collect()
}
