//! A custom child model: it predicts the class whose mean image is nearest. A search with it takes seconds:
//!
//!     cargo run --release -p nearest-mean

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it found")]

use std::sync::Arc;
use std::time::Instant;

use deepaug::{ChildModel, Config, EpochRecord, Error, History, Study, TrainError, Training};
use ndarray::{Array2, ArrayView3, Axis, concatenate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Learns the mean image of each class. Each epoch adds more images, drawn from originals and copies, to the
/// means.
#[derive(Debug)]
struct NearestMean;

/// The sum of the images of each class, with pixels in [0, 1], and their number.
struct Means {
    sums: Array2<f64>,
    counts: Vec<f64>,
}

impl Means {
    /// Returns the accuracy (whether the nearest mean is the label's) and the cross-entropy, taking nearness as
    /// log-probability.
    fn judge(&self, image: ArrayView3<'_, u8>, label: usize) -> (f64, f64) {
        let nearness: Vec<f64> = self
            .sums
            .outer_iter()
            .zip(&self.counts)
            .map(|(sum, count)| {
                let apart = |(&pixel, sum): (&u8, &f64)| (f64::from(pixel) / 255.0 - sum / count.max(1.0)).powi(2);
                -image.iter().zip(sum).map(apart).sum::<f64>()
            })
            .collect();
        let nearest = nearness.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = nearness.iter().map(|near| (near - nearest).exp()).sum();
        (f64::from(nearness[label] == nearest), total.ln() + nearest - nearness[label])
    }

    fn learn(&mut self, image: ArrayView3<'_, u8>, label: usize) {
        self.sums.row_mut(label).iter_mut().zip(image).for_each(|(sum, &pixel)| *sum += f64::from(pixel) / 255.0);
        self.counts[label] += 1.0;
    }
}

impl ChildModel for NearestMean {
    fn name(&self) -> String {
        "nearest-mean".into()
    }

    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError> {
        let (start, set, settings) = (Instant::now(), &training.set, training.settings);
        // As the study applies its policies: beside the images or in place, once or every epoch.
        let application = &settings.augment;
        let pool = |epoch: usize| {
            let copies = training.augmented(epoch);
            let copied = copies.sources.iter().map(|&source| set.labels[source]);
            if application.keeps_originals() {
                let labels = set.labels.iter().copied().chain(copied).collect();
                (concatenate![Axis(0), set.images, copies.images], labels)
            } else {
                let labels: Vec<usize> = copied.collect();
                (copies.images, labels)
            }
        };
        let (mut images, mut labels) = pool(0);
        let drawn = settings.images_per_epoch.unwrap_or(labels.len());

        // All randomness comes from the training's seed, so the same training gives the same history.
        let mut rng = ChaCha8Rng::seed_from_u64(training.seed);
        let pixels = images.len() / labels.len();
        let mut means = Means { sums: Array2::zeros((set.classes, pixels)), counts: vec![0.0; set.classes] };
        let mut epochs = Vec::new();
        for epoch in 1..=settings.epochs {
            if epoch > 1 && !application.is_once() {
                (images, labels) = pool(epoch - 1);
            }
            let (acc, loss) = mean((0..drawn).map(|_| {
                let index = rng.random_range(0..labels.len());
                let image = images.index_axis(Axis(0), index);
                let judged = means.judge(image, labels[index]);
                means.learn(image, labels[index]);
                judged
            }));
            let (val_acc, val_loss) = mean(
                set.validation_images
                    .outer_iter()
                    .zip(set.validation_labels)
                    .map(|(image, &label)| means.judge(image, label)),
            );
            let record = EpochRecord { epoch, acc, loss, val_acc, val_loss, train_acc: None };
            epochs.push(record);
            if !on_epoch(&record) {
                return Err(TrainError::Stopped);
            }
        }
        Ok(History::new(epochs, start.elapsed().as_secs_f64()))
    }
}

/// Returns the means of accuracies and losses.
fn mean(judged: impl ExactSizeIterator<Item = (f64, f64)>) -> (f64, f64) {
    let count = judged.len().max(1) as f64;
    let (right, loss) = judged.fold((0.0, 0.0), |(rights, losses), (right, loss)| (rights + right, losses + loss));
    (right / count, loss / count)
}

fn main() -> Result<(), Error> {
    let config = Config { iters: 20, child_epochs: 3.into(), ..Config::quickstart() };
    let study = Study::builder(config).child(Arc::new(NearestMean) as Arc<dyn ChildModel>).create()?;
    let result = study.run(&|event| eprintln!("{event}"))?;
    println!("{}\n{}", result.best.policy, result.verdict);
    Ok(())
}

#[cfg(test)]
mod tests {
    use deepaug::{Model, Op, Policy, RangeTable, Settings, Step, SubPolicy, TrainingSet};
    use ndarray::Array4;

    use super::*;

    #[test]
    fn it_tells_bright_from_dark() {
        let shade = |(n, y, x, _): (usize, usize, usize, usize)| {
            (if n % 2 == 0 { 60 } else { 180 } + (n * 7 + y * x) % 50) as u8
        };
        let images = Array4::from_shape_fn((40, 6, 6, 1), shade);
        let labels: Vec<usize> = (0..40).map(|n| n % 2).collect();
        let set = TrainingSet {
            images: images.view(),
            labels: &labels,
            validation_images: images.view(),
            validation_labels: &labels,
            classes: 2,
            subgroups: None,
            translations: &[],
        };
        let ops = vec![Step::new(Op::Rotate, 0.2)];
        let policy = Policy::new(RangeTable::Monotone, 0.5, vec![SubPolicy { ops }]);
        let settings = Settings::plain(2, Model::BasicCnn.optimiser());
        let training = Training::new(set, &policy, &settings, 1);
        let history = NearestMean.train(&training, &|_| true).unwrap();
        assert!(history.epochs[1].val_acc > 0.9, "{history:?}");
        assert_eq!(history.epochs, NearestMean.train(&training, &|_| true).unwrap().epochs);
        assert!(matches!(NearestMean.train(&training, &|_| false), Err(TrainError::Stopped)));
    }
}
