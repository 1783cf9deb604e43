//! The table of all trainings, one row an epoch: a view of the journal that spreadsheets and pandas read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use deepaug_child_model::EpochRecord;

use crate::journal::Told;
use crate::ledger::{Ended, Proposal};
use crate::result::write_whole;
use crate::reward::Reward;
use crate::{Codec, Error};

/// One training as the notebook shows it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) trial: u64,
    pub(crate) proposal: &'a Proposal,
    pub(crate) sample: usize,
    /// `search`, or `confirm` for the trainings with fresh seeds after it.
    pub(crate) phase: &'static str,
    /// What it was worth; none if it failed.
    pub(crate) reward: Option<Reward>,
    pub(crate) ended: &'a Ended,
}

/// The file, written anew from its first line whenever a study is opened.
#[derive(Debug)]
pub(crate) struct Notebook {
    file: File,
    path: PathBuf,
    codec: Codec,
}

impl Notebook {
    /// Writes the file, whole or not at all, and opens it for more rows.
    pub(crate) fn write<'a>(path: &Path, codec: Codec, rows: impl Iterator<Item = Row<'a>>) -> Result<Self, Error> {
        let file = write_all(path, &codec, rows)?;
        Ok(Self { file, path: path.into(), codec })
    }

    /// Writes the file anew, whole or not at all.
    pub(crate) fn rewrite<'a>(&mut self, rows: impl Iterator<Item = Row<'a>>) -> Result<(), Error> {
        self.file = write_all(&self.path, &self.codec, rows)?;
        Ok(())
    }

    /// Writes a training's rows, one an epoch, or one where no epochs are known, and waits until they are on disk.
    pub(crate) fn append(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path, error);
        let bytes = table(cells(&self.codec, row)).map_err(failed)?;
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(failed)
    }
}

fn write_all<'a>(path: &Path, codec: &Codec, rows: impl Iterator<Item = Row<'a>>) -> Result<File, Error> {
    let failed = |error| Error::file(path, error);
    let all = std::iter::once(header(codec)).chain(rows.flat_map(|row| cells(codec, &row)));
    write_whole(path, &table(all).map_err(failed)?)?;
    OpenOptions::new().append(true).open(path).map_err(failed)
}

fn table(rows: impl IntoIterator<Item = Vec<String>>) -> std::io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.write_record(row)?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

/// What a row says of an epoch.
#[derive(Default)]
struct Measured {
    /// Accuracy, loss, validation accuracy and loss, and the first's excess over the third.
    values: [String; 5],
    epoch: String,
    train_acc: String,
}

/// A training's rows, in the order of the [`header`].
fn cells(codec: &Codec, row: &Row<'_>) -> Vec<Vec<String>> {
    let one = |measured: Measured| {
        let reward = row.reward;
        let mut behind = String::new();
        let (mut seed, mut device, mut seconds, mut failed) = Default::default();
        match row.ended {
            Ended::Trained { seed: s, device: d, history, behind: b } => {
                (seed, device, seconds) = (s.to_string(), d.clone(), format!("{:.3}", history.seconds));
                behind = b.to_string();
            }
            Ended::Failed { seed: s, device: d, why } => {
                (seed, device, failed) = (s.to_string(), d.clone(), why.clone())
            }
            Ended::Told { told: Told::Failed(why), .. } => failed = why.clone(),
            Ended::Told { told: Told::Reward(_), .. } => {}
        }
        let train_acc = measured.train_acc;
        let [acc, loss, val_acc, val_loss, gap] = measured.values;
        let mut cells = vec![acc, loss, val_acc, val_loss, row.trial.to_string()];
        cells.extend(codec.cells(&row.proposal.point, &row.proposal.policy));
        let value = |of: fn(Reward) -> String| reward.map(of).unwrap_or_default();
        cells.extend([row.sample.to_string(), value(|r| r.value.to_string()), measured.epoch]);
        if codec.is_single() {
            cells.push(gap);
        }
        let (overfitted, top_k) = (value(|r| r.overfitted.to_string()), value(|r| r.top_k.to_string()));
        cells.extend([row.phase.into(), overfitted, top_k, behind, seed, device, seconds, failed, train_acc]);
        cells
    };
    match row.ended.history() {
        Some(history) => history.epochs.iter().map(|record| one(Measured::of(record))).collect(),
        None => vec![one(Measured::default())],
    }
}

impl Measured {
    fn of(record: &EpochRecord) -> Self {
        let EpochRecord { epoch, acc, loss, val_acc, val_loss, train_acc } = *record;
        let values = [acc, loss, val_acc, val_loss, acc - val_acc].map(|value| value.to_string());
        Self { values, epoch: epoch.to_string(), train_acc: train_acc.map(|acc| acc.to_string()).unwrap_or_default() }
    }
}

/// The columns of DeepAugment's notebook, in its order, then ours.
fn header(codec: &Codec) -> Vec<String> {
    let single = codec.is_single();
    let mut columns: Vec<String> = ["acc", "loss", "val_acc", "val_loss", "trial_no"].map(String::from).to_vec();
    columns.extend(codec.columns());
    columns.extend(["sample_no", if single { "reward" } else { "mean_late_val_acc" }, "epoch"].map(String::from));
    if single {
        columns.push("acc_overfit".into());
    }
    let ours = ["phase", "overfitted", "top_k_val_acc", "behind", "seed", "device", "seconds", "failed", "train_acc"];
    columns.extend(ours.map(String::from));
    columns
}
