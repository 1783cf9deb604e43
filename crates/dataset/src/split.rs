//! Train, validation and test: seeded, stratified, and never overlapping.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{DataError, Dataset, Part};

/// How many images the search may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitSizes {
    /// Images the child model is trained on.
    pub train: usize,
    /// Images the reward is measured on.
    pub validation: usize,
}

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

/// Share of the images held out as the test part when the source gives none.
const TEST_SHARE: f64 = 0.2;

impl Split {
    /// Draws a split with class shares kept in each part, the same for equal seeds.
    ///
    /// A test part given by the source is kept whole; otherwise a fifth of the images is held out for it. A validation
    /// part given by the source is drawn from for validation; otherwise validation images come out of the training
    /// part. The sizes are upper bounds: a smaller data set gives fewer images in the same proportion.
    ///
    /// # Errors
    /// [`DataError::Unusable`] when a size is 0, when a size is below the number of classes, or when a class has too
    /// few images to be in every part.
    pub fn draw(dataset: &Dataset, sizes: SplitSizes, seed: u64) -> Result<Self, DataError> {
        let classes = dataset.classes().len();
        for (name, size) in [("train_set_size", sizes.train), ("validation_set_size", sizes.validation)] {
            if size < classes {
                return Err(DataError::unusable(
                    dataset.origin(),
                    format!("{name} = {size} is below the number of classes, {classes}; raise it"),
                ));
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let given = |part| Pool::of(dataset, |p| p == part);
        let mut train = given(Part::Train);
        let mut validation = given(Part::Validation);
        let mut test = given(Part::Test);
        for pool in [&mut train, &mut validation, &mut test] {
            pool.shuffle(&mut rng);
        }
        if test.len() == 0 {
            let held_out = (train.len() as f64 * TEST_SHARE).round() as usize;
            let kept = if validation.len() == 0 { 2 } else { 1 };
            test = train.take(dataset, held_out, kept, "a test part")?;
        }
        let (train_size, validation) = if validation.len() == 0 {
            let wanted = sizes.train + sizes.validation;
            let scale = (train.len() as f64 / wanted as f64).min(1.0);
            let size = ((sizes.validation as f64 * scale) as usize).max(classes);
            let train_size = ((sizes.train as f64 * scale) as usize).max(classes);
            (train_size, train.take(dataset, size, 1, "a validation part")?)
        } else {
            let size = sizes.validation.min(validation.len());
            (sizes.train.min(train.len()), validation.take(dataset, size, 0, "the validation part")?)
        };
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
    fn of(dataset: &Dataset, belongs: impl Fn(Part) -> bool) -> Self {
        let mut by_class = vec![Vec::new(); dataset.classes().len()];
        for (index, (&label, &part)) in dataset.labels().iter().zip(dataset.parts()).enumerate() {
            if belongs(part) {
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

    /// Moves `size` images into a pool of their own, each class in proportion, with at least one image and with `kept`
    /// left behind.
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

    fn into_sorted(self) -> Vec<usize> {
        let mut all: Vec<usize> = self.by_class.into_iter().flatten().collect();
        all.sort_unstable();
        all
    }
}

/// Divides `size` among classes of the given sizes by largest remainder: at least one each, and at least `kept` left of
/// each.
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
        // The classes that one image each lifted above their share are paid for by the largest.
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
            let split = Split::draw(&dataset, SplitSizes { train, validation }, seed).unwrap();
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
            prop_assert_eq!(split, Split::draw(&dataset, SplitSizes { train, validation }, seed).unwrap());
        }

        #[test]
        fn class_shares_are_kept(size in 10usize..200) {
            let dataset = dataset(&[500, 300, 200], |_| Part::Train);
            let split = Split::draw(&dataset, SplitSizes { train: size, validation: 10 }, 1).unwrap();
            prop_assert_eq!(split.train.len(), size);
            for (class, share) in [0.5, 0.3, 0.2].into_iter().enumerate() {
                let n = split.train.iter().filter(|&&i| dataset.labels()[i] == class).count();
                prop_assert!((n as f64 - share * size as f64).abs() < 1.5);
            }
        }
    }

    #[test]
    fn a_given_test_part_is_kept_whole() {
        let dataset = dataset(&[50, 50], |i| if i % 5 == 0 { Part::Test } else { Part::Train });
        let split = Split::draw(&dataset, SplitSizes { train: 20, validation: 10 }, 3).unwrap();
        assert_eq!(split.test, (0..100).step_by(5).collect::<Vec<_>>());
        assert_eq!((split.train.len(), split.validation.len()), (20, 10));
    }

    #[test]
    fn a_class_too_small_to_share_is_named() {
        let dataset = dataset(&[50, 2], |_| Part::Train);
        let error = Split::draw(&dataset, SplitSizes { train: 20, validation: 10 }, 3).unwrap_err().to_string();
        assert!(error.contains("class \"class-1\" has too few images"), "{error}");
        let small = Split::draw(&dataset, SplitSizes { train: 1, validation: 10 }, 3).unwrap_err().to_string();
        assert!(small.contains("train_set_size = 1"), "{small}");
    }
}
