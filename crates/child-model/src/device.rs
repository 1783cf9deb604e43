//! Where training runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::DeviceError;
use crate::engine::backend::Backend;

/// The requested device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A real GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU through wgpu; a software adapter counts, because it was asked for explicitly.
    Wgpu,
}

impl DeviceChoice {
    /// Returns the choice that reopens a device of a [kind](Device::kind).
    pub fn of_kind(kind: &str) -> Self {
        kind.parse().unwrap_or(Self::Cpu)
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            other => Err(format!("unknown device \"{other}\"; known are auto, cpu, wgpu")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
        })
    }
}

/// A device that can train. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Device {
    pub(crate) backend: Backend,
    name: String,
}

impl Device {
    /// Opens the requested device.
    ///
    /// # Errors
    /// [`DeviceError`] if [`DeviceChoice::Wgpu`] is not available.
    pub fn open(choice: DeviceChoice) -> Result<Self, DeviceError> {
        match choice {
            DeviceChoice::Cpu => Ok(Self::cpu()),
            DeviceChoice::Wgpu => gpu::open(),
            DeviceChoice::Auto if adapters().iter().any(|a| !a.software) => {
                // The name is shown when a study begins.
                Ok(gpu::open().unwrap_or_else(|why| Self { name: format!("cpu, because {why}"), ..Self::cpu() }))
            }
            DeviceChoice::Auto => Ok(Self::cpu()),
        }
    }

    fn cpu() -> Self {
        Self { backend: Backend::Cpu, name: "cpu".into() }
    }

    /// Whether training runs on the CPU, one thread per run.
    pub fn is_cpu(&self) -> bool {
        !self.backend.stacks()
    }

    /// Returns `cpu`, or `wgpu` for any GPU. Histories of the same kind are comparable bit for bit.
    pub fn kind(&self) -> &'static str {
        self.backend.kind()
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Opens the GPU for tests of its kernels.
#[cfg(all(test, feature = "gpu"))]
pub(crate) fn gpu_engine() -> crate::engine::gpu::Gpu {
    match Device::open(DeviceChoice::Wgpu).expect("an adapter").backend {
        Backend::Wgpu(opened) => opened.engine(),
        Backend::Cpu => unreachable!("a GPU was asked for"),
    }
}

/// A graphics adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// Its name and driver.
    pub name: String,
    /// The graphics API it is reached through.
    pub api: String,
    /// Whether it is really a program on the CPU (such as llvmpipe), used only when the device is requested
    /// explicitly.
    pub software: bool,
}

/// Returns the graphics adapters that wgpu finds; none in a build without the feature `gpu`.
pub fn adapters() -> Vec<Adapter> {
    gpu::adapters()
}

#[cfg(feature = "gpu")]
mod gpu {
    use std::sync::OnceLock;

    use super::Device;
    use crate::engine::backend::Backend;
    use crate::engine::gpu::client::Opened;
    pub(super) use crate::engine::gpu::client::adapters;
    use crate::parallel::catch_panic;
    use crate::self_check::check;
    use crate::{DeviceError, TrainError};

    /// Opened and checked once per process.
    static OPENED: OnceLock<Result<Device, DeviceError>> = OnceLock::new();

    pub(super) fn open() -> Result<Device, DeviceError> {
        OPENED.get_or_init(init).clone()
    }

    fn init() -> Result<Device, DeviceError> {
        let opened = Opened::new().map_err(|why| DeviceError::NoGpu { why })?;
        let name = opened.name().to_string();
        // A driver may also end its own thread.
        catch_panic(|| check(&opened.engine(), opened.exact()).map_err(|why| TrainError::Device { why }))
            .map_err(|error| DeviceError::Wrong { name: name.clone(), why: error.to_string() })?;
        Ok(Device { backend: Backend::Wgpu(opened), name })
    }
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use super::{Adapter, Device};
    use crate::DeviceError;

    pub(super) fn open() -> Result<Device, DeviceError> {
        Err(DeviceError::NotBuilt)
    }

    pub(super) fn adapters() -> Vec<Adapter> {
        Vec::new()
    }
}
