//! Images that a generator made before, so that a discriminator does not forget them.

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

use crate::Error;
use crate::net::values;

/// Images made before.
pub(super) struct Buffer {
    most: usize,
    images: Vec<Vec<f32>>,
}

impl Buffer {
    pub(super) fn new(most: usize) -> Self {
        Self { most, images: Vec::new() }
    }

    /// Takes in every new image, in a random place once it is full, and returns as many random ones of those in it: as the
    /// authors' code does; the paper of CycleGAN takes new or old ones with equal chances.
    pub(super) fn exchange(&mut self, new: Tensor<4>, device: &Device, rng: &mut impl Rng) -> Result<Tensor<4>, Error> {
        let dims = new.dims();
        let pixels = values(new)?;
        let size = pixels.len() / dims[0].max(1);
        for image in pixels.chunks_exact(size.max(1)) {
            if self.images.len() < self.most.max(1) {
                self.images.push(image.to_vec());
            } else {
                let place = rng.random_range(0..self.images.len());
                self.images[place] = image.to_vec();
            }
        }
        let mut drawn: Vec<f32> = Vec::with_capacity(pixels.len());
        (0..dims[0]).for_each(|_| drawn.extend(&self.images[rng.random_range(0..self.images.len())]));
        Ok(Tensor::from_data(TensorData::new(drawn, dims), device))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn it_fills_first_and_then_replaces() {
        let device = crate::Device::Cpu.open();
        let rng = &mut ChaCha8Rng::seed_from_u64(3);
        let mut buffer = Buffer::new(5);
        let batch = |first: f32| {
            let values = vec![first, first, first + 1.0, first + 1.0];
            Tensor::<4>::from_data(TensorData::new(values, [2, 1, 1, 2]), &device)
        };
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            let drawn = values(buffer.exchange(batch(2.0 * number as f32), &device, rng).unwrap()).unwrap();
            assert_eq!(drawn.len(), 4);
            assert!(drawn[0] == drawn[1] && drawn[2] == drawn[3], "images stay whole");
            let newest = 2 * number + 1;
            assert!(drawn.iter().all(|&value| value as usize <= newest));
            if number == 1 {
                assert_eq!(buffer.images.len(), 4);
            }
            seen.extend(drawn.iter().map(|&value| newest - value as usize));
        }
        assert_eq!(buffer.images.len(), 5);
        assert!(seen.contains(&0) && seen.iter().any(|&age| age > 10), "new ones and old ones are drawn");
    }
}
