//! One image of any kind as u8 pixels, grey or RGB. The only place that knows about image files.
//!
//! Conversions: palettes are looked up; 16-bit values and floats in [0, 1] are rounded to the nearest 8-bit value;
//! alpha is blended over a background colour; CMYK becomes RGB without a profile; EXIF orientation is applied; of
//! several frames or pages the first is used. Colour profiles are not applied.

mod convert;
mod fit;
mod jpeg;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

pub(crate) use convert::over_rgba;
pub(crate) use fit::sized;

use crate::guard::catch_panic;

/// Maximum number of pixels that an image may claim; Pillow also rejects more. A file of a few bytes can claim
/// billions.
pub const MAX_PIXELS: u64 = 178_956_970;

/// Maximum number of bytes for decoding one image, besides its pixels.
const MAX_MEMORY: u64 = 4 << 30;

/// How images of other shapes become squares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The central square.
    #[default]
    Crop,
    /// The whole image, padded with background.
    Pad,
}

/// Pixels, row by row, `channels` (1 for grey, 3 for RGB) bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    pub(crate) pixels: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    /// What it used of its 16 bits, if it had 16.
    pub(crate) deep: Option<Deep>,
}

/// What images use of 16 bits: their greatest value, and the number that all of them are multiples of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deep {
    pub(crate) greatest: u16,
    pub(crate) divisor: u16,
}

impl Deep {
    pub(crate) fn join(self, other: Self) -> Self {
        Self { greatest: self.greatest.max(other.greatest), divisor: divisor(self.divisor, other.divisor) }
    }

    /// The value that means white: the full scale of the bits that are used, times what all values are multiples of.
    pub(crate) fn top(self) -> f64 {
        let step = f64::from(self.divisor.max(1));
        step * full_scale(f64::from(self.greatest) / step)
    }
}

/// The greatest common divisor (Euclid).
fn divisor(mut a: u16, mut b: u16) -> u16 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The full scale of values up to this one: of 8, 10, 12, 14 or 16 bits.
pub(crate) fn full_scale(greatest: f64) -> f64 {
    [8, 10, 12, 14, 16]
        .map(|bits| f64::from((1u32 << bits) - 1))
        .into_iter()
        .find(|top| greatest <= *top)
        .unwrap_or(greatest)
}

impl Raster {
    pub(crate) fn new(pixels: Vec<u8>, [width, height]: [usize; 2], channels: usize) -> Self {
        Self { pixels, width, height, channels, deep: None }
    }

    /// Decodes the bytes of an image file, whatever its name says. Of 16 bits, the values of `range` become 0 and 255. The error says what
    /// is wrong, and what to do.
    pub(crate) fn decode(bytes: &[u8], background: [u8; 3], range: Option<[f64; 2]>) -> Result<Self, String> {
        catch_panic(|| match kind(bytes)? {
            ImageFormat::Jpeg => jpeg::decode(bytes),
            kind => {
                let mut decoder = decoder(bytes, kind)?;
                let (width, height) = decoder.dimensions();
                affordable(width.into(), height.into())?;
                let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
                let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
                image.apply_orientation(orientation);
                convert::to_u8(image, background, range)
            }
        })
    }

    /// Returns the displayed width and height of an image file from its first bytes alone.
    pub(crate) fn dimensions(bytes: &[u8]) -> Result<(usize, usize), String> {
        let (width, height, orientation) = catch_panic(|| match kind(bytes)? {
            ImageFormat::Jpeg => jpeg::header(bytes),
            kind => {
                let mut decoder = decoder(bytes, kind)?;
                let (width, height) = decoder.dimensions();
                let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
                Ok((width as usize, height as usize, orientation))
            }
        })?;
        affordable(width as u64, height as u64)?;
        Ok(if turns(orientation) { (height, width) } else { (width, height) })
    }

    /// Rotates and mirrors the image as its camera specified.
    fn oriented(self, orientation: Orientation) -> Self {
        if orientation == Orientation::NoTransforms {
            return self;
        }
        let Self { pixels, width, height, channels, .. } = self;
        let (w, h) = (width as u32, height as u32);
        let image: Option<DynamicImage> = match channels {
            1 => GrayImage::from_raw(w, h, pixels).map(Into::into),
            _ => RgbImage::from_raw(w, h, pixels).map(Into::into),
        };
        let mut image = image.expect("a decoded image has all its pixels, and at most 65,535 a side");
        image.apply_orientation(orientation);
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self::new(image.into_bytes(), [width, height], channels)
    }

    /// Converts the image to the requested number of channels.
    pub(crate) fn with_channels(self, channels: usize) -> Self {
        match (self.channels, channels) {
            (1, 3) => Self { pixels: self.pixels.iter().flat_map(|&v| [v; 3]).collect(), channels, ..self },
            (3, 1) => Self { pixels: convert::grey_of(&self.pixels), channels, ..self },
            _ => self,
        }
    }
}

/// Detects the kind of a file from its first bytes.
fn kind(bytes: &[u8]) -> Result<ImageFormat, String> {
    if bytes.is_empty() {
        return Err("the file is empty; fetch it again or remove it".into());
    }
    let readable =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff];
    if let Some((name, command)) = unsupported(bytes) {
        return Err(format!("a {name} image, which is not supported; convert it to PNG with `{command}`"));
    }
    match image::guess_format(bytes) {
        Ok(kind) if readable.contains(&kind) => Ok(kind),
        Ok(kind) => Err(format!("a {} image, which is not supported; convert it to PNG", kind.to_mime_type())),
        Err(_) => Err("not an image, whatever its name says; replace or remove it".into()),
    }
}

/// Kinds of images that cannot be decoded here, and the command that converts them.
fn unsupported(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let magick = "magick mogrify -format png FILE";
    // ISO base media files name their brand after their length and "ftyp" (ISO/IEC 14496-12).
    let brand = (bytes.get(4..8) == Some(b"ftyp")).then(|| bytes.get(8..12)).flatten();
    match brand {
        Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => return Some(("HEIC", magick)),
        Some(b"avif" | b"avis") => return Some(("AVIF", magick)),
        _ => {}
    }
    if bytes.starts_with(b"\0\0\0\x0cjP  ") || bytes.starts_with(b"\xff\x4f\xff\x51") {
        return Some(("JPEG 2000", magick));
    }
    if bytes.starts_with(b"\xff\x0a") || bytes.starts_with(b"\0\0\0\x0cJXL ") {
        return Some(("JPEG XL", magick));
    }
    (bytes.get(128..132) == Some(b"DICM")).then_some(("DICOM", "dcmj2pnm --write-png FILE OUT"))
}

fn decoder(bytes: &[u8], kind: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    reader.into_decoder().map_err(unreadable)
}

/// Rejects an image by the size that its header claims, before allocating memory for it.
pub(crate) fn affordable(width: u64, height: u64) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("an image of {width}x{height} pixels is empty; remove it"));
    }
    match width.checked_mul(height) {
        Some(pixels) if pixels <= MAX_PIXELS => Ok(()),
        _ => Err(format!(
            "its header claims {width}x{height} pixels; more than {MAX_PIXELS} are rejected: they would fill the \
             memory. Make the image smaller or remove it"
        )),
    }
}

fn unreadable(error: ImageError) -> String {
    format!("not a readable image ({error}); repair or remove it")
}

/// Whether width and height are swapped.
fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_refused_in_words() {
        let refused = |bytes: &[u8]| Raster::decode(bytes, [255; 3], None).unwrap_err();
        assert!(refused(b"").contains("the file is empty"));
        assert!(refused(b"hello, I am text").contains("not an image"));
        assert!(refused(b"\x00\x00\x00\x20ftypavif\0\0\0\0").contains("AVIF"));
        assert!(refused(b"\x89PNG\r\n\x1a\n").contains("not a readable image"));
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_memory_is_taken() {
        let mut png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR".to_vec();
        png.extend(60_000u32.to_be_bytes());
        png.extend(60_000u32.to_be_bytes());
        png.extend([8, 2, 0, 0, 0]);
        let sum = crc(&png[12..]);
        png.extend(sum.to_be_bytes());
        png.extend(b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e");
        let why = Raster::decode(&png, [255; 3], None).unwrap_err();
        assert!(why.contains("60000x60000"), "{why}");
    }

    /// The checksum of PNG chunks (RFC 2083, appendix 15).
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
        })
    }
}
