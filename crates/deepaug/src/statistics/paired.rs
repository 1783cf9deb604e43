//! Differences between trainings with equal seeds.

use serde::{Deserialize, Serialize};
use statrs::distribution::ContinuousCDF;

use super::{LEVEL, deviation, interval_of_mean, mean, student, student_reach};

/// Differences of accuracies that agree up to their last bits deviate by less than this.
const ROUNDING: f64 = 1e-12;

/// The paired differences of two series, and Student's t test of whether their mean is 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// The mean difference.
    pub mean: f64,
    /// The standard deviation of the differences; absent for one pair.
    pub deviation: Option<f64>,
    /// The 95 % interval of the mean; absent for one pair, and if all differences are equal but not 0: that may
    /// well happen with few accuracies on few images, and is no certainty.
    pub interval: Option<(f64, f64)>,
    /// The two-sided p-value: the probability of a mean this large if there is no difference; absent if the
    /// interval is.
    pub p: Option<f64>,
    /// Number of pairs.
    pub pairs: usize,
}

impl Paired {
    /// Returns the differences of `a` from `b`, both by seed; pairs with a missing half are left out. Returns
    /// `None` if no pair is left.
    ///
    /// ```
    /// use deepaug::statistics::Paired;
    ///
    /// let better = [Some(0.62), Some(0.66), None, Some(0.61)];
    /// let base = [Some(0.60), Some(0.61), Some(0.6), Some(0.60)];
    /// let paired = Paired::of(&better, &base).unwrap();
    /// assert_eq!(paired.pairs, 3);
    /// assert!((paired.mean - 0.08 / 3.0).abs() < 1e-12);
    /// assert!(paired.p.unwrap() > 0.05); // three pairs show little
    /// ```
    pub fn of(a: &[Option<f64>], b: &[Option<f64>]) -> Option<Self> {
        Self::of_several(a, b, 1)
    }

    /// Returns the differences as one of `comparisons` simultaneous comparisons, with Bonferroni's correction for
    /// both p and the interval: the probability that any interval misses its mean is at most 0.05, and an interval
    /// contains 0 exactly if p is 0.05 or more.
    pub fn of_several(a: &[Option<f64>], b: &[Option<f64>], comparisons: usize) -> Option<Self> {
        let comparisons = comparisons.max(1) as f64;
        let differences: Vec<f64> = a.iter().zip(b).filter_map(|(&a, &b)| Some(a? - b?)).collect();
        let pairs = differences.len();
        if pairs == 0 {
            return None;
        }
        let (mean, deviation) = (mean(&differences), deviation(&differences));
        let is_the_same = differences.iter().all(|difference| *difference == 0.0);
        let spread = deviation.filter(|deviation| *deviation > ROUNDING && !is_the_same);
        let test = |deviation: f64| {
            let t = mean.abs() / (deviation / (pairs as f64).sqrt());
            (comparisons * 2.0 * student(pairs - 1).sf(t)).min(1.0)
        };
        let level = 1.0 - (1.0 - LEVEL) / comparisons;
        let (p, interval) = match spread {
            Some(deviation) => (Some(test(deviation)), interval_of_mean(&differences, level)),
            None if is_the_same && pairs > 1 => (Some(1.0), Some((0.0, 0.0))),
            None => (None, None),
        };
        Some(Self { mean, deviation, interval, p, pairs })
    }
}

/// Returns the ratio of the means of two paired series, and its interval by Fieller's theorem (Journal of the
/// Royal Statistical Society B 16, 1954). The interval is absent for one pair, and if the mean of `b` cannot be
/// distinguished from 0.
pub fn ratio_interval(a: &[f64], b: &[f64], level: f64) -> (f64, Option<(f64, f64)>) {
    let (mean_a, mean_b, n) = (mean(a), mean(b), a.len() as f64);
    let covariance = |x: &[f64], y: &[f64]| {
        let (mx, my) = (mean(x), mean(y));
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>() / (n - 1.0) / n
    };
    let ratio = mean_a / mean_b;
    if a.len() < 2 {
        return (ratio, None);
    }
    let t2 = student_reach(level, a.len() - 1).powi(2);
    // The ratios r for which the mean of a - r b may be 0: (mean_a - r mean_b)^2 <= t^2 var(mean of a - r b).
    let square = mean_b.powi(2) - t2 * covariance(b, b);
    let linear = mean_a * mean_b - t2 * covariance(a, b);
    let constant = mean_a.powi(2) - t2 * covariance(a, a);
    let root = (linear.powi(2) - square * constant).max(0.0).sqrt();
    (ratio, (square > 0.0).then(|| ((linear - root) / square, (linear + root) / square)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    const A: [f64; 5] = [0.912, 0.905, 0.921, 0.917, 0.909];
    const B: [f64; 5] = [0.901, 0.902, 0.908, 0.911, 0.906];

    #[test]
    fn the_test_and_the_interval_are_those_of_scipy() {
        // scipy 1.17.1: stats.ttest_rel(a, b) and its confidence_interval(0.95).
        let paired = Paired::of(&some(&A), &some(&B)).unwrap();
        assert!((paired.mean - 0.0072).abs() < 1e-15);
        assert!((paired.p.unwrap() - 0.024_972_303_267_543_51).abs() < 1e-12, "{paired:?}");
        let (low, high) = paired.interval.unwrap();
        assert!(
            (low - 0.001_482_949_618_025_956_7).abs() < 1e-12 && (high - 0.012_917_050_381_974_056).abs() < 1e-12,
            "{paired:?}"
        );
    }

    #[test]
    fn equal_series_do_not_differ_and_equal_differences_are_no_certainty() {
        let same = Paired::of(&some(&A), &some(&A)).unwrap();
        assert_eq!((same.mean, same.p, same.interval), (0.0, Some(1.0), Some((0.0, 0.0))));
        let apart = Paired::of(&some(&[0.9, 0.8, 0.7]), &some(&[0.8, 0.7, 0.6])).unwrap();
        assert!((apart.mean - 0.1).abs() < 1e-12);
        assert_eq!((apart.p, apart.interval), (None, None));
        assert_eq!(Paired::of(&[None], &some(&[1.0])), None);
        assert_eq!(Paired::of(&some(&[1.0]), &some(&[0.5])).unwrap().p, None);
    }

    #[test]
    fn of_several_comparisons_p_and_interval_have_one_correction() {
        let (alone, one_of_three) =
            (Paired::of(&some(&A), &some(&B)).unwrap(), Paired::of_several(&some(&A), &some(&B), 3).unwrap());
        assert!((one_of_three.p.unwrap() - 3.0 * alone.p.unwrap()).abs() < 1e-12);
        // p is 0.0249 alone and 0.0749 among three: the interval alone excludes 0, and among three it contains 0.
        assert!(alone.interval.unwrap().0 > 0.0 && one_of_three.interval.unwrap().0 < 0.0);
        assert_eq!(Paired::of_several(&some(&A), &some(&B), 1000).unwrap().p, Some(1.0));
    }

    #[test]
    fn at_the_ends_of_a_ratios_interval_the_difference_is_just_not_significant() {
        let (errors, base) = (A.map(|a| 1.0 - a), B.map(|b| 1.0 - b));
        let (ratio, interval) = ratio_interval(&errors, &base, 0.95);
        let (low, high) = interval.unwrap();
        assert!(low < ratio && ratio < high && (ratio - 0.436 / 0.472).abs() < 1e-12);
        for end in [low, high] {
            let scaled = base.map(|b| Some(end * b));
            let p = Paired::of(&some(&errors), &scaled).unwrap().p.unwrap();
            assert!((p - 0.05).abs() < 1e-9, "{end} {p}");
        }
        assert_eq!(ratio_interval(&[0.1, 0.2], &[-0.1, 0.1], 0.95).1, None, "a mean that may be 0 has no ratio");
    }
}
