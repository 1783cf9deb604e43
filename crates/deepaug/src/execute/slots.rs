//! Values that several threads need, each of which one thread works out while the others wait.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::local::locked;

/// A value for each path of weights that it comes from.
#[derive(Debug)]
pub(super) struct Slots<T>(Mutex<HashMap<PathBuf, Arc<Mutex<T>>>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default> Slots<T> {
    /// Returns the slot of some weights. Who locks it works its value out; others wait for that.
    pub(super) fn of(&self, weights: &Path) -> Arc<Mutex<T>> {
        locked(&self.0).entry(weights.into()).or_default().clone()
    }
}
