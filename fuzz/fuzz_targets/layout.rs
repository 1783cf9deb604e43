//! Any arrangement of files: folders and names from the words that people use, small pictures, and any bytes as
//! tables and lists. The first byte chooses options; then each file is the number of words in its path, the words,
//! its kind, and for tables their length and bytes.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use deepaug_dataset::{Columns, Dataset, OnBadImage, ReadOptions};
use libfuzzer_sys::fuzz_target;

const WORDS: [&str; 40] = [
    "train", "test", "val", "valid", "validation", "training_set", "Testing", "train_images", "test_images", "images",
    "labels", "masks", "cat", "dog", "Cat", ".hidden", "cat ", "0", "1", "001", "002", "img 1", "a.b", "100%25",
    "default", "plain_text", "metadata", "data-00000-of-00002", "data-00001-of-00002", "train-00000-of-00001", "set",
    "fold", "caf\u{e9}", "cafe\u{301}", "x", "y", "embeddings", "backup", "index", "n01440764",
];

const KINDS: [&str; 20] = [
    "png", "PNG", "", "jpg", "csv", "tsv", "txt", "jsonl", "json", "npy", "npz", "parquet", "tar", "gz", "zip", "ico",
    "heic", "dcm", "xml", "csv16",
];

/// A PNG file of 2 x 2 pixels.
static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let pixels = deepaug_dataset::files::png(ndarray::Array3::from_shape_fn((2, 2, 3), |(y, x, c)| (60 * y + 90 * x + c) as u8));
    pixels.expect("a picture has a PNG form")
});

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a temporary folder")
});

fn split_off<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (start, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    start
}

fuzz_target!(|input: &[u8]| {
    let [options, rest @ ..] = input else { return };
    let mut rest = rest;
    let root = FOLDER.path().join("set");
    let _ = fs::remove_dir_all(&root);
    fs::create_dir(&root).expect("the temporary folder takes folders");
    while let &[words, ref more @ ..] = rest {
        rest = more;
        let names = split_off(&mut rest, 1 + usize::from(words % 4));
        let mut path: PathBuf = names.iter().map(|&word| WORDS[usize::from(word) % WORDS.len()]).collect();
        let Some(&kind) = split_off(&mut rest, 1).first() else { break };
        let kind = KINDS[usize::from(kind) % KINDS.len()];
        let content = match kind {
            "png" | "PNG" | "" | "jpg" => PICTURE.clone(),
            _ => {
                let length = split_off(&mut rest, 1).first().map_or(0, |&length| usize::from(length));
                let bytes = split_off(&mut rest, length);
                match kind {
                    "csv16" => [vec![0xff, 0xfe], bytes.iter().flat_map(|&byte| [byte, 0]).collect()].concat(),
                    _ => bytes.to_vec(),
                }
            }
        };
        if !kind.is_empty() {
            let name = format!("{}.{}", path.file_name().unwrap_or_default().to_string_lossy(), kind.trim_end_matches("16"));
            path.set_file_name(name);
        }
        let path = root.join(path);
        // A folder may have the name of a file and the other way round.
        let _ = fs::create_dir_all(path.parent().unwrap_or(&root)).and_then(|()| fs::write(&path, content));
    }
    let named = |bit: u8, name: &str| (options & bit != 0).then(|| name.to_owned());
    let options = ReadOptions {
        on_bad_image: if options & 1 == 0 { OnBadImage::Error } else { OnBadImage::Skip },
        columns: Columns {
            label: named(2, "label"),
            split: named(4, "fold"),
            image: named(8, "file"),
            group: named(16, "group"),
            subgroup: named(32, "folder"),
            subgroup_table: named(64, "file").map(|_| root.join("sites.csv")),
        },
        ..ReadOptions::default()
    };
    match Dataset::read_with(&root, &options, &|_, _| ()) {
        Ok(set) => {
            assert!(set.len() >= 2 && set.classes().len() >= 2);
            assert!(set.labels().iter().all(|&label| label < set.classes().len()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
