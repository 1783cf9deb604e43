//! The engines that there are, and the one place where one is chosen: a new one is a variant and its lines here.

use super::Engine;
use super::cpu::Cpu;

/// Where trainings are computed. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    /// Kernels of our own, one thread for each child.
    Cpu,
    /// burn's tensors on a GPU through wgpu, many children in each pass.
    #[cfg(feature = "gpu")]
    Wgpu(burn::tensor::Device),
}

/// Something to compute, on whichever engine.
pub(crate) trait Work {
    type Output;

    fn on<E: Engine>(self, engine: &E) -> Self::Output;
}

impl Backend {
    pub(crate) fn run<W: Work>(&self, work: W) -> W::Output {
        match self {
            Self::Cpu => work.on(&Cpu),
            #[cfg(feature = "gpu")]
            Self::Wgpu(device) => work.on(&super::tensor::Tensors::new(device.clone())),
        }
    }

    /// The kind whose histories are comparable bit for bit, as configurations and notebooks have it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            #[cfg(feature = "gpu")]
            Self::Wgpu(_) => "wgpu",
        }
    }

    /// Whether children are trained in one pass, while the images of the next epoch are made beside it; else each has a thread.
    pub(crate) fn stacks(&self) -> bool {
        !matches!(self, Self::Cpu)
    }
}
