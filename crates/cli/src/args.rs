//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use deepaug::compare::Baseline;
use deepaug::{Auto, DeviceChoice, ExitCode, Model, OnBadImage, RangeTable, Target, TrainSize};

fn exit_codes() -> String {
    let all = ExitCode::ALL.map(|code| format!("{} {}", code as u8, code.words()));
    format!("Exit codes: {}", all.join(", "))
}

/// Finds the image augmentation that is right for your images, and says whether it helps.
#[derive(Debug, Parser)]
#[command(version, after_help = exit_codes())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Search augmentation policies for a labelled image set
    #[command(after_help = format!("{OPTIMIZE_EXAMPLES}\n\n{}", exit_codes()))]
    Optimize(Optimize),
    /// Make a study whose policies a program of yours judges, by ask and tell
    #[command(after_help = "Examples:
  deepaug init --study mine                       a search over policies, with DeepAugment's defaults
  deepaug init --study mine --config my.toml      the keys on the search and its policies count")]
    Init(Init),
    /// Propose trials of such a study, one JSON object a line
    #[command(after_help = "Example:
  deepaug ask --study mine
  {\"trial\":0,\"policy\":{\"format\":1,\"ranges\":\"monotone\",\"portion\":1.0,\"sub_policies\":[]}}
Trial 0 has no policy, to compare with.")]
    Ask(Ask),
    /// Say what a trial of such a study was worth
    #[command(after_help = "Examples:
  deepaug tell --study mine --trial 7 --reward 0.61
  deepaug tell --study mine --trial 8 --sample 0 --reward 0.58     one of opt_samples trainings
  deepaug tell --study mine --trial 9 --failed \"out of memory\"
  my-trainer | deepaug tell --study mine --from -                  lines such as {\"trial\": 7, \"reward\": 0.61}
  deepaug notebook mine                                            the best until now")]
    Tell(Tell),
    /// Keep such a study open for programs that ask and tell often: requests and answers as lines of JSON
    #[command(after_help = "Examples:
  deepaug serve --study mine                              requests on standard input, answers on standard output
  deepaug serve --study mine --socket mine.sock           and from any number of programs, until it is stopped

Requests, each on a line; an \"id\" is repeated in the answer:
  {\"ask\": 2}                                            {\"trials\": [{\"trial\": 7, \"policy\": ...}, ...]}
  {\"tell\": {\"trial\": 7, \"reward\": 0.61}}                {\"told\": 7}, once it is on disk
  {\"tell\": {\"trial\": 8, \"failed\": \"out of memory\"}}     {\"told\": 8}
  {\"pending\": true}                                     {\"trials\": [...]}
  {\"result\": true}                                      {\"result\": ...}
What cannot be done is answered by {\"error\": {\"code\": 6, \"message\": ...}}.")]
    Serve(Serve),
    /// Write a study's tables anew from its journal: notebook.csv, top_policies.csv, best_policy.json, result.json
    #[command(after_help = "Example:\n  deepaug notebook reports/experiments/my-images-001")]
    Notebook(Notebook),
    /// Say whether the policies help: train a final model under each way of augmenting, measured on unseen test images
    #[command(after_help = format!("{COMPARE_EXAMPLES}\n\n{}", exit_codes()))]
    Compare(Compare),
    /// Train a final model with the policies found; saves weights, history and a model card
    #[command(after_help = "Examples:
  deepaug train reports/experiments/my-images-001 --out model.safetensors
  deepaug train reports/experiments/my-images-001 --model wrn_28_10 --epochs 200 --train-size all --out model.safetensors
  deepaug train STUDY --scheme trivialaugment --out model.safetensors")]
    Train(Train),
    /// Write a page that shows what a study found and whether it helps
    #[command(after_help = "Examples:
  deepaug report reports/experiments/my-images-001
  deepaug report reports/experiments/my-images-001 --out my-images.html")]
    Report(Report),
    /// Say what a notebook holds: best policies, effects of ops and magnitudes, what went wrong
    #[command(after_help = "Examples:
  deepaug inspect reports/experiments/my-images-001 --top 10
  deepaug inspect notebook.csv --by op                           a notebook of DeepAugment's, either shape
  deepaug inspect reports/experiments/my-images-001 --by importance
  deepaug inspect notebook.csv --top 20 --csv > top20_policies.csv")]
    Inspect(Inspect),
    /// Print the effective configuration, every key explained
    #[command(after_help = "Examples:\n  deepaug config > my.toml\n  deepaug config --config my.toml --json")]
    Config(Config),
    /// Write augmented copies of a folder of images, for any trainer that reads folders
    #[command(after_help = "Examples:
  deepaug apply --policy reports/experiments/my-images-001 my-images augmented
  deepaug apply --policy best_policy.json --copies 4 --originals my-images augmented")]
    Apply(Apply),
    /// Draw what ops or policies do to images, and warn of ops that may destroy what they show
    #[command(after_help = "Examples:
  deepaug preview --out ops.png                                  every op by magnitude
  deepaug preview --data my-images --out ops.png                 the same on your own images
  deepaug preview --policy reports/experiments/my-images-001 --out policy.png")]
    Preview(Preview),
    /// Print a policy as code for another library
    #[command(after_help = "Examples:
  deepaug export --policy reports/experiments/my-images-001 --to torchvision --out policy.py
  deepaug export --policy best_policy.json --to albumentations")]
    Export(Export),
    /// Measure how fast children train, or ops are applied, on this machine
    #[command(after_help = "Examples:
  deepaug bench --child
  deepaug bench --child --model wrn_16_2 --model simplecnn --json
  deepaug bench --ops --size 32,224 --threads 1,2")]
    Bench(Bench),
    /// Show what is understood of a set of images, and what about it may spoil a search
    #[command(after_help = "Examples:
  deepaug data my-images
  deepaug data labels.csv --group-column patient --image-size auto --out sheet.png
  deepaug data --config my.toml --json")]
    Data(Data),
    /// List the devices that trainings can run on
    #[command(after_help = "Example:\n  deepaug devices --json")]
    Devices(Devices),
}

const OPTIMIZE_EXAMPLES: &str = "Examples:
  deepaug optimize                                    a small search on the images inside the program
  deepaug optimize --data my-images                   ten minutes on a folder with one folder per class
  deepaug optimize --config my.toml --iters 300       a real search (deepaug config > my.toml is a start)
  deepaug optimize --data my-images --for 30m         sizes chosen for half an hour
  deepaug optimize --config my.toml --time 2h         as much of it as two hours allow
  deepaug optimize --resume reports/experiments/my-images-001";

const COMPARE_EXAMPLES: &str = "Examples:
  deepaug compare reports/experiments/my-images-001
  deepaug compare reports/experiments/my-images-001 --model wrn_28_10 --epochs 200 --train-size all
  deepaug compare STUDY --baselines none,trivialaugment,randaugment-1-5,randaugment-2-9,autoaugment-cifar10
  deepaug compare STUDY --beside RANDOM_STUDY         is it better than the best of as many drawn at random?
  deepaug compare STUDY --rank-check 5                does the child's order of policies hold on the bigger model?
The same command goes on where a stopped or killed one ended; more --seeds and other --baselines may be asked for.";

#[derive(Debug, clap::Args)]
pub(crate) struct Optimize {
    /// Images: a folder of class folders, a CSV table, parquet, NPZ, WebDataset shards, CIFAR's or MNIST's files
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Configuration file; without one, sizes are chosen from the data, for about ten minutes
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
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
    /// Trials under way at once, or auto for as many as keep this machine busy
    #[arg(long, value_name = "N|auto", value_parser = workers)]
    pub(crate) workers: Option<Workers>,
    /// End the search in time for its best policies to be confirmed within this: 90s, 30m, 2h; sizes left open are chosen for it
    #[arg(long, visible_alias = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) time: Option<Duration>,
    /// Trainings at most, confirmation and earlier runs included
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000_000))]
    pub(crate) trainings: Option<usize>,
    /// Go on with a study that was stopped or killed; --iters may add to it, --device move it
    #[arg(long, value_name = "STUDY", conflicts_with_all = ["data", "Reading", "config", "out", "seed", "workers"])]
    pub(crate) resume: Option<PathBuf>,
    /// Print events and the result as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// How images are read; each goes before what the configuration says.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    /// folder, csv, parquet, numpy, webdataset, cifar or idx [default: found out]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) data_format: Option<String>,
    /// Side in pixels that images are brought to, or auto; needed where they differ in size
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    pub(crate) image_size: Option<Auto<u32>>,
    /// Column of a table, or name of an array, that holds images or their paths
    #[arg(long, value_name = "NAME")]
    pub(crate) image_column: Option<String>,
    /// The same for labels
    #[arg(long, value_name = "NAME")]
    pub(crate) label_column: Option<String>,
    /// The same for the words train, validation and test
    #[arg(long, value_name = "NAME")]
    pub(crate) split_column: Option<String>,
    /// The same for what belongs together, such as the images of one patient
    #[arg(long, value_name = "NAME")]
    pub(crate) group_column: Option<String>,
    /// error or skip: what becomes of images that cannot be read
    #[arg(long, value_name = "WHAT", value_parser = on_bad_image)]
    pub(crate) on_bad_image: Option<OnBadImage>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Data {
    /// Images, as for optimize --data [default: those of the configuration]
    #[arg(value_name = "PATH", required_unless_present = "config")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Configuration file, for how images are read and divided
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// PNG file for a sheet of images of each class [default: NAME-sheet.png, where NAME is that of the images]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many trials are under way at once.
pub(crate) type Workers = Auto<usize>;

fn workers(text: &str) -> Result<Workers, String> {
    match text {
        "auto" => Ok(Auto::Auto),
        number => in_range(1, 4096)(number).map(Auto::Given).map_err(|why| format!("{why}, or auto")),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Folder for the study, new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// Configuration file; without one, DeepAugment's defaults
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Decides everything random
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// A study that `deepaug init` made
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// How many trials
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = in_range(1, 10_000))]
    pub(crate) n: usize,
    /// Print the trials that were asked for and not told, and propose none
    #[arg(long, conflicts_with = "n")]
    pub(crate) pending: bool,
    /// Seconds to wait for other commands that use the study
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u64,
    /// Errors are JSON too; trials are in any case
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// A study that `deepaug init` made
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// A Unix socket to listen at, instead of standard input; it is made, and removed at the end
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Errors are JSON too; answers are in any case
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("told").required(true).args(["reward", "failed", "from"]))]
pub(crate) struct Tell {
    /// A study that `deepaug init` made
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// The trial's number, as ask printed it
    #[arg(long, value_name = "N", required_unless_present = "from", conflicts_with = "from")]
    pub(crate) trial: Option<u64>,
    /// A file of many, a line of JSON each, with "trial", "reward" or "failed", and "sample" if it is one; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// What it was worth, such as a validation accuracy; more is better, unless the study's reward is a loss
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub(crate) reward: Option<f64>,
    /// That it has no reward, and why
    #[arg(long, value_name = "WHY")]
    pub(crate) failed: Option<String>,
    /// Which of the trial's opt_samples trainings this is, counted from 0; their rewards are averaged
    #[arg(long, value_name = "S", conflicts_with = "from")]
    pub(crate) sample: Option<usize>,
    /// Seconds to wait for other commands that use the study
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u64,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Notebook {
    /// The study's folder
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a final model is trained.
#[derive(Debug, clap::Args)]
pub(crate) struct Final {
    /// Model, as in the configuration [default: the study's child]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<Model>,
    /// Epochs a training [default: the study's]
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000))]
    pub(crate) epochs: Option<usize>,
    /// Images to train on: a number, "all" that are not test images, or "search": those the search trained on
    #[arg(long, value_name = "N", default_value_t = TrainSize::Search)]
    pub(crate) train_size: TrainSize,
    /// Test images to measure on, at most [default: all]
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000_000))]
    pub(crate) test_size: Option<usize>,
    /// Configuration file whose keys of the child model say how to train (optimizer, schedule, weight_decay and so on)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// auto, cpu or wgpu [default: the study's]
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
}

/// How policies are used in a final training.
#[derive(Debug, clap::Args)]
pub(crate) struct Online {
    /// How many of the best policies are used together, one drawn for each image
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = in_range(1, 1000))]
    pub(crate) top: usize,
    /// Probability that an image is augmented by one of them [default: the study's]
    #[arg(long, value_name = "P", value_parser = share)]
    pub(crate) chance: Option<f64>,
    /// Whether all policies, the searched and the published, are followed by a shift, a mirror image and a covered square: "full"
    /// or "none" [default: the study's]
    #[arg(long, value_name = "FINISH", value_parser = finish)]
    pub(crate) finish: Option<bool>,
    /// Images are shifted by up to this, in pixels of 32 [default: the study's]
    #[arg(long, value_name = "PIXELS", value_parser = of_32)]
    pub(crate) pad: Option<f64>,
    /// Side of the square that is covered, in pixels of 32 [default: the study's]
    #[arg(long, value_name = "PIXELS", value_parser = of_32)]
    pub(crate) cutout: Option<f64>,
    /// Do not mirror half of the images; for letters, road signs and the like
    #[arg(long)]
    pub(crate) no_flip: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// The study whose policies are compared
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    #[command(flatten)]
    pub(crate) training: Final,
    #[command(flatten)]
    pub(crate) online: Online,
    /// Trainings of each scheme, all schemes with the same seeds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = in_range(1, 10_000))]
    pub(crate) seeds: usize,
    /// What to compare with: none, flip-crop, cutout, random-policy, and published policies
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = Baseline::USUAL)]
    pub(crate) baselines: Vec<Baseline>,
    /// Compare with another study's policies too, such as a random search's, or with a file's; may be given several times
    #[arg(long, value_name = "STUDY|FILE")]
    pub(crate) beside: Vec<PathBuf>,
    /// Also train so many of the search's best and worst policies, each by itself as in the search
    #[arg(long, value_name = "K", default_value_t = 0, num_args = 0..=1, default_missing_value = "3", value_parser = in_range(0, 1000))]
    pub(crate) rank_check: usize,
    /// Name of the comparison in the study, where there are several [default: the model]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print events and the result as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Train {
    /// The study whose policies are used
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    #[command(flatten)]
    pub(crate) training: Final,
    #[command(flatten)]
    pub(crate) online: Online,
    /// What to use in place of the searched policies: a baseline of compare
    #[arg(long, value_name = "NAME")]
    pub(crate) scheme: Option<Baseline>,
    /// Which training it is: another number, other luck; compare has those from 0
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = in_range(0, 1_000_000))]
    pub(crate) sample: usize,
    /// File for the weights (safetensors); history (.json) and model card (.md) get its name
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Print epochs and the result as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// The study
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// HTML file; it needs no other, and no network [default: report.html in the study]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// A notebook, deepaug's or DeepAugment's of 2019-02 or release 1.1.2; or the folder of a study
    #[arg(value_name = "NOTEBOOK|STUDY")]
    pub(crate) path: PathBuf,
    /// How many of the best policies to list
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = in_range(1, 1_000_000))]
    pub(crate) top: usize,
    /// List what each op did, or what matters most, instead
    #[arg(long, value_name = "WHAT")]
    pub(crate) by: Option<By>,
    /// Print the list as a table of comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a notebook is listed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// Policies.
    Policy,
    /// Ops: rewards of the trials with each beside those without it.
    Op,
    /// What matters most, as the surrogate predicts: ops, their magnitudes, the portion.
    Importance,
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

/// Where policies come from.
#[derive(Debug, clap::Args)]
pub(crate) struct Found {
    /// A policy as JSON, a list of them, the folder of a study, or a published policy such as trivialaugment
    #[arg(long, value_name = "FILE|STUDY|NAME")]
    pub(crate) policy: PathBuf,
    /// How many of the best policies to take
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = in_range(1, 1000))]
    pub(crate) top: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) found: Found,
    /// Folder of images, folders in it included
    #[arg(value_name = "IN")]
    pub(crate) from: PathBuf,
    /// Folder for the copies, new or empty
    #[arg(value_name = "OUT")]
    pub(crate) to: PathBuf,
    /// How often the policy makes its copies: each time, every sub-policy one of each image of its portion
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = in_range(1, 10_000))]
    pub(crate) copies: usize,
    /// Each time one copy of every image, by a sub-policy drawn at random; published policies are always used so
    #[arg(long)]
    pub(crate) one_each: bool,
    /// Write the images themselves too
    #[arg(long)]
    pub(crate) originals: bool,
    /// Decides everything random
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: u64,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// A policy as JSON, a list of them, the folder of a study, or a published policy; without one, every op by magnitude
    #[arg(long, value_name = "FILE|STUDY|NAME")]
    pub(crate) policy: Option<PathBuf>,
    /// How many of the best policies to draw
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = in_range(1, 20), requires = "policy")]
    pub(crate) top: usize,
    /// Images, as for optimize [default: the study's, or those inside the program]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Side in pixels that images are brought to, or auto; needed where they differ in size
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    pub(crate) image_size: Option<Auto<u32>>,
    /// PNG file for the picture
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What magnitudes mean in the sheet of ops
    #[arg(long, value_name = "TABLE", default_value_t = RangeTable::Monotone, conflicts_with = "policy")]
    pub(crate) ranges: RangeTable,
    /// Ops in the sheet: names or groups of them, such as geometric
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all", conflicts_with = "policy")]
    pub(crate) ops: Vec<String>,
    /// How often each sub-policy is drawn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = in_range(1, 20), requires = "policy")]
    pub(crate) draws: usize,
    /// Decides everything random
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: u64,
    /// Do not train the small net whose accuracy tells which ops may destroy what images show
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) found: Found,
    /// torchvision, albumentations, imgaug or json
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) to: Target,
    /// File for the code [default: the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object, with the code in it, instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Measure the training of child models (the default)
    #[arg(long)]
    pub(crate) child: bool,
    /// Measure the augmentation ops, or those of these names or groups
    #[arg(long, value_name = "NAMES", num_args = 0..=1, default_missing_value = "all", value_delimiter = ',',
        conflicts_with_all = ["child", "model", "device", "channels", "batch", "children"])]
    pub(crate) ops: Vec<String>,
    /// Numbers of threads that apply ops [default: 1]
    #[arg(long, value_name = "T", value_delimiter = ',', value_parser = in_range(1, 1024), requires = "ops")]
    pub(crate) threads: Vec<usize>,
    /// Model, as in the configuration; may be given several times [default: basiccnn]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<Model>,
    /// auto, cpu or wgpu
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
    /// Side of the images in pixels; may be several for ops [default: 32, for ops 32 and 224]
    #[arg(long, value_name = "PIXELS", value_delimiter = ',', value_parser = in_range(1, 1024))]
    pub(crate) size: Vec<usize>,
    /// Channels of the images: 1 for grey, 3 for colour
    #[arg(long, value_name = "C", default_value_t = 3, value_parser = grey_or_colour)]
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

fn grey_or_colour(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("must be 1 or 3".into()),
    }
}

fn image_size(text: &str) -> Result<Auto<u32>, String> {
    match text.parse() {
        Ok(side) if (1..=1024).contains(&side) => Ok(Auto::Given(side)),
        _ if text == "auto" => Ok(Auto::Auto),
        _ => Err("must be a number from 1 to 1024, or auto".into()),
    }
}

fn on_bad_image(text: &str) -> Result<OnBadImage, String> {
    match text {
        "error" => Ok(OnBadImage::Error),
        "skip" => Ok(OnBadImage::Skip),
        _ => Err("must be error or skip".into()),
    }
}

fn in_range(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a number from {least} to {most}")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

fn finish(text: &str) -> Result<bool, String> {
    match text {
        "full" => Ok(true),
        "none" => Ok(false),
        _ => Err("must be \"full\" or \"none\"".into()),
    }
}

fn of_32(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(pixels) if (0.0..=32.0).contains(&pixels) => Ok(pixels),
        _ => Err("must be a number of pixels from 0 to 32".into()),
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
