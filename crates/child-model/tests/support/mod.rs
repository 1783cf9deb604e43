//! Images that a tiny net learns in a few epochs.

use ndarray::Array4;

pub(crate) const CLASSES: usize = 3;

/// Images of three classes: bright where their class says, and noisy.
pub(crate) fn images(count: usize, salt: usize) -> (Array4<u8>, Vec<usize>) {
    let labels: Vec<usize> = (0..count).map(|n| (n * 7 + salt) % CLASSES).collect();
    let images = Array4::from_shape_fn((count, 11, 13, 3), |(n, r, c, k)| {
        let noise = (n * 31 + r * 17 + c * 23 + k * 5 + salt * 101).wrapping_mul(2_654_435_761) >> 7 & 63;
        let bright = if r / 4 == labels[n] { 150 } else { 20 };
        (bright + noise) as u8
    });
    (images, labels)
}
