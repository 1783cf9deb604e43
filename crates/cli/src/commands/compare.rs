//! `deepaug compare`.

use std::sync::Arc;

use deepaug::compare::{Compare, CompareEvent, Comparison, ComparisonResult, RankCheck, SchemeResult, WorstGroup};
use deepaug::{Config, Error, FinalOptions};

use super::{cluster, stop_on_ctrl_c};
use crate::progress::Trainings;
use crate::{args, output};

pub(crate) fn run(args: &args::Compare) -> Result<(), Error> {
    let compare = Compare {
        training: FinalOptions { elsewhere: args.machines.on.is_some(), ..training(&args.training, &args.online)? },
        top: args.online.top,
        seeds: args.seeds,
        baselines: args.baselines.clone(),
        beside: args.beside.clone(),
        rank_check: args.rank_check,
        name: args.name.clone(),
    };
    let comparison = Comparison::open(&args.study, compare)?;
    stop_on_ctrl_c(comparison.cancel());
    let view = Arc::new(Trainings::new(args.json));
    let emit = |event: &CompareEvent| view.show(event);
    let result = match cluster::machines(&args.machines, &args.study, comparison.cluster_config(), view.clone())? {
        None => comparison.run(&emit),
        Some(machines) => comparison.cluster(machines).and_then(|mut cluster| comparison.run_on(&mut cluster, &emit)),
    };
    view.close();
    let result = result?;
    if args.json {
        output::json(&serde_json::json!({ "event": "finished", "result": result }));
    } else {
        print(&result);
    }
    Ok(())
}

/// Collects the arguments about the training, and about the use of policies in it.
pub(super) fn training(args: &args::Final, online: &args::Online) -> Result<FinalOptions, Error> {
    Ok(FinalOptions {
        config: args.config.as_deref().map(Config::read).transpose()?,
        model: args.model.clone(),
        epochs: args.epochs,
        train_size: args.train_size,
        test_size: args.test_size,
        device: args.device,
        chance: online.chance,
        pad: online.pad,
        finish: online.finish,
        flip: online.no_flip.then_some(false),
        cutout: online.cutout,
        elsewhere: false,
    })
}

fn print(result: &ComparisonResult) {
    let (model, train, test) = (&result.model, result.train_images, result.test_images);
    output::line(format_args!(
        "\n{model}, {train} training images, {} epochs; accuracy on {test} test images",
        result.settings.epochs
    ));
    output::line("scheme                accuracy (95 %)            gain over none, points    fewer errors  seeds");
    for scheme in &result.schemes {
        output::line(row(scheme));
        output::line(format_args!("                      {}", scheme.what));
        if let Some(worst) = &scheme.worst_group {
            output::line(format_args!("                      worst group: {}", worst_group(worst)));
        }
    }
    output::line("");
    for versus in &result.versus {
        let p = versus.p_corrected.map(|p| format!("  p {p:.3}")).unwrap_or_default();
        output::line(format_args!("searched is {versus}{p}"));
    }
    if result.versus.len() > 1 {
        let tests = result.versus.len();
        output::line(format_args!(
            "(paired t tests; p and intervals above are corrected for {tests} comparisons by Bonferroni's method)"
        ));
    }
    if let Some(check) = &result.rank_check {
        ranks(check);
    }
    let clock =
        |seconds: Option<f64>| seconds.map(|s| format!(", {:.0} min of training", s / 60.0)).unwrap_or_default();
    let (search, compared) = (result.search_cost, result.comparison_cost);
    output::line(format_args!("\nThe search took {} trainings{}.", search.trainings, clock(search.seconds)));
    output::line(format_args!("This comparison took {} trainings{}.", compared.trainings, clock(compared.seconds)));
    if result.failed > 0 {
        output::line(format_args!("{} trainings failed; the comparison's journal says why.", result.failed));
    }
    output::line(format_args!("\n{}", result.sentence));
}

fn row(scheme: &SchemeResult) -> String {
    let percent = |value: f64| 100.0 * value;
    let accuracy = scheme.mean.map(|mean| format!("{:.2} %{}", percent(mean), range(scheme.interval)));
    let gain = scheme.gain.map(|gain| format!("{:+.2}{}", percent(gain.mean), range(gain.interval)));
    let less = scheme.error_reduction.map(|part| format!("{:.1} %", percent(part)));
    format!(
        "{:<20}  {:<25}  {:<25}  {:>11}  {:>5}",
        scheme.name,
        accuracy.unwrap_or_else(|| "every training failed".into()),
        gain.unwrap_or_default(),
        less.unwrap_or_default(),
        scheme.accuracies.iter().flatten().count()
    )
}

fn worst_group(worst: &WorstGroup) -> String {
    let gain = worst.gain.map(|gain| format!(", {:+.2} points{} over none's", 100.0 * gain.mean, range(gain.interval)));
    format!("{:.2} %{}{}", 100.0 * worst.mean, range(worst.interval), gain.unwrap_or_default())
}

/// Returns an interval of shares in percent, after a space.
fn range(interval: Option<(f64, f64)>) -> String {
    interval.map(|(low, high)| format!(" ({:.2} to {:.2})", 100.0 * low, 100.0 * high)).unwrap_or_default()
}

fn ranks(check: &RankCheck) {
    output::line(
        "\nDoes this model rank policies as the child does?\n trial  reward in the search  accuracy of this model",
    );
    for trial in &check.trials {
        let accuracy = trial.accuracy.map_or("failed".into(), |accuracy| format!("{accuracy:.4}"));
        output::line(format_args!("{:>6}  {:<20.4}  {accuracy}", trial.trial, trial.reward));
    }
    match check.correlation {
        Some(found) => {
            let interval =
                found.interval.map(|(low, high)| format!(", 95 %: {low:+.2} to {high:+.2}")).unwrap_or_default();
            let (rho, p, count) = (found.rho, found.p, found.count);
            output::line(format_args!(
                "rank correlation {rho:+.2} (p {p:.3}{interval}, {count} policies, from both ends of the ranking)"
            ));
        }
        None => output::line("too few policies for a rank correlation"),
    }
}
