//! The commands that test whether a search helped and show the result: the real binary on real images.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{deepaug, rows, small_config, write_class_folders};

/// Makes a small finished study in `folder/study`.
fn study(folder: &Path, extra: &str) {
    let config = small_config(folder, extra);
    let run = deepaug(folder, &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

const FEW: [&str; 6] = ["--test-size", "40", "--baselines", "none,trivialaugment,random-policy", "--epochs", "2"];

fn compare(folder: &Path, more: &[&str]) -> support::Run {
    deepaug(folder, &[&["compare", "study"], &FEW[..], more].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_comparison_is_paired_measured_on_test_images_and_says_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 4\nopt_samples = 2");
    let run = compare(folder.path(), &["--seeds", "3", "--rank-check", "2", "--top", "2", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let events: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["event"], &events[0]["trainings"]), (&"started".into(), &Value::from(3 * (4 + 4))));
    let result = &events.last().unwrap()["result"];
    assert_eq!(&json(&folder.path().join("study/compare-tinycnn.json")), result);

    let names: Vec<&str> = result["schemes"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "trivialaugment", "random-policy", "searched"]);
    for scheme in result["schemes"].as_array().unwrap() {
        for accuracy in scheme["accuracies"].as_array().unwrap() {
            // A share of 40 test images.
            let fortieths = 40.0 * accuracy.as_f64().unwrap();
            assert!((fortieths - fortieths.round()).abs() < 1e-4, "{scheme}");
        }
    }
    let mean = |name: &str| {
        let scheme = result["schemes"].as_array().unwrap().iter().find(|scheme| scheme["name"] == name).unwrap();
        scheme["mean"].as_f64().unwrap()
    };
    for versus in result["versus"].as_array().unwrap() {
        let difference = mean("searched") - mean(versus["baseline"].as_str().unwrap());
        assert!((versus["difference"]["mean"].as_f64().unwrap() - difference).abs() < 1e-9);
        assert!(versus["p_corrected"].as_f64() >= versus["difference"]["p"].as_f64());
    }
    assert_eq!(result["rank_check"]["trials"].as_array().unwrap().len(), 4);
    assert_eq!(result["search_cost"]["trainings"], 5 * 2);
    assert!(result["sentence"].as_str().unwrap().starts_with("The searched policies are "), "{result}");

    // Each sample has one seed for all schemes, and the search used none of them.
    let journal = fs::read_to_string(folder.path().join("study/compare-tinycnn.jsonl")).unwrap();
    let trained: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let searched = fs::read_to_string(folder.path().join("study/journal.jsonl")).unwrap();
    for sample in 0..3 {
        let of = trained.iter().filter(|line| line["event"] == "trained" && line["sample"] == sample);
        let mut seeds: Vec<u64> = of.map(|line| line["seed"].as_u64().unwrap()).collect();
        assert_eq!(seeds.len(), 8);
        seeds.dedup();
        assert_eq!(seeds.len(), 1);
        assert!(!searched.contains(&seeds[0].to_string()));
    }
}

#[test]
fn a_killed_comparison_goes_on_as_if_it_had_never_stopped_and_can_grow() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 2");
    let whole = compare(folder.path(), &["--seeds", "4", "--name", "whole", "--json"]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);

    let journal = folder.path().join("study/compare-cut.jsonl");
    let arguments = [&["compare", "study"], &FEW[..], &["--seeds", "4", "--name", "cut"]].concat();
    let mut child = support::start(folder.path(), &arguments);
    support::wait_for_trainings(&mut child, &journal, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = support::trainings(&journal);
    let again = compare(folder.path(), &["--seeds", "4", "--name", "cut"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains(&format!("{kept} of them already done")), "{}", again.stderr);
    assert_eq!(support::trainings(&journal), 4 * 4);
    let schemes = |name: &str| {
        let mut schemes = json(&folder.path().join(format!("study/compare-{name}.json")))["schemes"].clone();
        schemes.as_array_mut().unwrap().iter_mut().for_each(|scheme| scheme["seconds"] = Value::Null);
        schemes
    };
    assert_eq!(schemes("cut"), schemes("whole"));

    let more = deepaug(folder.path(), &[&arguments[..], &["--baselines", "none,cutout", "--seeds", "5"]].concat());
    assert_eq!(more.code, 2, "an option given twice");
    let grown = ["compare", "study", "--test-size", "40", "--epochs", "2", "--name", "cut", "--seeds", "5"];
    let more = deepaug(folder.path(), &[&grown[..], &["--baselines", "none,cutout"]].concat());
    assert_eq!(more.code, 0, "{}", more.stderr);
    assert!(more.stderr.contains("15 trainings, 8 of them already done"), "{}", more.stderr);

    let other = ["compare", "study", "--test-size", "40", "--epochs", "3", "--name", "cut"];
    let refused = deepaug(folder.path(), &other);
    assert_eq!(refused.code, 6);
    assert!(
        refused.stderr.contains("made with epochs = 2. Use the same options, or another --name"),
        "{}",
        refused.stderr
    );
    let other = ["compare", "study", "--test-size", "40", "--epochs", "2", "--name", "cut", "--chance", "0.5"];
    let refused = deepaug(folder.path(), &other);
    assert_eq!(refused.code, 6);
    assert!(refused.stderr.contains("has changed since the comparison began"), "{}", refused.stderr);
}

#[test]
fn another_search_is_compared_unless_it_has_seen_the_test_images() {
    let folder = tempfile::tempdir().unwrap();
    // Images without a test set of their own, which another seed splits differently.
    write_class_folders(&folder.path().join("shapes"), &["dark", "middle", "light"], 60);
    study(folder.path(), "iters = 2\ndata = \"shapes\"");
    let other = |name: &str, extra: &str| {
        let config =
            small_config(folder.path(), &format!("iters = 2\ndata = \"shapes\"\nmethod = \"random\"\n{extra}"));
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", name]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    };
    other("drawn", "");
    let best = json(&folder.path().join("study/result.json"))["top"][0]["policy"].to_string();
    fs::write(folder.path().join("mine.json"), best).unwrap();
    let run = compare(
        folder.path(),
        &["--seeds", "2", "--top", "1", "--beside", "drawn", "--beside", "mine.json", "--name", "three", "--json"],
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let result = json(&folder.path().join("study/compare-three.json"));
    let scheme = |name: &str| {
        result["schemes"].as_array().unwrap().iter().find(|scheme| scheme["name"] == name).unwrap()["accuracies"]
            .clone()
    };
    assert_eq!(scheme("mine.json"), scheme("searched"), "the same policy, the same seeds");
    assert_eq!(scheme("drawn").as_array().unwrap().len(), 2);
    let versus: Vec<&str> =
        result["versus"].as_array().unwrap().iter().map(|versus| versus["baseline"].as_str().unwrap()).collect();
    assert_eq!(versus, ["none", "trivialaugment", "random-policy", "drawn", "mine.json"]);

    for (name, extra) in [("elsewhere", "seed = 7"), ("smaller", "seed = 7\nimage_size = 10")] {
        other(name, extra);
        let refused = compare(folder.path(), &["--beside", name, "--name", "refused"]);
        assert_eq!(refused.code, 6, "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains("searched on images that are test images"), "{}", refused.stderr);
    }
    assert!(!folder.path().join("study/compare-refused.jsonl").exists());
    let twice = compare(folder.path(), &["--beside", "drawn", "--beside", "drawn", "--name", "refused"]);
    assert_eq!(twice.code, 3, "{}", twice.stderr);
}

#[test]
fn a_finish_is_the_same_for_all_policies_searched_and_published() {
    let folder = tempfile::tempdir().unwrap();
    let compared = |name: &str, finish: &str| -> Value {
        let extra = format!("iters = 1\nportion = 1.0\naugment = \"online\"\nfinish = {finish}");
        let run =
            deepaug(folder.path(), &["optimize", "--config", &small_config(folder.path(), &extra), "--out", name]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let baselines = ["--baselines", "none,flip-crop,trivialaugment,random-policy", "--seeds", "1", "--epochs", "1"];
        let run = deepaug(folder.path(), &[&["compare", name, "--test-size", "40"], &baselines[..]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.contains("a published policy, on 100 % of the images"), "{}", run.stdout);
        serde_json::from_slice(&fs::read(folder.path().join(name).join("compare-tinycnn.json")).unwrap()).unwrap()
    };
    let online = |result: &Value, name: &str| -> deepaug::Online {
        let schemes = result["schemes"].as_array().unwrap();
        let scheme = schemes.iter().find(|scheme| scheme["name"] == name).unwrap();
        serde_json::from_value(scheme["online"].clone()).unwrap()
    };
    let (with, without) = (compared("with", "true"), compared("without", "false"));
    let full = deepaug::Online::STANDARD;
    for name in ["searched", "random-policy", "trivialaugment"] {
        let chance = if name == "trivialaugment" { 1.0 } else { full.chance };
        assert_eq!(online(&with, name), deepaug::Online { chance, ..full }, "{name}");
        assert_eq!(online(&without, name), deepaug::Online { chance, ..deepaug::Online::NOTHING }, "{name}");
    }
    for result in [&with, &without] {
        assert_eq!(online(result, "none"), deepaug::Online::NOTHING);
        assert_eq!(online(result, "flip-crop"), deepaug::Online { chance: 0.0, cutout: 0.0, ..full });
    }
    // A comparison can choose the finish; one that was begun with another finish does not continue.
    let other =
        deepaug(folder.path(), &["compare", "without", "--test-size", "40", "--epochs", "1", "--finish", "full"]);
    assert_eq!(other.code, 6);
    assert!(other.stderr.contains("finish = false"), "{}", other.stderr);
    let wrong = deepaug(folder.path(), &["compare", "without", "--finish", "half"]);
    assert_eq!(wrong.code, 2);
    // Nor does one from a version that finished only the baselines.
    let journal = folder.path().join("without/compare-tinycnn.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    assert!(text.contains("\"finish\":false,"));
    fs::write(&journal, text.replacen("\"finish\":false,", "", 1)).unwrap();
    let old = deepaug(folder.path(), &["compare", "without", "--test-size", "40", "--epochs", "1"]);
    assert_eq!(old.code, 6);
    assert!(old.stderr.contains("a version of deepaug that does not know finish"), "{}", old.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 1");
    let mut child = support::start(folder.path(), &["compare", "study", "--seeds", "5000", "--test-size", "40"]);
    support::wait_for_trainings(&mut child, &folder.path().join("study/compare-tinycnn.jsonl"), 1);
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("Repeat the command to continue"), "{stderr}");
}

#[test]
fn a_study_without_a_result_and_unknown_baselines_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 1");
    let unknown = deepaug(folder.path(), &["compare", "study", "--baselines", "none,autoagument"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("unknown baseline") && unknown.stderr.contains("trivialaugment"),
        "{}",
        unknown.stderr
    );
    fs::remove_file(folder.path().join("study/result.json")).unwrap();
    let unfinished = compare(folder.path(), &[]);
    assert_eq!(unfinished.code, 6);
    assert!(unfinished.stderr.contains("the search has not finished"), "{}", unfinished.stderr);
    assert!(!folder.path().join("study/compare-tinycnn.jsonl").exists());
    let nothing = deepaug(folder.path(), &["compare", "nowhere"]);
    assert_eq!(nothing.code, 6, "{}", nothing.stderr);
}

#[test]
fn a_notebook_is_inspected_and_another_table_refused() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 3\nopt_samples = 2");
    let run = deepaug(folder.path(), &["inspect", "study", "--csv", "--top", "3"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    fs::write(folder.path().join("top.csv"), &run.stdout).unwrap();
    let (found, expected) = (rows(&folder.path().join("top.csv")), rows(&folder.path().join("study/top_policies.csv")));
    assert_eq!(found.len(), 3);
    for (found, expected) in found.iter().zip(&expected) {
        for column in ["trial_no", "policy"] {
            assert_eq!(found[column], expected[column]);
        }
        let close = |column: &str| {
            let number = |row: &std::collections::BTreeMap<String, String>| row[column].parse::<f64>().unwrap();
            (number(found) - number(expected)).abs() < 1e-4
        };
        assert!(close("reward") && close("expected_accuracy_increase(%)"), "{found:?} {expected:?}");
    }
    let by_op = deepaug(folder.path(), &["inspect", "study", "--by", "op"]);
    assert!(by_op.code == 0 && by_op.stdout.contains("by magnitude"), "{}", by_op.stdout);
    let object: Value = serde_json::from_str(&deepaug(folder.path(), &["inspect", "study", "--json"]).stdout).unwrap();
    assert_eq!((&object["shape"], &object["trainings"]), (&"deepaug".into(), &Value::from(8)));

    fs::write(folder.path().join("other.csv"), "name,value\na,1\n").unwrap();
    let refused = deepaug(folder.path(), &["inspect", "other.csv"]);
    assert_eq!(refused.code, 6);
    assert!(refused.stderr.contains("it lacks trial_no, sample_no"), "{}", refused.stderr);
    assert_eq!(deepaug(folder.path(), &["inspect", "nowhere.csv"]).code, 7);
}

#[test]
fn a_model_is_trained_with_its_module_history_and_card() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 1");
    let base = ["train", "study", "--test-size", "40", "--epochs", "2", "--out"];
    let run = deepaug(folder.path(), &[&base[..], &["final/model.safetensors"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let [weights, history, card] =
        ["safetensors", "json", "md"].map(|end| folder.path().join(format!("final/model.{end}")));
    let trained = json(&history);
    let epochs = trained["epochs"].as_array().unwrap();
    assert_eq!(
        (epochs.len(), trained["train_images"].as_u64(), trained["test_images"].as_u64()),
        (2, Some(60), Some(40))
    );
    assert_eq!(epochs[1]["val_acc"], trained["accuracy"]);
    let words = fs::read_to_string(card).unwrap();
    let accuracy = format!("{:.2} %", 100.0 * trained["accuracy"].as_f64().unwrap());
    assert!(words.contains("tinycnn") && words.contains(&accuracy) && words.contains("ankle-boot"), "{words}");
    let module = fs::read_to_string(folder.path().join("final/model.py")).unwrap();
    assert!(module.contains("ankle-boot") && module.contains("with_name(\"model.safetensors\")"), "{module}");
    assert_eq!(fs::read_dir(folder.path().join("final")).unwrap().count(), 4, "nothing else is left");
    fs::write(folder.path().join("mine.py"), "import this\n").unwrap();
    let run = deepaug(folder.path(), &[&base[..], &["mine.safetensors"]].concat());
    assert!(
        run.code == 3 && run.stderr.contains("mine.py exists and is not of a net that deepaug wrote"),
        "{}",
        run.stderr
    );

    let again = deepaug(folder.path(), &[&base[..], &["again.safetensors"]].concat());
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(fs::read(weights).unwrap() == fs::read(folder.path().join("again.safetensors")).unwrap());
    let other = deepaug(folder.path(), &[&base[..], &["other.safetensors", "--scheme", "trivialaugment"]].concat());
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert_ne!(json(&folder.path().join("other.json"))["epochs"], trained["epochs"]);
    let wrong = deepaug(folder.path(), &[&base[..], &["model.json"]].concat());
    assert_eq!(wrong.code, 3, "{}", wrong.stderr);
}

#[test]
fn a_model_is_trained_against_an_adversary_whose_policies_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    study(folder.path(), "iters = 2\nadversarial_policies = 3\nadversarial_updates = 2\nchild_epochs = 3");
    let few = [
        "compare",
        "study",
        "--test-size",
        "40",
        "--seeds",
        "2",
        "--baselines",
        "none,adversarial,random-views",
        "--json",
    ];
    let run = deepaug(folder.path(), &few);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let result =
        &run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).next_back().unwrap()["result"];
    let what = |name: &str| {
        let scheme = result["schemes"].as_array().unwrap().iter().find(|scheme| scheme["name"] == name).unwrap();
        scheme["what"].as_str().unwrap().to_owned()
    };
    assert!(what("adversarial").contains("3 hard policies, written as it trains"), "{}", what("adversarial"));
    assert!(what("random-views").contains("3 random policies, all of them in every batch"), "{}", what("random-views"));

    let train = |scheme: &[&str], out: &str| {
        let run = deepaug(folder.path(), &[&["train", "study", "--test-size", "40", "--out", out], scheme].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
    };
    train(&["--scheme", "adversarial"], "hard.safetensors");
    train(&["--scheme", "adversarial"], "again.safetensors");
    let read = |name: &str| fs::read(at(name)).unwrap();
    assert_eq!(read("hard.safetensors"), read("again.safetensors"));
    assert_eq!(json(&at("hard.json"))["epochs"], json(&at("again.json"))["epochs"]);
    let table = rows(&at("hard.adversary.csv"));
    // Three epochs of two updates, with three policies each.
    assert_eq!(table.len(), 3 * 2 * 3);
    let sum = table.chunks(3).map(|of| of.iter().map(|row| row["normalised"].parse::<f64>().unwrap()).sum::<f64>());
    assert!(sum.into_iter().all(|sum| sum.abs() < 1e-9));
    assert!(table.iter().all(|row| row["loss"].parse::<f64>().unwrap() > 0.0));
    let schedule = json(&at("hard.schedule.json"));
    assert_eq!((schedule["format"].as_u64(), schedule["earlier"].as_array().map(Vec::len)), (Some(3), Some(2)));
    train(&["--schedule", "hard.schedule.json", "--epochs", "6"], "replayed.safetensors");
    // Without an adversary there is nothing of it.
    assert!(!at("replayed.adversary.csv").exists());
    let run = deepaug(folder.path(), &["export", "--policy", "hard.schedule.json", "--to", "torchvision"]);
    assert!(run.code == 0 && run.stdout.contains("def set_epoch("), "{}", run.stderr);
}

#[test]
fn published_policies_are_used_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("shapes"), &["dark", "light"], 6);
    let run =
        deepaug(folder.path(), &["apply", "--policy", "trivialaugment", "--copies", "2", "shapes", "copies", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let applied: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&applied["images"], &applied["copies"]), (&Value::from(12), &Value::from(24)));
    assert!(folder.path().join("copies/dark/0-aug2a.png").is_file());

    let run = deepaug(folder.path(), &["export", "--policy", "autoaugment-svhn", "--to", "json"]);
    let policy: deepaug::Policy = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(policy.sub_policies.len(), 25);
    let code = deepaug(folder.path(), &["export", "--policy", "randaugment-1-9", "--to", "albumentations"]);
    assert!(code.code == 0 && code.stdout.contains("class DeepaugPolicy"), "{}", code.stderr);
    let preview =
        ["preview", "--policy", "autoaugment-cifar10", "--data", "shapes", "--no-check", "--out", "sheet.png"];
    assert_eq!(deepaug(folder.path(), &preview).code, 0);
    let unknown = deepaug(folder.path(), &["export", "--policy", "trivialaugmentt", "--to", "json"]);
    assert_eq!(unknown.code, 7);
    assert!(unknown.stderr.contains("trivialaugmentt"), "{}", unknown.stderr);
}

#[test]
fn a_page_is_whole_before_and_after_a_comparison() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "iters = 3\nopt_samples = 2\nconfirm_policies = 1\nconfirm_samples = 2");
    let page = || {
        let run = deepaug(folder.path(), &["report", "study"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        fs::read_to_string(folder.path().join("study/report.html")).unwrap()
    };
    let before = page();
    assert!(before.contains("deepaug compare study") && before.contains("data:image/png;base64,"));
    assert_eq!(compare(folder.path(), &["--seeds", "2"]).code, 0);
    let after = page();
    let sentence = json(&folder.path().join("study/compare-tinycnn.json"))["sentence"].as_str().unwrap().to_string();
    assert!(after.contains(&sentence), "{sentence}");
    for part in
        ["trivialaugment", "The course of the search", "Learning curves", "class DeepaugPolicy", "train_set_size = 60"]
    {
        assert!(after.contains(part), "{part}");
    }
    // Nothing is fetched and no script runs.
    for outside in ["http://", "https://", "<script", "<link", "@import"] {
        let code = after.split("<details>").next().unwrap_or_default();
        assert!(!code.contains(outside), "{outside}");
    }
    let charts = after.split("<svg").skip(1).filter_map(|rest| rest.split("</svg>").next());
    assert!(charts.clone().count() > 4, "there are charts");
    assert!(charts.into_iter().all(|chart| !chart.contains("NaN")), "no chart is drawn with what is no number");
    let missing = deepaug(folder.path(), &["report", "nowhere"]);
    assert_eq!(missing.code, 6, "{}", missing.stderr);
}

#[test]
fn accuracy_is_told_by_subgroup_and_groups_can_be_weighted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    // Every class has images of two sites: few of one.
    let mut table = String::from("image,label,site\n");
    for class in ["a", "b", "c"] {
        for index in 0..50 {
            let site = if index % 5 == 0 { "north" } else { "south" };
            table.push_str(&format!("images/{class}/{index}.png,{class},{site}\n"));
        }
    }
    fs::write(at("labels.csv"), table).unwrap();
    study(folder.path(), "data = \"labels.csv\"\nsubgroup_column = \"site\"\niters = 2\nchild_batch_size = 24\n");
    let compare = [
        "compare",
        "study",
        "--test-size",
        "40",
        "--seeds",
        "2",
        "--epochs",
        "3",
        "--baselines",
        "none,balanced,group-dro",
        "--name",
        "sites",
    ];
    let run = deepaug(folder.path(), &compare);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout.matches("worst group: ").count(), 4, "{}", run.stdout);
    let result = json(&at("study/compare-sites.json"));
    let scheme = |name: &str| {
        result["schemes"].as_array().unwrap().iter().find(|scheme| scheme["name"] == name).unwrap().clone()
    };
    let groups = scheme("none")["groups"].as_array().unwrap().clone();
    assert_eq!(groups.len(), 6);
    assert_eq!((groups[0]["class"].as_str(), groups[0]["subgroup"].as_str()), (Some("a"), Some("north")));
    let tested: u64 = groups.iter().map(|group| group["test_images"].as_u64().unwrap()).sum();
    assert_eq!(tested, result["test_images"].as_u64().unwrap());
    let mean = |group: &Value| group["mean"].as_f64().unwrap() * group["test_images"].as_u64().unwrap() as f64;
    let overall = groups.iter().map(mean).sum::<f64>() / tested as f64;
    assert!((overall - scheme("none")["mean"].as_f64().unwrap()).abs() < 1e-6);
    assert!(groups.iter().all(|group| group.get("weights").is_none()));
    for (name, moves) in [("balanced", false), ("group-dro", true)] {
        let of_group = |group: &Value| {
            let weights = group["weights"].as_array().unwrap();
            assert_eq!(weights.len(), 3);
            weights[2].as_f64().unwrap()
        };
        let last: Vec<f64> = scheme(name)["groups"].as_array().unwrap().iter().map(of_group).collect();
        assert!((last.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(last.iter().any(|weight| (weight - 1.0 / 6.0).abs() > 1e-9), moves, "{name}: {last:?}");
    }
    let run = deepaug(folder.path(), &["report", "study", "--out", "page.html"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = fs::read_to_string(at("page.html")).unwrap();
    assert!(page.contains("By subgroup") && page.contains("What the loss of the heaviest groups counted"));

    // Folders inside class folders; and a whole search for the worst group.
    for class in ["a", "b", "c"] {
        for index in 0..50 {
            let site = at("nested").join(class).join(if index % 5 == 0 { "north" } else { "south" });
            fs::create_dir_all(&site).unwrap();
            fs::copy(at("images").join(class).join(format!("{index}.png")), site.join(format!("{index}.png"))).unwrap();
        }
    }
    let keys =
        "data = \"nested\"\nsubgroup_column = \"folder\"\nloss = \"group-dro\"\niters = 1\nchild_batch_size = 24\n";
    let config = small_config(folder.path(), keys);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "robust"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let journal = fs::read_to_string(at("robust/journal.jsonl")).unwrap();
    assert!(journal.contains("\"groups\":{\"subgroups\":2"), "{journal}");

    // The same sites from a table beside folders of classes alone; they are part of what a study is made on.
    let sites = |of: &dyn Fn(usize) -> &'static str| {
        let rows = ["a", "b", "c"].into_iter().flat_map(|class| (0..50).map(move |index| (class, index)));
        let rows: String = rows.map(|(class, index)| format!("{class}/{index}.png,{}\n", of(index))).collect();
        fs::write(at("sites.csv"), format!("file,site\n{rows}")).unwrap();
    };
    sites(&|index| if index % 5 == 0 { "north" } else { "south" });
    let keys = "data = \"images\"\nsubgroup_column = \"site\"\nsubgroup_table = \"sites.csv\"\niters = 1\n";
    let config = small_config(folder.path(), keys);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "beside"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let journal = fs::read_to_string(at("beside/journal.jsonl")).unwrap();
    assert!(journal.contains("\"groups\":{\"subgroups\":2"), "{journal}");
    sites(&|index| if index % 5 == 1 { "north" } else { "south" });
    let run = deepaug(folder.path(), &["optimize", "--resume", "beside", "--iters", "2"]);
    assert!(run.code != 0 && run.stderr.contains("the data set has changed"), "{} {}", run.code, run.stderr);
}

#[test]
fn subgroups_that_are_not_there_are_said_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let table = |site: &dyn Fn(&str, u32) -> String| {
        let mut table = String::from("image,label,site\n");
        for class in ["a", "b", "c"] {
            (0..50).for_each(|index| {
                table.push_str(&format!("images/{class}/{index}.png,{class},{}\n", site(class, index)))
            });
        }
        fs::write(at("labels.csv"), table).unwrap();
    };
    let refused = |keys: &str, code: i32, words: &str| {
        let config = small_config(folder.path(), keys);
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
        assert!(run.code == code && run.stderr.contains(words), "{keys}: {} {}", run.code, run.stderr);
        assert!(!at("study").exists());
    };
    table(&|_, _| "north".into());
    refused("data = \"labels.csv\"\nloss = \"group-dro\"\n", 3, "loss: must be \"mean\" when subgroup_column is empty");
    refused("data = \"labels.csv\"\nsubgroup_column = \"clinic\"\n", 4, "there is no column \"clinic\"");
    refused(
        "data = \"omniglot-sample\"\nsubgroup_column = \"site\"\n",
        4,
        "it says of no image which subgroup it is of",
    );
    refused("data = \"images\"\nsubgroup_column = \"site\"\n", 4, "it says of no image which subgroup it is of");
    refused(
        "data = \"images\"\nsubgroup_table = \"labels.csv\"\n",
        3,
        "subgroup_column: must name the column of subgroup_table",
    );
    refused("data = \"images\"\nsubgroup_column = \"site\"\nsubgroup_table = \"nowhere.csv\"\n", 4, "nowhere.csv");
    refused(
        "data = \"labels.csv\"\nsubgroup_column = \"site\"\nloss = \"group-dro\"\nmixup = 0.2\n",
        3,
        "loss: must be \"mean\" when mixup is above 0",
    );
    table(&|_, index| if index == 7 { String::new() } else { "north".into() });
    refused(
        "data = \"labels.csv\"\nsubgroup_column = \"site\"\n",
        4,
        "there is no subgroup; give one or remove the row",
    );
    // One image of a group, which is not among the sixty to learn from in every split: then it cannot be weighted.
    table(&|class, index| if class == "b" && index < 1 { "north".into() } else { "south".into() });
    let config = small_config(
        folder.path(),
        "data = \"labels.csv\"\nsubgroup_column = \"site\"\nloss = \"group-dro\"\ntrain_set_size = 20\nvalidation_set_size = 60\nseed = 4\n",
    );
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert!(run.code == 4 && run.stderr.contains("class \"b\", subgroup \"north\""), "{} {}", run.code, run.stderr);

    study(folder.path(), "data = \"images\"\niters = 1\n");
    let run = deepaug(folder.path(), &["compare", "study", "--baselines", "none,group-dro"]);
    assert!(run.code == 3 && run.stderr.contains("set subgroup_column"), "{} {}", run.code, run.stderr);
}
