//! Where nets are trained.

use burn::tensor::TensorData;

/// Where nets are trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Device {
    /// burn's CPU backend, flex.
    #[default]
    Cpu,
    /// The GPU that wgpu prefers.
    #[cfg(feature = "gpu")]
    Gpu,
}

impl Device {
    /// Returns burn's device, which records what gradients need.
    pub(crate) fn open(self) -> burn::tensor::Device {
        match self {
            Self::Cpu => burn::tensor::Device::flex().autodiff(),
            #[cfg(feature = "gpu")]
            Self::Gpu => burn::tensor::Device::wgpu(burn::tensor::DeviceKind::DefaultDevice).autodiff(),
        }
    }
}

/// Reads the values of a tensor.
pub(crate) fn values<const D: usize>(tensor: burn::tensor::Tensor<D>) -> Result<Vec<f32>, crate::Error> {
    let failed = |error: &dyn std::fmt::Debug| crate::Error::Device(format!("{error:?}"));
    let data: TensorData = tensor.try_into_data().map_err(|error| failed(&error))?;
    data.as_slice::<f32>().map(<[f32]>::to_vec).map_err(|error| failed(&error))
}
