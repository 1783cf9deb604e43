//! A search driven by another program: the real binary.

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
    // Rotation at 0.3 has the highest reward.
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
    // Only the program knows how it judged.
    let code = deepaug(folder, &["export", "--policy", "study", "--to", "torchvision"]).stdout;
    assert!(code.contains("\nFINISH = []\n"), "{code}");
    assert!(code.replace('\n', " ").contains("Another program judged the policies, and applied them"), "{code}");
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
    // The same result again changes nothing; a different one is refused.
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

/// Proposals depend on what was told, not on how often the program was started.
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

/// A space of three policies besides none.
const FEW: &str = "sub_policies = 1\nops_per_sub_policy = 1\nranges = \"deepaugment-1.1.2\"\nops = [\"invert\", \"fog\", \"clouds\"]\n\
                   portion = 1.0";

#[test]
fn a_space_that_has_been_tried_through_is_no_defect() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, FEW);
    assert_eq!(ask(folder, &["--n", "10"]).len(), 4, "as many as there are");
    let run = deepaug(folder, &["ask", "--study", "study"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(
        run.stderr.contains("every policy of the space has been asked for; 4 are still to be told"),
        "{}",
        run.stderr
    );
}

#[test]
fn commands_that_come_at_once_are_all_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, "method = \"random\"\nsub_policies = 1");
    let trials: Vec<u64> = std::thread::scope(|scope| {
        let asks: Vec<_> = (0..40).map(|_| scope.spawn(|| ask(folder, &[])[0].0)).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    let mut sorted = trials.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..40).collect::<Vec<_>>(), "each trial is asked for once");
    std::thread::scope(|scope| {
        for trial in trials {
            scope.spawn(move || {
                let run = tell(folder, trial, &["--reward", &format!("0.{trial:02}")]);
                assert_eq!(run.code, 0, "trial {trial}: {}", run.stderr);
            });
        }
    });
    assert!(ask(folder, &["--pending"]).is_empty());
    let rows = rows(&folder.join("study/notebook.csv"));
    assert_eq!(rows.len(), 40, "nothing is lost");
}

#[test]
fn many_results_are_told_at_once_and_each_is_taken_or_refused_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, "method = \"random\"\nsub_policies = 1\nopt_samples = 2");
    ask(folder, &["--n", "4"]);
    let lines = [
        r#"{"trial": 0, "reward": 0.5}"#,
        r#"{"trial": 1, "sample": 0, "reward": 0.6}"#,
        r#"{"trial": 1, "sample": 1, "reward": 0.8}"#,
        r#"{"trial": 2, "failed": "out of memory"}"#,
        r#"{"trial": 9, "reward": 0.5}"#,
        r#"{"trial": 0, "reward": 0.4}"#,
    ];
    fs::write(folder.join("results.jsonl"), lines.join("\n")).unwrap();
    let run = deepaug(folder, &["tell", "--study", "study", "--from", "results.jsonl"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains("trial 9 has not been asked for"), "{}", run.stderr);
    assert!(run.stderr.contains("trial 0 was told something else before"), "{}", run.stderr);
    assert_eq!(ask(folder, &["--pending"]).iter().map(|(trial, _)| *trial).collect::<Vec<_>>(), [3]);
    fs::write(folder.join("wrong.jsonl"), "{\"trial\": 3, \"reward\": 1}\n{\"trial\": 3}\n").unwrap();
    let run = deepaug(folder, &["tell", "--study", "study", "--from", "wrong.jsonl"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("wrong.jsonl: line 2: trial 3 needs either"), "{}", run.stderr);
    assert_eq!(ask(folder, &["--pending"]).len(), 1, "of a file with a wrong line nothing is told");
}

#[test]
fn a_notebook_that_is_behind_is_brought_up_to_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, "method = \"random\"\nsub_policies = 1");
    ask(folder, &["--n", "3"]);
    let notebook = folder.join("study/notebook.csv");
    for trial in 0..2 {
        assert_eq!(tell(folder, trial, &["--reward", "0.5"]).code, 0);
    }
    let whole = fs::read_to_string(&notebook).unwrap();
    for torn in [whole.len() - 5, whole.len() - 80, 10, 0] {
        fs::write(&notebook, &whole[..torn]).unwrap();
        ask(folder, &["--pending"]);
        assert_eq!(fs::read_to_string(&notebook).unwrap(), whole);
    }
    fs::remove_file(&notebook).unwrap();
    assert_eq!(tell(folder, 2, &["--reward", "0.5"]).code, 0);
    assert_eq!(rows(&notebook).len(), 3);
}

#[cfg(unix)]
#[test]
fn a_server_answers_lines_on_its_input_and_at_a_socket() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    init(folder, "method = \"random\"\nsub_policies = 1");
    let serve = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deepaug"));
        command.current_dir(folder).args(["serve", "--study", "study"]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut server = serve(&[]);
    let requests = [
        r#"{"id": "a", "ask": 2}"#,
        r#"{"id": 2, "tell": {"trial": 0, "reward": 0.5}}"#,
        r#"{"tell": {"trial": 7, "reward": 0.5}}"#,
        r#"{"pending": true}"#,
        "nonsense",
        r#"{"ask": 0}"#,
    ];
    server.stdin.take().unwrap().write_all(requests.join("\n").as_bytes()).unwrap();
    let output = server.wait_with_output().unwrap();
    assert!(output.status.success(), "the end of the input ends it");
    let answers: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 6);
    assert_eq!((&answers[0]["id"], answers[0]["trials"].as_array().unwrap().len()), (&Value::from("a"), 2));
    assert_eq!(answers[1], serde_json::json!({ "id": 2, "told": 0 }));
    assert_eq!(answers[2]["error"]["code"], 6);
    assert_eq!(answers[3]["trials"][0]["trial"], 1);
    assert_eq!((&answers[4]["error"]["code"], &answers[5]["error"]["code"]), (&Value::from(2), &Value::from(2)));

    let mut server = serve(&["--socket", "my.sock"]);
    let socket = folder.join("my.sock");
    let connect = || loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => return stream,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };
    drop(connect());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = connect();
                let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
                for _ in 0..5 {
                    stream.write_all(b"{\"ask\": 1}\n").unwrap();
                    let asked: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
                    let trial = asked["trials"][0]["trial"].as_u64().unwrap();
                    stream
                        .write_all(format!("{{\"tell\": {{\"trial\": {trial}, \"reward\": 0.4}}}}\n").as_bytes())
                        .unwrap();
                    let told: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
                    assert_eq!(told["told"], trial);
                }
            });
        }
    });
    // A command that comes meanwhile is told at once who serves the study.
    let run = deepaug(folder, &["ask", "--study", "study"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("process {} is running this study", server.id())), "{}", run.stderr);
    server.kill().unwrap();
    server.wait().unwrap();
    // Everything it had acknowledged is there, and the note and socket of a killed server are in nobody's way.
    assert_eq!(ask(folder, &["--pending"]).len(), 1);
    assert_eq!(rows(&folder.join("study/notebook.csv")).len(), 41);
    let mut server = serve(&["--socket", "my.sock"]);
    drop(connect());
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn rewards_of_any_kind_are_said_as_they_were_told() {
    for (kind, better, worse, gain, words) in [
        ("loss", "58", "61", "-3.000 in loss (one seed) over none", "58.00    61.00"),
        ("score", "61", "58", "+3.000 (one seed) over none", "61.00    58.00"),
        ("accuracy", "0.61", "0.58", "+3.00 points (one seed) over none", "61.00 %  58.00 %"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        init(folder, &format!("method = \"random\"\nopt_samples = 1\nreward = \"{kind}\""));
        ask(folder, &["--n", "3"]);
        for (trial, reward) in [(0, worse), (1, worse), (2, better)] {
            assert_eq!(tell(folder, trial, &["--reward", reward]).code, 0);
        }
        let run = deepaug(folder, &["notebook", "study"]);
        assert!(run.stdout.contains(&format!("Use the policy of trial 2: {gain}")), "{kind}: {}", run.stdout);
        assert!(run.stdout.contains(words), "{kind}: {}", run.stdout);
        let told = |text: &str| text.parse::<f64>().unwrap();
        let found: Value = serde_json::from_slice(&fs::read(folder.join("study/result.json")).unwrap()).unwrap();
        assert_eq!(found["best"]["reward"], told(better));
        assert_eq!(rows(&folder.join("study/notebook.csv"))[2]["mean_late_val_acc"], better);
        let run = deepaug(folder, &["inspect", "study", "--json"]);
        let inspected: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(
            (&inspected["ranked"][0]["trial"], &inspected["ranked"][0]["reward"]),
            (&2.into(), &told(better).into())
        );
        assert_eq!(deepaug(folder, &["report", "study"]).code, 0);
    }
    let folder = tempfile::tempdir().unwrap();
    let config = support::small_config(folder.path(), "iters = 1\nreward = \"loss\"");
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("reward: must be \"accuracy\""), "{}", run.stderr);
}

#[test]
fn a_study_without_images_never_takes_the_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |arguments: &[&str]| deepaug(folder, arguments);
    fs::write(folder.join("told.toml"), "sub_policies = 1\n").unwrap();
    assert_eq!(run(&["init", "--study", "told", "--config", "told.toml"]).code, 0);
    assert_eq!(run(&["ask", "--study", "told", "--n", "3"]).code, 0);
    for trial in ["0", "1", "2"] {
        assert_eq!(run(&["tell", "--study", "told", "--trial", trial, "--reward", "0.5"]).code, 0);
    }
    assert_eq!(run(&["notebook", "told"]).code, 0);
    for arguments in [&["compare", "told", "--seeds", "1"][..], &["train", "told", "--out", "model.safetensors"]] {
        let refused = run(arguments);
        assert_eq!(refused.code, 6, "{}", refused.stderr);
        assert!(refused.stderr.contains("its configuration names no images; set data"), "{}", refused.stderr);
    }
    assert_eq!(run(&["report", "told"]).code, 0);
    let page = fs::read_to_string(folder.join("told/report.html")).unwrap();
    assert!(page.contains("its configuration names no images"), "the page has no pictures and says why");
}
