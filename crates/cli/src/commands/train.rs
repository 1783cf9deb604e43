//! `deepaug train`.

use std::sync::Arc;

use deepaug::{Cancel, EpochRecord, Error, FinalOptions, Train};
use indicatif::{ProgressBar, ProgressStyle};

use super::{cluster, compare, stop_on_ctrl_c};
use crate::{args, output};

pub(crate) fn run(args: &args::Train) -> Result<(), Error> {
    let train = Train {
        training: FinalOptions {
            elsewhere: args.machines.on.is_some(),
            ..compare::training(&args.training, &args.online)?
        },
        top: args.online.top,
        instead: args.scheme,
        policies: args.policy.clone(),
        sample: args.sample,
        out: args.out.clone(),
    };
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    // Hides itself without a terminal.
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} epochs, {eta} left  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let config = deepaug::study_config(&args.study)?;
    let view = Arc::new(cluster::Plain { json: args.json });
    let machines = cluster::machines(&args.machines, &args.study, &config.cluster, view)?;
    let trained = train.run_on(&args.study, machines, &cancel, &|record: &EpochRecord, epochs| {
        let words = format!("accuracy {:.3}, test {:.3}", record.acc, record.val_acc);
        if args.json {
            output::json(&serde_json::json!({ "event": "epoch", "epochs": epochs, "record": record }));
        } else if bar.is_hidden() {
            output::note(format_args!("epoch {}/{epochs}: {words}", record.epoch));
        }
        bar.set_length(epochs as u64);
        bar.set_position(record.epoch as u64);
        bar.set_message(words);
    });
    bar.finish_and_clear();
    let trained = trained?;
    if args.json {
        output::json(&serde_json::json!({ "event": "finished", "result": trained }));
    } else {
        let (accuracy, test) = (100.0 * trained.accuracy, trained.test_images);
        output::line(format_args!("{} on {test} test images: {accuracy:.2} %", trained.model));
        let (weights, module) = (trained.weights.display(), trained.module.display());
        let (history, card) = (trained.history.display(), trained.card.display());
        output::line(format_args!("wrote {weights}, {module}, {history} and {card}"));
        for other in &trained.others {
            output::line(format_args!("wrote {}", other.display()));
        }
    }
    Ok(())
}
