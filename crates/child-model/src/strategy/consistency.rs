//! Holding the logits of an image's versions together.

use serde::{Deserialize, Serialize};

/// Besides learning from augmented versions of an image, the net's logits for them and for the image without its policy are
/// drawn together: the loss has the squared distances between the logits of all pairs added (A. Ratner et al. 2017, TANDA,
/// for end models).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// Augmented versions of each image, at least 1.
    pub views: usize,
    /// What the distances count beside the cross-entropy; the authors' 0.1 to 0.5.
    pub weight: f64,
}

impl Consistency {
    /// Returns how many versions there are, with that which no policy changes.
    pub(super) fn versions(&self) -> usize {
        self.views.max(1) + 1
    }

    /// Adds to the gradient of the logits `[versions, classes]` of an image that of their distances, times `count`.
    pub(super) fn add_gradient(logits: &[f32], classes: usize, count: f64, gradient: &mut [f32]) {
        let (slope, versions) = (2.0 * count as f32, (logits.len() / classes.max(1)) as f32);
        for class in 0..classes {
            let of_class = logits[class..].iter().step_by(classes);
            let total: f32 = of_class.clone().sum();
            for (logit, gradient) in of_class.zip(gradient[class..].iter_mut().step_by(classes)) {
                *gradient += slope * (versions * logit - total);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean over images of the squared distances of all pairs, times the weight.
    fn term(consistency: &Consistency, logits: &[f32], classes: usize) -> f64 {
        let of_image = consistency.versions() * classes;
        let images: Vec<&[f32]> = logits.chunks_exact(of_image).collect();
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        let of = |logits: &&[f32]| -> f64 {
            let rows: Vec<&[f32]> = logits.chunks_exact(classes).collect();
            let pairs = (0..rows.len()).flat_map(|a| (a + 1..rows.len()).map(move |b| (a, b)));
            pairs.map(|(a, b)| distance(rows[a], rows[b])).sum()
        };
        consistency.weight * images.iter().map(of).sum::<f64>() / images.len() as f64
    }

    #[test]
    fn the_gradient_is_that_of_the_distances_of_all_pairs() {
        for views in [1, 3] {
            let consistency = Consistency { views, weight: 0.3 };
            let classes = 4;
            let logits: Vec<f32> =
                (0..2 * (views + 1) * classes).map(|i| ((i * 37 + 11) % 17) as f32 / 5.0 - 1.5).collect();
            let mut gradient = vec![0.0; logits.len()];
            let of_image = (views + 1) * classes;
            for (logits, gradient) in logits.chunks(of_image).zip(gradient.chunks_mut(of_image)) {
                Consistency::add_gradient(logits, classes, 0.3 / 2.0, gradient);
            }
            for i in 0..logits.len() {
                let at = |moved: f32| {
                    let mut logits = logits.clone();
                    logits[i] += moved;
                    term(&consistency, &logits, classes)
                };
                let expected = (at(0.5) - at(-0.5)) / 1.0;
                assert!((f64::from(gradient[i]) - expected).abs() < 1e-4, "{i}: {} {expected}", gradient[i]);
            }
        }
        // By hand: one image, logits [1, 2] and [3, 1], weight 0.5: distance 5, gradient 2 x 0.5 x the differences.
        let mut gradient = vec![1.0; 4];
        Consistency::add_gradient(&[1.0, 2.0, 3.0, 1.0], 2, 0.5, &mut gradient);
        assert_eq!(gradient, [-1.0, 2.0, 3.0, 0.0]);
    }
}
