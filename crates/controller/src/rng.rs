//! Random numbers: every draw comes from a ChaCha8 stream identified by (seed, purpose, index), so no draw depends
//! on how many were made before it.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for. The numbers are part of the reproducibility promise: never reuse or reorder them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Design = 1,
    Interleave = 2,
    Random = 3,
    Forest = 4,
    Maximiser = 5,
    Tree = 6,
    Classifier = 7,
    Explanation = 8,
    Network = 9,
    PolicyGradient = 10,
}

/// Returns the stream of a purpose for an index (a trial's or a tree's number).
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// Returns the first number of a stream.
pub(crate) fn draw(seed: u64, purpose: Purpose, index: u64) -> u64 {
    stream(seed, purpose, index).next_u64()
}
