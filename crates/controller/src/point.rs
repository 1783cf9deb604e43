//! A point of a search space: one value for each parameter.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// The value of one parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A choice of a categorical parameter, by its position in the list of choices, from zero.
    Category(usize),
    /// A value of a real parameter, in the parameter's own unit.
    Real(f64),
    /// A value of an integer parameter.
    Integer(i64),
}

impl Value {
    /// Returns the position of the choice, if the value is a category.
    pub fn category(self) -> Option<usize> {
        if let Self::Category(choice) = self { Some(choice) } else { None }
    }

    /// Returns the number, if the value is real.
    pub fn real(self) -> Option<f64> {
        if let Self::Real(value) = self { Some(value) } else { None }
    }

    /// Returns the number, if the value is an integer.
    pub fn integer(self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(value) } else { None }
    }
}

/// Values in the order of the space's parameters. Can be read like a slice.
///
/// ```
/// use deepaug_controller::{Point, Value};
///
/// let point = Point(vec![Value::Category(2), Value::Real(0.5)]);
/// assert_eq!(point.len(), 2);
/// assert_eq!(point[1].real(), Some(0.5));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point(pub Vec<Value>);

impl Deref for Point {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.0
    }
}

impl From<Vec<Value>> for Point {
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}
