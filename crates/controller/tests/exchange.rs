//! Groups whose order does not matter.

use std::collections::HashSet;

use deepaug_controller::{Method, Outcome, Point, SearchError, Settings, Space, SpaceError, Value, searcher};
use proptest::prelude::*;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Three places for an op out of four, the first of which has no strength, and one number besides.
fn space() -> Space {
    let mut space = Space::new().real("share", 0.0, 1.0).unwrap();
    for place in 0..3 {
        let (op, strength) = (format!("op {place}"), format!("strength {place}"));
        space = space
            .categorical(&op, ["invert", "rotate", "blur", "shear"])
            .and_then(|space| space.real(&strength, 0.0, 1.0))
            .and_then(|space| space.active_when(&strength, &op, ["rotate", "blur", "shear"]))
            .unwrap();
    }
    space.exchangeable((0..3).map(|place| [format!("op {place}"), format!("strength {place}")])).unwrap()
}

fn shuffled(point: &Point, rng: &mut ChaCha8Rng) -> Point {
    let mut groups: Vec<&[Value]> = point[1..].chunks(2).collect();
    groups.shuffle(rng);
    Point([&point[..1], &groups.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_order_of_groups_cannot_be_seen(seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let settings = || Settings { initial_points: 3, ..Settings::default() };
        for method in Method::ALL {
            let mut one = searcher(method, space(), settings(), seed).unwrap();
            let mut other = searcher(method, space(), settings(), seed).unwrap();
            for trial in 0..12 {
                let point = space().sample(&mut rng);
                let moved = shuffled(&point, &mut rng);
                prop_assert_eq!(space().canonical(&point).unwrap(), space().canonical(&moved).unwrap());
                let outcome = Outcome::Cost(point[0].real().unwrap() + (trial as f64).sin());
                one.observe(trial, point, outcome).unwrap();
                other.observe(trial, moved, outcome).unwrap();
            }
            for trial in 12..18 {
                let point = one.ask(trial).unwrap();
                prop_assert_eq!(&other.ask(trial).unwrap(), &point);
                prop_assert_eq!(&space().canonical(&point).unwrap(), &point);
            }
            prop_assert_eq!(one.incumbent().unwrap(), other.incumbent().unwrap());
        }
    }

    #[test]
    fn serde_keeps_the_groups(seed: u64) {
        let json = serde_json::to_string(&space()).unwrap();
        let read: Space = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &space());
        let point = space().sample(&mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(read.canonical(&point).unwrap(), point);
    }
}

#[test]
fn a_finite_space_is_proposed_once_each_and_then_exhausted() {
    let space = || {
        let mut space = Space::new().categorical("extra", ["x", "y"]).unwrap();
        for group in ["a", "b", "c"] {
            let number = format!("{group} number");
            space = space
                .categorical(group, ["one", "two"])
                .and_then(|space| space.integer(&number, 1, 2))
                .and_then(|space| space.active_when(&number, group, ["two"]))
                .unwrap();
        }
        space.exchangeable(["a", "b", "c"].map(|group| [group.to_string(), format!("{group} number")])).unwrap()
    };
    // Three states per group, so ten multisets of three, twice.
    assert_eq!(space().size(), Some(20));
    for method in Method::ALL {
        let mut searcher = searcher(method, space(), Settings::default(), 4).unwrap();
        let mut seen = HashSet::new();
        for trial in 0..20 {
            assert!(seen.insert(format!("{:?}", searcher.ask(trial).unwrap())));
            searcher.tell(trial, Outcome::Cost((trial as f64).sin())).unwrap();
        }
        assert!(matches!(searcher.ask(20), Err(SearchError::Exhausted)));
    }
}

#[test]
fn what_is_learnt_in_one_place_helps_in_all() {
    // Only `shear` with a strength near 0.6 is good, wherever it is; it was only ever seen in the last group.
    let mut searcher = searcher(
        Method::BayesianOptimization,
        space(),
        Settings { random_interleave: 0.0, initial_points: 0, ..Settings::default() },
        1,
    )
    .unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let cost = |point: &Point| -> f64 {
        point[1..]
            .chunks(2)
            .map(|group| match (group[0], group[1]) {
                (Value::Category(3), Value::Real(strength)) => (strength - 0.6).abs() - 1.0,
                _ => 0.0,
            })
            .sum()
    };
    for trial in 0..80 {
        let point = space().sample(&mut rng);
        searcher.observe(trial, point.clone(), Outcome::Cost(cost(&point))).unwrap();
    }
    let proposals: Vec<f64> = (80..90)
        .map(|trial| {
            let point = searcher.ask(trial).unwrap();
            searcher.tell(trial, Outcome::Cost(cost(&point))).unwrap();
            cost(&point)
        })
        .collect();
    assert!(proposals.iter().any(|&cost| cost < -2.7), "{proposals:?}");
}

#[test]
fn refuses_groups_that_are_not_alike() {
    let base = || {
        Space::new()
            .categorical("a", ["x", "y"])
            .and_then(|space| space.categorical("b", ["x", "y"]))
            .and_then(|space| space.categorical("c", ["x", "z"]))
            .and_then(|space| space.real("r", 0.0, 1.0))
            .unwrap()
    };
    let refused = |groups: Vec<Vec<&str>>| base().exchangeable(groups).unwrap_err();
    assert!(base().exchangeable([["a"], ["b"]]).is_ok());
    assert!(matches!(refused(vec![vec!["a"]]), SpaceError::NotExchangeable(name) if name == "a"));
    assert!(matches!(refused(vec![vec!["a"], vec!["c"]]), SpaceError::NotExchangeable(_)));
    assert!(matches!(refused(vec![vec!["a", "r"], vec!["b"]]), SpaceError::NotExchangeable(_)));
    assert!(matches!(refused(vec![vec!["a"], vec![]]), SpaceError::NotExchangeable(_)));
    assert!(matches!(refused(vec![vec!["a"], vec!["a"]]), SpaceError::NotExchangeable(_)));
    assert!(matches!(refused(vec![vec!["a"], vec!["d"]]), SpaceError::UnknownParameter(_)));
    // A number that depends on a group from outside.
    let outside = base().active_when("r", "a", ["x"]).unwrap();
    assert!(matches!(outside.exchangeable([["a"], ["b"]]), Err(SpaceError::NotExchangeable(_))));
    // The same rules hold for a deserialised space.
    let json = serde_json::to_string(&base().exchangeable([["a"], ["b"]]).unwrap()).unwrap();
    for wrong in [json.replace("\"group\":1", "\"group\":9"), json.replace("\"set\":0", "\"set\":1")] {
        assert!(serde_json::from_str::<Space>(&wrong).is_err(), "{wrong}");
    }
}
