//! Changing the size of images and maps.

use super::Image;

const COEFFICIENT_BITS: u32 = 11;

/// For each target position: the source position and the weight of the next one, in units of 1 / 2048. This is how OpenCV
/// enlarges with `INTER_AREA`: pixels keep their extent, and only those that straddle two source pixels are blended.
fn area_taps(from: usize, to: usize) -> Vec<(usize, u32)> {
    let inverse = to as f64 / from as f64;
    let scale = 1.0 / inverse;
    (0..to)
        .map(|x| {
            let at = (x as f64 * scale).floor();
            let weight = ((x as f64 + 1.0) - (at + 1.0) * inverse) as f32;
            let weight = if weight <= 0.0 { 0.0 } else { weight - weight.floor() };
            let at = at as usize;
            if at + 1 >= from {
                (from - 1, 0)
            } else {
                (at, (weight * (1 << COEFFICIENT_BITS) as f32).round_ties_even() as u32)
            }
        })
        .collect()
}

/// Enlarges `source` into `image`, in OpenCV's fixed-point arithmetic.
pub(super) fn enlarge(source: &[u8], height: usize, width: usize, image: &mut Image<'_>) {
    let channels = image.channels;
    let one = 1 << COEFFICIENT_BITS;
    let columns = area_taps(width, image.width);
    let stride = image.stride();
    let mut wide = vec![0_u32; height * stride];
    for (row, line) in wide.chunks_exact_mut(stride).zip(source.chunks_exact(width * channels)) {
        for (pixel, &(at, weight)) in row.chunks_exact_mut(channels).zip(&columns) {
            let next = if weight == 0 { at } else { at + 1 };
            for (c, value) in pixel.iter_mut().enumerate() {
                let (a, b) = (line[at * channels + c], line[next * channels + c]);
                *value = (one - weight) * u32::from(a) + weight * u32::from(b);
            }
        }
    }
    for (row, (at, weight)) in image.pixels.chunks_exact_mut(stride).zip(area_taps(height, image.height)) {
        let next = if weight == 0 { at } else { at + 1 };
        let (upper, lower) = (&wide[at * stride..][..stride], &wide[next * stride..][..stride]);
        for ((value, a), b) in row.iter_mut().zip(upper).zip(lower) {
            let sum = (((one - weight) * (a >> 4)) >> 16) + ((weight * (b >> 4)) >> 16);
            *value = ((sum + 2) >> 2) as u8;
        }
    }
}

/// For each target position: four source positions, clamped to the edge, and their weights by the cubic kernel with
/// a = -0.75 (OpenCV's `INTER_CUBIC`).
fn cubic_taps(from: usize, to: usize) -> Vec<[(usize, f32); 4]> {
    const A: f32 = -0.75;
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|x| {
            let position = (x as f64 + 0.5) * scale - 0.5;
            let at = position.floor();
            let t = (position - at) as f32;
            let near = |d: f32| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
            let far = |d: f32| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
            let weights = [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)];
            std::array::from_fn(|k| ((at as isize + k as isize - 1).clamp(0, from as isize - 1) as usize, weights[k]))
        })
        .collect()
}

/// Resizes a map of one channel by bicubic interpolation.
pub(super) fn cubic(
    source: &[f32],
    (height, width): (usize, usize),
    (to_height, to_width): (usize, usize),
) -> Vec<f32> {
    let columns = cubic_taps(width, to_width);
    let mut wide = vec![0.0; height * to_width];
    for (row, line) in wide.chunks_exact_mut(to_width).zip(source.chunks_exact(width)) {
        for (value, taps) in row.iter_mut().zip(&columns) {
            *value = taps.iter().map(|&(at, weight)| weight * line[at]).sum();
        }
    }
    let mut target = vec![0.0; to_height * to_width];
    for (row, taps) in target.chunks_exact_mut(to_width).zip(cubic_taps(height, to_height)) {
        for (at, weight) in taps {
            for (value, a) in row.iter_mut().zip(&wide[at * to_width..]) {
                *value += weight * a;
            }
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_keeps_constants_and_equal_sizes() {
        for (a, b) in cubic(&[3.0; 20], (4, 5), (9, 2)).into_iter().zip([3.0; 18]) {
            assert!((a - b as f32).abs() < 1e-5);
        }
        let map: Vec<f32> = (0..12).map(|i| (i * i) as f32).collect();
        assert_eq!(cubic(&map, (3, 4), (3, 4)), map);
    }
}
