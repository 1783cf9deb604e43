//! The surrogate: what the history says of points not yet tried.

use crate::{
    acquisition::Acquisition,
    error::SearchError,
    history::{History, Outcome},
    lfbo::Classifier,
    model::Model,
    point::Point,
    rng::{Purpose, draw},
    settings::ValidSettings,
    space::Space,
    target::Target,
};

/// What judges a point that is not tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// An acquisition function of the model's mean and variance.
    Forest,
    /// A classifier of good points.
    Lfbo,
}

/// A model of the cost, on the surrogate's scale, and what follows from it.
pub(crate) struct Surrogate<'a> {
    model: Model<'a>,
    acquisition: Acquisition,
    /// The trial with a cost whose predicted mean is lowest, and that mean.
    incumbent: (u64, f64),
    /// The cost that one unit of the standard scale is.
    unit: f64,
    classifier: Option<Classifier<'a>>,
}

impl<'a> Surrogate<'a> {
    /// Fits the finished trials, failed ones as the worst cost seen. `None` if no trial has a cost yet.
    ///
    /// For a proposal (`asked`), every pending trial is taken for finished with its predicted mean, so that what is proposed
    /// beside it is something else: the Kriging believer (D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is well-suited to
    /// parallelize optimization, 2010). The incumbent does not depend on such beliefs.
    pub(crate) fn fit(
        space: &'a Space,
        history: &History,
        settings: &ValidSettings,
        seed: u64,
        asked: Option<(Engine, u64)>,
    ) -> Result<Option<Self>, SearchError> {
        let Some(costs) = costs(history) else { return Ok(None) };
        if space.parameters().is_empty() {
            return Ok(None);
        }
        let mut targets = settings.target.apply(&costs);
        let mut points: Vec<&Point> = history.finished().map(|(_, point, _)| point).collect();
        let seed = draw(seed, Purpose::Forest, asked.map_or(u64::MAX, |(_, trial)| trial));
        let mut model = Model::fit(space, settings, &points, &targets, seed)?;
        let evaluated: Vec<&Point> = history.costs().map(|(_, point, _)| point).collect();
        let mut incumbent = (0, f64::INFINITY);
        // Ties go to the earliest trial.
        for ((number, ..), mean) in history.costs().zip(model.predict(&evaluated).0) {
            if mean < incumbent.1 {
                incumbent = (number, mean);
            }
        }
        let pending: Vec<&Point> = history.pending().map(|(_, point)| point).collect();
        if asked.is_some() && !pending.is_empty() {
            targets.extend(model.predict(&pending).0);
            points.extend(pending);
            model = Model::fit(space, settings, &points, &targets, seed)?;
        }
        let classifier = match asked {
            Some((Engine::Lfbo, _)) => Some(Classifier::fit(space, &points, &targets, seed)?),
            _ => None,
        };
        Ok(Some(Self { model, acquisition: settings.acquisition, incumbent, unit: Target::unit(&costs), classifier }))
    }

    /// The trial whose predicted mean is lowest.
    pub(crate) fn incumbent(&self) -> u64 {
        self.incumbent.0
    }

    /// The cost that one unit of [`Target::Standard`] is.
    pub(crate) fn unit(&self) -> f64 {
        self.unit
    }

    /// How much each point is worth trying.
    pub(crate) fn acquisition(&self, points: &[Point]) -> Vec<f64> {
        let points: Vec<&Point> = points.iter().collect();
        if let Some(classifier) = &self.classifier {
            return classifier.scores(&points);
        }
        let (means, variances) = self.model.predict(&points);
        let value = |(mean, variance)| self.acquisition.value(mean, variance, self.incumbent.1);
        means.into_iter().zip(variances).map(value).collect()
    }
}

/// The costs of the finished trials, the worst one for a failed trial. `None` if no trial has a cost.
fn costs(history: &History) -> Option<Vec<f64>> {
    let worst = history.costs().map(|(.., cost)| cost).max_by(f64::total_cmp)?;
    let cost = |outcome| if let Outcome::Cost(cost) = outcome { cost } else { worst };
    Some(history.finished().map(|(.., outcome)| cost(outcome)).collect())
}
