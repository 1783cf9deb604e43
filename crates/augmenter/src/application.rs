//! How a policy is applied to the images that a model trains on: when, to which images, and what follows.

use std::fmt;

use ndarray::ArrayView4;
use serde::{Deserialize, Serialize};

use crate::copies::Copies;
use crate::online::Online;
use crate::policy::{Policy, PolicyError};

/// When a policy is applied, and whether its images are used beside the originals or instead of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Application {
    /// Copies beside the images, made once before the first epoch, as in DeepAugment.
    #[default]
    Once,
    /// Copies beside the images, made again for every epoch.
    Epoch,
    /// Each image is augmented in place, again for every epoch. The policy's portion is ignored unless it is used
    /// [in place](Policy::in_place).
    Online(Online),
}

impl Application {
    /// Whether its images are the same in every epoch.
    pub fn is_once(&self) -> bool {
        *self == Self::Once
    }

    /// Whether the model also learns from the images themselves, beside their copies.
    pub fn keeps_originals(&self) -> bool {
        !matches!(self, Self::Online(_))
    }

    /// Checks that its numbers are in 0..=1.
    ///
    /// # Errors
    /// Names the first number that is not.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let Self::Online(Online { chance, pad, cutout, .. }) = *self else { return Ok(()) };
        let wrong =
            [("chance", chance), ("pad", pad), ("cutout", cutout)].into_iter().find(|(_, n)| !(0.0..=1.0).contains(n));
        wrong.map_or(Ok(()), |(what, value)| Err(PolicyError::Application { what, value }))
    }

    /// Returns what happens to every image at the end, for an application that changes images in place.
    pub fn online(&self) -> Option<Online> {
        match self {
            Self::Online(online) => Some(*online),
            Self::Once | Self::Epoch => None,
        }
    }

    /// Returns the probability that an image learnt from is an augmented one.
    pub fn chance(&self, policy: &Policy) -> f64 {
        match self {
            _ if policy.in_place => policy.portion,
            Self::Online(_) if policy.sub_policies.is_empty() => 0.0,
            Self::Online(online) => online.chance_of(policy),
            Self::Once | Self::Epoch => {
                let copies = policy.copies_per_image();
                copies / (1.0 + copies)
            }
        }
    }

    /// Returns an epoch's images as copies, with the image each was made from. The seed is the epoch's, or the
    /// training run's if copies are made only once. They are used beside the images or instead of them, as
    /// [`keeps_originals`](Self::keeps_originals) says. `shares` is as in [`Policy::copies_by`]; in place, every image is
    /// augmented alike.
    pub fn copies(&self, policy: &Policy, images: ArrayView4<'_, u8>, shares: Option<&[f64]>, seed: u64) -> Copies {
        match self {
            Self::Once | Self::Epoch => policy.copies_by(images, shares, seed),
            Self::Online(online) => {
                let sources = (0..images.dim().0).collect();
                let (images, ops) = online.images_and_ops(policy, images, seed);
                Copies { sources, images, ops }
            }
        }
    }
}

/// Describes it in words: `copies beside the images, made once`, or what happens to an image in place.
impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => f.write_str("copies beside the images, made once"),
            Self::Epoch => f.write_str("copies beside the images, made afresh every epoch"),
            Self::Online(online) => write!(f, "afresh every epoch, {online}"),
        }
    }
}

/// A policy and how it is applied: the result of a search, and what training needs.
///
/// The JSON form is the policy's, plus `application`; a policy without it is applied once, as in format 1.
///
/// ```
/// use deepaug_augmenter::{Application, Augmentation, Online, Policy, RangeTable};
///
/// let policy = Policy::none(RangeTable::Monotone);
/// let shifted = Augmentation { policy, application: Application::Online(Online::STANDARD) };
/// let json = serde_json::to_string(&shifted)?;
/// assert!(json.starts_with(r#"{"format":2,"#) && json.contains(r#""application":{"online":{"chance":0.8,"#));
/// assert_eq!(serde_json::from_str::<Augmentation>(&json)?, shifted);
/// let json = r#"{"format":1,"ranges":"monotone","portion":1.0,"sub_policies":[]}"#;
/// assert_eq!(serde_json::from_str::<Augmentation>(json)?.application, Application::Once);
///
/// let error = serde_json::from_value::<Augmentation>(serde_json::json!({
///     "format": 2, "ranges": "monotone", "portion": 1.0, "sub_policies": [],
///     "application": { "online": { "chance": 0.5, "pad": -1.0, "flip": true, "cutout": 0.0 } },
/// })).unwrap_err();
/// assert_eq!(error.to_string(), "application: pad -1 is not between 0 and 1");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "crate::policy::Json", into = "crate::policy::Json")]
pub struct Augmentation {
    /// The policy to apply.
    pub policy: Policy,
    /// How to apply it.
    pub application: Application,
}
