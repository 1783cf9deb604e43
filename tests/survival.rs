//! Studies that are killed, crash, run out of disk or are run twice: the real binary, and what it leaves.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{deepaug, rows, small_config, start, trainings, wait_for_trainings, without_times};

/// A study with every feature: several trials at once, trials that end early, confirmation.
const FULL: &str = "iters = 12\nopt_samples = 2\nchild_epochs = 4\nconfirm_policies = 1\nconfirm_samples = 1\n\
                    early_stopping = \"median\"\nworkers = 3\nopt_last_n_epochs = 1";

fn finished(folder: &Path, config: &str, out: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let run = deepaug(folder, &["optimize", "--config", config, "--out", out]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    without_times(&folder.join(out).join("notebook.csv"))
}

/// Kills a study at random moments and resumes it until it is finished; returns the number of kills.
fn kill_until_finished(folder: &Path, config: &str, out: &str, rng: &mut ChaCha8Rng, most: usize) -> usize {
    let started = |first: bool| match first {
        true => start(folder, &["optimize", "--config", config, "--out", out]),
        false => start(folder, &["optimize", "--resume", out]),
    };
    for kills in 0..most {
        let first = !folder.join(out).join("study.toml").exists();
        if first {
            // Killed before there was anything to resume.
            let _ = fs::remove_dir_all(folder.join(out));
        }
        let mut child = started(first);
        let patience = Instant::now() + Duration::from_millis(rng.random_range(20..400));
        while Instant::now() < patience {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{out}: {status} after {kills} kills");
                return kills;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let run = deepaug(folder, &["optimize", "--resume", out]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    most
}

#[test]
fn sixty_kills_at_random_moments_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), FULL);
    let whole = finished(folder.path(), &config, "whole");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut kills = 0;
    for study in 0.. {
        let out = format!("killed-{study}");
        kills += kill_until_finished(folder.path(), &config, &out, &mut rng, 15);
        assert_eq!(without_times(&folder.path().join(&out).join("notebook.csv")), whole, "{out}");
        let best = |out: &str| fs::read(folder.path().join(out).join("best_policy.json")).unwrap();
        assert_eq!(best(&out), best("whole"));
        if kills >= 60 {
            break;
        }
        assert!(study < 40, "only {kills} kills in {study} studies: they end too soon to be killed");
    }
}

/// Crashes right after each line of the journal, and in the middle of each.
#[test]
fn a_crash_at_every_event_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Everything that a search without a configuration uses: schemes, a split for each seed, a race.
    let extra = "iters = 3\nconfirm_policies = 2\nconfirm_samples = 2\nworkers = 2\nthreads = 1\nspace = \"schemes\"\n\
                 augment = \"online\"\nfinish = false\nportion = 1.0\nholdout = \"repeated\"";
    let config = small_config(folder.path(), extra);
    let whole = finished(folder.path(), &config, "whole");
    let lines = fs::read_to_string(folder.path().join("whole/journal.jsonl")).unwrap().lines().count();
    assert!(lines > 8, "{lines}");
    for kind in ["torn", "after"] {
        for line in 0..=lines {
            let out = format!("{kind}-{line}");
            let crashed = Command::new(env!("CARGO_BIN_EXE_deepaug"))
                .args(["optimize", "--config", &config, "--out", &out])
                .env("DEEPAUG_CRASH", format!("{kind}:{line}"))
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            let is_in_reach = if kind == "torn" { line < lines } else { (1..=lines).contains(&line) };
            assert_eq!(crashed.success(), !is_in_reach, "{out}: {crashed}");
            if kind == "torn" && line == 0 {
                // The study does not exist yet, and its folder is free.
                let run = deepaug(folder.path(), &["optimize", "--resume", &out]);
                assert_eq!(run.code, 6, "{}", run.stderr);
                continue;
            }
            let run = deepaug(folder.path(), &["optimize", "--resume", &out]);
            if !folder.path().join(&out).join("study.toml").exists() {
                assert_eq!((run.code, line), (6, 1), "{out}: {}", run.stderr);
                continue;
            }
            assert_eq!(run.code, 0, "{out}: {}", run.stderr);
            assert_eq!(without_times(&folder.path().join(&out).join("notebook.csv")), whole, "{out}");
        }
    }
}

#[test]
fn the_notebook_does_not_depend_on_threads_but_may_on_workers() {
    let folder = tempfile::tempdir().unwrap();
    let notebook = |out: &str, extra: &str| {
        let config = small_config(folder.path(), &format!("iters = 8\nopt_samples = 2\n{extra}"));
        finished(folder.path(), &config, out)
    };
    let first = notebook("a", "workers = 3\nthreads = 1");
    assert_eq!(first, notebook("b", "workers = 3\nthreads = 4"));
    assert_ne!(first, notebook("c", "workers = 1\nthreads = 4"));
}

/// With 20 images to judge by, luck decides: the expected improvement is soon below the noise.
#[test]
fn a_search_out_of_patience_ends_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let extra =
        "iters = 60\nopt_samples = 2\nopt_initial_points = 4\nvalidation_set_size = 20\npatience = 3\nworkers = 2";
    let config = small_config(folder.path(), extra);
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let why = "the expected improvement has stayed below a reward's noise";
    assert!(run.stderr.contains(why) || run.stdout.contains(why), "{}{}", run.stdout, run.stderr);
    let notebook = without_times(&folder.path().join("study/notebook.csv"));
    let trials = 1 + notebook.iter().map(|row| row["trial_no"].parse::<usize>().unwrap()).max().unwrap();
    // Trial 0, the initial points and the proposals that promised little, minus the one that was not begun.
    assert!((4 + 3..61).contains(&trials), "{trials} trials");

    // It continues once patience is switched off.
    let path = folder.path().join("study/study.toml");
    let frozen = fs::read_to_string(&path).unwrap();
    assert!(frozen.contains("\npatience = 3\n"));
    fs::write(&path, frozen.replace("\npatience = 3\n", "\npatience = 0\n")).unwrap();
    let run = deepaug(folder.path(), &["optimize", "--resume", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let longer = without_times(&folder.path().join("study/notebook.csv"));
    let of_the_search = |row: &&std::collections::BTreeMap<String, String>| row["phase"] == "search";
    let begun: Vec<_> = notebook.iter().filter(of_the_search).collect();
    assert_eq!(longer.iter().filter(of_the_search).take(begun.len()).collect::<Vec<_>>(), begun);
    assert_eq!(longer.iter().rfind(of_the_search).unwrap()["trial_no"], "60");
}

#[test]
fn trials_that_are_behind_end_early_and_never_win() {
    let folder = tempfile::tempdir().unwrap();
    let extra = "iters = 14\nopt_samples = 2\nchild_epochs = 9\nearly_stopping = \"halving\"\nworkers = 1\n\
                 opt_last_n_epochs = 1\nmethod = \"random\"";
    let config = small_config(folder.path(), extra);
    finished(folder.path(), &config, "study");
    let rows = rows(&folder.path().join("study/notebook.csv"));
    let pruned: Vec<_> = rows.iter().filter(|row| row["behind"] == "true").collect();
    assert!(!pruned.is_empty());
    let of = |trial: &str| rows.iter().filter(|row| row["trial_no"] == trial).count();
    for row in &pruned {
        // One sample, which ended at a rung; the last rung is the complete training.
        assert!([1, 3, 9].contains(&of(&row["trial_no"])), "{row:?}");
        assert_eq!(row["sample_no"], "0");
    }
    let top = support::rows(&folder.path().join("study/top_policies.csv"));
    assert!(!top.is_empty());
    for row in &top {
        assert_eq!(of(&row["trial_no"]), 2 * 9, "{row:?}");
    }
    let result: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("study/result.json")).unwrap()).unwrap();
    let count = |key: &str| result[key].as_u64().unwrap() as usize;
    assert_eq!(count("epochs"), rows.len());
    assert_eq!(count("epochs") + count("epochs_spared"), 15 * 2 * 9);
}

#[test]
fn budgets_end_a_search_and_more_can_follow() {
    let folder = tempfile::tempdir().unwrap();
    let extra = "iters = 10\nopt_samples = 2\nconfirm_policies = 1\nconfirm_samples = 2\nworkers = 2";
    let config = small_config(folder.path(), extra);
    let run =
        deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study", "--trainings", "13", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let last: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["result"]["ended_by"], "trainings");
    // Four trials of two samples, and four trainings with fresh seeds.
    assert_eq!(trainings(&folder.path().join("study/journal.jsonl")), 12);
    let run = deepaug(folder.path(), &["optimize", "--resume", "study", "--time", "1ms", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let last: serde_json::Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["result"]["ended_by"], "time");
    let run = deepaug(folder.path(), &["optimize", "--resume", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("all policies have been tried"), "{}", run.stderr);
    let log = fs::read_to_string(folder.path().join("study/deepaug.log")).unwrap();
    assert!(log.contains("trial 10: reward") && log.contains("epoch 2/2"), "{log}");
}

#[test]
fn a_second_process_is_told_who_runs_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 5000\nchild_epochs = 1\nmethod = \"random\"");
    let mut child = start(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    wait_for_trainings(&mut child, &folder.path().join("study/journal.jsonl"), 1);
    for arguments in [["optimize", "--resume", "study"].as_slice(), &["notebook", "study"]] {
        let run = deepaug(folder.path(), arguments);
        assert_eq!(run.code, 6, "{}", run.stderr);
        assert!(run.stderr.contains(&format!("process {} is running this study", child.id())), "{}", run.stderr);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = deepaug(folder.path(), &["notebook", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn the_tables_are_rebuilt_from_the_journal_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 3\nopt_samples = 2\nconfirm_policies = 1\nconfirm_samples = 2");
    finished(folder.path(), &config, "study");
    let tables =
        ["notebook.csv", "top_policies.csv", "best_policy.json"].map(|name| folder.path().join("study").join(name));
    let before = tables.each_ref().map(|path| fs::read(path).unwrap());
    tables.iter().for_each(|path| fs::remove_file(path).unwrap());
    let run = deepaug(folder.path(), &["notebook", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("12 trainings of 4 trials"), "{}", run.stdout);
    assert_eq!(tables.each_ref().map(|path| fs::read(path).unwrap()), before);
    let run = deepaug(folder.path(), &["notebook", "nowhere"]);
    assert_eq!(run.code, 6, "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn a_study_whose_folder_vanishes_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = small_config(folder.path(), "iters = 5000\nchild_epochs = 1\nmethod = \"random\"");
    let mut child = start(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    wait_for_trainings(&mut child, &folder.path().join("study/journal.jsonl"), 2);
    fs::remove_dir_all(folder.path().join("study")).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{stderr}");
    assert!(stderr.contains("has been moved or deleted while it was running"), "{stderr}");
    assert!(!folder.path().join("study").exists());
}

/// On a small file system, which only root can make.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn a_full_disk_stops_a_study_and_more_space_lets_it_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |arguments: &[&str]| {
        let run = Command::new("mount").args(arguments).arg(&disk).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"]) {
        eprintln!("skipped: only root can mount the small file system that this test fills");
        return;
    }
    let extra = "iters = 60\nchild_epochs = 4\nmethod = \"random\"\nworkers = 1";
    let config = small_config(folder.path(), extra);
    let full = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "disk/study"]);
    let journal = fs::read_to_string(disk.join("study/journal.jsonl")).unwrap_or_default();
    let read_only = mount(&["-o", "remount,ro"]);
    let refused = deepaug(folder.path(), &["optimize", "--resume", "disk/study"]);
    let larger = mount(&["-o", "remount,rw,size=16m"]);
    let resumed = deepaug(folder.path(), &["optimize", "--resume", "disk/study"]);
    let notebook = disk.join("study/notebook.csv").exists().then(|| without_times(&disk.join("study/notebook.csv")));
    Command::new("umount").arg(&disk).status().unwrap();
    assert_eq!(full.code, 7, "{}", full.stderr);
    assert!(full.stderr.contains("No space left on device"), "{}", full.stderr);
    assert!(journal.ends_with('\n') && journal.lines().count() > 3, "no torn line is left: {journal}");
    assert!(read_only && larger);
    assert!([6, 7].contains(&refused.code) && refused.stderr.contains("Read-only file system"), "{}", refused.stderr);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(notebook.unwrap(), finished(folder.path(), &config, "whole"));
}

#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn a_study_that_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(&disk).stderr(Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: only root can mount the small file system that this test fills");
        return;
    }
    let config = small_config(folder.path(), "iters = 1");
    let made = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "disk/study"]);
    let asked = deepaug(folder.path(), &["init", "--config", &config, "--study", "disk/asked"]);
    let left: Vec<_> = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    Command::new("umount").arg(&disk).status().unwrap();
    for run in [made, asked] {
        assert_eq!(run.code, 7, "{}", run.stderr);
        assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    }
    assert!(left.is_empty(), "{left:?}");
}
