//! Which images to augment, if not all (M. Kuchnik, V. Smith, Efficient augmentation via data subsampling, ICLR 2019): those
//! that matter most to a classifier on frozen features, or any.

mod logistic;
mod order;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use deepaug_augmenter::{Online, Policy};
use deepaug_child_model::EpochRecord;
use deepaug_dataset::{DataError, Dataset};
use ndarray::{Array1, Array2, Array4, ArrayView4, Axis, concatenate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use self::logistic::{Logistic, Score};
pub use self::order::{Choice, Order};
use crate::cancel::Cancel;
use crate::config::ValidConfig;
use crate::error::{ConfigError, Error};
use crate::files::{write_json, write_table};
use crate::probe::{self, Probe};
use crate::rng::{Purpose, derive};
use crate::statistics::mean;

/// Where the fit that scores images reads fewer of them right than this, scores mark ambiguous images as well as
/// unusual ones.
const WELL_FITTED: f64 = 0.95;
/// The same of images that it was not fitted to. Scores chose better than chance on a set of which 94 % were read right,
/// and worse on one of which 58 % were (reports/methods.md).
const WELL_READ: f64 = 0.8;

/// The strength C of the penalty |w|²/2C that is usual, the method's.
pub const STRENGTH: f64 = 10.0;

/// What to compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Subsample {
    /// What copies are made by; without one, images are only shifted.
    pub policy: Option<Policy>,
    /// What follows the policy, or replaces it; its `chance` counts for the policy.
    pub online: Online,
    /// Copies of each chosen image.
    pub copies: usize,
    /// Numbers of images to augment; all of them are always among these, and none.
    pub budgets: Vec<usize>,
    /// By which scores they are chosen.
    pub choices: Vec<Choice>,
    /// Which scores come first.
    pub order: Order,
    /// Whether an image and its copies together count as much as an image without copies.
    pub down_weight: bool,
    /// Whether images are scored anew at each budget, with the copies made so far.
    pub rescore: bool,
    /// How often each is repeated, with other random choices.
    pub rounds: usize,
    /// Maximum number of images to choose from.
    pub images: usize,
    /// The strength C of the classifier's penalty |w|²/2C.
    pub strength: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subsampled {
    /// Images to choose from, and images to measure on.
    pub images: [usize; 2],
    /// The share of the former that the fit which scores them reads right.
    pub fitted: f64,
    /// Accuracy without any copies, and with copies of all.
    pub none: Accuracy,
    /// Accuracy with copies of all images.
    pub all: Accuracy,
    /// Accuracy by budget and choice.
    pub budgets: Vec<Budget>,
    /// What should be known before a score is trusted.
    pub warnings: Vec<String>,
    /// The score of each image, in the order of the data set.
    #[serde(skip)]
    pub scores: Vec<Scored>,
}

/// Accuracy on images that were not learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accuracy {
    /// On the images as they are.
    pub clean: f64,
    /// On them and their copies.
    pub changed: f64,
}

/// A number of images, chosen in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// How they are chosen.
    pub choice: Choice,
    /// How many.
    pub images: usize,
    /// Of each round.
    pub rounds: Vec<Accuracy>,
}

impl Budget {
    /// Returns the mean accuracy over rounds.
    pub fn mean(&self) -> Accuracy {
        let of = |value: fn(&Accuracy) -> f64| mean(&self.rounds.iter().map(value).collect::<Vec<_>>());
        Accuracy { clean: of(|accuracy| accuracy.clean), changed: of(|accuracy| accuracy.changed) }
    }
}

/// How much an image matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// Its place in the data set.
    pub image: usize,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: String,
    /// Its loss under a classifier on features of all images.
    pub loss: f64,
    /// How much that classifier depends on it, to first order; never positive.
    pub influence: f64,
    /// Its leverage.
    pub leverage: f64,
}

/// Features of images, `[images, dimensions]`, and their classes.
struct Points {
    x: Array2<f64>,
    labels: Vec<usize>,
}

impl Subsample {
    /// Trains a net without augmentation on images that a search with this configuration trains on, scores them by what the
    /// net's last layer receives, and compares choices by classifiers on that. Accuracies are measured on images that such a
    /// search judges by; never on test images. `on_event` is called with what is being done, how much is done, and of how
    /// much.
    ///
    /// # Errors
    /// [`Error`]: too few images, a device that cannot be used, a failed training; [`Error::Stopped`].
    pub fn run(
        &self,
        config: &ValidConfig,
        dataset: &Dataset,
        cancel: &Cancel,
        on_event: &(dyn Fn(&'static str, usize, usize) + Sync),
    ) -> Result<Subsampled, Error> {
        if self.copies == 0 || self.rounds == 0 || self.choices.is_empty() {
            return Err(
                ConfigError::new("there is nothing to compare: copies, rounds and choices must not be 0").into()
            );
        }
        let epoch = |record: &EpochRecord, epochs| {
            on_event(probe::TRAINING, record.epoch, epochs);
            !cancel.is_cancelled()
        };
        let split = probe::split(config, dataset)?;
        // Evenly spaced, for they may be in the order of their classes.
        let (all, most) = (split.train.len(), split.train.len().min(self.images));
        let train: Vec<usize> = (0..most).map(|i| split.train[i * all / most]).collect();
        let probe = Probe::of(config, dataset, [&train, &split.validation], 0, None, &epoch)?;
        let classes = dataset.classes().len();
        let set = probe.fold().set(classes);
        for (class, name) in dataset.classes().iter().enumerate() {
            if !set.labels.contains(&class) {
                let why = format!(
                    "class \"{name}\" is not among the {} images to choose from; choose from more",
                    train.len()
                );
                return Err(DataError::Unusable { path: dataset.origin().into(), why }.into());
            }
        }
        let [(own, own_copies), (others, other_copies)] = [set.images, set.validation_images].map(|images| {
            let copies: Vec<Array4<u8>> = (0..self.copies).map(|copy| self.copy(images, config.seed, copy)).collect();
            (
                probe.features(images),
                copies.iter().map(|copy| probe.features(copy.view())).collect::<Result<Vec<_>, _>>(),
            )
        });
        let (own, own_copies, others, other_copies) = (own?, own_copies?, others?, other_copies?);
        let scale = scale(&own);
        let scaled = |x: &Array2<f64>| x * &scale;
        let own = Points { x: scaled(&own), labels: set.labels.to_vec() };
        let own_copies: Vec<Array2<f64>> = own_copies.iter().map(scaled).collect();
        let clean = Points { x: scaled(&others), labels: set.validation_labels.to_vec() };
        let others: Vec<Array2<f64>> =
            std::iter::once(clean.x.clone()).chain(other_copies.iter().map(scaled)).collect();
        let views: Vec<_> = others.iter().map(Array2::view).collect();
        let changed = Points {
            x: concatenate(Axis(0), &views).expect("features of one net"),
            labels: std::iter::repeat_n(&clean.labels, others.len()).flatten().copied().collect(),
        };

        let count = own.labels.len();
        let fits = Fits { subsample: self, own: &own, copies: &own_copies, classes, clean: &clean, changed: &changed };
        let scores = fits.scores(&[])?;
        let without = fits.model(&[]);
        let (fitted, none) = (fits.accuracy(&without, &own), fits.measure(&without));
        let mut budgets: Vec<usize> =
            self.budgets.iter().copied().filter(|&budget| budget > 0 && budget < count).collect();
        budgets.sort_unstable();
        budgets.dedup();
        let runs: Vec<(Choice, usize)> =
            self.choices.iter().flat_map(|&choice| (0..self.rounds).map(move |round| (choice, round))).collect();
        let done = AtomicUsize::new(0);
        let run = |&(choice, round): &(Choice, usize)| -> Result<Vec<Accuracy>, Error> {
            let seed = derive(config.seed, Purpose::Subsample, (round * 8 + choice as usize) as u64);
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let mut chosen: Vec<usize> = Vec::new();
            let mut order = self.ordered(choice, &scores, rng);
            let mut accuracies = Vec::new();
            for &budget in &budgets {
                if cancel.is_cancelled() {
                    return Err(Error::Stopped);
                }
                if self.rescore && choice != Choice::Uniform && !chosen.is_empty() {
                    order = self.ordered(choice, &fits.scores(&chosen)?, rng);
                }
                // What is augmented stays so.
                let more: Vec<usize> =
                    order.iter().copied().filter(|image| !chosen.contains(image)).take(budget - chosen.len()).collect();
                chosen.extend(more);
                accuracies.push(fits.measure(&fits.model(&chosen)));
                on_event("comparing", done.fetch_add(1, Ordering::Relaxed) + 1, budgets.len() * runs.len());
            }
            Ok(accuracies)
        };
        let found: Vec<Vec<Accuracy>> = runs.par_iter().map(run).collect::<Result<_, _>>()?;
        let of = |choice: Choice, place: usize| {
            let rounds = runs.iter().zip(&found).filter(|((other, _), _)| *other == choice);
            Budget { choice, images: budgets[place], rounds: rounds.map(|(_, accuracies)| accuracies[place]).collect() }
        };
        let by_budget = self.choices.iter().flat_map(|&choice| (0..budgets.len()).map(move |place| (choice, place)));
        let everything: Vec<usize> = (0..count).collect();
        let scored = |(place, score): (usize, &Score)| Scored {
            image: train[place],
            name: dataset.name(train[place]),
            class: dataset.classes()[own.labels[place]].clone(),
            loss: score.loss,
            influence: score.influence,
            leverage: score.leverage,
        };
        Ok(Subsampled {
            images: [count, clean.labels.len()],
            fitted,
            none,
            all: fits.measure(&fits.model(&everything)),
            budgets: by_budget.map(|(choice, place)| of(choice, place)).collect(),
            warnings: self.warnings([fitted, none.clean], count, &budgets),
            scores: scores.iter().enumerate().map(scored).collect(),
        })
    }

    fn copy(&self, images: ArrayView4<'_, u8>, seed: u64, copy: usize) -> Array4<u8> {
        let policy = self.policy.clone().unwrap_or_else(|| Policy::none(Default::default()));
        self.online.images(&policy, images, derive(seed, Purpose::Subsample, u64::from(u32::MAX) + copy as u64))
    }

    fn ordered(&self, choice: Choice, scores: &[Score], rng: &mut ChaCha8Rng) -> Vec<usize> {
        let of = |value: fn(&Score) -> f64| scores.iter().map(value).collect::<Vec<f64>>();
        match choice {
            Choice::Uniform => Order::uniform(scores.len(), rng),
            Choice::Loss => self.order.of(&of(|score| score.loss), rng),
            Choice::Influence => self.order.of(&of(|score| score.influence), rng),
        }
    }

    fn warnings(&self, [fitted, others]: [f64; 2], count: usize, budgets: &[usize]) -> Vec<String> {
        if self.choices == [Choice::Uniform] {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        if others < WELL_READ {
            warnings.push(format!(
                "the classifier reads only {:.1} % of other images right: high scores are then ambiguous or wrongly labelled images \
                 as often as unusual ones, and chance may choose better",
                100.0 * others
            ));
        }
        let wrong = ((1.0 - fitted) * count as f64).round() as usize;
        if fitted < WELL_FITTED {
            warnings.push(format!(
                "the classifier that scores images reads only {:.1} % of them right: high scores are then ambiguous or wrongly \
                 labelled images as often as unusual ones, and copies of those do harm",
                100.0 * fitted
            ));
        }
        let small: Vec<String> = budgets.iter().filter(|&&budget| budget < wrong).map(ToString::to_string).collect();
        if !small.is_empty() {
            warnings.push(format!(
                "it reads {wrong} images wrong, which have the highest scores: budgets below that ({}) hold few others",
                small.join(", ")
            ));
        }
        warnings
    }
}

/// Classifiers on features, and what they are measured on.
struct Fits<'a> {
    subsample: &'a Subsample,
    own: &'a Points,
    /// Of all images, copy by copy.
    copies: &'a [Array2<f64>],
    classes: usize,
    clean: &'a Points,
    changed: &'a Points,
}

impl Fits<'_> {
    /// Returns the points with the copies of some images, their classes, and how much each counts.
    fn points(&self, chosen: &[usize]) -> (Points, Vec<f64>) {
        let copies: Vec<Array2<f64>> = self.copies.iter().map(|copy| copy.select(Axis(0), chosen)).collect();
        let views: Vec<_> = std::iter::once(self.own.x.view()).chain(copies.iter().map(Array2::view)).collect();
        let x = concatenate(Axis(0), &views).expect("features of one net");
        let own = &self.own.labels;
        let of_copies = std::iter::repeat_n(chosen, self.copies.len()).flatten().map(|&image| own[image]);
        let labels: Vec<usize> = own.iter().copied().chain(of_copies).collect();
        let mut counts = vec![1.0; labels.len()];
        if self.subsample.down_weight {
            let share = 1.0 / (self.copies.len() + 1) as f64;
            chosen.iter().for_each(|&image| counts[image] = share);
            counts[own.len()..].fill(share);
        }
        (Points { x, labels }, counts)
    }

    /// Fits one model for each class against the others, or one for the second of two.
    fn model(&self, chosen: &[usize]) -> Vec<Logistic> {
        let (Points { x, labels }, counts) = self.points(chosen);
        let fit = |class| {
            let positive: Vec<bool> = labels.iter().map(|&label| label == class).collect();
            Logistic::fit(x.view(), &positive, &counts, self.subsample.strength)
        };
        of_classes(self.classes).map(fit).collect()
    }

    fn accuracy(&self, models: &[Logistic], on: &Points) -> f64 {
        let logits: Vec<_> = models.iter().map(|model| model.logits(on.x.view())).collect();
        let read = |point: usize| match logits.as_slice() {
            [of_second] => usize::from(of_second[point] > 0.0),
            several => (1..several.len())
                .fold(0, |best, class| if several[class][point] > several[best][point] { class } else { best }),
        };
        let right = on.labels.iter().enumerate().filter(|&(point, &label)| read(point) == label).count();
        right as f64 / on.labels.len().max(1) as f64
    }

    fn measure(&self, models: &[Logistic]) -> Accuracy {
        Accuracy { clean: self.accuracy(models, self.clean), changed: self.accuracy(models, self.changed) }
    }

    /// Returns the score of each image, with copies of some.
    fn scores(&self, chosen: &[usize]) -> Result<Vec<Score>, Error> {
        let (points, counts) = self.points(chosen);
        let count = self.own.labels.len();
        scored(&points, &counts, count, self.classes, self.subsample.strength)
            .map_err(|why| Error::from(ConfigError::new(why)))
    }
}

/// Returns the scores of the first `count` points, each in the model of its class against the others.
fn scored(
    Points { x, labels }: &Points,
    counts: &[f64],
    count: usize,
    classes: usize,
    strength: f64,
) -> Result<Vec<Score>, String> {
    let of_class = |class: usize| -> Result<Vec<(usize, Score)>, String> {
        let positive: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        if !positive.contains(&true) || !positive.contains(&false) {
            return Ok(Vec::new());
        }
        let model = Logistic::exact(x.view(), &positive, counts, strength)?;
        let scores = model.scores(x.view(), &positive, counts, count)?.into_iter().enumerate();
        Ok(scores.filter(|(image, _)| classes == 2 || labels[*image] == class).collect())
    };
    let mut all: Vec<(usize, Score)> =
        of_classes(classes).into_par_iter().map(of_class).collect::<Result<Vec<_>, _>>()?.concat();
    all.sort_by_key(|(image, _)| *image);
    if all.len() == count {
        Ok(all.into_iter().map(|(_, score)| score).collect())
    } else {
        Err("there is only one class, so no image can be told from others".into())
    }
}

/// Returns the classes that have a model of their own.
fn of_classes(classes: usize) -> std::ops::Range<usize> {
    if classes == 2 { 1..2 } else { 0..classes }
}

/// Returns the score of each image by what a net's last layer receives for it, `[images, dimensions]`, every dimension scaled
/// to unit deviation.
///
/// # Errors
/// Why images cannot be told apart.
pub(crate) fn scores(
    features: &Array2<f64>,
    labels: &[usize],
    classes: usize,
    choice: Choice,
) -> Result<Vec<f64>, String> {
    let points = Points { x: features * &scale(features), labels: labels.to_vec() };
    let scores = scored(&points, &vec![1.0; labels.len()], labels.len(), classes, STRENGTH)?;
    Ok(scores
        .iter()
        .map(|score| match choice {
            Choice::Uniform => 1.0,
            Choice::Loss => score.loss,
            Choice::Influence => score.influence,
        })
        .collect())
}

/// Returns what every dimension counts alike with, whatever the net's units.
fn scale(features: &Array2<f64>) -> Array1<f64> {
    features.std_axis(Axis(0), 0.0).mapv(|deviation| if deviation > 1e-9 { 1.0 / deviation } else { 0.0 })
}

impl Subsampled {
    /// Writes `budgets.csv`, `scores.csv` and `subsample.json`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        write_json(&folder.join("subsample.json"), self)?;
        let row = |choice: &str, images: usize, round: usize, of: &Accuracy| {
            let numbers = [images, round].map(|number| number.to_string());
            [vec![choice.to_string()], numbers.to_vec(), vec![of.clean.to_string(), of.changed.to_string()]].concat()
        };
        let mut rows = vec![row("none", 0, 0, &self.none), row("all", self.images[0], 0, &self.all)];
        for budget in &self.budgets {
            rows.extend(
                budget.rounds.iter().enumerate().map(|(round, of)| row(budget.choice.name(), budget.images, round, of)),
            );
        }
        let columns = ["choice", "images", "round", "accuracy", "accuracy_changed"];
        write_table(&folder.join("budgets.csv"), &columns, rows)?;
        let scores = self.scores.iter().map(|scored| {
            let values = [scored.loss, scored.influence, scored.leverage].map(|value| value.to_string());
            [vec![scored.name.clone(), scored.class.clone()], values.to_vec()].concat()
        });
        write_table(&folder.join("scores.csv"), &["image", "class", "loss", "influence", "leverage"], scores)
    }
}
