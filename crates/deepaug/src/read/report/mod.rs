//! Writes a study as one self-contained HTML page: what was asked, what was found, whether it helps, how to use
//! it.

mod adversary;
mod answer;
mod chart;
mod comparisons;
mod explanation;
mod material;
mod network;
mod ops;
mod patch;
mod pictures;
mod population;
mod sections;
mod strategy;
mod subgroups;
mod subsample;
mod suspects;
#[cfg(feature = "generative")]
mod tanda;
mod words;

pub use self::explanation::write_explanation;
pub use self::patch::write_patch;
pub(crate) use self::strategy::{Pictured, write_strategy};
pub use self::subsample::write_subsample;
pub use self::suspects::write_suspects;
use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::answer::Answer;
use self::material::Material;
use crate::error::Error;
use crate::files::write_whole;

/// Writes the page of the study in a folder, whole or not at all. It shows what is available: a search that is
/// unfinished, or was not compared, gives a shorter page.
///
/// # Errors
/// [`Error::Study`] if there is no study or one of its files is damaged, [`Error::File`] if the page cannot be
/// written.
pub fn write_report(study: &Path, to: &Path) -> Result<(), Error> {
    let page = page(&Material::gather(study)?).into_string();
    write_whole(to, page.as_bytes())
}

fn page(material: &Material) -> Markup {
    let data = Path::new(&material.config.data).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let answer = Answer::of(material);
    let title = format!("{} — {data}", answer.head);
    let body = html! {
        h1 { "Does the augmentation that deepaug found help on " (data) "?" }
        (answer.show())
        (sections::facts(material))
        (comparisons::all(material))
        (sections::policies(material))
        (sections::course(material))
        (network::course(material))
        (population::course(material))
        (adversary::course(material))
        (learnt_sequences(material))
        @if let Some(found) = &material.strategy {
            h2 { "What children found hard" }
            (strategy::shown(found, &material.classes))
        }
        (ops::effects(material))
        (explanation::shown(material))
        (sections::learning(material))
        (sections::time(material))
        (sections::usage(material))
        (sections::reproduction(material))
    };
    shell(&title, body)
}

#[cfg(feature = "generative")]
fn learnt_sequences(material: &Material) -> Markup {
    tanda::course(material)
}

#[cfg(not(feature = "generative"))]
fn learnt_sequences(_: &Material) -> Markup {
    html! {}
}

/// Returns a page that needs no other file.
fn shell(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main { (body) } }
        }
    }
}
