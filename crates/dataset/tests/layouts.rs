//! Image sets as people keep them: what is read, what is assumed, and what is said to be passed over.

use std::fs;
use std::path::Path;

use deepaug_dataset::{Columns, Dataset, Part, ReadOptions, Summary};
use image::{GrayImage, ImageBuffer, Luma};

/// A picture that is like no other.
fn picture(path: impl AsRef<Path>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let value = path.to_string_lossy().bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let image = GrayImage::from_fn(6, 6, |x, y| Luma([value.wrapping_add((37 * x + 11 * y) as u8)]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    fs::write(path, bytes.into_inner()).unwrap();
}

/// What was understood: images by part, classes, and what is said.
struct Read {
    parts: [usize; 3],
    classes: Vec<String>,
    said: String,
}

fn read_with(path: &Path, options: &ReadOptions) -> Result<Read, String> {
    let set = Dataset::read(path, options).map_err(|error| error.to_string())?;
    let of = |part| set.parts().iter().filter(|&&other| other == part).count();
    Ok(Read {
        parts: [Part::Train, Part::Validation, Part::Test].map(of),
        classes: set.classes().to_vec(),
        said: Summary::new(&set, None).warnings.join("\n"),
    })
}

fn read(path: &Path) -> Result<Read, String> {
    read_with(path, &ReadOptions::default())
}

fn refused(path: &Path, why: &str) {
    match read(path) {
        Ok(read) => panic!("{:?} of {:?}", read.parts, read.classes),
        Err(error) => assert!(error.contains(why), "{error}"),
    }
}

fn classes(root: &Path, count: usize) {
    for class in ["fox", "owl"] {
        (0..count).for_each(|i| picture(root.join(format!("{class}/{i}.png"))));
    }
}

#[test]
fn a_table_beside_folders_of_images_labels_them() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let mut rows = "id,species\n".to_string();
    for i in 0..8 {
        picture(root.join(format!("train_images/{i}.png")));
        picture(root.join(format!("test_images/{i}.png")));
        rows += &format!("{i},{}\n", ["fox", "owl"][i % 2]);
    }
    fs::write(root.join("train.csv"), rows).unwrap();
    fs::write(root.join("sample_submission.csv"), "id,species\n0,fox\n").unwrap();
    let set = read(root).unwrap();
    assert_eq!((set.parts, set.classes), ([8, 0, 0], vec!["fox".to_string(), "owl".into()]));
    for said in [
        "8 of the names in train.csv",
        "\"0\" is taken to be train_images/0.png",
        "8 images without a label",
        "1 .csv file",
    ] {
        assert!(set.said.contains(said), "{}", set.said);
    }
    // A name that can mean two files is refused, with both.
    fs::rename(root.join("train_images"), root.join("a")).unwrap();
    fs::rename(root.join("test_images"), root.join("b")).unwrap();
    refused(root, "(line 2): 0 can mean");
}

#[test]
fn tables_say_parts_in_many_ways() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    (0..6).for_each(|i| picture(root.join(format!("images/{i}.png"))));
    let table = root.join("labels.csv");
    let write = |head: &str, cell: &dyn Fn(usize) -> String| {
        let rows: String = (0..6).map(|i| format!("images/{i}.png,{},{}\n", i % 2, cell(i))).collect();
        fs::write(&table, format!("name,label,{head}\n{rows}")).unwrap();
    };
    write("is_valid", &|i| (i >= 4).to_string());
    assert_eq!(read(root).unwrap().parts, [4, 2, 0]);
    write("is_test", &|i| u8::from(i >= 4).to_string());
    assert_eq!(read(root).unwrap().parts, [4, 0, 2]);
    write("data set", &|i| ["TRAIN", "Testing"][i / 4].into());
    assert_eq!(read(root).unwrap().parts, [4, 0, 2]);
    // Nobody asked for folds, and sets may be of something else.
    for head in ["fold", "set"] {
        write(head, &|i| if head == "fold" { (i % 3).to_string() } else { format!("box {i}") });
        assert_eq!(read(root).unwrap().parts, [6, 0, 0], "{head}");
    }
    write("fold", &|i| (i % 3).to_string());
    let columns = Columns { split: Some("fold".into()), ..Columns::default() };
    let set = read_with(root, &ReadOptions { columns, ..ReadOptions::default() }).unwrap();
    assert_eq!(set.parts, [4, 2, 0]);
    assert!(set.said.contains("fold 0 of \"fold\" is the validation part"), "{}", set.said);
}

#[test]
fn tables_come_in_other_letters_and_as_lines_of_json() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    (0..4).for_each(|i| picture(root.join(format!("train/{i}.png"))));
    let rows: String = (0..4).map(|i| format!("train\\{i}.PNG;{}\r\n", ["café", "dog"][i % 2])).collect();
    let wide: Vec<u8> = format!("\u{feff}file;kind\r\n{rows}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(root.join("table.csv"), wide).unwrap();
    let set = read(root).unwrap();
    assert_eq!((set.parts, set.classes), ([4, 0, 0], vec!["café".to_string(), "dog".into()]));
    fs::remove_file(root.join("table.csv")).unwrap();
    let lines: String = (0..4).map(|i| format!("{{\"file_name\": \"{i}.png\", \"label\": {}}}\n", i % 2)).collect();
    fs::write(root.join("train/metadata.jsonl"), lines).unwrap();
    (0..2).for_each(|i| picture(root.join(format!("test/{i}.png"))));
    fs::write(root.join("test/metadata.csv"), "file_name,label\n0.png,0\n1.png,1\n").unwrap();
    let set = read(root).unwrap();
    assert_eq!((set.parts, set.classes), ([4, 0, 2], vec!["0".to_string(), "1".into()]));
}

#[test]
fn nothing_that_is_passed_over_goes_unsaid() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    classes(root, 3);
    picture(root.join("stray.png"));
    picture(root.join("fox/d41d8cd98f00b204"));
    (0..3).for_each(|i| picture(root.join(format!(".NET/{i}.png"))));
    picture(root.join(".ipynb_checkpoints/copy.png"));
    fs::create_dir(root.join("lynx")).unwrap();
    fs::write(root.join("owl/scan.dcm"), "DICM").unwrap();
    fs::write(root.join("owl/notes.txt"), "x").unwrap();
    fs::write(root.join("embeddings.npy"), "x").unwrap();
    fs::write(root.join("backup.tar"), "x").unwrap();
    let set = read(root).unwrap();
    assert_eq!((set.parts, set.classes), ([10, 0, 0], vec![".NET".to_string(), "fox".into(), "owl".into()]));
    for said in
        ["stray.png", "lynx has no images", "1 .dcm file", "dcmj2pnm", "1 .txt file", "embeddings.npy", "backup.tar"]
    {
        assert!(set.said.contains(said), "{said}: {}", set.said);
    }
    assert!(!set.said.contains("copy.png"), "{}", set.said);
}

#[cfg(unix)]
#[test]
fn pipes_and_sockets_are_never_opened() {
    let root = tempfile::tempdir().unwrap();
    classes(root.path(), 3);
    let _socket = std::os::unix::net::UnixListener::bind(root.path().join("fox/9.png")).unwrap();
    let set = read(root.path()).unwrap();
    assert_eq!(set.parts, [6, 0, 0]);
    assert!(set.said.contains("1 pipe or other special file"), "{}", set.said);
}

#[test]
fn parts_are_known_by_the_words_of_their_folders() {
    for (train, test) in
        [("training_set", "test_set"), ("Training", "Testing"), ("train_images", "test-data"), ("TRAIN", "Test")]
    {
        let root = tempfile::tempdir().unwrap();
        classes(&root.path().join(train), 3);
        classes(&root.path().join(test), 2);
        assert_eq!(read(root.path()).unwrap().parts, [6, 0, 4], "{train}");
    }
    // Without classes there are no labels.
    let root = tempfile::tempdir().unwrap();
    classes(&root.path().join("train"), 3);
    (0..2).for_each(|i| picture(root.path().join(format!("test/{i}.png"))));
    let set = read(root.path()).unwrap();
    assert_eq!(set.parts, [6, 0, 0]);
    assert!(set.said.contains("2 images without a label") && set.said.contains("/test/0.png"), "{}", set.said);
    // These are classes.
    let root = tempfile::tempdir().unwrap();
    for class in ["train", "bus", "test tube"] {
        (0..2).for_each(|i| picture(root.path().join(format!("{class}/{i}.png"))));
    }
    assert_eq!(read(root.path()).unwrap().classes, ["bus", "test tube", "train"]);
}

#[test]
fn pictures_and_their_masks_are_no_classes() {
    let root = tempfile::tempdir().unwrap();
    for folder in ["images", "masks"] {
        (0..4).for_each(|i| picture(root.path().join(format!("{folder}/{i}.png"))));
    }
    refused(root.path(), "pictures and their masks");
    // Masks that people wear are.
    let root = tempfile::tempdir().unwrap();
    for (folder, from) in [("masks", 0), ("hats", 10)] {
        (from..from + 4).for_each(|i| picture(root.path().join(format!("{folder}/{i}.png"))));
    }
    assert_eq!(read(root.path()).unwrap().classes, ["hats", "masks"]);
}

#[test]
fn sets_of_several_files_are_whole_and_one_set() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny.parquet");
    let root = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let to = root.path().join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&tiny, to).unwrap();
    };
    copy("plain_text/train-00000-of-00002.parquet");
    refused(root.path(), "number 1, counted from 0, is not there");
    copy("plain_text/train-00001-of-00002.parquet");
    copy("plain_text/test-00000-of-00001.parquet");
    assert_eq!(read(root.path()).unwrap().parts, [8, 0, 4]);
    copy("small/train-00000-of-00001.parquet");
    refused(root.path(), "plain_text, small; name the folder of one");
}

#[test]
fn classes_that_look_alike_are_named() {
    let root = tempfile::tempdir().unwrap();
    for class in ["Caf\u{e9}", "cafe\u{301} ", "dog"] {
        (0..2).for_each(|i| picture(root.path().join(format!("{class}/{i}.png"))));
    }
    let said = read(root.path()).unwrap().said;
    assert!(said.contains("two classes are called nearly the same: "), "{said}");
}

/// A NumPy array of version 1 as `np.save` writes it.
fn npy(kind: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    [bytes, header.into_bytes(), body.to_vec()].concat()
}

/// The pixels of a set of arrays, and what is said of it.
fn arrays(kind: &str, values: &[u8], options: &ReadOptions) -> Result<(Vec<u8>, String), String> {
    let root = tempfile::tempdir().unwrap();
    let size: usize = kind[2..].parse().unwrap();
    fs::write(root.path().join("x.npy"), npy(kind, &format!("{}, 1, 2", values.len() / size / 2), values)).unwrap();
    let words: Vec<u8> = (0..values.len() / size / 2).flat_map(|i| [b"fox", b"owl"][i % 2].iter().copied()).collect();
    fs::write(root.path().join("y.npy"), npy("|S3", &format!("{},", words.len() / 3), &words)).unwrap();
    let set = Dataset::read(root.path(), options).map_err(|error| error.to_string())?;
    assert_eq!(set.classes(), ["fox", "owl"]);
    Ok((set.images().iter().copied().collect(), set.origins().notes.join("\n")))
}

#[test]
fn arrays_of_any_range_are_brought_to_bytes_or_refused() {
    let plain = ReadOptions::default();
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let words = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    for (kind, values, expected, said) in [
        ("|u1", vec![0, 1, 1, 0], [0, 255, 255, 0], "0 and 1"),
        ("|b1", vec![0, 1, 1, 0], [0, 255, 255, 0], "0 and 1"),
        ("|u1", vec![0, 200, 1, 7], [0, 200, 1, 7], ""),
        ("<u2", words(&[0, 4095, 2048, 16]), [0, 255, 128, 1], "0 to 4095"),
        ("<u2", words(&[0, 65_535, 257, 1]), [0, 255, 1, 0], "0 to 65535"),
        ("<f4", floats(&[0.0, 1.0, 0.5, 0.2]), [0, 255, 128, 51], ""),
        ("<f4", floats(&[0.0, 254.6, 128.0, 1.0]), [0, 255, 128, 1], "taken as 0 to 255"),
    ] {
        let (pixels, notes) = arrays(kind, &values, &plain).unwrap();
        assert_eq!(pixels, expected, "{kind}");
        assert!(notes.contains(said) && notes.is_empty() == said.is_empty(), "{notes}");
    }
    for values in [[-1.7, 2.1, 0.0, 0.3], [0.0, 3.5, 1.0, 1.0], [0.0, 400.0, 1.0, 1.0]] {
        let error = arrays("<f4", &floats(&values), &plain).unwrap_err();
        assert!(error.contains("Set value_range"), "{error}");
    }
    let ranged = ReadOptions { value_range: Some([-2.0, 2.0]), ..plain };
    assert_eq!(arrays("<f4", &floats(&[-2.0, 2.0, 0.0, 9.0]), &ranged).unwrap().0, [0, 255, 128, 255]);
}

#[test]
fn a_scanners_twelve_bits_fill_the_range() {
    let save = |root: &Path, scale: u16| {
        for (c, class) in ["fox", "owl"].iter().enumerate() {
            for i in 0..3 {
                fs::create_dir_all(root.join(class)).unwrap();
                let value = |x: u32, y: u32| Luma([scale * (x * 20 + y + 100 * c as u32 + i) as u16]);
                let image = ImageBuffer::from_fn(6, 6, value);
                image.save(root.join(format!("{class}/{i}.png"))).unwrap();
            }
        }
    };
    // Bytes in 16 bits, times 257 as they should be, and times 16: the greatest is 207, so white is 255.
    let [right, dark] = [257, 16].map(|scale| {
        let root = tempfile::tempdir().unwrap();
        save(root.path(), scale);
        let set = Dataset::read(root.path(), &ReadOptions::default()).unwrap();
        (set.images().to_owned(), set.origins().notes.join("\n"))
    });
    assert_eq!(right.0, dark.0);
    assert_eq!(right.0.iter().max(), Some(&207));
    assert!(right.1.is_empty() && dark.1.contains("up to 3312 alone: the range 0 to 4080"), "{}", dark.1);
}
