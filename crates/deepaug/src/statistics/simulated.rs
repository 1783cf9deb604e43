//! Checks on simulated numbers that intervals and tests keep their promised levels.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution, Normal, StandardNormal};

use super::*;

/// Number of simulated comparisons, which gives a share of 0.05 to within 0.002.
const RUNS: usize = 12_000;

fn share(runs: usize, mut holds: impl FnMut() -> bool) -> f64 {
    (0..runs).filter(|_| holds()).count() as f64 / runs as f64
}

/// Simulates accuracies on 500 images of nets whose true accuracy varies with the seed, partly in common.
fn accuracies(rng: &mut ChaCha8Rng, means: &[f64], seeds: usize) -> Vec<Vec<Option<f64>>> {
    let luck = Normal::new(0.0, 0.01).unwrap();
    let shared: Vec<f64> = (0..seeds).map(|_| luck.sample(rng)).collect();
    let one = |mean: f64, shared: f64, rng: &mut ChaCha8Rng| {
        let truth: f64 = mean + shared + luck.sample(rng);
        Some(Binomial::new(500, truth.clamp(0.0, 1.0)).unwrap().sample(rng) as f64 / 500.0)
    };
    means.iter().map(|&mean| shared.iter().map(|&shared| one(mean, shared, rng)).collect()).collect()
}

#[test]
fn paired_intervals_hold_the_true_difference_95_times_in_100() {
    for seeds in [3, 5, 10] {
        let rng = &mut ChaCha8Rng::seed_from_u64(seeds as u64);
        let held = share(RUNS, || {
            let all = accuracies(rng, &[0.72, 0.70], seeds);
            // Occasionally all differences are equal, and there is no interval.
            Paired::of(&all[0], &all[1]).unwrap().interval.is_none_or(|(low, high)| low <= 0.02 && 0.02 <= high)
        });
        assert!((held - 0.95).abs() < 0.008, "{seeds} seeds: {held}");
    }
}

#[test]
fn of_seven_equal_schemes_one_is_called_different_at_most_5_times_in_100() {
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    let mut uncorrected = 0;
    let wrong = share(RUNS, || {
        let all = accuracies(rng, &[0.7; 8], 5);
        let differs = |comparisons| {
            all[1..].iter().any(|base| Paired::of_several(&all[0], base, comparisons).unwrap().p.unwrap() < 0.05)
        };
        uncorrected += usize::from(differs(1));
        differs(7)
    });
    assert!(wrong < 0.05 + 0.006, "{wrong}");
    assert!(uncorrected as f64 / RUNS as f64 > 0.12, "without the correction many more are wrong: {uncorrected}");
}

#[test]
fn the_pairs_that_are_said_to_be_needed_show_the_difference_4_times_in_5() {
    let rng = &mut ChaCha8Rng::seed_from_u64(9);
    let differences = Normal::new(0.01, 0.015).unwrap();
    let needed = pairs_needed(0.01, 0.015, 0.05).unwrap();
    let shown = share(RUNS, || {
        let series: Vec<_> = (0..needed).map(|_| Some(differences.sample(rng))).collect();
        Paired::of(&series, &vec![Some(0.0); needed]).unwrap().p.unwrap() < 0.05
    });
    assert!((0.79..0.84).contains(&shown), "{needed} pairs: {shown}");
}

#[test]
fn intervals_of_an_error_reduction_hold_it_95_times_in_100() {
    let rng = &mut ChaCha8Rng::seed_from_u64(11);
    let held = share(RUNS, || {
        let all = accuracies(rng, &[0.76, 0.70], 5);
        let errors = |series: &[Option<f64>]| series.iter().map(|a| 1.0 - a.unwrap()).collect::<Vec<_>>();
        let (low, high) = ratio_interval(&errors(&all[0]), &errors(&all[1]), 0.95).1.unwrap();
        low <= 0.8 && 0.8 <= high
    });
    assert!((held - 0.95).abs() < 0.008, "{held}");
}

/// Shows why differences of few seeds get Student's interval and not the bootstrap's.
#[test]
fn the_bootstrap_needs_many_things() {
    let rng = &mut ChaCha8Rng::seed_from_u64(13);
    let mut held = |n: usize| {
        share(600, || {
            let values: Vec<f64> = (0..n).map(|_| StandardNormal.sample(rng)).collect();
            let of = |draw: &[usize]| mean(&draw.iter().map(|&i| values[i]).collect::<Vec<_>>());
            bootstrap(n, 0.95, 1, of).is_some_and(|(low, high)| low <= 0.0 && 0.0 <= high)
        })
    };
    let (few, many) = (held(5), held(40));
    assert!(few < 0.90, "five: {few}");
    assert!(many > 0.90, "forty: {many}");
}
