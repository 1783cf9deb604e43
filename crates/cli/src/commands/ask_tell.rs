//! `deepaug init`, `deepaug ask` and `deepaug tell`: a search that any program can drive.

use deepaug::{AskTell, Config, Error, ReportedOutcome};
use serde_json::json;

use crate::{args, output};

pub(crate) fn init(args: &args::Init) -> Result<(), Error> {
    let mut config = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    config.seed = args.seed.unwrap_or(config.seed);
    AskTell::create(config, &args.study)?;
    let study = args.study.display();
    if args.json {
        output::json(&json!({ "study": args.study }));
    } else {
        output::line(format_args!("{study} is ready: deepaug ask --study {study}"));
    }
    Ok(())
}

pub(crate) fn ask(args: &args::Ask) -> Result<(), Error> {
    let mut study = AskTell::open(&args.study)?;
    let trials = if args.pending { study.pending() } else { study.ask(args.n)? };
    trials.iter().for_each(output::json);
    Ok(())
}

pub(crate) fn tell(args: &args::Tell) -> Result<(), Error> {
    let told = match (args.reward, &args.failed) {
        (Some(reward), _) => ReportedOutcome::Reward(reward),
        (None, why) => ReportedOutcome::Failed(why.clone().unwrap_or_default()),
    };
    AskTell::open(&args.study)?.tell(args.trial, args.sample, told)?;
    if args.json {
        output::json(&json!({ "trial": args.trial }));
    }
    Ok(())
}
