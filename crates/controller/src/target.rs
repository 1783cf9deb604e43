//! The scale on which the surrogate sees costs.

use serde::{Deserialize, Serialize};

/// A monotone map from costs to the surrogate's targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The cost with mean 0 and variance 1. Costs that exceed the upper quartile by more than 1.5 times the
    /// interquartile range (J. Tukey's fence, Exploratory Data Analysis, 1977) are clipped to that: how bad a bad
    /// point is matters little.
    #[default]
    Standard,
    /// The logarithm of the cost scaled to its range so far, padded by 0.1 % below: from -6.9 (best) to 0 (worst).
    /// It spreads out the good costs. Only for costs without noise: the lowest of noisy costs are lucky ones, and
    /// it spreads those too. (mlr3mbo's default for mixed spaces.)
    LogMinMax,
}

/// Share of the range added below the lowest cost, so that its logarithm exists (mlr3mbo).
const PADDING: f64 = 0.001;

impl Target {
    /// Returns the targets of costs, in the same order; finite for finite costs.
    pub(crate) fn apply(self, costs: &[f64]) -> Vec<f64> {
        let low = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = costs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Halved, so that the range of any two finite numbers is finite.
        let range = 0.5 * high - 0.5 * low;
        if range <= 0.0 {
            return vec![0.0; costs.len()];
        }
        let units: Vec<f64> = costs.iter().map(|cost| (0.5 * cost - 0.5 * low) / range).collect();
        match self {
            Self::LogMinMax => units.iter().map(|unit| ((unit + PADDING) / (1.0 + PADDING)).ln()).collect(),
            Self::Standard => standard(&units).0,
        }
    }

    /// Returns the cost of one unit of [`Self::Standard`].
    pub(crate) fn unit(costs: &[f64]) -> f64 {
        let low = costs.iter().copied().fold(f64::INFINITY, f64::min);
        standard(&costs.iter().map(|cost| cost - low).collect::<Vec<_>>()).1
    }
}

/// Clips above, then scales to mean 0 and variance 1; also returns the deviation before scaling.
fn standard(units: &[f64]) -> (Vec<f64>, f64) {
    let mut sorted = units.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let quartile = |quarters: usize| sorted[(quarters * (sorted.len() - 1)).div_ceil(4)];
    let fence = quartile(3) + 1.5 * (quartile(3) - quartile(1));
    // If three quarters are equal, the differences are all there is to learn.
    let fence = if fence > sorted[0] && quartile(3) > quartile(1) { fence } else { f64::INFINITY };
    let fenced = || units.iter().map(|unit| unit.min(fence));
    let n = units.len() as f64;
    let mean = fenced().sum::<f64>() / n;
    let deviation = (fenced().map(|unit| (unit - mean).powi(2)).sum::<f64>() / n).sqrt();
    (fenced().map(|unit| if deviation > 0.0 { (unit - mean) / deviation } else { 0.0 }).collect(), deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_min_max_spans_its_range_whatever_the_unit() {
        let z = Target::LogMinMax.apply(&[0.2, 0.7, 0.45]);
        assert!((z[0] - (0.001_f64 / 1.001).ln()).abs() < 1e-12);
        assert_eq!(z[1], 0.0);
        assert!((z[2] - (0.501_f64 / 1.001).ln()).abs() < 1e-12);
        let scaled = Target::LogMinMax.apply(&[-160.0, 340.0, 90.0]);
        assert!(z.iter().zip(scaled).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn standard_has_unit_variance_and_a_fence_above() {
        let costs: Vec<f64> = (0..20).map(f64::from).chain([1e6]).collect();
        let z = Target::Standard.apply(&costs);
        assert!(z.iter().sum::<f64>().abs() < 1e-9);
        assert!((z.iter().map(|z| z * z).sum::<f64>() / 21.0 - 1.0).abs() < 1e-9);
        // Quartiles 5 and 15: the fence is at 30, half a range above the largest of the rest.
        assert!((z[20] - z[19] - 11.0 * (z[1] - z[0])).abs() < 1e-6, "{z:?}");
        let scaled = Target::Standard.apply(&costs.iter().map(|cost| 1e-3 * cost - 70.0).collect::<Vec<_>>());
        assert!(z.iter().zip(scaled).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn extremes_stay_finite() {
        for costs in [vec![f64::MIN, f64::MAX, 0.0], vec![3.0, 3.0], vec![0.0, 5e-324], vec![1.0, 1.0, 1.0, 1.0, 0.0]] {
            for target in [Target::LogMinMax, Target::Standard] {
                assert!(target.apply(&costs).iter().all(|z| z.is_finite()), "{costs:?}");
            }
        }
        let z = Target::Standard.apply(&[1.0, 1.0, 1.0, 1.0, 0.0]);
        assert!(z[4] < z[0], "{z:?}");
    }
}
