//! Initial weights, and weights in files.

use std::path::Path;

use rand::Rng;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};

use super::plan::{Plan, Start};
use crate::rng::{Stream, generator};

/// The values of each parameter of one child, in the plan's order.
pub(crate) type Weights = Vec<Vec<f32>>;

impl Plan {
    /// Returns the initial weights for a seed.
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

    /// Reads weights with these names and shapes, written by [`save`] or anything else.
    pub(crate) fn load(&self, path: &Path) -> Result<Weights, String> {
        let file = File::read(path)?;
        let values = self.parameters.iter().map(|parameter| {
            let (name, wanted) = (&parameter.name, &parameter.shape);
            let (shape, values) = file.tensor(name)?;
            match shape == *wanted {
                true => Ok(values),
                false => Err(format!("\"{name}\" is F32 {shape:?}, the model has F32 {wanted:?}")),
            }
        });
        values.collect()
    }
}

/// Numbers with a name and a shape.
pub(crate) struct Tensor<'a> {
    pub(crate) name: String,
    pub(crate) shape: &'a [usize],
    pub(crate) values: &'a [f32],
}

/// Writes tensors as safetensors, with one note. The write is atomic: the file appears whole or not at all.
pub(crate) fn save<'a>(
    tensors: impl Iterator<Item = Tensor<'a>>,
    path: &Path,
    [key, note]: [&str; 2],
) -> Result<(), String> {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let tensors: Vec<_> = tensors.map(|tensor| (tensor.name, tensor.shape, bytes(tensor.values))).collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
        view.map(|view| (name.as_str(), view)).map_err(|error| error.to_string())
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    // One entry only: the order of several varies from run to run.
    let metadata = [(key.to_string(), note.to_string())];
    let whole = safetensors::serialize(views, Some(metadata.into())).map_err(|error| error.to_string())?;
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, whole).map_err(|error| error.to_string())?;
    std::fs::rename(&unfinished, path).map_err(|error| error.to_string())
}

/// Returns what a weights file was made for, as noted by the pre-training.
pub(crate) fn made_for(path: &Path) -> Option<String> {
    File::read(path).ok()?.note("made_for").map(String::from)
}

/// A file of tensors.
pub(crate) struct File {
    bytes: Vec<u8>,
    header: Metadata,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| error.to_string())?;
        Ok(Self { bytes, header })
    }

    pub(crate) fn note(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Returns the names of all tensors, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.header.tensors().into_keys().collect();
        names.sort();
        names
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| error.to_string())?;
        let tensor = file.tensor(name).map_err(|_| format!("it has no tensor \"{name}\""))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("\"{name}\" is {:?}, not F32", tensor.dtype()));
        }
        let floats = tensor.data().chunks_exact(4);
        Ok((tensor.shape().into(), floats.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
    }
}
