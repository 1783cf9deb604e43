//! Tests whether two series rank items alike.

use serde::{Deserialize, Serialize};
use statrs::distribution::ContinuousCDF;

use super::{LEVEL, bootstrap, mean, student};

/// With up to this many items every order is tried for the p-value: 9! is 362,880.
const ALL_ORDERS: usize = 9;

/// Spearman's rank correlation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankCorrelation {
    /// From -1 (reversed) to 1 (the same).
    pub rho: f64,
    /// The two-sided p-value: the probability of a correlation this large if there is none. Over all orders for up
    /// to nine items, by Student's t for more.
    pub p: f64,
    /// The 95 % interval by the bootstrap; absent for fewer than ten items, where it would be too narrow.
    pub interval: Option<(f64, f64)>,
    /// Number of items.
    pub count: usize,
}

impl RankCorrelation {
    /// Returns the rank correlation of two series of the same items. Returns `None` for fewer than three, and if
    /// all values of one are equal.
    ///
    /// ```
    /// use deepaug::statistics::RankCorrelation;
    ///
    /// let found = RankCorrelation::of(&[0.1, 0.2, 0.3, 0.4], &[1.0, 3.0, 2.0, 4.0]).unwrap();
    /// assert!((found.rho - 0.8).abs() < 1e-12);
    /// ```
    pub fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        let count = a.len();
        if count < 3 {
            return None;
        }
        let (ranks_a, ranks_b) = (ranks(a), ranks(b));
        let rho = correlation(&ranks_a, &ranks_b).filter(|rho| !rho.is_nan())?;
        let p = if count <= ALL_ORDERS {
            let (mut all, mut as_large) = (0_u32, 0_u32);
            orders(&mut ranks_b.clone(), count, &mut |order| {
                all += 1;
                as_large += u32::from(correlation(&ranks_a, order).is_some_and(|r| r.abs() >= rho.abs() - 1e-9));
            });
            f64::from(as_large) / f64::from(all)
        } else {
            let degrees = (count - 2) as f64;
            2.0 * student(count - 2).sf(rho.abs() * (degrees / (1.0 - rho * rho).max(f64::MIN_POSITIVE)).sqrt())
        };
        let of_draw = |draw: &[usize]| {
            let take = |values: &[f64]| ranks(&draw.iter().map(|&i| values[i]).collect::<Vec<_>>());
            correlation(&take(a), &take(b)).unwrap_or(f64::NAN)
        };
        let interval = (count > ALL_ORDERS).then(|| bootstrap(count, LEVEL, 0, of_draw)).flatten();
        Some(Self { rho, p, interval, count })
    }
}

/// Returns each value's rank in ascending order from 1; equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|&index| ranks[index] = rank);
        start += group.len();
    }
    ranks
}

/// Returns Pearson's correlation; `None` if one series does not vary.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    let spread = (sum(a, mean_a, a, mean_a) * sum(b, mean_b, b, mean_b)).sqrt();
    (spread > 0.0).then(|| (sum(a, mean_a, b, mean_b) / spread).clamp(-1.0, 1.0))
}

/// Visits every order of the first `n` values (Heap 1963).
fn orders(values: &mut [f64], n: usize, visit: &mut impl FnMut(&[f64])) {
    if n <= 1 {
        return visit(values);
    }
    for i in 0..n {
        orders(values, n - 1, visit);
        if i + 1 < n {
            values.swap(if n.is_multiple_of(2) { i } else { 0 }, n - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_are_those_of_scipy() {
        // scipy 1.17.1: stats.spearmanr(a, b); the p-value of eleven items, with ties among them.
        let a = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0];
        let b = [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 8.0, 2.0, 8.0, 4.0];
        let found = RankCorrelation::of(&a, &b).unwrap();
        assert!(
            (found.rho - 0.138_456_765_146_769_5).abs() < 1e-12 && (found.p - 0.684_750_304_810_899_8).abs() < 1e-10,
            "{found:?}"
        );
        let (low, high) = found.interval.unwrap();
        assert!(low < found.rho && found.rho < high);
        // stats.permutation_test((a,), lambda a: abs(spearmanr(a, b).statistic), permutation_type="pairings",
        // alternative="greater"), all orders.
        let few = RankCorrelation::of(&a[..6], &b[..6]).unwrap();
        assert!(
            (few.rho - -0.134_343_322_655_969_7).abs() < 1e-12 && (few.p - 0.811_111_111_111_111_1).abs() < 1e-12,
            "{few:?}"
        );
        assert_eq!(few.interval, None);
    }

    #[test]
    fn equal_values_share_their_places_and_nothing_orders_nothing() {
        assert_eq!(ranks(&[2.0, 1.0, 2.0, 3.0]), [2.5, 1.0, 2.5, 4.0]);
        assert_eq!(RankCorrelation::of(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(RankCorrelation::of(&[1.0, 2.0], &[1.0, 2.0]), None);
    }
}
