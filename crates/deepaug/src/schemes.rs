//! Schemes: ways of augmenting every image in its own place, as people use them without a search, and a space that holds
//! most of them. A scheme is a policy: so many ops drawn for each image, all at one strength, from the families that are
//! chosen; then a shift, mirror images and a covered square, each with a switch of its own.

use deepaug_augmenter::{Op, Policy, Published, RangeTable, Step, SubPolicy};
use deepaug_controller::{Point, Space, SpaceError, Value};

/// Ops that do alike to an image, so that one switch stands for all of them. Inverting is left out: none of the published schemes
/// that serve most image sets has it at full strength.
const FAMILIES: [(&str, &[Op]); 7] = [
    ("rotate", &[Op::Rotate]),
    ("shear", &[Op::ShearX, Op::ShearY]),
    ("zoom", &[Op::Crop]),
    ("light", &[Op::Brightness, Op::Contrast, Op::GammaContrast]),
    ("colour", &[Op::Saturation, Op::AddToHueAndSaturation]),
    ("tone", &[Op::AutoContrast, Op::Equalize, Op::Solarize, Op::Posterize]),
    ("texture", &[Op::GaussianBlur, Op::Sharpness, Op::AdditiveGaussianNoise, Op::CoarseDropout]),
];

/// How many ops of the families an image gets.
const DRAWS: [&str; 4] = ["0", "1", "2", "3"];

/// Shifts, in pixels of 32; 4 is the usual one (He et al. 2016, section 4.2).
const SHIFTS: [(&str, f64); 4] = [("none", 0.0), ("2", 2.0), ("4", 4.0), ("8", 8.0)];

/// The shift of magnitude 1 under the monotone ranges, in pixels of 32.
const LARGEST_SHIFT: f64 = 0.3 * 32.0;

/// The weakest strength: below it hardly an op does anything to be seen.
const LEAST_STRENGTH: f64 = 0.1;

/// The magnitude of a covered square: a side of up to 0.36 of the image's, 6 of 32 pixels on the average.
const SQUARE: f64 = 0.6;

/// The strength of a family that is tried by itself.
const FAMILY_STRENGTH: f64 = 0.5;

/// RandAugment's numbers that are tried: few and weak ops, torchvision's default, many and strong ones.
const RANDAUGMENTS: [(u32, u32); 3] = [(1, 5), (2, 9), (2, 15)];

/// The space of schemes.
#[derive(Debug, Clone)]
pub(crate) struct Schemes {
    families: Vec<(&'static str, Vec<Op>)>,
    /// Whether mirror images and so on are among the ops to choose from.
    has: Switches,
}

#[derive(Debug, Clone, Copy)]
struct Switches {
    flip: bool,
    vertical_flip: bool,
    shift: bool,
    square: bool,
}

/// A scheme that needs no search.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FreeScheme {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    /// Where it lies in the space, if it does.
    pub(crate) point: Option<Point>,
}

/// A scheme of the space in words.
#[derive(Debug, Clone, Copy, Default)]
struct Choice<'a> {
    draws: usize,
    families: &'a [usize],
    strength: f64,
    flip: bool,
    vertical_flip: bool,
    shift: usize,
    square: bool,
}

impl Schemes {
    /// Those made of these ops.
    pub(crate) fn new(ops: &[Op]) -> Self {
        let has = |op: Op| ops.contains(&op);
        let families = FAMILIES.iter().filter_map(|(name, family)| {
            let family: Vec<Op> = family.iter().copied().filter(|&op| has(op)).collect();
            (!family.is_empty()).then_some((*name, family))
        });
        Self {
            families: families.collect(),
            has: Switches {
                flip: has(Op::HorizontalFlip),
                vertical_flip: has(Op::VerticalFlip),
                shift: has(Op::TranslateXNearest) || has(Op::TranslateX),
                square: has(Op::Cutout),
            },
        }
    }

    /// The space: a switch for each family, how many ops are drawn and how strong they are, and what always follows.
    pub(crate) fn space(&self) -> Result<Space, SpaceError> {
        let mut space = Space::new();
        if !self.families.is_empty() {
            space = space.categorical("draws", DRAWS)?.real("strength", LEAST_STRENGTH, 1.0)?;
            space = space.active_when("strength", "draws", &DRAWS[1..])?;
            for (family, _) in &self.families {
                // Choices of their own: what is learnt of one family says nothing of another.
                space = space.categorical(*family, [format!("no {family}"), (*family).into()])?;
                space = space.active_when(family, "draws", &DRAWS[1..])?;
            }
        }
        for (switch, name) in self.switches() {
            if switch {
                space = space.categorical(name, [format!("no {name}"), name.into()])?;
            }
        }
        if self.has.shift {
            space = space.categorical("shift", SHIFTS.map(|(name, _)| format!("shift {name}")))?;
        }
        Ok(space)
    }

    fn switches(&self) -> [(bool, &'static str); 3] {
        let Switches { flip, vertical_flip, square, .. } = self.has;
        [(flip, "horizontal-flip"), (vertical_flip, "vertical-flip"), (square, "square")]
    }

    /// The policy that a point of the space stands for, in its one canonical form.
    pub(crate) fn decode(&self, point: &Point) -> Policy {
        let mut values = point.0.iter().copied();
        let category = |values: &mut dyn Iterator<Item = Value>| values.next().and_then(Value::category).unwrap_or(0);
        let mut choice = Choice::default();
        let mut families = Vec::new();
        if !self.families.is_empty() {
            choice.draws = category(&mut values);
            choice.strength = values.next().and_then(Value::real).unwrap_or(LEAST_STRENGTH);
            families.extend((0..self.families.len()).filter(|_| category(&mut values) == 1));
        }
        let [flip, vertical_flip, square] = self.switches().map(|(is_there, _)| is_there && category(&mut values) == 1);
        let shift = if self.has.shift { category(&mut values) } else { 0 };
        self.policy(Choice { families: &families, flip, vertical_flip, square, shift, ..choice })
    }

    fn point(&self, choice: Choice<'_>) -> Point {
        let mut values = Vec::new();
        if !self.families.is_empty() {
            values.push(Value::Category(choice.draws));
            values.push(Value::Real(choice.strength.max(LEAST_STRENGTH)));
            values.extend((0..self.families.len()).map(|i| Value::Category(usize::from(choice.families.contains(&i)))));
        }
        let wanted = [choice.flip, choice.vertical_flip, choice.square];
        for ((is_there, _), wanted) in self.switches().into_iter().zip(wanted) {
            values.extend(is_there.then_some(Value::Category(usize::from(wanted))));
        }
        values.extend(self.has.shift.then_some(Value::Category(choice.shift)));
        Point(values)
    }

    fn policy(&self, choice: Choice<'_>) -> Policy {
        let ops = choice.families.iter().flat_map(|&family| &self.families[family].1);
        let sub_policies: Vec<SubPolicy> = ops
            .map(|&op| SubPolicy {
                ops: vec![Step::new(op, choice.strength.max(RangeTable::Monotone.least_magnitude(op)))],
            })
            .collect();
        let always = self.always(choice);
        let is_drawn = choice.draws > 0 && !sub_policies.is_empty();
        if !is_drawn && always.ops.is_empty() {
            return Policy::none(RangeTable::Monotone);
        }
        let (sub_policies, draws) =
            if is_drawn { (sub_policies, choice.draws) } else { (vec![SubPolicy::default()], 1) };
        Policy { draws, always, in_place: true, ..Policy::new(RangeTable::Monotone, 1.0, sub_policies) }
    }

    /// What every image gets.
    fn always(&self, choice: Choice<'_>) -> SubPolicy {
        let shift = SHIFTS[choice.shift].1 / LARGEST_SHIFT;
        let steps = [
            (choice.shift > 0, Op::TranslateXNearest, shift),
            (choice.shift > 0, Op::TranslateYNearest, shift),
            (choice.flip, Op::HorizontalFlip, 0.5),
            (choice.vertical_flip, Op::VerticalFlip, 0.5),
            (choice.square, Op::Cutout, SQUARE),
        ];
        let chosen = steps.into_iter().filter(|(is_chosen, ..)| *is_chosen);
        SubPolicy { ops: chosen.map(|(_, op, magnitude)| Step::new(op, magnitude)).collect() }
    }

    /// The point of no augmentation.
    pub(crate) fn none(&self) -> Point {
        self.point(Choice::default())
    }

    /// The schemes that need no search, those first that most people would try first.
    pub(crate) fn free(&self) -> Vec<FreeScheme> {
        let all: Vec<usize> = (0..self.families.len()).collect();
        let Switches { flip, shift: can_shift, square, .. } = self.has;
        let shift = if can_shift { 2 } else { 0 };
        let flip_crop = Choice { flip, shift, ..Choice::default() };
        let of_space = |name: String, choice: Choice<'_>| FreeScheme {
            name,
            policy: self.policy(choice),
            point: Some(self.point(choice)),
        };
        let published = |published: Published, always: Option<SubPolicy>| FreeScheme {
            name: format!("{published}{}", if always.is_some() { "+flip-crop" } else { "" }),
            policy: Policy { always: always.unwrap_or_default(), ..published.policy() },
            point: None,
        };
        let randaugment = |(ops, magnitude)| Published::RandAugment { ops, magnitude };
        let after = || Some(self.always(flip_crop));
        let mut free = vec![of_space("flip-crop".into(), flip_crop), published(Published::TrivialAugment, None)];
        free.push(published(Published::RANDAUGMENT, None));
        free.push(published(Published::TrivialAugment, after()));
        free.push(published(Published::RANDAUGMENT, after()));
        free.push(of_space("crop".into(), Choice { shift, ..Choice::default() }));
        free.push(of_space("flip".into(), Choice { flip, ..Choice::default() }));
        free.push(of_space("cutout".into(), Choice { square, ..flip_crop }));
        free.extend(RANDAUGMENTS.map(randaugment).map(|it| published(it, None)));
        for &family in &all {
            let families = [family];
            let choice = Choice { draws: 1, families: &families, strength: FAMILY_STRENGTH, ..Choice::default() };
            free.push(of_space(self.families[family].0.into(), choice));
        }
        // A restricted set of ops makes some of them alike.
        let mut seen: Vec<Policy> = vec![Policy::none(RangeTable::Monotone)];
        free.retain(|scheme| {
            let is_new = !seen.contains(&scheme.policy);
            seen.push(scheme.policy.clone());
            is_new
        });
        free
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn schemes() -> Schemes {
        Schemes::new(&Op::ALL)
    }

    #[test]
    fn every_point_is_a_valid_policy_that_is_used_in_place() {
        let schemes = schemes();
        let space = schemes.space().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..500 {
            let policy = schemes.decode(&space.sample(&mut rng));
            policy.validate().unwrap();
            assert!(policy.in_place || policy == Policy::none(RangeTable::Monotone), "{policy}");
            assert!(policy.steps().all(|step| step.magnitude >= LEAST_STRENGTH), "{policy}");
        }
        assert_eq!(schemes.decode(&schemes.none()), Policy::none(RangeTable::Monotone));
    }

    #[test]
    fn free_schemes_are_distinct_and_those_of_the_space_lie_in_it() {
        let schemes = schemes();
        let space = schemes.space().unwrap();
        let free = schemes.free();
        for (index, scheme) in free.iter().enumerate() {
            scheme.policy.validate().unwrap();
            assert!(free[..index].iter().all(|other| other.policy != scheme.policy && other.name != scheme.name));
            if let Some(point) = &scheme.point {
                assert_eq!(schemes.decode(&space.canonical(point).unwrap()), scheme.policy, "{}", scheme.name);
            }
        }
        let names: Vec<&str> = free.iter().map(|scheme| scheme.name.as_str()).collect();
        assert!(names.starts_with(&["flip-crop", "trivialaugment", "randaugment-2-9"]), "{names:?}");
        assert!(names.contains(&"rotate") && names.contains(&"randaugment-2-15"), "{names:?}");
    }

    #[test]
    fn a_restricted_set_of_ops_restricts_the_schemes() {
        let schemes = Schemes::new(&[Op::Rotate, Op::HorizontalFlip]);
        let names: Vec<String> = schemes.space().unwrap().parameters().iter().map(|p| p.name.clone()).collect();
        assert_eq!(names, ["draws", "strength", "rotate", "horizontal-flip"]);
        assert!(
            schemes.free().iter().filter(|scheme| scheme.point.is_some()).all(|scheme| {
                scheme.policy.steps().all(|step| [Op::Rotate, Op::HorizontalFlip].contains(&step.op))
            })
        );
    }
}
