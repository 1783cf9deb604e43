//! Ask and tell: the interface of all search methods, and the registry that makes one by its name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    bayesian::BayesianOptimization,
    error::SearchError,
    history::{self, History, Outcome},
    point::Point,
    random::RandomSearch,
    settings::Settings,
    space::Space,
    surrogate::Engine,
};

/// A search method: it proposes points and is told what they cost, lower is better.
///
/// Trial numbers are the caller's. A proposal is a function of the space, the settings, the seed, its trial number and
/// the trials known so far, and of nothing else. So a search goes on as if never interrupted when its events are given again
/// to a new searcher: [`register`](Self::register) for a trial that was proposed, [`tell`](Self::tell) for its outcome, or
/// [`observe`](Self::observe) for both; or when its [`snapshot`](Self::snapshot) is restored. Trials are read in the order of
/// their numbers, so the order of the events between two proposals does not matter.
///
/// A refused request leaves the searcher as it was.
pub trait Searcher: Send {
    /// Proposes a point for a new trial, which is pending from then on. The point is in canonical form and is no point of
    /// another trial.
    ///
    /// # Errors
    /// If the trial exists, or no point is left.
    fn ask(&mut self, trial: u64) -> Result<Point, SearchError> {
        self.ask_unless(trial, &|_| false)
    }

    /// The same, but for points that are taken: those that come to the same as another trial's though the space cannot tell.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); a space in which nearly all is taken counts as one in which no point is left.
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError>;

    /// Makes a point a pending trial without proposing it: a proposal read back from a journal, say.
    ///
    /// # Errors
    /// If the trial exists or the point is not of the space.
    fn register(&mut self, trial: u64, point: Point) -> Result<(), SearchError>;

    /// Reports how a pending trial ended.
    ///
    /// # Errors
    /// If the trial is unknown or was told before, or the cost is not finite.
    fn tell(&mut self, trial: u64, outcome: Outcome) -> Result<(), SearchError>;

    /// All trials known.
    fn history(&self) -> &History;

    /// The trial to be recommended: the one with the lowest cost in the searcher's judgement, of those with a cost.
    ///
    /// # Errors
    /// If the surrogate cannot be fitted.
    fn incumbent(&self) -> Result<Option<u64>, SearchError>;

    /// The largest expected improvement on the incumbent that the searcher finds for a new trial, in the unit of the costs:
    /// what there is left to gain, to be set against the noise of the costs. `None` where nothing is expected yet: before the
    /// initial points are through, and by a method without a surrogate.
    ///
    /// # Errors
    /// If the surrogate cannot be fitted.
    fn prospect(&self, _trial: u64) -> Result<Option<f64>, SearchError> {
        Ok(None)
    }

    /// All that makes the searcher, to be stored and restored.
    fn snapshot(&self) -> Snapshot;

    /// Records the outcome of a point that this searcher did not propose: a baseline, prior knowledge. It does not use up an
    /// initial point, unless it is one.
    ///
    /// # Errors
    /// If the trial exists, the point is not of the space, or the cost is not finite.
    fn observe(&mut self, trial: u64, point: Point, outcome: Outcome) -> Result<(), SearchError> {
        history::check_outcome(trial, outcome)?;
        self.register(trial, point)?;
        self.tell(trial, outcome)
    }

    /// The trials with an outcome, in the order of their numbers.
    fn finished(&self) -> Vec<(u64, &Point, Outcome)> {
        self.history().finished().collect()
    }
}

/// The search methods.
///
/// ```
/// use deepaug_controller::Method;
///
/// let method: Method = "random".parse()?;
/// assert_eq!(method, Method::Random);
/// assert_eq!(Method::BayesianOptimization.to_string(), "bayesian_optimization");
/// # Ok::<(), deepaug_controller::SearchError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Expected improvement under a random forest; see [`BayesianOptimization`].
    #[default]
    BayesianOptimization,
    /// The same with a classifier of good points in place of expected improvement (likelihood-free Bayesian optimisation).
    Lfbo,
    /// Independent random points; see [`RandomSearch`].
    Random,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::BayesianOptimization, Self::Lfbo, Self::Random];

    /// The name in configuration files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BayesianOptimization => "bayesian_optimization",
            Self::Lfbo => "lfbo",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = SearchError;

    fn from_str(name: &str) -> Result<Self, SearchError> {
        let method = Self::ALL.into_iter().find(|method| method.name() == name);
        method.ok_or_else(|| SearchError::UnknownMethod(name.into()))
    }
}

/// Makes a searcher. This is the registry: a new method is a file, a variant of [`Method`] and a line here.
///
/// # Errors
/// If a setting is out of range.
pub fn searcher(method: Method, space: Space, settings: Settings, seed: u64) -> Result<Box<dyn Searcher>, SearchError> {
    Snapshot { method, space, settings, seed, history: History::default() }.restore()
}

/// A searcher as data. To restore it bit-equal the format must keep every `f64` exactly (with serde_json, the feature
/// `float_roundtrip`).
///
/// ```
/// use deepaug_controller::{Method, Outcome, Settings, Snapshot, Space, searcher};
///
/// let space = Space::new().real("x", 0.0, 1.0)?;
/// let mut original = searcher(Method::Random, space, Settings::default(), 3)?;
/// original.ask(0)?;
/// original.tell(0, Outcome::Cost(0.25))?;
///
/// let json = serde_json::to_string(&original.snapshot())?;
/// let mut restored = serde_json::from_str::<Snapshot>(&json)?.restore()?;
/// assert_eq!(restored.ask(1)?, original.ask(1)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The search method.
    pub method: Method,
    /// The search space.
    pub space: Space,
    /// The settings.
    pub settings: Settings,
    /// The seed.
    pub seed: u64,
    /// The trials so far.
    pub history: History,
}

impl Snapshot {
    /// Makes the searcher.
    ///
    /// # Errors
    /// If a setting is out of range or the history does not fit the space.
    pub fn restore(self) -> Result<Box<dyn Searcher>, SearchError> {
        let Self { method, space, settings, seed, history } = self;
        let settings = settings.check()?;
        history.check(&space)?;
        Ok(match method {
            Method::BayesianOptimization => {
                Box::new(BayesianOptimization::new(Engine::Forest, space, settings, seed, history))
            }
            Method::Lfbo => Box::new(BayesianOptimization::new(Engine::Lfbo, space, settings, seed, history)),
            Method::Random => Box::new(RandomSearch::new(space, settings, seed, history)),
        })
    }
}
