//! Decoded images on disk, so that the next start does not have to decode them.
//!
//! Each set has two files. `<place and settings>.stamp` holds a hash of every source file's name, size and times,
//! and the key of the contents; `<contents and settings>.images` holds the set and is mapped into memory. So a
//! second start only looks at names and times; if those differ, it also reads the files; and only if the contents
//! differ does it decode them again. Files are written atomically, by renaming: if two processes start at once,
//! the last one's stays, and both are right. A cache that is damaged or cannot be written is ignored.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::dataset::Pixels;
use crate::dataset::{Dataset, Part, Subgroups};
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::origins::Origins;

/// Smaller sets decode faster than anybody notices.
const MIN_IMAGES: usize = 500;
/// Maximum bytes of all sets together; the least recently used are removed first.
const MAX_BYTES: u64 = 32 << 30;
/// The first bytes of a file of images. Another layout would need another word.
const MAGIC: &[u8; 8] = b"deepaug2";
/// Magic, length of the description, checksum of all that follows.
const HEAD: usize = 8 + 8 + 16;
/// Pixels start at a multiple of this.
const ALIGNMENT: usize = 64;

/// Returns the usual folder for [`ReadOptions::cache`]: `deepaug/images` in the user's cache folder.
pub fn cache_folder() -> Option<PathBuf> {
    let folder = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))?;
    Some(root.join("deepaug").join("images"))
}

/// Returns the set made of `files` from the cache, or else from `decode`, and then caches it.
pub(crate) fn fetch(
    folder: &Path,
    path: &Path,
    files: &[PathBuf],
    options: &ReadOptions,
    decode: impl FnOnce() -> Result<Dataset, DataError>,
) -> Result<Dataset, DataError> {
    let settings = format!("{} {:?}", env!("CARGO_PKG_VERSION"), ReadOptions { cache: None, ..options.clone() });
    let place = path.canonicalize().unwrap_or_else(|_| path.into());
    let stamp_file =
        folder.join(format!("{:032x}.stamp", xxh3_128(format!("{settings} {}", place.display()).as_bytes())));
    let images_file = |contents: &str| folder.join(format!("{contents}.images"));
    let stats = stats(path, files);
    let old: Option<Stamp> = fs::read(&stamp_file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(old) = &old
        && old.stats == stats
        && let Some(dataset) = load(&images_file(&old.contents), path)
    {
        return Ok(dataset);
    }
    let stamp = Stamp { contents: contents(path, files, &settings), stats };
    let images = images_file(&stamp.contents);
    if let Some(dataset) = load(&images, path) {
        stamp.write(folder, &stamp_file);
        return Ok(dataset);
    }
    let dataset = decode()?;
    // A set that changed while it was read must not be cached.
    if dataset.len() >= MIN_IMAGES
        && self::stats(path, files) == stamp.stats
        && store(&dataset, path, &images).is_some()
    {
        stamp.write(folder, &stamp_file);
        if let Some(old) = old.filter(|old| old.contents != stamp.contents) {
            let _ = fs::remove_file(images_file(&old.contents));
        }
        make_room(folder, &images);
    }
    Ok(dataset)
}

/// What was known about the source files when a set was cached.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    stats: String,
    contents: String,
}

impl Stamp {
    fn write(&self, folder: &Path, to: &Path) {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let _ = whole(folder, to, |file| file.write_all(&bytes));
    }
}

/// Returns a hash of the files' names, sizes and times. Where systems have a change time, it cannot be set by
/// hand.
fn stats(path: &Path, files: &[PathBuf]) -> String {
    let lines: Vec<String> = files
        .par_iter()
        .map(|file| {
            let metadata = fs::metadata(file).ok();
            let times = metadata.as_ref().map(|metadata| {
                #[cfg(unix)]
                let changed = {
                    use std::os::unix::fs::MetadataExt;
                    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
                };
                #[cfg(not(unix))]
                let changed = ();
                (metadata.len(), metadata.modified().ok(), changed)
            });
            format!("{} {times:?}", relative(path, file))
        })
        .collect();
    format!("{:032x}", xxh3_128(lines.join("\n").as_bytes()))
}

/// Returns a hash of the files' names and contents, and of the settings.
fn contents(path: &Path, files: &[PathBuf], settings: &str) -> String {
    let of_file = |file: &PathBuf| -> std::io::Result<u128> {
        let mut hash = Xxh3::new();
        let mut file = File::open(file)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash.digest128()),
                count => hash.update(&buffer[..count]),
            }
        }
    };
    let line = |file: &PathBuf| format!("{} {:?}", relative(path, file), of_file(file).ok());
    let lines: Vec<String> = files.par_iter().map(line).collect();
    format!("{:032x}", xxh3_128(format!("{settings}\n{}", lines.join("\n")).as_bytes()))
}

/// Returns a name without its leading path, so that a set is recognised through any path that leads to it.
fn relative(path: &Path, name: &Path) -> String {
    let (path, name) = (path.to_string_lossy(), name.to_string_lossy());
    name.strip_prefix(&*path).unwrap_or(&name).to_string()
}

/// Everything about a set except its pixels.
#[derive(Serialize, Deserialize)]
struct Description {
    shape: [usize; 4],
    labels: Vec<usize>,
    classes: Vec<String>,
    parts: Vec<Part>,
    groups: Option<Vec<usize>>,
    subgroups: Option<Subgroups>,
    origins: Origins,
    /// Whether names are stored without their leading path.
    relative: bool,
}

/// Writes decoded images into a folder, from where other machines can copy them, under a name that follows from what they
/// are; if it is there, they are not written again. Returns the file.
///
/// # Errors
/// What the operating system says.
pub fn write_decoded(dataset: &Dataset, folder: &Path) -> std::io::Result<PathBuf> {
    let other = || std::io::Error::other("these images cannot be written");
    let body = Body::of(dataset, dataset.origin()).ok_or_else(other)?;
    let file = folder.join(format!("{:032x}.images", body.hash));
    if !file.exists() {
        fs::create_dir_all(folder)?;
        body.write(folder, &file)?;
    }
    Ok(file)
}

/// Reads images that [`write_decoded`] wrote, of which `path` says where they come from; `None` if the file is not whole.
/// They are mapped into memory.
pub fn read_decoded(file: &Path, path: &Path) -> Option<Dataset> {
    load(file, path)
}

fn store(dataset: &Dataset, path: &Path, to: &Path) -> Option<()> {
    let folder = to.parent()?;
    fs::create_dir_all(folder).ok()?;
    Body::of(dataset, path)?.write(folder, to).ok()
}

/// What a file holds after its head.
struct Body<'a> {
    text: Vec<u8>,
    pixels: &'a [u8],
    hash: u128,
}

impl<'a> Body<'a> {
    fn of(dataset: &'a Dataset, path: &Path) -> Option<Self> {
        let mut origins = dataset.origins().clone();
        let root = path.to_string_lossy().into_owned();
        let below = |name: &Path| name.to_string_lossy().starts_with(&root);
        let is_relative =
            origins.names.iter().all(|name| below(name)) && origins.skipped.iter().all(|s| below(&s.name));
        if is_relative {
            origins.names.iter_mut().for_each(|name| *name = relative(path, name).into());
            origins.skipped.iter_mut().for_each(|skipped| skipped.name = relative(path, &skipped.name).into());
        }
        let images = dataset.images();
        let (count, height, width, channels) = images.dim();
        let description = Description {
            shape: [count, height, width, channels],
            labels: dataset.labels().to_vec(),
            classes: dataset.classes().to_vec(),
            parts: dataset.parts().to_vec(),
            groups: dataset.groups().map(<[usize]>::to_vec),
            subgroups: dataset.subgroups().cloned(),
            origins,
            relative: is_relative,
        };
        let mut text = serde_json::to_vec(&description).ok()?;
        let padded = (HEAD + text.len()).next_multiple_of(ALIGNMENT) - HEAD;
        text.resize(padded, b' ');
        let pixels = images.to_slice()?;
        let mut hash = Xxh3::new();
        hash.update(&text);
        hash.update(pixels);
        Some(Self { hash: hash.digest128(), text, pixels })
    }

    fn write(&self, folder: &Path, to: &Path) -> std::io::Result<()> {
        whole(folder, to, |file| {
            file.write_all(MAGIC)?;
            file.write_all(&(self.text.len() as u64).to_le_bytes())?;
            file.write_all(&self.hash.to_le_bytes())?;
            file.write_all(&self.text)?;
            file.write_all(self.pixels)
        })
    }
}

/// Writes a file that appears only once it is complete.
fn whole(folder: &Path, to: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    write(draft.as_file_mut())?;
    draft.persist(to)?;
    Ok(())
}

/// Returns the set in a file, or `None` if there is none or it is damaged.
fn load(from: &Path, path: &Path) -> Option<Dataset> {
    let file = File::open(from).ok()?;
    // SAFETY: cache files are never written to, only replaced and removed by name, which leaves a mapping
    // unchanged.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    let (head, body) = map.split_at_checked(HEAD)?;
    let length = u64::from_le_bytes(head[8..16].try_into().ok()?);
    if &head[..8] != MAGIC || head[16..] != xxh3_128(body).to_le_bytes() {
        return None;
    }
    let (text, pixels) = body.split_at_checked(usize::try_from(length).ok()?)?;
    let Description { shape, labels, classes, parts, groups, subgroups, mut origins, relative } =
        serde_json::from_slice(text).ok()?;
    if shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side)) != Some(pixels.len()) {
        return None;
    }
    if relative {
        let root = path.to_string_lossy().into_owned();
        let absolute = |name: &mut PathBuf| *name = format!("{root}{}", name.display()).into();
        origins.names.iter_mut().for_each(absolute);
        origins.skipped.iter_mut().for_each(|skipped| absolute(&mut skipped.name));
    }
    let pixels = Pixels::Mapped { offset: HEAD + text.len(), file: Arc::new(map), shape };
    let dataset = Dataset::from_pixels(path, pixels, labels, classes, parts).ok()?.with_origins(origins);
    let dataset = match groups {
        Some(groups) => dataset.with_groups(groups).ok()?,
        None => dataset,
    };
    let of = |subgroups: Subgroups| -> Option<Vec<String>> {
        subgroups.of.iter().map(|&of| subgroups.names.get(of).cloned()).collect()
    };
    let dataset = match subgroups {
        Some(subgroups) => dataset.with_subgroups(&of(subgroups)?).ok()?,
        None => dataset,
    };
    // Its age is the time since it was last used.
    let _ = file.set_modified(SystemTime::now());
    Some(dataset)
}

/// Removes the least recently used sets until the rest is small enough, but never `kept`.
fn make_room(folder: &Path, kept: &Path) {
    let Ok(inside) = fs::read_dir(folder) else { return };
    let mut sets: Vec<_> = inside
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = entry.metadata().ok()?;
            let is_set = entry.path().extension().is_some_and(|extension| extension == "images");
            is_set.then(|| (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()))
        })
        .collect();
    sets.sort();
    let mut sum: u64 = sets.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in sets.iter().filter(|(_, _, path)| path != kept) {
        if sum <= MAX_BYTES {
            break;
        }
        if fs::remove_file(path).is_ok() {
            sum -= size;
        }
    }
}
