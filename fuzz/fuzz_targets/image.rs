//! Any bytes as an image file: PNG, JPEG, WebP, BMP, GIF, TIFF.
#![no_main]

use std::path::Path;

use deepaug_dataset::files::decode_image;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match decode_image(Path::new("image"), bytes) {
        Ok(image) => assert!(!image.is_empty() && matches!(image.dim().2, 1 | 3)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    Corpus::Keep
});
