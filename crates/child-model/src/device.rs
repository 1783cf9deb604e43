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
        Backend::Wgpu(engine) => engine,
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

    use burn_wgpu::graphics::AutoGraphicsApi;
    use burn_wgpu::{RuntimeOptions, WgpuDevice, WgpuRuntime, try_init_setup, wgpu};
    use cubecl_runtime::runtime::Runtime;

    use super::{Adapter, Device};
    use crate::engine::backend::Backend;
    use crate::engine::gpu::Gpu;
    use crate::parallel::catch_panic;
    use crate::self_check::check;
    use crate::{DeviceError, TrainError};

    /// A submit costs as much as a dozen launches (60 and 4 microseconds on an H100).
    const LAUNCHES_A_SUBMIT: usize = 128;

    /// A runtime is registered once per process, so it is kept here.
    static OPENED: OnceLock<Result<Device, DeviceError>> = OnceLock::new();

    pub(super) fn open() -> Result<Device, DeviceError> {
        OPENED.get_or_init(init).clone()
    }

    fn init() -> Result<Device, DeviceError> {
        if adapters().is_empty() {
            return Err(DeviceError::NoGpu { why: "no adapter was found (is a Vulkan driver installed?)".into() });
        }
        let device = WgpuDevice::default();
        let setup = RuntimeOptions::with_tasks_max(Some(LAUNCHES_A_SUBMIT))
            .and_then(|options| try_init_setup::<AutoGraphicsApi>(&device, options))
            .map_err(|error| DeviceError::NoGpu { why: error.to_string() })?;
        let info = setup.adapter.get_info();
        let name = describe(&info).name;
        let engine = Gpu::new(<WgpuRuntime>::client(&device));
        // A driver may also end its own thread.
        catch_panic(|| {
            let exact = format!("{name} {} {}", info.driver_info, info.backend);
            check(&engine, &exact).map_err(|why| TrainError::Device { why })
        })
        .map_err(|error| DeviceError::Wrong { name: name.clone(), why: error.to_string() })?;
        Ok(Device { backend: Backend::Wgpu(engine), name })
    }

    pub(super) fn adapters() -> Vec<Adapter> {
        // OpenGL is left out: probing for it makes some drivers write to the terminal.
        let backends = wgpu::Backends::PRIMARY;
        let descriptor =
            wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
        let instance = wgpu::Instance::new(descriptor);
        let found = pollster::block_on(instance.enumerate_adapters(backends));
        found.iter().map(|adapter| describe(&adapter.get_info())).collect()
    }

    fn describe(info: &wgpu::AdapterInfo) -> Adapter {
        Adapter {
            name: format!("{} ({})", info.name, info.driver),
            api: info.backend.to_string(),
            software: info.device_type == wgpu::DeviceType::Cpu,
        }
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
