//! `deepaug patch`.

use std::path::Path;

use deepaug::patch::{ArmResult, Patch, PatchEvent, PatchResult};
use deepaug::{Auto, Cancel, Error, write_patch};
use indicatif::ProgressBar;

use super::{data, stop_on_ctrl_c};
use crate::progress::bar;
use crate::{args, output};

pub(crate) fn run(args: &args::Patch) -> Result<(), Error> {
    let mut config = data::configuration(args.config.as_deref(), args.data.as_deref(), &args.reading)?;
    config.device = args.device.unwrap_or(config.device);
    config.seed = args.seed.unwrap_or(config.seed);
    if let Some(model) = &args.model {
        // Layers in the configuration belong to its own model.
        config.child.layers.clear();
        config.model = model.clone();
    }
    config.child_epochs = args.epochs.map_or(config.child_epochs, Auto::Given);
    let config = config.check()?;
    let dataset = data::read(&config, args.json)?;
    let patch = Patch { arms: args.arms.clone(), seeds: args.seeds, out: args.out.clone() };
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    let bar = bar(args.json, "{wide_bar} {pos}/{len} trainings, {msg}");
    let result = patch.run(&config, &dataset, &cancel, &|event| show(event, &bar, args.json));
    bar.finish_and_clear();
    let result = result?;
    let page = args.out.join("patch.html");
    let name = Path::new(&config.data).file_name().unwrap_or_default().to_string_lossy();
    write_patch(&result, &name, &args.out, &page)?;
    if args.json {
        output::json(&serde_json::json!({ "event": "finished", "out": args.out, "result": result }));
    } else {
        print(&result);
        for file in &result.files {
            output::line(format_args!("wrote {}", file.display()));
        }
        output::line(format_args!("{} shows all of it, with translated images", page.display()));
    }
    Ok(())
}

fn show(event: &PatchEvent, bar: &ProgressBar, json: bool) {
    if json {
        return output::json(event);
    }
    match event {
        PatchEvent::Epoch { .. } => bar.set_message(event.to_string()),
        PatchEvent::Trained { done, trainings, .. } if !bar.is_hidden() => {
            bar.set_length(*trainings as u64);
            bar.set_position(*done as u64);
            bar.set_message(event.to_string());
        }
        event => bar.suspend(|| output::note(event)),
    }
}

fn print(result: &PatchResult) {
    output::line(&result.sentence);
    output::line(format_args!(
        "\narm          worst group (95 %)         gain over erm            mean    largest gap"
    ));
    for arm in &result.arms {
        output::line(row(arm));
    }
    for warning in &result.warnings {
        output::line(format_args!("\nNote: {warning}."));
    }
    output::line("");
}

fn row(arm: &ArmResult) -> String {
    let between = |interval: Option<(f64, f64)>| {
        interval.map_or_else(String::new, |(low, high)| format!(" ({:.1} to {:.1})", 100.0 * low, 100.0 * high))
    };
    let Some(worst) = &arm.worst else { return format!("{:<12} no training succeeded", arm.arm.name()) };
    let gain =
        worst.gain.map_or_else(String::new, |gain| format!("{:+.1}{}", 100.0 * gain.mean, between(gain.interval)));
    let gap = arm.gaps.iter().copied().fold(0.0, f64::max);
    format!(
        "{:<12} {:<26} {gain:<24} {:>5.1} %  {:>6.1}",
        arm.arm.name(),
        format!("{:.1} %{}", 100.0 * worst.mean, between(worst.interval)),
        100.0 * arm.mean.unwrap_or(0.0),
        100.0 * gap
    )
}
