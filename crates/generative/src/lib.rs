//! Transformations that are learned, with nets on burn's autodiff: sequences of fixed steps ([`tanda`]).
//!
//! What is learnt comes out as a policy of [`deepaug_augmenter`], or as code for a user's own training.

mod device;
mod error;
pub mod tanda;

pub use self::{device::Device, error::Error};
