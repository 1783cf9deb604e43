//! Expected improvement as weighted classification, with linfa's decision trees (J. Song, L. Yu, W. Neiswanger, S.
//! Ermon, A general recipe for likelihood-free Bayesian optimization, ICML 2022).

use linfa::{
    DatasetBase,
    traits::{Fit, Predict},
};
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2, Axis, concatenate};
use rand::Rng;

use crate::{
    error::SearchError,
    model::effects,
    point::Point,
    rng::{Purpose, stream},
    space::{Columns, Space},
};

/// Share of points that count as good (the paper's gamma).
const GOOD: f64 = 0.33;
/// Number of trees that vote.
const TREES: u64 = 50;

/// Bagged classification trees that separate good points from all points; each good point is weighted by how good
/// it is. The share of votes rises with the expected improvement over the threshold.
pub(crate) struct Classifier<'a> {
    columns: Columns<'a>,
    trees: Vec<DecisionTree<f64, bool>>,
}

impl<'a> Classifier<'a> {
    /// Fits points, at least one, to their targets; lower is better.
    pub(crate) fn fit(space: &'a Space, points: &[&Point], targets: &[f64], seed: u64) -> Result<Self, SearchError> {
        let columns = Columns::new(space);
        let rows = effects(&columns, points);
        let n = points.len();
        let mut sorted = targets.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let threshold = sorted[(GOOD * n as f64).ceil() as usize - 1];
        let gains: Vec<f64> = targets.iter().map(|target| (threshold - target).max(0.0)).collect();
        let total: f64 = gains.iter().sum();
        // Both classes weigh 1; if no gain is above 0, all good points weigh the same.
        let good = |row: usize| match total > 0.0 {
            true => gains[row] / total,
            false => f64::from(u8::from(targets[row] <= threshold)) / n as f64,
        };
        // In a leaf where both classes have equal weight, linfa's tree picks one at random, differently in every
        // run. The weight of a good point is a multiple of `step` plus 1, that of any point a multiple of `step`,
        // so no sums of the two are equal. f32 represents both exactly up to 1,000 points.
        let step = (n + 1).next_power_of_two() as f64;
        let whole = (4.0 * step * n as f64).max(f64::from(1 << 21));
        let rounded = |weight: f64| (weight * whole / step).round() * step;
        let tree = |number| {
            let mut rng = stream(seed, Purpose::Classifier, number);
            let mut counts = vec![0.0; n];
            (0..n).for_each(|_| counts[rng.random_range(0..n)] += 1.0);
            let weigh = |weight: &dyn Fn(usize) -> f64, odd: f64| -> (Vec<usize>, Vec<f32>) {
                let weighed = (0..n).map(|row| (row, counts[row] * weight(row)));
                weighed
                    .filter(|(_, weight)| *weight > 0.0)
                    .map(|(row, weight)| (row, (rounded(weight) + odd) as f32))
                    .unzip()
            };
            let (ones, mut weights) = weigh(&good, 1.0);
            let (all, others) = weigh(&|_| 1.0 / n as f64, 0.0);
            weights.extend(others);
            let labels: Array1<bool> = (0..weights.len()).map(|row| row < ones.len()).collect();
            let records: Array2<f64> = concatenate![Axis(0), rows.select(Axis(0), &ones), rows.select(Axis(0), &all)];
            let data = DatasetBase::new(records, labels).with_weights(Array1::from(weights));
            // Leaves hold about three points of the larger class.
            let least = (whole / n as f64) as f32;
            DecisionTree::params().min_weight_leaf(3.0 * least).fit(&data)
        };
        let trees = (0..TREES).map(tree).collect::<Result<_, linfa::Error>>().map_err(crate::ForestError::from)?;
        Ok(Self { columns, trees })
    }

    /// Returns the share of trees that classify each point as good.
    pub(crate) fn scores(&self, points: &[&Point]) -> Vec<f64> {
        let rows = effects(&self.columns, points);
        let mut votes = vec![0_u32; points.len()];
        for tree in &self.trees {
            votes.iter_mut().zip(&tree.predict(&rows)).for_each(|(votes, &good)| *votes += u32::from(good));
        }
        votes.into_iter().map(|votes| f64::from(votes) / self.trees.len() as f64).collect()
    }
}
