//! Additive noise.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Image;

/// Adds Gaussian noise of standard deviation `sd`, rounded to whole values: independent for each channel, or equal in all
/// channels of a pixel.
pub fn gaussian(image: &mut Image<'_>, sd: f64, per_channel: bool, rng: &mut (impl Rng + ?Sized)) {
    let sd = sd as f32;
    let group = if per_channel { 1 } else { image.channels };
    for values in image.pixels.chunks_exact_mut(group) {
        let normal: f32 = StandardNormal.sample(rng);
        let added = (sd * normal).round_ties_even() as i16;
        for value in values {
            *value = i16::from(*value).saturating_add(added).clamp(0, 255) as u8;
        }
    }
}
