//! What the process that runs a study and its agents write to one another.

use deepaug_child_model::{EpochRecord, History};
use serde::{Deserialize, Serialize};

use crate::execute::{ImagesPart, ImagesRef, Job, JobId};

/// A name of a training that follows from what it is: whoever asks for the same training has the same name for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key(String);

impl Key {
    /// Returns the name of a job. Its trial is left out, because it decides nothing, and so are keys of the configuration that
    /// may change while a study goes on.
    pub(super) fn of(job: &Job) -> Self {
        let Job { id, policy, settings, seed, images: ImagesRef { config, fingerprint, part }, start, scored, task } =
            job;
        let described = serde_json::json!([
            id.sample,
            policy,
            settings,
            seed,
            config.fixed(),
            config.device,
            fingerprint,
            part,
            start,
            scored,
            task
        ]);
        Self(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(described.to_string().as_bytes())))
    }
}

/// A line for an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(super) enum Order {
    /// Images that jobs name by a number, because their description is long.
    Images { number: usize, images: ImagesRef },
    Job {
        key: Key,
        images: usize,
        /// The job without its images.
        job: serde_json::Value,
    },
    /// Ends trainings that need no more epochs.
    Stop { keys: Vec<Key> },
    /// Ends trainings that are not needed.
    Cancel { keys: Vec<Key> },
    /// The study is there; the agent is to answer.
    Beat,
    /// Others have its trainings, or there are none left: the agent ends.
    Bye,
}

impl Order {
    pub(super) fn job(key: Key, images: usize, job: &Job) -> serde_json::Result<Self> {
        let mut job = serde_json::to_value(job)?;
        if let Some(job) = job.as_object_mut() {
            job.remove("images");
        }
        Ok(Self::Job { key, images, job })
    }
}

/// Returns a job that an order describes.
pub(super) fn job_of(mut job: serde_json::Value, images: &ImagesRef, id: JobId) -> serde_json::Result<Job> {
    if let Some(job) = job.as_object_mut() {
        job.insert("images".into(), serde_json::to_value(images)?);
        job.insert("id".into(), serde_json::to_value(id)?);
    }
    serde_json::from_value(job)
}

/// Whether one executor serves jobs with both: everything but the sample is the same.
pub(super) fn are_together(a: &ImagesRef, b: &ImagesRef) -> bool {
    let is_same_part = match (a.part, b.part) {
        (ImagesPart::Search { .. }, ImagesPart::Search { .. }) => true,
        (a, b) => a == b,
    };
    let (one, other) = (&a.config, &b.config);
    let is_same = a.fingerprint == b.fingerprint && one.data == other.data && one.device == other.device;
    is_same_part && is_same && one.fixed() == other.fixed()
}

/// A line of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(super) enum Word {
    Epoch {
        key: Key,
        record: EpochRecord,
    },
    Repeated {
        key: Key,
        why: String,
    },
    Ended {
        key: Key,
        device: String,
        outcome: Outcome,
    },
    Cancelled {
        key: Key,
    },
    /// No training can succeed here.
    Broken {
        why: String,
    },
    /// The agent is there.
    Beat,
    /// The agent ends. What it has not reported is lost.
    Bye {
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Trained(History),
    Failed(String),
}

impl From<Result<History, String>> for Outcome {
    fn from(result: Result<History, String>) -> Self {
        result.map_or_else(Self::Failed, Self::Trained)
    }
}

impl From<Outcome> for Result<History, String> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Trained(history) => Ok(history),
            Outcome::Failed(why) => Err(why),
        }
    }
}
