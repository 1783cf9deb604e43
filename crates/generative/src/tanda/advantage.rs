//! What a step of a sequence is worth.

/// Returns how much worse than in the other sequences of a batch things go from each step on: the losses that it and later
/// ones add, each later one counted `discount` times as much as the one before, less the mean over the batch.
///
/// `losses` are those of each sequence before its first step and after each.
pub(super) fn advantages(losses: &[Vec<f64>], discount: f64) -> Vec<Vec<f64>> {
    let mut futures: Vec<Vec<f64>> = losses.iter().map(|losses| future(losses, discount)).collect();
    let length = futures.first().map_or(0, Vec::len);
    for step in 0..length {
        let mean = futures.iter().map(|future| future[step]).sum::<f64>() / futures.len() as f64;
        futures.iter_mut().for_each(|future| future[step] -= mean);
    }
    futures
}

fn future(losses: &[f64], discount: f64) -> Vec<f64> {
    let mut future: Vec<f64> = losses.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for step in (1..future.len()).rev() {
        future[step - 1] += discount * future[step];
    }
    future
}

/// Returns the loss of a transformed image: how sure the discriminator is that it is none of the set, by its logit for one,
/// and how near it has stayed to the original in the discriminator's eyes, which forbids doing nothing.
///
/// `least` is added to the distance. The authors' is 1e-6: doing nothing then costs `lambda` a million times over, and one
/// sequence with a step that does nothing, or two that undo one another, outweighs a hundred others. With `lambda` itself it
/// costs 1, about as much as being seen through.
pub(super) fn loss(logit: f64, distance: f64, lambda: f64, least: f64) -> f64 {
    softplus(-logit) + if lambda > 0.0 { lambda / (distance + least) } else { 0.0 }
}

pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The differences of the losses are [1, 2, 3] and [0, -1, 1].
    #[test]
    fn later_losses_count_less_and_the_batch_is_the_baseline() {
        let losses = [vec![0.0, 1.0, 3.0, 6.0], vec![2.0, 2.0, 1.0, 2.0]];
        assert_eq!(future(&losses[0], 0.5), [2.75, 3.5, 3.0]);
        assert_eq!(future(&losses[1], 0.5), [-0.25, -0.5, 1.0]);
        assert_eq!(advantages(&losses, 0.5), [[1.5, 2.0, 1.0], [-1.5, -2.0, -1.0]]);
    }

    #[test]
    fn doing_nothing_is_dear_and_so_is_being_seen_through() {
        assert!((loss(0.0, 0.0, 1e-3, 1e-3) - 1.0 - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(loss(2.0, 0.0, 0.0, 0.0), softplus(-2.0));
        for (logit, distance, lambda, expected) in [
            (0.0, 0.0, 1e-4, 100.6931471806),
            (0.0, 1e-3, 1e-4, 0.7930472805),
            (0.0, 1e-3, 1e-3, 1.6921481796),
            (1.0, 1e-2, 1e-4, 0.3232606876),
            (-1.0, 1.0, 1e-4, 1.3133616874),
        ] {
            assert!((loss(logit, distance, lambda, 1e-6) - expected).abs() < 1e-9, "{logit} {distance} {lambda}");
        }
    }
}
