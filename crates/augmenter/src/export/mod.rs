//! Policies as code for other libraries.
//!
//! [`export`] writes a Python module that users paste into their training code: the functions that the policy's
//! ops need, the policy as data, and a class `DeepaugPolicy` that works as one of the library's own transforms. An op that a library cannot express exactly is rejected by name, never approximated.
//!
//! ```
//! use deepaug_augmenter::{Application, Op, Policy, RangeTable, Step, SubPolicy};
//! use deepaug_augmenter::export::{Target, export};
//!
//! let sub_policies = vec![SubPolicy { ops: vec![Step::new(Op::Rotate, 0.31)] }];
//! let policy = Policy::new(RangeTable::Monotone, 0.8, sub_policies);
//! let code = export(&[policy], Application::Once, "", Target::Torchvision)?;
//! assert!(code.contains(r#"("rotate", 1.0, {"degrees": (-13.95, 13.95)})"#));
//! # Ok::<(), deepaug_augmenter::export::ExportError>(())
//! ```
//!
//! Where a policy is applied as copies, each sub-policy copies a `portion` of the images, and batches are drawn
//! from originals and copies in proportion to their numbers. On the fly, this means: with S sub-policies, an image
//! stays unchanged with probability `1 / (1 + S portion)`, and otherwise gets one of them, all equally likely. A
//! policy used in place changes an image with probability `portion`. Online, it does so with the probability of
//! the [application](Application), followed by its shift, mirror image and square. With several policies, one is
//! chosen for each image first.

mod data;
mod python;

use std::{fmt, str::FromStr};

use self::python::module;
use crate::{
    application::{Application, Augmentation},
    op::Op,
    policy::{Policy, PolicyError},
};

/// The target of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A Python module for torchvision's `transforms.v2`.
    Torchvision,
    /// A Python module for albumentations 2.
    Albumentations,
    /// A Python module for imgaug 0.4.0.
    Imgaug,
    /// The policy's own JSON form; a list if there are several.
    Json,
}

impl Target {
    /// Every target.
    pub const ALL: [Target; 4] = [Self::Torchvision, Self::Albumentations, Self::Imgaug, Self::Json];

    /// Returns the name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torchvision => "torchvision",
            Self::Albumentations => "albumentations",
            Self::Imgaug => "imgaug",
            Self::Json => "json",
        }
    }

    /// Whether the target can express the op exactly.
    pub fn has(self, op: Op) -> bool {
        self.refusal(op).is_none()
    }

    /// Returns why the target cannot express the op, if it cannot.
    fn refusal(self, op: Op) -> Option<&'static str> {
        match (self, op) {
            (Self::Json, _) => None,
            (_, Op::SamplePairing) => Some("it blends with a second image, and a transform sees one"),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error of parsing a target's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown target `{0}`; there are `torchvision`, `albumentations`, `imgaug` and `json`")]
pub struct UnknownTarget(pub String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        Self::ALL.into_iter().find(|target| target.name() == name).ok_or_else(|| UnknownTarget(name.to_owned()))
    }
}

/// Why policies could not be exported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There are no policies.
    #[error("there is no policy to export")]
    NoPolicy,
    /// Several policies cannot be used together if one changes during training.
    #[error("a policy that changes during training cannot be used together with others; export one")]
    Schedules,
    /// A number of a policy is out of range.
    #[error(transparent)]
    Invalid(#[from] PolicyError),
    /// The target cannot express these ops.
    #[error("{target} cannot express {}", reasons(*target, ops))]
    Ops {
        /// The target.
        target: Target,
        /// The ops, each once.
        ops: Vec<Op>,
    },
}

/// Returns a text such as `sample-pairing (it blends with a second image, and a transform sees one; json can)`.
fn reasons(target: Target, ops: &[Op]) -> String {
    let reason = |&op: &Op| {
        let able: Vec<&str> = Target::ALL.into_iter().filter(|other| other.has(op)).map(Target::name).collect();
        format!("{op} ({}; {} can)", target.refusal(op).unwrap_or_default(), able.join(", "))
    };
    ops.iter().map(reason).collect::<Vec<_>>().join(", ")
}

/// Writes policies as code, applied in one way. If there are several, one is chosen at random for each image. The
/// code quotes `origin`, sentences that say where they come from and how they were judged; it may be empty.
///
/// # Errors
///
/// If there is no policy, if one is not [valid](Policy::validate), or if the target cannot express an op.
pub fn export(
    policies: &[Policy],
    application: Application,
    origin: &str,
    target: Target,
) -> Result<String, ExportError> {
    if policies.is_empty() {
        return Err(ExportError::NoPolicy);
    }
    policies.iter().try_for_each(Policy::validate)?;
    let mut ops = Vec::new();
    if policies.len() > 1 && policies.iter().any(|policy| !policy.earlier.is_empty()) && target != Target::Json {
        return Err(ExportError::Schedules);
    }
    for step in policies.iter().flat_map(Policy::pieces).flat_map(|(_, policy)| policy.steps()) {
        if !target.has(step.op) && !ops.contains(&step.op) {
            ops.push(step.op);
        }
    }
    if !ops.is_empty() {
        return Err(ExportError::Ops { target, ops });
    }
    let (ops, opencv) = (include_str!("ops.py"), include_str!("opencv.py"));
    let code = |sources: &[&str]| module(policies, application, origin, sources);
    Ok(match target {
        Target::Torchvision => code(&[include_str!("torchvision.py"), ops]),
        Target::Albumentations => code(&[include_str!("albumentations.py"), opencv, ops]),
        Target::Imgaug => code(&[include_str!("imgaug.py"), opencv, ops]),
        Target::Json => {
            let whole: Vec<Augmentation> =
                policies.iter().map(|policy| Augmentation { policy: policy.clone(), application }).collect();
            let json = match whole.as_slice() {
                [one] => serde_json::to_string_pretty(one),
                several => serde_json::to_string_pretty(several),
            };
            json.expect("a valid policy has a JSON form") + "\n"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        online::Online,
        policy::{Step, SubPolicy},
        published::Published,
        ranges::RangeTable,
    };

    const LIBRARIES: [Target; 3] = [Target::Torchvision, Target::Albumentations, Target::Imgaug];

    fn policy(ranges: RangeTable, steps: &[Step]) -> Policy {
        Policy::new(ranges, 0.8, vec![SubPolicy { ops: steps.to_vec() }])
    }

    #[test]
    fn target_names_round_trip() {
        for target in Target::ALL {
            assert_eq!(target.name().parse(), Ok(target));
        }
        let message = "pytorch".parse::<Target>().unwrap_err().to_string();
        assert_eq!(message, "unknown target `pytorch`; there are `torchvision`, `albumentations`, `imgaug` and `json`");
    }

    #[test]
    fn refusals_name_the_op_the_library_and_the_targets_that_can() {
        let steps = [Step::new(Op::Rotate, 0.5), Step::new(Op::SamplePairing, 0.5), Step::new(Op::SamplePairing, 0.1)];
        let pairing = policy(RangeTable::Monotone, &steps);
        for target in LIBRARIES {
            let error = export(std::slice::from_ref(&pairing), Application::Once, "", target).unwrap_err();
            assert_eq!(error, ExportError::Ops { target, ops: vec![Op::SamplePairing] });
            let message = error.to_string();
            let reason = "sample-pairing (it blends with a second image, and a transform sees one; json can)";
            assert_eq!(message, format!("{target} cannot express {reason}"));
        }
        assert!(export(&[pairing], Application::Once, "", Target::Json).is_ok());
        assert_eq!(export(&[], Application::Once, "", Target::Json), Err(ExportError::NoPolicy));
        let wrong = policy(RangeTable::Monotone, &[Step::new(Op::Rotate, 1.5)]);
        assert!(
            export(&[wrong], Application::Once, "", Target::Imgaug).unwrap_err().to_string().contains("magnitude 1.5")
        );
    }

    #[test]
    fn json_is_the_policy_or_a_list() {
        let one = policy(RangeTable::Monotone, &[Step::new(Op::Rotate, 0.5)]);
        let json = export(std::slice::from_ref(&one), Application::Once, "", Target::Json).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), one);
        let json = export(&[one.clone(), one.clone()], Application::Once, "", Target::Json).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Policy>>(&json).unwrap(), [one.clone(), one]);
    }

    #[test]
    fn modules_have_the_numbers_and_only_the_functions_that_are_needed() {
        let mut steps = [Step::new(Op::Cutout, 0.5), Step::new(Op::Invert, 0.2)];
        steps[1].probability = 0.5;
        for target in LIBRARIES {
            let code = export(&[policy(RangeTable::Monotone, &steps)], Application::Once, "", target).unwrap();
            let steps = r#"[("cutout", 1.0, {"part": (0.0, 0.3)}), ("invert", 0.1, {})]"#;
            for part in ["cutout 0.50 + invert 0.20 (p 0.50) on 80 %", steps, r#""chance": 0.4444"#] {
                assert!(code.contains(part), "{target}: {part}\n{code}");
            }
            let defined = |name: &str| code.contains(&format!("\ndef {name}("));
            assert!(["cutout", "half_away", "drawn", "run", "augment"].into_iter().all(defined));
            assert!(!["warp", "rotate", "clouds", "pillow"].into_iter().any(defined), "{code}");
            assert!(!["import cv2", "PIL import ImageOps", "FOG", "\"rotate\""].into_iter().any(|p| code.contains(p)));
        }
    }

    #[test]
    fn modules_are_short() {
        let length = |policy: Policy, target| {
            export(&[policy], Application::Online(Online::STANDARD), "From a study.", target).unwrap().lines().count()
        };
        for target in LIBRARIES {
            for published in Published::ALL {
                assert!(length(published.policy(), target) <= 300, "{target}: {published}");
            }
            for start in 0..20 {
                // Ten ops of DeepAugment's, as a search with five sub-policies of two proposes.
                let ops: Vec<Op> = (0..10).map(|i| Op::DEEPAUGMENT[(start + i) % 20]).collect();
                let pair = |pair: &[Op]| SubPolicy { ops: pair.iter().map(|&op| Step::new(op, 0.37)).collect() };
                let policy = Policy::new(RangeTable::Monotone, 1.0, ops.chunks(2).map(pair).collect());
                let length = length(policy, target);
                // torchvision lacks OpenCV, whose resize, blur and warp take a hundred lines.
                let most = if target == Target::Torchvision { 400 } else { 325 };
                assert!(length <= most, "{target}: {length} lines for {ops:?}");
            }
        }
    }

    #[test]
    fn lines_are_short_for_every_op_table_and_probability() {
        for ranges in RangeTable::ALL {
            for (op, magnitude) in
                Op::ALL.into_iter().flat_map(|op| [0.0, 0.3, 0.123_456_789, 0.9, 1.0].map(|m| (op, m)))
            {
                if op == Op::SamplePairing || !ranges.has(op) {
                    continue;
                }
                let step = Step { op, magnitude, probability: 0.123_456_789 };
                for target in LIBRARIES {
                    let code = export(&[policy(ranges, &[step; 9])], Application::Once, "", target).unwrap();
                    for line in code.lines() {
                        assert!(line.chars().count() <= 120, "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn several_policies_keep_their_own_chances() {
        let mut policies = [
            policy(RangeTable::Monotone, &[Step::new(Op::HorizontalFlip, 1.0)]),
            policy(RangeTable::AutoAugment, &[Step::new(Op::Solarize, 0.5)]),
            Policy::none(RangeTable::Monotone),
        ];
        policies[1].portion = 0.25;
        policies[1].sub_policies.push(SubPolicy::default());
        for target in LIBRARIES {
            let code = export(&policies, Application::Once, "", target).unwrap();
            let starts = ["0.4444", "0.3333", "0.0"].map(|chance| format!("    {{\"chance\": {chance}, \"draws\": 1,"));
            assert!(starts.iter().all(|start| code.contains(start)), "{code}");
            assert!(code.contains("no policy"));
        }
    }

    #[test]
    fn draws_and_what_always_follows_are_part_of_the_policy() {
        let steps = [Step::new(Op::Solarize, 0.5), Step::new(Op::Invert, 1.0)];
        let sub_policies = steps.map(|step| SubPolicy { ops: vec![step] }).to_vec();
        let always = SubPolicy { ops: vec![Step::new(Op::HorizontalFlip, 0.5)] };
        let policy =
            Policy { draws: 2, always, in_place: true, ..Policy::new(RangeTable::RandAugment, 1.0, sub_policies) };
        for target in LIBRARIES {
            let code = export(std::slice::from_ref(&policy), Application::Once, "", target).unwrap();
            assert!(code.contains(r#"{"chance": 1.0, "draws": 2,"#), "{code}");
            assert!(code.contains(r#""always": [("horizontal_flip", 0.5, {})]}"#), "{code}");
            assert!(code.contains("as many of the sub-policies"), "{code}");
        }
    }

    #[test]
    fn a_schedule_of_slots_is_a_module_with_set_epoch() {
        let slots = |probability: f64| -> Vec<SubPolicy> {
            let ops = Op::AUTOAUGMENT.into_iter().filter(|&op| op != Op::SamplePairing);
            let slot = |op| SubPolicy { ops: vec![Step { probability, ..Step::new(op, 0.4) }] };
            ops.clone().chain(ops).map(slot).collect()
        };
        let of = |probability| Policy {
            counts: vec![0.2, 0.3, 0.5],
            in_place: true,
            ..Policy::new(RangeTable::AutoAugment, 1.0, slots(probability))
        };
        let piece = |(epochs, probability)| crate::Piece { epochs, policy: of(probability) };
        let schedule = Policy::schedule([(3, 0.0), (1, 0.3), (2, 0.5)].map(piece).to_vec()).unwrap();
        for target in LIBRARIES {
            let code =
                export(std::slice::from_ref(&schedule), Application::Online(Online::STANDARD), "", target).unwrap();
            for part in [
                "\"draws\": 0, \"counts\": [0.2, 0.3, 0.5]",
                "EPOCHS = [\n    3, 1, 2,\n]",
                "def some(",
                "set_epoch(self, epoch",
                "class DeepaugPolicy(Scheduled, ",
                "self.chance, self.policies)",
            ] {
                assert!(code.contains(part), "{target}: {part}\n{code}");
            }
            assert!(code.replace('\n', " ").contains("call set_epoch(epoch, epochs) before each epoch"), "{code}");
            assert!(code.lines().count() <= 300, "{target}: {} lines", code.lines().count());
            assert_eq!(code.lines().find(|line| line.chars().count() > 120), None);
            let alone = export(&[of(0.5)], Application::Online(Online::STANDARD), "", target).unwrap();
            assert!(alone.contains("def some(") && !alone.contains("EPOCHS"), "{alone}");
            let two = [schedule.clone(), of(0.5)];
            assert_eq!(export(&two, Application::Once, "", target), Err(ExportError::Schedules));
        }
    }

    #[test]
    fn a_small_module_is_short() {
        let code = export(
            &[policy(RangeTable::Monotone, &[Step::new(Op::Solarize, 0.5)])],
            Application::Once,
            "",
            Target::Albumentations,
        );
        let expected = include_str!("example.py");
        assert_eq!(code.unwrap(), expected);
    }

    #[test]
    fn a_policy_is_exported_as_it_is_applied() {
        let policy = policy(RangeTable::Monotone, &[Step::new(Op::Rotate, 0.5)]);
        let finished = Application::Online(Online { chance: 0.6, pad: 0.125, flip: true, cutout: 0.0 });
        let alone = Application::Online(Online { chance: 0.6, ..Online::NOTHING });
        for target in LIBRARIES {
            let code = export(std::slice::from_ref(&policy), finished, "", target).unwrap();
            let finish = r#"FINISH = [("finish", 1.0, {"pad": 0.125, "flip": True, "square": 0.0})]"#;
            assert!(code.contains("\"chance\": 0.6,") && code.contains(finish), "{code}");
            assert!(code.contains("\ndef translate_nearest("), "{code}");
            let words = code.replace('\n', " ");
            assert!(words.contains("finished at the end: shifted by up to 12.5 %, half of them mirrored."), "{code}");
            let code = export(std::slice::from_ref(&policy), alone, "", target).unwrap();
            assert!(code.contains("\"chance\": 0.6,") && code.contains("\nFINISH = []\n"), "{code}");
        }
        let json = export(std::slice::from_ref(&policy), finished, "", Target::Json).unwrap();
        let read: Augmentation = serde_json::from_str(&json).unwrap();
        assert_eq!(read, Augmentation { policy: policy.clone(), application: finished });
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    }
}
