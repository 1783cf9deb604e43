//! What ask and tell guarantee, for every method.

use std::collections::HashSet;

use deepaug_controller::{Method, Outcome, Point, SearchError, Searcher, Settings, Snapshot, Space, Value, searcher};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn space() -> Space {
    Space::new()
        .categorical("op", ["invert", "rotate", "shear", "blur"])
        .and_then(|space| space.real("magnitude", 0.0, 1.0))
        .and_then(|space| space.integer("n", 1, 5))
        .and_then(|space| space.active_when("magnitude", "op", ["rotate", "shear", "blur"]))
        .unwrap()
}

fn quick() -> Settings {
    let mut settings = Settings { initial_points: 5, ..Settings::default() };
    settings.forest = settings.forest.trees(15);
    settings.maximiser.candidates = 60;
    settings
}

fn make(method: Method, seed: u64) -> Box<dyn Searcher> {
    searcher(method, space(), quick(), seed).unwrap()
}

fn snapshot(searcher: &dyn Searcher, method: Method, seed: u64) -> Snapshot {
    Snapshot { method, space: space(), settings: quick(), seed, history: searcher.history().clone() }
}

/// Returns a cost, or a failure, that depends on the point and the trial.
fn outcome(point: &Point, trial: u64) -> Outcome {
    if trial % 7 == 3 {
        return Outcome::Failed;
    }
    let x = point[1].real().unwrap();
    let cost = point[0].category().unwrap() as f64 + (x - 0.3).powi(2) + point[2].integer().unwrap() as f64 * 0.1;
    Outcome::Cost(cost + (trial as f64 * 0.7).sin() * 0.05)
}

fn run(searcher: &mut dyn Searcher, trials: std::ops::Range<u64>) -> Vec<Point> {
    trials
        .map(|trial| {
            let point = searcher.ask(trial).unwrap();
            searcher.tell(trial, outcome(&point, trial)).unwrap();
            point
        })
        .collect()
}

/// linfa's trees choose between two equal classes by the order of a hash map, which differs from map to map.
#[test]
fn no_vote_is_left_to_chance() {
    // With this seed, one proposal in six differed when votes did.
    for seed in [8_008_417_819_415_844_429, 1, 2] {
        let proposals = |_| {
            let mut searcher = make(Method::Lfbo, seed);
            searcher.ask(1000).unwrap(); // pending
            run(&mut *searcher, 0..12)
        };
        let all: HashSet<String> = (0..40).map(proposals).map(|points| format!("{points:?}")).collect();
        assert_eq!(all.len(), 1, "{all:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn asks_are_valid_distinct_and_repeatable(seed: u64) {
        for method in Method::ALL {
            let points = run(&mut *make(method, seed), 0..30);
            prop_assert!(points.iter().all(|point| space().check(point).is_ok()));
            let canonical = points.iter().map(|point| format!("{:?}", space().canonical(point).unwrap()));
            prop_assert_eq!(canonical.collect::<HashSet<_>>().len(), 30);
            prop_assert_eq!(&run(&mut *make(method, seed), 0..30), &points);
            prop_assert_ne!(&run(&mut *make(method, seed ^ 1), 0..30), &points);
        }
    }

    #[test]
    fn replay_and_restore_go_on_bit_equal(seed: u64, stop in 0_u64..25, by_observe: bool) {
        for method in Method::ALL {
            let mut original = make(method, seed);
            run(&mut *original, 0..stop);
            original.ask(1000).unwrap(); // pending at the interruption
            let json = serde_json::to_string(&snapshot(&*original, method, seed)).unwrap();
            let mut restored = serde_json::from_str::<Snapshot>(&json).unwrap().restore().unwrap();
            prop_assert_eq!(original.history(), restored.history());
            // Replay, in a different order from the original events.
            let mut replayed = make(method, seed);
            for (trial, point) in original.history().pending() {
                replayed.register(trial, point.clone()).unwrap();
            }
            for (trial, point, outcome) in original.finished().into_iter().rev() {
                if by_observe {
                    replayed.observe(trial, point.clone(), outcome).unwrap();
                } else {
                    replayed.register(trial, point.clone()).unwrap();
                    replayed.tell(trial, outcome).unwrap();
                }
            }
            let expected = run(&mut *original, stop..stop + 5);
            prop_assert_eq!(&run(&mut *restored, stop..stop + 5), &expected);
            prop_assert_eq!(&run(&mut *replayed, stop..stop + 5), &expected);
            prop_assert_eq!(original.incumbent().unwrap(), replayed.incumbent().unwrap());
        }
    }

    #[test]
    fn inactive_values_do_not_matter(seed: u64, noise in prop::collection::vec(0.0..1.0_f64, 20)) {
        let mut plain = make(Method::BayesianOptimization, seed);
        let mut noisy = make(Method::BayesianOptimization, seed);
        for (trial, noise) in (0..20).zip(noise) {
            let mut point = Point(vec![
                Value::Category(trial as usize % 2),
                Value::Real(0.05 * trial as f64),
                Value::Integer(1 + trial as i64 % 5),
            ]);
            let outcome = outcome(&space().canonical(&point).unwrap(), trial);
            plain.observe(trial, point.clone(), outcome).unwrap();
            if point[0] == Value::Category(0) {
                point.0[1] = Value::Real(noise); // ignored by the first op
            }
            noisy.observe(trial, point, outcome).unwrap();
        }
        prop_assert_eq!(run(&mut *plain, 20..28), run(&mut *noisy, 20..28));
    }

    #[test]
    fn the_initial_design_is_balanced(seed: u64, n in 1_usize..60) {
        let choices: Vec<String> = (0..20).map(|choice| choice.to_string()).collect();
        let mut space = Space::new();
        for slot in 0..3 {
            space = space.categorical(format!("op{slot}"), choices.clone()).unwrap()
                .real(format!("m{slot}"), -1.0, 1.0).unwrap();
        }
        let settings = Settings { initial_points: n, ..quick() };
        let mut searcher = searcher(Method::BayesianOptimization, space, settings, seed).unwrap();
        // A baseline does not use up an initial point.
        let baseline = Point([Value::Category(0), Value::Real(0.5)].repeat(3));
        searcher.observe(999, baseline, Outcome::Cost(1.0)).unwrap();
        let points: Vec<Point> = (0..n as u64).map(|trial| searcher.ask(trial).unwrap()).collect();
        let even = |counts: &[usize], total: usize| counts.iter().all(|&c| c == total / 20 || c == total.div_ceil(20));
        let mut overall = [0; 20];
        for slot in 0..3 {
            let mut counts = [0; 20];
            points.iter().for_each(|point| counts[point[2 * slot].category().unwrap()] += 1);
            prop_assert!(even(&counts, n), "{:?}", counts);
            overall.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            let mut strata: Vec<usize> =
                points.iter().map(|p| ((p[2 * slot + 1].real().unwrap() + 1.0) / 2.0 * n as f64) as usize).collect();
            strata.sort_unstable();
            prop_assert_eq!(strata, (0..n).collect::<Vec<_>>());
        }
        prop_assert!(even(&overall, 3 * n), "{:?}", overall);
    }
}

#[test]
fn a_finite_space_is_proposed_once_each_and_then_exhausted() {
    let space = || {
        Space::new()
            .categorical("c", ["a", "b", "c"])
            .and_then(|space| space.integer("n", 1, 20))
            .and_then(|space| space.active_when("n", "c", ["b", "c"]))
            .unwrap()
    };
    for method in Method::ALL {
        let mut searcher = searcher(method, space(), quick(), 4).unwrap();
        let mut seen = HashSet::new();
        for trial in 0..41 {
            let point = searcher.ask(trial).unwrap();
            assert!(seen.insert(format!("{point:?}")));
            // A third have a cost, a third fail, a third stay pending.
            match trial % 3 {
                0 => searcher.tell(trial, Outcome::Cost(trial as f64)).unwrap(),
                1 => searcher.tell(trial, Outcome::Failed).unwrap(),
                _ => {}
            }
        }
        assert!(matches!(searcher.ask(41), Err(SearchError::Exhausted)));
        assert!(matches!(searcher.tell(41, Outcome::Failed), Err(SearchError::UnknownTrial(41))));
    }
}

#[test]
fn a_huge_finite_space_with_one_point_left_gives_it() {
    let space = Space::new().categorical("c", ["a", "b"]).unwrap().integer("n", 0, 9_999).unwrap();
    let mut searcher = searcher(Method::Random, space, quick(), 9).unwrap();
    for trial in (0..20_000).filter(|&trial| trial != 12_345) {
        let point = Point(vec![Value::Category(trial as usize / 10_000), Value::Integer(trial % 10_000)]);
        searcher.observe(trial as u64, point, Outcome::Cost(0.0)).unwrap();
    }
    assert_eq!(searcher.ask(99_999).unwrap(), Point(vec![Value::Category(1), Value::Integer(2_345)]));
    assert!(matches!(searcher.ask(100_000), Err(SearchError::Exhausted)));
}

#[test]
fn refusals_leave_the_searcher_as_it_was() {
    for method in Method::ALL {
        let mut searcher = make(method, 1);
        let point = searcher.ask(0).unwrap();
        let before = searcher.history().clone();
        assert!(matches!(searcher.ask(0), Err(SearchError::TrialExists(0))));
        assert!(matches!(searcher.tell(1, Outcome::Cost(0.0)), Err(SearchError::UnknownTrial(1))));
        for cost in [f64::NAN, f64::INFINITY] {
            assert!(matches!(searcher.tell(0, Outcome::Cost(cost)), Err(SearchError::CostNotFinite { trial: 0, .. })));
            let observed = searcher.observe(5, point.clone(), Outcome::Cost(cost));
            assert!(matches!(observed, Err(SearchError::CostNotFinite { trial: 5, .. })));
        }
        assert!(matches!(searcher.observe(0, point, Outcome::Failed), Err(SearchError::TrialExists(0))));
        assert!(matches!(searcher.observe(6, Point(vec![]), Outcome::Failed), Err(SearchError::Point(_))));
        assert_eq!(*searcher.history(), before);
        searcher.tell(0, Outcome::Cost(1.0)).unwrap();
        assert!(matches!(searcher.tell(0, Outcome::Cost(1.0)), Err(SearchError::AlreadyTold(0))));
    }
}

#[test]
fn settings_are_checked_and_read_by_name() {
    let bad = Settings { random_interleave: f64::NAN, ..quick() };
    let error = searcher(Method::Random, space(), bad, 0).map(|_| ()).unwrap_err();
    assert!(matches!(error, SearchError::Setting(error) if error.name == "random_interleave"));
    let settings: Settings = serde_json::from_str(
        r#"{"initial_points": 3, "forest": {"trees": 7}, "acquisition": {"confidence_bound": {"lambda": 2.0}}}"#,
    )
    .unwrap();
    assert_eq!(settings.initial_points, 3);
    assert_eq!(settings.forest, Settings::default().forest.trees(7));
    assert!(serde_json::from_str::<Settings>(r#"{"forest": {"tree": 7}}"#).is_err());
    assert_eq!("bayesian_optimization".parse::<Method>().unwrap(), Method::BayesianOptimization);
    assert!(matches!("grid".parse::<Method>(), Err(SearchError::UnknownMethod(_))));
    for method in Method::ALL {
        assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
    }
}

#[test]
fn only_failures_and_extreme_costs_do_no_harm() {
    let mut searcher = make(Method::BayesianOptimization, 2);
    for trial in 0..8 {
        searcher.ask(trial).unwrap();
        searcher.tell(trial, Outcome::Failed).unwrap();
    }
    assert_eq!(searcher.incumbent().unwrap(), None);
    for (trial, cost) in (8..).zip([f64::MAX, f64::MIN, 0.0, 5e-324, -1e300, 1.0]) {
        searcher.ask(trial).unwrap();
        searcher.tell(trial, Outcome::Cost(cost)).unwrap();
    }
    assert!(searcher.ask(50).is_ok());
    // An empty space has one point, the empty one.
    let mut searcher = deepaug_controller::searcher(Method::BayesianOptimization, Space::new(), quick(), 0).unwrap();
    assert_eq!(searcher.ask(0).unwrap(), Point(vec![]));
    assert!(matches!(searcher.ask(1), Err(SearchError::Exhausted)));
}

/// Checks that proposals keep their distance from pending trials.
#[test]
fn pending_trials_are_believed() {
    let space = || Space::new().real("x", 0.0, 1.0).and_then(|space| space.real("y", 0.0, 1.0)).unwrap();
    let settings = || Settings { random_interleave: 0.0, initial_points: 0, ..Settings::default() };
    let batch = |seed| -> Vec<Point> {
        let mut searcher = searcher(Method::BayesianOptimization, space(), settings(), seed).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for trial in 0..15 {
            let point = space().sample(&mut rng);
            let (x, y) = (point[0].real().unwrap(), point[1].real().unwrap());
            searcher.observe(trial, point, Outcome::Cost((x - 0.3).powi(2) + (y - 0.6).powi(2))).unwrap();
        }
        (15..23).map(|trial| searcher.ask(trial).unwrap()).collect()
    };
    let at = |point: &Point| [point[0].real().unwrap(), point[1].real().unwrap()];
    let mut spreads: Vec<f64> = (0..9)
        .map(|seed| {
            let batch = batch(seed);
            let centre = [0, 1].map(|axis| batch.iter().map(|point| at(point)[axis]).sum::<f64>() / 8.0);
            let away = |point: &Point| (0..2).map(|axis| (at(point)[axis] - centre[axis]).powi(2)).sum::<f64>();
            (batch.iter().map(away).sum::<f64>() / 8.0).sqrt()
        })
        .collect();
    assert_eq!(batch(3), batch(3));
    spreads.sort_by(f64::total_cmp);
    assert!(spreads[4] > 0.02, "{spreads:?}");
}

/// Checks that what is left to gain falls as a search closes in, and is reported in the unit of the costs.
#[test]
fn the_prospect_falls_and_scales_with_the_costs() {
    let prospects = |scale: f64| {
        let space = Space::new().real("x", 0.0, 1.0).and_then(|space| space.real("y", 0.0, 1.0)).unwrap();
        let mut searcher = searcher(Method::BayesianOptimization, space, quick(), 4).unwrap();
        let mut prospects = Vec::new();
        for trial in 0..80 {
            prospects.push(searcher.prospect(trial).unwrap());
            let point = searcher.ask(trial).unwrap();
            let (x, y) = (point[0].real().unwrap(), point[1].real().unwrap());
            let cost = (x - 0.3).powi(2) + (y - 0.8).powi(2);
            searcher.tell(trial, Outcome::Cost(scale * cost)).unwrap();
        }
        prospects
    };
    let ones = prospects(1.0);
    assert!(ones[..5].iter().all(Option::is_none) && ones[5..].iter().all(Option::is_some), "{ones:?}");
    let mean = |range: std::ops::Range<usize>| {
        let count = range.len() as f64;
        ones[range].iter().flatten().sum::<f64>() / count
    };
    assert!(mean(70..80) < 0.2 * mean(5..15), "{} {}", mean(5..15), mean(70..80));
    // A power of two changes no rounding.
    let scaled = prospects(1024.0);
    let differs = |(a, b): (&Option<f64>, &Option<f64>)| (a.unwrap() * 1024.0 - b.unwrap()).abs() > 1e-9 * b.unwrap();
    assert!(!ones.iter().zip(&scaled).skip(5).any(differs));
    let random = searcher(Method::Random, space(), quick(), 4).unwrap();
    assert_eq!(random.prospect(0).unwrap(), None);
}
