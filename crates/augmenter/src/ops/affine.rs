//! Rotation, shear and translation: bilinear interpolation, black outside.
//!
//! The result equals OpenCV's `warpAffine` on `u8` images with `INTER_LINEAR` and `BORDER_CONSTANT`: source positions have 10
//! fractional bits, of which 5 remain for the interpolation weights.

use super::Image;

/// Rotates about the centre, clockwise for positive degrees.
pub fn rotate(image: &mut Image<'_>, degrees: f64) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    about_centre(image, [cos, -sin, sin, cos]);
}

/// Shears horizontally about the centre; for positive degrees the bottom moves to the left.
///
/// Vertical lines turn by the angle and keep their length, as in scikit-image before 0.20, on which imgaug 0.4.0 builds: at
/// 90 degrees the image has collapsed into a line.
pub fn shear(image: &mut Image<'_>, degrees: f64) {
    let (sin, cos) = degrees.to_radians().sin_cos();
    about_centre(image, [1.0, -sin, 0.0, cos]);
}

/// Shifts by (possibly fractional) pixels, to the right and down for positive ones.
pub fn translate(image: &mut Image<'_>, x: f64, y: f64) {
    warp(image, [1.0, 0.0, x, 0.0, 1.0, y]);
}

fn about_centre(image: &mut Image<'_>, [xx, xy, yx, yy]: [f64; 4]) {
    let (cx, cy) = (image.width as f64 / 2.0 - 0.5, image.height as f64 / 2.0 - 0.5);
    warp(image, [xx, xy, cx - xx * cx - xy * cy, yx, yy, cy - yx * cx - yy * cy]);
}

const POSITION_BITS: u32 = 10;
const WEIGHT_BITS: u32 = 5;
const WEIGHTS: i64 = 1 << WEIGHT_BITS;

/// Moves the pixel at (x, y) to `matrix` (two rows of three) times (x, y, 1).
fn warp(image: &mut Image<'_>, matrix: [f64; 6]) {
    let source = image.pixels.to_vec();
    let (height, width, channels) = (image.height, image.width, image.channels);
    let inverse = invert(matrix);
    let fixed = |value: f64| i64::from((value * f64::from(1 << POSITION_BITS)).round_ties_even() as i32);
    let columns: Vec<(i64, i64)> =
        (0..width).map(|x| (fixed(inverse[0] * x as f64), fixed(inverse[3] * x as f64))).collect();
    // Half of the last weight bit, so that the shift below rounds.
    let half = 1 << (POSITION_BITS - WEIGHT_BITS - 1);

    let stride = image.stride();
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let x0 = fixed(inverse[1] * y as f64 + inverse[2]) + half;
        let y0 = fixed(inverse[4] * y as f64 + inverse[5]) + half;
        for (pixel, &(dx, dy)) in row.chunks_exact_mut(channels).zip(&columns) {
            let sx = (x0 + dx) >> (POSITION_BITS - WEIGHT_BITS);
            let sy = (y0 + dy) >> (POSITION_BITS - WEIGHT_BITS);
            let (wx, wy) = ((sx & (WEIGHTS - 1)) as u32, (sy & (WEIGHTS - 1)) as u32);
            let (sx, sy) = (sx >> WEIGHT_BITS, sy >> WEIGHT_BITS);
            let (one, weights) = (WEIGHTS as u32, [wx, wy]);
            let weights = [
                (one - weights[0]) * (one - weights[1]),
                weights[0] * (one - weights[1]),
                (one - weights[0]) * weights[1],
                weights[0] * weights[1],
            ];
            let inside = sx >= 0 && sy >= 0 && sx + 1 < width as i64 && sy + 1 < height as i64;
            if inside {
                let at = sy as usize * stride + sx as usize * channels;
                let upper = &source[at..at + 2 * channels];
                let lower = &source[at + stride..at + stride + 2 * channels];
                for (c, value) in pixel.iter_mut().enumerate() {
                    let taps = [upper[c], upper[c + channels], lower[c], lower[c + channels]];
                    *value = blend(weights, taps);
                }
            } else {
                let tap = |x: i64, y: i64, c: usize| {
                    let inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
                    if inside { source[y as usize * stride + x as usize * channels + c] } else { 0 }
                };
                for (c, value) in pixel.iter_mut().enumerate() {
                    let taps = [tap(sx, sy, c), tap(sx + 1, sy, c), tap(sx, sy + 1, c), tap(sx + 1, sy + 1, c)];
                    *value = blend(weights, taps);
                }
            }
        }
    }
}

fn blend(weights: [u32; 4], taps: [u8; 4]) -> u8 {
    let sum: u32 = weights.iter().zip(taps).map(|(weight, tap)| weight * u32::from(tap)).sum();
    ((sum + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)) as u8
}

/// A singular matrix inverts to zeros, as in OpenCV.
fn invert([xx, xy, x, yx, yy, y]: [f64; 6]) -> [f64; 6] {
    let determinant = xx * yy - xy * yx;
    let scale = if determinant == 0.0 { 0.0 } else { 1.0 / determinant };
    let (ixx, ixy, iyx, iyy) = (yy * scale, -xy * scale, -yx * scale, xx * scale);
    [ixx, ixy, -ixx * x - ixy * y, iyx, iyy, -iyx * x - iyy * y]
}
