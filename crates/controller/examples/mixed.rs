//! Tunes a noisy function of a category, two numbers and an integer, with each method.
//!
//! `cargo run --release -p deepaug-controller --example mixed`
#![allow(clippy::print_stdout)]

use deepaug_controller::{Method, Outcome, Point, SearchError, Settings, Space, SpaceError, searcher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn space() -> Result<Space, SpaceError> {
    Space::new()
        .categorical("kernel", ["linear", "polynomial", "radial", "sigmoid"])?
        .real("log10 cost", -3.0, 3.0)?
        .real("log10 gamma", -4.0, 1.0)?
        .integer("degree", 2, 6)?
        .active_when("log10 gamma", "kernel", ["polynomial", "radial", "sigmoid"])?
        .active_when("degree", "kernel", ["polynomial"])
}

/// The error rate of an imagined classifier: 0.08 at best, with a radial kernel, cost 10 and gamma 0.03.
fn error_rate(point: &Point) -> f64 {
    let real = |index: usize| point[index].real().unwrap_or_default();
    let kernel = point[0].category().unwrap_or_default();
    let degree = if kernel == 1 { point[3].integer().unwrap_or_default() as f64 - 2.0 } else { 0.0 };
    let gamma = if kernel == 0 { 0.0 } else { real(2) + 1.5 };
    [0.2, 0.12, 0.08, 0.25][kernel] + 0.02 * (real(1) - 1.0).powi(2) + 0.03 * gamma.powi(2) + 0.02 * degree
}

/// The true error of the recommended point after `trials` noisy measurements.
fn search(method: Method, seed: u64, trials: u64) -> Result<f64, SearchError> {
    let mut searcher = searcher(method, space()?, Settings::default(), seed)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for trial in 0..trials {
        let point = searcher.ask(trial)?;
        let noise = rng.random_range(-0.02..0.02);
        searcher.tell(trial, Outcome::Cost(error_rate(&point) + noise))?;
    }
    let best = searcher.incumbent()?;
    let finished = searcher.finished();
    let point = finished.iter().find(|(trial, ..)| Some(*trial) == best);
    Ok(point.map_or(f64::INFINITY, |(_, point, _)| error_rate(point)))
}

fn main() -> Result<(), SearchError> {
    for method in Method::ALL {
        let mut errors = (0..15).map(|seed| search(method, seed, 60)).collect::<Result<Vec<_>, _>>()?;
        errors.sort_by(f64::total_cmp);
        println!("{method}: median true error after 60 trials, 15 seeds: {:.4} (0.08 is best)", errors[7]);
    }
    Ok(())
}
