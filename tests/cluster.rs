//! One study trained by several processes, as by several machines: whatever dies, it comes out as if one had trained it.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{deepaug, rows, small_config, start, trainings, without_times};

/// Several samples, trials that end early, confirmation. An agent trains one child at a time, and is soon given up.
const FULL: &str = "iters = 10\nopt_samples = 2\nchild_epochs = 6\nconfirm_policies = 1\nconfirm_samples = 1\n\
                    early_stopping = \"median\"\nworkers = 4\nopt_last_n_epochs = 1\ncluster.slots = 1\ncluster.silence = 6";

/// A child that takes a while and whose accuracy follows from its policy.
const PROGRAM: &str = "read request; sleep SECONDS; \
    share=$(echo \"$request\" | sed 's/.*\"policy\":\\(.*\\),\"seed.*/\\1/' | cksum | cut -c4-6); AFTER \
    for epoch in 1 2; do \
    echo \"{\\\"epoch\\\": $epoch, \\\"acc\\\": 0.5, \\\"loss\\\": 1, \\\"val_acc\\\": 0.$share, \\\"val_loss\\\": 1}\"; done";

/// Writes such a child, which does something in between, and returns the configuration.
fn with_program(folder: &Path, seconds: &str, after: &str, extra: &str) -> String {
    let program = PROGRAM.replace("SECONDS", seconds).replace("AFTER", after);
    fs::write(folder.join("train.sh"), program).unwrap();
    small_config(folder, &format!("{extra}\ncluster.slots = 1\n[child]\ncommand = [\"sh\", \"train.sh\"]"))
}

fn notebook(study: &Path) -> Vec<BTreeMap<String, String>> {
    without_times(&study.join("notebook.csv"))
}

/// Waits for something to be so.
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited two minutes: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The agents that have said hello, with their processes.
fn agents(study: &Path) -> Vec<(String, u32)> {
    let Ok(inside) = fs::read_dir(study.join("cluster/agents")) else { return Vec::new() };
    let mut found: Vec<(String, u32)> = inside
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let hello: serde_json::Value =
                serde_json::from_slice(&fs::read(entry.path().join("hello.json")).ok()?).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), hello["process"].as_u64()? as u32))
        })
        .collect();
    found.sort();
    found
}

fn signal(process: u32, signal: &str) {
    Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
}

/// Starts an agent as if on another machine.
fn agent_on(node: &str, folder: &Path, study: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_deepaug"))
        .args(["agent", study])
        .env("SLURMD_NODENAME", node)
        .current_dir(folder)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn ended(study: &Path) -> Vec<(u64, u64)> {
    let journal = fs::read_to_string(study.join("journal.jsonl")).unwrap_or_default();
    let lines = journal.lines().filter(|line| line.starts_with("{\"event\":\"trained\""));
    lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            (line["trial"].as_u64().unwrap(), line["sample"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn the_notebook_is_the_same_however_many_train() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), FULL);
    let optimize = |out: &str, more: &[&str]| {
        let run = deepaug(folder.path(), &[&["optimize", "--config", &config, "--out", out], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        notebook(&folder.path().join(out))
    };
    let local = optimize("local", &[]);
    for agents in ["1", "3"] {
        let apart = optimize(&format!("on-{agents}"), &["--on", "processes", "--agents", agents, "--in-order"]);
        assert_eq!(apart, local, "{agents} agents");
    }
    // Told as they end, all are told, and resuming finds the same answer.
    let free = optimize("free", &["--on", "processes", "--agents", "3"]);
    let trials = |rows: &[BTreeMap<String, String>]| {
        let mut trials: Vec<String> = rows.iter().map(|row| row["trial_no"].clone()).collect();
        trials.dedup();
        trials
    };
    assert_eq!(trials(&free).iter().collect::<std::collections::BTreeSet<_>>().len(), 11);
    let result = |out: &str| fs::read_to_string(folder.path().join(out).join("best_policy.json")).unwrap();
    let before = result("free");
    let again = deepaug(folder.path(), &["optimize", "--resume", "free"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!((notebook(&folder.path().join("free")), result("free")), (free, before));
}

#[test]
fn agents_and_the_process_that_runs_the_study_may_be_killed() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), &FULL.replace("child_epochs = 6", "child_epochs = 60"));
    let local = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "local"]);
    assert_eq!(local.code, 0, "{}", local.stderr);
    let (study, on) = (folder.path().join("apart"), ["--on", "processes", "--agents", "3"]);
    let journal = study.join("journal.jsonl");
    let first = [&["optimize", "--config", &config, "--out", "apart", "--in-order"], &on[..]].concat();
    let again = [&["optimize", "--resume", "apart"], &on[..]].concat();

    let mut run = start(folder.path(), &first);
    wait("three agents", || agents(&study).len() == 3);
    wait("a training", || trainings(&journal) >= 1);
    let named = |name: &str| agents(&study).into_iter().find(|(own, _)| own == name).unwrap().1;
    // Killed, and taken away as Slurm takes a machine away.
    signal(named("process1-0"), "-KILL");
    signal(named("process2-0"), "-TERM");
    wait("two others", || agents(&study).len() == 5);
    let before = trainings(&journal);
    wait("another training", || trainings(&journal) > before);
    run.kill().unwrap();
    run.wait().unwrap();
    // Its agents go on meanwhile, and what they end is heard by the next.
    let mut run = start(folder.path(), &again);
    let before = trainings(&journal);
    wait("another training", || trainings(&journal) > before + 1);
    run.kill().unwrap();
    run.wait().unwrap();
    let run = deepaug(folder.path(), &again);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("agents asked for"), "those that are there are enough: {}", run.stderr);
    assert_eq!(notebook(&study), notebook(&folder.path().join("local")));
    let mut all = ended(&study);
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "nothing was told twice");
    wait("all agents have ended", || agents(&study).iter().all(|(_, id)| !Path::new(&format!("/proc/{id}")).exists()));
}

#[test]
fn a_machine_on_which_trainings_fail_is_not_used_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let after = "[ \"$SLURMD_NODENAME\" = bad ] && exit 3;";
    let config = with_program(folder.path(), "0.1", after, "iters = 12\nworkers = 4");
    let mut run =
        start(folder.path(), &["optimize", "--config", &config, "--out", "study", "--on", "agents", "--agents", "2"]);
    wait("the study", || folder.path().join("study/cluster/plan.json").exists());
    let mut both = ["good", "bad"].map(|node| agent_on(node, folder.path(), "study"));
    assert!(run.wait().unwrap().success());
    for agent in &mut both {
        assert!(agent.wait().unwrap().success());
    }
    let rows = rows(&folder.path().join("study/notebook.csv"));
    assert_eq!(rows.len(), 26);
    assert!(rows.iter().all(|row| !row["val_acc"].is_empty()), "{rows:?}");
    let status = deepaug(folder.path(), &["cluster", "status", "study", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    let of =
        |node: &str| status["agents"].as_array().unwrap().iter().find(|agent| agent["node"] == node).unwrap().clone();
    assert_eq!((of("good")["ended"].as_u64().unwrap(), of("bad")["state"].as_str()), (13, Some("ended")));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut run.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("bad is not used any more: 3 trainings failed there"), "{said}");
}

#[test]
fn a_training_that_fails_everywhere_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    // Some policies cannot be trained with.
    let config = with_program(
        folder.path(),
        "0.1",
        "case \"$request\" in *'sub_policies\":[]'*) ;; *) [ $share -lt 400 ] && exit 4;; esac;",
        "iters = 12\nworkers = 3",
    );
    let local = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "local"]);
    assert_eq!(local.code, 0, "{}", local.stderr);
    let arguments =
        ["optimize", "--config", &config, "--out", "study", "--on", "agents", "--agents", "2", "--in-order"];
    let mut run = start(folder.path(), &arguments);
    wait("the study", || folder.path().join("study/cluster/plan.json").exists());
    let mut both = ["one", "two"].map(|node| agent_on(node, folder.path(), "study"));
    assert!(run.wait().unwrap().success());
    both.iter_mut().for_each(|agent| assert!(agent.wait().unwrap().success()));
    let found = notebook(&folder.path().join("study"));
    let failed = found.iter().filter(|row| row["val_acc"].is_empty()).count();
    assert!(failed > 1 && failed < 12, "{failed}");
    assert_eq!(found, notebook(&folder.path().join("local")));
}

#[test]
fn a_training_that_takes_its_process_along_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let after = "case \"$request\" in *'sub_policies\":[]'*) ;; *) [ $share -lt 250 ] && kill -9 $PPID;; esac;";
    let config = with_program(folder.path(), "0.1", after, "iters = 12\nworkers = 4");
    let arguments =
        ["optimize", "--config", &config, "--out", "study", "--on", "processes", "--agents", "2", "--in-order"];
    let run = deepaug(folder.path(), &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let found = rows(&folder.path().join("study/notebook.csv"));
    let failed = found.iter().filter(|row| row["val_acc"].is_empty()).count();
    assert!(failed > 0 && failed < 12, "{failed}");
    let journal = fs::read_to_string(folder.path().join("study/journal.jsonl")).unwrap();
    assert_eq!(journal.matches("its agent died 3 times while it ran").count(), failed, "{journal}");
    // Those that were under way beside it are trained all the same.
    let fine = found.iter().filter(|row| !row["val_acc"].is_empty()).count();
    assert_eq!(fine, 2 * (13 - failed));
}

#[test]
fn eight_agents_do_eight_times_as_much() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_program(folder.path(), "1", "", "iters = 31\nworkers = 8");
    let begun = Instant::now();
    let arguments = ["optimize", "--config", &config, "--out", "study", "--on", "processes", "--agents", "8"];
    let run = deepaug(folder.path(), &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // 32 trainings of a second, one after another without them; the bound leaves room for a busy machine.
    let took = begun.elapsed().as_secs_f64();
    assert!(took < 16.0, "{took} s");
}

#[test]
fn comparisons_and_final_trainings_run_apart_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 2\ncluster.slots = 1");
    for out in ["here", "apart"] {
        let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", out]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let compare = |study: &str, more: &[&str]| {
        let arguments =
            ["compare", study, "--seeds", "2", "--epochs", "2", "--baselines", "none,trivialaugment", "--json"];
        let run = deepaug(folder.path(), &[&arguments, more].concat());
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        let last: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
        let schemes = last["result"]["schemes"].as_array().unwrap().clone();
        schemes.iter().map(|scheme| scheme["accuracies"].clone()).collect::<Vec<_>>()
    };
    let here = compare("here", &[]);
    assert!(here.iter().all(|accuracies| accuracies.as_array().is_some_and(|all| all.len() == 2)), "{here:?}");
    assert_eq!(compare("apart", &["--on", "processes", "--agents", "2"]), here);
    let train = |out: &str, more: &[&str]| {
        let run = deepaug(folder.path(), &[&["train", "here", "--epochs", "2", "--out", out], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        fs::read(folder.path().join(out)).unwrap()
    };
    assert_eq!(train("b.safetensors", &["--on", "processes"]), train("a.safetensors", &[]));
}

#[test]
fn a_trial_can_be_trained_by_any_queue() {
    let folder = tempfile::tempdir().unwrap();
    support::write_class_folders(&folder.path().join("images"), &["a", "b"], 60);
    let config = small_config(folder.path(), "iters = 3\ndata = \"images\"");
    let run = |arguments: &[&str]| {
        let run = deepaug(folder.path(), arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    };
    run(&["init", "--study", "mine", "--config", &config]);
    let mut results = Vec::new();
    for round in 0..2 {
        let asked = run(&["ask", "--study", "mine", "--n", "2"]);
        for (number, line) in asked.lines().enumerate() {
            let [spec, out] = ["spec", "out"].map(|name| format!("{name}-{round}-{number}"));
            fs::write(folder.path().join(&spec), line).unwrap();
            run(&["trial", "--study", "mine", "--spec", &spec, "--out", &out]);
            // Again, in another process: the same.
            let again = format!("{out}-again");
            run(&["trial", "--study", "mine", "--spec", &spec, "--out", &again]);
            let read = |name: &str| -> serde_json::Value {
                serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap()
            };
            assert_eq!(read(&out), read(&again));
            run(&["tell", "--study", "mine", "--from", &out]);
            results.push(read(&out)["reward"].as_f64().unwrap());
        }
    }
    let pending = run(&["ask", "--study", "mine", "--pending"]);
    assert_eq!(pending.trim(), "", "all were told");
    assert_eq!(results.len(), 4);
    let wrong = deepaug(folder.path(), &["trial", "--study", "mine", "--spec", &config, "--out", "x"]);
    assert_eq!(wrong.code, 6);
    assert!(wrong.stderr.contains("describes no training"), "{}", wrong.stderr);
}

#[test]
fn what_cannot_work_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 2\ncluster.slots = 1");
    // Nothing is trained on other machines.
    fs::create_dir(folder.path().join("empty")).unwrap();
    let run = deepaug(folder.path(), &["agent", "empty"]);
    assert_eq!(run.code, 9);
    assert!(run.stderr.contains("does not see the folder"), "{}", run.stderr);
    // No Slurm.
    let without = Command::new(env!("CARGO_BIN_EXE_deepaug"))
        .args(["optimize", "--config", &config, "--out", "none", "--on", "slurm"])
        .env("PATH", "/nowhere")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert_eq!(without.status.code(), Some(9), "{said}");
    assert!(said.contains("sbatch is not on this machine"), "{said}");
    // Images that agents cannot read: they say so, and so does the study.
    let mut run = start(folder.path(), &["optimize", "--config", &config, "--out", "study", "--on", "agents"]);
    let plan: PathBuf = folder.path().join("study/cluster/plan.json");
    wait("the study", || plan.exists());
    let text = fs::read_to_string(&plan).unwrap();
    let other = deepaug(folder.path(), &["agent", "study", "--nonce", "another"]);
    assert_eq!(other.code, 9);
    assert!(other.stderr.contains("another folder of that name"), "{}", other.stderr);
    // Another version.
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    fs::write(&plan, text.replace(&version, "\"version\": \"9.0.0\"")).unwrap();
    let old = deepaug(folder.path(), &["agent", "study"]);
    assert_eq!(old.code, 9);
    assert!(old.stderr.contains("use the same on all machines"), "{}", old.stderr);
    let status = run.wait().unwrap();
    assert_eq!(status.code(), Some(9));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut run.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("no agent can train") && said.contains("9.0.0"), "{said}");
}

#[test]
fn a_study_is_stopped_from_anywhere_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_program(folder.path(), "0.3", "", "iters = 8\nworkers = 2");
    let local = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "local"]);
    assert_eq!(local.code, 0, "{}", local.stderr);
    let mut run = start(
        folder.path(),
        &["optimize", "--config", &config, "--out", "study", "--on", "processes", "--agents", "2", "--in-order"],
    );
    wait("a training", || trainings(&folder.path().join("study/journal.jsonl")) >= 2);
    let stop = deepaug(folder.path(), &["cluster", "stop", "study"]);
    assert_eq!(stop.code, 0, "{}", stop.stderr);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let again = deepaug(folder.path(), &["optimize", "--resume", "study", "--on", "processes", "--agents", "1"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(notebook(&folder.path().join("study")), notebook(&folder.path().join("local")));
}
