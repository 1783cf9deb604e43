//! Train, validation and test: seeded, stratified, and never overlapping.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dataset::{Dataset, Part};
use crate::error::DataError;

/// A number of images: a count, or a share of all images of the set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// This many images.
    Count(usize),
    /// This share of all images, between 0 and 1.
    Share(f64),
}

impl Amount {
    fn of(self, total: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => (share * total as f64).round() as usize,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{share:?}"),
        }
    }
}

impl From<usize> for Amount {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

/// Integers are counts, all other numbers shares.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u64(*count as u64),
            Self::Share(share) => serializer.serialize_f64(*share),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number of images, or a share of all between 0 and 1 such as 0.2")]
        enum Given {
            Count(usize),
            Share(f64),
        }
        match Given::deserialize(deserializer)? {
            Given::Count(count) => Ok(Self::Count(count)),
            Given::Share(share) if share > 0.0 && share < 1.0 => Ok(Self::Share(share)),
            Given::Share(share) => {
                Err(serde::de::Error::custom(format!("a share of all images must be above 0 and below 1, not {share}")))
            }
        }
    }
}

/// How many images the search may use, and how many it must not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitSizes {
    /// Maximum number of images that the child model trains on.
    pub train: Amount,
    /// Maximum number of images that the reward is measured on.
    pub validation: Amount,
    /// Images held out as the test set if the source has none.
    pub test: Amount,
}

impl SplitSizes {
    /// Returns these numbers of training and validation images, and the usual fifth for the test set.
    pub const fn counts(train: usize, validation: usize) -> Self {
        Self { train: Amount::Count(train), validation: Amount::Count(validation), test: TEST_SHARE }
    }
}

/// The share held out as the test set by default.
pub const TEST_SHARE: Amount = Amount::Share(0.2);

/// Indices into a [`Dataset`]; the three never share an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What the search trains on.
    pub train: Vec<usize>,
    /// What the search measures on.
    pub validation: Vec<usize>,
    /// What the search never sees.
    pub test: Vec<usize>,
    /// What the search has no use for: training images beyond the sizes asked for.
    pub rest: Vec<usize>,
}

impl Split {
    /// Draws a split that keeps class shares in each part; the same for equal seeds.
    ///
    /// A test set from the source is kept whole; otherwise one is held out. If the source has a validation set,
    /// validation images are drawn from it; otherwise they come out of the training set. The sizes are upper
    /// bounds: a smaller data set gives fewer images in the same proportion. Images that belong together
    /// ([`Dataset::groups`]) stay on one side, unless the source itself has them on two; sizes and class shares
    /// are then met as closely as that allows.
    ///
    /// # Errors
    /// [`DataError::Unusable`] if a size is below the number of classes, or a class has too few images, or too few
    /// groups of them, to be in every part.
    pub fn draw(dataset: &Dataset, sizes: SplitSizes, seed: u64) -> Result<Self, DataError> {
        Self::beside(dataset, None, sizes, seed)
    }

    /// Draws another split with the same test set: repeated hold-out.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn redraw(&self, dataset: &Dataset, sizes: SplitSizes, seed: u64) -> Result<Self, DataError> {
        Self::beside(dataset, Some(&self.test), sizes, seed)
    }

    fn beside(dataset: &Dataset, test: Option<&[usize]>, sizes: SplitSizes, seed: u64) -> Result<Self, DataError> {
        let classes = dataset.classes().len();
        let [train_size, validation_size, test_size] =
            [sizes.train, sizes.validation, sizes.test].map(|size| size.of(dataset.len()));
        for (name, size, given) in [
            ("train_set_size", train_size, sizes.train),
            ("validation_set_size", validation_size, sizes.validation),
            ("test_set_size", test_size.max(usize::from(sizes.test == TEST_SHARE) * classes), sizes.test),
        ] {
            if size < classes {
                return Err(DataError::unusable(
                    dataset.origin(),
                    format!("{name} = {given} is below the number of classes, {classes}; raise it"),
                ));
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let held_out: HashSet<usize> = test.unwrap_or_default().iter().copied().collect();
        let given = |part| Pool::of(dataset, |image, p| p == part && !held_out.contains(&image));
        let mut train = given(Part::Train);
        let mut validation = given(Part::Validation);
        let mut test = given(Part::Test);
        for pool in [&mut train, &mut validation, &mut test] {
            pool.shuffle(&mut rng);
        }
        let drawn = validation.len() == 0;
        if !held_out.is_empty() {
            test = Pool::of(dataset, |image, _| held_out.contains(&image));
        } else if test.len() == 0 {
            let kept = if drawn { 2 } else { 1 };
            test = train.part(dataset, test_size, kept, "a test part", &mut rng)?;
        }
        let (train_size, mut validation, validation_size) = if drawn {
            let wanted = train_size + validation_size;
            let scale = (train.len() as f64 / wanted as f64).min(1.0);
            let size = ((validation_size as f64 * scale) as usize).max(classes);
            let train_size = ((train_size as f64 * scale) as usize).max(classes);
            (train_size, train.part(dataset, size, 1, "a validation part", &mut rng)?, size)
        } else {
            (train_size, validation, validation_size)
        };
        // Groups do not come in every size; the excess is left out.
        let validation = validation.take(dataset, validation_size.min(validation.len()), 0, "the validation part")?;
        let chosen = train.take(dataset, train_size.min(train.len()), 0, "the training part")?;
        Ok(Self {
            train: chosen.into_sorted(),
            validation: validation.into_sorted(),
            test: test.into_sorted(),
            rest: train.into_sorted(),
        })
    }
}

/// Image indices by class.
struct Pool {
    by_class: Vec<Vec<usize>>,
}

impl Pool {
    fn of(dataset: &Dataset, belongs: impl Fn(usize, Part) -> bool) -> Self {
        let mut by_class = vec![Vec::new(); dataset.classes().len()];
        for (index, (&label, &part)) in dataset.labels().iter().zip(dataset.parts()).enumerate() {
            if belongs(index, part) {
                by_class[label].push(index);
            }
        }
        Self { by_class }
    }

    fn shuffle(&mut self, rng: &mut ChaCha8Rng) {
        for class in &mut self.by_class {
            class.shuffle(rng);
        }
    }

    fn len(&self) -> usize {
        self.by_class.iter().map(Vec::len).sum()
    }

    /// Moves `size` images into a separate pool, each class in proportion, with at least one image per class and
    /// `kept` left behind.
    fn take(&mut self, dataset: &Dataset, size: usize, kept: usize, what: &str) -> Result<Self, DataError> {
        let counts: Vec<usize> = self.by_class.iter().map(Vec::len).collect();
        if let Some(class) = counts.iter().position(|&n| n <= kept) {
            return Err(DataError::unusable(
                dataset.origin(),
                format!(
                    "class \"{}\" has too few images for {what}; give it more or leave the class out",
                    dataset.classes()[class]
                ),
            ));
        }
        let quotas = shares(&counts, kept, size);
        Ok(Self {
            by_class: self
                .by_class
                .iter_mut()
                .zip(quotas)
                .map(|(class, quota)| class.split_off(class.len() - quota))
                .collect(),
        })
    }

    /// Like [`take`](Self::take), but images that belong together stay together.
    fn part(
        &mut self,
        dataset: &Dataset,
        size: usize,
        kept: usize,
        what: &str,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, DataError> {
        let Some(groups) = dataset.groups() else { return self.take(dataset, size, kept, what) };
        let mut by_group: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        self.by_class.iter().flatten().for_each(|&image| by_group.entry(groups[image]).or_default().push(image));
        let mut groups: Vec<Vec<usize>> = by_group.into_values().collect();
        groups.shuffle(rng);
        // Large groups first, while there is room for them; small ones then fill what is left.
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        let chosen = choose(dataset, &groups, size, kept, what)?;
        let pool = |wanted: bool| {
            let images = groups.iter().zip(&chosen).filter(|(_, chosen)| **chosen == wanted);
            let mut by_class = vec![Vec::new(); self.by_class.len()];
            images.flat_map(|(group, _)| group).for_each(|&image| by_class[dataset.labels()[image]].push(image));
            Self { by_class }
        };
        let [mut taken, mut left] = [pool(true), pool(false)];
        taken.shuffle(rng);
        left.shuffle(rng);
        *self = left;
        Ok(taken)
    }

    fn into_sorted(self) -> Vec<usize> {
        let mut all: Vec<usize> = self.by_class.into_iter().flatten().collect();
        all.sort_unstable();
        all
    }
}

/// Chooses groups with about `size` images in total, each class in proportion: one at a time, each bringing the
/// counts nearer to the target, as scikit-learn's `StratifiedGroupKFold` does. Every class is in at least one
/// chosen group, and in `kept` groups that are not chosen.
fn choose(
    dataset: &Dataset,
    groups: &[Vec<usize>],
    size: usize,
    kept: usize,
    what: &str,
) -> Result<Vec<bool>, DataError> {
    let classes = dataset.classes().len();
    let tallies: Vec<Vec<usize>> = groups
        .iter()
        .map(|group| {
            let mut tally = vec![0; classes];
            group.iter().for_each(|&image| tally[dataset.labels()[image]] += 1);
            tally
        })
        .collect();
    let sum = |class: usize| tallies.iter().map(|tally| tally[class]).sum::<usize>();
    let total: usize = groups.iter().map(Vec::len).sum();
    let aims: Vec<f64> = (0..classes).map(|class| sum(class) as f64 * size as f64 / total as f64).collect();
    // The number of groups of each class to leave behind.
    let mut left: Vec<usize> =
        (0..classes).map(|class| tallies.iter().filter(|tally| tally[class] > 0).count()).collect();
    if let Some(class) = left.iter().position(|&groups| groups <= kept) {
        return Err(DataError::unusable(
            dataset.origin(),
            format!(
                "class \"{}\" has too few images that do not belong together for {what}: {} groups of its {} images \
                 (equal images count as one); give it more or leave the class out",
                dataset.classes()[class],
                left[class],
                sum(class)
            ),
        ));
    }
    let mut counts = vec![0usize; classes];
    let mut chosen = vec![false; groups.len()];
    let spared = |left: &[usize], tally: &[usize]| (0..classes).all(|class| tally[class] == 0 || left[class] > kept);
    let mut take = |group: usize, counts: &mut [usize], left: &mut [usize]| {
        chosen[group] = true;
        for class in (0..classes).filter(|&class| tallies[group][class] > 0) {
            counts[class] += tallies[group][class];
            left[class] -= 1;
        }
    };
    for (group, tally) in tallies.iter().enumerate() {
        let gain: f64 = (0..classes)
            .map(|class| {
                let before = aims[class] - counts[class] as f64;
                before.abs() - (before - tally[class] as f64).abs()
            })
            .sum();
        if gain > 0.0 && spared(&left, tally) {
            take(group, &mut counts, &mut left);
        }
    }
    for class in 0..classes {
        if counts[class] == 0 {
            // The smallest group of a class for which there was no room.
            let smallest =
                (0..groups.len()).rev().find(|&group| tallies[group][class] > 0 && spared(&left, &tallies[group]));
            let Some(group) = smallest else {
                let why = format!(
                    "class \"{}\" cannot be in every part without separating images that belong together; give it more \
                     groups or leave the class out",
                    dataset.classes()[class]
                );
                return Err(DataError::unusable(dataset.origin(), why));
            };
            take(group, &mut counts, &mut left);
        }
    }
    Ok(chosen)
}

/// Divides `size` among classes of the given sizes by largest remainder: at least one each, with at least `kept`
/// left of each.
fn shares(counts: &[usize], kept: usize, size: usize) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    let size = size.clamp(counts.len(), total - kept * counts.len());
    let exact: Vec<f64> = counts.iter().map(|&n| n as f64 * size as f64 / total as f64).collect();
    let mut quotas: Vec<usize> =
        counts.iter().zip(&exact).map(|(&n, &share)| (share as usize).clamp(1, n - kept)).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let mut given: usize = quotas.iter().sum();
    for &class in order.iter().cycle() {
        if given >= size {
            break;
        }
        if quotas[class] < counts[class] - kept {
            quotas[class] += 1;
            given += 1;
        }
    }
    while given > size {
        // The largest classes pay for those that the minimum of one image lifted above their share.
        let largest = (0..quotas.len()).max_by_key(|&class| quotas[class]).expect("there are classes");
        quotas[largest] -= 1;
        given -= 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ndarray::Array4;
    use proptest::prelude::*;

    use super::*;

    fn dataset(counts: &[usize], parts: impl Fn(usize) -> Part) -> Dataset {
        let labels: Vec<usize> =
            counts.iter().enumerate().flat_map(|(label, &n)| std::iter::repeat_n(label, n)).collect();
        let classes = (0..counts.len()).map(|c| format!("class-{c}")).collect();
        let parts = (0..labels.len()).map(parts).collect();
        Dataset::new(Path::new("mine"), Array4::zeros((labels.len(), 1, 1, 1)), labels, classes, parts).unwrap()
    }

    proptest! {
        #[test]
        fn parts_never_overlap_and_hold_every_class(
            counts in prop::collection::vec(3usize..60, 2..6), train in 6usize..80, validation in 6usize..80, seed: u64,
        ) {
            let dataset = dataset(&counts, |_| Part::Train);
            let split = Split::draw(&dataset, SplitSizes::counts(train, validation), seed).unwrap();
            let mut all: Vec<usize> =
                [&split.train, &split.validation, &split.test, &split.rest].into_iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..dataset.len()).collect::<Vec<_>>());
            prop_assert!(split.train.len() <= train && split.validation.len() <= validation);
            for part in [&split.train, &split.validation, &split.test] {
                for class in 0..counts.len() {
                    prop_assert!(part.iter().any(|&i| dataset.labels()[i] == class));
                }
            }
            prop_assert_eq!(split, Split::draw(&dataset, SplitSizes::counts(train, validation), seed).unwrap());
        }

        #[test]
        fn class_shares_are_kept(size in 10usize..200) {
            let dataset = dataset(&[500, 300, 200], |_| Part::Train);
            let split = Split::draw(&dataset, SplitSizes::counts(size, 10), 1).unwrap();
            prop_assert_eq!(split.train.len(), size);
            for (class, share) in [0.5, 0.3, 0.2].into_iter().enumerate() {
                let n = split.train.iter().filter(|&&i| dataset.labels()[i] == class).count();
                prop_assert!((n as f64 - share * size as f64).abs() < 1.5);
            }
        }
    }

    proptest! {
        #[test]
        fn another_split_has_the_same_test_part(seed: u64, given: bool, train in 20usize..60) {
            let part = |i: usize| if given && i.is_multiple_of(4) { Part::Validation } else { Part::Train };
            let dataset = dataset(&[40, 30, 30], part);
            let sizes = SplitSizes::counts(train, 12);
            let first = Split::draw(&dataset, sizes, 1).unwrap();
            let second = first.redraw(&dataset, sizes, seed).unwrap();
            prop_assert_eq!(&first.test, &second.test);
            prop_assert_eq!([first.train.len(), first.validation.len()], [second.train.len(), second.validation.len()]);
            prop_assert!(first.validation != second.validation);
            let all: HashSet<usize> = [&second.train, &second.validation, &second.test].into_iter().flatten().copied().collect();
            prop_assert_eq!(all.len(), second.train.len() + second.validation.len() + second.test.len());
            prop_assert!(!given || second.validation.iter().all(|&i| part(i) == Part::Validation));
        }
    }

    #[test]
    fn a_given_test_part_is_kept_whole() {
        let dataset = dataset(&[50, 50], |i| if i % 5 == 0 { Part::Test } else { Part::Train });
        let split = Split::draw(&dataset, SplitSizes::counts(20, 10), 3).unwrap();
        assert_eq!(split.test, (0..100).step_by(5).collect::<Vec<_>>());
        assert_eq!((split.train.len(), split.validation.len()), (20, 10));
    }

    proptest! {
        #[test]
        fn what_belongs_together_is_never_parted(
            sizes in prop::collection::vec((1usize..12, 0usize..3), 30..80), seed: u64,
        ) {
            // Groups with images of one class each; groups 0 to 8 ensure that every class has three.
            let firsts = (0..9).map(|i| (4, i % 3));
            let groups: Vec<(usize, usize)> = firsts.chain(sizes).collect();
            let mut images: Vec<(usize, usize)> = Vec::new();
            for (group, &(size, class)) in groups.iter().enumerate() {
                images.extend(std::iter::repeat_n((class, group), size));
            }
            images.sort_unstable();
            let counts: Vec<usize> = (0..3).map(|class| images.iter().filter(|image| image.0 == class).count()).collect();
            let of: Vec<usize> = images.iter().map(|image| image.1).collect();
            let total = of.len();
            let dataset = dataset(&counts, |_| Part::Train).with_groups(of.clone()).unwrap();
            let split = Split::draw(&dataset, SplitSizes::counts(total, total), seed).unwrap();
            let sides = [[&split.train[..], &split.rest].concat(), split.validation.clone(), split.test.clone()];
            for (a, side) in sides.iter().enumerate() {
                for other in &sides[a + 1..] {
                    prop_assert!(!side.iter().any(|&image| other.iter().any(|&far| of[far] == of[image])));
                }
                for class in 0..3 {
                    prop_assert!(side.iter().any(|&image| dataset.labels()[image] == class));
                }
            }
            // The test part is a fifth, give or take a group or so of each class.
            prop_assert!(split.test.len().abs_diff(total / 5) <= 18, "{} of {total}", split.test.len());
            prop_assert_eq!(split, Split::draw(&dataset, SplitSizes::counts(total, total), seed).unwrap());
        }
    }

    #[test]
    fn groups_of_several_classes_are_kept_whole_too() {
        // Ten patients with three images of each class.
        let dataset = dataset(&[30, 30], |_| Part::Train).with_groups((0..60).map(|i| i % 10).collect()).unwrap();
        let split = Split::draw(&dataset, SplitSizes::counts(30, 12), 5).unwrap();
        let patients = |images: &[usize]| images.iter().map(|i| i % 10).collect::<std::collections::BTreeSet<_>>();
        assert_eq!((split.test.len(), patients(&split.test).len()), (12, 2));
        assert_eq!(split.validation.len(), 12);
        assert!(patients(&split.test).is_disjoint(&patients(&split.train)));
        assert!(patients(&split.validation).is_disjoint(&patients(&split.train)));
        let one = super::tests::dataset(&[10, 10], |_| Part::Train).with_groups(vec![1; 20]).unwrap();
        let error = Split::draw(&one, SplitSizes::counts(10, 5), 1).unwrap_err().to_string();
        assert!(error.contains("1 groups of its 10 images"), "{error}");
    }

    #[test]
    fn sizes_can_be_shares_of_all() {
        let dataset = dataset(&[100, 100], |_| Part::Train);
        let sizes = SplitSizes { train: Amount::Share(0.5), validation: Amount::Share(0.2), test: Amount::Share(0.1) };
        let split = Split::draw(&dataset, sizes, 1).unwrap();
        assert_eq!([&split.train, &split.validation, &split.test, &split.rest].map(Vec::len), [100, 40, 20, 40]);
        let small = SplitSizes { validation: Amount::Share(0.001), ..sizes };
        let error = Split::draw(&dataset, small, 1).unwrap_err().to_string();
        assert!(error.contains("validation_set_size = 0.001 is below the number of classes"), "{error}");
    }

    #[test]
    fn a_class_too_small_to_share_is_named() {
        let dataset = dataset(&[50, 2], |_| Part::Train);
        let error = Split::draw(&dataset, SplitSizes::counts(20, 10), 3).unwrap_err().to_string();
        assert!(error.contains("class \"class-1\" has too few images"), "{error}");
        let small = Split::draw(&dataset, SplitSizes::counts(1, 10), 3).unwrap_err().to_string();
        assert!(small.contains("train_set_size = 1"), "{small}");
    }
}
