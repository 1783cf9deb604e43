//! Whatever is broken, hostile or merely odd is rejected or skipped, and named.

use std::fs;
use std::path::Path;

use deepaug_dataset::{Dataset, OnBadImage, ReadOptions};
use image::{GrayImage, Luma, Rgb, RgbImage};

fn message(path: &Path) -> String {
    Dataset::read(path, &ReadOptions::default()).expect_err("this set must be refused").to_string()
}

fn grey(path: &Path, side: u32, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_pixel(side, side, Luma([value])).save(path).unwrap();
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kinds").join(name)
}

#[test]
fn bad_folders_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    assert!(message(&root.path().join("nothing")).contains("nothing: no such file or folder"));
    assert!(message(root.path()).contains("the folder is empty"));
    grey(&root.path().join("1.png"), 4, 10);
    assert!(message(root.path()).contains("its images lie side by side"));
    fs::remove_file(root.path().join("1.png")).unwrap();
    grey(&root.path().join("cat/1.png"), 4, 10);
    assert!(message(root.path()).contains("only one class (cat)"));
    fs::create_dir(root.path().join("dog")).unwrap();
    assert!(message(root.path()).contains("only one class (cat)"));
    grey(&root.path().join("dog/more/1.png"), 4, 10);
    assert!(message(root.path()).contains("more: a folder inside a class folder"));
    fs::remove_dir_all(root.path().join("dog/more")).unwrap();
    grey(&root.path().join("train/dog/1.png"), 4, 10);
    assert!(message(root.path()).contains("cat: lies beside a train folder"));
    let text = root.path().join("notes.txt");
    fs::write(&text, "hello").unwrap();
    assert!(message(&text).contains("a single file of another kind"));
}

#[test]
fn sizes_that_differ_are_refused_until_a_size_is_given() {
    let root = tempfile::tempdir().unwrap();
    grey(&root.path().join("cat/1.png"), 4, 10);
    grey(&root.path().join("dog/1.png"), 8, 10);
    let error = message(root.path());
    assert!(error.contains("4x4") && error.contains("8x8") && error.contains("image_size"), "{error}");
}

/// Returns every way in which an image can be broken, with a distinguishing name and the expected message.
fn broken() -> Vec<(String, Vec<u8>, &'static str)> {
    let mut cases: Vec<(String, Vec<u8>, &'static str)> = vec![
        ("empty.png".into(), Vec::new(), "the file is empty"),
        ("text.jpg".into(), b"<html>404 Not Found</html>".to_vec(), "not an image, whatever its name says"),
        ("photo.heic".into(), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), "a HEIC image"),
        ("start.jpg".into(), b"\xff\xd8\xff\xe0".to_vec(), "not a readable image"),
    ];
    for kind in ["rgb.jpg", "progressive.jpg", "grey.png", "lossy.webp", "lossless.webp", "rgb.bmp", "frames.gif"] {
        let bytes = fs::read(fixture(kind)).unwrap();
        for part in [3, 10, 16, 19] {
            // The smallest piece hardly contains the format's signature.
            let expected = if part == 3 { "not a" } else { "not a readable image" };
            cases.push((format!("{part}-of-20-{kind}"), bytes[..bytes.len() * part / 20].to_vec(), expected));
        }
    }
    // The first of several frames is complete before the file is.
    cases.retain(|(name, ..)| !name.ends_with("frames.gif") || name.starts_with("3-"));
    cases
}

#[test]
fn broken_images_are_named_with_what_is_wrong_or_left_out_and_listed() {
    let root = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        grey(&root.path().join(class).join("0.png"), 4, 10);
    }
    let skip = ReadOptions { on_bad_image: OnBadImage::Skip, ..ReadOptions::default() };
    let cases = broken();
    for (name, bytes, expected) in &cases {
        let path = root.path().join("dog").join(name);
        fs::write(&path, bytes).unwrap();
        let error = message(root.path());
        assert!(error.contains(&format!("{}: ", path.display())) && error.contains(expected), "{name}: {error}");
        fs::remove_file(path).unwrap();
    }
    for (name, bytes, _) in &cases {
        fs::write(root.path().join("dog").join(name), bytes).unwrap();
    }
    let set = Dataset::read(root.path(), &skip).unwrap();
    assert_eq!((set.len(), set.origins().skipped.len()), (2, cases.len()));
    assert!(set.origins().skipped.iter().all(|skipped| !skipped.why.is_empty()));
    fs::remove_file(root.path().join("dog/0.png")).unwrap();
    let error = Dataset::read(root.path(), &skip).unwrap_err().to_string();
    assert!(error.contains("only one class (cat)"), "{error}");
    fs::remove_file(root.path().join("cat/0.png")).unwrap();
    fs::write(root.path().join("cat/0.png"), "").unwrap();
    let error = Dataset::read(root.path(), &skip).unwrap_err().to_string();
    assert!(error.contains("none of its") && error.contains("the file is empty"), "{error}");
}

#[test]
fn images_that_claim_to_be_huge_are_refused_before_memory_is_taken() {
    let root = tempfile::tempdir().unwrap();
    grey(&root.path().join("cat/1.png"), 4, 10);
    fs::create_dir(root.path().join("dog")).unwrap();
    let huge = |name: &str, bytes: Vec<u8>| {
        let path = root.path().join("dog").join(name);
        fs::write(&path, bytes).unwrap();
        let error = message(root.path());
        assert!(error.contains(name) && error.contains("60000x60000 pixels"), "{name}: {error}");
        fs::remove_file(path).unwrap();
    };
    // The sizes in the headers of valid files are changed to 60,000 x 60,000.
    let mut gif = fs::read(fixture("frames.gif")).unwrap();
    gif[6..10].copy_from_slice(&[0x60, 0xea, 0x60, 0xea]);
    huge("bomb.gif", gif);
    let mut bmp = fs::read(fixture("rgb.bmp")).unwrap();
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    huge("bomb.bmp", bmp);
    let mut jpeg = fs::read(fixture("rgb.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    huge("bomb.jpg", jpeg);
}

#[test]
fn trailing_bytes_and_bytes_between_headers_do_no_harm() {
    let root = tempfile::tempdir().unwrap();
    let jpeg = fs::read(fixture("rgb.jpg")).unwrap();
    let more = [&jpeg[..], b"trailing bytes of a camera"].concat();
    // After the first header, some stray bytes.
    let at = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    let between = [&jpeg[..at], &[0; 8], &jpeg[at..]].concat();
    for (name, bytes) in [("a", &jpeg), ("b", &more), ("c", &between)] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("1.jpg"), bytes).unwrap();
    }
    let set = Dataset::read(root.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.gather(&[0]), set.gather(&[1]));
    assert_eq!(set.gather(&[0]), set.gather(&[2]));
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_in_a_circle_end_in_words() {
        let root = tempfile::tempdir().unwrap();
        grey(&root.path().join("cat/1.png"), 4, 10);
        grey(&root.path().join("dog/1.png"), 4, 20);
        symlink(root.path(), root.path().join("dog/up")).unwrap();
        assert!(message(root.path()).contains("up: a symbolic link to a folder that it lies in"));
        fs::remove_file(root.path().join("dog/up")).unwrap();
        let itself = root.path().join("dog/2.png");
        symlink(&itself, &itself).unwrap();
        let error = message(root.path());
        assert!(error.contains("2.png: cannot read"), "{error}");
        // The cache walks the whole tree.
        fs::remove_file(&itself).unwrap();
        symlink(root.path(), root.path().join("owl")).unwrap();
        let cached = ReadOptions { cache: Some(root.path().join("cache")), ..ReadOptions::default() };
        let error = Dataset::read(root.path(), &cached).unwrap_err().to_string();
        assert!(error.contains("owl: "), "{error}");
        assert!(!root.path().join("cache").exists());
    }

    #[test]
    fn names_that_are_not_utf8_are_said_to_be() {
        let root = tempfile::tempdir().unwrap();
        grey(&root.path().join("cat/1.png"), 4, 10);
        fs::create_dir(root.path().join("dog")).unwrap();
        fs::copy(root.path().join("cat/1.png"), root.path().join("dog").join(OsStr::from_bytes(b"caf\xe9.png")))
            .unwrap();
        assert!(message(root.path()).contains("its name is not UTF-8; rename it"));
    }

    #[test]
    fn files_that_may_not_be_read_are_named() {
        let root = tempfile::tempdir().unwrap();
        grey(&root.path().join("cat/1.png"), 4, 10);
        grey(&root.path().join("dog/1.png"), 4, 20);
        let closed = root.path().join("dog/2.png");
        grey(&closed, 4, 30);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read(&closed).is_ok() {
            // An administrator may read everything, so a closed file proves nothing. A link that leads nowhere
            // fails for everyone.
            fs::remove_file(&closed).unwrap();
            symlink(root.path().join("nowhere"), &closed).unwrap();
            fs::write(root.path().join("dog/0.png"), fs::read(root.path().join("dog/1.png")).unwrap()).unwrap();
        }
        let error = message(root.path());
        assert!(error.contains("2.png: cannot read"), "{error}");
        let skip = ReadOptions { on_bad_image: OnBadImage::Skip, ..ReadOptions::default() };
        let set = Dataset::read(root.path(), &skip).unwrap();
        assert_eq!(set.origins().skipped.len(), 1);
    }
}

#[test]
fn a_picture_of_another_name_is_read_by_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    for (class, value) in [("cat", 1), ("dog", 2)] {
        fs::create_dir(root.path().join(class)).unwrap();
        let image = RgbImage::from_pixel(4, 4, Rgb([value, 2, 3]));
        image.save_with_format(root.path().join(class).join("1.jpg"), image::ImageFormat::Png).unwrap();
    }
    let set = Dataset::read(root.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.gather(&[1]).iter().copied().take(3).collect::<Vec<_>>(), [2, 2, 3]);
}
