//! `deepaug subsample`.

use std::path::Path;

use deepaug::explain::Subject;
use deepaug::subsample::{Subsample, Subsampled};
use deepaug::{Application, Cancel, Error, Online, Policies, write_subsample};

use super::{data, stop_on_ctrl_c};
use crate::progress::bar;
use crate::{args, output};

pub(crate) fn run(args: &args::Subsample) -> Result<(), Error> {
    let subject = args.study.as_deref().map(Subject::read).transpose()?.unwrap_or_default();
    let (config, dataset) = data::look(&subject, &args.look, args.json)?;
    let policies = args.policy.as_deref().map(|path| Policies::answer(path, 1)).transpose()?;
    let online = match policies.as_ref().map(|policies| policies.application) {
        Some(Application::Online(online)) => online,
        Some(Application::Once | Application::Epoch) => Online { chance: 1.0, ..Online::NOTHING },
        None => Online { pad: args.pad / 32.0, ..Online::NOTHING },
    };
    let subsample = Subsample {
        policy: policies.and_then(|mut policies| policies.policies.pop()),
        online,
        copies: args.copies,
        budgets: args.budgets.clone(),
        choices: args.choose.clone(),
        order: args.order,
        down_weight: !args.full_weight,
        rescore: args.rescore,
        rounds: args.rounds,
        images: args.images,
        strength: args.strength,
    };
    let out = args.out.as_deref().unwrap_or(Path::new("subsample"));
    std::fs::create_dir_all(out).map_err(|source| Error::File { path: out.into(), source })?;
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    let bar = bar(args.json, "{msg} {wide_bar} {pos}/{len}, {eta} left");
    let found = subsample.run(&config, &dataset, &cancel, &|words, done, all| data::show_as(&bar, words, done, all));
    bar.finish_and_clear();
    let found = found?;
    found.write(out)?;
    let page = out.join("subsample.html");
    write_subsample(&found, &dataset, &page)?;
    if args.json {
        output::json(&serde_json::json!({ "out": out, "result": found }));
    } else {
        print(&found, args.rounds);
        output::line(format_args!(
            "\n{} shows the images that count most; scores.csv and budgets.csv are beside it",
            page.display()
        ));
    }
    Ok(())
}

fn print(found: &Subsampled, rounds: usize) {
    let Subsampled { images: [all, others], none, all: full, budgets, warnings, .. } = found;
    output::line(format_args!(
        "Accuracy on {others} images, of a classifier on a net's features, with copies of some of {all}:\n"
    ));
    output::line(format_args!("choice      images    clean  with copies   (mean of {rounds} rounds)"));
    let row = |choice: &str, images: usize, clean: f64, changed: f64| {
        output::line(format_args!("{choice:<10} {images:>7}  {:>6.2} %     {:>6.2} %", 100.0 * clean, 100.0 * changed));
    };
    row("none", 0, none.clean, none.changed);
    for budget in budgets {
        let mean = budget.mean();
        row(budget.choice.name(), budget.images, mean.clean, mean.changed);
    }
    row("all", *all, full.clean, full.changed);
    warnings.iter().for_each(|warning| output::line(format_args!("\nNote: {warning}.")));
}
