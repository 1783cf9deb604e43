//! What an adversary wrote and learnt from, update by update.

use std::path::{Path, PathBuf};

use deepaug_augmenter::{Application, Augmentation, Piece, Policy};
use deepaug_child_model::{EpochRecord, State};
use deepaug_controller::normalised;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::{write_json, write_table};

/// One time that it learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Update {
    /// The epoch that it is part of, counted from 0.
    pub(crate) epoch: usize,
    /// How undecided it was, in nats a decision.
    pub(crate) entropy: f64,
    /// The policies that it had written.
    pub(crate) policies: Vec<Policy>,
    /// The mean loss under each of them.
    pub(crate) losses: Vec<f64>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AdversaryRecord {
    /// The net's epochs.
    pub(crate) epochs: Vec<EpochRecord>,
    pub(crate) updates: Vec<Update>,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl AdversaryRecord {
    /// Reads what a training left behind, and its net; nothing if it left nothing, or not all of it.
    pub(super) fn left_behind(path: &Path) -> Option<(Self, State)> {
        let record: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let state = State::read(&state(path, record.epochs.len())).ok()?;
        Some((record, state))
    }

    /// Writes it, with the net after its last epoch.
    pub(super) fn leave(&self, path: &Path, net: &State) -> Result<(), Error> {
        let epochs = self.epochs.len();
        let now = state(path, epochs);
        net.save(&now).map_err(Error::Child)?;
        write_json(path, self)?;
        if let Some(before) = epochs.checked_sub(1) {
            let _ = std::fs::remove_file(state(path, before));
        }
        Ok(())
    }

    /// Reads the record of a training that has ended.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::file(path, error.into()))
    }

    /// Removes the files of a training that is known to have ended.
    pub(crate) fn remove(&self, path: &Path) {
        let _ = std::fs::remove_file(state(path, self.epochs.len()));
        let _ = std::fs::remove_file(path);
    }

    /// Returns the policies of each epoch, as one of which an image gets one sub-policy.
    pub(crate) fn policies(&self) -> Vec<Policy> {
        let of_epoch = |updates: &[Update]| joined(updates.iter().flat_map(|update| &update.policies));
        self.updates.chunk_by(|a, b| a.epoch == b.epoch).filter_map(of_epoch).collect()
    }

    /// Writes the policies by epoch (`NAME.schedule.json`) and what it learnt from (`NAME.adversary.csv`), for a path
    /// `NAME` without ending, and returns their paths.
    pub(crate) fn export(&self, path: &Path, application: Application) -> Result<Vec<PathBuf>, Error> {
        let mut written = Vec::new();
        if let Some(policy) = schedule(self.policies()) {
            written.push(path.with_extension("schedule.json"));
            write_json(&written[0], &Augmentation { policy, application })?;
        }
        written.push(path.with_extension("adversary.csv"));
        self.write_table(&written[written.len() - 1])?;
        Ok(written)
    }

    /// Writes what it learnt from, one row for each policy of each update.
    pub(crate) fn write_table(&self, path: &Path) -> Result<(), Error> {
        let rows = self.updates.iter().enumerate().flat_map(|(number, update)| {
            let advantages = normalised(&update.losses);
            update.policies.iter().enumerate().map(move |(policy, of_policy)| {
                let numbers = [update.epoch + 1, number + 1, policy].map(|number| number.to_string());
                let values = [update.losses[policy], advantages[policy], update.entropy];
                let cells = numbers.into_iter().chain(values.map(|value| value.to_string()));
                cells.chain([of_policy.to_string()]).collect()
            })
        });
        write_table(path, &["epoch", "update", "policy_no", "loss", "normalised", "entropy", "policy"], rows)
    }
}

/// Returns the schedule of policies by epoch.
pub(crate) fn schedule(by_epoch: Vec<Policy>) -> Option<Policy> {
    Policy::schedule(by_epoch.into_iter().map(|policy| Piece { epochs: 1, policy }).collect())
}

/// Joins policies that are written at a time: an image gets one of them, so one of all their sub-policies.
pub(super) fn joined<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Option<Policy> {
    let mut policies = policies.into_iter();
    let mut first = policies.next()?.clone();
    policies.for_each(|policy| first.sub_policies.extend_from_slice(&policy.sub_policies));
    Some(first)
}

/// Returns the file of the net after some epochs.
fn state(path: &Path, epochs: usize) -> PathBuf {
    path.with_extension(format!("{epochs}.safetensors"))
}
