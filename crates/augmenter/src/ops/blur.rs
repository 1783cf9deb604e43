//! Gaussian blur.

use super::{Image, reflect};

/// Below this sigma imgaug leaves an image as it is.
const LEAST_SIGMA: f64 = 1e-3;

/// Blurs with a Gaussian of standard deviation `sigma` pixels (a finite number), mirroring at the edges.
///
/// The result equals OpenCV's `GaussianBlur` on `u8` images, whose kernel weights have 8 fractional bits, at the kernel size
/// that imgaug derives from sigma.
pub fn gaussian(image: &mut Image<'_>, sigma: f64) {
    if sigma <= LEAST_SIGMA {
        return;
    }
    let kernel = kernel(sigma);
    let radius = kernel.len() / 2;
    let (width, height, channels, stride) = (image.width, image.height, image.channels, image.stride());

    let mut padded = vec![0_u8; (width + 2 * radius) * channels];
    let mut across = vec![0_u16; image.pixels.len()];
    for (sums, row) in across.chunks_exact_mut(stride).zip(image.pixels.chunks_exact(stride)) {
        padded[radius * channels..][..stride].copy_from_slice(row);
        for i in 0..radius {
            for (to, from) in [(radius - 1 - i, -1 - i as isize), (radius + width + i, (width + i) as isize)] {
                let from = reflect(from, width) * channels;
                padded[to * channels..][..channels].copy_from_slice(&row[from..from + channels]);
            }
        }
        for (k, &weight) in kernel.iter().enumerate() {
            for (sum, &value) in sums.iter_mut().zip(&padded[k * channels..]) {
                *sum += weight * u16::from(value);
            }
        }
    }

    let mut sums = vec![0_u32; stride];
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        sums.fill(1 << 15);
        for (k, &weight) in kernel.iter().enumerate() {
            let from = reflect(y as isize + k as isize - radius as isize, height) * stride;
            for (sum, &value) in sums.iter_mut().zip(&across[from..from + stride]) {
                *sum += u32::from(weight) * u32::from(value);
            }
        }
        for (value, sum) in row.iter_mut().zip(&sums) {
            *value = (sum >> 16) as u8;
        }
    }
}

/// Weights in units of 1 / 256 that add up to 256; rounding errors are carried from the tail to the centre.
fn kernel(sigma: f64) -> Vec<u16> {
    // 99, 97 or 95 % of the weight, and at least 5 pixels: imgaug's rule.
    let size = if sigma < 3.0 {
        3.3 * sigma
    } else if sigma < 5.0 {
        2.9 * sigma
    } else {
        2.6 * sigma
    };
    let radius = size.max(5.0) as usize / 2;
    let tail: Vec<f64> = (1..=radius).rev().map(|i| (-0.5 * (i * i) as f64 / (sigma * sigma)).exp()).collect();
    let total = 1.0 + 2.0 * tail.iter().sum::<f64>();
    let mut carried = 0.0;
    let mut weights: Vec<u16> = tail
        .into_iter()
        .map(|weight| {
            let exact = 256.0 * weight / total + carried;
            let rounded = exact.round_ties_even();
            carried = exact - rounded;
            rounded as u16
        })
        .collect();
    weights.push(256 - 2 * weights.iter().sum::<u16>());
    weights.extend_from_within(..radius);
    weights[radius + 1..].reverse();
    weights
}

#[cfg(test)]
mod tests {
    use super::kernel;

    #[test]
    fn kernels_are_symmetric_and_add_up() {
        for sigma in [0.01, 0.3, 1.0, 2.9, 3.0, 4.7, 12.0, 25.0] {
            let weights = kernel(sigma);
            assert_eq!(weights.iter().sum::<u16>(), 256);
            assert!(weights.len() % 2 == 1 && weights.len() >= 5);
            assert!(weights.iter().eq(weights.iter().rev()));
        }
    }
}
