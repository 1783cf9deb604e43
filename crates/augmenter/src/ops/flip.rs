//! Mirroring.

use super::{Image, scratch::Buffer};

/// Mirrors left and right.
pub fn horizontal(image: &mut Image<'_>) {
    let (stride, channels) = (image.stride(), image.channels);
    if channels == 1 {
        return image.pixels.chunks_exact_mut(stride).for_each(<[u8]>::reverse);
    }
    let mut line = Buffer::any(stride);
    for row in image.pixels.chunks_exact_mut(stride) {
        line.copy_from_slice(row);
        mirror(row, &line, channels);
    }
}

fn mirror(row: &mut [u8], from: &[u8], channels: usize) {
    #[cfg(target_arch = "x86_64")]
    if channels == 3 && deepaug_simd::instruction_set() >= deepaug_simd::InstructionSet::Avx2 {
        // SAFETY: the features of the level were detected.
        return unsafe { mirror_rgb(row, from) };
    }
    for (to, from) in row.chunks_exact_mut(channels).zip(from.rchunks_exact(channels)) {
        to.copy_from_slice(from);
    }
}

/// Mirrors five pixels at a time: the sixteenth byte is overwritten by the next five.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn mirror_rgb(row: &mut [u8], from: &[u8]) {
    use std::arch::x86_64::*;

    let turned = _mm_setr_epi8(13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0);
    let n = row.len();
    assert!(from.len() == n);
    let mut at = 0;
    while at + 16 <= n {
        // SAFETY: the sixteen bytes from `at`, and the same number that end at `n - at`, lie in the slices.
        unsafe {
            let pixels = _mm_loadu_si128(from.as_ptr().add(n - at - 16).cast());
            _mm_storeu_si128(row.as_mut_ptr().add(at).cast(), _mm_shuffle_epi8(pixels, turned));
        }
        at += 15;
    }
    for (to, from) in row[at..].as_chunks_mut::<3>().0.iter_mut().zip(from[..n - at].as_rchunks::<3>().1.iter().rev()) {
        *to = *from;
    }
}

/// Mirrors top and bottom.
pub fn vertical(image: &mut Image<'_>) {
    let stride = image.stride();
    let (top, bottom) = image.pixels.split_at_mut(image.height / 2 * stride);
    for (a, b) in top.chunks_exact_mut(stride).zip(bottom.chunks_exact_mut(stride).rev()) {
        a.swap_with_slice(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_change_sides_and_keep_their_channels() {
        for (width, channels) in [(1, 3), (4, 3), (5, 3), (6, 3), (17, 3), (32, 3), (9, 1), (7, 2)] {
            let pixels: Vec<u8> = (0..2 * width * channels).map(|i| (i * 7) as u8).collect();
            deepaug_simd::with_every_instruction_set(|level| {
                let mut mirrored = pixels.clone();
                horizontal(&mut Image::new(&mut mirrored, 2, width, channels));
                for y in 0..2 {
                    for x in 0..width {
                        let pixel = |pixels: &[u8], x: usize| pixels[(y * width + x) * channels..][..channels].to_vec();
                        assert_eq!(pixel(&mirrored, x), pixel(&pixels, width - 1 - x), "{level:?} {width} {channels}");
                    }
                }
            });
        }
    }
}
