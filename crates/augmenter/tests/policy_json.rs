//! The JSON form of a policy: stable when written, strict when read.

use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy};
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
fn what_is_wrong_is_said() {
    for (from, to, message) in [
        ("\"format\":1", "\"format\":3", "format 3 is newer than this program reads (2)"),
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
    let json = EXAMPLE.replace("\"format\":1", "\"format\":3,\"novelty\":true");
    assert!(refusal(&json).contains("format 3 is newer"), "{}", refusal(&json));
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(RangeTable::ALL.to_vec()).prop_flat_map(|ranges| {
        let ops: Vec<Op> = Op::ALL.into_iter().filter(|&op| ranges.has(op)).collect();
        let step = (prop::sample::select(ops), 0.0..=1.0, prop_oneof![Just(1.0), 0.0..=1.0])
            .prop_map(|(op, magnitude, probability)| Step { op, magnitude, probability });
        let sub_policy = prop::collection::vec(step, 0..4).prop_map(|ops| SubPolicy { ops });
        let sub_policies = prop::collection::vec(sub_policy.clone(), 0..4);
        let always = prop_oneof![Just(SubPolicy::default()), sub_policy];
        (0.0..=1.0, sub_policies, 1usize..4, always, any::<bool>()).prop_map(
            move |(portion, sub_policies, draws, always, in_place)| Policy {
                ranges,
                portion,
                sub_policies,
                draws,
                always,
                in_place,
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
