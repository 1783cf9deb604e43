//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use deepaug::{DeviceChoice, Model};

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
    /// Measure how fast children train on this machine
    #[command(
        after_help = "Examples:\n  deepaug bench --child\n  deepaug bench --child --model wrn_16_2 --model simplecnn --json"
    )]
    Bench(Bench),
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
pub(crate) struct Bench {
    /// Measure the training of child models (the default)
    #[arg(long)]
    pub(crate) child: bool,
    /// Model, as in the configuration; may be given several times [default: basiccnn]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<Model>,
    /// auto, cpu or wgpu
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
    /// Side of the images in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 32, value_parser = in_range(1, 1024))]
    pub(crate) size: usize,
    /// Channels of the images: 1 for grey, 3 for colour
    #[arg(long, value_name = "C", default_value_t = 3, value_parser = in_range(1, 3))]
    pub(crate) channels: usize,
    /// Images a step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = in_range(1, 10_000))]
    pub(crate) batch: usize,
    /// Children at once [default: one, then more while that pays]
    #[arg(long, value_name = "K", value_parser = in_range(1, 1024))]
    pub(crate) children: Option<usize>,
    /// Seconds for each measurement, at least
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

fn in_range(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {least} to {most}")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 0.01 to 600".into()),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Devices {
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}
