//! The methods of a study: the searcher that proposes its trials, and the scheduler that decides which continue.
//! They come from its configuration or from the caller.

use std::fmt;
use std::sync::Arc;

use deepaug_augmenter::Policy;
use deepaug_controller::forest::ForestParams;
use deepaug_controller::{MaximiserSettings, Method, PolicyGradientSettings, SearchError, Searcher, Settings, Space};

use crate::config::{Config, SearchMethod, SearchSpace, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::policies::space::PolicySpace;
use crate::rng::{Purpose, derive};
use crate::study::population::pba::Pba;
use crate::study::scheduler::{Scheduler, scheduler};

/// Among schemes, proposals stay near this many of the best so far, because those that need no search are a good
/// start. In simulated searches any number from 3 to 10 finds equally much, and more than proposals from the whole
/// space (reports/defaults.md).
const NEAR: usize = 5;

type MakeSearcher = dyn Fn(Space, u64) -> Result<Box<dyn Searcher>, SearchError> + Send + Sync;
type MakeScheduler = dyn Fn() -> Box<dyn Scheduler> + Send + Sync;

/// A caller's own methods, which replace the configuration's if given.
#[derive(Clone, Default)]
pub(crate) struct Methods {
    searcher: Option<(String, Arc<MakeSearcher>)>,
    scheduler: Option<(String, Arc<MakeScheduler>)>,
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Methods {
    /// The keys of a caller's own methods in a study's fingerprint.
    pub(crate) const KEYS: [&str; 2] = ["own_searcher", "own_scheduler"];

    pub(crate) fn with_searcher(self, name: &str, make: Arc<MakeSearcher>) -> Self {
        Self { searcher: Some((name.into(), make)), ..self }
    }

    pub(crate) fn with_scheduler(self, name: &str, make: Arc<MakeScheduler>) -> Self {
        Self { scheduler: Some((name.into(), make)), ..self }
    }

    /// Returns the names of a caller's own methods, each under its key.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = [self.searcher.as_ref().map(|(name, _)| name), self.scheduler.as_ref().map(|(name, _)| name)];
        Self::KEYS.into_iter().zip(names).filter_map(|(key, name)| Some((key, name?.as_str())))
    }

    /// Makes the controller of a study.
    pub(crate) fn searcher(&self, config: &ValidConfig) -> Result<Box<dyn Searcher>, Error> {
        let space = PolicySpace::new(config).space().map_err(|error| ConfigError::new(error.to_string()))?;
        let seed = derive(config.seed, Purpose::Searcher, 0);
        if let Some((_, make)) = &self.searcher {
            return Ok(make(space, seed)?);
        }
        let policy_gradient = PolicyGradientSettings {
            units: config.controller_units,
            batch: config.controller_batch,
            passes: config.controller_passes,
            learning_rate: config.controller_learning_rate,
            entropy: config.controller_entropy,
            baseline: config.controller_baseline,
            ..PolicyGradientSettings::default()
        };
        let settings = match config.space {
            SearchSpace::Policies => {
                Settings { initial_points: config.opt_initial_points, policy_gradient, ..Settings::default() }
            }
            SearchSpace::Schemes => Settings {
                policy_gradient,
                // The schemes that need no search take their place.
                initial_points: 0,
                random_interleave: 0.0,
                forest: ForestParams::default().min_leaf(1),
                maximiser: MaximiserSettings { near: NEAR, ..MaximiserSettings::default() },
                ..Settings::default()
            },
        };
        // What comes out of trainings is tried as it is.
        let method = match config.method {
            SearchMethod::Searcher(method) => method,
            SearchMethod::Pba | SearchMethod::Adversarial | SearchMethod::Tanda => Method::Random,
        };
        Ok(deepaug_controller::searcher(method, space, settings, seed)?)
    }

    /// Makes the scheduler of a study's population, which starts with these policies; `None` if the study has none.
    pub(crate) fn of_population(&self, config: &Config, first: Vec<Policy>) -> Option<Box<dyn Scheduler>> {
        if config.method != SearchMethod::Pba {
            return None;
        }
        Some(match &self.scheduler {
            Some((_, make)) => make(),
            None => Box::new(Pba::new(config, first)),
        })
    }

    /// Makes the scheduler that stops trainings of a study; `None` if every training is complete, as after a
    /// population, which has the scheduler for itself.
    pub(crate) fn scheduler(&self, config: &Config) -> Option<Box<dyn Scheduler>> {
        match &self.scheduler {
            _ if config.method == SearchMethod::Pba => None,
            Some((_, make)) => Some(make()),
            None => scheduler(config),
        }
    }
}
