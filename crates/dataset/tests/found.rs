//! What fuzzing found: files on which a decoder once panicked. Each now gives an error, and the rest of the set
//! can be read.

use std::path::Path;

use deepaug_dataset::{Dataset, OnBadImage, ReadOptions};

#[test]
fn what_fuzzing_found_is_refused_in_words() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/found");
    let files: Vec<_> = std::fs::read_dir(&found).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        for on_bad_image in [OnBadImage::Error, OnBadImage::Skip] {
            let error = Dataset::read(&file, &ReadOptions { on_bad_image, ..ReadOptions::default() }).unwrap_err();
            assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
        }
    }
}
