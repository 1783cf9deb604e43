//! Policies, and their use on arrays.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use deepaug::{Augmentation, Online, Op, Policies, Published, Step, SubPolicy, Target};
use deepaug_augmenter::{Prepared, export, selection};
use ndarray::ArrayView4;
use numpy::{IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use crate::errors::{raise, wrong_policy};
use crate::process::{alone, is_fork};
use crate::sheet::Sheet;

/// Images beyond which a batch is shared between threads: a few take less time than the hand-over.
const BATCH: usize = 16;

/// Values up to which images are augmented without letting Python's other threads go on meanwhile, into an array of NumPy's
/// own making: both take longer than most ops.
const QUICK: usize = 32 * 32 * 3;

/// Rows of a picture for each sub-policy, at most.
const MOST_DRAWS: usize = 64;

/// Functions of `deepaug/_seeds.py`.
static FRESH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static IS_WORKER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// When a policy is applied, and whether its images are used beside the originals or instead of them.
#[pyclass(frozen, eq, from_py_object, module = "deepaug")]
#[derive(Clone, PartialEq)]
pub(crate) struct Application {
    inner: deepaug::Application,
}

#[pymethods]
impl Application {
    /// Copies beside the images, made once before the first epoch, as in DeepAugment.
    #[staticmethod]
    fn once() -> Self {
        Self { inner: deepaug::Application::Once }
    }

    /// Copies beside the images, made again for every epoch.
    #[staticmethod]
    fn epoch() -> Self {
        Self { inner: deepaug::Application::Epoch }
    }

    /// Each image is augmented in place, again for every epoch: with probability `chance` it gets a sub-policy; then it
    /// is shifted by up to `pad` of its side, mirrored half the time, and a square of `cutout` of its side is covered.
    #[staticmethod]
    #[pyo3(signature = (*, chance = 0.8, pad = 0.125, flip = true, cutout = 0.1875))]
    fn online(py: Python<'_>, chance: f64, pad: f64, flip: bool, cutout: f64) -> PyResult<Self> {
        let inner = deepaug::Application::Online(Online { chance, pad, flip, cutout });
        inner.validate().map_err(|error| wrong_policy(py, error.to_string()))?;
        Ok(Self { inner })
    }

    /// "once", "epoch" or "online".
    #[getter]
    fn kind(&self) -> &'static str {
        match self.inner {
            deepaug::Application::Once => "once",
            deepaug::Application::Epoch => "epoch",
            deepaug::Application::Online(_) => "online",
        }
    }

    fn __hash__(&self) -> u64 {
        hash(&format!("{:?}", self.inner))
    }

    fn __repr__(&self) -> String {
        match self.inner {
            deepaug::Application::Online(Online { chance, pad, flip, cutout }) => {
                let flip = if flip { "True" } else { "False" };
                format!("Application.online(chance={chance:?}, pad={pad:?}, flip={flip}, cutout={cutout:?})")
            }
            _ => format!("Application.{}()", self.kind()),
        }
    }

    fn __str__(&self) -> String {
        self.inner.to_string()
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An augmentation policy, and how it is applied.
///
/// It cannot be changed, and can be hashed, pickled, and used by several threads at once. Called with images, it
/// augments each in its own place, afresh at each call.
#[pyclass(frozen, eq, module = "deepaug")]
#[derive(Clone)]
pub(crate) struct Policy {
    inner: Augmentation,
    /// The same, ready to be applied, once it has been.
    prepared: OnceLock<Arc<Prepared>>,
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Policy {
    pub(crate) fn of(inner: Augmentation) -> Self {
        Self { inner, prepared: OnceLock::new() }
    }

    /// What happens to an image where it is augmented in its own place.
    fn online(&self) -> Online {
        let Augmentation { policy, application } = &self.inner;
        let copies = || Online { chance: application.chance(policy), ..Online::NOTHING };
        application.online().unwrap_or_else(copies)
    }

    fn apply<'py>(
        &self,
        py: Python<'py>,
        images: &PyReadonlyArrayDyn<'py, u8>,
        seed: u64,
    ) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let pixels = Pixels::new(py, images)?;
        let view = pixels.view()?;
        let online = self.online();
        let prepared = self.prepared.get_or_init(|| Arc::new(Prepared::new(self.inner.policy.clone())));
        let original = pixels.array.as_slice()?;
        let threads = view.dim().0 > BATCH && !is_fork() && rayon::current_num_threads() > 1 && !is_worker(py)?;
        let augment = |copies: &mut [u8]| online.augment_copies(prepared, view, copies, seed);
        if original.len() <= QUICK {
            // SAFETY: as many values are written, before the array is seen by anyone else.
            let made = unsafe {
                let made = PyArrayDyn::<u8>::new(py, images.shape(), false);
                std::ptr::copy_nonoverlapping(original.as_ptr(), made.data(), original.len());
                augment(made.as_slice_mut()?);
                made
            };
            return Ok(made);
        }
        let made = py.detach(|| {
            let mut made = original.to_vec();
            let copies = made.as_mut_slice();
            if threads || view.dim().0 <= BATCH {
                augment(copies)
            } else {
                alone(|| augment(copies))
            }
            made
        });
        made.into_pyarray(py).reshape(images.shape().to_vec())
    }
}

/// Images, and the indices of those that they were made from.
type Copies<'py> = (Bound<'py, PyArrayDyn<u8>>, Bound<'py, PyArray1<i64>>);

/// Whether this is a worker of a PyTorch data loader, which has a share of the cores.
fn is_worker(py: Python<'_>) -> PyResult<bool> {
    IS_WORKER.import(py, "deepaug._seeds", "is_worker")?.call0()?.extract()
}

/// The pixels of an array in order, and their shape as a batch. Only slices cross between rust-numpy and our ndarray, so
/// that their versions need not agree.
struct Pixels<'py> {
    array: PyReadonlyArrayDyn<'py, u8>,
    shape: [usize; 4],
}

impl<'py> Pixels<'py> {
    fn new(py: Python<'py>, images: &PyReadonlyArrayDyn<'py, u8>) -> PyResult<Self> {
        let shape = match *images.shape() {
            [h, w] => [1, h, w, 1],
            [h, w, c] => [1, h, w, c],
            [n, h, w, c] => [n, h, w, c],
            ref shape => {
                let why = format!("images must be (H, W, C) or (N, H, W, C), not of {} axes", shape.len());
                return Err(PyValueError::new_err(why));
            }
        };
        if !matches!(shape[3], 1 | 3) {
            let why =
                format!("images have 1 or 3 channels, in the last axis; these have the shape {:?}", images.shape());
            return Err(PyValueError::new_err(why));
        }
        let array = if images.is_c_contiguous() {
            images.clone()
        } else {
            let made = py.import("numpy")?.call_method1("ascontiguousarray", (images.as_any(),))?;
            made.extract::<PyReadonlyArrayDyn<'py, u8>>()?
        };
        Ok(Self { array, shape })
    }

    fn view(&self) -> PyResult<ArrayView4<'_, u8>> {
        ArrayView4::from_shape(self.shape, self.array.as_slice()?)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

#[pymethods]
impl Policy {
    /// Makes a policy of sub-policies, each a sequence of (op, magnitude) or (op, magnitude, probability). Each makes an
    /// augmented copy of a `portion` of the images.
    #[new]
    #[pyo3(signature = (sub_policies, *, portion = 1.0, ranges = "monotone", apply = None))]
    fn new(
        py: Python<'_>,
        sub_policies: &Bound<'_, PyAny>,
        portion: f64,
        ranges: &str,
        apply: Option<Application>,
    ) -> PyResult<Self> {
        let ranges = ranges.parse().map_err(|error| wrong_policy(py, format!("ranges: {error}")))?;
        let steps = |steps: Bound<'_, PyAny>| -> PyResult<SubPolicy> {
            let ops: PyResult<Vec<Step>> = steps.try_iter()?.map(|each| step(py, &each?)).collect();
            Ok(SubPolicy { ops: ops? })
        };
        let sub_policies: PyResult<Vec<SubPolicy>> = sub_policies.try_iter()?.map(|each| steps(each?)).collect();
        let policy = deepaug::Policy::new(ranges, portion, sub_policies?);
        policy.validate().map_err(|error| wrong_policy(py, error.to_string()))?;
        let application = apply.map_or(deepaug::Application::Once, |apply| apply.inner);
        Ok(Self::of(Augmentation { policy, application }))
    }

    /// Reads a policy from its JSON.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let inner = serde_json::from_str(text).map_err(|error| wrong_policy(py, format!("not a policy: {error}")))?;
        Ok(Self::of(inner))
    }

    /// Reads a policy from a JSON file, from the folder of a study, or from a table of top policies: the best, or the one
    /// of that rank.
    #[staticmethod]
    #[pyo3(signature = (path, *, rank = 1))]
    fn from_file(py: Python<'_>, path: PathBuf, rank: usize) -> PyResult<Self> {
        if rank == 0 {
            return Err(PyValueError::new_err("rank counts from 1"));
        }
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")) {
            let text = py.import("deepaug._policy")?.getattr("row_of_table")?.call1((path, rank))?;
            return Self::from_json(py, &text.extract::<String>()?);
        }
        let read = || match rank {
            1 => Policies::answer(&path, 1),
            _ => Policies::read(&path, rank),
        };
        let Policies { policies, application, .. } = read().map_err(|error| raise(py, &error))?;
        let found = policies.len();
        let policy = policies.into_iter().nth(rank - 1);
        let policy = policy.ok_or_else(|| wrong_policy(py, format!("{}: rank {rank} of {found}", path.display())))?;
        Ok(Self::of(Augmentation { policy, application }))
    }

    /// Returns a published policy, such as "trivialaugment", "randaugment-2-9" or "autoaugment-cifar10", in place of each
    /// image.
    #[staticmethod]
    fn published(py: Python<'_>, name: &str) -> PyResult<Self> {
        let published: Published = name.parse().map_err(|error| wrong_policy(py, format!("{error}")))?;
        let application = deepaug::Application::Online(Online { chance: 1.0, ..Online::NOTHING });
        Ok(Self::of(Augmentation { policy: published.policy(), application }))
    }

    /// Returns the policy that changes nothing.
    #[staticmethod]
    fn none() -> Self {
        let policy = deepaug::Policy::none(Default::default());
        Self::of(Augmentation { policy, application: deepaug::Application::Once })
    }

    /// The sub-policies, each a tuple of steps.
    #[getter]
    fn sub_policies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let step_type = py.import("deepaug._policy")?.getattr("Step")?;
        let sub_policy = |sub_policy: &SubPolicy| {
            let step = |step: &Step| step_type.call1((step.op.name(), step.magnitude, step.probability));
            PyTuple::new(py, sub_policy.ops.iter().map(step).collect::<PyResult<Vec<_>>>()?)
        };
        PyTuple::new(py, self.inner.policy.sub_policies.iter().map(sub_policy).collect::<PyResult<Vec<_>>>()?)
    }

    /// The fraction of images that each sub-policy copies.
    #[getter]
    fn portion(&self) -> f64 {
        self.inner.policy.portion
    }

    /// The table that says what magnitudes mean.
    #[getter]
    fn ranges(&self) -> &'static str {
        self.inner.policy.ranges.name()
    }

    /// How it is applied.
    #[getter]
    fn application(&self) -> Application {
        Application { inner: self.inner.application }
    }

    /// Returns the same policy, applied in another way.
    fn with_application(&self, application: Application) -> Self {
        Self::of(Augmentation { application: application.inner, ..self.inner.clone() })
    }

    /// Returns the policy of an epoch, counted from 0, in a training of so many epochs: itself, unless it changes during
    /// training.
    fn at(&self, epoch: usize, epochs: usize) -> Self {
        let policy = deepaug::Policy { earlier: Vec::new(), epochs: 1, ..self.inner.policy.at(epoch, epochs).clone() };
        Self::of(Augmentation { policy, application: self.inner.application })
    }

    /// Whether it changes during training.
    #[getter]
    fn is_schedule(&self) -> bool {
        !self.inner.policy.earlier.is_empty()
    }

    /// Returns its JSON.
    #[pyo3(signature = (*, indent = None))]
    fn to_json(&self, py: Python<'_>, indent: Option<usize>) -> PyResult<String> {
        let text = serde_json::to_string(&self.inner).map_err(|error| wrong_policy(py, error.to_string()))?;
        match indent {
            None => Ok(text),
            Some(_) => py.import("deepaug._policy")?.getattr("indented")?.call1((text, indent))?.extract(),
        }
    }

    /// Writes its JSON into a file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let text = self.to_json(py, Some(2))? + "\n";
        std::fs::write(&path, text).map_err(|source| raise(py, &deepaug::Error::File { path, source }))
    }

    /// Augments images: each in its own place, afresh at each call, unless a seed is given. Returns what was given: an
    /// array of the same shape, a tensor, an image of Pillow.
    ///
    /// Arrays are uint8, (H, W, C) or (N, H, W, C), C = 1 or 3; tensors are uint8, (C, H, W) or (N, C, H, W), on the CPU.
    /// While it works, Python's other threads go on; they must not write to the images.
    #[pyo3(signature = (images, *, seed = None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        images: &Bound<'py, PyAny>,
        seed: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Ok(images) = images.extract::<PyReadonlyArrayDyn<'py, u8>>() else {
            return py.import("deepaug._images")?.getattr("apply")?.call1((slf, images, seed));
        };
        let seed = match seed {
            Some(seed) => seed,
            None => FRESH.import(py, "deepaug._seeds", "fresh")?.call0()?.extract()?,
        };
        Ok(slf.get().apply(py, &images, seed)?.into_any())
    }

    /// Makes augmented copies of images, (N, H, W, C), to use beside them, as DeepAugment does: each sub-policy copies a
    /// random portion. Returns them, and the index of the image that each was made from.
    #[pyo3(signature = (images, *, seed))]
    fn copies<'py>(&self, py: Python<'py>, images: PyReadonlyArrayDyn<'py, u8>, seed: u64) -> PyResult<Copies<'py>> {
        if images.ndim() != 4 {
            return Err(PyValueError::new_err(format!("images must be (N, H, W, C), not of {} axes", images.ndim())));
        }
        let pixels = Pixels::new(py, &images)?;
        let view = pixels.view()?;
        let work = || self.inner.policy.copies(view, seed);
        let made = py.detach(|| if is_fork() { alone(work) } else { work() });
        let (count, height, width, channels) = made.images.dim();
        let sources: Vec<i64> = made.sources.iter().map(|&source| source as i64).collect();
        let flat = made.images.into_raw_vec_and_offset().0;
        let copies = flat.into_pyarray(py).reshape(vec![count, height, width, channels])?;
        Ok((copies, sources.into_pyarray(py)))
    }

    /// Returns it as code for another library: "torchvision", "albumentations" or "imgaug".
    fn to_code(&self, py: Python<'_>, target: &str) -> PyResult<String> {
        let target: Target = target.parse().map_err(|error| wrong_policy(py, format!("{error}")))?;
        let Augmentation { policy, application } = &self.inner;
        export::export(std::slice::from_ref(policy), *application, "", target)
            .map_err(|error| wrong_policy(py, error.to_string()))
    }

    /// Draws what it does to images, (N, H, W, C), or to built-in ones; `draws` times each.
    #[pyo3(signature = (images = None, *, draws = 4, seed = 0))]
    fn preview(
        &self,
        py: Python<'_>,
        images: Option<PyReadonlyArrayDyn<'_, u8>>,
        draws: usize,
        seed: u64,
    ) -> PyResult<Sheet> {
        if !(1..=MOST_DRAWS).contains(&draws) {
            return Err(PyValueError::new_err(format!("draws must be between 1 and {MOST_DRAWS}, not {draws}")));
        }
        let policy = &self.inner.policy;
        let Some(images) = images else {
            let drawn =
                || deepaug::policy_sheet(std::slice::from_ref(policy), &deepaug::Dataset::sample(), draws, seed);
            return Ok(Sheet::new(py.detach(|| if is_fork() { alone(drawn) } else { drawn() })));
        };
        let pixels = Pixels::new(py, &images)?;
        let view = pixels.view()?;
        if view.is_empty() {
            return Err(PyValueError::new_err("there are no images"));
        }
        let drawn = || deepaug::policy_sheet_of(policy, view, draws, seed);
        Ok(Sheet::new(py.detach(|| if is_fork() { alone(drawn) } else { drawn() })))
    }

    fn __hash__(&self) -> u64 {
        hash(&(self.inner.policy.digest(), format!("{:?}", self.inner.application)))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.import("deepaug._policy")?.getattr("from_json")?, (self.to_json(py, None)?,)))
    }

    fn __str__(&self) -> String {
        self.inner.policy.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<deepaug.Policy {}; {}>", self.inner.policy, self.inner.application)
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("deepaug._html")?.getattr("policy")?.call1((slf,))?.extract()
    }

    /// Returns a module for torchvision's or PyTorch's pipelines.
    #[pyo3(signature = (*, chance = None))]
    fn transform<'py>(slf: &Bound<'py, Self>, chance: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("deepaug.torch")?.getattr("PolicyTransform")?.call1((slf, chance))
    }

    /// Returns it as one of torchvision's own transforms, made from the code of `to_code`.
    fn to_torchvision<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("deepaug._policy")?.getattr("run_code")?.call1((slf, "torchvision"))
    }

    /// Returns it as one of albumentations' own transforms, made from the code of `to_code`.
    fn to_albumentations<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("deepaug._policy")?.getattr("run_code")?.call1((slf, "albumentations"))
    }

    /// Returns the probability that an image gets a sub-policy when the policy is called.
    #[getter]
    fn chance(&self) -> f64 {
        self.online().chance_of(&self.inner.policy)
    }

    /// Returns the policy with images augmented in place, with a probability; what follows it stays.
    fn with_chance(&self, py: Python<'_>, chance: f64) -> PyResult<Self> {
        let online = Online { chance, ..self.online() };
        let application = deepaug::Application::Online(online);
        application.validate().map_err(|error| wrong_policy(py, error.to_string()))?;
        let mut policy = self.inner.policy.clone();
        if policy.in_place {
            policy.portion = chance;
        }
        Ok(Self::of(Augmentation { policy, application }))
    }
}

/// Reads (op, magnitude) or (op, magnitude, probability).
fn step(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<Step> {
    let why =
        || PyTypeError::new_err(format!("a step is (op, magnitude) or (op, magnitude, probability), not {given}"));
    let (name, magnitude, probability) = match given.extract::<(String, f64)>() {
        Ok((name, magnitude)) => (name, magnitude, 1.0),
        Err(_) => given.extract::<(String, f64, f64)>().map_err(|_| why())?,
    };
    let op: Op = name.parse().map_err(|error| wrong_policy(py, format!("{error}")))?;
    Ok(Step { op, magnitude, probability })
}

/// Returns the names of all ops, or those of a category or family.
#[pyfunction]
#[pyo3(signature = (*, category = None))]
pub(crate) fn ops(py: Python<'_>, category: Option<&str>) -> PyResult<Vec<&'static str>> {
    let found = selection::ops(category.unwrap_or("all")).map_err(|error| wrong_policy(py, error.to_string()))?;
    Ok(found.into_iter().map(Op::name).collect())
}
