//! The verbs, one a file.

mod config;
mod devices;
mod optimize;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::output;

/// Runs a command and turns its error into words and an exit code.
pub(crate) fn run(args: Args) -> ExitCode {
    let (result, json) = match args.command {
        Command::Optimize(args) => (optimize::run(&args), args.json),
        Command::Config(args) => (config::run(&args), args.json),
        Command::Devices(args) => {
            devices::run(&args);
            (Ok(()), args.json)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, json);
            ExitCode::from(error.code())
        }
    }
}
