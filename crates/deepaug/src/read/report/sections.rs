//! The sections of a page, in order.

use deepaug_augmenter::export::Target;
use maud::{Markup, html};
use ndarray::{Array4, ArrayView4, s};

use super::answer::best_baseline;
use super::chart::{self, Line};
use super::material::Material;
use super::pictures;
use super::words::{between, points, time_of};
use crate::compare::SEARCHED;
use crate::policies::read::{Policies, origin};
use crate::read::inspect::Sample;
use crate::statistics::mean;
use crate::study::candidate::{Candidate, Gain};

/// Number of policies shown as pictures.
const SHOWN: usize = 5;
/// How often each is drawn.
const DRAWS: u64 = 3;
/// Images of each on the page.
const IMAGES: usize = 8;
/// Returns as many images as a row holds.
fn few(images: &Array4<u8>) -> ArrayView4<'_, u8> {
    images.slice(s![..images.dim().0.min(IMAGES), .., .., ..])
}

/// Shows the best policy and the key figures.
pub(super) fn facts(material: &Material) -> Markup {
    let best = material.found.as_ref().and_then(|found| found.top.first());
    let comparison = material.comparisons.first();
    let searched = comparison.and_then(|comparison| comparison.schemes.iter().find(|scheme| scheme.name == SEARCHED));
    let less = searched.and_then(|scheme| scheme.error_reduction);
    let rival = comparison.and_then(best_baseline);
    let seconds = material.notebook.seconds;
    let picture = best.and_then(|best| pictures::policy(&best.policy, few(material.images.as_ref().ok()?), 1).ok());
    html! {
        @if let Some(best) = best {
            figure.found {
                p { "Best policy: " b { @if let Some(name) = &best.scheme { (name) ": " } (best.policy.to_string()) } }
                @if let Some(address) = picture { img src=(address) alt="images and the best policy's results"; }
                figcaption { "Your images, with its results below them." }
            }
        }
        div.facts {
            @if let Some(less) = less {
                div {
                    span { "errors compared with no augmentation" }
                    b { (points(-less, 0)) " %" }
                    @if let Some((low, high)) = searched.and_then(|scheme| scheme.error_reduction_interval) {
                        span { "95 %: " (between((-high, -low), 0)) " %" }
                    }
                }
            }
            @if let Some(rival) = rival {
                div {
                    span { "against " (rival.baseline) ", the best without a search" }
                    b { (points(rival.difference.mean, 1)) " points" }
                    @if let Some(interval) = rival.difference.interval {
                        span { "95 %: " (between(interval, 1)) }
                    }
                }
            }
            div {
                span { "the search took" }
                b { (material.notebook.trainings) " trainings" }
                @if let Some(seconds) = seconds { span { (time_of(seconds)) " of training" } }
            }
        }
    }
}

/// Shows the best policies on the user's own images.
pub(super) fn policies(material: &Material) -> Markup {
    let Some(found) = &material.found else { return html! {} };
    let shown = |gain: &Gain, of: &str| {
        let words = |[own, none]: [String; 2]| format!("{own} against {none} without, ");
        format!("{}{gain}, {of}", gain.rewards().map(words).unwrap_or_default())
    };
    let gain = |candidate: &Candidate| match (&candidate.fresh_gain, &candidate.search_gain) {
        (Some(gain), _) => shown(gain, "with fresh seeds"),
        (None, Some(gain)) => shown(gain, "in the search: too high, since it selected the policy"),
        (None, None) => "gain unknown".into(),
    };
    let name = |candidate: &Candidate| candidate.scheme.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let show = |(rank, candidate): (usize, &Candidate)| {
        let picture = material
            .images
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|images| pictures::policy(&candidate.policy, few(images), DRAWS));
        html! {
            div.policy {
                div.words { (rank + 1) ". " (name(candidate)) (candidate.policy.to_string()) }
                div.soft { "trial " (candidate.trial) ": " (gain(candidate)) }
                @match picture {
                    Ok(address) => img src=(address) alt=(format!("images before and after {}", candidate.policy));,
                    Err(why) => p.soft { "No picture: " (why) },
                }
            }
        }
    };
    html! {
        h2 { "What was found" }
        p.soft {
            "Each picture shows your original images, with three results of the policy below them. "
            "Accuracies are on validation images; those compared have equal seeds."
        }
        @for candidate in found.top.iter().take(SHOWN).enumerate() { (show(candidate)) }
    }
}

/// Shows rewards in the order of the search.
pub(super) fn course(material: &Material) -> Markup {
    let notebook = &material.notebook;
    let mut trials: Vec<(f64, f64)> =
        notebook.ranked.iter().filter_map(|trial| Some((trial.trial as f64, trial.reward?))).collect();
    trials.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(&(last, _)) = trials.last() else { return html! {} };
    let mut best: Vec<(f64, f64)> = notebook.course.iter().map(|step| (step.trial as f64, step.reward)).collect();
    best.extend(best.last().map(|&(_, reward)| (last, reward)));
    let mut lines = Vec::new();
    if let Some((base, deviation)) = notebook.baseline.as_ref().and_then(|trial| Some((trial.reward?, trial.deviation)))
    {
        let mut line = Line::new("no policy, ± one training's luck", "none", vec![(0.0, base), (last, base)]);
        line.band = deviation.map(|deviation| vec![(base - deviation, base + deviation); 2]).unwrap_or_default();
        lines.push(line);
    }
    lines.push(Line { is_dots: true, ..Line::new("each policy", "trials", trials) });
    lines.push(Line { is_steps: true, ..Line::new("best so far", "best", best) });
    html! {
        h2 { "The course of the search" }
        figure {
            (chart::lines(&lines, "trial", "reward"))
            figcaption {
                "Rewards are means over trainings on validation images. The band is the standard deviation of single trainings "
                "without a policy: the best of many such numbers lies above it by luck alone."
            }
        }
        @if notebook.overfitted > 0 || !notebook.failed.is_empty() {
            p.soft {
                (notebook.overfitted) " of " (notebook.trainings) " trainings overfitted in every epoch; "
                (notebook.failed.len()) " gave no reward."
            }
        }
    }
}

/// Shows validation accuracy by epoch, with the best policy and with none.
pub(super) fn learning(material: &Material) -> Markup {
    let best = material.found.as_ref().and_then(|found| found.top.first()).map(|best| best.trial);
    let best = best.or(material.notebook.ranked.first().map(|trial| trial.trial));
    let line = |name, class, trial: u64| {
        let of: Vec<&Sample> = material.notebook.samples.iter().filter(|sample| sample.trial == trial).collect();
        let epochs = of.iter().map(|sample| sample.epochs.len()).max().unwrap_or(0);
        let at = |epoch: usize| -> Vec<f64> {
            of.iter().filter_map(|sample| Some(sample.epochs.get(epoch)?.val_acc)).collect()
        };
        let mut line = Line::new(name, class, (0..epochs).map(|e| ((e + 1) as f64, mean(&at(e)))).collect());
        let ends = |values: Vec<f64>| {
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            (low, values.into_iter().fold(f64::NEG_INFINITY, f64::max))
        };
        line.band = (0..epochs).map(|epoch| ends(at(epoch))).collect();
        line
    };
    let mut lines = vec![line("no policy", "none", 0)];
    lines.extend(best.map(|best| line("best policy", "best", best)));
    lines.retain(|line| !line.points.is_empty());
    if lines.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Learning curves" }
        figure {
            (chart::lines(&lines, "epoch", "validation accuracy"))
            figcaption { "Means over all trainings in the search and with fresh seeds; the bands contain all of them." }
        }
    }
}

/// Shows where the time went.
pub(super) fn time(material: &Material) -> Markup {
    let part = |is_fresh: bool| {
        let of: Vec<&Sample> = material.notebook.samples.iter().filter(|sample| sample.is_fresh == is_fresh).collect();
        (of.len(), of.iter().filter_map(|sample| sample.seconds).sum::<f64>())
    };
    let mut parts =
        vec![("search".to_string(), part(false)), ("confirmation with fresh seeds".to_string(), part(true))];
    parts.extend(material.comparisons.iter().map(|comparison| {
        let cost = comparison.comparison_cost;
        (format!("comparison on {}", comparison.model), (cost.trainings, cost.seconds.unwrap_or(0.0)))
    }));
    parts.retain(|(_, (trainings, _))| *trainings > 0);
    html! {
        h2 { "Time" }
        table {
            tr { th { "" } th.number { "trainings" } th.number { "training time" } th.number { "each" } }
            @for (name, (trainings, seconds)) in &parts {
                tr {
                    td { (name) }
                    td.number { (trainings) }
                    td.number { (time_of(*seconds)) }
                    td.number { (format!("{:.1} s", seconds / *trainings as f64)) }
                }
            }
        }
        p.soft { "Sums of the times of single trainings; trainings side by side take less." }
    }
}

/// Shows the result as code.
pub(super) fn usage(material: &Material) -> Markup {
    let Some(found) = &material.found else { return html! {} };
    let study = material.study.display();
    let policies = vec![found.policy()];
    let application = material.config.application();
    let code = origin(&material.study, &material.config, &found.answer)
        .and_then(|origin| Policies { policies, config: None, application, origin }.export(Target::Torchvision));
    html! {
        h2 { "How to use it" }
        pre {
            "# as code for torchvision, albumentations or imgaug\n"
            "deepaug export --policy " (study) " --to torchvision --out policy.py\n"
            "# as augmented files, for any trainer that reads folders\n"
            "deepaug apply --policy " (study) " --copies 4 my-images augmented\n"
            "# as a trained model\n"
            "deepaug train " (study) " --model wrn_28_10 --train-size all --out model.safetensors"
        }
        @match code {
            Ok(code) => details {
                summary { "The answer as a torchvision transform" }
                pre { (code) }
            },
            Err(why) => p.soft { (why.to_string()) },
        }
    }
}

/// Shows everything needed to reproduce the search.
pub(super) fn reproduction(material: &Material) -> Markup {
    let config = &material.config;
    let sizes = material.sizes.map(|(images, classes)| format!("{images} images in {classes} classes"));
    html! {
        h2 { "Configuration, and how to reproduce it" }
        p {
            (sizes.unwrap_or_else(|| "The images".into())) "; up to " (config.train_set_size) " to train each child on, "
            (config.validation_set_size) " to measure it on; " (config.iters) " policies of " (config.sub_policies) " × "
            (config.ops_per_sub_policy) " ops out of " (config.ops.len()) ", " (config.opt_samples) " trainings each; "
            (config.model.name()) " for " (config.epochs()) " epochs; seed " (config.seed) "; " (config.method.name()) "."
        }
        pre {
            "deepaug optimize --config study.toml      # the configuration below; deepaug " (env!("CARGO_PKG_VERSION"))
            @for comparison in &material.comparisons {
                "\ndeepaug compare STUDY --model " (comparison.model) " --epochs " (comparison.settings.epochs)
                " --train-size " (comparison.train_images) " --test-size " (comparison.test_images) " --seeds " (comparison.seeds)
            }
        }
        details {
            summary { "study.toml" }
            pre { (config.documented()) }
        }
    }
}
