//! What an executor receives, and what it reports.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use deepaug_augmenter::Policy;
use deepaug_child_model::{EpochRecord, History, Settings};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::Config;
use crate::error::Error;
use crate::execute::adversary::Adversary;
use crate::execute::density::Density;
use crate::train::final_training::TrainSize;

/// Identifies a training within one study, or within one comparison, whose schemes count as trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId {
    /// The trial.
    pub trial: u64,
    /// Which of its samples.
    pub sample: usize,
}

/// A training to carry out: everything that decides its result, and nothing about the process that requested it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its identifier.
    pub id: JobId,
    /// How images are augmented.
    pub policy: Policy,
    /// How the child is trained.
    pub settings: Settings,
    /// Seed of all its randomness.
    pub seed: u64,
    /// The images that it learns from and is measured on.
    pub images: ImagesRef,
    /// Weights to start from instead of fresh ones; for a part of a training, its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// Which of its epochs to train, counted from 0, if not all; `start` and `keep` are then states, with the
    /// optimiser's memories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<Range<usize>>,
    /// Where to save the final weights, if they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<PathBuf>,
    /// How the policy is judged if no child is trained with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// Who writes the policies while it runs, instead of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adversary: Option<Adversary>,
}

/// Images by name, never by pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagesRef {
    /// The configuration, whose keys say where the data set is, how it is read and split, and which child model is
    /// trained.
    #[serde(serialize_with = "whole", deserialize_with = "shared")]
    pub config: Arc<Config>,
    /// A checksum of the whole data set.
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

/// Which images of a data set a training learns from and is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagesPart {
    /// Those of a sample of the search: its training and validation sets.
    Search {
        /// Counted from 0.
        sample: usize,
    },
    /// Those of a final model: images outside the test set, and the test set.
    Final {
        /// Images to learn from.
        train_size: TrainSize,
        /// Maximum number of test images.
        test_size: Option<usize>,
    },
}

/// What an executor reports about its jobs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// An epoch of a training has ended.
    Epoch {
        /// Its identifier.
        id: JobId,
        /// What was measured.
        record: EpochRecord,
    },
    /// A training failed through no fault of its own, and is repeated.
    Repeated {
        /// Its identifier.
        id: JobId,
        /// What happened.
        why: String,
    },
    /// A training has ended.
    Ended {
        /// Its identifier.
        id: JobId,
        /// The kind of device it was trained on.
        device: String,
        /// Its epochs, or why there are none.
        result: Result<History, String>,
    },
    /// A job was cancelled before it ended.
    Cancelled {
        /// Its identifier.
        id: JobId,
    },
    /// No further job can succeed. Reports of running jobs still arrive, or
    /// [`Executor::next`](super::Executor::next) fails.
    Broken {
        /// Why.
        error: Error,
    },
}
