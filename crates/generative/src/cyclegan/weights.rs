//! Translators in files: weights, and the nets as code for PyTorch.

use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Generator, Pair, Translators};
use crate::net::values;
use crate::{Device, Error};

/// Where a parameter is among the modules.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    /// Returns its name, which is PyTorch's.
    fn name(&self) -> String {
        let name = self.0.join(".");
        name.replace("norm.gamma", "norm.weight").replace("norm.beta", "norm.bias")
    }
}

/// Name, shape and values of a parameter.
type Named = (String, Vec<usize>, Vec<f32>);

struct Collect {
    place: Place,
    found: Result<Vec<Named>, Error>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.0.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.0.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let (name, shape) = (self.place.name(), tensor.dims().to_vec());
        match (values(tensor), &mut self.found) {
            (Ok(values), Ok(found)) => found.push((name, shape, values)),
            (Err(error), found) => *found = Err(error),
            _ => {}
        }
    }
}

/// Replaces the values of parameters, in the order in which they are visited.
struct Put(std::vec::IntoIter<Vec<f32>>);

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.0.next() else { return param };
        let (shape, device) = (param.val().dims(), param.val().device());
        let tensor = Tensor::from_data(TensorData::new(values, shape), &device);
        Param::initialized(param.id, tensor.set_require_grad(param.is_require_grad()))
    }
}

/// Returns every parameter.
fn parameters(pair: &Pair) -> Result<Vec<Named>, Error> {
    let mut collect = Collect { place: Place::default(), found: Ok(Vec::new()) };
    pair.visit(&mut collect);
    collect.found
}

impl Translators {
    /// Writes the weights as safetensors, under the names and in the layout of PyTorch. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Device`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let failed = |why: String| Error::File { path: path.into(), why };
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = parameters(&self.pair)?
            .into_iter()
            .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            view.map(|view| (name.as_str(), view)).map_err(|error| failed(error.to_string()))
        });
        let [height, width, channels] = self.image;
        let note = ("translators".to_string(), format!("{height} {width} {channels} {}", self.width));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let whole = safetensors::serialize(views, Some([note].into())).map_err(|error| failed(error.to_string()))?;
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, whole)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .map_err(|error| failed(error.to_string()))
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(path: &Path, device: Device) -> Result<Self, Error> {
        let failed = |why: String| Error::File { path: path.into(), why };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| failed(error.to_string()))?;
        let note = header.metadata().as_ref().and_then(|notes| notes.get("translators"));
        let sizes: Vec<usize> =
            note.map(|note| note.split(' ').filter_map(|size| size.parse().ok()).collect()).unwrap_or_default();
        let [height, wide, channels, width] = sizes[..] else {
            return Err(failed("it holds no translators".into()));
        };
        let file = SafeTensors::deserialize(&bytes).map_err(|error| failed(error.to_string()))?;
        let image = [height, wide, channels];
        let (open, rng) = (device.open(), &mut ChaCha8Rng::seed_from_u64(0));
        let pair = Pair { into: (0..2).map(|_| Generator::new(image, width, &open, rng)).collect() };
        let all = parameters(&pair)?.into_iter().map(|(name, shape, _)| {
            let found = file.tensor(&name).ok().filter(|found| found.dtype() == Dtype::F32 && found.shape() == shape);
            let found = found.ok_or_else(|| failed(format!("it has no {shape:?} numbers named \"{name}\"")))?;
            let floats = found.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok(floats.collect())
        });
        let all = all.collect::<Result<Vec<Vec<f32>>, Error>>()?;
        Ok(Self { pair: pair.map(&mut Put(all.into_iter())), image, width, device: open })
    }

    /// Returns both nets as a module for PyTorch, which loads the weights from a file of this name beside it. `names` are
    /// those of the subgroups.
    pub fn pytorch(&self, names: &[String; 2], weights: &str) -> String {
        let [height, width, channels] = self.image;
        let levels = self.pair.into[0].levels();
        let quoted = |text: &str| format!("{text:?}");
        include_str!("translators.py")
            .replace("<weights>", &quoted(weights))
            .replace("<names>", &format!("[{}, {}]", quoted(&names[0]), quoted(&names[1])))
            .replace("<height>", &height.to_string())
            .replace("<width>", &width.to_string())
            .replace("<channels>", &channels.to_string())
            .replace("<first>", &self.width.to_string())
            .replace("<levels>", &levels.to_string())
            .replace("<groups>", &super::GROUPS.to_string())
            .replace("<slope>", &super::SLOPE.to_string())
    }
}
