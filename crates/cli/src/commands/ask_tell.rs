//! `deepaug init`, `deepaug ask` and `deepaug tell`: a search that any program can drive.

use std::path::Path;
use std::time::Duration;

use deepaug::{AskTell, Config, ConfigError, Error, Observation, ReportedOutcome, Tell};
use serde_json::json;

use super::in_words;
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
        output::line(format_args!("{study} is ready; start with: deepaug ask --study {study}"));
    }
    Ok(())
}

pub(crate) fn ask(args: &args::Ask) -> Result<(), Error> {
    let mut study = AskTell::open_within(&args.study, Duration::from_secs(args.wait))?;
    let trials = if args.pending { study.pending() } else { study.ask(args.n)? };
    trials.iter().for_each(output::json);
    Ok(())
}

pub(crate) fn tell(args: &args::Tell) -> Result<(), Error> {
    let told = match (&args.from, args.trial) {
        (Some(path), _) => read(path)?,
        (None, trial) => {
            let outcome = match (args.reward, &args.failed) {
                (Some(reward), _) => ReportedOutcome::Reward(reward),
                (None, why) => ReportedOutcome::Failed(why.clone().unwrap_or_default()),
            };
            vec![Observation { trial: trial.unwrap_or_default(), sample: args.sample, outcome }]
        }
    };
    let trials: Vec<u64> = told.iter().map(|observation| observation.trial).collect();
    let answers = AskTell::tell_within(&args.study, told, Duration::from_secs(args.wait))?;
    let mut refused = Vec::new();
    for (trial, taken) in trials.into_iter().zip(answers) {
        match taken {
            Ok(()) if args.json => output::json(&json!({ "trial": trial })),
            Ok(()) => {}
            Err(error) => refused.push(error),
        }
    }
    // The results that were accepted are kept; the first error is the command's own.
    for error in refused.iter().skip(1) {
        output::note(format_args!("error: {}", in_words(error)));
    }
    refused.into_iter().next().map_or(Ok(()), Err)
}

/// Reads lines of JSON. If one cannot be read, none is told.
fn read(path: &Path) -> Result<Vec<Observation>, Error> {
    let is_stdin = path == Path::new("-");
    let text = if is_stdin { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|source| Error::File { path: path.into(), source })?;
    let name = if is_stdin { Path::new("standard input") } else { path };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let tell = |(number, line): (usize, &str)| {
        let tell: Result<Tell, _> = serde_json::from_str(line).map_err(|error| error.to_string());
        tell.and_then(Tell::observation).map_err(|why| {
            Error::Config(ConfigError { file: Some(name.into()), line: Some(number + 1), ..ConfigError::new(why) })
        })
    };
    lines.map(tell).collect()
}
