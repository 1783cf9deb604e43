//! JPEG files, the most common kind: read directly with the decoder, without the overhead of a general reader.

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Raster, affordable};

/// What the strict decoder reports about intact files with bytes that nobody reads. Some cameras write these.
const HARMLESS: &str = "Extra bytes between headers";

/// The largest side that the format can express.
const MAX_SIDE: usize = 65_535;

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, String> {
    match attempt(bytes, true) {
        // The lenient decoder fills missing data with grey, so the end must be present.
        Err(why) if why.contains(HARMLESS) && has_end(bytes) => attempt(bytes, false),
        result => result,
    }
}

fn attempt(bytes: &[u8], strict: bool) -> Result<Raster, String> {
    let (mut decoder, width, height, orientation) = open(bytes, strict)?;
    affordable(width as u64, height as u64)?;
    let (space, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(space));
    let pixels = decoder.decode().map_err(unreadable)?;
    if pixels.len() != width * height * channels {
        return Err(unreadable("it has an unknown number of channels"));
    }
    Ok(Raster::new(pixels, [width, height], channels).oriented(orientation))
}

/// Returns width, height and orientation.
pub(super) fn header(bytes: &[u8]) -> Result<(usize, usize, Orientation), String> {
    open(bytes, false).map(|(_, width, height, orientation)| (width, height, orientation))
}

/// A decoder whose headers have been read; width, height and orientation.
type Opened<'a> = (JpegDecoder<ZCursor<&'a [u8]>>, usize, usize, Orientation);

fn open(bytes: &[u8], strict: bool) -> Result<Opened<'_>, String> {
    let options = DecoderOptions::default().set_strict_mode(strict).set_max_width(MAX_SIDE).set_max_height(MAX_SIDE);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(unreadable)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| unreadable("it has no size"))?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok((decoder, width, height, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Whether the end-of-image marker follows the picture's data.
fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(2).rev().take(1 << 16).any(|pair| pair == [0xff, 0xd9])
}

fn unreadable(error: impl std::fmt::Display) -> String {
    format!("not a readable image ({error}); repair or remove it")
}
