//! The power of paired comparisons.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use super::{POWER, student_reach};

/// More pairs than anybody will train.
const MAX_PAIRS: usize = 100_000;

/// Returns the probability that a two-sided paired t test at significance `alpha` shows a mean difference of
/// `effect` standard deviations of the differences.
///
/// ```
/// use deepaug::statistics::power;
///
/// assert!(power(0.5, 10, 0.05) < 0.3);
/// assert!(power(0.5, 34, 0.05) > 0.8);
/// ```
pub fn power(effect: f64, pairs: usize, alpha: f64) -> f64 {
    if pairs < 2 {
        return 0.0;
    }
    let degrees = (pairs - 1) as f64;
    let (shift, reach) = (effect.abs() * (pairs as f64).sqrt(), student_reach(1.0 - alpha, pairs - 1));
    // The noncentral t is (Z + shift) / w, with Z normal and w^2 a chi-square over its degrees of freedom.
    // Simpson's rule integrates over w.
    let normal = Normal::standard();
    let beyond = |w: f64| normal.cdf(shift - reach * w) + normal.cdf(-shift - reach * w);
    let half = degrees / 2.0;
    let constant = std::f64::consts::LN_2 + half * half.ln() - ln_gamma(half);
    let density = |w: f64| match (degrees - 1.0) * w.ln() {
        // At w = 0 with one degree of freedom.
        power if power.is_nan() => constant.exp(),
        power => (constant + power - half * w * w).exp(),
    };
    let part = |w: f64| density(w) * beyond(w);
    let width = 12.0 / (2.0 * degrees).sqrt();
    let (from, steps) = ((1.0 - width).max(0.0), 2000);
    let step = (1.0 + width - from) / steps as f64;
    let weight = |i: usize| if i == 0 || i == steps { 1.0 } else { [2.0, 4.0][i % 2] };
    (0..=steps).map(|i| weight(i) * part(from + i as f64 * step)).sum::<f64>() * step / 3.0
}

/// Returns how many pairs show a mean difference of `mean` four times in five, if differences have the standard
/// deviation `deviation`. Returns `None` if it takes more than 100,000.
///
/// With a measured difference this plans the next comparison, assuming that difference is the true one.
pub fn pairs_needed(mean: f64, deviation: f64, alpha: f64) -> Option<usize> {
    let effect = mean.abs() / deviation;
    if effect.is_nan() {
        return None;
    }
    let enough = |pairs: usize| power(effect, pairs, alpha) >= POWER;
    let mut most = 2;
    while !enough(most) {
        most *= 2;
        if most > MAX_PAIRS {
            return None;
        }
    }
    let (mut low, mut high) = (most / 2, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// Returns the smallest mean difference that `pairs` pairs show four times in five; infinite for fewer than two
/// pairs.
pub fn detectable(deviation: f64, pairs: usize, alpha: f64) -> f64 {
    if pairs < 2 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while power(high, pairs, alpha) < POWER {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if power(middle, pairs, alpha) < POWER { low = middle } else { high = middle }
    }
    high * deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_that_of_the_noncentral_t() {
        // scipy 1.17.1: with c = t.isf(alpha / 2, n - 1), nct.sf(c, n - 1, d * sqrt(n)) + nct.cdf(-c, n - 1, d * sqrt(n)).
        for (effect, pairs, alpha, expected) in [
            (0.5, 10, 0.05, 0.293_175_606_514_076_7),
            (-0.5, 34, 0.05, 0.807_777_501_279_273_8),
            (1.5, 5, 0.01, 0.312_536_149_937_730_66),
            (0.0, 7, 0.05, 0.05),
            (3.0, 2, 0.05, 0.260_770_714_229_109_36),
            (0.1, 1000, 0.007, 0.677_125_954_050_985_6),
        ] {
            let found = power(effect, pairs, alpha);
            assert!((found - expected).abs() < 1e-7, "{effect} {pairs} {alpha}: {found} {expected}");
        }
        assert_eq!(power(9.0, 1, 0.05), 0.0);
    }

    #[test]
    fn the_pairs_needed_are_the_fewest() {
        // statsmodels 0.15.0: TTestPower().solve_power(d, power=0.8, alpha=alpha), rounded up.
        for (mean, deviation, alpha, expected) in
            [(0.01, 0.02, 0.05, 34), (0.01, 0.01, 0.05, 10), (0.002, 0.02, 0.05, 787), (0.01, 0.02, 0.01, 51)]
        {
            assert_eq!(pairs_needed(mean, -deviation, alpha), Some(expected));
        }
        assert_eq!(pairs_needed(0.1, 0.0, 0.05), Some(2), "what never varies needs the fewest");
        assert_eq!(pairs_needed(1e-9, 1.0, 0.05), None);
        assert_eq!(pairs_needed(0.0, 0.0, 0.05), None);
    }

    #[test]
    fn a_detectable_difference_is_what_the_pairs_are_needed_for() {
        let difference = detectable(0.02, 34, 0.05);
        assert!((0.0098..0.01).contains(&difference), "{difference}");
        assert_eq!(pairs_needed(difference * 1.000_001, 0.02, 0.05), Some(34));
    }
}
