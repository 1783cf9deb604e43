//! How fast this machine is, before a study is begun.

mod child;
mod ops;

pub use child::{ChildBench, ChildSpeed};
pub use ops::{OpBench, OpSpeed};
