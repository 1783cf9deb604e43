//! What a running comparison says.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use deepaug_child_model::EpochRecord;
use serde::Serialize;

use crate::study::event::clock;

/// Something that happened in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CompareEvent {
    /// It is about to train.
    Started {
        /// Its journal.
        journal: PathBuf,
        /// The model.
        model: String,
        /// What it trains on.
        device: String,
        /// Images that are trained on.
        train_images: usize,
        /// Images that are measured on.
        test_images: usize,
        /// What is compared.
        schemes: Vec<String>,
        /// Trainings of each.
        seeds: usize,
        /// Trainings in all.
        trainings: usize,
        /// Trainings that an earlier run has ended.
        known: usize,
        /// The time for those that are left, from the speed of a few steps.
        seconds: Option<f64>,
    },
    /// A model has finished an epoch.
    Epoch {
        /// The scheme.
        scheme: String,
        /// Which of the scheme's trainings.
        sample: usize,
        /// Epochs in all.
        epochs: usize,
        /// The epoch, measured on test images.
        record: EpochRecord,
    },
    /// A training has failed through no fault of its own, and is done again.
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
        /// Trainings in all.
        trainings: usize,
        /// Time left, from the speed so far.
        seconds_left: f64,
    },
    /// A training has failed; its seed is left out of the scheme's pairs.
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
                    write!(f, ", {known} of them known already")?;
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
                write!(f, "{scheme} seed {sample} is done again: {why}")
            }
            Self::TrainingFailed { scheme, sample, why } => write!(f, "{scheme} seed {sample} failed: {why}"),
        }
    }
}

fn in_words(seconds: f64) -> String {
    clock(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
