//! A whole search on a GPU; a software adapter is enough. There is no test harness, so that a machine without an adapter
//! shows the test as skipped, not as passed.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::time::Duration;

const NAME: &str = "a_search_on_a_gpu_that_is_killed_goes_on_as_if_it_had_never_stopped";

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return;
    }
    if deepaug::adapters().is_empty() {
        println!("{NAME}: no Vulkan, Metal or DirectX adapter here (Debian: apt-get install mesa-vulkan-drivers)");
        println!("0 passed, 0 failed, 1 skipped");
        return;
    }
    a_search_on_a_gpu_that_is_killed_goes_on_as_if_it_had_never_stopped();
    println!("1 passed, 0 failed, 0 skipped");
}

fn a_search_on_a_gpu_that_is_killed_goes_on_as_if_it_had_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = support::small_config(
        folder.path(),
        "device = \"wgpu\"\nmodel = \"simplecnn\"\niters = 4\nopt_samples = 2\nchild_epochs = 3\n\
         confirm_policies = 1\nconfirm_samples = 2",
    );
    let whole = support::deepaug(folder.path(), &["optimize", "--config", &config, "--out", "whole"]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let notebook = |study: &str| support::without_times(&folder.path().join(study).join("notebook.csv"));
    assert!(notebook("whole").iter().all(|row| row["device"] == "wgpu"));

    let journal = folder.path().join("cut/journal.jsonl");
    let mut child = support::start(folder.path(), &["optimize", "--config", &config, "--out", "cut"]);
    support::wait_for_trainings(&mut child, &journal, 3);
    // Into the epochs of the trainings that follow.
    std::thread::sleep(Duration::from_millis(20));
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = support::deepaug(folder.path(), &["optimize", "--resume", "cut"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(notebook("cut"), notebook("whole"));
    let best = |study: &str| fs::read(folder.path().join(study).join("best_policy.json")).unwrap();
    assert_eq!(best("cut"), best("whole"));
}
