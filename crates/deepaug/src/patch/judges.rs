//! Whether translated images look like those of the subgroup that they were translated into, and are still what they were.

use std::path::Path;

use deepaug_augmenter::sheet;
use deepaug_child_model::EpochRecord;
use deepaug_controller::Method;
use deepaug_dataset::{Dataset, Subgroups};
use ndarray::{Array4, ArrayView4, Axis};
use serde::{Deserialize, Serialize};

use crate::config::auto::Auto;
use crate::config::{Config, LossKind, SearchMethod, ValidConfig};
use crate::error::Error;
use crate::images::preview::write_sheet;
use crate::layout;
use crate::logits::greatest;
use crate::probe::Probe;

/// Images of each group that translations are judged on.
const IMAGES: usize = 100;

/// Images of each subgroup in a sheet.
const SHOWN: usize = 8;

/// Epochs of a judge's training, unless the children have fewer.
const EPOCHS: usize = 10;

/// Translated images must be taken for their new subgroup so often, as a share of how often real ones are.
pub const TAKEN: f64 = 0.85;
/// Their class must be read right so often, as a share of how often that of real ones is.
pub const KEPT: f64 = 0.9;

/// What judges make of translations of images that neither they nor the translators have learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// After how many batches; 0 for translators that do not learn.
    pub step: usize,
    /// For each subgroup, the share of the others' images that are taken for its own after translation into it; the mean over
    /// classes.
    pub taken: Vec<f64>,
    /// The share of these of which the class is read right.
    pub kept: Vec<f64>,
    /// The share of untouched images of which the subgroup is read right, the mean over groups.
    pub own_subgroup: f64,
    /// The share of these of which the class is read right.
    pub own_class: f64,
}

impl Judged {
    /// Whether they are good enough to be used.
    pub fn passes(&self) -> bool {
        let all = |shares: &[f64], least: f64| shares.iter().all(|share| *share >= least);
        all(&self.taken, TAKEN * self.own_subgroup) && all(&self.kept, KEPT * self.own_class)
    }
}

/// Translates images, given their subgroups, into another.
pub(super) type Translating<'t> = dyn FnMut(ArrayView4<'_, u8>, &[usize], usize) -> Result<Array4<u8>, Error> + 't;

/// A net that tells subgroups apart and one that tells classes apart, and the images they are asked about.
pub(super) struct Judges {
    subgroup: Probe,
    class: Probe,
    pub(super) images: Array4<u8>,
    /// Class and subgroup of each.
    groups: Vec<(usize, usize)>,
    counts: [usize; 2],
    own: [f64; 2],
}

impl Judges {
    /// Returns the epochs of each judge's training.
    pub(super) fn epochs(config: &Config) -> usize {
        config.epochs().min(EPOCHS)
    }

    /// Trains both on training images, as many of each group in every batch.
    pub(super) fn train(
        config: &ValidConfig,
        dataset: &Dataset,
        subgroups: &Subgroups,
        [train, validation]: [&[usize]; 2],
        on_epoch: &dyn Fn(&EpochRecord, usize) -> bool,
    ) -> Result<Self, Error> {
        let config = Config {
            method: SearchMethod::Searcher(Method::default()),
            loss: LossKind::GroupDro,
            robust_learning_rate: 0.0,
            consistency: 0.0,
            child_epochs: Auto::Given(Self::epochs(config)),
            ..config.clone().into_inner()
        };
        let config = config.check()?;
        let class = Probe::of(&config, dataset, [train, validation], 0, None, on_epoch)?;
        let by_subgroup = told_apart_by_subgroup(dataset, subgroups)?;
        let subgroup = Probe::of(&config, &by_subgroup, [train, validation], 1, None, on_epoch)?;
        let mut chosen = Vec::new();
        for class in 0..dataset.classes().len() {
            for number in 0..subgroups.names.len() {
                let of = |image: &&usize| dataset.labels()[**image] == class && subgroups.of[**image] == number;
                chosen.extend(validation.iter().filter(of).take(IMAGES));
            }
        }
        let groups: Vec<(usize, usize)> =
            chosen.iter().map(|&image| (dataset.labels()[image], subgroups.of[image])).collect();
        let counts = [dataset.classes().len(), subgroups.names.len()];
        let mut judges = Self { subgroup, class, images: dataset.gather(&chosen), groups, counts, own: [f64::NAN; 2] };
        let (classes, subgroups) =
            (judges.read(&judges.class, judges.images.view())?, judges.read(&judges.subgroup, judges.images.view())?);
        let all: Vec<usize> = (0..judges.groups.len()).collect();
        judges.own = [
            judges.mean(&all, |image| classes[image] == judges.groups[image].0),
            judges.mean(&all, |image| subgroups[image] == judges.groups[image].1),
        ];
        Ok(judges)
    }

    /// Returns the subgroup of each of the judges' images.
    pub(super) fn subgroups(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.1).collect()
    }

    /// Judges what becomes of the judges' images when they are translated into each subgroup.
    pub(super) fn judge(
        &self,
        step: usize,
        translate: &mut dyn FnMut(usize) -> Result<Array4<u8>, Error>,
    ) -> Result<Judged, Error> {
        let (mut taken, mut kept) = (Vec::new(), Vec::new());
        for into in 0..self.counts[1] {
            let translated = translate(into)?;
            let others: Vec<usize> = (0..self.groups.len()).filter(|&image| self.groups[image].1 != into).collect();
            let images = translated.select(Axis(0), &others);
            let (subgroups, classes) =
                (self.read(&self.subgroup, images.view())?, self.read(&self.class, images.view())?);
            let place = |image: usize| others.partition_point(|&other| other < image);
            taken.push(self.mean(&others, |image| subgroups[place(image)] == into));
            kept.push(self.mean(&others, |image| classes[place(image)] == self.groups[image].0));
        }
        let [own_class, own_subgroup] = self.own;
        Ok(Judged { step, taken, kept, own_subgroup, own_class })
    }

    /// Draws some of the judges' images, what each becomes in other subgroups, and what becomes of it on the way back, into a
    /// file in a folder.
    pub(super) fn draw(&self, names: &[String], translate: &mut Translating<'_>, folder: &Path) -> Result<(), Error> {
        let mut rows = Vec::new();
        for (subgroup, name) in names.iter().enumerate() {
            let own: Vec<usize> = (0..self.groups.len()).filter(|&image| self.groups[image].1 == subgroup).collect();
            // Evenly spaced, for they are in the order of their classes.
            let shown = own.len().min(SHOWN);
            let chosen: Vec<usize> = (0..shown).map(|i| own[i * own.len() / shown]).collect();
            let originals = self.images.select(Axis(0), &chosen);
            rows.push((name.clone(), originals.clone()));
            for (other, into) in names.iter().enumerate().filter(|(other, _)| *other != subgroup) {
                let there = translate(originals.view(), &vec![subgroup; shown], other)?;
                let back = translate(there.view(), &vec![other; shown], subgroup)?;
                rows.extend([(format!("into {into}"), there), ("and back".into(), back)]);
            }
        }
        write_sheet(sheet::rows(&rows), &folder.join(layout::TRANSLATIONS))
    }

    fn read(&self, judge: &Probe, images: ArrayView4<'_, u8>) -> Result<Vec<usize>, Error> {
        Ok(judge.logits(images)?.outer_iter().map(greatest).collect())
    }

    /// Returns the share of images that are right in each group, on average over groups.
    fn mean(&self, images: &[usize], is_right: impl Fn(usize) -> bool) -> f64 {
        let mut counts = vec![(0.0, 0.0); self.counts[0] * self.counts[1]];
        for &image in images {
            let (class, subgroup) = self.groups[image];
            let (right, all) = &mut counts[class * self.counts[1] + subgroup];
            (*right, *all) = (*right + f64::from(u8::from(is_right(image))), *all + 1.0);
        }
        let shares: Vec<f64> = counts.iter().filter(|(_, all)| *all > 0.0).map(|(right, all)| right / all).collect();
        crate::statistics::mean(&shares)
    }
}

/// Returns the same images with subgroups for classes, and classes for subgroups.
fn told_apart_by_subgroup(dataset: &Dataset, subgroups: &Subgroups) -> Result<Dataset, Error> {
    let classes: Vec<String> = dataset.labels().iter().map(|&label| dataset.classes()[label].clone()).collect();
    let (images, parts) = (dataset.images().to_owned(), dataset.parts().to_vec());
    let other = Dataset::new(dataset.origin(), images, subgroups.of.clone(), subgroups.names.clone(), parts)?;
    Ok(other.with_subgroups(&classes)?)
}
