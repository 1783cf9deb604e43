//! Resizes images and maps.

use std::ops::Range;

use deepaug_simd::for_every_instruction_set;

use super::{Image, scratch::Buffer};

const COEFFICIENT_BITS: u32 = 11;

/// For a target position, returns the source position and the weight of the next one, in units of 1 / 2048. This
/// is how OpenCV enlarges with `INTER_AREA`: pixels keep their extent, and only those that straddle two source
/// pixels are blended.
fn area_tap(x: usize, from: usize, to: usize) -> (usize, u32) {
    let inverse = to as f64 / from as f64;
    let scale = 1.0 / inverse;
    let at = (x as f64 * scale).floor();
    let weight = ((x as f64 + 1.0) - (at + 1.0) * inverse) as f32;
    let weight = if weight <= 0.0 { 0.0 } else { weight - weight.floor() };
    let at = at as usize;
    if at + 1 >= from {
        (from - 1, 0)
    } else {
        (at, (weight * (1 << COEFFICIENT_BITS) as f32).round_ties_even() as u32)
    }
}

/// Enlarges a part of the image to the whole, in OpenCV's fixed-point arithmetic.
pub(super) fn enlarge_part(image: &mut Image<'_>, rows: Range<usize>, columns: Range<usize>) {
    let (channels, stride) = (image.channels, image.stride());
    let one = 1 << COEFFICIENT_BITS;
    // For each target column, its source column and both weights.
    let mut taps = Buffer::<[u32; 2]>::any(image.width);
    for (x, tap) in taps.iter_mut().enumerate() {
        let (at, weight) = area_tap(x, columns.len(), image.width);
        *tap = [((columns.start + at) * channels) as u32, (one - weight) | weight << 16];
    }
    let wide_stride = stride + 1;
    let mut wide = Buffer::<u32>::any(rows.len() * wide_stride);
    // The last row again with room after it, for kernels that read more than a pixel.
    let mut line = Buffer::<u8>::zeros(stride + 8);
    for (wide, y) in wide.chunks_exact_mut(wide_stride).zip(rows.clone()) {
        line[..stride].copy_from_slice(&image.pixels[y * stride..][..stride]);
        enlarge_across(wide, &line, &taps, channels);
    }
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let (at, weight) = area_tap(y, rows.len(), image.height);
        let next = if weight == 0 { at } else { at + 1 };
        let (upper, lower) = (&wide[at * wide_stride..][..stride], &wide[next * wide_stride..][..stride]);
        blend(row, upper, lower, weight);
    }
}

/// Enlarges a row; values in units of 1 / 2048.
fn enlarge_across(wide: &mut [u32], line: &[u8], taps: &[[u32; 2]], channels: usize) {
    #[cfg(target_arch = "x86_64")]
    if channels == 3 && deepaug_simd::instruction_set() >= deepaug_simd::InstructionSet::Avx2 {
        // SAFETY: the features of the level were detected.
        return unsafe { enlarge_across_rgb(wide, line, taps) };
    }
    for (pixel, &[at, weights]) in wide.chunks_exact_mut(channels).zip(taps) {
        let (own, next) = (weights & 0xffff, weights >> 16);
        for (c, value) in pixel.iter_mut().enumerate() {
            let at = at as usize + c;
            *value = own * u32::from(line[at]) + next * u32::from(line[at + channels]);
        }
    }
}

/// Does the same as [`enlarge_across`] for three channels at once; a fourth value is overwritten by the next
/// pixel.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn enlarge_across_rgb(wide: &mut [u32], line: &[u8], taps: &[[u32; 2]]) {
    use std::arch::x86_64::*;

    // Pairs of the same channel of two pixels, as 16-bit numbers.
    let pairs = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    assert!(wide.len() > 3 * taps.len());
    for (i, &[at, weights]) in taps.iter().enumerate() {
        assert!(at as usize + 8 <= line.len());
        // SAFETY: the eight bytes lie in the line and the four numbers in the target, by the assertions.
        unsafe {
            let pixels = _mm_loadl_epi64(line.as_ptr().add(at as usize).cast());
            let sums = _mm_madd_epi16(_mm_shuffle_epi8(pixels, pairs), _mm_set1_epi32(weights as i32));
            _mm_storeu_si128(wide.as_mut_ptr().add(3 * i).cast(), sums);
        }
    }
}

for_every_instruction_set! {
    fn blend(row: &mut [u8], upper: &[u32], lower: &[u32], weight: u32) {
        let other = (1 << COEFFICIENT_BITS) - weight;
        for ((value, a), b) in row.iter_mut().zip(upper).zip(lower) {
            let sum = ((other * (a >> 4)) >> 16) + ((weight * (b >> 4)) >> 16);
            *value = ((sum + 2) >> 2) as u8;
        }
    }
}

/// Four source positions and their weights, as computed by [`cubic_tap`].
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct CubicTap {
    at: [u32; 4],
    weights: [f32; 4],
}

/// For a target position, returns four source positions, clamped to the edge, and their weights in the cubic
/// kernel with a = -0.75 (OpenCV's `INTER_CUBIC`).
fn cubic_tap(x: usize, from: usize, to: usize) -> CubicTap {
    const A: f32 = -0.75;
    let position = (x as f64 + 0.5) * (from as f64 / to as f64) - 0.5;
    let at = position.floor();
    let t = (position - at) as f32;
    let near = |d: f32| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f32| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    CubicTap {
        at: std::array::from_fn(|k| (at as isize + k as isize - 1).clamp(0, from as isize - 1) as u32),
        weights: [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)],
    }
}

/// Resizes a single-channel map by bicubic interpolation.
pub(super) fn cubic(
    source: &[f32],
    (height, width): (usize, usize),
    (to_height, to_width): (usize, usize),
) -> Buffer<f32> {
    let mut columns = Buffer::<CubicTap>::any(to_width);
    columns.iter_mut().enumerate().for_each(|(x, tap)| *tap = cubic_tap(x, width, to_width));
    let mut wide = Buffer::<f32>::any(height * to_width);
    for (row, line) in wide.chunks_exact_mut(to_width).zip(source.chunks_exact(width)) {
        for (value, CubicTap { at, weights }) in row.iter_mut().zip(columns.iter()) {
            *value = (0..4).map(|k| weights[k] * line[at[k] as usize]).sum();
        }
    }
    let mut target = Buffer::<f32>::any(to_height * to_width);
    for (y, row) in target.chunks_exact_mut(to_width).enumerate() {
        let CubicTap { at, weights } = cubic_tap(y, height, to_height);
        weigh(row, at.map(|at| &wide[at as usize * to_width..][..to_width]), weights);
    }
    target
}

for_every_instruction_set! {
    fn weigh(row: &mut [f32], rows: [&[f32]; 4], weights: [f32; 4]) {
        let [a, b, c, d] = rows;
        for (i, value) in row.iter_mut().enumerate() {
            *value = weights[0] * a[i] + weights[1] * b[i] + weights[2] * c[i] + weights[3] * d[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_keeps_constants_and_equal_sizes() {
        for value in cubic(&[3.0; 20], (4, 5), (9, 2)).iter() {
            assert!((value - 3.0).abs() < 1e-5);
        }
        let map: Vec<f32> = (0..12).map(|i| (i * i) as f32).collect();
        assert_eq!(*cubic(&map, (3, 4), (3, 4)), *map);
    }
}
