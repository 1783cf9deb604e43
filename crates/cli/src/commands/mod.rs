//! The commands, one per file.

mod apply;
mod ask_tell;
mod bench;
mod cluster;
mod compare;
mod config;
mod data;
mod devices;
mod explain;
mod export;
mod inspect;
mod notebook;
mod optimize;
mod patch;
mod preview;
mod report;
mod serve;
mod subsample;
mod train;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use deepaug::{Cancel, Error, ExitCode, Remedy};

use crate::args::{Args, Command};
use crate::output;

/// Runs a command and turns its error into a message and an exit code.
pub(crate) fn run(args: Args) -> u8 {
    let json = match &args.command {
        Command::Optimize(args) => args.json,
        Command::Init(args) => args.json,
        Command::Ask(args) => args.json,
        Command::Tell(args) => args.json,
        Command::Serve(args) => args.json,
        Command::Subsample(args) => args.json,
        Command::Patch(args) => args.json,
        Command::Notebook(args) => args.json,
        Command::Apply(args) => args.json,
        Command::Preview(args) => args.json,
        Command::Explain(args) => args.json,
        Command::Export(args) => args.json,
        Command::Bench(args) => args.json,
        Command::Compare(args) => args.json,
        Command::Train(args) => args.json,
        Command::Report(args) => args.json,
        Command::Inspect(args) => args.json,
        Command::Config(args) => args.json,
        Command::Data(args) => args.json,
        Command::Devices(args) => args.json,
        Command::Agent(_) => false,
        Command::Trial(args) => args.json,
        Command::Cluster(args) => args.json(),
    };
    let work = || match &args.command {
        Command::Optimize(args) => optimize::run(args),
        Command::Init(args) => ask_tell::init(args),
        Command::Ask(args) => ask_tell::ask(args),
        Command::Tell(args) => ask_tell::tell(args),
        Command::Serve(args) => serve::run(args),
        Command::Subsample(args) => subsample::run(args),
        Command::Patch(args) => patch::run(args),
        Command::Notebook(args) => notebook::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Preview(args) => preview::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Export(args) => export::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Train(args) => train::run(args),
        Command::Report(args) => report::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Config(args) => config::run(args),
        Command::Data(args) => data::run(args),
        Command::Agent(args) => cluster::agent(args),
        Command::Trial(args) => cluster::trial(args),
        Command::Cluster(args) => cluster::run(args),
        Command::Devices(args) => {
            devices::run(args);
            Ok(())
        }
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => ExitCode::Done as u8,
        Ok(Err(error)) => {
            let path = error.path().map(|path| path.display().to_string());
            output::error(error.code(), &in_words(&error), path, json);
            error.code()
        }
        Err(_) => {
            let words = "this is a bug in deepaug; please report it with the lines above";
            output::error(DEFECT, words, None, json);
            DEFECT
        }
    }
}

/// Describes an error, and what to do about it on the command line.
fn in_words(error: &Error) -> String {
    let remedy = match error.remedy() {
        None => return error.to_string(),
        Some(Remedy::AnotherDevice) => "Use --device cpu, or --device auto to take whatever is available".into(),
        Some(Remedy::UpdateDriver) => "Update its driver, or use --device cpu".into(),
        Some(Remedy::BuildForGpu) => "Build deepaug with the feature \"gpu\", or use --device cpu".into(),
        Some(Remedy::ResumeOnDevice) => {
            "Resume the study when the device works again, or on another with --device".into()
        }
        Some(Remedy::Resume { study }) => format!("Continue with: deepaug optimize --resume \"{}\"", study.display()),
        Some(Remedy::Again) => "Repeat the command to continue".into(),
        Some(Remedy::AnotherFolder) => "Choose another folder, or continue the study there with --resume".into(),
        Some(Remedy::FinishSearch { study }) => {
            let study = study.display();
            format!(
                "Continue with: deepaug optimize --resume \"{study}\", or, if other programs judge its trials, \
                 deepaug notebook \"{study}\""
            )
        }
        Some(Remedy::NameNet) => "Name a net with --model".into(),
        Some(Remedy::AnotherName) => "Use the same options, or another --name".into(),
        Some(Remedy::AskAndTell) => "Use deepaug ask and deepaug tell".into(),
        Some(Remedy::AskFirst) => "Propose trials with deepaug ask".into(),
        Some(other) => other.to_string(),
    };
    format!("{error}. {remedy}")
}

/// Asks work to stop on Ctrl-C, and ends the program on the second Ctrl-C: whatever has finished is on disk.
fn stop_on_ctrl_c(cancel: Cancel) {
    let handler = ctrlc::set_handler(move || {
        if cancel.cancel() {
            // The second time, stop at once. Only the running trainings are lost.
            deepaug::kill_programs();
            // Their trainings end now, and remove their temporary files.
            std::thread::sleep(Duration::from_millis(300));
            std::process::exit(i32::from(ExitCode::Interrupted as u8));
        }
        output::note("stopping once what is nearly done has finished; press Ctrl-C again to stop at once");
    });
    if let Err(error) = handler {
        output::note(format_args!("Ctrl-C will stop at once, without waiting for epochs to end: {error}"));
    }
}

/// The exit code for what should never happen.
const DEFECT: u8 = ExitCode::Defect as u8;

/// The exit code for wrong arguments, the same as clap's.
const ARGUMENTS: u8 = ExitCode::Arguments as u8;

/// Reports wrong arguments; `--help` and `--version` come this way too.
pub(crate) fn refuse(error: &clap::Error, json: bool) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::Done as u8;
    }
    match json {
        true => output::error(ARGUMENTS, error.to_string().trim(), None, true),
        false => _ = error.print(),
    }
    ARGUMENTS
}

/// Refuses to replace a file that is not one of those that a command writes, such as the images or the policy that it reads.
pub(super) fn keep(path: &Path, is_ours: impl Fn(&[u8]) -> bool, what: &str) -> Result<(), Error> {
    match std::fs::read(path) {
        Ok(bytes) if !is_ours(&bytes) => {
            let why = format!("it is there already, and not {what}; choose another name");
            Err(Error::File { path: path.into(), source: std::io::Error::other(why) })
        }
        _ => Ok(()),
    }
}
