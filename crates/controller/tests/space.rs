//! Spaces: what can be declared, sampling, conditions, counting.

use std::collections::HashSet;

use deepaug_controller::{Point, PointError, Space, SpaceError, Value};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn conditional() -> Space {
    Space::new()
        .categorical("op", ["invert", "rotate", "blur"])
        .and_then(|space| space.integer("angle", -2, 2))
        .and_then(|space| space.categorical("kernel", ["box", "gaussian"]))
        .and_then(|space| space.integer("radius", 1, 3))
        .and_then(|space| space.active_when("angle", "op", ["rotate"]))
        .and_then(|space| space.active_when("kernel", "op", ["blur"]))
        .and_then(|space| space.active_when("radius", "kernel", ["gaussian"]))
        .unwrap()
}

proptest! {
    #[test]
    fn samples_are_valid_and_canonical(seed: u64, low in -1e9..1e9_f64, width in 1e-9..1e9_f64, n in 1_i64..1_000_000) {
        let space = conditional().real("x", low, low + width + low.abs() * 1e-9).unwrap().integer("n", -n, n).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..20 {
            let point = space.sample(&mut rng);
            prop_assert!(space.check(&point).is_ok());
            prop_assert_eq!(&space.canonical(&point).unwrap(), &point);
        }
    }

    #[test]
    fn serde_keeps_spaces_and_points(seed: u64) {
        let space = conditional().real("x", -0.1, 0.3).unwrap();
        let json = serde_json::to_string(&space).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Space>(&json).unwrap(), &space);
        let point = space.sample(&mut ChaCha8Rng::seed_from_u64(seed));
        let json = serde_json::to_string(&point).unwrap();
        prop_assert_eq!(serde_json::from_str::<Point>(&json).unwrap(), point);
    }
}

#[test]
fn size_counts_what_sampling_finds() {
    let space = conditional();
    // invert, five rotations, box blur, three gaussian blurs
    assert_eq!(space.size(), Some(10));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let found: HashSet<String> = (0..2000).map(|_| format!("{:?}", space.sample(&mut rng))).collect();
    assert_eq!(found.len(), 10);
    assert_eq!(conditional().real("x", 0.0, 1.0).unwrap().size(), None);
    assert_eq!(Space::new().integer("all", i64::MIN, i64::MAX).unwrap().size(), Some(1 << 64));
}

#[test]
fn every_choice_is_sampled_about_equally() {
    let space = Space::new().categorical("c", ["a", "b", "c", "d"]).unwrap().integer("i", 0, 3).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut counts = [[0; 4]; 2];
    for _ in 0..4000 {
        let point = space.sample(&mut rng);
        counts[0][point[0].category().unwrap()] += 1;
        counts[1][point[1].integer().unwrap() as usize] += 1;
    }
    assert!(counts.iter().flatten().all(|count| (880..1120).contains(count)), "{counts:?}");
}

#[test]
fn activity_follows_the_parents() {
    let space = conditional();
    let active = |op, kernel| {
        let point = Point(vec![Value::Category(op), Value::Integer(0), Value::Category(kernel), Value::Integer(1)]);
        space.active(&point).unwrap()
    };
    assert_eq!(active(0, 1), [true, false, false, false]);
    assert_eq!(active(1, 1), [true, true, false, false]);
    assert_eq!(active(2, 0), [true, false, true, false]);
    assert_eq!(active(2, 1), [true, false, true, true]);
}

#[test]
fn refuses_spaces_without_meaning() {
    use SpaceError as E;
    let base = || Space::new().categorical("op", ["a", "b"]).unwrap();
    assert!(matches!(base().real("op", 0.0, 1.0), Err(E::DuplicateName(name)) if name == "op"));
    assert!(matches!(base().categorical("c", Vec::<String>::new()), Err(E::NoChoices(_))));
    assert!(matches!(base().categorical("c", ["x", "x"]), Err(E::DuplicateChoice { .. })));
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)] {
        assert!(matches!(base().real("x", low, high), Err(E::Bounds { .. })), "{low} {high}");
    }
    assert!(matches!(base().integer("n", 3, 3), Err(E::Bounds { .. })));
    let with_x = || base().real("x", 0.0, 1.0).unwrap();
    assert!(matches!(with_x().active_when("y", "op", ["a"]), Err(E::UnknownParameter(_))));
    assert!(matches!(with_x().active_when("x", "x", ["a"]), Err(E::ParentNotCategorical(_))));
    assert!(matches!(with_x().active_when("op", "op", ["a"]), Err(E::ParentAfterChild { .. })));
    assert!(matches!(with_x().active_when("x", "op", ["c"]), Err(E::UnknownChoice { .. })));
    let twice = with_x().active_when("x", "op", ["a"]).unwrap().active_when("x", "op", ["b"]);
    assert!(matches!(twice, Err(E::SecondCondition(_))));
    // The same rules hold for a deserialised space.
    let json = serde_json::to_string(&with_x()).unwrap();
    assert!(serde_json::from_str::<Space>(&json).is_ok());
    assert!(serde_json::from_str::<Space>(&json.replace("\"x\"", "\"op\"")).is_err());
}

#[test]
fn refuses_points_of_other_spaces() {
    let space = Space::new().categorical("c", ["a"]).unwrap().real("x", 0.0, 1.0).unwrap();
    let check = |values: &[Value]| space.check(&Point(values.to_vec()));
    assert!(check(&[Value::Category(0), Value::Real(1.0)]).is_ok());
    assert!(matches!(check(&[Value::Category(0)]), Err(PointError::Length { expected: 2, found: 1 })));
    assert!(matches!(check(&[Value::Category(1), Value::Real(1.0)]), Err(PointError::Range { .. })));
    assert!(matches!(check(&[Value::Category(0), Value::Real(f64::NAN)]), Err(PointError::Range { .. })));
    assert!(matches!(check(&[Value::Category(0), Value::Integer(1)]), Err(PointError::Kind { .. })));
}
