//! Augmenting each image as strongly as the net is sure of it (S. Yang, F. Shen, J. Zhao, "EntAugment: Entropy-Driven
//! Adaptive Data Augmentation Framework for Image Classification", ECCV 2024).

use rand::Rng;

/// Strengths above 0: TrivialAugment's, of which the method's published code uses 29.
const LEVELS: u32 = 29;

/// The share of the epochs, at the beginning, in which strengths are drawn: 10 of 200 in the published code.
const WARM_UP: f64 = 0.05;

/// Whether an epoch, counted from 0, is among those in which strengths are drawn.
fn is_warming_up(epoch: usize, epochs: usize) -> bool {
    epoch < ((WARM_UP * epochs as f64).round() as usize).max(1)
}

/// Returns how sure a net is of an image, in 0..=1: 1 minus the entropy of its probabilities over that of equal ones.
/// With one class it is always sure.
pub(crate) fn sureness(entropy: f64, classes: usize) -> f64 {
    if classes < 2 { 1.0 } else { (1.0 - entropy / (classes as f64).ln()).clamp(0.0, 1.0) }
}

/// Returns the strength, from 1 to 29, at which an image is augmented.
fn level_of(sureness: f64) -> u32 {
    ((f64::from(LEVELS) * sureness) as u32 + 1).min(LEVELS)
}

/// Returns the strengths of an epoch's images: drawn at first, and for images that the net has not seen yet.
pub(crate) fn levels(sureness: &[Option<f64>], epoch: usize, epochs: usize, rng: &mut impl Rng) -> Vec<u32> {
    let of = |sureness: &Option<f64>| {
        let drawn = rng.random_range(1..=LEVELS);
        sureness.filter(|_| !is_warming_up(epoch, epochs)).map_or(drawn, level_of)
    };
    sureness.iter().map(of).collect()
}

/// Returns strengths as factors of magnitudes.
pub(crate) fn strengths(levels: &[u32]) -> Vec<f64> {
    levels.iter().map(|&level| f64::from(level) / f64::from(LEVELS)).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_surer_the_stronger() {
        // The published code adds 1e-8 to probabilities in logarithms.
        let entropy = |p: [f64; 3]| -p.iter().map(|p| p * (p + 1e-8).ln()).sum::<f64>();
        let found = entropy([0.7, 0.2, 0.1]);
        assert!((found - 0.801_818_522_5).abs() < 1e-10);
        assert!((sureness(found, 3) - 0.270_153_3).abs() < 1e-7);
        assert_eq!(level_of(sureness(found, 3)), 8);
        let even = sureness(entropy([1.0 / 3.0; 3]), 3);
        assert!((even - 3e-8).abs() < 1e-8, "{even}");
        assert_eq!(level_of(even), 1);
        assert_eq!(level_of(sureness(entropy([1.0, 0.0, 0.0]), 3)), 29);
        assert_eq!(sureness(0.0, 1), 1.0);
    }

    #[test]
    fn strengths_are_drawn_until_the_net_has_seen_the_images() {
        let known = vec![Some(1.0); 2900];
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let first = levels(&known, 0, 40, &mut rng);
        let counts = (1..=LEVELS).map(|level| first.iter().filter(|&&other| other == level).count());
        assert!(counts.into_iter().all(|count| (50..150).contains(&count)));
        assert!(levels(&known, 1, 40, &mut rng).iter().any(|&level| level != 29), "5 % of 40 are 2");
        assert_eq!(levels(&known, 2, 40, &mut rng), vec![29; 2900]);
        let unseen = levels(&[None, Some(0.0), None], 30, 40, &mut rng);
        assert_eq!(unseen[1], 1);
        assert_eq!(strengths(&[29]), [1.0]);
    }
}
