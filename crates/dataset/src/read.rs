//! From a path to a data set: lists the images of a format, decodes them on all cores, and converts them to one
//! shape.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::{Array3, Array4};
use rayon::prelude::*;

use crate::cache;
use crate::dataset::{Dataset, Part, Pixels, Sample};
use crate::duplicates::Duplicates;
use crate::error::DataError;
use crate::formats::{self, Content, Item, Listing};
use crate::notes::Notes;
use crate::options::{Channels, Columns, ImageSize, MAX_AUTO, OnBadImage, ReadOptions};
use crate::origins::{Origins, Skipped};
use crate::raster::{Deep, Fit, Raster, sized};
use crate::subgroups;
use crate::tree::{Tree, is_image};

type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

impl Dataset {
    /// Reads an image set from a path, detecting its format; the name of a [`Sample`] reads that sample.
    ///
    /// Images that are equal pixel by pixel belong together, as do those of one group if the source has groups.
    ///
    /// # Errors
    /// [`DataError`] names the file or image at fault.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        Self::read_with(path, options, &|_, _| ())
    }

    /// Reads an image set as [`read`](Self::read) does. Calls `progress`, from several threads, with the number of
    /// images decoded so far and the total.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with(
        path: &Path,
        options: &ReadOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, DataError> {
        read(path, options, progress)
    }

    /// Brings images in memory to one size and one number of channels, as [`read`](Self::read) does with those of files.
    /// `origin` names them in errors. `classes` gives the order of classes, of which those without images are left out;
    /// otherwise they are sorted.
    ///
    /// # Errors
    /// [`DataError`] names the image at fault.
    ///
    /// ```
    /// use deepaug_dataset::{Dataset, LabelledImage, ReadOptions};
    /// use ndarray::Array3;
    ///
    /// let images = [("cat", 10), ("dog", 200)].map(|(label, grey)| LabelledImage {
    ///     pixels: Array3::from_elem((8, 8, 1), grey),
    ///     label: label.into(),
    ///     ..LabelledImage::default()
    /// });
    /// let dataset = Dataset::of_images("pets".as_ref(), images.to_vec(), None, &ReadOptions::default())?;
    /// assert_eq!((dataset.len(), dataset.classes()), (2, &["cat".to_string(), "dog".to_string()][..]));
    /// # Ok::<(), deepaug_dataset::DataError>(())
    /// ```
    pub fn of_images(
        origin: &Path,
        images: Vec<LabelledImage>,
        classes: Option<Vec<String>>,
        options: &ReadOptions,
    ) -> Result<Self, DataError> {
        let item = |(index, image): (usize, LabelledImage)| {
            let LabelledImage { pixels, label, part, group } = image;
            let (height, width, channels) = pixels.dim();
            let name = PathBuf::from(format!("image {index} of {}", origin.display()));
            if height == 0 || width == 0 || !matches!(channels, 1 | 3) {
                let why = format!("{height}x{width} pixels and {channels} channels; it must be grey (1) or RGB (3)");
                return Err(DataError::damaged(&name, why));
            }
            let pixels = pixels.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
            let content = Content::Pixels(Raster::new(pixels, [width, height], channels));
            Ok(Item { name, content, label, part, group, subgroup: None })
        };
        let items: Vec<Item> = images.into_iter().enumerate().map(item).collect::<Result<_, _>>()?;
        if items.is_empty() {
            return Err(DataError::unusable(origin, "there are no images in it"));
        }
        let listing = Listing { items, classes, ..Listing::default() };
        assemble(origin, "memory", listing, options, &|_, _| ())
    }

    /// Returns the embedded sample of Fashion-MNIST (Xiao et al. 2017, MIT licence): 4,000 training and 1,000 test
    /// images, grey, 28x28, ten classes of equal size.
    pub fn sample() -> Self {
        sample(Sample::FashionMnist, None).expect("the embedded sample is whole, as its test shows")
    }
}

/// An image in memory, for [`Dataset::of_images`].
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledImage {
    /// Height x width x channels (1 or 3).
    pub pixels: Array3<u8>,
    /// The name of its class.
    pub label: String,
    /// The part that it belongs to; [`Part::Train`] where the source has no parts.
    pub part: Part,
    /// The group that it belongs to, such as one patient's images.
    pub group: Option<String>,
}

impl Default for LabelledImage {
    fn default() -> Self {
        Self { pixels: Array3::zeros((1, 1, 1)), label: String::new(), part: Part::Train, group: None }
    }
}

fn read(path: &Path, options: &ReadOptions, progress: Progress<'_>) -> Result<Dataset, DataError> {
    if let Some(sample) = path.to_str().and_then(Sample::named) {
        return self::sample(sample, options.columns.subgroup.clone());
    }
    let tree = Tree::new(path)?;
    // Where another table says which subgroup an image is of, the set itself need not.
    let table = options.columns.subgroup_table.as_deref().zip(options.columns.subgroup.as_deref());
    let columns = Columns { subgroup: None, subgroup_table: None, ..options.columns.clone() };
    let own = ReadOptions { columns, ..options.clone() };
    let of_set = if table.is_some() { &own } else { options };
    let format = formats::of(&tree, of_set)?;
    let decode = || {
        let mut listing = format.list(&tree, of_set)?;
        if let Some((table, column)) = table {
            subgroups::look_up(&mut listing, table, column)?;
        }
        pass_over(&tree, &mut listing);
        assemble(path, format.name(), listing, options, progress)
    };
    match &options.cache {
        Some(folder) if format.is_encoded() => {
            let mut files = format.files(&tree, of_set)?;
            files.extend(table.map(|(table, _)| table.into()));
            cache::fetch(folder, path, &files, options, decode)
        }
        _ => decode(),
    }
}

/// Says which files are no part of a set.
fn pass_over(tree: &Tree, listing: &mut Listing) {
    if !tree.is_folder() {
        return;
    }
    let of_items =
        listing.items.iter().filter(|item| matches!(item.content, Content::File)).map(|item| item.name.as_path());
    let used: HashSet<&Path> = of_items.chain(listing.sources.iter().map(PathBuf::as_path)).collect();
    let unused: Vec<&Path> = tree.files().filter(|file| !used.contains(file)).collect();
    let (images, others): (Vec<&Path>, Vec<&Path>) = unused.into_iter().partition(|file| is_image(file));
    let mut folders: BTreeMap<&Path, (usize, &Path)> = BTreeMap::new();
    for image in images {
        folders.entry(image.parent().unwrap_or(image)).or_insert((0, image)).0 += 1;
    }
    for (count, example) in folders.into_values() {
        let images = if count == 1 { "1 image".into() } else { format!("{count} images") };
        listing.notes.say(format!("passed over: {images} without a label ({})", example.display()));
    }
    listing.notes.pass_over(others);
    listing.notes.pass_over_special(tree);
}

/// A set that is part of the program. Nothing needs to be said about how it is read; subgroups that are asked for it does not
/// have.
fn sample(sample: Sample, subgroup: Option<String>) -> Result<Dataset, DataError> {
    let listing = formats::idx::sample(sample)?;
    let options = ReadOptions { columns: Columns { subgroup, ..Columns::default() }, ..ReadOptions::default() };
    assemble(Path::new(sample.name()), "sample", listing, &options, &|_, _| ())
}

fn assemble(
    path: &Path,
    format: &str,
    listing: Listing,
    options: &ReadOptions,
    progress: Progress<'_>,
) -> Result<Dataset, DataError> {
    let Listing { items, classes, mut notes, .. } = listing;
    // Said before the images are decoded: the commonest mistake is to name the folder of one class.
    let mut labels = items.iter().map(|item| &item.label);
    if let Some(first) = labels.next()
        && labels.all(|label| label == first)
    {
        let why = format!(
            "there is only one class ({first}); a classifier needs two or more. Name the folder above, or add a class"
        );
        return Err(DataError::unusable(path, why));
    }
    let side = side(&items, options);
    let done = AtomicUsize::new(0);
    let count = items.len();
    let mut decoded: Vec<_> = items
        .into_par_iter()
        .map(|mut item| {
            let content = std::mem::replace(&mut item.content, Content::File);
            let image = decode(&item.name, &content, side, options.value_range, options);
            // What has 16 bits may be decoded once more.
            let is_deep = image.as_ref().is_ok_and(|(image, _)| image.deep.is_some());
            item.content = if is_deep { content } else { Content::File };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
            (item, image)
        })
        .collect();
    if options.value_range.is_none() {
        fill_range(&mut decoded, side, options, &mut notes);
    }
    let mut kept = Kept { items: Vec::new(), images: Vec::new(), origins: Origins::default() };
    kept.origins.format = format.into();
    kept.origins.padded = options.fit == Fit::Pad;
    kept.origins.notes = notes.into_inner();
    for (item, image) in decoded {
        match image {
            Ok((image, size)) => {
                kept.images.push(image);
                kept.origins.sizes.push(size);
                kept.items.push(item);
            }
            Err(Bad { why, .. }) if options.on_bad_image == OnBadImage::Skip => {
                kept.origins.skipped.push(Skipped { name: item.name, why });
            }
            // The first in the order of the set, whichever thread found one first.
            Err(Bad { why, source }) => {
                return Err(match source {
                    Some(source) => DataError::io(&item.name, source),
                    None => DataError::damaged(&item.name, why),
                });
            }
        }
    }
    kept.into_dataset(path, classes, options)
}

/// Brings images of 16 bits to the range that their set uses, where they use a part of it alone: a scanner's 12 bits are nearly black
/// otherwise.
fn fill_range(decoded: &mut [(Item, Decoded)], side: Option<usize>, options: &ReadOptions, notes: &mut Notes) {
    let deep = |(_, image): &(Item, Decoded)| image.as_ref().ok()?.0.deep;
    let Some(all) = decoded.iter().filter_map(deep).reduce(Deep::join) else { return };
    let (most, top) = (all.greatest, all.top());
    // A step of 8 bits less than all of 16 is nothing to be seen.
    if top > 254.0 / 255.0 * f64::from(u16::MAX) {
        return;
    }
    let deep = decoded.par_iter_mut().filter(|decoded| deep(decoded).is_some());
    deep.for_each(|(item, image)| *image = decode(&item.name, &item.content, side, Some([0.0, top]), options));
    notes.say(format!(
        "images of 16 bits use values up to {most} alone: the range 0 to {top} is brought to 0 to 255; value_range sets another"
    ));
}

/// An image at its side, and the width and height that it had.
type Decoded = Result<(Raster, [usize; 2]), Bad>;

/// Why an image cannot be had.
struct Bad {
    why: String,
    source: Option<std::io::Error>,
}

impl From<String> for Bad {
    fn from(why: String) -> Self {
        Self { why, source: None }
    }
}

impl From<std::io::Error> for Bad {
    fn from(source: std::io::Error) -> Self {
        Self { why: format!("cannot read: {source}"), source: Some(source) }
    }
}

/// Returns the image at its side, and its original width and height.
fn decode(
    name: &Path,
    content: &Content,
    side: Option<usize>,
    range: Option<[f64; 2]>,
    options: &ReadOptions,
) -> Decoded {
    let background = options.background;
    let raster = match content {
        Content::File => Raster::decode(&std::fs::read(name)?, background, range)?,
        Content::Encoded(bytes) => Raster::decode(bytes, background, range)?,
        Content::Pixels(raster) => raster.clone(),
    };
    let deep = raster.deep;
    let raster = match options.channels {
        Channels::Auto => raster,
        Channels::Grey => raster.with_channels(1),
        Channels::Rgb => raster.with_channels(3),
    };
    let size = [raster.width, raster.height];
    let raster = match side {
        Some(side) => sized(raster, side, options.fit, background),
        None => raster,
    };
    Ok((Raster { deep, ..raster }, size))
}

/// Returns the side that images should have, or `None` for their own size.
fn side(items: &[Item], options: &ReadOptions) -> Option<usize> {
    match options.image_size {
        ImageSize::Own => None,
        ImageSize::Side(side) => Some(side as usize),
        ImageSize::Auto => {
            // Images that cannot be read are handled where they are decoded.
            let sizes: Vec<_> = items.par_iter().filter_map(dimensions).collect();
            let longest = sizes.iter().map(|&(width, height)| width.max(height)).max()?;
            if longest <= MAX_AUTO && sizes.iter().all(|size| *size == sizes[0]) {
                return None;
            }
            let mut shorter: Vec<usize> = sizes.iter().map(|&(width, height)| width.min(height)).collect();
            let middle = shorter.len() / 2;
            Some((*shorter.select_nth_unstable(middle).1).min(MAX_AUTO))
        }
    }
}

/// Returns the width and height of an image that is not decoded yet.
fn dimensions(item: &Item) -> Option<(usize, usize)> {
    use std::io::Read;
    /// In most formats headers are at the beginning, after a profile and a thumbnail at most.
    const BEGINNING: u64 = 1 << 18;
    match &item.content {
        Content::Pixels(raster) => Some((raster.width, raster.height)),
        Content::Encoded(bytes) => Raster::dimensions(bytes).ok(),
        Content::File => {
            let mut bytes = Vec::new();
            let mut file = std::fs::File::open(&item.name).ok()?;
            file.by_ref().take(BEGINNING).read_to_end(&mut bytes).ok()?;
            Raster::dimensions(&bytes).ok().or_else(|| {
                file.read_to_end(&mut bytes).ok()?;
                Raster::dimensions(&bytes).ok()
            })
        }
    }
}

/// The images that could be read.
struct Kept {
    items: Vec<Item>,
    images: Vec<Raster>,
    origins: Origins,
}

impl Kept {
    fn into_dataset(
        self,
        path: &Path,
        order: Option<Vec<String>>,
        options: &ReadOptions,
    ) -> Result<Dataset, DataError> {
        let Self { items, images, mut origins } = self;
        if let ([], [first, ..]) = (&items[..], &origins.skipped[..]) {
            let why = format!(
                "none of its {} images can be read; the first is {}: {}",
                origins.skipped.len(),
                first.name.display(),
                first.why
            );
            return Err(DataError::unusable(path, why));
        }
        let pixels = stack(path, &items, images, options)?;
        let (classes, labels) = numbered(&items, order);
        let parts = items.iter().map(|item| item.part).collect();
        origins.grouped = items.iter().any(|item| item.group.is_some());
        let groups: Vec<_> = items.iter().map(|item| item.group.clone()).collect();
        let subgroups: Vec<_> = items.iter().map(|item| item.subgroup.clone()).collect();
        origins.names = items.into_iter().map(|item| item.name).collect();
        let dataset = Dataset::from_pixels(path, Pixels::Owned(pixels), labels, classes, parts)?.with_origins(origins);
        let dataset = together(dataset, &groups)?;
        match &options.columns.subgroup {
            None => Ok(dataset),
            Some(column) => with_subgroups(dataset, column, subgroups),
        }
    }
}

/// Returns class names in order, and a number for each image.
fn numbered(items: &[Item], order: Option<Vec<String>>) -> (Vec<String>, Vec<usize>) {
    let mut seen: Vec<&str> = items.iter().map(|item| item.label.as_str()).collect();
    seen.sort_unstable();
    seen.dedup();
    match order {
        Some(order) => {
            let place = |label: &str| order.iter().position(|name| name == label).unwrap_or(order.len());
            seen.sort_by_key(|label| place(label));
        }
        None if seen.iter().all(|label| label.parse::<i64>().is_ok()) => {
            seen.sort_by_key(|label| label.parse::<i64>().unwrap_or_default());
        }
        None => {}
    }
    let number: std::collections::HashMap<&str, usize> =
        seen.iter().enumerate().map(|(i, &label)| (label, i)).collect();
    let labels = items.iter().map(|item| number[item.label.as_str()]).collect();
    (seen.into_iter().map(String::from).collect(), labels)
}

/// Stacks images into `[N, H, W, C]`: grey if every one is grey, else RGB.
fn stack(path: &Path, items: &[Item], images: Vec<Raster>, options: &ReadOptions) -> Result<Array4<u8>, DataError> {
    let Some(Raster { width, height, .. }) = images.first() else {
        return Err(DataError::unusable(path, "there are no images in it"));
    };
    let (width, height) = (*width, *height);
    if let Some(other) = images.iter().position(|image| (image.width, image.height) != (width, height)) {
        let (first, name) = (items[0].name.display(), items[other].name.display());
        let why = format!(
            "images differ in size: {first} is {width}x{height} pixels, {name} is {}x{}; set image_size to bring all to \
             one size",
            images[other].width, images[other].height
        );
        return Err(DataError::unusable(path, why));
    }
    let channels = match options.channels {
        Channels::Grey => 1,
        Channels::Rgb => 3,
        Channels::Auto => images.iter().map(|image| image.channels).max().unwrap_or(1),
    };
    let length = height * width * channels;
    let mut pixels = vec![0; images.len() * length];
    pixels.par_chunks_exact_mut(length).zip(images).for_each(|(place, image)| {
        place.copy_from_slice(&image.with_channels(channels).pixels);
    });
    let shape = (pixels.len() / length, height, width, channels);
    Ok(Array4::from_shape_vec(shape, pixels).expect("every image has the size checked above"))
}

/// Gives every image its subgroup.
fn with_subgroups(dataset: Dataset, column: &str, of: Vec<Option<String>>) -> Result<Dataset, DataError> {
    if of.iter().all(Option::is_none) {
        let why = format!(
            "it says of no image which subgroup it is of: there is no \"{column}\". Name a column of a table, a key or an \
             array; or \"folder\", where class folders hold a folder for each subgroup; or give a table of images and \
             subgroups as subgroup_table"
        );
        return Err(DataError::unusable(dataset.origin(), why));
    }
    if let Some(image) = of.iter().position(Option::is_none) {
        let why = format!("{} has no \"{column}\"; give one or leave the image out", dataset.name(image));
        return Err(DataError::unusable(dataset.origin(), why));
    }
    dataset.with_subgroups(&of.into_iter().flatten().collect::<Vec<_>>())
}

/// Joins images that belong together: those of one group of the source, and equal ones.
fn together(dataset: Dataset, groups: &[Option<String>]) -> Result<Dataset, DataError> {
    let duplicates = Duplicates::find(&dataset);
    if duplicates.sets.is_empty() && groups.iter().all(Option::is_none) {
        return Ok(dataset);
    }
    let mut links = UnionFind::new(dataset.len());
    for set in &duplicates.sets {
        set.iter().for_each(|&image| links.join(set[0], image));
    }
    let mut first: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for (image, group) in groups.iter().enumerate() {
        if let Some(group) = group {
            links.join(*first.entry(group).or_insert(image), image);
        }
    }
    let groups = (0..dataset.len()).map(|image| links.root(image)).collect();
    dataset.with_groups(groups)
}

/// A forest of images, each linked to an earlier one that it belongs with (Galler and Fischer 1964).
struct UnionFind(Vec<usize>);

impl UnionFind {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut image: usize) -> usize {
        while self.0[image] != image {
            self.0[image] = self.0[self.0[image]];
            image = self.0[image];
        }
        image
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Part;

    #[test]
    fn every_sample_has_its_name_and_the_letters_are_whole() {
        for sample in Sample::ALL {
            assert_eq!(Sample::named(sample.name()), Some(sample));
        }
        let letters = Dataset::read(Path::new("omniglot-sample"), &ReadOptions::default()).unwrap();
        assert_eq!((letters.image_shape(), letters.classes().len()), ([28, 28, 1], 40));
        let count = |part| (0..letters.len()).filter(|&i| letters.parts()[i] == part).count();
        assert_eq!((count(Part::Train), count(Part::Test)), (40 * 14, 40 * 6));
    }

    #[test]
    fn the_sample_is_whole_and_balanced() {
        let sample = Dataset::sample();
        assert_eq!(sample.image_shape(), [28, 28, 1]);
        for (part, per_class) in [(Part::Train, 400), (Part::Test, 100)] {
            for class in 0..10 {
                let n = (0..sample.len()).filter(|&i| sample.labels()[i] == class && sample.parts()[i] == part).count();
                assert_eq!(n, per_class);
            }
        }
        assert_eq!(sample.classes()[9], "ankle-boot");
    }
}
