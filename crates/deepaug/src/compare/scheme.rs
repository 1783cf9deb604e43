//! What a comparison compares: ways of augmenting a final training.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use deepaug_augmenter::published::{self, Published, UnknownPublished};
use deepaug_augmenter::{Application, Online, Policy};
use deepaug_child_model::{GroupDro, Settings, Strategy};
use deepaug_controller::SearchError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::config::{Config, SearchMethod, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::execute::Adversary;
use crate::policies::read::Policies;
use crate::policies::space::PolicySpace;
use crate::read::inspect::{NamedPolicy, Trial};
use crate::rng::{Purpose, derive};
use crate::study::adversary;
use crate::study::population::pba;
#[cfg(feature = "generative")]
use crate::study::tanda;
use crate::train::final_training::FinalTraining;

/// The scheme that the comparison is about.
pub(crate) const SEARCHED: &str = "searched";

/// What the searched policies are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// The original images.
    None,
    /// Mirrored, and shifted into a margin.
    FlipCrop,
    /// The same, with a square covered.
    Cutout,
    /// The same number of policies of the search space, drawn instead of searched.
    RandomPolicy,
    /// Policies that a network writes while the model trains, and learns which of them are hard.
    Adversarial,
    /// The same without learning: as many random policies in every batch.
    RandomViews,
    /// UniformAugment's candidates, of which those are learnt from that the model finds hard.
    Uncertain,
    /// EntAugment: one op, as strong as the model is sure of the image.
    Entropy,
    /// The original images, as many of each group in every batch.
    Balanced,
    /// The same, with groups counting the more the worse they fare.
    GroupDro,
    /// A published policy.
    Published(Published),
}

impl Baseline {
    /// Those that are not published policies.
    const OWN: [Self; 10] = [
        Self::None,
        Self::FlipCrop,
        Self::Cutout,
        Self::RandomPolicy,
        Self::Adversarial,
        Self::RandomViews,
        Self::Uncertain,
        Self::Entropy,
        Self::Balanced,
        Self::GroupDro,
    ];

    /// The default baselines.
    pub const USUAL: [Self; 6] = [
        Self::None,
        Self::FlipCrop,
        Self::Cutout,
        Self::Published(Published::RANDAUGMENT),
        Self::Published(Published::TrivialAugment),
        Self::RandomPolicy,
    ];
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::FlipCrop => f.write_str("flip-crop"),
            Self::Cutout => f.write_str("cutout"),
            Self::RandomPolicy => f.write_str("random-policy"),
            Self::Adversarial => f.write_str("adversarial"),
            Self::RandomViews => f.write_str("random-views"),
            Self::Uncertain => f.write_str("uncertain"),
            Self::Entropy => f.write_str("entropy"),
            Self::Balanced => f.write_str("balanced"),
            Self::GroupDro => f.write_str("group-dro"),
            Self::Published(published) => published.fmt(f),
        }
    }
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::OWN
            .into_iter()
            .find(|baseline| baseline.to_string() == name)
            .or_else(|| name.parse().ok().map(Self::Published))
            .ok_or_else(|| {
                let published = UnknownPublished(name.into());
                let own = Self::OWN.map(|baseline| baseline.to_string()).join(", ");
                format!("unknown baseline: there are {own}, but {published}")
            })
    }
}

/// A way of augmenting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scheme {
    pub(crate) name: String,
    /// What it does, in words.
    pub(crate) what: String,
    pub(crate) policy: Policy,
    pub(crate) settings: Settings,
    /// Who writes policies during training, instead of the policy.
    pub(crate) adversary: Option<Adversary>,
    /// Whether it comes from a search, or may do so.
    pub(crate) needs_search: bool,
}

impl Scheme {
    /// Makes the scheme of the searched policies: the best `top` of a study, one sub-policy drawn for each image.
    pub(crate) fn searched(study: &Path, top: usize, training: &FinalTraining) -> Result<Self, Error> {
        Ok(Self::found(SEARCHED, "the search", Policies::read(study, top)?.policies, training))
    }

    /// Makes the scheme of the policies of another study, or of a file, applied in the same way. It is named after
    /// the folder or the file.
    pub(crate) fn beside(path: &Path, top: usize, training: &FinalTraining) -> Result<Self, Error> {
        let found = Policies::read(path, top)?;
        if found.policies.iter().any(|policy| policy.ranges != found.policies[0].ranges) {
            let why =
                format!("{}: its policies have different ranges, so they cannot be used together", path.display());
            return Err(ConfigError::new(why).into());
        }
        if let Some(config) = &found.config
            && training.has_seen_test_images(config)?
        {
            let why =
                "it searched on images that are test images of this comparison; use the study's seed and split sizes";
            return Err(Error::study(path, why));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Ok(Self::found(&name, &name, found.policies, training))
    }

    /// Makes the scheme of policies found, of which each image gets one.
    fn found(name: &str, by: &str, policies: Vec<Policy>, training: &FinalTraining) -> Self {
        let what = match policies.as_slice() {
            [policy] => format!("the best policy of {by}: {policy}"),
            several => format!("the {} best policies of {by}", several.len()),
        };
        let scheme = Self::online(name, &what, together(policies), training.config.online(), training);
        Self { needs_search: true, ..scheme.with(training.config.strategy()) }
    }

    /// Makes a baseline. Policies, published or drawn at random (`top` of them), get the same finish as the
    /// searched ones: the schemes differ only in their policy. `flip-crop` and `cutout` are finishes themselves,
    /// `none` has none. Only policies of the study's own space are learnt from as the study says.
    pub(crate) fn baseline(baseline: Baseline, top: usize, training: &FinalTraining) -> Result<Self, Error> {
        let (online, finish) = (training.config.online(), training.config.finish_alone());
        let none = Policy::none(training.config.ranges);
        let (what, policy, online) = match baseline {
            Baseline::None => (String::new(), none, Online::NOTHING),
            Baseline::FlipCrop => (String::new(), none, Online { cutout: 0.0, ..finish }),
            Baseline::Cutout => (String::new(), none, finish),
            Baseline::RandomPolicy => {
                // A scheme is one policy, which draws its own ops for each image.
                let count = if training.config.policies_join() { top } else { 1 };
                let drawn =
                    random_policies(&training.config, count).map_err(|error| ConfigError::new(error.to_string()))?;
                let what = match count {
                    1 => "a policy drawn at random from the search space".into(),
                    several => format!("{several} policies drawn at random from the search space"),
                };
                let scheme = Self::online(&baseline.to_string(), &what, together(drawn), online, training);
                return Ok(scheme.with(training.config.strategy()));
            }
            Baseline::Uncertain => {
                let policy = Published::UniformAugment.policy();
                let scheme = Self::online(&baseline.to_string(), "two random ops", policy, online, training);
                return Ok(scheme.with(Strategy::Uncertain(training.config.selection())));
            }
            Baseline::Entropy => {
                let scheme =
                    Self::online(&baseline.to_string(), "one random op", published::entaugment(), online, training);
                return Ok(scheme.with(Strategy::Entropy));
            }
            Baseline::Adversarial | Baseline::RandomViews if training.settings().robust.is_some() => {
                let why = format!("{baseline} decides what makes up a batch, so it needs loss = \"mean\"");
                return Err(ConfigError::new(why).into());
            }
            Baseline::Adversarial | Baseline::RandomViews => {
                let is_taught = baseline == Baseline::Adversarial;
                let adversary = Adversary::new(&training.config, training.shape()[2] == 3, is_taught);
                let written = if is_taught { "hard policies, written as it trains" } else { "random policies" };
                let what = format!("{} {written}, all of them in every batch", adversary.policies);
                let scheme = Self::online(&baseline.to_string(), &what, none, finish, training);
                return Ok(Self { adversary: Some(adversary), ..scheme });
            }
            Baseline::Balanced | Baseline::GroupDro => {
                if let Some(why) = training.no_groups() {
                    return Err(ConfigError::new(format!("{baseline} weighs groups of images: {why}")).into());
                }
                let how = training.config.group_dro();
                let (what, how) = match baseline {
                    Baseline::Balanced => ("as many images of each group", GroupDro { learning_rate: 0.0, ..how }),
                    _ => ("the groups that fare worst count most", how),
                };
                let mut scheme = Self::online(&baseline.to_string(), what, none, Online::NOTHING, training);
                scheme.settings.robust = Some(how);
                return Ok(scheme);
            }
            Baseline::Published(published) => ("a published policy".into(), published.policy(), online),
        };
        Ok(Self::online(&baseline.to_string(), &what, policy, online, training))
    }

    /// Makes the scheme of a trial's policy, applied as in the search.
    pub(crate) fn trial(trial: &Trial, training: &FinalTraining) -> Result<Self, Error> {
        let policy = policy(&trial.policy, &training.config)
            .ok_or_else(|| ConfigError::new(format!("trial {} has no valid policy", trial.trial)))?;
        let settings = training.as_in_the_search();
        Ok(Self {
            name: format!("trial-{}", trial.trial),
            what: trial.policy.to_string(),
            policy,
            settings,
            adversary: None,
            needs_search: true,
        })
    }

    fn online(name: &str, policies: &str, policy: Policy, online: Online, training: &FinalTraining) -> Self {
        // As applied, for readers of the result.
        let online = Online { chance: online.chance_of(&policy), ..online };
        let settings = Settings { augment: Application::Online(online), ..training.settings() };
        let what = if policies.is_empty() { online.to_string() } else { format!("{policies}, {online}") };
        Self { name: name.into(), what, policy, settings, adversary: None, needs_search: false }
    }

    /// Returns it with a strategy.
    fn with(mut self, strategy: Strategy) -> Self {
        if !strategy.is_plain() {
            self.what = format!("{}; {strategy}", self.what);
        }
        self.settings.strategy = strategy;
        self
    }

    /// Returns the images that it learns from in a step, or the work of as many, for each of a plain training's.
    pub(super) fn cost(&self) -> f64 {
        match &self.adversary {
            Some(adversary) => adversary.policies as f64,
            None => self.settings.strategy.cost(self.settings.epochs),
        }
    }

    /// Returns what it does to each image in place; `None` for a trial that is trained with copies, as in the
    /// search.
    pub(crate) fn online_augmentation(&self) -> Option<Online> {
        match self.settings.augment {
            Application::Online(online) => Some(online),
            Application::Once | Application::Epoch => None,
        }
    }

    /// Returns a checksum of everything that the scheme does, so that a comparison does not continue with another
    /// scheme of the same name.
    pub(crate) fn digest(&self) -> String {
        let Settings { augment, strategy, robust, .. } = self.settings;
        let text = match &self.adversary {
            None if strategy.is_plain() && robust.is_none() => serde_json::to_string(&(&self.policy, augment)),
            None => serde_json::to_string(&(&self.policy, augment, strategy, robust)),
            Some(adversary) => serde_json::to_string(&(adversary, augment)),
        }
        .unwrap_or_default();
        format!("{:08x}", crc32fast::hash(text.as_bytes()))
    }
}

/// Joins all sub-policies of the policies of one search, which have the same number of them and the same range
/// table.
fn together(mut policies: Vec<Policy>) -> Policy {
    if policies.len() == 1 {
        return policies.remove(0);
    }
    let ranges = policies.first().map(|policy| policy.ranges).unwrap_or_default();
    let sub_policies = policies.into_iter().flat_map(|policy| policy.sub_policies).collect();
    Policy::new(ranges, 1.0, sub_policies)
}

fn random_policies(config: &ValidConfig, count: usize) -> Result<Vec<Policy>, SearchError> {
    match config.method {
        SearchMethod::Searcher(_) => {}
        SearchMethod::Pba => return Ok(vec![pba::random_policy(config)]),
        SearchMethod::Adversarial => return adversary::random_policy(config).map(|policy| vec![policy]),
        #[cfg(feature = "generative")]
        SearchMethod::Tanda => return Ok(vec![tanda::random_policy(config)]),
        // Refused by the configuration.
        #[cfg(not(feature = "generative"))]
        SearchMethod::Tanda => {}
    }
    let policy_space = PolicySpace::new(config);
    let space = policy_space.space()?;
    let mut rng = ChaCha8Rng::seed_from_u64(derive(config.seed, Purpose::RandomPolicies, 0));
    Ok((0..count).map(|_| policy_space.decode(&space.sample(&mut rng))).collect())
}

/// Reads a policy of the study's own notebook.
pub(crate) fn policy(named: &NamedPolicy, config: &Config) -> Option<Policy> {
    if let Some(whole) = &named.whole {
        return Some(whole.clone());
    }
    let step = |step: &crate::read::inspect::NamedStep| {
        Some(deepaug_augmenter::Step::new(step.op.parse().ok()?, step.magnitude))
    };
    let sub_policy =
        |steps: &Vec<_>| Some(deepaug_augmenter::SubPolicy { ops: steps.iter().map(step).collect::<Option<_>>()? });
    let fixed = match config.portion {
        crate::config::Portion::Fixed(portion) => portion,
        crate::config::Portion::Searched => 1.0,
    };
    let sub_policies = named.sub_policies.iter().map(sub_policy).collect::<Option<_>>()?;
    let policy = Policy::new(config.ranges, named.portion.unwrap_or(fixed), sub_policies);
    policy.validate().is_ok().then_some(policy)
}
