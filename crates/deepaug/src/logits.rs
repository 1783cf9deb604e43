//! What a net says of an image: one number for each class.

use ndarray::ArrayView1;

/// Returns the class with the largest logit; of equals the first.
pub(crate) fn greatest(logits: ArrayView1<'_, f32>) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// Returns the logits in double precision.
pub(crate) fn values(logits: ArrayView1<'_, f32>) -> Vec<f64> {
    logits.iter().map(|&logit| f64::from(logit)).collect()
}

/// Returns the probabilities: the softmax.
pub(crate) fn probabilities(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let total: f64 = all.iter().sum();
    all.into_iter().map(|value| value / total).collect()
}

/// Returns the cross-entropy of a class, in nats.
pub(crate) fn cross_entropy(logits: &[f64], class: usize) -> f64 {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter().map(|logit| (logit - most).exp()).sum::<f64>().ln() + most - logits[class]
}
