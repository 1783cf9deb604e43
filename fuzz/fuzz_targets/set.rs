//! Any bytes as each kind of file that a set may consist of. The first byte chooses the kind, unless DEEPAUG_FUZZ
//! names one of idx, cifar, npy, npz, parquet, tar, csv; the second says where the second file begins for kinds
//! with two files.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use deepaug_dataset::{Dataset, OnBadImage, ReadOptions};
use libfuzzer_sys::fuzz_target;

const KINDS: [&str; 7] = ["idx", "cifar", "npy", "npz", "parquet", "tar", "csv"];

static ONLY: LazyLock<Option<usize>> = LazyLock::new(|| {
    let name = std::env::var("DEEPAUG_FUZZ").ok()?;
    Some(KINDS.iter().position(|kind| *kind == name).expect("DEEPAUG_FUZZ names a kind"))
});

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
});

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).expect("the temporary folder takes files");
}

fuzz_target!(|input: &[u8]| {
    let [first, cut, bytes @ ..] = input else { return };
    let kind = ONLY.unwrap_or(usize::from(*first) % KINDS.len());
    let folder = FOLDER.path().join(KINDS[kind]);
    let _ = fs::create_dir(&folder);
    let path = match KINDS[kind] {
        "idx" => {
            let (images, labels) = bytes.split_at(usize::from(*cut).min(bytes.len()));
            put(&folder, "train-images-idx3-ubyte", images);
            put(&folder, "train-labels-idx1-ubyte", labels);
            folder
        }
        "cifar" => {
            let (names, rows) = bytes.split_at(usize::from(*cut).min(bytes.len()));
            put(&folder, "batches.meta.txt", names);
            put(&folder, "data_batch_1.bin", rows);
            folder
        }
        "npy" => {
            let (labels, images) = bytes.split_at((2 * usize::from(*cut)).min(bytes.len()));
            put(&folder, "x.npy", images);
            put(&folder, "y.npy", labels);
            folder
        }
        kind => {
            let name = format!("set.{kind}");
            put(&folder, &name, bytes);
            folder.join(name)
        }
    };
    for on_bad_image in [OnBadImage::Error, OnBadImage::Skip] {
        match Dataset::read(&path, &ReadOptions { on_bad_image, ..ReadOptions::default() }) {
            Ok(set) => assert!(set.classes().len() > 1 && set.labels().len() == set.images().dim().0),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
