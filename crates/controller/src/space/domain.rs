//! The values one parameter may take.

use serde::{Deserialize, Serialize};

use crate::{
    error::{PointError, SpaceError},
    point::Value,
};

/// The values a parameter may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Domain {
    /// One of a list of choices without order.
    Categorical {
        /// The names of the choices, all different, at least one.
        choices: Vec<String>,
    },
    /// A real number, `low <= value <= high`.
    Real {
        /// The smallest value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// An integer, `low <= value <= high`.
    Integer {
        /// The smallest value.
        low: i64,
        /// The largest value.
        high: i64,
    },
}

impl Domain {
    /// Returns the choices of a categorical parameter.
    pub(crate) fn choices(&self) -> Option<&[String]> {
        if let Self::Categorical { choices } = self { Some(choices) } else { None }
    }

    pub(super) fn check_bounds(&self, name: &str) -> Result<(), SpaceError> {
        let bounds = |low: String, high: String| SpaceError::Bounds { name: name.into(), low, high };
        match self {
            Self::Categorical { choices } if choices.is_empty() => Err(SpaceError::NoChoices(name.into())),
            Self::Categorical { choices } => {
                let mut seen = std::collections::HashSet::new();
                match choices.iter().find(|choice| !seen.insert(*choice)) {
                    Some(choice) => Err(SpaceError::DuplicateChoice { name: name.into(), choice: choice.clone() }),
                    None => Ok(()),
                }
            }
            // Also false for NaN, and for bounds so far apart that their difference overflows.
            Self::Real { low, high } if low < high && (high - low).is_finite() => Ok(()),
            Self::Real { low, high } => Err(bounds(low.to_string(), high.to_string())),
            Self::Integer { low, high } if low < high => Ok(()),
            Self::Integer { low, high } => Err(bounds(low.to_string(), high.to_string())),
        }
    }

    pub(super) fn check(&self, name: &str, value: Value) -> Result<(), PointError> {
        let range = |value: String, range: String| PointError::Range { name: name.into(), value, range };
        let kind = |expected| PointError::Kind { name: name.into(), expected };
        match (self, value) {
            (Self::Categorical { choices }, Value::Category(choice)) if choice < choices.len() => Ok(()),
            (Self::Categorical { choices }, Value::Category(choice)) => {
                Err(range(choice.to_string(), format!("0 to {}", choices.len() - 1)))
            }
            (Self::Real { low, high }, Value::Real(value)) if *low <= value && value <= *high => Ok(()),
            (Self::Real { low, high }, Value::Real(value)) => Err(range(value.to_string(), format!("{low} to {high}"))),
            (Self::Integer { low, high }, Value::Integer(value)) if *low <= value && value <= *high => Ok(()),
            (Self::Integer { low, high }, Value::Integer(value)) => {
                Err(range(value.to_string(), format!("{low} to {high}")))
            }
            (Self::Categorical { .. }, _) => Err(kind("category")),
            (Self::Real { .. }, _) => Err(kind("real")),
            (Self::Integer { .. }, _) => Err(kind("integer")),
        }
    }

    /// Returns the number of values, or `None` for a real.
    pub(crate) fn len(&self) -> Option<u128> {
        match self {
            Self::Categorical { choices } => Some(choices.len() as u128),
            Self::Real { .. } => None,
            Self::Integer { low, high } => Some((i128::from(*high) - i128::from(*low)) as u128 + 1),
        }
    }

    /// Returns the value at a share `unit` in [0, 1] of the domain. Uniform in `unit`: every choice and integer
    /// has an equal share.
    pub(crate) fn at(&self, unit: f64) -> Value {
        match *self {
            Self::Categorical { ref choices } => {
                Value::Category(((unit * choices.len() as f64) as usize).min(choices.len() - 1))
            }
            Self::Real { low, high } => Value::Real((low + unit * (high - low)).clamp(low, high)),
            Self::Integer { low, high } => {
                let span = i128::from(high) - i128::from(low);
                let step = ((unit * (span as f64 + 1.0)) as i128).clamp(0, span);
                Value::Integer((i128::from(low) + step) as i64)
            }
        }
    }

    /// Returns the number that stands for a value in a surrogate: the choice's position, or the share of the range
    /// in [0, 1].
    pub(crate) fn to_feature(&self, value: Value) -> f64 {
        match (self, value) {
            (_, Value::Category(choice)) => choice as f64,
            (Self::Real { low, high }, Value::Real(value)) => (value - low) / (high - low),
            (Self::Integer { low, high }, Value::Integer(value)) => {
                (value as f64 - *low as f64) / (*high as f64 - *low as f64)
            }
            _ => 0.0, // a value of another kind: ruled out by `check`
        }
    }
}
