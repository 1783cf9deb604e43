//! What strategies found over several trainings: joined, and as tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use deepaug_augmenter::Op;
use deepaug_child_model::{History, OpTally, StrategyRecord, SurenessRecord};

use crate::error::Error;
use crate::files::write_table;
use crate::layout::{SELECTION, SURENESS};

/// Joins what the strategy of several trainings found; nothing if they had none.
pub(crate) fn joined<'h>(histories: impl Iterator<Item = &'h History>) -> Option<StrategyRecord> {
    let (mut tallies, mut sureness) = (Vec::new(), Vec::new());
    for record in histories.filter_map(|history| history.strategy.as_ref()) {
        match record {
            StrategyRecord::Selection(of_training) => tallies.extend(of_training),
            StrategyRecord::Sureness(of_training) => sureness.push(of_training),
        }
    }
    match (tallies.is_empty(), sureness.is_empty()) {
        (true, true) => None,
        (false, _) => Some(StrategyRecord::Selection(joined_tallies(&tallies))),
        (true, false) => Some(StrategyRecord::Sureness(joined_sureness(&sureness))),
    }
}

fn joined_tallies(all: &[OpTally]) -> Vec<OpTally> {
    let mut sums: BTreeMap<(usize, Option<Op>), (usize, usize, f64)> = BTreeMap::new();
    for tally in all {
        let (proposed, chosen, losses) = sums.entry((tally.epoch, tally.op)).or_default();
        *proposed += tally.proposed;
        *chosen += tally.chosen;
        *losses += tally.loss * tally.proposed as f64;
    }
    let joined = sums.into_iter().map(|((epoch, op), (proposed, chosen, losses))| OpTally {
        epoch,
        op,
        proposed,
        chosen,
        loss: losses / proposed.max(1) as f64,
    });
    joined.collect()
}

/// Averages sureness over trainings. Their least sure images are kept only if there is one, because others may have had
/// other images.
fn joined_sureness(all: &[&SurenessRecord]) -> SurenessRecord {
    let epochs = all.iter().map(|record| record.classes.len()).max().unwrap_or(0);
    let classes = all.iter().flat_map(|record| &record.classes).map(Vec::len).max().unwrap_or(0);
    let mean = |epoch: usize, class: usize| {
        let found = all.iter().filter_map(|record| *record.classes.get(epoch)?.get(class)?);
        let (sum, count) = found.fold((0.0, 0), |(sum, count), sure| (sum + sure, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    };
    SurenessRecord {
        classes: (0..epochs).map(|epoch| (0..classes).map(|class| mean(epoch, class)).collect()).collect(),
        least: if let [one] = all { one.least.clone() } else { Vec::new() },
    }
}

/// Writes what a strategy found as a table, and returns its path: `path` with `selection.csv` or `sureness.csv` in place of
/// its ending. Classes without names are called by their numbers, from 0.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn write_table_of(
    record: &StrategyRecord,
    names: &[String],
    path: impl Fn(&str) -> PathBuf,
) -> Result<PathBuf, Error> {
    let (path, written) = match record {
        StrategyRecord::Selection(tallies) => {
            let row = |tally: &OpTally| {
                let OpTally { epoch, op, proposed, chosen, loss } = *tally;
                let op = op.map_or("none", Op::name);
                vec![epoch.to_string(), op.into(), proposed.to_string(), chosen.to_string(), loss.to_string()]
            };
            let path = path(SELECTION);
            let columns = ["epoch", "op", "proposed", "chosen", "loss"];
            (path.clone(), write_table(&path, &columns, tallies.iter().map(row)))
        }
        StrategyRecord::Sureness(sureness) => {
            let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
            let rows = sureness.classes.iter().enumerate().flat_map(|(epoch, classes)| {
                let row = move |(class, sure): (usize, &Option<f64>)| {
                    Some(vec![(epoch + 1).to_string(), name(class), (*sure)?.to_string()])
                };
                classes.iter().enumerate().filter_map(row)
            });
            let path = path(SURENESS);
            (path.clone(), write_table(&path, &["epoch", "class", "sureness"], rows))
        }
    };
    written.map(|()| path)
}

/// Writes it into a study's folder.
pub(crate) fn write_of_study(record: &StrategyRecord, folder: &Path) -> Result<(), Error> {
    write_table_of(record, &[], |name| folder.join(name)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_trainings_found_is_joined_epoch_by_epoch() {
        let history = |strategy| History { strategy, ..History::new(Vec::new(), 0.0) };
        let tally = |epoch, op, proposed, chosen, loss| OpTally { epoch, op, proposed, chosen, loss };
        let first = vec![tally(1, Some(Op::Rotate), 10, 2, 1.0), tally(2, None, 5, 5, 0.5)];
        let second = vec![tally(1, Some(Op::Rotate), 30, 8, 2.0), tally(1, None, 1, 1, 0.0)];
        let all = [
            history(Some(StrategyRecord::Selection(first))),
            history(None),
            history(Some(StrategyRecord::Selection(second))),
        ];
        let Some(StrategyRecord::Selection(found)) = joined(all.iter()) else { panic!("nothing") };
        let expected = [tally(1, None, 1, 1, 0.0), tally(1, Some(Op::Rotate), 40, 10, 1.75), tally(2, None, 5, 5, 0.5)];
        assert_eq!(found, expected);
        assert_eq!(joined([history(None)].iter()), None);

        let sure = |classes, least| history(Some(StrategyRecord::Sureness(SurenessRecord { classes, least })));
        let one = sure(vec![vec![Some(0.5), None]], vec![(3, 0.1)]);
        let two = sure(vec![vec![Some(1.0), Some(0.2)], vec![None, Some(0.4)]], vec![(1, 0.2)]);
        let Some(StrategyRecord::Sureness(found)) = joined([one.clone(), two].iter()) else { panic!("nothing") };
        assert_eq!(found.classes, [[Some(0.75), Some(0.2)], [None, Some(0.4)]]);
        assert!(found.least.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let names = ["cat".to_string(), "dog".to_string()];
        let table = write_table_of(&StrategyRecord::Sureness(found), &names, |name| folder.path().join(name)).unwrap();
        let text = std::fs::read_to_string(table).unwrap();
        assert_eq!(text, "epoch,class,sureness\n1,cat,0.75\n1,dog,0.2\n2,dog,0.4\n");
        let Some(StrategyRecord::Sureness(alone)) = joined([one].iter()) else { panic!("nothing") };
        assert_eq!(alone.least, [(3, 0.1)]);
    }
}
