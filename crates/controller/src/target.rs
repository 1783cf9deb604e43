//! The scale on which the surrogate sees costs.

use serde::{Deserialize, Serialize};

/// A monotone map from costs to the surrogate's targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The logarithm of the cost scaled to its range so far, padded by 0.1 % below: from -6.9 (best) to 0 (worst). It
    /// spreads the good costs and does not depend on the cost's unit. (mlr3mbo's default for mixed spaces.)
    #[default]
    LogMinMax,
    /// The cost as it is; the forest's variance floor is then in its squared unit.
    Identity,
}

/// Share of the range added below the lowest cost, so that its logarithm exists (mlr3mbo).
const PADDING: f64 = 0.001;

impl Target {
    /// The targets of costs, in the same order; finite for finite costs.
    pub(crate) fn apply(self, costs: &[f64]) -> Vec<f64> {
        if self == Self::Identity {
            return costs.to_vec();
        }
        let low = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = costs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Halves, so that the range of any two finite numbers is finite.
        let range = 0.5 * high - 0.5 * low;
        if range <= 0.0 {
            return vec![0.0; costs.len()];
        }
        costs.iter().map(|cost| (((0.5 * cost - 0.5 * low) / range + PADDING) / (1.0 + PADDING)).ln()).collect()
    }
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
    fn extremes_stay_finite() {
        for costs in [vec![f64::MIN, f64::MAX, 0.0], vec![3.0, 3.0], vec![0.0, 5e-324]] {
            assert!(Target::LogMinMax.apply(&costs).iter().all(|z| z.is_finite()), "{costs:?}");
        }
    }
}
