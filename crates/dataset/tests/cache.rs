//! The second start, and what must not be trusted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use deepaug_dataset::{Dataset, ImageSize, ReadOptions};
use image::{GrayImage, Luma};

/// 600 images of two classes: enough to be cached.
fn set(root: &Path) {
    for (class, value) in [("cat", 10), ("dog", 100)] {
        fs::create_dir_all(root.join(class)).unwrap();
        for i in 0..300u32 {
            let image =
                GrayImage::from_fn(4, 4, |x, y| Luma([value + ((x + 4 * y + i) % 90) as u8 + u8::from(i > 89 * x)]));
            image.save(root.join(class).join(format!("{i:03}.png"))).unwrap();
        }
    }
}

/// Returns the set, and how many images were decoded for it.
fn read(path: &Path, options: &ReadOptions) -> (Dataset, usize) {
    let decoded = AtomicUsize::new(0);
    let set = Dataset::read_with(path, options, &|_, _| _ = decoded.fetch_add(1, Ordering::Relaxed)).unwrap();
    (set, decoded.into_inner())
}

fn same(a: &Dataset, b: &Dataset) {
    assert_eq!(a.images(), b.images());
    assert_eq!((a.labels(), a.classes(), a.parts()), (b.labels(), b.classes(), b.parts()));
    assert_eq!((a.groups(), a.origins(), a.origin()), (b.groups(), b.origins(), b.origin()));
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let inside = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    inside.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

fn setting() -> (tempfile::TempDir, PathBuf, PathBuf, ReadOptions) {
    let root = tempfile::tempdir().unwrap();
    let (images, cache) = (root.path().join("set"), root.path().join("cache"));
    set(&images);
    let options = ReadOptions { cache: Some(cache.clone()), ..ReadOptions::default() };
    (root, images, cache, options)
}

#[test]
fn a_second_start_decodes_nothing_until_something_changes() {
    let (_root, images, cache, options) = setting();
    let (first, decoded) = read(&images, &options);
    assert_eq!(decoded, 600);
    let (second, decoded) = read(&images, &options);
    assert_eq!(decoded, 0);
    same(&first, &second);
    same(&read(&images, &ReadOptions::default()).0, &second);

    // Different settings give different pixels; going back gives the cached ones.
    let larger = ReadOptions { image_size: ImageSize::Side(6), ..options.clone() };
    assert_eq!(read(&images, &larger).1, 600);
    assert_eq!(read(&images, &options).1, 0);

    // The same bytes written again: read, but not decoded.
    let file = images.join("cat/007.png");
    let bytes = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, &bytes).unwrap();
    assert_eq!(read(&images, &options).1, 0);

    // Different bytes of the same length under the same name and time: decoded.
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    fs::copy(images.join("dog/007.png"), &file).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let (changed, decoded) = read(&images, &options);
    assert_eq!(decoded, 600);
    same(&changed, &read(&images, &ReadOptions::default()).0);
    // What it replaced is gone; the other settings' set is still there.
    assert_eq!(files(&cache, "images").len(), 2);

    // One file more, one file less.
    fs::copy(&file, images.join("dog/more.png")).unwrap();
    assert_eq!(read(&images, &options).1, 601);
    fs::remove_file(images.join("dog/more.png")).unwrap();
    assert_eq!(read(&images, &options).1, 600);
}

#[test]
fn a_damaged_or_impossible_cache_is_as_good_as_none() {
    let (_root, images, cache, options) = setting();
    let (first, _) = read(&images, &options);
    let kept = &files(&cache, "images")[0];
    let bytes = fs::read(kept).unwrap();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut lying = bytes.clone();
    lying[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    for damaged in
        [&bytes[..bytes.len() - 1], &bytes[..20], &[][..], &flipped, &lying, b"deepaug1 and nothing else at all......"]
    {
        fs::remove_file(kept).unwrap();
        fs::write(kept, damaged).unwrap();
        let (set, decoded) = read(&images, &options);
        assert_eq!(decoded, 600);
        same(&first, &set);
    }
    fs::write(&files(&cache, "stamp")[0], "{").unwrap();
    assert_eq!(read(&images, &options).1, 0);
    // A file where the folder should be.
    let nowhere = ReadOptions { cache: Some(images.join("cat/000.png")), ..options };
    same(&first, &read(&images, &nowhere).0);
}

#[test]
fn many_starts_at_once_agree() {
    let (_root, images, cache, options) = setting();
    let sets: Vec<Dataset> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| read(&images, &options).0)).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    sets[1..].iter().for_each(|set| same(&sets[0], set));
    assert_eq!(read(&images, &options).1, 0);
    // Nothing half-written is left.
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 2);
}
