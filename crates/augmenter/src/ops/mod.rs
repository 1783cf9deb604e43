//! The pixel kernels, one file per family.
//!
//! Every kernel works in place on an [`Image`] with given parameters; kernels that need randomness per pixel take a
//! generator too. They follow imgaug 0.4.0, the library of DeepAugment's release 1.1.2, and through it OpenCV; where that
//! matters, they reproduce OpenCV's fixed-point arithmetic, so that pixels are equal.
//!
//! ```
//! use deepaug_augmenter::ops::{Image, flip};
//!
//! let mut pixels = [1, 2, 3, 4];
//! flip::horizontal(&mut Image::new(&mut pixels, 2, 2, 1));
//! assert_eq!(pixels, [2, 1, 4, 3]);
//! ```

pub mod affine;
pub mod blur;
pub mod colour;
pub mod convolution;
pub mod crop;
pub mod flip;
pub mod noise;
pub mod occlusion;
mod resample;
pub mod weather;

/// One image to be changed in place: height x width x channels, rows of adjacent pixels, without gaps.
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

    /// The number of values in a row.
    pub(crate) fn stride(&self) -> usize {
        self.width * self.channels
    }
}

/// The index of the pixel that stands for index `i` outside a line of `n`, mirrored about the edge pixel
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
