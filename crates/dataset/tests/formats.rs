//! Reads sets written to disk as users have them; `fixtures/make.py` made those that other programs write.

use std::fs;
use std::path::{Path, PathBuf};

use deepaug_dataset::{Columns, DataError, Dataset, Part, ReadOptions, Summary};
use image::{GrayImage, Luma, Rgb, RgbImage};

fn read(path: &Path) -> Result<Dataset, DataError> {
    Dataset::read(path, &ReadOptions::default())
}

fn message(path: &Path) -> String {
    read(path).expect_err("this set must be refused").to_string()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn grey(path: &Path, side: u32, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(side, side, Luma([value])).save(path).unwrap();
}

/// Returns the number of images in each part: train, validation, test.
fn sizes(set: &Dataset) -> [usize; 3] {
    [Part::Train, Part::Validation, Part::Test].map(|part| set.parts().iter().filter(|&&p| p == part).count())
}

/// Returns the first value of each image.
fn firsts(set: &Dataset) -> Vec<u8> {
    set.images().outer_iter().map(|image| image[[0, 0, 0]]).collect()
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
    assert_eq!(firsts(&set), [10, 20, 200]);
    assert_eq!(set.image_shape(), [6, 6, 1]);
    assert!(set.name(2).ends_with("dog/1.png"), "{}", set.name(2));
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
    assert_eq!(sizes(&set), [6, 4, 2]);
    assert_eq!(set.classes(), ["cat", "dog"]);
    // All images are the same, whatever their class and part.
    let warnings = Summary::new(&set, None).warnings.join("\n");
    assert!(warnings.contains("but they are the same image"), "{warnings}");
    assert!(warnings.contains("in more than one part of the split"), "{warnings}");
}

#[test]
fn tables_give_paths_labels_parts_and_groups() {
    let set = read(&fixture("sets/table")).unwrap();
    assert_eq!(set.classes(), ["fox", "owl"]);
    assert_eq!(set.labels(), [1, 0, 1, 0]);
    assert_eq!(sizes(&set), [2, 1, 1]);
    assert_eq!(firsts(&set), [10, 20, 30, 40]);
    assert!(set.origins().grouped && set.origins().format == "csv");
    let tabs = read(&fixture("sets/table/table.tsv")).unwrap();
    assert_eq!((tabs.labels(), tabs.parts()), (set.labels(), set.parts()));
    let headless = read(&fixture("sets/table/headless.csv")).unwrap();
    assert_eq!((headless.labels(), sizes(&headless)), (set.labels(), [4, 0, 0]));
    // Its columns have names of no meaning: one names images, and one is left.
    let semicolons = fixture("sets/table/semicolons.csv");
    assert_eq!(read(&semicolons).unwrap().labels(), set.labels());
    let columns = Columns { image: Some("a".into()), label: Some("b".into()), ..Columns::default() };
    let named = Dataset::read(&semicolons, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!(named.labels(), set.labels());
    let columns = Columns { group: Some("clinic".into()), ..Columns::default() };
    let why = Dataset::read(&fixture("sets/table"), &ReadOptions { columns, ..ReadOptions::default() }).unwrap_err();
    assert!(why.to_string().contains("there is no column \"clinic\""), "{why}");
}

#[test]
fn rows_of_a_table_that_are_wrong_are_named_by_line() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..3u8 {
        grey(&root.path().join(format!("{i}.png")), 4, i);
    }
    let table = root.path().join("set.csv");
    for (rows, expected) in [
        ("0.png,a\n7.png,b\n", "(line 3): "),
        ("0.png,a\n0.png,b\n", "is \"b\" here, but \"a\" in line 2"),
        ("0.png,a\n0.png,a\n", "is in line 2 already"),
        ("0.png,a\n1.png,\n", "(line 3): there is no label"),
        ("0.png,a\n1.png\n", "(line 3): not a row of a table"),
    ] {
        fs::write(&table, format!("path,label\n{rows}")).unwrap();
        let why = message(&table);
        assert!(why.contains(expected), "{why}");
    }
    fs::write(&table, "path,label,split\n0.png,a,train\n1.png,b,later\n").unwrap();
    assert!(message(&table).contains("(line 3): \"later\" is not a part of a split"));
    fs::write(&table, "").unwrap();
    assert!(message(&table).contains("the table is empty"));
    fs::write(&table, b"path,label\n\xff\xfe,a\n").unwrap();
    assert!(message(&table).contains("not a row of a table"));
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
    let set = read(&fixture("sets/mnist")).unwrap();
    assert_eq!((set.classes(), set.labels()), (&["3".to_string(), "7".to_string()][..], &[1, 0, 1][..]));
    assert_eq!((set.image_shape(), firsts(&set)), ([4, 5, 1], vec![0, 20, 40]));

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
    assert_eq!(firsts(&set), [13, 1, 5, 9]);

    put("train-labels-idx1-ubyte", idx(&[2], &[0, 1]));
    assert!(message(root.path()).contains("labels of shape [2], but"));
    put("train-labels-idx1-ubyte", idx(&[3], &[0, 1]));
    assert!(message(root.path()).contains("its header promises [3] bytes, but 2 follow"));
    put("train-images-idx3-ubyte", idx(&[u32::MAX, u32::MAX, u32::MAX], &[0]));
    assert!(message(root.path()).contains("header promises"));
    put("train-images-idx3-ubyte", b"\x89PNG and more".to_vec());
    assert!(message(root.path()).contains("not an IDX file"));
    put("train-images-idx3-ubyte", idx(&[3, 2, 2], &[0; 12]));
    fs::remove_file(root.path().join("train-labels-idx1-ubyte")).unwrap();
    assert!(message(root.path()).contains("no train-labels-idx1-ubyte beside it"));
    let whole = fs::read(fixture("sets/mnist/train-images-idx3-ubyte.gz")).unwrap();
    put("train-labels-idx1-ubyte", idx(&[3], &[0, 1, 0]));
    fs::remove_file(root.path().join("train-images-idx3-ubyte")).unwrap();
    put("train-images-idx3-ubyte.gz", whole[..whole.len() / 2].to_vec());
    assert!(message(root.path()).contains("cut short"), "{}", message(root.path()));
}

#[test]
fn cifar_is_read_with_its_names() {
    let ten = read(&fixture("sets/cifar-10-batches-bin")).unwrap();
    assert_eq!(ten.classes(), ["airplane", "automobile"]);
    assert_eq!((ten.labels(), sizes(&ten)), (&[1, 0, 1, 0, 1][..], [3, 0, 2]));
    // Red numbers the images, green is flat, blue numbers the rows.
    assert_eq!(firsts(&ten), [10, 11, 12, 50, 51]);
    assert_eq!(ten.gather(&[1]).iter().copied().skip(32 * 3 * 7).take(3).collect::<Vec<_>>(), [11, 100, 7]);
    let hundred = read(&fixture("sets/cifar-100-binary")).unwrap();
    assert_eq!((hundred.classes(), sizes(&hundred)), (&["class-7".to_string(), "class-99".to_string()][..], [2, 0, 2]));

    let root = tempfile::tempdir().unwrap();
    let batch = root.path().join("data_batch_1.bin");
    let bytes = fs::read(fixture("sets/cifar-10-batches-bin/data_batch_1.bin")).unwrap();
    fs::write(&batch, &bytes[..bytes.len() - 1]).unwrap();
    assert!(message(root.path()).contains("not a whole number of rows"));
    fs::write(&batch, [&[10], &bytes[1..]].concat()).unwrap();
    assert!(message(root.path()).contains("(image 0): label 10 is beyond 9"));
    fs::rename(&batch, root.path().join("data_batch_1")).unwrap();
    assert!(message(root.path()).contains("fetch the \"binary version\""));
}

#[test]
fn arrays_are_read_in_every_layout() {
    #[derive(serde::Deserialize)]
    struct Made {
        pixels: Vec<u8>,
        labels: Vec<usize>,
    }
    let made: Made = serde_json::from_slice(&fs::read(fixture("numpy.json")).unwrap()).unwrap();
    for name in ["nchw-floats.npz", "fortran.npz", "arrays", "arrays/x_train.npy"] {
        let set = read(&fixture("sets").join(name)).unwrap();
        assert_eq!((set.image_shape(), set.labels()), ([6, 5, 3], &made.labels[..]), "{name}");
        assert!(set.images().iter().eq(&made.pixels), "{name}");
        assert_eq!(sizes(&set), [4, 0, 0], "{name}");
    }
    let both = read(&fixture("sets/nhwc.npz")).unwrap();
    assert_eq!((sizes(&both), both.len()), ([4, 0, 2], 6));
    let grey = fixture("sets/nhw.npz");
    let why = message(&grey);
    assert!(why.contains("there are kinds, pictures. Set image_column"), "{why}");
    let columns = Columns { image: Some("pictures".into()), label: Some("kinds".into()), ..Columns::default() };
    let set = Dataset::read(&grey, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!((set.image_shape(), set.classes()), ([6, 5, 1], &["fox".to_string(), "owl".to_string()][..]));
}

#[test]
fn arrays_that_are_wrong_are_refused_by_name() {
    for (name, expected) in [
        ("nan.npz", "(image 2): it contains NaN"),
        ("beyond.npz", "its values reach from 0 to 37.5"),
        ("too-few-labels.npz", "(y): 3 entries, but"),
        ("objects.npz", "(y): an array of Python objects"),
        ("half.npz", "(x): its type"),
    ] {
        let why = message(&fixture("sets").join(name));
        assert!(why.contains(expected), "{why}");
    }
    let root = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("sets/nhwc.npz")).unwrap();
    let cut = root.path().join("cut.npz");
    fs::write(&cut, &bytes[..bytes.len() - 30]).unwrap();
    assert!(message(&cut).contains("not a whole NPZ archive"));
    let bytes = fs::read(fixture("sets/arrays/x_train.npy")).unwrap();
    fs::write(root.path().join("x.npy"), &bytes[..bytes.len() - 1]).unwrap();
    fs::copy(fixture("sets/arrays/y_train.npy"), root.path().join("y.npy")).unwrap();
    assert!(
        message(&root.path().join("x.npy")).contains("but 359 bytes follow"),
        "{}",
        message(&root.path().join("x.npy"))
    );
}

#[test]
fn shards_are_read_with_labels_beside_or_above() {
    let set = read(&fixture("sets/shards")).unwrap();
    assert_eq!((set.classes(), sizes(&set)), (&["0".to_string(), "1".to_string()][..], [2, 0, 2]));
    assert_eq!(set.labels(), [1, 0, 1, 0]);
    let folders = read(&fixture("sets/class-folders.tar")).unwrap();
    assert_eq!((folders.classes(), firsts(&folders)), (&["fox".to_string(), "owl".to_string()][..], vec![20, 10]));
    let why = message(&fixture("sets/no-labels.tar"));
    assert!(why.contains("(000.png): there is no 000.cls beside it"), "{why}");
    let columns = Columns { group: Some("patient".into()), ..Columns::default() };
    let shard = fixture("sets/shards/animals-test-000.tar.gz");
    assert!(Dataset::read(&shard, &ReadOptions { columns, ..ReadOptions::default() }).unwrap().origins().grouped);

    let root = tempfile::tempdir().unwrap();
    for (name, of) in [("cut.tar", "class-folders.tar"), ("cut.tar.gz", "shards/animals-test-000.tar.gz")] {
        let bytes = fs::read(fixture("sets").join(of)).unwrap();
        let cut = root.path().join(name);
        fs::write(&cut, &bytes[..(bytes.len() / 2).min(600)]).unwrap();
        assert!(message(&cut).contains("not a whole tar archive"), "{}", message(&cut));
    }
}

#[test]
fn parquet_files_carry_images_labels_and_class_names() {
    let file = fixture("tiny.parquet");
    let set = read(&file).unwrap();
    assert_eq!(set.classes(), ["owl", "fox"]);
    assert_eq!(set.labels(), [0, 1, 1, 0]);
    assert_eq!(set.image_shape(), [4, 5, 3]);
    assert_eq!(set.gather(&[2]).iter().copied().take(3).collect::<Vec<_>>(), [30, 60, 90]);

    let root = tempfile::tempdir().unwrap();
    fs::copy(&file, root.path().join("animals-train.parquet")).unwrap();
    fs::copy(&file, root.path().join("animals-test.parquet")).unwrap();
    let both = read(root.path()).unwrap();
    assert_eq!(sizes(&both), [4, 0, 4]);

    // `latest` contains the letters of `test`, but is not a test set.
    fs::rename(root.path().join("animals-test.parquet"), root.path().join("latest.parquet")).unwrap();
    assert_eq!(sizes(&read(root.path()).unwrap()), [8, 0, 0]);

    // The layout of Hugging Face's hub.
    let hub = tempfile::tempdir().unwrap();
    fs::create_dir(hub.path().join("data")).unwrap();
    fs::copy(&file, hub.path().join("data/train-00000-of-00001.parquet")).unwrap();
    fs::copy(&file, hub.path().join("data/validation-00000-of-00001.parquet")).unwrap();
    assert_eq!(sizes(&read(hub.path()).unwrap()), [4, 4, 0]);

    let words = fixture("sets/words.parquet");
    let columns = Columns {
        label: Some("kind".into()),
        split: Some("side".into()),
        group: Some("patient".into()),
        ..Columns::default()
    };
    let set = Dataset::read(&words, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!((set.classes(), sizes(&set)), (&["fox".to_string(), "owl".to_string()][..], [2, 0, 1]));
    assert_eq!(set.groups().unwrap(), [0, 1, 0]);

    let null = message(&fixture("null.parquet"));
    assert!(null.contains("(row 2): fine_label is empty"), "{null}");
    let other = message(&fixture("sets/other.parquet"));
    assert!(other.contains("cannot tell which column holds the images' bytes; there are a, b"), "{other}");
    let paths = message(&fixture("sets/paths.parquet"));
    assert!(paths.contains("(row 0): image has no bytes"), "{paths}");
    let bytes = fs::read(&file).unwrap();
    let cut = root.path().join("cut.parquet");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(message(&cut).contains("not a whole parquet file"));
}

#[test]
fn a_format_can_be_forced() {
    let root = tempfile::tempdir().unwrap();
    grey(&root.path().join("data/1.png"), 4, 1);
    grey(&root.path().join("more/1.png"), 4, 2);
    // An unrelated table is no set of images.
    fs::write(root.path().join("labels.csv"), "number,meaning\n1,one\n").unwrap();
    assert_eq!(read(root.path()).unwrap().classes(), ["data", "more"]);
    let forced = ReadOptions { format: Some("csv".into()), ..ReadOptions::default() };
    let error = Dataset::read(root.path(), &forced).unwrap_err().to_string();
    assert!(error.contains("no table in it names the images"), "{error}");
    for name in deepaug_dataset::format_names() {
        let options = ReadOptions { format: Some(name.into()), ..ReadOptions::default() };
        let text = root.path().join("data/1.png");
        assert!(Dataset::read(&text, &options).is_err(), "{name} reads a picture as a set");
    }
}

#[test]
fn arrays_may_name_classes_and_say_which_part_each_image_is_of() {
    let set = read(&fixture("sets/named.npz")).unwrap();
    assert_eq!(set.classes(), ["zebra", "ant"], "in the order of the names, not of the alphabet");
    assert_eq!(set.labels(), [0, 1, 0, 1, 0, 1]);
    assert_eq!(sizes(&set), [2, 2, 2]);
    assert_eq!(firsts(&set), [10, 20, 30, 40, 50, 60]);
    let why = message(&fixture("sets/named-wrong.npz"));
    assert!(why.contains("image 1 has label 5, but class_names has 2 names, counted from 0"), "{why}");
}
