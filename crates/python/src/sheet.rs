//! Pictures.

use std::path::PathBuf;

use deepaug_dataset::files::png;
use ndarray::Array3;
use numpy::{IntoPyArray, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::raise;

/// A picture, which shows itself in a notebook.
#[pyclass(frozen, module = "deepaug")]
pub(crate) struct Sheet {
    pixels: Array3<u8>,
}

impl Sheet {
    pub(crate) fn new(pixels: Array3<u8>) -> Self {
        Self { pixels }
    }
}

#[pymethods]
impl Sheet {
    /// Writes it as a PNG file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let pixels = self.pixels.clone();
        py.detach(|| deepaug::write_sheet(pixels, &path)).map_err(|error| raise(py, &error))
    }

    /// Returns its pixels, (height, width, 3).
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
        let (height, width, channels) = self.pixels.dim();
        let flat: Vec<u8> = self.pixels.iter().copied().collect();
        Ok(flat.into_pyarray(py).reshape([height, width, channels])?.to_dyn().clone())
    }

    fn _repr_png_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = png(self.pixels.clone()).map_err(PyValueError::new_err)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __repr__(&self) -> String {
        let (height, width, _) = self.pixels.dim();
        format!("<deepaug.Sheet of {width} x {height} pixels>")
    }
}
