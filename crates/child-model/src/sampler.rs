//! Which images make up each step.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// An endless stream of image indices: one shuffled pass over the pool after another, so that every image comes up
/// equally often wherever the epoch boundaries fall.
#[derive(Debug)]
pub(crate) struct Sampler {
    rng: ChaCha8Rng,
    pass: Vec<u32>,
    next: usize,
}

impl Sampler {
    pub(crate) fn new(images: usize, rng: ChaCha8Rng) -> Self {
        Self { rng, pass: (0..images as u32).collect(), next: images }
    }

    /// Returns the number of images in a pass.
    pub(crate) fn images(&self) -> usize {
        self.pass.len()
    }

    /// Draws from this many images from now on; an unfinished pass over a different number is dropped.
    pub(crate) fn set_images(&mut self, images: usize) {
        if images != self.pass.len() {
            (self.pass, self.next) = ((0..images as u32).collect(), images);
        }
    }

    pub(crate) fn next(&mut self) -> u32 {
        if self.next == self.pass.len() {
            self.pass.shuffle(&mut self.rng);
            self.next = 0;
        }
        self.next += 1;
        self.pass[self.next - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Stream, generator};

    #[test]
    fn every_image_comes_up_equally_often() {
        let mut order = Sampler::new(7, generator(3, Stream::Order));
        let drawn: Vec<u32> = (0..35).map(|_| order.next()).collect();
        for pass in drawn.chunks(7) {
            let mut pass = pass.to_vec();
            pass.sort_unstable();
            assert_eq!(pass, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(drawn[..7], drawn[7..14]);
    }
}
