//! The `deepaug` command. The libraries do all of the work; everything it prints is printed here.

mod args;
mod commands;
mod output;
mod progress;

use std::ffi::OsString;

use clap::Parser;

/// Runs the command with its arguments, of which the first is the program's name, and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Without a desktop session, Mesa's device-select layer complains on stderr; it has nothing to select
        // here.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match args::Args::try_parse_from(&arguments) {
        Ok(args) => commands::run(args),
        Err(error) => commands::refuse(&error, arguments.iter().any(|argument| argument == "--json")),
    }
}
