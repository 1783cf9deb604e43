//! NumPy arrays of images and labels: an NPZ archive, or NPY files next to each other.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::bufread::DeflateDecoder;
use ndarray::{Array2, ArrayD, ArrayView3, Axis, Ix2, IxDyn, ShapeBuilder};
use rawzip::{CompressionMethod, ZipArchive};

use super::{Content, Format, Item, Listing, entries, extension, file_name, part_in_name, read_file};
use crate::dataset::Part;
use crate::error::DataError;
use crate::notes::Notes;
use crate::options::ReadOptions;
use crate::raster::{Raster, affordable, full_scale, over_rgba};
use crate::tree::Tree;

/// An `.npz` file, an `.npy` file of images with its labels next to it, or a folder of `.npy` files.
#[derive(Debug)]
pub(crate) struct Numpy;

/// Usual names of image arrays, without the words for the part.
const IMAGES: [&str; 7] = ["x", "images", "image", "imgs", "data", "features", "arr_0"];
/// Usual names of label arrays.
const LABELS: [&str; 7] = ["y", "labels", "label", "targets", "target", "classes", "arr_1"];
/// Usual names of group arrays.
const GROUPS: [&str; 4] = ["groups", "group", "patients", "subjects"];
/// Usual names of arrays that say which part each image belongs to.
const PARTS: [&str; 2] = ["split", "splits"];
/// The name of the array with the names of the classes, which labels count from 0.
const CLASS_NAMES: &str = "class_names";

impl Format for Numpy {
    fn name(&self) -> &'static str {
        "numpy"
    }

    fn recognises(&self, tree: &Tree, _options: &ReadOptions) -> bool {
        let is_array = |file: &Path| matches!(extension(file).as_str(), "npz" | "npy");
        if !tree.is_folder() {
            return is_array(tree.root());
        }
        tree.files_in(tree.root()).iter().any(|file| is_array(file))
    }

    fn is_encoded(&self) -> bool {
        false
    }

    fn list(&self, tree: &Tree, options: &ReadOptions) -> Result<Listing, DataError> {
        let path = tree.root();
        let mut arrays = BTreeMap::new();
        let mut listing = Listing::default();
        for file in arrays_at(tree)? {
            listing.sources.push(file.clone());
            match extension(&file).as_str() {
                "npz" => arrays.extend(unpacked(&file, read_file(&file)?)?),
                _ => _ = arrays.insert(stem(&file), (file.clone(), read_file(&file)?)),
            }
        }
        let alone = (!tree.is_folder() && extension(path) == "npy").then(|| stem(path));
        let mut found = Vec::new();
        for named in pairs(path, arrays.keys().map(String::as_str), alone.as_deref(), options)? {
            let (at, bytes) = &arrays[&named.images];
            let images = Images::read(bytes).map_err(|why| DataError::damaged(at, why))?;
            found.push((named, images));
        }
        // All parts are brought to 0..255 alike.
        let images = found.iter().map(|(named, images)| (arrays[&named.images].0.as_path(), images));
        let range = match options.value_range {
            Some([low, high]) => Range { low, high },
            None => Range::of(images, &mut listing.notes)?,
        };
        let classes = class_names(&arrays)?;
        for (named, images) in found {
            listing.items.extend(items(&named, &images, range, &arrays, classes.as_deref(), options)?);
        }
        listing.classes = classes;
        Ok(listing)
    }
}

/// The archive, or the arrays that lie beside each other.
fn arrays_at(tree: &Tree) -> Result<Vec<PathBuf>, DataError> {
    let path = tree.root();
    let of_kind = |tree: &Tree, kind: &str| -> Vec<PathBuf> {
        tree.files_in(tree.root()).iter().filter(|file| extension(file) == kind).cloned().collect()
    };
    if !tree.is_folder() {
        if extension(path) != "npy" {
            return Ok(vec![path.into()]);
        }
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        return Ok(entries(folder)?.into_iter().filter(|file| extension(file) == "npy").collect());
    }
    let (mut archives, arrays) = (of_kind(tree, "npz"), of_kind(tree, "npy"));
    match (archives.len(), arrays.len()) {
        (0, 0) => Err(DataError::unusable(path, "there are no .npy files in it, nor an .npz archive")),
        (1, 0) => Ok(archives.split_off(0)),
        (0, _) => Ok(arrays),
        (_, 0) => {
            let names = archives.iter().map(|file| file_name(file)).collect::<Vec<_>>().join(", ");
            Err(DataError::unusable(path, format!("there are several archives: {names}; name the one that is the set")))
        }
        _ => Err(DataError::unusable(
            path,
            format!("there are .npy files and {}; name the one that is the set", file_name(&archives[0])),
        )),
    }
}

fn stem(path: &Path) -> String {
    file_name(path).trim_end_matches(".npy").to_string()
}

type Arrays = BTreeMap<String, (PathBuf, Vec<u8>)>;

/// Returns the arrays of an archive by name, each with its name in errors.
fn unpacked(path: &Path, bytes: Vec<u8>) -> Result<Arrays, DataError> {
    let damaged = |error: &dyn std::fmt::Display| {
        DataError::damaged(path, format!("not a whole NPZ archive ({error}); save it again"))
    };
    let archive = ZipArchive::from_slice(&bytes).map_err(|error| damaged(&error))?;
    let mut arrays = Arrays::new();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(|error| damaged(&error))? {
        let name = entry.file_path().try_normalize().map_err(|error| damaged(&error))?.as_ref().to_string();
        let Some(name) = name.strip_suffix(".npy").map(String::from) else { continue };
        let method = entry.compression_method();
        let entry = archive.get_entry(entry.wayfinder()).map_err(|error| damaged(&error))?;
        let mut array = Vec::new();
        let size = match method {
            CompressionMethod::STORE => entry.verifying_reader(entry.data()).read_to_end(&mut array),
            // Unpacking stops when there is more than the archive says.
            CompressionMethod::DEFLATE => {
                entry.verifying_reader(DeflateDecoder::new(entry.data())).read_to_end(&mut array)
            }
            _ => Err(std::io::Error::other("packed in a way that NumPy does not use")),
        };
        size.map_err(|error| damaged(&error))?;
        arrays.insert(name.clone(), (format!("{} ({name})", path.display()).into(), array));
    }
    Ok(arrays)
}

/// Names of arrays that belong together.
struct Named {
    part: Part,
    images: String,
    labels: String,
    groups: Option<String>,
    subgroups: Option<String>,
    /// The array that says which part each image belongs to, where one does.
    parts: Option<String>,
}

/// Finds which arrays are images and which their labels, by name.
fn pairs<'a>(
    path: &Path,
    names: impl Iterator<Item = &'a str> + Clone,
    alone: Option<&str>,
    options: &ReadOptions,
) -> Result<Vec<Named>, DataError> {
    let is = |name: &str, given: &Option<String>, usual: &[&str]| match given {
        Some(given) => given == name || *given == without_part(name),
        None => usual.contains(&without_part(name).to_lowercase().as_str()),
    };
    let columns = &options.columns;
    let find = |part: Option<Part>, given: &Option<String>, usual: &[&str]| {
        let mut fitting = names.clone().filter(|name| part_in_name(name) == part && is(name, given, usual));
        fitting.next().map(String::from)
    };
    let all = || names.clone().collect::<Vec<_>>().join(", ");
    let mut found = Vec::new();
    for images in names.clone().filter(|name| is(name, &columns.image, &IMAGES)) {
        if alone.is_some_and(|alone| alone != images) {
            continue;
        }
        let part = part_in_name(images);
        let Some(labels) = find(part, &columns.label, &LABELS) else {
            let why =
                format!("{images} has images, but which array has their labels? There are {}. Set label_column", all());
            return Err(DataError::damaged(path, why));
        };
        found.push(Named {
            part: if alone.is_some() { Part::Train } else { part.unwrap_or(Part::Train) },
            images: images.to_string(),
            labels,
            groups: find(part, &columns.group, &GROUPS),
            subgroups: find(part, &columns.subgroup, &[]),
            parts: find(part, &columns.split, &PARTS),
        });
    }
    if found.is_empty() {
        let why = format!("cannot tell which array holds the images; there are {}. Set image_column", all());
        return Err(DataError::damaged(path, why));
    }
    Ok(found)
}

/// Returns a name without the words that tell train from test: `x_train` is `x`, `test_images` is `images`.
fn without_part(name: &str) -> String {
    name.split('_').filter(|word| part_in_name(word).is_none()).collect::<Vec<_>>().join("_")
}

fn items(
    named: &Named,
    images: &Images,
    range: Range,
    arrays: &Arrays,
    classes: Option<&[String]>,
    options: &ReadOptions,
) -> Result<Vec<Item>, DataError> {
    let of = |name: &str| &arrays[name];
    let (path, _) = of(&named.images);
    let count = images.count();
    let column = |name: &str| {
        let (at, bytes) = of(name);
        let cells = cells(bytes).map_err(|why| DataError::damaged(at, why))?;
        if cells.len() != count {
            let why = format!("{} entries, but {} has {count} images", cells.len(), path.display());
            return Err(DataError::damaged(at, why));
        }
        Ok(cells)
    };
    let labels = column(&named.labels)?;
    let groups = named.groups.as_deref().map(column).transpose()?;
    let subgroups = named.subgroups.as_deref().map(column).transpose()?;
    let parts = named.parts.as_deref().map(column).transpose()?;
    labels
        .into_iter()
        .enumerate()
        .map(|(i, label)| {
            let label = match classes {
                None => label,
                Some(classes) => {
                    label.parse().ok().and_then(|class: usize| classes.get(class).cloned()).ok_or_else(|| {
                        let why = format!(
                            "image {i} has label {label}, but {CLASS_NAMES} has {} names, counted from 0",
                            classes.len()
                        );
                        DataError::damaged(&of(&named.labels).0, why)
                    })?
                }
            };
            let part = match parts.as_ref().map(|parts| &parts[i]) {
                None => named.part,
                Some(part) => part_in_name(part).ok_or_else(|| {
                    let why = format!("image {i} belongs to \"{part}\"; there are train, validation and test");
                    DataError::damaged(&of(named.parts.as_ref().unwrap_or(&named.labels)).0, why)
                })?,
            };
            let name = PathBuf::from(format!("{} (image {i})", path.display()));
            let raster = images.raster(i, range, options.background);
            let [group, subgroup] = [&groups, &subgroups].map(|of| of.as_ref().map(|of| of[i].clone()));
            Ok(Item { name, content: Content::Pixels(raster), label, part, group, subgroup })
        })
        .collect()
}

/// Returns the names of the classes, if an array has them.
fn class_names(arrays: &Arrays) -> Result<Option<Vec<String>>, DataError> {
    let Some((path, bytes)) = arrays.get(CLASS_NAMES) else { return Ok(None) };
    match Values::read(bytes).map_err(|why| DataError::damaged(path, why))? {
        Values::Words(names) => Ok(Some(names)),
        _ => Err(DataError::damaged(path, "it holds numbers instead of the names of classes")),
    }
}

/// Images as `[N, H, W, C]`, whatever their original layout.
enum Images {
    Bytes(ArrayD<u8>),
    Integers(ArrayD<i64>),
    Floats(ArrayD<f64>),
}

/// Floats beyond 1 are bytes only where the brightest is at least this bright.
const LEAST_BRIGHT: f64 = 64.0;

/// The values that become 0 and 255.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    const BYTES: Self = Self { low: 0.0, high: 255.0 };

    /// That of arrays, by the least and the greatest value in them.
    fn of<'a>(arrays: impl Iterator<Item = (&'a Path, &'a Images)>, notes: &mut Notes) -> Result<Self, DataError> {
        let (mut low, mut high, mut is_whole, mut at) = (0.0, 0.0, true, PathBuf::new());
        for (path, images) in arrays {
            let (least, greatest) = images.ends().map_err(|image| {
                let name = PathBuf::from(format!("{} (image {image})", path.display()));
                DataError::damaged(&name, "it contains NaN; remove the image")
            })?;
            if at.as_os_str().is_empty() || least < low || greatest > high {
                at = path.into();
            }
            (low, high) = (f64::min(low, least), f64::max(high, greatest));
            is_whole &= !matches!(images, Images::Floats(_));
        }
        // Between 1 and a level that a picture of bytes would have, neither scale is meant.
        if low < 0.0 || (!is_whole && (high > 255.0 || (high > 1.0 && high < LEAST_BRIGHT))) {
            let why = format!(
                "its values reach from {low} to {high}: perhaps they were normalised. Set value_range = [low, high] to the \
                 values that mean black and white, or save uint8"
            );
            return Err(DataError::damaged(&at, why));
        }
        let mut taken = |what: String, high: f64| {
            notes.say(format!("{}: {what}", file_name(&at)));
            Ok(Self { low: 0.0, high })
        };
        match (is_whole, high) {
            (true, high) if high <= 1.0 => {
                taken("its values are 0 and 1, which are taken as black and white".into(), 1.0)
            }
            (true, high) if high <= 255.0 => Ok(Self::BYTES),
            (true, high) => {
                let top = full_scale(high);
                taken(format!("its values reach up to {high}; the range 0 to {top} is brought to 0 to 255"), top)
            }
            (false, high) if high <= 1.0 => Ok(Self { low: 0.0, high: 1.0 }),
            (false, high) => taken(format!("its values reach up to {high:.1}, and are taken as 0 to 255"), 255.0),
        }
    }

    fn to_u8(self, value: f64) -> u8 {
        ((value - self.low) / (self.high - self.low) * 255.0).round().clamp(0.0, 255.0) as u8
    }
}

impl Images {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let images = match Values::read(bytes)? {
            Values::Bytes(values) => Self::Bytes(nhwc(values)?),
            Values::Floats(values) => Self::Floats(nhwc(values)?),
            Values::Integers(values) => Self::Integers(nhwc(values)?),
            Values::Words(_) => return Err("it holds words instead of images".into()),
        };
        let shape = images.shape();
        affordable(shape[2] as u64, shape[1] as u64)?;
        Ok(images)
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Bytes(values) => values.shape(),
            Self::Integers(values) => values.shape(),
            Self::Floats(values) => values.shape(),
        }
    }

    fn count(&self) -> usize {
        self.shape()[0]
    }

    /// The least and the greatest value, or the first image with one that is not a number.
    fn ends(&self) -> Result<(f64, f64), usize> {
        fn ends<T: Copy>(values: &ArrayD<T>, number: impl Fn(T) -> f64) -> Result<(f64, f64), usize> {
            let mut ends = (f64::INFINITY, f64::NEG_INFINITY);
            for (index, image) in values.outer_iter().enumerate() {
                for &value in image {
                    let value = number(value);
                    if value.is_nan() {
                        return Err(index);
                    }
                    ends = (ends.0.min(value), ends.1.max(value));
                }
            }
            Ok(ends)
        }
        match self {
            Self::Bytes(values) => ends(values, f64::from),
            Self::Integers(values) => ends(values, |value| value as f64),
            Self::Floats(values) => ends(values, |value| value),
        }
    }

    fn raster(&self, index: usize, range: Range, background: [u8; 3]) -> Raster {
        match self {
            Self::Bytes(values) if range == Range::BYTES => raster(three(values, index), |value| value, background),
            Self::Bytes(values) => raster(three(values, index), |value| range.to_u8(f64::from(value)), background),
            Self::Integers(values) => raster(three(values, index), |value| range.to_u8(value as f64), background),
            Self::Floats(values) => raster(three(values, index), |value| range.to_u8(value), background),
        }
    }
}

fn three<T>(values: &ArrayD<T>, index: usize) -> ArrayView3<'_, T> {
    values.index_axis(Axis(0), index).into_dimensionality().expect("there are four dimensions")
}

fn raster<T: Copy>(image: ArrayView3<'_, T>, to_u8: impl Fn(T) -> u8, background: [u8; 3]) -> Raster {
    let (height, width, channels) = image.dim();
    let pixels: Vec<u8> = image.iter().map(|&value| to_u8(value)).collect();
    match channels {
        4 => Raster::new(over_rgba(&pixels, background), [width, height], 3),
        _ => Raster::new(pixels, [width, height], channels),
    }
}

/// Converts NHW, NCHW and NHWC to NHWC. If a shape can be read both ways, channels come last.
fn nhwc<T: Clone>(values: ArrayD<T>) -> Result<ArrayD<T>, String> {
    match *values.shape() {
        [_, _, _] => Ok(values.insert_axis(Axis(3))),
        [_, _, _, 1 | 3 | 4] => Ok(values),
        [_, 1 | 3 | 4, _, _] => Ok(values.permuted_axes(IxDyn(&[0, 2, 3, 1]))),
        ref shape => Err(format!(
            "its shape is {shape:?}; images are [N, H, W], or [N, H, W, C] or [N, C, H, W] with 1, 3 or 4 channels"
        )),
    }
}

/// Returns labels or groups as words, from numbers, names, or one-hot rows.
fn cells(bytes: &[u8]) -> Result<Vec<String>, String> {
    let values = match Values::read(bytes)? {
        Values::Words(words) => return Ok(words),
        Values::Bytes(values) => values.mapv(f64::from),
        Values::Integers(values) => values.mapv(|value| value as f64),
        Values::Floats(values) => values,
    };
    let wrong =
        || format!("its shape is {:?}; labels are [N], [N, 1], or [N, classes] with a single 1 each", values.shape());
    let table: Array2<f64> = match values.ndim() {
        1 => values.clone().insert_axis(Axis(1)).into_dimensionality::<Ix2>(),
        _ => values.clone().into_dimensionality::<Ix2>(),
    }
    .map_err(|_| wrong())?;
    if table.ncols() == 0 {
        return Err(wrong());
    }
    let cell = |(row, cells): (usize, ndarray::ArrayView1<'_, f64>)| {
        if cells.len() > 1 {
            let ones: Vec<usize> = (0..cells.len()).filter(|&i| cells[i] == 1.0).collect();
            let zeros = cells.iter().filter(|&&cell| cell == 0.0).count();
            return match ones[..] {
                [class] if zeros + 1 == cells.len() => Ok(class.to_string()),
                _ => Err(format!("row {row} is not a single 1 among zeros; {}", wrong())),
            };
        }
        let value = cells[0];
        if value.fract() != 0.0 || value.abs() > 9e15 {
            return Err(format!("entry {row} is {value}, which is not a whole number"));
        }
        Ok(format!("{value:.0}"))
    };
    table.outer_iter().enumerate().map(cell).collect()
}

/// The values of an array.
enum Values {
    Bytes(ArrayD<u8>),
    Integers(ArrayD<i64>),
    Floats(ArrayD<f64>),
    Words(Vec<String>),
}

impl Values {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let (Header { kind, fortran, shape }, body) = Header::read(bytes)?;
        let width = kind.get(2..).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
        let big = kind.starts_with('>');
        let letter = kind.chars().nth(1).unwrap_or(' ');
        if letter == 'O' {
            return Err("an array of Python objects, which are not supported; save plain numbers".into());
        }
        let size = if letter == 'U' { width.saturating_mul(4) } else { width };
        let promised = shape.iter().try_fold(size, |product, &side| product.checked_mul(side));
        if promised != Some(body.len()) {
            return Err(format!(
                "its header promises {shape:?} of {kind}, but {} bytes follow; save it again",
                body.len()
            ));
        }
        if size == 0 {
            return Err(format!("its type {kind} has size zero"));
        }
        macro_rules! values {
            ($kind:ty, $variant:ident, $to:expr) => {{
                let value = |bytes: &[u8]| {
                    let bytes = bytes.try_into().expect("chunks have the size of the type");
                    $to(if big { <$kind>::from_be_bytes(bytes) } else { <$kind>::from_le_bytes(bytes) })
                };
                let values = body.chunks_exact(size).map(value).collect();
                let shape = IxDyn(&shape).set_f(fortran);
                Ok(Self::$variant(ArrayD::from_shape_vec(shape, values).map_err(|error| error.to_string())?))
            }};
        }
        match (letter, width) {
            ('u' | 'b', 1) => values!(u8, Bytes, |v| v),
            ('u', 2) => values!(u16, Integers, i64::from),
            ('u', 4) => values!(u32, Integers, i64::from),
            ('u', 8) => values!(u64, Integers, |v| i64::try_from(v).unwrap_or(i64::MAX)),
            ('i', 1) => values!(i8, Integers, i64::from),
            ('i', 2) => values!(i16, Integers, i64::from),
            ('i', 4) => values!(i32, Integers, i64::from),
            ('i', 8) => values!(i64, Integers, |v| v),
            ('f', 4) => values!(f32, Floats, f64::from),
            ('f', 8) => values!(f64, Floats, |v| v),
            ('S', _) => body.chunks_exact(size).map(ascii).collect::<Result<_, _>>().map(Self::Words),
            ('U', _) => body.chunks_exact(size).map(|word| text(word, big)).collect::<Result<_, _>>().map(Self::Words),
            _ => Err(format!("its type {kind} is not supported; save it as uint8, or floats in 0..1 as float32")),
        }
    }
}

/// A word of fixed length, a byte a letter, zeros behind it.
fn ascii(word: &[u8]) -> Result<String, String> {
    let end = word.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8(word[..end].to_vec()).map_err(|_| "a word of it is no text".into())
}

/// A word of fixed length, four bytes a letter, zeros behind it.
fn text(word: &[u8], big: bool) -> Result<String, String> {
    let letters = word.chunks_exact(4).map(|bytes| {
        let bytes = bytes.try_into().expect("chunks have four bytes");
        if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    });
    letters
        .take_while(|&letter| letter != 0)
        .map(char::from_u32)
        .collect::<Option<_>>()
        .ok_or("one of its words is not text".into())
}

/// What precedes the values: NumPy's format, versions 1 to 3 (NEP 1).
struct Header {
    /// Byte order, kind and size, such as `<f4`.
    kind: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads the header, and returns the bytes after it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        let wrong = || "not a NumPy array; save it again".to_string();
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(wrong)?;
        let (length, rest) = match rest {
            [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => return Err(wrong()),
        };
        let (text, body) = rest.split_at_checked(length).ok_or_else(wrong)?;
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        // A Python dictionary with three known keys, always written the same way.
        let after = |key: &str| text.split_once(key).map(|(_, rest)| rest.trim_start_matches([' ', ':']));
        let kind = after("'descr'").ok_or_else(wrong)?;
        let Some((kind, _)) = kind.strip_prefix('\'').and_then(|kind| kind.split_once('\'')) else {
            return Err("a structured array; save plain numbers".into());
        };
        let fortran = after("'fortran_order'").ok_or_else(wrong)?.starts_with("True");
        let shape = after("'shape'").and_then(|shape| shape.strip_prefix('(')).and_then(|shape| shape.split_once(')'));
        let sides = shape.ok_or_else(wrong)?.0.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape = sides.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        Ok((Self { kind: kind.into(), fortran, shape }, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_find_each_other() {
        let found = |names: &[&str], options: &ReadOptions| {
            let pairs = pairs(Path::new("set"), names.iter().copied(), None, options)?;
            Ok::<_, DataError>(pairs.into_iter().map(|p| (p.part, p.images, p.labels)).collect::<Vec<_>>())
        };
        let plain = ReadOptions::default();
        let owned = |part, x: &str, y: &str| (part, x.to_string(), y.to_string());
        let keras = found(&["x_test", "x_train", "y_test", "y_train"], &plain).unwrap();
        assert_eq!(keras, [owned(Part::Test, "x_test", "y_test"), owned(Part::Train, "x_train", "y_train")]);
        let medmnist = found(&["val_images", "val_labels"], &plain).unwrap();
        assert_eq!(medmnist, [owned(Part::Validation, "val_images", "val_labels")]);
        assert_eq!(found(&["X", "y"], &plain).unwrap(), [owned(Part::Train, "X", "y")]);
        let why = found(&["a", "b"], &plain).unwrap_err().to_string();
        assert!(why.contains("there are a, b. Set image_column"), "{why}");
        let mut own = ReadOptions::default();
        own.columns.image = Some("a".into());
        own.columns.label = Some("b".into());
        assert_eq!(found(&["a", "b"], &own).unwrap(), [owned(Part::Train, "a", "b")]);
    }

    #[test]
    fn a_header_that_lies_takes_no_memory() {
        let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000000000000,), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        assert!(Values::read(&bytes).err().unwrap().contains("0 bytes follow"));
    }
}
