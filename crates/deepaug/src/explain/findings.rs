//! The pairs of an op and a class that are worth a sentence.

use serde::{Deserialize, Serialize};

use super::Change;

/// How many of each kind.
const COUNT: usize = 3;
/// Images of a class without which nothing is said about it.
const LEAST_IMAGES: usize = 5;
/// An op is said to begin to change what is read at the least magnitude at which this share of a class is.
const BEGINS: f64 = 0.1;
/// Up to this share of changed readings, a class counts as read as before.
const AS_BEFORE: f64 = 0.05;

/// A pair of an op and a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The op.
    pub op: String,
    /// The class.
    pub class: String,
    /// The magnitude that it is about.
    pub magnitude: f64,
    /// What happens, in a sentence.
    pub words: String,
}

/// Returns the pairs that cost most, and those that add most variety while the class is read as before.
pub(super) fn findings(changes: &[Change], classes: &[String]) -> (Vec<Finding>, Vec<Finding>) {
    // At most one magnitude of each pair: the one with the highest cost, or variance.
    let mut harmful: Vec<(f64, &Change, usize)> = Vec::new();
    let mut helpful: Vec<(f64, &Change, usize)> = Vec::new();
    for change in changes.iter().filter(|change| change.op.is_some()) {
        for (class, terms) in change.by_class.iter().enumerate().filter(|(_, terms)| terms.images >= LEAST_IMAGES) {
            // Clear of chance.
            if terms.cost > 2.0 * terms.error && terms.cost > 0.0 {
                keep(&mut harmful, terms.cost, change, class);
            }
            if terms.changed <= AS_BEFORE && terms.variance > terms.shift.abs() {
                keep(&mut helpful, terms.variance, change, class);
            }
        }
    }
    let first = |mut all: Vec<(f64, &'_ Change, usize)>, words: &dyn Fn(&Change, usize) -> (f64, String)| {
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = all.into_iter().take(COUNT).map(|(_, change, class)| {
            let (magnitude, words) = words(change, class);
            let op = change.op.map(|op| op.to_string()).unwrap_or_default();
            Finding { op, class: classes[class].clone(), magnitude, words }
        });
        found.collect::<Vec<_>>()
    };
    let harm = |change: &Change, class: usize| harm(change, class, changes, classes);
    let help = |change: &Change, class: usize| help(change, class, classes);
    (first(harmful, &harm), first(helpful, &help))
}

/// Keeps the highest value of each pair.
fn keep<'c>(all: &mut Vec<(f64, &'c Change, usize)>, value: f64, change: &'c Change, class: usize) {
    match all.iter_mut().find(|(_, other, of)| other.op == change.op && *of == class) {
        Some(known) if known.0 >= value => {}
        Some(known) => (known.0, known.1) = (value, change),
        None => all.push((value, change, class)),
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn harm(change: &Change, class: usize, changes: &[Change], classes: &[String]) -> (f64, String) {
    let terms = &change.by_class[class];
    let (op, magnitude) = (change.op.map(|op| op.to_string()).unwrap_or_default(), change.magnitude.unwrap_or(0.0));
    let name = &classes[class];
    match change.mistaken[class].filter(|mistaken| mistaken.share >= BEGINS) {
        Some(mistaken) => {
            let begins = changes.iter().filter(|other| other.op == change.op).filter(|other| {
                other.mistaken[class].is_some_and(|of| of.class == mistaken.class && of.share >= BEGINS)
            });
            let from = begins.filter_map(|other| other.magnitude).fold(magnitude, f64::min);
            let other = &classes[mistaken.class];
            let share = percent(mistaken.share);
            let at = if from < magnitude {
                format!(", {share} of it at {magnitude:.2}")
            } else {
                format!(" ({share} of it)")
            };
            (from, format!("{op} from {from:.2} on turns \"{name}\" into \"{other}\"{at}"))
        }
        None => {
            let (cost, changed) = (terms.cost, percent(terms.changed));
            (
                magnitude,
                format!("{op} at {magnitude:.2} makes \"{name}\" harder: loss +{cost:.2}, {changed} read otherwise"),
            )
        }
    }
}

fn help(change: &Change, class: usize, classes: &[String]) -> (f64, String) {
    let terms = &change.by_class[class];
    let (op, magnitude) = (change.op.map(|op| op.to_string()).unwrap_or_default(), change.magnitude.unwrap_or(0.0));
    let (name, changed, variance) = (&classes[class], percent(terms.changed), terms.variance);
    (
        magnitude,
        format!(
            "{op} at {magnitude:.2} varies \"{name}\" (penalty {variance:.2}) and {changed} of it are read otherwise"
        ),
    )
}
