//! Where nothing helps, no corner of the space is searched more than the rest.

use deepaug_controller::{Method, Outcome, Settings, Space, Value, searcher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Five places of two ops out of twenty, with a magnitude each, as in a search of policies.
fn policies() -> Space {
    let ops: Vec<String> = (0..20).map(|op| format!("op {op}")).collect();
    let mut space = Space::new();
    let mut names = Vec::new();
    for place in 0..10 {
        let [op, magnitude] = [format!("op {place}"), format!("magnitude {place}")];
        space = space.categorical(&op, ops.clone()).and_then(|space| space.real(&magnitude, 0.0, 1.0)).unwrap();
        names.extend([op, magnitude]);
    }
    space.exchangeable(names.chunks(4)).unwrap()
}

#[test]
fn magnitudes_do_not_crowd_at_the_ends() {
    for method in [Method::BayesianOptimization, Method::Lfbo] {
        let mut magnitudes = Vec::new();
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut searcher = searcher(method, policies(), Settings::default(), seed).unwrap();
            for trial in 0..60 {
                let point = searcher.ask(trial).unwrap();
                if trial >= 10 {
                    magnitudes.extend(point.iter().filter_map(|value| Value::real(*value)));
                }
                searcher.tell(trial, Outcome::Cost(0.3 + 0.01 * rng.sample::<f64, _>(StandardNormal))).unwrap();
            }
        }
        let at_ends = magnitudes.iter().filter(|&&magnitude| !(0.05..=0.95).contains(&magnitude)).count();
        let share = at_ends as f64 / magnitudes.len() as f64;
        // Chance gives a tenth. The ten magnitudes of a proposal are not independent: together they count as one.
        let bound = 0.1 + 2.33 * (0.1 * 0.9 / (magnitudes.len() / 10) as f64).sqrt();
        assert!(share < bound, "{method}: {share} of the magnitudes are within 0.05 of an end, more than {bound}");
    }
}
