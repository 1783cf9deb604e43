//! The `deepaug` command. All it does is done by the libraries; what it says is said here.

mod args;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

/// Fresh activations of every step are allocated and freed: +11 to +38 % images a second on two cores.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(args::Args::parse())
}
