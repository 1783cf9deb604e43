//! Holding the probabilities of an image and of its translations together.

use serde::{Deserialize, Serialize};

/// Besides learning from an image, the net's probabilities for it and for its translations into each subgroup are drawn
/// together: the loss has, over the groups of images, the mean of KL(p|m)/2 and of the KL(p_s|m)/2S of its S translations added,
/// where m is the mean of the p_s (K. Goel et al., "Model Patching", ICLR 2021).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Patching {
    /// Translations of each image, one into each subgroup.
    pub translations: usize,
    /// What the term counts beside the cross-entropy; the authors' 5.
    pub weight: f64,
}

/// The least probability that counts as such: the authors'.
const LEAST: f64 = 1e-7;

impl Patching {
    /// Returns how many versions of an image are learnt from, with the image: itself alone where the term counts nothing.
    pub(crate) fn versions(&self) -> usize {
        if self.weight > 0.0 { 1 + self.translations } else { 1 }
    }

    /// Adds to the gradient of the logits `[1 + translations, classes]` of an image that of its term, times `count`.
    pub(super) fn add_gradient(logits: &[f32], classes: usize, count: f64, gradient: &mut [f32]) {
        let rows: Vec<Vec<f64>> = logits.chunks_exact(classes).map(softmax).collect();
        let [own, translated @ ..] = &rows[..] else { return };
        let share = 1.0 / translated.len().max(1) as f64;
        let mean: Vec<f64> = (0..classes).map(|c| share * translated.iter().map(|row| row[c]).sum::<f64>()).collect();
        // The slopes by the probabilities, row by row.
        let of_own = |c: usize| 0.5 * ((own[c] / mean[c]).ln() + 1.0);
        let of_mean = |c: usize| -0.5 * (own[c] / mean[c] + 1.0);
        let of_translated = |row: &[f64], c: usize| share * (0.5 * ((row[c] / mean[c]).ln() + 1.0) + of_mean(c));
        for (number, (row, gradient)) in rows.iter().zip(gradient.chunks_exact_mut(classes)).enumerate() {
            let slope = |c: usize| if number == 0 { of_own(c) } else { of_translated(row, c) };
            let slopes: Vec<f64> = (0..classes).map(slope).collect();
            let centre: f64 = slopes.iter().zip(row).map(|(slope, p)| slope * p).sum();
            for ((gradient, slope), p) in gradient.iter_mut().zip(&slopes).zip(row) {
                *gradient += (count * p * (slope - centre)) as f32;
            }
        }
    }
}

/// Returns probabilities, none of them below what counts.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - greatest).exp()).collect();
    let total: f64 = exps.iter().sum();
    exps.into_iter().map(|exp| (exp / total).clamp(LEAST, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The term of an image.
    fn term(rows: &[Vec<f64>]) -> f64 {
        let (own, translated) = (&rows[0], &rows[1..]);
        let share = 1.0 / translated.len() as f64;
        let mean: Vec<f64> = (0..own.len()).map(|c| share * translated.iter().map(|row| row[c]).sum::<f64>()).collect();
        let kl = |p: &[f64]| p.iter().zip(&mean).map(|(p, m)| p * (p / m).ln()).sum::<f64>();
        0.5 * kl(own) + 0.5 * share * translated.iter().map(|row| kl(row)).sum::<f64>()
    }

    fn logits(rows: &[[f64; 3]]) -> Vec<f32> {
        rows.iter().flatten().map(|p| p.ln() as f32).collect()
    }

    #[test]
    fn the_term_and_its_gradient_are_those_worked_out_by_hand() {
        let rows = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]];
        assert!((term(&rows.map(|row| row.to_vec())) - 0.1374538480).abs() < 1e-10);
        let mut gradient = vec![0.0; 9];
        Patching::add_gradient(&logits(&rows), 3, 1.0, &mut gradient);
        let expected = [0.1315401117, -0.0876934078, -0.0438467039, -0.0273291925, 0.0280993652, -0.0007701726];
        for (found, expected) in gradient.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-7, "{gradient:?}");
        }
        let alike = [[0.3, 0.3, 0.4]; 3];
        let mut gradient = vec![0.0; 9];
        Patching::add_gradient(&logits(&alike), 3, 1.0, &mut gradient);
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-7));
        // Of one certain class against two where none is: ln 2 / 2.
        let certain = [vec![1.0, 1e-7], vec![0.5, 0.5], vec![0.5, 0.5]];
        assert!((term(&certain) - std::f64::consts::LN_2 / 2.0).abs() < 1e-5);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        for versions in [2, 3, 5] {
            let classes = 4;
            let logits: Vec<f32> = (0..versions * classes).map(|i| ((i * 37 + 11) % 17) as f32 / 5.0 - 1.5).collect();
            let mut gradient = vec![0.0; logits.len()];
            Patching::add_gradient(&logits, classes, 0.7, &mut gradient);
            for (i, found) in gradient.iter().enumerate() {
                let at = |moved: f64| {
                    let of = |row: &[f32], first: usize| -> Vec<f64> {
                        let of = |(c, &logit): (usize, &f32)| {
                            (f64::from(logit) + if first + c == i { moved } else { 0.0 }).exp()
                        };
                        let exps: Vec<f64> = row.iter().enumerate().map(of).collect();
                        let total: f64 = exps.iter().sum();
                        exps.into_iter().map(|exp| exp / total).collect()
                    };
                    let rows = logits.chunks(classes).enumerate();
                    0.7 * term(&rows.map(|(number, row)| of(row, number * classes)).collect::<Vec<_>>())
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{i}: {found} {expected}");
            }
        }
    }
}
