//! What a strategy found: the ops that nets found hard, or the classes that they were not sure of.

use std::collections::BTreeMap;
use std::path::Path;

use deepaug_augmenter::Op;
use deepaug_child_model::{OpTally, StrategyRecord, SurenessRecord};
use maud::{Markup, html};
use ndarray::{ArrayView4, s};

use super::chart::{self, Line, Row};
use super::words::percent;
use super::{pictures, shell};
use crate::error::Error;
use crate::files::write_whole;

/// Images with their labels, and the names of classes.
pub(crate) struct Pictured<'a> {
    pub(crate) images: ArrayView4<'a, u8>,
    pub(crate) labels: &'a [usize],
    pub(crate) classes: &'a [String],
}

/// Writes what a training's strategy found, with the images that its net was least sure of.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_strategy(
    record: &StrategyRecord,
    scheme: &str,
    pictured: &Pictured<'_>,
    to: &Path,
) -> Result<(), Error> {
    let title = match record {
        StrategyRecord::Selection(_) => "What the net found hard",
        StrategyRecord::Sureness(_) => "How sure the net was",
    };
    let page = shell(
        title,
        html! {
            h1 { (title) }
            p { "A training with " (scheme) "." }
            (shown(record, pictured.classes))
            @if let StrategyRecord::Sureness(SurenessRecord { least, .. }) = record { (least_sure(least, pictured)) }
        },
    );
    write_whole(to, page.into_string().as_bytes())
}

/// Shows what a strategy found; classes without names are called by their numbers.
pub(super) fn shown(record: &StrategyRecord, classes: &[String]) -> Markup {
    match record {
        StrategyRecord::Selection(tallies) => selection(tallies),
        StrategyRecord::Sureness(sureness) => self::sureness(sureness, classes),
    }
}

/// What is known about candidates with an op.
#[derive(Default)]
struct Chosen {
    /// By epoch: how often they were chosen, as a multiple of how often all were.
    by_epoch: Vec<(f64, f64)>,
    proposed: f64,
    chosen: f64,
    losses: f64,
}

fn selection(tallies: &[OpTally]) -> Markup {
    let mut ops: BTreeMap<Option<Op>, Chosen> = BTreeMap::new();
    let (mut all_proposed, mut all_chosen) = (0.0, 0.0);
    for epoch in tallies.chunk_by(|a, b| a.epoch == b.epoch) {
        let of_all = |of: fn(&OpTally) -> usize| epoch.iter().map(of).sum::<usize>() as f64;
        let (proposed, chosen) = (of_all(|tally| tally.proposed), of_all(|tally| tally.chosen));
        (all_proposed, all_chosen) = (all_proposed + proposed, all_chosen + chosen);
        for tally in epoch {
            let of_op = ops.entry(tally.op).or_default();
            let times = tally.chosen as f64 / tally.proposed as f64 * proposed / chosen.max(1.0);
            of_op.by_epoch.push((tally.epoch as f64, times));
            of_op.proposed += tally.proposed as f64;
            of_op.chosen += tally.chosen as f64;
            of_op.losses += tally.loss * tally.proposed as f64;
        }
    }
    let overall = |of_op: &Chosen| of_op.chosen / of_op.proposed * all_proposed / all_chosen.max(1.0);
    let mut ops: Vec<(Option<Op>, Chosen)> = ops.into_iter().collect();
    ops.sort_by(|a, b| overall(&b.1).total_cmp(&overall(&a.1)));
    let name = |op: &Option<Op>| op.map_or("no op", Op::name);
    // The hardest, and the easiest beside them.
    let drawn = ops.iter().take(chart::SERIES.len() - 1).chain(ops.iter().skip(chart::SERIES.len() - 1).last());
    let lines: Vec<Line<'_>> = drawn
        .zip(chart::SERIES)
        .map(|((op, of_op), class)| Line::new(name(op), class, of_op.by_epoch.clone()))
        .collect();
    let row = |(op, of_op): &(Option<Op>, Chosen)| Row {
        name: name(op).into(),
        note: format!("loss {:.2}", of_op.losses / of_op.proposed),
        value: overall(of_op) - 1.0,
        interval: None,
        is_subject: false,
    };
    let rows: Vec<Row> = ops.iter().map(row).collect();
    html! {
        figure {
            (chart::intervals(&rows, "", Some("as often as all")))
            figcaption {
                "How much more often candidates with an op were chosen than all candidates were: +1 is twice as often. Beside "
                "it, their mean loss, chosen or not."
            }
        }
        @if ops.iter().any(|(_, of_op)| of_op.by_epoch.len() > 1) {
            figure {
                (chart::lines(&lines, "epoch", "times as often as all"))
                figcaption { "The same for the hardest ops and the easiest, epoch by epoch." }
            }
        }
    }
}

fn sureness(record: &SurenessRecord, classes: &[String]) -> Markup {
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    let count = record.classes.iter().map(Vec::len).max().unwrap_or(0);
    let of_epochs = |of: &dyn Fn(&[f64]) -> f64| -> Vec<(f64, f64)> {
        let present = record.classes.iter().enumerate().map(|(epoch, classes)| {
            let present: Vec<f64> = classes.iter().flatten().copied().collect();
            (epoch as f64 + 1.0, present)
        });
        present.filter(|(_, of_epoch)| !of_epoch.is_empty()).map(|(epoch, of_epoch)| (epoch, of(&of_epoch))).collect()
    };
    let mean = of_epochs(&|of_epoch| of_epoch.iter().sum::<f64>() / of_epoch.len() as f64);
    let lowest = of_epochs(&|of_epoch| of_epoch.iter().copied().fold(f64::INFINITY, f64::min));
    let highest = of_epochs(&|of_epoch| of_epoch.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let band = lowest.iter().zip(&highest).map(|(low, high)| (low.1, high.1)).collect();
    let line = Line { band, ..Line::new("mean, and from the lowest class to the highest", "best", mean) };
    let last = |class: usize| record.classes.iter().rev().find_map(|classes| *classes.get(class)?);
    let mut ends: Vec<(String, f64)> = (0..count).filter_map(|class| Some((name(class), last(class)?))).collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let row = |(name, sure): &(String, f64)| Row {
        name: name.clone(),
        note: percent(*sure),
        value: *sure,
        interval: None,
        is_subject: false,
    };
    let rows: Vec<Row> = ends.iter().map(row).collect();
    html! {
        figure {
            (chart::lines(&[line], "epoch", "sureness"))
            figcaption {
                "How sure the net was of the images it learnt from: 1 minus the entropy of its probabilities, as a share of that "
                "of equal ones. The surer, the stronger an image was augmented the next time."
            }
        }
        figure {
            (chart::intervals(&rows, "", None))
            figcaption { "The same by class, in the last epoch." }
        }
    }
}

fn least_sure(least: &[(usize, f64)], pictured: &Pictured<'_>) -> Markup {
    html! {
        h2 { "The images that it was least sure of" }
        div.grid-of-ops {
            @for &(image, sure) in least {
                div {
                    @if let Ok(address) = pictures::image(pictured.images.slice(s![image, .., .., ..])) {
                        img src=(address) alt="";
                    }
                    div { (pictured.classes[pictured.labels[image]]) ", " (percent(sure)) " sure" }
                }
            }
        }
    }
}
