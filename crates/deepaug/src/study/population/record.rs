//! What is known about a population: who had which policy from when on, and how its children fared.

use std::collections::BTreeMap;
use std::path::Path;

use deepaug_augmenter::{Piece, Policy};
use deepaug_child_model::EpochRecord;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::write_whole;
use crate::layout;
use crate::study::ledger::TrainingOutcome;

/// The policy that a member has from an epoch on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) member: usize,
    /// Whose net it takes over; absent at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) donor: Option<usize>,
    pub(crate) policy: Policy,
}

/// All of it, as the journal says.
#[derive(Debug, Clone, Default)]
pub(crate) struct PopulationRecord {
    /// By the number of epochs done when they were made.
    assigned: BTreeMap<usize, Vec<Assignment>>,
    /// Trained parts, by the epochs done before and the member.
    parts: BTreeMap<(usize, usize), TrainingOutcome>,
}

impl PopulationRecord {
    pub(crate) fn assign(&mut self, epoch: usize, members: Vec<Assignment>) {
        self.assigned.insert(epoch, members);
    }

    pub(crate) fn end(&mut self, from: usize, member: usize, outcome: TrainingOutcome) {
        self.parts.insert((from, member), outcome);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the number of members.
    pub(crate) fn members(&self) -> usize {
        self.assigned.get(&0).map_or(0, Vec::len)
    }

    /// Returns the policies given out after an epoch, if it has been decided about.
    pub(crate) fn policies_at(&self, epoch: usize) -> Option<&[Assignment]> {
        self.assigned.get(&epoch).map(Vec::as_slice)
    }

    /// Returns how many members took another's net over after an epoch.
    pub(crate) fn takeovers(&self, epoch: usize) -> usize {
        self.policies_at(epoch).map_or(0, <[_]>::len)
    }

    /// Returns the policy of a member in the part that begins after some epochs: since when it has it, from whom, and
    /// the policy.
    pub(crate) fn policy(&self, member: usize, from: usize) -> Option<(usize, Option<usize>, &Policy)> {
        self.assigned.range(..=from).rev().find_map(|(&since, members)| {
            let assigned = members.iter().find(|assigned| assigned.member == member)?;
            Some((since, assigned.donor, &assigned.policy))
        })
    }

    pub(crate) fn part(&self, from: usize, member: usize) -> Option<&TrainingOutcome> {
        self.parts.get(&(from, member))
    }

    /// Returns the parts that have been trained, as (epochs before, member, outcome).
    pub(crate) fn parts(&self) -> impl Iterator<Item = (usize, usize, &TrainingOutcome)> {
        self.parts.iter().map(|(&(from, member), outcome)| (from, member, outcome))
    }

    /// Whether a member has a net to continue from: it did not fail before, or took another's over since.
    pub(crate) fn learns(&self, from: usize, member: usize) -> bool {
        let before = self.parts.range(..(from, 0)).rev().find(|((_, other), _)| *other == member);
        let is_new = self.policies_at(from).is_some_and(|members| members.iter().any(|other| other.member == member));
        is_new || before.is_some_and(|(_, outcome)| outcome.history().is_some())
    }

    /// Returns a member's epochs so far; fewer than there have been if it failed.
    pub(crate) fn epochs(&self, member: usize, until: usize) -> Vec<EpochRecord> {
        let mut epochs: Vec<EpochRecord> = Vec::new();
        let parts = self.parts.iter().filter(|((from, other), _)| *from < until && *other == member);
        for (&(from, _), outcome) in parts {
            let history = outcome.history().map_or(&[][..], |history| history.epochs.as_slice());
            // A member that failed and took another over continues with the other's epochs.
            if epochs.len() < from
                && let Some((_, Some(donor), _)) = self.policy(member, from)
                && donor != member
            {
                epochs = self.epochs(donor, from);
            }
            epochs.extend(history);
        }
        epochs
    }

    /// Returns the member with the highest validation accuracy after an epoch, and that; of equals, the one with the
    /// lower number.
    pub(crate) fn best(&self, epoch: usize) -> Option<(usize, f64)> {
        let last = self.parts.iter().filter_map(|(&(from, member), outcome)| {
            let last = outcome.history()?.epochs.last()?;
            (from < epoch && last.epoch == epoch).then_some((member, last.val_acc))
        });
        last.fold(None, |best, (member, accuracy)| match best {
            Some((_, highest)) if highest >= accuracy => best,
            _ => Some((member, accuracy)),
        })
    }

    /// Returns the policies that led to a member's net after an epoch: its own since it last took another over, before
    /// that the other's, and so on.
    pub(crate) fn schedule(&self, winner: usize, epochs: usize) -> Option<Policy> {
        let piece = |(member, since, until): (usize, usize, usize)| {
            let (_, _, policy) = self.policy(member, since)?;
            Some(Piece { epochs: until - since, policy: policy.clone() })
        };
        Policy::schedule(self.line(winner, epochs).into_iter().map(piece).collect::<Option<_>>()?)
    }

    /// Returns the members whose nets led to one's net after an epoch, in order: who, from when, and until when.
    pub(crate) fn line(&self, winner: usize, epochs: usize) -> Vec<(usize, usize, usize)> {
        let (mut member, mut until) = (winner, epochs);
        let mut line = Vec::new();
        while until > 0 {
            let Some((since, donor, _)) = self.policy(member, until - 1) else { break };
            line.push((member, since, until));
            (member, until) = (donor.unwrap_or(member), since);
        }
        line.reverse();
        line
    }

    /// Writes the table into the study's folder, if there is a population.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        if self.parts.is_empty() {
            return Ok(());
        }
        let path = folder.join(layout::POPULATION);
        write_whole(&path, &self.table().map_err(|error| Error::file(&path, error))?)
    }

    /// Returns the table of all epochs: `epoch`, `worker`, `parent` (whose net it took over at the start of the
    /// epoch), `score` (validation accuracy) and the policy in words.
    fn table(&self) -> std::io::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["epoch", "worker", "parent", "score", "policy"])?;
        for (&(from, member), outcome) in &self.parts {
            let policy = self.policy(member, from);
            let parent = policy.filter(|(since, ..)| *since == from).and_then(|(_, donor, _)| donor);
            let words = policy.map(|(.., policy)| policy.to_string()).unwrap_or_default();
            for (n, epoch) in outcome.history().iter().flat_map(|history| &history.epochs).enumerate() {
                let parent = parent.filter(|_| n == 0).map(|parent| parent.to_string()).unwrap_or_default();
                let cells =
                    [epoch.epoch.to_string(), member.to_string(), parent, epoch.val_acc.to_string(), words.clone()];
                table.write_record(cells)?;
            }
        }
        table.into_inner().map_err(|error| error.into_error())
    }
}

#[cfg(test)]
mod tests {
    use deepaug_augmenter::{Op, RangeTable, Step, SubPolicy};
    use deepaug_child_model::History;

    use super::*;

    fn policy(magnitude: f64) -> Policy {
        let ops = vec![Step::new(Op::Rotate, magnitude)];
        Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops }])
    }

    fn trained(from: usize, accuracies: &[f64]) -> TrainingOutcome {
        let record = |(n, &val_acc): (usize, &f64)| EpochRecord {
            epoch: from + n + 1,
            acc: 0.5,
            loss: 1.0,
            val_acc,
            val_loss: 1.0,
            train_acc: None,
        };
        let history = History::new(accuracies.iter().enumerate().map(record).collect(), 1.0);
        TrainingOutcome::Trained { seed: 1, device: "cpu".into(), history, pruned: false }
    }

    /// The lineage worked out by hand: b takes over from a after 3 epochs, c from b after 6, and c wins after 12.
    #[test]
    fn a_schedule_follows_the_winner_back() {
        let mut record = PopulationRecord::default();
        let start = (0..3).map(|member| Assignment { member, donor: None, policy: policy(0.0) });
        record.assign(0, start.collect());
        record.assign(3, vec![Assignment { member: 1, donor: Some(0), policy: policy(0.1) }]);
        record.assign(6, vec![Assignment { member: 2, donor: Some(1), policy: policy(0.2) }]);
        let schedule = record.schedule(2, 12).unwrap();
        let pieces: Vec<(usize, f64)> =
            schedule.pieces().map(|(epochs, policy)| (epochs, policy.steps().next().unwrap().magnitude)).collect();
        assert_eq!(pieces, [(3, 0.0), (3, 0.1), (6, 0.2)]);
        assert_eq!(record.schedule(0, 12).unwrap(), policy(0.0));
        let of_b: Vec<usize> = record.schedule(1, 12).unwrap().pieces().map(|(epochs, _)| epochs).collect();
        assert_eq!(of_b, [3, 9]);
    }

    #[test]
    fn a_member_that_failed_learns_again_once_it_takes_over() {
        let mut record = PopulationRecord::default();
        let start = (0..3).map(|member| Assignment { member, donor: None, policy: policy(0.0) });
        record.assign(0, start.collect());
        record.end(0, 0, trained(0, &[0.1, 0.2]));
        record.end(0, 1, TrainingOutcome::Failed { seed: 1, device: "cpu".into(), why: "diverged".into() });
        record.end(0, 2, trained(0, &[0.1, 0.2]));
        assert!(record.learns(0, 1) && !record.learns(2, 1) && record.learns(2, 0));
        assert_eq!([0, 1].map(|member| record.epochs(member, 2).len()), [2, 0]);
        // Of equals the first.
        assert_eq!(record.best(2), Some((0, 0.2)));
        record.assign(2, vec![Assignment { member: 1, donor: Some(2), policy: policy(0.3) }]);
        assert!(record.learns(2, 1));
        record.end(2, 0, trained(2, &[0.3]));
        record.end(2, 1, trained(2, &[0.9]));
        record.end(2, 2, trained(2, &[0.4]));
        assert_eq!(record.best(3), Some((1, 0.9)));
        assert_eq!(record.epochs(1, 3).len(), 3);
        let table = String::from_utf8(record.table().unwrap()).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "epoch,worker,parent,score,policy");
        assert_eq!(lines.len(), 8);
        assert!(lines.contains(&"3,1,2,0.9,rotate 0.30 on 100 %"), "{table}");
    }
}
