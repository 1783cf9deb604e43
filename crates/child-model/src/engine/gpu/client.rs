//! Finding a graphics adapter, and opening it as often as it is lost.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn_wgpu::{RuntimeOptions, WgpuRuntime, WgpuSetup, try_init_device, wgpu};
use cubecl_runtime::runtime::Runtime;
use pollster::block_on;

use super::Gpu;
use crate::device::Adapter;

/// A submit costs as much as a dozen launches (60 and 4 microseconds on an H100).
const LAUNCHES_A_SUBMIT: usize = 128;

/// OpenGL is left out: probing for it makes some drivers write to the terminal, and it has no large buffers.
const APIS: wgpu::Backends = wgpu::Backends::PRIMARY;

/// What a machine without an adapter lacks.
const NO_ADAPTER: &str = "no graphics adapter was found. On Linux, Vulkan needs its loader (Debian: libvulkan1) and the \
     driver's file in /usr/share/vulkan/icd.d or named by VK_DRIVER_FILES";

/// An opened adapter. Clones share it; when the device is lost, [`engine`](Self::engine) opens it again.
#[derive(Clone)]
pub(crate) struct Opened {
    name: String,
    /// Name, driver and graphics API, with their versions.
    exact: String,
    adapter: wgpu::Adapter,
    instance: wgpu::Instance,
    /// Bytes of the largest buffer.
    largest_buffer: u64,
    current: Arc<Mutex<Current>>,
}

struct Current {
    engine: Gpu,
    /// Tests destroy it.
    #[cfg(test)]
    device: wgpu::Device,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Opened {
    /// Opens a GPU, or a software adapter where there is none.
    pub(crate) fn new() -> Result<Self, String> {
        let instance = instance();
        let mut found = block_on(instance.enumerate_adapters(APIS));
        found.sort_by_key(|adapter| preference(adapter.get_info().device_type));
        let adapter = found.into_iter().next().ok_or(NO_ADAPTER)?;
        let info = adapter.get_info();
        let name = describe(&info).name;
        let exact = format!("{name} {} {}", info.driver_info, info.backend);
        let limits = adapter.limits();
        let largest_buffer = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        let current = Arc::new(Mutex::new(open(&instance, &adapter)?));
        Ok(Self { name, exact, adapter, instance, largest_buffer, current })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn exact(&self) -> &str {
        &self.exact
    }

    pub(crate) fn largest_buffer(&self) -> u64 {
        self.largest_buffer
    }

    /// Returns the engine on the device, which is opened again if it was lost.
    pub(crate) fn engine(&self) -> Gpu {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A device that is only out of memory still answers.
        if current.engine.has_failed() && !current.engine.answers() {
            // If that fails, the lost one says what is wrong when it is used.
            if let Ok(again) = open(&self.instance, &self.adapter) {
                *current = again;
            }
        }
        // What trainings of other sizes left behind.
        let _ = current.engine.client.memory_cleanup();
        current.engine.clone()
    }
}

fn instance() -> wgpu::Instance {
    let backends = APIS;
    wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() })
}

fn preference(kind: wgpu::DeviceType) -> usize {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::VirtualGpu => 1,
        wgpu::DeviceType::IntegratedGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn open(instance: &wgpu::Instance, adapter: &wgpu::Adapter) -> Result<Current, String> {
    let descriptor = wgpu::DeviceDescriptor {
        // Mapping a GPU's own memory is slow.
        required_features: adapter.features() - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
        required_limits: adapter.limits(),
        // Buffers are pooled already.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        // SAFETY: what is experimental is used where an adapter offers it and the self-check passes.
        experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
        ..wgpu::DeviceDescriptor::default()
    };
    let (device, queue) = block_on(adapter.request_device(&descriptor)).map_err(|error| error.to_string())?;
    let backend = adapter.get_info().backend;
    #[cfg(test)]
    let inner = device.clone();
    let setup = WgpuSetup { instance: instance.clone(), adapter: adapter.clone(), device, queue, backend };
    let options = RuntimeOptions::with_tasks_max(Some(LAUNCHES_A_SUBMIT)).map_err(|error| error.to_string())?;
    let device = try_init_device(setup, options).map_err(|error| error.to_string())?;
    Ok(Current {
        engine: Gpu::new(<WgpuRuntime>::client(&device)),
        #[cfg(test)]
        device: inner,
    })
}

/// Returns the graphics adapters of this machine.
pub(crate) fn adapters() -> Vec<Adapter> {
    block_on(instance().enumerate_adapters(APIS)).iter().map(|adapter| describe(&adapter.get_info())).collect()
}

fn describe(info: &wgpu::AdapterInfo) -> Adapter {
    Adapter {
        name: format!("{} ({})", info.name, info.driver),
        api: info.backend.to_string(),
        software: info.device_type == wgpu::DeviceType::Cpu,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn a_lost_device_is_opened_again() {
        let opened = Opened::new().unwrap();
        let sum = |engine: &Gpu| {
            let [a, b] = [1.0, 2.0].map(|value| engine.upload(vec![value; 3]));
            engine.download(&engine.add(a, &b))
        };
        let first = opened.engine();
        assert_eq!(sum(&first), Ok(vec![3.0; 3]));
        opened.current.lock().unwrap().device.destroy();
        let failed = sum(&first);
        assert!(failed.is_err(), "{failed:?}");
        assert_eq!(sum(&opened.engine()), Ok(vec![3.0; 3]));
    }
}
