//! The example whose children PyTorch trains, through the binary. There is no test harness, so that a machine
//! without PyTorch shows the test as skipped, not as passed. Its `python3` is the first of `DEEPAUG_PYTHON_TORCH`, if
//! that is set.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

const NAME: &str = "pytorch_trains_the_children_of_a_search";

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if filter.is_some_and(|filter| !NAME.contains(&filter)) {
        return;
    }
    let has_torch = Command::new("python3").args(["-c", "import numpy, torch"]).env("PATH", path()).output();
    if !has_torch.is_ok_and(|output| output.status.success()) {
        println!("{NAME}: python3 here has no torch or no numpy; tests/python.sh installs them");
        println!("0 passed, 0 failed, 1 skipped");
        return;
    }
    pytorch_trains_the_children_of_a_search();
    println!("1 passed, 0 failed, 0 skipped");
}

/// Where programs are looked for.
fn path() -> OsString {
    let named = std::env::var("DEEPAUG_PYTHON_TORCH").unwrap_or_default();
    let first = named.split(':').next().and_then(|python| Path::new(python).parent()).map(Path::to_path_buf);
    let usual = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(first.into_iter().chain(std::env::split_paths(&usual))).unwrap_or(usual)
}

fn pytorch_trains_the_children_of_a_search() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let run = Command::new(env!("CARGO_BIN_EXE_deepaug"))
        .args(["optimize", "--config", "examples/pytorch/study.toml", "--iters", "2", "--out"])
        .arg(&study)
        .current_dir(root)
        .env("PATH", path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let notebook = std::fs::read_to_string(study.join("notebook.csv")).unwrap();
    // Trial 0 and two policies, two samples of six epochs each; two fresh seeds for the best and for trial 0.
    assert_eq!(notebook.lines().count(), 1 + (3 * 2 + 2 * 2) * 6);
    let mut rows = csv::Reader::from_reader(notebook.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let (epoch, accuracy) = (column("epoch"), column("val_acc"));
    let last: Vec<f64> = rows
        .records()
        .map(Result::unwrap)
        .filter(|row| &row[epoch] == "6")
        .map(|row| row[accuracy].parse().unwrap())
        .collect();
    // Guessing gives 0.1.
    assert!(last.iter().sum::<f64>() / last.len() as f64 > 0.4, "{last:?}");
}
