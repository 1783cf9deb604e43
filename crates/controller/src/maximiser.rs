//! Maximises the acquisition function over the unknown points of a mixed space: random candidates, simulated
//! annealing by argmin from the best of them, then local search in the one-exchange neighbourhood (as in SMAC: M.
//! Lindauer et al., SMAC3, JMLR 23, 2022).

use std::cell::RefCell;

use argmin::{
    core::{CostFunction, Error, Executor},
    solver::simulatedannealing::{Anneal, SATempFunc, SimulatedAnnealing},
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{neighbours, point::Point, settings::MaximiserSettings, space::Space};

/// Number of neighbours scored together. A local search moves to the best of the first batch with an improvement.
const BATCH: usize = 64;

/// A point and its acquisition value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scored {
    pub(crate) point: Point,
    pub(crate) value: f64,
}

/// What is maximised, and over which points.
pub(crate) struct Maximiser<'a, F> {
    pub(crate) space: &'a Space,
    pub(crate) settings: &'a MaximiserSettings,
    /// Whether a point must not be returned.
    pub(crate) is_known: &'a dyn Fn(&Point) -> bool,
    /// Returns the acquisition values of points; larger is better.
    pub(crate) score: F,
}

impl<F: Fn(&[Point]) -> Vec<f64>> Maximiser<'_, F> {
    /// Returns the best unknown point found, or none if no candidate was unknown.
    pub(crate) fn run(&self, rng: &mut ChaCha8Rng) -> Option<Scored> {
        let candidates = (0..self.settings.candidates).map(|_| self.space.sample(rng)).collect();
        let mut best = self.best_of(candidates).into_iter().find(|best| self.is_unknown(&best.point))?;
        if self.settings.annealing > 0
            && let Some(annealed) = self.anneal(best.clone(), rng).filter(|annealed| annealed.value > best.value)
        {
            best = annealed;
        }
        Some(self.climb(best, rng))
    }

    /// Returns the best unknown point among those that differ from one of `starts` in one or two parameters, or
    /// none if all are known.
    pub(crate) fn run_near(&self, starts: Vec<Point>, rng: &mut ChaCha8Rng) -> Option<Scored> {
        let mut candidates = Vec::new();
        for start in &starts {
            let near = neighbours::all(self.space, start, rng);
            candidates.extend(near.iter().map(|point| neighbours::any(self.space, point, rng)).collect::<Vec<_>>());
            candidates.extend(near);
        }
        self.best_of(candidates).into_iter().find(|best| self.is_unknown(&best.point))
    }

    /// Sorts points by value, best first; equal ones keep their order.
    fn best_of(&self, points: Vec<Point>) -> Vec<Scored> {
        let values = (self.score)(&points);
        let mut scored: Vec<Scored> =
            points.into_iter().zip(values).map(|(point, value)| Scored { point, value }).collect();
        scored.sort_by(|a, b| b.value.total_cmp(&a.value));
        scored
    }

    /// Checked only for the best points, because it takes as long as computing their values.
    fn is_unknown(&self, point: &Point) -> bool {
        !(self.is_known)(point)
    }

    /// Moves to better unknown neighbours until there are none.
    fn climb(&self, mut current: Scored, rng: &mut ChaCha8Rng) -> Scored {
        for _ in 0..self.settings.moves {
            let mut neighbours = neighbours::all(self.space, &current.point, rng);
            neighbours.shuffle(rng);
            let better = neighbours.chunks(BATCH).find_map(|batch| {
                let mut better =
                    self.best_of(batch.to_vec()).into_iter().take_while(|other| other.value > current.value);
                better.find(|other| self.is_unknown(&other.point))
            });
            let Some(better) = better else { break };
            current = better;
        }
        current
    }

    /// Runs simulated annealing from a point. Acceptance depends on absolute differences, and those of log-EI near
    /// its maximum are small, so the temperature starts at 0.1 and falls by 2 % per iteration.
    fn anneal(&self, start: Scored, rng: &mut ChaCha8Rng) -> Option<Scored> {
        let problem = Annealing { maximiser: self, rng: RefCell::new(ChaCha8Rng::from_rng(rng)) };
        let solver = SimulatedAnnealing::new_with_rng(0.1, ChaCha8Rng::from_rng(rng))
            .ok()?
            .with_temp_func(SATempFunc::Exponential(0.98));
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(start.point).max_iters(self.settings.annealing))
            .timer(false)
            .run()
            .ok()?;
        let value = -result.state.best_cost;
        let point = result.state.best_param.filter(|point| self.is_unknown(point))?;
        Some(Scored { point, value })
    }
}

/// The acquisition function in the form that argmin's simulated annealing takes.
struct Annealing<'a, 'm, F> {
    maximiser: &'a Maximiser<'m, F>,
    rng: RefCell<ChaCha8Rng>,
}

impl<F: Fn(&[Point]) -> Vec<f64>> CostFunction for Annealing<'_, '_, F> {
    type Param = Point;
    type Output = f64;

    /// Returns the negative acquisition value, or infinity for a known point, so that it is never the best.
    fn cost(&self, point: &Point) -> Result<f64, Error> {
        let value = (self.maximiser.score)(std::slice::from_ref(point)).pop();
        let value = value.filter(|_| self.maximiser.is_unknown(point));
        Ok(value.map_or(f64::INFINITY, |value| -value))
    }
}

impl<F> Anneal for Annealing<'_, '_, F> {
    type Param = Point;
    type Output = Point;
    type Float = f64;

    fn anneal(&self, point: &Point, _temperature: f64) -> Result<Point, Error> {
        Ok(neighbours::any(self.maximiser.space, point, &mut *self.rng.borrow_mut()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        point::Value,
        rng::{Purpose, stream},
    };

    fn space() -> Space {
        let choices = || (0..20).map(|choice| choice.to_string());
        Space::new()
            .categorical("a", choices())
            .and_then(|space| space.categorical("b", choices()))
            .and_then(|space| space.real("x", 0.0, 1.0))
            .unwrap()
    }

    /// Highest value, 0, at (7, 11, 0.25).
    fn score(points: &[Point]) -> Vec<f64> {
        let distance = |value: Value, best: usize| value.category().unwrap().abs_diff(best) as f64;
        let value = |p: &Point| -distance(p[0], 7) - distance(p[1], 11) - (p[2].real().unwrap() - 0.25).abs();
        points.iter().map(value).collect()
    }

    fn run(settings: &MaximiserSettings, seed: u64) -> Scored {
        let space = space();
        let maximiser = Maximiser { space: &space, settings, is_known: &|_| false, score };
        maximiser.run(&mut stream(seed, Purpose::Maximiser, 0)).unwrap()
    }

    #[test]
    fn each_search_finds_more_than_its_start() {
        let candidates = MaximiserSettings { candidates: 20, moves: 0, annealing: 0, near: 0 };
        for seed in 0..20 {
            let random = run(&candidates, seed);
            let annealed = run(&MaximiserSettings { annealing: 2000, ..candidates.clone() }, seed);
            let climbed = run(&MaximiserSettings { moves: 100, ..candidates.clone() }, seed);
            assert!(annealed.value > random.value && annealed.value > -0.5, "{annealed:?}");
            assert!(climbed.value > random.value && climbed.value > -0.5, "{climbed:?}");
            assert_eq!(score(&[climbed.point]), [climbed.value]);
            assert_eq!(score(&[annealed.point]), [annealed.value]);
        }
    }

    #[test]
    fn known_points_are_passed_over() {
        let space = Space::new().categorical("a", ["x", "y", "z"]).unwrap();
        let settings = MaximiserSettings::default();
        let score = |points: &[Point]| points.iter().map(|p| p[0].category().unwrap() as f64).collect();
        let point = |choice| Point(vec![Value::Category(choice)]);
        let mut known = Vec::new();
        for expected in [Some(2), Some(1), Some(0), None] {
            let is_known = |point: &Point| known.contains(point);
            let maximiser = Maximiser { space: &space, settings: &settings, is_known: &is_known, score };
            let found = maximiser.run(&mut stream(1, Purpose::Maximiser, 0));
            assert_eq!(found.map(|found| found.point), expected.map(point));
            if let Some(expected) = expected {
                known.push(point(expected));
            }
        }
    }

    #[test]
    fn near_points_differ_in_one_parameter_or_two() {
        let space = space();
        let starts = vec![Point(vec![Value::Category(3), Value::Category(3), Value::Real(0.5)])];
        let settings = MaximiserSettings::default();
        let maximiser = Maximiser { space: &space, settings: &settings, is_known: &|_| false, score };
        for seed in 0..20 {
            let found = maximiser.run_near(starts.clone(), &mut stream(seed, Purpose::Maximiser, 0)).unwrap();
            let changed = found.point.iter().zip(starts[0].iter()).filter(|(a, b)| a != b).count();
            assert!((1..=2).contains(&changed) && found.value > score(&starts)[0], "{found:?}");
        }
        let none = Maximiser { space: &space, settings: &settings, is_known: &|_| true, score };
        assert_eq!(none.run_near(starts, &mut stream(1, Purpose::Maximiser, 0)), None);
    }
}
