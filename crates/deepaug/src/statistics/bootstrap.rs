//! Intervals for statistics that have no formula.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

/// Number of resamples.
const RESAMPLES: usize = 4000;

/// Returns the interval of a statistic of `n` items by the bias-corrected and accelerated bootstrap (Efron,
/// Journal of the American Statistical Association 82, 1987). The statistic is given the indices of the items,
/// some of them repeated. Items must be independent of one another, and numerous: with five, intervals are too
/// narrow.
///
/// Returns `None` if the statistic is not a number, or lies at the end of the resampled values.
pub fn bootstrap(n: usize, level: f64, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Option<(f64, f64)> {
    let all: Vec<usize> = (0..n).collect();
    let found = statistic(&all);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = vec![0; n];
    let mut values: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            draw.fill_with(|| rng.random_range(0..n));
            statistic(&draw)
        })
        .filter(|value| !value.is_nan())
        .collect();
    values.sort_by(f64::total_cmp);
    let normal = Normal::standard();
    let below = values.iter().filter(|&&value| value < found).count() as f64
        + 0.5 * values.iter().filter(|&&value| value == found).count() as f64;
    if values.is_empty() {
        return None;
    }
    let bias = normal.inverse_cdf(below / values.len() as f64);
    // The jackknife's skewness tells how the statistic's spread changes with its value.
    let without: Vec<f64> =
        (0..n).map(|left_out| statistic(&all.iter().copied().filter(|&i| i != left_out).collect::<Vec<_>>())).collect();
    let centre = without.iter().sum::<f64>() / n as f64;
    let sum = |power: i32| without.iter().map(|value| (centre - value).powi(power)).sum::<f64>();
    let acceleration = if sum(2) > 0.0 { sum(3) / (6.0 * sum(2).powf(1.5)) } else { 0.0 };
    let end = |tail: f64| {
        let z = bias + normal.inverse_cdf(tail);
        let share = normal.cdf(bias + z / (1.0 - acceleration * z));
        let place = (share * values.len() as f64).floor();
        (!place.is_nan()).then(|| values[(place as usize).min(values.len() - 1)])
    };
    let tail = (1.0 - level) / 2.0;
    Some((end(tail)?, end(1.0 - tail)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::mean;

    #[test]
    fn intervals_are_those_of_scipy() {
        // scipy 1.17.1: stats.bootstrap((x,), np.mean, method="BCa", n_resamples=100000, rng=1).confidence_interval.
        let x: Vec<f64> = (0..30).map(|i| f64::from(i * i % 31) / 10.0).map(|x: f64| x.exp()).collect();
        let (low, high) =
            bootstrap(x.len(), 0.95, 1, |draw| mean(&draw.iter().map(|&i| x[i]).collect::<Vec<_>>())).unwrap();
        assert!((low / 3.573_963 - 1.0).abs() < 0.03 && (high / 6.728_002 - 1.0).abs() < 0.03, "{low} {high}");
    }

    #[test]
    fn what_never_varies_has_no_interval() {
        assert_eq!(bootstrap(5, 0.95, 1, |_| f64::NAN), None);
        let (low, high) = bootstrap(5, 0.95, 1, |_| 2.0).unwrap();
        assert_eq!((low, high), (2.0, 2.0));
    }
}
