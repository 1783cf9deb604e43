//! The groups of a child's images: those of one class and one subgroup.

use std::collections::BTreeMap;

use super::{GroupEpoch, RowLoss};
use crate::robust::GroupWeights;
use crate::{GroupDro, GroupRecord, TrainError, TrainingSet};

/// The groups of a child's images.
pub(super) struct Groups {
    /// The group of each training image, among those that have any.
    pub(super) of_images: Vec<usize>,
    /// The numbers of those groups, class by class and subgroup by subgroup.
    numbers: Vec<usize>,
    /// The number of each validation image's group.
    of_validation: Vec<usize>,
    /// Groups that there could be.
    count: usize,
    weights: Option<GroupWeights>,
    pub(super) epoch: GroupEpoch,
}

impl Groups {
    /// Returns the groups of a set, if its subgroups are known.
    ///
    /// # Errors
    /// [`TrainError::Session`] if they are to be weighted but are not known.
    pub(super) fn new(set: &TrainingSet<'_>, robust: Option<GroupDro>) -> Result<Option<Self>, TrainError> {
        let Some(subgroups) = set.subgroups else {
            return match robust {
                None => Ok(None),
                Some(_) => Err(TrainError::Session { why: "weighting groups needs the subgroups of images".into() }),
            };
        };
        let number = |(&label, &subgroup): (&usize, &usize)| label * subgroups.count + subgroup;
        let numbered: Vec<usize> = set.labels.iter().zip(subgroups.images).map(number).collect();
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        numbered.iter().for_each(|&number| *sizes.entry(number).or_default() += 1);
        let numbers: Vec<usize> = sizes.keys().copied().collect();
        let of_images = numbered.iter().filter_map(|number| numbers.binary_search(number).ok()).collect();
        let groups = sizes.iter().map(|(number, &images)| (number / subgroups.count.max(1), images)).collect();
        Ok(Some(Self {
            of_images,
            numbers,
            of_validation: set.validation_labels.iter().zip(subgroups.validation).map(number).collect(),
            count: set.classes * subgroups.count,
            weights: robust.map(|how| GroupWeights::new(how, groups)),
            epoch: GroupEpoch::default(),
        }))
    }

    /// Returns the rows of each group, given the image that each row shows; absent if groups are not weighted, for then rows
    /// are not drawn group by group.
    pub(super) fn rows(&self, sources: impl Iterator<Item = usize>) -> Option<Vec<Vec<u32>>> {
        self.weights.as_ref()?;
        let mut rows = vec![Vec::new(); self.numbers.len()];
        sources.enumerate().for_each(|(row, source)| rows[self.of_images[source]].push(row as u32));
        Some(rows)
    }

    /// Takes in a step's rows, each the image that it shows, its loss, and what it counts beside others of its image, and
    /// returns what each counts in all; on average 1 if images do. Rows that do not count leave the weights as they are.
    pub(super) fn weigh(&mut self, rows: &[(usize, f32, f32)]) -> Vec<f32> {
        let Some(weights) = &mut self.weights else { return rows.iter().map(|&(.., share)| share).collect() };
        let (mut sums, mut all) = (vec![(0.0, 0.0); self.numbers.len()], 0.0);
        for &(image, loss, _) in rows.iter().filter(|(.., share)| *share > 0.0) {
            let (sum, count) = &mut sums[self.of_images[image]];
            (*sum, *count, all) = (*sum + f64::from(loss), *count + 1.0, all + 1.0);
        }
        let means: Vec<f64> = sums.iter().map(|(sum, count)| sum / f64::max(*count, 1.0)).collect();
        let weights = weights.step(&means);
        let of_row = |&(image, _, share): &(usize, f32, f32)| {
            let group = self.of_images[image];
            (weights[group] * all / f64::max(sums[group].1, 1.0)) as f32 * share
        };
        rows.iter().map(of_row).collect()
    }

    /// Returns, for each of a step's images, one divided by how many of them are of its group.
    pub(super) fn shares(&self, images: &[usize]) -> Vec<f64> {
        let mut counts = vec![0.0; self.numbers.len()];
        images.iter().for_each(|&image| counts[self.of_images[image]] += 1.0);
        images.iter().map(|&image| 1.0 / counts[self.of_images[image]]).collect()
    }

    /// Takes in the results of the validation images after an epoch.
    pub(super) fn measure(&mut self, rows: &[RowLoss]) {
        let mut counts = vec![(0, 0); self.count];
        for (row, &group) in rows.iter().zip(&self.of_validation) {
            let (right, all) = &mut counts[group];
            (*right, *all) = (*right + usize::from(row.right), *all + 1);
        }
        let accuracies = counts.iter().map(|&(right, all)| (all > 0).then(|| right as f64 / all as f64)).collect();
        let weights = self.weights.as_ref().map_or(Vec::new(), |weights| {
            let mut all = vec![0.0; self.count];
            self.numbers.iter().zip(weights.weights()).for_each(|(&number, weight)| all[number] = weight);
            all
        });
        self.epoch = GroupEpoch { accuracies, weights };
    }
}

/// Makes the record of a child's groups, before its first epoch.
pub(crate) fn record(set: &TrainingSet<'_>) -> Option<GroupRecord> {
    let subgroups = set.subgroups?;
    let count = |labels: &[usize], of: &[usize]| {
        let mut counts = vec![0; set.classes * subgroups.count];
        labels.iter().zip(of).for_each(|(label, of)| counts[label * subgroups.count + of] += 1);
        counts
    };
    Some(GroupRecord {
        subgroups: subgroups.count,
        images: count(set.labels, subgroups.images),
        validation: count(set.validation_labels, subgroups.validation),
        accuracies: Vec::new(),
        weights: Vec::new(),
    })
}
