//! Sharpen and emboss: 3 x 3 convolutions blended with the image.

use deepaug_simd::for_every_instruction_set;

use super::{Image, math::byte, reflect, scratch::Buffer};

const IDENTITY: [f32; 9] = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];

/// Blends the image with a sharpened one: `alpha` 0 gives the image, 1 the sharpened one. A `lightness` of 1 keeps
/// the brightness of flat areas; other values multiply it.
pub fn sharpen(image: &mut Image<'_>, alpha: f64, lightness: f64) {
    let centre = (8.0 + lightness) as f32;
    convolve(image, alpha, [-1.0, -1.0, -1.0, -1.0, centre, -1.0, -1.0, -1.0, -1.0]);
}

/// Blends the image with an embossed one, lit from the upper left: `alpha` 0 gives the image, 1 the embossed one.
pub fn emboss(image: &mut Image<'_>, alpha: f64, strength: f64) {
    let s = strength as f32;
    convolve(image, alpha, [-1.0 - s, -s, 0.0, -s, 1.0, s, 0.0, s, 1.0 + s]);
}

/// Correlates with `(1 - alpha) identity + alpha kernel`, mirroring at the edges and rounding ties to even, as OpenCV's
/// `filter2D` does.
fn convolve(image: &mut Image<'_>, alpha: f64, kernel: [f32; 9]) {
    let alpha = alpha as f32;
    let kernel: [f32; 9] = std::array::from_fn(|i| (1.0 - alpha) * IDENTITY[i] + alpha * kernel[i]);
    let (width, height, channels, stride) = (image.width, image.height, image.channels, image.stride());

    // Rows with one mirrored pixel at either end.
    let wide = stride + 2 * channels;
    let padded_stride = wide.next_multiple_of(BLOCK) + BLOCK;
    let mut padded = Buffer::<f32>::zeros(height * padded_stride);
    for (to, from) in padded.chunks_exact_mut(padded_stride).zip(image.pixels.chunks_exact(stride)) {
        widen(&mut to[channels..channels + stride], from);
        for (at, mirrored) in [(0, reflect(-1, width)), (width + 1, reflect(width as isize, width))] {
            to.copy_within((mirrored + 1) * channels..(mirrored + 2) * channels, at * channels);
        }
    }
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let rows = [-1, 0, 1].map(|i| &padded[reflect(y as isize + i, height) * padded_stride..][..padded_stride]);
        correlate(row, rows, &kernel, channels);
    }
}

/// Number of values summed in registers.
const BLOCK: usize = 64;

for_every_instruction_set! {
    fn widen(to: &mut [f32], from: &[u8]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from(*from);
        }
    }
}

for_every_instruction_set! {
    /// Correlates one row, from three rows with one more pixel at either end and a block beyond.
    fn correlate(row: &mut [u8], rows: [&[f32]; 3], kernel: &[f32; 9], channels: usize) {
        let mut sums = [0.0_f32; BLOCK];
        for (block, values) in row.chunks_mut(BLOCK).enumerate() {
            for (i, &weight) in kernel.iter().enumerate() {
                let from = block * BLOCK + i % 3 * channels;
                let from: &[f32; BLOCK] = rows[i / 3][from..].first_chunk().expect("a block beyond the row");
                if i == 0 {
                    for i in 0..BLOCK {
                        sums[i] = weight * from[i];
                    }
                } else {
                    for i in 0..BLOCK {
                        sums[i] += weight * from[i];
                    }
                }
            }
            let mut bytes = [0_u8; BLOCK];
            for i in 0..BLOCK {
                bytes[i] = byte(sums[i].round_ties_even());
            }
            values.copy_from_slice(&bytes[..values.len()]);
        }
    }
}
