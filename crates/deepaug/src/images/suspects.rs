//! Images whose label may be wrong: those that nets which have not learnt from them read as something else, and are sure of
//! it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use deepaug_dataset::{DataError, Dataset};
use ndarray::Axis;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::cancel::Cancel;
use crate::config::ValidConfig;
use crate::config::auto::Auto;
use crate::error::Error;
use crate::files::write_table;
use crate::logits::{cross_entropy, greatest, values};
use crate::probe::Probe;
use crate::rng::{Purpose, derive};

/// Parts of the images; each is read by a net that has learnt from the others.
const FOLDS: usize = 4;
/// Epochs where the configuration leaves them open. With 5 % of the labels of two sets changed, the tenth of the images
/// with the highest losses held 71 and 100 % of them after 10 epochs, 67 and 100 % after 50, in a quarter of the time.
const EPOCHS: usize = 10;

/// How an image is read by a net that has not learnt from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// Its place in the data set.
    pub image: usize,
    /// Its name.
    pub name: String,
    /// The class that its label says.
    pub class: String,
    /// Cross-entropy of that class, in nats.
    pub loss: f64,
    /// The class that the net reads.
    pub read_as: String,
    /// The probability that it gives that class.
    pub probability: f64,
}

/// All images of a set, the most suspect first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspects {
    /// The images.
    pub images: Vec<Suspect>,
    /// The share that nets read right which have not learnt from them.
    pub accuracy: f64,
}

impl Suspects {
    /// Trains nets without augmentation, as the configuration says, each on all parts of the images but one, and reads that
    /// one. Test images are read too; no search sees what is found. `on_epoch` is called with the epochs done and the total.
    ///
    /// # Errors
    /// [`Error`]: a class with a single image, a device that cannot be used, a failed training; [`Error::Stopped`].
    pub fn find(
        config: &ValidConfig,
        dataset: &Dataset,
        cancel: &Cancel,
        on_epoch: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, Error> {
        let mut config = (**config).clone();
        config.child_epochs = Auto::Given(config.child_epochs.unwrap_or(EPOCHS));
        let config = &config.check()?;
        let parts = folds(dataset, derive(config.seed, Purpose::Holdout, u64::MAX >> 8))?;
        let done = AtomicUsize::new(0);
        let read = |part: usize| -> Result<Vec<(usize, f64, usize, f64)>, Error> {
            let (mut others, mut own) = (Vec::new(), Vec::new());
            for (image, &of) in parts.iter().enumerate() {
                if of == part { own.push(image) } else { others.push(image) }
            }
            if own.is_empty() {
                return Ok(Vec::new());
            }
            let epoch = |_: &_, epochs: usize| {
                on_epoch(done.fetch_add(1, Ordering::Relaxed) + 1, FOLDS * epochs);
                !cancel.is_cancelled()
            };
            let probe = Probe::of(config, dataset, [&others, &own], part as u64, None, &epoch)?;
            let logits = probe.logits(dataset.images().select(Axis(0), &own).view())?;
            let of_image = |(logits, image): (ndarray::ArrayView1<'_, f32>, usize)| {
                let (read_as, logits) = (greatest(logits), values(logits));
                let loss = cross_entropy(&logits, dataset.labels()[image]);
                (image, loss, read_as, (-cross_entropy(&logits, read_as)).exp())
            };
            Ok(logits.outer_iter().zip(own).map(of_image).collect())
        };
        let read: Vec<_> = (0..FOLDS).into_par_iter().map(read).collect::<Result<Vec<_>, Error>>()?.concat();
        let right = read.iter().filter(|(image, _, read_as, _)| dataset.labels()[*image] == *read_as).count();
        let accuracy = right as f64 / read.len().max(1) as f64;
        let suspect = |(image, loss, read_as, probability): (usize, f64, usize, f64)| Suspect {
            image,
            name: dataset.name(image),
            class: dataset.classes()[dataset.labels()[image]].clone(),
            loss,
            read_as: dataset.classes()[read_as].clone(),
            probability,
        };
        let mut images: Vec<Suspect> = read.into_iter().map(suspect).collect();
        images.sort_by(|a, b| b.loss.total_cmp(&a.loss).then(a.image.cmp(&b.image)));
        Ok(Self { images, accuracy })
    }

    /// Writes the table of all images, the most suspect first.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let row = |suspect: &Suspect| {
            let Suspect { name, class, loss, read_as, probability, .. } = suspect.clone();
            vec![name, class, loss.to_string(), read_as, probability.to_string()]
        };
        write_table(path, &["image", "class", "loss", "read_as", "probability"], self.images.iter().map(row))
    }
}

/// Returns the part of each image: of each class about as many in every part. Images that belong together are in one.
fn folds(dataset: &Dataset, seed: u64) -> Result<Vec<usize>, Error> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels = dataset.labels();
    for (class, name) in dataset.classes().iter().enumerate() {
        if labels.iter().filter(|&&label| label == class).count() == 1 {
            let why =
                format!("class \"{name}\" has a single image, so nothing else can tell whether its label is right");
            return Err(DataError::Unusable { path: dataset.origin().into(), why }.into());
        }
    }
    let group = |image: usize| dataset.groups().map_or(image, |groups| groups[image]);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut rng);
    // Class by class, one image or group after another to the next part.
    order.sort_by_key(|&image| labels[image]);
    let mut part_of_group = std::collections::HashMap::new();
    let mut next = 0;
    let mut parts = vec![0; labels.len()];
    for image in order {
        parts[image] = *part_of_group.entry(group(image)).or_insert_with(|| {
            next += 1;
            next % FOLDS
        });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use deepaug_child_model::DeviceChoice;
    use deepaug_dataset::Part;
    use ndarray::Array4;

    use super::*;

    fn dataset(labels: Vec<usize>) -> Dataset {
        let images = Array4::zeros((labels.len(), 8, 8, 1));
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let parts = vec![Part::Train; labels.len()];
        Dataset::new(Path::new("test"), images, labels, classes, parts).unwrap()
    }

    /// Real images: the built-in clothes, with one label in twenty changed.
    #[test]
    fn wrong_labels_are_among_the_most_suspect() {
        let config = Config { standardize: true, child_epochs: Auto::Auto, ..Config::default() };
        let config = Config { learning_rate: Auto::Given(0.002), device: DeviceChoice::Cpu, ..config }.check().unwrap();
        let all = crate::images::data::read(&config).unwrap();
        let chosen: Vec<usize> = (0..600).collect();
        let (images, mut labels) = (all.gather(&chosen), all.gather_labels(&chosen));
        let wrong: Vec<usize> = (7..600).step_by(20).collect();
        for &image in &wrong {
            labels[image] = (labels[image] + 1 + image % 9) % 10;
        }
        let set =
            Dataset::new(Path::new("test"), images, labels, all.classes().to_vec(), vec![Part::Train; 600]).unwrap();
        let found = Suspects::find(&config, &set, &Cancel::new(), &|_, _| ()).unwrap();
        assert_eq!(found.images.len(), 600);
        assert!(found.images.is_sorted_by(|a, b| a.loss >= b.loss));
        let caught = found.images[..60].iter().filter(|suspect| wrong.contains(&suspect.image)).count();
        assert!(caught >= 20, "{caught} of {} among the first tenth", wrong.len());
        let stopped = Cancel::new();
        stopped.cancel();
        assert!(matches!(Suspects::find(&config, &set, &stopped, &|_, _| ()), Err(Error::Stopped)));
    }

    #[test]
    fn every_part_has_its_share_of_each_class_and_whole_groups() {
        let of_class = |n: usize| (n / 5 + n) % 3;
        let set = dataset((0..120).map(of_class).collect());
        let parts = folds(&set, 1).unwrap();
        for class in 0..3 {
            let all = (0..120).filter(|&image| set.labels()[image] == class).count();
            for part in 0..FOLDS {
                let own = (0..120).filter(|&image| set.labels()[image] == class && parts[image] == part).count();
                assert!(own.abs_diff(all / FOLDS) <= 1, "{class} {part}: {own} of {all}");
            }
        }
        let grouped = set.with_groups((0..120).map(|image| image / 3).collect()).unwrap();
        let parts = folds(&grouped, 1).unwrap();
        assert!(parts.chunks(3).all(|group| group.iter().all(|part| part == &group[0])));
    }
}
