//! How the network of AutoAugment's controller came to write what it writes.

use deepaug_controller::{Domain, Learnt};
use maud::{Markup, html};

use super::chart::{self, Line};
use super::material::Material;
use crate::policies::space::PolicySpace;

/// Shows among how many ops it still chooses, and the ops that it has come to prefer.
pub(super) fn course(material: &Material) -> Markup {
    let course = &material.course;
    let Some(last) = course.last() else { return html! {} };
    let Ok(space) = PolicySpace::new(&material.config).space() else { return html! {} };
    let of_ops = |learnt: &Learnt| {
        let is_op = |parameter: usize| matches!(space.parameters()[parameter].domain, Domain::Categorical { .. });
        learnt.decisions.iter().find(|decision| is_op(decision.parameter)).cloned()
    };
    let Some(now) = of_ops(last) else { return html! {} };
    let Domain::Categorical { choices } = &space.parameters()[now.parameter].domain else { return html! {} };
    let points = |value: &dyn Fn(&Learnt) -> Option<f64>| -> Vec<(f64, f64)> {
        course.iter().filter_map(|learnt| Some((learnt.trial as f64, value(learnt)?))).collect()
    };
    let level = |count: f64| vec![(0.0, count), (last.trial as f64, count)];
    let perplexity = [
        Line::new("undecided: all ops alike", "none", level(choices.len() as f64)),
        Line::new("decided: one op", chart::SERIES[2], level(1.0)),
        Line::new("the controller", "best", points(&|learnt| Some(of_ops(learnt)?.entropy.exp()))),
    ];
    let mut order: Vec<usize> = (0..choices.len()).collect();
    order.sort_by(|&a, &b| now.probabilities[b].total_cmp(&now.probabilities[a]));
    let ops: Vec<(String, Vec<(f64, f64)>)> = order
        .iter()
        .take(chart::SERIES.len())
        .map(|&op| (choices[op].clone(), points(&|learnt| of_ops(learnt)?.probabilities.get(op).copied())))
        .collect();
    let ops: Vec<Line> =
        ops.iter().zip(chart::SERIES).map(|((name, points), class)| Line::new(name, class, points.clone())).collect();
    html! {
        h2 { "What the controller has learnt" }
        figure {
            (chart::lines(&perplexity, "trial", "ops it chooses among"))
            figcaption {
                "The controller is a network that writes policies; after every " (material.config.controller_batch)
                " trials it learns. The number of ops that it in effect chooses among is its perplexity, the exponential of "
                "a decision's entropy. Where it stays at the upper line it has found nothing to prefer, and its policies "
                "are random ones."
            }
        }
        figure {
            (chart::lines(&ops, "trial", "probability"))
            figcaption { "The ops it prefers by now, and how likely it was to write each." }
        }
    }
}
