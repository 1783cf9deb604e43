use super::*;

/// Reads a fixture of `benches/peers/notebooks.py`.
fn fixture(name: &str) -> (Inspection, serde_json::Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notebooks");
    let expected = std::fs::read(folder.join(format!("{name}-top.json"))).unwrap();
    (Inspection::read(&folder.join(format!("{name}.csv"))).unwrap(), serde_json::from_slice(&expected).unwrap())
}

#[test]
fn the_best_policies_of_both_shapes_are_those_that_pandas_finds() {
    for (name, shape, trainings) in [("2019-02", Shape::Single, 28), ("1.1.2", Shape::Several, 27)] {
        let (found, expected) = fixture(name);
        let expected = expected["top"].as_array().unwrap();
        assert_eq!((found.shape, found.trainings, found.ranked.len()), (shape, trainings, expected.len()));
        for (trial, expected) in found.ranked.iter().zip(expected) {
            assert_eq!(trial.trial, expected["trial"].as_u64().unwrap());
            assert!((trial.reward.unwrap() - expected["reward"].as_f64().unwrap()).abs() < 1e-12);
            let (increase, expected) = (trial.increase, expected["increase"].as_f64());
            assert_eq!(increase.is_some(), expected.is_some());
            assert!((increase.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-9);
        }
    }
}

#[test]
fn policies_spread_and_failures_are_told() {
    let (single, _) = fixture("2019-02");
    assert_eq!((single.baseline, single.failed.len(), single.seconds), (None, 0, None));
    let best = &single.ranked[0];
    assert_eq!((best.policy.sub_policies.len(), best.policy.sub_policies[0].len(), best.samples.len()), (1, 2, 2));
    assert!(best.policy.portion.is_some() && best.deviation.is_some());
    assert_eq!(single.course.first().unwrap().trial, 1);
    assert_eq!(single.course.last().unwrap().trial, best.trial);
    assert!(single.course.windows(2).all(|pair| pair[0].reward < pair[1].reward && pair[0].trial < pair[1].trial));

    let (several, _) = fixture("1.1.2");
    assert!(several.baseline.is_some());
    assert_eq!(several.failed.len(), 1);
    assert_eq!((several.failed[0].trial, several.failed[0].sample), (4, 2));
    assert!(several.failed[0].why.contains("no reward"));
    let fourth = several.ranked.iter().find(|trial| trial.trial == 4).unwrap();
    assert_eq!(fourth.samples.iter().flatten().count(), 2);
    assert_eq!(fourth.policy.sub_policies.len(), 5);
}

#[test]
fn ops_are_compared_over_the_trials_that_have_them() {
    let (single, _) = fixture("2019-02");
    let uses: usize = single.ops.iter().map(|op| op.uses.len()).sum();
    assert_eq!(uses, 2 * single.ranked.len());
    for op in &single.ops {
        let with = single.ranked.iter().filter(|t| t.policy.sub_policies[0].iter().any(|step| step.op == op.op));
        let rewards: Vec<f64> = with.map(|trial| trial.reward.unwrap()).collect();
        assert_eq!(op.trials, rewards.len());
        assert!((op.reward - mean(&rewards)).abs() < 1e-12);
        assert!(op.interval.is_none_or(|(low, high)| low < op.difference.unwrap() && op.difference.unwrap() < high));
    }
    assert!(single.ops.windows(2).all(|pair| pair[0].reward >= pair[1].reward));
}

#[test]
fn the_table_has_the_notebooks_columns() {
    let (single, _) = fixture("2019-02");
    let table = single.csv(3);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0],
        "trial_no,aug1_type,aug1_magnitude,aug2_type,aug2_magnitude,portion,reward,expected_accuracy_increase(%),deviation,samples"
    );
    assert_eq!(lines.len(), 4);
    assert!(lines[1].starts_with(&format!("{},", single.ranked[0].trial)) && lines[1].ends_with(",2"));
    assert_eq!(single.ops_csv().lines().count(), 1 + single.ops.len());
    let (several, _) = fixture("1.1.2");
    assert!(several.csv(1).starts_with("trial_no,A_aug1_type,A_aug1_magnitude,A_aug2_type"));
}

#[test]
fn a_folder_that_is_no_study_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = Inspection::read(folder.path()).unwrap_err();
    assert!(refusal.to_string().contains("neither a notebook nor the folder of a study"), "{refusal}");
    assert_eq!(refusal.code(), 6);
}

/// Rotation helps more the stronger it is, blur always does harm, and nothing else matters.
#[test]
fn what_matters_is_found_in_a_notebook_of_any_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notebook.csv");
    let ops = ["rotate", "gaussian-blur", "invert", "solarize", "an-op-of-theirs"];
    let mut text = String::from("trial_no,sample_no,epoch,acc,loss,val_acc,val_loss,reward");
    for place in ["A_aug1", "A_aug2", "B_aug1", "B_aug2"] {
        text.push_str(&format!(",{place}_type,{place}_magnitude"));
    }
    // A full period of a linear congruential generator (Numerical Recipes' constants) is random enough.
    let mut state = 1u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 24)
    };
    for trial in 1..=150 {
        let steps: Vec<(&str, f64)> = (0..4).map(|_| (ops[(draw() * 5.0) as usize], draw())).collect();
        let effect = |&(op, magnitude): &(&str, f64)| match op {
            "rotate" => 0.06 * magnitude,
            "gaussian-blur" => -0.03,
            _ => 0.0,
        };
        let reward = 0.5 + steps.iter().map(effect).sum::<f64>() + 0.002 * draw();
        text.push_str(&format!("\n{trial},0,1,0.5,1.0,0.5,1.0,{reward}"));
        steps.iter().for_each(|(op, magnitude)| text.push_str(&format!(",{op},{magnitude}")));
    }
    std::fs::write(&path, text).unwrap();
    let found = Inspection::read(&path).unwrap();
    let of: Vec<&str> = found.importance.iter().map(|importance| importance.of.as_str()).collect();
    assert_eq!(of[..2], ["magnitude of rotate", "op"], "{of:?}");
    assert!(of.contains(&"magnitude of an-op-of-theirs"), "{of:?}");
    let [rotation, op, next, ..] = found.importance.as_slice() else { panic!("{of:?}") };
    let reward = |name: &str| op.levels.iter().find(|level| level.value.to_string() == name).unwrap().reward;
    assert!(reward("rotate") > reward("solarize") && reward("solarize") > reward("gaussian-blur") + 0.015);
    assert!(rotation.levels.last().unwrap().reward - rotation.levels[0].reward > 0.03);
    assert!(next.share < 0.1 * op.share, "{next:?}");
    let lines = found.importance.iter().map(|importance| importance.levels.len()).sum::<usize>();
    assert_eq!(found.importance_csv().lines().count(), 1 + lines);
}

#[test]
fn nothing_is_learnt_from_a_handful_of_trials() {
    let (mut single, _) = fixture("2019-02");
    single.ranked.truncate(9);
    assert!(super::importance::of(&single.ranked).is_empty());
}
