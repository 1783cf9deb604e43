//! Blends of two images.

use deepaug_simd::for_every_instruction_set;

use super::{Image, math::byte};

/// Blends with another image's values, weighted with `weight` (0..=1), as Pillow's `Image.blend` does.
///
/// # Panics
///
/// If the other image has a different number of values.
pub fn blend(image: &mut Image<'_>, other: &[u8], weight: f64) {
    assert_eq!(image.pixels.len(), other.len(), "two images of one size");
    blend_values(image.pixels, other, weight as f32);
}

for_every_instruction_set! {
    fn blend_values(values: &mut [u8], others: &[u8], weight: f32) {
        for (value, other) in values.iter_mut().zip(others) {
            let own = f32::from(*value);
            *value = byte(own + weight * (f32::from(*other) - own));
        }
    }
}
