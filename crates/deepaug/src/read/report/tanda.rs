//! What a generator of sequences came to write.

use deepaug_generative::tanda::{Learnt, StepRecord};
use maud::{Markup, html};

use super::chart::{self, Line};
use super::material::Material;
use super::{ops, pictures};
use crate::study::tanda::{ending, names};

/// Sequences drawn for each image.
const DRAWS: u64 = 4;

/// Shows how likely each function was, how well the discriminator could tell, and what sequences make of images.
pub(super) fn course(material: &Material) -> Markup {
    let Some(taught) = &material.taught else { return html! {} };
    let learnt = &taught.learnt;
    let steps = &learnt.steps;
    let courses = names(learnt)
        .into_iter()
        .enumerate()
        .map(|(function, name)| (name, steps.iter().map(|step| step.probabilities[function]).collect::<Vec<f64>>()));
    let shares = ops::weightiest(steps.len(), courses.collect());
    let of_step = |value: &dyn Fn(&StepRecord) -> Option<f64>| -> Vec<(f64, f64)> {
        steps.iter().filter_map(|step| Some((step.step as f64, value(step)?))).collect()
    };
    let losses = [
        Line::new("it cannot tell", "none", of_step(&|_| Some(std::f64::consts::LN_2))),
        Line::new("the discriminator", "best", of_step(&|step| Some(step.discriminator_loss))),
    ];
    let equal = (learnt.functions.len() as f64).ln();
    let entropy = [
        Line::new("all equally likely", "none", of_step(&|_| Some(equal))),
        Line::new("the generator", "best", of_step(&|step| Some(step.entropy))),
    ];
    html! {
        h2 { "What sequences came to be made of" }
        figure {
            (chart::areas(&shares, "step", "probability"))
            figcaption {
                "A generator wrote sequences of " (learnt.length) " functions out of " (learnt.functions.len()) ", and learnt to write those "
                "whose results a discriminator takes for images of the set: how likely each function was. It ended " (ending(learnt.end)) "."
            }
        }
        figure {
            (chart::lines(&losses, "step", "loss"))
            figcaption { "The discriminator's loss. Near 0 it sees through every sequence, and the generator learns nothing from it." }
        }
        figure {
            (chart::lines(&entropy, "step", "entropy, nats"))
            figcaption { "How undecided the generator was. This is a game that does not settle: what it favours may change, and it ends before one function is all." }
        }
        (sheet(material, learnt))
    }
}

fn sheet(material: &Material, learnt: &Learnt) -> Markup {
    let Ok(images) = &material.images else { return html! {} };
    let Ok(address) = pictures::policy(&learnt.policy(100, 0), images.view(), DRAWS) else { return html! {} };
    html! {
        figure.policy {
            img src=(address) alt="images and what learnt sequences make of them";
            figcaption { "Images of the set in the first row, and below what learnt sequences make of each." }
        }
    }
}
