//! The child's own randomness. burn's generator is one for the whole process, so that two children in two threads
//! would disturb each other: weights, order and dropout are drawn here instead.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Independent streams of one training's seed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Weights = 0,
    Order = 1,
    Dropout = 2,
}

pub(crate) fn generator(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

/// Uniform weights in ±sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16).
pub(crate) fn glorot_uniform<const D: usize>(
    rng: &mut ChaCha8Rng,
    shape: [usize; D],
    fan_in: usize,
    fan_out: usize,
    device: &Device,
) -> Tensor<D> {
    let bound = (6.0 / (fan_in + fan_out) as f32).sqrt();
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-bound..=bound)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Inverted dropout (Srivastava et al. 2014) with masks from the child's own generator; absent when evaluating.
#[derive(Debug)]
pub(crate) struct Dropout<'a> {
    rng: Option<&'a mut ChaCha8Rng>,
}

impl<'a> Dropout<'a> {
    pub(crate) fn on(rng: &'a mut ChaCha8Rng) -> Self {
        Self { rng: Some(rng) }
    }

    pub(crate) fn off() -> Self {
        Self { rng: None }
    }

    /// Drops each element with probability `rate`.
    pub(crate) fn apply<const D: usize>(&mut self, x: Tensor<D>, rate: f64) -> Tensor<D> {
        let Some(rng) = &mut self.rng else { return x };
        let shape = x.dims();
        let count: usize = shape.iter().product();
        let mut bytes = vec![0u8; 2 * count];
        rng.fill_bytes(&mut bytes);
        // 16 bits resolve a rate to 1.5e-5, and cost half of a float's draw.
        let threshold = (rate * 65536.0).round() as u32;
        let kept = (1.0 / (1.0 - rate)) as f32;
        let mask: Vec<f32> = bytes
            .chunks_exact(2)
            .map(|pair| if u32::from(u16::from_le_bytes([pair[0], pair[1]])) < threshold { 0.0 } else { kept })
            .collect();
        let mask = Tensor::from_data(TensorData::new(mask, shape), &x.device());
        x * mask
    }
}
