//! Schemes: ways of augmenting every image in place that people use without a search, and a space that contains
//! them all. A scheme is a policy: a number of ops drawn for each image, at one strength, from the chosen families
//! or from the ops that RandAugment or TrivialAugment draw from; then a shift, mirror images and a covered square,
//! each with its own switch.

use deepaug_augmenter::published::{self, Published};
use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy};
use deepaug_controller::{Point, Space, SpaceError, Value};

/// Ops with similar effects on an image, so that one switch stands for all of them. Inverting is left out: no
/// published scheme that serves most data sets has it at full strength.
const FAMILIES: [(&str, &[Op]); 8] = [
    ("rotate", &[Op::Rotate]),
    ("translate", &[Op::TranslateXNearest, Op::TranslateYNearest]),
    ("shear", &[Op::ShearX, Op::ShearY]),
    ("zoom", &[Op::Crop]),
    ("light", &[Op::Brightness, Op::Contrast, Op::GammaContrast]),
    ("colour", &[Op::Saturation, Op::AddToHueAndSaturation]),
    ("tone", &[Op::AutoContrast, Op::Equalize, Op::Solarize, Op::Posterize]),
    ("texture", &[Op::GaussianBlur, Op::Sharpness, Op::AdditiveGaussianNoise, Op::CoarseDropout]),
];

/// The source of the ops drawn for an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Source {
    /// None are drawn.
    #[default]
    Nothing,
    /// Those of the chosen families, all at one magnitude.
    Families,
    /// RandAugment's, all at one magnitude.
    RandAugment,
    /// TrivialAugment's, at magnitudes up to one.
    TrivialAugment,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Families => "families",
            Self::RandAugment => "randaugment",
            Self::TrivialAugment => "trivialaugment",
        }
    }
}

/// How many ops each image gets.
const DRAWS: [&str; 3] = ["1", "2", "3"];

/// Shifts, in pixels of 32; 4 is the usual one (He et al. 2016, section 4.2).
const SHIFTS: [(&str, f64); 4] = [("none", 0.0), ("2", 2.0), ("4", 4.0), ("8", 8.0)];

/// The shift of magnitude 1 under the monotone ranges, in pixels of 32.
const MAX_SHIFT: f64 = 0.3 * 32.0;

/// The weakest strength: below it hardly any op has a visible effect.
const MIN_STRENGTH: f64 = 0.1;

/// The magnitude of a covered square: a side of up to 0.36 of the image's, 6 of 32 pixels on average.
const SQUARE: f64 = 0.6;

/// The strength of a family tried by itself.
const FAMILY_STRENGTH: f64 = 0.5;

/// RandAugment settings tried beside torchvision's default of 2 and 9: a weaker and a stronger one.
const RANDAUGMENTS: [(u32, u32); 2] = [(1, 5), (2, 15)];

/// The space of schemes.
#[derive(Debug, Clone)]
pub(crate) struct Schemes {
    sources: Vec<Source>,
    families: Vec<(&'static str, Vec<Op>)>,
    /// Whether the ops to choose from include mirror images and so on.
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
    /// Its point in the space, if it has one: its ops may have been left out of the search.
    pub(crate) point: Option<Point>,
}

/// A scheme of the space in words.
#[derive(Debug, Clone, Copy, Default)]
struct Choice<'a> {
    source: Source,
    /// 0 is one op.
    draws: usize,
    families: &'a [usize],
    strength: f64,
    flip: bool,
    vertical_flip: bool,
    shift: usize,
    square: bool,
}

impl Schemes {
    /// Makes the space of the schemes that consist of these ops.
    pub(crate) fn new(ops: &[Op]) -> Self {
        let has = |op: Op| ops.contains(&op);
        let families = FAMILIES.iter().filter_map(|(name, family)| {
            let family: Vec<Op> = family.iter().copied().filter(|&op| has(op)).collect();
            (!family.is_empty()).then_some((*name, family))
        });
        let families: Vec<_> = families.collect();
        let mut sources = vec![Source::Nothing];
        if !families.is_empty() {
            sources.push(Source::Families);
        }
        // Ops that change nothing on these images may have been left out.
        if published::DRAWN.into_iter().all(|op| has(op) || op.needs_colour()) {
            sources.extend([Source::RandAugment, Source::TrivialAugment]);
        }
        Self {
            sources,
            families,
            has: Switches {
                flip: has(Op::HorizontalFlip),
                vertical_flip: has(Op::VerticalFlip),
                shift: has(Op::TranslateXNearest) || has(Op::TranslateX),
                square: has(Op::Cutout),
            },
        }
    }

    /// Returns the space: a switch for each family, how many ops are drawn and how strong they are, and what
    /// always follows.
    pub(crate) fn space(&self) -> Result<Space, SpaceError> {
        let mut space = Space::new();
        if self.draws_ops() {
            space = space.categorical("source", self.sources.iter().map(|source| source.name()))?;
            space = space.categorical("draws", DRAWS)?.real("strength", MIN_STRENGTH, 1.0)?;
            for drawn in ["draws", "strength"] {
                space = space.active_when(drawn, "source", self.sources[1..].iter().map(|source| source.name()))?;
            }
            for (family, _) in &self.families {
                // Separate choices: results for one family say nothing about another.
                space = space.categorical(*family, [format!("no {family}"), (*family).into()])?;
                space = space.active_when(family, "source", [Source::Families.name()])?;
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

    fn draws_ops(&self) -> bool {
        self.sources.len() > 1
    }

    fn switches(&self) -> [(bool, &'static str); 3] {
        let Switches { flip, vertical_flip, square, .. } = self.has;
        [(flip, "horizontal-flip"), (vertical_flip, "vertical-flip"), (square, "square")]
    }

    /// Returns the policy that a point of the space stands for, in canonical form.
    pub(crate) fn decode(&self, point: &Point) -> Policy {
        let mut values = point.0.iter().copied();
        let category = |values: &mut dyn Iterator<Item = Value>| values.next().and_then(Value::category).unwrap_or(0);
        let mut choice = Choice::default();
        let mut families = Vec::new();
        if self.draws_ops() {
            choice.source = self.sources[category(&mut values)];
            choice.draws = category(&mut values);
            choice.strength = values.next().and_then(Value::real).unwrap_or(MIN_STRENGTH);
            families.extend((0..self.families.len()).filter(|_| category(&mut values) == 1));
        }
        let [flip, vertical_flip, square] = self.switches().map(|(is_there, _)| is_there && category(&mut values) == 1);
        let shift = if self.has.shift { category(&mut values) } else { 0 };
        self.policy(Choice { families: &families, flip, vertical_flip, square, shift, ..choice })
    }

    /// Returns the point of a choice in the space, if the space has its source.
    fn point(&self, choice: Choice<'_>) -> Option<Point> {
        let mut values = Vec::new();
        let source = self.sources.iter().position(|source| *source == choice.source)?;
        if self.draws_ops() {
            values.extend([source, choice.draws].map(Value::Category));
            values.push(Value::Real(choice.strength.max(MIN_STRENGTH)));
            values.extend((0..self.families.len()).map(|i| Value::Category(usize::from(choice.families.contains(&i)))));
        }
        let wanted = [choice.flip, choice.vertical_flip, choice.square];
        for ((is_there, _), wanted) in self.switches().into_iter().zip(wanted) {
            values.extend(is_there.then_some(Value::Category(usize::from(wanted))));
        }
        values.extend(self.has.shift.then_some(Value::Category(choice.shift)));
        Some(Point(values))
    }

    fn policy(&self, choice: Choice<'_>) -> Policy {
        let Choice { source, draws, families, strength, .. } = choice;
        let always = self.always(choice);
        let draws = draws + 1;
        let drawn = match source {
            Source::RandAugment => published::randaugment(draws, strength),
            Source::TrivialAugment => published::trivialaugment(draws, strength),
            Source::Families if !families.is_empty() => {
                let ops = families.iter().flat_map(|&family| &self.families[family].1);
                let magnitude = |op| strength.max(RangeTable::Monotone.least_magnitude(op));
                let one = |&op: &Op| SubPolicy { ops: vec![Step::new(op, magnitude(op))] };
                Policy { draws, ..Policy::new(RangeTable::Monotone, 1.0, ops.map(one).collect()) }
            }
            Source::Nothing | Source::Families if always.ops.is_empty() => return Policy::none(RangeTable::Monotone),
            Source::Nothing | Source::Families => Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy::default()]),
        };
        Policy { always, in_place: true, ..drawn }
    }

    /// Returns what every image gets.
    fn always(&self, choice: Choice<'_>) -> SubPolicy {
        let shift = SHIFTS[choice.shift].1 / MAX_SHIFT;
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

    /// Returns the point of no augmentation.
    pub(crate) fn none(&self) -> Option<Point> {
        self.point(Choice::default())
    }

    /// Returns the schemes that need no search, starting with those that most people would try first.
    pub(crate) fn free(&self) -> Vec<FreeScheme> {
        let Switches { flip, shift: can_shift, square, .. } = self.has;
        let shift = if can_shift { 2 } else { 0 };
        let flip_crop = Choice { flip, shift, ..Choice::default() };
        let scheme = |name: String, choice: Choice<'_>| FreeScheme {
            name,
            policy: self.policy(choice),
            point: self.point(choice),
        };
        let trivialaugment = Choice { source: Source::TrivialAugment, strength: 1.0, ..Choice::default() };
        let randaugment = |(ops, magnitude)| Choice {
            source: Source::RandAugment,
            draws: ops as usize - 1,
            strength: published::level(magnitude),
            ..Choice::default()
        };
        let named = |(ops, magnitude)| Published::RandAugment { ops, magnitude }.to_string();
        let usual = (2, 9);
        let mut free = vec![
            scheme("flip-crop".into(), flip_crop),
            scheme("trivialaugment".into(), trivialaugment),
            scheme(named(usual), randaugment(usual)),
            scheme("trivialaugment+flip-crop".into(), Choice { flip, shift, ..trivialaugment }),
            scheme(format!("{}+flip-crop", named(usual)), Choice { flip, shift, ..randaugment(usual) }),
            scheme("crop".into(), Choice { shift, ..Choice::default() }),
            scheme("flip".into(), Choice { flip, ..Choice::default() }),
            scheme("cutout".into(), Choice { square, ..flip_crop }),
        ];
        free.extend(RANDAUGMENTS.map(|numbers| scheme(named(numbers), randaugment(numbers))));
        for family in 0..self.families.len() {
            let families = [family];
            let strength = FAMILY_STRENGTH;
            let choice = Choice { source: Source::Families, families: &families, strength, ..Choice::default() };
            free.push(scheme(self.families[family].0.into(), choice));
        }
        // With a restricted set of ops some of them are the same.
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
            assert!(policy.ranges != RangeTable::Monotone || policy.steps().all(|step| step.magnitude >= MIN_STRENGTH));
        }
        assert_eq!(schemes.decode(&schemes.none().unwrap()), Policy::none(RangeTable::Monotone));
    }

    #[test]
    fn free_schemes_are_distinct_lie_in_the_space_and_are_what_was_published() {
        let schemes = schemes();
        let space = schemes.space().unwrap();
        let free = schemes.free();
        for (index, scheme) in free.iter().enumerate() {
            scheme.policy.validate().unwrap();
            assert!(free[..index].iter().all(|other| other.policy != scheme.policy && other.name != scheme.name));
            let point = space.canonical(scheme.point.as_ref().unwrap()).unwrap();
            assert_eq!(schemes.decode(&point), scheme.policy, "{}", scheme.name);
            if let Ok(published) = scheme.name.parse::<Published>() {
                assert_eq!(scheme.policy, published.policy(), "{}", scheme.name);
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
        assert_eq!(names, ["source", "draws", "strength", "rotate", "horizontal-flip"]);
        assert!(
            schemes.free().iter().filter(|scheme| scheme.point.is_some()).all(|scheme| {
                scheme.policy.steps().all(|step| [Op::Rotate, Op::HorizontalFlip].contains(&step.op))
            })
        );
    }
}
