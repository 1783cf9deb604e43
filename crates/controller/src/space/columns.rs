//! The space as the surrogate sees it: a row of numbers per point.

use super::{Domain, Parameter, Space};
use crate::{
    forest::FeatureKind,
    point::{Point, Value},
};

/// Placeholder for a number that does not matter at a point: outside [0, 1], so that one split can separate it.
const INACTIVE: f64 = -1.0;

/// Categorical parameters that share a list of choices, such as several places for an op, and the numbers that
/// belong to each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pool {
    /// Positions of the categorical parameters.
    pub(crate) members: Vec<usize>,
    /// For each member, the positions of the numbers conditioned on it; the same count for each.
    pub(crate) numbers: Vec<Vec<usize>>,
    choices: usize,
}

/// The columns of the surrogate's rows.
///
/// A parameter has its own columns unless it is exchangeable: a category for each choice and one for "inactive";
/// numbers scaled to [0, 1], or -1 where inactive. A pool of parameters with the same choices has, for each
/// choice, one column that counts it and one for the mean of each number that belongs to it: "how often, and how
/// strongly". So what is learnt about a choice in one place helps in all of them, and the order of exchangeable
/// groups is invisible.
///
/// On the `policies` benchmark (twenty parameters in five exchangeable groups), the correlation of a forest's
/// predictions with the truth is 0.66 after 50 points against 0.15 with the parameters alone, and 0.81 against
/// 0.35 after 300; on functions whose places share nothing but the list, pools change it by less than 0.02.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Columns<'a> {
    space: &'a Space,
    /// Positions of the parameters with their own column.
    own: Vec<usize>,
    pools: Vec<Pool>,
    kinds: Vec<FeatureKind>,
    /// The number of values that [`effects`](Self::effects) appends.
    pub(crate) effect_count: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(space: &'a Space) -> Self {
        let pools = pools(space);
        let pooled = |index: &usize| {
            pools.iter().any(|pool| pool.members.contains(index) || pool.numbers.iter().flatten().any(|n| n == index))
        };
        // Exchangeable parameters without a pool keep their columns; their groups are at least sorted.
        let own = (0..space.parameters.len()).filter(|i| space.parameters[*i].place.is_none() || !pooled(i)).collect();
        let mut columns = Self { space, own, pools, kinds: Vec::new(), effect_count: 0 };
        (columns.kinds, columns.effect_count) = (columns.count_kinds(), columns.count_effects());
        columns
    }

    /// Returns the kind of each number in a row.
    pub(crate) fn kinds(&self) -> &[FeatureKind] {
        &self.kinds
    }

    pub(crate) fn pools(&self) -> &[Pool] {
        &self.pools
    }

    fn count_kinds(&self) -> Vec<FeatureKind> {
        let own = self.own.iter().map(|&index| match &self.space.parameters[index].domain {
            Domain::Categorical { choices } => FeatureKind::Categorical(choices.len() + 1),
            Domain::Real { .. } | Domain::Integer { .. } => FeatureKind::Continuous,
        });
        let pooled = self.pools.iter().map(|pool| pool.choices * (1 + pool.numbers[0].len())).sum();
        own.chain(std::iter::repeat_n(FeatureKind::Continuous, pooled)).collect()
    }

    /// Appends the row of a point in canonical form.
    pub(crate) fn encode(&self, point: &Point, row: &mut Vec<f64>) {
        let mask = self.space.mask(point);
        row.extend(self.own.iter().map(|&index| match (&self.space.parameters[index].domain, mask[index]) {
            (Domain::Categorical { choices }, false) => choices.len() as f64,
            (_, false) => INACTIVE,
            (domain, true) => domain.to_feature(point[index]),
        }));
        for pool in &self.pools {
            let width = 1 + pool.numbers[0].len();
            let start = row.len();
            row.resize(start + pool.choices * width, 0.0);
            let columns = &mut row[start..];
            for (&member, numbers) in pool.members.iter().zip(&pool.numbers) {
                let (true, Value::Category(choice)) = (mask[member], point[member]) else { continue };
                let columns = &mut columns[choice * width..][..width];
                columns[0] += 1.0;
                for (sum, &number) in columns[1..].iter_mut().zip(numbers) {
                    // Either all or none of a choice's numbers are active.
                    *sum += if mask[number] {
                        self.space.parameters[number].domain.to_feature(point[number])
                    } else {
                        INACTIVE
                    };
                }
            }
            for choice in columns.chunks_exact_mut(width) {
                let (count, sums) = choice.split_at_mut(1);
                sums.iter_mut().for_each(|sum| *sum = if count[0] > 0.0 { *sum / count[0] } else { INACTIVE });
            }
        }
    }
}

impl Columns<'_> {
    fn count_effects(&self) -> usize {
        let own = self.own.iter().map(|&index| match &self.space.parameters[index].domain {
            Domain::Categorical { choices } => choices.len(),
            Domain::Real { .. } | Domain::Integer { .. } => 2,
        });
        let pooled = self.pools.iter().map(|pool| pool.choices * (1 + 2 * pool.numbers[0].len()));
        own.sum::<usize>() + pooled.sum::<usize>()
    }

    /// Appends the terms in which an additive model of the cost is linear: for each choice, whether it is chosen
    /// or, in a pool, how often; for each number, scaled to [-1, 1], itself and its square, summed over a pool.
    /// Zero where inactive.
    pub(crate) fn effects(&self, point: &Point, row: &mut Vec<f64>) {
        let mask = self.space.mask(point);
        let scaled = |index: usize| 2.0 * self.space.parameters[index].domain.to_feature(point[index]) - 1.0;
        for &index in &self.own {
            match (&self.space.parameters[index].domain, point[index]) {
                (Domain::Categorical { choices }, Value::Category(chosen)) => {
                    let active = mask[index];
                    row.extend((0..choices.len()).map(|choice| f64::from(active && choice == chosen)));
                }
                _ if mask[index] => row.extend([scaled(index), scaled(index).powi(2)]),
                _ => row.extend([0.0, 0.0]),
            }
        }
        for pool in &self.pools {
            let width = 1 + 2 * pool.numbers[0].len();
            let start = row.len();
            row.resize(start + pool.choices * width, 0.0);
            for (&member, numbers) in pool.members.iter().zip(&pool.numbers) {
                let (true, Value::Category(choice)) = (mask[member], point[member]) else { continue };
                let effects = &mut row[start + choice * width..][..width];
                effects[0] += 1.0;
                for (powers, &number) in effects[1..].chunks_exact_mut(2).zip(numbers).filter(|(_, n)| mask[**n]) {
                    powers[0] += scaled(number);
                    powers[1] += scaled(number).powi(2);
                }
            }
        }
    }
}

/// Returns pools of two or more parameters.
fn pools(space: &Space) -> Vec<Pool> {
    let parameters = &space.parameters;
    let numbers_of = |parent: usize| -> Vec<usize> {
        let belongs = |parameter: &Parameter| {
            !matches!(parameter.domain, Domain::Categorical { .. })
                && parameter.condition.as_ref().is_some_and(|condition| condition.parent == parent)
        };
        (0..parameters.len()).filter(|&index| belongs(&parameters[index])).collect()
    };
    // Two numbers are the same if they have the same domain and are active under the same choices.
    let kinds = |numbers: &[usize]| -> Vec<(&Domain, Option<&Vec<usize>>)> {
        let kind = |&index: &usize| {
            (&parameters[index].domain, parameters[index].condition.as_ref().map(|condition| &condition.choices))
        };
        numbers.iter().map(kind).collect()
    };
    let mut pools: Vec<Pool> = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let Domain::Categorical { choices } = &parameter.domain else { continue };
        let numbers = numbers_of(index);
        let alike = |pool: &&mut Pool| {
            parameters[pool.members[0]].domain == parameter.domain && kinds(&pool.numbers[0]) == kinds(&numbers)
        };
        match pools.iter_mut().find(alike) {
            Some(pool) => {
                pool.members.push(index);
                pool.numbers.push(numbers);
            }
            None => pools.push(Pool { members: vec![index], numbers: vec![numbers], choices: choices.len() }),
        }
    }
    pools.retain(|pool| pool.members.len() > 1);
    pools
}
