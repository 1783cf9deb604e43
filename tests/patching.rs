//! Model patching through the binary: clothes of two classes, most of one clean and most of the other with a white corner.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod support;

use std::fs;
use std::path::Path;

use deepaug::Dataset;
use image::GrayImage;
use ndarray::{Axis, s};
use support::{deepaug, rows, small_config, start, wait_for_trainings};

/// Images to learn from of each class that look like most of it, and that do not.
const SIZES: [usize; 2] = [120, 30];

/// Writes T-shirts and trousers of the built-in images, and a table that says which have the corner.
fn write_images(folder: &Path) {
    let sample = Dataset::sample();
    fs::create_dir_all(folder.join("images")).unwrap();
    let mut table = String::from("file,label,corner\n");
    for (class, name) in ["shirt", "trousers"].into_iter().enumerate() {
        let own = (0..sample.len()).filter(|&image| sample.labels()[image] == class);
        for (number, image) in own.take(SIZES[0] + SIZES[1]).enumerate() {
            // Shirts are mostly without, trousers mostly with.
            let is_usual = number < SIZES[0];
            let has_corner = (class == 1) == is_usual;
            let mut pixels = sample.images().index_axis(Axis(0), image).to_owned();
            if has_corner {
                pixels.slice_mut(s![..7, ..7, ..]).fill(255);
            }
            let file = format!("images/{name}-{number}.png");
            let (height, width, _) = pixels.dim();
            let picture = GrayImage::from_raw(width as u32, height as u32, pixels.iter().copied().collect()).unwrap();
            picture.save(folder.join(&file)).unwrap();
            table.push_str(&format!("{file},{name},{}\n", if has_corner { "white" } else { "clean" }));
        }
    }
    fs::write(folder.join("labels.csv"), table).unwrap();
}

const KEYS: &str = "data = \"labels.csv\"\nsubgroup_column = \"corner\"\ntrain_set_size = 0.5\nvalidation_set_size = 0.25\n\
    test_set_size = 0.25\naugment = \"online\"\nportion = 1.0\nfinish = false\nchild_epochs = 4\nchild_batch_size = 16\nmodel = \"basiccnn\"\n";

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Removes what differs from run to run.
fn without_times(mut value: serde_json::Value) -> serde_json::Value {
    match &mut value {
        serde_json::Value::Object(fields) => {
            fields.retain(|key, _| key != "seconds" && key != "files");
            fields.values_mut().for_each(|field| *field = without_times(field.take()));
        }
        serde_json::Value::Array(all) => all.iter_mut().for_each(|one| *one = without_times(one.take())),
        _ => {}
    }
    value
}

#[test]
#[cfg_attr(not(feature = "generative"), ignore = "needs the feature generative")]
fn learnt_translations_and_every_arm_end_in_a_page_and_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_images(folder.path());
    let config = small_config(folder.path(), &format!("{KEYS}translator_steps = 400\ntranslator_batch = 16\n"));
    let patch = ["patch", "--config", &config, "--seeds", "2", "--out", "patched"];
    let run = deepaug(folder.path(), &patch);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("good enough"), "{}", run.stderr);
    let result = json(&at("patched/patch.json"));
    assert!(run.stdout.starts_with(result["sentence"].as_str().unwrap()), "{}", run.stdout);
    let arms: Vec<&str> = result["arms"].as_array().unwrap().iter().map(|arm| arm["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ["erm", "balanced", "group-dro", "translated", "clamp"]);
    let [train, validation, test] = [0, 1, 2].map(|part| result["images"][part].as_u64().unwrap());
    assert!(train > 100 && validation >= 60 && test >= 70, "{train} {validation} {test}");
    for arm in result["arms"].as_array().unwrap() {
        let groups = arm["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 4);
        let images: u64 = groups.iter().map(|group| group["images"][2].as_u64().unwrap()).sum();
        assert_eq!(images, test);
        // The worst group of a training is the lowest of its groups.
        for seed in 0..2 {
            let of = |group: &serde_json::Value| group["accuracies"][seed].as_f64().unwrap();
            let lowest = groups.iter().map(of).fold(1.0, f64::min);
            assert_eq!(arm["worst"]["accuracies"][seed].as_f64(), Some(lowest));
        }
        let weights: f64 = groups.iter().filter_map(|group| group["weights"][3].as_f64()).sum();
        let expected = if arm["arm"] == "erm" { 0.0 } else { 1.0 };
        assert!((weights - expected).abs() < 1e-9, "{arm}");
    }
    assert_eq!(rows(&at("patched/groups.csv")).len(), 5 * 2 * 4);
    assert_eq!(rows(&at("patched/weights.csv")).len(), 5 * 4 * 4);
    let page = fs::read_to_string(at("patched/patch.html")).unwrap();
    assert!(page.contains("The worst group") && page.contains("What translations look like") && page.contains("clamp"));
    for file in ["model.safetensors", "model.py", "translators.safetensors", "translators.py", "translations.png"] {
        assert!(at("patched").join(file).is_file(), "{file}");
    }
    let judged = result["translator"]["judged"].as_array().unwrap().last().unwrap().clone();
    assert!(judged["taken"].as_array().unwrap().iter().all(|share| share.as_f64().unwrap() > 0.5), "{judged}");

    // Nothing is left to do.
    let again = deepaug(folder.path(), &patch);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("10 trainings, 10 known"), "{}", again.stderr);
    assert_eq!(without_times(json(&at("patched/patch.json"))), without_times(result));
}

#[test]
fn a_killed_run_goes_on_to_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_images(folder.path());
    let policy = r#"{ "format": 1, "ranges": "monotone", "portion": 1.0, "sub_policies": [{ "ops": [{ "op": "invert", "magnitude": 1.0 }] }] }"#;
    fs::write(at("white.json"), policy).unwrap();
    let keys = format!("{KEYS}translator = \"policy\"\ntranslator_policies = [\"none\", \"white.json\"]\n");
    let config = small_config(folder.path(), &keys);
    let arguments =
        |out| ["patch", "--config", &config[..], "--seeds", "2", "--arms", "erm,translated,clamp", "--out", out];
    let whole = deepaug(folder.path(), &arguments("whole"));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    for trainings in [1, 3] {
        let mut running = start(folder.path(), &arguments("killed"));
        wait_for_trainings(&mut running, &at("killed/patch.jsonl"), trainings);
        running.kill().unwrap();
        running.wait().unwrap();
    }
    // A line of which half was written.
    let journal = fs::read_to_string(at("killed/patch.jsonl")).unwrap();
    fs::write(at("killed/patch.jsonl"), &journal[..journal.len() - 40]).unwrap();
    let resumed = deepaug(folder.path(), &arguments("killed"));
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let of = |name: &str| without_times(json(&at(name).join("patch.json")));
    assert_eq!(of("killed"), of("whole"));
    for table in ["groups.csv", "weights.csv", "model.safetensors"] {
        assert_eq!(fs::read(at("killed").join(table)).unwrap(), fs::read(at("whole").join(table)).unwrap(), "{table}");
    }
    let code = fs::read_to_string(at("whole/translator-1.py")).unwrap();
    assert!(code.contains("Makes images look like those of white.") && !at("whole/translator-0.py").exists());
    // Judges see that an inverted image is not one with a corner.
    assert!(whole.stdout.contains("Note: judges do not take translated images"), "{}", whole.stdout);
    // Other settings do not go on in this folder.
    let other = deepaug(folder.path(), &[&arguments("killed")[..], &["--set", "patch_consistency=1"]].concat());
    assert!(other.code == 6 && other.stderr.contains("patch_consistency"), "{} {}", other.code, other.stderr);
}

#[test]
#[cfg(unix)]
fn a_program_translates_once_and_is_believed_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_images(folder.path());
    let program = "cp \"$0\" \"$1\"; echo \"$2\" >> asked.txt";
    let keys = format!(
        "{KEYS}child_first_train_epochs = 0\ntranslator = \"program\"\ntranslator_command = [\"sh\", \"-c\", '{program}']\n"
    );
    let config = small_config(folder.path(), &keys);
    let arguments = ["patch", "--config", &config, "--seeds", "1", "--arms", "translated", "--out", "patched"];
    for _ in 0..2 {
        let run = deepaug(folder.path(), &arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    // Once for each subgroup, and for the pictures there and back.
    assert_eq!(fs::read_to_string(at("asked.txt")).unwrap().lines().count(), 2 + 4);
    for (command, words) in [
        ("[\"sh\", \"-c\", 'echo no corner here >&2; exit 3']", "no corner here"),
        ("[\"sh\", \"-c\", 'exit 0']", "must write uint8 images"),
        ("[\"no-such-program\"]", "could not be started"),
        ("[]", "must name a program"),
    ] {
        let set = format!("translator_command={command}");
        let run = deepaug(folder.path(), &["patch", "--config", &config, "--out", "other", "--set", &set]);
        assert!(run.code == 3 && run.stderr.contains(words), "{command}: {} {}", run.code, run.stderr);
        let _ = fs::remove_dir_all(at("other"));
    }
}

#[test]
fn what_cannot_be_patched_is_said_before_any_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_images(folder.path());
    let refused = |extra: &[&str], code: i32, words: &str| {
        let config = small_config(folder.path(), KEYS);
        let run = deepaug(folder.path(), &[&["patch", "--config", &config, "--out", "patched"], extra].concat());
        assert!(run.code == code && run.stderr.contains(words), "{extra:?}: {} {}", run.code, run.stderr);
        assert!(!at("patched").exists(), "{extra:?}");
    };
    refused(&["--set", "subgroup_column=\"\""], 3, "the images have no subgroups; name what says");
    refused(
        &["--set", "subgroup_column=\"label\""],
        4,
        "there is no image of class \"shirt\" in the subgroup \"trousers\"",
    );
    refused(&["--set", "mixup=0.2"], 3, "mixup: must be 0 for model patching");
    refused(
        &["--set", "translator=policy"],
        3,
        "translator_policies: there must be one for each subgroup, \"clean\", \"white\"",
    );
    refused(&["--set", "translator=program"], 3, "translator_command: must name a program");
    fs::write(at("odd.json"), "{}").unwrap();
    let policies = "translator_policies=[\"none\", \"odd.json\"]";
    refused(&["--set", "translator=policy", "--set", policies], 3, "odd.json: not a policy");
    refused(&["--arms", "erm,best"], 2, "there are erm, balanced, group-dro, translated, clamp");
    let table = fs::read_to_string(at("labels.csv")).unwrap();
    fs::write(at("labels.csv"), table.replace(",clean", ",white")).unwrap();
    refused(&[], 4, "all images are of the subgroup \"white\"");
    // One image of a group cannot be in every part.
    let lone = table.lines().map(|line| match line.contains("shirt") && line.ends_with("white") {
        true if line.contains("-120.png") => format!("{line}\n"),
        true => String::new(),
        false => format!("{line}\n"),
    });
    fs::write(at("labels.csv"), lone.collect::<String>()).unwrap();
    refused(&[], 4, "\"shirt, white\"");
    fs::write(at("labels.csv"), table).unwrap();
    fs::create_dir(at("taken")).unwrap();
    fs::write(at("taken/notes.txt"), "mine").unwrap();
    let config = small_config(folder.path(), KEYS);
    let run = deepaug(folder.path(), &["patch", "--config", &config, "--out", "taken"]);
    assert!(run.code != 0 && run.stderr.contains("not empty, and not made by deepaug patch"), "{}", run.stderr);
    // Translators that have learnt nothing are not used.
    let few = ["patch", "--config", &config, "--out", "failed", "--set", "translator_steps=2"];
    let run = deepaug(folder.path(), &few);
    #[cfg(feature = "generative")]
    {
        assert!(run.code != 0 && run.stderr.contains("the translators are not good enough"), "{}", run.stderr);
        assert!(at("failed/translations.png").is_file());
    }
    #[cfg(not(feature = "generative"))]
    assert!(run.code == 3 && run.stderr.contains("built with the feature"), "{}", run.stderr);
}
