//! Applying a policy to a batch of images.

use ndarray::{Array4, ArrayView4, Axis};
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::policy::Policy;

/// The augmented copies that a policy makes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Copies {
    /// For each copy, the index of the image it was made from.
    pub sources: Vec<usize>,
    /// The copies, NHWC, in the order of `sources`.
    pub images: Array4<u8>,
}

/// The stream of the generator that draws a sub-policy's images; the image indices are the streams below it.
const SUBSET: u64 = u32::MAX as u64;

impl Policy {
    /// Makes the augmented copies of a batch (NHWC, 1 or 3 channels).
    ///
    /// Each sub-policy copies a random subset of `round(portion * n)` of the `n` images, in increasing order of index, and
    /// applies its ops to every copy in order. The copies of all sub-policies stand one after another.
    ///
    /// The work is shared between rayon's threads; the result depends on the policy, the images and the seed only.
    ///
    /// A portion outside 0..=1 (see [`Policy::validate`]) is clamped to it; NaN counts as 0.
    pub fn copies(&self, images: ArrayView4<'_, u8>, seed: u64) -> Copies {
        let (n, height, width, channels) = images.dim();
        let per_sub_policy = ((self.portion * n as f64).round() as usize).min(n);
        let plan: Vec<(usize, usize)> = (0..self.sub_policies.len())
            .flat_map(|s| {
                let mut chosen = index::sample(&mut generator(seed, s, SUBSET), n, per_sub_policy).into_vec();
                chosen.sort_unstable();
                chosen.into_iter().map(move |source| (s, source))
            })
            .collect();

        let mut copies = Array4::zeros((plan.len(), height, width, channels));
        copies.axis_iter_mut(Axis(0)).into_par_iter().zip(&plan).for_each(|(mut copy, &(s, source))| {
            copy.assign(&images.index_axis(Axis(0), source));
            let mut rng = generator(seed, s, source as u64);
            for step in &self.sub_policies[s].ops {
                step.op.apply(self.ranges, step.magnitude, copy.view_mut(), &mut rng);
            }
        });
        Copies { sources: plan.into_iter().map(|(_, source)| source).collect(), images: copies }
    }
}

/// An independent generator for each sub-policy and stream.
fn generator(seed: u64, sub_policy: usize, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((sub_policy as u64) << 32 | stream);
    rng
}
