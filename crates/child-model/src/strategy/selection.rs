//! Learning from those candidates that the net is uncertain about (S. Wu, H. Zhang, G. Valiant, C. Ré, "On the
//! Generalization Effects of Linear Transformations in Data Augmentation", ICML 2020).

use rand::Rng;
use serde::{Deserialize, Serialize};

/// How many candidates are made of each image, and which of them are learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Candidates of each image, at least 1.
    pub candidates: usize,
    /// How many of them are learnt from; if all, the net is not asked.
    pub keep: usize,
    /// Which of them.
    pub choose: Choose,
    /// The share of the epochs, at the beginning, in which one candidate is made and learnt from.
    pub warm_up: f64,
}

/// Which candidates are learnt from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choose {
    /// Drawn with replacement, with probabilities proportional to their losses, as in the method's published code.
    #[default]
    Proportional,
    /// Those of highest loss, as in its paper.
    Highest,
}

impl Selection {
    /// Whether an epoch, counted from 0, is among those without a choice.
    pub(crate) fn is_warming_up(&self, epoch: usize, epochs: usize) -> bool {
        epoch < (self.warm_up * epochs as f64).round() as usize
    }

    /// Returns the candidates of an image to learn from, given their losses; a loss that is not a number is never
    /// chosen, unless none is.
    pub(crate) fn choose(&self, losses: &[f32], rng: &mut impl Rng) -> Vec<usize> {
        match self.choose {
            Choose::Highest => {
                let worth = |candidate: usize| if losses[candidate].is_finite() { losses[candidate] } else { -1.0 };
                let mut order: Vec<usize> = (0..losses.len()).collect();
                order.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)));
                order.truncate(self.keep);
                order
            }
            Choose::Proportional => {
                let probabilities = probabilities(losses);
                // Drawn even where it cannot matter, so that an image's losses do not decide others' draws.
                let mut draw = || {
                    let mut left = rng.random::<f64>();
                    let reached = probabilities.iter().position(|probability| {
                        left -= probability;
                        left < 0.0
                    });
                    reached.or_else(|| probabilities.iter().rposition(|&p| p > 0.0)).unwrap_or(0)
                };
                (0..self.keep).map(|_| draw()).collect()
            }
        }
    }
}

/// Returns the probability of each candidate: proportional to its loss, equal if all are 0, and 0 if the loss is not a
/// number.
fn probabilities(losses: &[f32]) -> Vec<f64> {
    let of = |&loss: &f32| if loss.is_finite() { f64::from(loss).max(0.0) } else { 0.0 };
    let total: f64 = losses.iter().map(of).sum();
    if total > 0.0 {
        return losses.iter().map(|loss| of(loss) / total).collect();
    }
    let numbers = losses.iter().filter(|loss| loss.is_finite()).count();
    losses.iter().map(|loss| f64::from(u8::from(loss.is_finite())) / numbers.max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const DRAWS: usize = 100_000;

    fn drawn(losses: &[f32], keep: usize, choose: Choose) -> Vec<Vec<usize>> {
        let selection = Selection { candidates: losses.len(), keep, choose, warm_up: 0.0 };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..DRAWS).map(|_| selection.choose(losses, &mut rng)).collect()
    }

    /// The upper end of chi-square with 3 degrees of freedom that is passed with a probability of 1e-6.
    const CHI_SQUARE: f64 = 30.66;

    fn chi_square(found: &[Vec<usize>], expected: [f64; 4]) -> f64 {
        let count = |candidate| found.iter().filter(|chosen| chosen[0] == candidate).count() as f64;
        let term = |(candidate, expected): (usize, f64)| {
            let expected = expected * DRAWS as f64;
            (count(candidate) - expected).powi(2) / expected
        };
        expected.into_iter().enumerate().map(term).sum()
    }

    #[test]
    fn candidates_are_drawn_in_proportion_to_their_losses() {
        let losses = [0.1, 0.2, 0.3, 0.4];
        let expected = [0.1, 0.2, 0.3, 0.4];
        assert!(probabilities(&losses).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7));
        let one = drawn(&losses, 1, Choose::Proportional);
        assert!(chi_square(&one, expected) < CHI_SQUARE);
        let mean = |chosen: &[Vec<usize>]| {
            chosen.iter().map(|chosen| f64::from(losses[chosen[0]])).sum::<f64>() / DRAWS as f64
        };
        assert!((mean(&one) - 0.3).abs() < 0.002);
        assert!((mean(&drawn(&losses, 1, Choose::Highest)) - 0.4).abs() < 1e-6);
        // With replacement: one of two is at least once among the chosen with probability 1 - (1 - p)^2.
        let two = drawn(&losses, 2, Choose::Proportional);
        for (candidate, expected) in [0.19, 0.36, 0.51, 0.64].into_iter().enumerate() {
            let share = two.iter().filter(|chosen| chosen.contains(&candidate)).count() as f64 / DRAWS as f64;
            assert!((share - expected).abs() < 0.008, "{candidate}: {share} {expected}");
        }
        assert!(chi_square(&drawn(&[0.0; 4], 1, Choose::Proportional), [0.25; 4]) < CHI_SQUARE);
    }

    #[test]
    fn a_loss_that_is_no_number_is_not_chosen() {
        let losses = [f32::NAN, 0.5, f32::INFINITY, 0.1];
        for choose in [Choose::Proportional, Choose::Highest] {
            assert!(drawn(&losses, 1, choose).iter().all(|chosen| [1, 3].contains(&chosen[0])), "{choose:?}");
        }
        assert_eq!(drawn(&losses, 2, Choose::Highest)[0], [1, 3]);
        assert!(drawn(&[f32::NAN, 0.0], 1, Choose::Proportional).iter().all(|chosen| chosen == &[1]));
        // The training then fails by its own loss.
        assert_eq!(drawn(&[f32::NAN; 3], 1, Choose::Proportional)[0], [0]);
    }
}
