//! What a configuration chooses from, key by key.

use serde::{Deserialize, Deserializer, Serialize};

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
            _ => Err(serde::de::Error::custom("portion must be a number above 0 and at most 1, or \"search\"")),
        }
    }
}

/// How many images a training sees an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochSize {
    /// As many for every policy, and for none, as portion 1 gives: no policy wins by training longer.
    Fixed,
    /// Originals and copies once each, as DeepAugment does.
    Pool,
}

/// How a search uses policies on training images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentMode {
    /// Copies beside the originals, made once a training, as DeepAugment does.
    #[default]
    Once,
    /// Copies beside the originals, made afresh for every epoch.
    Epoch,
    /// Each image in its own place, as in a final training: see [`Online`](deepaug_augmenter::Online).
    Online,
}

/// Which trials end early.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStopping {
    /// None.
    #[default]
    Off,
    /// Those not in the best third by a whole first sample get no others.
    Samples,
    /// Those not in the better half at a rung.
    Median,
    /// Those not in the best third at a rung.
    Halving,
}

/// What an epoch's validation accuracy is set against to say that it overfits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverfitMeasure {
    /// The accuracy on original training images, measured as that on validation images is: alike for every policy.
    #[default]
    Evaluation,
    /// DeepAugment's: the accuracy on the augmented images while they were trained on, dropout on. The stronger a policy, the less
    /// overfitted it looks.
    DeepAugment,
    /// Nothing: all epochs count.
    Off,
}

/// What a search chooses from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchSpace {
    /// DeepAugment's: so many sub-policies of so many ops, each with a magnitude of its own.
    #[default]
    Policies,
    /// Ways of augmenting as people use them without a search, and most that lie between: see the README.
    Schemes,
}

/// What a reward is, in a study whose trials are judged elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardKind {
    /// An accuracy in [0, 1], said in percent.
    #[default]
    Accuracy,
    /// A number of any size; more is better.
    Score,
    /// A number of any size; less is better.
    Loss,
}

impl RewardKind {
    /// From a reward as it is told to one of which more is better, and back.
    pub fn merit(self, told: f64) -> f64 {
        match self {
            Self::Accuracy | Self::Score => told,
            Self::Loss => -told,
        }
    }

    /// A reward as people read it.
    pub fn words(self, merit: f64) -> String {
        match self {
            Self::Accuracy => format!("{:.2} %", 100.0 * merit),
            Self::Score | Self::Loss => number(self.merit(merit)),
        }
    }

    /// A difference of two rewards, in their own direction: that of losses is negative where it is a gain.
    pub fn difference(self, gain: f64) -> String {
        match self {
            Self::Accuracy => format!("{:+.2}", 100.0 * gain),
            Self::Score | Self::Loss => signed(self.merit(gain)),
        }
    }

    /// What follows a difference, with a space before it.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Accuracy => " points",
            Self::Score => "",
            Self::Loss => " in loss",
        }
    }
}

/// To about four digits, whatever the size.
fn number(value: f64) -> String {
    let digits = (3.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.digits$}")
}

fn signed(value: f64) -> String {
    if value < 0.0 { number(value) } else { format!("+{}", number(value)) }
}

/// Which images judge a policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holdout {
    /// The same validation images in every training.
    #[default]
    Fixed,
    /// For each sample another part of all that is not the test part, the same for every policy: repeated hold-out. What is best
    /// is then not merely best on one validation part.
    Repeated,
}

/// Who chooses how large a search is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizes {
    /// The configuration.
    #[default]
    Given,
    /// The data and the time, by a few trainings without a policy, before a study is made: images, epochs, policies, seeds.
    Auto,
}
