//! The additive part of the surrogate: Bayesian linear regression on effects of single parameters.

use linfa_linalg::{
    cholesky::CholeskyInplace,
    triangular::{SolveTriangularInplace, UPLO},
};
use ndarray::{Array1, Array2, Axis};

/// Prior precisions of the coefficients, in units of the noise's. The one with the highest evidence is taken.
const PRECISIONS: [f64; 7] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];

/// Ridge regression with the strength chosen by the evidence (D. MacKay, Bayesian interpolation, Neural Computation 4,
/// 1992), which also gives the variance of what it predicts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trend {
    /// Means of the columns, and of the targets.
    centre: Array1<f64>,
    level: f64,
    coefficients: Array1<f64>,
    /// A square root of the coefficients' covariance: its product with its transpose is that.
    spread: Array2<f64>,
}

impl Trend {
    /// Fits rows of columns to targets. `None` if there is nothing to fit: fewer than two rows, equal targets.
    pub(crate) fn fit(rows: &Array2<f64>, targets: &Array1<f64>) -> Option<Self> {
        let (n, columns) = rows.dim();
        let (centre, level) = (rows.mean_axis(Axis(0))?, targets.mean()?);
        let rows = rows - &centre;
        let centred = targets - level;
        let total = centred.dot(&centred);
        if n < 2 || total <= 0.0 {
            return None;
        }
        let (gram, moments) = (rows.t().dot(&rows), rows.t().dot(&centred));
        let mut best: Option<(f64, f64, Array1<f64>, Array2<f64>)> = None;
        for precision in PRECISIONS {
            let mut factor = gram.clone();
            factor.diag_mut().mapv_inplace(|entry| entry + precision);
            factor.cholesky_inplace().ok()?;
            let mut half = moments.clone().insert_axis(Axis(1));
            factor.solve_triangular_inplace(&mut half, UPLO::Lower).ok()?;
            // Squared errors plus the penalty; with the noise integrated out, the evidence is a power of it.
            let rest = (total - half.iter().map(|entry| entry * entry).sum::<f64>()).max(1e-12 * total);
            let determinant: f64 = factor.diag().iter().map(|entry| entry.ln()).sum();
            let evidence = 0.5 * columns as f64 * precision.ln() - determinant - 0.5 * (n - 1) as f64 * rest.ln();
            if best.as_ref().is_none_or(|(highest, ..)| evidence > *highest) {
                best = Some((evidence, rest / (n - 1) as f64, half.remove_axis(Axis(1)), factor));
            }
        }
        let (_, noise, half, factor) = best?;
        let mut inverse = Array2::eye(columns);
        factor.solve_triangular_inplace(&mut inverse, UPLO::Lower).ok()?;
        let coefficients = inverse.t().dot(&half);
        Some(Self { centre, level, coefficients, spread: inverse.t().mapv(|entry| entry * noise.sqrt()) })
    }

    /// The mean of each row.
    pub(crate) fn mean(&self, rows: &Array2<f64>) -> Array1<f64> {
        rows.dot(&self.coefficients) + (self.level - self.centre.dot(&self.coefficients))
    }

    /// The variance of the mean of each row.
    pub(crate) fn variance(&self, rows: &Array2<f64>) -> Array1<f64> {
        let half = (rows - &self.centre).dot(&self.spread);
        half.rows().into_iter().map(|row| row.dot(&row)).collect()
    }
}
