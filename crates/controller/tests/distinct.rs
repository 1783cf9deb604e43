//! Groups in which one that repeats another does not count.

use std::collections::HashSet;

use deepaug_controller::{Method, Outcome, Point, SearchError, Settings, Space, SpaceError, Value, searcher};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const OPS: [&str; 3] = ["invert", "rotate", "blur"];

/// Two sub-policies with `count` steps each: an op out of three, the first of which has no strength.
fn steps(count: usize, number: impl Fn(Space, &str) -> Result<Space, SpaceError>) -> Space {
    let mut space = Space::new();
    let name =
        |sub_policy: usize, step: usize| [format!("op {sub_policy}{step}"), format!("strength {sub_policy}{step}")];
    for [op, strength] in (0..2).flat_map(|sub_policy| (0..count).map(move |step| name(sub_policy, step))) {
        space = space.categorical(&op, OPS).and_then(|space| number(space, &strength)).unwrap();
        space = space.active_when(&strength, &op, ["rotate", "blur"]).unwrap();
    }
    for sub_policy in 0..2 {
        space = space.distinct((0..count).map(|step| name(sub_policy, step))).unwrap();
    }
    let group = |sub_policy| (0..count).flat_map(move |step| name(sub_policy, step));
    space.exchangeable([group(0).collect::<Vec<_>>(), group(1).collect()]).unwrap()
}

fn reals(space: Space, name: &str) -> Result<Space, SpaceError> {
    space.real(name, 0.0, 1.0)
}

fn integers(space: Space, name: &str) -> Result<Space, SpaceError> {
    space.integer(name, 0, 1)
}

/// Returns the sub-policies in words: what is active, in order.
fn words(space: &Space, point: &Point) -> Vec<Vec<String>> {
    let active = space.active(point).unwrap();
    let half = point.len() / 2;
    let mut words: Vec<Vec<String>> = [0, half]
        .map(|start| {
            let chosen = (start..start + half).step_by(2).filter(|&index| active[index]);
            let number =
                |index: usize| if active[index + 1] { format!("{:?}", point[index + 1]) } else { String::new() };
            chosen.map(|index| format!("{:?} {}", point[index], number(index))).collect()
        })
        .to_vec();
    words.sort();
    words
}

proptest! {
    #[test]
    fn equal_forms_mean_the_same(seed: u64, count in 2usize..4) {
        let space = steps(count, integers);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut forms = HashSet::new();
        let mut meanings = HashSet::new();
        for _ in 0..200 {
            let point = space.sample(&mut rng);
            prop_assert_eq!(&space.canonical(&point).unwrap(), &point);
            let words = words(&space, &point);
            for steps in &words {
                let ops: HashSet<&str> = steps.iter().filter_map(|step| step.split(' ').next()).collect();
                prop_assert_eq!(ops.len(), steps.len(), "{:?}", words);
            }
            let is_new = forms.insert(format!("{point:?}"));
            prop_assert_eq!(is_new, meanings.insert(words));
        }
    }

    #[test]
    fn no_proposal_names_an_op_twice(seed: u64) {
        let settings = Settings { initial_points: 3, ..Settings::default() };
        for method in Method::ALL {
            let mut searcher = searcher(method, steps(2, reals), settings.clone(), seed).unwrap();
            let mut seen = HashSet::new();
            for trial in 0..12 {
                let point = searcher.ask(trial).unwrap();
                let words = words(&steps(2, reals), &point);
                let cost = words.iter().flatten().map(|word| word.len() as f64).sum::<f64>();
                prop_assert!(seen.insert(words));
                searcher.tell(trial, Outcome::Cost(cost)).unwrap();
            }
        }
    }
}

#[test]
fn every_point_is_counted_and_proposed_once() {
    for count in 2..4 {
        let space = || steps(count, integers);
        // One, two or three different ops in order, invert with one state and the others with two, and two of
        // these sequences in any order.
        let one = 5;
        let two = 2 * (2 + 2 + 4);
        let three = 6 * 4;
        let sequences = if count == 2 { one + two } else { one + two + three };
        assert_eq!(space().size(), Some(sequences * (sequences + 1) / 2));
    }
    let space = || {
        let space = Space::new().categorical("a", OPS).and_then(|space| space.categorical("b", OPS)).unwrap();
        space.distinct([["a"], ["b"]]).unwrap()
    };
    let mut searcher = searcher(Method::Random, space(), Settings::default(), 1).unwrap();
    for trial in 0..9 {
        searcher.ask(trial).unwrap();
        searcher.tell(trial, Outcome::Cost(1.0)).unwrap();
    }
    assert_eq!(space().size(), Some(9));
    assert!(matches!(searcher.ask(9), Err(SearchError::Exhausted)));
}

#[test]
fn refuses_groups_that_cannot_differ() {
    let space = || Space::new().categorical("a", OPS).and_then(|space| space.real("x", 0.0, 1.0)).unwrap();
    assert!(matches!(space().distinct([["x"]]), Err(SpaceError::NotDistinct(_))));
    assert!(matches!(space().distinct([["a"], ["x"]]), Err(SpaceError::NotDistinct(_))));
    assert!(matches!(space().distinct([["y"]]), Err(SpaceError::UnknownParameter(_))));
    let json = serde_json::to_string(&steps(2, reals)).unwrap();
    assert_eq!(serde_json::from_str::<Space>(&json).unwrap(), steps(2, reals));
    let point = Point([Value::Category(1), Value::Real(0.5), Value::Category(1), Value::Real(0.7)].repeat(2));
    assert_eq!(words(&steps(2, reals), &point), vec![vec!["Category(1) Real(0.5)"]; 2]);
}
