//! Rotation, shear, zoom and translation: bilinear interpolation.
//!
//! The result equals OpenCV's `warpAffine` on `u8` images with `INTER_LINEAR` and `BORDER_CONSTANT`: source positions have 10
//! fractional bits, of which 5 remain for the interpolation weights.

use deepaug_simd::for_every_instruction_set;

use super::{Fill, Image, scratch::Buffer};

/// Rotates about the centre, clockwise for positive degrees.
pub fn rotate(image: &mut Image<'_>, degrees: f64, fill: Fill) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    about_centre(image, [cos, -sin, sin, cos], fill);
}

/// Shears horizontally about the centre; for positive degrees the bottom moves to the left.
///
/// Vertical lines turn by the angle and keep their length, as in scikit-image before 0.20, on which imgaug 0.4.0
/// builds: at 90 degrees the image collapses into a line.
pub fn shear(image: &mut Image<'_>, degrees: f64, fill: Fill) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    about_centre(image, [1.0, -sin, 0.0, cos], fill);
}

/// Zooms about the centre: in for factors above 1, out for those below.
pub fn zoom(image: &mut Image<'_>, factor: f64, fill: Fill) {
    about_centre(image, [factor, 0.0, 0.0, factor], fill);
}

/// Shifts by (possibly fractional) pixels, to the right and down for positive ones.
pub fn translate(image: &mut Image<'_>, x: f64, y: f64, fill: Fill) {
    warp(image, [1.0, 0.0, x, 0.0, 1.0, y], fill);
}

fn about_centre(image: &mut Image<'_>, [xx, xy, yx, yy]: [f64; 4], fill: Fill) {
    let (cx, cy) = (image.width as f64 / 2.0 - 0.5, image.height as f64 / 2.0 - 0.5);
    warp(image, [xx, xy, cx - xx * cx - xy * cy, yx, yy, cy - yx * cx - yy * cy], fill);
}

const POSITION_BITS: u32 = 10;
const WEIGHT_BITS: u32 = 5;
const WEIGHTS: i32 = 1 << WEIGHT_BITS;

/// Pixels around the source, so that every position needed is inside.
const BORDER: usize = 2;

/// Moves the pixel at (x, y) to `matrix` (two rows of three) times (x, y, 1).
fn warp(image: &mut Image<'_>, matrix: [f64; 6], fill: Fill) {
    let (height, width, channels, stride) = (image.height, image.width, image.channels, image.stride());
    let source = super::bordered(image, BORDER, fill);
    let source_stride = (width + 2 * BORDER) * channels;
    let inverse = invert(matrix);
    let mut steps = Buffer::<i32>::any(2 * width);
    let (steps_x, steps_y) = steps.split_at_mut(width);
    for (x, (step_x, step_y)) in steps_x.iter_mut().zip(steps_y.iter_mut()).enumerate() {
        (*step_x, *step_y) = (fixed(inverse[0] * x as f64), fixed(inverse[3] * x as f64));
    }
    let mut taps = Buffer::<i32>::any(2 * width);
    let (places, weights) = taps.split_at_mut(width);
    // Half of the last weight bit, so that the shift to weights rounds.
    let half = 1 << (POSITION_BITS - WEIGHT_BITS - 1);
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let start = [(1, 2), (4, 5)].map(|(a, b)| fixed(inverse[a] * y as f64 + inverse[b]) + half);
        let size = [width as i32, height as i32];
        let strides = [channels as i32, source_stride as i32];
        locate(places, weights, steps_x, steps_y, start, size, strides);
        interpolate(row, &source, places, weights, channels, source_stride);
    }
}

/// Takes every pixel from another position of the image: `of_row` writes those of a row, given its number, as x and y.
/// They are rounded to 32nds of a pixel.
pub(super) fn remap(image: &mut Image<'_>, fill: Fill, mut of_row: impl FnMut(usize, &mut [f64], &mut [f64])) {
    let (height, width, channels, stride) = (image.height, image.width, image.channels, image.stride());
    let source = super::bordered(image, BORDER, fill);
    let source_stride = (width + 2 * BORDER) * channels;
    let (size, strides) = ([width as i32, height as i32], [channels as i32, source_stride as i32]);
    let mut positions = Buffer::<f64>::any(2 * width);
    let (xs, ys) = positions.split_at_mut(width);
    let mut steps = Buffer::<i32>::any(2 * width);
    let (steps_x, steps_y) = steps.split_at_mut(width);
    let mut taps = Buffer::<i32>::any(2 * width);
    let (places, weights) = taps.split_at_mut(width);
    let half = 1 << (POSITION_BITS - WEIGHT_BITS - 1);
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        of_row(y, xs, ys);
        steps_x.iter_mut().zip(&*xs).for_each(|(step, &x)| *step = fixed(x));
        steps_y.iter_mut().zip(&*ys).for_each(|(step, &y)| *step = fixed(y));
        locate(places, weights, steps_x, steps_y, [half; 2], size, strides);
        interpolate(row, &source, places, weights, channels, source_stride);
    }
}

/// Converts a position to fixed point, limited so that two can be added without overflow.
fn fixed(value: f64) -> i32 {
    let most = f64::from(1 << 29);
    (value * f64::from(1 << POSITION_BITS)).round_ties_even().clamp(-most, most) as i32
}

for_every_instruction_set! {
    /// For each pixel of a row, computes the position of its upper left source pixel in the bordered source, and
    /// the weights of its right and lower neighbours, the latter in the second byte.
    fn locate(
        places: &mut [i32],
        weights: &mut [i32],
        steps_x: &[i32],
        steps_y: &[i32],
        start: [i32; 2],
        size: [i32; 2],
        strides: [i32; 2],
    ) {
        let border = BORDER as i32;
        for (((place, weight), step_x), step_y) in places.iter_mut().zip(weights).zip(steps_x).zip(steps_y) {
            let x = (start[0] + step_x) >> (POSITION_BITS - WEIGHT_BITS);
            let y = (start[1] + step_y) >> (POSITION_BITS - WEIGHT_BITS);
            *weight = (x & (WEIGHTS - 1)) | (y & (WEIGHTS - 1)) << 8;
            let (x, y) = (x >> WEIGHT_BITS, y >> WEIGHT_BITS);
            let (x, y) = (x.max(-border).min(size[0]) + border, y.max(-border).min(size[1]) + border);
            *place = x * strides[0] + y * strides[1];
        }
    }
}

fn interpolate(row: &mut [u8], source: &[u8], places: &[i32], weights: &[i32], channels: usize, stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if channels == 3 && deepaug_simd::instruction_set() >= deepaug_simd::InstructionSet::Avx2 {
        // SAFETY: the features of the level were detected.
        return unsafe { interpolate_rgb(row, source, places, weights, stride) };
    }
    for ((pixel, &place), &weight) in row.chunks_exact_mut(channels).zip(places).zip(weights) {
        let (right, lower) = ((weight & 0xff) as u32, (weight >> 8) as u32);
        let (left, upper) = (WEIGHTS as u32 - right, WEIGHTS as u32 - lower);
        let (above, below) = (&source[place as usize..], &source[place as usize + stride..]);
        for (c, value) in pixel.iter_mut().enumerate() {
            let first = upper * u32::from(above[c]) + lower * u32::from(below[c]);
            let second = upper * u32::from(above[c + channels]) + lower * u32::from(below[c + channels]);
            let sum = left * first + right * second;
            *value = ((sum + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)) as u8;
        }
    }
}

/// [`interpolate`] for three channels, a pixel's two rows and two columns at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn interpolate_rgb(row: &mut [u8], source: &[u8], places: &[i32], weights: &[i32], stride: usize) {
    use std::arch::x86_64::*;

    // Pairs of the same channel of the left and the right pixel.
    let columns = _mm_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1);
    let half = _mm_set1_epi32(1 << (2 * WEIGHT_BITS - 1));
    let low_bytes = _mm_setr_epi8(0, 4, 8, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    let count = row.len() / 3;
    assert!(places.len() >= count && weights.len() >= count);
    for (i, (&place, &weight)) in places.iter().zip(weights).enumerate().take(count) {
        let (right, lower) = (weight as i16 & 0xff, weight as i16 >> 8);
        let place = place as usize;
        assert!(place + stride + 8 <= source.len());
        // SAFETY: both lie in the source, by the assertion.
        let (above, below) = unsafe {
            let first = source.as_ptr().add(place);
            (_mm_loadl_epi64(first.cast()), _mm_loadl_epi64(first.add(stride).cast()))
        };
        let rows = _mm_set1_epi16((WEIGHTS as i16 - lower) | lower << 8);
        let mixed = _mm_maddubs_epi16(_mm_unpacklo_epi8(above, below), rows);
        let sides = _mm_set1_epi32((WEIGHTS - i32::from(right)) | i32::from(right) << 16);
        let sums = _mm_madd_epi16(_mm_shuffle_epi8(mixed, columns), sides);
        let rounded = _mm_srli_epi32::<{ 2 * WEIGHT_BITS as i32 }>(_mm_add_epi32(sums, half));
        let bytes = (_mm_cvtsi128_si32(_mm_shuffle_epi8(rounded, low_bytes)) as u32).to_le_bytes();
        // Writing a fourth byte, which the next pixel overwrites, is faster than writing three.
        match row.get_mut(3 * i..3 * i + 4) {
            Some(pixel) => pixel.copy_from_slice(&bytes),
            None => row[3 * i..].copy_from_slice(&bytes[..3]),
        }
    }
}

/// A singular matrix inverts to zeros, as in OpenCV.
fn invert([xx, xy, x, yx, yy, y]: [f64; 6]) -> [f64; 6] {
    let determinant = xx * yy - xy * yx;
    let scale = if determinant == 0.0 { 0.0 } else { 1.0 / determinant };
    let (ixx, ixy, iyx, iyy) = (yy * scale, -xy * scale, -yx * scale, xx * scale);
    [ixx, ixy, -ixx * x - ixy * y, iyx, iyy, -iyx * x - iyy * y]
}
