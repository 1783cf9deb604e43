//! `deepaug data`, and searches on data sets of every kind, through the binary.

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::fs;
use std::path::Path;

use support::{deepaug, rows, small_config, write_class_folders};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn data_shows_what_was_understood() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("animals");
    write_class_folders(&images, &["cat", "dog"], 30);
    fs::copy(images.join("cat/0.png"), images.join("cat/copy.png")).unwrap();
    fs::write(images.join("dog/broken.jpg"), "no image").unwrap();
    let run = deepaug(folder.path(), &["data", "animals"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for words in [
        "animals: 61 images of 2 classes, folder",
        "12x12, RGB",
        "copy.png",
        "images identical to an earlier one: 1",
        "unreadable images: 1",
        "broken.jpg: not an image",
        "A search would refuse this data",
        "animals-sheet.png shows images of each class",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    let sheet = image::open(folder.path().join("animals-sheet.png")).unwrap();
    // Two rows of tiles, with words beside them.
    assert!(sheet.width() > 400 && sheet.height() > 120, "{}x{}", sheet.width(), sheet.height());

    let run = deepaug(folder.path(), &["data", "animals", "--json", "--on-bad-image", "skip", "--out", "s.png"]);
    let report = json(&run.stdout);
    assert_eq!((report["images"].as_u64(), report["out"].as_str()), (Some(61), Some("s.png")));
    assert_eq!(report["refused"], serde_json::Value::Null);
    let class = &report["classes"][0];
    let sum = ["train", "validation", "test"].map(|part| class[part].as_u64().unwrap()).iter().sum::<u64>();
    assert_eq!((class["name"].as_str(), sum), (Some("cat"), 31));
    assert_eq!(report["skipped"].as_array().unwrap().len(), 1);

    let run = deepaug(
        folder.path(),
        &["optimize", "--data", "animals", "--config", &small_config(folder.path(), "iters = 1")],
    );
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("broken.jpg: not an image"), "{}", run.stderr);
}

#[test]
fn wrong_labels_are_shown_first() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("shades");
    write_class_folders(&images, &["dark", "light", "white"], 40);
    for wrong in [3, 14, 30] {
        fs::rename(images.join(format!("dark/{wrong}.png")), images.join(format!("white/{wrong}-moved.png"))).unwrap();
    }
    let suspects = |page: &str| deepaug(folder.path(), &["data", "shades", page, "--set", "device=cpu"]);
    let run = suspects("--suspects");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("labelled white, read as dark"), "{}", run.stdout);
    let table = rows(&folder.path().join("suspects.csv"));
    assert_eq!(table.len(), 120);
    let first: Vec<&str> = table[..3].iter().map(|row| &row["image"][..]).collect();
    assert!(first.iter().all(|name| name.ends_with("-moved.png")), "{first:?}");
    assert!(table[..3].iter().all(|row| row["class"] == "white" && row["read_as"] == "dark"));
    let page = fs::read_to_string(folder.path().join("suspects.html")).unwrap();
    assert!(page.contains("3-moved.png") && page.contains("data:image/png;base64,"));
    // The same again, elsewhere; but nobody's own files are replaced.
    assert_eq!(suspects("--suspects=again.html").code, 0);
    assert_eq!(
        fs::read(folder.path().join("again.csv")).unwrap(),
        fs::read(folder.path().join("suspects.csv")).unwrap()
    );
    fs::write(folder.path().join("mine.csv"), "my,own\n").unwrap();
    let run = suspects("--suspects=mine.html");
    assert!(run.code == 7 && run.stderr.contains("not a table of suspects"), "{} {}", run.code, run.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("mine.csv")).unwrap(), "my,own\n");
}

#[test]
fn data_shows_and_lists_the_split_of_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_class_folders(&root.join("set"), &["cat", "dog"], 40);
    fs::create_dir(root.join("set-sheet.png")).unwrap();
    let run = deepaug(root, &["data", "set", "--seed", "5", "--write-split", "split.csv"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("split.csv lists the part of each image"), "{}", run.stdout);
    assert!(run.stderr.contains("no picture of the images: set-sheet.png"), "{}", run.stderr);
    let search = ["optimize", "--data", "set", "--seed", "5", "--iters", "1", "--model", "tinycnn", "--epochs", "3"];
    let run = deepaug(root, &[&search[..], &["--set", "opt_samples=1", "--out", "study", "--json"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let started = run.stdout.lines().map(json).find(|event| event["event"] == "started").unwrap();
    let split = fs::read_to_string(root.join("split.csv")).unwrap();
    let count = |part: &str| split.lines().filter(|line| line.ends_with(&format!(",{part}"))).count();
    assert_eq!(started["images"], serde_json::json!([count("train"), count("validation"), count("test")]));
    assert_eq!((count("test"), count("unused"), split.lines().count()), (16, 0, 81));
    // The study's own configuration names the same images.
    let run = deepaug(root, &["data", "--config", "study/study.toml", "--write-split", "again.csv", "--out", "s.png"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let names = |text: &str| text.replace(&format!("{}/", root.canonicalize().unwrap().display()), "");
    assert_eq!(names(&fs::read_to_string(root.join("again.csv")).unwrap()), split);
    let refused = deepaug(root, &["data", "set", "--out", "no/such/s.png"]);
    assert!(refused.code == 7 && refused.stdout.contains("80 images of 2 classes"), "{}", refused.stderr);
}

#[test]
fn a_search_runs_on_a_table_with_groups_and_shares() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("pictures"), &["cat", "dog"], 40);
    let mut table = "path,label,patient\n".to_string();
    for class in ["cat", "dog"] {
        for i in 0..40 {
            table += &format!("pictures/{class}/{i}.png,{class},{class}-{}\n", i / 4);
        }
    }
    fs::write(folder.path().join("set.csv"), table).unwrap();
    let keys =
        "iters = 1\ntrain_set_size = 0.5\nvalidation_set_size = 0.2\ntest_set_size = 0.1\nimage_size = \"auto\"\n";
    let config = small_config(folder.path(), keys);
    let run =
        deepaug(folder.path(), &["optimize", "--config", &config, "--data", "set.csv", "--out", "study", "--json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let started = run.stdout.lines().map(json).find(|event| event["event"] == "started").unwrap();
    let images: Vec<u64> = started["images"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    // Groups of four: sizes are met to within one group of each class.
    assert!(images[0] <= 40 && images[1] <= 16 && images[2].abs_diff(8) <= 8, "{images:?}");
    let frozen = fs::read_to_string(folder.path().join("study/study.toml")).unwrap();
    assert!(frozen.contains("train_set_size = 0.5\n") && frozen.contains("image_size = \"auto\"\n"), "{frozen}");
}

#[test]
fn wrong_ways_of_reading_are_refused_with_the_right_code() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("set"), &["cat", "dog"], 6);
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let run = deepaug(folder.path(), arguments);
        assert!(run.code == code && run.stderr.contains(words), "{arguments:?}: {} {}", run.code, run.stderr);
        assert!(!Path::new(&folder.path().join("set-sheet.png")).exists());
    };
    refused(&["data", "set", "--data-format", "tiff"], 3, "data_format: must be \"auto\" or one of idx, cifar");
    refused(&["data", "set", "--data-format", "csv"], 4, "no table in it names the images that lie there");
    refused(&["data", "set", "--image-size", "0"], 2, "must be a number from 1 to 1024, or auto");
    refused(&["data", "nothing"], 4, "nothing: no such file or folder");
    refused(&["data"], 2, "PATH");
    for (key, words) in [
        ("train_set_size = 1.5", "a share of all images must be above 0 and below 1"),
        ("background = \"white\"", "a colour is written like"),
        ("on_bad_image = \"ignore\"", "`error` or `skip`"),
        ("image_size = \"large\"", "or \"auto\""),
        ("fit = \"stretch\"", "`crop` or `pad`"),
    ] {
        fs::write(folder.path().join("c.toml"), key).unwrap();
        refused(&["data", "set", "--config", "c.toml"], 3, words);
    }
    // A file that leaves the data to the command line may set the image size.
    fs::write(folder.path().join("c.toml"), "image_size = 16").unwrap();
    refused(&["optimize", "--config", "c.toml"], 3, "image_size: must be 0 for the built-in images");
    let run = deepaug(folder.path(), &["data", "set", "--config", "c.toml"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}
