//! The choices of a configuration, key by key.

use deepaug_controller::Method;
use serde::{Deserialize, Deserializer, Serialize};

/// How a search finds policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMethod {
    /// A searcher asks for policies one by one.
    Searcher(Method),
    /// Population Based Augmentation (D. Ho et al. 2019): children that train side by side and take over one another's
    /// nets and policies.
    Pba,
    /// Adversarial AutoAugment (X. Zhang et al. 2020): one child, while which trains a network writes its policies.
    Adversarial,
    /// TANDA (A. Ratner et al. 2017): a generator learns to write sequences of transformation functions that a discriminator
    /// takes for images of the set.
    Tanda,
}

impl SearchMethod {
    const PBA: &str = "pba";
    const ADVERSARIAL: &str = "adversarial";
    const TANDA: &str = "tanda";

    /// Returns the name used in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Searcher(method) => method.name(),
            Self::Pba => Self::PBA,
            Self::Adversarial => Self::ADVERSARIAL,
            Self::Tanda => Self::TANDA,
        }
    }

    /// Whether policies come out of what is trained before them, and are tried after that, instead of from a searcher.
    pub fn looks_into_trainings(self) -> bool {
        !matches!(self, Self::Searcher(_))
    }
}

impl Serialize for SearchMethod {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for SearchMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let others = [Self::Pba, Self::Adversarial, Self::Tanda];
        if let Some(other) = others.into_iter().find(|other| other.name() == name) {
            return Ok(other);
        }
        name.parse().map(Self::Searcher).map_err(|_| {
            let names: Vec<String> = Method::ALL.map(|method| format!("`{method}`")).to_vec();
            let [first, second, last] = others.map(Self::name);
            let known = names.join(", ");
            let why =
                format_args!("unknown variant `{name}`, expected one of {known}, `{first}`, `{second}` or `{last}`");
            serde::de::Error::custom(why)
        })
    }
}

/// How TANDA's generator chooses the next function of a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TandaGenerator {
    /// Each independently of the others.
    #[default]
    MeanField,
    /// By a layer of long short-term memory.
    Lstm,
    /// By a layer of gated recurrent units.
    Gru,
}

/// How an image is made to look like those of another subgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Translator {
    /// By generators that learn it from images that are not paired.
    #[default]
    Cyclegan,
    /// By policies of the user's.
    Policy,
    /// By a program of the user's.
    Program,
}

/// Whether the share of images that a sub-policy augments is searched or given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Portion {
    /// The search chooses it in [0, 1].
    Searched,
    /// Always this share, in (0, 1].
    Fixed(f64),
}

impl Serialize for Portion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Searched => serializer.serialize_str("search"),
            Self::Fixed(share) => serializer.serialize_f64(*share),
        }
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Share(f64),
            Word(String),
        }
        match Given::deserialize(deserializer) {
            Ok(Given::Share(share)) => Ok(Self::Fixed(share)),
            Ok(Given::Word(word)) if word == "search" => Ok(Self::Searched),
            _ => Err(serde::de::Error::custom("must be a number above 0 and at most 1, or \"search\"")),
        }
    }
}

/// How many images a training sees per epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochSize {
    /// The same number for every policy, and for none, as at portion 1: no policy wins by training longer.
    Fixed,
    /// Originals and copies once each, as DeepAugment does.
    Pool,
}

/// How a search applies policies to training images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentMode {
    /// Copies beside the originals, made once per training, as DeepAugment does.
    #[default]
    Once,
    /// Copies beside the originals, made afresh for every epoch.
    Epoch,
    /// Each image in place, as in a final training: see [`Online`](deepaug_augmenter::Online).
    Online,
    /// In place, several times over, of which those are learnt from that the child finds hard: see
    /// [`Selection`](deepaug_child_model::Selection).
    Uncertain,
    /// In place, as strongly as the child is sure of the image: see
    /// [`Strategy::Entropy`](deepaug_child_model::Strategy::Entropy).
    Entropy,
}

impl AugmentMode {
    /// Whether images are augmented in place, instead of being copied beside the originals.
    pub fn is_in_place(self) -> bool {
        matches!(self, Self::Online | Self::Uncertain | Self::Entropy)
    }
}

/// Which trials end early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStopping {
    /// None.
    #[default]
    Off,
    /// Those whose complete first sample is not in the best third: they get no other samples.
    Samples,
    /// Those not in the better half at a rung.
    Median,
    /// Those not in the best third at a rung.
    Halving,
}

/// What an epoch's validation accuracy is compared with to detect overfitting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverfitMeasure {
    /// The accuracy on original training images, measured like that on validation images: the same for every
    /// policy.
    #[default]
    Evaluation,
    /// DeepAugment's: the accuracy on the augmented images while training on them, with dropout. The stronger a
    /// policy, the less overfitted it looks.
    DeepAugment,
    /// Nothing: all epochs count.
    Off,
}

/// What a trial's reward comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveKind {
    /// The validation accuracy of children trained with the policy.
    #[default]
    Training,
    /// The accuracy of children trained without it on validation images that it has changed (Lim et al. 2019, Fast
    /// AutoAugment).
    Density,
}

/// Which images count as right when a policy is judged without training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DensityCount {
    /// Those of which one copy or more is right, as in the method's published code.
    #[default]
    Any,
    /// Each by the share of its copies that are right.
    Mean,
}

/// What a search chooses from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchSpace {
    /// DeepAugment's: a fixed number of sub-policies and of ops in each, every op with its own magnitude.
    #[default]
    Policies,
    /// Ways of augmenting that people use without a search, and most that lie between them: see the README.
    Schemes,
}

/// The kind of reward, in a study whose trials are judged elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardKind {
    /// An accuracy in [0, 1], shown in percent.
    #[default]
    Accuracy,
    /// A number of any size; more is better.
    Score,
    /// A number of any size; less is better.
    Loss,
}

impl RewardKind {
    /// Converts a reward as told into one where more is better, and back.
    pub fn merit(self, told: f64) -> f64 {
        match self {
            Self::Accuracy | Self::Score => told,
            Self::Loss => -told,
        }
    }

    /// Checks that a reward as told is one of this kind.
    ///
    /// # Errors
    /// Says what it must be.
    pub fn check(self, told: f64) -> Result<(), String> {
        match self {
            _ if !told.is_finite() => {
                Err(format!("a reward must be a finite number, not {told}; tell others as failed"))
            }
            Self::Accuracy if !(0.0..=1.0).contains(&told) => Err(format!(
                "an accuracy is between 0 and 1, not {told}; for others the study needs reward = \"score\""
            )),
            _ => Ok(()),
        }
    }

    /// Formats a reward for people.
    pub fn words(self, merit: f64) -> String {
        match self {
            Self::Accuracy => format!("{:.2} %", 100.0 * merit),
            Self::Score | Self::Loss => number(self.merit(merit)),
        }
    }

    /// Formats a difference of two rewards, in their own direction: a gain in losses is negative.
    pub fn difference(self, gain: f64) -> String {
        match self {
            Self::Accuracy => format!("{:+.2}", 100.0 * gain),
            Self::Score | Self::Loss => signed(self.merit(gain)),
        }
    }

    /// Returns the unit that follows a difference, with a leading space.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Accuracy => " points",
            Self::Score => "",
            Self::Loss => " in loss",
        }
    }
}

/// Formats to about four digits, whatever the size.
fn number(value: f64) -> String {
    let digits = (3.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.digits$}")
}

fn signed(value: f64) -> String {
    if value < 0.0 { number(value) } else { format!("+{}", number(value)) }
}

/// What training makes small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// The mean over images.
    #[default]
    Mean,
    /// That of the groups that fare worst: see [`GroupDro`](deepaug_child_model::GroupDro).
    GroupDro,
}

/// Which images judge a policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holdout {
    /// The same validation images in every training.
    #[default]
    Fixed,
    /// A different part for each sample, drawn from all images outside the test set, the same for every policy:
    /// repeated hold-out. The best policy is then not merely the best on one validation set.
    Repeated,
}

/// What determines the sizes of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizes {
    /// The configuration.
    #[default]
    Given,
    /// The data and the time, by a few trainings without a policy before the study is made: images, epochs,
    /// policies, seeds.
    Auto,
}
