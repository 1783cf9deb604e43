//! What transformations do to the loss of a net that has not been trained with them, to second order (T. Dao, A. Gu, A.
//! Ratner, V. Smith, C. De Sa, C. Ré, A kernel theory of modern data augmentation, ICML 2019).
//!
//! The last layer is linear, so the mean of an image's features becomes the mean of its logits, and features need not
//! be known.

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::logits::{cross_entropy, greatest, probabilities, values};

/// Means over images, in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Number of images.
    pub images: usize,
    /// Cross-entropy of the unchanged images.
    pub loss: f64,
    /// What the transformations add to it, exactly.
    pub cost: f64,
    /// What they add if all of an image's versions are replaced by their mean: lost or gained invariance.
    pub shift: f64,
    /// Half the variance of the versions' logits, weighted by how undecided the net is: the penalty that a net feels
    /// which is trained with them.
    pub variance: f64,
    /// Standard error of the cost over images.
    pub error: f64,
    /// The share of versions that are read as another class than the unchanged image.
    pub changed: f64,
}

impl Terms {
    /// Returns what the two terms leave out of the cost.
    pub fn remainder(&self) -> f64 {
        self.cost - self.shift - self.variance
    }

    /// Returns the means over images.
    pub(super) fn mean<'a>(all: impl Iterator<Item = &'a OfImage>) -> Self {
        let mut sums = Self::default();
        let mut squares = 0.0;
        for image in all {
            sums.images += 1;
            sums.loss += image.loss;
            sums.cost += image.cost;
            sums.shift += image.shift;
            sums.variance += image.variance;
            sums.changed += image.changed;
            squares += image.cost * image.cost;
        }
        let count = sums.images.max(1) as f64;
        let cost = sums.cost / count;
        let spread = (squares / count - cost * cost).max(0.0) * count / (count - 1.0).max(1.0);
        Self {
            loss: sums.loss / count,
            cost,
            shift: sums.shift / count,
            variance: sums.variance / count,
            changed: sums.changed / count,
            error: (spread / count).sqrt(),
            ..sums
        }
    }
}

/// The terms of one image, and how its versions are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OfImage {
    pub(super) loss: f64,
    pub(super) cost: f64,
    pub(super) shift: f64,
    pub(super) variance: f64,
    pub(super) changed: f64,
    /// Whether it is read right unchanged.
    pub(super) is_right: bool,
    /// The class of each version.
    pub(super) read_as: Vec<usize>,
}

impl OfImage {
    /// Computes the terms from the logits of the unchanged image, which counts as one of its versions, and of the others
    /// `[versions, classes]`.
    pub(super) fn new(unchanged: ArrayView1<'_, f32>, versions: ArrayView2<'_, f32>, label: usize) -> Self {
        let classes = unchanged.len();
        let all = || std::iter::once(unchanged.view()).chain(versions.outer_iter());
        let count = (versions.nrows() + 1) as f64;
        let mut mean = vec![0.0; classes];
        all().for_each(|logits| mean.iter_mut().zip(logits).for_each(|(sum, &logit)| *sum += f64::from(logit) / count));
        let loss = cross_entropy(&values(unchanged), label);
        let exact = all().map(|logits| cross_entropy(&values(logits), label)).sum::<f64>() / count;
        let probabilities = probabilities(&mean);
        let weighted = |logits: ArrayView1<'_, f32>| {
            let (mut first, mut second) = (0.0, 0.0);
            for ((&logit, mean), p) in logits.iter().zip(&mean).zip(&probabilities) {
                let difference = f64::from(logit) - mean;
                (first, second) = (first + p * difference, second + p * difference * difference);
            }
            second - first * first
        };
        let variance = 0.5 * all().map(weighted).sum::<f64>() / count;
        let before = greatest(unchanged);
        let read_as: Vec<usize> = versions.outer_iter().map(greatest).collect();
        let changed = read_as.iter().filter(|&&class| class != before).count() as f64 / read_as.len().max(1) as f64;
        let shift = cross_entropy(&mean, label) - loss;
        Self { loss, cost: exact - loss, shift, variance, changed, is_right: before == label, read_as }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;

    /// Logits of a last layer with three classes under shifts of its two features.
    fn terms(shifts: &[[f64; 2]]) -> OfImage {
        let logits = |[a, b]: [f64; 2]| {
            let (x, y) = (1.0 + a, 0.5 + b);
            [x - y + 0.1, 2.0 * y, -x + 0.5 * y - 0.1].map(|value| value as f32)
        };
        let versions: Vec<f32> = shifts.iter().flat_map(|&shift| logits(shift)).collect();
        let versions = Array2::from_shape_vec((shifts.len(), 3), versions).unwrap();
        OfImage::new(Array1::from(logits([0.0, 0.0]).to_vec()).view(), versions.view(), 0)
    }

    fn close(found: [f64; 4], expected: [f64; 4]) {
        for (found, expected) in found.iter().zip(expected) {
            // Logits are of single precision.
            assert!((found - expected).abs() < 2e-7, "{found} {expected}");
        }
    }

    /// Worked with exact arithmetic from W = [[1, -1], [0, 2], [-1, 0.5]], b = [0.1, 0, -0.1], x = (1, 0.5).
    #[test]
    fn terms_are_those_worked_by_hand() {
        let of = |shifts: &[[f64; 2]]| {
            let found = terms(shifts);
            [
                found.loss + found.cost,
                found.loss + found.shift,
                found.variance,
                found.cost - found.shift - found.variance,
            ]
        };
        let symmetric = |s: f64| of(&[[s, 0.0], [-s, 0.0]]);
        close(symmetric(1.0), [1.1253269286, 1.0029802185, 0.1246673717, -0.0023206616]);
        close(symmetric(0.5), [1.0339981612, 1.0029802185, 0.0311668429, -0.0001489002]);
        close(symmetric(0.25), [1.0107625572, 1.0029802185, 0.0077917107, -0.0000093720]);
        let apart = |s: f64| of(&[[s, 0.0], [0.0, s]]);
        close(apart(1.0), [1.6423246144, 1.4120199057, 0.2679378599, 1.6423246144 - 1.4120199057 - 0.2679378599]);
        close(apart(0.5), [1.2645594306, 1.1932629078, 0.0762374589, -0.0049409361]);
    }

    #[test]
    fn two_classes_are_a_logistic_loss() {
        let logits = [[0.3f32, 0.0], [0.7, 0.0], [-0.1, 0.0]];
        let versions = Array2::from_shape_vec((2, 2), logits[1..].concat()).unwrap();
        let found = OfImage::new(Array1::from(logits[0].to_vec()).view(), versions.view(), 0);
        close(
            [found.loss + found.cost, found.loss + found.shift, found.variance, 0.0],
            [0.5673126511, 0.5543552445, 0.0130377766, 0.0],
        );
        assert_eq!((found.is_right, found.changed, found.read_as), (true, 0.5, vec![0, 1]));
    }

    #[test]
    fn what_changes_nothing_costs_nothing() {
        let logits = Array1::from(vec![0.3f32, -1.0, 2.5]);
        let versions = Array2::from_shape_fn((4, 3), |(_, class)| logits[class]);
        let found = OfImage::new(logits.view(), versions.view(), 1);
        for value in [found.cost, found.shift, found.variance, found.changed] {
            assert!(value.abs() < 1e-12, "{value}");
        }
        let mean = Terms::mean([&found, &found].into_iter());
        assert_eq!((mean.images, mean.loss), (2, found.loss));
    }
}
