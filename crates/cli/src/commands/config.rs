//! `deepaug config`.

use deepaug::{Config, Error};

use crate::{args, output};

pub(crate) fn run(args: &args::Config) -> Result<(), Error> {
    let config = match &args.config {
        Some(path) => Config::read(path)?,
        None if args.quickstart => Config::quickstart(),
        None => Config::default(),
    };
    if args.json {
        output::json(&config);
    } else {
        output::line(config.documented().trim_end());
    }
    Ok(())
}
