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
