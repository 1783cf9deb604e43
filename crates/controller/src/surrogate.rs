//! The surrogate: what the history says about untried points.

use crate::{
    acquisition::Acquisition,
    error::SearchError,
    history::{History, Outcome},
    lfbo::Classifier,
    model::Model,
    point::Point,
    rng::{Purpose, draw},
    settings::ValidSettings,
    space::{Domain, Parameter, Space},
    target::Target,
};

/// What judges an untried point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// An acquisition function of the model's mean and variance.
    Forest,
    /// A classifier of good points.
    Lfbo,
}

/// How strongly a number near an end of its range counts against a point, in units of the logarithm of the
/// acquisition function.
///
/// A model is least sure, and its mean most extreme, where it has data on one side only: without this, where
/// nothing helps, two in five of the proposed magnitudes are within 0.05 of an end. So the acquisition function is
/// weighted with a prior on the location of the best point (C. Hvarfner et al., piBO: Augmenting acquisition
/// functions with user beliefs for Bayesian optimization, ICLR 2022): for each number, the density of Beta(1 + w,
/// 1 + w), where w is this constant. At 0.01, one in forty is there, the rest are spread evenly, and the regret on
/// the benchmark's functions is unchanged (reports/search.md).
const CENTRED: f64 = 0.01;

/// The smallest product of the distances from both ends, because its logarithm is unbounded.
const END: f64 = 1e-9;

/// A model of the cost on the surrogate's scale, and what follows from it.
pub(crate) struct Surrogate<'a> {
    space: &'a Space,
    model: Model<'a>,
    acquisition: Acquisition,
    /// The trial with a cost whose predicted mean is lowest, and that mean.
    incumbent: (u64, f64),
    /// The cost of one unit of the standard scale.
    unit: f64,
    classifier: Option<Classifier<'a>>,
}

impl<'a> Surrogate<'a> {
    /// Fits the finished trials, with failed ones as the worst cost seen. Returns `None` if no trial has a cost
    /// yet.
    ///
    /// For a proposal (`asked`), every pending trial counts as finished with its predicted mean, so that
    /// concurrent proposals differ: the Kriging believer (D. Ginsbourger, R. Le Riche, L. Carraro, Kriging is
    /// well-suited to parallelize optimization, 2010). The incumbent does not depend on such beliefs.
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
        Ok(Some(Self {
            space,
            model,
            acquisition: settings.acquisition,
            incumbent,
            unit: Target::unit(&costs),
            classifier,
        }))
    }

    /// Returns the trial with the lowest predicted mean.
    pub(crate) fn incumbent(&self) -> u64 {
        self.incumbent.0
    }

    /// Returns the points of the `count` trials with the lowest predicted means.
    pub(crate) fn best(&self, history: &History, count: usize) -> Vec<Point> {
        let points: Vec<&Point> = history.costs().map(|(_, point, _)| point).collect();
        let means = self.model.predict(&points).0;
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
        order.into_iter().take(count).map(|index| points[index].clone()).collect()
    }

    /// Returns the cost of one unit of [`Target::Standard`].
    pub(crate) fn unit(&self) -> f64 {
        self.unit
    }

    /// Returns how promising each point is.
    pub(crate) fn acquisition(&self, points: &[Point]) -> Vec<f64> {
        let priors = points.iter().map(|point| self.prior(point));
        match &self.classifier {
            Some(classifier) => {
                let scores = classifier.scores(&points.iter().collect::<Vec<_>>());
                scores.into_iter().zip(priors).map(|(score, prior)| score * prior.exp()).collect()
            }
            None => self.predicted(points).into_iter().zip(priors).map(|(value, prior)| value + prior).collect(),
        }
    }

    /// Returns the acquisition function of each point, by the model alone.
    pub(crate) fn predicted(&self, points: &[Point]) -> Vec<f64> {
        let (means, variances) = self.model.predict(&points.iter().collect::<Vec<_>>());
        let value = |(mean, variance)| self.acquisition.value(mean, variance, self.incumbent.1);
        means.into_iter().zip(variances).map(value).collect()
    }

    /// Returns the logarithm of the prior on the location of the best point, up to a constant.
    fn prior(&self, point: &Point) -> f64 {
        let mask = self.space.mask(point);
        let of = |(index, parameter): (usize, &Parameter)| match parameter.domain {
            Domain::Real { .. } if mask[index] => {
                let unit = parameter.domain.to_feature(point[index]);
                (4.0 * unit * (1.0 - unit)).max(END).ln()
            }
            _ => 0.0,
        };
        CENTRED * self.space.parameters().iter().enumerate().map(of).sum::<f64>()
    }
}

/// Returns the costs of the finished trials, with the worst one for a failed trial, or `None` if no trial has a
/// cost.
fn costs(history: &History) -> Option<Vec<f64>> {
    let worst = history.costs().map(|(.., cost)| cost).max_by(f64::total_cmp)?;
    let cost = |outcome| if let Outcome::Cost(cost) = outcome { cost } else { worst };
    Some(history.finished().map(|(.., outcome)| cost(outcome)).collect())
}
