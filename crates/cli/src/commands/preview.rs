//! `deepaug preview`.

use deepaug::{
    Error, LabelCheck, Policies, RangeTable, Step, op_sheet, policy_sheet, preview_config, select_ops, write_sheet,
};

use super::data;
use crate::{args, output};

pub(crate) fn run(args: &args::Preview) -> Result<(), Error> {
    let policies = args.policy.as_deref().map(|path| Policies::read(path, args.top)).transpose()?;
    let ops = select_ops(&args.ops)?;
    let study = policies.as_ref().and_then(|policies| policies.config.as_ref());
    let mut config = preview_config(args.data.as_deref(), study.map(|study| &**study));
    data::ask(&mut config, &args.reading)?;
    let dataset = data::read(&config, args.json)?;
    let (sheet, ranges, steps) = match &policies {
        Some(Policies { policies, .. }) => {
            let ranges = policies.first().map_or(RangeTable::Monotone, |policy| policy.ranges);
            (policy_sheet(policies, &dataset, args.draws, args.seed), ranges, LabelCheck::steps(policies))
        }
        None => {
            let known = ops.iter().filter(|&&op| args.ranges.has(op));
            let sheet = op_sheet(args.ranges, &ops, &dataset, args.seed);
            (sheet, args.ranges, known.map(|&op| Step::new(op, 1.0)).collect())
        }
    };
    write_sheet(sheet, &args.out)?;
    if !args.json {
        output::line(format_args!("wrote {}", args.out.display()));
    }
    let check = if args.no_check {
        None
    } else {
        if !args.json {
            output::note(
                "training a small net without augmentation, to see which ops destroy the content of images ...",
            );
        }
        match LabelCheck::run(ranges, &steps, &dataset, args.seed) {
            // The picture is written even if the data set is too small to learn from.
            Err(error @ (Error::Data(_) | Error::Child(_))) if !args.json => {
                output::note(format_args!("labels were not checked: {error}"));
                None
            }
            Err(Error::Data(_) | Error::Child(_)) => None,
            other => Some(other?),
        }
    };
    if args.json {
        output::json(&serde_json::json!({ "out": args.out, "check": check }));
    } else if let Some(check) = check {
        print(&check);
    }
    Ok(())
}

fn print(check: &LabelCheck) {
    let percent = |part: f64| 100.0 * part;
    output::line(format_args!(
        "\nA net trained without augmentation classifies {:.0} % of images correctly (guessing: {:.0} %).",
        percent(check.accuracy),
        percent(check.chance)
    ));
    let mut suspects: Vec<_> = check.ops.iter().filter(|checked| checked.suspect).collect();
    if suspects.is_empty() {
        output::line("It keeps more than half of that advantage under every op shown.");
        return;
    }
    suspects.sort_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
    output::line("Warning: it loses most of that advantage under these ops. If you cannot tell the classes either,");
    output::line("exclude them from the search:");
    for checked in suspects {
        output::line(format_args!(
            "  {:<26} {:.2}  {:>3.0} % correct",
            checked.op.name(),
            checked.magnitude,
            percent(checked.accuracy)
        ));
    }
}
