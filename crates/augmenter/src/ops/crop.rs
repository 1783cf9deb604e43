//! Cropping.

use super::{Image, resample};

/// Cuts pixels off the top, right, bottom and left, and resizes what remains to the original size.
///
/// At least one pixel remains: amounts that would leave none are reduced, half from either side. The resize equals
/// OpenCV's `INTER_AREA` when enlarging, which imgaug uses.
pub fn crop(image: &mut Image<'_>, [top, right, bottom, left]: [usize; 4]) {
    let (top, bottom) = leave_one(image.height, top, bottom);
    let (right, left) = leave_one(image.width, right, left);
    if (top, right, bottom, left) == (0, 0, 0, 0) {
        return;
    }
    resample::enlarge_part(image, top..image.height - bottom, left..image.width - right);
}

/// Returns amounts to cut off the two ends of a line of `n` that leave at least one; the first absorbs the odd
/// pixel.
fn leave_one(n: usize, start: usize, end: usize) -> (usize, usize) {
    let excess = start.saturating_add(end).saturating_add(1).saturating_sub(n);
    let from_start = excess.div_ceil(2).clamp(excess.saturating_sub(end), start);
    (start - from_start, end - (excess - from_start))
}

#[cfg(test)]
mod tests {
    use super::leave_one;

    #[test]
    fn one_pixel_always_remains() {
        for n in 1..9 {
            for start in 0..12 {
                for end in 0..12 {
                    let (a, b) = leave_one(n, start, end);
                    assert!(a + b < n && a <= start && b <= end);
                    assert!(start + end >= n || (a, b) == (start, end));
                }
            }
        }
    }
}
