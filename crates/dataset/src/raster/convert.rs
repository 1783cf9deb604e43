//! Converts every kind of pixel to u8, grey or RGB.

use image::{ColorType, DynamicImage};

use super::{Deep, Raster};

/// An image as 8 bits, grey where its kind has no colour, its alpha laid over `background`.
/// Of 16 bits, the values of `range` become 0 and 255.
pub(super) fn to_u8(image: DynamicImage, background: [u8; 3], range: Option<[f64; 2]>) -> Result<Raster, String> {
    if let Some(value) = first_beyond(&image) {
        return Err(format!("its floating point values must lie in 0..1, but there is {value}; rescale the image"));
    }
    let deep = deep(&image);
    let image = match range {
        Some(range) if deep.is_some() => narrowed(image, range),
        _ => image,
    };
    let (width, height) = (image.width() as usize, image.height() as usize);
    let grey_paper = background[0] == background[1] && background[1] == background[2];
    let (pixels, channels) = match image.color() {
        ColorType::L8 | ColorType::L16 => (image.into_luma8().into_raw(), 1),
        ColorType::La8 | ColorType::La16 if grey_paper => {
            (over_rgba(&image.into_rgba8(), background).into_iter().step_by(3).collect(), 1)
        }
        color if color.has_alpha() => (over_rgba(&image.into_rgba8(), background), 3),
        _ => (image.into_rgb8().into_raw(), 3),
    };
    Ok(Raster { deep, ..Raster::new(pixels, [width, height], channels) })
}

/// What an image uses of 16 bits, alpha left out.
fn deep(image: &DynamicImage) -> Option<Deep> {
    let of = |values: &[u16], channels: usize, colours: usize| {
        let values = values.chunks_exact(channels).flat_map(|pixel| &pixel[..colours]);
        let one = |&value: &u16| Deep { greatest: value, divisor: value };
        // Nearly all images have no divisor left after a few values.
        values.map(one).reduce(|all, one| match all.divisor {
            1 => Deep { greatest: all.greatest.max(one.greatest), ..all },
            _ => all.join(one),
        })
    };
    match image {
        DynamicImage::ImageLuma16(image) => of(image, 1, 1),
        DynamicImage::ImageLumaA16(image) => of(image, 2, 1),
        DynamicImage::ImageRgb16(image) => of(image, 3, 3),
        DynamicImage::ImageRgba16(image) => of(image, 4, 3),
        _ => None,
    }
}

/// An image of 16 bits whose values of a range have become 0 to 65,535.
fn narrowed(mut image: DynamicImage, [low, high]: [f64; 2]) -> DynamicImage {
    let wide = |value: &mut u16| {
        *value = ((f64::from(*value) - low) / (high - low) * 65_535.0).round().clamp(0.0, 65_535.0) as u16;
    };
    match &mut image {
        DynamicImage::ImageLuma16(image) => image.iter_mut().for_each(wide),
        DynamicImage::ImageRgb16(image) => image.iter_mut().for_each(wide),
        DynamicImage::ImageLumaA16(image) => image.pixels_mut().for_each(|pixel| wide(&mut pixel.0[0])),
        DynamicImage::ImageRgba16(image) => image.pixels_mut().for_each(|pixel| pixel.0[..3].iter_mut().for_each(wide)),
        _ => {}
    }
    image
}

/// Blends RGBA pixels over a colour by their alpha, rounded to nearest.
pub(crate) fn over_rgba(pixels: &[u8], background: [u8; 3]) -> Vec<u8> {
    let blend =
        |value: u8, paper: u8, alpha: u32| (u32::from(value) * alpha + u32::from(paper) * (255 - alpha) + 127) / 255;
    let of = |pixel: &[u8]| [0, 1, 2].map(|c| blend(pixel[c], background[c], u32::from(pixel[3])) as u8);
    pixels.chunks_exact(4).flat_map(of).collect()
}

/// Returns the luma of RGB pixels by ITU-R BT.601, in the fixed-point arithmetic of Pillow's `convert("L")`, so
/// that greys are equal.
pub(super) fn grey_of(rgb: &[u8]) -> Vec<u8> {
    let luma = |pixel: &[u8]| {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
    };
    rgb.chunks_exact(3).map(luma).collect()
}

/// Returns the first floating point value that is NaN or out of range.
fn first_beyond(image: &DynamicImage) -> Option<f32> {
    let values: &[f32] = match image {
        DynamicImage::ImageRgb32F(image) => image.as_raw(),
        DynamicImage::ImageRgba32F(image) => image.as_raw(),
        _ => return None,
    };
    values.iter().copied().find(|value| !(0.0..=1.0).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_laid_over_the_background() {
        let clear =
            DynamicImage::from(image::RgbaImage::from_vec(2, 1, vec![200, 100, 0, 0, 200, 100, 0, 128]).unwrap());
        let raster = to_u8(clear, [255, 255, 255], None).unwrap();
        assert_eq!(raster.pixels, [255, 255, 255, 227, 177, 127]);
        assert_eq!(raster.channels, 3);
    }

    #[test]
    fn floats_that_are_no_shades_are_refused() {
        for wrong in [f32::NAN, -0.5, 255.0] {
            let image = image::Rgb32FImage::from_vec(1, 1, vec![0.0, 1.0, wrong]).unwrap();
            assert!(to_u8(image.into(), [0; 3], None).unwrap_err().contains("must lie in 0..1"));
        }
        let image = image::Rgb32FImage::from_vec(1, 1, vec![0.0, 1.0, 0.5]).unwrap();
        assert_eq!(to_u8(image.into(), [0; 3], None).unwrap().pixels, [0, 255, 128]);
    }
}
