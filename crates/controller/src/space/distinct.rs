//! Groups of parameters in which a group does not count if it repeats the choice of another.

use super::{Parameter, Space, exchange};
use crate::{
    error::SpaceError,
    point::{Point, Value},
};

impl Space {
    /// Declares that a group does not count if its first parameter, which must be categorical, repeats the choice
    /// of an earlier group's, in declaration order. Groups must be alike: the same domains and conditions in the
    /// same order. A space may have several such sets of groups.
    ///
    /// # Errors
    /// If a name is unknown, the groups are not alike, there are fewer than two, a condition refers outside its
    /// group, or the first parameter of a group is not categorical or has a condition.
    ///
    /// ```
    /// use deepaug_controller::{Point, Space, Value};
    ///
    /// let space = Space::new()
    ///     .categorical("first step", ["grind", "boil"])?
    ///     .categorical("second step", ["grind", "boil"])?
    ///     .distinct([["first step"], ["second step"]])?;
    /// let point = |a, b| Point(vec![Value::Category(a), Value::Category(b)]);
    /// assert_eq!(space.active(&point(1, 1))?, [true, false]); // only boiled
    /// assert_eq!(space.size(), Some(4));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn distinct<N: AsRef<str>>(
        mut self,
        groups: impl IntoIterator<Item = impl IntoIterator<Item = N>>,
    ) -> Result<Self, SpaceError> {
        let set = self.distinct.len();
        self.group(set, groups, |parameter| &mut parameter.distinct, SpaceError::NotDistinct)?;
        Ok(self)
    }
}

/// Returns the positions of each set's groups, checked.
pub(super) fn sets(parameters: &[Parameter]) -> Result<Vec<Vec<Vec<usize>>>, SpaceError> {
    let sets = exchange::alike(parameters, |parameter| parameter.distinct, SpaceError::NotDistinct)?;
    for first in sets.iter().flatten().map(|group| &parameters[group[0]]) {
        if first.domain.choices().is_none() || first.condition.is_some() {
            return Err(SpaceError::NotDistinct(first.name.clone()));
        }
    }
    Ok(sets)
}

/// Returns, for each of `count` parameters, those whose choice it must not repeat.
pub(super) fn rivals(sets: &[Vec<Vec<usize>>], count: usize) -> Vec<Vec<usize>> {
    let mut rivals = vec![Vec::new(); count];
    for groups in sets {
        let firsts: Vec<usize> = groups.iter().map(|group| group[0]).collect();
        firsts.iter().enumerate().for_each(|(place, &first)| rivals[first] = firsts[..place].to_vec());
    }
    rivals
}

/// Moves groups that repeat others behind those that do not.
pub(super) fn gather(sets: &[Vec<Vec<usize>>], point: &mut Point) {
    for groups in sets {
        let values = |group: &Vec<usize>| group.iter().map(|&index| point[index]).collect::<Vec<_>>();
        let (mut held, mut repeated): (Vec<Vec<Value>>, Vec<Vec<Value>>) = Default::default();
        for group in groups.iter().map(values) {
            let is_new = held.iter().all(|other| other[0] != group[0]);
            if is_new { held.push(group) } else { repeated.push(group) }
        }
        let all = held.into_iter().chain(repeated).flatten();
        groups.iter().flatten().zip(all).for_each(|(&index, value)| point.0[index] = value);
    }
}
