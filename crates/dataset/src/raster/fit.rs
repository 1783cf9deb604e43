//! Resizes images to one size.

use std::cell::RefCell;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::convert::grey_of;
use super::{Fit, Raster};

/// Resizes the image to a square of `side` pixels. It is shrunk with a triangle filter as wide as the reduction,
/// so that no pixel is skipped, as in Pillow's `BILINEAR`. Both ways of fitting keep the aspect ratio.
pub(crate) fn sized(raster: Raster, side: usize, fit: Fit, background: [u8; 3]) -> Raster {
    let Raster { width, height, channels, .. } = raster;
    if (width, height) == (side, side) {
        return raster;
    }
    match fit {
        Fit::Crop => {
            let short = width.min(height);
            let from = [(width - short) / 2, (height - short) / 2, short, short];
            resized(&raster, from, side, side)
        }
        Fit::Pad => {
            let long = width.max(height);
            let part = |length: usize| ((length * side + long / 2) / long).clamp(1, side);
            let inner = resized(&raster, [0, 0, width, height], part(width), part(height));
            let background = if channels == 1 { grey_of(&background) } else { background.to_vec() };
            framed(&inner, side, &background)
        }
    }
}

thread_local! {
    // It keeps its buffers between images.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

fn resized(raster: &Raster, [left, top, crop_width, crop_height]: [usize; 4], width: usize, height: usize) -> Raster {
    let kind = if raster.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let source = ImageRef::new(raster.width as u32, raster.height as u32, &raster.pixels, kind)
        .expect("a raster has all its pixels");
    let mut target = Image::new(width as u32, height as u32, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        left as f64,
        top as f64,
        crop_width as f64,
        crop_height as f64,
    );
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &options))
        .expect("the part lies inside the image, and both are of one kind");
    Raster::new(target.into_vec(), [width, height], raster.channels)
}

/// Puts the image in the middle of a square of `side`.
fn framed(inner: &Raster, side: usize, background: &[u8]) -> Raster {
    let channels = inner.channels;
    let mut pixels = background.repeat(side * side);
    let (left, top) = ((side - inner.width) / 2, (side - inner.height) / 2);
    for (y, row) in inner.pixels.chunks_exact(inner.width * channels).enumerate() {
        let at = ((top + y) * side + left) * channels;
        pixels[at..at + row.len()].copy_from_slice(row);
    }
    Raster::new(pixels, [side, side], channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripes(width: usize, height: usize) -> Raster {
        // A dark half and a light half, left and right.
        let pixels = (0..width * height).map(|i| if i % width < width / 2 { 0 } else { 200 }).collect();
        Raster::new(pixels, [width, height], 1)
    }

    #[test]
    fn a_crop_keeps_the_middle_and_a_frame_keeps_it_all() {
        let crop = sized(stripes(40, 10), 10, Fit::Crop, [9; 3]);
        assert_eq!((crop.width, crop.height), (10, 10));
        assert_eq!((crop.pixels[0], crop.pixels[9]), (0, 200));
        let pad = sized(stripes(40, 10), 20, Fit::Pad, [9; 3]);
        assert_eq!((pad.pixels[0], pad.pixels[20 * 20 - 1]), (9, 9));
        // Five rows of picture in the middle of twenty.
        assert_eq!(pad.pixels.iter().filter(|&&v| v == 9).count(), 15 * 20);
    }

    #[test]
    fn no_size_is_too_odd() {
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 7)] {
            for fit in [Fit::Crop, Fit::Pad] {
                for side in [1, 2, 33] {
                    let square = sized(stripes(width, height), side, fit, [255; 3]);
                    assert_eq!((square.width, square.height, square.pixels.len()), (side, side, side * side));
                }
            }
        }
    }
}
