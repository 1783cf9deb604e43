//! `deepaug devices`.

use deepaug::{Device, DeviceChoice, adapters};

use crate::{args, output};

pub(crate) fn run(args: &args::Devices) {
    let adapters = adapters();
    let auto = Device::open(DeviceChoice::Auto).map_or("cpu", |device| device.kind());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if args.json {
        output::json(&serde_json::json!({ "auto": auto, "cpu": { "cores": cores }, "wgpu": adapters }));
        return;
    }
    output::line(format_args!("cpu   {cores} cores"));
    for adapter in &adapters {
        let note = if adapter.software { ", software on the CPU: only used with --device wgpu" } else { "" };
        output::line(format_args!("wgpu  {} through {}{note}", adapter.name, adapter.api));
    }
    if adapters.is_empty() {
        output::line("wgpu  no adapter found");
    }
    output::line(format_args!("--device auto takes {auto}"));
}
