//! Converts policies to points of a search space and back. The controller knows nothing about images, the
//! augmenter nothing about searching; this module joins them.

use deepaug_augmenter::{Op, Policy, Published, RangeTable, Step, SubPolicy};
use deepaug_controller::{Point, SearchError, Searcher, Space, SpaceError, Value};

use crate::config::{Portion, SearchSpace, ValidConfig};
use crate::policies::schemes::{FreeScheme, Schemes};

/// The smallest share of the images that a search copies: at 0 every policy is no augmentation, which trial 0 has
/// measured, and a search that finds nothing better would train it again and again.
const MIN_PORTION: f64 = 0.1;

/// Translates between [`Policy`] and [`Point`] for one configuration.
///
/// ```
/// use deepaug::{Config, PolicySpace};
///
/// let space = PolicySpace::new(&Config::default().check()?);
/// let error = Config { ops: Vec::new(), ..Config::default() }.check().unwrap_err();
/// assert_eq!(error.to_string(), "ops: must leave at least one op");
/// # Ok::<(), deepaug::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PolicySpace {
    ops: Vec<Op>,
    ranges: RangeTable,
    sub_policies: usize,
    ops_per_sub_policy: usize,
    op_probability: Portion,
    portion: Portion,
    /// Replaces all of these.
    schemes: Option<Schemes>,
    /// Tried before anything is proposed: none, then schemes that need no search, then what a population found.
    given: Vec<Given>,
    /// Whether nothing is proposed after those.
    is_closed: bool,
}

/// A policy that is tried before anything is proposed.
#[derive(Debug, Clone)]
struct Given {
    proposal: Proposal,
    /// Whether the space contains it.
    is_of_space: bool,
}

impl From<FreeScheme> for Given {
    fn from(FreeScheme { name, policy, point }: FreeScheme) -> Self {
        let is_of_space = point.is_some();
        let point = point.unwrap_or_else(|| Point(Vec::new()));
        Self { proposal: Proposal { point, policy, scheme: Some(name) }, is_of_space }
    }
}

/// The proposal for a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) point: Point,
    pub(crate) policy: Policy,
    /// Its name, if it needs no search.
    pub(crate) scheme: Option<String>,
}

impl PolicySpace {
    /// Makes the space of a configuration.
    pub fn new(config: &ValidConfig) -> Self {
        let schemes = (config.space == SearchSpace::Schemes).then(|| Schemes::new(&config.ops));
        let none = FreeScheme {
            name: "none".into(),
            policy: Policy::none(config.ranges),
            point: schemes.as_ref().and_then(Schemes::none),
        };
        let is_closed = config.method.looks_into_trainings();
        let free = schemes.iter().flat_map(Schemes::free).take(config.opt_initial_points);
        let trivialaugment = is_closed.then(|| FreeScheme {
            name: Published::TrivialAugment.to_string(),
            policy: Published::TrivialAugment.policy(),
            point: None,
        });
        Self {
            given: std::iter::once(none).chain(free).chain(trivialaugment).map(Given::from).collect(),
            is_closed,
            ops: config.ops.clone(),
            ranges: config.ranges,
            sub_policies: config.sub_policies,
            ops_per_sub_policy: config.ops_per_sub_policy,
            op_probability: config.op_probability,
            portion: config.portion,
            schemes,
        }
    }

    /// Returns what is tried for a trial before anything is proposed: none for trial 0, then the schemes that need
    /// no search, then what was added.
    fn given(&self, trial: u64) -> Option<&Given> {
        self.given.get(usize::try_from(trial).ok()?)
    }

    /// Adds policies to be tried before anything is proposed.
    pub(crate) fn try_next(&mut self, policies: Vec<Policy>) {
        let given = |policy| Given {
            proposal: Proposal { point: Point(Vec::new()), policy, scheme: None },
            is_of_space: false,
        };
        self.given.extend(policies.into_iter().map(given));
    }

    /// Returns whether the space contains what is tried for a trial, so that the searcher can be told about it.
    pub(crate) fn is_of_space(&self, trial: u64) -> bool {
        self.given(trial).map_or(!self.is_closed, |given| given.is_of_space)
    }

    /// Proposes a trial, or returns its earlier proposal, and registers it with the searcher if that does not know
    /// it. Never proposes a policy that an earlier trial has.
    pub(crate) fn propose(
        &self,
        trial: u64,
        known: Option<&Proposal>,
        is_proposed: &dyn Fn(&Policy) -> bool,
        searcher: &mut dyn Searcher,
    ) -> Result<Proposal, SearchError> {
        let proposal = match (known.cloned(), self.given(trial).cloned()) {
            (Some(known), _) => known,
            (None, Some(Given { proposal, .. })) => proposal,
            (None, None) if self.is_closed => return Err(SearchError::Exhausted),
            (None, None) => {
                let point = searcher.ask_unless(trial, &|point| is_proposed(&self.decode(point)))?;
                Proposal { policy: self.decode(&point), point, scheme: None }
            }
        };
        // The searcher knows its own proposals.
        if self.is_of_space(trial) && searcher.history().trial(trial).is_none() {
            searcher.register(trial, proposal.point.clone())?;
        }
        Ok(proposal)
    }

    /// Returns the search space: an op, its probability if that is searched, and a magnitude in [0, 1] for each
    /// place, and the portion if it is searched. The order of sub-policies does not matter: each adds its own copies.
    ///
    /// # Errors
    /// None for a checked configuration.
    pub fn space(&self) -> Result<Space, SpaceError> {
        if let Some(schemes) = &self.schemes {
            return schemes.space();
        }
        let mut space = Space::new();
        for prefix in self.places() {
            let (kind, magnitude) = (format!("{prefix}_type"), format!("{prefix}_magnitude"));
            space = space.categorical(&kind, self.ops.iter().map(|op| op.name()))?;
            if self.op_probability == Portion::Searched {
                space = space.real(format!("{prefix}_probability"), 0.0, 1.0)?;
            }
            space = space.real(&magnitude, 0.0, 1.0)?;
            // Always declared: it tells the searcher which magnitude belongs to which op.
            let used = self.ops.iter().filter(|&&op| self.ranges.uses_magnitude(op)).map(|op| op.name());
            space = space.active_when(&magnitude, &kind, used)?;
        }
        // The same op twice in a row is one op, or none.
        if self.ops_per_sub_policy > 1 {
            let places: Vec<Vec<String>> = self.places().map(|prefix| self.parameters(&prefix)).collect();
            for sub_policy in places.chunks(self.ops_per_sub_policy) {
                space = space.distinct(sub_policy)?;
            }
        }
        if self.sub_policies > 1 {
            let places: Vec<Vec<String>> = self.places().map(|prefix| self.parameters(&prefix)).collect();
            space = space.exchangeable(places.chunks(self.ops_per_sub_policy).map(<[_]>::concat))?;
        }
        match self.portion {
            Portion::Searched => space.real("portion", MIN_PORTION, 1.0),
            Portion::Fixed(_) => Ok(space),
        }
    }

    /// Returns the policy that a point of [`space`](Self::space) stands for.
    pub fn decode(&self, point: &Point) -> Policy {
        if let Some(schemes) = &self.schemes {
            return schemes.decode(point);
        }
        let mut values = point.0.iter();
        let mut next = || values.next().copied();
        let sub_policies = (0..self.sub_policies)
            .map(|_| {
                let mut ops: Vec<Step> = Vec::new();
                for _ in 0..self.ops_per_sub_policy {
                    let op = self.ops[next().and_then(Value::category).unwrap_or(0)];
                    let probability = match self.op_probability {
                        Portion::Fixed(probability) => probability,
                        Portion::Searched => next().and_then(Value::real).unwrap_or(1.0),
                    };
                    let unit = next().and_then(Value::real).unwrap_or(0.0);
                    // The space skips magnitudes with no visible effect.
                    let least = self.ranges.least_magnitude(op);
                    let step = Step { probability, ..Step::new(op, least + (1.0 - least) * unit) };
                    // A repeated op does not count in the space.
                    if ops.iter().all(|other| other.op != op) {
                        ops.push(step);
                    }
                }
                SubPolicy { ops }.canonical()
            })
            .collect();
        let portion = match self.portion {
            Portion::Fixed(share) => share,
            Portion::Searched => next().and_then(Value::real).unwrap_or(MIN_PORTION),
        };
        Policy::new(self.ranges, portion, sub_policies)
    }

    /// Returns the names of a place's parameters.
    fn parameters(&self, prefix: &str) -> Vec<String> {
        let probability = (self.op_probability == Portion::Searched).then_some("probability");
        let names = std::iter::once("type").chain(probability).chain(["magnitude"]);
        names.map(|name| format!("{prefix}_{name}")).collect()
    }

    /// Returns the names of the places: `aug1`, `aug2` for one sub-policy; `A_aug1` … `E_aug2` for more.
    fn places(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.sub_policies).flat_map(move |sub_policy| {
            (1..=self.ops_per_sub_policy).map(move |place| match self.sub_policies == 1 {
                true => format!("aug{place}"),
                false => format!("{}_aug{place}", char::from(b'A' + sub_policy as u8)),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::config::Config;

    fn configs() -> impl Strategy<Value = ValidConfig> {
        let portion = || prop_oneof![Just(Portion::Searched), Just(Portion::Fixed(0.5))];
        (1usize..4, 1usize..4, portion(), portion(), any::<bool>()).prop_map(
            |(sub_policies, ops_per_sub_policy, portion, op_probability, old)| {
                let ranges = if old { RangeTable::DeepAugment112 } else { RangeTable::Monotone };
                let shape = Config { sub_policies, ops_per_sub_policy, ..Config::default() };
                let config = Config { portion, op_probability, ranges, ..shape };
                config.check().unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn points_become_policies_of_the_configured_shape(config in configs(), seed: u64) {
            let policy_space = PolicySpace::new(&config);
            let space = policy_space.space().unwrap();
            let point = space.sample(&mut ChaCha8Rng::seed_from_u64(seed));
            let policy = policy_space.decode(&point);
            prop_assert_eq!(policy.sub_policies.len(), config.sub_policies);
            for SubPolicy { ops } in &policy.sub_policies {
                let least = usize::from(config.op_probability != Portion::Searched);
                prop_assert!((least..=config.ops_per_sub_policy).contains(&ops.len()));
                prop_assert!((1..ops.len()).all(|i| ops[..i].iter().all(|earlier| earlier.op != ops[i].op)), "{}", policy);
            }
            let text = serde_json::to_string(&policy).unwrap();
            prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
        }
    }
}
