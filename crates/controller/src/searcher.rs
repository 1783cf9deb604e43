//! Ask and tell: the interface of all search methods.

use crate::{
    error::SearchError,
    history::{self, History, Outcome},
    point::Point,
    space::Space,
};

/// A search method: it proposes points and is told what they cost, lower is better.
///
/// Trial numbers are the caller's. A proposal is a function of the space, the settings, the seed, its trial number and
/// the trials known so far, and of nothing else. So a search goes on as if never interrupted when its events are given again
/// to a new searcher: [`register`](Self::register) for a trial that was proposed, [`tell`](Self::tell) for its outcome, or
/// [`observe`](Self::observe) for both; or when a [`Snapshot`](crate::Snapshot) is restored. Trials are read in the order of
/// their numbers, so the order of the events between two proposals does not matter.
///
/// A refused request leaves the searcher as it was.
///
/// Other crates can implement it: a [`History`] keeps the trials and refuses what is wrong, and what is left is to propose a point.
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
    /// Proposes a point for a new trial, which is pending from then on. The point is in canonical form and is no point of
    /// another trial.
    ///
    /// # Errors
    /// If the trial exists, or no point is left.
    fn ask(&mut self, trial: u64) -> Result<Point, SearchError> {
        self.ask_unless(trial, &|_| false)
    }

    /// The same, but for points that are taken: those that come to the same as another trial's though the space cannot tell.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); a space in which nearly all is taken counts as one in which no point is left.
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError>;

    /// The space of its points.
    fn space(&self) -> &Space;

    /// All trials known.
    fn history(&self) -> &History;

    /// The same, to be added to.
    fn history_mut(&mut self) -> (&Space, &mut History);

    /// Makes a point a pending trial without proposing it: a proposal read back from a journal, say.
    ///
    /// # Errors
    /// If the trial exists or the point is not of the space.
    fn register(&mut self, trial: u64, point: Point) -> Result<(), SearchError> {
        let (space, history) = self.history_mut();
        history.register(space, trial, point)
    }

    /// Reports how a pending trial ended.
    ///
    /// # Errors
    /// If the trial is unknown or was told before, or the cost is not finite.
    fn tell(&mut self, trial: u64, outcome: Outcome) -> Result<(), SearchError> {
        self.history_mut().1.tell(trial, outcome)
    }

    /// The trial to be recommended: the one with the lowest cost in the searcher's judgement, of those with a cost. Unless a
    /// searcher knows better, that with the lowest cost told.
    ///
    /// # Errors
    /// If the surrogate cannot be fitted.
    fn incumbent(&self) -> Result<Option<u64>, SearchError> {
        Ok(self.history().costs().min_by(|a, b| a.2.total_cmp(&b.2)).map(|(trial, ..)| trial))
    }

    /// The largest expected improvement on the incumbent that the searcher finds for a new trial, in the unit of the costs:
    /// what there is left to gain, to be set against the noise of the costs. `None` where nothing is expected yet: before the
    /// initial points are through, and by a method without a surrogate.
    ///
    /// # Errors
    /// If the surrogate cannot be fitted.
    fn prospect(&self, _trial: u64) -> Result<Option<f64>, SearchError> {
        Ok(None)
    }

    /// Records the outcome of a point that this searcher did not propose: a baseline, prior knowledge. It does not use up an
    /// initial point, unless it is one.
    ///
    /// # Errors
    /// If the trial exists, the point is not of the space, or the cost is not finite.
    fn observe(&mut self, trial: u64, point: Point, outcome: Outcome) -> Result<(), SearchError> {
        history::check_outcome(trial, outcome)?;
        self.register(trial, point)?;
        self.tell(trial, outcome)
    }

    /// The trials with an outcome, in the order of their numbers.
    fn finished(&self) -> Vec<(u64, &Point, Outcome)> {
        self.history().finished().collect()
    }
}
