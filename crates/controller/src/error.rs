//! Errors, one type per stage: building a space, checking a point, checking settings, fitting the forest,
//! searching.

use thiserror::Error;

/// The description of a search space is invalid.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// Two parameters share a name.
    #[error("parameter `{0}` is declared twice; give every parameter its own name")]
    DuplicateName(String),
    /// A categorical parameter has no choices.
    #[error("categorical parameter `{0}` has no choices; list at least one")]
    NoChoices(String),
    /// A categorical parameter lists the same choice twice.
    #[error("categorical parameter `{name}` lists `{choice}` twice")]
    DuplicateChoice {
        /// The parameter.
        name: String,
        /// The repeated choice.
        choice: String,
    },
    /// Bounds that do not satisfy `low < high`, are not finite, or are so far apart that the difference overflows.
    #[error("parameter `{name}` has bounds {low} to {high}; they must be finite, with low below high")]
    Bounds {
        /// The parameter.
        name: String,
        /// The lower bound as given.
        low: String,
        /// The upper bound as given.
        high: String,
    },
    /// A name that no parameter of the space has.
    #[error("the space has no parameter `{0}`; declare it before referring to it")]
    UnknownParameter(String),
    /// A condition names a parent that is not categorical.
    #[error("parameter `{0}` cannot activate another parameter: it is not categorical")]
    ParentNotCategorical(String),
    /// A condition names a parent that is not declared before its child.
    #[error("parameter `{child}` depends on `{parent}`, which must be declared before it")]
    ParentAfterChild {
        /// The conditional parameter.
        child: String,
        /// The parameter it depends on.
        parent: String,
    },
    /// A condition names a choice that its parent does not have.
    #[error("parameter `{parent}` has no choice `{choice}`")]
    UnknownChoice {
        /// The parent of the condition.
        parent: String,
        /// The choice as given.
        choice: String,
    },
    /// A parameter is given a second condition.
    #[error("parameter `{0}` already has a condition; a parameter takes at most one")]
    SecondCondition(String),
    /// Groups declared exchangeable do not match.
    #[error(
        "parameter `{0}` cannot be exchanged: exchangeable groups, two at least, must have the same domains and conditions in \
         the same order, conditions inside the group alone, and no parameter twice"
    )]
    NotExchangeable(String),
    /// Groups declared distinct do not match, or have no choice in which to differ.
    #[error(
        "parameter `{0}` cannot be distinct: distinct groups, two at least, must begin with a categorical parameter without \
         condition, and have the same domains and conditions in the same order, conditions inside the group alone, and no \
         parameter twice"
    )]
    NotDistinct(String),
}

/// A point does not belong to the space.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PointError {
    /// The point has too few or too many values.
    #[error("the point has {found} values, the space has {expected} parameters")]
    Length {
        /// Parameters of the space.
        expected: usize,
        /// Values of the point.
        found: usize,
    },
    /// A value is of the wrong kind for its parameter, such as a real for a categorical.
    #[error("parameter `{name}` takes a {expected} value")]
    Kind {
        /// The parameter.
        name: String,
        /// The kind that it takes.
        expected: &'static str,
    },
    /// A value lies outside its parameter's range, or is not a number.
    #[error("parameter `{name}` has the value {value}, outside its range {range}")]
    Range {
        /// The parameter.
        name: String,
        /// The value as given.
        value: String,
        /// The values it may take.
        range: String,
    },
}

/// A setting lies outside its range.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("setting `{name}` is {value}; it must be {expected}")]
pub struct SettingError {
    /// The setting.
    pub name: &'static str,
    /// The value as given.
    pub value: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl SettingError {
    pub(crate) fn require(
        holds: bool,
        name: &'static str,
        value: impl ToString,
        expected: &'static str,
    ) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        Err(Self { name, value: value.to_string(), expected })
    }
}

/// The regression forest could not be fitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ForestError {
    /// A parameter of the forest is out of range.
    #[error(transparent)]
    Parameter(#[from] SettingError),
    /// The data set has no rows or no columns.
    #[error("the data set is empty: {rows} rows, {columns} columns")]
    Empty {
        /// Rows of the data set.
        rows: usize,
        /// Columns of the data set.
        columns: usize,
    },
    /// The number of feature kinds given differs from the number of columns.
    #[error("{kinds} feature kinds are given for {columns} columns")]
    Kinds {
        /// Kinds given.
        kinds: usize,
        /// Columns of the data set.
        columns: usize,
    },
    /// The number of targets differs from the number of rows.
    #[error("{targets} targets are given for {rows} rows")]
    Targets {
        /// Targets given.
        targets: usize,
        /// Rows of the data set.
        rows: usize,
    },
    /// A feature is not finite, or not one of the column's categories.
    #[error("row {row}, column {column} holds {value}, which its feature kind does not allow")]
    Feature {
        /// Row of the value, from zero.
        row: usize,
        /// Column of the value, from zero.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A target is not finite, or so large that its square is not.
    #[error("target {row} is {value}; targets must be finite and below 1e150 in size")]
    Target {
        /// Row of the target, from zero.
        row: usize,
        /// The value.
        value: f64,
    },
    /// The data set carries sample weights, which this forest does not support.
    #[error("the data set has sample weights; the regression forest does not support them; repeat rows instead")]
    Weights,
    /// An error of linfa itself.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

/// A searcher rejected a request. Its state is unchanged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The trial was never asked for, registered or observed.
    #[error("trial {0} is unknown; ask for it, or observe it with its point")]
    UnknownTrial(u64),
    /// The trial already has an outcome.
    #[error("trial {0} already has an outcome")]
    AlreadyTold(u64),
    /// The trial's number is already taken.
    #[error("trial {0} already exists; every trial needs a number of its own")]
    TrialExists(u64),
    /// A cost is NaN or infinite.
    #[error("the cost of trial {trial} is {cost}; report a trial without a finite cost as failed")]
    CostNotFinite {
        /// The trial.
        trial: u64,
        /// The cost as told.
        cost: f64,
    },
    /// Every point of the space is evaluated, failed or pending.
    #[error("no point of the space is left to propose")]
    Exhausted,
    /// The name of a search method is not known.
    #[error("unknown search method `{0}`; known are `bayesian_optimization`, `lfbo`, `random`, `ppo` and `reinforce`")]
    UnknownMethod(String),
    /// The point does not belong to the space.
    #[error(transparent)]
    Point(#[from] PointError),
    /// The space has no parameters or is invalid.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The surrogate could not be fitted.
    #[error(transparent)]
    Forest(#[from] ForestError),
}
