//! Measures how fast this machine is, before a study begins.

mod child;
mod ops;

pub use child::{ChildBench, ChildSpeed};
pub use ops::{OpBench, OpSpeed};
