//! Helpers shared by the end-to-end tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};

/// The result of a command.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary in a folder.
pub(crate) fn deepaug(folder: &Path, arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_deepaug")).args(arguments).current_dir(folder).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts the binary in a folder and leaves it running.
pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_deepaug"))
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a running search has recorded `count` trainings.
pub(crate) fn wait_for_trainings(child: &mut Child, journal: &Path, count: usize) {
    let patience = Instant::now();
    while trainings(journal) < count {
        assert!(patience.elapsed() < Duration::from_secs(120), "too few trainings in two minutes");
        assert_eq!(child.try_wait().unwrap(), None, "it ended too soon");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Counts the trainings in a journal.
pub(crate) fn trainings(journal: &Path) -> usize {
    fs::read_to_string(journal).unwrap_or_default().matches("\"event\":\"trained\"").count()
}

/// Writes a configuration that trains the tiny net for seconds, with `extra` lines, and returns its name.
/// Overfitting is allowed, so rewards are plain means.
pub(crate) fn small_config(folder: &Path, extra: &str) -> String {
    let base = [
        ("train_set_size", "60"),
        ("validation_set_size", "30"),
        ("model", "\"tinycnn\""),
        ("device", "\"cpu\""),
        ("child_epochs", "2"),
        ("child_batch_size", "20"),
        ("opt_initial_points", "2"),
        ("opt_samples", "1"),
        ("opt_last_n_epochs", "2"),
        ("overfit_tolerance", "1.0"),
        ("sub_policies", "1"),
        ("portion", "\"search\""),
        ("confirm_policies", "0"),
    ];
    let given = |key: &str| extra.lines().any(|line| line.starts_with(key));
    let mut text: String =
        base.iter().filter(|(key, _)| !given(key)).map(|(key, value)| format!("{key} = {value}\n")).collect();
    text.push_str(extra);
    fs::write(folder.join("small.toml"), text).unwrap();
    "small.toml".into()
}

/// Reads the rows of a CSV file by column.
pub(crate) fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

/// Writes classes of coloured squares, `images` of each; later classes are lighter.
pub(crate) fn write_class_folders(root: &Path, classes: &[&str], images: u32) {
    for (number, class) in classes.iter().enumerate() {
        let folder = root.join(class);
        fs::create_dir_all(&folder).unwrap();
        let shade = 40 + 80 * number as u8;
        for index in 0..images {
            let image = RgbImage::from_fn(12, 12, |x, y| {
                let spot = u8::from((x + index) % 5 < 2) * 30;
                // No two images are the same.
                Rgb([shade + spot, shade + (index / 20) as u8, y as u8 + 12 * (index % 20) as u8])
            });
            image.save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
}

/// Lists everything below a folder, with sizes.
pub(crate) fn tree(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        found.push((entry.path().display().to_string(), if metadata.is_file() { metadata.len() } else { 0 }));
        if metadata.is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

/// Reads the rows of a notebook, without the columns whose values are times.
pub(crate) fn without_times(notebook: &Path) -> Vec<BTreeMap<String, String>> {
    let mut rows = rows(notebook);
    for row in &mut rows {
        assert!(row.remove("seconds").is_some());
    }
    rows
}
