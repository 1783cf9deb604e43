//! Nets as lists of layers, and their computation: forward pass, backward pass, and optimiser step. The same for
//! every engine.

mod layers;
mod pass;
mod plan;
#[cfg(test)]
mod tests;
mod weights;

pub use layers::{KernelSize, Layer};
pub(crate) use pass::{Network, ParameterState, TrainingStep};
pub(crate) use plan::{LayerStep, Norm, Plan};
pub(crate) use weights::{File, Tensor, Weights, made_for, save};
