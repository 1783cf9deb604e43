//! A random regression forest with native categorical splits and a predictive variance, written as a linfa
//! algorithm: [`ForestParams`] are checked into [`ForestValidParams`], whose `fit` takes a `linfa::Dataset` and
//! returns a [`Forest`].
//!
//! ```
//! use deepaug_controller::forest::{FeatureKind, ForestParams};
//! use linfa::prelude::*;
//! use ndarray::{Array1, Array2};
//!
//! // Column 0 is a category of three, column 1 a number.
//! let records = Array2::from_shape_fn((60, 2), |(row, column)| {
//!     if column == 0 { (row % 3) as f64 } else { row as f64 / 60.0 }
//! });
//! let targets = Array1::from_shape_fn(60, |row| [5.0, -1.0, 2.0][row % 3]);
//! let forest = ForestParams::new(vec![FeatureKind::Categorical(3), FeatureKind::Continuous])
//!     .seed(7)
//!     .fit(&Dataset::new(records.clone(), targets))?;
//!
//! let mean = forest.predict(&records);
//! assert!(mean[0] > 4.0 && mean[1] < 0.0);
//! let (_, variance) = forest.predict_with_variance(&records.view());
//! assert!(variance.iter().all(|&v| v >= 0.01)); // the floor
//! # Ok::<(), deepaug_controller::ForestError>(())
//! ```
//!
//! # References
//! - L. Breiman, Random forests, Machine Learning 45 (2001): bootstrap, a random subset of the features at each split.
//! - W. D. Fisher, On grouping for maximum homogeneity, JASA 53 (1958); L. Breiman et al., Classification and
//!   Regression Trees (1984), section 9.4: when categories are ordered by mean target, the best two-way grouping
//!   is a cut of that order.
//! - F. Hutter, L. Xu, H. Hoos, K. Leyton-Brown, Algorithm runtime prediction: methods and evaluation, Artificial
//!   Intelligence 206 (2014), section 4.3.2: cut uniformly inside the gap, law of total variance, variance floor 0.01.

mod data;
mod ensemble;
mod params;
mod split;
mod tree;

pub use self::{
    ensemble::Forest,
    params::{FeatureKind, ForestParams, ForestValidParams},
};
