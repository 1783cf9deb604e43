//! The verbs, one a file.

mod apply;
mod ask_tell;
mod bench;
mod config;
mod data;
mod devices;
mod export;
mod notebook;
mod optimize;
mod preview;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::output;

/// Runs a command and turns its error into words and an exit code.
pub(crate) fn run(args: Args) -> ExitCode {
    let json = match &args.command {
        Command::Optimize(args) => args.json,
        Command::Init(args) => args.json,
        Command::Ask(args) => args.json,
        Command::Tell(args) => args.json,
        Command::Notebook(args) => args.json,
        Command::Apply(args) => args.json,
        Command::Preview(args) => args.json,
        Command::Export(args) => args.json,
        Command::Bench(args) => args.json,
        Command::Config(args) => args.json,
        Command::Data(args) => args.json,
        Command::Devices(args) => args.json,
    };
    let work = || match &args.command {
        Command::Optimize(args) => optimize::run(args),
        Command::Init(args) => ask_tell::init(args),
        Command::Ask(args) => ask_tell::ask(args),
        Command::Tell(args) => ask_tell::tell(args),
        Command::Notebook(args) => notebook::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Export(args) => export::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Config(args) => config::run(args),
        Command::Data(args) => data::run(args),
        Command::Devices(args) => {
            devices::run(args);
            Ok(())
        }
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let path = error.path().map(|path| path.display().to_string());
            output::error(error.code(), &error.to_string(), path, json);
            ExitCode::from(error.code())
        }
        Err(_) => {
            let words = "this is a defect of deepaug; please report it with the lines above";
            output::error(DEFECT, words, None, json);
            ExitCode::from(DEFECT)
        }
    }
}

/// The exit code for what should never happen.
const DEFECT: u8 = 70;

/// The exit code for wrong arguments, as clap has it.
const ARGUMENTS: u8 = 2;

/// Says what is wrong with the arguments; `--help` and `--version` come this way too.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().any(|argument| argument == "--json") {
        output::error(ARGUMENTS, error.to_string().trim(), None, true);
        return ExitCode::from(ARGUMENTS);
    }
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(ARGUMENTS) } else { ExitCode::SUCCESS }
}
