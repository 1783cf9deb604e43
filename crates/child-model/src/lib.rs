//! Child models: small image classifiers trained from scratch to judge an augmentation policy.
//!
//! Takes images and a policy and returns one [`EpochRecord`] per epoch. The same seed on the same kind of device
//! gives the same history. This is the only crate that depends on burn and CubeCL directly.
//!
//! ```
//! use deepaug_augmenter::{Policy, RangeTable};
//! use deepaug_child_model::{ChildModel, Device, DeviceChoice, Model, Net, Settings, Training, TrainingSet};
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
//!     subgroups: None,
//!     translations: &[],
//! };
//! let settings = Settings::plain(1, Model::BasicCnn.optimiser());
//! let policy = Policy::none(RangeTable::Monotone);
//! let training = Training::new(set, &policy, &settings, 7);
//! let net = Net::new(Model::BasicCnn, Device::open(DeviceChoice::Cpu)?);
//! let history = net.train(&training, &|_| true)?;
//! assert_eq!(history.epochs.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`ChildModel`] is anything that can be trained. [`Net`] trains this crate's nets, listed in [`Model`], with one
//! file each in `models`; [`Program`] runs the user's own program. `network` turns a list of [`Layer`]s into steps
//! and runs them forward and backward, `engine` computes them on a [`Device`], [`Session`] trains them epoch by
//! epoch, and [`History`] is the result.

#![recursion_limit = "256"]

mod child;
mod device;
mod engine;
mod error;
mod geometry;
mod history;
mod input;
mod measure;
mod models;
mod net;
mod network;
mod optimiser;
mod parallel;
mod program;
mod pytorch;
mod rng;
mod robust;
mod sampler;
#[cfg(feature = "gpu")]
mod self_check;
mod session;
mod settings;
mod strategy;

pub use child::{Capacity, ChildModel, Observer, StateFiles, Subgroups, Training, TrainingSet};
pub use device::{Adapter, Device, DeviceChoice, adapters};
pub use error::{DeviceError, TrainError};
pub use geometry::{Activation, Padding};
pub use history::{EpochRecord, GroupRecord, History};
pub use input::standard_values;
#[doc(hidden)]
pub use measure::LayerBench;
pub use measure::{augmented_images_per_second, images_per_second};
pub use models::Model;
pub use net::Net;
pub use network::{KernelSize, Layer};
pub use optimiser::{Optimiser, Rule, Schedule};
pub use program::{Program, kill_programs};
pub use pytorch::PyTorch;
pub use robust::GroupDro;
pub use session::{Candidate, GroupEpoch, ParameterState, RowLoss, Session, State};
pub use settings::Settings;
pub use strategy::{Choose, Consistency, OpTally, Patching, Selection, Strategy, StrategyRecord, SurenessRecord};
