//! AutoAugment's controller (E. Cubuk, B. Zoph, D. Mané, V. Vasudevan, Q. Le, AutoAugment: Learning augmentation
//! policies from data, CVPR 2019): a recurrent network writes points, and learns from their costs to write better ones.

mod learner;
mod network;
mod writer;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub(crate) use self::learner::Rule;
pub use self::writer::{Writer, normalised};
use self::{learner::Learner, network::Decision};
use crate::{
    design,
    error::{SearchError, SettingError},
    history::{History, Outcome, Trial},
    point::{Point, Value},
    rng::{Purpose, stream},
    searcher::Searcher,
    settings::ValidSettings,
    space::{Condition, Domain, Parameter, Space},
};

/// Settings of the searchers that learn by policy gradients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyGradientSettings {
    /// Units of the recurrent layer, 1 to 10,000. Default 100, as in the paper.
    pub units: usize,
    /// Numbers that stand for a decision when the next is made, 1 to 10,000. Default 32.
    pub embedding: usize,
    /// Trials of an update, 1 to 100,000. Default 20.
    pub batch: usize,
    /// Passes over the trials of an update, 1 to 1,000. Plain policy gradients take one whatever this says. Default 4.
    pub passes: usize,
    /// Of Adam, above 0. Default 0.0035: the paper's 0.00035 has learnt nothing after 300 trials.
    pub learning_rate: f64,
    /// Weight of the entropy of a point's decisions beside its reward, at least 0. Default 1e-5, as in the paper.
    pub entropy: f64,
    /// Share of the old value that the moving average of rewards keeps, in [0, 1). Default 0.95, as in the paper.
    pub baseline: f64,
}

impl Default for PolicyGradientSettings {
    fn default() -> Self {
        Self { units: 100, embedding: 32, batch: 20, passes: 4, learning_rate: 0.0035, entropy: 1e-5, baseline: 0.95 }
    }
}

impl PolicyGradientSettings {
    pub(crate) fn check(&self) -> Result<(), SettingError> {
        let counts = [
            ("policy_gradient.units", self.units, 10_000, "1 to 10000"),
            ("policy_gradient.embedding", self.embedding, 10_000, "1 to 10000"),
            ("policy_gradient.batch", self.batch, 100_000, "1 to 100000"),
            ("policy_gradient.passes", self.passes, 1_000, "1 to 1000"),
        ];
        for (name, count, most, expected) in counts {
            SettingError::require((1..=most).contains(&count), name, count, expected)?;
        }
        let (rate, entropy, baseline) = (self.learning_rate, self.entropy, self.baseline);
        let is_rate = rate > 0.0 && rate.is_finite();
        SettingError::require(is_rate, "policy_gradient.learning_rate", rate, "a finite number above 0")?;
        let is_weight = entropy >= 0.0 && entropy.is_finite();
        SettingError::require(is_weight, "policy_gradient.entropy", entropy, "a finite number, at least 0")?;
        let is_share = (0.0..1.0).contains(&baseline);
        SettingError::require(is_share, "policy_gradient.baseline", baseline, "at least 0 and below 1")
    }
}

/// Levels that a number of a large range has; 0 and the end of the range are among them.
const LEVELS: usize = 11;

/// How often a point that is known is drawn again before a random one takes its place.
const DRAWS: usize = 100;

/// A recurrent network that makes a decision for each parameter in turn, given those before it. Numbers are cut into
/// eleven levels. Trials are learnt from in batches, in the order of their numbers: once every trial of a batch has an
/// outcome, the network is changed so that those above the moving average of rewards become likelier. A reward is a
/// cost's negative; trials that failed are left out.
///
/// After 100 trials it is no better than random points; from about 1,000 on it is where Bayesian optimisation is after
/// 300 (`reports/methods.md`).
#[derive(Debug)]
pub(crate) struct PolicyGradient {
    rule: Rule,
    space: Space,
    settings: ValidSettings,
    seed: u64,
    history: History,
    /// The kind of each parameter's decision.
    kinds: Vec<usize>,
    learner: Learner,
}

/// A complete batch of trials: their numbers, and the decisions and rewards of those that did not fail.
struct Batch {
    numbers: Vec<u64>,
    sequences: Vec<Vec<Decision>>,
    rewards: Vec<f64>,
}

/// How a network that learns to write points stood after a batch of trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// The last trial of the batch.
    pub trial: u64,
    /// What it would decide, for each kind of parameter.
    pub decisions: Vec<LearntDecision>,
}

/// What a network would decide about parameters of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct LearntDecision {
    /// The position of the first such parameter in the space.
    pub parameter: usize,
    /// The mean entropy of a decision, in nats.
    pub entropy: f64,
    /// The mean probability of each choice, or of each of a number's levels.
    pub probabilities: Vec<f64>,
}

/// Points drawn to see where a network stands.
const DRAWN: usize = 50;

/// Returns how many choices a decision about a parameter has.
fn levels(domain: &Domain) -> usize {
    match domain {
        Domain::Categorical { choices } => choices.len(),
        Domain::Real { .. } => LEVELS,
        Domain::Integer { .. } => domain.len().map_or(LEVELS, |len| len.min(LEVELS as u128) as usize),
    }
}

fn value(domain: &Domain, level: usize) -> Value {
    let last = levels(domain) - 1;
    match *domain {
        Domain::Categorical { .. } => Value::Category(level),
        Domain::Real { high, .. } if level == last => Value::Real(high),
        Domain::Real { low, high } => Value::Real(low + (high - low) * level as f64 / last as f64),
        Domain::Integer { low, high } => {
            let span = i128::from(high) - i128::from(low);
            Value::Integer((i128::from(low) + (span * level as i128 + last as i128 / 2) / last as i128) as i64)
        }
    }
}

/// Returns the level nearest to a value.
fn level(domain: &Domain, value: Value) -> usize {
    match value {
        Value::Category(choice) => choice,
        number => (domain.to_feature(number) * (levels(domain) - 1) as f64).round() as usize,
    }
}

impl PolicyGradient {
    pub(crate) fn new(rule: Rule, space: Space, settings: ValidSettings, seed: u64, history: History) -> Self {
        // Parameters with the same values share their part of the network.
        let mut domains: Vec<&Domain> = Vec::new();
        let mut kinds = Vec::new();
        for Parameter { domain, .. } in space.parameters() {
            kinds.push(domains.iter().position(|known| *known == domain).unwrap_or(domains.len()));
            if kinds.last() == Some(&domains.len()) {
                domains.push(domain);
            }
        }
        let choices = domains.into_iter().map(levels).collect();
        let learner = Learner::new(choices, &settings.policy_gradient, seed);
        Self { rule, space, settings, seed, history, kinds, learner }
    }

    /// Whether a parameter is decided about, given the values of those before it and whether they matter.
    fn is_decided(&self, index: usize, values: &[Value], matters: &[bool]) -> bool {
        self.space.parameters()[index].condition.as_ref().is_none_or(|Condition { parent, choices }| {
            matters[*parent] && values[*parent].category().is_some_and(|choice| choices.contains(&choice))
        })
    }

    /// Visits the parameters in order: `decide` gets those that are decided about, and returns their value.
    fn walk(&self, mut decide: impl FnMut(usize, &Domain) -> Value) -> Point {
        let (mut values, mut matters) = (Vec::new(), Vec::new());
        for (index, Parameter { domain, .. }) in self.space.parameters().iter().enumerate() {
            let decided = self.is_decided(index, &values, &matters);
            // Where it does not matter, any value will do.
            values.push(if decided { decide(index, domain) } else { domain.at(0.5) });
            matters.push(decided && !self.space.repeats(&values, index));
        }
        Point(values)
    }

    fn decisions(&self, point: &Point) -> Vec<Decision> {
        let mut decisions = Vec::new();
        self.walk(|index, domain| {
            decisions.push(Decision { kind: self.kinds[index], choice: level(domain, point[index]) });
            point[index]
        });
        decisions
    }

    fn sample<R: Rng>(&self, rng: &mut R) -> Point {
        let network = &self.learner.network;
        let mut memory = network.start();
        let mut point = self.walk(|index, domain| {
            let kind = self.kinds[index];
            let probabilities = network.probabilities(&mut memory, kind);
            let mut left: f64 = rng.random();
            let drawn = probabilities.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            let choice = drawn.unwrap_or(probabilities.len() - 1);
            network.decided(&mut memory, Decision { kind, choice });
            value(domain, choice)
        });
        self.space.settle(&mut point);
        point
    }

    /// Learns from every batch that is complete; from the start if trials have come between those it has learnt from.
    fn learn(&mut self) {
        let seen = self.learner.seen.len();
        let numbers = self.history.trials().map(|(number, _)| number);
        if !numbers.take(seen).eq(self.learner.seen.iter().copied()) {
            self.learner = self.untaught();
        }
        for batch in self.batches(self.learner.seen.len()) {
            self.learn_from(batch);
        }
    }

    fn untaught(&self) -> Learner {
        Learner::new(self.learner.network.choices().to_vec(), &self.settings.policy_gradient, self.seed)
    }

    fn learn_from(&mut self, batch: Batch) {
        let settings = &self.settings.policy_gradient;
        self.learner.learn(&batch.sequences, &batch.rewards, self.rule, settings);
        self.learner.seen.extend(batch.numbers);
    }

    /// Returns the batches that are complete after so many trials.
    fn batches(&self, seen: usize) -> Vec<Batch> {
        let trials: Vec<_> = self.history.trials().skip(seen).collect();
        let complete = trials.chunks_exact(self.settings.policy_gradient.batch);
        let complete = complete.take_while(|batch| batch.iter().all(|(_, trial)| trial.outcome.is_some()));
        let batch = |batch: &[(u64, &Trial)]| {
            let costs = batch.iter().filter_map(|(_, trial)| match trial.outcome {
                Some(Outcome::Cost(cost)) => Some((self.decisions(&trial.point), -cost)),
                _ => None,
            });
            let (sequences, rewards) = costs.unzip();
            Batch { numbers: batch.iter().map(|(number, _)| *number).collect(), sequences, rewards }
        };
        complete.map(batch).collect()
    }

    /// Draws points to see what the network would decide.
    fn standing(&self, trial: u64) -> Learnt {
        let kinds = self.learner.network.choices();
        let mut rng = stream(self.seed, Purpose::Network, 1 + trial);
        let mut sums: Vec<(f64, Vec<f64>, f64)> = kinds.iter().map(|&count| (0.0, vec![0.0; count], 0.0)).collect();
        for _ in 0..DRAWN {
            let pass = self.learner.network.pass(&self.decisions(&self.sample(&mut rng)));
            for (kind, probabilities) in pass.distributions() {
                let (entropy, of_choices, count) = &mut sums[kind];
                *entropy += network::entropy(probabilities);
                of_choices.iter_mut().zip(probabilities).for_each(|(sum, p)| *sum += p);
                *count += 1.0;
            }
        }
        let decisions = sums.into_iter().enumerate().filter(|(_, (_, _, count))| *count > 0.0);
        let decision = |(kind, (entropy, probabilities, count)): (usize, (f64, Vec<f64>, f64))| LearntDecision {
            parameter: self.kinds.iter().position(|of| *of == kind).unwrap_or(0),
            entropy: entropy / count,
            probabilities: probabilities.into_iter().map(|sum| sum / count).collect(),
        };
        Learnt { trial, decisions: decisions.map(decision).collect() }
    }
}

impl Searcher for PolicyGradient {
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError> {
        self.history.check_new(trial)?;
        self.learn();
        let mut rng = stream(self.seed, Purpose::PolicyGradient, trial);
        let known = self.history.known(&self.space);
        let free = |point: &Point| !known.contains(&self.space.key(point)) && !is_taken(point);
        let drawn = (0..DRAWS).map(|_| self.sample(&mut rng)).find(free);
        let point = drawn.map_or_else(|| design::fresh(&self.space, &known, is_taken, &mut rng), Ok)?;
        self.history.register(&self.space, trial, point.clone())?;
        Ok(point)
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_mut(&mut self) -> (&Space, &mut History) {
        (&self.space, &mut self.history)
    }

    fn course(&self) -> Vec<Learnt> {
        let (space, settings, history) = (self.space.clone(), self.settings.clone(), self.history.clone());
        let mut again = Self::new(self.rule, space, settings, self.seed, history);
        let mut course = Vec::new();
        for batch in self.batches(0) {
            let last = batch.numbers.last().copied().unwrap_or(0);
            again.learn_from(batch);
            course.push(again.standing(last));
        }
        course
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::Settings;
    use rand::SeedableRng;

    #[test]
    fn levels_and_values_belong_together() {
        let domains = [
            Domain::Real { low: -1.0, high: 2.0 },
            Domain::Integer { low: -3, high: 2 },
            Domain::Integer { low: 0, high: 1_000_000 },
            Domain::Integer { low: i64::MIN, high: i64::MAX },
            Domain::Categorical { choices: vec!["a".into(), "b".into()] },
        ];
        for domain in domains {
            for number in 0..levels(&domain) {
                let value = value(&domain, number);
                assert_eq!(level(&domain, value), number, "{domain:?}");
                let space = Space::try_from(vec![Parameter {
                    name: "x".into(),
                    domain: domain.clone(),
                    condition: None,
                    place: None,
                    distinct: None,
                }]);
                assert_eq!(space.unwrap().check(&Point(vec![value])), Ok(()));
            }
        }
    }

    /// A policy of five pairs of ops, as in AutoAugment, without what it means.
    fn policies() -> Space {
        let mut space = Space::new();
        for slot in 0..10 {
            space = space
                .categorical(format!("op {slot}"), (0..16).map(|op| op.to_string()))
                .and_then(|space| space.integer(format!("probability {slot}"), 0, 10))
                .and_then(|space| space.integer(format!("magnitude {slot}"), 0, 9))
                .unwrap();
        }
        space
    }

    /// Returns the probability of op 3 and the entropy of a decision after so many policies, of which each op 3 adds a
    /// tenth of `signal` to the reward.
    fn learnt(rule: Rule, signal: f64, policies_tried: u64, seed: u64) -> [f64; 2] {
        let settings = Settings::default().check().unwrap();
        let mut searcher = PolicyGradient::new(rule, policies(), settings, seed, History::default());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = Normal::new(0.0, 0.01).unwrap();
        for trial in 0..policies_tried {
            let point = searcher.ask(trial).unwrap();
            let threes = point.iter().step_by(3).filter(|op| op.category() == Some(3)).count() as f64 / 10.0;
            let reward = 0.5 + signal * threes + noise.sample(&mut rng);
            searcher.tell(trial, Outcome::Cost(-reward)).unwrap();
        }
        searcher.learn();
        let (mut share, mut entropy) = (0.0, 0.0);
        for _ in 0..100 {
            let point = searcher.sample(&mut rng);
            share += point.iter().step_by(3).filter(|op| op.category() == Some(3)).count() as f64 / 1000.0;
            entropy += searcher.learner.network.pass(&searcher.decisions(&point)).entropy / 3000.0;
        }
        [share, entropy]
    }

    #[test]
    fn it_learns_what_there_is_to_learn() {
        for seed in 0..5 {
            let [share, _] = learnt(Rule::Proximal, 0.1, 400, seed);
            assert!(share > 0.5, "seed {seed}: {share}");
        }
    }

    #[test]
    fn it_stays_undecided_where_there_is_nothing_to_learn() {
        for seed in 0..5 {
            let [share, entropy] = learnt(Rule::Proximal, 0.0, 320, seed);
            assert!(entropy > 2.3 && share < 0.3, "seed {seed}: {entropy} {share}");
        }
    }

    #[test]
    fn the_course_shows_what_it_has_learnt() {
        let settings = Settings::default().check().unwrap();
        let mut searcher = PolicyGradient::new(Rule::Proximal, policies(), settings, 1, History::default());
        for trial in 0..45 {
            let point = searcher.ask(trial).unwrap();
            let threes = point.iter().step_by(3).filter(|op| op.category() == Some(3)).count();
            searcher.tell(trial, Outcome::Cost(-(threes as f64))).unwrap();
        }
        let course = searcher.course();
        assert_eq!(course.iter().map(|learnt| learnt.trial).collect::<Vec<_>>(), [19, 39]);
        let of_ops = |learnt: &Learnt| learnt.decisions[0].clone();
        assert_eq!(course[0].decisions.iter().map(|decision| decision.parameter).collect::<Vec<_>>(), [0, 1, 2]);
        assert!((of_ops(&course[0]).probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(of_ops(&course[1]).probabilities[3] > of_ops(&course[0]).probabilities[3]);
        assert!(of_ops(&course[1]).entropy < 16f64.ln());
    }

    #[test]
    fn plain_gradients_learn_too() {
        let [share, _] = learnt(Rule::Reinforce, 0.1, 1000, 0);
        assert!(share > 0.2, "{share}");
    }
}
