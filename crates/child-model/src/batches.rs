//! Which images make up each step.

use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::ArrayView4;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// An endless stream of image indices: one shuffled pass over the pool after another, so that every image comes up
/// equally often however the epochs cut the stream.
#[derive(Debug)]
pub(crate) struct Order {
    rng: ChaCha8Rng,
    pass: Vec<usize>,
    next: usize,
}

impl Order {
    pub(crate) fn new(images: usize, rng: ChaCha8Rng) -> Self {
        Self { rng, pass: (0..images).collect(), next: images }
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<usize> {
        (0..count)
            .map(|_| {
                if self.next == self.pass.len() {
                    self.pass.shuffle(&mut self.rng);
                    self.next = 0;
                }
                self.next += 1;
                self.pass[self.next - 1]
            })
            .collect()
    }
}

/// A batch on the device: images `[n, height, width, channels]` in [0, 1], and labels `[n]`.
///
/// `pick` gives, for each index, the array that holds the image and its place there.
pub(crate) fn assemble<'a>(
    indices: &[usize],
    pick: impl Fn(usize) -> (ArrayView4<'a, u8>, usize),
    labels: &[usize],
    device: &Device,
) -> (Tensor<4>, Tensor<1, Int>) {
    let (_, height, width, channels) = pick(indices[0]).0.dim();
    let mut pixels = Vec::with_capacity(indices.len() * height * width * channels);
    for &index in indices {
        let (images, place) = pick(index);
        pixels.extend(images.index_axis(ndarray::Axis(0), place).iter().map(|&value| f32::from(value) / 255.0));
    }
    let classes: Vec<i32> = indices.iter().map(|&index| labels[index] as i32).collect();
    (
        Tensor::from_data(TensorData::new(pixels, [indices.len(), height, width, channels]), device),
        Tensor::from_data(TensorData::new(classes, [indices.len()]), device),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Stream, generator};

    #[test]
    fn every_image_comes_up_equally_often() {
        let mut order = Order::new(7, generator(3, Stream::Order));
        let drawn: Vec<usize> = (0..5).flat_map(|_| order.take(7)).collect();
        for pass in drawn.chunks(7) {
            let mut pass = pass.to_vec();
            pass.sort_unstable();
            assert_eq!(pass, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(drawn[..7], drawn[7..14]);
    }
}
