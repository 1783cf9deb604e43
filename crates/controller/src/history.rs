//! What a searcher knows: its trials, each with its point and, once reported, its outcome.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    error::SearchError,
    point::Point,
    space::{Key, Space},
};

/// How a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has a finite cost; lower is better.
    Cost(f64),
    /// It has no cost. Its point is not proposed again, and the surrogate uses the worst cost seen so far for it.
    Failed,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The point of the trial, in canonical form.
    pub point: Point,
    /// How it ended; absent while it is pending.
    pub outcome: Option<Outcome>,
}

/// The trials of a search by number. Searchers read them in numerical order, so the order of the reports does not
/// matter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    trials: BTreeMap<u64, Trial>,
    /// The keys of the points of this many trials: all of them, unless the history was deserialised.
    #[serde(skip)]
    keys: (usize, HashSet<Key>),
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.trials == other.trials
    }
}

impl History {
    /// Returns all trials, in numerical order.
    pub fn trials(&self) -> impl Iterator<Item = (u64, &Trial)> {
        self.trials.iter().map(|(&number, trial)| (number, trial))
    }

    /// Returns one trial.
    pub fn trial(&self, number: u64) -> Option<&Trial> {
        self.trials.get(&number)
    }

    /// Returns the trials with an outcome, in numerical order.
    pub fn finished(&self) -> impl Iterator<Item = (u64, &Point, Outcome)> {
        self.trials().filter_map(|(number, trial)| Some((number, &trial.point, trial.outcome?)))
    }

    /// Returns the trials without an outcome, in numerical order.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &Point)> {
        self.trials().filter(|(_, trial)| trial.outcome.is_none()).map(|(number, trial)| (number, &trial.point))
    }

    /// Returns the trials with a cost, in numerical order.
    pub fn costs(&self) -> impl Iterator<Item = (u64, &Point, f64)> {
        self.finished().filter_map(|(number, point, outcome)| match outcome {
            Outcome::Cost(cost) => Some((number, point, cost)),
            Outcome::Failed => None,
        })
    }

    pub(crate) fn check_new(&self, trial: u64) -> Result<(), SearchError> {
        if self.trials.contains_key(&trial) { Err(SearchError::TrialExists(trial)) } else { Ok(()) }
    }

    /// Adds a point as a pending trial.
    ///
    /// # Errors
    /// If the trial exists or the point does not belong to the space.
    pub fn register(&mut self, space: &Space, trial: u64, point: Point) -> Result<(), SearchError> {
        self.check_new(trial)?;
        let point = space.canonical(&point)?;
        if self.keys.0 < self.trials.len() {
            self.keys = (self.trials.len(), self.known(space).into_owned());
        }
        self.keys.0 += 1;
        self.keys.1.insert(space.key(&point));
        self.trials.insert(trial, Trial { point, outcome: None });
        Ok(())
    }

    /// Reports how a pending trial ended.
    ///
    /// # Errors
    /// If the trial is unknown or already has an outcome, or the cost is not finite.
    pub fn tell(&mut self, number: u64, outcome: Outcome) -> Result<(), SearchError> {
        check_outcome(number, outcome)?;
        let trial = self.trials.get_mut(&number).ok_or(SearchError::UnknownTrial(number))?;
        if trial.outcome.is_some() {
            return Err(SearchError::AlreadyTold(number));
        }
        trial.outcome = Some(outcome);
        Ok(())
    }

    /// Checks a history that was deserialised.
    pub(crate) fn check(&self, space: &Space) -> Result<(), SearchError> {
        self.trials().try_for_each(|(number, trial)| {
            space.check(&trial.point)?;
            trial.outcome.map_or(Ok(()), |outcome| check_outcome(number, outcome))
        })
    }

    /// Whether a trial has this point, or an equivalent one.
    pub fn has(&self, space: &Space, point: &Point) -> bool {
        self.known(space).contains(&space.key(point))
    }

    /// Returns the points that must not be proposed: evaluated, failed or pending.
    pub(crate) fn known(&self, space: &Space) -> Cow<'_, HashSet<Key>> {
        match self.keys.0 == self.trials.len() {
            true => Cow::Borrowed(&self.keys.1),
            false => Cow::Owned(self.trials.values().map(|trial| space.key(&trial.point)).collect()),
        }
    }
}

pub(crate) fn check_outcome(trial: u64, outcome: Outcome) -> Result<(), SearchError> {
    match outcome {
        Outcome::Cost(cost) if !cost.is_finite() => Err(SearchError::CostNotFinite { trial, cost }),
        _ => Ok(()),
    }
}
