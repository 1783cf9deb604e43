//! The controller of a configuration.

use deepaug_controller::forest::ForestParams;
use deepaug_controller::{MaximiserSettings, Searcher, Settings};

use crate::config::{Config, SearchSpace};
use crate::error::{ConfigError, Error};
use crate::policies::space::PolicySpace;
use crate::rng::{Purpose, derive};

/// Among schemes, what is proposed is near the best so many by now: those that need no search are good ones to begin with. In
/// simulated searches any number from 3 to 10 finds as much, and more than proposals from the whole space (reports/defaults.md).
const NEAR: usize = 5;

/// The controller of a configuration.
pub(crate) fn searcher(config: &Config) -> Result<Box<dyn Searcher>, Error> {
    let space = PolicySpace::of(config).space().map_err(|error| ConfigError::new(error.to_string()))?;
    let settings = match config.space {
        SearchSpace::Policies => Settings { initial_points: config.opt_initial_points, ..Settings::default() },
        SearchSpace::Schemes => Settings {
            // The schemes that need no search take their place.
            initial_points: 0,
            random_interleave: 0.0,
            forest: ForestParams::default().min_leaf(1),
            maximiser: MaximiserSettings { near: NEAR, ..MaximiserSettings::default() },
            ..Settings::default()
        },
    };
    let seed = derive(config.seed, Purpose::Searcher, 0);
    Ok(deepaug_controller::searcher(config.method, space, settings, seed)?)
}
