//! What a search on many machines would take, before anything is submitted.

use std::fmt;

use serde::Serialize;

use super::slurm;
use crate::config::Config;
use crate::config::Sizes;
use crate::config::auto::Auto;
use crate::error::{ConfigError, Error};
use crate::images::data::read;
use crate::study::objective::Objective;

/// The share of the time in which slots train, if trials are told as they end; the rest goes to machines that died and to the
/// last trainings (simulated with 1,000 slots and lognormal durations: 89 to 96 %, reports/cluster.md).
const SHARE: f64 = 0.93;

/// Seconds until agents have started.
const START: f64 = 60.0;

/// A search that proposes less often than this many times the number of slots learns little: it draws at random.
const ROUNDS: f64 = 5.0;

/// What a search on many machines would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterEstimate {
    /// Policies to try.
    pub policies: u64,
    /// Trainings, with those that confirm.
    pub trainings: usize,
    /// Seconds of a training.
    pub trial_seconds: f64,
    /// Whether that was measured on this machine.
    pub is_measured: bool,
    /// Agents.
    pub agents: usize,
    /// Trainings at once on all of them.
    pub slots: usize,
    /// Seconds until the result, once all agents run.
    pub seconds: f64,
    /// Hours of agents that are paid for.
    pub agent_hours: f64,
    /// Their price, if that of an hour is known.
    pub price: Option<f64>,
    /// Bytes of images that each machine copies.
    pub data_bytes: Option<u64>,
    /// What Slurm says about the partition, if it is here.
    pub limit: Option<String>,
    /// What to think about.
    pub notes: Vec<String>,
}

impl ClusterEstimate {
    /// Estimates a search. The seconds of a training are measured on this machine's CPU unless given.
    ///
    /// # Errors
    /// [`Error`]: sizes are left open, or, if something has to be measured, the images cannot be used.
    pub fn new(config: Config, trial_seconds: Option<f64>, price: Option<f64>) -> Result<Self, Error> {
        if config.sizes == Sizes::Auto || config.child_epochs == Auto::Auto {
            let why = "sizes and child_epochs: must be given, so that the work is known; begin with: deepaug config > my.toml";
            return Err(ConfigError::new(why).into());
        }
        let config = config.check()?;
        let trainings = config.trainings(config.iters + 1);
        let mut data_bytes = None;
        let (seconds_each, is_measured) = match trial_seconds {
            Some(seconds) => (seconds, false),
            None => {
                let dataset = read(&config)?;
                data_bytes = Some(dataset.images().len() as u64);
                let here = Config { threads: 1, ..(*config).clone() };
                let estimate = Objective::open(&here.check()?, &dataset)?.estimate(1)?;
                let Some((_, time)) = estimate else {
                    let why = "the speed of this child cannot be measured quickly; give --trial-seconds";
                    return Err(ConfigError::new(why).into());
                };
                (time.as_secs_f64(), true)
            }
        };
        let cluster = &config.cluster;
        let of_agent = if cluster.gpus > 0 { cluster.slots.max(1) } else { cluster.slots.max(cluster.cpus).max(1) };
        let slots = cluster.agents * of_agent;
        let seconds = START + (trainings as f64 * seconds_each / slots as f64).max(seconds_each) / SHARE;
        let agent_hours = cluster.agents as f64 * seconds / 3600.0;
        let mut notes = Vec::new();
        let rounds = config.iters as f64 * config.opt_samples as f64 / slots as f64;
        if rounds < ROUNDS {
            let enough = (config.iters as f64 * config.opt_samples as f64 / ROUNDS).ceil().max(1.0);
            notes.push(format!(
                "{slots} trainings at once for {} policies: the search learns from {rounds:.1} rounds, little more than drawing \
                 at random; {enough:.0} at once would give it {ROUNDS:.0}",
                config.iters
            ));
        }
        if cluster.gpus > 0 && cluster.slots == 0 {
            notes.push(
                "a GPU trains several children at once; give --trial-seconds of one, divided by their number".into(),
            );
        }
        let format = "--format=%R, at most %l a job, %D nodes, %a";
        let partition = (!cluster.partition.is_empty()).then(|| format!("--partition={}", cluster.partition));
        let mut arguments = vec!["--noheader", format];
        arguments.extend(partition.as_deref());
        let limit = slurm::run("sinfo", &arguments).ok().map(|said| said.trim().replace('\n', "; "));
        Ok(Self {
            policies: config.iters,
            trainings,
            trial_seconds: seconds_each,
            is_measured,
            agents: cluster.agents,
            slots,
            seconds,
            agent_hours,
            price: price.map(|price| price * agent_hours),
            data_bytes,
            limit: limit.filter(|limit| !limit.is_empty()),
            notes,
        })
    }
}

impl fmt::Display for ClusterEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policies, trainings, trial_seconds, agents, slots, seconds, agent_hours, .. } = self;
        let how = if self.is_measured { "measured on one core of this machine" } else { "as given" };
        writeln!(f, "study      {policies} policies, {trainings} trainings with those that confirm the best")?;
        writeln!(f, "training   {trial_seconds:.1} s, {how}")?;
        writeln!(f, "cluster    {agents} agents, {slots} trainings at once")?;
        writeln!(f, "time       {} once all agents run", minutes(*seconds))?;
        write!(f, "cost       {agent_hours:.1} hours of agents")?;
        match self.price {
            Some(price) => writeln!(f, ", {price:.2}")?,
            None => writeln!(f)?,
        }
        if let Some(bytes) = self.data_bytes {
            writeln!(f, "data       {:.0} MB, copied once to each machine", bytes as f64 / 1e6)?;
        }
        if let Some(limit) = &self.limit {
            writeln!(f, "slurm      {limit}")?;
        }
        for note in &self.notes {
            writeln!(f, "note       {note}")?;
        }
        f.write_str("nothing has been submitted")
    }
}

fn minutes(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
