//! Images whose label may be wrong, as a page.

use std::path::Path;

use deepaug_dataset::Dataset;
use maud::{Markup, html};
use ndarray::s;

use super::pictures;
use super::shell;
use super::words::{percent, short};
use crate::error::Error;
use crate::files::write_whole;
use crate::images::suspects::{Suspect, Suspects};

/// Images of each class.
const SHOWN: usize = 12;
/// Of these, images that are read as nothing else.
const USUAL: usize = 4;

/// Writes the images of each class that are most likely to have a wrong label, and the most usual ones beside them.
///
/// # Errors
/// [`Error::File`].
pub fn write_suspects(suspects: &Suspects, dataset: &Dataset, to: &Path) -> Result<(), Error> {
    let of = dataset.origin().file_name().unwrap_or_default().to_string_lossy();
    let page = shell(
        &format!("Labels of {of} that may be wrong"),
        html! {
            h1 { "Labels of " (of) " that may be wrong" }
            p {
                "Nets that had not learnt from them read " (percent(suspects.accuracy)) " of " (suspects.images.len())
                " images as their labels say. Below are, for each class, the images that they read otherwise and are most sure "
                "of it: wrong labels are among the first, and so are images that are hard for other reasons. Beside them, set apart, "
                "the most usual ones."
            }
            @for class in dataset.classes() { (row(suspects, dataset, class)) }
        },
    );
    write_whole(to, page.into_string().as_bytes())
}

fn row(suspects: &Suspects, dataset: &Dataset, class: &str) -> Markup {
    let own: Vec<&Suspect> = suspects.images.iter().filter(|suspect| suspect.class == class).collect();
    let others = || own.iter().filter(|suspect| suspect.read_as != class);
    let usual = own.iter().rev().filter(|suspect| suspect.read_as == class).take(USUAL);
    html! {
        h2 { (class) " " span.soft { (own.len()) " images, " (others().count()) " read otherwise" } }
        div.grid-of-ops {
            @for suspect in others().take(SHOWN - USUAL) { (picture(suspect, dataset)) }
            @for suspect in usual { (picture(suspect, dataset)) }
        }
    }
}

fn picture(suspect: &Suspect, dataset: &Dataset) -> Markup {
    let images = dataset.images();
    let image = pictures::image(images.slice(s![suspect.image, .., .., ..]));
    let sure = percent(suspect.probability);
    html! {
        div.usual[suspect.read_as == suspect.class] {
            @if let Ok(address) = image { img src=(address) alt=(suspect.name); }
            div { "read as " b { (suspect.read_as) } ", " (sure) }
            div.soft { (short(&suspect.name)) }
        }
    }
}
