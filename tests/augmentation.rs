//! The commands that apply, show and export policies: the real binary on real files.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;

use deepaug::{Op, Policy, RangeTable, Step, SubPolicy};
use ndarray::{Array3, Array4};
use support::{deepaug, small_config, tree, write_class_folders};

fn policy(portion: f64, sub_policies: &[&[(Op, f64)]]) -> Policy {
    let sub_policy = |steps: &&[(Op, f64)]| SubPolicy {
        ops: steps.iter().map(|&(op, magnitude)| Step::new(op, magnitude)).collect(),
    };
    Policy::new(RangeTable::Monotone, portion, sub_policies.iter().map(sub_policy).collect())
}

fn write_policy(folder: &Path, policy: &Policy) -> String {
    fs::write(folder.join("policy.json"), serde_json::to_string(policy).unwrap()).unwrap();
    "policy.json".into()
}

fn pixels(path: &Path) -> Array3<u8> {
    let image = image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgb8();
    let shape = (image.height() as usize, image.width() as usize, 3);
    Array3::from_shape_vec(shape, image.into_raw()).unwrap()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn copies_of_a_folder_have_its_layout_and_the_pixels_of_the_library() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("in/train"), &["cat", "dog"], 5);
    fs::write(folder.path().join("in/train/cat/notes.txt"), "not an image").unwrap();
    let policy = policy(0.6, &[&[(Op::Rotate, 0.8), (Op::Brighten, 0.5)], &[(Op::HorizontalFlip, 1.0)]]);
    let name = write_policy(folder.path(), &policy);
    let apply = |out: &str, more: &[&str]| {
        let run = deepaug(folder.path(), &[&["apply", "--policy", &name, "in", out, "--json"], more].concat());
        assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
        json(&run.stdout)
    };
    // Two sub-policies of six images each.
    assert_eq!(apply("out", &[]), serde_json::json!({ "images": 10, "copies": 12 }));
    let names: Vec<String> = tree(&folder.path().join("out")).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".png")).count(), 12, "{names:?}");
    let mut copies = 0;
    for class in ["cat", "dog"] {
        for index in 0..5 {
            let original = pixels(&folder.path().join(format!("in/train/{class}/{index}.png")));
            let turned = folder.path().join(format!("out/train/{class}/{index}-aug1a.png"));
            let mirrored = folder.path().join(format!("out/train/{class}/{index}-aug1b.png"));
            if mirrored.exists() {
                copies += 1;
                let mirror = Array3::from_shape_fn(original.dim(), |(y, x, c)| original[[y, 11 - x, c]]);
                assert_eq!(pixels(&mirrored), mirror);
            }
            if turned.exists() {
                copies += 1;
                assert_ne!(pixels(&turned), original);
            }
        }
    }
    assert_eq!(copies, 12);
    // The table names each copy, the image that it was made of, and how.
    let listed: Vec<csv::StringRecord> = csv::Reader::from_path(folder.path().join("out/copies.csv"))
        .unwrap()
        .into_records()
        .map(Result::unwrap)
        .collect();
    assert_eq!(listed.len(), 12);
    for row in &listed {
        assert!(folder.path().join("out").join(&row[0]).is_file() && folder.path().join("in").join(&row[1]).is_file());
        let is_turned = row[0].ends_with("-aug1a.png");
        assert_eq!(
            (&row[2], row[3].contains("rotate"), row[3].contains("horizontal-flip")),
            ("1", is_turned, !is_turned)
        );
    }
    // The same seed gives the same bytes, another seed different ones.
    apply("again", &[]);
    apply("other", &["--seed", "5"]);
    let contents = |out: &str| {
        let files = tree(&folder.path().join(out)).into_iter().map(|(path, _)| path);
        files.filter(|path| path.ends_with(".png")).map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    assert!(contents("out") == contents("again") && contents("out") != contents("other"));
    // More rounds, with the original images.
    assert_eq!(apply("more", &["--copies", "3", "--originals"])["copies"], 36);
    assert_eq!(
        fs::read(folder.path().join("more/train/dog/4.png")).unwrap(),
        fs::read(folder.path().join("in/train/dog/4.png")).unwrap()
    );
    assert!(names.iter().all(|name| !name.contains(".deepaug")));
}

#[test]
fn images_of_different_kinds_and_names_are_copied_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let class = folder.path().join("in/a");
    fs::create_dir_all(&class).unwrap();
    image::RgbImage::from_pixel(9, 5, image::Rgb([9, 99, 200])).save(class.join("x.png")).unwrap();
    image::GrayImage::from_pixel(7, 7, image::Luma([50])).save(class.join("x.jpg")).unwrap();
    image::RgbaImage::from_pixel(6, 6, image::Rgba([9, 9, 9, 0])).save(class.join("y.PNG")).unwrap();
    let name = write_policy(folder.path(), &policy(1.0, &[&[(Op::Invert, 1.0)]]));
    let run = deepaug(folder.path(), &["apply", "--policy", &name, "in", "out"]);
    assert_eq!((run.code, run.stdout.trim()), (0, "3 copies of 3 images in out"), "{}", run.stderr);
    let out = folder.path().join("out/a");
    assert_eq!(pixels(&out.join("x.png-aug1a.png"))[[4, 8, 1]], 156);
    assert_eq!(image::open(out.join("x.jpg-aug1a.png")).unwrap().color(), image::ColorType::L8);
    // White shows through what is transparent.
    assert_eq!(pixels(&out.join("y-aug1a.png"))[[5, 5, 0]], 0);
    // Pairs need images of one size.
    let name = write_policy(folder.path(), &policy(1.0, &[&[(Op::SamplePairing, 1.0)]]));
    let run = deepaug(folder.path(), &["apply", "--policy", &name, "in", "pairs"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(run.stderr.contains("sample-pairing needs images of one size"), "{}", run.stderr);
    assert!(!folder.path().join("pairs").exists());
}

#[test]
fn what_cannot_be_applied_is_said_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("in"), &["cat"], 3);
    let name = write_policy(folder.path(), &policy(1.0, &[&[(Op::Fog, 0.5)]]));
    fs::write(folder.path().join("wrong.json"), "{\"format\":1,\n\"ranges\":\"monotone\"}").unwrap();
    fs::write(folder.path().join("torn.json"), "{\"format\":1,\n\"ranges\":").unwrap();
    fs::write(folder.path().join("none.json"), "[]").unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/mine.txt"), "mine").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let before = tree(folder.path());
    for (arguments, code, words) in [
        (["--policy", "missing.json", "in", "out"], 7, "missing.json"),
        (["--policy", "wrong.json", "in", "out"], 3, "wrong.json: not a policy: missing field `portion`"),
        (["--policy", "torn.json", "in", "out"], 3, "torn.json: line 2: not a policy: EOF"),
        (["--policy", "none.json", "in", "out"], 3, "there is no policy in it"),
        (["--policy", "full", "in", "out"], 6, "neither a policy nor the folder of a study"),
        (["--policy", &name, "in", "full"], 7, "full: the folder is not empty"),
        (["--policy", &name, "nowhere", "out"], 4, "nowhere: no such file or folder"),
        (["--policy", &name, "empty", "out"], 4, "the folder is empty"),
    ] {
        let run = deepaug(folder.path(), &[&["apply"], &arguments[..]].concat());
        assert_eq!(run.code, code, "{arguments:?} {}", run.stderr);
        assert!(run.stderr.contains(words), "{arguments:?} {}", run.stderr);
        assert_eq!(tree(folder.path()), before, "{arguments:?}");
    }
    fs::write(folder.path().join("in/cat/broken.png"), "no image").unwrap();
    let run = deepaug(folder.path(), &["apply", "--policy", &name, "in", "out", "--json"]);
    assert_eq!((run.code, &json(&run.stdout)["error"]["code"]), (4, &serde_json::json!(4)));
    assert!(run.stdout.contains("broken.png"), "{}", run.stdout);
    assert!(!folder.path().join("out").exists());
    assert!(!folder.path().join("out.unfinished").exists());
}

#[test]
fn copies_that_were_stopped_are_continued() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_class_folders(&root.join("in"), &["a", "b"], 20);
    let apply = |seed| deepaug::Apply {
        policies: vec![policy(1.0, &[&[(Op::AdditiveGaussianNoise, 0.9), (Op::Rotate, 0.5)]])],
        rounds: 3,
        application: deepaug::Application::Once,
        originals: true,
        seed,
    };
    let run = |seed, to: &str, cancel: &deepaug::Cancel, after: usize| {
        let stop = |done, _| {
            if done == after {
                cancel.cancel();
            }
        };
        apply(seed).run(&root.join("in"), &root.join(to), cancel, &stop)
    };
    run(1, "whole", &deepaug::Cancel::new(), usize::MAX).unwrap();
    assert!(matches!(run(1, "out", &deepaug::Cancel::new(), 7), Err(deepaug::Error::Stopped)));
    assert!(!root.join("out").exists());
    let before = tree(&root.join("out.unfinished"));
    let count = before.iter().filter(|(path, _)| path.ends_with(".png")).count();
    assert!((28..160).contains(&count), "{count}");
    // A file that a kill left.
    let (torn, _) = before.iter().find(|(path, _)| path.ends_with("-aug1a.png")).unwrap();
    fs::rename(torn, format!("{torn}.part")).unwrap();
    let other = run(2, "out", &deepaug::Cancel::new(), usize::MAX).unwrap_err().to_string();
    assert!(other.contains("begun with other images or options"), "{other}");
    assert_eq!(run(1, "out", &deepaug::Cancel::new(), usize::MAX).unwrap().copies, 120);
    assert!(!root.join("out.unfinished").exists());
    let of = |name: &str| -> Vec<_> {
        let from = format!("/{name}/");
        tree(&root.join(name)).into_iter().map(|(path, bytes)| (path.replace(&from, "/"), bytes)).collect()
    };
    assert_eq!(of("out"), of("whole"));
}

#[test]
fn sets_that_are_no_folders_of_files_are_copied_without_their_test_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let name = write_policy(root, &policy(1.0, &[&[(Op::Invert, 1.0)]]));
    let run = deepaug(root, &["apply", "--policy", &name, "omniglot-sample", "out", "--originals", "--json"]);
    assert_eq!(json(&run.stdout), serde_json::json!({ "images": 560, "copies": 560 }), "{}", run.stderr);
    let files = |folder: &str| tree(&root.join(folder)).iter().filter(|(path, _)| path.ends_with(".png")).count();
    assert_eq!((files("out/train"), files("out/test")), (1120, 240));
    write_class_folders(&root.join("in"), &["cat", "dog"], 3);
    fs::write(root.join("list.csv"), "where,what\nin/cat/0.png,tom\nin/dog/1.png,rex\n").unwrap();
    let columns = ["list.csv", "named", "--image-column", "where", "--label-column", "what"];
    let run = deepaug(root, &[&["apply", "--policy", &name][..], &columns].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(pixels(&root.join("named/tom/000000-aug1a.png")), 255 - pixels(&root.join("in/cat/0.png")));
}

#[test]
fn a_preview_is_drawn_of_every_op_and_warns_of_flips_and_inversion() {
    let folder = tempfile::tempdir().unwrap();
    let run = deepaug(folder.path(), &["preview", "--out", "ops.png", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let sheet = pixels(&folder.path().join("ops.png"));
    assert!(sheet.dim().0 > Op::ALL.len() * 64 && sheet.dim().1 > 11 * 64, "{:?}", sheet.dim());
    let check = &json(&run.stdout)["check"];
    assert!(check["accuracy"].as_f64().unwrap() > 0.6, "{check}");
    let suspects: Vec<&str> = check["ops"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|op| op["suspect"] == true)
        .filter_map(|op| op["op"].as_str())
        .collect();
    // To a net that never saw any, upside-down shoes are no shoes; small changes of brightness do not matter.
    assert!(suspects.contains(&"vertical-flip") && suspects.contains(&"invert"), "{suspects:?}");
    assert!(!suspects.contains(&"horizontal-flip") && !suspects.contains(&"sharpen"), "{suspects:?}");
}

#[cfg(unix)]
#[test]
fn images_behind_links_are_copied_and_sets_of_any_kind_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_class_folders(&root.join("real"), &["cat", "dog"], 3);
    fs::create_dir(root.join("in")).unwrap();
    for class in ["cat", "dog"] {
        std::os::unix::fs::symlink(root.join("real").join(class), root.join("in").join(class)).unwrap();
    }
    let name = write_policy(root, &policy(1.0, &[&[(Op::Invert, 1.0)]]));
    let run = deepaug(root, &["apply", "--policy", &name, "in", "out", "--json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(json(&run.stdout), serde_json::json!({ "images": 6, "copies": 6 }));
    // A table whose columns have names of their own.
    let rows: String =
        (0..3).flat_map(|i| ["cat", "dog"].map(|class| format!("{class}/{i}.png,{class},x\n"))).collect();
    fs::write(root.join("real/list.csv"), format!("where,what,why\n{rows}")).unwrap();
    let table = ["preview", "--policy", &name, "--data", "real/list.csv", "--out", "sheet.png", "--no-check"];
    let run = deepaug(root, &table);
    assert!(run.code == 4 && run.stderr.contains("Set label_column"), "{}", run.stderr);
    let run = deepaug(root, &[&table[..], &["--label-column", "what"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(root.join("sheet.png").is_file());
}

#[test]
fn a_preview_of_a_policy_shows_the_users_own_images() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("in"), &["dark", "light"], 4);
    let name = write_policy(folder.path(), &policy(1.0, &[&[(Op::Invert, 1.0), (Op::VerticalFlip, 1.0)]]));
    let arguments = ["preview", "--policy", &name, "--data", "in", "--out", "sheet.png", "--draws", "1", "--no-check"];
    let run = deepaug(folder.path(), &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let sheet = pixels(&folder.path().join("sheet.png"));
    let original = pixels(&folder.path().join("in/light/0.png"));
    // Four rows: the original, two ops, the policy; tiles of 72 pixels, the second column.
    assert_eq!(sheet.dim(), (4 + 4 * 76, 26 * 16 + 4 + 2 * 76, 3));
    let tile = |row: usize, y: usize, x: usize| sheet[[4 + row * 76 + 6 * y, 420 + 76 + 6 * x, 0]];
    for (y, x) in [(0, 0), (3, 7), (11, 11)] {
        assert_eq!(tile(0, y, x), original[[y, x, 0]]);
        assert_eq!(tile(1, y, x), 255 - original[[y, x, 0]]);
        assert_eq!(tile(3, 11 - y, x), 255 - original[[y, x, 0]]);
    }
    // A data set that is too small to learn from still gets its picture.
    let run = deepaug(folder.path(), &arguments[..arguments.len() - 1]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn a_study_is_a_policy_to_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("in"), &["dark", "light"], 40);
    let config = small_config(
        folder.path(),
        "iters = 2\ntrain_set_size = 30\nvalidation_set_size = 20\ndata = \"in\"\nops = [\"geometric\", \"autoaugment\"]\n\
         exclude = [\"sample-pairing\", \"cutout\"]\nportion = 1.0",
    );
    let run = deepaug(folder.path(), &["optimize", "--config", &config, "--out", "study"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run =
        deepaug(folder.path(), &["apply", "--policy", "study", "in", "out", "--top", "2", "--copies", "2", "--json"]);
    assert_eq!(json(&run.stdout)["copies"], 160, "{} {}", run.stdout, run.stderr);
    let run = deepaug(folder.path(), &["preview", "--policy", "study", "--out", "sheet.png", "--no-check"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(folder.path().join("sheet.png").exists());
    let run = deepaug(folder.path(), &["export", "--policy", "study", "--to", "json"]);
    let result: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("study/result.json")).unwrap()).unwrap();
    let best: Policy = serde_json::from_value(result["top"][0]["policy"].clone()).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&run.stdout).unwrap(), best, "{}", run.stderr);
    let code = deepaug(folder.path(), &["export", "--policy", "study", "--to", "imgaug"]).stdout.replace('\n', " ");
    for words in
        ["From the study study: ", "Judged by training deepaug's ", ", with copies beside the images, made once."]
    {
        assert!(code.contains(words), "{words}: {code}");
    }
}

#[test]
fn exports_are_code_and_what_a_library_lacks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let name = write_policy(folder.path(), &policy(0.75, &[&[(Op::Rotate, 0.4), (Op::GammaContrast, 0.25)]]));
    for (target, words) in [("torchvision", "torch"), ("albumentations", "albumentations"), ("imgaug", "imgaug")] {
        let run = deepaug(folder.path(), &["export", "--policy", &name, "--to", target, "--out", "policy.py"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
        let code = fs::read_to_string(folder.path().join("policy.py")).unwrap();
        assert!(code.contains(&format!("import {words}")), "{code}");
        // Rotations within 18 degrees; an image is changed with probability 0.75 / 1.75.
        assert!(code.contains("18") && code.contains("0.4286"), "{code}");
    }
    let run = deepaug(folder.path(), &["export", "--policy", &name, "--to", "torchvision", "--out", &name]);
    assert!(run.code == 7 && run.stderr.contains("it is there already, and not such an export"), "{}", run.stderr);
    let name = write_policy(folder.path(), &policy(1.0, &[&[(Op::SamplePairing, 0.4)]]));
    let run = deepaug(folder.path(), &["export", "--policy", &name, "--to", "torchvision"]);
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stderr.contains("sample-pairing") && run.stderr.contains("torchvision"), "{}", run.stderr);
    let run = deepaug(folder.path(), &["export", "--policy", &name, "--to", "kornia"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("albumentations"), "{}", run.stderr);
}

#[test]
fn the_speed_of_ops_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["bench", "--ops", "occlusion,rotate", "--size", "16,48", "--threads", "1,2", "--seconds", "0.01", "--json"];
    let run = deepaug(folder.path(), &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let speeds = json(&run.stdout);
    let speeds = speeds["ops"].as_array().unwrap();
    assert_eq!(speeds.len(), 6 * 2 * 2);
    for speed in speeds {
        assert!(speed["images_per_second"].as_f64().unwrap() > 100.0, "{speed}");
        assert!([16, 48].contains(&speed["size"].as_u64().unwrap()) && speed["op"].is_string(), "{speed}");
    }
    let run = deepaug(folder.path(), &["bench", "--ops", "rotat"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    assert!(run.stderr.contains("the nearest is `rotate`"), "{}", run.stderr);
}

/// The command writes the same copies as the library, one by one and as a batch.
#[test]
fn the_verb_writes_what_the_library_makes() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("in"), &["a", "b"], 6);
    let policy = policy(1.0, &[&[(Op::AdditiveGaussianNoise, 0.9), (Op::Rotate, 0.5)]]);
    let files: Vec<_> =
        tree(&folder.path().join("in")).into_iter().filter(|(path, _)| path.ends_with(".png")).collect();
    let mut images = Array4::zeros((files.len(), 12, 12, 3));
    for (mut image, (path, _)) in images.outer_iter_mut().zip(&files) {
        image.assign(&pixels(Path::new(path)));
    }
    let written = |seed: u64| {
        let out = folder.path().join("out");
        let policies = vec![policy.clone()];
        let apply =
            deepaug::Apply { policies, rounds: 1, application: deepaug::Application::Once, originals: false, seed };
        apply.run(&folder.path().join("in"), &out, &deepaug::Cancel::new(), &|_, _| ()).unwrap();
        let paths = files.iter().map(|(path, _)| path.replace("/in/", "/out/").replace(".png", "-aug1a.png"));
        let written: Vec<_> = paths.map(|path| pixels(Path::new(&path))).collect();
        fs::remove_dir_all(out).unwrap();
        written
    };
    let written = written(3);
    let seed = deepaug::Apply::seed_of_round(3, 0);
    for (written, copy) in written.iter().zip(policy.copies(images.view(), seed).images.outer_iter()) {
        assert_eq!(written, copy);
    }
}
