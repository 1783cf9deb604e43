//! A value that is given, or chosen automatically.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `"auto"`, or a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Auto<T> {
    /// Whatever fits best.
    #[default]
    Auto,
    /// This.
    Given(T),
}

impl<T> Auto<T> {
    /// Returns the given value, or `other`.
    pub fn unwrap_or(self, other: T) -> T {
        match self {
            Self::Auto => other,
            Self::Given(value) => value,
        }
    }
}

impl<T> From<T> for Auto<T> {
    fn from(value: T) -> Self {
        Self::Given(value)
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Given(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        if value.as_str() == Some("auto") {
            return Ok(Self::Auto);
        }
        let wrong = |error: &dyn fmt::Display| serde::de::Error::custom(format!("{error}; or \"auto\""));
        T::deserialize(value).map(Self::Given).map_err(|error: toml::de::Error| wrong(&error.message().trim()))
    }
}
