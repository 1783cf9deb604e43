//! `deepaug apply`.

use deepaug::{Application, Apply, Cancel, Error, Online, Policies, image_files, preview_config};
use indicatif::{ProgressBar, ProgressStyle};

use super::data;
use crate::{args, output};

pub(crate) fn run(args: &args::Apply) -> Result<(), Error> {
    let Policies { policies, application, .. } = Policies::answer(&args.found.policy, args.found.top)?;
    let application = if args.one_each && application.online().is_none() {
        Application::Online(Online { chance: 1.0, ..Online::NOTHING })
    } else {
        application
    };
    let apply = Apply { policies, rounds: args.copies, application, originals: args.originals, seed: args.seed };
    let cancel = Cancel::new();
    let asked = cancel.clone();
    if let Err(error) = ctrlc::set_handler(move || _ = asked.cancel()) {
        output::note(format_args!("Ctrl-C will leave a hidden folder behind: {error}"));
    }
    // Hides itself without a terminal.
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let has_files = args.from.is_dir() && image_files(&args.from).is_ok();
    let applied = if has_files && args.reading == args::Reading::default() {
        apply.run(&args.from, &args.to, &cancel, &progress)
    } else {
        let mut config = preview_config(Some(&args.from), None);
        data::ask(&mut config, &args.reading)?;
        apply.run_on(&data::read(&config, args.json)?, &args.to, &cancel, &progress)
    };
    bar.finish_and_clear();
    if matches!(applied, Err(Error::Stopped)) {
        output::note("stopped; the same command continues");
    }
    let applied = applied?;
    if args.json {
        output::json(&applied);
    } else {
        let originals = if args.originals { ", and the originals," } else { "" };
        let (copies, images, to) = (applied.copies, applied.images, args.to.display());
        output::line(format_args!("{copies} copies of {images} images{originals} in {to}"));
        if applied.copies == 0 && !args.originals {
            output::line("The policy makes no copies: its portion is too small, or it has no ops.");
        }
    }
    Ok(())
}
