//! The parts of a page, in their order.

use deepaug_augmenter::export::Target;
use maud::{Markup, html};
use ndarray::{Array4, ArrayView4, s};

use super::answer::best_baseline;
use super::chart::{self, Line, Row};
use super::material::{Candidate, Material};
use super::pictures;
use super::words::{between, percent, points, signed, time_of};
use crate::Policies;
use crate::compare::{ComparisonResult, RankCheck, SchemeResult};
use crate::inspect::Sample;
use crate::statistics::mean;

/// The scheme that a page is about.
const SEARCHED: &str = crate::compare::SEARCHED;
/// Policies that are shown as pictures.
const SHOWN: usize = 5;
/// How often each is drawn.
const DRAWS: u64 = 3;
/// Images of each in the page.
const IMAGES: usize = 8;
/// Ops whose rewards are drawn by magnitude.
const OPS: usize = 20;

/// What a scheme is called on the page.
fn name_of(scheme: &str) -> String {
    if scheme == SEARCHED { "policies found".into() } else { scheme.into() }
}

/// As many images as a row has.
fn few(images: &Array4<u8>) -> ArrayView4<'_, u8> {
    images.slice(s![..images.dim().0.min(IMAGES), .., .., ..])
}

/// What was found, and numbers to take away.
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
                p { "Best policy: " b { (best.policy.to_string()) } }
                @if let Some(address) = picture { img src=(address) alt="images, and below what the best policy makes of them"; }
                figcaption { "Your images, and below them what it makes of them." }
            }
        }
        div.facts {
            @if let Some(less) = less {
                div {
                    span { "errors beside no augmentation" }
                    b { (points(-less, 0)) " %" }
                    @if let Some((low, high)) = searched.and_then(|scheme| scheme.error_reduction_interval) {
                        span { "95 %: " (between((-high, -low), 0)) " %" }
                    }
                }
            }
            @if let Some(rival) = rival {
                div {
                    span { "beside " (rival.baseline) ", the best without a search" }
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

/// Each comparison with its intervals.
pub(super) fn comparisons(material: &Material) -> Markup {
    html! {
        h2 { "Does it help?" }
        @if material.comparisons.is_empty() {
            p {
                "The policies have not been compared on test images yet. "
                code { "deepaug compare " (material.study.display()) }
                " trains a final model with them and with what needs no search, under equal seeds."
            }
        }
        @for comparison in &material.comparisons { (compared(comparison)) }
    }
}

fn compared(comparison: &ComparisonResult) -> Markup {
    let none = comparison.schemes.iter().find(|scheme| scheme.name == "none");
    let row = |scheme: &SchemeResult| {
        let gain = scheme.gain?;
        let interval = gain.interval.map(|(low, high)| (100.0 * low, 100.0 * high));
        let note = format!("{}  ({})", points(gain.mean, 1), percent(scheme.mean?));
        Some(Row {
            name: name_of(&scheme.name),
            note,
            value: 100.0 * gain.mean,
            interval,
            is_subject: scheme.name == SEARCHED,
        })
    };
    let rows: Vec<Row> = comparison.schemes.iter().filter_map(row).collect();
    let base = none.and_then(|none| none.mean).map(percent).unwrap_or_default();
    let (model, seeds) = (&comparison.model, comparison.seeds);
    html! {
        h3 { (model) ", " (comparison.train_images) " training images, " (comparison.settings.epochs) " epochs, " (seeds) " seeds" }
        @if !rows.is_empty() {
            figure {
                (chart::intervals(&rows, "", Some(&format!("no augmentation: {base}"))))
                figcaption {
                    "Points of accuracy on " (comparison.test_images) " test images above no augmentation, with 95 % intervals (Student's t, "
                    "paired by seed); in brackets the accuracy. Every scheme took the same number of steps. The search never saw the test images."
                }
            }
        }
        table {
            tr { th { "the policies found, beside" } th.number { "points" } th.number { "95 % interval" } th.number { "p, corrected" } th { "verdict" } }
            @for versus in &comparison.versus {
                tr {
                    td { (what(comparison, &versus.baseline)) }
                    td.number { (points(versus.difference.mean, 2)) }
                    td.number {
                        @if let Some(interval) = versus.difference.interval { (between(interval, 2)) }
                    }
                    td.number { @if let Some(p) = versus.p_corrected { (format!("{p:.3}")) } }
                    td { (verdict(versus)) }
                }
            }
        }
        p.soft { "p by paired t tests, corrected for " (comparison.versus.len()) " comparisons (Holm)." }
        @if let Some(check) = &comparison.rank_check { (ranks(check, model)) }
    }
}

fn what(comparison: &ComparisonResult, name: &str) -> Markup {
    let words = comparison.schemes.iter().find(|scheme| scheme.name == name).map(|scheme| scheme.what.as_str());
    html! { (name) @if let Some(words) = words { br; span.soft { (words) } } }
}

fn verdict(versus: &crate::compare::Versus) -> String {
    use crate::compare::Verdict;
    match versus.verdict {
        Verdict::Better => "better".into(),
        Verdict::Worse => "worse".into(),
        Verdict::Unknown => "unknown".into(),
        Verdict::NoDifference => match versus.seeds_needed {
            Some(needed) => format!("no difference shown; {needed} seeds would be needed"),
            None => "no difference".into(),
        },
    }
}

fn ranks(check: &RankCheck, model: &str) -> Markup {
    let words = check.correlation.map(|found| {
        format!(
            "rank correlation {:+.2} (p {:.3}) over {} policies from both ends of the search's ranking",
            found.rho, found.p, found.count
        )
    });
    html! {
        h3 { "Does the order of policies hold on " (model) "?" }
        p { (words.unwrap_or_else(|| "too few policies to tell".into())) "." }
        table {
            tr { th { "trial" } th.number { "reward in the search" } th.number { "accuracy on test images" } }
            @for trial in &check.trials {
                tr {
                    td { (trial.trial) }
                    td.number { (format!("{:.4}", trial.reward)) }
                    td.number { @if let Some(accuracy) = trial.accuracy { (format!("{accuracy:.4}")) } }
                }
            }
        }
    }
}

/// The best policies on the user's own images.
pub(super) fn policies(material: &Material) -> Markup {
    let Some(found) = &material.found else { return html! {} };
    let gain = |candidate: &Candidate| match (candidate.fresh_gain, candidate.search_gain) {
        (Some(gain), _) => format!("{gain}, with fresh seeds"),
        (None, Some(gain)) => format!("{gain}, in the search: too high, since it was picked by it"),
        (None, None) => "gain unknown".into(),
    };
    let show = |(rank, candidate): (usize, &Candidate)| {
        let picture = material
            .images
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|images| pictures::policy(&candidate.policy, few(images), DRAWS));
        html! {
            div.policy {
                div.words { (rank + 1) ". " (candidate.policy.to_string()) }
                div.soft { "trial " (candidate.trial) ", reward " (format!("{:.4}", candidate.reward)) "; " (gain(candidate)) }
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
            "Each picture: your images as they are, and below them what the policy makes of them, three times over. "
            "Gains are of validation accuracy over no augmentation (reward " (format!("{:.4}", found.baseline.reward)) ")."
        }
        @for candidate in found.top.iter().take(SHOWN).enumerate() { (show(candidate)) }
    }
}

/// Rewards in the order of the search.
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
        let mut line = Line::new("no augmentation, ± one training's luck", "none", vec![(0.0, base), (last, base)]);
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
                "without augmentation: the best of many such numbers lies above it by luck alone."
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

/// What each op did.
pub(super) fn ops(material: &Material) -> Markup {
    let notebook = &material.notebook;
    if notebook.ops.is_empty() {
        return html! {};
    }
    let mut compared: Vec<_> = notebook.ops.iter().filter(|op| op.interval.is_some()).collect();
    compared.sort_by(|a, b| b.difference.unwrap_or(0.0).total_cmp(&a.difference.unwrap_or(0.0)));
    let row = |op: &&crate::inspect::OpEffect| {
        let interval = op.interval.map(|(low, high)| (100.0 * low, 100.0 * high));
        let value = 100.0 * op.difference.unwrap_or(0.0);
        Row {
            name: op.op.clone(),
            note: format!("{}  in {}", signed(value, 1), op.trials),
            value,
            interval,
            is_subject: false,
        }
    };
    let rows: Vec<Row> = compared.iter().map(row).collect();
    let rewards: Vec<f64> = notebook.ranked.iter().filter_map(|trial| trial.reward).collect();
    let low = rewards.iter().copied().fold(f64::INFINITY, f64::min);
    let high = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let base = notebook.baseline.as_ref().and_then(|trial| trial.reward);
    let mut most_used: Vec<_> = notebook.ops.iter().collect();
    most_used.sort_by_key(|op| std::cmp::Reverse(op.uses.len()));
    most_used.truncate(OPS);
    html! {
        h2 { "Ops and magnitudes" }
        @if !rows.is_empty() {
            figure {
                (chart::intervals(&rows, "", Some("policies without it")))
                figcaption {
                    "Points of reward of policies with an op above those without it, with 95 % intervals (Welch), and in how many "
                    "policies it was. A hint, no proof: ops come in pairs, and the search tries more of what it likes."
                }
            }
        }
        h3 { "Reward by magnitude" }
        div.grid-of-ops {
            @for op in &most_used {
                div { (op.op) (chart::magnitudes(&op.uses, low, high, base)) }
            }
        }
        p.soft { "All on one scale of rewards; the broken line is no augmentation." }
    }
}

/// Validation accuracy by epoch, of the best policy and of none.
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
    let mut lines = vec![line("no augmentation", "none", 0)];
    lines.extend(best.map(|best| line("best policy", "best", best)));
    lines.retain(|line| !line.points.is_empty());
    if lines.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Learning curves" }
        figure {
            (chart::lines(&lines, "epoch", "validation accuracy"))
            figcaption { "Means over all trainings in the search and with fresh seeds; the bands hold all of them." }
        }
    }
}

/// Where the time went.
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
            tr { th { "" } th.number { "trainings" } th.number { "time of training" } th.number { "each" } }
            @for (name, (trainings, seconds)) in &parts {
                tr {
                    td { (name) }
                    td.number { (trainings) }
                    td.number { (time_of(*seconds)) }
                    td.number { (format!("{:.1} s", seconds / *trainings as f64)) }
                }
            }
        }
        p.soft { "Times of single trainings, added up; trainings side by side take less." }
    }
}

/// The result as code.
pub(super) fn usage(material: &Material) -> Markup {
    let Some(found) = &material.found else { return html! {} };
    let study = material.study.display();
    let policies: Vec<_> = found.top.iter().take(1).map(|candidate| candidate.policy.clone()).collect();
    let code = Policies { policies, config: None, is_published: false }.export(Target::Torchvision);
    html! {
        h2 { "How to use it" }
        pre {
            "# as code for torchvision, albumentations or imgaug\n"
            "deepaug export --policy " (study) " --top 5 --to torchvision --out policy.py\n"
            "# as augmented files, for any trainer that reads folders\n"
            "deepaug apply --policy " (study) " --copies 4 my-images augmented\n"
            "# as a trained model\n"
            "deepaug train " (study) " --model wrn_28_10 --train-size all --out model.safetensors"
        }
        @match code {
            Ok(code) => details {
                summary { "The best policy as a torchvision transform" }
                pre { (code) }
            },
            Err(why) => p.soft { (why.to_string()) },
        }
    }
}

/// All that is needed to do it again.
pub(super) fn reproduction(material: &Material) -> Markup {
    let config = &material.config;
    let sizes = material.sizes.map(|(images, classes)| format!("{images} images in {classes} classes"));
    html! {
        h2 { "What was asked, and how to do it again" }
        p {
            (sizes.unwrap_or_else(|| "The images".into())) "; up to " (config.train_set_size) " to train each child on, "
            (config.validation_set_size) " to measure it on; " (config.iters) " policies of " (config.sub_policies) " × "
            (config.ops_per_sub_policy) " ops out of " (config.ops.len()) ", " (config.opt_samples) " trainings each; "
            (config.model.name()) " for " (config.child_epochs) " epochs; seed " (config.seed) "; " (config.method.name()) "."
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
