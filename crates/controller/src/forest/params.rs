//! The forest's parameters, before and after validation.

use linfa::ParamGuard;
use serde::{Deserialize, Serialize};

use crate::error::SettingError;

/// The meaning of a column's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Finite numbers whose order matters; their scale does not.
    Continuous,
    /// The whole numbers `0.0 .. n`, the labels of `n` categories without order.
    Categorical(usize),
}

impl FeatureKind {
    pub(super) fn categories(self) -> usize {
        if let Self::Categorical(n) = self { n } else { 0 }
    }
}

/// Parameters that passed [`ForestParams::check`](ParamGuard::check), ready to `fit`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestValidParams {
    pub(super) kinds: Vec<FeatureKind>,
    pub(super) seed: u64,
    pub(super) options: Options,
}

/// Parameters of the regression forest. The default variance floor is that of Hutter et al. 2014.
///
/// In a configuration file these are the keys `trees`, `features_per_split`, `min_leaf`, `variance_floor`,
/// `leaf_variance`; an unknown key is an error.
///
/// ```
/// use deepaug_controller::forest::{FeatureKind, ForestParams};
/// use linfa::ParamGuard;
///
/// let params = ForestParams::new(vec![FeatureKind::Continuous; 4]).trees(200).min_leaf(1);
/// assert!(params.check().is_ok());
/// assert!(ForestParams::default().trees(0).check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Options", into = "Options")]
pub struct ForestParams(ForestValidParams);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    pub(super) trees: usize,
    pub(super) features_per_split: f64,
    pub(super) min_leaf: usize,
    pub(super) variance_floor: f64,
    pub(super) leaf_variance: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { trees: 30, features_per_split: 0.35, min_leaf: 2, variance_floor: 0.01, leaf_variance: false }
    }
}

impl ForestParams {
    /// Returns the default parameters for columns of these kinds.
    pub fn new(kinds: Vec<FeatureKind>) -> Self {
        Self(ForestValidParams { kinds, seed: 0, options: Options::default() })
    }

    /// Sets the meaning of each column; needs one entry per column.
    pub fn kinds(mut self, kinds: Vec<FeatureKind>) -> Self {
        self.0.kinds = kinds;
        self
    }

    /// Sets the seed from which every random choice of the fit derives. Default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Sets the number of trees, 1 to 10,000. Default 30.
    pub fn trees(mut self, trees: usize) -> Self {
        self.0.options.trees = trees;
        self
    }

    /// Sets the share of the features considered at a split, in (0, 1]. Default 0.35.
    pub fn features_per_split(mut self, share: f64) -> Self {
        self.0.options.features_per_split = share;
        self
    }

    /// Sets the minimum number of distinct rows in a leaf, at least 1. Default 2.
    pub fn min_leaf(mut self, rows: usize) -> Self {
        self.0.options.min_leaf = rows;
        self
    }

    /// Sets the smallest variance of a leaf, in squared units of the target, above 0. Default 0.01 (Hutter et al.
    /// 2014).
    pub fn variance_floor(mut self, variance: f64) -> Self {
        self.0.options.variance_floor = variance;
        self
    }

    /// Sets whether the variance within the leaves counts (law of total variance) or is replaced by the floor,
    /// leaving only the disagreement between trees. Default false.
    pub fn leaf_variance(mut self, counts: bool) -> Self {
        self.0.options.leaf_variance = counts;
        self
    }
}

impl Default for ForestParams {
    /// Returns the default parameters without columns: set their [`kinds`](Self::kinds) before fitting.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl ParamGuard for ForestParams {
    type Checked = ForestValidParams;
    type Error = SettingError;

    fn check_ref(&self) -> Result<&ForestValidParams, SettingError> {
        let Options { trees, features_per_split, min_leaf, variance_floor, leaf_variance: _ } = self.0.options;
        SettingError::require((1..=10_000).contains(&trees), "trees", trees, "1 to 10000")?;
        SettingError::require(
            features_per_split > 0.0 && features_per_split <= 1.0,
            "features_per_split",
            features_per_split,
            "above 0 and at most 1",
        )?;
        SettingError::require(min_leaf >= 1, "min_leaf", min_leaf, "at least 1")?;
        SettingError::require(
            variance_floor > 0.0 && variance_floor.is_finite(),
            "variance_floor",
            variance_floor,
            "a finite number above 0",
        )?;
        Ok(&self.0)
    }

    fn check(self) -> Result<ForestValidParams, SettingError> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl From<Options> for ForestParams {
    fn from(options: Options) -> Self {
        Self(ForestValidParams { kinds: Vec::new(), seed: 0, options })
    }
}

impl From<ForestParams> for Options {
    fn from(params: ForestParams) -> Self {
        params.0.options
    }
}
