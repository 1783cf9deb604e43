//! Policies: which ops are applied, in which order, how strongly, and to how many images.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::application::{Application, Augmentation};
use crate::{op::Op, ranges::RangeTable};

/// The version of the JSON form that this crate writes for policies that draw one sub-policy with nothing after
/// it.
const FORMAT: u64 = 1;

/// The version of the JSON form of others, if they draw a fixed number and stay the same.
const FORMAT_2: u64 = 2;

/// The version of the JSON form of policies with counts, and of those that change during training; the newest one
/// supported.
const FORMAT_3: u64 = 3;

/// Maximum number of sub-policies that an image gets in a row.
pub const MAX_DRAWS: usize = 10;

/// One op at one magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The op.
    pub op: Op,
    /// The strength, 0..=1; the policy's [`RangeTable`] gives its meaning.
    pub magnitude: f64,
    /// The probability that an image gets the op, 0..=1. The JSON form omits 1.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub probability: f64,
}

impl Step {
    /// Returns the op at a magnitude, for every image.
    pub fn new(op: Op, magnitude: f64) -> Self {
        Self { op, magnitude, probability: always() }
    }
}

fn always() -> f64 {
    1.0
}

fn is_always(probability: &f64) -> bool {
    *probability == always()
}

/// Ops applied to an image one after another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubPolicy {
    /// The ops, in order.
    pub ops: Vec<Step>,
}

impl SubPolicy {
    /// Returns the canonical form of all equivalent sequences: without ops that no image gets, and with ops whose
    /// order does not matter in the order of [`Op::ALL`] (the lexicographic normal form of a trace: A. Anisimov,
    /// D. Knuth, Inhomogeneous sorting, 1979).
    ///
    /// ```
    /// use deepaug_augmenter::{Op, Step, SubPolicy};
    ///
    /// let of = |ops: [Op; 2]| SubPolicy { ops: ops.map(|op| Step::new(op, 0.5)).to_vec() };
    /// let mirrored = of([Op::Solarize, Op::HorizontalFlip]).canonical();
    /// assert_eq!(mirrored, of([Op::HorizontalFlip, Op::Solarize]).canonical());
    /// assert_ne!(of([Op::Rotate, Op::Crop]).canonical(), of([Op::Crop, Op::Rotate]).canonical());
    /// ```
    pub fn canonical(&self) -> Self {
        let mut left: Vec<Step> = self.ops.iter().copied().filter(|step| step.probability > 0.0).collect();
        let mut ops = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let can_be_next = |&at: &usize| left[..at].iter().all(|before| before.op.commutes_with(left[at].op));
            let next = (0..left.len()).filter(can_be_next).min_by_key(|&at| left[at].op).unwrap_or(0);
            ops.push(left.remove(next));
        }
        Self { ops }
    }
}

/// An augmentation policy: each sub-policy makes one augmented copy of a random portion of the images.
///
/// With `draws` above 1, `draws - 1` further sub-policies, drawn at random with replacement, follow each copy's
/// own (as in RandAugment, where a sub-policy is one op); the ops of `always` come last. With `counts`, how many
/// are applied is drawn for each image.
///
/// A policy may change during training: it is then the last one of a schedule, after those in `earlier`.
///
/// The JSON form is versioned, and reading it checks [`Policy::validate`]:
///
/// ```
/// let json = r#"{"format":1,"ranges":"monotone","portion":0.8,"sub_policies":[{"ops":[{"op":"rotate","magnitude":0.31}]}]}"#;
/// let policy: deepaug_augmenter::Policy = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&policy)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Policy {
    /// What the magnitudes mean.
    pub ranges: RangeTable,
    /// The fraction of images that each sub-policy copies, 0..=1.
    pub portion: f64,
    /// The sub-policies, each independent of the others.
    pub sub_policies: Vec<SubPolicy>,
    /// Number of sub-policies in a row that an image gets, 1 to [`MAX_DRAWS`].
    pub draws: usize,
    /// Ops that every augmented image gets after them. Their magnitudes use the monotone ranges, whatever `ranges`
    /// says, so that a shift and a mirror image can follow any published policy.
    pub always: SubPolicy,
    /// Whether augmented images replace the originals during training, as with published policies, so that the
    /// portion is the probability that an image is augmented; otherwise they are copies beside the originals.
    pub in_place: bool,
    /// If not empty, replaces `draws`: the probabilities that an image gets 0, 1, 2 ... sub-policies, of one op
    /// each. They are tried in random order, each with its own probability, until so many have been applied; fewer
    /// are if too few come up (D. Ho et al. 2019, Population Based Augmentation).
    pub counts: Vec<f64>,
    /// The policies of earlier epochs, in order; this policy then follows for `epochs` epochs.
    pub earlier: Vec<Piece>,
    /// Its epochs as the last of a schedule, and otherwise 1. A training of another length stretches all of them.
    pub epochs: usize,
}

/// A policy for a part of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Number of epochs, at least 1.
    pub epochs: usize,
    /// The policy, which does not change itself.
    pub policy: Policy,
}

/// A number of a policy is out of range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The portion is not in 0..=1.
    #[error("portion {0} is not between 0 and 1")]
    Portion(f64),
    /// A number of the application is not in 0..=1.
    #[error("application: {what} {value} is not between 0 and 1")]
    Application {
        /// `chance`, `pad` or `cutout`.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// The number of draws is out of range.
    #[error("draws {0} is not between 1 and {MAX_DRAWS}")]
    Draws(usize),
    /// The probabilities of counts are not a distribution, or cannot be used with these sub-policies.
    #[error("counts: {0}")]
    Counts(String),
    /// The parts of a schedule do not fit together.
    #[error("earlier policy {piece}: {why}")]
    Schedule {
        /// The position of the part, from 1.
        piece: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A magnitude or a probability is not in 0..=1.
    #[error("{what} {value} of {op} (op {step} of sub-policy {sub_policy}) is not between 0 and 1")]
    Step {
        /// The op it belongs to.
        op: Op,
        /// `magnitude` or `probability`.
        what: &'static str,
        /// The number.
        value: f64,
        /// The position of the step in its sub-policy, from 1.
        step: usize,
        /// The position of the sub-policy, from 1.
        sub_policy: usize,
    },
    /// The range table does not have the op.
    #[error("the {ranges} ranges do not have the op {op} (op {step} of sub-policy {sub_policy})")]
    Undefined {
        /// The table.
        ranges: RangeTable,
        /// The op.
        op: Op,
        /// The position of the step in its sub-policy, from 1.
        step: usize,
        /// The position of the sub-policy, from 1.
        sub_policy: usize,
    },
}

impl Policy {
    /// Returns a checksum of the whole policy: the same for equal policies, in every process.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Self { ranges, portion, sub_policies, draws, always, in_place, counts, earlier, epochs } = self;
        (ranges, portion.to_bits(), draws, in_place, sub_policies.len(), epochs).hash(&mut hasher);
        counts.iter().for_each(|probability| probability.to_bits().hash(&mut hasher));
        earlier.iter().for_each(|piece| (piece.epochs, piece.policy.digest()).hash(&mut hasher));
        for SubPolicy { ops } in sub_policies.iter().chain([always]) {
            ops.len().hash(&mut hasher);
            for Step { op, magnitude, probability } in ops {
                (op, magnitude.to_bits(), probability.to_bits()).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Returns the policy that augments nothing.
    pub fn none(ranges: RangeTable) -> Self {
        Self::new(ranges, 1.0, Vec::new())
    }

    /// Returns a policy of independent sub-policies, of which an image gets one.
    pub fn new(ranges: RangeTable, portion: f64, sub_policies: Vec<SubPolicy>) -> Self {
        let (always, counts, earlier) = Default::default();
        Self { ranges, portion, sub_policies, draws: 1, always, in_place: false, counts, earlier, epochs: 1 }
    }

    /// Joins policies that follow one another during training. Neighbours that are equal become one part.
    ///
    /// ```
    /// use deepaug_augmenter::{Op, Piece, Policy, RangeTable, Step, SubPolicy};
    ///
    /// let rotate = |magnitude| {
    ///     Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops: vec![Step::new(Op::Rotate, magnitude)] }])
    /// };
    /// let pieces = [(3, rotate(0.1)), (1, rotate(0.2))].map(|(epochs, policy)| Piece { epochs, policy });
    /// let schedule = Policy::schedule(pieces.to_vec()).expect("there is a part");
    /// // A training of eight epochs stretches them to six and two.
    /// assert_eq!(*schedule.at(5, 8), rotate(0.1));
    /// assert_eq!(schedule.at(6, 8).sub_policies, rotate(0.2).sub_policies);
    /// ```
    pub fn schedule(pieces: Vec<Piece>) -> Option<Self> {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces {
            match joined.last_mut().filter(|last| last.policy == piece.policy) {
                Some(last) => last.epochs += piece.epochs,
                None => joined.push(piece),
            }
        }
        let Piece { epochs, policy } = joined.pop()?;
        Some(if joined.is_empty() { policy } else { Self { earlier: joined, epochs, ..policy } })
    }

    /// Returns the policies of a training in order, each with its number of epochs; one that does not change is
    /// its only part. The last is this one itself, with those before it.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, &Policy)> {
        self.earlier.iter().map(|piece| (piece.epochs, &piece.policy)).chain([(self.epochs, self)])
    }

    /// Returns the policy of an epoch, counted from 0, in a training of `epochs` epochs: that of epoch `floor(epoch * E
    /// / epochs)` of the schedule, which has E.
    pub fn at(&self, epoch: usize, epochs: usize) -> &Policy {
        let whole: usize = self.pieces().map(|(epochs, _)| epochs).sum();
        let mut left = (epoch as u128 * whole as u128 / epochs.max(1) as u128) as usize;
        for (epochs, policy) in self.pieces() {
            if left < epochs {
                return policy;
            }
            left -= epochs;
        }
        self
    }

    /// Returns the policy with the magnitudes of its sub-policies multiplied by a factor; what always follows stays.
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        let steps = scaled.sub_policies.iter_mut().flat_map(|sub_policy| &mut sub_policy.ops);
        steps.for_each(|step| step.magnitude *= factor);
        scaled
    }

    /// Returns the number of augmented copies per image, for a policy that makes copies.
    pub fn copies_per_image(&self) -> f64 {
        self.outcomes() as f64 * self.portion
    }

    /// Returns how many augmentations are chosen from: the sub-policies, or one where counts are drawn.
    pub(crate) fn outcomes(&self) -> usize {
        if self.counts.is_empty() { self.sub_policies.len() } else { self.sub_policies.len().min(1) }
    }

    /// Returns every step that an image may get.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.sub_policies.iter().chain([&self.always]).flat_map(|sub_policy| &sub_policy.ops)
    }

    /// Checks that the portion and every magnitude and probability are in 0..=1, and that the ranges have the ops.
    ///
    /// # Errors
    ///
    /// Names the first number or op that fails.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let unit = 0.0..=1.0;
        if !unit.contains(&self.portion) {
            return Err(PolicyError::Portion(self.portion));
        }
        if !(1..=MAX_DRAWS).contains(&self.draws) {
            return Err(PolicyError::Draws(self.draws));
        }
        for (s, sub_policy) in self.sub_policies.iter().chain([&self.always]).enumerate() {
            for (i, &Step { op, magnitude, probability }) in sub_policy.ops.iter().enumerate() {
                let (step, sub_policy) = (i + 1, s + 1);
                for (what, value) in [("magnitude", magnitude), ("probability", probability)] {
                    if !unit.contains(&value) {
                        return Err(PolicyError::Step { op, what, value, step, sub_policy });
                    }
                }
                if s < self.sub_policies.len() && !self.ranges.has(op) {
                    return Err(PolicyError::Undefined { ranges: self.ranges, op, step, sub_policy });
                }
            }
        }
        self.validate_counts()?;
        self.validate_schedule()
    }

    fn validate_counts(&self) -> Result<(), PolicyError> {
        let wrong = |why: String| Err(PolicyError::Counts(why));
        let total: f64 = self.counts.iter().sum();
        let of_one_op = || self.sub_policies.iter().all(|sub_policy| sub_policy.ops.len() == 1);
        match self.counts.as_slice() {
            [] => Ok(()),
            counts if counts.len() > MAX_DRAWS + 1 => {
                wrong(format!("{} of them, more than {MAX_DRAWS} + 1", counts.len()))
            }
            counts if counts.iter().any(|count| !(0.0..=1.0).contains(count)) || (total - 1.0).abs() > 1e-6 => {
                wrong(format!("must be probabilities that add up to 1, not {counts:?}"))
            }
            _ if !of_one_op() => wrong("need sub-policies of one op each".into()),
            _ if self.draws != 1 => wrong("cannot be used together with draws".into()),
            _ => Ok(()),
        }
    }

    fn validate_schedule(&self) -> Result<(), PolicyError> {
        /// Far beyond any training.
        const MAX_EPOCHS: usize = 100_000_000;
        for (piece, Piece { epochs, policy }) in (1..).zip(&self.earlier) {
            let wrong = |why: String| Err(PolicyError::Schedule { piece, why });
            if !policy.earlier.is_empty() {
                return wrong("it has earlier policies itself".into());
            }
            if policy.in_place != self.in_place {
                return wrong("it must be in place if the last one is, and only then".into());
            }
            if !(1..=MAX_EPOCHS).contains(epochs) {
                return wrong(format!("epochs must be between 1 and {MAX_EPOCHS}, not {epochs}"));
            }
            policy.validate().or_else(|error| wrong(error.to_string()))?;
        }
        if !(1..=MAX_EPOCHS).contains(&self.epochs) {
            let why = format!("epochs of the last policy must be between 1 and {MAX_EPOCHS}, not {}", self.epochs);
            return Err(PolicyError::Schedule { piece: self.earlier.len() + 1, why });
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.2}", self.op, self.magnitude)?;
        if is_always(&self.probability) { Ok(()) } else { write!(f, " (p {:.2})", self.probability) }
    }
}

impl fmt::Display for SubPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ops.is_empty() {
            return f.write_str("unchanged");
        }
        for (i, step) in self.ops.iter().enumerate() {
            write!(f, "{}{step}", if i == 0 { "" } else { " + " })?;
        }
        Ok(())
    }
}

impl Policy {
    /// Lists the ops of which an image gets one or some, grouped by equal magnitudes, and what always follows.
    fn list_ops(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each op, or none, with its lowest and highest magnitude.
        let mut ops: Vec<(Option<Op>, [f64; 2])> = Vec::new();
        for step in self.sub_policies.iter().map(|sub_policy| sub_policy.ops.first()) {
            let (op, magnitude) = step.map_or((None, 0.0), |step| (Some(step.op), step.magnitude));
            match ops.iter_mut().find(|(other, _)| *other == op) {
                Some((_, [least, most])) => (*least, *most) = (least.min(magnitude), most.max(magnitude)),
                None => ops.push((op, [magnitude; 2])),
            }
        }
        if matches!(ops.as_slice(), [(None, _)]) && !self.always.ops.is_empty() {
            return write!(f, "{}", self.always);
        }
        if ops.len() > 1 {
            write!(f, "{} of ", self.draws)?;
        }
        for (i, &(op, range)) in ops.iter().enumerate() {
            let next = ops.get(i + 1);
            write!(f, "{}", op.map_or("unchanged", Op::name))?;
            if op.is_some() && next.is_some_and(|&(other, same)| other.is_some() && same == range) {
                f.write_str(", ")?;
                continue;
            }
            match (op, range) {
                (None, _) => {}
                (_, [least, most]) if least == most => write!(f, " {least:.2}")?,
                (_, [least, most]) => write!(f, " {least:.2} to {most:.2}")?,
            }
            f.write_str(if next.is_some() { " | " } else { "" })?;
        }
        if self.always.ops.is_empty() { Ok(()) } else { write!(f, "; then {}", self.always) }
    }

    /// Lists the likeliest ops of which a drawn number is tried, and how many others can be applied.
    fn list_slots(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LISTED: usize = 4;
        let most = self.counts.iter().rposition(|&count| count > 0.0).unwrap_or(0);
        let slots = self.sub_policies.iter().flat_map(|sub_policy| &sub_policy.ops);
        let mut slots: Vec<&Step> = slots.filter(|step| step.probability > 0.0).collect();
        slots.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let listed: Vec<String> = slots.iter().take(LISTED).map(|step| step.to_string()).collect();
        match slots.len() {
            0 => f.write_str("unchanged")?,
            _ => write!(f, "up to {most} of {}", listed.join(" | "))?,
        }
        if slots.len() > LISTED {
            write!(f, " and {} more", slots.len() - LISTED)?;
        }
        if self.always.ops.is_empty() { Ok(()) } else { write!(f, "; then {}", self.always) }
    }
}

/// Up to this many sub-policies are written out; of more, a few. The published policies have 25.
const MOST_SHOWN: usize = 25;
const FEW_SHOWN: usize = 5;

impl fmt::Display for Policy {
    /// Writes one line, such as `rotate 0.31 + gaussian-blur 0.10 on 80 %`, or `2 of rotate, fog 0.31; then
    /// horizontal-flip 0.50` for one that draws; ` | ` separates sequences, where a list of ops with one magnitude
    /// is not enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.earlier.is_empty() {
            let epochs: usize = self.pieces().map(|(epochs, _)| epochs).sum();
            write!(f, "{} policies over {epochs} epochs, the last: ", self.earlier.len() + 1)?;
        }
        if self.sub_policies.is_empty() {
            return f.write_str("no policy");
        }
        if !self.counts.is_empty() {
            self.list_slots(f)?;
        } else if self.in_place && self.sub_policies.iter().all(|sub_policy| sub_policy.ops.len() <= 1) {
            self.list_ops(f)?;
        } else {
            if self.draws > 1 {
                write!(f, "{} of ", self.draws)?;
            }
            let all = self.sub_policies.len();
            let shown = if all > MOST_SHOWN { FEW_SHOWN } else { all };
            for (i, sub_policy) in self.sub_policies[..shown].iter().enumerate() {
                write!(f, "{}{sub_policy}", if i == 0 { "" } else { " | " })?;
            }
            if shown < all {
                write!(f, " | {} others", all - shown)?;
            }
            if !self.always.ops.is_empty() {
                write!(f, "; then {}", self.always)?;
            }
        }
        if !self.in_place || self.portion < 1.0 {
            write!(f, " on {:.0} %", 100.0 * self.portion)?;
        }
        if self.ranges != RangeTable::default() {
            write!(f, " ({} ranges)", self.ranges)?;
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Json {
    format: Format,
    ranges: RangeTable,
    portion: f64,
    sub_policies: Vec<SubPolicy>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    draws: usize,
    #[serde(default, skip_serializing_if = "is_unchanged")]
    always: SubPolicy,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    in_place: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counts: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Piece>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    epochs: usize,
    #[serde(default, skip_serializing_if = "Application::is_once")]
    application: Application,
}

fn one() -> usize {
    1
}

fn is_one(draws: &usize) -> bool {
    *draws == one()
}

fn is_unchanged(sub_policy: &SubPolicy) -> bool {
    sub_policy.ops.is_empty()
}

impl TryFrom<Json> for Policy {
    type Error = PolicyError;

    fn try_from(
        Json { ranges, portion, sub_policies, draws, always, in_place, counts, earlier, epochs, .. }: Json,
    ) -> Result<Self, PolicyError> {
        let policy = Self { ranges, portion, sub_policies, draws, always, in_place, counts, earlier, epochs };
        policy.validate()?;
        Ok(policy)
    }
}

impl From<Policy> for Json {
    fn from(policy: Policy) -> Self {
        Augmentation { policy, application: Application::Once }.into()
    }
}

impl TryFrom<Json> for Augmentation {
    type Error = PolicyError;

    fn try_from(json: Json) -> Result<Self, PolicyError> {
        let application = json.application;
        application.validate()?;
        Ok(Self { policy: json.try_into()?, application })
    }
}

impl From<Augmentation> for Json {
    fn from(Augmentation { policy, application }: Augmentation) -> Self {
        let Policy { ranges, portion, sub_policies, draws, always, in_place, counts, earlier, epochs } = policy;
        let is_first = is_one(&draws) && is_unchanged(&always) && !in_place && application.is_once();
        let format = Format(match (counts.is_empty() && earlier.is_empty(), is_first) {
            (false, _) => FORMAT_3,
            (true, false) => FORMAT_2,
            (true, true) => FORMAT,
        });
        Self { format, ranges, portion, sub_policies, draws, always, in_place, counts, earlier, epochs, application }
    }
}

/// The `format` field. It rejects other versions itself, before fields of another version could be misread.
struct Format(u64);

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            format @ FORMAT..=FORMAT_3 => Ok(Self(format)),
            0 => Err(de::Error::custom("format 0 does not exist; the first is 1")),
            newer => {
                Err(de::Error::custom(format_args!("format {newer} is newer than this program reads ({FORMAT_3})")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(op: Op, magnitude: f64) -> Step {
        Step::new(op, magnitude)
    }

    #[test]
    fn display_is_one_readable_line() {
        let first = SubPolicy { ops: vec![step(Op::Rotate, 0.31), step(Op::GaussianBlur, 0.1)] };
        let second = SubPolicy { ops: vec![step(Op::Fog, 1.0)] };
        let mut policy = Policy::new(RangeTable::Monotone, 0.8, vec![first, second]);
        assert_eq!(policy.to_string(), "rotate 0.31 + gaussian-blur 0.10 | fog 1.00 on 80 %");
        let drawn =
            Policy { draws: 2, always: SubPolicy { ops: vec![step(Op::HorizontalFlip, 0.5)] }, ..policy.clone() };
        let words = "2 of rotate 0.31 + gaussian-blur 0.10 | fog 1.00; then horizontal-flip 0.50 on 80 %";
        assert_eq!(drawn.to_string(), words);
        policy.ranges = RangeTable::DeepAugment112;
        assert!(policy.to_string().ends_with("on 80 % (deepaugment-1.1.2 ranges)"));
        assert_eq!(Policy::none(RangeTable::Monotone).to_string(), "no policy");
    }

    #[test]
    fn validation_names_the_bad_number() {
        let mut policy = Policy::none(RangeTable::Monotone);
        policy.sub_policies = vec![SubPolicy { ops: vec![step(Op::Fog, 0.5), step(Op::Crop, 1.5)] }];
        let message = policy.validate().unwrap_err().to_string();
        assert_eq!(message, "magnitude 1.5 of crop (op 2 of sub-policy 1) is not between 0 and 1");
        policy.sub_policies.clear();
        for portion in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            policy.portion = portion;
            assert!(matches!(policy.validate(), Err(PolicyError::Portion(_))));
        }
    }
}
