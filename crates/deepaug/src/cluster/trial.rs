//! One training in a process of its own, for queues that run programs.

use std::path::Path;

use deepaug_augmenter::Policy;
use deepaug_child_model::History;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::cluster::message::are_together;
use crate::error::Error;
use crate::execute::{Executor, ImagesRef, Job, JobId, Local, Report, open, run_all};
use crate::files::write_whole;
use crate::reward::reward;
use crate::study::folder::{read_frozen, read_images};
use crate::study::objective::Objective;
use crate::study::search::Trainings;

/// What a training gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialResult {
    /// Its trial.
    pub trial: u64,
    /// Which of the trial's samples.
    pub sample: usize,
    /// The reward; absent if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The kind of device; absent from what `deepaug tell` reads, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Its epochs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

impl TrialResult {
    /// Writes it as one line of JSON, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let mut line = serde_json::to_vec(self).map_err(|error| Error::file(path, error.into()))?;
        line.push(b'\n');
        write_whole(path, &line)
    }
}

/// A trial as `deepaug ask` prints it.
#[derive(Deserialize)]
struct Asked {
    trial: u64,
    policy: Policy,
    #[serde(default)]
    sample: usize,
}

/// Trains what a text describes: a [`Job`], or, with a study, a trial of it as `deepaug ask` prints it, to which `"sample"` may
/// be added. With a study, the result is what `deepaug tell` reads.
///
/// # Errors
/// [`Error`]: the text is neither, or images or the device cannot be used. A training that fails is a result.
pub fn run_trial(study: Option<&Path>, spec: &str, place: &Path, cancel: &Cancel) -> Result<TrialResult, Error> {
    let wrong = |error: serde_json::Error| Error::study(place, format!("describes no training: {error}"));
    let (mut executor, job) = match study {
        None => {
            let job: Job = serde_json::from_str(spec).map_err(wrong)?;
            (open(&job.images)?, job)
        }
        Some(study) => {
            let Asked { trial, policy, sample } = serde_json::from_str(spec).map_err(wrong)?;
            let config = read_frozen(study)?;
            let dataset = read_images(study, &config)?;
            let objective = Objective::open(&config, &dataset)?;
            (objective.executor()?, objective.job(JobId { trial, sample }, &policy))
        }
    };
    let result = train(&mut executor, job, cancel)?;
    Ok(match study {
        None => result,
        Some(_) => TrialResult { device: None, history: None, ..result },
    })
}

/// Trains jobs one after another, and keeps the images of the last for the next.
#[derive(Debug, Default)]
pub struct JobRunner {
    opened: Option<(ImagesRef, Local)>,
}

impl JobRunner {
    /// Trains a job.
    ///
    /// # Errors
    /// [`Error`]: images or the device cannot be used, or it was stopped. A training that fails is a result.
    pub fn run(&mut self, job: Job, cancel: &Cancel) -> Result<TrialResult, Error> {
        let mut executor = match self.opened.take() {
            Some((images, executor)) if are_together(&images, &job.images) => executor,
            _ => open(&job.images)?,
        };
        let images = job.images.clone();
        let result = train(&mut executor, job, cancel)?;
        self.opened = Some((images, executor));
        Ok(result)
    }
}

fn train(executor: &mut dyn Executor, job: Job, cancel: &Cancel) -> Result<TrialResult, Error> {
    let JobId { trial, sample } = job.id;
    let config = job.images.config.clone();
    let mut ended = None;
    let mut hear = |report: Report| {
        if let Report::Ended { device, result, .. } = report {
            ended = Some((device, result));
        }
        Ok(())
    };
    run_all(executor, vec![job], &|| cancel.is_cancelled(), &mut hear)?;
    let Some((device, result)) = ended else { return Err(Error::Stopped) };
    let reward_of = |history: &History| {
        reward(&history.epochs, config.opt_last_n_epochs, config.overfit_measure, config.overfit_tolerance).value
    };
    let (history, failed) = match result {
        Ok(history) => (Some(history), None),
        Err(why) => (None, Some(why)),
    };
    Ok(TrialResult { trial, sample, reward: history.as_ref().map(reward_of), failed, device: Some(device), history })
}
