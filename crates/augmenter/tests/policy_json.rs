//! The JSON form of a policy: stable when written, strict when read.

use deepaug_augmenter::{Op, Piece, Policy, RangeTable, Step, SubPolicy};
use proptest::prelude::*;

const EXAMPLE: &str = r#"{"format":1,"ranges":"monotone","portion":0.8,"sub_policies":[{"ops":[{"op":"rotate","magnitude":0.31},{"op":"gaussian-blur","magnitude":0.1}]}]}"#;

fn refusal(json: &str) -> String {
    serde_json::from_str::<Policy>(json).expect_err(json).to_string()
}

#[test]
fn the_form_is_exactly_this() {
    let policy: Policy = serde_json::from_str(EXAMPLE).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), EXAMPLE);
    assert_eq!(policy.to_string(), "rotate 0.31 + gaussian-blur 0.10 on 80 %");
    let old = EXAMPLE.replace("gaussian-blur", "gaussianblur");
    assert_eq!(serde_json::from_str::<Policy>(&old).unwrap(), policy);
    let sometimes = EXAMPLE.replace("0.31", "0.31,\"probability\":0.4");
    let policy: Policy = serde_json::from_str(&sometimes).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), sometimes);
    assert_eq!(policy.to_string(), "rotate 0.31 (p 0.40) + gaussian-blur 0.10 on 80 %");
}

#[test]
fn the_second_form_has_draws_what_always_follows_and_the_images_place() {
    let json = r#"{"format":2,"ranges":"randaugment","portion":1.0,"sub_policies":[{"ops":[]},{"ops":[{"op":"solarize","magnitude":0.3}]}],"draws":2,"always":{"ops":[{"op":"horizontal-flip","magnitude":0.5}]},"in_place":true}"#;
    let policy: Policy = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), json);
    let words = "2 of unchanged | solarize 0.30; then horizontal-flip 0.50 (randaugment ranges)";
    assert_eq!(policy.to_string(), words);
    let none = json.replace("\"draws\":2", "\"draws\":0");
    assert!(refusal(&none).contains("draws 0 is not between 1 and 10"), "{}", refusal(&none));
    let none = json.replace("\"magnitude\":0.5", "\"magnitude\":1.5");
    assert!(refusal(&none).contains("magnitude 1.5 of horizontal-flip"), "{}", refusal(&none));
}

#[test]
fn the_third_form_has_counts_and_policies_of_earlier_epochs() {
    let policy = r#"{"format":3,"ranges":"autoaugment","portion":1.0,"sub_policies":[{"ops":[{"op":"solarize","magnitude":0.3,"probability":0.1}]},{"ops":[{"op":"invert","magnitude":0.0,"probability":0.0}]}],"in_place":true,"counts":[0.2,0.3,0.5]"#;
    let alone = format!("{policy}}}");
    let parsed: Policy = serde_json::from_str(&alone).unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), alone);
    assert_eq!(parsed.to_string(), "up to 2 of solarize 0.30 (p 0.10) (autoaugment ranges)");
    let earlier = alone.replace("0.1}", "0.2}");
    let whole = format!(r#"{policy},"earlier":[{{"epochs":4,"policy":{earlier}}}],"epochs":2}}"#);
    let schedule: Policy = serde_json::from_str(&whole).unwrap();
    assert_eq!(serde_json::to_string(&schedule).unwrap(), whole);
    let words = "2 policies over 6 epochs, the last: up to 2 of solarize 0.30 (p 0.10) (autoaugment ranges)";
    assert_eq!(schedule.to_string(), words);
    for (from, to, message) in [
        ("\"counts\":[0.2,0.3,0.5]", "\"counts\":[0.2,0.3,0.4]", "counts: must be probabilities that add up to 1"),
        ("\"counts\":[0.2,0.3,0.5]", "\"counts\":[0.5,-0.5,1.0]", "counts: must be probabilities that add up to 1"),
        ("\"counts\":[0.2", "\"draws\":2,\"counts\":[0.2", "counts: cannot be used together with draws"),
        (
            "{\"ops\":[{\"op\":\"invert\",\"magnitude\":0.0,\"probability\":0.0}]}",
            "{\"ops\":[]}",
            "counts: need sub-policies of one op",
        ),
        ("\"epochs\":4", "\"epochs\":0", "earlier policy 1: epochs must be between 1"),
        ("\"epochs\":2", "\"epochs\":0", "epochs of the last policy must be between 1"),
        ("0.2}", "1.2}", "probability 1.2 of solarize"),
    ] {
        let json = whole.replacen(from, to, 1);
        assert_ne!(json, whole, "{from}");
        assert!(refusal(&json).contains(message), "{json}\n{}", refusal(&json));
    }
    let nested = whole.replace(&earlier, &whole);
    assert!(refusal(&nested).contains("it has earlier policies itself"), "{}", refusal(&nested));
}

/// The pieces of an example worked out by hand: 3, 3 and 6 epochs, stretched by the floor rule.
#[test]
fn a_schedule_stretches_to_any_length() {
    let policy = |magnitude| {
        let ops = vec![Step::new(Op::Rotate, magnitude)];
        Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops }])
    };
    let piece = |(epochs, magnitude)| Piece { epochs, policy: policy(magnitude) };
    let schedule = Policy::schedule([(3, 0.1), (3, 0.2), (4, 0.3), (2, 0.3)].map(piece).to_vec()).unwrap();
    assert_eq!(schedule.pieces().map(|(epochs, _)| epochs).collect::<Vec<_>>(), [3, 3, 6]);
    for (length, expected) in [
        (12, [3, 3, 6]),
        (6, [2, 1, 3]),
        (10, [3, 2, 5]),
        (16, [4, 4, 8]),
        (20, [5, 5, 10]),
        (25, [7, 6, 12]),
        (1, [1, 0, 0]),
    ] {
        let of = |magnitude: f64| {
            let steps = (0..length).map(|epoch| schedule.at(epoch, length).steps().next().unwrap().magnitude);
            steps.filter(|&found| found == magnitude).count()
        };
        assert_eq!([of(0.1), of(0.2), of(0.3)], expected, "{length}");
    }
    // Epochs beyond the last have its policy, and one that does not change is every epoch's.
    assert_eq!(*schedule.at(99, 12), schedule);
    assert_eq!(*policy(0.5).at(7, 3), policy(0.5));
    assert_eq!(Policy::schedule(Vec::new()), None);
    assert_eq!(Policy::schedule(vec![piece((5, 0.1)), piece((2, 0.1))]).unwrap(), policy(0.1));
}

#[test]
fn what_is_wrong_is_said() {
    for (from, to, message) in [
        ("\"format\":1", "\"format\":4", "format 4 is newer than this program reads (3)"),
        ("\"format\":1", "\"format\":0", "format 0 does not exist"),
        ("\"format\":1", "\"format\":\"1\"", "invalid type: string \"1\""),
        ("\"format\":1,", "", "missing field `format`"),
        ("\"portion\":0.8,", "", "missing field `portion`"),
        ("0.31", "1.31", "magnitude 1.31 of rotate (op 1 of sub-policy 1) is not between 0 and 1"),
        ("0.31", "-0.1", "magnitude -0.1 of rotate"),
        ("0.31", "null", "invalid type: null"),
        ("0.31", "\"0.31\"", "invalid type: string"),
        ("0.8", "1.01", "portion 1.01 is not between 0 and 1"),
        ("0.8", "NaN", "expected value"),
        ("0.8", "1e999", "number out of range"),
        ("rotate", "rotat", "unknown op `rotat`; the nearest is `rotate`"),
        ("monotone", "autoaugment", "the autoaugment ranges do not have the op rotate (op 1 of sub-policy 1)"),
        ("monotone", "monoton", "unknown variant `monoton`"),
        ("\"portion\"", "\"partion\"", "unknown field `partion`"),
        ("\"magnitude\":0.1", "\"magnitude\":0.1,\"probability\":1.5", "probability 1.5 of gaussian-blur (op 2 of"),
        ("{\"ops\"", "{\"extra\":1,\"ops\"", "unknown field `extra`"),
    ] {
        let json = EXAMPLE.replacen(from, to, 1);
        assert_ne!(json, EXAMPLE);
        let refusal = refusal(&json);
        assert!(refusal.contains(message), "{json}\n{refusal}");
    }
    for end in 0..EXAMPLE.len() {
        refusal(&EXAMPLE[..end]);
    }
}

#[test]
fn a_newer_format_is_named_before_its_unknown_fields() {
    let json = EXAMPLE.replace("\"format\":1", "\"format\":4,\"novelty\":true");
    assert!(refusal(&json).contains("format 4 is newer"), "{}", refusal(&json));
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(RangeTable::ALL.to_vec()).prop_flat_map(|ranges| {
        let ops: Vec<Op> = Op::ALL.into_iter().filter(|&op| ranges.has(op)).collect();
        let step = (prop::sample::select(ops), 0.0..=1.0, prop_oneof![Just(1.0), 0.0..=1.0])
            .prop_map(|(op, magnitude, probability)| Step { op, magnitude, probability });
        let sub_policy = prop::collection::vec(step, 0..4).prop_map(|ops| SubPolicy { ops });
        let sub_policies = prop::collection::vec(sub_policy.clone(), 0..4);
        let always = prop_oneof![Just(SubPolicy::default()), sub_policy];
        let earlier = prop::collection::vec((1usize..5, 0.0..=1.0), 0..3);
        (0.0..=1.0, sub_policies, 1usize..4, always, any::<bool>(), any::<bool>(), earlier).prop_map(
            move |(portion, mut sub_policies, mut draws, always, in_place, counted, earlier)| {
                let counts = if counted { vec![0.25, 0.75] } else { Vec::new() };
                if counted {
                    sub_policies.retain(|sub_policy| sub_policy.ops.len() == 1);
                    draws = 1;
                }
                let plain = Policy { draws, always, in_place, counts, ..Policy::new(ranges, portion, sub_policies) };
                let piece = |(epochs, portion)| Piece { epochs, policy: Policy { portion, ..plain.clone() } };
                let earlier: Vec<Piece> = earlier.into_iter().map(piece).collect();
                let epochs = if earlier.is_empty() { 1 } else { 3 };
                Policy { earlier, epochs, ..plain }
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(policy in any_policy()) {
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy.clone());
        prop_assert!(policy.validate().is_ok());
        prop_assert!(!policy.to_string().contains('\n'));
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,80}", cut in 0..EXAMPLE.len()) {
        let spliced = format!("{}{text}", &EXAMPLE[..cut]);
        let _ = serde_json::from_str::<Policy>(&spliced);
        let _ = text.parse::<Op>();
    }
}
