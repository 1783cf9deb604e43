//! Mirroring.

use super::Image;

/// Mirrors left and right.
pub fn horizontal(image: &mut Image<'_>) {
    let (stride, channels) = (image.stride(), image.channels);
    for row in image.pixels.chunks_exact_mut(stride) {
        row.reverse();
        // Reversing the values of a row also reversed the channels of each pixel.
        row.chunks_exact_mut(channels).for_each(<[u8]>::reverse);
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
