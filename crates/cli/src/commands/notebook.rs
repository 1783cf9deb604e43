//! `deepaug notebook`.

use deepaug::{Error, rebuild};

use super::optimize::print;
use crate::{args, output};

pub(crate) fn run(args: &args::Notebook) -> Result<(), Error> {
    let rebuilt = rebuild(&args.study)?;
    if args.json {
        output::json(&rebuilt);
        return Ok(());
    }
    let (notebook, trials, trainings) = (rebuilt.notebook.display(), rebuilt.trials, rebuilt.trainings);
    output::line(format_args!("{notebook}: {trainings} trainings of {trials} trials"));
    match &rebuilt.result {
        Some(result) => print(result),
        None => output::line("No policy can be compared with trial 0 yet."),
    }
    Ok(())
}
