//! Rotation, shear and translation of the AutoAugment family: nearest pixel, black outside.
//!
//! The result equals Pillow's `Image.transform` with `AFFINE` and `NEAREST`, whose source positions have 16 fractional bits.

use deepaug_simd::for_every_instruction_set;

use super::{Image, scratch::Buffer};

/// Rotates about the centre, counter-clockwise for positive degrees.
pub fn rotate(image: &mut Image<'_>, degrees: f64) {
    let (sin, cos) = (-degrees.to_radians()).sin_cos();
    // Pillow rounds to 15 digits, which makes right angles exact.
    let [sin, cos] = [sin, cos].map(|v| (v * 1e15).round() / 1e15);
    let (cx, cy) = (image.width as f64 / 2.0, image.height as f64 / 2.0);
    transform(image, [cos, sin, cx - cos * cx - sin * cy, -sin, cos, cy + sin * cx - cos * cy]);
}

/// Shears horizontally: the row y moves to the left by `slope` y.
pub fn shear_x(image: &mut Image<'_>, slope: f64) {
    transform(image, [1.0, slope, 0.0, 0.0, 1.0, 0.0]);
}

/// Shears vertically: the column x moves up by `slope` x.
pub fn shear_y(image: &mut Image<'_>, slope: f64) {
    transform(image, [1.0, 0.0, 0.0, slope, 1.0, 0.0]);
}

/// Shifts by whole pixels, to the right and down for positive ones.
pub fn translate(image: &mut Image<'_>, x: isize, y: isize) {
    let (height, stride) = (image.height, image.stride());
    let down = y.unsigned_abs().min(height) * stride;
    let len = image.pixels.len();
    if y > 0 {
        image.pixels.copy_within(..len - down, down);
        image.pixels[..down].fill(0);
    } else if y < 0 {
        image.pixels.copy_within(down.., 0);
        image.pixels[len - down..].fill(0);
    }
    let across = x.unsigned_abs().min(image.width) * image.channels;
    if x != 0 {
        for row in image.pixels.chunks_exact_mut(stride) {
            if x > 0 {
                row.copy_within(..stride - across, across);
                row[..across].fill(0);
            } else {
                row.copy_within(across.., 0);
                row[stride - across..].fill(0);
            }
        }
    }
}

const BITS: u32 = 16;
const BORDER: usize = 1;

/// Takes the pixel at (x, y) from `matrix` (two rows of three) times (x + 1/2, y + 1/2, 1).
fn transform(image: &mut Image<'_>, matrix: [f64; 6]) {
    let (height, width, channels, stride) = (image.height, image.width, image.channels, image.stride());
    let source = super::bordered(image, BORDER, super::Fill::Black);
    let source_stride = (width + 2 * BORDER) * channels;
    let fixed = |v: f64| (v * f64::from(1 << BITS) + 0.5).floor() as i64;
    let [xx, xy, x, yx, yy, y] = matrix;
    let steps = [xx, yx].map(fixed);
    let (down_x, down_y) = (fixed(xy), fixed(yy));
    let (start_x, start_y) = (fixed(x + xx * 0.5 + xy * 0.5), fixed(y + yx * 0.5 + yy * 0.5));
    let mut places = Buffer::<i64>::any(width);
    for (row, y) in image.pixels.chunks_exact_mut(stride).zip(0..) {
        let start = [start_x + down_x * y, start_y + down_y * y];
        let strides = [channels as i64, source_stride as i64];
        locate(&mut places, start, steps, [width as i64, height as i64], strides);
        super::gather(row, &source, &places, channels);
    }
}

for_every_instruction_set! {
    /// For each pixel of a row, computes the position of its source pixel in the bordered source.
    fn locate(places: &mut [i64], start: [i64; 2], steps: [i64; 2], size: [i64; 2], strides: [i64; 2]) {
        let border = BORDER as i64;
        for (i, place) in places.iter_mut().enumerate() {
            let x = (start[0] + steps[0] * i as i64) >> BITS;
            let y = (start[1] + steps[1] * i as i64) >> BITS;
            let (x, y) = (x.max(-border).min(size[0]) + border, y.max(-border).min(size[1]) + border);
            *place = x * strides[0] + y * strides[1];
        }
    }
}
