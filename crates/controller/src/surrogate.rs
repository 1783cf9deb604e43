//! The surrogate: a model fitted to the history, and what it says of other points.

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
    space::{Columns, Space},
    trend::Trend,
};

/// A model of the cost, on the surrogate's scale.
pub(crate) struct Surrogate<'a> {
    columns: Columns<'a>,
    trend: Option<Trend>,
    /// Of what the trend leaves.
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
        let Some(costs) = costs(history) else { return Ok(None) };
        if space.parameters().is_empty() {
            return Ok(None);
        }
        let columns = Columns::new(space);
        let params = ForestParams::clone(&settings.forest)
            .kinds(columns.kinds().to_vec())
            .seed(stream(seed, Purpose::Forest, trial).random());
        let points: Vec<&Point> = history.finished().map(|(_, point, _)| point).collect();
        let targets = Array1::from(settings.target.apply(&costs));
        let (trend, forest) = model(&columns, &points, targets, settings, &params)?;
        let mut surrogate =
            Self { columns, trend, forest, acquisition: settings.acquisition, incumbent: (0, f64::INFINITY) };
        let means = surrogate.predict(history.costs().map(|(_, point, _)| point)).0;
        // Ties go to the earliest trial.
        for ((number, ..), mean) in history.costs().zip(means) {
            if mean < surrogate.incumbent.1 {
                surrogate.incumbent = (number, mean);
            }
        }
        Ok(Some(surrogate))
    }

    /// The same with every pending trial taken for finished with its predicted mean, so that what is proposed beside it is
    /// something else: the Kriging believer (D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is well-suited to parallelize
    /// optimization, 2010). The incumbent stays what it was.
    pub(crate) fn believing(
        self,
        history: &History,
        settings: &ValidSettings,
        seed: u64,
        trial: u64,
    ) -> Result<Self, SearchError> {
        if history.pending().next().is_none() {
            return Ok(self);
        }
        let believed = self.predict(history.pending().map(|(_, point)| point)).0;
        let mut targets = settings.target.apply(&costs(history).unwrap_or_default());
        targets.extend(believed);
        let finished = history.finished().map(|(_, point, _)| point);
        let points: Vec<&Point> = finished.chain(history.pending().map(|(_, point)| point)).collect();
        let params = ForestParams::clone(&settings.forest)
            .kinds(self.columns.kinds().to_vec())
            .seed(stream(seed, Purpose::Forest, trial).random());
        let (trend, forest) = model(&self.columns, &points, Array1::from(targets), settings, &params)?;
        Ok(Self { trend, forest, ..self })
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
        let points: Vec<&Point> = points.into_iter().collect();
        let (mut mean, mut variance) = self.forest.predict_with_variance(&rows(&self.columns, &points).view());
        if let Some(trend) = &self.trend {
            let effects = effects(&self.columns, &points);
            mean += &trend.mean(&effects);
            variance += &trend.variance(&effects);
        }
        (mean, variance)
    }
}

/// The trend, if it is wanted, and the forest of what it leaves.
fn model(
    columns: &Columns<'_>,
    points: &[&Point],
    targets: Array1<f64>,
    settings: &ValidSettings,
    params: &ForestParams,
) -> Result<(Option<Trend>, Forest), SearchError> {
    let effects = effects(columns, points);
    let trend = settings.trend.then(|| Trend::fit(effects.clone(), &targets)).flatten();
    let left = trend.as_ref().map_or_else(|| targets.clone(), |trend| &targets - &trend.mean(&effects));
    Ok((trend, params.fit(&Dataset::new(rows(columns, points), left))?))
}

/// The costs of the finished trials, the worst one for a failed trial. `None` if no trial has a cost.
fn costs(history: &History) -> Option<Vec<f64>> {
    let worst = history.costs().map(|(.., cost)| cost).max_by(f64::total_cmp)?;
    let cost = |outcome| if let Outcome::Cost(cost) = outcome { cost } else { worst };
    Some(history.finished().map(|(.., outcome)| cost(outcome)).collect())
}

fn rows(columns: &Columns<'_>, points: &[&Point]) -> Array2<f64> {
    table(points, columns.kinds().len(), |point, row| columns.encode(point, row))
}

fn effects(columns: &Columns<'_>, points: &[&Point]) -> Array2<f64> {
    table(points, columns.effect_count, |point, row| columns.effects(point, row))
}

fn table(points: &[&Point], width: usize, append: impl Fn(&Point, &mut Vec<f64>)) -> Array2<f64> {
    let mut values = Vec::with_capacity(points.len() * width);
    points.iter().for_each(|point| append(point, &mut values));
    Array2::from_shape_vec((points.len(), width), values).expect("every row has a value for every column")
}
