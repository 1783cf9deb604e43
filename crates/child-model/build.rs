//! Finds out whether this machine can run the tests of GPU kernels.

use std::path::Path;

/// Where Linux's Vulkan loader looks for drivers.
const DRIVERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(no_adapter)");
    println!("cargo::rerun-if-env-changed=VK_DRIVER_FILES");
    let is_there = |folder: &&str| Path::new(folder).read_dir().is_ok_and(|mut drivers| drivers.next().is_some());
    for folder in DRIVERS.iter().filter(|folder| Path::new(folder).exists()) {
        println!("cargo::rerun-if-changed={folder}");
    }
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if linux && std::env::var_os("VK_DRIVER_FILES").is_none() && !DRIVERS.iter().any(is_there) {
        println!("cargo::rustc-cfg=no_adapter");
    }
}
