//! `deepaug optimize`.

use std::path::Path;
use std::sync::{Arc, Mutex};

use deepaug::{
    Auto, Budget, Changes, Config, Error, Event, Gain, RewardKind, SearchResult, Sizes, Study, StudyBuilder, Wanted,
};

use crate::commands::{cluster, data};
use crate::progress::View;
use crate::{args, output};

/// Characters of a policy to show; a file holds all of it.
const MAX_POLICY: usize = 200;

/// Policies in the final table.
const SHOWN: usize = 5;

pub(crate) fn run(args: &args::Optimize) -> Result<(), Error> {
    let elsewhere = args.machines.on.is_some();
    let study = match &args.resume {
        Some(folder) => {
            let changes = Changes { iters: args.iters, device: args.device };
            StudyBuilder::default().folder(folder).changes(changes).elsewhere(elsewhere).resume()?
        }
        None => {
            let config = configuration(args)?;
            let dataset = data::read(&config, args.json)?;
            if (config.sizes == Sizes::Auto || config.child_epochs == Auto::Auto) && !args.json {
                output::note("choosing sizes from a few trainings without augmentation");
            }
            let wanted = Wanted { time: args.time, iters: args.iters };
            let new = Study::builder(config).dataset(&dataset).wanted(wanted).elsewhere(elsewhere);
            args.out.iter().fold(new, |new, out| new.folder(out)).create()?
        }
    };
    let study = study.within(Budget { time: args.time, trainings: args.trainings });
    log_to(&study.log_path());
    super::stop_on_ctrl_c(study.cancel());
    let view = Arc::new(View::new(args.json));
    let emit = |event: &Event| view.show(event);
    let result = match cluster::machines(&args.machines, study.folder(), &study.config().cluster, view.clone())? {
        None => study.run(&emit),
        Some(machines) => study.cluster(machines).and_then(|mut cluster| study.run_on(&mut cluster, &emit)),
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

/// Writes events to a log file as well as to the terminal.
fn log_to(path: &Path) {
    match std::fs::OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => {
            let log = tracing_subscriber::fmt().with_writer(Mutex::new(file)).with_ansi(false).with_target(false);
            log.with_max_level(tracing::Level::DEBUG).init();
        }
        Err(error) => output::note(format_args!("{}: no log will be written: {error}", path.display())),
    }
}

/// Starts from the file or the quickstart, then applies the arguments.
fn configuration(args: &args::Optimize) -> Result<Config, Error> {
    let mut config = data::configuration(args.config.as_deref(), args.data.as_deref(), &args.reading)?;
    if let Some(epochs) = &args.epochs {
        config = config.with(&format!("child_epochs={epochs}"))?;
    }
    if let Some(model) = &args.model {
        // Layers in the configuration belong to its own model.
        config.child.layers.clear();
        config.model = model.clone();
    }
    config.iters = args.iters.unwrap_or(config.iters);
    config.seed = args.seed.unwrap_or(config.seed);
    config.device = args.device.unwrap_or(config.device);
    config.workers = args.workers.unwrap_or(config.workers);
    config.cluster.agents = args.machines.agents.unwrap_or(config.cluster.agents);
    // No machine waits for another, unless the notebook is to be the same whatever their number.
    config.in_order = config.in_order && (args.machines.on.is_none() || args.in_order);
    Ok(config)
}

/// Shortens a policy that may be very long.
fn shortened(policy: &str) -> String {
    match policy.char_indices().nth(MAX_POLICY) {
        Some((end, _)) => format!("{}...", &policy[..end]),
        None => policy.into(),
    }
}

pub(super) fn print(result: &SearchResult) {
    output::line(format_args!("\n{}\n{}", result.answer, result.verdict));
    let (what, whose) = match result.reward {
        RewardKind::Accuracy => ("accuracy", "Accuracies are on validation images, with equal seeds side by side."),
        RewardKind::Score => ("   score", "Scores are as told, with equal samples side by side."),
        RewardKind::Loss => ("    loss", "Losses are as told, less is better, with equal samples side by side."),
    };
    output::line(format_args!("\nrank  trial  {what}     none  gain over no policy"));
    for (index, candidate) in result.top.iter().take(SHOWN).enumerate() {
        let shown = |gain: &Gain, of: &str| {
            let [own, none] = gain.rewards().unwrap_or_default();
            format!("{own:>8}  {none:>7}  {gain}, {of}")
        };
        let gain = match (&candidate.fresh_gain, &candidate.search_gain) {
            (Some(gain), _) => shown(gain, "fresh seeds"),
            (None, Some(gain)) => shown(gain, "in the search"),
            (None, None) => "unknown".into(),
        };
        output::line(format_args!("{:>4}  {:>5}  {gain}", index + 1, candidate.trial));
        let name = candidate.scheme.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        output::line(format_args!("             {name}{}", shortened(&candidate.policy.to_string())));
    }
    output::line("");
    if result.epochs_spared > 0 {
        let part = 100.0 * result.epochs_spared as f64 / (result.epochs + result.epochs_spared) as f64;
        output::line(format_args!("Trials that fell behind ended early, saving {part:.0} % of the search's epochs."));
    }
    if result.failed > 0 {
        output::line(format_args!("{} trainings failed; journal.jsonl says why.", result.failed));
    }
    output::line(format_args!(
        "{whose} The study is {}: best_policy.json, top_policies.csv and more.",
        result.study.display()
    ));
}
