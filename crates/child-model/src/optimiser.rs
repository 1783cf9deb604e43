//! Optimisers and learning rate schedules.

use serde::{Deserialize, Serialize};

/// How a gradient becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// RMSprop as in Keras: rho 0.9, epsilon 1e-7, no momentum.
    RmsProp,
    /// Adam (Kingma & Ba 2015): beta 0.9 and 0.999, epsilon 1e-7 as in Keras.
    Adam,
    /// Stochastic gradient descent with Nesterov's momentum.
    Sgd,
}

/// How the learning rate changes during a training run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// No change, except for `decay`.
    #[default]
    Constant,
    /// To a tenth after half of the steps, and to a hundredth after three quarters (He et al. 2016, section 4.2).
    Step,
    /// Down to 0 along half a cosine (Loshchilov & Hutter 2017).
    Cosine,
}

/// An optimiser and all its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Optimiser {
    /// The rule.
    pub rule: Rule,
    /// Above 0.
    pub learning_rate: f64,
    /// The learning rate is divided by 1 + `decay` times the number of steps before, as in Keras.
    pub decay: f64,
    /// The learning rate schedule.
    pub schedule: Schedule,
    /// Epochs over which the learning rate grows from 0 to its full value.
    pub warmup_epochs: f64,
    /// For [`Rule::Sgd`].
    pub momentum: f64,
    /// Added to the gradient, as a multiple of the weights; offsets and normalisations are exempt.
    pub weight_decay: f64,
    /// The norm of each parameter's gradient is clipped to this, as Keras's `clipnorm` does; 0 for never.
    pub clip_norm: f64,
}

impl Optimiser {
    /// Returns a rule with its usual learning rate and nothing else.
    pub const fn plain(rule: Rule, learning_rate: f64) -> Self {
        Self {
            rule,
            learning_rate,
            decay: 0.0,
            schedule: Schedule::Constant,
            warmup_epochs: 0.0,
            momentum: 0.9,
            weight_decay: 0.0,
            clip_norm: 0.0,
        }
    }

    /// Checks that every number makes sense.
    ///
    /// # Errors
    /// The name of the field and what it must be.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let at_least_0 = [
            ("decay", self.decay),
            ("warmup_epochs", self.warmup_epochs),
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
        ];
        if let Some((name, value)) = at_least_0.into_iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
            return Err((name, format!("must be a number of at least 0, not {value}")));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(("learning_rate", format!("must be above 0, not {}", self.learning_rate)));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(("momentum", format!("must be at least 0 and below 1, not {}", self.momentum)));
        }
        Ok(())
    }

    /// Returns how many numbers the rule stores per weight.
    pub(crate) fn slots(&self) -> usize {
        match self.rule {
            Rule::RmsProp => 1,
            Rule::Adam => 2,
            Rule::Sgd => usize::from(self.momentum > 0.0),
        }
    }

    /// Returns the learning rate of a step, counted from 0.
    ///
    /// ```
    /// use deepaug_child_model::{Optimiser, Rule, Schedule};
    ///
    /// let sgd = Optimiser { schedule: Schedule::Cosine, ..Optimiser::plain(Rule::Sgd, 0.1) };
    /// assert_eq!(sgd.rate(0, 100, 10), 0.1);
    /// assert!((sgd.rate(50, 100, 10) - 0.05).abs() < 1e-12);
    /// ```
    pub fn rate(&self, step: usize, steps: usize, steps_per_epoch: usize) -> f64 {
        let warmup = self.warmup_epochs * steps_per_epoch as f64;
        let (step, steps) = (step as f64, steps as f64);
        if step < warmup {
            return self.learning_rate * (step + 1.0) / (warmup + 1.0);
        }
        let done = (step - warmup) / (steps - warmup).max(1.0);
        let share = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step => [1.0, 0.1, 0.01][usize::from(done >= 0.5) + usize::from(done >= 0.75)],
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.learning_rate * share / (1.0 + self.decay * step)
    }

    /// Returns the update applied to every weight at a step.
    pub(crate) fn update(&self, step: usize, steps: usize, steps_per_epoch: usize) -> Update {
        let rate = self.rate(step, steps, steps_per_epoch);
        let rule = match self.rule {
            Rule::RmsProp => UpdateRule::RmsProp,
            Rule::Adam => UpdateRule::Adam,
            Rule::Sgd => UpdateRule::Sgd { momentum: self.momentum as f32 },
        };
        // Corrects for Adam's moments starting at 0, both at once (Kingma & Ba 2015, end of section 2).
        let correction = match self.rule {
            Rule::Adam => {
                let steps = (step + 1).min(1 << 20) as i32;
                (1.0 - f64::from(BETA2).powi(steps)).sqrt() / (1.0 - f64::from(BETA1).powi(steps))
            }
            _ => 1.0,
        };
        Update {
            rule,
            rate: (rate * correction) as f32,
            weight_decay: self.weight_decay as f32,
            // However small, it does not mean "never".
            clip_norm: if self.clip_norm > 0.0 { (self.clip_norm as f32).max(f32::MIN_POSITIVE) } else { 0.0 },
        }
    }
}

pub(crate) const RHO: f32 = 0.9;
pub(crate) const BETA1: f32 = 0.9;
pub(crate) const BETA2: f32 = 0.999;
pub(crate) const EPSILON: f32 = 1e-7;

/// One step of an optimiser, with all its numbers fixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Update {
    pub(crate) rule: UpdateRule,
    pub(crate) rate: f32,
    pub(crate) weight_decay: f32,
    /// 0 for never.
    pub(crate) clip_norm: f32,
}

/// A rule and the numbers it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum UpdateRule {
    RmsProp,
    Adam,
    Sgd { momentum: f32 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_go_where_they_say() {
        let rate = |schedule, step| {
            Optimiser { schedule, warmup_epochs: 2.0, ..Optimiser::plain(Rule::Sgd, 1.0) }.rate(step, 120, 10)
        };
        for schedule in [Schedule::Constant, Schedule::Step, Schedule::Cosine] {
            assert!(rate(schedule, 0) > 0.0 && rate(schedule, 0) < 0.05);
            assert!((0..20).all(|step| rate(schedule, step) < rate(schedule, step + 1)));
            assert!((0..120).all(|step| (0.0..=1.0).contains(&rate(schedule, step))));
        }
        assert_eq!(rate(Schedule::Constant, 119), 1.0);
        assert_eq!([60, 70, 95].map(|step| rate(Schedule::Step, step)), [1.0, 0.1, 0.01]);
        assert!(rate(Schedule::Cosine, 119) < 0.001);
        let keras = Optimiser { decay: 1e-6, ..Optimiser::plain(Rule::RmsProp, 1e-3) };
        assert_eq!(keras.rate(1000, 5000, 10), 1e-3 / 1.001);
    }
}
