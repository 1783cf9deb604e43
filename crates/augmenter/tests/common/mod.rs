//! The test images: sheets in `tests/reference`, written by `make.py` there.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

use std::path::PathBuf;

use ndarray::{Array3, Array4, ArrayView3, Axis, s};

/// Returns the path of a file in `tests/reference`.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// Returns the images of a sheet, ten per row, NHWC.
pub fn sheet(name: &str, height: usize, width: usize) -> Array4<u8> {
    let sheet = image::open(path(name)).expect("the fixture is a PNG");
    let channels = usize::from(sheet.color().channel_count());
    let (rows, columns) = (sheet.height() as usize / height, sheet.width() as usize / width);
    let shape = (sheet.height() as usize, sheet.width() as usize, channels);
    let pixels = Array3::from_shape_vec(shape, sheet.into_bytes()).expect("8 bits a channel");
    Array4::from_shape_fn((rows * columns, height, width, channels), |(i, y, x, c)| {
        pixels[[i / columns * height + y, i % columns * width + x, c]]
    })
}

/// Returns 60 images of Fashion-MNIST, 28 x 28 x 1.
pub fn grey() -> Array4<u8> {
    sheet("grey.png", 28, 28)
}

/// Returns 30 colour images, 32 x 32 x 3.
pub fn colour() -> Array4<u8> {
    sheet("colour.png", 32, 32)
}

/// Returns parts of the colour images, 19 x 31 x 3.
pub fn wide() -> Array4<u8> {
    colour().slice(s![.., 6..25, ..31, ..]).to_owned()
}

/// Returns the mean absolute difference of the values of two images.
pub fn distortion(a: ArrayView3<'_, u8>, b: ArrayView3<'_, u8>) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
    sum as f64 / a.len() as f64
}

/// Returns image `i` of a batch.
pub fn nth(images: &Array4<u8>, i: usize) -> Array3<u8> {
    images.index_axis(Axis(0), i).to_owned()
}
