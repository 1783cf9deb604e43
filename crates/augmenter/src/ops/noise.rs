//! Additive noise.

use deepaug_simd::for_every_instruction_set;
use rand::Rng;

use super::{Image, random, scratch::Buffer};

/// Adds Gaussian noise of standard deviation `sd`, rounded to integers: independent for each channel, or equal in
/// all channels of a pixel.
pub fn gaussian(image: &mut Image<'_>, sd: f64, per_channel: bool, rng: &mut (impl Rng + ?Sized)) {
    let group = if per_channel { 1 } else { image.channels };
    let numbers = random::numbers(image.pixels.len() / group, rng);
    let mut added = Buffer::<i16>::any(numbers.len());
    scale(&mut added, &numbers, sd as f32);
    match group {
        1 => add(image.pixels, &added),
        3 => add_rgb(image.pixels, &added),
        _ => {
            for (pixel, &added) in image.pixels.chunks_exact_mut(group).zip(added.iter()) {
                pixel.iter_mut().for_each(|value| *value = sum(*value, added));
            }
        }
    }
}

for_every_instruction_set! {
    /// Scales normal numbers to a standard deviation, and rounds them.
    fn scale(added: &mut [i16], numbers: &[u32], sd: f32) {
        for (added, number) in added.iter_mut().zip(numbers) {
            let noise = (sd * random::normal(*number)).round_ties_even();
            // SAFETY: the normal numbers are within ±6, and results for standard deviations beyond 5000 are
            // clamped.
            *added = unsafe { noise.max(-30_000.0).min(30_000.0).to_int_unchecked::<i32>() } as i16;
        }
    }
}

#[inline(always)]
fn sum(value: u8, added: i16) -> u8 {
    i16::from(value).saturating_add(added).max(0).min(255) as u8
}

for_every_instruction_set! {
    fn add(values: &mut [u8], added: &[i16]) {
        for (value, added) in values.iter_mut().zip(added) {
            *value = sum(*value, *added);
        }
    }
}

for_every_instruction_set! {
    fn add_rgb(values: &mut [u8], added: &[i16]) {
        for (pixel, added) in values.as_chunks_mut::<3>().0.iter_mut().zip(added) {
            for value in pixel {
                *value = sum(*value, *added);
            }
        }
    }
}
