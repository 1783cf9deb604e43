//! Chooses the images that a policy copies, if it copies only some, by how much they matter to a classifier on frozen features
//! (M. Kuchnik, V. Smith, Efficient augmentation via data subsampling, ICLR 2019).

use std::path::PathBuf;
use std::sync::Arc;

use deepaug_augmenter::{Application, Online, Policy};
use deepaug_child_model::{ChildModel, Settings, TrainError, Training};
use serde::{Deserialize, Serialize};

use super::local::locked;
use super::slots::Slots;
use crate::subsample::{self, Choice};

/// By what images are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The weights of the child without a policy whose features are looked at; it is trained if the file is not there.
    pub weights: PathBuf,
    /// Seed of that child.
    pub seed: u64,
    /// The score in proportion to which they are chosen.
    pub by: Choice,
}

/// The shares of each sample's images, once they are known.
pub(super) type Shares = Slots<Option<Arc<Vec<f64>>>>;

impl Scored {
    /// Returns the share of each training image. Ends with [`TrainError::Stopped`] after an epoch of the child that scores
    /// them if it `goes_on` no longer.
    pub(super) fn shares(
        &self,
        child: &dyn ChildModel,
        training: &Training<'_>,
        known: &Shares,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Arc<Vec<f64>>, TrainError> {
        let own = known.of(&self.weights);
        let mut own = locked(&own);
        if let Some(shares) = own.as_ref() {
            return Ok(shares.clone());
        }
        let none = Policy::none(training.policy.ranges);
        let images = training.set.labels.len();
        let settings = Settings {
            augment: Application::Online(Online::NOTHING),
            images_per_epoch: training.settings.images_per_epoch.map(|drawn| drawn.min(images)),
            ..*training.settings
        };
        let without = Training {
            policy: &none,
            settings: &settings,
            seed: self.seed,
            shares: None,
            set: training.set.view(),
            ..*training
        };
        child.pretrain(&without, &self.weights, &|_| goes_on())?;
        let features = child.features(&self.weights, &without, training.set.images)?.mapv(f64::from);
        let scores = subsample::scores(&features, training.set.labels, training.set.classes, self.by)
            .map_err(|why| TrainError::Failed { why })?;
        let shares = Arc::new(shares(&scores));
        *own = Some(shares.clone());
        Ok(shares)
    }
}

/// Returns the sizes of scores, of which none is 0: what has no score comes last, but it may come.
fn shares(scores: &[f64]) -> Vec<f64> {
    let sizes = || scores.iter().map(|score| score.abs()).map(|size| if size.is_finite() { size } else { 0.0 });
    let least = sizes().filter(|&size| size > 0.0).fold(f64::INFINITY, f64::min);
    let least = if least.is_finite() { least } else { 1.0 };
    sizes().map(|size| if size > 0.0 { size } else { least }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_share_is_zero() {
        assert_eq!(shares(&[-2.0, 0.0, 0.5, f64::NAN]), [2.0, 0.5, 0.5, 0.5]);
        assert_eq!(shares(&[0.0, 0.0]), [1.0, 1.0]);
    }
}
