//! Image augmentation ops, policies made of them, and their application to batches of images.
//!
//! Images are `u8`, channels last: one image is height x width x channels (1 or 3); a batch puts the image index
//! in front (NHWC). The crate does not depend on neural networks or file formats; policies are (de)serialised with
//! serde.
//!
//! ```
//! use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy};
//! use ndarray::Array4;
//!
//! let ops = vec![Step::new(Op::Rotate, 0.31), Step::new(Op::GaussianBlur, 0.1)];
//! let policy = Policy::new(RangeTable::Monotone, 0.8, vec![SubPolicy { ops }]);
//! assert_eq!(policy.to_string(), "rotate 0.31 + gaussian-blur 0.10 on 80 %");
//!
//! let images = Array4::from_shape_fn((10, 32, 32, 3), |(i, y, x, c)| (i * 20 + y * 4 + x + c) as u8);
//! let copies = policy.copies(images.view(), 42);
//! assert_eq!(copies.images.dim(), (8, 32, 32, 3));
//! assert_eq!(copies.sources.len(), 8); // copy k was made from image sources[k]
//! ```
//!
//! # Modules
//!
//! - [`op`]: the ops by name, their categories, and a page for each.
//! - [`ranges`]: what a magnitude means for each op, in five tables.
//! - [`transform`], [`distribution`]: the building blocks of the tables.
//! - [`export`]: policies as code for other libraries.
//! - [`policy`]: steps, sub-policies and policies, and their JSON form.
//! - [`copies`]: applies a policy to a batch, in parallel and reproducibly.
//! - [`application`]: how a policy is applied during training.
//! - [`online`]: augments images one by one while a final model trains.
//! - [`published`]: policies that need no search.
//! - [`measure`]: how fast policies are applied.
//! - [`selection`]: ops by family or category.
//! - [`sheet`]: pictures of what ops and policies do.
//! - [`export`](mod@export): policies as code for torchvision, albumentations and imgaug.
//! - [`ops`]: the pixel kernels, usable with fixed parameters.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod application;
pub mod copies;
pub mod distribution;
pub mod export;
pub mod measure;
pub mod online;
pub mod op;
pub mod ops;
pub mod policy;
pub mod published;
pub mod ranges;
pub mod selection;
pub mod sheet;
pub mod transform;

pub use application::{Application, Augmentation};
pub use copies::{Copies, CopySpec};
pub use online::{Online, Prepared};
pub use op::{Category, Op, Ops, UnknownOp};
pub use policy::{Piece, Policy, PolicyError, Step, SubPolicy};
pub use published::Published;
pub use ranges::RangeTable;
