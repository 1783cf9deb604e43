//! Applies a policy to a batch of images.

use ndarray::{Array4, ArrayView4, ArrayViewMut3};
use rand::{Rng, SeedableRng, seq::index};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::{
    op::{Op, Ops},
    ops::{Image, table},
    policy::{Policy, Step, SubPolicy},
    ranges::RangeTable,
    transform::Transform,
};

/// The augmented copies that a policy makes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Copies {
    /// For each copy, the index of the image it was made from.
    pub sources: Vec<usize>,
    /// The copies, NHWC, in the order of `sources`.
    pub images: Array4<u8>,
    /// For each copy, the ops that were applied to it, in the same order.
    pub ops: Vec<Ops>,
}

/// Identifies the generator that draws a sub-policy's images; the indices of the images are smaller.
fn subset(sub_policy: usize) -> CopySpec {
    CopySpec { sub_policy, source: u32::MAX as usize }
}

/// A copy that a policy makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopySpec {
    /// The index of the sub-policy that makes it; 0 where a number of them is drawn.
    pub sub_policy: usize,
    /// The index of the image that it is made from.
    pub source: usize,
}

impl Policy {
    /// Returns which copies the policy makes of `n` images: those of the first sub-policy in the order of the
    /// images, then those of the second, and so on.
    pub fn plan(&self, n: usize, seed: u64) -> Vec<CopySpec> {
        self.plan_by(n, None, seed)
    }

    /// Returns the same if images are drawn in proportion to numbers above 0, one for each.
    fn plan_by(&self, n: usize, shares: Option<&[f64]>, seed: u64) -> Vec<CopySpec> {
        let per_sub_policy = ((self.portion * n as f64).round() as usize).min(n);
        (0..self.outcomes())
            .flat_map(|sub_policy| {
                let rng = &mut generator(seed, subset(sub_policy));
                let weighted = shares
                    .and_then(|shares| index::sample_weighted(rng, n, |image| shares[image], per_sub_policy).ok());
                let mut chosen = weighted.unwrap_or_else(|| index::sample(rng, n, per_sub_policy)).into_vec();
                chosen.sort_unstable();
                chosen.into_iter().map(move |source| CopySpec { sub_policy, source })
            })
            .collect()
    }

    /// Turns an image, height x width x channels, into a copy from [`plan`](Self::plan), with the same pixels as
    /// [`copies`](Self::copies), for callers whose images are not in one batch. `others` are images of the same
    /// shape, from which [`Op::SamplePairing`] takes a second image.
    pub fn apply(&self, copy: CopySpec, mut image: ArrayViewMut3<'_, u8>, others: ArrayView4<'_, u8>, seed: u64) {
        let (height, width, channels) = image.dim();
        if image.is_empty() {
            return;
        }
        if let Some(pixels) = image.as_slice_mut() {
            let mut image = Image::new(pixels, height, width, channels);
            Transforms::new(self).apply(copy, &mut image, others, seed);
        } else {
            let mut whole = image.to_owned();
            self.apply(copy, whole.view_mut(), others, seed);
            image.assign(&whole);
        }
    }

    /// Makes the augmented copies of a batch (NHWC, 1 or 3 channels).
    ///
    /// Each sub-policy copies a random subset of `round(portion * n)` of the `n` images, in increasing order of
    /// index, and applies its ops to every copy in order. The copies of all sub-policies are concatenated.
    ///
    /// The work is shared between rayon's threads; the result depends only on the policy, the images and the seed.
    ///
    /// A portion outside 0..=1 is clamped to it, NaN counts as 0, and ops missing from the ranges are left out;
    /// see [`Policy::validate`].
    pub fn copies(&self, images: ArrayView4<'_, u8>, seed: u64) -> Copies {
        self.copies_by(images, None, seed)
    }

    /// Makes the copies of [`copies`](Self::copies), but draws the images of each sub-policy in proportion to `shares`,
    /// numbers above 0, without replacement.
    ///
    /// # Panics
    /// If there are fewer shares than images.
    pub fn copies_by(&self, images: ArrayView4<'_, u8>, shares: Option<&[f64]>, seed: u64) -> Copies {
        let (n, height, width, channels) = images.dim();
        let plan = self.plan_by(n, shares, seed);
        let transforms = Transforms::new(self);
        let sources = plan.iter().map(|copy| copy.source).collect();
        let shape = (plan.len(), height, width, channels);
        let size = height * width * channels;
        if size == 0 {
            return Copies { ops: vec![Ops::default(); plan.len()], sources, images: Array4::zeros(shape) };
        }
        let images = images.as_standard_layout();
        let originals = images.as_slice().expect("images in standard layout");
        let mut values = Vec::with_capacity(plan.len() * size);
        let places = values.spare_capacity_mut()[..plan.len() * size].par_chunks_exact_mut(size);
        let copied = places.zip(&plan).with_min_len(MIN_SHARE).map(|(place, &copy)| {
            let pixels = place.write_copy_of_slice(&originals[copy.source * size..][..size]);
            let mut image = Image::new(pixels, height, width, channels);
            transforms.apply(copy, &mut image, images.view(), seed)
        });
        let ops = copied.collect();
        // SAFETY: every copy has been written.
        unsafe { values.set_len(plan.len() * size) };
        Copies { sources, images: Array4::from_shape_vec(shape, values).expect("copies of one size"), ops }
    }
}

/// Draws a number with the given probabilities of 0, 1, 2 ...
fn drawn_count(probabilities: &[f64], rng: &mut Xoshiro256PlusPlus) -> usize {
    let mut left = rng.random::<f64>();
    let reached = probabilities.iter().position(|probability| {
        left -= probability;
        left < 0.0
    });
    // What rounding leaves over belongs to the last that can come up.
    reached.unwrap_or_else(|| probabilities.iter().rposition(|&probability| probability > 0.0).unwrap_or(0))
}

/// A step of a policy, ready to be applied.
#[derive(Debug)]
struct Ready {
    op: Op,
    probability: f64,
    transform: Transform,
}

/// Returns the steps of a sub-policy that the ranges have.
fn ready(ranges: RangeTable, steps: &[Step]) -> Vec<Ready> {
    let one = |&Step { op, magnitude, probability }: &Step| {
        Some(Ready { op, probability, transform: ranges.transform(op, magnitude)? })
    };
    steps.iter().filter_map(one).collect()
}

/// The transforms of a policy's steps, ready to be applied to many images.
#[derive(Debug)]
pub(crate) struct Transforms {
    sub_policies: Vec<Vec<Ready>>,
    always: Vec<Ready>,
    draws: usize,
    counts: Vec<f64>,
}

impl Transforms {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            sub_policies: policy.sub_policies.iter().map(|SubPolicy { ops }| ready(policy.ranges, ops)).collect(),
            always: ready(RangeTable::Monotone, &policy.always.ops),
            draws: policy.draws,
            counts: policy.counts.clone(),
        }
    }

    /// Turns an image into a copy in place: first the copy's own sub-policy, then further ones drawn at random, or
    /// as many as are drawn; then what always follows. Returns the ops that were applied.
    pub(crate) fn apply(&self, copy: CopySpec, image: &mut Image<'_>, batch: ArrayView4<'_, u8>, seed: u64) -> Ops {
        let (mut rng, mut applied) = (generator(seed, copy), Ops::default());
        if self.counts.is_empty() {
            apply(&self.sub_policies[copy.sub_policy], image, batch, &mut rng, &mut applied);
            for _ in 1..self.draws {
                let next = rng.random_range(0..self.sub_policies.len());
                apply(&self.sub_policies[next], image, batch, &mut rng, &mut applied);
            }
        } else {
            self.apply_some(image, batch, &mut rng, &mut applied);
        }
        apply(&self.always, image, batch, &mut rng, &mut applied);
        applied
    }

    /// Draws how many sub-policies to apply, and tries them in random order until so many have been.
    fn apply_some(
        &self,
        image: &mut Image<'_>,
        batch: ArrayView4<'_, u8>,
        rng: &mut Xoshiro256PlusPlus,
        applied: &mut Ops,
    ) {
        let mut left = drawn_count(&self.counts, rng);
        let mut slots: Vec<&Ready> = Vec::new();
        if left > 0 {
            slots.extend(self.sub_policies.iter().filter_map(|steps| steps.first()));
        }
        let mut untried = slots.len();
        while left > 0 && untried > 0 {
            let next = rng.random_range(0..untried);
            untried -= 1;
            slots.swap(next, untried);
            let Ready { op, probability, transform } = slots[untried];
            if rng.random::<f64>() < *probability {
                transform.apply(image, batch, rng);
                applied.insert(*op);
                left -= 1;
            }
        }
    }
}

/// Minimum number of images that a thread takes at once: a small image takes less time than the hand-over.
pub(crate) const MIN_SHARE: usize = 16;

/// Minimum number of consecutive point ops, and of values in an image, for composing ops into tables. With fewer,
/// the tables cost more than they save, because an op takes hardly longer than a lookup (reports/augmenter.md).
const MIN_COMPOSED: (usize, usize) = (3, 16384);

fn apply(
    all: &[Ready],
    image: &mut Image<'_>,
    batch: ArrayView4<'_, u8>,
    rng: &mut Xoshiro256PlusPlus,
    applied: &mut Ops,
) {
    let mut steps = |steps: &[Ready], image: &mut Image<'_>| {
        for Ready { op, probability, transform } in steps {
            if *probability == 1.0 || rng.random::<f64>() < *probability {
                transform.apply(image, batch, rng);
                applied.insert(*op);
            }
        }
    };
    for run in all.chunk_by(|a, b| a.transform.is_point() && b.transform.is_point()) {
        if run.len() >= MIN_COMPOSED.0 && image.pixels.len() >= MIN_COMPOSED.1 {
            table::compose(image, |values| steps(run, values));
        } else {
            steps(run, image);
        }
    }
}

/// Returns an independent generator for each sub-policy and image.
pub(crate) fn generator(seed: u64, copy: CopySpec) -> Xoshiro256PlusPlus {
    // The generator's own seeding hashes its number; this mixes the three into it, with the constants of
    // SplitMix64.
    let stream = (copy.sub_policy as u64) << 32 | copy.source as u64;
    let mixed = (seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    Xoshiro256PlusPlus::seed_from_u64(mixed ^ stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Op, measure::example_images};

    /// Shares worked out by hand for 30 slots and the counts of population-based augmentation: 0, 1 and 2 ops applied
    /// when every slot has one probability.
    #[test]
    fn counts_are_budgets_that_slots_use_up_with_their_own_probabilities() {
        const IMAGES: usize = 20_000;
        let shares = [
            (1.0, [0.2, 0.3, 0.5]),
            (0.0, [1.0, 0.0, 0.0]),
            (0.1, [0.2339129266, 0.3579345830, 0.4081524904]),
            (0.01, [0.7917602987, 0.1901657021, 0.0180739992]),
        ];
        // Brightness counts: each application makes an image brighter.
        let images = Array4::from_elem((IMAGES, 1, 1, 1), 10_u8);
        for (probability, expected) in shares {
            let slot = SubPolicy { ops: vec![Step { probability, ..Step::new(Op::Brightness, 1.0) }] };
            let always_brighter =
                Policy { counts: vec![0.2, 0.3, 0.5], ..Policy::new(RangeTable::AutoAugment, 1.0, vec![slot; 30]) };
            always_brighter.validate().unwrap();
            let copies = always_brighter.copies(images.view(), 3);
            assert_eq!(copies.sources.len(), IMAGES);
            let mut found = [0.0; 3];
            for value in &copies.images {
                found[match value {
                    10 => 0,
                    11..=25 => 1,
                    _ => 2,
                }] += 1.0 / IMAGES as f64;
            }
            for (found, expected) in found.iter().zip(expected) {
                let deviation = (expected * (1.0 - expected) / IMAGES as f64).sqrt();
                assert!((found - expected).abs() <= 5.0 * deviation + 1e-9, "{probability}: {found} {expected}");
            }
        }
    }

    #[test]
    fn images_are_drawn_in_proportion_to_their_shares() {
        let invert = SubPolicy { ops: vec![Step::new(Op::Invert, 1.0)] };
        let policy = Policy::new(RangeTable::Monotone, 0.25, vec![invert]);
        let images = Array4::from_elem((4, 1, 1, 1), 10_u8);
        let shares = [0.1, 0.2, 0.3, 0.4];
        let mut counts = [0.0; 4];
        for seed in 0..20_000 {
            let copies = policy.copies_by(images.view(), Some(&shares), seed);
            assert_eq!(copies.sources.len(), 1);
            counts[copies.sources[0]] += 1.0 / 20_000.0;
        }
        assert!(counts.iter().zip(shares).all(|(found, share)| (found - share).abs() < 0.015), "{counts:?}");
        let all = Policy { portion: 1.0, ..policy.clone() };
        assert_eq!(all.copies_by(images.view(), Some(&shares), 3), all.copies(images.view(), 3));
        assert_eq!(policy.copies_by(images.view(), None, 3), policy.copies(images.view(), 3));
    }

    #[test]
    fn slots_are_tried_in_random_order() {
        // Two certain slots and a budget of one: each comes first half the time.
        let slot = |op| SubPolicy { ops: vec![Step::new(op, 1.0)] };
        let sub_policies = vec![slot(Op::Invert), slot(Op::Brightness)];
        let one = Policy { counts: vec![0.0, 1.0], ..Policy::new(RangeTable::AutoAugment, 1.0, sub_policies) };
        let copies = one.copies(Array4::from_elem((2000, 1, 1, 1), 10_u8).view(), 8);
        let share = |value: u8| copies.images.iter().filter(|&&v| v == value).count() as f64 / 2000.0;
        assert_eq!(share(245) + share(19), 1.0);
        assert!((share(19) - 0.5).abs() < 0.06, "{}", share(19));
    }

    /// Checks images above and below the size from which they are composed.
    #[test]
    fn consecutive_point_ops_make_the_pixels_of_one_after_another() {
        let point = [Op::GammaContrast, Op::Brighten, Op::Invert, Op::Solarize, Op::Posterize, Op::Brightness];
        for (side, channels) in [(20, 3), (80, 3), (130, 1)] {
            let images = example_images(6, side, channels);
            for k in 0..point.len() {
                let mut ops: Vec<Op> = (0..5).map(|next| point[(k + next) % point.len()]).collect();
                ops.insert(3, Op::Rotate);
                let ops = ops.into_iter().map(|op| Step { probability: 0.8, ..Step::new(op, 0.6) }).collect();
                let ranges = RangeTable::Monotone;
                let policy = Policy::new(ranges, 1.0, vec![SubPolicy { ops }]);
                let copies = policy.copies(images.view(), 5);
                for (source, (copied, original)) in copies.images.outer_iter().zip(images.outer_iter()).enumerate() {
                    let mut pixels = original.to_owned().into_raw_vec_and_offset().0;
                    let mut rng = generator(5, CopySpec { sub_policy: 0, source });
                    let mut applied = Ops::default();
                    for Ready { op, probability, transform } in ready(policy.ranges, &policy.sub_policies[0].ops) {
                        if rng.random::<f64>() < probability {
                            let mut image = Image::new(&mut pixels, side, side, channels);
                            transform.apply(&mut image, images.view(), &mut rng);
                            applied.insert(op);
                        }
                    }
                    assert!(copied.iter().eq(&pixels), "{:?} {side} {channels}", policy.sub_policies);
                    assert_eq!(copies.ops[source], applied);
                }
            }
        }
    }
}
