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
use crate::execute::scored::Scored;
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
    /// Weights to start from instead of fresh ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    /// By what images are chosen of which a policy copies only some; absent if all are equally likely.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scored: Option<Scored>,
    /// What is done with all of this.
    #[serde(default, skip_serializing_if = "Task::is_train")]
    pub task: Task,
}

/// What a job does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Trains a child.
    #[default]
    Train,
    /// Trains a child, and saves its final weights.
    Keep {
        /// The file.
        weights: PathBuf,
    },
    /// Trains a child for some of its epochs, from one state to another: its net with the optimiser's memories.
    Part {
        /// The epochs, counted from 0.
        epochs: Range<usize>,
        /// The state to start from; absent for the first epochs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<PathBuf>,
        /// Where to save the state that is reached.
        to: PathBuf,
    },
    /// Judges the policy without training a child with it.
    Judge(Density),
    /// Trains a child under policies that are written while it runs, instead of the policy.
    Oppose {
        /// Who writes them.
        adversary: Adversary,
        /// Where to save the final weights, if they are kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<PathBuf>,
    },
}

impl Task {
    fn is_train(&self) -> bool {
        *self == Self::Train
    }
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
    /// Those of model patching: all outside the validation and test sets, with their translations, and both of these.
    Patch,
}

/// Returns the record of an epoch, counted from 1, of which an executor that judges by itself knows only a value: the other
/// numbers are 0, and appear nowhere.
pub fn epoch_of_value(epoch: usize, val_acc: f64) -> EpochRecord {
    EpochRecord { epoch, acc: 0.0, loss: 0.0, val_acc, val_loss: 0.0, train_acc: None }
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
    /// A training has ended whose reward its executor decides, in a study that is judged elsewhere.
    Judged {
        /// Its identifier.
        id: JobId,
        /// Its reward as the study's `reward` says, or why there is none.
        result: Result<f64, String>,
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
