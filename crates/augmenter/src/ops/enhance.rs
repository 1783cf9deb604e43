//! Contrast, colour, brightness and sharpness: blends of the image with a version that lacks the quality.
//!
//! The result equals Pillow's `ImageEnhance`: factor 1 leaves the image unchanged, 0 gives the version without,
//! and factors above 1 move away from it.

use deepaug_simd::for_every_instruction_set;

use super::{Image, math::byte, scratch::Buffer};

/// Blends with the image's mean grey, the mean of Pillow's grey of each pixel.
pub fn contrast(image: &mut Image<'_>, factor: f64) {
    let sum = match image.channels {
        3 => sum_of_greys(image.pixels),
        _ => image.pixels.iter().map(|&value| u64::from(value)).sum(),
    };
    let mean = (sum as f64 / (image.height * image.width) as f64 + 0.5) as u8;
    blend_with_constant(image.pixels, mean, factor as f32);
}

/// Blends with black.
pub fn brightness(image: &mut Image<'_>, factor: f64) {
    blend_with_constant(image.pixels, 0, factor as f32);
}

/// Blends with the grey image; leaves images without 3 channels unchanged.
pub fn saturation(image: &mut Image<'_>, factor: f64) {
    if image.channels == 3 {
        blend_with_grey(image.pixels, factor as f32);
    }
}

/// Blends with the image smoothed by a 3 x 3 kernel of ones with a 5 in the middle; its outermost pixels stay
/// unchanged.
pub fn sharpness(image: &mut Image<'_>, factor: f64) {
    let (width, channels, stride) = (image.width, image.channels, image.stride());
    if width < 3 || image.height < 3 {
        return;
    }
    let source = Buffer::copy(image.pixels);
    let inner = channels..stride - channels;
    let mut smooth = Buffer::<u8>::any(inner.len());
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate().take(image.height - 1).skip(1) {
        smooth_row(&mut smooth, [y - 1, y, y + 1].map(|y| &source[y * stride..][..stride]), channels);
        blend(&mut row[inner.clone()], &smooth, factor as f32);
    }
}

/// Pillow's blend of a value without a quality and one with it. Values are integers below 2^24, so `f32` is exact
/// where Pillow uses integers.
#[inline(always)]
fn mixed(without: u8, with: u8, factor: f32) -> u8 {
    let without = f32::from(without);
    byte(without + factor * (f32::from(with) - without))
}

for_every_instruction_set! {
    fn blend_with_constant(values: &mut [u8], without: u8, factor: f32) {
        for value in values {
            *value = mixed(without, *value, factor);
        }
    }
}

for_every_instruction_set! {
    fn blend(values: &mut [u8], without: &[u8], factor: f32) {
        for (value, &without) in values.iter_mut().zip(without) {
            *value = mixed(without, *value, factor);
        }
    }
}

/// Pillow's grey of a pixel: ITU-R 601-2 luma.
#[inline(always)]
fn grey(r: u8, g: u8, b: u8) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16) as u8
}

/// Number of pixels processed at once.
const PIXELS: usize = 64;

#[inline(always)]
fn greys(pixels: &[u8; 3 * PIXELS]) -> [u8; PIXELS] {
    let mut greys = [0; PIXELS];
    for i in 0..PIXELS {
        greys[i] = grey(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]);
    }
    greys
}

/// Returns the sum of the greys of all pixels.
fn sum_of_greys(values: &[u8]) -> u64 {
    let mut sum = 0;
    add_greys(values, &mut sum);
    sum
}

for_every_instruction_set! {
    fn add_greys(values: &[u8], sum: &mut u64) {
        let (whole, rest) = values.as_chunks::<{ 3 * PIXELS }>();
        for pixels in whole {
            let greys = greys(pixels);
            let mut part = 0;
            for i in 0..PIXELS {
                part += u32::from(greys[i]);
            }
            *sum += u64::from(part);
        }
        for &[r, g, b] in rest.as_chunks::<3>().0 {
            *sum += u64::from(grey(r, g, b));
        }
    }
}

for_every_instruction_set! {
    fn blend_with_grey(values: &mut [u8], factor: f32) {
        let (whole, rest) = values.as_chunks_mut::<{ 3 * PIXELS }>();
        for pixels in whole {
            let greys = greys(pixels);
            for i in 0..PIXELS {
                for c in 0..3 {
                    pixels[3 * i + c] = mixed(greys[i], pixels[3 * i + c], factor);
                }
            }
        }
        for pixel in rest.as_chunks_mut::<3>().0 {
            let grey = grey(pixel[0], pixel[1], pixel[2]);
            for value in pixel {
                *value = mixed(grey, *value, factor);
            }
        }
    }
}

for_every_instruction_set! {
    /// Computes the smoothed inner values of the middle row.
    fn smooth_row(smooth: &mut [u8], rows: [&[u8]; 3], channels: usize) {
        let n = smooth.len();
        let [a, b, c] = rows;
        let (a0, a1, a2) = (&a[..n], &a[channels..][..n], &a[2 * channels..][..n]);
        let (b0, b1, b2) = (&b[..n], &b[channels..][..n], &b[2 * channels..][..n]);
        let (c0, c1, c2) = (&c[..n], &c[channels..][..n], &c[2 * channels..][..n]);
        for i in 0..n {
            let upper = u16::from(a0[i]) + u16::from(a1[i]) + u16::from(a2[i]);
            let middle = u16::from(b0[i]) + 5 * u16::from(b1[i]) + u16::from(b2[i]);
            let lower = u16::from(c0[i]) + u16::from(c1[i]) + u16::from(c2[i]);
            // Rounded division by 13; a test shows that the multiplication is exact.
            let sum = u32::from(upper + middle + lower);
            smooth[i] = (((2 * sum + 13) * 80_660) >> 21) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirteenths_are_rounded() {
        for sum in 0..=13 * 255_u32 {
            assert_eq!(((2 * sum + 13) * 80_660) >> 21, (f64::from(sum) / 13.0).round() as u32, "{sum}");
        }
    }

    #[test]
    fn factor_1_changes_nothing_under_every_instruction_set() {
        let pixels: Vec<u8> = (0..9 * 70 * 3).map(|i| (i * 37 + i / 7) as u8).collect();
        let mut results = Vec::new();
        deepaug_simd::with_every_instruction_set(|_| {
            for enhance in [contrast, brightness, saturation, sharpness] {
                let run = |factor: f64| {
                    let mut pixels = pixels.clone();
                    enhance(&mut Image::new(&mut pixels, 9, 70, 3), factor);
                    pixels
                };
                assert!(run(1.0) == pixels);
                results.push((run(0.3), run(1.7)));
            }
        });
        assert!(results.chunks(4).all(|level| level == &results[..4]));
    }
}
