//! The table of all trainings, one row an epoch: a view of the journal that spreadsheets and pandas read.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use deepaug_child_model::{EpochRecord, History};
use deepaug_controller::Point;

use crate::reward::Reward;
use crate::{Codec, Error};

/// One training as the notebook shows it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) trial: u64,
    pub(crate) point: &'a Point,
    pub(crate) sample: usize,
    /// `search`, or `confirm` for the trainings with fresh seeds after it.
    pub(crate) phase: &'static str,
    pub(crate) seed: u64,
    pub(crate) device: &'a str,
    /// What came of it, or why nothing did.
    pub(crate) outcome: Result<(&'a History, Reward), &'a str>,
}

/// The file, written anew from its first line whenever a study is opened.
#[derive(Debug)]
pub(crate) struct Notebook {
    file: File,
    path: PathBuf,
    codec: Codec,
}

impl Notebook {
    pub(crate) fn create(path: &Path, codec: Codec) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(path)
            .map_err(|error| Error::file(path, error))?;
        let mut notebook = Self { file, path: path.into(), codec };
        let header = notebook.header();
        notebook.write(&[header])?;
        Ok(notebook)
    }

    /// Writes a training's rows, one an epoch, or one that says why it failed, and waits until they are on disk.
    pub(crate) fn append(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let rows = match row.outcome {
            Ok((history, reward)) => {
                let seconds = format!("{:.3}", history.seconds);
                let one = |record: &EpochRecord| {
                    let EpochRecord { epoch, acc, loss, val_acc, val_loss } = *record;
                    let values = [acc, loss, val_acc, val_loss, acc - val_acc].map(|value| value.to_string());
                    let reward = [reward.value.to_string(), reward.overfitted.to_string(), reward.top_k.to_string()];
                    self.cells(row, values, &epoch.to_string(), reward, &seconds, "")
                };
                history.epochs.iter().map(one).collect()
            }
            Err(why) => vec![self.cells(row, Default::default(), "", Default::default(), "", why)],
        };
        self.write(&rows)
    }

    /// The cells of a row, in the order of the [`header`](Self::header).
    fn cells(
        &self,
        row: &Row<'_>,
        [acc, loss, val_acc, val_loss, gap]: [String; 5],
        epoch: &str,
        [reward, overfitted, top_k]: [String; 3],
        seconds: &str,
        failed: &str,
    ) -> Vec<String> {
        let mut cells = vec![acc, loss, val_acc, val_loss, row.trial.to_string()];
        cells.extend(self.codec.cells(row.point));
        cells.extend([row.sample.to_string(), reward, epoch.into()]);
        if self.codec.is_single() {
            cells.push(gap);
        }
        let (phase, seed, device) = (row.phase.into(), row.seed.to_string(), row.device.into());
        cells.extend([phase, overfitted, top_k, seed, device, seconds.into(), failed.into()]);
        cells
    }

    /// The columns of DeepAugment's notebook, in its order, then ours.
    fn header(&self) -> Vec<String> {
        let single = self.codec.is_single();
        let mut columns: Vec<String> = ["acc", "loss", "val_acc", "val_loss", "trial_no"].map(String::from).to_vec();
        columns.extend(self.codec.columns());
        columns.extend(["sample_no", if single { "reward" } else { "mean_late_val_acc" }, "epoch"].map(String::from));
        if single {
            columns.push("acc_overfit".into());
        }
        columns
            .extend(["phase", "overfitted", "top_k_val_acc", "seed", "device", "seconds", "failed"].map(String::from));
        columns
    }

    fn write(&mut self, rows: &[Vec<String>]) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path, error);
        let mut table = csv::Writer::from_writer(Vec::new());
        for row in rows {
            table.write_record(row).map_err(|error| failed(error.into()))?;
        }
        let bytes = table.into_inner().map_err(|error| failed(error.into_error()))?;
        self.file.write_all(&bytes).and_then(|()| self.file.sync_data()).map_err(failed)
    }
}
