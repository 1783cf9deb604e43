//! The additive part of the surrogate: Bayesian linear regression on the effects of single parameters.

use linfa_linalg::{
    cholesky::CholeskyInplace,
    triangular::{SolveTriangularInplace, UPLO},
};
use ndarray::{Array1, Array2, Axis};

/// Prior precisions of the coefficients, in units of the noise precision. The one with the highest evidence is
/// used.
const PRECISIONS: [f64; 7] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];

/// Ridge regression with the strength chosen by the evidence (D. MacKay, Bayesian interpolation, Neural
/// Computation 4, 1992), which also gives the variance of its predictions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trend {
    /// Means of the columns, and of the targets.
    centre: Array1<f64>,
    level: f64,
    coefficients: Array1<f64>,
    /// A square root of the coefficients' covariance: multiplied by its transpose it gives the covariance.
    spread: Array2<f64>,
}

impl Trend {
    /// Fits rows of columns to targets. Returns `None` if there is nothing to fit: fewer than two rows, or equal
    /// targets.
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
            // Squared errors plus the penalty; with the noise integrated out, the evidence is a power of this.
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

    /// Returns the mean of each row.
    pub(crate) fn mean(&self, rows: &Array2<f64>) -> Array1<f64> {
        rows.dot(&self.coefficients) + (self.level - self.centre.dot(&self.coefficients))
    }

    /// Returns the variance of the mean of each row.
    pub(crate) fn variance(&self, rows: &Array2<f64>) -> Array1<f64> {
        let half = (rows - &self.centre).dot(&self.spread);
        half.rows().into_iter().map(|row| row.dot(&row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::rng::{Purpose, stream};

    /// Returns rows, targets and coefficients of a linear function of six columns with normal noise.
    fn linear(n: usize, noise: f64, seed: u64) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
        let mut rng = stream(seed, Purpose::Random, 0);
        let rows = Array2::from_shape_simple_fn((n, 6), || rng.random_range(-1.0..1.0));
        let coefficients = Array1::from_shape_simple_fn(6, || rng.sample(StandardNormal));
        let targets = rows.dot(&coefficients) + 7.0;
        (rows, targets.mapv(|target: f64| target + noise * rng.sample::<f64, _>(StandardNormal)), coefficients)
    }

    #[test]
    fn finds_a_line_and_shrinks_noise() {
        let (rows, targets, coefficients) = linear(200, 0.01, 1);
        let trend = Trend::fit(&rows, &targets).unwrap();
        assert!((&trend.coefficients - &coefficients).iter().all(|error| error.abs() < 0.02));
        let (rows, targets, _) = linear(40, 50.0, 2);
        let trend = Trend::fit(&rows, &targets).unwrap();
        let spread = trend.mean(&rows).std(0.0) / targets.std(0.0);
        assert!(spread < 0.35, "least squares would follow noise by about 0.4: {spread}");
    }

    /// Checks that the predictive spread matches that of the errors, over many data sets.
    #[test]
    fn variance_is_that_of_the_error() {
        let mut squares = Vec::new();
        for seed in 0..300 {
            let (rows, targets, coefficients) = linear(40, 0.5, seed);
            let trend = Trend::fit(&rows, &targets).unwrap();
            let probe = Array2::from_elem((1, 6), 0.7);
            let error = trend.mean(&probe)[0] - 7.0 - probe.row(0).dot(&coefficients);
            squares.push(error * error / trend.variance(&probe)[0]);
        }
        let mean = squares.iter().sum::<f64>() / squares.len() as f64;
        assert!((0.6..1.7).contains(&mean), "squared error over variance: {mean}");
    }

    #[test]
    fn nothing_to_fit_gives_none() {
        assert_eq!(Trend::fit(&Array2::zeros((1, 2)), &Array1::zeros(1)), None);
        assert_eq!(Trend::fit(&Array2::zeros((0, 2)), &Array1::zeros(0)), None);
        assert_eq!(Trend::fit(&Array2::ones((3, 2)), &Array1::ones(3)), None);
        assert!(Trend::fit(&Array2::ones((3, 2)), &ndarray::arr1(&[0.0, 1.0, 2.0])).is_some());
    }
}
