//! The available engines, and the one place that chooses among them: a new one is a variant and its lines here.

use super::Engine;
use super::cpu::Cpu;

/// Where training runs are computed. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    /// Our own kernels, one thread per child.
    Cpu,
    /// Our own kernels on a GPU through wgpu, many children in each pass.
    #[cfg(feature = "gpu")]
    Wgpu(super::gpu::client::Opened),
}

/// Something to compute, on any engine.
pub(crate) trait Work {
    type Output;

    fn on<E: Engine>(self, engine: &E) -> Self::Output;
}

impl Backend {
    pub(crate) fn run<W: Work>(&self, work: W) -> W::Output {
        match self {
            Self::Cpu => work.on(&Cpu),
            #[cfg(feature = "gpu")]
            Self::Wgpu(opened) => work.on(&opened.engine()),
        }
    }

    /// Returns the kind whose histories are comparable bit for bit, as written in configurations and notebooks.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            #[cfg(feature = "gpu")]
            Self::Wgpu(_) => "wgpu",
        }
    }

    /// Returns the largest number of bytes that an array of all children may have.
    pub(crate) fn largest_array(&self) -> u64 {
        match self {
            Self::Cpu => u64::MAX,
            #[cfg(feature = "gpu")]
            Self::Wgpu(opened) => opened.largest_buffer(),
        }
    }

    /// Whether children train in one pass, while the images of the next epoch are made at the same time; otherwise
    /// each has its own thread.
    pub(crate) fn stacks(&self) -> bool {
        !matches!(self, Self::Cpu)
    }
}
