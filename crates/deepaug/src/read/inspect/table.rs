//! Reads notebooks as trainings: deepaug's, and both formats of DeepAugment's.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use csv::StringRecord;
use deepaug_augmenter::{Policy, Step};
use deepaug_child_model::EpochRecord;
use serde::Serialize;

use crate::error::Error;

/// A training is overfitted if its training accuracy exceeds its validation accuracy by more than this in all
/// epochs, unless the notebook says so itself (DeepAugment 1.1.2's rule).
const TOLERANCE: f64 = 0.10;

/// Who wrote a notebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Shape {
    /// This program.
    #[serde(rename = "deepaug")]
    Ours,
    /// DeepAugment as of February 2019: one sub-policy and its portion.
    #[serde(rename = "deepaugment-2019-02")]
    Single,
    /// DeepAugment's release 1.1.2: five sub-policies.
    #[serde(rename = "deepaugment-1.1.2")]
    Several,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "deepaug's notebook",
            Self::Single => "DeepAugment's notebook of 2019-02",
            Self::Several => "DeepAugment 1.1.2's notebook",
        })
    }
}

/// An op of a trial, as named in the notebook: notebooks of other versions have other ops.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedStep {
    /// The op's name.
    pub op: String,
    /// Its magnitude.
    pub magnitude: f64,
}

/// A policy as stored in a notebook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedPolicy {
    /// The ops of each sub-policy, in order.
    pub sub_policies: Vec<Vec<NamedStep>>,
    /// The portion, if the notebook has it.
    pub portion: Option<f64>,
    /// The whole policy, if the notebook has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<Policy>,
}

impl fmt::Display for NamedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(whole) = &self.whole {
            return whole.fmt(f);
        }
        for (i, steps) in self.sub_policies.iter().enumerate() {
            let steps: Vec<String> = steps.iter().map(|step| format!("{} {:.2}", step.op, step.magnitude)).collect();
            write!(f, "{}{}", if i == 0 { "" } else { " | " }, steps.join(" + "))?;
        }
        self.portion.map_or(Ok(()), |portion| write!(f, " on {:.0} %", 100.0 * portion))
    }
}

/// One training of a notebook.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The trial it belongs to.
    pub trial: u64,
    /// Which of the trial's trainings.
    pub sample: u64,
    /// Whether its seed was fresh, used after the search.
    pub is_fresh: bool,
    /// The trial's policy.
    pub policy: NamedPolicy,
    /// Its reward; absent if it failed or DeepAugment wrote NaN.
    pub reward: Option<f64>,
    /// The mean of its highest validation accuracies, overfitting or not; absent in DeepAugment's notebooks.
    pub top_k: Option<f64>,
    /// Whether all of its epochs overfitted.
    pub is_overfitted: bool,
    /// Whether it was stopped early because others were better: its reward is not comparable with theirs.
    pub is_pruned: bool,
    /// Why it failed.
    pub failed: Option<String>,
    /// How long it took, if the notebook says so.
    pub seconds: Option<f64>,
    /// Its epochs.
    pub epochs: Vec<EpochRecord>,
}

/// The positions of the columns.
struct Columns {
    named: HashMap<String, usize>,
    /// For each sub-policy, the columns of its ops and magnitudes.
    steps: Vec<Vec<(usize, usize)>>,
    reward: usize,
    shape: Shape,
}

impl Columns {
    /// Finds the columns, or names the missing ones.
    fn of(header: &StringRecord) -> Result<Self, String> {
        let named: HashMap<String, usize> =
            header.iter().enumerate().map(|(index, name)| (name.trim().to_string(), index)).collect();
        let step = |prefix: &str, place: usize| {
            let column = |what: &str| named.get(&format!("{prefix}aug{place}_{what}")).copied();
            Some((column("type")?, column("magnitude")?))
        };
        let steps_of = |prefix: &str| (1..).map_while(|place| step(prefix, place)).collect::<Vec<_>>();
        let lettered = (b'A'..=b'Z').map(|letter| steps_of(&format!("{}_", char::from(letter))));
        let lettered: Vec<_> = lettered.take_while(|steps| !steps.is_empty()).collect();
        let (is_single, steps) = if lettered.is_empty() { (true, vec![steps_of("")]) } else { (false, lettered) };
        let reward = ["reward", "mean_late_val_acc"].into_iter().find_map(|name| named.get(name).copied());
        let mut lacking: Vec<&str> = ["trial_no", "sample_no", "epoch", "acc", "loss", "val_acc", "val_loss"]
            .into_iter()
            .filter(|&name| !named.contains_key(name))
            .collect();
        if reward.is_none() {
            lacking.push("reward (or mean_late_val_acc)");
        }
        if steps[0].is_empty() && !named.contains_key("policy") {
            lacking.push("aug1_type and aug1_magnitude (or A_aug1_type and A_aug1_magnitude)");
        }
        let shape = if named.contains_key("phase") {
            Shape::Ours
        } else if is_single {
            Shape::Single
        } else {
            Shape::Several
        };
        match (reward, lacking.is_empty()) {
            (Some(reward), true) => Ok(Self { named, steps, reward, shape }),
            _ => Err(format!("not a notebook of deepaug or DeepAugment: it lacks {}", lacking.join(", "))),
        }
    }
}

/// A row, and its position in the file.
struct Row<'a> {
    columns: &'a Columns,
    cells: &'a StringRecord,
    line: u64,
}

impl Row<'_> {
    fn cell(&self, name: &str) -> Option<&str> {
        self.columns
            .named
            .get(name)
            .and_then(|&index| self.cells.get(index))
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
    }

    fn wrong(&self, column: &str, what: &str, cell: &str) -> String {
        format!("line {}: {column} must be {what}, not \"{cell}\"", self.line)
    }

    /// Reads a number; absent if the cell is empty or NaN.
    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(cell) = self.cell(name) else { return Ok(None) };
        match cell.parse::<f64>() {
            Ok(number) if number.is_nan() => Ok(None),
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(self.wrong(name, "a number", cell)),
        }
    }

    /// Reads a count, which pandas may have written as 3.0.
    fn count(&self, name: &str) -> Result<u64, String> {
        let cell = self.cell(name).unwrap_or_default();
        match cell.parse::<f64>() {
            Ok(number) if number >= 0.0 && number.fract() == 0.0 && number < 9e15 => Ok(number as u64),
            _ => Err(self.wrong(name, "a whole number", cell)),
        }
    }

    fn policy(&self) -> Result<NamedPolicy, String> {
        if let Some(cell) = self.cell("policy") {
            let policy: Policy = serde_json::from_str(cell)
                .map_err(|error| self.wrong("policy", &format!("a policy ({error})"), cell))?;
            let named = |step: &Step| NamedStep { op: step.op.name().into(), magnitude: step.magnitude };
            let parts = policy.sub_policies.iter().chain([&policy.always]).filter(|part| !part.ops.is_empty());
            let sub_policies = parts.map(|part| part.ops.iter().map(named).collect()).collect();
            let portion = (!policy.in_place).then_some(policy.portion);
            return Ok(NamedPolicy { sub_policies, portion, whole: Some(policy) });
        }
        let step = |&(kind, magnitude): &(usize, usize)| {
            let cell = |index: usize| self.cells.get(index).unwrap_or_default().trim();
            match cell(magnitude).parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(NamedStep { op: cell(kind).to_string(), magnitude: number }),
                _ => Err(self.wrong("a magnitude", "a number", cell(magnitude))),
            }
        };
        let sub_policies = self.columns.steps.iter().map(|steps| steps.iter().map(step).collect());
        let sub_policies = sub_policies.collect::<Result<_, _>>()?;
        Ok(NamedPolicy { sub_policies, portion: self.number("portion")?, whole: None })
    }

    fn epoch(&self) -> Result<Option<EpochRecord>, String> {
        let [acc, loss, val_acc, val_loss] =
            [self.number("acc")?, self.number("loss")?, self.number("val_acc")?, self.number("val_loss")?];
        let (Some(acc), Some(val_acc)) = (acc, val_acc) else { return Ok(None) };
        let epoch = self.count("epoch")? as usize;
        let (loss, val_loss) = (loss.unwrap_or(f64::NAN), val_loss.unwrap_or(f64::NAN));
        Ok(Some(EpochRecord { epoch, acc, loss, val_acc, val_loss, train_acc: self.number("train_acc")? }))
    }

    /// Returns the training that starts with this row, without epochs.
    fn begin(&self, trial: u64, sample: u64) -> Result<Sample, String> {
        let reward = self.cells.get(self.columns.reward).unwrap_or_default();
        Ok(Sample {
            trial,
            sample,
            is_fresh: self.cell("phase") == Some("confirm"),
            policy: self.policy()?,
            reward: match reward.trim() {
                "" => None,
                text => match text.parse::<f64>() {
                    Ok(number) => Some(number).filter(|number| !number.is_nan()),
                    Err(_) => return Err(self.wrong("the reward", "a number", text)),
                },
            },
            top_k: self.number("top_k_val_acc")?,
            is_overfitted: self.cell("overfitted") == Some("true"),
            is_pruned: self.cell("behind") == Some("true"),
            failed: self.cell("failed").map(str::to_string),
            seconds: self.number("seconds")?,
            epochs: Vec::new(),
        })
    }
}

/// Reads a notebook: who wrote it, and its trainings in the order of their first rows. A training's rows need not
/// be adjacent.
pub(super) fn read(path: &Path) -> Result<(Shape, Vec<Sample>), Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    parse(&bytes).map_err(|why| Error::study(path, why))
}

pub(super) fn parse(bytes: &[u8]) -> Result<(Shape, Vec<Sample>), String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let columns = Columns::of(reader.headers().map_err(|error| format!("not a table: {error}"))?)?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut places: HashMap<(u64, u64), usize> = HashMap::new();
    for record in reader.records() {
        let cells = record.map_err(|error| format!("not a table: {error}"))?;
        let row =
            Row { columns: &columns, cells: &cells, line: cells.position().map_or(0, |position| position.line()) };
        // Members of a population change their policies, and are no trials.
        if matches!(row.cell("phase"), Some("population" | "adversary")) {
            continue;
        }
        let key = (row.count("trial_no")?, row.count("sample_no")?);
        let place = match places.get(&key) {
            Some(&place) => place,
            None => {
                samples.push(row.begin(key.0, key.1)?);
                places.insert(key, samples.len() - 1);
                samples.len() - 1
            }
        };
        samples[place].epochs.extend(row.epoch()?);
    }
    if samples.is_empty() {
        return Err("there are no trainings in it".into());
    }
    for sample in &mut samples {
        sample.epochs.sort_by_key(|record| record.epoch);
        if columns.shape != Shape::Ours {
            let overfits = |record: &EpochRecord| record.acc - record.val_acc > TOLERANCE + 1e-12;
            sample.is_overfitted = !sample.epochs.is_empty() && sample.epochs.iter().all(overfits);
        }
    }
    Ok((columns.shape, samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_something_else_is_refused_with_what_it_lacks() {
        let refusal = parse(b"name,acc,val_acc,epoch\na,1,1,1\n").unwrap_err();
        assert_eq!(
            refusal,
            "not a notebook of deepaug or DeepAugment: it lacks trial_no, sample_no, loss, val_loss, reward (or \
             mean_late_val_acc), aug1_type and aug1_magnitude (or A_aug1_type and A_aug1_magnitude)"
        );
        assert!(parse(b"").unwrap_err().contains("trial_no"));
        assert!(parse(&[0xff, 0xfe, b',', 0xff]).is_err());
    }

    const HEADER: &str = "acc,loss,val_acc,val_loss,trial_no,aug1_type,aug1_magnitude,sample_no,reward,epoch\n";

    #[test]
    fn wrong_cells_are_named_by_line_and_column() {
        let refusal = |row: &str| parse(format!("{HEADER}{row}\n").as_bytes()).unwrap_err();
        assert_eq!(refusal("0.5,1,0.5,1,x,rotate,0.1,0,0.5,1"), "line 2: trial_no must be a whole number, not \"x\"");
        assert_eq!(refusal("0.5,1,0.5,1,1,rotate,high,0,0.5,1"), "line 2: a magnitude must be a number, not \"high\"");
        assert_eq!(refusal("0.5,1,0.5,1,1,rotate,0.1,0,good,1"), "line 2: the reward must be a number, not \"good\"");
        assert!(parse(HEADER.as_bytes()).unwrap_err().contains("no trainings"));
    }

    #[test]
    fn rows_need_not_lie_together_and_nan_is_no_reward() {
        let text = format!(
            "{HEADER}0.9,1,0.5,1,7,rotate,0.1,0,nan,2\n0.5,1,0.4,1,3.0,fog,0.2,0,0.8490000000000001,1\n0.8,1,0.4,1,7,rotate,0.1,0,nan,1\n"
        );
        let (shape, samples) = parse(text.as_bytes()).unwrap();
        assert_eq!((shape, samples.len()), (Shape::Single, 2));
        assert_eq!((samples[0].trial, samples[0].reward, samples[0].is_overfitted), (7, None, true));
        assert_eq!(samples[0].epochs.iter().map(|record| record.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((samples[1].trial, samples[1].reward), (3, Some(0.849_000_000_000_000_1)));
    }
}
