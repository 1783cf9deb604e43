//! Gamma, brightness, inversion, hue and saturation.

use std::sync::LazyLock;

use super::Image;

/// Maps every value v to `255 (v / 255)^gamma`, rounded down as imgaug's table is; gamma 1 leaves the image as it is.
pub fn gamma(image: &mut Image<'_>, gamma: f64) {
    let table: [u8; 256] = std::array::from_fn(|v| ((v as f32 / 255.0).powf(gamma as f32) * 255.0) as u8);
    image.pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// Adds to every value: `added` holds one number for all channels, or one for each.
pub fn add(image: &mut Image<'_>, added: &[i16]) {
    for pixel in image.pixels.chunks_exact_mut(image.channels) {
        for (value, added) in pixel.iter_mut().zip(added.iter().cycle()) {
            *value = i16::from(*value).saturating_add(*added).clamp(0, 255) as u8;
        }
    }
}

/// Maps every value v to 255 - v.
pub fn invert(image: &mut Image<'_>) {
    image.pixels.iter_mut().for_each(|value| *value = 255 - *value);
}

/// Adds to hue and saturation in HSV, both in bytes: 255 of hue is the full circle. Images without 3 channels stay unchanged.
///
/// Grey pixels have hue 0 (red), so that added saturation tints them, as in imgaug.
pub fn add_hue_saturation(image: &mut Image<'_>, hue: i32, saturation: i32) {
    if image.channels != 3 {
        return;
    }
    // OpenCV's hue of `u8` images has 180 steps; imgaug truncates to them.
    let turn = (hue as f32 / 255.0 * 180.0) as i32;
    for pixel in image.pixels.chunks_exact_mut(3) {
        let [h, s, v] = to_hsv([pixel[0], pixel[1], pixel[2]]);
        let h = (h + turn).rem_euclid(180);
        let s = (s + saturation).clamp(0, 255);
        pixel.copy_from_slice(&to_rgb([h, s, v]));
    }
}

const HSV_SHIFT: i32 = 12;

/// `round(scale 2^12 / i)`, the divisors of OpenCV's conversion to HSV.
fn divisors(scale: f64) -> [i32; 256] {
    let divisor = |i| (scale * f64::from(1 << HSV_SHIFT) / f64::from(i)).round_ties_even() as i32;
    std::array::from_fn(|i| if i == 0 { 0 } else { divisor(i as i32) })
}

static SATURATION: LazyLock<[i32; 256]> = LazyLock::new(|| divisors(255.0));
static HUE: LazyLock<[i32; 256]> = LazyLock::new(|| divisors(180.0 / 6.0));

/// OpenCV's `COLOR_RGB2HSV` on `u8`: hue in 0..180, saturation and value in 0..=255.
fn to_hsv(rgb: [u8; 3]) -> [i32; 3] {
    let [r, g, b] = rgb.map(i32::from);
    let value = r.max(g).max(b);
    let range = value - r.min(g).min(b);
    let half = 1 << (HSV_SHIFT - 1);
    let saturation = (range * SATURATION[value as usize] + half) >> HSV_SHIFT;
    let hue = if value == r {
        g - b
    } else if value == g {
        b - r + 2 * range
    } else {
        r - g + 4 * range
    };
    let hue = (hue * HUE[range as usize] + half) >> HSV_SHIFT;
    [if hue < 0 { hue + 180 } else { hue }, saturation, value]
}

/// OpenCV's `COLOR_HSV2RGB` on `u8`.
fn to_rgb([h, s, v]: [i32; 3]) -> [u8; 3] {
    let (s, v) = (s as f32 * (1.0 / 255.0), v as f32 * (1.0 / 255.0));
    let hue = h as f32 * (6.0 / 180.0);
    let sector = hue.floor();
    let part = hue - sector;
    let (p, q, t) = (v * (1.0 - s), v * (1.0 - s * part), v * (1.0 - s * (1.0 - part)));
    let rgb = match sector as i32 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    };
    rgb.map(|x| (x * 255.0).round_ties_even() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_1_changes_no_value() {
        let mut pixels: Vec<u8> = (0..=255).collect();
        gamma(&mut Image::new(&mut pixels, 16, 16, 1), 1.0);
        assert!(pixels.into_iter().eq(0..=255));
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
