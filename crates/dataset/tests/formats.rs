//! Reads sets written to disk the way users have them.

use std::fs;
use std::path::Path;

use deepaug_dataset::{DataError, Dataset, Part, ReadOptions};
use image::{GrayImage, Luma, Rgb, RgbImage};

fn read(path: &Path) -> Result<Dataset, DataError> {
    Dataset::read(path, &ReadOptions::default())
}

fn message(path: &Path) -> String {
    read(path).expect_err("this set must be refused").to_string()
}

fn grey(path: &Path, side: u32, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(side, side, Luma([value])).save(path).unwrap();
}

#[test]
fn class_folders_become_classes_in_the_order_of_names() {
    let root = tempfile::tempdir().unwrap();
    grey(&root.path().join("dog/1.png"), 6, 200);
    grey(&root.path().join("cat/1.png"), 6, 10);
    grey(&root.path().join("cat/2.PNG"), 6, 20);
    fs::write(root.path().join("cat/notes.txt"), "not an image").unwrap();
    let set = read(root.path()).unwrap();
    assert_eq!(set.classes(), ["cat", "dog"]);
    assert_eq!(set.labels(), [0, 0, 1]);
    assert_eq!(set.images().iter().step_by(36).copied().collect::<Vec<_>>(), [10, 20, 200]);
    assert_eq!(set.image_shape(), [6, 6, 1]);
}

#[test]
fn one_coloured_image_makes_the_whole_set_rgb() {
    let root = tempfile::tempdir().unwrap();
    grey(&root.path().join("cat/1.png"), 4, 10);
    fs::create_dir_all(root.path().join("dog")).unwrap();
    RgbImage::from_pixel(4, 4, Rgb([1, 2, 3])).save(root.path().join("dog/1.png")).unwrap();
    let set = read(root.path()).unwrap();
    assert_eq!(set.image_shape(), [4, 4, 3]);
    assert_eq!(set.images().iter().copied().take(3).collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(set.images().iter().copied().skip(48).take(3).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn the_users_own_split_is_kept() {
    let root = tempfile::tempdir().unwrap();
    for (part, n) in [("train", 3), ("val", 2), ("test", 1)] {
        for class in ["cat", "dog"] {
            for i in 0..n {
                grey(&root.path().join(format!("{part}/{class}/{i}.png")), 4, 9);
            }
        }
    }
    let set = read(root.path()).unwrap();
    let count = |part| set.parts().iter().filter(|&&p| p == part).count();
    assert_eq!([count(Part::Train), count(Part::Validation), count(Part::Test)], [6, 4, 2]);
    assert_eq!(set.classes(), ["cat", "dog"]);
}

#[test]
fn sizes_that_differ_are_refused_until_a_size_is_given() {
    let root = tempfile::tempdir().unwrap();
    grey(&root.path().join("cat/1.png"), 4, 10);
    grey(&root.path().join("dog/1.png"), 8, 10);
    let error = message(root.path());
    assert!(error.contains("4x4") && error.contains("8x8") && error.contains("image_size"), "{error}");
    let set = Dataset::read(root.path(), &ReadOptions { image_size: Some(6) }).unwrap();
    assert_eq!(set.image_shape(), [6, 6, 1]);
}

#[test]
fn bad_folders_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    assert!(message(&root.path().join("nothing")).contains("nothing: no such file or folder"));
    assert!(message(root.path()).contains("the folder is empty"));
    grey(&root.path().join("cat/1.png"), 4, 10);
    assert!(message(root.path()).contains("only one class (cat)"));
    fs::create_dir(root.path().join("dog")).unwrap();
    assert!(message(root.path()).contains("dog: a class folder without PNG or JPEG files"));
    let whole = root.path().join("dog/whole.jpg");
    RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 4, y as u8 * 4, 7])).save(&whole).unwrap();
    let bytes = fs::read(&whole).unwrap();
    fs::remove_file(whole).unwrap();
    fs::write(root.path().join("dog/cut.jpg"), &bytes[..bytes.len() / 3]).unwrap();
    let error = message(root.path());
    assert!(error.contains("cut.jpg: not a readable image"), "{error}");
    fs::remove_file(root.path().join("dog/cut.jpg")).unwrap();
    grey(&root.path().join("dog/more/1.png"), 4, 10);
    assert!(message(root.path()).contains("more: a folder inside a class folder"));
    fs::remove_dir_all(root.path().join("dog/more")).unwrap();
    fs::write(root.path().join("dog/1.bmp"), "BM").unwrap();
    assert!(message(root.path()).contains("1.bmp: only PNG and JPEG images are read"));
    grey(&root.path().join("train/dog/1.png"), 4, 10);
    assert!(message(root.path()).contains("cat: lies beside a train folder"));
    let text = root.path().join("notes.txt");
    fs::write(&text, "hello").unwrap();
    assert!(message(&text).contains("a single file of another kind"));
}

/// An IDX file of bytes.
fn idx(shape: &[u32], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(body);
    bytes
}

#[test]
fn idx_folders_are_read_and_damage_is_named() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: Vec<u8>| fs::write(root.path().join(name), bytes).unwrap();
    put("train-images-idx3-ubyte", idx(&[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
    put("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 0]));
    put("t10k-images-idx3-ubyte", idx(&[1, 2, 2], &[13, 14, 15, 16]));
    put("t10k-labels-idx1-ubyte", idx(&[1], &[1]));
    let set = read(root.path()).unwrap();
    // Files come in the order of their names, t10k first.
    assert_eq!(set.labels(), [1, 0, 1, 0]);
    assert_eq!(set.parts()[0], Part::Test);
    assert_eq!(set.images().iter().copied().take(5).collect::<Vec<_>>(), [13, 14, 15, 16, 1]);

    put("train-labels-idx1-ubyte", idx(&[2], &[0, 1]));
    assert!(message(root.path()).contains("2 labels, but"));
    put("train-labels-idx1-ubyte", idx(&[3], &[0, 1]));
    assert!(message(root.path()).contains("its header promises [3] bytes, but 2 follow"));
    put("train-images-idx3-ubyte", idx(&[u32::MAX, u32::MAX, u32::MAX], &[0]));
    assert!(message(root.path()).contains("header promises"));
    fs::remove_file(root.path().join("train-labels-idx1-ubyte")).unwrap();
    assert!(matches!(read(root.path()), Err(DataError::Io { .. } | DataError::Damaged { .. })));
}

#[test]
fn parquet_files_carry_images_labels_and_class_names() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny.parquet");
    let set = read(&file).unwrap();
    assert_eq!(set.classes(), ["owl", "fox"]);
    assert_eq!(set.labels(), [0, 1, 1, 0]);
    assert_eq!(set.image_shape(), [4, 5, 3]);
    assert_eq!(set.gather(&[2]).iter().copied().take(3).collect::<Vec<_>>(), [30, 60, 90]);

    let root = tempfile::tempdir().unwrap();
    fs::copy(&file, root.path().join("animals-train.parquet")).unwrap();
    fs::copy(&file, root.path().join("animals-test.parquet")).unwrap();
    let both = read(root.path()).unwrap();
    assert_eq!(both.parts().iter().filter(|&&part| part == Part::Test).count(), 4);

    // `latest` holds the letters of `test`, and is no test part.
    fs::rename(root.path().join("animals-test.parquet"), root.path().join("latest.parquet")).unwrap();
    assert!(read(root.path()).unwrap().parts().iter().all(|&part| part == Part::Train));

    let null = message(&file.with_file_name("null.parquet"));
    assert!(null.contains("row 2: fine_label is empty"), "{null}");
    let bytes = fs::read(&file).unwrap();
    let cut = root.path().join("cut.parquet");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(message(&cut).contains("not a whole parquet file"));
}
