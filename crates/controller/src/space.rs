//! The search space: named parameters, each with a domain and, optionally, a condition under which it matters.

mod columns;
mod distinct;
mod domain;
mod enumeration;
mod exchange;

use std::hash::Hash;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub(crate) use self::columns::Columns;
pub use self::{domain::Domain, exchange::Place};
use crate::{
    error::{PointError, SpaceError},
    point::{Point, Value},
};

/// When a parameter matters: its parent is itself active and has one of these choices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Position of the categorical parent in the space, smaller than that of the child.
    pub parent: usize,
    /// Positions of the parent's choices under which the child is active.
    pub choices: Vec<usize>,
}

/// One parameter of a [`Space`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The name, unique in the space.
    pub name: String,
    /// The values it may take.
    pub domain: Domain,
    /// When it matters; always, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The exchangeable group it belongs to; none, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The group it belongs to among groups that must not repeat one another; none, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<Place>,
}

/// A mixed search space.
///
/// A parameter may be conditional ([`active_when`](Self::active_when)). Where it is inactive its value has no
/// meaning: two points that differ only there are the same point, and the surrogate never sees the value.
///
/// Groups of parameters may be exchangeable ([`exchangeable`](Self::exchangeable)): points that differ only in the
/// order of the groups are also the same point. And they may be distinct ([`distinct`](Self::distinct)): a group
/// that repeats another group's choice does not matter.
///
/// ```
/// use deepaug_controller::Space;
///
/// let space = Space::new()
///     .categorical("solver", ["direct", "iterative"])?
///     .real("tolerance", 1e-9, 1e-3)?
///     .integer("threads", 1, 8)?
///     .active_when("tolerance", "solver", ["iterative"])?;
/// assert_eq!(space.parameters().len(), 3);
/// assert_eq!(space.index_of("threads"), Some(2));
/// # Ok::<(), deepaug_controller::SpaceError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Parameter>", into = "Vec<Parameter>")]
pub struct Space {
    parameters: Vec<Parameter>,
    /// Sets of exchangeable groups of positions; derived from the parameters, as are the next two.
    exchangeable: Vec<Vec<Vec<usize>>>,
    /// Sets of distinct groups of positions.
    distinct: Vec<Vec<Vec<usize>>>,
    /// For each parameter, the earlier ones whose choice it must not repeat.
    rivals: Vec<Vec<usize>>,
}

/// What identifies a point: the bits of all active values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key(Vec<u64>);

impl Space {
    /// Creates a space without parameters, to which declarations are chained.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares a categorical parameter. The order of the choices has no meaning.
    ///
    /// # Errors
    /// If the name is taken, there are no choices, or a choice is repeated.
    pub fn categorical<C: Into<String>>(
        self,
        name: impl Into<String>,
        choices: impl IntoIterator<Item = C>,
    ) -> Result<Self, SpaceError> {
        let choices = choices.into_iter().map(Into::into).collect();
        self.with(name, Domain::Categorical { choices })
    }

    /// Declares a real parameter, between `low` and `high` inclusive.
    ///
    /// # Errors
    /// If the name is taken, or the bounds are not finite with `low < high`.
    pub fn real(self, name: impl Into<String>, low: f64, high: f64) -> Result<Self, SpaceError> {
        self.with(name, Domain::Real { low, high })
    }

    /// Declares an integer parameter, between `low` and `high` inclusive.
    ///
    /// # Errors
    /// If the name is taken, or `low < high` does not hold.
    pub fn integer(self, name: impl Into<String>, low: i64, high: i64) -> Result<Self, SpaceError> {
        self.with(name, Domain::Integer { low, high })
    }

    /// Makes the parameter `name` matter only where the categorical `parent`, declared before it, is active and
    /// has one of `choices`. With no choices, the parameter never matters.
    ///
    /// # Errors
    /// If a name or choice is unknown, the parent is not categorical or is declared later, or `name` already has a
    /// condition.
    pub fn active_when<C: AsRef<str>>(
        mut self,
        name: &str,
        parent: &str,
        choices: impl IntoIterator<Item = C>,
    ) -> Result<Self, SpaceError> {
        let find = |name: &str| self.index_of(name).ok_or_else(|| SpaceError::UnknownParameter(name.into()));
        let (child, parent_index) = (find(name)?, find(parent)?);
        if self.parameters[child].condition.is_some() {
            return Err(SpaceError::SecondCondition(name.into()));
        }
        let Domain::Categorical { choices: known } = &self.parameters[parent_index].domain else {
            return Err(SpaceError::ParentNotCategorical(parent.into()));
        };
        let choices = choices
            .into_iter()
            .map(|choice| {
                let choice = choice.as_ref();
                known
                    .iter()
                    .position(|name| name == choice)
                    .ok_or_else(|| SpaceError::UnknownChoice { parent: parent.into(), choice: choice.into() })
            })
            .collect::<Result<_, _>>()?;
        self.parameters[child].condition = Some(Condition { parent: parent_index, choices });
        self.check_parameter(child)?;
        Ok(self)
    }

    /// Returns the parameters in declaration order, which is the order of a point's values.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Returns the position of a parameter.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|parameter| parameter.name == name)
    }

    /// Checks that a point belongs to the space. Inactive values must be in their domains too.
    ///
    /// # Errors
    /// The first value that does not fit, or a wrong number of values.
    pub fn check(&self, point: &Point) -> Result<(), PointError> {
        if point.len() != self.parameters.len() {
            return Err(PointError::Length { expected: self.parameters.len(), found: point.len() });
        }
        self.parameters
            .iter()
            .zip(point.iter())
            .try_for_each(|(parameter, &value)| parameter.domain.check(&parameter.name, value))
    }

    /// Draws every parameter uniformly and independently, then brings the point to its
    /// [`canonical`](Self::canonical) form.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Point {
        let mut point = Point(self.parameters.iter().map(|parameter| parameter.domain.at(rng.random())).collect());
        self.settle(&mut point);
        point
    }

    /// Returns which parameters matter at a point.
    ///
    /// # Errors
    /// If the point does not belong to the space.
    pub fn active(&self, point: &Point) -> Result<Vec<bool>, PointError> {
        self.check(point)?;
        Ok(self.mask(point))
    }

    /// Returns the point with every inactive value replaced by a placeholder (the first choice, the middle of the
    /// range, the repeated choice), distinct groups that repeat others last, and exchangeable groups sorted. Two
    /// points mean the same if and only if their canonical forms are equal.
    ///
    /// # Errors
    /// If the point does not belong to the space.
    ///
    /// ```
    /// use deepaug_controller::{Point, Space, Value};
    ///
    /// let space = Space::new()
    ///     .categorical("op", ["invert", "rotate"])?
    ///     .real("magnitude", 0.0, 1.0)?
    ///     .active_when("magnitude", "op", ["rotate"])?;
    /// let inverted = |m| Point(vec![Value::Category(0), Value::Real(m)]);
    /// assert_eq!(space.canonical(&inverted(0.1))?, space.canonical(&inverted(0.9))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn canonical(&self, point: &Point) -> Result<Point, PointError> {
        self.check(point)?;
        let mut point = point.clone();
        self.settle(&mut point);
        Ok(point)
    }

    // The functions below take only checked points.

    pub(crate) fn mask(&self, point: &[Value]) -> Vec<bool> {
        let mut mask = Vec::with_capacity(self.parameters.len());
        for (index, parameter) in self.parameters.iter().enumerate() {
            // A parent comes before its child, so its entry exists.
            let applies = parameter.condition.as_ref().is_none_or(|condition| {
                mask[condition.parent]
                    && point[condition.parent].category().is_some_and(|choice| condition.choices.contains(&choice))
            });
            mask.push(applies && !self.repeats(point, index));
        }
        mask
    }

    /// Whether a parameter repeats the choice of one that it must differ from.
    pub(crate) fn repeats(&self, point: &[Value], index: usize) -> bool {
        self.rivals[index].iter().any(|&rival| point[rival] == point[index])
    }

    /// Returns the parameters that repeat the choice of a parameter.
    pub(crate) fn repeating<'a>(&'a self, point: &'a [Value], index: usize) -> impl Iterator<Item = usize> + 'a {
        (index + 1..self.rivals.len())
            .filter(move |&other| self.rivals[other].contains(&index) && point[other] == point[index])
    }

    /// Whether the value of one parameter can decide whether another matters.
    pub(crate) fn has_conditions(&self) -> bool {
        !self.distinct.is_empty() || self.parameters.iter().any(|parameter| parameter.condition.is_some())
    }

    pub(crate) fn settle(&self, point: &mut Point) {
        distinct::gather(&self.distinct, point);
        let mask = self.mask(point);
        for (index, parameter) in self.parameters.iter().enumerate().filter(|&(index, _)| !mask[index]) {
            point.0[index] = match (self.rivals[index].first(), parameter.domain.at(0.5)) {
                (Some(&first), _) => point[first],
                (None, Value::Category(_)) => Value::Category(0),
                (None, middle) => middle,
            };
        }
        exchange::sort(&self.exchangeable, point);
    }

    pub(crate) fn key(&self, point: &Point) -> Key {
        let mut point = point.clone();
        self.settle(&mut point);
        Key(point
            .iter()
            .map(|value| match *value {
                Value::Category(choice) => choice as u64,
                Value::Real(value) => (value + 0.0).to_bits(), // +0.0 turns -0.0 into 0.0
                Value::Integer(value) => value as u64,
            })
            .collect())
    }

    fn with(mut self, name: impl Into<String>, domain: Domain) -> Result<Self, SpaceError> {
        self.parameters.push(Parameter { name: name.into(), domain, condition: None, place: None, distinct: None });
        self.rivals.push(Vec::new());
        self.check_parameter(self.parameters.len() - 1)?;
        Ok(self)
    }

    /// Computes what follows from the parameters.
    fn derive(&mut self) -> Result<(), SpaceError> {
        self.distinct = distinct::sets(&self.parameters)?;
        self.rivals = distinct::rivals(&self.distinct, self.parameters.len());
        self.exchangeable = exchange::sets(&self.parameters)?;
        Ok(())
    }

    fn check_parameter(&self, index: usize) -> Result<(), SpaceError> {
        let Parameter { name, domain, condition, .. } = &self.parameters[index];
        if self.parameters[..index].iter().any(|earlier| earlier.name == *name) {
            return Err(SpaceError::DuplicateName(name.clone()));
        }
        domain.check_bounds(name)?;
        let Some(condition) = condition else { return Ok(()) };
        let Some(parent) = self.parameters.get(condition.parent) else {
            return Err(SpaceError::UnknownParameter(format!("number {}", condition.parent)));
        };
        if condition.parent >= index {
            return Err(SpaceError::ParentAfterChild { child: name.clone(), parent: parent.name.clone() });
        }
        let Domain::Categorical { choices } = &parent.domain else {
            return Err(SpaceError::ParentNotCategorical(parent.name.clone()));
        };
        match condition.choices.iter().find(|&&choice| choice >= choices.len()) {
            Some(choice) => {
                Err(SpaceError::UnknownChoice { parent: parent.name.clone(), choice: format!("number {choice}") })
            }
            None => Ok(()),
        }
    }
}

impl TryFrom<Vec<Parameter>> for Space {
    type Error = SpaceError;

    fn try_from(parameters: Vec<Parameter>) -> Result<Self, SpaceError> {
        let mut space = Self { parameters, ..Self::default() };
        (0..space.parameters.len()).try_for_each(|index| space.check_parameter(index))?;
        space.derive()?;
        Ok(space)
    }
}

impl From<Space> for Vec<Parameter> {
    fn from(space: Space) -> Self {
        space.parameters
    }
}
