//! Events of a running comparison.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use deepaug_child_model::EpochRecord;
use serde::Serialize;

use crate::study::event::clock;

/// An event of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CompareEvent {
    /// The comparison is about to train.
    Started {
        /// Its journal.
        journal: PathBuf,
        /// The model.
        model: String,
        /// What it trains on.
        device: String,
        /// Number of training images.
        train_images: usize,
        /// Number of test images.
        test_images: usize,
        /// What is compared.
        schemes: Vec<String>,
        /// Trainings of each scheme.
        seeds: usize,
        /// Total number of trainings.
        trainings: usize,
        /// Trainings that an earlier run finished.
        known: usize,
        /// The expected time for the remaining ones, from the speed of a few steps.
        seconds: Option<f64>,
    },
    /// A model has finished an epoch.
    Epoch {
        /// The scheme.
        scheme: String,
        /// Which of the scheme's trainings.
        sample: usize,
        /// Total number of epochs.
        epochs: usize,
        /// The epoch, measured on test images.
        record: EpochRecord,
    },
    /// A training failed through no fault of its own, and is repeated.
    TrainingRepeated {
        /// The scheme.
        scheme: String,
        /// Which of the scheme's trainings.
        sample: usize,
        /// What happened.
        why: String,
    },
    /// A training has ended.
    Trained {
        /// The scheme.
        scheme: String,
        /// Which of the scheme's trainings.
        sample: usize,
        /// Accuracy on test images after the last epoch.
        accuracy: f64,
        /// Trainings that have ended.
        done: usize,
        /// Total number of trainings.
        trainings: usize,
        /// Time left, from the speed so far.
        seconds_left: f64,
    },
    /// A training failed; its seed is left out of the scheme's pairs.
    TrainingFailed {
        /// The scheme.
        scheme: String,
        /// Which of the scheme's trainings.
        sample: usize,
        /// Why.
        why: String,
    },
}

impl fmt::Display for CompareEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                model,
                device,
                train_images,
                test_images,
                schemes,
                seeds,
                trainings,
                known,
                seconds,
                ..
            } => {
                write!(
                    f,
                    "{model} on {device}: {train_images} images to train on, {test_images} test images that the search never \
                     saw\n{seeds} seeds each of {}\n{trainings} trainings",
                    schemes.join(", ")
                )?;
                if *known > 0 {
                    write!(f, ", {known} of them already done")?;
                }
                seconds.map_or(Ok(()), |seconds| write!(f, ", about {}", in_words(seconds)))
            }
            Self::Epoch { scheme, sample, epochs, record } => write!(
                f,
                "{scheme} seed {sample} epoch {}/{epochs}: accuracy {:.3}, test {:.3}",
                record.epoch, record.acc, record.val_acc
            ),
            Self::Trained { scheme, sample, accuracy, done, trainings, seconds_left } => write!(
                f,
                "{scheme} seed {sample}: test accuracy {accuracy:.4}  ({done} of {trainings}, {} left)",
                in_words(*seconds_left)
            ),
            Self::TrainingRepeated { scheme, sample, why } => {
                write!(f, "{scheme} seed {sample} is repeated: {why}")
            }
            Self::TrainingFailed { scheme, sample, why } => write!(f, "{scheme} seed {sample} failed: {why}"),
        }
    }
}

fn in_words(seconds: f64) -> String {
    clock(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
