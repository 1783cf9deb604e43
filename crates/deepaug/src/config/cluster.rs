//! The keys of trainings on other machines.

use serde::{Deserialize, Deserializer, Serialize};

/// How trainings reach other machines, if they do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every key once, for the command and the files too")]
pub struct ClusterConfig {
    pub agents: usize,
    pub cpus: usize,
    pub gpus: usize,
    pub slots: usize,
    pub partition: String,
    pub account: String,
    #[serde(deserialize_with = "time")]
    pub time: String,
    pub sbatch: Vec<String>,
    pub prolog: String,
    pub silence: u64,
    pub idle: u64,
    pub cache: String,
}

/// Reads a time limit as Slurm takes it: text, or a number of minutes.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a time limit such as \"8:00:00\", or a number of minutes")]
    enum Limit {
        Text(String),
        Minutes(u64),
    }
    Ok(match Limit::deserialize(deserializer)? {
        Limit::Text(text) => text,
        Limit::Minutes(minutes) => minutes.to_string(),
    })
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            agents: 1,
            cpus: 0,
            gpus: 0,
            slots: 0,
            partition: String::new(),
            account: String::new(),
            time: String::new(),
            sbatch: Vec::new(),
            prolog: String::new(),
            silence: 90,
            idle: 900,
            cache: String::new(),
        }
    }
}
