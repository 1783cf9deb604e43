//! The images in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use ndarray::{Array4, ArrayView4, Axis};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::origins::Origins;

/// A set of images built into the program. All are grey, 28 x 28 pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Handwritten letters, 40 of the Korean alphabet, 14 of each and 6 to test (Lake et al. 2015; MIT licence).
    Omniglot,
    /// Clothes, 10 kinds, 400 of each and 100 to test (Xiao et al. 2017; MIT licence).
    FashionMnist,
}

impl Sample {
    /// Every sample.
    pub const ALL: [Self; 2] = [Self::Omniglot, Self::FashionMnist];

    /// The side of the images in pixels.
    pub const SIDE: u32 = 28;

    /// Returns the name that can be given instead of a path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Omniglot => "omniglot-sample",
            Self::FashionMnist => "fashion-mnist-sample",
        }
    }

    /// Returns the sample with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sample| sample.name() == name)
    }
}

/// The part of a split an image belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What a child model learns from.
    Train,
    /// What the reward is measured on.
    Validation,
    /// What no search ever sees.
    Test,
}

/// A labelled image set: u8 images `[N, H, W, C]`, C = 1 (grey) or 3 (RGB), and one label each.
///
/// It has at least two classes, and every class has at least one image.
#[derive(Debug, Clone)]
pub struct Dataset {
    origin: PathBuf,
    pixels: Pixels,
    labels: Vec<usize>,
    classes: Vec<String>,
    parts: Vec<Part>,
    groups: Option<Vec<usize>>,
    subgroups: Option<Subgroups>,
    origins: Origins,
}

/// The subgroups of images, such as the sites that they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subgroups {
    /// Their names, sorted.
    pub names: Vec<String>,
    /// That of each image.
    pub of: Vec<usize>,
}

/// Where the pixels are stored.
#[derive(Debug, Clone)]
pub(crate) enum Pixels {
    /// In memory.
    Owned(Array4<u8>),
    /// In a cache file from `offset` on, read as needed.
    Mapped { file: Arc<Mmap>, offset: usize, shape: [usize; 4] },
}

impl Pixels {
    pub(crate) fn view(&self) -> ArrayView4<'_, u8> {
        match self {
            Self::Owned(images) => images.view(),
            Self::Mapped { file, offset, shape } => {
                let length = shape.iter().product::<usize>();
                ArrayView4::from_shape(*shape, &file[*offset..offset + length]).expect("the cache checked the length")
            }
        }
    }
}

impl Dataset {
    /// Combines images, labels and class names.
    ///
    /// `origin` is named in error messages. `parts` says which part the source assigns to each image; for a source
    /// without parts, it is [`Part::Train`] throughout.
    ///
    /// # Errors
    /// [`DataError::Unusable`] if the lengths differ, a label has no class, there are fewer than two classes, a
    /// class has no images, or images are neither grey nor RGB.
    pub fn new(
        origin: &Path,
        images: Array4<u8>,
        labels: Vec<usize>,
        classes: Vec<String>,
        parts: Vec<Part>,
    ) -> Result<Self, DataError> {
        let images = if images.is_standard_layout() { images } else { images.as_standard_layout().into_owned() };
        Self::from_pixels(origin, Pixels::Owned(images), labels, classes, parts)
    }

    pub(crate) fn from_pixels(
        origin: &Path,
        pixels: Pixels,
        labels: Vec<usize>,
        classes: Vec<String>,
        parts: Vec<Part>,
    ) -> Result<Self, DataError> {
        let wrong = |why: String| Err(DataError::unusable(origin, why));
        let (count, height, width, channels) = pixels.view().dim();
        if count == 0 {
            return wrong("there are no images in it".into());
        }
        if labels.len() != count || parts.len() != count {
            return wrong(format!("{count} images but {} labels; every image needs one", labels.len()));
        }
        if height == 0 || width == 0 || !matches!(channels, 1 | 3) {
            return wrong(format!(
                "images of {height}x{width} pixels and {channels} channels; they must be grey (1) or RGB (3)"
            ));
        }
        if classes.len() < 2 {
            return wrong(format!(
                "there is only one class ({}); a classifier needs two or more. Name the folder above, or add a class",
                classes.first().map_or("none", String::as_str)
            ));
        }
        let mut counts = vec![0usize; classes.len()];
        for (index, &label) in labels.iter().enumerate() {
            match counts.get_mut(label) {
                Some(n) => *n += 1,
                None => {
                    return wrong(format!("image {index} has label {label}, but there are {} classes", classes.len()));
                }
            }
        }
        if let Some(empty) = counts.iter().position(|&n| n == 0) {
            return wrong(format!("class \"{}\" has no images; add some or remove the class", classes[empty]));
        }
        let origins = Origins::default();
        Ok(Self { origin: origin.into(), pixels, labels, classes, parts, groups: None, subgroups: None, origins })
    }

    /// Sets which images belong together, such as those of one patient: equal numbers, one per image. A [`Split`]
    /// never puts them on two sides.
    ///
    /// # Errors
    /// [`DataError::Unusable`] if there is not exactly one number per image.
    ///
    /// [`Split`]: crate::Split
    pub fn with_groups(mut self, groups: Vec<usize>) -> Result<Self, DataError> {
        if groups.len() != self.len() {
            let why = format!("{} images but {} groups; every image needs one", self.len(), groups.len());
            return Err(DataError::unusable(&self.origin, why));
        }
        self.groups = Some(groups);
        Ok(self)
    }

    /// Sets the subgroup of each image, by name.
    ///
    /// # Errors
    /// [`DataError::Unusable`] if there is not exactly one name per image.
    pub fn with_subgroups(mut self, of: &[String]) -> Result<Self, DataError> {
        if of.len() != self.len() {
            let why = format!("{} images but {} subgroups; every image needs one", self.len(), of.len());
            return Err(DataError::unusable(&self.origin, why));
        }
        let mut names = of.to_vec();
        names.sort();
        names.dedup();
        let of = of.iter().map(|name| names.partition_point(|other| other < name)).collect();
        self.subgroups = Some(Subgroups { names, of });
        Ok(self)
    }

    pub(crate) fn with_origins(self, origins: Origins) -> Self {
        Self { origins, ..self }
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: a data set holds at least two images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the height, width and channels of every image.
    pub fn image_shape(&self) -> [usize; 3] {
        let (_, height, width, channels) = self.images().dim();
        [height, width, channels]
    }

    /// Returns the class names, in label order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Returns one label per image, each below `classes().len()`.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Returns the part that the source assigns to each image.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns where the images came from.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// Returns all images, `[N, H, W, C]`.
    pub fn images(&self) -> ArrayView4<'_, u8> {
        self.pixels.view()
    }

    /// Returns which images belong together: equal numbers, one per image. `None` if each is independent.
    pub fn groups(&self) -> Option<&[usize]> {
        self.groups.as_deref()
    }

    /// Returns the subgroup of each image, if they are known.
    pub fn subgroups(&self) -> Option<&Subgroups> {
        self.subgroups.as_ref()
    }

    /// Returns what is known about the source of the images: names, sizes, what was left out.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Returns the name of the image at an index: its file, or its position in one.
    pub fn name(&self, index: usize) -> String {
        match self.origins.names.get(index) {
            Some(name) => name.display().to_string(),
            None => format!("image {index}"),
        }
    }

    /// Copies the images at `indices`, in that order: `[indices.len(), H, W, C]`.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn gather(&self, indices: &[usize]) -> Array4<u8> {
        self.images().select(Axis(0), indices)
    }

    /// Returns the labels at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    pub fn gather_labels(&self, indices: &[usize]) -> Vec<usize> {
        indices.iter().map(|&index| self.labels[index]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(labels: Vec<usize>, classes: &[&str]) -> Result<Dataset, DataError> {
        let n = labels.len();
        Dataset::new(
            Path::new("mine"),
            Array4::zeros((n, 2, 2, 1)),
            labels,
            classes.iter().map(|c| c.to_string()).collect(),
            vec![Part::Train; n],
        )
    }

    #[test]
    fn unusable_sets_are_refused_by_name() {
        let one = build(vec![0, 0], &["cat"]).unwrap_err().to_string();
        assert!(one.contains("only one class (cat)"), "{one}");
        let empty = build(vec![0, 2], &["cat", "dog", "owl"]).unwrap_err().to_string();
        assert!(empty.contains("class \"dog\" has no images"), "{empty}");
        let stray = build(vec![0, 5], &["cat", "dog"]).unwrap_err().to_string();
        assert!(stray.contains("image 1 has label 5"), "{stray}");
        assert!(build(vec![], &["cat", "dog"]).is_err());
    }
}
