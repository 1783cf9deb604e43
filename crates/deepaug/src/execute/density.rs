//! Judges a policy without training with it (density matching: S. Lim, I. Kim, T. Kim, C. Kim, S. Kim, Fast
//! AutoAugment, NeurIPS 2019): a child trained without a policy is measured on held-out images that the policy has
//! changed. A policy that such a child still reads right keeps images among those it could have been trained on.

use std::path::PathBuf;

use deepaug_augmenter::{Online, Policy};
use deepaug_child_model::{ChildModel, EpochRecord, History, TrainError, Training};
use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use super::local::locked;
use super::slots::Slots;
use crate::config::DensityCount;
use crate::logits::{cross_entropy, greatest, values};
use crate::rng::{Purpose, derive};

/// How a policy is judged without training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Density {
    /// The weights of the child without a policy; it is trained if the file is not there.
    pub weights: PathBuf,
    /// How often each held-out image is changed.
    pub copies: usize,
    /// Which images count as right.
    pub count: DensityCount,
}

/// Which children are being trained.
pub(super) type Judges = Slots<()>;

impl Density {
    /// Judges the policy of a training by the child that this training would be without a policy. The history has
    /// one epoch, whose validation accuracy is the share of images that count as right. Ends with
    /// [`TrainError::Stopped`] after an epoch of that child if it `goes_on` no longer.
    pub(super) fn judge(
        &self,
        child: &dyn ChildModel,
        training: &Training<'_>,
        judges: &Judges,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<History, TrainError> {
        let begun = std::time::Instant::now();
        let set = &training.set;
        let none = Policy::none(training.policy.ranges);
        let without = Training { set: set.view(), policy: &none, ..*training };
        {
            let judge = judges.of(&self.weights);
            let _alone = locked(&judge);
            child.pretrain(&without, &self.weights, &|_| goes_on())?;
        }
        // Whatever follows a policy is not part of it.
        let chance = training.settings.augment.online().map_or(1.0, |online| online.chance);
        let online = Online { chance, ..Online::NOTHING };
        let labels = set.validation_labels;
        let (mut right, mut loss) = (vec![0.0; labels.len()], 0.0);
        for copy in 0..self.copies {
            let seed = derive(training.seed, Purpose::Density, copy as u64);
            let images = online.images(training.policy, set.validation_images, seed);
            let logits = child.predict(&self.weights, &without, images.view())?;
            loss += mean_loss(&logits, labels) / self.copies as f64;
            for ((right, logits), &label) in right.iter_mut().zip(logits.outer_iter()).zip(labels) {
                let hit = f64::from(u8::from(greatest(logits) == label));
                *right = match self.count {
                    DensityCount::Any => hit.max(*right),
                    DensityCount::Mean => *right + hit / self.copies as f64,
                };
            }
        }
        let accuracy = right.iter().sum::<f64>() / labels.len() as f64;
        let epoch = EpochRecord {
            epoch: 1,
            acc: accuracy,
            loss,
            val_acc: accuracy,
            val_loss: loss,
            // Nothing here can overfit.
            train_acc: Some(accuracy),
        };
        Ok(History::new(vec![epoch], begun.elapsed().as_secs_f64()))
    }
}

/// Returns the mean cross-entropy of the softmax.
fn mean_loss(logits: &Array2<f32>, labels: &[usize]) -> f64 {
    let of_image = |(logits, &label): (ArrayView1<'_, f32>, &usize)| cross_entropy(&values(logits), label);
    logits.outer_iter().zip(labels).map(of_image).sum::<f64>() / labels.len().max(1) as f64
}
