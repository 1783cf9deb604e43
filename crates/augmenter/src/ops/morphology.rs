//! Erosion and dilation of grey values.

use deepaug_simd::for_every_instruction_set;

use super::{Image, pairing::blend, scratch::Buffer};

/// Blends with the darkest of the pixels around each, in a square of `2 radius + 1` a side, weighted with `weight` (0..=1),
/// as Pillow's `MinFilter` and `Image.blend` do.
pub fn erode(image: &mut Image<'_>, radius: usize, weight: f64) {
    blend_with(image, radius, weight, darker);
}

/// Blends with the brightest of the pixels around each, likewise.
pub fn dilate(image: &mut Image<'_>, radius: usize, weight: f64) {
    blend_with(image, radius, weight, brighter);
}

fn blend_with(image: &mut Image<'_>, radius: usize, weight: f64, choose: fn(&mut [u8], &[u8])) {
    let (stride, height) = (image.stride(), image.height);
    let mut rows = Buffer::copy(image.pixels);
    for (to, from) in rows.chunks_exact_mut(stride).zip(image.pixels.chunks_exact(stride)) {
        for shift in (1..=radius.min(image.width - 1)).map(|pixels| pixels * image.channels) {
            choose(&mut to[shift..], &from[..stride - shift]);
            choose(&mut to[..stride - shift], &from[shift..]);
        }
    }
    let mut filtered = Buffer::copy(&rows);
    for shift in (1..=radius.min(height - 1)).map(|pixels| pixels * stride) {
        choose(&mut filtered[shift..], &rows[..height * stride - shift]);
        choose(&mut filtered[..height * stride - shift], &rows[shift..]);
    }
    blend(image, &filtered, weight);
}

for_every_instruction_set! {
    fn darker(values: &mut [u8], others: &[u8]) {
        for (value, other) in values.iter_mut().zip(others) {
            *value = if *other < *value { *other } else { *value };
        }
    }
}

for_every_instruction_set! {
    fn brighter(values: &mut [u8], others: &[u8]) {
        for (value, other) in values.iter_mut().zip(others) {
            *value = if *other > *value { *other } else { *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_grow_and_shrink_by_the_radius() {
        let square = |first: usize, last: usize| -> Vec<u8> {
            let inside = |i: usize| (first..=last).contains(&(i / 9)) && (first..=last).contains(&(i % 9));
            (0..81).map(|i| if inside(i) { 200 } else { 40 }).collect()
        };
        let of = |kernel: fn(&mut Image<'_>, usize, f64), radius, weight| {
            let mut pixels = square(3, 5);
            kernel(&mut Image::new(&mut pixels, 9, 9, 1), radius, weight);
            pixels
        };
        assert_eq!(of(dilate, 1, 1.0), square(2, 6));
        assert_eq!(of(dilate, 20, 1.0), square(0, 8));
        assert_eq!(of(erode, 1, 1.0), square(4, 4));
        assert_eq!(of(erode, 1, 0.0), square(3, 5));
        assert_eq!(of(erode, 1, 0.25)[3 * 9 + 3], 160);
    }

    #[test]
    fn channels_do_not_mix() {
        let pixels: Vec<u8> = (0..5 * 4 * 3).map(|i| (i * 37 % 251) as u8).collect();
        let mut whole = pixels.clone();
        dilate(&mut Image::new(&mut whole, 5, 4, 3), 1, 1.0);
        for channel in 0..3 {
            let mut alone: Vec<u8> = pixels.iter().skip(channel).step_by(3).copied().collect();
            dilate(&mut Image::new(&mut alone, 5, 4, 1), 1, 1.0);
            assert!(alone.iter().eq(whole.iter().skip(channel).step_by(3)));
        }
    }
}
