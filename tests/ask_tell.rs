//! A search that a program drives from outside: the real binary.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;

use deepaug::Policy;
use serde_json::Value;
use support::{Run, deepaug, rows};

fn ask(folder: &Path, more: &[&str]) -> Vec<(u64, Policy)> {
    let run = deepaug(folder, &[&["ask", "--study", "study"], more].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let trial = |line: &str| {
        let asked: Value = serde_json::from_str(line).unwrap();
        (asked["trial"].as_u64().unwrap(), serde_json::from_value(asked["policy"].clone()).unwrap())
    };
    run.stdout.lines().map(trial).collect()
}

fn tell(folder: &Path, trial: u64, more: &[&str]) -> Run {
    deepaug(folder, &[&["tell", "--study", "study", "--trial", &trial.to_string()], more].concat())
}

fn init(folder: &Path, config: &str) {
    fs::write(folder.join("my.toml"), config).unwrap();
    let run = deepaug(folder, &["init", "--study", "study", "--config", "my.toml"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn a_program_finds_the_policy_it_likes_best() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, "sub_policies = 1\nops_per_sub_policy = 1\nops = [\"rotate\", \"invert\", \"fog\"]\nportion = 1.0");
    // Rotation at 0.3 is worth most.
    let worth = |policy: &Policy| match policy.sub_policies.first().map(|sub_policy| sub_policy.ops[0]) {
        Some(step) if step.op.name() == "rotate" => 0.9 - (step.magnitude - 0.3).abs(),
        Some(_) => 0.4,
        None => 0.5,
    };
    let [(0, none)] = &ask(folder, &[])[..] else { panic!("trial 0 comes first") };
    assert!(none.sub_policies.is_empty());
    assert_eq!(tell(folder, 0, &["--reward", "0.5"]).code, 0);
    for round in 0..12 {
        let trials = ask(folder, &["--n", "2"]);
        assert_eq!(trials.iter().map(|(trial, _)| *trial).collect::<Vec<_>>(), [2 * round + 1, 2 * round + 2]);
        assert_eq!(ask(folder, &["--pending"]), trials);
        for (trial, policy) in trials {
            assert_eq!(tell(folder, trial, &["--reward", &worth(&policy).to_string()]).code, 0);
        }
    }
    let run = deepaug(folder, &["notebook", "study", "--json"]);
    let rebuilt: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((rebuilt["trials"].as_u64(), rebuilt["trainings"].as_u64()), (Some(25), Some(25)));
    let best: Policy = serde_json::from_slice(&fs::read(folder.join("study/best_policy.json")).unwrap()).unwrap();
    assert!(worth(&best) > 0.87, "{best}");
    let rows = rows(&folder.join("study/notebook.csv"));
    assert_eq!(rows.len(), 25);
    assert!(rows.iter().all(|row| row["epoch"].is_empty() && !row["mean_late_val_acc"].is_empty()));
}

#[test]
fn samples_are_averaged_and_failures_have_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, "opt_samples = 2\nsub_policies = 1");
    ask(folder, &["--n", "3"]);
    assert_eq!(tell(folder, 0, &["--reward", "0.4"]).code, 0);
    assert_eq!(tell(folder, 1, &["--reward", "0.6", "--sample", "1"]).code, 0);
    assert_eq!(ask(folder, &["--pending"]).iter().map(|(trial, _)| *trial).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(tell(folder, 1, &["--reward", "0.8", "--sample", "0"]).code, 0);
    assert_eq!(tell(folder, 2, &["--failed", "out of memory"]).code, 0);
    assert!(ask(folder, &["--pending"]).is_empty());
    let run = deepaug(folder, &["notebook", "study", "--json"]);
    let rebuilt: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!((rebuilt["result"]["best"]["reward"].as_f64().unwrap() - 0.7).abs() < 1e-12, "{rebuilt}");
    let rows = rows(&folder.join("study/notebook.csv"));
    assert_eq!(rows.last().unwrap()["failed"], "out of memory");
    // Said again, nothing changes; said otherwise, it is refused.
    assert_eq!(tell(folder, 0, &["--reward", "0.4"]).code, 0);
    for (trial, more, words) in [
        (0, ["--reward", "0.5"].as_slice(), "told something else"),
        (1, &["--reward", "0.5"], "told something else"),
        (9, &["--reward", "0.5"], "has not been asked for"),
        (0, &["--reward", "0.5", "--sample", "2"], "samples 0 to 1"),
        (0, &["--reward", "nan"], "finite number"),
    ] {
        let run = tell(folder, trial, more);
        assert_eq!(run.code, 6, "{trial} {more:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{trial} {more:?}: {}", run.stderr);
    }
    assert_eq!(tell(folder, 0, &[]).code, 2);
    assert_eq!(tell(folder, 0, &["--reward", "1", "--failed", "x"]).code, 2);
}

#[test]
fn a_study_belongs_to_who_made_it() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), "iters = 3");
    let run = deepaug(folder.path(), &["optimize", "--resume", "study"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains("deepaug ask"), "{}", run.stderr);
    let config = support::small_config(folder.path(), "iters = 1");
    assert_eq!(deepaug(folder.path(), &["optimize", "--config", &config, "--out", "other"]).code, 0);
    let run = deepaug(folder.path(), &["ask", "--study", "other"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains("--resume"), "{}", run.stderr);
    let run = deepaug(folder.path(), &["ask", "--study", "nowhere", "--json"]);
    assert_eq!(run.code, 6, "{}", run.stdout);
    let run = deepaug(folder.path(), &["init", "--study", "study"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
}

/// What is proposed depends on what was told, not on how often the program was started.
#[test]
fn proposals_are_those_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let config = deepaug::Config { sub_policies: 1, ..Default::default() };
    let mut one = deepaug::AskTell::create(config, &folder.path().join("one")).unwrap();
    init(folder.path(), "sub_policies = 1");
    for trial in 0..16_u64 {
        let expected = one.ask(1).unwrap().remove(0);
        assert_eq!(ask(folder.path(), &[]), [(expected.trial, expected.policy)]);
        let reward = (trial * 7 % 5) as f64 / 5.0;
        one.tell(trial, None, deepaug::ReportedOutcome::Reward(reward)).unwrap();
        assert_eq!(tell(folder.path(), trial, &["--reward", &reward.to_string()]).code, 0);
    }
}
