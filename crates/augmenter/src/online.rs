//! Augments images one by one while a final model trains, instead of making copies beside the originals.

use std::collections::HashMap;
use std::fmt;

use ndarray::{Array4, ArrayView4, ArrayViewMut3};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::copies::{CopySpec, MIN_SHARE, Transforms, generator};
use crate::op::Ops;
use crate::ops::{Image, flip, nearest, occlusion};
use crate::policy::Policy;

/// What happens to every image each time it is used. With probability `chance` it gets one sub-policy, drawn at
/// random from all of a policy's. Then follow the usual final steps of training in this field: a shift into a
/// black margin (pad and crop), a mirror image half the time, and a grey square (cutout). The portion of a policy
/// that makes copies is ignored.
///
/// ```
/// use deepaug_augmenter::{Online, published};
/// use ndarray::Array4;
///
/// let images = Array4::from_shape_fn((10, 32, 32, 3), |(i, y, x, c)| (i * 20 + y * 4 + x + c) as u8);
/// let policy = "trivialaugment".parse::<published::Published>()?.policy();
/// let augmented = Online::STANDARD.images(&policy, images.view(), 42);
/// assert_eq!(augmented.dim(), images.dim());
/// # Ok::<(), deepaug_augmenter::published::UnknownPublished>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Online {
    /// The probability that an image gets a sub-policy, 0..=1. For a policy that is used [in
    /// place](Policy::in_place), its portion is used instead.
    pub chance: f64,
    /// The margin that an image is shifted into, as a fraction of its shorter side, 0..=1; 0 for none.
    pub pad: f64,
    /// Whether half of the images are mirrored.
    pub flip: bool,
    /// The side of the covering square, as a fraction of the image's shorter side, 0..=1; 0 for none.
    pub cutout: f64,
}

/// A policy whose ops are ready to be applied, for callers that augment few images at a time: preparing those of a published
/// policy takes longer than applying one.
///
/// ```
/// use deepaug_augmenter::{Online, Prepared, published};
/// use ndarray::Array4;
///
/// let images = Array4::from_shape_fn((2, 32, 32, 3), |(i, y, x, c)| (i * 20 + y * 4 + x + c) as u8);
/// let prepared = Prepared::new("trivialaugment".parse::<published::Published>()?.policy());
/// let mut augmented: Vec<u8> = images.iter().copied().collect();
/// Online::STANDARD.augment_copies(&prepared, images.view(), &mut augmented, 42);
/// let expected = Online::STANDARD.images(prepared.policy(), images.view(), 42);
/// assert!(expected.iter().eq(&augmented));
/// # Ok::<(), deepaug_augmenter::published::UnknownPublished>(())
/// ```
#[derive(Debug)]
pub struct Prepared {
    policy: Policy,
    transforms: Transforms,
}

impl Prepared {
    /// Prepares a policy.
    pub fn new(policy: Policy) -> Self {
        Self { transforms: Transforms::new(&policy), policy }
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

/// Replaces a sub-policy in the identifiers of generators: one draws it, the other draws the rest.
const CHOICE: usize = u32::MAX as usize;
const FINISH: usize = u32::MAX as usize - 1;

impl Online {
    /// Leaves every image unchanged.
    pub const NOTHING: Self = Self { chance: 0.0, pad: 0.0, flip: false, cutout: 0.0 };

    /// DeepAugment 1.1.2's final training, plus mirror images: a sub-policy for four images in five, a margin of 4
    /// of 32 pixels, a square of 6.
    pub const STANDARD: Self = Self { chance: 0.8, pad: 4.0 / 32.0, flip: true, cutout: 6.0 / 32.0 };

    /// Augments each image of a batch (NHWC, 1 or 3 channels). Shifts, mirror images and squares depend on the
    /// seed and not on the policy, so training runs with equal seeds share them.
    ///
    /// The work is shared between rayon's threads; the result depends only on the policy, the images and the seed.
    pub fn images(&self, policy: &Policy, images: ArrayView4<'_, u8>, seed: u64) -> Array4<u8> {
        self.images_and_ops(policy, images, seed).0
    }

    /// Augments as [`images`](Self::images) does, and returns the ops of the policy that were applied to each image.
    pub fn images_and_ops(&self, policy: &Policy, images: ArrayView4<'_, u8>, seed: u64) -> (Array4<u8>, Vec<Ops>) {
        let transforms = Transforms::new(policy);
        self.augmented(policy, images, seed, |_| &transforms)
    }

    /// Augments as [`images`](Self::images) does, with the magnitudes of each image's ops multiplied by its strength in
    /// 0..=1. Strengths should have few values, because ops are prepared for each.
    ///
    /// # Panics
    /// If there are not as many strengths as images.
    pub fn images_at(
        &self,
        policy: &Policy,
        images: ArrayView4<'_, u8>,
        strengths: &[f64],
        seed: u64,
    ) -> (Array4<u8>, Vec<Ops>) {
        assert_eq!(strengths.len(), images.dim().0, "a strength for each image");
        let of = |&strength: &f64| (strength.to_bits(), Transforms::new(&policy.scaled(strength)));
        let mut different = strengths.to_vec();
        different.sort_by(f64::total_cmp);
        different.dedup();
        let transforms: HashMap<u64, Transforms> = different.iter().map(of).collect();
        self.augmented(policy, images, seed, |source| &transforms[&strengths[source].to_bits()])
    }

    fn augmented<'t>(
        &self,
        policy: &Policy,
        images: ArrayView4<'_, u8>,
        seed: u64,
        transforms: impl Fn(usize) -> &'t Transforms + Sync,
    ) -> (Array4<u8>, Vec<Ops>) {
        let mut augmented = images.as_standard_layout().into_owned();
        let pixels = augmented.as_slice_mut().expect("a copy in standard layout");
        let ops = self.augment(policy, images, pixels, seed, transforms);
        (augmented, ops)
    }

    /// Augments each image of a batch as [`images`](Self::images) does, in copies that the caller made: in standard layout.
    /// The images themselves are those that others are blended with. Up to 16 images are augmented on this thread.
    ///
    /// # Panics
    /// If there are not as many copies as images.
    pub fn augment_copies(&self, prepared: &Prepared, images: ArrayView4<'_, u8>, copies: &mut [u8], seed: u64) {
        assert_eq!(copies.len(), images.len(), "a copy of each image");
        self.augment(&prepared.policy, images, copies, seed, |_| &prepared.transforms);
    }

    fn augment<'t>(
        &self,
        policy: &Policy,
        images: ArrayView4<'_, u8>,
        pixels: &mut [u8],
        seed: u64,
        transforms: impl Fn(usize) -> &'t Transforms + Sync,
    ) -> Vec<Ops> {
        let (count, height, width, channels) = images.dim();
        let size = height * width * channels;
        if size == 0 {
            return vec![Ops::default(); count];
        }
        let images = images.as_standard_layout();
        let one = |(source, pixels): (usize, &mut [u8])| {
            let mut image = Image::new(pixels, height, width, channels);
            let chosen = policy.chosen(source, self.chance_of(policy), seed);
            let ops = chosen.map(|copy| transforms(source).apply(copy, &mut image, images.view(), seed));
            self.finish(&mut image, &mut generator(seed, CopySpec { sub_policy: FINISH, source }));
            ops.unwrap_or_default()
        };
        if count <= MIN_SHARE {
            return pixels.chunks_exact_mut(size).enumerate().map(one).collect();
        }
        pixels.par_chunks_exact_mut(size).enumerate().with_min_len(MIN_SHARE).map(one).collect()
    }

    /// Returns the probability that an image gets a sub-policy of this policy.
    pub fn chance_of(&self, policy: &Policy) -> f64 {
        if policy.in_place { policy.portion } else { self.chance }
    }

    /// Applies only what comes after the sub-policy to one image of height x width x channels, the one with index
    /// `source` under a seed.
    pub fn finish_one(&self, mut image: ArrayViewMut3<'_, u8>, source: usize, seed: u64) {
        let (height, width, channels) = image.dim();
        if image.is_empty() {
            return;
        }
        let mut pixels: Vec<u8> = image.iter().copied().collect();
        let rng = &mut generator(seed, CopySpec { sub_policy: FINISH, source });
        self.finish(&mut Image::new(&mut pixels, height, width, channels), rng);
        image.iter_mut().zip(pixels).for_each(|(to, from)| *to = from);
    }

    fn finish(&self, image: &mut Image<'_>, rng: &mut Xoshiro256PlusPlus) {
        let shorter = image.height.min(image.width) as f64;
        let margin = (self.pad * shorter).round() as i64;
        // Everything is drawn whether it is used or not, so that each part is the same with and without the
        // others.
        let (x, y) = (rng.random_range(-margin..=margin), rng.random_range(-margin..=margin));
        let mirrored = rng.random_bool(0.5);
        let (column, row) = (rng.random_range(0..image.width), rng.random_range(0..image.height));
        if margin > 0 {
            nearest::translate(image, x as isize, y as isize);
        }
        if self.flip && mirrored {
            flip::horizontal(image);
        }
        let side = (self.cutout * shorter).round() as usize;
        if side > 0 {
            occlusion::cutout(image, side, column, row);
        }
    }
}

/// Describes what happens to an image: `on 80 % of the images, then shifted by up to 12.5 % and mirrored`.
impl fmt::Display for Online {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{} %", (1000.0 * share).round() / 10.0);
        let mut finish = Vec::new();
        if self.pad > 0.0 {
            finish.push(format!("shifted by up to {}", percent(self.pad)));
        }
        if self.flip {
            finish.push("half of them mirrored".into());
        }
        if self.cutout > 0.0 {
            finish.push(format!("a square of {} covered", percent(self.cutout)));
        }
        let finish = finish.join(", ");
        match (self.chance > 0.0, finish.is_empty()) {
            (false, true) => f.write_str("the images as they are"),
            (false, false) => f.write_str(&finish),
            (true, true) => write!(f, "on {} of the images", percent(self.chance)),
            (true, false) => write!(f, "on {} of the images; then {finish}", percent(self.chance)),
        }
    }
}

impl Policy {
    /// Returns the copy that each of `n` images gets if one random sub-policy is drawn for it, instead of one copy
    /// per sub-policy.
    pub fn plan_one_each(&self, n: usize, seed: u64) -> Vec<CopySpec> {
        (0..n).filter_map(|source| self.chosen(source, 1.0, seed)).collect()
    }

    /// Returns the sub-policy drawn for an image, if any.
    fn chosen(&self, source: usize, chance: f64, seed: u64) -> Option<CopySpec> {
        if self.sub_policies.is_empty() {
            return None;
        }
        let mut rng = generator(seed, CopySpec { sub_policy: CHOICE, source });
        let is_augmented = rng.random::<f64>() < chance;
        let sub_policy = rng.random_range(0..self.outcomes());
        is_augmented.then_some(CopySpec { sub_policy, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Op, RangeTable, Step, SubPolicy};

    fn images() -> Array4<u8> {
        crate::measure::example_images(400, 32, 3)
    }

    fn policy(ops: &[Op]) -> Policy {
        let sub_policies = ops.iter().map(|&op| SubPolicy { ops: vec![Step::new(op, 1.0)] }).collect();
        Policy::new(RangeTable::AutoAugment, 0.1, sub_policies)
    }

    fn share(a: &Array4<u8>, b: &Array4<u8>, is: impl Fn(&[u8], &[u8]) -> bool) -> f64 {
        let pairs = a.outer_iter().zip(b.outer_iter());
        let count = pairs.filter(|(a, b)| is(a.as_slice().unwrap(), b.as_slice().unwrap())).count();
        count as f64 / a.dim().0 as f64
    }

    #[test]
    fn what_happens_is_said_in_words() {
        let words =
            "on 80 % of the images; then shifted by up to 12.5 %, half of them mirrored, a square of 18.8 % covered";
        assert_eq!(Online::STANDARD.to_string(), words);
        assert_eq!(Online { chance: 1.0, ..Online::NOTHING }.to_string(), "on 100 % of the images");
        assert_eq!(Online { flip: true, ..Online::NOTHING }.to_string(), "half of them mirrored");
        assert_eq!(Online::NOTHING.to_string(), "the images as they are");
    }

    #[test]
    fn nothing_changes_nothing_and_a_chance_is_a_chance() {
        let (images, invert) = (images(), policy(&[Op::Invert]));
        assert_eq!(Online::NOTHING.images(&invert, images.view(), 1), images);
        assert_eq!(Online { chance: 1.0, ..Online::NOTHING }.images(&policy(&[]), images.view(), 1), images);
        let some = Online { chance: 0.8, ..Online::NOTHING }.images(&invert, images.view(), 1);
        let inverted = |a: &[u8], b: &[u8]| a.iter().zip(b).all(|(a, b)| *a == 255 - b);
        let found = share(&images, &some, inverted);
        // Four standard errors.
        assert!((found - 0.8).abs() < 0.08, "{found}");
        assert!((share(&images, &some, |a, b| a == b) - (1.0 - found)).abs() < 1e-12);
        assert_ne!(Online { chance: 0.8, ..Online::NOTHING }.images(&invert, images.view(), 2), some);
    }

    #[test]
    fn strengths_scale_the_magnitudes_of_each_image() {
        let images = images();
        let policy = policy(&[Op::Brightness, Op::RotateNearest]);
        let online = Online { chance: 0.9, ..Online::STANDARD };
        let (all, ops) = online.images_and_ops(&policy, images.view(), 4);
        let strengths: Vec<f64> = (0..400).map(|image| [0.0, 0.5, 1.0][image % 3]).collect();
        let (at, ops_at) = online.images_at(&policy, images.view(), &strengths, 4);
        assert_eq!(ops, ops_at);
        let alone = [0.0, 0.5, 1.0].map(|strength| online.images(&policy.scaled(strength), images.view(), 4));
        for (image, found) in at.outer_iter().enumerate() {
            assert_eq!(found, alone[image % 3].index_axis(ndarray::Axis(0), image));
        }
        assert!(all == alone[2] && all != alone[1]);
        assert!(ops.iter().all(|ops| ops.iter().count() <= 1));
        let rotated = ops.iter().filter(|ops| ops.contains(Op::RotateNearest)).count() as f64 / 400.0;
        assert!((rotated - 0.45).abs() < 0.1, "{rotated}");
    }

    #[test]
    fn one_sub_policy_is_drawn_for_each_image_and_all_are_equally_likely() {
        let images = images();
        let two = policy(&[Op::Invert, Op::Equalize]);
        let all = Online { chance: 1.0, ..Online::NOTHING }.images(&two, images.view(), 5);
        let inverted = share(&images, &all, |a, b| a.iter().zip(b).all(|(a, b)| *a == 255 - b));
        assert!((inverted - 0.5).abs() < 0.1, "{inverted}");
        let plan = two.plan_one_each(400, 5);
        assert_eq!(plan.len(), 400);
        let drawn = plan.iter().filter(|copy| copy.sub_policy == 0).count() as f64 / 400.0;
        assert!((drawn - inverted).abs() < 1e-12);
        assert!(policy(&[]).plan_one_each(3, 1).is_empty());
    }

    #[test]
    fn the_finish_is_shared_by_policies_and_each_part_is_the_same_without_the_others() {
        let images = Array4::from_elem((200, 32, 32, 1), 200_u8);
        let all = Online { chance: 1.0, ..Online::STANDARD };
        let (none, invert) = (policy(&[]), policy(&[Op::Invert]));
        let plain = all.images(&none, images.view(), 3);
        let inverted = all.images(&invert, images.view(), 3);
        // Black margins and grey squares are in the same places.
        assert!(plain.iter().zip(&inverted).all(|(&a, &b)| (a == 200) == (b == 55) && (a == 0) == (b == 0)));
        let cut = Online { pad: 0.0, flip: false, ..all }.images(&none, images.view(), 3);
        assert!(cut.iter().zip(&plain).all(|(&a, &b)| (a == 128) == (b == 128)));
        let squares = cut.outer_iter().map(|image| image.iter().filter(|&&value| value == 128).count());
        assert_eq!(squares.max(), Some(36));
        let shifted = Online { flip: false, cutout: 0.0, ..all }.images(&none, images.view(), 3);
        let rows =
            shifted.outer_iter().map(|image| image.outer_iter().filter(|row| row.iter().all(|&v| v == 0)).count());
        assert_eq!(rows.max(), Some(4));
    }
}
