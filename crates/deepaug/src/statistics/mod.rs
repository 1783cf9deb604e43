//! Statistics of numbers that differ by luck: intervals, tests, and how many more would be needed.
//!
//! Reference values in the tests are from SciPy 1.17.1 and statsmodels 0.15.0; `simulated` checks the coverage of
//! intervals by simulation.

mod bootstrap;
mod moments;
mod paired;
mod power;
mod rank;
#[cfg(test)]
mod simulated;

pub use bootstrap::bootstrap;
pub use moments::{deviation, difference_of_means, interval_of_mean, mean};
pub use paired::{Paired, ratio_interval};
pub use power::{detectable, pairs_needed, power};
pub use rank::{RankCorrelation, ranks};

/// The default confidence level of intervals.
pub const LEVEL: f64 = 0.95;
/// The probability with which a true difference should be shown, in [`pairs_needed`] and [`detectable`] (Cohen
/// 1988, section 2.4).
pub const POWER: f64 = 0.8;

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};

/// Returns Student's t distribution.
fn student(degrees: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, degrees.max(1) as f64).expect("the degrees of freedom are positive")
}

/// Returns the value that Student's t stays below in absolute value with probability `level`.
fn student_reach(level: f64, degrees: usize) -> f64 {
    reach_of_degrees(level, degrees.max(1) as f64)
}

fn reach_of_degrees(level: f64, degrees: f64) -> f64 {
    let upper = 0.5 + level / 2.0;
    let Ok(t) = StudentsT::new(0.0, 1.0, degrees) else { return f64::INFINITY };
    // The library's value is accurate to seven digits; one Newton step makes it accurate to all.
    let first = t.inverse_cdf(upper);
    first - (t.cdf(first) - upper) / t.pdf(first)
}
