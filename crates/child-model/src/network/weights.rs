//! First weights, and weights in files.

use std::path::Path;

use rand::Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::plan::{Plan, Start};
use crate::rng::{Stream, generator};

/// The values of each parameter of one child, in the plan's order.
pub(crate) type Weights = Vec<Vec<f32>>;

impl Plan {
    /// First weights, decided by the seed.
    pub(crate) fn first_weights(&self, seed: u64) -> Weights {
        let mut rng = generator(seed, Stream::Weights);
        let values = self.parameters.iter().map(|parameter| match parameter.start {
            Start::Zeros => vec![0.0; parameter.len()],
            Start::Ones => vec![1.0; parameter.len()],
            Start::Glorot { fan_in, fan_out } => {
                let bound = (6.0 / (fan_in + fan_out) as f32).sqrt();
                (0..parameter.len()).map(|_| rng.random_range(-bound..=bound)).collect()
            }
        });
        values.collect()
    }

    /// Writes weights as safetensors: convolutions as `[rows, columns, input, output]`, dense layers as
    /// `[input, output]`. The file appears whole or not at all.
    pub(crate) fn save(&self, weights: &Weights, path: &Path, note: &str) -> Result<(), String> {
        let bytes: Vec<Vec<u8>> =
            weights.iter().map(|values| values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
        let tensors = self.parameters.iter().zip(&bytes).map(|(parameter, bytes)| {
            let view = TensorView::new(Dtype::F32, parameter.shape.clone(), bytes);
            view.map(|view| (parameter.name.as_str(), view)).map_err(|error| error.to_string())
        });
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        // One entry: the order of several is not the same from run to run.
        let metadata = [("made_for".to_string(), note.to_string())];
        let whole = safetensors::serialize(tensors, Some(metadata.into())).map_err(|error| error.to_string())?;
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, whole).map_err(|error| error.to_string())?;
        std::fs::rename(&unfinished, path).map_err(|error| error.to_string())
    }

    /// Reads weights that [`save`](Self::save), or anything else, wrote under these names and shapes.
    pub(crate) fn load(&self, path: &Path) -> Result<Weights, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
        let values = self.parameters.iter().map(|parameter| {
            let name = &parameter.name;
            let tensor = file.tensor(name).map_err(|_| format!("there is no tensor \"{name}\" in it"))?;
            if tensor.shape() != parameter.shape || tensor.dtype() != Dtype::F32 {
                let (shape, wanted) = (tensor.shape(), &parameter.shape);
                return Err(format!("\"{name}\" is {:?} {shape:?}, the model has F32 {wanted:?}", tensor.dtype()));
            }
            let floats = tensor.data().chunks_exact(4);
            Ok(floats.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        });
        values.collect()
    }
}

/// What a file of weights was made for, as [`Plan::save`] noted it.
pub(crate) fn note(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
    header.metadata().as_ref()?.get("made_for").cloned()
}
