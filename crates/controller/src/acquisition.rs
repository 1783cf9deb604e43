//! Acquisition functions: how promising a point with a predicted mean and variance is.

use std::f64::consts::{PI, SQRT_2};

use serde::{Deserialize, Serialize};

/// The acquisition function for a cost to be minimised; larger is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Acquisition {
    /// The logarithm of the expected improvement over the incumbent (with `xi` = 0).
    #[default]
    ExpectedImprovement,
    /// The negative of the lower confidence bound, `lambda` standard deviations below the mean.
    ConfidenceBound {
        /// Number of standard deviations, finite and at least 0; mlr3mbo's default is 1.
        lambda: f64,
    },
}

impl Acquisition {
    /// Returns the value of a point with this predicted mean and variance of the cost; `best` is the incumbent's
    /// mean.
    ///
    /// ```
    /// use deepaug_controller::Acquisition;
    ///
    /// let ei = Acquisition::ExpectedImprovement;
    /// assert!(ei.value(0.2, 0.01, 0.3) > ei.value(0.4, 0.01, 0.3)); // a lower mean is better
    /// assert!(ei.value(0.4, 0.04, 0.3) > ei.value(0.4, 0.01, 0.3)); // and so is a larger variance
    /// ```
    pub fn value(&self, mean: f64, variance: f64, best: f64) -> f64 {
        match self {
            Self::ExpectedImprovement => log_expected_improvement(mean, variance, best),
            Self::ConfidenceBound { lambda } => lambda * variance.sqrt() - mean,
        }
    }
}

/// Returns the logarithm of the expected improvement `E[max(best - Y, 0)]` of a normal `Y`, for minimisation.
///
/// With `u = (best - mean) / sigma` it is `ln(sigma h(u))`, `h(u) = phi(u) + u Phi(u)` (D. Jones, M. Schonlau, W.
/// Welch, Efficient global optimization of expensive black-box functions, Journal of Global Optimization 13, 1998,
/// equation 15). It does not underflow: where `h` would cancel, a continued fraction is used (S. Ament et al.,
/// Unexpected improvements to expected improvement, NeurIPS 2023, give the reason and another method). A variance
/// of 0 gives the logarithm of the certain improvement, minus infinity if there is none.
///
/// ```
/// use deepaug_controller::acquisition::log_expected_improvement;
///
/// let value = log_expected_improvement(0.0, 1.0, 0.0); // ln(phi(0))
/// assert!((value - (-0.918_938_533_204_672_7)).abs() < 1e-14);
/// assert!(log_expected_improvement(40.0, 1.0, 0.0).is_finite());
/// ```
pub fn log_expected_improvement(mean: f64, variance: f64, best: f64) -> f64 {
    let sigma = variance.sqrt();
    if sigma == 0.0 {
        return (best - mean).max(0.0).ln();
    }
    sigma.ln() + log_h((best - mean) / sigma)
}

/// `ln(phi(u) + u Phi(u))`.
fn log_h(u: f64) -> f64 {
    // Above -4 the sum loses at most a factor of 20 to cancellation.
    const DIRECT: f64 = -4.0;
    // Enough for full precision at 4; fewer would do further out.
    const TERMS: i32 = 60;
    let log_phi = -0.5 * u * u - 0.5 * (2.0 * PI).ln();
    if u > DIRECT {
        return (log_phi.exp() + u * 0.5 * libm::erfc(-u / SQRT_2)).ln();
    }
    // Mills' ratio is Phi(u) / phi(u) = 1 / (t + k) with t = -u and k = 1 / (t + 2 / (t + 3 / ...)) (Abramowitz
    // and Stegun, 26.2.14), so phi + u Phi = phi (1 - t / (t + k)) = phi k / (t + k), which has no subtraction.
    let t = -u;
    let k = (1..=TERMS).rev().fold(0.0, |tail, n| f64::from(n) / (t + tail));
    log_phi + (k / (t + k)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of ln(phi(u) + u Phi(u)) from mpmath 1.4.1 with 60 digits (tests/reference/log_ei.py).
    #[test]
    fn agrees_with_high_precision() {
        let reference = include_str!("../tests/reference/log_ei.csv");
        let mut rows = 0;
        for line in reference.lines().skip(1) {
            let (u, expected) = line.split_once(',').unwrap();
            let (u, expected): (f64, f64) = (u.parse().unwrap(), expected.parse().unwrap());
            let found = log_expected_improvement(-u, 1.0, 0.0);
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error < 1e-13, "u = {u}: {found} against {expected}");
            rows += 1;
        }
        assert!(rows > 100);
    }

    #[test]
    fn scales_with_sigma() {
        let value = log_expected_improvement(3.0, 4.0, 1.0);
        assert!((value - (2.0_f64.ln() + log_h(-1.0))).abs() < 1e-15);
        assert_eq!(log_expected_improvement(1.0, 0.0, 3.0), 2.0_f64.ln());
        assert_eq!(log_expected_improvement(3.0, 0.0, 1.0), f64::NEG_INFINITY);
    }
}
