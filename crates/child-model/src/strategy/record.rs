//! What a strategy finds while a child trains.

use deepaug_augmenter::Op;
use serde::{Deserialize, Serialize};

use super::{Strategy, sureness};
use crate::session::{Candidate, RowLoss};

/// Images that the net is least sure of, in a record.
const LEAST: usize = 30;

/// What a strategy found while a child trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyRecord {
    /// How often candidates with each op were made and chosen, epoch by epoch.
    Selection(Vec<OpTally>),
    /// How sure the net was of its images.
    Sureness(SurenessRecord),
}

/// The candidates of an epoch to which an op was applied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpTally {
    /// Counted from 1.
    pub epoch: usize,
    /// The op; absent for candidates without any.
    pub op: Option<Op>,
    /// Candidates made.
    pub proposed: usize,
    /// How often one of them was chosen.
    pub chosen: usize,
    /// Their mean loss, whether chosen or not.
    pub loss: f64,
}

/// How sure a net was of its images: 1 minus the entropy of its probabilities, as a share of that of equal ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SurenessRecord {
    /// The mean of each class in each epoch; absent for classes of which no image came up.
    pub classes: Vec<Vec<Option<f64>>>,
    /// The training images that it was least sure of when it last saw them, and how sure, the least sure first.
    pub least: Vec<(usize, f64)>,
}

/// Makes the record of one child.
pub(crate) struct Recorder<'l> {
    strategy: Strategy,
    labels: &'l [usize],
    classes: usize,
    tallies: Vec<OpTally>,
    of_classes: Vec<Vec<Option<f64>>>,
    /// How sure the net was of each image when it last saw it.
    pub(crate) sureness: Vec<Option<f64>>,
}

impl<'l> Recorder<'l> {
    pub(crate) fn new(strategy: Strategy, labels: &'l [usize], classes: usize) -> Self {
        let (tallies, of_classes) = Default::default();
        Self { strategy, labels, classes, tallies, of_classes, sureness: vec![None; labels.len()] }
    }

    /// Takes in an epoch, counted from 1: the candidates, and the rows learnt from. Rows are images, in order.
    pub(crate) fn epoch(&mut self, epoch: usize, candidates: &[Candidate], rows: &[RowLoss]) {
        match self.strategy {
            Strategy::Plain | Strategy::Consistent(_) | Strategy::Translated | Strategy::Patched(_) => {}
            Strategy::Uncertain(_) => self.tallies.extend(tallies(epoch, candidates)),
            Strategy::Entropy => self.see(rows),
        }
    }

    fn see(&mut self, rows: &[RowLoss]) {
        let mut sums = vec![(0.0, 0); self.classes];
        for row in rows {
            let sure = sureness(f64::from(row.entropy), self.classes);
            self.sureness[row.row] = Some(sure);
            let (sum, count) = &mut sums[self.labels[row.row]];
            (*sum, *count) = (*sum + sure, *count + 1);
        }
        let mean = |(sum, count): (f64, usize)| (count > 0).then(|| sum / count as f64);
        self.of_classes.push(sums.into_iter().map(mean).collect());
    }

    pub(crate) fn finish(self) -> Option<StrategyRecord> {
        match self.strategy {
            Strategy::Plain | Strategy::Consistent(_) | Strategy::Translated | Strategy::Patched(_) => None,
            Strategy::Uncertain(_) => Some(StrategyRecord::Selection(self.tallies)),
            Strategy::Entropy => {
                let seen = self.sureness.iter().enumerate();
                let mut least: Vec<(usize, f64)> = seen.filter_map(|(image, sure)| Some((image, (*sure)?))).collect();
                least.sort_by(|a, b| a.1.total_cmp(&b.1));
                least.truncate(LEAST);
                Some(StrategyRecord::Sureness(SurenessRecord { classes: self.of_classes, least }))
            }
        }
    }
}

/// Counts candidates by op.
fn tallies(epoch: usize, candidates: &[Candidate]) -> impl Iterator<Item = OpTally> {
    let ops = std::iter::once(None).chain(Op::ALL.map(Some));
    ops.filter_map(move |op| {
        let has = |candidate: &&Candidate| match op {
            Some(op) => candidate.ops.contains(op),
            None => candidate.ops.iter().next().is_none(),
        };
        let (mut proposed, mut chosen, mut losses) = (0, 0, 0.0);
        for candidate in candidates.iter().filter(has) {
            proposed += 1;
            chosen += candidate.chosen;
            losses += f64::from(candidate.loss);
        }
        (proposed > 0).then(|| OpTally { epoch, op, proposed, chosen, loss: losses / proposed as f64 })
    })
}

#[cfg(test)]
mod tests {
    use deepaug_augmenter::Ops;

    use super::*;

    #[test]
    fn candidates_are_counted_by_op() {
        let ops = |all: &[Op]| {
            let mut ops = Ops::default();
            all.iter().for_each(|&op| ops.insert(op));
            ops
        };
        let candidate = |ops, loss, chosen| Candidate { row: 0, ops, loss, chosen };
        let found: Vec<OpTally> = tallies(
            3,
            &[
                candidate(ops(&[Op::Rotate, Op::Crop]), 2.0, 1),
                candidate(ops(&[Op::Rotate]), 1.0, 0),
                candidate(ops(&[]), 0.5, 2),
            ],
        )
        .collect();
        let tally = |op, proposed, chosen, loss| OpTally { epoch: 3, op, proposed, chosen, loss };
        let expected = [tally(None, 1, 2, 0.5), tally(Some(Op::Crop), 1, 1, 2.0), tally(Some(Op::Rotate), 2, 1, 1.5)];
        assert_eq!(found, expected);
    }

    #[test]
    fn sureness_is_averaged_by_class() {
        let mut recorder = Recorder::new(Strategy::Entropy, &[0, 1, 1], 3);
        let row = |row, entropy| RowLoss { row, loss: 0.0, right: true, entropy };
        let most = 3.0_f32.ln();
        recorder.epoch(1, &[], &[row(1, 0.0), row(2, most / 2.0), row(0, most)]);
        recorder.epoch(2, &[], &[row(1, most)]);
        let Some(StrategyRecord::Sureness(record)) = recorder.finish() else { panic!("no record") };
        assert_eq!(record.classes.len(), 2);
        assert!((record.classes[0][1].unwrap() - 0.75).abs() < 1e-6);
        assert_eq!(record.classes[1], [None, Some(0.0), None]);
        assert_eq!(record.least.iter().map(|(image, _)| *image).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
