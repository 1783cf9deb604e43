//! The pixel kernels, one file per family.
//!
//! Every kernel works in place on an [`Image`] with given parameters; kernels with randomness per pixel also take
//! a generator. Those of DeepAugment's twenty ops follow imgaug 0.4.0, the library of its release 1.1.2, and
//! through it OpenCV; where it matters, they reproduce OpenCV's fixed-point arithmetic, so that pixels are equal.
//! Those of the AutoAugment family ([`nearest`], [`enhance`], [`histogram`]) reproduce the pixels of Pillow, as does
//! [`morphology`].
//!
//! ```
//! use deepaug_augmenter::ops::{Image, flip};
//!
//! let mut pixels = [1, 2, 3, 4];
//! flip::horizontal(&mut Image::new(&mut pixels, 2, 2, 1));
//! assert_eq!(pixels, [2, 1, 4, 3]);
//! ```

// Kernels are plain loops over indices, several arrays at once, in the form that compilers vectorise.
#![allow(clippy::needless_range_loop)]
// Unlike `clamp`, which passes NaN on, a minimum of a maximum turns it into the lower bound.
#![allow(clippy::manual_clamp)]

pub mod affine;
pub mod blur;
pub mod colour;
pub mod convolution;
pub mod crop;
pub mod deform;
pub mod enhance;
pub mod flip;
pub mod histogram;
mod math;
pub mod morphology;
pub mod nearest;
pub mod noise;
pub mod occlusion;
pub mod pairing;
mod random;
mod resample;
mod scratch;
pub mod table;
pub mod weather;

use scratch::Buffer;

/// One image to modify in place: height x width x channels, rows of adjacent pixels, without gaps.
#[derive(Debug)]
pub struct Image<'a> {
    pub(crate) pixels: &'a mut [u8],
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl<'a> Image<'a> {
    /// Views pixels as an image.
    ///
    /// # Panics
    ///
    /// If the number of pixel values is not height x width x channels, or is zero.
    pub fn new(pixels: &'a mut [u8], height: usize, width: usize, channels: usize) -> Self {
        assert_eq!(pixels.len(), height * width * channels, "pixel values of a {height} x {width} x {channels} image");
        assert!(!pixels.is_empty(), "an image has pixels");
        Self { pixels, height, width, channels }
    }

    /// Returns the number of values in a row.
    pub(crate) fn stride(&self) -> usize {
        self.width * self.channels
    }
}

/// What lies outside an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// Black.
    #[default]
    Black,
    /// The nearest pixel of the image.
    Edge,
}

/// How many values beyond the last one of a [`bordered`] image may be read.
const SLACK: usize = 8;

/// Returns the image with `border` pixels of what lies outside on every side.
fn bordered(image: &Image<'_>, border: usize, fill: Fill) -> Buffer<u8> {
    let (stride, side) = (image.stride(), border * image.channels);
    let wide = stride + 2 * side;
    let mut buffer = Buffer::any((image.height + 2 * border) * wide + SLACK);
    let (top, rest) = buffer.split_at_mut(border * wide);
    let (rows, bottom) = rest.split_at_mut(image.height * wide);
    top.fill(0);
    bottom.fill(0);
    for (to, from) in rows.chunks_exact_mut(wide).zip(image.pixels.chunks_exact(stride)) {
        to[..side].fill(0);
        to[side..side + stride].copy_from_slice(from);
        to[side + stride..].fill(0);
        if fill == Fill::Edge {
            let (left, right) = (&from[..image.channels], &from[stride - image.channels..]);
            to[..side].chunks_exact_mut(image.channels).for_each(|pixel| pixel.copy_from_slice(left));
            to[side + stride..].chunks_exact_mut(image.channels).for_each(|pixel| pixel.copy_from_slice(right));
        }
    }
    if fill == Fill::Edge {
        top.chunks_exact_mut(wide).for_each(|row| row.copy_from_slice(&rows[..wide]));
        let last = &rows[(image.height - 1) * wide..];
        bottom.chunks_exact_mut(wide).for_each(|row| row.copy_from_slice(last));
    }
    buffer
}

/// Copies a row's pixels from their positions in a [`bordered`] image.
fn gather(row: &mut [u8], source: &[u8], places: &[i64], channels: usize) {
    match channels {
        1 => row.iter_mut().zip(places).for_each(|(value, &place)| *value = source[place as usize]),
        3 => {
            for (i, &place) in places.iter().enumerate() {
                let four = &source[place as usize..place as usize + 4];
                // Writing a fourth byte, which the next pixel overwrites, is faster than writing three.
                match row.get_mut(3 * i..3 * i + 4) {
                    Some(pixel) => pixel.copy_from_slice(four),
                    None => row[3 * i..].copy_from_slice(&four[..3]),
                }
            }
        }
        _ => {
            for (pixel, &place) in row.chunks_exact_mut(channels).zip(places) {
                pixel.copy_from_slice(&source[place as usize..place as usize + channels]);
            }
        }
    }
}

/// Returns the index of the pixel that replaces index `i` outside a line of `n`, mirrored about the edge pixel
/// (OpenCV's `BORDER_REFLECT_101`).
pub(crate) fn reflect(i: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as isize - 1);
    let i = i.rem_euclid(period);
    i.min(period - i) as usize
}

#[cfg(test)]
mod tests {
    #[test]
    fn reflection_does_not_repeat_the_edge() {
        let line: Vec<usize> = (-5..8).map(|i| super::reflect(i, 3)).collect();
        assert_eq!(line, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!(super::reflect(-7, 1), 0);
    }
}
