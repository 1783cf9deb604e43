//! Batch normalisation of one child, rows of channels in.

use super::conv::Bounds;
use super::dispatch::for_every_instruction_set;

/// Rows summed in f32 before their sum is added to one in f64: the error stays that of a sum of this many.
const BLOCK: usize = 256;

/// Sums over rows of what `terms` makes of each, two numbers a channel.
#[inline(always)]
fn sums(rows: usize, channels: usize, mut add: impl FnMut(usize, &mut [f32], &mut [f32])) -> [Vec<f64>; 2] {
    let mut totals = [vec![0.0f64; channels], vec![0.0f64; channels]];
    let mut block = [vec![0.0f32; channels], vec![0.0f32; channels]];
    for first in (0..rows).step_by(BLOCK) {
        let [a, b] = &mut block;
        a.fill(0.0);
        b.fill(0.0);
        for row in first..rows.min(first + BLOCK) {
            add(row, a, b);
        }
        for (total, block) in totals.iter_mut().zip(&block) {
            total.iter_mut().zip(block).for_each(|(total, value)| *total += f64::from(*value));
        }
    }
    totals
}

for_every_instruction_set! {
    /// Mean and biased variance of each channel. Numbers are taken relative to the first row, which keeps the
    /// difference of their squares exact enough in one reading.
    pub(super) fn moments(x: &[f32], mean: &mut [f32], variance: &mut [f32]) {
        let channels = mean.len();
        let pivot = &x[..channels];
        let rows = x.len() / channels;
        let [sum, squares] = sums(rows, channels, |row, a, b| {
            let x = &x[row * channels..][..channels];
            for c in 0..channels {
                let value = x[c] - pivot[c];
                a[c] += value;
                b[c] += value * value;
            }
        });
        for c in 0..channels {
            let shift = sum[c] / rows as f64;
            mean[c] = pivot[c] + shift as f32;
            variance[c] = (squares[c] / rows as f64 - shift * shift).max(0.0) as f32;
        }
    }
}

for_every_instruction_set! {
    /// `activation(x * scale + shift)`.
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
    /// The gradients by factors and offsets.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
    pub(super) fn parameter_gradients(
        x: &[f32], mean: &[f32], spread: &[f32], y: &[f32], dy: &[f32], bounds: Bounds, dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) {
        let channels = mean.len();
        let [gamma, beta] = sums(x.len() / channels, channels, |row, a, b| {
            let from = row * channels;
            let (x, y, dy) = (&x[from..][..channels], &y[from..][..channels], &dy[from..][..channels]);
            for c in 0..channels {
                let masked = bounds.mask(y[c], dy[c]);
                a[c] += masked * (x[c] - mean[c]);
                b[c] += masked;
            }
        });
        for c in 0..channels {
            dgamma[c] = gamma[c] as f32 * spread[c];
            dbeta[c] = beta[c] as f32;
        }
    }
}

for_every_instruction_set! {
    /// The gradient by the input, in place of the one by the output: `masked * scale + x * by_x + constant`.
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
