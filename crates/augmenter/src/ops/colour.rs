//! Gamma, brightness, inversion, solarisation, posterisation, hue and saturation.

use std::sync::LazyLock;

use deepaug_simd::for_every_instruction_set;

use super::{
    Image,
    math::{byte, exp2},
    table::{self, Table},
};

/// Maps every value v to `255 (v / 255)^gamma`, rounded down as in imgaug's table; gamma 1 leaves the image
/// unchanged.
pub fn gamma(image: &mut Image<'_>, gamma: f64) {
    table::apply(image, &[gamma_table(gamma)]);
}

/// Base-2 logarithms of v / 255.
static LOG2: LazyLock<[f64; 256]> = LazyLock::new(|| std::array::from_fn(|v| (v as f64 / 255.0).log2()));

fn gamma_table(gamma: f64) -> Table {
    let mut table = [0; 256];
    fill_gamma(&mut table, f64::from(gamma as f32), &LOG2);
    // 0 to the power of 0 is 1.
    table[0] = if gamma == 0.0 { 255 } else { 0 };
    table
}

for_every_instruction_set! {
    fn fill_gamma(table: &mut Table, gamma: f64, log2: &[f64; 256]) {
        for v in 0..256 {
            table[v] = byte(exp2(gamma * log2[v]) as f32 * 255.0);
        }
    }
}

/// Number of values processed at once: with three channels, 64 pixels.
const BLOCK: usize = 192;

/// Adds to every value: `added` holds one number for all channels, or one for each.
pub fn add(image: &mut Image<'_>, added: &[i16]) {
    // Additions and subtractions saturate at the ends of a byte's range. Blocks start with the first channel.
    let (mut more, mut less) = ([0; BLOCK], [0; BLOCK]);
    let block = BLOCK / image.channels * image.channels;
    for (c, added) in added.iter().cycle().take(image.channels).enumerate() {
        let (up, down) = ((*added).clamp(0, 255) as u8, (-(*added).max(-255)).clamp(0, 255) as u8);
        more[c..block].iter_mut().step_by(image.channels).for_each(|more| *more = up);
        less[c..block].iter_mut().step_by(image.channels).for_each(|less| *less = down);
    }
    add_blocks(image.pixels, block, &more, &less);
}

for_every_instruction_set! {
    fn add_blocks(values: &mut [u8], block: usize, more: &[u8; BLOCK], less: &[u8; BLOCK]) {
        if block == BLOCK {
            let (whole, rest) = values.as_chunks_mut::<BLOCK>();
            for values in whole {
                for i in 0..BLOCK {
                    values[i] = values[i].saturating_add(more[i]).saturating_sub(less[i]);
                }
            }
            for (i, value) in rest.iter_mut().enumerate() {
                *value = value.saturating_add(more[i]).saturating_sub(less[i]);
            }
        } else {
            for (i, value) in values.iter_mut().enumerate() {
                *value = value.saturating_add(more[i % block]).saturating_sub(less[i % block]);
            }
        }
    }
}

/// Maps every value v to 255 - v.
pub fn invert(image: &mut Image<'_>) {
    invert_values(image.pixels);
}

for_every_instruction_set! {
    fn invert_values(values: &mut [u8]) {
        for value in values {
            *value = !*value;
        }
    }
}

/// Inverts the values that are at least `threshold` (0..=256), as Pillow's `ImageOps.solarize` does.
pub fn solarize(image: &mut Image<'_>, threshold: u16) {
    if let Ok(threshold) = u8::try_from(threshold) {
        solarize_values(image.pixels, threshold);
    }
}

for_every_instruction_set! {
    fn solarize_values(values: &mut [u8], threshold: u8) {
        for value in values {
            *value = if *value < threshold { *value } else { !*value };
        }
    }
}

/// Keeps the upper `bits` (0..=8) of every value, as Pillow's `ImageOps.posterize` does.
pub fn posterize(image: &mut Image<'_>, bits: u32) {
    mask_values(image.pixels, (0xff00_u32 >> bits.min(8)) as u8);
}

for_every_instruction_set! {
    fn mask_values(values: &mut [u8], mask: u8) {
        for value in values {
            *value &= mask;
        }
    }
}

/// Adds to hue and saturation in HSV, both as bytes: 255 of hue is the full circle. Images without 3 channels stay
/// unchanged.
///
/// Grey pixels have hue 0 (red), so added saturation tints them, as in imgaug.
pub fn add_hue_saturation(image: &mut Image<'_>, hue: i32, saturation: i32) {
    if image.channels != 3 {
        return;
    }
    // OpenCV's hue of `u8` images has 180 steps; imgaug truncates to them.
    let turn = ((hue as f32 / 255.0 * 180.0) as i32).rem_euclid(180);
    let (whole, rest) = image.pixels.as_chunks_mut::<BLOCK>();
    whole.iter_mut().for_each(|pixels| turn_and_saturate(pixels, turn, saturation));
    if !rest.is_empty() {
        let mut pixels = [0; BLOCK];
        pixels[..rest.len()].copy_from_slice(rest);
        turn_and_saturate(&mut pixels, turn, saturation);
        rest.copy_from_slice(&pixels[..rest.len()]);
    }
}

const HSV_SHIFT: i32 = 12;
const PIXELS: usize = BLOCK / 3;

for_every_instruction_set! {
    /// Applies OpenCV's `COLOR_RGB2HSV` on `u8` (hue in 0..180, saturation and value in 0..=255), the addition,
    /// and OpenCV's `COLOR_HSV2RGB` on `u8`, without branches, so that many pixels are processed at once.
    fn turn_and_saturate(pixels: &mut [u8; BLOCK], turn: i32, added: i32) {
        let (mut r, mut g, mut b) = ([0_u8; PIXELS], [0_u8; PIXELS], [0_u8; PIXELS]);
        for i in 0..PIXELS {
            (r[i], g[i], b[i]) = (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]);
        }
        let half = 1 << (HSV_SHIFT - 1);
        for i in 0..PIXELS {
            let (red, green, blue) = (i32::from(r[i]), i32::from(g[i]), i32::from(b[i]));
            let value = red.max(green).max(blue);
            let range = value - red.min(green).min(blue);
            // Wherever the divisor is 0, so is the dividend.
            let saturation = (range * divisor(255.0, value.max(1)) + half) >> HSV_SHIFT;
            let hue = if value == green { blue - red + 2 * range } else { red - green + 4 * range };
            let hue = if value == red { green - blue } else { hue };
            let hue = (hue * divisor(180.0 / 6.0, range.max(1)) + half) >> HSV_SHIFT;
            let hue = if hue < 0 { hue + 180 } else { hue };

            let hue = hue + turn;
            let hue = if hue >= 180 { hue - 180 } else { hue };
            let saturation = (saturation + added).max(0).min(255);

            let (s, v) = (saturation as f32 * (1.0 / 255.0), value as f32 * (1.0 / 255.0));
            let hue = hue as f32 * (6.0 / 180.0);
            let sector = hue.floor();
            let part = hue - sector;
            let (p, q, t) = (v * (1.0 - s), v * (1.0 - s * part), v * (1.0 - s * (1.0 - part)));
            let [v, p, q, t] = [v, p, q, t].map(|part| byte((part * 255.0).round_ties_even()));
            // Sectors 0 to 5: red is v q p p t v, green t v v q p p, blue p p t v v q.
            // SAFETY: from 0 to 5.
            let n = unsafe { sector.to_int_unchecked::<i32>() };
            let ends = if n == 1 { q } else { if n == 4 { t } else { v } };
            r[i] = if n == 2 || n == 3 { p } else { ends };
            let ends = if n == 0 { t } else { if n == 3 { q } else { v } };
            g[i] = if n >= 4 { p } else { ends };
            let ends = if n == 2 { t } else { if n == 5 { q } else { v } };
            b[i] = if n <= 1 { p } else { ends };
        }
        for i in 0..PIXELS {
            (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = (r[i], g[i], b[i]);
        }
    }
}

/// Returns `round(scale 2^12 / i)`, the divisors of OpenCV's conversion to HSV; a test shows that `f32` is precise
/// enough.
#[inline(always)]
fn divisor(scale: f32, i: i32) -> i32 {
    // SAFETY: at most 255 times 2^12.
    unsafe { (scale * (1 << HSV_SHIFT) as f32 / i as f32).round_ties_even().to_int_unchecked() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_1_changes_no_value_and_others_are_rounded_down() {
        deepaug_simd::with_every_instruction_set(|_| {
            assert!(gamma_table(1.0).into_iter().eq(0..=255));
            for (i, gamma) in [0.0, 0.05, 0.3, 0.7, 1.3, 2.0, 3.0, 90.0].into_iter().enumerate() {
                for (v, found) in gamma_table(gamma).into_iter().enumerate() {
                    let exact = 255.0 * (v as f64 / 255.0).powf(f64::from(gamma as f32));
                    let near = (exact - exact.round()).abs() < 1e-4;
                    assert!(
                        found == exact as u8 || near && found.abs_diff(exact as u8) == 1,
                        "{i} {v}: {found} {exact}"
                    );
                }
            }
        });
    }

    #[test]
    fn divisors_are_exact() {
        for i in 1..256 {
            for scale in [255.0_f64, 30.0] {
                let exact = (scale * 4096.0 / f64::from(i)).round_ties_even() as i32;
                assert_eq!(divisor(scale as f32, i), exact);
            }
        }
    }

    #[test]
    fn additions_stop_at_the_ends_and_may_differ_by_channel() {
        for width in [1, 63, 64, 65, 130] {
            let values: Vec<u8> = (0..width * 3).map(|i| (i * 41) as u8).collect();
            for added in [&[37_i16][..], &[-300], &[5, -90, 400]] {
                deepaug_simd::with_every_instruction_set(|_| {
                    let mut found = values.clone();
                    add(&mut Image::new(&mut found, 1, width, 3), added);
                    for (i, (found, value)) in found.iter().zip(&values).enumerate() {
                        let exact = (i16::from(*value) + added[i % 3 % added.len()]).clamp(0, 255);
                        assert_eq!(i16::from(*found), exact);
                    }
                });
            }
        }
    }

    #[test]
    fn hue_turns_and_grey_images_stay() {
        let mut pixels = [255, 0, 0];
        add_hue_saturation(&mut Image::new(&mut pixels, 1, 1, 3), 85, 0);
        assert_eq!(pixels, [0, 255, 0]);
        let mut pixels = [7, 200, 31];
        add_hue_saturation(&mut Image::new(&mut pixels, 3, 1, 1), 85, 60);
        assert_eq!(pixels, [7, 200, 31]);
    }
}
