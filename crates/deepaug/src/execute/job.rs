//! What an executor is given, and what it answers.

use std::path::PathBuf;
use std::sync::Arc;

use deepaug_augmenter::Policy;
use deepaug_child_model::{EpochRecord, History, Settings};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Config;
use crate::error::Error;
use crate::train::final_training::TrainSize;

/// Names a training among those of one study, or of one comparison, whose schemes count as trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    /// The trial.
    pub trial: u64,
    /// Which of its trainings.
    pub sample: usize,
}

/// A training that is wanted: all that decides its result, and nothing of the process that wants it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// How images are augmented.
    pub policy: Policy,
    /// How the child is trained.
    pub settings: Settings,
    /// Decides everything random of it.
    pub seed: u64,
    /// The images that it learns from and is measured on.
    pub images: ImagesRef,
    /// Weights to start from instead of fresh ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// Where the last weights go, if they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<PathBuf>,
}

/// Images by name, never by pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagesRef {
    /// The configuration, whose keys say where the set lies, how it is read and split, and what the child is.
    #[serde(serialize_with = "whole", deserialize_with = "shared")]
    pub config: Arc<Config>,
    /// A checksum of the whole set.
    pub fingerprint: String,
    /// Which of its images.
    pub part: ImagesPart,
}

fn whole<S: Serializer>(config: &Arc<Config>, serializer: S) -> Result<S::Ok, S::Error> {
    config.as_ref().serialize(serializer)
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Config>, D::Error> {
    Config::deserialize(deserializer).map(Arc::new)
}

/// Which images of a set a training learns from and is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagesPart {
    /// Those of a sample of the search: training and validation images.
    Search {
        /// Counted from 0.
        sample: usize,
    },
    /// Those of a final model: images that are not the test part, and the test part.
    Final {
        /// Images to learn from.
        train_size: TrainSize,
        /// Test images at most.
        test_size: Option<usize>,
    },
}

/// What an executor says of its jobs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// An epoch of a training has ended.
    Epoch {
        /// Which.
        id: JobId,
        /// What was measured.
        record: EpochRecord,
    },
    /// A training has failed through no fault of its own, and is done again.
    Repeated {
        /// Which.
        id: JobId,
        /// What happened.
        why: String,
    },
    /// A training has ended.
    Ended {
        /// Which.
        id: JobId,
        /// The kind of device it was trained on.
        device: String,
        /// Its epochs, or why there are none.
        result: Result<History, String>,
    },
    /// A job was cancelled before it had ended.
    Cancelled {
        /// Which.
        id: JobId,
    },
    /// No job can succeed any more. What is under way is still reported, or [`Executor::next`](super::Executor::next) fails.
    Broken {
        /// Why.
        error: Error,
    },
}
