//! The surrogate: a forest fitted to the history, and what it says of other points.

use linfa::{Dataset, traits::Fit};
use ndarray::{Array1, Array2};
use rand::Rng;

use crate::{
    acquisition::Acquisition,
    error::SearchError,
    forest::{Forest, ForestParams},
    history::{History, Outcome},
    point::Point,
    rng::{Purpose, stream},
    settings::ValidSettings,
    space::Space,
};

/// A model of the cost, on the surrogate's scale.
pub(crate) struct Surrogate<'a> {
    space: &'a Space,
    forest: Forest,
    acquisition: Acquisition,
    /// The trial with a cost whose predicted mean is lowest, and that mean.
    incumbent: (u64, f64),
}

impl<'a> Surrogate<'a> {
    /// Fits the finished trials, failed ones as the worst cost seen. `None` if no trial has a cost yet.
    pub(crate) fn fit(
        space: &'a Space,
        history: &History,
        settings: &ValidSettings,
        seed: u64,
        trial: u64,
    ) -> Result<Option<Self>, SearchError> {
        let worst = history.costs().map(|(.., cost)| cost).fold(f64::NEG_INFINITY, f64::max);
        if worst == f64::NEG_INFINITY || space.parameters().is_empty() {
            return Ok(None);
        }
        let costs: Vec<f64> = history
            .finished()
            .map(|(.., outcome)| match outcome {
                Outcome::Cost(cost) => cost,
                Outcome::Failed => worst,
            })
            .collect();
        let points: Vec<&Point> = history.finished().map(|(_, point, _)| point).collect();
        let targets = Array1::from(settings.target.apply(&costs));
        let forest = ForestParams::clone(&settings.forest)
            .kinds(space.feature_kinds())
            .seed(stream(seed, Purpose::Forest, trial).random())
            .fit(&Dataset::new(rows(space, points.iter().copied()), targets))?;
        let mut surrogate = Self { space, forest, acquisition: settings.acquisition, incumbent: (0, f64::INFINITY) };
        let means = surrogate.predict(history.costs().map(|(_, point, _)| point)).0;
        // Ties go to the earliest trial.
        for ((number, ..), mean) in history.costs().zip(means) {
            if mean < surrogate.incumbent.1 {
                surrogate.incumbent = (number, mean);
            }
        }
        Ok(Some(surrogate))
    }

    /// The trial whose predicted mean is lowest.
    pub(crate) fn incumbent(&self) -> u64 {
        self.incumbent.0
    }

    /// The acquisition value of each point.
    pub(crate) fn acquisition(&self, points: &[Point]) -> Vec<f64> {
        let (means, variances) = self.predict(points);
        let value = |(mean, variance)| self.acquisition.value(mean, variance, self.incumbent.1);
        means.into_iter().zip(variances).map(value).collect()
    }

    fn predict<'p>(&self, points: impl IntoIterator<Item = &'p Point>) -> (Array1<f64>, Array1<f64>) {
        self.forest.predict_with_variance(&rows(self.space, points).view())
    }
}

fn rows<'p>(space: &Space, points: impl IntoIterator<Item = &'p Point>) -> Array2<f64> {
    let columns = space.parameters().len();
    let mut values = Vec::new();
    for point in points {
        space.encode(point, &mut values);
    }
    let shape = (values.len() / columns.max(1), columns);
    Array2::from_shape_vec(shape, values).expect("every row has a value for every column")
}
