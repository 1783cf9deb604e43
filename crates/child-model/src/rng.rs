//! A training run's own random numbers, independent of everything else.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Independent streams from one training run's seed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Weights = 0,
    Order = 1,
    Dropout = 2,
    Mixup = 3,
    Augmentation = 4,
    Selection = 5,
    Candidates = 6,
    Strengths = 7,
}

pub(crate) fn generator(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}
