//! Duplicate images.

use std::collections::HashMap;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use crate::dataset::Dataset;

/// Images that are equal pixel by pixel as the set holds them, after resizing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// Sets of two or more equal images, by index, in the order of their first image.
    pub sets: Vec<Vec<usize>>,
}

impl Duplicates {
    /// Finds them by a 128-bit hash: among a billion different images, the probability that two share one is
    /// 1e-21.
    pub fn find(dataset: &Dataset) -> Self {
        let images = dataset.images();
        let pixels = images.as_slice().expect("a data set is one block of memory");
        let length = dataset.image_shape().iter().product();
        let hashes: Vec<u128> = pixels.par_chunks_exact(length).map(xxh3_128).collect();
        let mut by_hash: HashMap<u128, Vec<usize>> = HashMap::new();
        for (image, &hash) in hashes.iter().enumerate() {
            by_hash.entry(hash).or_default().push(image);
        }
        let mut sets: Vec<Vec<usize>> = by_hash.into_values().filter(|set| set.len() > 1).collect();
        sets.sort_unstable();
        Self { sets }
    }

    /// Returns the number of images beyond the first of each set.
    pub fn surplus(&self) -> usize {
        self.sets.iter().map(|set| set.len() - 1).sum()
    }
}
