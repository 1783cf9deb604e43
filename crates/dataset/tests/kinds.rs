//! Every kind of image, as written by Pillow, torchvision and OpenCV, gives the pixels that Pillow reads from it
//! (`fixtures/make.py` names the versions).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use deepaug_dataset::files::read_image;
use deepaug_dataset::{Channels, Dataset, Fit, ImageSize, ReadOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Seen {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    serde_json::from_slice(&fs::read(fixtures().join(name)).unwrap()).unwrap()
}

/// Returns the largest and the mean difference of two images' values.
fn difference(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let differences = || ours.iter().zip(theirs).map(|(&a, &b)| a.abs_diff(b));
    (differences().max().unwrap(), differences().map(f64::from).sum::<f64>() / ours.len() as f64)
}

#[test]
fn every_kind_of_picture_is_seen_as_pillow_sees_it() {
    let seen: BTreeMap<String, Seen> = json("kinds.json");
    assert!(seen.len() > 30);
    for (name, expected) in seen {
        let path = fixtures().join("kinds").join(&name);
        let image = read_image(&path).unwrap();
        assert_eq!(image.dim(), (expected.height, expected.width, expected.channels), "{name}");
        let (largest, mean) = difference(image.as_slice().unwrap(), &expected.pixels);
        // Decoders of JPEG and lossy WebP may round and interpolate colours freely; alpha and 16 bits leave the
        // last bit open.
        let (most, most_mean) = match name.rsplit('.').next() {
            Some("jpg") if name != "really-a-png.jpg" => (12, 1.0),
            Some("webp") if name == "lossy.webp" => (12, 1.0),
            _ => (1, 0.6),
        };
        assert!(largest <= most && mean <= most_mean, "{name}: differs by {largest}, {mean:.2} on average");
    }
}

#[test]
fn pictures_are_shrunk_and_enlarged_as_pillow_does() {
    let expected: BTreeMap<String, Vec<u8>> = json("resized.json");
    for (name, theirs) in expected {
        let (file, side) = name.split_once(' ').unwrap();
        let root = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            fs::create_dir(root.path().join(class)).unwrap();
            fs::copy(fixtures().join("kinds").join(file), root.path().join(class).join(file)).unwrap();
        }
        let options = ReadOptions { image_size: ImageSize::Side(side.parse().unwrap()), ..ReadOptions::default() };
        let set = Dataset::read(root.path(), &options).unwrap();
        let (largest, mean) = difference(set.gather(&[0]).as_slice().unwrap(), &theirs);
        let most = if file.ends_with("jpg") { 8 } else { 1 };
        assert!(largest <= most && mean < 1.0, "{name}: differs by {largest}, {mean:.2} on average");
    }
}

/// A folder of two classes with one picture each.
fn two(first: &str, second: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (class, file) in [("a", first), ("b", second)] {
        fs::create_dir(root.path().join(class)).unwrap();
        fs::copy(fixtures().join("kinds").join(file), root.path().join(class).join(file)).unwrap();
    }
    root
}

#[test]
fn channels_and_background_are_what_was_asked_for() {
    let mixed = two("grey.png", "alpha.png");
    let read = |options: ReadOptions| Dataset::read(mixed.path(), &options).unwrap();
    let plain = ReadOptions::default();
    assert_eq!(read(plain.clone()).image_shape(), [12, 16, 3]);
    let grey = read(ReadOptions { channels: Channels::Grey, ..plain.clone() });
    assert_eq!(grey.image_shape(), [12, 16, 1]);
    let seen: BTreeMap<String, Seen> = json("kinds.json");
    assert_eq!(grey.gather(&[0]).as_slice().unwrap(), seen["grey.png"].pixels);
    // The first pixel of the second is transparent: it shows the background, or its luma.
    let red = ReadOptions { background: [200, 0, 0], ..plain.clone() };
    assert_eq!(read(red.clone()).gather(&[1]).as_slice().unwrap()[..3], [200, 0, 0]);
    assert_eq!(read(ReadOptions { channels: Channels::Grey, ..red }).gather(&[1])[[0, 0, 0, 0]], 60);
    let only_grey = two("grey.png", "grey16.png");
    assert_eq!(Dataset::read(only_grey.path(), &plain).unwrap().image_shape(), [12, 16, 1]);
    let rgb = ReadOptions { channels: Channels::Rgb, ..plain };
    assert_eq!(Dataset::read(only_grey.path(), &rgb).unwrap().image_shape(), [12, 16, 3]);
}

#[test]
fn automatic_sizes_are_the_median_and_keep_what_is_small_and_even() {
    let auto = ReadOptions { image_size: ImageSize::Auto, ..ReadOptions::default() };
    let even = two("grey.png", "alpha.png");
    assert_eq!(Dataset::read(even.path(), &auto).unwrap().image_shape()[..2], [12, 16]);
    // 16x12, 64x48 and, by its orientation, 48x64: the median of the shorter sides is 48, above the maximum.
    let uneven = two("grey.png", "exif-6.jpg");
    fs::copy(fixtures().join("kinds/rgb.jpg"), uneven.path().join("b/rgb.jpg")).unwrap();
    let set = Dataset::read(uneven.path(), &auto).unwrap();
    assert_eq!(set.image_shape()[..2], [32, 32]);
    // 16x12, 16x12 and 48x64.
    let small = two("grey.png", "exif-6.jpg");
    fs::copy(fixtures().join("kinds/grey16.png"), small.path().join("b/grey16.png")).unwrap();
    assert_eq!(Dataset::read(small.path(), &auto).unwrap().image_shape()[..2], [12, 12]);
    assert_eq!(set.origins().sizes, [[16, 12], [48, 64], [64, 48]]);
    let padded = ReadOptions { fit: Fit::Pad, ..auto };
    // White beside the upright image.
    let set = Dataset::read(uneven.path(), &padded).unwrap();
    assert_eq!(set.gather(&[1]).as_slice().unwrap()[..3], [255, 255, 255]);
}
