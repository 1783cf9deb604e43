//! What an adversary came to write while a net trained against it.

use deepaug_augmenter::Policy;
use maud::{Markup, html};

use super::chart::{self, Line};
use super::material::Material;
use super::ops;
use crate::study::adversary::Opposed;

/// Shows the ops that it wrote, how strong they were, and how hard the net found its policies.
pub(super) fn course(material: &Material) -> Markup {
    let Some(opposed) = &material.opposed else { return html! {} };
    let policies: Vec<&Policy> = opposed.epochs().iter().map(|(policy, _)| policy).collect();
    let steps = |epoch: usize| policies[epoch].steps().count().max(1) as f64;
    let shares = ops::areas(policies.len(), &|op, epoch| {
        policies[epoch].steps().filter(|step| step.op == op).count() as f64 / steps(epoch)
    });
    let of_epoch = |value: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        (0..policies.len()).map(|epoch| (epoch as f64 + 1.0, value(epoch))).collect()
    };
    let magnitude = |epoch: usize| policies[epoch].steps().map(|step| step.magnitude).sum::<f64>() / steps(epoch);
    let unlearnt = f64::from(material.config.adversarial_largest_level) / 20.0;
    let strength = [
        Line::new("as it began, on average", "none", of_epoch(&|_| unlearnt)),
        Line::new("its policies", "best", of_epoch(&magnitude)),
    ];
    let (losses, bands): (Vec<_>, Vec<_>) = (0..policies.len()).map(|epoch| losses(opposed, epoch)).unzip();
    let hardness = [Line {
        band: bands,
        ..Line::new("mean, and from the easiest to the hardest", "best", of_epoch(&|epoch| losses[epoch]))
    }];
    let few = material.config.adversarial_policies;
    html! {
        h2 { "What the adversary came to write" }
        figure {
            (chart::areas(&shares, "epoch", "share of ops"))
            figcaption {
                "While a net trained, another network wrote the policies of its images, " (few) " at a time, and learnt to write those "
                "under which the net fared worst: the share of each op in them, epoch by epoch."
            }
        }
        figure {
            (chart::lines(&strength, "epoch", "mean magnitude"))
            figcaption { "How strong its ops were. Where this stays level, and shares above do too, it found nothing that is harder than the rest." }
        }
        figure {
            (chart::lines(&hardness, "epoch", "training loss"))
            figcaption { "The net's loss on images under its policies." }
        }
    }
}

/// Returns the mean loss of an epoch's policies, with the lowest and the highest.
fn losses(opposed: &Opposed, epoch: usize) -> (f64, (f64, f64)) {
    let updates = opposed.record().updates.iter().filter(|update| update.epoch == epoch);
    let losses: Vec<f64> = updates.flat_map(|update| update.losses.clone()).collect();
    let ends =
        losses.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &loss| (low.min(loss), high.max(loss)));
    (losses.iter().sum::<f64>() / losses.len().max(1) as f64, ends)
}
