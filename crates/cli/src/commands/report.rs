//! `deepaug report`.

use deepaug::{Error, write_report};

use crate::{args, output};

pub(crate) fn run(args: &args::Report) -> Result<(), Error> {
    let out = args.out.clone().unwrap_or_else(|| args.study.join("report.html"));
    write_report(&args.study, &out)?;
    if args.json {
        output::json(&serde_json::json!({ "out": out }));
    } else {
        output::line(format_args!("wrote {}", out.display()));
    }
    Ok(())
}
