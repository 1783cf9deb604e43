//! The search methods by name, and searchers as data.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    bayesian::BayesianOptimization,
    error::SearchError,
    history::History,
    policy_gradient::{PolicyGradient, Rule},
    random::RandomSearch,
    searcher::Searcher,
    settings::Settings,
    space::Space,
    surrogate::Engine,
};

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
    /// The same with a classifier of good points instead of expected improvement (likelihood-free Bayesian
    /// optimisation).
    Lfbo,
    /// Independent random points; see [`RandomSearch`].
    Random,
    /// A recurrent network that writes points and learns by proximal policy optimisation (AutoAugment's controller);
    /// see [`PolicyGradientSettings`](crate::PolicyGradientSettings).
    Ppo,
    /// The same with plain policy gradients.
    Reinforce,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 5] = [Self::BayesianOptimization, Self::Lfbo, Self::Random, Self::Ppo, Self::Reinforce];

    /// Returns the name used in configuration files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BayesianOptimization => "bayesian_optimization",
            Self::Lfbo => "lfbo",
            Self::Random => "random",
            Self::Ppo => "ppo",
            Self::Reinforce => "reinforce",
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

/// Creates a searcher. This is the registry: a new method is a file, a variant of [`Method`] and a line here.
///
/// # Errors
/// If a setting is out of range.
pub fn searcher(method: Method, space: Space, settings: Settings, seed: u64) -> Result<Box<dyn Searcher>, SearchError> {
    Snapshot { method, space, settings, seed, history: History::default() }.restore()
}

/// A searcher as data, with its [history](Searcher::history). To restore it bit for bit, the format must keep
/// every `f64` exactly (with serde_json, use the feature `float_roundtrip`).
///
/// ```
/// use deepaug_controller::{Method, Outcome, Settings, Snapshot, Space, searcher};
///
/// let space = Space::new().real("x", 0.0, 1.0)?;
/// let (method, settings, seed) = (Method::Random, Settings::default(), 3);
/// let mut original = searcher(method, space.clone(), settings.clone(), seed)?;
/// original.ask(0)?;
/// original.tell(0, Outcome::Cost(0.25))?;
///
/// let history = original.history().clone();
/// let json = serde_json::to_string(&Snapshot { method, space, settings, seed, history })?;
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
    /// Creates the searcher.
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
            Method::Ppo => Box::new(PolicyGradient::new(Rule::Proximal, space, settings, seed, history)),
            Method::Reinforce => Box::new(PolicyGradient::new(Rule::Reinforce, space, settings, seed, history)),
        })
    }
}
