//! Shows policies as pictures of the user's own images.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deepaug_augmenter::Policy;
use deepaug_dataset::files::png;
use ndarray::{Array3, Array4, ArrayView3, ArrayView4, s};

/// Gap between pictures, in pixels of an image.
const GAP: usize = 2;
/// Larger pictures show only every second, third ... pixel.
const LARGEST: usize = 96;

/// Draws one image, as the data URL of a PNG.
pub(super) fn image(image: ArrayView3<'_, u8>) -> Result<String, String> {
    let every = image.dim().0.max(image.dim().1).div_ceil(LARGEST).max(1) as isize;
    let image = image.slice(s![..;every, ..;every, ..]).to_owned();
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png(image)?)))
}

/// Draws the images, and below each of them `draws` results of the policy, as the data URL of a PNG.
pub(super) fn policy(policy: &Policy, images: ArrayView4<'_, u8>, draws: u64) -> Result<String, String> {
    let every = images.dim().1.max(images.dim().2).div_ceil(LARGEST).max(1) as isize;
    let mut rows = vec![images.to_owned()];
    rows.extend((0..draws).map(|seed| drawn(policy, images, seed)));
    let rows: Vec<Array4<u8>> =
        rows.into_iter().map(|row| row.slice(s![.., ..;every, ..;every, ..]).to_owned()).collect();
    let (count, height, width, channels) = rows[0].dim();
    let side = (rows.len() * (height + GAP) - GAP, count * (width + GAP) - GAP);
    let mut sheet = Array3::from_elem((side.0, side.1, channels), 255_u8);
    for (r, row) in rows.iter().enumerate() {
        for (i, image) in row.outer_iter().enumerate() {
            let (y, x) = (r * (height + GAP), i * (width + GAP));
            sheet.slice_mut(s![y..y + height, x..x + width, ..]).assign(&image);
        }
    }
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png(sheet)?)))
}

/// Applies one sub-policy of the policy to each image; of a schedule, of the last policy that has any.
fn drawn(policy: &Policy, images: ArrayView4<'_, u8>, seed: u64) -> Array4<u8> {
    let has_ops = |policy: &&Policy| policy.steps().next().is_some();
    let policy = policy.pieces().map(|(_, policy)| policy).filter(has_ops).last().unwrap_or(policy);
    let mut row = images.to_owned();
    for copy in policy.plan_one_each(images.dim().0, seed) {
        policy.apply(copy, row.index_axis_mut(ndarray::Axis(0), copy.source), images, seed);
    }
    row
}

#[cfg(test)]
mod tests {
    use deepaug_augmenter::{Op, RangeTable, Step, SubPolicy};

    use super::*;

    #[test]
    fn originals_stand_above_what_becomes_of_them() {
        let images = Array4::from_shape_fn((3, 8, 6, 1), |(i, y, x, _)| (i * 50 + y * 6 + x) as u8);
        let sub_policies = vec![SubPolicy { ops: vec![Step::new(Op::Invert, 1.0)] }];
        let invert = Policy::new(RangeTable::Monotone, 0.1, sub_policies);
        let address = policy(&invert, images.view(), 3).unwrap();
        let bytes = STANDARD.decode(address.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let file = tempfile::NamedTempFile::with_suffix(".png").unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let sheet = deepaug_dataset::files::read_image(file.path()).unwrap();
        assert_eq!(sheet.dim(), (4 * 10 - 2, 3 * 8 - 2, 1));
        assert_eq!(sheet[[7, 16 + 5, 0]], images[[2, 7, 5, 0]]);
        assert_eq!(sheet[[30 + 7, 16 + 5, 0]], 255 - images[[2, 7, 5, 0]]);
    }

    #[test]
    fn large_images_are_shown_smaller() {
        let images = Array4::from_elem((1, 400, 200, 3), 9_u8);
        let address = policy(&Policy::none(RangeTable::Monotone), images.view(), 3).unwrap();
        assert!(address.len() < 20_000, "{}", address.len());
    }
}
