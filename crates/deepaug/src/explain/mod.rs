//! Explains what ops and policies do to a net that has been trained without them: which classes they make hard, and
//! where they only add variety.

mod findings;
mod terms;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use deepaug_augmenter::{Application, Online, Op, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::EpochRecord;
use deepaug_dataset::Dataset;
use ndarray::{Array4, Axis, concatenate, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::findings::Finding;
use self::findings::findings;
use self::terms::OfImage;
pub use self::terms::Terms;
use crate::cancel::Cancel;
use crate::config::{Config, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::files::{write_json, write_table};
use crate::layout;
use crate::logits::greatest;
use crate::policies::read::Policies;
use crate::probe::{self, Probe};
use crate::rng::{Purpose, derive};
use crate::study::folder::read_frozen;

/// What to explain, and how thoroughly.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// A policy to explain as a whole, with how it is applied.
    pub policy: Option<(Policy, Application)>,
    /// Ops to explain one by one; those that do not exist in the range table are left out.
    pub ops: Vec<Op>,
    /// What magnitudes mean.
    pub ranges: RangeTable,
    /// At which magnitudes, in (0, 1].
    pub magnitudes: Vec<f64>,
    /// How often each image is changed by each.
    pub draws: usize,
    /// Maximum number of images to look at.
    pub images: usize,
}

/// How a net that was trained without augmentation reads images that have been changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The net's accuracy on the images looked at, which it has not learnt from.
    pub accuracy: f64,
    /// How many they are.
    pub images: usize,
    /// How often each was changed by each op.
    pub draws: usize,
    /// The whole policy first, then the ops by their highest cost.
    pub changes: Vec<Change>,
    /// The pairs of an op and a class that cost most, or whose reading changes most.
    pub harmful: Vec<Finding>,
    /// The pairs that add most variety without changing what is read.
    pub helpful: Vec<Finding>,
}

/// What one op at one magnitude does, or a whole policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The op; absent for a whole policy.
    pub op: Option<Op>,
    /// Its magnitude.
    pub magnitude: Option<f64>,
    /// Over all images.
    pub all: Terms,
    /// Over the images of each class.
    pub by_class: Vec<Terms>,
    /// For each class, the class that its images are most often mistaken for after the change, among those that were
    /// read right before, and how often.
    pub mistaken: Vec<Option<Mistaken>>,
}

/// A class that images are mistaken for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mistaken {
    /// The class.
    pub class: usize,
    /// The share of changed images.
    pub share: f64,
}

impl Change {
    /// Returns the op and its magnitude, or that it is the whole policy.
    pub fn name(&self) -> String {
        match (self.op, self.magnitude) {
            (Some(op), Some(magnitude)) => format!("{op} {magnitude:.2}"),
            _ => "the whole policy".into(),
        }
    }
}

/// What a path names that can be explained.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// A policy, with how it is applied; none for a study that has found none, or has not ended.
    pub policy: Option<(Policy, Application)>,
    /// The configuration of the study.
    pub config: Option<Config>,
}

impl Subject {
    /// Reads a policy or a study.
    ///
    /// # Errors
    /// As [`Policies::read`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let is_study = path.join(layout::CONFIG).exists();
        let config = is_study.then(|| read_frozen(path)).transpose()?.map(ValidConfig::into_inner);
        if is_study && !path.join(layout::RESULT).exists() {
            return Ok(Self { policy: None, config });
        }
        let Policies { mut policies, application, .. } = Policies::answer(path, 1)?;
        Ok(Self { policy: policies.pop().map(|policy| (policy, application)), config })
    }

    /// Returns how images are read and the net is trained: as in the study, or, for other images, as a search without a
    /// configuration does.
    pub fn config(&self, data: Option<&Path>) -> Config {
        probe::config(self.config.as_ref(), data)
    }
}

impl Explain {
    /// Trains the net, on images that a search with this configuration trains on, and explains on those that it judges
    /// by; never on test images. The net's weights are kept in the folder, if one is given, for the next time. `on_event` is
    /// called with what is being done, how much is done, and of how much.
    ///
    /// # Errors
    /// [`Error`]: nothing to explain, too few images, a device that cannot be used, a failed training;
    /// [`Error::Stopped`].
    pub fn run(
        &self,
        config: &ValidConfig,
        dataset: &Dataset,
        folder: Option<&Path>,
        cancel: &Cancel,
        on_event: &(dyn Fn(&'static str, usize, usize) + Sync),
    ) -> Result<Explanation, Error> {
        let mut todo: Vec<(Option<Step>, Policy, Online)> = Vec::new();
        if let Some((policy, application)) = self.policy.as_ref().filter(|(policy, _)| policy.steps().next().is_some())
        {
            let online = application.online().unwrap_or(Online { chance: 1.0, ..Online::NOTHING });
            let last = Policy { earlier: Vec::new(), epochs: 1, ..policy.clone() };
            todo.push((None, last, online));
        }
        for op in self.ops.iter().copied().filter(|&op| self.ranges.has(op)) {
            for &magnitude in &self.magnitudes {
                let step = Step::new(op, magnitude);
                let policy = Policy::new(self.ranges, 1.0, vec![SubPolicy { ops: vec![step] }]);
                todo.push((Some(step), Policy { in_place: true, ..policy }, Online::NOTHING));
            }
        }
        if todo.is_empty() || self.draws == 0 {
            return Err(ConfigError::new("there is nothing to explain: name ops, or a policy that has some").into());
        }
        let weights = folder.map(|folder| folder.join(layout::PROBE));
        let on_epoch = |record: &EpochRecord, epochs| {
            on_event(probe::TRAINING, record.epoch, epochs);
            !cancel.is_cancelled()
        };
        let probe = Probe::train(config, dataset, weights, &on_epoch)?;
        let set = probe.fold().set(dataset.classes().len());
        let all = set.validation_labels.len();
        let chosen: Vec<usize> = (0..all.min(self.images)).map(|i| i * all / all.min(self.images)).collect();
        let images = set.validation_images.select(Axis(0), &chosen);
        let labels: Vec<usize> = chosen.iter().map(|&image| set.validation_labels[image]).collect();
        let unchanged = probe.logits(images.view())?;

        let done = AtomicUsize::new(0);
        let measured = |(number, (step, policy, online)): (usize, &(Option<Step>, Policy, Online))| {
            if cancel.is_cancelled() {
                return Err(Error::Stopped);
            }
            let version = |draw: usize| {
                let seed = derive(config.seed, Purpose::Explanation, (number * self.draws + draw) as u64);
                online.images(policy, images.view(), seed)
            };
            let versions: Vec<Array4<u8>> = (0..self.draws).map(version).collect();
            let views: Vec<_> = versions.iter().map(|version| version.view()).collect();
            let logits = probe.logits(concatenate(Axis(0), &views).expect("versions of the same images").view())?;
            let terms: Vec<OfImage> = (0..labels.len())
                .map(|image| {
                    let versions = logits.slice(s![image..; labels.len() as isize, ..]);
                    OfImage::new(unchanged.row(image), versions, labels[image])
                })
                .collect();
            on_event("ops and magnitudes", done.fetch_add(1, Ordering::Relaxed) + 1, todo.len());
            Ok(change(*step, &terms, &labels, set.classes))
        };
        let mut changes = todo.par_iter().enumerate().map(measured).collect::<Result<Vec<Change>, Error>>()?;
        sort(&mut changes);
        let classes = dataset.classes().to_vec();
        let right = unchanged.outer_iter().zip(&labels).filter(|(logits, label)| greatest(*logits) == **label);
        let accuracy = right.count() as f64 / labels.len().max(1) as f64;
        let (harmful, helpful) = findings(&changes, &classes);
        Ok(Explanation { classes, accuracy, images: labels.len(), draws: self.draws, changes, harmful, helpful })
    }
}

fn change(step: Option<Step>, terms: &[OfImage], labels: &[usize], classes: usize) -> Change {
    let of = |class: usize| terms.iter().zip(labels).filter(move |(_, label)| **label == class).map(|(terms, _)| terms);
    let mistaken = |class: usize| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        of(class).filter(|terms| terms.is_right).flat_map(|terms| &terms.read_as).for_each(|&read| {
            *counts.entry(read).or_default() += 1;
        });
        let all: usize = counts.values().sum();
        let others = counts.into_iter().filter(|&(read, _)| read != class);
        let (class, count) = others.max_by_key(|&(read, count)| (count, std::cmp::Reverse(read)))?;
        Some(Mistaken { class, share: count as f64 / all as f64 })
    };
    Change {
        op: step.map(|step| step.op),
        magnitude: step.map(|step| step.magnitude),
        all: Terms::mean(terms.iter()),
        by_class: (0..classes).map(|class| Terms::mean(of(class))).collect(),
        mistaken: (0..classes).map(mistaken).collect(),
    }
}

/// Sorts ops by their highest cost, and each by magnitude, after the whole policy.
fn sort(changes: &mut [Change]) {
    let mut highest: BTreeMap<Option<Op>, f64> = BTreeMap::new();
    for change in changes.iter() {
        let highest = highest.entry(change.op).or_insert(f64::NEG_INFINITY);
        *highest = highest.max(change.all.cost);
    }
    changes.sort_by(|a, b| {
        let key = |change: &Change| (change.op.is_some(), -highest[&change.op]);
        let ((a_op, a_cost), (b_op, b_cost)) = (key(a), key(b));
        let magnitude = |change: &Change| change.magnitude.unwrap_or(0.0);
        (a_op.cmp(&b_op))
            .then(a_cost.total_cmp(&b_cost))
            .then(a.op.cmp(&b.op))
            .then(magnitude(a).total_cmp(&magnitude(b)))
    });
}

impl Explanation {
    /// Writes `explanation.json`, which reports read, and `explanation.csv`: a row for each change and class, and one for
    /// all classes.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        write_json(&folder.join(layout::EXPLANATION), self)?;
        let columns = [
            "op",
            "magnitude",
            "class",
            "images",
            "loss",
            "cost",
            "cost_error",
            "shift",
            "variance",
            "remainder",
            "changed",
            "mistaken_for",
            "mistaken_share",
        ];
        let row = |change: &Change, (class, terms, mistaken): (&str, &Terms, Option<Mistaken>)| {
            let op = change.op.map_or("", Op::name).to_string();
            let magnitude = change.magnitude.map(|magnitude| magnitude.to_string()).unwrap_or_default();
            let mut cells = vec![op, magnitude, class.into(), terms.images.to_string()];
            let values = [terms.loss, terms.cost, terms.error, terms.shift, terms.variance, terms.remainder()];
            cells.extend(values.into_iter().chain([terms.changed]).map(|value| value.to_string()));
            cells.push(mistaken.map(|mistaken| self.classes[mistaken.class].clone()).unwrap_or_default());
            cells.push(mistaken.map(|mistaken| mistaken.share.to_string()).unwrap_or_default());
            cells
        };
        let rows = self.changes.iter().flat_map(|change| {
            let of_classes = self.classes.iter().zip(&change.by_class).zip(&change.mistaken);
            let of_classes = of_classes.map(|((class, terms), mistaken)| (class.as_str(), terms, *mistaken));
            std::iter::once(("", &change.all, None)).chain(of_classes).map(move |of| row(change, of))
        });
        write_table(&folder.join(layout::EXPLANATION_TABLE), &columns, rows)
    }

    /// Reads what [`write`](Self::write) wrote into a folder, if anything.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(layout::EXPLANATION);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(&path, error)),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::study(&path, format!("not a file that deepaug wrote: {error}"))),
        }
    }
}
