//! Batch normalisation of one child, on rows of channels.

use super::shape::Bounds;
use deepaug_simd::for_every_instruction_set;

/// Number of rows summed in f32 before the sum is added to one in f64: the error stays that of a sum of this many.
const BLOCK: usize = 256;

/// Two sums per channel.
struct Sums {
    totals: [Vec<f64>; 2],
    block: [Vec<f32>; 2],
}

impl Sums {
    fn new(channels: usize) -> Self {
        Self { totals: [0, 1].map(|_| vec![0.0; channels]), block: [0, 1].map(|_| vec![0.0; channels]) }
    }

    /// Adds the sums of a block of rows to the totals, and starts the next block.
    #[inline(always)]
    fn close_block(&mut self) {
        for (totals, block) in self.totals.iter_mut().zip(&mut self.block) {
            for (total, value) in totals.iter_mut().zip(block) {
                *total += f64::from(*value);
                *value = 0.0;
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the mean and biased variance of each channel. Numbers are taken relative to the first row, which
    /// keeps the difference of their squares accurate enough in one pass.
    pub(super) fn moments(x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
        let channels = mean.len();
        let pivot = &x[..channels];
        let rows = x.len() / channels;
        let mut sums = Sums::new(channels);
        for x in x.chunks(BLOCK * channels) {
            let [a, b] = &mut sums.block;
            let (a, b) = (&mut a[..channels], &mut b[..channels]);
            for x in x.chunks_exact(channels) {
                for c in 0..channels {
                    let value = x[c] - pivot[c];
                    a[c] += value;
                    b[c] += value * value;
                }
            }
            sums.close_block();
        }
        let [sum, squares] = sums.totals;
        for c in 0..channels {
            let shift = sum[c] / rows as f64;
            mean[c] = pivot[c] + shift as f32;
            variance[c] = (squares[c] / rows as f64 - shift * shift).max(0.0) as f32;
        }
    }
}

for_every_instruction_set! {
    /// Computes `activation(x * scale + shift)`.
    pub(super) fn apply(x: &[f32], scale: &[f32], shift: &[f32], bounds: Bounds, y: &mut [f32]) {
        let channels = scale.len();
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for c in 0..channels {
                y[c] = bounds.apply(x[c] * scale[c] + shift[c]);
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the gradients of factors and offsets.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
    pub(super) fn parameter_gradients(
        x: &[f32], mean: &[f32], spread: &[f32], y: &[f32], dy: &[f32], bounds: Bounds, dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) {
        let channels = mean.len();
        let mut sums = Sums::new(channels);
        let size = BLOCK * channels;
        for ((x, y), dy) in x.chunks(size).zip(y.chunks(size)).zip(dy.chunks(size)) {
            let [a, b] = &mut sums.block;
            let (a, b) = (&mut a[..channels], &mut b[..channels]);
            let rows = x.chunks_exact(channels).zip(y.chunks_exact(channels)).zip(dy.chunks_exact(channels));
            for ((x, y), dy) in rows {
                for c in 0..channels {
                    let masked = bounds.mask(y[c], dy[c]);
                    a[c] += masked * (x[c] - mean[c]);
                    b[c] += masked;
                }
            }
            sums.close_block();
        }
        let [gamma, beta] = sums.totals;
        for c in 0..channels {
            dgamma[c] = gamma[c] as f32 * spread[c];
            dbeta[c] = beta[c] as f32;
        }
    }
}

for_every_instruction_set! {
    /// Replaces the gradient of the output with that of the input: `masked * scale + x * by_x + constant`.
    pub(super) fn input_gradients(
        x: &[f32], y: &[f32], dy: &mut [f32], bounds: Bounds, scale: &[f32], by_x: &[f32], constant: &[f32],
    ) {
        let channels = scale.len();
        let rows = x.chunks_exact(channels).zip(y.chunks_exact(channels)).zip(dy.chunks_exact_mut(channels));
        for ((x, y), dy) in rows {
            for c in 0..channels {
                dy[c] = bounds.mask(y[c], dy[c]) * scale[c] + x[c] * by_x[c] + constant[c];
            }
        }
    }
}
