//! Trains a final model with the policies that a search found.

pub(crate) mod final_training;

use std::path::{Path, PathBuf};
use std::time::Instant;

use deepaug_augmenter::{Application, Policy};
use deepaug_child_model::{EpochRecord, History, PyTorch, Settings, TrainError};
use deepaug_dataset::{Fit, ReadOptions};
use serde::Serialize;

use crate::cancel::Cancel;
use crate::cluster::Machines;
use crate::compare::{Baseline, Scheme};
use crate::config::Config;
use crate::error::{ConfigError, Error};
use crate::execute::{Adversary, AdversaryRecord, Executor, Job, JobId, Report, Task, run_all};
use crate::files::{write_json, write_whole};
use crate::layout::{SELECTION, SURENESS};
use crate::policies::read::Policies;
use crate::read::report::write_strategy;
use crate::strategies;
use crate::train::final_training::{FinalOptions, FinalTraining};
use deepaug_augmenter::Op;

/// Options of a final training.
#[derive(Debug, Clone, PartialEq)]
pub struct Train {
    /// How to train.
    pub training: FinalOptions,
    /// Number of best policies to use together.
    pub top: usize,
    /// A baseline to use instead of the searched policies.
    pub instead: Option<Baseline>,
    /// A file with policies, or another study, to use instead; a schedule is stretched to the training's epochs.
    pub policies: Option<PathBuf>,
    /// Which of the study's seeds for final trainings to use; comparisons use those from 0.
    pub sample: usize,
    /// The file for the weights; a PyTorch module, the history and the model card are saved beside it.
    pub out: PathBuf,
}

/// The trained model, as written to `<name>.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trained {
    /// The file with the weights: safetensors, in the names and layout of PyTorch's `state_dict`.
    pub weights: PathBuf,
    /// The file with the net as a PyTorch module, which loads them.
    pub module: PathBuf,
    /// The file with this record.
    pub history: PathBuf,
    /// The file that describes it in words.
    pub card: PathBuf,
    /// Further files: what a strategy or an adversary found while it trained.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<PathBuf>,
    /// The model.
    pub model: String,
    /// Height, width and channels of its images.
    pub image: [usize; 3],
    /// The names of the classes, in the order of its outputs.
    pub classes: Vec<String>,
    /// Mean and deviation that standardise inputs, of values divided by 255; none if they are only divided.
    pub standard: Option<[f64; 2]>,
    /// How images were augmented.
    pub scheme: String,
    /// The policy whose sub-policies were drawn from.
    pub policy: Policy,
    /// How it was trained.
    pub settings: Settings,
    /// Seed of all randomness.
    pub seed: u64,
    /// Images it was trained on.
    pub train_images: usize,
    /// Test images it was measured on.
    pub test_images: usize,
    /// Accuracy on the test images after the last epoch.
    pub accuracy: f64,
    /// How long it took.
    pub seconds: f64,
    /// All epochs; their validation images are the test images.
    pub epochs: Vec<EpochRecord>,
}

impl Train {
    /// Trains, and writes weights, module, history and model card; nothing if it is cancelled. `on_epoch` is called with
    /// each epoch and the total.
    ///
    /// # Errors
    /// [`Error`]: a study without a result, images or a device that cannot be used, a failed training, files that
    /// cannot be written.
    pub fn run(&self, study: &Path, cancel: &Cancel, on_epoch: &dyn Fn(&EpochRecord, usize)) -> Result<Trained, Error> {
        self.run_on(study, None, cancel, on_epoch)
    }

    /// Does the same on another machine, if machines are given.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Study::cluster`](crate::Study::cluster).
    pub fn run_on(
        &self,
        study: &Path,
        machines: Option<Machines>,
        cancel: &Cancel,
        on_epoch: &dyn Fn(&EpochRecord, usize),
    ) -> Result<Trained, Error> {
        let training = FinalTraining::new(study, &self.training)?;
        let scheme = match (self.instead, &self.policies) {
            (Some(baseline), _) => Scheme::baseline(baseline, self.top, &training)?,
            (None, Some(path)) => Scheme::beside(path, self.top, &training)?,
            // What a search found to be no better than none is not trained with.
            (None, None)
                if Policies::answer(study, 1)?.policies.iter().all(|policy| policy.steps().next().is_none()) =>
            {
                Scheme::baseline(Baseline::None, self.top, &training)?
            }
            (None, None) => Scheme::searched(study, self.top, &training)?,
        };
        if self.out.file_name().is_none()
            || self.out.extension().is_some_and(|end| RESERVED.iter().any(|name| end == *name))
        {
            let out = self.out.display();
            let why = format!(
                "{out}: the file for the weights must not end in .py, .json or .md, which name the module, the history and \
                 the card"
            );
            return Err(ConfigError::new(why).into());
        }
        let module = self.out.with_extension("py");
        let is_ours = std::fs::read_to_string(&module).is_ok_and(|code| code.contains(PyTorch::MARK));
        let beside = RESERVED.map(|end| self.out.with_extension(end));
        if let Some(taken) = beside.iter().chain([&self.out]).find(|path| !is_ours && path.exists()) {
            let taken = taken.display();
            let why =
                format!("{taken} exists and is not of a net that deepaug wrote; choose another name for the weights");
            return Err(ConfigError::new(why).into());
        }
        // Written elsewhere first: existing weights of the same training would be kept as they are, without a
        // history.
        let draft = draft(&self.out)?;
        // Another process may write into it.
        let folder = draft.path().canonicalize().map_err(|error| Error::file(draft.path(), error))?;
        let unfinished = folder.join("weights");
        let id = JobId { trial: 0, sample: self.sample };
        let record = folder.join("record");
        let weights = unfinished.clone();
        let task = match scheme.adversary.clone() {
            None => Task::Keep { weights },
            Some(adversary) => {
                let adversary = Adversary { record: Some(record.clone()), ..adversary };
                Task::Oppose { adversary, weights: Some(weights) }
            }
        };
        let job = Job { task, ..training.job(id, &scheme.policy, scheme.settings) };
        let (start, mut result) = (Instant::now(), None);
        let mut hear = |report: Report| {
            match report {
                Report::Epoch { record, .. } => on_epoch(&record, scheme.settings.epochs),
                Report::Ended { result: ended, .. } => result = Some(ended),
                _ => {}
            }
            Ok(())
        };
        let mut executor: Box<dyn Executor> = match machines {
            None => Box::new(training.executor()?),
            Some(machines) => Box::new(training.cluster(study, machines)?),
        };
        run_all(executor.as_mut(), vec![job], &|| cancel.is_cancelled(), &mut hear)?;
        let History { epochs, strategy, .. } = match result {
            Some(Ok(trained)) if !cancel.is_cancelled() => trained,
            Some(Err(why)) => return Err(Error::Child(TrainError::Failed { why })),
            _ => return Err(Error::Stopped),
        };
        let [train_images, test_images] = training.sizes();
        let standard = scheme.settings.standardize.then(|| training.standard_values());
        let net = pytorch(&training.config, training.shape(), &training.classes, standard);
        let converted = draft.path().join(self.out.file_name().unwrap_or_default());
        let code = net.write(&unfinished, &converted)?;
        let mut trained = Trained {
            weights: self.out.clone(),
            module,
            history: self.out.with_extension("json"),
            card: self.out.with_extension("md"),
            others: Vec::new(),
            model: training.child.name(),
            image: training.shape(),
            classes: training.classes.clone(),
            standard,
            scheme: scheme.what.clone(),
            settings: scheme.settings,
            seed: training.seed(self.sample),
            train_images,
            test_images,
            accuracy: epochs.last().map_or(0.0, |record| record.val_acc),
            seconds: start.elapsed().as_secs_f64(),
            epochs,
            policy: scheme.policy,
        };
        if scheme.adversary.is_some() {
            trained.others = AdversaryRecord::read(&record)?.export(&self.out, scheme.settings.augment)?;
        }
        // Of a net that was here before.
        let page = self.out.with_extension(STRATEGY_PAGE);
        for old in [SELECTION, SURENESS].map(|table| self.out.with_extension(table)).iter().chain([&page]) {
            let _ = std::fs::remove_file(old);
        }
        if let Some(found) = &strategy {
            trained
                .others
                .push(strategies::write_table_of(found, &training.classes, |table| self.out.with_extension(table))?);
            write_strategy(found, &scheme.what, &training.pictured(), &page)?;
            trained.others.push(page);
        }
        write_whole(&trained.module, code.as_bytes())?;
        write_json(&trained.history, &trained)?;
        write_whole(&trained.card, trained.card(study).as_bytes())?;
        std::fs::rename(&converted, &self.out).map_err(|error| Error::file(&self.out, error))?;
        Ok(trained)
    }
}

/// Returns a net of a configuration, to be written for PyTorch.
pub(crate) fn pytorch<'a>(
    config: &'a Config,
    image: [usize; 3],
    classes: &'a [String],
    standard: Option<[f64; 2]>,
) -> PyTorch<'a> {
    let ReadOptions { fit, background, .. } = config.read_options();
    PyTorch { model: &config.model, image, classes, standard, padded: fit == Fit::Pad, background }
}

/// The ending of the page about what a strategy found.
const STRATEGY_PAGE: &str = "strategy.html";

/// The endings of the files beside the weights.
const RESERVED: [&str; 3] = ["py", "json", "md"];

/// Makes a temporary folder beside a file.
fn draft(out: &Path) -> Result<tempfile::TempDir, Error> {
    let parent = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(|error| Error::file(parent, error))?;
    tempfile::Builder::new().prefix(".deepaug-").tempdir_in(parent).map_err(|error| Error::file(parent, error))
}

impl Trained {
    /// Describes the model for a stranger.
    fn card(&self, study: &Path) -> String {
        let Self { model, scheme, train_images, test_images, seed, .. } = self;
        let [height, width, channels] = self.image;
        let settings = &self.settings;
        let optimiser = &settings.optimiser;
        let mut ops: Vec<Op> = self.policy.steps().map(|step| step.op).collect();
        ops.sort_unstable();
        ops.dedup();
        let ops: Vec<&str> = ops.into_iter().map(Op::name).collect();
        let [weights, module, history] = [&self.weights, &self.module, &self.history].map(|path| file_name(path));
        let standard = match self.standard {
            Some([mean, deviation]) => format!(", minus {mean:.6}, divided by {deviation:.6}"),
            None => String::new(),
        };
        let augment = match settings.augment {
            Application::Online(_) if self.policy.in_place => "in place, afresh every epoch".into(),
            Application::Online(online) => online.to_string(),
            Application::Once | Application::Epoch => "as in the search".into(),
        };
        format!(
            "# {model}, trained by deepaug {version}\n\n\
             **Accuracy on {test_images} test images that neither the search nor this training learnt from: {accuracy:.2} %**, after \
             the last of {epochs} epochs. One training; another seed gives another accuracy.\n\n\
             | | |\n| --- | --- |\n\
             | images | {height} x {width} x {channels}, values divided by 255{standard} |\n\
             | classes, in the order of the outputs | {classes} |\n\
             | trained on | {train_images} images of the study {study} |\n\
             | augmentation | {scheme}: {augment} |\n\
             | ops | {ops} |\n\
             | optimiser | {rule:?}, learning rate {rate}, schedule {schedule:?}, weight decay {decay}, batches of {batch} |\n\
             | seed | {seed} |\n\
             | time | {seconds:.0} s |\n\n\
             `{module}` is the net as a PyTorch module: `load()` in it takes the weights from `{weights}` (safetensors, a \
             `state_dict`), and `python {module} --onnx model.onnx` writes it for ONNX. `{history}` holds every epoch, the \
             policy and all settings.\n",
            version = env!("CARGO_PKG_VERSION"),
            accuracy = 100.0 * self.accuracy,
            epochs = settings.epochs,
            classes = cell(&self.classes.join(", ")),
            scheme = cell(scheme),
            study = file_name(study),
            ops = if ops.is_empty() { "none".into() } else { ops.join(", ") },
            rule = optimiser.rule,
            rate = optimiser.learning_rate,
            schedule = optimiser.schedule,
            decay = optimiser.weight_decay,
            batch = settings.batch_size,
            seconds = self.seconds,
        )
    }
}

/// Keeps text within a cell of a table in Markdown.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
