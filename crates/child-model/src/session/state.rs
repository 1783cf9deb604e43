//! A child's net and optimiser state, outside the session.

use std::path::Path;

use crate::TrainError;
use crate::network::{self, Tensor};

/// A child's net and optimiser state between two epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Number of completed epochs.
    pub epochs: usize,
    /// Each parameter of the net.
    pub parameters: Vec<ParameterState>,
}

/// A parameter of a net, such as the weights of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterState {
    /// Its name, such as `3.conv.weights`.
    pub name: String,
    /// Convolutions are `[rows, columns, input, output]`, dense layers `[input, output]`.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<f32>,
    /// For each memory of the optimiser, one number per value; empty if the parameter is not learnt.
    pub memories: Vec<Vec<f32>>,
}

impl State {
    /// Writes it as safetensors: each parameter under its name, its memories as `name/memory.0` and so on.
    /// Pre-trained weights can be read from this file. The write is atomic: the file appears whole or not at all.
    ///
    /// # Errors
    /// [`TrainError::Weights`].
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let tensors = self.parameters.iter().flat_map(|parameter| {
            let ParameterState { name, shape, values, memories } = parameter;
            let memories = memories.iter().enumerate();
            let memories = memories.map(move |(n, values)| Tensor { name: memory(name, n), shape, values });
            std::iter::once(Tensor { name: name.clone(), shape, values }).chain(memories)
        });
        network::save(tensors, path, ["epochs", &self.epochs.to_string()])
            .map_err(|why| TrainError::Weights { path: path.into(), why })
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`TrainError::Weights`].
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let read = || {
            let file = network::File::read(path)?;
            let epochs = file.note("epochs").and_then(|text| text.parse().ok());
            let epochs = epochs.ok_or("it does not say for how many epochs it was trained")?;
            let names = file.names().into_iter().filter(|name| !name.contains("/memory."));
            let parameters = names.map(|name| {
                let (shape, values) = file.tensor(&name)?;
                let memories = (0..).map_while(|n| file.tensor(&memory(&name, n)).ok()).map(|(_, values)| values);
                let memories = memories.collect();
                Ok(ParameterState { name, shape, values, memories })
            });
            Ok(Self { epochs, parameters: parameters.collect::<Result<_, String>>()? })
        };
        read().map_err(|why| TrainError::Weights { path: path.into(), why })
    }

    /// Returns the parameter with a name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&ParameterState> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

fn memory(name: &str, number: usize) -> String {
    format!("{name}/memory.{number}")
}
