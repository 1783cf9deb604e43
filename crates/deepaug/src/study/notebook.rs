//! The table of all trainings, one row per epoch: a view of the journal for spreadsheets and pandas.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use deepaug_child_model::EpochRecord;

use crate::error::Error;
use crate::files::write_whole;
use crate::reward::Reward;
use crate::study::journal::ReportedOutcome;
use crate::study::ledger::TrainingOutcome;

/// DeepAugment 1.1.2's sub-policies, and the ops of each.
const SUB_POLICIES: [&str; 5] = ["A", "B", "C", "D", "E"];
const OPS: [&str; 2] = ["aug1", "aug2"];

/// One training as shown in the notebook.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Absent for a training that was looked into.
    pub(crate) trial: Option<u64>,
    pub(crate) policy: &'a Policy,
    /// The policy's name, if it needs no search.
    pub(crate) scheme: Option<&'a str>,
    /// Which of the trial's trainings, or which member.
    pub(crate) sample: usize,
    /// `search`, `confirm` for the trainings with fresh seeds after it, `population` or `adversary`.
    pub(crate) phase: &'static str,
    /// Its reward; `None` if it failed.
    pub(crate) reward: Option<Reward>,
    pub(crate) ended: &'a TrainingOutcome,
}

/// The file. It is a view of the journal that can be rewritten at any time, so nobody waits until it is on disk.
#[derive(Debug)]
pub(crate) struct Notebook {
    file: File,
    path: PathBuf,
}

impl Notebook {
    /// Writes the file, whole or not at all, and opens it for more rows.
    pub(crate) fn write<'a>(path: &Path, rows: impl Iterator<Item = Row<'a>>) -> Result<Self, Error> {
        Ok(Self { file: write_all(path, rows)?, path: path.into() })
    }

    /// Opens the file for more rows if it has the expected number, one line each, and ends with the last;
    /// otherwise rewrites it.
    pub(crate) fn open<'a>(
        path: &Path,
        count: usize,
        last: Option<&Row<'_>>,
        rows: impl Iterator<Item = Row<'a>>,
    ) -> Result<Self, Error> {
        let is_whole = || {
            let bytes = std::fs::read(path).ok()?;
            let tail = last.map_or_else(|| table([header()]), |last| table(cells(last))).ok()?;
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            (lines == count + 1 && bytes.ends_with(&tail)).then_some(())
        };
        match is_whole() {
            Some(()) => Self::add_to(path),
            None => Self::write(path, rows),
        }
    }

    /// Opens the existing file for more rows.
    pub(crate) fn add_to(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().append(true).open(path).map_err(|error| Error::file(path, error))?;
        Ok(Self { file, path: path.into() })
    }

    /// Rewrites the file, whole or not at all.
    pub(crate) fn rewrite<'a>(&mut self, rows: impl Iterator<Item = Row<'a>>) -> Result<(), Error> {
        self.file = write_all(&self.path, rows)?;
        Ok(())
    }

    /// Writes a training's rows: one per epoch, or one if no epochs are known.
    pub(crate) fn append(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let failed = |error| Error::file(&self.path, error);
        let bytes = table(cells(row)).map_err(failed)?;
        self.file.write_all(&bytes).map_err(failed)
    }
}

fn write_all<'a>(path: &Path, rows: impl Iterator<Item = Row<'a>>) -> Result<File, Error> {
    let failed = |error| Error::file(path, error);
    write_whole(path, &contents(rows).map_err(failed)?)?;
    OpenOptions::new().append(true).open(path).map_err(failed)
}

/// Returns the file's contents.
pub(crate) fn contents<'a>(rows: impl Iterator<Item = Row<'a>>) -> std::io::Result<Vec<u8>> {
    table(std::iter::once(header()).chain(rows.flat_map(|row| cells(&row))))
}

fn table(rows: impl IntoIterator<Item = Vec<String>>) -> std::io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in rows {
        table.write_record(row)?;
    }
    table.into_inner().map_err(|error| error.into_error())
}

/// The cells of one epoch.
#[derive(Default)]
struct Measured {
    /// Accuracy, loss, validation accuracy and loss.
    values: [String; 4],
    epoch: String,
    train_acc: String,
}

/// Returns a training's rows, in the order of the [`header`].
fn cells(row: &Row<'_>) -> Vec<Vec<String>> {
    let one = |measured: Measured| {
        let reward = row.reward;
        let mut pruned = String::new();
        let (mut seed, mut device, mut seconds, mut failed) = Default::default();
        match row.ended {
            TrainingOutcome::Trained { seed: s, device: d, history, pruned: b } => {
                (seed, device, seconds) = (s.to_string(), d.clone(), format!("{:.3}", history.seconds));
                pruned = b.to_string();
            }
            TrainingOutcome::Failed { seed: s, device: d, why } => {
                (seed, device, failed) = (s.to_string(), d.clone(), why.clone())
            }
            TrainingOutcome::Reported { told: ReportedOutcome::Failed(why), .. } => failed = why.clone(),
            TrainingOutcome::Reported { told: ReportedOutcome::Reward(_), pruned: b, .. } if *b => {
                pruned = b.to_string()
            }
            TrainingOutcome::Reported { told: ReportedOutcome::Reward(_), .. } => {}
        }
        let train_acc = measured.train_acc;
        let [acc, loss, val_acc, val_loss] = measured.values;
        let mut cells = vec![acc, loss, val_acc, val_loss];
        cells.push(row.trial.map(|trial| trial.to_string()).unwrap_or_default());
        cells.extend(op_cells(row.policy));
        let value = |of: fn(Reward) -> String| reward.map(of).unwrap_or_default();
        cells.extend([row.sample.to_string(), value(|r| r.value.to_string()), measured.epoch]);
        cells.push(row.phase.into());
        cells.extend(policy_cells(row.policy, row.scheme));
        let (overfitted, top_k) = (value(|r| r.overfitted.to_string()), value(|r| r.top_k.to_string()));
        cells.extend([train_acc, overfitted, top_k, pruned, seed, device, seconds, failed]);
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
        let values = [acc, loss, val_acc, val_loss].map(|value| value.to_string());
        Self { values, epoch: epoch.to_string(), train_acc: train_acc.map(|acc| acc.to_string()).unwrap_or_default() }
    }
}

/// Returns the columns of DeepAugment 1.1.2's notebook, in its order, then ours.
fn header() -> Vec<String> {
    let mut columns: Vec<String> = ["acc", "loss", "val_acc", "val_loss", "trial_no"].map(String::from).to_vec();
    columns.extend(op_columns());
    columns.extend(["sample_no", "mean_late_val_acc", "epoch", "phase"].map(String::from));
    columns.extend(POLICY_COLUMNS.map(String::from));
    let ours = ["train_acc", "overfitted", "top_k_val_acc", "behind", "seed", "device", "seconds", "failed"];
    columns.extend(ours.map(String::from));
    columns
}

/// Returns the columns of an op and its magnitude for each place of DeepAugment 1.1.2's policies.
pub(crate) fn op_columns() -> impl Iterator<Item = String> {
    let places = SUB_POLICIES.into_iter().flat_map(|letter| OPS.map(|op| format!("{letter}_{op}")));
    places.flat_map(|place| [format!("{place}_type"), format!("{place}_magnitude")])
}

/// Returns the cells of those columns: all empty for a policy that does not fit, such as one that draws its ops.
pub(crate) fn op_cells(policy: &Policy) -> Vec<String> {
    let sub_policies = &policy.sub_policies;
    let fits = !policy.in_place
        && policy.draws == 1
        && policy.counts.is_empty()
        && policy.earlier.is_empty()
        && sub_policies.len() <= SUB_POLICIES.len()
        && sub_policies.iter().all(|sub_policy| sub_policy.ops.len() <= OPS.len());
    let step = |place: usize| sub_policies.get(place / OPS.len())?.ops.get(place % OPS.len()).filter(|_| fits);
    let cells =
        |place: usize| step(place).map(|step| [step.op.name().into(), step.magnitude.to_string()]).unwrap_or_default();
    (0..SUB_POLICIES.len() * OPS.len()).flat_map(cells).collect()
}

/// The columns of the policy itself: its name if it needs no search, and all of it as JSON.
pub(crate) const POLICY_COLUMNS: [&str; 2] = ["scheme", "policy"];

/// Returns the cells of those columns.
pub(crate) fn policy_cells(policy: &Policy, scheme: Option<&str>) -> [String; 2] {
    [scheme.unwrap_or_default().into(), serde_json::to_string(policy).unwrap_or_default()]
}
