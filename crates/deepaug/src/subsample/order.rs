//! In which order images are augmented.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What an image's score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The same for all.
    Uniform,
    /// Its loss.
    Loss,
    /// How much the fit depends on it.
    Influence,
}

impl Choice {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Loss => "loss",
            Self::Influence => "influence",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Uniform, Self::Loss, Self::Influence];
        all.into_iter().find(|choice| choice.name() == text).ok_or_else(|| "must be uniform, loss or influence".into())
    }
}

/// Which scores come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Drawn one after another, with probabilities proportional to the scores.
    #[default]
    Proportional,
    /// The highest.
    Top,
    /// Drawn with probabilities proportional to their inverse.
    Inverse,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "proportional" => Ok(Self::Proportional),
            "top" => Ok(Self::Top),
            "inverse" => Ok(Self::Inverse),
            _ => Err("must be proportional, top or inverse".into()),
        }
    }
}

impl Order {
    /// Returns all images in the order of their scores, of which the size counts and not the sign. Of equal scores, an
    /// image that comes earlier is higher.
    pub(super) fn of(self, scores: &[f64], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let sizes: Vec<f64> = scores.iter().map(|score| score.abs()).collect();
        // What has no score comes last, but it comes.
        let least = sizes.iter().copied().filter(|&size| size > 0.0).fold(1e-20, f64::min);
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        match self {
            Self::Top => order.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]).then(a.cmp(&b))),
            Self::Proportional | Self::Inverse => {
                // Exponential times whose rates are the weights come in this order (P. Efraimidis, P. Spirakis, Weighted
                // random sampling with a reservoir, 2006).
                let time = |&size: &f64| {
                    let size = size.max(least);
                    let rate = if self == Self::Inverse { 1.0 / size } else { size };
                    -(1.0 - rng.random::<f64>()).ln() / rate
                };
                let times: Vec<f64> = sizes.iter().map(time).collect();
                order.sort_by(|&a, &b| times[a].total_cmp(&times[b]).then(a.cmp(&b)));
            }
        }
        order
    }

    /// Returns all images in any order.
    pub(super) fn uniform(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(rng);
        order
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_highest_come_first_and_nothing_is_left_out() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        assert_eq!(Order::Top.of(&[0.5, -2.0, 0.0, 0.5], rng), [1, 0, 3, 2]);
        for order in [Order::Proportional, Order::Inverse] {
            let mut all = order.of(&[0.5, 0.0, 3.0, f64::MIN_POSITIVE], rng);
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3]);
        }
    }

    /// Chi-square of who comes first and second, among draws without replacement.
    #[test]
    fn draws_follow_the_scores() {
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        let scores = [0.1, -0.2, 0.3, 0.4];
        let rounds = 40_000;
        let (mut first, mut second) = ([0.0; 4], [0.0; 4]);
        for _ in 0..rounds {
            let order = Order::Proportional.of(&scores, rng);
            (first[order[0]], second[order[1]]) = (first[order[0]] + 1.0, second[order[1]] + 1.0);
        }
        let sizes = scores.map(f64::abs);
        let of_second =
            |i: usize| (0..4).filter(|&j| j != i).map(|j| sizes[j] * sizes[i] / (1.0 - sizes[j])).sum::<f64>();
        for (found, expected) in [(first, sizes), (second, [0, 1, 2, 3].map(of_second))] {
            let chi: f64 = found
                .iter()
                .zip(expected)
                .map(|(found, p)| (found - p * rounds as f64).powi(2) / (p * rounds as f64))
                .sum();
            // Three degrees of freedom: beyond 30.7 once in a million.
            assert!(chi < 30.7, "{chi}: {found:?} {expected:?}");
        }
        let equal: Vec<usize> = (0..rounds).map(|_| Order::Proportional.of(&[0.7; 4], rng)[0]).collect();
        let count = |i: usize| equal.iter().filter(|&&first| first == i).count() as f64;
        let chi: f64 = (0..4).map(|i| (count(i) - rounds as f64 / 4.0).powi(2) / (rounds as f64 / 4.0)).sum();
        assert!(chi < 30.7, "{chi}");
    }
}
