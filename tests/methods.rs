//! Methods that look into trainings, from search to use, through the binary: a population, an adversary; and
//! what looks at images with a trained net: the explanation of ops, and the choice of images.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

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

const ADVERSARIAL: &str = "method = \"adversarial\"\nadversarial_policies = 3\nadversarial_updates = 2\n\
    ops = [\"rotate-nearest\", \"brightness\", \"invert\"]\nranges = \"autoaugment\"\naugment = \"online\"\nportion = 1.0\n\
    child_epochs = 12\nconfirm_policies = 2\nconfirm_samples = 2\ndata = \"images\"\n";

#[test]
fn an_adversary_ends_in_a_net_and_a_schedule_and_goes_on_after_kills() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let config = small_config(folder.path(), ADVERSARIAL);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "whole"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("against its adversary: epoch 12/12"), "{}", run.stderr);

    let notebook = rows(&at("whole/notebook.csv"));
    let against: Vec<_> = notebook.iter().filter(|row| row["phase"] == "adversary").collect();
    assert_eq!(
        against.iter().map(|row| row["epoch"].parse().unwrap()).collect::<Vec<usize>>(),
        (1..=12).collect::<Vec<_>>()
    );
    assert!(against.iter().all(|row| row["trial_no"].is_empty() && row["policy"].contains("\"in_place\":true")));
    let table = rows(&at("whole/adversary.csv"));
    assert_eq!(table.len(), 12 * 2 * 3);
    let schedule = json(&at("whole/schedule.json"));
    // Two updates of three policies with five sub-policies in each epoch.
    assert_eq!(schedule["earlier"].as_array().unwrap().len(), 11);
    assert_eq!(schedule["sub_policies"].as_array().unwrap().len(), 30);
    // None, TrivialAugment, the schedule, its last policy, and one that was not learnt.
    let trials: std::collections::BTreeSet<&str> =
        notebook.iter().filter(|row| row["phase"] == "search").map(|row| &row["trial_no"][..]).collect();
    assert_eq!(trials.len(), 5);
    let weights = fs::read(at("whole/model.safetensors")).unwrap();
    assert!(fs::read_to_string(at("whole/model.py")).unwrap().contains("model.safetensors"));

    // In the training itself, by its nets, then before and after it is known to have ended, and in the trials.
    for crash in ["net:2", "net:5", "net:9", "torn:1", "after:2", "after:3", "after:6"] {
        let name = crash.replace(':', "-");
        let mut optimize = Command::new(env!("CARGO_BIN_EXE_deepaug"));
        optimize.args(["optimize", "--config", &config, "--out", &name]).current_dir(folder.path());
        optimize.stdout(Stdio::null()).stderr(Stdio::null());
        let status = match crash.strip_prefix("net:") {
            Some(epoch) => {
                let mut child = optimize.spawn().unwrap();
                let net = at(&name).join(format!("adversary.{epoch}.safetensors"));
                while !net.exists() && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_micros(200));
                }
                child.kill().unwrap();
                let status = child.wait().unwrap();
                assert!(at(&name).join("adversary.json").exists(), "it was not killed while it trained");
                status
            }
            None => optimize.env("DEEPAUG_CRASH", crash).status().unwrap(),
        };
        assert!(!status.success(), "{crash}");
        let run = deepaug(folder.path(), &["optimize", "--resume", &name]);
        assert_eq!(run.code, 0, "{crash}: {}", run.stderr);
        let same = |file: &str| fs::read(at(&name).join(file)).unwrap() == fs::read(at("whole").join(file)).unwrap();
        for file in ["schedule.json", "adversary.csv", "best_policy.json", "model.safetensors"] {
            assert!(same(file), "{crash}: {file}");
        }
        assert_eq!(without_times(&at(&name).join("notebook.csv")), without_times(&at("whole/notebook.csv")), "{crash}");
        let left = |file: &str| at(&name).join(file).exists();
        assert!(!left("adversary.json") && !left("adversary.safetensors"), "{crash}");
    }

    // The table is a view of the journal; the net is not, and stays.
    let before = fs::read(at("whole/adversary.csv")).unwrap();
    fs::remove_file(at("whole/adversary.csv")).unwrap();
    assert_eq!(deepaug(folder.path(), &["notebook", "whole"]).code, 0);
    assert_eq!(fs::read(at("whole/adversary.csv")).unwrap(), before);
    assert_eq!(fs::read(at("whole/model.safetensors")).unwrap(), weights);
    for (args, words) in [
        (&["report", "whole"][..], "report.html"),
        (&["inspect", "whole"], "trial"),
        (
            &[
                "compare",
                "whole",
                "--beside",
                "whole/schedule.json",
                "--baselines",
                "none,random-policy",
                "--seeds",
                "2",
            ],
            "random-policy",
        ),
        (
            &["train", "whole", "--schedule", "whole/schedule.json", "--epochs", "2", "--out", "net.safetensors"],
            "net.safetensors",
        ),
    ] {
        let run = deepaug(folder.path(), args);
        assert!(run.code == 0 && run.stdout.contains(words), "{args:?}: {} {}", run.stdout, run.stderr);
    }
    let page = fs::read_to_string(at("whole/report.html")).unwrap();
    assert!(page.contains("What the adversary came to write") && page.contains("mean magnitude"));
}

#[test]
fn what_an_adversary_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("images"), &["a", "b", "c"], 50);
    for (key, message) in [
        ("augment = \"once\"", "augment: must be \"online\" when method is \"adversarial\""),
        ("child_epochs = \"auto\"", "child_epochs: must be a number when method is \"adversarial\""),
        ("adversarial_policies = 0", "adversarial_policies: must be"),
        ("adversarial_learning_rate = 0.0", "adversarial_learning_rate: must be above 0"),
    ] {
        let name = key.split(' ').next().unwrap();
        let lines: Vec<&str> = ADVERSARIAL.lines().filter(|line| !line.starts_with(name)).collect();
        let config = small_config(folder.path(), &format!("{}\n{key}\n", lines.join("\n")));
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
        assert!(run.code == 3 && run.stderr.contains(message), "{key}: {} {}", run.code, run.stderr);
        assert!(!folder.path().join("study").exists());
    }
}

const TANDA: &str = "method = \"tanda\"\ntanda_steps = 6\ntanda_warm_up = 2\ntanda_batch = 8\ntanda_length = 3\n\
    augment = \"online\"\nportion = 1.0\nchild_epochs = 6\nconfirm_policies = 2\nconfirm_samples = 2\ndata = \"images\"\n";

#[test]
fn a_generator_of_sequences_ends_in_a_policy_that_every_command_takes_and_goes_on_after_kills() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let config = small_config(folder.path(), TANDA);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "whole"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("learning sequences: step 8/8"), "{}", run.stderr);
    assert!(run.stderr.contains("learnt sequences in 8 steps, after all steps; likeliest:"), "{}", run.stderr);

    let table = rows(&at("whole/tanda.csv"));
    assert_eq!(table.len(), 8);
    for (number, row) in table.iter().enumerate() {
        let names = row.keys().filter(|name| name.contains(' ')).collect::<Vec<_>>();
        // The authors' functions for photographs.
        assert_eq!(names.len(), 33, "{names:?}");
        let total: f64 = names.iter().map(|name| row[*name].parse::<f64>().unwrap()).sum();
        assert!((total - 1.0).abs() < 1e-9);
        assert_eq!(row["loss"].is_empty(), number < 2, "the generator waits for the discriminator");
    }
    let generator = json(&at("whole/generator.json"));
    assert_eq!(generator["generator"]["weights"].as_array().unwrap().len(), 33);
    // Sequences until the last fifteenth, and then nothing.
    let schedule = json(&at("whole/schedule.json"));
    let earlier = schedule["earlier"].as_array().unwrap();
    assert_eq!((earlier.len(), earlier[0]["epochs"].as_u64()), (1, Some(14)));
    let sequences = earlier[0]["policy"]["sub_policies"].as_array().unwrap();
    assert!(sequences.len() == 100 && sequences.iter().all(|one| one["ops"].as_array().unwrap().len() == 3));
    assert!(schedule["sub_policies"].as_array().unwrap().is_empty());
    // None, TrivialAugment, the schedule, the sequences in all epochs, and sequences of equally likely steps.
    let notebook = rows(&at("whole/notebook.csv"));
    let trials: std::collections::BTreeSet<&str> =
        notebook.iter().filter(|row| row["phase"] == "search").map(|row| &row["trial_no"][..]).collect();
    assert_eq!(trials.len(), 5);

    for crash in ["torn:1", "after:2", "after:3", "after:6"] {
        let name = crash.replace(':', "-");
        let mut optimize = Command::new(env!("CARGO_BIN_EXE_deepaug"));
        optimize.args(["optimize", "--config", &config, "--out", &name]).current_dir(folder.path());
        let status = optimize.stdout(Stdio::null()).stderr(Stdio::null()).env("DEEPAUG_CRASH", crash).status().unwrap();
        assert!(!status.success(), "{crash}");
        let run = deepaug(folder.path(), &["optimize", "--resume", &name]);
        assert_eq!(run.code, 0, "{crash}: {}", run.stderr);
        for file in ["schedule.json", "tanda.csv", "generator.json", "best_policy.json"] {
            assert_eq!(
                fs::read(at(&name).join(file)).unwrap(),
                fs::read(at("whole").join(file)).unwrap(),
                "{crash}: {file}"
            );
        }
        assert_eq!(without_times(&at(&name).join("notebook.csv")), without_times(&at("whole/notebook.csv")), "{crash}");
    }

    let before = fs::read(at("whole/tanda.csv")).unwrap();
    fs::remove_file(at("whole/tanda.csv")).unwrap();
    assert_eq!(deepaug(folder.path(), &["notebook", "whole"]).code, 0);
    assert_eq!(fs::read(at("whole/tanda.csv")).unwrap(), before);
    assert_eq!(deepaug(folder.path(), &["report", "whole"]).code, 0);
    let page = fs::read_to_string(at("whole/report.html")).unwrap();
    assert!(page.contains("What sequences came to be made of") && page.contains("what learnt sequences make of each"));
    for args in [
        &["export", "--policy", "whole/schedule.json", "--to", "torchvision", "--out", "policy.py"][..],
        &["preview", "--data", "images", "--policy", "whole/schedule.json", "--out", "sheet.png"],
        &["train", "whole", "--schedule", "whole/schedule.json", "--epochs", "3", "--out", "net.safetensors"],
    ] {
        let run = deepaug(folder.path(), args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
    }
    assert!(fs::read_to_string(at("policy.py")).unwrap().contains("set_epoch"));
}

#[test]
fn what_a_generator_of_sequences_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("images"), &["a", "b"], 30);
    for (key, message) in [
        ("augment = \"once\"", "augment: must be \"online\" when method is \"tanda\""),
        ("tanda_length = 0", "tanda_length: must be at least 1"),
        ("tanda_sequences = 1", "tanda_sequences: must be at least 2"),
        ("tanda_learning_rate = 0.0", "tanda_learning_rate: must be above 0"),
        ("tanda_functions = [{ op = \"rotate\", magnitude = 0.5 }]", "tanda_functions: must be two at least"),
        (
            "tanda_functions = [{ op = \"rotate\", magnitude = 2.0 }]",
            "tanda_functions: function 1: magnitude must lie in",
        ),
        ("tanda_generator = \"gan\"", "tanda_generator"),
    ] {
        let name = key.split(' ').next().unwrap();
        let lines: Vec<&str> = TANDA.lines().filter(|line| !line.starts_with(name)).collect();
        let config = small_config(folder.path(), &format!("{}\n{key}\n", lines.join("\n")));
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
        assert!(run.code == 3 && run.stderr.contains(message), "{key}: {} {}", run.code, run.stderr);
        assert!(!folder.path().join("study").exists());
    }
}

#[test]
fn ops_are_explained_by_what_they_do_to_each_class() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 60);
    let few = ["--magnitudes", "0.5,1.0", "--draws", "2", "--images", "40", "--set", "child_epochs=6"];
    let explain = |args: &[&str]| deepaug(folder.path(), &[&["explain"], args, &few].concat());
    let run = explain(&["--data", "images", "--ops", "rotate-nearest,invert,posterize", "--out", "why", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let printed: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let changes = printed["explanation"]["changes"].as_array().unwrap();
    assert_eq!((changes.len(), printed["explanation"]["images"].as_u64()), (6, Some(40)));
    for change in changes {
        let all = &change["all"];
        let of = |key: &str| all[key].as_f64().unwrap();
        assert!(of("variance") >= 0.0 && (0.0..=1.0).contains(&of("changed")));
        let by_class: f64 = change["by_class"]
            .as_array()
            .unwrap()
            .iter()
            .map(|terms| terms["cost"].as_f64().unwrap() * terms["images"].as_f64().unwrap())
            .sum();
        assert!((by_class / 40.0 - of("cost")).abs() < 1e-9);
    }
    // A row for all classes and one for each.
    let table = rows(&at("why/explanation.csv"));
    assert_eq!(table.len(), 6 * 4);
    let sum = |row: &std::collections::BTreeMap<String, String>| {
        let of = |key: &str| row[key].parse::<f64>().unwrap();
        of("shift") + of("variance") + of("remainder") - of("cost")
    };
    assert!(table.iter().all(|row| sum(row).abs() < 1e-9));
    assert!(fs::read_to_string(at("why/explanation.html")).unwrap().contains("invert 1.00"));
    let again = explain(&["--data", "images", "--ops", "rotate-nearest,invert,posterize", "--out", "again", "--json"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(fs::read(at("why/explanation.json")).unwrap(), fs::read(at("again/explanation.json")).unwrap());

    // A study: its ops, what it found, and its report.
    let config = small_config(folder.path(), "data = \"images\"\nops = [\"rotate\", \"invert\"]\n");
    assert_eq!(deepaug(folder.path(), &["optimize", "--config", &config, "--iters", "2", "--out", "study"]).code, 0);
    let run = explain(&["study"]);
    assert!(run.code == 0 && run.stdout.contains("read otherwise"), "{} {}", run.stdout, run.stderr);
    assert_eq!(deepaug(folder.path(), &["report", "study"]).code, 0);
    assert!(fs::read_to_string(at("study/report.html")).unwrap().contains("What each op does to each class"));
    for (args, code, words) in [
        (&["explain", "--data", "images", "--magnitudes", "1.5"][..], 2, "above 0 and at most 1"),
        (&["explain", "nothing.json", "--data", "images"], 5, "no such file"),
        (&["explain", "--data", "missing"], 4, "missing"),
    ] {
        let run = deepaug(folder.path(), args);
        assert!(run.code != 0 && run.stderr.contains(words), "{args:?}: {} (not {code}) {}", run.code, run.stderr);
    }
}

#[test]
fn it_is_measured_whether_some_of_the_images_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 60);
    let few = ["--data", "images", "--set", "child_epochs=4", "--images", "60", "--rounds", "2", "--copies", "2"];
    let subsample = |args: &[&str]| deepaug(folder.path(), &[&["subsample"], &few[..], args].concat());
    let run = subsample(&["--budgets", "5,20,1000", "--out", "some", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let result = &serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["result"];
    assert_eq!(result["images"][0], 60);
    // Three choices of two budgets; 1,000 is all of them.
    let budgets = result["budgets"].as_array().unwrap();
    assert_eq!(
        budgets.iter().map(|budget| budget["images"].as_u64().unwrap()).collect::<Vec<_>>(),
        [5, 20, 5, 20, 5, 20]
    );
    assert!(budgets.iter().all(|budget| budget["rounds"].as_array().unwrap().len() == 2));
    let scores = rows(&at("some/scores.csv"));
    assert_eq!(scores.len(), 60);
    let of = |row: &std::collections::BTreeMap<String, String>, key: &str| row[key].parse::<f64>().unwrap();
    assert!(
        scores.iter().all(|row| of(row, "loss") >= 0.0 && of(row, "influence") <= 0.0 && of(row, "leverage") > 0.0)
    );
    assert_eq!(rows(&at("some/budgets.csv")).len(), 2 + 6 * 2);
    assert!(fs::read_to_string(at("some/subsample.html")).unwrap().contains("The images with the highest losses"));
    let again = subsample(&["--budgets", "5,20", "--out", "again", "--json"]);
    assert_eq!(fs::read(at("some/scores.csv")).unwrap(), fs::read(at("again/scores.csv")).unwrap());
    assert_eq!(
        fs::read(at("some/budgets.csv")).unwrap(),
        fs::read(at("again/budgets.csv")).unwrap(),
        "{}",
        again.stderr
    );
    // Scored anew, by the highest, with a policy's copies.
    let run = subsample(&[
        "--budgets",
        "5,20",
        "--choose",
        "loss",
        "--order",
        "top",
        "--rescore",
        "--full-weight",
        "--policy",
        "trivialaugment",
    ]);
    assert!(
        run.code == 0 && run.stdout.contains("loss") && !run.stdout.contains("uniform"),
        "{} {}",
        run.stdout,
        run.stderr
    );
    for (args, words) in [
        (&["--choose", "luck"][..], "must be uniform, loss or influence"),
        (&["--order", "last"], "must be proportional, top or inverse"),
        (&["--strength", "0"], "must be a number above 0"),
    ] {
        let run = subsample(args);
        assert!(run.code != 0 && run.stderr.contains(words), "{args:?}: {} {}", run.code, run.stderr);
    }
    let run = deepaug(folder.path(), &["subsample", "--data", "images", "--images", "2", "--set", "child_epochs=2"]);
    assert!(run.code == 4 && run.stderr.contains("is not among the 2 images to choose from"), "{}", run.stderr);
}

const STRATEGIES: &str = "data = \"images\"\nportion = 1.0\naugment = \"online\"\niters = 2\nchild_epochs = 4\nops = [\"rotate\", \"invert\"]\n\
    candidates = 3\nselection_warm_up = 0.5\n";

#[test]
fn schemes_that_look_at_the_net_are_compared_and_trained_with() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let config = small_config(folder.path(), STRATEGIES);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!at("study/selection.csv").exists());

    let schemes = "none,uniformaugment,uncertain,entropy";
    let compare = ["compare", "study", "--baselines", schemes, "--seeds", "2", "--test-size", "30", "--name", "c"];
    let run = deepaug(folder.path(), &compare);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("1 of 3 candidates, drawn by loss, after 50 % of the epochs"), "{}", run.stdout);
    assert!(run.stdout.contains("as strong as the net is sure of the image"), "{}", run.stdout);
    // Two trainings of sixty images, three candidates each, in the third and in the fourth epoch.
    let chosen = rows(&at("study/compare-c-uncertain-selection.csv"));
    assert_eq!(chosen.iter().map(|row| &row["epoch"][..]).collect::<std::collections::BTreeSet<_>>().len(), 2);
    let none = chosen.iter().filter(|row| row["op"] == "none").map(|row| row["proposed"].parse::<f64>().unwrap());
    let share = none.sum::<f64>() / (2.0 * 2.0 * 3.0 * 60.0);
    assert!((share - 0.25).abs() < 0.06, "two ops that are each left out half the time: {share}");
    let sureness = rows(&at("study/compare-c-entropy-sureness.csv"));
    assert_eq!(sureness.len(), 4 * 3);
    assert!(sureness.iter().all(|row| (0.0..=1.0).contains(&row["sureness"].parse::<f64>().unwrap())));
    let run = deepaug(folder.path(), &["report", "study", "--out", "page.html"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = fs::read_to_string(at("page.html")).unwrap();
    assert!(page.contains("What nets found hard under uncertain") && page.contains("times as often as all"));
    assert!(page.contains("What nets found hard under entropy") && page.contains("sureness"));

    for (scheme, table, words) in [
        ("uncertain", "net.selection.csv", "How much more often candidates"),
        ("entropy", "net.sureness.csv", "The images that it was least sure of"),
    ] {
        let train = ["train", "study", "--scheme", scheme, "--test-size", "30", "--out", "net.safetensors"];
        let run = deepaug(folder.path(), &train);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(!rows(&at(table)).is_empty());
        assert!(run.stdout.contains(table) && run.stdout.contains("net.strategy.html"), "{}", run.stdout);
        assert_eq!(at("net.selection.csv").exists(), scheme == "uncertain", "nothing is left of the net before");
        let page = fs::read_to_string(at("net.strategy.html")).unwrap();
        assert!(page.contains(words));
        assert_eq!(page.matches("data:image/png").count(), if scheme == "entropy" { 30 } else { 0 });
        assert_eq!(json(&at("net.json"))["epochs"].as_array().unwrap().len(), 4);
    }
}

#[test]
fn a_search_whose_children_choose_goes_on_after_a_kill_and_its_tables_are_rebuilt() {
    for (augment, table) in [("uncertain", "selection.csv"), ("entropy", "sureness.csv")] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_class_folders(&at("images"), &["a", "b", "c"], 50);
        let config = small_config(folder.path(), &STRATEGIES.replace("\"online\"", &format!("\"{augment}\"")));
        let optimize = ["optimize", "--config", &config, "--out", "study"];
        let run = deepaug(folder.path(), &optimize);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let whole = fs::read(at("study").join(table)).unwrap();
        assert!(!rows(&at("study").join(table)).is_empty());
        let notebook = without_times(&at("study/notebook.csv"));

        // As a kill leaves it after the first training.
        let journal = fs::read_to_string(at("study/journal.jsonl")).unwrap();
        let first = journal.find("\"trained\"").unwrap();
        let end = first + journal[first..].find('\n').unwrap() + 1;
        fs::write(at("study/journal.jsonl"), &journal[..end]).unwrap();
        for name in [table, "result.json", "notebook.csv"] {
            fs::remove_file(at("study").join(name)).unwrap();
        }
        let run = deepaug(folder.path(), &["optimize", "--resume", "study"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(fs::read(at("study").join(table)).unwrap(), whole);
        assert_eq!(without_times(&at("study/notebook.csv")), notebook);
        fs::remove_file(at("study").join(table)).unwrap();
        assert_eq!(deepaug(folder.path(), &["notebook", "study"]).code, 0);
        assert_eq!(fs::read(at("study").join(table)).unwrap(), whole);
        let run = deepaug(folder.path(), &["report", "study", "--out", "page.html"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(fs::read_to_string(at("page.html")).unwrap().contains("What children found hard"));
    }
}

#[test]
fn what_a_strategy_cannot_do_is_said() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("images"), &["a", "b", "c"], 50);
    for (keys, message) in [
        ("augment = \"uncertain\"\nkeep = 5", "keep: must be at most candidates, which is 4"),
        ("augment = \"uncertain\"\ncandidates = 0", "candidates: must be at least 1"),
        ("augment = \"uncertain\"\nselection_warm_up = 1.5", "selection_warm_up: must lie in 0..1"),
        ("augment = \"uncertain\"\nchoose = \"lowest\"", "choose: unknown variant `lowest`"),
        ("augment = \"uncertain\"\nmethod = \"pba\"", "augment: must be \"online\" when method is \"pba\""),
        ("augment = \"entropy\"\nranges = \"autoaugment\"", "ranges: must be \"monotone\""),
        (
            "augment = \"uncertain\"\nportion_by = \"loss\"",
            "portion_by: must be \"uniform\" when images are augmented in place",
        ),
        ("portion_by = \"influence\"", "portion_by: must be \"uniform\" when portion is 1"),
        ("augment = \"entropy\"\nentropy_loss = -1.0", "entropy_loss: must lie in 0..100"),
    ] {
        let config = small_config(
            folder.path(),
            &format!("data = \"images\"\nportion = 1.0\nops = \"autoaugment\"\nexclude = \"sample-pairing\"\n{keys}\n"),
        );
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
        assert!(run.code == 3 && run.stderr.contains(message), "{keys}: {} {}", run.code, run.stderr);
        assert!(!folder.path().join("study").exists());
    }
}

#[test]
fn a_search_copies_images_by_their_scores_the_same_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_class_folders(&at("images"), &["a", "b", "c"], 50);
    let notebook = |by: &str, out: &str| {
        let keys = format!(
            "data = \"images\"\nportion = 0.2\niters = 2\nopt_samples = 2\nholdout = \"repeated\"\nportion_by = \"{by}\"\n"
        );
        let config = small_config(folder.path(), &keys);
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", out]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        without_times(&at(out).join("notebook.csv"))
    };
    let (uniform, loss, influence) = (notebook("uniform", "u"), notebook("loss", "l"), notebook("influence", "i"));
    assert!(!at("u/scores-0.safetensors").exists());
    assert!(at("l/scores-0.safetensors").exists() && at("l/scores-1.safetensors").exists());
    let of = |rows: &[std::collections::BTreeMap<String, String>], trial: &str| -> Vec<String> {
        rows.iter().filter(|row| row["trial_no"] == trial).map(|row| row["loss"].clone()).collect()
    };
    // Without a policy nothing is copied; with one, other images are.
    assert_eq!(of(&uniform, "0"), of(&loss, "0"));
    assert_ne!(of(&uniform, "1"), of(&loss, "1"));
    assert_ne!(of(&influence, "1"), of(&loss, "1"));

    let journal = fs::read_to_string(at("l/journal.jsonl")).unwrap();
    let first = journal.find("\"trained\"").unwrap();
    let end = first + journal[first..].find('\n').unwrap() + 1;
    fs::write(at("l/journal.jsonl"), &journal[..end]).unwrap();
    fs::remove_file(at("l/scores-1.safetensors")).unwrap();
    let run = deepaug(folder.path(), &["optimize", "--resume", "l"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(without_times(&at("l/notebook.csv")), loss);
}
