//! Child models: small image classifiers trained from scratch to judge an augmentation policy.
//!
//! Images and a policy go in, one [`EpochRecord`] an epoch comes out. The same seed on the same kind of device gives
//! the same history. This is the only crate that names burn.
//!
//! ```
//! use deepaug_augmenter::{Policy, RangeTable};
//! use deepaug_child_model::{Device, DeviceChoice, Model, Settings, Training, TrainingSet, train};
//! use ndarray::Array4;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let images = Array4::from_shape_fn((16, 12, 12, 1), |(n, ..)| if n % 2 == 0 { 30 } else { 220 });
//! let labels: Vec<usize> = (0..16).map(|n| n % 2).collect();
//! let set = TrainingSet {
//!     images: images.view(),
//!     labels: &labels,
//!     validation_images: images.view(),
//!     validation_labels: &labels,
//!     classes: 2,
//! };
//! let settings = Settings { model: Model::BasicCnn, epochs: 1, batch_size: 8, images_per_epoch: None };
//! let policy = Policy::none(RangeTable::Monotone);
//! let training = Training { set, policy: &policy, seed: 7, initial_weights: None };
//! let history = train(&training, &settings, &Device::open(DeviceChoice::Cpu)?, &|_| true)?;
//! assert_eq!(history.epochs.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Modules: [`Device`] is where training runs; [`Model`] names the nets, one file each in `nets`; [`train`] and
//! [`train_all`] run trainings; [`History`] is what they return.

#![recursion_limit = "256"]

mod batches;
mod cpu;
mod device;
mod error;
mod history;
mod model;
mod nets;
mod noise;
mod parallel;
mod training;

pub use device::{Adapter, Device, DeviceChoice, adapters};
pub use error::{DeviceError, TrainError};
pub use history::{EpochRecord, History};
pub use model::Model;
pub use nets::basic_cnn::BasicCnn;
pub use parallel::{Observer, train_all};
pub use training::{Settings, Training, TrainingSet, pretrain, train};
