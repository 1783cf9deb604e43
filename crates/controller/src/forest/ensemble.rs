//! The forest: fits its trees and combines their predictions.

use linfa::{
    DatasetBase,
    dataset::AsSingleTargets,
    traits::{Fit, PredictInplace},
};
use ndarray::{Array1, ArrayBase, ArrayView2, Data as NdData, Ix2};
use rayon::prelude::*;

use super::{
    data::Data,
    params::{FeatureKind, ForestValidParams},
    tree::Tree,
};
use crate::{
    error::ForestError,
    rng::{Purpose, stream},
};

/// Number of rows predicted together: small enough to split work between threads, large enough that a tree stays
/// in cache.
const CHUNK: usize = 64;

/// A fitted regression forest. Predictions are in the unit of the targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    kinds: Vec<FeatureKind>,
    trees: Vec<Tree>,
    variance_floor: f64,
    leaf_variance: bool,
}

impl<D, T> Fit<ArrayBase<D, Ix2>, T, ForestError> for ForestValidParams
where
    D: NdData<Elem = f64>,
    T: AsSingleTargets<Elem = f64>,
{
    type Object = Forest;

    /// Fits the forest. The result depends on the data (including the order of its rows), the parameters and the
    /// seed, not on the number of threads.
    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<Forest, ForestError> {
        if dataset.weights().is_some() {
            return Err(ForestError::Weights);
        }
        let targets = dataset.targets().as_single_targets().to_vec();
        let data = Data::new(dataset.records().view(), targets, &self.kinds)?;
        let trees = (0..self.options.trees as u64)
            .into_par_iter()
            .map(|tree| Tree::fit(&data, &self.options, &mut stream(self.seed, Purpose::Tree, tree)))
            .collect();
        Ok(Forest {
            kinds: self.kinds.clone(),
            trees,
            variance_floor: self.options.variance_floor,
            leaf_variance: self.options.leaf_variance,
        })
    }
}

impl Forest {
    /// Returns the mean and variance for each row.
    ///
    /// The mean is the mean of the trees' leaf means. The variance follows from the law of total variance over a
    /// tree drawn at random (Hutter et al. 2014, section 4.3.2): the mean of the leaf variances, each at least the
    /// floor, plus the variance of the leaf means. Without [`leaf_variance`](super::ForestParams::leaf_variance),
    /// every leaf variance is the floor.
    ///
    /// # Panics
    /// If the number of columns differs from the training data, like linfa's models.
    pub fn predict_with_variance(&self, records: &ArrayView2<'_, f64>) -> (Array1<f64>, Array1<f64>) {
        assert_eq!(records.ncols(), self.kinds.len(), "the records must have the columns of the training data");
        let rows = records.as_standard_layout();
        let rows = rows.as_slice().unwrap_or_default(); // standard layout is contiguous
        let mut predictions = vec![(0.0, 0.0); records.nrows()];
        if predictions.len() <= CHUNK {
            // Waking another thread takes longer.
            self.predict_chunk(rows, &mut predictions);
        } else {
            predictions
                .par_chunks_mut(CHUNK)
                .zip(rows.par_chunks(CHUNK * self.kinds.len()))
                .for_each(|(predictions, rows)| self.predict_chunk(rows, predictions));
        }
        let (mean, variance): (Vec<f64>, Vec<f64>) = predictions.into_iter().unzip();
        (mean.into(), variance.into())
    }

    /// Returns the mean over all rows, at least one, and the variance of that mean between trees.
    pub(crate) fn average(&self, records: &ArrayView2<'_, f64>) -> (f64, f64) {
        let rows = records.as_standard_layout();
        let rows = rows.as_slice().unwrap_or_default(); // standard layout is contiguous
        let of_tree = |tree: &Tree| {
            let leaves = rows.chunks_exact(self.kinds.len()).map(|row| tree.leaf(row, &self.kinds).mean);
            leaves.sum::<f64>() / records.nrows() as f64
        };
        let means: Array1<f64> = self.trees.iter().map(of_tree).collect();
        (means.sum() / means.len() as f64, means.var(0.0))
    }

    fn predict_chunk(&self, rows: &[f64], predictions: &mut [(f64, f64)]) {
        // Welford's algorithm for the mean and variance of the leaf means, with trees outermost.
        let mut moments = vec![(0.0, 0.0, 0.0); predictions.len()];
        for (count, tree) in (1_u32..).zip(&self.trees) {
            let share = 1.0 / f64::from(count);
            for ((mean, square, within), row) in moments.iter_mut().zip(rows.chunks_exact(self.kinds.len())) {
                let leaf = tree.leaf(row, &self.kinds);
                let step = leaf.mean - *mean;
                *mean += step * share;
                *square += step * (leaf.mean - *mean);
                *within +=
                    if self.leaf_variance { leaf.variance.max(self.variance_floor) } else { self.variance_floor };
            }
        }
        let trees = self.trees.len() as f64;
        for (prediction, (mean, square, within)) in predictions.iter_mut().zip(moments) {
            *prediction = (mean, ((within + square) / trees).max(self.variance_floor));
        }
    }
}

impl<D: NdData<Elem = f64>> PredictInplace<ArrayBase<D, Ix2>, Array1<f64>> for Forest {
    /// Returns the mean for each row.
    ///
    /// # Panics
    /// If the shapes do not match, like linfa's models.
    fn predict_inplace<'a>(&'a self, records: &'a ArrayBase<D, Ix2>, targets: &mut Array1<f64>) {
        assert_eq!(records.nrows(), targets.len(), "the number of rows and of targets must match");
        targets.assign(&self.predict_with_variance(&records.view()).0);
    }

    fn default_target(&self, records: &ArrayBase<D, Ix2>) -> Array1<f64> {
        Array1::zeros(records.nrows())
    }
}
