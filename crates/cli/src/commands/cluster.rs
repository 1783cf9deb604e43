//! Trainings on other machines: `--on`, `deepaug agent`, `deepaug trial` and `deepaug cluster`.

use std::path::Path;
use std::sync::Arc;

use deepaug::cluster::{
    Agent, ByHand, ClusterEstimate, ClusterEvent, ClusterStatus, Launcher, Machines, Processes, Slurm, run_trial, stop,
    submit_study,
};
use deepaug::{Cancel, ClusterConfig, Error};

use super::stop_on_ctrl_c;
use crate::commands::data;
use crate::progress::Beside;
use crate::{args, output};

/// Returns the machines of `--on`, if it is given.
pub(super) fn machines(
    args: &args::Machines,
    study: &Path,
    config: &ClusterConfig,
    view: Arc<impl Beside + 'static>,
) -> Result<Option<Machines>, Error> {
    let Some(on) = args.on else { return Ok(None) };
    let wanted = ClusterConfig { agents: args.agents.unwrap_or(config.agents), ..config.clone() };
    let launcher: Box<dyn Launcher> = match on {
        args::On::Slurm => Box::new(Slurm::new(study, &program()?, &wanted)?),
        args::On::Processes => Box::new(Processes::new(study, &program()?)?),
        args::On::Agents => {
            output::note(format_args!(
                "waiting for agents: run \"deepaug agent {}\" on machines that see this folder",
                study.display()
            ));
            Box::new(ByHand)
        }
    };
    Ok(Some(Machines { wanted, launcher, tell: Box::new(move |event| view.show_beside(event)) }))
}

/// Shows events as lines.
pub(super) struct Plain {
    pub(super) json: bool,
}

impl Beside for Plain {
    fn show_beside(&self, event: &ClusterEvent) {
        match self.json {
            true => output::json(event),
            false => output::note(event),
        }
    }
}

/// Returns this program's file.
fn program() -> Result<std::path::PathBuf, Error> {
    std::env::current_exe().map_err(|source| Error::File { path: "deepaug".into(), source })
}

pub(crate) fn agent(args: &args::Agent) -> Result<(), Error> {
    let agent = Agent { study: args.study.clone(), nonce: args.nonce.clone(), name: args.name.clone() };
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    let end = agent.run(&cancel, &|what| output::note(what))?;
    output::note(end);
    Ok(())
}

pub(crate) fn trial(args: &args::Trial) -> Result<(), Error> {
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    let spec = std::fs::read_to_string(&args.spec).map_err(|source| Error::File { path: args.spec.clone(), source })?;
    run_trial(args.study.as_deref(), &spec, &args.spec, &cancel)?.write(&args.out)
}

pub(crate) fn run(args: &args::Cluster) -> Result<(), Error> {
    match args {
        args::Cluster::Plan(args) => plan(args),
        args::Cluster::Run(args) => submit(args),
        args::Cluster::Status(args) => status(args),
        args::Cluster::Stop(args) => {
            stop(&args.study)?;
            match args.json {
                true => output::json(&serde_json::json!({ "stopping": args.study })),
                false => output::line("asked to stop; what is nearly done is finished first"),
            }
            Ok(())
        }
    }
}

fn plan(args: &args::ClusterPlan) -> Result<(), Error> {
    let mut config = data::configuration(args.config.as_deref(), args.data.as_deref(), &args.reading)?;
    config.iters = args.iters.unwrap_or(config.iters);
    config.cluster.agents = args.agents.unwrap_or(config.cluster.agents);
    let estimate = ClusterEstimate::new(config, args.trial_seconds, args.price)?;
    match args.json {
        true => output::json(&estimate),
        false => output::line(estimate),
    }
    Ok(())
}

fn submit(args: &args::ClusterRun) -> Result<(), Error> {
    let study = std::path::absolute(&args.study).map_err(|source| Error::File { path: args.study.clone(), source })?;
    let named = study.display().to_string();
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.to_string()).collect() };
    let first = [words(&["optimize", "--on", "slurm", "--out", &named]), args.arguments.clone()].concat();
    let mut again = words(&["optimize", "--on", "slurm", "--resume", &named]);
    if let Some(agents) = args.arguments.iter().position(|argument| argument == "--agents") {
        again.extend(args.arguments[agents..].iter().take(2).cloned());
    }
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    let (partition, account, time) = (given(&args.partition), given(&args.account), given(&args.limit));
    let cluster = ClusterConfig { partition, account, time, ..ClusterConfig::default() };
    let job = submit_study(&study, &program()?, &first, &again, &cluster)?;
    match args.json {
        true => output::json(&serde_json::json!({ "job": job, "study": study })),
        false => output::line(format_args!(
            "job {job} runs the study in {named}; what it prints is in {}, and deepaug cluster status {named} shows its agents",
            study.with_extension("log").display()
        )),
    }
    Ok(())
}

fn status(args: &args::ClusterStudy) -> Result<(), Error> {
    let status = ClusterStatus::read(&args.study)?;
    if args.json {
        output::json(&status);
        return Ok(());
    }
    let state = match (status.is_run, status.is_stopping) {
        (true, false) => "a process runs it",
        (true, true) => "it is about to stop",
        (false, _) => "no process runs it",
    };
    output::line(format_args!("{}: {state}", status.study.display()));
    if let (Some(trials), Some(trainings)) = (status.trials, status.trainings) {
        output::line(format_args!("{trials} trials proposed, {trainings} trainings have ended"));
    }
    let slots: usize =
        status.agents.iter().filter(|agent| ["training", "idle"].contains(&agent.state)).map(|agent| agent.slots).sum();
    output::line(format_args!("{} agents wanted; those there train {slots} at once", status.wanted));
    if !status.agents.is_empty() {
        output::line("\nagent                     machine           state     slots  under way  ended  seconds silent");
    }
    for agent in &status.agents {
        let why = agent.why.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
        output::line(format_args!(
            "{:<24}  {:<16}  {:<8}  {:>5}  {:>9}  {:>5}  {:>14}{why}",
            agent.name, agent.node, agent.state, agent.slots, agent.under_way, agent.ended, agent.silent
        ));
    }
    Ok(())
}
