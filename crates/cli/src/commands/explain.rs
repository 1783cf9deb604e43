//! `deepaug explain`.

use std::path::Path;

use deepaug::explain::{Explain, Explanation, Subject};
use deepaug::{Cancel, Error, Op, RangeTable, select_ops, write_explanation};

use super::{data, stop_on_ctrl_c};
use crate::progress::bar;
use crate::{args, output};

/// Changes in the table.
const SHOWN: usize = 12;

pub(crate) fn run(args: &args::Explain) -> Result<(), Error> {
    let subject = args.subject.as_deref().map(Subject::read).transpose()?.unwrap_or_default();
    let (config, dataset) = data::look(&subject, &args.look, args.json)?;
    let [.., channels] = dataset.image_shape();
    let mut ops = match (&args.ops, &subject.config) {
        (Some(names), _) => select_ops(names)?,
        (None, Some(study)) => study.ops.clone(),
        (None, None) => Op::ALL.into_iter().filter(|op| *op != Op::SamplePairing).collect(),
    };
    ops.retain(|op| channels == 3 || !op.needs_colour());
    let ranges = match (&subject.policy, &subject.config) {
        (_, Some(study)) => study.ranges,
        (Some((policy, _)), None) => policy.ranges,
        (None, None) => RangeTable::default(),
    };
    let explain = Explain {
        policy: subject.policy,
        ops,
        ranges,
        magnitudes: args.magnitudes.clone(),
        draws: args.draws,
        images: args.images,
    };
    // What is computed from a study's own images belongs to it.
    let of_study = args.subject.as_deref().filter(|_| subject.config.is_some() && args.look.data.is_none());
    let out = args.out.as_deref().or(of_study).unwrap_or(Path::new("explanation"));
    std::fs::create_dir_all(out).map_err(|source| Error::File { path: out.into(), source })?;
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    let bar = bar(args.json, "{msg} {wide_bar} {pos}/{len}, {eta} left");
    let explanation =
        explain.run(&config, &dataset, of_study, &cancel, &|words, done, all| data::show_as(&bar, words, done, all));
    bar.finish_and_clear();
    let explanation = explanation?;
    explanation.write(out)?;
    let page = out.join("explanation.html");
    let name = Path::new(&config.data).file_name().unwrap_or_default().to_string_lossy();
    write_explanation(&explanation, &name, &page)?;
    if args.json {
        output::json(&serde_json::json!({ "out": out, "explanation": explanation }));
    } else {
        print(&explanation);
        output::line(format_args!(
            "\n{} shows all of it, explanation.csv and explanation.json beside it are for programs",
            page.display()
        ));
    }
    Ok(())
}

fn print(explanation: &Explanation) {
    let Explanation { accuracy, images, draws, changes, harmful, helpful, .. } = explanation;
    output::line(format_args!(
        "A net trained without augmentation reads {:.1} % of {images} images right that it has not learnt from.\n\
         What ops add to its loss, over {draws} draws of each image:\n",
        100.0 * accuracy
    ));
    output::line("op and magnitude                   cost     shift  variance remainder  read otherwise");
    for change in changes.iter().take(SHOWN) {
        let terms = &change.all;
        output::line(format_args!(
            "{:<30} {:>+8.3}  {:>+8.3}  {:>8.3} {:>+9.3}  {:>12.1} %",
            change.name(),
            terms.cost,
            terms.shift,
            terms.variance,
            terms.remainder(),
            100.0 * terms.changed
        ));
    }
    if changes.len() > SHOWN {
        output::line(format_args!("... and {} more", changes.len() - SHOWN));
    }
    for (head, findings) in [("What costs most:", harmful), ("What adds variety and is still read as before:", helpful)]
    {
        if !findings.is_empty() {
            output::line(format_args!("\n{head}"));
            findings.iter().for_each(|finding| output::line(format_args!("  {}", finding.words)));
        }
    }
}
