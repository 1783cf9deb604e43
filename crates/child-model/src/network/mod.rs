//! Nets as lists of layers, and the way through them: forwards, backwards, and a step of the optimiser. The same for
//! every engine.

mod layers;
mod pass;
mod plan;
#[cfg(test)]
mod tests;
mod weights;

pub use layers::{KernelSize, Layer};
pub(crate) use pass::{Network, ParameterState, TrainingStep};
pub(crate) use plan::Plan;
pub(crate) use weights::{File, Tensor, Weights, made_for, save};
