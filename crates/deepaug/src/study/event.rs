//! Events of a running study.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use deepaug_augmenter::{Op, Policy};
use deepaug_child_model::EpochRecord;
use serde::Serialize;

use crate::study::result::Termination;
use crate::study::sizing::Sizing;

/// Progress of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Trainings that have ended, including confirmation.
    pub trainings_done: usize,
    /// Total number of trainings.
    pub trainings: usize,
    /// Time left, from the measured speed; absent until a training has ended.
    #[serde(rename = "seconds_left", serialize_with = "as_seconds")]
    pub left: Option<Duration>,
    /// Training images per second of all children together in this run; absent until a training has ended.
    pub images_per_second: Option<f64>,
    /// The reward of trial 0, once it is known.
    pub baseline: Option<f64>,
    /// The trial with the highest reward so far, except trial 0, and its reward.
    pub best: Option<(u64, f64)>,
}

fn as_seconds<S: serde::Serializer>(left: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    left.map(|left| left.as_secs_f64().round()).serialize(serializer)
}

/// An event of a study, in the order in which they happen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The study is about to train.
    Started {
        /// Its folder.
        study: PathBuf,
        /// Sizes of the training, validation and test sets.
        images: [usize; 3],
        /// Number of classes.
        classes: usize,
        /// What it trains on.
        device: String,
        /// Policies to try, besides trial 0.
        iters: u64,
        /// Total number of trainings.
        trainings: usize,
        /// Trials that run at once.
        workers: usize,
    },
    /// A study is about to begin whose trainings the caller carries out.
    JudgingStarted {
        /// Its folder.
        study: PathBuf,
        /// Policies to try, besides trial 0.
        iters: u64,
        /// Total number of trainings.
        trainings: usize,
        /// Trials that run at once.
        workers: usize,
    },
    /// Some ops are not searched because they change only colours, and all images are grey.
    OpsLeftOut {
        /// The ops.
        ops: Vec<Op>,
    },
    /// Sizes that the configuration leaves open have been chosen.
    Sized(Sizing),
    /// The expected time, from the speed of a few steps.
    Estimated {
        /// Training images per second of all children together.
        images_per_second: f64,
        /// The time for all remaining trainings.
        #[serde(rename = "seconds", serialize_with = "as_seconds")]
        left: Option<Duration>,
    },
    /// An epoch has ended of the training whose weights every child starts from.
    Pretraining {
        /// Total number of epochs.
        epochs: usize,
        /// The epoch.
        record: EpochRecord,
    },
    /// A member of a population has finished an epoch.
    PopulationEpoch {
        /// Its number.
        member: usize,
        /// Total number of epochs.
        epochs: usize,
        /// The epoch.
        record: EpochRecord,
    },
    /// A member of a population failed; it may take over another's net.
    MemberFailed {
        /// Its number.
        member: usize,
        /// Why.
        why: String,
    },
    /// A population has trained for some epochs, and the worst of it have taken over from the best.
    Exploited {
        /// Epochs done.
        epoch: usize,
        /// Total number of epochs.
        epochs: usize,
        /// The highest validation accuracy.
        best: Option<f64>,
        /// How many took over another's net; none after the last epoch.
        taken: usize,
        /// Time left for the population.
        #[serde(rename = "seconds_left", serialize_with = "as_seconds")]
        left: Option<Duration>,
    },
    /// A population has ended.
    PopulationEnded {
        /// The policies, by epoch, of its best member.
        policy: Policy,
    },
    /// A child that trains against an adversary has finished an epoch.
    AdversaryEpoch {
        /// Total number of epochs.
        epochs: usize,
        /// The epoch.
        record: EpochRecord,
        /// Time left for this training.
        #[serde(rename = "seconds_left", serialize_with = "as_seconds")]
        left: Option<Duration>,
    },
    /// It has ended.
    AdversaryEnded {
        /// Its weights, as safetensors.
        model: PathBuf,
        /// Its validation accuracy after the last epoch.
        accuracy: f64,
    },
    /// A generator of sequences has learnt from a batch, or its discriminator has before it.
    TandaStep {
        /// Batches in all, at most.
        steps: usize,
        /// Its number, counted from 1.
        step: usize,
        /// The discriminator's loss.
        loss: f64,
        /// How undecided the generator is, in nats.
        entropy: f64,
        /// Time left for this, at most.
        #[serde(rename = "seconds_left", serialize_with = "as_seconds")]
        left: Option<Duration>,
    },
    /// It has learnt.
    TandaEnded {
        /// Batches that were used.
        steps: usize,
        /// Why it ended, in words.
        why: String,
        /// The likeliest functions, with how likely they are.
        likeliest: Vec<(String, f64)>,
    },
    /// A policy is about to be judged. Trial 0 has none.
    TrialStarted {
        /// Its number.
        trial: u64,
        /// The policy.
        policy: Policy,
        /// Its name, if it needs no search.
        #[serde(skip_serializing_if = "Option::is_none")]
        scheme: Option<String>,
    },
    /// A child has finished an epoch.
    Epoch {
        /// The trial it belongs to.
        trial: u64,
        /// Which of the trial's trainings.
        sample: usize,
        /// Total number of epochs.
        epochs: usize,
        /// The epoch.
        record: EpochRecord,
    },
    /// A training has ended.
    Trained {
        /// The trial it belongs to.
        trial: u64,
        /// Which of the trial's trainings.
        sample: usize,
        /// `search` or `confirm`.
        phase: &'static str,
        /// The mean of its highest validation accuracies.
        accuracy: f64,
        /// Whether it was ended early because it was behind.
        #[serde(rename = "behind")]
        pruned: bool,
    },
    /// A training has ended that whoever carried it out has judged.
    Judged {
        /// The trial it belongs to.
        trial: u64,
        /// Which of the trial's trainings.
        sample: usize,
        /// `search` or `confirm`.
        phase: &'static str,
        /// Its reward, as told.
        reward: f64,
        /// Whether it was ended early because it was behind.
        #[serde(rename = "behind")]
        pruned: bool,
    },
    /// A training ended through no fault of its own, and is repeated.
    TrainingRepeated {
        /// The trial it belongs to.
        trial: u64,
        /// Which of the trial's trainings.
        sample: usize,
        /// What ended it.
        why: String,
    },
    /// A training failed; its trial continues without it.
    TrainingFailed {
        /// The trial it belongs to.
        trial: u64,
        /// Which of the trial's trainings.
        sample: usize,
        /// Why.
        why: String,
    },
    /// A policy has been judged.
    TrialFinished {
        /// Its number.
        trial: u64,
        /// The policy.
        policy: Policy,
        /// Its name, if it needs no search.
        #[serde(skip_serializing_if = "Option::is_none")]
        scheme: Option<String>,
        /// Mean over its samples; absent if every training failed.
        reward: Option<f64>,
        /// Whether it was ended early, so that the reward is an estimate.
        #[serde(rename = "behind")]
        pruned: bool,
        /// Progress of the study.
        progress: Progress,
    },
    /// The best policies are about to be trained again with fresh seeds.
    Confirming {
        /// Their trials.
        trials: Vec<u64>,
        /// Fresh trainings for each, and for no policy.
        samples: usize,
    },
    /// The search has ended and its best policies are confirmed.
    SearchEnded {
        /// What ended it.
        by: Termination,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { study, images: [train, validation, test], classes, device, iters, trainings, workers } => {
                write!(
                    f,
                    "{classes} classes; {train} images to train on, {validation} to validate on, {test} test images that \
                 the search never sees\n{iters} policies, {workers} at a time, {trainings} trainings on {device}\nstudy: {}",
                    study.display()
                )
            }
            Self::JudgingStarted { study, iters, trainings, workers } => {
                write!(f, "{iters} policies, {workers} at a time, {trainings} trainings\nstudy: {}", study.display())
            }
            Self::Estimated { images_per_second, left } => {
                let left = left.map(clock).unwrap_or_default();
                write!(f, "{images_per_second:.0} images a second: about {left} for all trainings")
            }
            Self::OpsLeftOut { ops } => {
                let ops: Vec<&str> = ops.iter().map(|op| op.name()).collect();
                write!(f, "not searched, because they change nothing on grey images: {}", ops.join(", "))
            }
            Self::Sized(sizing) => sizing.fmt(f),
            Self::TrialStarted { trial, policy, scheme } => write!(f, "trial {trial}: {}", named(policy, scheme)),
            Self::Epoch { trial, sample, epochs, record } => write!(
                f,
                "trial {trial} sample {sample} epoch {}/{epochs}: accuracy {:.3}, validation {:.3}",
                record.epoch, record.acc, record.val_acc
            ),
            Self::PopulationEpoch { member, epochs, record } => write!(
                f,
                "member {member} epoch {}/{epochs}: accuracy {:.3}, validation {:.3}",
                record.epoch, record.acc, record.val_acc
            ),
            Self::MemberFailed { member, why } => write!(f, "member {member} failed: {why}"),
            Self::Exploited { epoch, epochs, best, taken, left } => {
                write!(f, "population: epoch {epoch}/{epochs}")?;
                if let Some(best) = best {
                    write!(f, ", best validation accuracy {best:.4}")?;
                }
                if *taken > 0 {
                    write!(f, ", {taken} took over from others")?;
                }
                match left.filter(|_| epoch < epochs) {
                    Some(left) => write!(f, ", {} left", clock(left)),
                    None => Ok(()),
                }
            }
            Self::PopulationEnded { policy } => {
                let parts = policy.pieces().count();
                write!(
                    f,
                    "the population has ended: the best went through {parts} {}",
                    if parts == 1 { "policy" } else { "policies" }
                )
            }
            Self::AdversaryEpoch { epochs, record, left } => {
                let EpochRecord { epoch, acc, val_acc, .. } = record;
                write!(f, "against its adversary: epoch {epoch}/{epochs}, accuracy {acc:.3}, validation {val_acc:.3}")?;
                match left.filter(|_| epoch < epochs) {
                    Some(left) => write!(f, ", {} left", clock(left)),
                    None => Ok(()),
                }
            }
            Self::AdversaryEnded { model, accuracy } => write!(
                f,
                "trained against its adversary: validation accuracy {accuracy:.4} after the last epoch, {}",
                model.display()
            ),
            Self::TandaStep { steps, step, loss, entropy, left } => {
                write!(
                    f,
                    "learning sequences: step {step}/{steps}, discriminator's loss {loss:.3}, entropy {entropy:.2}"
                )?;
                match left.filter(|_| step < steps) {
                    Some(left) => write!(f, ", {} left", clock(left)),
                    None => Ok(()),
                }
            }
            Self::TandaEnded { steps, why, likeliest } => {
                let one = |(name, p): &(String, f64)| format!("{name} ({:.0} %)", 100.0 * p);
                let names: Vec<String> = likeliest.iter().map(one).collect();
                write!(f, "learnt sequences in {steps} steps, {why}; likeliest: {}", names.join(", "))
            }
            Self::Pretraining { epochs, record } => {
                write!(f, "pre-training epoch {}/{epochs}: validation accuracy {:.3}", record.epoch, record.val_acc)
            }
            Self::Trained { trial, sample, accuracy, pruned, .. } => {
                let pruned = if *pruned { ", pruned" } else { "" };
                write!(f, "trial {trial} sample {sample}: validation accuracy {accuracy:.4}{pruned}")
            }
            Self::Judged { trial, sample, reward, pruned, .. } => {
                write!(f, "trial {trial} sample {sample}: {reward:.4}{}", if *pruned { ", pruned" } else { "" })
            }
            Self::TrainingRepeated { trial, sample, why } => {
                write!(f, "trial {trial} sample {sample} is repeated: {why}")
            }
            Self::TrainingFailed { trial, sample, why } => write!(f, "trial {trial} sample {sample} failed: {why}"),
            Self::TrialFinished { trial, policy, scheme, reward, pruned, progress } => {
                match reward {
                    Some(reward) if *pruned => write!(f, "trial {trial}: ended early, estimated {reward:.4}")?,
                    Some(reward) => write!(f, "trial {trial}: reward {reward:.4}")?,
                    None => write!(f, "trial {trial}: failed")?,
                }
                if let Some((best, reward)) = progress.best {
                    write!(f, ", best {reward:.4} (trial {best})")?;
                }
                if let Some(baseline) = progress.baseline {
                    write!(f, ", no policy {baseline:.4}")?;
                }
                if let Some(speed) = progress.images_per_second {
                    write!(f, ", {speed:.0} images/s")?;
                }
                if let Some(left) = progress.left {
                    write!(f, ", {} left", clock(left))?;
                }
                write!(f, "  [{}]", named(policy, scheme))
            }
            Self::Confirming { trials, samples } => write!(
                f,
                "confirming the best {} with {samples} fresh seeds each, against none",
                if trials.len() == 1 { "policy".into() } else { format!("{} policies", trials.len()) }
            ),
            Self::SearchEnded { by } => write!(f, "the search has ended: {by}"),
        }
    }
}

fn named(policy: &Policy, scheme: &Option<String>) -> String {
    scheme.clone().unwrap_or_else(|| policy.to_string())
}

/// Formats a time as minutes and seconds, with hours if there are any.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
