//! Published policies, which need no search: what a search must beat to be worth its time.
//!
//! ```
//! use deepaug_augmenter::published::Published;
//!
//! let found: Published = "autoaugment-cifar10".parse()?;
//! assert_eq!(found.policy().sub_policies.len(), 25);
//! assert_eq!("randaugment-2-9".parse::<Published>()?.to_string(), "randaugment-2-9");
//! # Ok::<(), deepaug_augmenter::published::UnknownPublished>(())
//! ```
//!
//! They are meant to be used as in [`Online`](crate::Online): sub-policies drawn at random for each image, all
//! equally likely.

mod autoaugment;

use std::fmt;
use std::str::FromStr;

use crate::{Op, Policy, RangeTable, Step, SubPolicy};

/// The largest magnitude of RandAugment and TrivialAugment, which have 31 levels, from 0.
const MAX_MAGNITUDE: u32 = 30;

/// Maximum number of ops in a row in RandAugment; its authors tried up to 3.
const MAX_OPS: u32 = 3;

/// What RandAugment and TrivialAugment draw from, besides leaving the image unchanged (Cubuk et al. 2020; Müller &
/// Hutter 2021).
pub const DRAWN: [Op; 13] = [
    Op::AutoContrast,
    Op::Equalize,
    Op::RotateNearest,
    Op::Solarize,
    Op::Saturation,
    Op::Posterize,
    Op::Contrast,
    Op::Brightness,
    Op::Sharpness,
    Op::ShearX,
    Op::ShearY,
    Op::TranslateXNearest,
    Op::TranslateYNearest,
];

/// A published policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Published {
    /// AutoAugment's for CIFAR-10 (Cubuk et al. 2019, table 7).
    AutoAugmentCifar10,
    /// AutoAugment's for SVHN (table 8).
    AutoAugmentSvhn,
    /// AutoAugment's for ImageNet (table 9).
    AutoAugmentImageNet,
    /// RandAugment: a number of ops, drawn with replacement, all at one magnitude out of 30.
    RandAugment {
        /// Ops in a row, 1 to 3.
        ops: u32,
        /// The magnitude, 0 to 30.
        magnitude: u32,
    },
    /// TrivialAugment, wide: one op at one of 31 magnitudes.
    TrivialAugment,
    /// UniformAugment (LingChen et al. 2020): two ops of the AutoAugment family, each at any magnitude and with any
    /// probability, which is half the time.
    UniformAugment,
}

impl Published {
    /// All of them, with RandAugment as used most by later work.
    pub const ALL: [Self; 6] = [
        Self::AutoAugmentCifar10,
        Self::AutoAugmentSvhn,
        Self::AutoAugmentImageNet,
        Self::RANDAUGMENT,
        Self::TrivialAugment,
        Self::UniformAugment,
    ];

    /// RandAugment if neither number is given: two ops at magnitude 9, torchvision's default.
    pub const RANDAUGMENT: Self = Self::RandAugment { ops: 2, magnitude: 9 };

    /// Returns the policy. Its portion is 1: it applies to every image.
    pub fn policy(self) -> Policy {
        let (ranges, sub_policies) = match self {
            Self::AutoAugmentCifar10 => (RangeTable::AutoAugment, autoaugment::read(autoaugment::CIFAR10)),
            Self::AutoAugmentSvhn => (RangeTable::AutoAugment, autoaugment::read(autoaugment::SVHN)),
            Self::AutoAugmentImageNet => (RangeTable::AutoAugment, autoaugment::read(autoaugment::IMAGENET)),
            Self::RandAugment { ops, magnitude } => return randaugment(ops as usize, level(magnitude)),
            Self::TrivialAugment => return trivialaugment(1, 1.0),
            Self::UniformAugment => return uniformaugment(),
        };
        Policy { in_place: true, ..Policy::new(ranges, 1.0, sub_policies) }
    }
}

/// Returns RandAugment with any number of ops and any magnitude in [0, 1], where its own 30 is 1.
pub fn randaugment(draws: usize, magnitude: f64) -> Policy {
    let sub_policies = drawn(magnitude).collect();
    Policy { draws, in_place: true, ..Policy::new(RangeTable::RandAugment, 1.0, sub_policies) }
}

/// Returns TrivialAugment with any number of ops, using the levels up to a magnitude in [0, 1]; the original is
/// one op with all 31.
pub fn trivialaugment(draws: usize, most: f64) -> Policy {
    let levels = 0..=(most * f64::from(MAX_MAGNITUDE)).round() as u32;
    let sub_policies = levels.flat_map(|magnitude| drawn(level(magnitude))).collect();
    Policy { draws, in_place: true, ..Policy::new(RangeTable::TrivialAugmentWide, 1.0, sub_policies) }
}

fn uniformaugment() -> Policy {
    let family = Op::AUTOAUGMENT.into_iter().filter(|&op| op != Op::SamplePairing);
    let steps = (0..=MAX_MAGNITUDE).flat_map(|magnitude| {
        family.clone().map(move |op| Step { probability: 0.5, ..Step::new(op, level(magnitude)) })
    });
    let sub_policies = steps.map(|step| SubPolicy { ops: vec![step] }).collect();
    Policy { draws: 2, in_place: true, ..Policy::new(RangeTable::AutoAugment, 1.0, sub_policies) }
}

/// Returns what EntAugment (Yang et al. 2024) draws from, at full strength: one op, or none, of TrivialAugment's in the
/// ranges before they were widened, which move an image by up to 10 of 32 pixels.
pub fn entaugment() -> Policy {
    // RandAugment's ranges are those but for shifts, of up to 0.45 of the side.
    const SHIFT: f64 = 10.0 / 32.0 / 0.45;
    let mut policy = randaugment(1, 1.0);
    for step in policy.sub_policies.iter_mut().flat_map(|sub_policy| &mut sub_policy.ops) {
        if matches!(step.op, Op::TranslateXNearest | Op::TranslateYNearest) {
            step.magnitude = SHIFT;
        }
    }
    policy
}

/// Converts a magnitude out of 30 to a number in 0..=1.
pub fn level(magnitude: u32) -> f64 {
    f64::from(magnitude) / f64::from(MAX_MAGNITUDE)
}

/// Returns each of the ops at a magnitude, or none.
fn drawn(magnitude: f64) -> impl Iterator<Item = SubPolicy> {
    let one = move |op| SubPolicy { ops: vec![Step::new(op, magnitude)] };
    std::iter::once(SubPolicy::default()).chain(DRAWN.into_iter().map(one))
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoAugmentCifar10 => f.write_str("autoaugment-cifar10"),
            Self::AutoAugmentSvhn => f.write_str("autoaugment-svhn"),
            Self::AutoAugmentImageNet => f.write_str("autoaugment-imagenet"),
            Self::RandAugment { ops, magnitude } => write!(f, "randaugment-{ops}-{magnitude}"),
            Self::TrivialAugment => f.write_str("trivialaugment"),
            Self::UniformAugment => f.write_str("uniformaugment"),
        }
    }
}

/// The error of parsing a published policy's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no published policy is called `{0}`; there are `trivialaugment`, `uniformaugment`, `randaugment-<ops>-<magnitude>` (1 to 3 ops, magnitude 0 to \
     30; `randaugment` is `randaugment-2-9`), `autoaugment-cifar10`, `autoaugment-svhn` and `autoaugment-imagenet`"
)]
pub struct UnknownPublished(pub String);

impl FromStr for Published {
    type Err = UnknownPublished;

    fn from_str(name: &str) -> Result<Self, UnknownPublished> {
        if name == "randaugment" {
            return Ok(Self::RANDAUGMENT);
        }
        let numbers = || {
            let (ops, magnitude) = name.strip_prefix("randaugment-")?.split_once('-')?;
            let (ops, magnitude) = (ops.parse().ok()?, magnitude.parse().ok()?);
            let is_known = (1..=MAX_OPS).contains(&ops) && magnitude <= MAX_MAGNITUDE;
            is_known.then_some(Self::RandAugment { ops, magnitude })
        };
        let by_name = || Self::ALL.into_iter().find(|published| published.to_string() == name);
        by_name().or_else(numbers).ok_or_else(|| UnknownPublished(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_valid_and_every_name_reads_back() {
        for published in Published::ALL {
            assert!(published.policy().validate().is_ok(), "{published}");
            assert_eq!(published.to_string().parse(), Ok(published));
        }
        assert_eq!("randaugment".parse(), Ok(Published::RandAugment { ops: 2, magnitude: 9 }));
        for wrong in ["randaugment-4-9", "randaugment-2-31", "randaugment-0-3", "randaugment-2", "autoaugment", ""] {
            let error = wrong.parse::<Published>().unwrap_err().to_string();
            assert!(error.contains("`trivialaugment`"), "{error}");
        }
    }

    #[test]
    fn draws_have_a_sub_policy_for_every_outcome() {
        let policy = |name: &str| name.parse::<Published>().unwrap().policy();
        let trivial = policy("trivialaugment");
        assert_eq!(trivial.sub_policies.len(), 14 * 31);
        assert_eq!(trivial.sub_policies.iter().filter(|sub_policy| sub_policy.ops.is_empty()).count(), 31);
        let shears = trivial.sub_policies.iter().flat_map(|s| &s.ops).filter(|step| step.op == Op::ShearX);
        let magnitudes: Vec<f64> = shears.map(|step| step.magnitude).collect();
        assert_eq!((magnitudes.len(), magnitudes[0], magnitudes[30]), (31, 0.0, 1.0));

        let (one, three) = (policy("randaugment-1-15"), policy("randaugment-3-15"));
        assert_eq!((one.sub_policies.len(), one.draws), (14, 1));
        assert_eq!((three.sub_policies.len(), three.draws), (14, 3));
        assert!(three.steps().all(|step| step.magnitude == 0.5));

        let uniform = policy("uniformaugment");
        assert_eq!((uniform.sub_policies.len(), uniform.draws), (15 * 31, 2));
        assert!(uniform.steps().all(|step| step.probability == 0.5));
    }
}
