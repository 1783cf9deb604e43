//! Gaussian blur.

use deepaug_simd::for_every_instruction_set;

use super::{Image, reflect, scratch::Buffer};

/// Below this sigma, imgaug leaves an image unchanged.
const MIN_SIGMA: f64 = 1e-3;

/// Blurs with a Gaussian of standard deviation `sigma` pixels (a finite number), mirroring at the edges.
///
/// The result equals OpenCV's `GaussianBlur` on `u8` images, whose kernel weights have 8 fractional bits, at the kernel size
/// that imgaug derives from sigma.
pub fn gaussian(image: &mut Image<'_>, sigma: f64) {
    if sigma <= MIN_SIGMA {
        return;
    }
    let mut kernel = Buffer::any(kernel_size(sigma));
    fill_kernel(&mut kernel, sigma);
    let radius = kernel.len() / 2;
    let (width, height, channels, stride) = (image.width, image.height, image.channels, image.stride());

    // Rows mirrored at either end, and horizontal sums.
    let side = radius * channels;
    let mut padded = Buffer::<u8>::zeros((stride + 2 * side).next_multiple_of(BLOCK) + BLOCK);
    let wide = stride.next_multiple_of(BLOCK);
    let mut across = Buffer::<u16>::any(height * wide);
    for (sums, row) in across.chunks_exact_mut(wide).zip(image.pixels.chunks_exact(stride)) {
        padded[side..][..stride].copy_from_slice(row);
        for i in 0..radius {
            for (to, from) in [(radius - 1 - i, -1 - i as isize), (radius + width + i, (width + i) as isize)] {
                let from = reflect(from, width) * channels;
                padded[to * channels..][..channels].copy_from_slice(&row[from..from + channels]);
            }
        }
        blur_across(sums, &padded, &kernel, channels);
    }
    let mut rows = Buffer::<usize>::any(kernel.len());
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        for (k, from) in rows.iter_mut().enumerate() {
            *from = reflect(y as isize + k as isize - radius as isize, height) * wide;
        }
        blur_down(row, &across, &rows, &kernel);
    }
}

/// Number of values summed in registers.
const BLOCK: usize = 64;

for_every_instruction_set! {
    /// Sums neighbours in a row; `sums` has whole blocks.
    fn blur_across(sums: &mut [u16], padded: &[u8], kernel: &[u16], channels: usize) {
        let radius = kernel.len() / 2;
        for (block, sums) in sums.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let start = block * BLOCK;
            let centre: &[u8; BLOCK] = padded[start + radius * channels..].first_chunk().expect("a block more than the row");
            for i in 0..BLOCK {
                sums[i] = kernel[radius] * u16::from(centre[i]);
            }
            for k in 0..radius {
                let left: &[u8; BLOCK] = padded[start + k * channels..].first_chunk().expect("a block more than the row");
                let right = (kernel.len() - 1 - k) * channels;
                let right: &[u8; BLOCK] = padded[start + right..].first_chunk().expect("a block more than the row");
                for i in 0..BLOCK {
                    sums[i] += kernel[k] * (u16::from(left[i]) + u16::from(right[i]));
                }
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes weighted sums of the rows that start at `rows`, in units of 2^-16.
    fn blur_down(row: &mut [u8], across: &[u16], rows: &[usize], kernel: &[u16]) {
        let radius = kernel.len() / 2;
        let mut sums = [0_u32; BLOCK];
        for (block, values) in row.chunks_mut(BLOCK).enumerate() {
            let start = block * BLOCK;
            let centre: &[u16; BLOCK] = across[rows[radius] + start..].first_chunk().expect("rows of whole blocks");
            for i in 0..BLOCK {
                sums[i] = (1 << 15) + u32::from(kernel[radius]) * u32::from(centre[i]);
            }
            for k in 0..radius {
                let upper: &[u16; BLOCK] = across[rows[k] + start..].first_chunk().expect("rows of whole blocks");
                let lower = rows[kernel.len() - 1 - k] + start;
                let lower: &[u16; BLOCK] = across[lower..].first_chunk().expect("rows of whole blocks");
                for i in 0..BLOCK {
                    sums[i] += u32::from(kernel[k]) * (u32::from(upper[i]) + u32::from(lower[i]));
                }
            }
            for (value, sum) in values.iter_mut().zip(&sums) {
                *value = (sum >> 16) as u8;
            }
        }
    }
}

/// Returns a size that covers 99, 97 or 95 % of the weight and at least 5 pixels: imgaug's rule.
fn kernel_size(sigma: f64) -> usize {
    let size = if sigma < 3.0 {
        3.3 * sigma
    } else if sigma < 5.0 {
        2.9 * sigma
    } else {
        2.6 * sigma
    };
    size.max(5.0) as usize / 2 * 2 + 1
}

/// Computes weights in units of 1 / 256 that add up to 256; rounding errors are carried from the tail to the
/// centre.
fn fill_kernel(weights: &mut [u16], sigma: f64) {
    let radius = weights.len() / 2;
    let weight = |i: usize| (-0.5 * (i * i) as f64 / (sigma * sigma)).exp();
    let total = 1.0 + 2.0 * (1..=radius).rev().map(weight).sum::<f64>();
    let (mut carried, mut sum) = (0.0, 0);
    for i in 0..radius {
        let exact = 256.0 * weight(radius - i) / total + carried;
        let rounded = exact.round_ties_even();
        carried = exact - rounded;
        weights[i] = rounded as u16;
        weights[2 * radius - i] = rounded as u16;
        sum += 2 * rounded as u16;
    }
    weights[radius] = 256 - sum;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_symmetric_and_add_up() {
        for sigma in [0.01, 0.3, 1.0, 2.9, 3.0, 4.7, 12.0, 25.0] {
            let mut weights = vec![0; kernel_size(sigma)];
            fill_kernel(&mut weights, sigma);
            assert_eq!(weights.iter().sum::<u16>(), 256);
            assert!(weights.len() % 2 == 1 && weights.len() >= 5);
            assert!(weights.iter().eq(weights.iter().rev()));
        }
    }
}
