//! Events of model patching.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use deepaug_child_model::EpochRecord;
use serde::Serialize;

use super::arm::Arm;
use super::judges::Judged;
use crate::study::event::clock;

/// An event of model patching.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PatchEvent {
    /// Nets learn to judge translations.
    Judging {
        /// Epochs of each of the two.
        epochs: usize,
    },
    /// Translations were judged.
    Judged {
        /// Batches to learn from at most.
        steps: usize,
        /// What judges made of them.
        judged: Judged,
        /// How long learning goes on at most.
        #[serde(serialize_with = "seconds")]
        at_most: Duration,
    },
    /// Children are about to be trained.
    Started {
        /// The journal.
        journal: PathBuf,
        /// The model.
        model: String,
        /// What it trains on.
        device: String,
        /// Images to learn from, to choose the epoch by, and to test on.
        images: [usize; 3],
        /// What is compared.
        arms: Vec<Arm>,
        /// Total number of trainings.
        trainings: usize,
        /// Trainings that an earlier run finished.
        known: usize,
        /// The expected time of the remaining ones, from the speed of a few steps.
        seconds: Option<f64>,
    },
    /// A child has finished an epoch.
    Epoch {
        /// How it is trained.
        arm: Arm,
        /// Which of the arm's trainings.
        sample: usize,
        /// Total number of epochs.
        epochs: usize,
        /// The epoch, measured on validation and test images together.
        record: EpochRecord,
    },
    /// A training failed through no fault of its own, and is repeated.
    Repeated {
        /// How it is trained.
        arm: Arm,
        /// Which of the arm's trainings.
        sample: usize,
        /// What happened.
        why: String,
    },
    /// A training has ended.
    Trained {
        /// How it was trained.
        arm: Arm,
        /// Which of the arm's trainings.
        sample: usize,
        /// The accuracy of the worst group of validation images in its best epoch.
        worst: Option<f64>,
        /// Trainings finished.
        done: usize,
        /// Total number of trainings.
        trainings: usize,
        /// The expected time of the remaining ones.
        seconds_left: f64,
    },
    /// A training failed.
    Failed {
        /// How it was trained.
        arm: Arm,
        /// Which of the arm's trainings.
        sample: usize,
        /// Why.
        why: String,
    },
    /// The model to keep is trained again, up to its best epoch.
    Keeping {
        /// How it is trained.
        arm: Arm,
        /// Its epochs.
        epochs: usize,
    },
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl fmt::Display for PatchEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Judging { epochs } => write!(f, "two nets learn to judge translations, {epochs} epochs each"),
            Self::Judged { steps, judged, at_most } => {
                let all = |shares: &[f64]| {
                    shares.iter().map(|share| format!("{:.0} %", 100.0 * share)).collect::<Vec<_>>().join(" and ")
                };
                let (taken, kept) = (all(&judged.taken), all(&judged.kept));
                if judged.step > 0 {
                    write!(f, "translators after {} of at most {steps} batches: ", judged.step)?;
                }
                write!(
                    f,
                    "{taken} of translated images are taken for their new subgroup, the class of {kept} is read right"
                )?;
                match judged.passes() {
                    true => f.write_str("; good enough"),
                    false if *at_most > Duration::ZERO => {
                        write!(f, "; at most {} more", clock(*at_most))
                    }
                    false => Ok(()),
                }
            }
            Self::Started { model, device, images, arms, trainings, known, seconds, .. } => {
                let [train, validation, test] = images;
                let arms = arms.iter().map(|arm| arm.name()).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "{model} on {device}: {train} images to learn from, {validation} to choose the epoch by, {test} to test on; \
                     {arms}: {trainings} trainings"
                )?;
                if *known > 0 {
                    write!(f, ", {known} known")?;
                }
                if let Some(seconds) = seconds {
                    write!(f, ", about {}", clock(Duration::from_secs_f64(*seconds)))?;
                }
                Ok(())
            }
            Self::Epoch { arm, sample, epochs, record } => {
                write!(f, "{arm} {sample}: epoch {}/{epochs}, accuracy {:.3}", record.epoch, record.val_acc)
            }
            Self::Repeated { arm, sample, why } => write!(f, "{arm} {sample} is repeated: {why}"),
            Self::Trained { arm, sample, worst, done, trainings, seconds_left } => {
                let worst = worst.map_or("unknown".into(), |worst| format!("{:.1} %", 100.0 * worst));
                let left = clock(Duration::from_secs_f64(*seconds_left));
                write!(f, "{done}/{trainings}: {arm} {sample}: worst group of validation images {worst}, {left} left")
            }
            Self::Failed { arm, sample, why } => write!(f, "{arm} {sample} failed: {why}"),
            Self::Keeping { arm, epochs } => write!(f, "training the model to keep: {arm}, {epochs} epochs"),
        }
    }
}
