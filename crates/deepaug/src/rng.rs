//! Derives every random choice of a study from its seed, by purpose and number.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The purpose of a seed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Split = 0,
    Searcher = 1,
    /// A sample number has the same seed in every trial (common random numbers), so that differences between
    /// policies are not differences of luck.
    Sample = 2,
    Pretraining = 3,
    /// The images that a sample learns from and is judged by, if they differ from sample to sample.
    Holdout = 4,
    /// How held-out images are changed by a policy that is judged without training.
    Density = 5,
    /// The members of a population.
    Member = 6,
    /// Who takes over from whom in a population, and how policies change.
    Exploration = 7,
    /// An adversary's decisions, and the order of its images.
    Adversary = 8,
    /// What its policies do to each image.
    Views = 9,
    /// How images are changed to explain what an op does.
    Explanation = 10,
    /// Which images are augmented, if not all, and how.
    Subsample = 11,
    /// A generator of sequences: how it learns, and what it writes.
    #[cfg(feature = "generative")]
    Tanda = 12,
    /// How translations between subgroups are learnt, and how policies translate.
    Patch = 13,
    /// Final trainings, for comparisons and for use: seeds that no search has used.
    Final = 16,
    /// The images that final trainings use.
    FinalImages = 17,
    /// Policies drawn instead of searched.
    RandomPolicies = 18,
}

pub(crate) fn derive(study: u64, purpose: Purpose, number: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(study);
    rng.set_stream((purpose as u64) << 56 | number);
    // Seeds are stored in TOML and CSV, whose integers are signed.
    rng.next_u64() >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_numbers_do_not_share_seeds() {
        let purposes = [Purpose::Split, Purpose::Searcher, Purpose::Sample, Purpose::Pretraining];
        let later = [Purpose::Final, Purpose::FinalImages, Purpose::RandomPolicies, Purpose::Density];
        let mut all: Vec<u64> = purposes
            .into_iter()
            .chain(later)
            .flat_map(|purpose| (0..50).map(move |number| derive(7, purpose, number)))
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 400);
        assert_eq!(derive(7, Purpose::Sample, 3), derive(7, Purpose::Sample, 3));
        assert_ne!(derive(7, Purpose::Sample, 3), derive(8, Purpose::Sample, 3));
    }
}
