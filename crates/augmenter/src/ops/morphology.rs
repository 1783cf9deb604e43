//! Erosion and dilation of grey values.

use deepaug_simd::for_every_instruction_set;

use super::{Image, pairing::blend, scratch::Buffer};

/// Blends with the darkest of the pixels around each, in a square of `2 radius + 1` a side, weighted with `weight` (0..=1),
/// as Pillow's `MinFilter` and `Image.blend` do.
pub fn erode(image: &mut Image<'_>, radius: usize, weight: f64) {
    blend_with(image, radius, weight, Extreme { choose: darker, loser: u8::MAX });
}

/// Blends with the brightest of the pixels around each, likewise.
pub fn dilate(image: &mut Image<'_>, radius: usize, weight: f64) {
    blend_with(image, radius, weight, Extreme { choose: brighter, loser: 0 });
}

fn blend_with(image: &mut Image<'_>, radius: usize, weight: f64, extreme: Extreme) {
    let (stride, channels) = (image.stride(), image.channels);
    let mut rows = Buffer::copy(image.pixels);
    let mut line = Line::new(image.width, radius.min(image.width), channels, extreme);
    for row in rows.chunks_exact_mut(stride) {
        line.spread(row);
    }
    let mut filtered = Buffer::copy(&rows);
    Line::new(image.height, radius.min(image.height), stride, extreme).spread(&mut filtered);
    blend(image, &filtered, weight);
}

/// Which of several values is taken: the choice of two, and a value that loses to all.
#[derive(Clone, Copy)]
struct Extreme {
    choose: fn(&mut [u8], &[u8], &[u8]),
    loser: u8,
}

/// Takes the extreme of the items around each, in windows of `2 radius + 1` items of `unit` values. The extremes of two, four,
/// eight ... neighbours follow from one another, so that a window takes as many steps as its length has binary digits.
struct Line {
    radius: usize,
    unit: usize,
    extreme: Extreme,
    /// The items with losers on both sides, and room for the next step.
    items: Buffer<u8>,
    next: Buffer<u8>,
}

impl Line {
    fn new(length: usize, radius: usize, unit: usize, extreme: Extreme) -> Self {
        let all = (length + 2 * radius) * unit;
        Self { radius, unit, extreme, items: Buffer::any(all), next: Buffer::any(all) }
    }

    fn spread(&mut self, values: &mut [u8]) {
        let Self { radius, unit, extreme, items, next } = self;
        let (window, all, side) = (2 * *radius + 1, items.len(), *radius * *unit);
        items[..side].fill(extreme.loser);
        items[side..side + values.len()].copy_from_slice(values);
        items[side + values.len()..].fill(extreme.loser);
        let (mut span, mut filled) = (1, all);
        while 2 * span <= window {
            let shift = span * *unit;
            filled -= shift;
            (extreme.choose)(&mut next[..filled], &items[..filled], &items[shift..shift + filled]);
            std::mem::swap(items, next);
            span *= 2;
        }
        let shift = (window - span) * *unit;
        (extreme.choose)(values, &items[..values.len()], &items[shift..shift + values.len()]);
    }
}

for_every_instruction_set! {
    fn darker(chosen: &mut [u8], values: &[u8], others: &[u8]) {
        for ((chosen, value), other) in chosen.iter_mut().zip(values).zip(others) {
            *chosen = if *other < *value { *other } else { *value };
        }
    }
}

for_every_instruction_set! {
    fn brighter(chosen: &mut [u8], values: &[u8], others: &[u8]) {
        for ((chosen, value), other) in chosen.iter_mut().zip(values).zip(others) {
            *chosen = if *other > *value { *other } else { *value };
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
    fn windows_of_every_radius_hold_the_brightest_of_their_items() {
        let values: Vec<u8> = (0..23).map(|i| (i * 97 % 89) as u8).collect();
        for radius in 0..30_usize {
            let mut spread = values.clone();
            dilate(&mut Image::new(&mut spread, 1, 23, 1), radius, 1.0);
            for (i, &found) in spread.iter().enumerate() {
                let window = &values[i.saturating_sub(radius)..(i + radius + 1).min(23)];
                assert_eq!(Some(&found), window.iter().max(), "{radius} {i}");
            }
        }
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
