//! The settings of a searcher, before and after validation.

use linfa::ParamGuard;
use serde::{Deserialize, Serialize};

use crate::{
    acquisition::Acquisition, error::SettingError, forest::ForestParams, policy_gradient::PolicyGradientSettings,
    target::Target,
};

/// Settings of the searchers; the random searcher ignores them.
///
/// ```
/// use deepaug_controller::Settings;
///
/// let settings = Settings { initial_points: 20, ..Settings::default() };
/// assert!(settings.check().is_ok());
/// let settings = Settings { random_interleave: 1.5, ..Settings::default() };
/// assert!(settings.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Proposals from the balanced design before the surrogate takes over, at most 100,000. Default 10.
    pub initial_points: usize,
    /// Share of later proposals drawn at random, in [0, 1]. Default 0.1 (SMAC3 uses 0.2).
    pub random_interleave: f64,
    /// The scale on which the surrogate sees costs. Default [`Target::Standard`].
    pub target: Target,
    /// Whether an additive trend is fitted before the forest. Default true.
    pub trend: bool,
    /// The surrogate. The searcher sets its columns and its seed.
    pub forest: ForestParams,
    /// What is maximised over the surrogate's predictions. Default [`Acquisition::ExpectedImprovement`].
    pub acquisition: Acquisition,
    /// How the acquisition function is maximised.
    pub maximiser: MaximiserSettings,
    /// The searchers that learn by policy gradients; they use nothing else here.
    pub policy_gradient: PolicyGradientSettings,
}

/// How the acquisition function is maximised: random candidates, simulated annealing from the best of them, then
/// local search from the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaximiserSettings {
    /// Number of random candidates, 1 to 1,000,000. Default 300.
    pub candidates: usize,
    /// Iterations of simulated annealing; 0 for none. Default 500.
    pub annealing: u64,
    /// Maximum number of local search moves; 0 for none. Default 100.
    pub moves: usize,
    /// Number of best trials, in the model's judgement, whose neighbours are the only candidates: points that
    /// differ from one of them in one or two parameters. For spaces whose first points are good, and searches too
    /// short to learn what the rest is worth. 0, the default, means the whole space.
    pub near: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial_points: 10,
            random_interleave: 0.1,
            target: Target::default(),
            trend: true,
            forest: ForestParams::default(),
            acquisition: Acquisition::default(),
            maximiser: MaximiserSettings::default(),
            policy_gradient: PolicyGradientSettings::default(),
        }
    }
}

impl Default for MaximiserSettings {
    fn default() -> Self {
        Self { candidates: 300, annealing: 500, moves: 100, near: 0 }
    }
}

/// Settings that passed [`Settings::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct ValidSettings(Settings);

impl Settings {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting out of range.
    pub fn check(self) -> Result<ValidSettings, SettingError> {
        let Self { initial_points, random_interleave, ref maximiser, .. } = self;
        SettingError::require(initial_points <= 100_000, "initial_points", initial_points, "at most 100000")?;
        SettingError::require(
            (0.0..=1.0).contains(&random_interleave),
            "random_interleave",
            random_interleave,
            "between 0 and 1",
        )?;
        let candidates = maximiser.candidates;
        SettingError::require(
            (1..=1_000_000).contains(&candidates),
            "maximiser.candidates",
            candidates,
            "1 to 1000000",
        )?;
        if let Acquisition::ConfidenceBound { lambda } = self.acquisition {
            SettingError::require(
                lambda >= 0.0 && lambda.is_finite(),
                "acquisition.lambda",
                lambda,
                "a finite number, at least 0",
            )?;
        }
        self.forest.check_ref()?;
        self.policy_gradient.check()?;
        Ok(ValidSettings(self))
    }
}

impl std::ops::Deref for ValidSettings {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl From<ValidSettings> for Settings {
    fn from(settings: ValidSettings) -> Self {
        settings.0
    }
}
