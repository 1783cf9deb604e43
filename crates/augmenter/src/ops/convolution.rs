//! Sharpen and emboss: 3 x 3 convolutions blended with the image.

use super::{Image, reflect};

const IDENTITY: [f32; 9] = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];

/// Blends the image with a sharpened one: `alpha` 0 is the image, 1 the sharpened. A `lightness` of 1 keeps the brightness of
/// flat areas, others multiply it.
pub fn sharpen(image: &mut Image<'_>, alpha: f64, lightness: f64) {
    let centre = (8.0 + lightness) as f32;
    convolve(image, alpha, [-1.0, -1.0, -1.0, -1.0, centre, -1.0, -1.0, -1.0, -1.0]);
}

/// Blends the image with an embossed one, lit from the upper left: `alpha` 0 is the image, 1 the embossed.
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
    let padded_stride = stride + 2 * channels;
    let mut padded = vec![0.0_f32; height * padded_stride];
    for (to, from) in padded.chunks_exact_mut(padded_stride).zip(image.pixels.chunks_exact(stride)) {
        to[channels..channels + stride].iter_mut().zip(from).for_each(|(to, &from)| *to = f32::from(from));
        for (at, mirrored) in [(0, reflect(-1, width)), (width + 1, reflect(width as isize, width))] {
            to.copy_within((mirrored + 1) * channels..(mirrored + 2) * channels, at * channels);
        }
    }
    let mut sums = vec![0.0_f32; stride];
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        sums.fill(0.0);
        for (i, &weight) in kernel.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            let from = reflect(y as isize + i as isize / 3 - 1, height) * padded_stride + i % 3 * channels;
            for (sum, value) in sums.iter_mut().zip(&padded[from..from + stride]) {
                *sum += weight * value;
            }
        }
        for (value, sum) in row.iter_mut().zip(&sums) {
            *value = sum.round_ties_even() as u8;
        }
    }
}
