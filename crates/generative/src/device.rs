//! Where nets are trained.

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

/// Whether nets can be trained on a GPU here; a software adapter counts.
pub fn has_gpu() -> bool {
    #[cfg(feature = "gpu")]
    return std::panic::catch_unwind(|| {
        let device = Device::Gpu.open();
        crate::net::values(burn::tensor::Tensor::<1>::ones([1], &device)).is_ok()
    })
    .unwrap_or(false);
    #[cfg(not(feature = "gpu"))]
    false
}
