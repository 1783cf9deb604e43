//! The one-exchange neighbourhood: points that differ from a point in one active parameter (F. Hutter, H. Hoos, K.
//! Leyton-Brown, Sequential model-based optimization for general algorithm configuration, LION 5, 2011, section 4.3).

use rand::{Rng, seq::IteratorRandom};
use rand_distr::StandardNormal;

use crate::{
    point::{Point, Value},
    space::{Domain, Space},
};

/// Standard deviations of a number's steps, as shares of its range; SMAC uses 0.2 alone, the smaller ones refine.
const STEPS: [f64; 4] = [0.05, 0.1, 0.15, 0.2];

/// Returns every other choice of each active categorical parameter, and four steps of each active number.
pub(crate) fn all<R: Rng>(space: &Space, point: &Point, rng: &mut R) -> Vec<Point> {
    let mask = space.mask(point);
    let mut neighbours = Vec::new();
    for index in (0..point.len()).filter(|&index| mask[index] || space.repeats(point, index)) {
        match (&space.parameters()[index].domain, point[index]) {
            (Domain::Categorical { choices }, Value::Category(current)) => {
                for choice in (0..choices.len()).filter(|&choice| choice != current) {
                    neighbours.push(exchange(space, point, &mask, index, Value::Category(choice), rng));
                }
            }
            (domain, value) => {
                for deviation in STEPS {
                    let value = step(domain, value, deviation, rng);
                    neighbours.push(exchange(space, point, &mask, index, value, rng));
                }
            }
        }
    }
    neighbours
}

/// Returns a random neighbour, or the point itself if nothing can be exchanged.
pub(crate) fn any<R: Rng>(space: &Space, point: &Point, rng: &mut R) -> Point {
    let mask = space.mask(point);
    let movable = |&index: &usize| {
        (mask[index] || space.repeats(point, index)) && space.parameters()[index].domain.len() != Some(1)
    };
    let Some(index) = (0..point.len()).filter(movable).choose(rng) else {
        return point.clone();
    };
    let value = match (&space.parameters()[index].domain, point[index]) {
        (Domain::Categorical { choices }, Value::Category(current)) => {
            // One of the others: skip the current one.
            let other = rng.random_range(0..choices.len() - 1);
            Value::Category(if other < current { other } else { other + 1 })
        }
        (domain, value) => step(domain, value, STEPS[rng.random_range(0..STEPS.len())], rng),
    };
    exchange(space, point, &mask, index, value, rng)
}

/// Takes a normal step in the unit range, reflected at its ends; an integer moves by at least one.
fn step<R: Rng>(domain: &Domain, value: Value, deviation: f64, rng: &mut R) -> Value {
    let normal: f64 = rng.sample(StandardNormal);
    let unit = reflect(domain.to_feature(value) + deviation * normal);
    match (domain, value) {
        (Domain::Integer { low, high }, Value::Integer(current)) => {
            let moved = Value::Integer((*low as f64 + unit * (*high as f64 - *low as f64)).round() as i64);
            match moved {
                Value::Integer(new) if new != current && (*low..=*high).contains(&new) => moved,
                _ if (normal > 0.0 && current < *high) || current == *low => Value::Integer(current + 1),
                _ => Value::Integer(current - 1),
            }
        }
        _ => domain.at(unit),
    }
}

fn reflect(unit: f64) -> f64 {
    let wrapped = unit.rem_euclid(2.0);
    if wrapped > 1.0 { 2.0 - wrapped } else { wrapped }
}

/// Exchanges one value of the point, and with it those that repeat it; parameters that become active are drawn at
/// random.
fn exchange<R: Rng>(space: &Space, point: &Point, mask: &[bool], index: usize, value: Value, rng: &mut R) -> Point {
    let mut next = point.clone();
    next.0[index] = value;
    space.repeating(point, index).for_each(|other| next.0[other] = value);
    if !space.has_conditions() {
        return next;
    }
    for (child, parameter) in space.parameters().iter().enumerate().skip(index + 1) {
        if !mask[child] && space.mask(&next)[child] {
            next.0[child] = parameter.domain.at(rng.random());
        }
    }
    space.settle(&mut next);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, stream};

    #[test]
    fn reflection_stays_inside() {
        let cases = [(0.3, 0.3), (-0.25, 0.25), (1.25, 0.75), (2.0, 0.0), (-1.0, 1.0), (1.0, 1.0)];
        for (from, to) in cases {
            assert!((reflect(from) - to).abs() < 1e-12, "{from}");
        }
    }

    #[test]
    fn all_exchanges_one_value() {
        let space = Space::new()
            .categorical("a", ["x", "y", "z"])
            .and_then(|space| space.real("r", -1.0, 1.0))
            .and_then(|space| space.integer("i", 0, 1))
            .unwrap();
        let mut rng = stream(1, Purpose::Random, 0);
        for _ in 0..50 {
            let point = space.sample(&mut rng);
            let neighbours = all(&space, &point, &mut rng);
            assert_eq!(neighbours.len(), 2 + 4 + 4);
            for neighbour in neighbours.iter().chain([&any(&space, &point, &mut rng)]) {
                space.check(neighbour).unwrap();
                assert_eq!(point.iter().zip(neighbour.iter()).filter(|(a, b)| a != b).count(), 1);
            }
        }
    }
}
