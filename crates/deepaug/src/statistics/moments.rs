//! Mean and spread.

use super::{reach_of_degrees, student_reach};

/// Returns the mean; NaN if there are no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Returns the sample standard deviation (`n - 1` in the denominator); absent for fewer than two values.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// Returns the interval that contains the population mean with probability `level`, by Student's t; absent for
/// fewer than two values.
///
/// ```
/// let (low, high) = deepaug::statistics::interval_of_mean(&[0.61, 0.64, 0.62], 0.95).unwrap();
/// assert!((low - 0.5853875).abs() < 1e-6 && (high - 0.6612792).abs() < 1e-6);
/// ```
pub fn interval_of_mean(values: &[f64], level: f64) -> Option<(f64, f64)> {
    let reach = student_reach(level, values.len() - 1) * deviation(values)? / (values.len() as f64).sqrt();
    Some((mean(values) - reach, mean(values) + reach))
}

/// Returns the difference of the means of two unpaired samples, and its interval by Welch's t (Biometrika 34,
/// 1947); the interval is absent if either has fewer than two values or neither varies.
pub fn difference_of_means(a: &[f64], b: &[f64], level: f64) -> (f64, Option<(f64, f64)>) {
    let difference = mean(a) - mean(b);
    let interval = || {
        let error = |values: &[f64]| Some(deviation(values)?.powi(2) / values.len() as f64);
        let (of_a, of_b) = (error(a)?, error(b)?);
        let below = of_a.powi(2) / (a.len() - 1) as f64 + of_b.powi(2) / (b.len() - 1) as f64;
        let reach = reach_of_degrees(level, (of_a + of_b).powi(2) / below) * (of_a + of_b).sqrt();
        (below > 0.0).then_some((difference - reach, difference + reach))
    };
    (difference, interval())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpaired_differences_have_welchs_interval() {
        // scipy 1.17.1: stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95).
        let (a, b) = ([0.61, 0.64, 0.62, 0.70], [0.55, 0.58, 0.57, 0.52, 0.60, 0.56]);
        let (difference, interval) = difference_of_means(&a, &b, 0.95);
        let (low, high) = interval.unwrap();
        assert!((difference - 0.079_166_666_666_666_6).abs() < 1e-12);
        assert!(
            (low - 0.019_380_401_378_427_62).abs() < 1e-9 && (high - 0.138_952_931_954_905_82).abs() < 1e-9,
            "{low} {high}"
        );
        assert_eq!(difference_of_means(&[1.0], &b, 0.95).1, None);
        assert_eq!(difference_of_means(&[1.0, 1.0], &[2.0, 2.0], 0.95).1, None);
    }
}
