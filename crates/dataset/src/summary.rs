//! What a set contains, and what about it may spoil a search.

use rayon::prelude::*;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use crate::dataset::{Dataset, Part};
use crate::duplicates::Duplicates;
use crate::origins::Skipped;
use crate::split::Split;

/// Below this number, a class has too few images to learn from or to measure on: one image is then a tenth or
/// more.
const FEW: usize = 10;
/// Classes are unequal if the largest has this many times the images of the smallest.
const UNEQUAL: usize = 10;
/// The square in the middle of an image is to keep this part of it.
const LEAST_KEPT: f64 = 0.5;
/// Images named in a warning.
const NAMED: usize = 3;

/// What a set contains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The format it was read from.
    pub format: String,
    /// Number of images.
    pub images: usize,
    /// Height, width and channels of every image, as the set holds them.
    pub shape: [usize; 3],
    /// Width and height of the smallest, the median and the largest image at the source, by area.
    pub source_sizes: [[usize; 2]; 3],
    /// Number of different sizes at the source.
    pub different_sizes: usize,
    /// Mean of each channel, out of 255.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, out of 255.
    pub standard_deviation: Vec<f64>,
    /// Each class with its images per part.
    pub classes: Vec<ClassCounts>,
    /// Whether the source itself says which images are for testing or validation.
    pub own_split: bool,
    /// Number of groups of images that the source says belong together, counting equal images; `None` if it does
    /// not say.
    pub groups: Option<usize>,
    /// Number of images that are equal to an earlier one.
    pub duplicates: usize,
    /// Names of the images of each set of equal ones.
    pub duplicate_sets: Vec<Vec<String>>,
    /// Images that could not be read and were left out.
    pub skipped: Vec<Skipped>,
    /// What may spoil a search, and what to do about it.
    pub warnings: Vec<String>,
}

/// The images of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCounts {
    /// Its name.
    pub name: String,
    /// Number of training images, of which a study may use fewer.
    pub train: usize,
    /// Number of validation images.
    pub validation: usize,
    /// Number of images that no search sees.
    pub test: usize,
}

impl Summary {
    /// Summarises a set and how `split` divides it; without a split, the source's own parts are used.
    pub fn new(dataset: &Dataset, split: Option<&Split>) -> Self {
        let parts = match split {
            Some(split) => parts_of(dataset, split),
            None => dataset.parts().iter().copied().map(Some).collect(),
        };
        let duplicates = Duplicates::find(dataset);
        let origins = dataset.origins();
        let mut sizes = match origins.sizes.as_slice() {
            [] => {
                let [height, width, _] = dataset.image_shape();
                vec![[width, height]]
            }
            sizes => sizes.to_vec(),
        };
        sizes.sort_unstable_by_key(|[width, height]| (width * height, *width));
        let source_sizes = [sizes[0], sizes[sizes.len() / 2], sizes[sizes.len() - 1]];
        sizes.sort_unstable();
        sizes.dedup();
        let (mean, standard_deviation) = moments(dataset);
        let name = |&image: &usize| dataset.name(image);
        let mut summary = Self {
            format: origins.format.clone(),
            images: dataset.len(),
            shape: dataset.image_shape(),
            source_sizes,
            different_sizes: sizes.len(),
            mean,
            standard_deviation,
            classes: counts(dataset, &parts),
            own_split: dataset.parts().iter().any(|&part| part != Part::Train),
            groups: origins.grouped.then(|| number_of_groups(dataset)),
            duplicates: duplicates.surplus(),
            duplicate_sets: duplicates.sets.iter().map(|set| set.iter().map(name).collect()).collect(),
            skipped: origins.skipped.clone(),
            warnings: origins.notes.clone(),
        };
        summary.warnings.extend(summary.alike_classes());
        summary.warnings.extend(strips(dataset));
        summary.warnings.extend(summary.unequal_classes());
        summary.warnings.extend(contradictions(dataset, &duplicates));
        summary.warnings.extend(leaks(dataset, &parts, &duplicates));
        summary
    }

    /// A warning of classes whose names look the same, or nearly.
    fn alike_classes(&self) -> Option<String> {
        let plain = |name: &str| -> String {
            let is_seen = |c: &char| {
                !c.is_whitespace() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}' | '_' | '-')
            };
            // A letter with its mark is one sign or two, which look the same.
            name.nfkd().filter(is_seen).flat_map(char::to_lowercase).collect()
        };
        let mut seen: std::collections::BTreeMap<String, &str> = std::collections::BTreeMap::new();
        self.classes.iter().find_map(|class| {
            let other = seen.insert(plain(&class.name), &class.name)?;
            Some(format!(
                "two classes are called nearly the same: {} and {}. If they are one, give them one name",
                quoted(other),
                quoted(&class.name)
            ))
        })
    }

    /// Warnings of classes that have few images, or few beside others.
    fn unequal_classes(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let total = |class: &ClassCounts| class.train + class.validation + class.test;
        let few: Vec<_> = self.classes.iter().filter(|class| class.train < FEW).collect();
        if let [first, ..] = few[..] {
            warnings.push(format!(
                "{} to learn from in {}{}: results on so few are mostly chance. Collect more, or leave such \
                 classes out",
                if first.train == 1 { "there is 1 image".into() } else { format!("there are {} images", first.train) },
                quoted(&first.name),
                others(few.len() - 1, "class", "classes"),
            ));
        }
        let largest = self.classes.iter().max_by_key(|class| total(class));
        let smallest = self.classes.iter().min_by_key(|class| total(class));
        if let (Some(largest), Some(smallest)) = (largest, smallest)
            && total(largest) >= UNEQUAL * total(smallest)
        {
            warnings.push(format!(
                "classes are unequal: {} has {} images, {} has {}. Accuracy, and so the search, favours the large \
                 ones: always answering {} is right {:.0} % of the time. Even them out if small classes matter",
                quoted(&largest.name),
                total(largest),
                quoted(&smallest.name),
                total(smallest),
                quoted(&largest.name),
                100.0 * total(largest) as f64 / self.images.max(1) as f64
            ));
        }
        warnings
    }
}

/// Returns the part of each image; none for those that a search does not use.
fn parts_of(dataset: &Dataset, split: &Split) -> Vec<Option<Part>> {
    let mut parts = vec![None; dataset.len()];
    let named = [(&split.train, Part::Train), (&split.rest, Part::Train), (&split.validation, Part::Validation)];
    for (images, part) in named.into_iter().chain([(&split.test, Part::Test)]) {
        images.iter().for_each(|&image| parts[image] = Some(part));
    }
    parts
}

fn counts(dataset: &Dataset, parts: &[Option<Part>]) -> Vec<ClassCounts> {
    let empty = |name: &String| ClassCounts { name: name.clone(), train: 0, validation: 0, test: 0 };
    let mut classes: Vec<_> = dataset.classes().iter().map(empty).collect();
    for (&label, part) in dataset.labels().iter().zip(parts) {
        match part {
            Some(Part::Train) => classes[label].train += 1,
            Some(Part::Validation) => classes[label].validation += 1,
            Some(Part::Test) => classes[label].test += 1,
            None => {}
        }
    }
    classes
}

/// Returns the mean and standard deviation of each channel, from exact sums.
fn moments(dataset: &Dataset) -> (Vec<f64>, Vec<f64>) {
    let [height, width, channels] = dataset.image_shape();
    let images = dataset.images();
    let pixels = images.as_slice().expect("a data set is one block of memory");
    let of_image = |image: &[u8]| {
        let mut sums = vec![(0u64, 0u64); channels];
        for pixel in image.chunks_exact(channels) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                sum.0 += u64::from(value);
                sum.1 += u64::from(value).pow(2);
            }
        }
        sums
    };
    let add = |mut a: Vec<(u64, u64)>, b: Vec<(u64, u64)>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = (a.0 + b.0, a.1 + b.1));
        a
    };
    let sums = pixels.par_chunks_exact(height * width * channels).map(of_image).reduce(|| vec![(0, 0); channels], add);
    let count = (dataset.len() * height * width) as f64;
    sums.into_iter()
        .map(|(sum, squares)| {
            let mean = sum as f64 / count;
            (mean, (squares as f64 / count - mean * mean).max(0.0).sqrt())
        })
        .unzip()
}

fn number_of_groups(dataset: &Dataset) -> usize {
    let mut groups = dataset.groups().unwrap_or_default().to_vec();
    groups.sort_unstable();
    groups.dedup();
    groups.len()
}

/// Returns a warning about equal images with different labels.
fn contradictions(dataset: &Dataset, duplicates: &Duplicates) -> Option<String> {
    let labels = dataset.labels();
    let split = |set: &&Vec<usize>| set.iter().any(|&image| labels[image] != labels[set[0]]);
    let sets: Vec<_> = duplicates.sets.iter().filter(split).collect();
    let first = sets.first()?;
    let other = first.iter().find(|&&image| labels[image] != labels[first[0]])?;
    let class = |image: usize| quoted(&dataset.classes()[labels[image]]);
    Some(format!(
        "{} is {} and {} is {}, but they are the same image{}. Decide which label is right, and remove the other",
        dataset.name(first[0]),
        class(first[0]),
        dataset.name(*other),
        class(*other),
        others(sets.len() - 1, "such image", "such images"),
    ))
}

/// Returns warnings about images that belong together but are on two sides of the source's own split.
fn leaks(dataset: &Dataset, parts: &[Option<Part>], duplicates: &Duplicates) -> Vec<String> {
    let parted = |set: &[usize]| {
        let mut sides = set.iter().filter_map(|&image| parts[image]);
        sides.next().is_some_and(|first| sides.any(|side| side != first))
    };
    let mut warnings = Vec::new();
    let same: Vec<_> = duplicates.sets.iter().filter(|set| parted(set)).collect();
    if let Some(first) = same.first() {
        let names: Vec<String> = first.iter().take(NAMED).map(|&image| dataset.name(image)).collect();
        warnings.push(format!(
            "the same image is in more than one part of the split: {}{}. Results on it measure memory, not \
             learning; remove it from one",
            names.join(" and "),
            others(same.len() - 1, "such image", "such images"),
        ));
    }
    if dataset.origins().grouped
        && let Some(groups) = dataset.groups()
    {
        let mut members: std::collections::BTreeMap<usize, Vec<usize>> = std::collections::BTreeMap::new();
        groups.iter().enumerate().for_each(|(image, &group)| members.entry(group).or_default().push(image));
        let parted: Vec<_> = members.values().filter(|set| parted(set)).collect();
        if let Some(first) = parted.first() {
            warnings.push(format!(
                "images of one group are in more than one part of the split: that of {}{}. Move each group to one side",
                dataset.name(first[0]),
                others(parted.len() - 1, "other group", "other groups"),
            ));
        }
    }
    warnings
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// Returns " and 3 more classes", or nothing.
fn others(count: usize, one: &str, many: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(", and 1 more {one}"),
        count => format!(", and {count} more {many}"),
    }
}

/// A warning of images so long that their central square shows little of them.
fn strips(dataset: &Dataset) -> Option<String> {
    let [height, width, _] = dataset.image_shape();
    let kept = |[w, h]: [usize; 2]| w.min(h) as f64 / w.max(h).max(1) as f64;
    let shapes: Vec<[usize; 2]> = dataset.origins().sizes.clone();
    // Images that keep their own shape lose nothing, nor do those that are shown whole.
    if height != width || dataset.origins().padded || shapes.is_empty() {
        return None;
    }
    let mean = shapes.iter().map(|&size| kept(size)).sum::<f64>() / shapes.len() as f64;
    (mean < LEAST_KEPT).then(|| {
        format!(
            "images are long strips: the square in their middle keeps {:.0} % of them. Set fit = \"pad\" to keep all",
            100.0 * mean
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ndarray::Array4;

    use super::*;
    use crate::split::SplitSizes;

    /// Images of two classes, each of one value.
    fn dataset(values: &[(usize, u8)], parts: impl Fn(usize) -> Part) -> Dataset {
        let images = Array4::from_shape_fn((values.len(), 2, 2, 1), |(i, ..)| values[i].1);
        let labels = values.iter().map(|value| value.0).collect();
        let parts = (0..values.len()).map(parts).collect();
        Dataset::new(Path::new("mine"), images, labels, vec!["cat".into(), "dog".into()], parts).unwrap()
    }

    #[test]
    fn counts_and_moments_are_right() {
        let values: Vec<_> = (0..100).map(|i| (i % 2, if i < 50 { 0 } else { 200 })).collect();
        let dataset = dataset(&values, |_| Part::Train);
        let split = Split::draw(&dataset, SplitSizes::counts(60, 20), 1).unwrap();
        let summary = Summary::new(&dataset, Some(&split));
        assert_eq!((summary.mean[0], summary.standard_deviation[0]), (100.0, 100.0));
        let [cat, dog] = &summary.classes[..] else { panic!("two classes") };
        assert_eq!((cat.train, cat.validation, cat.test, dog.name.as_str()), (30, 10, 10, "dog"));
        assert_eq!(summary.duplicates, 98);
        assert!(summary.warnings.iter().any(|warning| warning.contains("but they are the same image, and 1 more")));
    }

    #[test]
    fn small_and_unequal_classes_are_warned_of() {
        let values: Vec<_> = (0..60).map(|i| (usize::from(i < 3), i as u8)).collect();
        let warnings = Summary::new(&dataset(&values, |_| Part::Train), None).warnings.join("\n");
        assert!(warnings.contains("there are 3 images to learn from in \"dog\":"), "{warnings}");
        assert!(warnings.contains("\"cat\" has 57 images, \"dog\" has 3"), "{warnings}");
        assert!(warnings.contains("always answering \"cat\" is right 95 % of the time"), "{warnings}");
        let even: Vec<_> = (0..60).map(|i| (i % 2, i as u8)).collect();
        assert!(Summary::new(&dataset(&even, |_| Part::Train), None).warnings.is_empty());
    }

    #[test]
    fn equal_images_on_two_sides_of_a_split_are_named() {
        let values: Vec<_> = (0..60).map(|i| (i % 2, (i / 2 % 29) as u8 + 100 * (i % 2) as u8)).collect();
        // Images 0 and 58, and 1 and 59, are the same; only the former are separated.
        let part = |i: usize| if i == 58 { Part::Test } else { Part::Train };
        let warnings = Summary::new(&dataset(&values, part), None).warnings;
        assert!(
            warnings.iter().any(|warning| warning.contains("more than one part of the split: image 0 and image 58."))
        );
    }
}
