//! Draws what ops and policies do to the user's images, and warns if they may destroy what an image shows.

use std::path::Path;

use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy, sheet};
use deepaug_child_model::{Device, DeviceChoice, Model, Net, Settings, Training};
use deepaug_dataset::files::png;
use deepaug_dataset::{Dataset, Split, SplitSizes};
use ndarray::{Array3, Array4, ArrayView4, Axis};
use serde::Serialize;

use crate::config::Config;
use crate::error::Error;
use crate::files::write_whole;
use crate::study::objective::Fold;

/// Images in a sheet of policies: one of each class, up to this many.
const SHOWN: usize = 8;
/// Maximum numbers of images that the check trains on and measures on.
const CHECKED: [usize; 2] = [2000, 500];
/// Epochs of the check's training.
const EPOCHS: usize = 10;
/// An op is suspect if the child keeps less than this share of its accuracy above chance.
const MIN_KEPT: f64 = 0.5;

/// Maximum number of sub-policies drawn per policy.
const DRAWN: usize = 12;

/// Draws a sheet of policies on images of different classes: see [`sheet::policy`]. Of a policy with very many
/// sub-policies, as published ones have, it shows an evenly spaced selection.
pub fn policy_sheet(policies: &[Policy], dataset: &Dataset, draws: usize, seed: u64) -> Array3<u8> {
    let images = of_each_class(dataset);
    let sheets: Vec<Array3<u8>> =
        policies.iter().map(|policy| policy_sheet_of(policy, images.view(), draws, seed)).collect();
    let views: Vec<_> = sheets.iter().map(|sheet| sheet.view()).collect();
    ndarray::concatenate(Axis(0), &views).expect("sheets of the same images have one width")
}

/// Draws the same of one policy on images of the caller's, NHWC.
pub fn policy_sheet_of(policy: &Policy, images: ArrayView4<'_, u8>, draws: usize, seed: u64) -> Array3<u8> {
    // Where a number of them is drawn, the whole makes no sense without each of them.
    if !policy.counts.is_empty() {
        return sheet::policy(policy, images, draws, seed);
    }
    let all = policy.sub_policies.len();
    let shown = (0..all.min(DRAWN)).map(|i| policy.sub_policies[i * all / all.min(DRAWN)].clone());
    sheet::policy(&Policy { sub_policies: shown.collect(), ..policy.clone() }, images, draws, seed)
}

/// Returns the first image of each class, for the first classes.
pub(crate) fn of_each_class(dataset: &Dataset) -> Array4<u8> {
    let first = |class| dataset.labels().iter().position(|&label| label == class);
    dataset.gather(&(0..dataset.classes().len()).filter_map(first).take(SHOWN).collect::<Vec<_>>())
}

/// Draws a sheet of ops by magnitude, on the data set's first image: see [`sheet::ops`].
pub fn op_sheet(ranges: RangeTable, ops: &[Op], dataset: &Dataset, seed: u64) -> Array3<u8> {
    sheet::ops(ranges, ops, of_each_class(dataset).view(), seed)
}

/// Writes a sheet as a PNG file, whole or not at all.
///
/// # Errors
/// [`Error::File`].
pub fn write_sheet(sheet: Array3<u8>, path: &Path) -> Result<(), Error> {
    let bytes = png(sheet).map_err(|why| Error::file(path, std::io::Error::other(why)))?;
    write_whole(path, &bytes)
}

/// How well a child trained without augmentation recognises images that an op has changed. A loss of accuracy is a
/// hint, not proof of harm: the child never saw such images. It does prove that the op is no small matter for
/// these images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelCheck {
    /// Accuracy on unchanged images.
    pub accuracy: f64,
    /// Accuracy of guessing: the share of the most frequent class.
    pub chance: f64,
    /// Accuracy on the images after each op.
    pub ops: Vec<CheckedOp>,
}

/// An op of a [`LabelCheck`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedOp {
    /// The op.
    pub op: Op,
    /// Its magnitude.
    pub magnitude: f64,
    /// The child's accuracy on images that were all changed by it.
    pub accuracy: f64,
    /// Whether most of the child's accuracy is lost: check whether a person can still tell the classes.
    pub suspect: bool,
}

impl LabelCheck {
    /// Trains a small net on up to 2000 images, and measures it on up to 500 others, unchanged and after each op.
    ///
    /// # Errors
    /// [`Error::Data`] and [`Error::Child`]: too few or too small images; [`Error::Device`].
    pub fn run(ranges: RangeTable, steps: &[Step], dataset: &Dataset, seed: u64) -> Result<Self, Error> {
        // Half of a small set is kept for measuring.
        let sizes = SplitSizes::counts(CHECKED[0].min(dataset.len() / 2), CHECKED[1]);
        let split = Split::draw(dataset, sizes, seed)?;
        let fold = Fold::new(dataset, &split.train, &split.validation);
        let set = fold.set(dataset.classes().len());
        let (others, truth) = (set.validation_images, set.validation_labels);
        let model = Model::SimpleCnn;
        let settings = Settings { batch_size: 32, standardize: true, ..Settings::plain(EPOCHS, model.optimiser()) };
        let none = Policy::none(ranges);
        let training = Training::new(set, &none, &settings, seed);
        let net = Net::new(model, Device::open(DeviceChoice::Cpu)?);
        let changed = steps.iter().map(|step| {
            let ops = vec![Step { probability: 1.0, ..*step }];
            Policy::new(ranges, 1.0, vec![SubPolicy { ops }]).copies(others, seed).images
        });
        let accuracies = net.accuracies(&training, std::iter::once(others.to_owned()).chain(changed))?;
        let count = |class: usize| truth.iter().filter(|&&label| label == class).count();
        let chance = (0..set.classes).map(count).max().unwrap_or(0) as f64 / truth.len() as f64;
        let accuracy = accuracies[0];
        let checked = |(step, &kept): (&Step, &f64)| CheckedOp {
            op: step.op,
            magnitude: step.magnitude,
            accuracy: kept,
            suspect: kept - chance < MIN_KEPT * (accuracy - chance),
        };
        Ok(Self { accuracy, chance, ops: steps.iter().zip(&accuracies[1..]).map(checked).collect() })
    }

    /// Returns the distinct steps of policies.
    pub fn steps(policies: &[Policy]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for step in policies.iter().flat_map(Policy::steps) {
            if !steps.iter().any(|known| (known.op, known.magnitude) == (step.op, step.magnitude)) {
                steps.push(*step);
            }
        }
        steps
    }
}

/// Returns how the images of a preview are read: as those of a study, or those at a path as by default.
pub fn preview_config(path: Option<&Path>, study: Option<&Config>) -> Config {
    let config = study.cloned().unwrap_or_default();
    match path {
        None => config,
        // The study's reading options apply only to the study's images.
        Some(path) => {
            let data = path.to_string_lossy().into_owned();
            Config { data, image_size: config.image_size, ..Config::default() }
        }
    }
}
