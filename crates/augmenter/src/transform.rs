//! What an op at a magnitude does to an image: a kernel, and how its parameters are drawn.

use ndarray::{ArrayView4, Axis};
use rand::Rng;

use crate::{
    distribution::Distribution,
    ops::{
        Fill, Image, affine, blur, colour, convolution, crop, deform, enhance, flip, histogram, morphology, nearest,
        noise, occlusion, pairing, weather,
    },
};

/// The unit of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pixels, whatever the size of the image.
    Pixels,
    /// The side of the image along which the length is measured; the shorter side if it has no direction.
    Side,
}

/// How many cells a coarse grid has along each side, drawn separately for each side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grid {
    /// A number of cells.
    Cells(Distribution),
    /// A fraction of the pixels of the side; at least 3 cells, imgaug's minimum.
    OfSide(Distribution),
}

/// How pixels move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Warp {
    /// [`affine::rotate`]: degrees.
    Rotate(Distribution),
    /// [`affine::shear`]: degrees.
    Shear(Distribution),
    /// [`affine::translate`] along x: a fraction of the width.
    TranslateX(Distribution),
    /// [`affine::translate`] along y: a fraction of the height.
    TranslateY(Distribution),
    /// [`affine::zoom`]: the factor.
    Zoom(Distribution),
    /// [`deform::swirl`]: radians.
    Swirl(Distribution),
    /// [`deform::elastic`]: the deviation, as a fraction of the image's shorter side.
    Elastic(Distribution),
}

/// What an op at a magnitude does, as returned by [`RangeTable::transform`](crate::RangeTable::transform). All
/// parameters are drawn anew for each image; what happens "half the time" is drawn too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Transform {
    /// [`crop::crop`]: whole pixels cut off each of the four sides, each drawn separately.
    Crop(Distribution, Unit),
    /// [`blur::gaussian`]: the standard deviation.
    GaussianBlur(Distribution, Unit),
    /// Moves pixels to positions between others.
    Warp(Warp, Fill),
    /// [`convolution::sharpen`].
    Sharpen {
        /// The weight of the sharpened image.
        alpha: Distribution,
        /// Its brightness.
        lightness: Distribution,
    },
    /// [`convolution::emboss`].
    Emboss {
        /// The weight of the embossed image.
        alpha: Distribution,
        /// The strength of the embossing.
        strength: Distribution,
    },
    /// [`noise::gaussian`]: the standard deviation, out of 255; per channel half the time.
    AdditiveGaussianNoise(Distribution),
    /// [`occlusion::dropout`]: the probability of a pixel; per channel half the time.
    Dropout(Distribution),
    /// [`occlusion::coarse_dropout`]: the probability of a cell; per channel a fifth of the time.
    CoarseDropout(Distribution, Grid),
    /// [`occlusion::coarse_salt_pepper`]: the probability of a cell.
    CoarseSaltPepper(Distribution, Grid),
    /// [`colour::gamma`].
    GammaContrast(Distribution),
    /// [`colour::add`]: integers out of 255; half the time one for each channel.
    Brighten(Distribution),
    /// [`colour::invert`] with a probability.
    Invert(f64),
    /// [`weather::fog`] at an opacity.
    Fog(f64),
    /// [`weather::clouds`] at an opacity.
    Clouds(f64),
    /// [`colour::add_hue_saturation`]: integers out of 255.
    AddToHueAndSaturation {
        /// What is added.
        shift: Distribution,
        /// Whether hue and saturation get the same value, drawn once.
        shared: bool,
    },
    /// [`flip::horizontal`] with a probability.
    HorizontalFlip(f64),
    /// [`flip::vertical`] with a probability.
    VerticalFlip(f64),
    /// [`nearest::shear_x`]: the slope.
    ShearX(Distribution),
    /// [`nearest::shear_y`]: the slope.
    ShearY(Distribution),
    /// [`nearest::translate`] along x, rounded to whole pixels.
    TranslateXNearest(Distribution, Unit),
    /// [`nearest::translate`] along y, rounded to whole pixels.
    TranslateYNearest(Distribution, Unit),
    /// [`nearest::rotate`]: degrees.
    RotateNearest(Distribution),
    /// [`histogram::auto_contrast`] with a probability.
    AutoContrast(f64),
    /// [`histogram::equalize`] with a probability.
    Equalize(f64),
    /// [`colour::solarize`]: the threshold, rounded up.
    Solarize(Distribution),
    /// [`colour::posterize`]: the number of bits kept, rounded.
    Posterize(Distribution),
    /// [`enhance::contrast`]: the factor.
    Contrast(Distribution),
    /// [`enhance::saturation`]: the factor.
    Saturation(Distribution),
    /// [`enhance::brightness`]: the factor.
    Brightness(Distribution),
    /// [`enhance::sharpness`]: the factor.
    Sharpness(Distribution),
    /// [`occlusion::cutout`] around a random pixel: the square's side, as a fraction of the image's shorter side.
    Cutout(Distribution),
    /// [`pairing::blend`] with a random image of the batch: that image's weight.
    SamplePairing(Distribution),
    /// [`morphology::erode`] in a square of 3 pixels a side for images of 32, and of as much of larger ones: the weight.
    Erode(Distribution),
    /// [`morphology::dilate`] in the same square: the weight.
    Dilate(Distribution),
    /// [`colour::add_hue_saturation`] of a hue alone: an integer out of 255.
    Hue(Distribution),
}

impl Transform {
    /// Whether each value depends only on its channel and the drawn parameters, not on other pixels.
    pub(crate) fn is_point(&self) -> bool {
        matches!(
            self,
            Self::GammaContrast(_)
                | Self::Brighten(_)
                | Self::Invert(_)
                | Self::Solarize(_)
                | Self::Posterize(_)
                | Self::Brightness(_)
        )
    }

    /// Draws the parameters and applies the kernel. [`SamplePairing`](Self::SamplePairing) takes a second image
    /// from `batch`, of images of the same shape; if `batch` is empty, the image stays unchanged.
    pub fn apply(&self, image: &mut Image<'_>, batch: ArrayView4<'_, u8>, rng: &mut (impl Rng + ?Sized)) {
        let (height, width) = (image.height as f64, image.width as f64);
        let shorter = height.min(width);
        let length = |draw: Distribution, unit: Unit, side: f64, rng: &mut _| match unit {
            Unit::Pixels => draw.draw(rng),
            Unit::Side => side * draw.draw(rng),
        };
        match *self {
            Self::Crop(cut, unit) => {
                let sides = [height, width, height, width];
                crop::crop(image, sides.map(|side| length(cut, unit, side, rng).round() as usize));
            }
            Self::GaussianBlur(sigma, unit) => blur::gaussian(image, length(sigma, unit, shorter, rng)),
            Self::Warp(how, fill) => match how {
                Warp::Rotate(degrees) => affine::rotate(image, degrees.draw(rng), fill),
                Warp::Shear(degrees) => affine::shear(image, degrees.draw(rng), fill),
                Warp::TranslateX(part) => affine::translate(image, part.draw(rng) * width, 0.0, fill),
                Warp::TranslateY(part) => affine::translate(image, 0.0, part.draw(rng) * height, fill),
                Warp::Zoom(factor) => affine::zoom(image, factor.draw(rng), fill),
                Warp::Swirl(radians) => deform::swirl(image, radians.draw(rng), fill),
                Warp::Elastic(part) => deform::elastic(image, part.draw(rng) * shorter, fill, rng),
            },
            Self::Sharpen { alpha, lightness } => convolution::sharpen(image, alpha.draw(rng), lightness.draw(rng)),
            Self::Emboss { alpha, strength } => convolution::emboss(image, alpha.draw(rng), strength.draw(rng)),
            Self::AdditiveGaussianNoise(sd) => noise::gaussian(image, sd.draw(rng), rng.random_bool(0.5), rng),
            Self::Dropout(p) => occlusion::dropout(image, p.draw(rng), rng.random_bool(0.5), rng),
            Self::CoarseDropout(p, grid) => {
                let cells = grid.draw(image, rng);
                occlusion::coarse_dropout(image, p.draw(rng), cells, rng.random_bool(0.2), rng);
            }
            Self::CoarseSaltPepper(p, grid) => {
                let cells = grid.draw(image, rng);
                occlusion::coarse_salt_pepper(image, p.draw(rng), cells, rng);
            }
            Self::GammaContrast(gamma) => colour::gamma(image, gamma.draw(rng)),
            Self::Brighten(added) => {
                let mut values = [0; 3];
                let count = if rng.random_bool(0.5) { image.channels.min(3) } else { 1 };
                values[..count].fill_with(|| added.draw(rng).round_ties_even() as i16);
                colour::add(image, &values[..count]);
            }
            Self::Invert(p) => sometimes(p, image, rng, colour::invert),
            Self::Fog(opacity) => weather::fog(image, opacity, rng),
            Self::Clouds(opacity) => weather::clouds(image, opacity, rng),
            Self::AddToHueAndSaturation { shift, shared } => {
                let hue = shift.draw(rng).round() as i32;
                let saturation = if shared { hue } else { shift.draw(rng).round() as i32 };
                // Even without a shift, the conversion to HSV and back would change pixels; the old table does it.
                if shared || (hue, saturation) != (0, 0) {
                    colour::add_hue_saturation(image, hue, saturation);
                }
            }
            Self::Hue(shift) => match shift.draw(rng).round() as i32 {
                0 => {}
                hue => colour::add_hue_saturation(image, hue, 0),
            },
            Self::HorizontalFlip(p) => sometimes(p, image, rng, flip::horizontal),
            Self::VerticalFlip(p) => sometimes(p, image, rng, flip::vertical),
            Self::ShearX(slope) => nearest::shear_x(image, slope.draw(rng)),
            Self::ShearY(slope) => nearest::shear_y(image, slope.draw(rng)),
            Self::TranslateXNearest(shift, unit) => {
                nearest::translate(image, length(shift, unit, width, rng).round() as isize, 0);
            }
            Self::TranslateYNearest(shift, unit) => {
                nearest::translate(image, 0, length(shift, unit, height, rng).round() as isize);
            }
            Self::RotateNearest(degrees) => nearest::rotate(image, degrees.draw(rng)),
            Self::AutoContrast(p) => sometimes(p, image, rng, histogram::auto_contrast),
            Self::Equalize(p) => sometimes(p, image, rng, histogram::equalize),
            Self::Solarize(threshold) => colour::solarize(image, threshold.draw(rng).ceil() as u16),
            Self::Posterize(bits) => colour::posterize(image, bits.draw(rng).round() as u32),
            Self::Contrast(factor) => enhance::contrast(image, factor.draw(rng)),
            Self::Saturation(factor) => enhance::saturation(image, factor.draw(rng)),
            Self::Brightness(factor) => enhance::brightness(image, factor.draw(rng)),
            Self::Sharpness(factor) => enhance::sharpness(image, factor.draw(rng)),
            Self::Cutout(side) => {
                let side = (side.draw(rng) * shorter).round() as usize;
                let (x, y) = (rng.random_range(0..image.width), rng.random_range(0..image.height));
                occlusion::cutout(image, side, x, y);
            }
            Self::Erode(weight) => morphology::erode(image, radius(shorter), weight.draw(rng)),
            Self::Dilate(weight) => morphology::dilate(image, radius(shorter), weight.draw(rng)),
            Self::SamplePairing(weight) => {
                if !batch.is_empty() {
                    let other = batch.index_axis_move(Axis(0), rng.random_range(0..batch.dim().0));
                    let weight = weight.draw(rng);
                    match other.as_slice() {
                        Some(values) => pairing::blend(image, values, weight),
                        None => pairing::blend(image, &other.iter().copied().collect::<Vec<_>>(), weight),
                    }
                }
            }
        }
    }
}

fn sometimes<R: Rng + ?Sized>(p: f64, image: &mut Image<'_>, rng: &mut R, kernel: impl FnOnce(&mut Image<'_>)) {
    if rng.random_bool(p) {
        kernel(image);
    }
}

/// Returns the radius of erosion and dilation: 1 pixel of 32.
fn radius(shorter: f64) -> usize {
    ((shorter / 32.0).round() as usize).max(1)
}

impl Grid {
    /// Draws the numbers of rows and columns of cells.
    fn draw(self, image: &Image<'_>, rng: &mut (impl Rng + ?Sized)) -> (usize, usize) {
        let mut cells = |side: usize| match self {
            Self::Cells(cells) => cells.draw(rng) as usize,
            Self::OfSide(fraction) => cells_of_side(fraction.draw(rng), side),
        };
        (cells(image.height), cells(image.width))
    }
}

fn cells_of_side(fraction: f64, side: usize) -> usize {
    ((fraction * side as f64) as usize).max(3)
}

#[cfg(test)]
mod tests {
    #[test]
    fn grids_have_at_least_3_cells_a_side() {
        let cells = [-0.9, 0.0, 0.1, 0.5, 1.0].map(|fraction| super::cells_of_side(fraction, 32));
        assert_eq!(cells, [3, 3, 3, 16, 32]);
    }
}
