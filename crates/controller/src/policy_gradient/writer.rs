//! A network that writes points and learns at once which of them were better, without a memory of trials.

use rand_chacha::ChaCha8Rng;

use super::{Learner, PolicyGradient, PolicyGradientSettings, Rule, network};
use crate::error::SearchError;
use crate::history::History;
use crate::point::Point;
use crate::rng::{Purpose, stream};
use crate::settings::Settings;
use crate::space::Space;

/// Points drawn to see how undecided the network is.
const DRAWN: usize = 20;

/// A network that writes points, for those who judge several at a time and know which of them did better than the others:
/// the adversary of X. Zhang, Q. Wang, J. Zhang, Z. Zhong, Adversarial AutoAugment, ICLR 2020.
///
/// ```
/// use deepaug_controller::{PolicyGradientSettings, Space, Writer, normalised};
///
/// let space = Space::new().categorical("op", ["a", "b", "c", "d"])?;
/// let settings = PolicyGradientSettings { learning_rate: 0.02, ..PolicyGradientSettings::default() };
/// let mut writer = Writer::new(space, settings, 1)?;
/// for _ in 0..60 {
///     let points: Vec<_> = (0..8).map(|_| writer.write()).collect();
///     let losses: Vec<f64> = points.iter().map(|point| point[0].category().unwrap_or(0) as f64).collect();
///     writer.reinforce(&points, &normalised(&losses));
/// }
/// let last = (0..100).filter(|_| writer.write()[0].category() == Some(3)).count();
/// assert!(last > 90, "{last}");
/// # Ok::<(), deepaug_controller::SearchError>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    inner: PolicyGradient,
    rng: ChaCha8Rng,
}

impl Writer {
    /// Makes an untaught writer; it writes the choices of each decision about equally often. Of the settings, `units`,
    /// `embedding`, `learning_rate` and `entropy` count.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new(space: Space, policy_gradient: PolicyGradientSettings, seed: u64) -> Result<Self, SearchError> {
        let settings = Settings { policy_gradient, ..Settings::default() }.check()?;
        let inner = PolicyGradient::new(Rule::Reinforce, space, settings, seed, History::default());
        Ok(Self { inner, rng: stream(seed, Purpose::PolicyGradient, 0) })
    }

    /// Writes a point.
    pub fn write(&mut self) -> Point {
        self.inner.sample(&mut self.rng)
    }

    /// Makes points likelier whose advantage is above 0, and the others less likely, in one step of Adam. Nothing
    /// happens if an advantage is not a number.
    pub fn reinforce(&mut self, points: &[Point], advantages: &[f64]) {
        if advantages.iter().any(|advantage| !advantage.is_finite()) {
            return;
        }
        let sequences: Vec<_> = points.iter().map(|point| self.inner.decisions(point)).collect();
        // Advantages are compared with one another already.
        let settings = PolicyGradientSettings { baseline: 1.0, ..self.inner.settings.policy_gradient.clone() };
        let learner: &mut Learner = &mut self.inner.learner;
        learner.without_baseline();
        learner.learn(&sequences, advantages, Rule::Reinforce, &settings);
    }

    /// Returns the mean entropy of a decision, in nats: how undecided it is.
    pub fn entropy(&self) -> f64 {
        let mut rng = stream(self.inner.seed, Purpose::Network, 1);
        let (mut entropy, mut decisions) = (0.0, 0.0);
        for _ in 0..DRAWN {
            let pass = self.inner.learner.network.pass(&self.inner.decisions(&self.inner.sample(&mut rng)));
            for (_, probabilities) in pass.distributions() {
                entropy += network::entropy(probabilities);
                decisions += 1.0;
            }
        }
        if decisions > 0.0 { entropy / decisions } else { 0.0 }
    }
}

/// Returns how many of their standard deviations numbers lie above their mean; all 0 if they are equal or there is one.
pub fn normalised(numbers: &[f64]) -> Vec<f64> {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let deviation = (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scale = if deviation > 1e-12 { 1.0 / deviation } else { 0.0 };
    numbers.iter().map(|number| (number - mean) * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_normalised_by_their_own_deviation() {
        let found = normalised(&[1.0, 2.0, 3.0, 4.0]);
        let expected = [-1.3416407865, -0.4472135955, 0.4472135955, 1.3416407865];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        assert_eq!(normalised(&[0.3; 4]), [0.0; 4]);
        assert_eq!(normalised(&[7.0]), [0.0]);
        assert_eq!(normalised(&[]), [0.0; 0]);
        assert!(normalised(&[1.0, f64::NAN]).iter().all(|number| number.is_nan()));
    }

    /// Four ops with losses 1 to 4: the share of the hardest, after forty updates of eight points each.
    fn hardest(sign: f64, seed: u64) -> f64 {
        let space = Space::new().categorical("op", ["a", "b", "c", "d"]).unwrap();
        let settings = PolicyGradientSettings { learning_rate: 0.03, ..PolicyGradientSettings::default() };
        let mut writer = Writer::new(space, settings, seed).unwrap();
        for _ in 0..40 {
            let points: Vec<Point> = (0..8).map(|_| writer.write()).collect();
            let losses: Vec<f64> = points.iter().map(|point| sign * point[0].category().unwrap() as f64).collect();
            writer.reinforce(&points, &normalised(&losses));
        }
        (0..500).filter(|_| writer.write()[0].category() == Some(3)).count() as f64 / 500.0
    }

    #[test]
    fn it_comes_to_write_what_is_hardest() {
        for seed in 0..20 {
            let (found, shunned) = (hardest(1.0, seed), hardest(-1.0, seed));
            assert!(found > 0.95 && shunned < 0.01, "seed {seed}: {found} {shunned}");
        }
    }

    #[test]
    fn it_is_undecided_until_it_has_learnt_and_ignores_what_is_no_number() {
        let space = Space::new().categorical("op", ["a", "b", "c", "d"]).unwrap();
        let mut writer = Writer::new(space, PolicyGradientSettings::default(), 3).unwrap();
        let before = writer.entropy();
        assert!((before - 4f64.ln()).abs() < 0.05, "{before}");
        let points = [writer.write(), writer.write()];
        writer.reinforce(&points, &[f64::NAN, 1.0]);
        assert_eq!(writer.entropy(), before);
        writer.reinforce(&points, &[-1.0, 1.0]);
        assert_ne!(writer.entropy(), before);
    }
}
