//! Ask and tell: the interface of all search methods.

use crate::{
    error::SearchError,
    history::{self, History, Outcome},
    point::Point,
    policy_gradient::Learnt,
    space::Space,
};

/// A search method: it proposes points and is told what they cost; lower is better.
///
/// The caller chooses the trial numbers. A proposal is a function of the space, the settings, the seed, its trial
/// number and the trials known so far, and of nothing else. So a search continues as if never interrupted when its
/// events are replayed to a new searcher: [`register`](Self::register) for a proposed trial, [`tell`](Self::tell)
/// for its outcome, or [`observe`](Self::observe) for both; or when a [`Snapshot`](crate::Snapshot) is restored.
/// Trials are read in numerical order, so the order of the events between two proposals does not matter.
///
/// A rejected request leaves the searcher unchanged.
///
/// Other crates can implement it: a [`History`] keeps the trials and rejects invalid ones, so all that remains is
/// to propose a point.
///
/// ```
/// use deepaug_controller::{History, Outcome, Point, SearchError, Searcher, Space, Value};
///
/// /// One number after the other.
/// struct Grid {
///     space: Space,
///     history: History,
/// }
///
/// impl Searcher for Grid {
///     fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError> {
///         let point = |i| Point(vec![Value::Integer(i)]);
///         let is_free = |point: &Point| !self.history.has(&self.space, point) && !is_taken(point);
///         let point = (0..=9).map(point).find(is_free).ok_or(SearchError::Exhausted)?;
///         self.history.register(&self.space, trial, point.clone())?;
///         Ok(point)
///     }
///
///     fn space(&self) -> &Space {
///         &self.space
///     }
///
///     fn history(&self) -> &History {
///         &self.history
///     }
///
///     fn history_mut(&mut self) -> (&Space, &mut History) {
///         (&self.space, &mut self.history)
///     }
/// }
///
/// let mut grid = Grid { space: Space::new().integer("x", 0, 9)?, history: History::default() };
/// for trial in 0..10 {
///     let x = grid.ask(trial)?[0].integer().unwrap_or_default();
///     grid.tell(trial, Outcome::Cost((x as f64 - 6.2).abs()))?;
/// }
/// assert_eq!(grid.incumbent()?, Some(6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Searcher: Send {
    /// Proposes a point for a new trial, which is then pending. The point is in canonical form and differs from
    /// the points of all other trials.
    ///
    /// # Errors
    /// If the trial exists, or no points are left.
    fn ask(&mut self, trial: u64) -> Result<Point, SearchError> {
        self.ask_unless(trial, &|_| false)
    }

    /// Does the same, but avoids points that are taken: those equivalent to another trial's in a way that the
    /// space cannot tell.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask); a space in which nearly everything is taken counts as having no points left.
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError>;

    /// Returns the space of its points.
    fn space(&self) -> &Space;

    /// Returns all known trials.
    fn history(&self) -> &History;

    /// Returns the space and the trials, to add to them.
    fn history_mut(&mut self) -> (&Space, &mut History);

    /// Adds a point as a pending trial without proposing it, for example a proposal read back from a journal.
    ///
    /// # Errors
    /// If the trial exists or the point does not belong to the space.
    fn register(&mut self, trial: u64, point: Point) -> Result<(), SearchError> {
        let (space, history) = self.history_mut();
        history.register(space, trial, point)
    }

    /// Reports how a pending trial ended.
    ///
    /// # Errors
    /// If the trial is unknown or already has an outcome, or the cost is not finite.
    fn tell(&mut self, trial: u64, outcome: Outcome) -> Result<(), SearchError> {
        self.history_mut().1.tell(trial, outcome)
    }

    /// Returns the trial to recommend: among those with a cost, the one with the lowest cost in the searcher's
    /// judgement. By default, that is the lowest observed cost.
    ///
    /// # Errors
    /// If the surrogate cannot be fitted.
    fn incumbent(&self) -> Result<Option<u64>, SearchError> {
        Ok(self.history().costs().min_by(|a, b| a.2.total_cmp(&b.2)).map(|(trial, ..)| trial))
    }

    /// Returns the largest expected improvement over the incumbent that the searcher finds for a new trial, in the
    /// unit of the costs. This is what is left to gain, for comparison with the noise of the costs. `None` if
    /// there is no expectation yet: during the initial points, and for methods without a surrogate.
    ///
    /// # Errors
    /// If the surrogate cannot be fitted.
    fn prospect(&self, _trial: u64) -> Result<Option<f64>, SearchError> {
        Ok(None)
    }

    /// Returns how the searcher's own model stood as trials came, for methods whose model decides by itself what to
    /// propose; empty for others.
    fn course(&self) -> Vec<Learnt> {
        Vec::new()
    }

    /// Records the outcome of a point that this searcher did not propose, such as a baseline or prior knowledge.
    /// It does not use up an initial point, unless it is one.
    ///
    /// # Errors
    /// If the trial exists, the point does not belong to the space, or the cost is not finite.
    fn observe(&mut self, trial: u64, point: Point, outcome: Outcome) -> Result<(), SearchError> {
        history::check_outcome(trial, outcome)?;
        self.register(trial, point)?;
        self.tell(trial, outcome)
    }

    /// Returns the trials with an outcome, in numerical order.
    fn finished(&self) -> Vec<(u64, &Point, Outcome)> {
        self.history().finished().collect()
    }
}
