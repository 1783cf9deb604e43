//! Population Based Augmentation from search to use, through the binary.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{deepaug, rows, small_config, without_times, write_class_folders};

const KEYS: &str = "method = \"pba\"\npopulation = 4\ninterval = 2\nexplore_all_at_start = true\nranges = \"autoaugment\"\n\
    ops = [\"rotate-nearest\", \"brightness\", \"invert\"]\naugment = \"online\"\nportion = 1.0\nchild_epochs = 5\nconfirm_policies = 2\n\
    confirm_samples = 2\ndata = \"images\"\n";

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_population_ends_in_a_schedule_that_every_command_understands() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let config = small_config(folder.path(), KEYS);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("population: epoch 4/5, best validation accuracy"), "{}", run.stderr);

    // Four children of five epochs, one of which took over after two and after four.
    let table = rows(&at("study/population.csv"));
    assert_eq!(table.len(), 20);
    let parents: Vec<&str> =
        table.iter().filter(|row| !row["parent"].is_empty()).map(|row| &row["epoch"][..]).collect();
    assert_eq!(parents, ["3", "5"]);
    let notebook = rows(&at("study/notebook.csv"));
    let members: Vec<_> = notebook.iter().filter(|row| row["phase"] == "population").collect();
    assert_eq!(members.len(), 20);
    assert!(members.iter().all(|row| row["trial_no"].is_empty() && row["policy"].contains("\"counts\":[0.2,0.3,0.5]")));
    // None, TrivialAugment, the schedule, its last policy, and another order, unless some are the same.
    let trials: std::collections::BTreeSet<&str> =
        notebook.iter().filter(|row| row["phase"] == "search").map(|row| &row["trial_no"][..]).collect();
    assert!((3..=5).contains(&trials.len()), "{trials:?}");
    assert!(!at("study/population").exists());

    let schedule = json(&at("study/schedule.json"));
    let pieces = schedule["earlier"].as_array().map_or(0, Vec::len) + 1;
    let of = |piece: &serde_json::Value| piece["epochs"].as_u64().unwrap_or(0);
    let total: u64 = schedule["earlier"].as_array().into_iter().flatten().map(of).sum::<u64>() + of(&schedule);
    assert_eq!(total, if pieces > 1 { 5 } else { 0 });
    assert_eq!(schedule["application"]["online"]["flip"], true);

    // Stretched to another number of epochs.
    let train = ["train", "study", "--schedule", "study/schedule.json", "--epochs", "3", "--out", "net.safetensors"];
    let run = deepaug(folder.path(), &train);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(json(&at("net.json"))["epochs"].as_array().unwrap().len(), 3);
    let compare =
        ["compare", "study", "--beside", "study/schedule.json", "--baselines", "none,random-policy", "--seeds", "2"];
    let run = deepaug(folder.path(), &compare);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("schedule.json") && run.stdout.contains("random-policy"), "{}", run.stdout);
    for target in ["torchvision", "albumentations", "imgaug"] {
        let run = deepaug(folder.path(), &["export", "--policy", "study/schedule.json", "--to", target]);
        assert_eq!((run.code, run.stdout.contains("def set_epoch(")), (0, pieces > 1), "{}", run.stdout);
        assert!(run.stdout.lines().count() <= 300, "{} lines", run.stdout.lines().count());
    }
    let run = deepaug(
        folder.path(),
        &["preview", "--policy", "study/schedule.json", "--data", "images", "--out", "sheet.png"],
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run = deepaug(folder.path(), &["report", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = fs::read_to_string(at("study/report.html")).unwrap();
    assert!(page.contains("How the population came to its schedule") && page.contains("class=\"descent\""));
    let run = deepaug(folder.path(), &["inspect", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // The tables are views of the journal.
    let before = fs::read(at("study/population.csv")).unwrap();
    fs::remove_file(at("study/population.csv")).unwrap();
    assert_eq!(deepaug(folder.path(), &["notebook", "study"]).code, 0);
    assert_eq!(fs::read(at("study/population.csv")).unwrap(), before);
    // The table alone, without the journal.
    let run = deepaug(folder.path(), &["inspect", "study/notebook.csv"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    if pieces > 1 {
        let run =
            deepaug(folder.path(), &["apply", "--policy", "study/schedule.json", "--in", "images", "--out", "copies"]);
        assert!(run.code == 3 && run.stderr.contains("changes during training"), "{}", run.stderr);
    }
}

#[test]
fn a_population_that_is_killed_goes_on_to_the_same_schedule() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let config = small_config(folder.path(), KEYS);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "whole"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // In the middle of a part, before and after the exchange, in the last part, and in the trainings after it.
    for crash in ["after:3", "torn:4", "after:5", "torn:6", "after:7", "torn:12", "after:14", "after:16", "after:19"] {
        let name = crash.replace(':', "-");
        let optimize = ["optimize", "--config", &config, "--out", &name];
        let status = Command::new(env!("CARGO_BIN_EXE_deepaug"))
            .args(optimize)
            .current_dir(folder.path())
            .env("DEEPAUG_CRASH", crash)
            .output()
            .unwrap()
            .status;
        assert!(!status.success(), "{crash}");
        let run = deepaug(folder.path(), &["optimize", "--resume", &name]);
        assert_eq!(run.code, 0, "{crash}: {}", run.stderr);
        let same = |file: &str| fs::read(at(&name).join(file)).unwrap() == fs::read(at("whole").join(file)).unwrap();
        assert!(same("schedule.json") && same("population.csv") && same("best_policy.json"), "{crash}");
        assert_eq!(without_times(&at(&name).join("notebook.csv")), without_times(&at("whole/notebook.csv")), "{crash}");
    }
    // A state that is gone is named.
    let status = Command::new(env!("CARGO_BIN_EXE_deepaug"))
        .args(["optimize", "--config", &config, "--out", "gone"])
        .current_dir(folder.path())
        .env("DEEPAUG_CRASH", "after:7")
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    for state in fs::read_dir(at("gone/population")).unwrap() {
        fs::remove_file(state.unwrap().path()).unwrap();
    }
    let run = deepaug(folder.path(), &["optimize", "--resume", "gone"]);
    assert!(run.code == 6 && run.stderr.contains("-2.safetensors: is missing"), "{} {}", run.code, run.stderr);
}

#[test]
fn what_a_population_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("images"), &["a", "b", "c"], 50);
    for (key, message) in [
        ("augment = \"once\"", "augment: must be \"online\" when method is \"pba\""),
        ("objective = \"density\"", "objective: must be \"training\" when method is \"pba\""),
        ("child_epochs = \"auto\"", "child_epochs: must be a number when method is \"pba\""),
        ("population = 1", "population: must be at least 2"),
        ("resample_probability = 2.0", "resample_probability: must lie in 0..1"),
    ] {
        let name = key.split(' ').next().unwrap();
        let lines: Vec<&str> = KEYS.lines().filter(|line| !line.starts_with(name)).collect();
        let config = small_config(folder.path(), &format!("{}\n{key}\n", lines.join("\n")));
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
        assert!(run.code == 3 && run.stderr.contains(message), "{key}: {}", run.stderr);
    }
    let config = small_config(folder.path(), KEYS);
    let run = deepaug(folder.path(), &["init", "--study", "told", "--config", &config]);
    assert!(run.code == 3 && run.stderr.contains("it trains its children itself"), "{}", run.stderr);
    // A rate at which every child diverges: no report, no schedule, but a sentence.
    let config = small_config(folder.path(), &format!("{KEYS}optimizer = \"sgd\"\nlearning_rate = 1e30\n"));
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "diverged"]);
    assert!(run.code == 8 && run.stderr.contains("diverged"), "{} {}", run.code, run.stderr);
}
