//! Training for the group that fares worst (S. Sagawa, P. Koh, T. Hashimoto, P. Liang, "Distributionally Robust Neural
//! Networks for Group Shifts", ICLR 2020), or for the worst of each class (K. Goel, A. Gu, Y. Li, C. Ré, "Model Patching",
//! ICLR 2021).

use serde::{Deserialize, Serialize};

/// How groups, the images of one class and one subgroup, are weighted by their losses. Every batch has as many images of each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupDro {
    /// How fast weights follow losses; with 0 all groups count alike.
    pub learning_rate: f64,
    /// What is added to the loss of a group, divided by the root of the number of its images: small groups are less certain.
    pub adjustment: f64,
    /// Whether the groups of a class share its weight, instead of all groups theirs.
    pub within_class: bool,
}

/// The weights of groups.
#[derive(Debug, Clone)]
pub(crate) struct GroupWeights {
    how: GroupDro,
    /// The class and the number of images of each group.
    groups: Vec<(usize, usize)>,
    logits: Vec<f64>,
}

impl GroupWeights {
    /// Starts with all groups, each with its class and the number of its images, alike.
    pub(crate) fn new(how: GroupDro, groups: Vec<(usize, usize)>) -> Self {
        Self { how, logits: vec![0.0; groups.len()], groups }
    }

    /// Takes in the mean losses of the groups in a batch, and returns what each counts; the sum is 1.
    pub(crate) fn step(&mut self, losses: &[f64]) -> Vec<f64> {
        for ((logit, loss), adjustment) in self.logits.iter_mut().zip(losses).zip(adjustments(&self.how, &self.groups))
        {
            *logit += self.how.learning_rate * (loss + adjustment);
        }
        self.weights()
    }

    /// Returns what each group counts now.
    pub(crate) fn weights(&self) -> Vec<f64> {
        let count = self.groups.len() as f64;
        let mut weights = vec![0.0; self.groups.len()];
        let mut softmax = |members: Vec<usize>| {
            let greatest = members.iter().map(|&group| self.logits[group]).fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = members.iter().map(|&group| (self.logits[group] - greatest).exp()).collect();
            let (total, share) = (exps.iter().sum::<f64>(), members.len() as f64 / count);
            members.iter().zip(exps).for_each(|(&group, exp)| weights[group] = share * exp / total);
        };
        if self.how.within_class {
            let classes = self.groups.iter().map(|(class, _)| class + 1).max().unwrap_or(0);
            for class in 0..classes {
                softmax((0..self.groups.len()).filter(|&group| self.groups[group].0 == class).collect());
            }
        } else {
            softmax((0..self.groups.len()).collect());
        }
        weights
    }
}

fn adjustments<'g>(how: &GroupDro, groups: &'g [(usize, usize)]) -> impl Iterator<Item = f64> + use<'g> {
    let adjustment = how.adjustment;
    groups.iter().map(move |&(_, images)| adjustment / (images.max(1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [[f64; 4]; 3] = [[0.2, 1.5, 1.2, 0.3], [0.1, 1.4, 1.3, 0.2], [0.1, 1.0, 0.9, 0.1]];

    /// Returns the weights after each of the steps, and the robust losses.
    fn run(learning_rate: f64, within_class: bool) -> Vec<(Vec<f64>, f64)> {
        let how = GroupDro { learning_rate, adjustment: 1.0, within_class };
        let groups = vec![(0, 9900), (0, 100), (1, 100), (1, 9900)];
        let mut weights = GroupWeights::new(how, groups.clone());
        let adjusted = |losses: &[f64]| -> Vec<f64> {
            losses.iter().zip(adjustments(&how, &groups)).map(|(loss, adjustment)| loss + adjustment).collect()
        };
        let step = |losses: [f64; 4]| {
            let found = weights.step(&losses);
            let robust = found.iter().zip(adjusted(&losses)).map(|(weight, loss)| weight * loss).sum();
            (found, robust)
        };
        STEPS.map(step).to_vec()
    }

    fn close(found: &(Vec<f64>, f64), weights: [f64; 4], loss: f64) {
        assert!(found.0.iter().zip(weights).all(|(a, b)| (a - b).abs() < 1e-10), "{found:?}");
        assert!((found.1 - loss).abs() < 1e-10, "{found:?}");
    }

    #[test]
    fn weights_follow_losses_as_worked_out_by_hand() {
        let within = run(0.01, true);
        close(&within[0], [0.2482625909, 0.2517374091, 0.2512374269, 0.2487625731], 0.8586650904);
        assert!((within[1].1 - 0.8130971124).abs() < 1e-10);
        close(&within[2], [0.2452882469, 0.2547117531, 0.2538370098, 0.2461629902], 0.5881043326);
        let over_all = run(0.01, false);
        close(&over_all[0], [0.2483881993, 0.2518647755, 0.2511103134, 0.2486367117], 0.8586909900);
        assert!((over_all[2].1 - 0.5881248053).abs() < 1e-10);
        let fast = run(1.0, true);
        close(&fast[0], [0.0997078998, 0.4002921002, 0.3645389858, 0.1354610142], 1.1773114626);
        assert!((fast[2].1 - 1.0191025162).abs() < 1e-10);
        assert_eq!(run(0.0, true)[2].0, [0.25; 4]);
    }
}
