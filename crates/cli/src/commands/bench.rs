//! `deepaug bench`.

use std::time::Duration;

use deepaug::cluster::{Simulation, SimulationResult};
use deepaug::{ChildBench, Config, Device, DeviceChoice, Error, Model, OpBench, Policies, select_ops};

use crate::{args, output};

pub(crate) fn run(args: &args::Bench) -> Result<(), Error> {
    match args.cluster {
        Some(agents) => cluster(args, agents),
        None if args.ops.is_empty() => children(args),
        None => ops(args),
    }
}

fn cluster(args: &args::Bench, agents: usize) -> Result<(), Error> {
    let (trainings, seconds) = (args.trainings as u64, args.trial_seconds);
    let method = args.method.iter().map(|name| format!("method={name}"));
    let config = method.into_iter().try_fold(Config::default(), |config, pair| config.with(&pair))?;
    let failed = |source| Error::File { path: std::env::temp_dir(), source };
    let folder = tempfile::tempdir().map_err(failed)?;
    let result = Simulation { agents, trainings, seconds, config }.run(&folder.path().join("study"))?;
    if args.json {
        output::json(&result);
        return Ok(());
    }
    let SimulationResult { trainings, seconds, per_second, share, opened_per_second, listed_per_second, .. } = result;
    output::line(format_args!("{agents} agents, {trainings} trainings in {seconds:.0} s: {per_second:.1} a second"));
    output::line(format_args!("agents trained {:.1} % of the time", 100.0 * share));
    if let Some(core) = result.core {
        output::line(format_args!("the process that runs the study took {:.1} % of a core", 100.0 * core));
    }
    output::line(format_args!(
        "and opened {opened_per_second:.0} mailboxes a second, and looked for agents {listed_per_second:.1} times a second"
    ));
    let [journal, mailboxes] = [result.journal_bytes, result.mailbox_bytes].map(|bytes| bytes as f64 / 1e6);
    output::line(format_args!(
        "journal {journal:.0} MB, mailboxes {mailboxes:.0} MB; {} lost or told twice",
        result.wrong
    ));
    Ok(())
}

fn ops(args: &args::Bench) -> Result<(), Error> {
    let or = |given: &Vec<usize>, usual: &[usize]| if given.is_empty() { usual.to_vec() } else { given.clone() };
    let bench = OpBench {
        ops: select_ops(&args.ops)?,
        sizes: or(&args.size, &[32, 224]),
        threads: or(&args.threads, &[1]),
        time: Duration::from_secs_f64(args.seconds),
    };
    if !args.json {
        output::line("op                          size  threads    images/s");
    }
    let speeds = bench.run(|speed| {
        if !args.json {
            let (op, size, threads, images) = (speed.op, speed.size, speed.threads, speed.images_per_second);
            output::line(format_args!("{op:<26}  {size:>4}  {threads:>7}  {images:>10.0}"));
        }
    });
    if args.json {
        output::json(&serde_json::json!({ "ops": speeds }));
    }
    Ok(())
}

fn children(args: &args::Bench) -> Result<(), Error> {
    let device = Device::open(args.device.unwrap_or(DeviceChoice::Auto))?;
    let models = if args.model.is_empty() { vec![Model::BasicCnn] } else { args.model.clone() };
    let online = args.online.as_deref().map(|path| Policies::read(path, 1)).transpose()?;
    let online = online.and_then(|found| found.policies.into_iter().next());
    let mut child = Vec::new();
    if !args.json {
        output::line(format_args!(
            "{}\n\nmodel           children  images/s  minutes for 3 x 50 epochs of 12,000",
            device.name()
        ));
    }
    for model in models {
        let bench = ChildBench {
            model,
            size: args.size.first().copied().unwrap_or(32),
            channels: args.channels,
            batch: args.batch,
            children: args.children,
            online: online.clone(),
            candidates: args.candidates,
            time: Duration::from_secs_f64(args.seconds),
        };
        for speed in bench.run(&device)? {
            if !args.json {
                let minutes = 3.0 * 50.0 * 12_000.0 / speed.images_per_second / 60.0;
                let (model, children, images) = (&speed.model, speed.children, speed.images_per_second);
                let online = speed.augmented_images_per_second;
                let online = online.map(|images| format!("  {images:>8.0} augmented")).unwrap_or_default();
                let chosen = speed.chosen_images_per_second;
                let chosen = chosen.map(|images| format!("  {images:>8.0} chosen")).unwrap_or_default();
                output::line(format_args!("{model:<14}  {children:>8}  {images:>8.0}  {minutes:>8.1}{online}{chosen}"));
            }
            child.push(speed);
        }
    }
    if args.json {
        output::json(&serde_json::json!({ "child": child }));
    }
    Ok(())
}
