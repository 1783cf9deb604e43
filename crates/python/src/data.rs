//! Image sets.

use std::path::PathBuf;
use std::sync::Arc;

use deepaug::{LabelledImage, Part, Split, Summary, data_sheet, read_data};
use ndarray::Array3;
use numpy::{IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::config::parse;
use crate::errors::raise;
use crate::process::refuse_fork;
use crate::sheet::Sheet;

/// A labelled image set in memory: every image of one size, uint8, grey or RGB.
#[pyclass(frozen, module = "deepaug")]
pub(crate) struct Dataset {
    pub(crate) inner: Arc<deepaug::Dataset>,
}

#[pymethods]
impl Dataset {
    /// Reads the images that a configuration names.
    #[staticmethod]
    fn _of_path(py: Python<'_>, toml: &str) -> PyResult<Self> {
        refuse_fork("reading images")?;
        let config = parse(py, toml)?.check().map_err(|error| raise(py, &error.into()))?;
        let read = py.detach(|| read_data(&config, &|_, _| ())).map_err(|error| raise(py, &error))?;
        Ok(Self { inner: Arc::new(read) })
    }

    /// Brings images in memory to one size, as a configuration says.
    #[staticmethod]
    #[pyo3(signature = (toml, images, labels, classes, parts, groups))]
    fn _of_images(
        py: Python<'_>,
        toml: &str,
        images: Vec<PyReadonlyArrayDyn<'_, u8>>,
        labels: Vec<String>,
        classes: Option<Vec<String>>,
        parts: Option<Vec<String>>,
        groups: Option<Vec<String>>,
    ) -> PyResult<Self> {
        refuse_fork("reading images")?;
        let config = parse(py, toml)?;
        let count = images.len();
        for (name, length) in [
            ("labels", Some(labels.len())),
            ("parts", parts.as_ref().map(Vec::len)),
            ("groups", groups.as_ref().map(Vec::len)),
        ] {
            if length.is_some_and(|length| length != count) {
                let why = format!("{count} images but {} {name}; every image needs one", length.unwrap_or(0));
                return Err(crate::errors::named(py, "DataError", why, deepaug::ExitCode::Data as u8, None));
            }
        }
        let labelled = |(index, image): (usize, &PyReadonlyArrayDyn<'_, u8>)| {
            let [height, width, channels] = match *image.shape() {
                [height, width] => [height, width, 1],
                [height, width, channels] => [height, width, channels],
                ref shape => return Err(PyValueError::new_err(format!("image {index} has the shape {shape:?}"))),
            };
            let pixels: Vec<u8> = image.as_array().iter().copied().collect();
            let pixels = Array3::from_shape_vec((height, width, channels), pixels);
            let part = match parts.as_ref().map(|parts| parts[index].as_str()) {
                None | Some("train") => Part::Train,
                Some("validation") => Part::Validation,
                Some("test") => Part::Test,
                Some(other) => {
                    return Err(PyValueError::new_err(format!(
                        "image {index}: part must be train, validation or test, not {other:?}"
                    )));
                }
            };
            Ok(LabelledImage {
                pixels: pixels.map_err(|error| PyValueError::new_err(error.to_string()))?,
                label: labels[index].clone(),
                part,
                group: groups.as_ref().map(|groups| groups[index].clone()),
            })
        };
        let labelled: Vec<LabelledImage> = images.iter().enumerate().map(labelled).collect::<PyResult<_>>()?;
        let options = config.read_options();
        let origin = PathBuf::from("the images in memory");
        let read = py.detach(|| deepaug::Dataset::of_images(&origin, labelled, classes, &options));
        Ok(Self { inner: Arc::new(read.map_err(|error| raise(py, &error.into()))?) })
    }

    /// Reads a set: a path in any format that the command reads; a pair of images and labels; a map-style dataset of
    /// PyTorch; a dataset of Hugging Face, whose splits are kept; a data frame with a column of paths or images. Images
    /// larger than 32 pixels are made smaller unless `image_size` says otherwise.
    #[staticmethod]
    #[pyo3(signature = (data, *, labels = None, image_column = None, label_column = None, group_column = None,
        image_size = None, channels = "auto", on_bad_image = "error"))]
    fn read<'py>(
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        labels: Option<&Bound<'py, PyAny>>,
        image_column: Option<&str>,
        label_column: Option<&str>,
        group_column: Option<&str>,
        image_size: Option<&Bound<'py, PyAny>>,
        channels: &str,
        on_bad_image: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let keys = PyDict::new(py);
        keys.set_item("labels", labels)?;
        keys.set_item("image_column", image_column)?;
        keys.set_item("label_column", label_column)?;
        keys.set_item("group_column", group_column)?;
        keys.set_item("image_size", image_size)?;
        keys.set_item("channels", channels)?;
        keys.set_item("on_bad_image", on_bad_image)?;
        py.import("deepaug._data")?.getattr("read")?.call((data,), Some(&keys))
    }

    /// All images, (N, H, W, C): a view of the set's own memory, which cannot be written to.
    #[getter]
    fn images<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let view = slf.get().inner.images();
        let shape = [view.dim().0, view.dim().1, view.dim().2, view.dim().3];
        let Some(pixels) = view.as_slice() else {
            let copied: Vec<u8> = view.iter().copied().collect();
            return copied.into_pyarray(slf.py()).reshape(shape.to_vec());
        };
        let view = numpy::ndarray::ArrayView::from_shape(numpy::ndarray::IxDyn(&shape), pixels)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        // SAFETY: the array keeps `slf` alive, whose pixels never move or change.
        let array = unsafe { PyArrayDyn::borrow_from_array(&view, slf.clone().into_any()) };
        array.readwrite().make_nonwriteable();
        Ok(array)
    }

    /// One label for each image, counted from 0.
    #[getter]
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.inner.labels().iter().map(|&label| label as i64).collect::<Vec<i64>>().into_pyarray(py)
    }

    /// The names of the classes, in the order of labels.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.inner.classes().to_vec()
    }

    /// The part that the source assigns to each image; all are "train" where it assigns none.
    #[getter]
    fn parts(&self) -> Vec<&'static str> {
        let name = |part: &Part| match part {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        };
        self.inner.parts().iter().map(name).collect()
    }

    /// Which images belong together: equal numbers, one for each; None if each is independent.
    #[getter]
    fn groups<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<i64>>> {
        let groups = self.inner.groups()?;
        Some(groups.iter().map(|&group| group as i64).collect::<Vec<i64>>().into_pyarray(py))
    }

    /// Returns its description as JSON.
    fn _summary(&self, py: Python<'_>) -> String {
        let summary = py.detach(|| Summary::new(&self.inner, None));
        serde_json::to_string(&summary).unwrap_or_default()
    }

    /// Returns a description: sizes, classes, duplicates, warnings.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.getattr("loads")?.call1((self._summary(py),))
    }

    /// Returns the indices of each part, as a search with a configuration divides the set: "train", "validation", "test".
    #[pyo3(signature = (config = None))]
    fn split<'py>(&self, py: Python<'py>, config: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        let toml: String = match config {
            Some(config) => config.call_method0("to_toml")?.extract()?,
            None => deepaug::Config::quickstart().documented(),
        };
        let config = parse(py, &toml)?.check().map_err(|error| raise(py, &error.into()))?;
        let split = deepaug::split(&config, &self.inner).map_err(|error| raise(py, &error))?;
        let Split { train, validation, test, .. } = split;
        let parts = PyDict::new(py);
        for (name, part) in [("train", train), ("validation", validation), ("test", test)] {
            parts.set_item(name, part.into_iter().map(|index| index as i64).collect::<Vec<i64>>().into_pyarray(py))?;
        }
        Ok(parts)
    }

    /// Draws images of each class.
    fn preview(&self, py: Python<'_>) -> Sheet {
        Sheet::new(py.detach(|| data_sheet(&self.inner)))
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn __repr__(&self) -> String {
        let [height, width, channels] = self.inner.image_shape();
        let (images, classes) = (self.inner.len(), self.inner.classes().len());
        format!("<deepaug.Dataset of {images} images, {height}x{width}x{channels}, {classes} classes>")
    }

    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        slf.py().import("deepaug._html")?.getattr("dataset")?.call1((slf,))?.extract()
    }
}
