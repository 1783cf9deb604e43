//! Versions of an image that are learnt from together.

use std::ops::Range;

use super::{Choose, Consistency, Patching, Selection, Strategy};

/// Versions of an image that are learnt from together, because a term of the loss compares what the net makes of them.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    versions: usize,
    /// Which of them the cross-entropy is of.
    learnt: Range<usize>,
    /// What the term counts.
    weight: f64,
    /// Adds the gradient of the term of one image: logits `[versions, classes]`, classes, what it counts.
    gradient: fn(&[f32], usize, f64, &mut [f32]),
    /// Whether the term is a sum over groups instead of a mean over images.
    pub(crate) by_group: bool,
}

impl Strategy {
    /// Returns how versions are held together, if they are.
    pub(crate) fn held(&self) -> Option<Held> {
        match *self {
            Self::Consistent(consistency) => Some(Held {
                versions: consistency.versions(),
                learnt: 1..consistency.versions(),
                weight: consistency.weight,
                gradient: Consistency::add_gradient,
                by_group: false,
            }),
            Self::Patched(patching) if patching.versions() > 1 => Some(Held {
                versions: patching.versions(),
                learnt: 0..1,
                weight: patching.weight,
                gradient: Patching::add_gradient,
                by_group: true,
            }),
            Self::Plain | Self::Uncertain(_) | Self::Entropy | Self::Translated | Self::Patched(_) => None,
        }
    }
}

impl Held {
    /// Returns the choice of all versions.
    pub(crate) fn all(&self) -> Selection {
        Selection { candidates: self.versions, keep: self.versions, choose: Choose::Proportional, warm_up: 0.0 }
    }

    /// Returns how much a row counts, so that the mean over all rows is that over the versions of which the cross-entropy is.
    pub(crate) fn share(&self, version: usize) -> f32 {
        if self.learnt.contains(&version) { self.factor() } else { 0.0 }
    }

    /// Returns how many rows there are for each of which the cross-entropy is.
    pub(crate) fn factor(&self) -> f32 {
        self.versions as f32 / self.learnt.len() as f32
    }

    /// Adds to the gradient of the logits `[images, versions, classes]` of one child that of the term, given what that of each
    /// image counts.
    pub(crate) fn add_gradient(&self, logits: &[f32], classes: usize, counts: &[f64], gradient: &mut [f32]) {
        let of_image = self.versions * classes;
        let images = logits.chunks_exact(of_image).zip(gradient.chunks_exact_mut(of_image));
        for ((logits, gradient), count) in images.zip(counts) {
            (self.gradient)(logits, classes, self.weight * count, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_make_the_mean_that_of_what_is_learnt_from() {
        let consistent = Strategy::Consistent(Consistency { views: 1, weight: 0.5 }).held().unwrap();
        assert_eq!([0, 1].map(|version| consistent.share(version)), [0.0, 2.0]);
        let patched = Strategy::Patched(Patching { translations: 2, weight: 5.0 }).held().unwrap();
        assert_eq!([0, 1, 2].map(|version| patched.share(version)), [3.0, 0.0, 0.0]);
        assert!(Strategy::Translated.held().is_none());
        // Two images of which the second does not count.
        let logits = [0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 3.0, 1.0];
        let mut gradient = [0.0; 8];
        consistent.add_gradient(&logits, 2, &[1.0, 0.0], &mut gradient);
        assert_eq!(gradient, [-2.0, 1.0, 2.0, -1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
