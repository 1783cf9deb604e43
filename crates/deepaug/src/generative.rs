//! Where nets that learn transformations are trained.

use deepaug_child_model::DeviceChoice;
use deepaug_generative::Device;

/// Returns the GPU where children train on one and deepaug is built for that, otherwise the CPU.
pub(crate) fn device(choice: DeviceChoice) -> Device {
    #[cfg(feature = "generative-gpu")]
    if deepaug_child_model::Device::open(choice).is_ok_and(|device| !device.is_cpu()) {
        return Device::Gpu;
    }
    let _ = choice;
    Device::Cpu
}
