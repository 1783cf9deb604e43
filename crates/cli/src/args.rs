//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use deepaug::DeviceChoice;

const EXIT_CODES: &str = "Exit codes: 0 done, 2 wrong arguments, 3 configuration, 4 data, 5 device, 6 study, \
                          7 file system, 8 a child failed, 70 a defect of deepaug, 130 interrupted";

/// Finds the image augmentation that is right for your images, and says whether it helps.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Search augmentation policies for a labelled image set
    #[command(after_help = format!("{OPTIMIZE_EXAMPLES}\n\n{EXIT_CODES}"))]
    Optimize(Optimize),
    /// Print the effective configuration, every key explained
    #[command(after_help = "Examples:\n  deepaug config > my.toml\n  deepaug config --config my.toml --json")]
    Config(Config),
    /// List the devices that trainings can run on
    #[command(after_help = "Example:\n  deepaug devices --json")]
    Devices(Devices),
}

const OPTIMIZE_EXAMPLES: &str = "Examples:
  deepaug optimize                                    a small search on the images inside the program
  deepaug optimize --data my-images                   the same on a folder with one folder per class
  deepaug optimize --config my.toml --iters 300       a real search (deepaug config > my.toml is a start)
  deepaug optimize --resume reports/experiments/my-images-001";

#[derive(Debug, clap::Args)]
pub(crate) struct Optimize {
    /// Images: a folder of class folders (PNG, JPEG), a folder of MNIST IDX files, Hugging Face parquet
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Configuration file; without one, a small search of a few minutes
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Side in pixels that images are brought to; needed where they differ in size
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) image_size: Option<u32>,
    /// Policies to try
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) iters: Option<u64>,
    /// Folder for the study, new or empty [default: the next free one in reports/experiments]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Decides everything random
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
    /// auto, cpu or wgpu
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
    /// Go on with a study that was stopped or killed; --iters may add to it, --device move it
    #[arg(long, value_name = "STUDY", conflicts_with_all = ["data", "image_size", "config", "out", "seed"])]
    pub(crate) resume: Option<PathBuf>,
    /// Print events and the result as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    /// Configuration file; without one, DeepAugment's defaults
    #[arg(long, value_name = "FILE", conflicts_with = "quickstart")]
    pub(crate) config: Option<PathBuf>,
    /// The small search that `deepaug optimize` runs without a file
    #[arg(long)]
    pub(crate) quickstart: bool,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Devices {
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}
