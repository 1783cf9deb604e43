//! The real binary on real images.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Run, deepaug, rows, small_config, without_times, write_class_folders};

#[test]
fn a_search_leaves_a_complete_notebook_and_its_best_policies() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 3\nopt_samples = 2\nconfirm_policies = 1\nconfirm_samples = 2");
    let out = folder.path().join("study");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", out.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("gain over no policy"), "{}", run.stdout);
    assert!(run.stderr.contains("trial 3: reward"), "{}", run.stderr);

    let rows = rows(&out.join("notebook.csv"));
    // Trial 0 and three policies with two samples each; two fresh seeds for the best policy and for trial 0.
    let epochs = 2;
    assert_eq!(rows.len(), (4 * 2 + 2 * 2) * epochs);
    let number = |row: &BTreeMap<String, String>, key: &str| row[key].parse::<f64>().unwrap();
    for row in &rows {
        let is_empty = |column: &str| {
            let other = column.len() > 2 && column.as_bytes()[1] == b'_' && !column.starts_with("A_");
            column == "failed" || other || (column == "scheme" && row["trial_no"] != "0")
        };
        let policy: deepaug::Policy = serde_json::from_str(&row["policy"]).unwrap();
        let ops = policy.sub_policies.first().map_or(0, |sub_policy| sub_policy.ops.len());
        for (column, cell) in row {
            let lacks = (column.starts_with("A_aug1") && ops < 1) || (column.starts_with("A_aug2") && ops < 2);
            assert_eq!(cell.is_empty(), is_empty(column) || lacks, "{column} {row:?}");
        }
        if let Some(step) = policy.sub_policies.first().map(|sub_policy| sub_policy.ops[0]) {
            assert_eq!(row["A_aug1_type"], step.op.name());
            assert_eq!(number(row, "A_aug1_magnitude"), step.magnitude);
        }
        for accuracy in ["acc", "val_acc", "train_acc", "mean_late_val_acc", "top_k_val_acc"] {
            assert!((0.0..=1.0).contains(&number(row, accuracy)), "{row:?}");
        }
        // An accuracy on 30 validation images is a multiple of 1/30.
        let thirtieths = 30.0 * number(row, "val_acc");
        assert!((thirtieths - thirtieths.round()).abs() < 1e-6, "{row:?}");
        assert!(number(row, "loss") > 0.0 && number(row, "val_loss") > 0.0);
        assert_eq!(row["phase"], if number(row, "sample_no") < 2.0 { "search" } else { "confirm" });
    }
    let baseline: Vec<_> = rows.iter().filter(|row| row["trial_no"] == "0").collect();
    assert!(baseline.iter().all(|row| row["scheme"] == "none"));
    // Here the reward is the mean of the two best validation accuracies, because no epoch counts as overfitted.
    for pair in rows.chunks(epochs) {
        let mean = pair.iter().map(|row| number(row, "val_acc")).sum::<f64>() / epochs as f64;
        assert!((number(&pair[0], "mean_late_val_acc") - mean).abs() < 1e-9, "{pair:?}");
    }

    let policy: deepaug::Policy = serde_json::from_slice(&fs::read(out.join("best_policy.json")).unwrap()).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&fs::read(out.join("result.json")).unwrap()).unwrap();
    let helps = result["best"]["fresh_gain"]["mean"].as_f64().unwrap() > 0.0;
    assert_eq!(result["advice"], if helps { "policy" } else { "none" });
    assert_eq!(policy.sub_policies.len(), usize::from(helps));
    let top = support::rows(&out.join("top_policies.csv"));
    assert_eq!(top.len(), 3);
    let best = &top[0];
    let of_best = rows.iter().filter(|row| row["trial_no"] == best["trial_no"] && row["phase"] == "search");
    let rewards: Vec<f64> = of_best.map(|row| number(row, "mean_late_val_acc")).collect();
    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
    assert!((number(best, "reward") - mean).abs() < 1e-9);
    let base = baseline.iter().filter(|row| row["phase"] == "search").map(|row| number(row, "mean_late_val_acc"));
    let base = base.sum::<f64>() / 4.0;
    assert!((number(best, "expected_accuracy_increase(%)") - 100.0 * (mean - base)).abs() < 1e-3);
    assert!(out.join("study.toml").is_file() && out.join("result.json").is_file());
}

#[test]
fn the_same_seed_gives_the_same_notebook_and_another_seed_another() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 2\nopt_samples = 3\nthreads = 3");
    let notebook = |out: &str, seed: &str| {
        let args = ["optimize", "--config", &config, "--out", out, "--seed", seed, "--device", "cpu"];
        let run = deepaug(folder.path(), &args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        without_times(&folder.path().join(out).join("notebook.csv"))
    };
    let first = notebook("a", "5");
    assert_eq!(first, notebook("b", "5"));
    assert_ne!(first, notebook("c", "6"));
}

#[test]
fn a_network_that_learns_to_write_policies_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let search =
        "method = \"ppo\"\ncontroller_batch = 2\ncontroller_units = 10\nop_probability = \"search\"\nworkers = 1\n";
    let config = small_config(folder.path(), &format!("{search}iters = 6"));
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "whole"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let trained = rows(&folder.path().join("whole/notebook.csv"));
    let policy = |row: &BTreeMap<String, String>| serde_json::from_str::<deepaug::Policy>(&row["policy"]).unwrap();
    let steps: Vec<_> = trained.iter().flat_map(|row| policy(row).sub_policies).flat_map(|s| s.ops).collect();
    assert!(steps.iter().any(|step| step.probability < 1.0), "{steps:?}");

    let config = small_config(folder.path(), &format!("{search}iters = 3"));
    assert_eq!(deepaug(folder.path(), &["optimize", "--config", &config, "--out", "cut"]).code, 0);
    let more = deepaug(folder.path(), &["optimize", "--resume", "cut", "--iters", "6"]);
    assert_eq!(more.code, 0, "{}", more.stderr);
    let notebook = |study: &str| without_times(&folder.path().join(study).join("notebook.csv"));
    assert_eq!(notebook("cut"), notebook("whole"));

    let report = deepaug(folder.path(), &["report", "whole", "--out", "page.html"]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("What the controller has learnt") && page.contains("ops it chooses among"));
}

#[test]
fn policies_are_judged_without_training_and_confirmed_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let search = "objective = \"density\"\nopt_samples = 2\nholdout = \"repeated\"\naugment = \"online\"\nportion = 1.0\n\
                  finish = false\nchance = 1.0\nconfirm_policies = 1\nconfirm_samples = 2\niters = 6\nchild_epochs = 4\n";
    let mut notebooks = Vec::new();
    for count in ["any", "mean"] {
        let config = small_config(folder.path(), &format!("{search}density_count = \"{count}\""));
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", count]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        notebooks.push(rows(&folder.path().join(count).join("notebook.csv")));
    }
    let accuracy = |row: &BTreeMap<String, String>| row["val_acc"].parse::<f64>().unwrap();
    let search = |rows: &[BTreeMap<String, String>]| -> Vec<BTreeMap<String, String>> {
        rows.iter().filter(|row| row["phase"] == "search").cloned().collect()
    };
    let [any, mean] = [&notebooks[0], &notebooks[1]].map(|rows| search(rows));
    // A row for each policy and sample; what is confirmed has a row for each epoch of a training.
    assert_eq!(any.len(), 7 * 2);
    assert!(notebooks[0].len() > any.len() && (notebooks[0].len() - any.len()) % 4 == 0);
    // Without a policy all copies are the image itself, which the judge reads as it read it while it was trained.
    let none = |rows: &[BTreeMap<String, String>]| -> Vec<f64> {
        rows.iter().filter(|row| row["trial_no"] == "0").map(accuracy).collect()
    };
    assert_eq!(none(&any), none(&mean));
    assert!(any[0]["policy"] == mean[0]["policy"] && accuracy(&any[0]) >= accuracy(&mean[0]));
    let judge = folder.path().join("any/judge-0.safetensors");
    assert!(judge.is_file() && folder.path().join("any/judge-1.safetensors").is_file());

    let refused = small_config(folder.path(), "objective = \"density\"");
    let refused = deepaug(folder.path(), &["optimize", "--config", &refused, "--out", "refused"]);
    assert_eq!(refused.code, 3);
    assert!(refused.stderr.contains("only training shows"), "{}", refused.stderr);
}

#[test]
fn a_killed_search_goes_on_as_if_it_had_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 5\nopt_samples = 2\nconfirm_policies = 1\nconfirm_samples = 1");
    let whole = folder.path().join("whole");
    assert_eq!(deepaug(folder.path(), &["optimize", "--config", &config, "--out", "whole"]).code, 0);

    let cut = folder.path().join("cut");
    let journal = cut.join("journal.jsonl");
    let mut child = support::start(folder.path(), &["optimize", "--config", &config, "--out", "cut"]);
    support::wait_for_trainings(&mut child, &journal, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let trained = || support::trainings(&journal);
    let kept = trained();
    // A crash can also cut the last line short.
    fs::OpenOptions::new()
        .append(true)
        .open(&journal)
        .and_then(|mut f| std::io::Write::write_all(&mut f, b"{\"ev"))
        .unwrap();

    let run = deepaug(folder.path(), &["optimize", "--resume", "cut"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(without_times(&cut.join("notebook.csv")), without_times(&whole.join("notebook.csv")));
    let trainings = 6 * 2 + 2;
    assert!(kept >= 3 && trained() == trainings, "{kept} kept, {} in all", trained());
    assert_eq!(fs::read(cut.join("best_policy.json")).unwrap(), fs::read(whole.join("best_policy.json")).unwrap());

    let fewer = deepaug(folder.path(), &["optimize", "--resume", "cut", "--iters", "2"]);
    assert_eq!(fewer.code, 6);
    let more = deepaug(folder.path(), &["optimize", "--resume", "cut", "--iters", "6"]);
    assert_eq!(more.code, 0, "{}", more.stderr);
    let trained_rows = rows(&cut.join("notebook.csv"));
    assert!(trained_rows.iter().any(|row| row["trial_no"] == "6"));
    // Whatever is confirmed now, earlier confirmations stay in the notebook.
    assert_eq!(trained_rows.len(), 2 * trained());

    let frozen = fs::read_to_string(cut.join("study.toml")).unwrap();
    fs::write(cut.join("study.toml"), frozen.replace("child_epochs = 2", "child_epochs = 3")).unwrap();
    let edited = deepaug(folder.path(), &["optimize", "--resume", "cut"]);
    assert_eq!(edited.code, 6);
    assert!(edited.stderr.contains("made with child_epochs = 2"), "{}", edited.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_search_soon_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 5000\nchild_epochs = 1\nmethod = \"random\"");
    let mut child = support::start(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    support::wait_for_trainings(&mut child, &folder.path().join("study/journal.jsonl"), 1);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("Continue with: deepaug optimize --resume \"study\""), "{stderr}");
}

#[test]
fn a_space_of_one_policy_is_tried_once_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let extra = "iters = 4\nops = [\"invert\"]\nops_per_sub_policy = 1\nportion = 1.0\nranges = \"deepaugment-1.1.2\"";
    let config = small_config(folder.path(), extra);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(rows(&folder.path().join("study/top_policies.csv")).len(), 1);
}

#[test]
fn pretrained_weights_lie_in_the_study_and_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 1\nchild_first_train_epochs = 2");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("pre-training epoch 2/2"), "{}", run.stderr);
    let weights = folder.path().join("study/pre_aug_weights.safetensors");
    let before = fs::read(&weights).unwrap();
    let more = deepaug(folder.path(), &["optimize", "--resume", "study", "--iters", "2"]);
    assert_eq!(more.code, 0, "{}", more.stderr);
    assert!(!more.stderr.contains("pre-training"), "{}", more.stderr);
    assert!(fs::read(&weights).unwrap() == before);

    // If damaged, they are made again, identically.
    fs::write(&weights, &before[..before.len() / 2]).unwrap();
    let mended = deepaug(folder.path(), &["optimize", "--resume", "study", "--iters", "3"]);
    assert_eq!(mended.code, 0, "{}", mended.stderr);
    assert!(mended.stderr.contains("pre-training"), "{}", mended.stderr);
    assert!(fs::read(&weights).unwrap() == before);
}

#[test]
fn online_every_image_gets_a_policy_by_chance_in_its_own_place() {
    let folder = tempfile::tempdir().unwrap();
    let accuracies = |extra: &str| {
        let config = small_config(folder.path(), &format!("iters = 2\nportion = 1.0\naugment = \"online\"\n{extra}"));
        let name = extra.replace([' ', '\n', '"'], "");
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", &name]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let rows = rows(&folder.path().join(&name).join("notebook.csv"));
        let of = |trial: &str| -> Vec<String> {
            rows.iter().filter(|row| row["trial_no"] == trial).map(|row| row["acc"].clone() + &row["val_acc"]).collect()
        };
        [of("0"), of("1"), of("2")]
    };
    let [none, first, second] = accuracies("chance = 0.0");
    assert_eq!(none.len(), 2);
    assert!(none == first && none == second, "no image gets a policy: {none:?} {first:?} {second:?}");
    let [still, always, _] = accuracies("chance = 1.0");
    assert!(still == none && always != none, "{still:?} {always:?}");
    let [plain, ..] = accuracies("chance = 0.0\npad = 0.0\nflip = false\ncutout = 0.0");
    assert_ne!(plain, none, "images are shifted, mirrored and covered without a policy");
    let [alone, ..] = accuracies("chance = 0.0\nfinish = false");
    assert_eq!(alone, plain);

    let config = small_config(folder.path(), "portion = \"search\"\naugment = \"online\"");
    let refused = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "refused"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("portion: has no meaning"), "{}", refused.stderr);
}

#[test]
fn the_notebook_has_the_columns_of_release_1_1_2_and_ours_whatever_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let five = "sub_policies = 5\nportion = 1.0\nranges = \"deepaugment-1.1.2\"\nmethod = \"random\"";
    let schemes = "space = \"schemes\"\naugment = \"online\"\nfinish = false\nportion = 1.0\nops = \"all\"\nexclude = \"sample-pairing\"";
    let mut headers = Vec::new();
    for (study, extra) in [("five", five), ("one", ""), ("schemes", schemes)] {
        let config = small_config(folder.path(), &format!("iters = 1\n{extra}"));
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", study]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let text = fs::read_to_string(folder.path().join(study).join("notebook.csv")).unwrap();
        headers.push(text.lines().next().unwrap().to_string());
        let last = support::rows(&folder.path().join(study).join("notebook.csv")).pop().unwrap();
        let filled = last.iter().filter(|(column, cell)| column.contains("_aug") && !cell.is_empty()).count();
        match study {
            "schemes" => assert_eq!((filled, &*last["scheme"]), (0, "flip-crop")),
            "one" => assert!((2..=4).contains(&filled)),
            _ => assert!((10..=20).contains(&filled)),
        }
    }
    assert!(headers.iter().all(|header| *header == headers[0]));
    let header: Vec<_> = headers[0].split(',').collect();
    assert_eq!(header[..7], ["acc", "loss", "val_acc", "val_loss", "trial_no", "A_aug1_type", "A_aug1_magnitude"]);
    assert_eq!(header[23..28], ["E_aug2_type", "E_aug2_magnitude", "sample_no", "mean_late_val_acc", "epoch"]);
    assert_eq!(header[28..31], ["phase", "scheme", "policy"]);
}

#[test]
fn json_is_one_object_a_line_and_ends_with_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 1");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines: Vec<serde_json::Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events[0], "started");
    assert_eq!(events.iter().filter(|event| **event == "epoch").count(), 2 * 2);
    let result = &lines.last().unwrap()["result"];
    assert_eq!(result["best"]["trial"], 1);
    assert_eq!(result["best"]["policy"]["format"], 1);
    assert_eq!(result["verdict"], "unconfirmed");

    let error = deepaug(folder.path(), &["optimize", "--data", "nowhere", "--json"]);
    let object: serde_json::Value = serde_json::from_str(error.stdout.trim()).unwrap();
    assert_eq!((error.code, &object["error"]["code"]), (4, &serde_json::json!(4)));
    assert_eq!(object["error"]["path"], "nowhere");
    let error = deepaug(folder.path(), &["optimize", "--iters", "0", "--json"]);
    let object: serde_json::Value = serde_json::from_str(error.stdout.trim()).unwrap();
    assert_eq!((error.code, &object["error"]["code"]), (2, &serde_json::json!(2)));
}

#[test]
fn folders_of_a_users_own_images_are_searched() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("shapes"), &["dark", "light"], 30);
    let config = small_config(folder.path(), "iters = 1");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--data", "shapes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let study = folder.path().join("reports/experiments/shapes-001");
    assert_eq!(rows(&study.join("notebook.csv")).len(), 4);
    // The frozen configuration names the images by a path that holds from anywhere.
    let frozen: toml::Table = toml::from_str(&fs::read_to_string(study.join("study.toml")).unwrap()).unwrap();
    assert!(Path::new(frozen["data"].as_str().unwrap()).is_absolute());
    let again = deepaug(folder.path(), &["optimize", "--config", &config, "--data", "shapes"]);
    assert!(again.stderr.contains("shapes-002"), "{}", again.stderr);

    fs::remove_file(folder.path().join("shapes/dark/0.png")).unwrap();
    let changed = deepaug(Path::new("/"), &["optimize", "--resume", study.to_str().unwrap()]);
    assert_eq!(changed.code, 6);
    assert!(changed.stderr.contains("the data set has changed"), "{}", changed.stderr);
}

#[test]
fn bad_input_gets_one_clear_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_class_folders(&root.join("one"), &["only"], 4);
    fs::create_dir_all(root.join("empty")).unwrap();
    write_class_folders(&root.join("nested"), &["dark", "light"], 4);
    write_class_folders(&root.join("nested/dark"), &["inner"], 4);
    write_class_folders(&root.join("broken"), &["dark", "light"], 4);
    fs::write(root.join("broken/dark/cut.jpg"), [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F']).unwrap();
    fs::write(root.join("unknown.toml"), "iters = 3\nchild_epoch = 2\n").unwrap();
    fs::write(root.join("zero.toml"), "iters = 0\n").unwrap();
    fs::write(root.join("syntax.toml"), "iters = \n").unwrap();
    fs::write(root.join("taken"), "a file").unwrap();
    let before = support::tree(root);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--data", "nowhere"], 4, "nowhere: no such file or folder"),
        (&["--data", "empty"], 4, "empty: not an image set in a known format: the folder is empty"),
        (&["--data", "one"], 4, "only one class (only)"),
        (&["--set", "portion"], 3, "\"portion\" sets no key; write key=value"),
        (&["--set", "opt_sample=3"], 3, "did you mean \"opt_samples\"?"),
        (&["--set", "opt_samples=0"], 3, "opt_samples: must be at least 1"),
        (&["--epochs", "many"], 3, "child_epochs"),
        (&["--data", "nested"], 4, "inner: a folder inside a class folder"),
        (&["--data", "broken"], 4, "cut.jpg: not a readable image"),
        (&["--data", "nested/light/0.png"], 4, "a single file of another kind"),
        (
            &["--config", "unknown.toml"],
            3,
            "unknown.toml: line 2: unknown key \"child_epoch\"; did you mean \"child_epochs\"?",
        ),
        (&["--config", "zero.toml"], 3, "zero.toml: line 1: iters: must be at least 1"),
        (&["--config", "syntax.toml"], 3, "syntax.toml: line 1"),
        (&["--config", "nowhere.toml"], 3, "nowhere.toml: cannot read the configuration"),
        (&["--iters", "0"], 2, "--iters"),
        (&["--out", "taken"], 7, "taken"),
        (&["--out", "taken/study"], 7, "taken/study"),
        (&["--out", "broken"], 6, "broken: is not empty"),
        (&["--resume", "empty"], 6, "empty: not a study"),
        (&["--device", "tpu"], 2, "unknown device \"tpu\""),
    ];
    for (arguments, code, words) in cases {
        let run: Run = deepaug(root, &[&["optimize"], *arguments].concat());
        assert_eq!(run.code, *code, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{arguments:?}: {}", run.stderr);
        assert_eq!(support::tree(root), before, "{arguments:?} left something behind");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_gpu_that_is_asked_for_and_missing_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let without_drivers = |device: &str| {
        Command::new(env!("CARGO_BIN_EXE_deepaug"))
            .args([
                "optimize",
                "--config",
                &small_config(folder.path(), "iters = 1"),
                "--device",
                device,
                "--out",
                device,
            ])
            .env("VK_DRIVER_FILES", "/nowhere")
            .env("VK_ICD_FILENAMES", "/nowhere")
            .current_dir(folder.path())
            .output()
            .unwrap()
    };
    let forced = without_drivers("wgpu");
    assert_eq!(forced.status.code(), Some(5));
    assert!(String::from_utf8(forced.stderr).unwrap().contains("no GPU can be used through wgpu"));
    assert!(!folder.path().join("wgpu").exists());
    assert_eq!(without_drivers("auto").status.code(), Some(0));
    assert!(rows(&folder.path().join("auto/notebook.csv")).iter().all(|row| row["device"] == "cpu"));
}

#[test]
fn the_printed_configuration_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let printed = deepaug(folder.path(), &["config", "--quickstart"]);
    fs::write(folder.path().join("my.toml"), &printed.stdout).unwrap();
    let again = deepaug(folder.path(), &["config", "--config", "my.toml"]);
    assert_eq!((again.code, again.stdout), (0, printed.stdout));
    let json = deepaug(folder.path(), &["config", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    for (key, value) in [("train_set_size", 2000), ("opt_samples", 3), ("child_epochs", 50), ("iters", 300)] {
        assert_eq!(json[key], value, "{key}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["optimize", "bench", "config", "devices"] {
        let help = deepaug(folder.path(), &[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains(&format!("  deepaug {command}")), "{}", help.stdout);
    }
    let devices = deepaug(folder.path(), &["devices", "--json"]);
    let devices: serde_json::Value = serde_json::from_str(&devices.stdout).unwrap();
    assert!(devices["cpu"]["cores"].as_u64().unwrap() >= 1);
}

#[test]
fn a_net_of_layers_is_searched_with_and_the_time_is_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let layers = "iters = 2\nmodel = \"layers\"\nlabel_smoothing = 0.1\nschedule = \"cosine\"\naugment = \"epoch\"\n\
                  [child]\nlayers = [{ kind = \"conv\", filters = 4, stride = 2 }, { kind = \"global-average\" }]";
    let config = small_config(folder.path(), layers);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("images a second: about 0:0"), "{}", run.stderr);
    let wrong = small_config(folder.path(), &layers.replace("stride = 2", "padding = \"valid\", kernel = 40"));
    let run = deepaug(folder.path(), &["optimize", "--config", &wrong, "--out", "wrong"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("layer 1 (conv): its 40x40 window does not fit the 28x28 pixels"), "{}", run.stderr);
    assert!(!folder.path().join("wrong").exists());
}

#[test]
fn epochs_alone_can_be_left_open() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 1\nchild_epochs = \"auto\"");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("epochs, because accuracy without augmentation levelled off"), "{}", run.stderr);
    let frozen = fs::read_to_string(folder.path().join("study/study.toml")).unwrap();
    let epochs: usize = frozen.lines().find_map(|line| line.strip_prefix("child_epochs = ")).unwrap().parse().unwrap();
    let rows = rows(&folder.path().join("study/notebook.csv"));
    assert_eq!(rows.len(), 2 * epochs, "two trainings of this many epochs");
    assert!(frozen.contains("train_set_size = 60\n") && frozen.contains("iters = 1\n"), "{frozen}");
}

#[test]
fn a_training_that_diverges_has_a_row_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // Trial 0 augments no image; at this rate whatever is learnt does not last.
    let wild = "iters = 1\nworkers = 1\noptimizer = \"sgd\"\nlearning_rate = 1e30";
    let config = small_config(folder.path(), wild);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 8, "{}", run.stderr);
    assert!(run.stderr.contains("the trainings without a policy failed"), "{}", run.stderr);
    let rows = rows(&folder.path().join("study/notebook.csv"));
    assert_eq!(rows.len(), 1);
    assert!(rows[0]["failed"].contains("diverged in epoch 1"), "{rows:?}");
    assert_eq!((&*rows[0]["trial_no"], &*rows[0]["mean_late_val_acc"], &*rows[0]["epoch"]), ("0", "", ""));
}

#[cfg(unix)]
#[test]
fn a_program_that_is_killed_is_started_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let program = "read request; echo x >> starts; [ $(wc -l < starts) = 2 ] && kill -9 $$; for epoch in 1 2; do \
                   echo \"{\\\"epoch\\\": $epoch, \\\"acc\\\": 0.5, \\\"loss\\\": 1, \\\"val_acc\\\": 0.25, \\\"val_loss\\\": 1}\"; done";
    fs::write(folder.path().join("train.sh"), program).unwrap();
    let config = small_config(folder.path(), "iters = 2\nworkers = 1\n[child]\ncommand = [\"sh\", \"train.sh\"]");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("trial 1 sample 0 is repeated") && run.stderr.contains("signal 9"), "{}", run.stderr);
    assert_eq!(rows(&folder.path().join("study/notebook.csv")).len(), 6);
    assert_eq!(fs::read_to_string(folder.path().join("starts")).unwrap().lines().count(), 4);
}

#[cfg(unix)]
#[test]
fn a_program_of_the_users_own_trains_and_its_study_is_resumed_from_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let program = "read request; for epoch in 1 2; do \
                   echo \"{\\\"epoch\\\": $epoch, \\\"acc\\\": 0.5, \\\"loss\\\": 1, \\\"val_acc\\\": 0.25, \\\"val_loss\\\": 1}\"; \
                   done; echo \"$request\" >> requests";
    fs::write(folder.path().join("train.sh"), program).unwrap();
    let config = small_config(folder.path(), "iters = 1\nworkers = 1\n[child]\ncommand = [\"sh\", \"train.sh\"]");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let elsewhere = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let more = deepaug(elsewhere.path(), &["optimize", "--resume", study.to_str().unwrap(), "--iters", "2"]);
    assert_eq!(more.code, 0, "{}", more.stderr);
    let found = rows(&study.join("notebook.csv"));
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|row| row["val_acc"] == "0.25" && row["device"] == "program"), "{found:?}");
    let requests = fs::read_to_string(folder.path().join("requests")).unwrap();
    let policies: Vec<serde_json::Value> = requests.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(policies.len(), 3);
    assert_eq!(policies[0]["policy"]["sub_policies"].as_array().unwrap().len(), 0);

    let missing = small_config(folder.path(), "iters = 1\n[child]\ncommand = [\"no-such-program\"]");
    let run = deepaug(folder.path(), &["optimize", "--config", &missing, "--out", "missing"]);
    assert_eq!(run.code, 8);
    assert!(run.stderr.contains("no-such-program") && !folder.path().join("missing").exists(), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn two_interrupts_leave_no_program_behind_and_nothing_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    // The program reports its process id, and then nothing for a long time.
    fs::write(folder.path().join("train.sh"), "echo $$ > pid; exec sleep 600").unwrap();
    let extra = "iters = 1\nthreads = 1\n[child]\ncommand = [\"sh\", \"train.sh\"]";
    let config = small_config(folder.path(), extra);
    let mut search = support::start(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    let pid = folder.path().join("pid");
    let patience = std::time::Instant::now();
    while fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
        assert!(patience.elapsed().as_secs() < 60, "the program was not started");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for _ in 0..2 {
        std::process::Command::new("kill").args(["-INT", &search.id().to_string()]).status().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(search.wait().unwrap().code(), Some(130));
    let program = fs::read_to_string(&pid).unwrap();
    let alive = std::process::Command::new("kill").args(["-0", program.trim()]).output().unwrap();
    assert!(!alive.status.success(), "the program still runs");
    let journal = fs::read_to_string(folder.path().join("study/journal.jsonl")).unwrap();
    assert!(!journal.contains("\"failed\""), "{journal}");
}

#[test]
fn the_speed_of_children_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["bench", "--child", "--model", "tinycnn", "--model", "wrn_10_1", "--device", "cpu"];
    let quick = ["--size", "12", "--channels", "1", "--batch", "8", "--seconds", "0.05", "--children", "2", "--json"];
    let run = deepaug(folder.path(), &[&arguments[..], &quick[..]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let child = found["child"].as_array().unwrap();
    assert_eq!(child.len(), 2);
    assert_eq!(
        (&child[1]["model"], &child[1]["children"], &child[1]["batch"]),
        (&"wrn_10_1".into(), &2.into(), &8.into())
    );
    assert!(child.iter().all(|child| child["images_per_second"].as_f64().unwrap() > 10.0), "{child:?}");
    let small = deepaug(folder.path(), &["bench", "--model", "inceptionv3", "--size", "32"]);
    assert_eq!(small.code, 4);
    assert!(small.stderr.contains("at least 75x75"), "{}", small.stderr);
}

/// A spreadsheet may have changed the tables, and a user's program the policy.
#[test]
fn what_a_study_found_is_read_from_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config =
        small_config(folder, "iters = 3\nportion = 1.0\naugment = \"online\"\nchance = 0.6\npad = 2.0\ncutout = 0.0");
    assert_eq!(deepaug(folder, &["optimize", "--config", &config, "--out", "study"]).code, 0);
    let shown = || {
        deepaug(folder, &["report", "study"]);
        let page = fs::read_to_string(folder.join("study/report.html")).unwrap();
        let of = |verb: &[&str]| deepaug(folder, verb).stdout;
        [of(&["inspect", "study"]), of(&["export", "--policy", "study", "--to", "json"]), page]
    };
    let before = shown();
    let applied: serde_json::Value = serde_json::from_str(&before[1]).unwrap();
    let flip = deepaug::Config::default().flip;
    let online = serde_json::json!({ "chance": 0.6, "pad": 0.0625, "flip": flip, "cutout": 0.0 });
    assert_eq!(applied[0].get("application").or(applied.get("application")).unwrap()["online"], online);
    let best: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("study/best_policy.json")).unwrap()).unwrap();
    assert_eq!(best["application"]["online"], online);
    for view in ["notebook.csv", "top_policies.csv", "best_policy.json", "result.json"] {
        fs::write(folder.join("study").join(view), "changed").unwrap();
    }
    assert_eq!(shown(), before);
}
