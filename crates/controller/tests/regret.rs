//! On functions with a known optimum and noise, Bayesian optimisation gets closer than random search.

use deepaug_controller::{Method, Outcome, Point, Settings, Space, searcher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

const SLOTS: usize = 3;
const CHOICES: usize = 20;
const NOISE: f64 = 0.1;
const EVALUATIONS: u64 = 100;
const SEEDS: u64 = 16;

/// A sum over slots, each a choice out of twenty and a number: the choice has a cost, and its own best number.
struct Planted(Vec<[(f64, f64); CHOICES]>);

impl Planted {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        Self((0..SLOTS).map(|_| std::array::from_fn(|_| rng.random())).collect())
    }

    fn space() -> Space {
        (0..SLOTS).fold(Space::new(), |space, slot| {
            let choices = (0..CHOICES).map(|choice| choice.to_string());
            space
                .categorical(format!("choice {slot}"), choices)
                .and_then(|space| space.real(format!("number {slot}"), 0.0, 1.0))
                .unwrap()
        })
    }

    /// Returns how far a point's noiseless cost is above the optimum.
    fn regret(&self, point: &Point) -> f64 {
        let slot = |(slot, table): (usize, &[(f64, f64); CHOICES])| {
            let (cost, best) = table[point[2 * slot].category().unwrap()];
            let lowest = table.iter().map(|entry| entry.0).fold(f64::INFINITY, f64::min);
            cost - lowest + (point[2 * slot + 1].real().unwrap() - best).powi(2)
        };
        self.0.iter().enumerate().map(slot).sum()
    }
}

fn regret(method: Method, seed: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let planted = Planted::new(&mut rng);
    let mut searcher = searcher(method, Planted::space(), Settings::default(), seed).unwrap();
    for trial in 0..EVALUATIONS {
        let point = searcher.ask(trial).unwrap();
        let noise: f64 = rng.sample(StandardNormal);
        searcher.tell(trial, Outcome::Cost(planted.regret(&point) + NOISE * noise)).unwrap();
    }
    let incumbent = searcher.incumbent().unwrap().unwrap();
    planted.regret(searcher.finished()[incumbent as usize].1)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    0.5 * (values[middle - 1] + values[middle])
}

#[test]
fn bayesian_optimization_beats_random_search() {
    let regrets = |method| (0..SEEDS).into_par_iter().map(|seed| regret(method, seed)).collect::<Vec<_>>();
    let (random, bayesian) = (regrets(Method::Random), regrets(Method::BayesianOptimization));
    let wins = random.iter().zip(&bayesian).filter(|(random, bayesian)| bayesian < random).count();
    let (random, bayesian) = (median(random), median(bayesian));
    assert!(
        bayesian < 0.7 * random,
        "median regret {bayesian:.3}, of random search {random:.3}; {wins} wins of {SEEDS}"
    );
}
