//! Bayesian optimisation with a random forest.

use rand::Rng;

use crate::{
    acquisition::Acquisition,
    design,
    error::SearchError,
    history::History,
    maximiser::{Maximiser, Scored},
    point::Point,
    rng::{Purpose, stream},
    searcher::Searcher,
    settings::{Settings, ValidSettings},
    space::Space,
    surrogate::{Engine, Surrogate},
    target::Target,
};

/// Bayesian optimisation: first the rows of a balanced design; then the point that maximises the acquisition
/// function under a random forest fitted to all finished trials, with a share of random points in between.
///
/// The incumbent, which is both the reference for improvement and the recommendation, is the evaluated point with
/// the lowest predicted mean, not the one with the lowest observed cost: under noise the latter is mostly luck.
///
/// The design's rows are recognised by their values, not counted: the next one is the first that no trial has. So
/// a baseline does not use one up, and a replayed search continues where it stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct BayesianOptimization {
    engine: Engine,
    space: Space,
    settings: ValidSettings,
    seed: u64,
    history: History,
    /// Derived from the space, the settings and the seed.
    design: Vec<Point>,
}

impl BayesianOptimization {
    pub(crate) fn new(engine: Engine, space: Space, settings: ValidSettings, seed: u64, history: History) -> Self {
        let design = design::balanced(&space, settings.initial_points, seed);
        Self { engine, space, settings, seed, history, design }
    }

    fn propose(&self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError> {
        let known = self.history.known(&self.space);
        let is_known = |point: &Point| known.contains(&self.space.key(point)) || is_taken(point);
        if let Some(point) = self.design.iter().find(|point| !is_known(point)) {
            return Ok(point.clone());
        }
        let random = || design::fresh(&self.space, &known, is_taken, &mut stream(self.seed, Purpose::Random, trial));
        // Found before the surrogate is fitted, because this also detects an exhausted space.
        let fallback = random()?;
        if stream(self.seed, Purpose::Interleave, trial).random::<f64>() < self.settings.random_interleave {
            return Ok(fallback);
        }
        let Some(surrogate) = self.surrogate(Some((self.engine, trial)))? else { return Ok(fallback) };
        Ok(self.maximise(&surrogate, &is_known, trial).map_or(fallback, |best| best.point))
    }

    fn maximise(&self, surrogate: &Surrogate<'_>, is_known: &dyn Fn(&Point) -> bool, trial: u64) -> Option<Scored> {
        let settings = &self.settings.maximiser;
        let score = |points: &[Point]| surrogate.acquisition(points);
        let maximiser = Maximiser { space: &self.space, settings, is_known, score };
        let mut rng = stream(self.seed, Purpose::Maximiser, trial);
        match settings.near {
            0 => maximiser.run(&mut rng),
            near => maximiser.run_near(surrogate.best(&self.history, near), &mut rng),
        }
    }

    fn surrogate(&self, asked: Option<(Engine, u64)>) -> Result<Option<Surrogate<'_>>, SearchError> {
        Surrogate::fit(&self.space, &self.history, &self.settings, self.seed, asked)
    }
}

impl Searcher for BayesianOptimization {
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError> {
        self.history.check_new(trial)?;
        let point = self.propose(trial, is_taken)?;
        self.history.register(&self.space, trial, point.clone())?;
        Ok(point)
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_mut(&mut self) -> (&Space, &mut History) {
        (&self.space, &mut self.history)
    }

    fn incumbent(&self) -> Result<Option<u64>, SearchError> {
        Ok(self.surrogate(None)?.map(|surrogate| surrogate.incumbent()))
    }

    fn prospect(&self, trial: u64) -> Result<Option<f64>, SearchError> {
        let known = self.history.known(&self.space);
        if self.design.iter().any(|point| !known.contains(&self.space.key(point))) {
            return Ok(None);
        }
        let settings = Settings {
            target: Target::Standard,
            acquisition: Acquisition::ExpectedImprovement,
            ..Settings::clone(&self.settings)
        };
        let asked = Some((Engine::Forest, trial));
        let surrogate = Surrogate::fit(&self.space, &self.history, &settings.check()?, self.seed, asked)?;
        let Some(surrogate) = surrogate else { return Ok(None) };
        // The prospect is the improvement itself, not weighted by the prior.
        let best = self.maximise(&surrogate, &|point| known.contains(&self.space.key(point)), trial);
        Ok(best.and_then(|best| surrogate.predicted(&[best.point]).pop()).map(|value| value.exp() * surrogate.unit()))
    }
}
