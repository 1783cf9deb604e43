//! Groups of parameters whose order does not matter.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Parameter, Space};
use crate::{
    error::SpaceError,
    point::{Point, Value},
};

/// The group that a parameter belongs to, among several that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The number of the set of groups, from zero.
    pub set: usize,
    /// The number of the group in its set, from zero.
    pub group: usize,
}

impl Space {
    /// Declares that the cost does not depend on the order of these groups of parameters: exchanging the values of
    /// two groups gives the same point. Groups must be alike: the same domains and conditions in the same order. A
    /// space may have several such sets of groups.
    ///
    /// The surrogate then sees what the groups contain and not where, which makes much better use of few
    /// evaluations.
    ///
    /// # Errors
    /// If a name is unknown, the groups are not alike, there are fewer than two, or a condition refers outside its
    /// group.
    ///
    /// ```
    /// use deepaug_controller::{Point, Space, Value};
    ///
    /// let space = Space::new()
    ///     .categorical("first spice", ["salt", "pepper", "cumin"])?
    ///     .categorical("second spice", ["salt", "pepper", "cumin"])?
    ///     .exchangeable([["first spice"], ["second spice"]])?;
    /// let point = |a, b| Point(vec![Value::Category(a), Value::Category(b)]);
    /// assert_eq!(space.canonical(&point(2, 0))?, space.canonical(&point(0, 2))?);
    /// assert_eq!(space.size(), Some(6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exchangeable<N: AsRef<str>>(
        mut self,
        groups: impl IntoIterator<Item = impl IntoIterator<Item = N>>,
    ) -> Result<Self, SpaceError> {
        let set = self.exchangeable.len();
        self.group(set, groups, |parameter| &mut parameter.place, SpaceError::NotExchangeable)?;
        Ok(self)
    }

    /// Makes parameters members of the groups of a set.
    pub(super) fn group<N: AsRef<str>>(
        &mut self,
        set: usize,
        groups: impl IntoIterator<Item = impl IntoIterator<Item = N>>,
        place: impl Fn(&mut Parameter) -> &mut Option<Place>,
        error: impl Fn(String) -> SpaceError,
    ) -> Result<(), SpaceError> {
        for (group, names) in groups.into_iter().enumerate() {
            for name in names {
                let name = name.as_ref();
                let index = self.index_of(name).ok_or_else(|| SpaceError::UnknownParameter(name.into()))?;
                if place(&mut self.parameters[index]).replace(Place { set, group }).is_some() {
                    return Err(error(name.into()));
                }
            }
        }
        self.derive()
    }
}

/// Returns the positions of each set's groups, checked to be alike.
pub(super) fn sets(parameters: &[Parameter]) -> Result<Vec<Vec<Vec<usize>>>, SpaceError> {
    let sets = alike(parameters, |parameter| parameter.place, SpaceError::NotExchangeable)?;
    // Groups that are exchanged also take one another's places in sets of distinct ones.
    let group = |index: usize| parameters[index].distinct.map(|place| place.group);
    for groups in &sets {
        let differs = |(&index, &model): (&usize, &usize)| (group(index) != group(model)).then_some(index);
        if let Some(index) = groups.iter().find_map(|other| other.iter().zip(&groups[0]).find_map(differs)) {
            return Err(SpaceError::NotExchangeable(parameters[index].name.clone()));
        }
    }
    Ok(sets)
}

/// Returns the positions of the groups that parameters belong to, checked to be alike.
pub(super) fn alike(
    parameters: &[Parameter],
    place: impl Fn(&Parameter) -> Option<Place>,
    error: impl Fn(String) -> SpaceError,
) -> Result<Vec<Vec<Vec<usize>>>, SpaceError> {
    let mut sets: Vec<Vec<Vec<usize>>> = Vec::new();
    let wrong = |index: usize| error(parameters[index].name.clone());
    for (index, parameter) in parameters.iter().enumerate() {
        let Some(Place { set, group }) = place(parameter) else { continue };
        // Numbers beyond the parameter count leave some other group empty, and must not exhaust memory.
        if set >= parameters.len() || group >= parameters.len() {
            return Err(wrong(index));
        }
        sets.resize_with(sets.len().max(set + 1), Vec::new);
        let length = sets[set].len().max(group + 1);
        sets[set].resize_with(length, Vec::new);
        sets[set][group].push(index);
    }
    for groups in &sets {
        let Some(first) = groups.iter().flatten().next() else {
            let any = parameters.iter().position(|parameter| place(parameter).is_some());
            return Err(any.map_or_else(|| error(String::new()), wrong));
        };
        if groups.len() < 2 {
            return Err(wrong(*first));
        }
        for group in groups {
            if group.len() != groups[0].len() {
                return Err(wrong(*group.first().unwrap_or(first)));
            }
            for (&index, &model) in group.iter().zip(&groups[0]) {
                // The condition, with its parent given by its position in the group; none if the parent is
                // outside.
                let relative = |index: usize, group: &[usize]| match &parameters[index].condition {
                    None => Some(None),
                    Some(condition) => group
                        .iter()
                        .position(|&other| other == condition.parent)
                        .map(|parent| Some((parent, condition.choices.clone()))),
                };
                let condition = relative(index, group);
                if condition.is_none()
                    || condition != relative(model, &groups[0])
                    || parameters[index].domain != parameters[model].domain
                {
                    return Err(wrong(index));
                }
            }
        }
    }
    // A parameter outside must not depend on one inside, or its activity would depend on the order.
    let inside = |index: usize| place(&parameters[index]).is_some();
    let reaches_in = |&index: &usize| {
        !inside(index) && parameters[index].condition.as_ref().is_some_and(|condition| inside(condition.parent))
    };
    match (0..parameters.len()).find(reaches_in) {
        Some(index) => Err(wrong(index)),
        None => Ok(sets),
    }
}

/// Sorts the groups of each set by their values.
pub(super) fn sort(sets: &[Vec<Vec<usize>>], point: &mut Point) {
    for groups in sets {
        let values = |group: &Vec<usize>| group.iter().map(|&index| point[index]).collect::<Vec<_>>();
        let mut held: Vec<Vec<Value>> = groups.iter().map(values).collect();
        held.sort_by(|a, b| {
            a.iter().zip(b).map(|(a, b)| compare(*a, *b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        });
        for (&index, value) in groups.iter().flatten().zip(held.into_iter().flatten()) {
            point.0[index] = value;
        }
    }
}

fn compare(a: Value, b: Value) -> Ordering {
    match (a, b) {
        (Value::Category(a), Value::Category(b)) => a.cmp(&b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(&b),
        // -0.0 and 0.0 are one value.
        (Value::Real(a), Value::Real(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
        _ => Ordering::Equal, // values of one domain are of one kind
    }
}
