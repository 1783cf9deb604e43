//! How training uses what a policy makes of an image: as it comes, only where the net finds it hard, or as strongly as the
//! net can take it.

mod consistency;
mod held;
mod patching;
mod record;
mod selection;
mod sureness;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::consistency::Consistency;
pub(crate) use self::held::Held;
pub use self::patching::Patching;
pub(crate) use self::record::Recorder;
pub use self::record::{OpTally, StrategyRecord, SurenessRecord};
pub use self::selection::{Choose, Selection};
pub(crate) use self::sureness::{levels, strengths, sureness};

/// How training uses what a policy makes of an image. All but [`Plain`](Self::Plain) need images that are augmented in
/// place ([`Application::Online`](deepaug_augmenter::Application::Online)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Each image is augmented, and learnt from.
    #[default]
    Plain,
    /// Several candidates are made of each image, and those are learnt from that the net finds hard.
    Uncertain(Selection),
    /// The surer the net is of an image, the stronger the image is augmented: the policy's magnitudes are the strongest.
    Entropy,
    /// Several versions of each image are learnt from, whose logits are drawn together.
    Consistent(Consistency),
    /// Each image is replaced by one of its [translations](crate::TrainingSet::translations), drawn anew in each epoch.
    Translated,
    /// Each image is learnt from, and its probabilities and those of its [translations](crate::TrainingSet::translations) are
    /// drawn together.
    Patched(Patching),
}

impl Strategy {
    /// Returns how many translations of each image it needs to be known, if it needs any.
    pub fn translations(&self) -> Option<usize> {
        match self {
            Self::Translated => Some(1),
            Self::Patched(patching) => Some(patching.translations),
            _ => None,
        }
    }

    /// Whether images are learnt from as they come.
    pub fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// Returns the number of candidates that are made of each image in an epoch, counted from 0.
    pub fn candidates(&self, epoch: usize, epochs: usize) -> usize {
        match self {
            Self::Uncertain(selection) if selection.is_warming_up(epoch, epochs) => 1,
            _ => self.most_candidates(),
        }
    }

    /// Returns the largest number of candidates of any epoch.
    pub(crate) fn most_candidates(&self) -> usize {
        match self {
            Self::Uncertain(selection) => selection.candidates.max(1),
            Self::Consistent(consistency) => consistency.versions(),
            Self::Patched(patching) => patching.versions(),
            Self::Plain | Self::Entropy | Self::Translated => 1,
        }
    }

    /// Returns how many of them are learnt from at most.
    pub(crate) fn keep(&self) -> usize {
        match self {
            Self::Uncertain(selection) => selection.keep.max(1),
            _ => self.most_candidates(),
        }
    }

    /// Returns the time that a training takes, as a multiple of a plain one's: a forward pass is a third of a step.
    pub fn cost(&self, epochs: usize) -> f64 {
        let of_epoch = |epoch| match self.candidates(epoch, epochs) {
            1 => 1.0,
            candidates if candidates <= self.keep() => candidates as f64,
            candidates => self.keep() as f64 + candidates as f64 / 3.0,
        };
        (0..epochs).map(of_epoch).sum::<f64>() / epochs.max(1) as f64
    }
}

/// Describes it in words; nothing for a plain one.
impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => Ok(()),
            Self::Uncertain(Selection { candidates, keep, choose, warm_up }) => {
                match choose {
                    Choose::Proportional => write!(f, "{keep} of {candidates} candidates, drawn by loss")?,
                    Choose::Highest => write!(f, "{keep} of {candidates} candidates, those of highest loss")?,
                }
                write!(f, ", after {:.0} % of the epochs", 100.0 * warm_up)
            }
            Self::Entropy => f.write_str("as strong as the net is sure of the image"),
            Self::Consistent(Consistency { views, weight }) => {
                write!(f, "logits of {views} versions and the original drawn together by {weight}")
            }
            Self::Translated => f.write_str("each image as it would look in one of the subgroups"),
            Self::Patched(Patching { weight, .. }) => {
                write!(f, "probabilities of an image and of its translations into subgroups drawn together by {weight}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_made_after_the_warm_up_and_cost_a_third_each() {
        let selection = Selection { candidates: 4, keep: 1, choose: Choose::Proportional, warm_up: 0.25 };
        let uncertain = Strategy::Uncertain(selection);
        let made: Vec<usize> = (0..8).map(|epoch| uncertain.candidates(epoch, 8)).collect();
        assert_eq!(made, [1, 1, 4, 4, 4, 4, 4, 4]);
        assert!((uncertain.cost(8) - (2.0 + 6.0 * (1.0 + 4.0 / 3.0)) / 8.0).abs() < 1e-12);
        let all = Strategy::Uncertain(Selection { keep: 4, warm_up: 0.0, ..selection });
        assert_eq!(all.cost(3), 4.0);
        assert_eq!([Strategy::Plain.cost(5), Strategy::Entropy.cost(5)], [1.0; 2]);
        assert_eq!(uncertain.to_string(), "1 of 4 candidates, drawn by loss, after 25 % of the epochs");
    }

    #[test]
    fn a_plain_one_is_left_out_of_records() {
        let json = serde_json::to_string(&Strategy::Entropy).unwrap();
        assert_eq!(serde_json::from_str::<Strategy>(&json).unwrap(), Strategy::Entropy);
        let settings = crate::Settings::plain(1, crate::Model::BasicCnn.optimiser());
        assert!(!serde_json::to_string(&settings).unwrap().contains("strategy"));
    }
}
