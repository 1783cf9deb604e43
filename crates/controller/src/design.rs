//! Points for when no outcome is known: a balanced, space-filling design, and fresh random points.

use std::collections::HashSet;

use rand::{Rng, seq::SliceRandom};

use crate::{
    error::SearchError,
    point::{Point, Value},
    rng::{Purpose, stream},
    space::{Domain, Key, Space},
};

/// Returns at most `n` distinct points. Over the `n` rows drawn, every choice of a categorical parameter appears
/// equally often, give or take one, and likewise over all parameters that share a list of choices. Numbers are
/// stratified into `n` equal shares of their range, with one value in each (Latin hypercube: M. McKay, R. Beckman,
/// W. Conover, Technometrics 21, 1979). Rows that mean the same point count once.
pub(crate) fn balanced(space: &Space, n: usize, seed: u64) -> Vec<Point> {
    let mut rng = stream(seed, Purpose::Design, 0);
    // A shuffled deck for each list of choices, dealt cyclically from one parameter to the next.
    let mut decks: Vec<(&[String], std::iter::Cycle<std::vec::IntoIter<usize>>)> = Vec::new();
    let columns: Vec<Vec<Value>> = space
        .parameters()
        .iter()
        .map(|parameter| {
            let mut column: Vec<Value> = match &parameter.domain {
                Domain::Categorical { choices } => {
                    let index = decks.iter().position(|(known, _)| known == choices).unwrap_or_else(|| {
                        let mut deck: Vec<usize> = (0..choices.len()).collect();
                        deck.shuffle(&mut rng);
                        decks.push((choices, deck.into_iter().cycle()));
                        decks.len() - 1
                    });
                    decks[index].1.by_ref().take(n).map(Value::Category).collect()
                }
                domain => (0..n).map(|row| domain.at((row as f64 + rng.random::<f64>()) / n as f64)).collect(),
            };
            column.shuffle(&mut rng);
            column
        })
        .collect();
    let mut seen = HashSet::new();
    (0..n)
        .map(|row| {
            let mut point = Point(columns.iter().map(|column| column[row]).collect());
            space.settle(&mut point);
            point
        })
        .filter(|point| seen.insert(space.key(point)))
        .collect()
}

/// Returns a random point that is neither known nor taken, uniform unless the space is nearly exhausted.
pub(crate) fn fresh<R: Rng>(
    space: &Space,
    known: &HashSet<Key>,
    is_taken: &dyn Fn(&Point) -> bool,
    rng: &mut R,
) -> Result<Point, SearchError> {
    const DRAWS: usize = 1000;
    let unknown = |point: &Point| !known.contains(&space.key(point)) && !is_taken(point);
    let left = space.size().map(|size| size.saturating_sub(known.len() as u128));
    if left == Some(0) {
        return Err(SearchError::Exhausted);
    }
    if let Some(point) = (0..DRAWS).map(|_| space.sample(rng)).find(unknown) {
        return Ok(point);
    }
    // Walk on from a random point: among one more points than are known, at least one is unknown.
    let size = space.ranks().ok_or(SearchError::Exhausted)?;
    let start = rng.random_range(0..size);
    let steps = (known.len() as u128).saturating_mul(space.orders());
    (0..=steps)
        .map(|step| space.unrank((start % size + step % size) % size))
        .find(unknown)
        .ok_or(SearchError::Exhausted)
}
