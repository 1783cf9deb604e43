//! Explanations find the planted effects.

use deepaug_controller::{Explanation, History, LevelValue, Method, Outcome, Point, Settings, Space, Value, searcher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPS: [&str; 5] = ["invert", "rotate", "blur", "shear", "fog"];

/// Two places for an op with a strength, and a share that has no effect.
fn space() -> Space {
    let mut space = Space::new().real("share", 0.0, 1.0).unwrap();
    for place in 0..2 {
        let (op, strength) = (format!("op {place}"), format!("strength {place}"));
        space = space
            .categorical(&op, OPS)
            .and_then(|space| space.real(&strength, 0.0, 1.0))
            .and_then(|space| space.active_when(&strength, &op, OPS.into_iter().skip(1)))
            .unwrap();
    }
    space
}

/// `fog` in either place costs 2, `rotate` is good at strength 0.8; costs are a thousand times that, plus 5000.
fn cost(point: &Point) -> f64 {
    let place = |group: &[Value]| match (group[0], group[1]) {
        (Value::Category(4), _) => 2.0,
        (Value::Category(1), Value::Real(strength)) => 2.0 * (strength - 0.8).powi(2) - 1.0,
        _ => 0.0,
    };
    5000.0 + 1000.0 * point[1..].chunks(2).map(place).sum::<f64>()
}

fn explained(trials: u64) -> Option<Explanation> {
    explanation(&history(trials))
}

fn explanation(history: &History) -> Option<Explanation> {
    Explanation::of(&space(), history, &Settings::default(), 3).unwrap()
}

fn history(trials: u64) -> History {
    let mut searcher = searcher(Method::Random, space(), Settings::default(), 3).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for trial in 0..trials {
        let point = searcher.ask(trial).unwrap();
        searcher.tell(trial, Outcome::Cost(cost(&point) + rng.random_range(-200.0..200.0))).unwrap();
    }
    searcher.history().clone()
}

#[test]
fn planted_effects_are_found_and_others_are_not() {
    let explanation = explained(150).unwrap();
    assert_eq!(explanation.trials, 150);
    // The op in either place, four strengths and the share.
    assert_eq!(explanation.effects.len(), 6);
    let op = &explanation.effects[0];
    assert_eq!((op.parameters.as_slice(), &op.of), (&["op 0".to_string(), "op 1".to_string()][..], &None));
    let level = |name: &str| op.levels.iter().find(|l| l.value == LevelValue::Choice(name.into())).unwrap();
    let lowest = op.levels.iter().map(|level| level.mean).fold(f64::INFINITY, f64::min);
    assert_eq!(level("rotate").mean, lowest);
    // One place has the op, the other is random: the difference between two ops is the difference in that one
    // place.
    assert!((level("fog").mean - level("blur").mean - 2000.0).abs() < 500.0, "{op:?}");
    assert!(level("fog").deviation > 0.0 && level("fog").deviation < 500.0);
    let rotation = explanation.effects.iter().find(|effect| effect.of.as_deref() == Some("rotate")).unwrap();
    assert_eq!(rotation.parameters, ["strength 0", "strength 1"]);
    let best = rotation.levels.iter().min_by(|a, b| a.mean.total_cmp(&b.mean)).unwrap();
    assert!(matches!(best.value, LevelValue::Number(strength) if (0.6..=1.0).contains(&strength)), "{best:?}");
    for effect in &explanation.effects {
        let idle = effect.parameters == ["share"] || matches!(effect.of.as_deref(), Some("blur" | "shear"));
        assert!((0.0..=1.0).contains(&effect.importance));
        assert!(!idle || effect.importance < 0.05, "{effect:?}");
        assert!(!idle || effect.importance < rotation.importance, "{effect:?}");
    }
}

#[test]
fn it_is_repeatable_printable_and_data() {
    let explanation = explained(60).unwrap();
    assert_eq!(explained(60).as_ref(), Some(&explanation));
    let json = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
    let table = explanation.to_string();
    assert_eq!(table.lines().count(), 1 + explanation.effects.len());
    assert!(table.contains("fog (") && table.contains("strength 0 … of rotate"), "{table}");
}

#[test]
fn without_differences_there_is_nothing_to_explain() {
    assert_eq!(explained(0), None);
    let mut searcher = searcher(Method::BayesianOptimization, space(), Settings::default(), 3).unwrap();
    for trial in 0..4 {
        searcher.ask(trial).unwrap();
        searcher.tell(trial, if trial == 0 { Outcome::Failed } else { Outcome::Cost(1.0) }).unwrap();
    }
    assert_eq!(explanation(searcher.history()), None);
}
