//! The command-line arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use deepaug::compare::Baseline;
use deepaug::patch::Arm;
use deepaug::subsample::{Choice, Order};
use deepaug::{Auto, DeviceChoice, ExitCode, Model, OnBadImage, RangeTable, Target, TrainSize};

fn exit_codes() -> String {
    let all = ExitCode::ALL.map(|code| format!("{} {}", code as u8, code.words()));
    format!("Exit codes: {}", all.join(", "))
}

/// Finds the image augmentation that is right for your images, and says whether it helps.
#[derive(Debug, Parser)]
#[command(name = "deepaug", version, after_help = exit_codes())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Search for augmentation policies for a labelled image set
    #[command(after_help = format!("{OPTIMIZE_EXAMPLES}\n\n{}", exit_codes()))]
    Optimize(Optimize),
    /// Make a study whose policies your own program judges, by ask and tell
    #[command(after_help = "Examples:
  deepaug init --study mine                       a search over policies, with DeepAugment's defaults
  deepaug init --study mine --config my.toml      keys of the search and its policies apply")]
    Init(Init),
    /// Propose trials of such a study, one JSON object per line
    #[command(after_help = "Example:
  deepaug ask --study mine
  {\"trial\":0,\"policy\":{\"format\":1,\"ranges\":\"monotone\",\"portion\":1.0,\"sub_policies\":[]}}
Trial 0 has no policy; it is the baseline.")]
    Ask(Ask),
    /// Report the reward of a trial of such a study
    #[command(after_help = "Examples:
  deepaug tell --study mine --trial 7 --reward 0.61
  deepaug tell --study mine --trial 8 --sample 0 --reward 0.58     one of opt_samples trainings
  deepaug tell --study mine --trial 9 --failed \"out of memory\"
  my-trainer | deepaug tell --study mine --from -                  lines such as {\"trial\": 7, \"reward\": 0.61}
  deepaug notebook mine                                            the best so far")]
    Tell(Tell),
    /// Keep such a study open for programs that ask and tell often: requests and answers as lines of JSON
    #[command(after_help = "Examples:
  deepaug serve --study mine                              requests on standard input, answers on standard output
  deepaug serve --study mine --socket mine.sock           from any number of programs, until stopped

Requests, one per line; the answer repeats an \"id\":
  {\"ask\": 2}                                            {\"trials\": [{\"trial\": 7, \"policy\": ...}, ...]}
  {\"tell\": {\"trial\": 7, \"reward\": 0.61}}                {\"told\": 7}, once it is on disk
  {\"tell\": {\"trial\": 8, \"failed\": \"out of memory\"}}     {\"told\": 8}
  {\"pending\": true}                                     {\"trials\": [...]}
  {\"result\": true}                                      {\"result\": ...}
A request that fails is answered by {\"error\": {\"code\": 6, \"message\": ...}}.")]
    Serve(Serve),
    /// Rebuild a study's tables from its journal: notebook.csv, top_policies.csv, best_policy.json, result.json
    #[command(after_help = "Example:\n  deepaug notebook reports/experiments/my-images-001")]
    Notebook(Notebook),
    /// Test whether the policies help: train a final model under each way of augmenting, measured on unseen test
    /// images
    #[command(after_help = format!("{COMPARE_EXAMPLES}\n\n{}", exit_codes()))]
    Compare(Compare),
    /// Train a final model with the policies found; save it for PyTorch, with its history and a model card
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
    /// Summarise a notebook: best policies, effects of ops and magnitudes, what went wrong
    #[command(after_help = "Examples:
  deepaug inspect reports/experiments/my-images-001 --top 10
  deepaug inspect notebook.csv --by op                           a notebook from DeepAugment, either format
  deepaug inspect reports/experiments/my-images-001 --by importance
  deepaug inspect notebook.csv --top 20 --csv > top20_policies.csv")]
    Inspect(Inspect),
    /// Print the effective configuration, with every key explained
    #[command(after_help = "Examples:\n  deepaug config > my.toml\n  deepaug config --config my.toml --json")]
    Config(Config),
    /// Write augmented copies of a folder of images, for any trainer that reads folders
    #[command(after_help = "Examples:
  deepaug apply --policy reports/experiments/my-images-001 my-images augmented
  deepaug apply --policy best_policy.json --copies 4 --originals my-images augmented")]
    Apply(Apply),
    /// Draw what ops or policies do to images, and warn of ops that may destroy their content
    #[command(after_help = "Examples:
  deepaug preview --out ops.png                                  every op by magnitude
  deepaug preview --data my-images --out ops.png                 the same on your own images
  deepaug preview --policy reports/experiments/my-images-001 --out policy.png")]
    Preview(Preview),
    /// Explain what ops and policies do to a net trained without them: which classes they make hard, and what they
    /// turn into what
    #[command(after_help = "Examples:
  deepaug explain reports/experiments/my-images-001             the ops of a study, and what it found
  deepaug explain trivialaugment --data my-images
  deepaug explain --data my-images --ops geometric --magnitudes 0.3,0.6,1.0

The cost of an op is what it adds to the net's loss. It is the sum of a shift, because images move away from their class, of
a variance, which a net trained with the op would feel as a penalty, and of a remainder (Dao et al., ICML 2019). The net
learns from the images that a search trains on, and is looked at on those that it judges by; test images are not used.")]
    Explain(Explain),
    /// Find out whether it is enough to augment some of the images, and which of them matter most
    #[command(after_help = "Examples:
  deepaug subsample --data my-images
  deepaug subsample --data my-images --policy trivialaugment --copies 4 --budgets 50,100,200
  deepaug subsample reports/experiments/my-images-001 --choose uniform,loss --order top

A net is trained without augmentation, and what its last layer receives is frozen. Images are scored by their loss under a
logistic regression on that, or by its leave-one-out influence (Kuchnik and Smith, ICLR 2019); regressions with copies of the
chosen ones are measured on other images, never on test images. High scores mark unusual images, and also ambiguous and wrongly
labelled ones: see deepaug data --suspects.")]
    Subsample(Subsample),
    /// Train a model that reads every subgroup of each class equally well, such as the images of every site
    #[command(after_help = "Examples:
  deepaug patch --data labels.csv --subgroup-column site
  deepaug patch --data my-images --subgroup-column folder --arms erm,balanced,group-dro --seeds 3
  deepaug patch --config patch.toml --out patched         repeat the command to continue after a stop or kill
  deepaug patch --data labels.csv --subgroup-column marker --set translator=policy \\
      --set 'translator_policies=[\"none\", \"draw-marker.json\"]'

Images are translated into the other subgroup, by nets that learn it from the images, by policies or by a program of yours, and a
net that reads an image otherwise than its translations is corrected (Goel et al., ICLR 2021). Beside it are compared: erm, plain
training; balanced, as many images of each group in every batch; group-dro, which weighs the groups that fare worst; translated,
balanced with translations in place of images. Epochs are chosen by the worst group of validation images.")]
    Patch(Patch),
    /// Print a policy as code for another library
    #[command(after_help = "Examples:
  deepaug export --policy reports/experiments/my-images-001 --to torchvision --out policy.py
  deepaug export --policy best_policy.json --to albumentations")]
    Export(Export),
    /// Measure how fast children train, or ops are applied, on this machine
    #[command(after_help = "Examples:
  deepaug bench --child
  deepaug bench --child --model wrn_16_2 --model simplecnn --json
  deepaug bench --child --online trivialaugment       does augmentation keep up with the training?
  deepaug bench --ops --size 32,224 --threads 1,2
  deepaug bench --cluster 1000 --trainings 15000 --trial-seconds 60")]
    Bench(Bench),
    /// Show how a set of images is read, and what in it may spoil a search
    #[command(after_help = "Examples:
  deepaug data my-images
  deepaug data labels.csv --group-column patient --image-size auto --out sheet.png
  deepaug data my-images --suspects               which labels may be wrong?
  deepaug data --config my.toml --json")]
    Data(Data),
    /// Train for a study that another machine runs, until it needs nothing more
    #[command(after_help = "Examples:
  deepaug optimize --data my-images --out study --on agents      on one machine
  deepaug agent study                                            on each of the others, which see the same folder

Slurm and --on processes start agents by themselves. SIGTERM ends one: what is nearly done is finished, and others get the rest.")]
    Agent(Agent),
    /// Carry out one training, for queues that run programs
    #[command(after_help = "Examples:
  deepaug ask --study mine > trial.json
  deepaug trial --study mine --spec trial.json --out result.json
  deepaug tell --study mine --from result.json

Without --study, the file describes a whole job, as programs that embed deepaug write it.")]
    Trial(Trial),
    /// Plan, watch and stop trainings on other machines
    #[command(subcommand)]
    Cluster(Cluster),
    /// List the devices that can train
    #[command(after_help = "Example:\n  deepaug devices --json")]
    Devices(Devices),
}

const OPTIMIZE_EXAMPLES: &str = "Examples:
  deepaug optimize                                    a small search on built-in images
  deepaug optimize --data my-images                   ten minutes on a folder with one folder per class
  deepaug optimize --config my.toml --iters 300       a full search (start from: deepaug config > my.toml)
  deepaug optimize --data my-images --for 30m         sizes chosen for half an hour
  deepaug optimize --config my.toml --time 2h         as much of it as fits into two hours
  deepaug optimize --data my-images --model wrn_16_2 --set exclude=[\"vertical-flip\"]   any key of the configuration
  deepaug optimize --config my.toml --on slurm --agents 16 --out study     on a cluster; see deepaug cluster plan
  deepaug optimize --resume reports/experiments/my-images-001";

const COMPARE_EXAMPLES: &str = "Examples:
  deepaug compare reports/experiments/my-images-001
  deepaug compare reports/experiments/my-images-001 --model wrn_28_10 --epochs 200 --train-size all
  deepaug compare STUDY --baselines none,trivialaugment,randaugment-1-5,randaugment-2-9,autoaugment-cifar10
  deepaug compare STUDY --beside RANDOM_STUDY         is it better than the best of equally many random policies?
  deepaug compare STUDY --rank-check 5                does the bigger model rank policies as the child does?
Repeat the command to continue after a stop or kill; more --seeds and other --baselines may be added.";

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
    /// Child model: simplecnn, basiccnn, tinycnn, wrn_D_W, mobilenetv2 or inceptionv3
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<Model>,
    /// Epochs of each training, or auto
    #[arg(long, value_name = "N|auto")]
    pub(crate) epochs: Option<String>,
    /// Policies to try
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) iters: Option<u64>,
    /// Folder for the study, new or empty [default: the next free one in reports/experiments]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of all randomness
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
    /// auto, cpu or wgpu
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
    /// Trials that run at once, or auto for as many as keep this machine busy
    #[arg(long, value_name = "N|auto", value_parser = workers)]
    pub(crate) workers: Option<Workers>,
    /// Time for the search and the confirmation of its best policies: 90s, 30m, 2h; sizes left open are chosen to
    /// fit
    #[arg(long, visible_alias = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) time: Option<Duration>,
    /// Maximum number of trainings, including confirmation and earlier runs
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000_000))]
    pub(crate) trainings: Option<usize>,
    #[command(flatten)]
    pub(crate) machines: Machines,
    /// With --on: tell trials to the search in the order of their numbers, so that the notebook is the same however many
    /// machines train; --workers says how many trials are then under way
    #[arg(long, requires = "on")]
    pub(crate) in_order: bool,
    /// Continue a study that was stopped or killed; --iters may extend it, --device and --on move it
    #[arg(long, value_name = "STUDY", conflicts_with_all = ["data", "Reading", "config", "set", "model", "epochs", "out", "seed", "workers", "in_order"])]
    pub(crate) resume: Option<PathBuf>,
    /// Print events and the result as JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where children train.
#[derive(Debug, clap::Args)]
pub(crate) struct Machines {
    /// Where children train: slurm, as jobs; agents, which you start with "deepaug agent"; processes of this machine, which a
    /// training that crashes does not end [default: in this process]
    #[arg(long, value_name = "WHERE")]
    pub(crate) on: Option<On>,
    /// Number of agents, each with the CPUs and the GPU of the configuration's cluster keys
    #[arg(long, value_name = "N", requires = "on", value_parser = in_range(1, 10_000))]
    pub(crate) agents: Option<usize>,
}

/// What starts agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum On {
    /// Jobs of Slurm
    Slurm,
    /// Whoever runs "deepaug agent"
    Agents,
    /// Processes of this machine
    Processes,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Agent {
    /// The study's folder, as this machine sees it
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// What the study's cluster/plan.json must have as its nonce
    #[arg(long, value_name = "TEXT")]
    pub(crate) nonce: Option<String>,
    /// Name that no other agent of the study has had [default: from the machine's]
    #[arg(long, value_name = "NAME", value_parser = agent_name)]
    pub(crate) name: Option<String>,
}

fn agent_name(text: &str) -> Result<String, String> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match !text.is_empty() && text.chars().all(is_known) && !text.starts_with('.') {
        true => Ok(text.into()),
        false => Err("must be letters, digits, \"-\", \"_\" and \".\"".into()),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Trial {
    /// The study whose trial the file describes
    #[arg(long, value_name = "DIR")]
    pub(crate) study: Option<PathBuf>,
    /// A trial as "deepaug ask" prints it, to which "sample" may be added, or a whole job
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: PathBuf,
    /// File for the result: with --study, a line for "deepaug tell --from"; otherwise with its device and its epochs
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Print errors as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Say what a search on a cluster would ask for, how long it takes and what it costs; nothing is submitted
    #[command(after_help = "Examples:
  deepaug cluster plan --config my.toml --data my-images --agents 16
  deepaug cluster plan --config my.toml --agents 128 --trial-seconds 94 --price 2.10")]
    Plan(ClusterPlan),
    /// Submit a search to Slurm, the process that runs it too, for sites that end long programs on login nodes
    #[command(after_help = "Example:
  deepaug cluster run --study my-study --config my.toml --data my-images --agents 16
  deepaug cluster status my-study

Arguments after --study are those of deepaug optimize. The job is submitted again by Slurm if its machine dies, and continues.")]
    Run(ClusterRun),
    /// Show what the agents of a study are doing
    #[command(after_help = "Example:\n  deepaug cluster status my-study --json")]
    Status(ClusterStudy),
    /// Ask the agents of a study, and the process that runs it, to end; everything that has ended is kept
    #[command(after_help = "Example:
  deepaug cluster stop my-study
  deepaug optimize --resume my-study --on slurm      to continue")]
    Stop(ClusterStudy),
}

impl Cluster {
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Plan(args) => args.json,
            Self::Run(args) => args.json,
            Self::Status(args) | Self::Stop(args) => args.json,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClusterPlan {
    /// Images, as for optimize
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Policies to try
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) iters: Option<u64>,
    /// Number of agents
    #[arg(long, value_name = "N", value_parser = in_range(1, 10_000))]
    pub(crate) agents: Option<usize>,
    /// Seconds of one training on an agent [default: measured on this machine's CPU]
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub(crate) trial_seconds: Option<f64>,
    /// Price of an agent's hour
    #[arg(long, value_name = "PRICE", value_parser = positive)]
    pub(crate) price: Option<f64>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a number above 0".into()),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClusterRun {
    /// Folder for the study, new, or of one that goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// Slurm's partition for the process that runs the study [default: Slurm's own]
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,
    /// Slurm's account for it
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Time limit for it, as Slurm writes it; it is then queued again
    #[arg(long, value_name = "TIME")]
    pub(crate) limit: Option<String>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
    /// Arguments of deepaug optimize
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClusterStudy {
    /// The study's folder
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// How images are read; each argument overrides the configuration.
#[derive(Debug, PartialEq, Default, clap::Args)]
pub(crate) struct Reading {
    /// folder, csv, parquet, numpy, webdataset, cifar or idx [default: detected]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) data_format: Option<String>,
    /// Side in pixels that images are resized to, or auto; needed if they differ in size
    #[arg(long, value_name = "PIXELS", value_parser = image_size)]
    pub(crate) image_size: Option<Auto<u32>>,
    /// Table column or array name that holds images or their paths
    #[arg(long, value_name = "NAME")]
    pub(crate) image_column: Option<String>,
    /// The same for labels
    #[arg(long, value_name = "NAME")]
    pub(crate) label_column: Option<String>,
    /// The same for the words train, validation and test
    #[arg(long, value_name = "NAME")]
    pub(crate) split_column: Option<String>,
    /// The same for groups that belong together, such as the images of one patient
    #[arg(long, value_name = "NAME")]
    pub(crate) group_column: Option<String>,
    /// The same for subgroups, such as the site that an image comes from; "folder" for folders inside class folders
    #[arg(long, value_name = "NAME")]
    pub(crate) subgroup_column: Option<String>,
    /// A table of its own with that column, and one that names the image
    #[arg(long, value_name = "FILE")]
    pub(crate) subgroup_table: Option<String>,
    /// What to do with unreadable images: error or skip
    #[arg(long, value_name = "WHAT", value_parser = on_bad_image)]
    pub(crate) on_bad_image: Option<OnBadImage>,
    /// Any key of the configuration, as in --set fit=pad or --set portion=0.5; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Data {
    /// Images, as for optimize --data [default: those of the configuration]
    #[arg(value_name = "PATH", required_unless_present = "config")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Configuration file that says how images are read and split
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Seed of the split, as for optimize
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
    /// CSV file for the part of each image, such as those for testing, which your own training must not see either
    #[arg(long, value_name = "FILE")]
    pub(crate) write_split: Option<PathBuf>,
    /// Train a few small nets, and show images whose label may be wrong: as a page, and all images as a table beside it
    #[arg(long, value_name = "FILE.html", num_args = 0..=1, require_equals = true, default_missing_value = "suspects.html")]
    pub(crate) suspects: Option<PathBuf>,
    /// PNG file for a sheet of images of each class [default: NAME-sheet.png, where NAME is the data's name]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// How many trials run at once.
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
    /// Seed of all randomness
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
    /// Number of trials to propose
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = in_range(1, 10_000))]
    pub(crate) n: usize,
    /// Print the trials that are still pending, and propose none
    #[arg(long, conflicts_with = "n")]
    pub(crate) pending: bool,
    /// Seconds to wait for other commands that use the study
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u64,
    /// Print errors as JSON too; trials always are
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// A study that `deepaug init` made
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// Unix socket to listen on, instead of standard input; created at the start and removed at the end
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Print errors as JSON too; answers always are
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("told").required(true).args(["reward", "failed", "from"]))]
pub(crate) struct Tell {
    /// A study that `deepaug init` made
    #[arg(long, value_name = "DIR")]
    pub(crate) study: PathBuf,
    /// The trial's number, as printed by ask
    #[arg(long, value_name = "N", required_unless_present = "from", conflicts_with = "from")]
    pub(crate) trial: Option<u64>,
    /// File of results (- for standard input), one JSON object per line, with "trial", "reward" or "failed", and
    /// "sample" for a single one
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// The reward, such as a validation accuracy; more is better, unless the study's reward is a loss
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub(crate) reward: Option<f64>,
    /// Report that the trial has no reward, and why
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
    /// Epochs per training [default: the study's]
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000))]
    pub(crate) epochs: Option<usize>,
    /// Images to train on: a number, "all" (every image outside the test set) or "search" (those the search
    /// trained on)
    #[arg(long, value_name = "N", default_value_t = TrainSize::Search)]
    pub(crate) train_size: TrainSize,
    /// Maximum number of test images [default: all]
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000_000))]
    pub(crate) test_size: Option<usize>,
    /// Configuration file whose child model keys say how to train (optimizer, schedule, weight_decay and so on)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// auto, cpu or wgpu [default: the study's]
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
}

/// How policies are applied in a final training.
#[derive(Debug, clap::Args)]
pub(crate) struct Online {
    /// Number of best policies to use together, one drawn for each image
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = in_range(1, 1000))]
    pub(crate) top: usize,
    /// Probability that a policy augments an image [default: the study's]
    #[arg(long, value_name = "P", value_parser = share)]
    pub(crate) chance: Option<f64>,
    /// Whether a shift, a mirror image and a covered square follow every policy, searched or published: "full" or
    /// "none" [default: the study's]
    #[arg(long, value_name = "FINISH", value_parser = finish)]
    pub(crate) finish: Option<bool>,
    /// Largest shift of an image, in pixels of 32 [default: the study's]
    #[arg(long, value_name = "PIXELS", value_parser = of_32)]
    pub(crate) pad: Option<f64>,
    /// Side of the covered square, in pixels of 32 [default: the study's]
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
    #[command(flatten)]
    pub(crate) machines: Machines,
    /// Trainings per scheme; all schemes share the same seeds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = in_range(1, 10_000))]
    pub(crate) seeds: usize,
    /// Baselines to compare with: none, flip-crop, cutout, random-policy, adversarial, random-views, uncertain, entropy,
    /// balanced, group-dro, and published policies
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = Baseline::USUAL)]
    pub(crate) baselines: Vec<Baseline>,
    /// Also compare with the policies of another study, such as a random search, or of a file; may be repeated
    #[arg(long, value_name = "STUDY|FILE")]
    pub(crate) beside: Vec<PathBuf>,
    /// Also train K of the search's best and K of its worst policies, each by itself as in the search
    #[arg(long, value_name = "K", default_value_t = 0, num_args = 0..=1, default_missing_value = "3", value_parser = in_range(0, 1000))]
    pub(crate) rank_check: usize,
    /// Name of the comparison, if the study has several [default: the model]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Print events and the result as JSON, one object per line
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
    #[command(flatten)]
    pub(crate) machines: Machines,
    /// A baseline of compare to use instead of the searched policies
    #[arg(long, value_name = "NAME")]
    pub(crate) scheme: Option<Baseline>,
    /// A policy or schedule in a file, or another study, to use instead; a schedule is stretched to the epochs
    #[arg(long, visible_alias = "schedule", value_name = "FILE|STUDY", conflicts_with = "scheme")]
    pub(crate) policy: Option<PathBuf>,
    /// Number of the training, which selects its seed; compare uses those from 0
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = in_range(0, 1_000_000))]
    pub(crate) sample: usize,
    /// File for the weights, a PyTorch state_dict in safetensors; the net as a PyTorch module (.py), history (.json)
    /// and model card (.md) share its name
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Print epochs and the result as JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// The study
    #[arg(value_name = "STUDY")]
    pub(crate) study: PathBuf,
    /// Self-contained HTML file to write [default: report.html in the study]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// A notebook from deepaug or from DeepAugment (2019-02 or release 1.1.2), or a study's folder
    #[arg(value_name = "NOTEBOOK|STUDY")]
    pub(crate) path: PathBuf,
    /// Number of best policies to list
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = in_range(1, 1_000_000))]
    pub(crate) top: usize,
    /// List the effect of each op, or what matters most, instead
    #[arg(long, value_name = "WHAT")]
    pub(crate) by: Option<By>,
    /// Print the list as comma-separated values
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
    /// Ops: rewards of the trials with each op compared with those without it.
    Op,
    /// What matters most, as predicted by the surrogate: ops, their magnitudes, the portion.
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
    /// A policy or a list of policies as JSON, a study's folder, or a published policy such as trivialaugment
    #[arg(long, value_name = "FILE|STUDY|NAME")]
    pub(crate) policy: PathBuf,
    /// Number of best policies to use
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = in_range(1, 1000))]
    pub(crate) top: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    pub(crate) found: Found,
    /// Folder of images, including subfolders, which are copied in their own sizes; or any images that optimize reads,
    /// of which those for testing are not copied
    #[arg(value_name = "IN")]
    pub(crate) from: PathBuf,
    /// Folder for the copies, new or empty
    #[arg(value_name = "OUT")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Rounds of copies: in each round, every sub-policy copies each image of its portion once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = in_range(1, 10_000))]
    pub(crate) copies: usize,
    /// In each round, make one copy of every image, by a random sub-policy; always so for published policies
    #[arg(long)]
    pub(crate) one_each: bool,
    /// Write the original images too
    #[arg(long)]
    pub(crate) originals: bool,
    /// Seed of all randomness
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: u64,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// A policy or a list of policies as JSON, a study's folder, or a published policy; without one, every op by
    /// magnitude
    #[arg(long, value_name = "FILE|STUDY|NAME")]
    pub(crate) policy: Option<PathBuf>,
    /// Number of best policies to draw
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = in_range(1, 20), requires = "policy")]
    pub(crate) top: usize,
    /// Images, as for optimize [default: the study's, or the built-in ones]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// PNG file for the picture
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Range table that gives magnitudes their meaning in the sheet of ops
    #[arg(long, value_name = "TABLE", default_value_t = RangeTable::Monotone, conflicts_with = "policy")]
    pub(crate) ranges: RangeTable,
    /// Ops in the sheet: names or groups, such as geometric
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all", conflicts_with = "policy")]
    pub(crate) ops: Vec<String>,
    /// Number of draws of each sub-policy
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = in_range(1, 20), requires = "policy")]
    pub(crate) draws: usize,
    /// Seed of all randomness
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: u64,
    /// Do not train the small net that detects ops that may destroy the content of images
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which images a net looks at that is trained for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Look {
    /// Images, as for optimize [default: the study's, or the built-in ones]
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Where to train: auto, cpu, gpu or gpu:N
    #[arg(long)]
    pub(crate) device: Option<DeviceChoice>,
    /// Seed of all randomness [default: the study's, or 0]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// A study's folder, a policy as JSON, or a published policy; without one, ops alone
    #[arg(value_name = "STUDY|FILE|NAME")]
    pub(crate) subject: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: Look,
    /// Ops: names or groups, such as geometric [default: the study's, or all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) ops: Option<Vec<String>>,
    /// Magnitudes of each op
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0.2,0.5,0.8", value_parser = magnitude)]
    pub(crate) magnitudes: Vec<f64>,
    /// How often each image is changed by each
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = in_range(1, 1000))]
    pub(crate) draws: usize,
    /// Maximum number of images to look at
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = in_range(1, 1_000_000))]
    pub(crate) images: usize,
    /// Folder for explanation.html, explanation.csv and explanation.json [default: the study's, or explanation]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Subsample {
    /// A study, whose images and child are used
    #[arg(value_name = "STUDY")]
    pub(crate) study: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: Look,
    /// What copies are made by: a policy as JSON, a study's, or a published one [default: shifts]
    #[arg(long, value_name = "FILE|STUDY|NAME")]
    pub(crate) policy: Option<PathBuf>,
    /// Without a policy, how far copies are shifted, in 32nds of an image's shorter side
    #[arg(long, value_name = "PIXELS", default_value_t = 2.0, value_parser = of_32, conflicts_with = "policy")]
    pub(crate) pad: f64,
    /// Copies of each chosen image
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = in_range(1, 1000))]
    pub(crate) copies: usize,
    /// Numbers of images to augment, besides none and all
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "10,25,50,100,250,500")]
    pub(crate) budgets: Vec<usize>,
    /// By what they are chosen: uniform, loss, influence
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "uniform,loss,influence")]
    pub(crate) choose: Vec<Choice>,
    /// Whether high scores are drawn more often (proportional) or come first (top), or low ones are drawn more often (inverse)
    #[arg(long, value_name = "ORDER", default_value = "proportional")]
    pub(crate) order: Order,
    /// Let every copy count as much as an image; otherwise an image and its copies share the weight of one
    #[arg(long)]
    pub(crate) full_weight: bool,
    /// Score images anew at every budget, with the copies made so far
    #[arg(long)]
    pub(crate) rescore: bool,
    /// Repetitions with other random choices
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = in_range(1, 1000))]
    pub(crate) rounds: usize,
    /// Maximum number of images to choose from
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = in_range(2, 1_000_000))]
    pub(crate) images: usize,
    /// The strength C of the regression's penalty |w|²/2C
    #[arg(long, value_name = "C", default_value_t = deepaug::subsample::STRENGTH, value_parser = strength)]
    pub(crate) strength: f64,
    /// Folder for subsample.html, scores.csv, budgets.csv and subsample.json [default: subsample]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Patch {
    /// Images, as for optimize
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to compare: erm, balanced, group-dro, translated, clamp
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "erm,balanced,group-dro,translated,clamp")]
    pub(crate) arms: Vec<Arm>,
    /// Trainings of each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = in_range(1, 1000))]
    pub(crate) seeds: usize,
    /// The net to train [default: the configuration's]
    #[arg(long)]
    pub(crate) model: Option<Model>,
    /// Epochs of a training [default: the configuration's]
    #[arg(long, value_name = "N", value_parser = in_range(1, 100_000))]
    pub(crate) epochs: Option<usize>,
    /// Where to train: auto, cpu, gpu or gpu:N
    #[arg(long)]
    pub(crate) device: Option<DeviceChoice>,
    /// Seed of all randomness [default: the configuration's]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(crate) seed: Option<u64>,
    /// Folder for patch.html, patch.json, groups.csv, weights.csv, the model and the translators
    #[arg(long, value_name = "FOLDER", default_value = "patched")]
    pub(crate) out: PathBuf,
    /// Print one JSON object per line instead
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
    /// File for the code [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print one JSON object that contains the code instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Measure the training of child models (the default)
    #[arg(long)]
    pub(crate) child: bool,
    /// Measure the augmentation ops, or those with these names or in these groups
    #[arg(long, value_name = "NAMES", num_args = 0..=1, default_missing_value = "all", value_delimiter = ',',
        conflicts_with_all = ["child", "model", "device", "channels", "batch", "children"])]
    pub(crate) ops: Vec<String>,
    /// Measure the process that runs a study on so many machines, with agents that only pretend to train
    #[arg(long, value_name = "AGENTS", conflicts_with_all = ["child", "ops"], value_parser = in_range(1, 10_000))]
    pub(crate) cluster: Option<usize>,
    /// Trainings of such a study
    #[arg(long, value_name = "N", requires = "cluster", default_value_t = 3000, value_parser = in_range(2, 1_000_000))]
    pub(crate) trainings: usize,
    /// Seconds that each of them takes
    #[arg(long, value_name = "S", requires = "cluster", default_value_t = 60.0, value_parser = seconds)]
    pub(crate) trial_seconds: f64,
    /// How its policies are found, as the configuration's method
    #[arg(long, value_name = "NAME", requires = "cluster")]
    pub(crate) method: Option<String>,
    /// Numbers of threads that apply ops [default: 1]
    #[arg(long, value_name = "T", value_delimiter = ',', value_parser = in_range(1, 1024), requires = "ops")]
    pub(crate) threads: Vec<usize>,
    /// Model, as in the configuration; may be repeated [default: basiccnn]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Vec<Model>,
    /// auto, cpu or wgpu
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<DeviceChoice>,
    /// Side of the images in pixels; several are allowed for ops [default: 32, for ops 32 and 224]
    #[arg(long, value_name = "PIXELS", value_delimiter = ',', value_parser = in_range(1, 1024))]
    pub(crate) size: Vec<usize>,
    /// Channels of the images: 1 for grey, 3 for colour
    #[arg(long, value_name = "C", default_value_t = 3, value_parser = grey_or_colour)]
    pub(crate) channels: usize,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = in_range(1, 10_000))]
    pub(crate) batch: usize,
    /// Children trained at once [default: one, then more while that pays off]
    #[arg(long, value_name = "K", value_parser = in_range(1, 1024))]
    pub(crate) children: Option<usize>,
    /// Also train whole epochs in which this policy, a file, a study or a published one, changes every image
    #[arg(long, value_name = "POLICY", conflicts_with = "ops")]
    pub(crate) online: Option<PathBuf>,
    /// Also train so that of this many candidates of every image, made with that policy, one is learnt from
    #[arg(long, value_name = "K", value_parser = in_range(1, 1000), requires = "online")]
    pub(crate) candidates: Option<usize>,
    /// Minimum seconds per measurement
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

fn magnitude(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(magnitude) if magnitude > 0.0 && magnitude <= 1.0 => Ok(magnitude),
        _ => Err("must be above 0 and at most 1".into()),
    }
}

fn strength(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(strength) if strength > 0.0 && strength.is_finite() => Ok(strength),
        _ => Err("must be a number above 0".into()),
    }
}
