//! Transformations that are learned, with nets on burn's autodiff: sequences of fixed steps ([`tanda`]),
//! and translations of images between two subgroups ([`cyclegan`]).
//!
//! What is learnt comes out as a policy of [`deepaug_augmenter`], or as code for a user's own training.

pub mod cyclegan;
mod device;
mod error;
mod net;
pub mod tanda;

pub use self::device::{Device, has_gpu};
pub use self::error::Error;
