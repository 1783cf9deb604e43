//! Which images to augment, as a page.

use std::path::Path;

use deepaug_dataset::Dataset;
use maud::{Markup, html};
use ndarray::s;

use super::chart::{self, Line};
use super::pictures;
use super::shell;
use super::words::{percent, short};
use crate::error::Error;
use crate::files::write_whole;
use crate::subsample::{Accuracy, Scored, Subsampled};

/// Images with the highest and with the lowest scores.
const SHOWN: [usize; 2] = [30, 12];
/// Not the colour of the line for all images.
const CLASSES: [&str; 3] = ["op-2", "op-3", "op-4"];

/// Writes the accuracies by budget, and the images with the highest and the lowest scores.
///
/// # Errors
/// [`Error::File`].
pub fn write_subsample(found: &Subsampled, dataset: &Dataset, to: &Path) -> Result<(), Error> {
    let of = dataset.origin().file_name().unwrap_or_default().to_string_lossy();
    let mut ranked: Vec<&Scored> = found.scores.iter().collect();
    ranked.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    let [most, least] = SHOWN;
    let page = shell(
        &format!("Which images of {of} to augment"),
        html! {
            h1 { "Which images of " (of) " to augment" }
            p {
                "A classifier on the features of a net reads " (percent(found.none.clean)) " of " (found.images[1])
                " other images right without copies, and " (percent(found.all.clean)) " if all " (found.images[0])
                " images have some. With fewer of them:"
            }
            @for warning in &found.warnings { p { b { "Note: " } (warning) "." } }
            (lines(found, |accuracy| accuracy.clean, "Accuracy on images as they are."))
            (lines(found, |accuracy| accuracy.changed, "Accuracy on them and on copies of them, which a classifier without copies has not learnt to read."))
            h2 { "The images with the highest losses" }
            (pictures_of(&ranked[..ranked.len().min(most)], dataset))
            h2 { "Those with the lowest" }
            (pictures_of(&ranked[ranked.len().saturating_sub(least)..], dataset))
        },
    );
    write_whole(to, page.into_string().as_bytes())
}

fn lines(found: &Subsampled, of: fn(&Accuracy) -> f64, caption: &str) -> Markup {
    let most = found.images[0] as f64;
    let mut all = vec![
        Line::new("none", "none", vec![(0.0, 100.0 * of(&found.none)), (most, 100.0 * of(&found.none))]),
        Line::new("all images", "best", vec![(0.0, 100.0 * of(&found.all)), (most, 100.0 * of(&found.all))]),
    ];
    let mut choices: Vec<_> = found.budgets.iter().map(|budget| budget.choice).collect();
    choices.dedup();
    for (choice, class) in choices.into_iter().zip(CLASSES) {
        let own = found.budgets.iter().filter(|budget| budget.choice == choice);
        let (mut points, mut band) = (vec![(0.0, 100.0 * of(&found.none))], vec![[100.0 * of(&found.none); 2]]);
        for budget in own {
            let rounds: Vec<f64> = budget.rounds.iter().map(|accuracy| 100.0 * of(accuracy)).collect();
            points.push((budget.images as f64, 100.0 * of(&budget.mean())));
            let ends = rounds.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], &v| [l.min(v), h.max(v)]);
            band.push(ends);
        }
        let band = band.into_iter().map(|[low, high]| (low, high)).collect();
        all.push(Line { band, ..Line::new(choice.name(), class, points) });
    }
    html! {
        figure {
            (chart::lines(&all, "images augmented", "accuracy, %"))
            figcaption { (caption) " Bands reach from the lowest to the highest of the rounds." }
        }
    }
}

fn pictures_of(scored: &[&Scored], dataset: &Dataset) -> Markup {
    let images = dataset.images();
    html! {
        div.grid-of-ops {
            @for scored in scored {
                div {
                    @if let Ok(address) = pictures::image(images.slice(s![scored.image, .., .., ..])) {
                        img src=(address) alt=(scored.name);
                    }
                    div { b { (scored.class) } (format!(", loss {:.2}", scored.loss)) }
                    div.soft { (short(&scored.name)) }
                }
            }
        }
    }
}
