//! Agents as jobs of Slurm: one array, whose tasks live as long as the study, or as they may.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::launcher::{Launcher, Unit, UnitState};
use super::plan::{Paths, Plan};
use crate::config::ClusterConfig;
use crate::error::Error;
use crate::files::{write_json, write_whole};

/// How often Slurm is asked about the agents: its controller serves many.
const INTERVAL: Duration = Duration::from_secs(10);

/// Starts agents by `sbatch`.
#[derive(Debug)]
pub struct Slurm {
    study: PathBuf,
    paths: Paths,
    program: PathBuf,
    cluster: ClusterConfig,
    submitted: Submitted,
    /// What Slurm said last.
    units: Vec<Unit>,
}

/// `slurm.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Submitted {
    arrays: Vec<Array>,
    /// Machines that no agent is to run on.
    excluded: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Array {
    job: String,
    tasks: usize,
}

impl Slurm {
    /// Makes a launcher of a study whose agents are a program, which all machines must have at the same place, with
    /// `agent STUDY` as its first arguments.
    ///
    /// # Errors
    /// [`Error::Cluster`]: Slurm is not here. [`Error::File`].
    pub fn new(study: &Path, program: &Path, cluster: &ClusterConfig) -> Result<Self, Error> {
        let study = study.canonicalize().map_err(|error| Error::file(study, error))?;
        let paths = Paths::of(&study);
        run("sbatch", &["--version"])?;
        let submitted =
            std::fs::read(paths.slurm()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Ok(Self { study, paths, program: program.into(), cluster: cluster.clone(), submitted, units: Vec::new() })
    }

    fn write(&self) -> Result<(), Error> {
        write_json(&self.paths.slurm(), &self.submitted)
    }
}

impl Launcher for Slurm {
    fn ask(&mut self, agents: usize) -> Result<(), Error> {
        let plan = Plan::read(&self.paths)?;
        let text = script(&self.study, &self.program, &plan.nonce, &self.cluster, &self.submitted.excluded, agents);
        let path = self.paths.root().join("agent.sh");
        write_whole(&path, text.as_bytes())?;
        let job = submit(&path, &self.cluster.partition)?;
        self.submitted.arrays.push(Array { job, tasks: agents });
        self.write()?;
        self.units.clear();
        Ok(())
    }

    fn look(&mut self) -> Vec<Unit> {
        // Slurm's controller may be away for a while; agents are then heard all the same.
        let Ok(said) = run("squeue", &["--noheader", "--me", "--array", "--format=%F_%K|%T"]) else {
            return self.units.clone();
        };
        self.units = units(&self.submitted.arrays, &said);
        self.units.clone()
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn exclude(&mut self, node: &str) {
        self.submitted.excluded.push(node.into());
        let _ = self.write();
        let list = format!("ExcNodeList={}", self.submitted.excluded.join(","));
        for Array { job, .. } in &self.submitted.arrays {
            let _ = run("scontrol", &["update", &format!("JobId={job}"), &list]);
        }
    }

    fn log(&self, unit: &str) -> Option<PathBuf> {
        Some(self.paths.logs().join(format!("{unit}.log")))
    }

    fn stop(&mut self) {
        cancel(&self.submitted, true);
        let _ = std::fs::remove_file(self.paths.slurm());
    }
}

/// Ends what a study submitted to Slurm: what waits, or everything.
pub(super) fn cancel_all(paths: &Paths) {
    let submitted = std::fs::read(paths.slurm()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(submitted) = submitted {
        cancel(&submitted, true);
    }
}

/// Ends jobs that wait; those that run end by themselves.
fn cancel(submitted: &Submitted, waiting: bool) {
    for Array { job, .. } in &submitted.arrays {
        let state: &[&str] = if waiting { &["--state=PENDING"] } else { &[] };
        let _ = run("scancel", &[state, &["--quiet", job]].concat());
    }
}

/// Returns what Slurm says about the tasks of arrays.
fn units(arrays: &[Array], said: &str) -> Vec<Unit> {
    let state_of = |name: &str| {
        let line = said.lines().filter_map(|line| line.trim().split_once('|')).find(|(task, _)| *task == name);
        match line.map(|(_, state)| state) {
            Some("PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT") => {
                UnitState::Waiting
            }
            Some("RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT") => UnitState::Running,
            _ => UnitState::Ended,
        }
    };
    let names = arrays.iter().flat_map(|array| (0..array.tasks).map(move |task| format!("{}_{task}", array.job)));
    names.map(|name| Unit { state: state_of(&name), name }).collect()
}

/// Returns the job script of agents.
fn script(
    study: &Path,
    program: &Path,
    nonce: &str,
    cluster: &ClusterConfig,
    excluded: &[String],
    agents: usize,
) -> String {
    let ClusterConfig { cpus, gpus, partition, account, time, sbatch, prolog, .. } = cluster;
    let log = Paths::of(study).logs().join("%A_%a.log");
    let mut options = vec![
        "--job-name=deepaug".to_string(),
        format!("--array=0-{}", agents.saturating_sub(1)),
        // Slurm warns two minutes before the time limit, and starts again what a dead machine took along.
        "--requeue".into(),
        "--signal=B:TERM@120".into(),
        "--open-mode=append".into(),
        "--nodes=1".into(),
        "--ntasks=1".into(),
        format!("--output={}", log.display()),
    ];
    let named = [("partition", partition), ("account", account), ("time", time)];
    options
        .extend(named.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("--{name}={value}")));
    if *cpus > 0 {
        options.push(format!("--cpus-per-task={cpus}"));
    }
    if *gpus > 0 {
        options.push(format!("--gres=gpu:{gpus}"));
    }
    if !excluded.is_empty() {
        options.push(format!("--exclude={}", excluded.join(",")));
    }
    options.extend(sbatch.iter().cloned());
    let options: String = options.iter().map(|option| format!("#SBATCH {option}\n")).collect();
    let prolog = if prolog.is_empty() { String::new() } else { format!("{prolog}\n") };
    format!(
        "#!/bin/sh\n{options}{prolog}exec {program} agent {study} --nonce {nonce} --name \
         \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}-${{SLURM_RESTART_COUNT:-0}}\"\n",
        program = quoted(program),
        study = quoted(study),
    )
}

/// Submits a program that runs a study, such as `deepaug optimize --on slurm`, as a job with one CPU that Slurm starts again if
/// its machine dies. Returns the job's number.
///
/// # Errors
/// [`Error::Cluster`]: Slurm is not here, or refuses the job. [`Error::File`].
pub fn submit_study(
    folder: &Path,
    program: &Path,
    first: &[String],
    again: &[String],
    cluster: &ClusterConfig,
) -> Result<String, Error> {
    run("sbatch", &["--version"])?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = parent.canonicalize().map_err(|error| Error::file(parent, error))?;
    let name = folder.file_name().unwrap_or_default();
    let (log, path) = (parent.join(name).with_extension("log"), parent.join(name).with_extension("sh"));
    let mut options = vec![
        "--job-name=deepaug-study".to_string(),
        "--requeue".into(),
        "--signal=B:TERM@120".into(),
        "--open-mode=append".into(),
        "--nodes=1".into(),
        "--ntasks=1".into(),
        "--cpus-per-task=1".into(),
        format!("--output={}", log.display()),
    ];
    let named = [("partition", &cluster.partition), ("account", &cluster.account), ("time", &cluster.time)];
    options
        .extend(named.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("--{name}={value}")));
    let options: String = options.iter().map(|option| format!("#SBATCH {option}\n")).collect();
    let words = |arguments: &[String]| -> String {
        arguments.iter().map(|argument| format!(" {}", quoted(Path::new(argument)))).collect()
    };
    let (program, journal) = (quoted(program), quoted(&parent.join(name).join(crate::layout::JOURNAL)));
    let prolog = if cluster.prolog.is_empty() { String::new() } else { format!("{}\n", cluster.prolog) };
    let text = format!(
        "#!/bin/sh\n{options}{prolog}if [ -f {journal} ]; then exec {program}{}; fi\nexec {program}{}\n",
        words(again),
        words(first)
    );
    write_whole(&path, text.as_bytes())?;
    submit(&path, &cluster.partition)
}

/// Submits a script, and returns the job's number.
fn submit(script: &Path, partition: &str) -> Result<String, Error> {
    let said = run("sbatch", &["--parsable", &script.to_string_lossy()]).map_err(|error| {
        let why = error.to_string();
        match why.to_lowercase().contains("partition") {
            true => {
                let known = run("sinfo", &["--noheader", "--format=%R"]).unwrap_or_default();
                let mut known: Vec<&str> = known.split_whitespace().collect();
                known.dedup();
                let what = match partition {
                    "" => "cluster.partition is not set".to_string(),
                    partition => format!("cluster.partition = \"{partition}\""),
                };
                Error::cluster(format!("{why}; {what}, and Slurm has: {}", known.join(", ")))
            }
            false => error,
        }
    })?;
    // With a federation, the cluster's name follows.
    Ok(said.trim().split(';').next().unwrap_or_default().to_string())
}

/// Runs a program of Slurm, and returns what it prints.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new(program).args(arguments).output().map_err(|error| {
        Error::cluster(match error.kind() {
            std::io::ErrorKind::NotFound => format!(
                "Slurm's {program} is not on this machine; run this where you submit jobs, or train here with --on processes"
            ),
            _ => format!("Slurm's {program} cannot be started: {error}"),
        })
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(|line| line.trim().trim_start_matches(&format!("{program}: ")));
    let lines: Vec<&str> =
        lines.map(|line| line.trim_start_matches("error: ")).filter(|line| !line.is_empty()).collect();
    Err(Error::cluster(format!("Slurm's {program} says: {}", lines.join("; "))))
}

/// Quotes a word for a shell.
fn quoted(word: &Path) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_asks_for_what_is_wanted() {
        let cluster = ClusterConfig {
            cpus: 4,
            gpus: 1,
            partition: "long".into(),
            sbatch: vec!["--mem=8G".into()],
            prolog: "module load vulkan".into(),
            ..ClusterConfig::default()
        };
        let text = script(Path::new("/a b/it's"), Path::new("/bin/deepaug"), "n1", &cluster, &["x1".into()], 3);
        for line in [
            "#SBATCH --array=0-2",
            "#SBATCH --partition=long",
            "#SBATCH --cpus-per-task=4",
            "#SBATCH --gres=gpu:1",
            "#SBATCH --exclude=x1",
            "#SBATCH --mem=8G",
            "module load vulkan",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("exec '/bin/deepaug' agent '/a b/it'\\''s' --nonce n1 --name "), "{last}");
        assert!(!text.contains("--account") && !text.contains("--time"), "{text}");
    }

    #[test]
    fn what_slurm_says_is_understood() {
        let arrays = [Array { job: "7".into(), tasks: 3 }, Array { job: "12".into(), tasks: 1 }];
        let found = units(&arrays, "7_0|RUNNING\n7_2|PENDING\n9_0|RUNNING\n12_0|NODE_FAIL\n");
        let states: Vec<(&str, UnitState)> = found.iter().map(|unit| (unit.name.as_str(), unit.state)).collect();
        let expected = [
            ("7_0", UnitState::Running),
            ("7_1", UnitState::Ended),
            ("7_2", UnitState::Waiting),
            ("12_0", UnitState::Ended),
        ];
        assert_eq!(states, expected);
    }
}
