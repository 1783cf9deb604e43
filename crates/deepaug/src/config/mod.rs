//! The configuration of a search.

pub(crate) mod auto;
mod check;
mod choices;
mod cluster;
pub(crate) mod colour;
mod keys;

use std::fmt;
use std::path::Path;

use deepaug_augmenter::{Application, Online, Op, RangeTable, Step, selection};
use deepaug_child_model::{
    ChildModel, Choose, Consistency, Device, DeviceChoice, DeviceError, GroupDro, Layer, Model, Net, Optimiser,
    Program, Rule, Schedule, Selection, Settings, Strategy,
};
use deepaug_controller::Method;
use deepaug_dataset::{
    Amount, Channels, Columns, Fit, ImageSize, OnBadImage, ReadOptions, Sample, SplitSizes, TEST_SHARE, cache_folder,
};
use serde::{Deserialize, Deserializer, Serialize};

pub use self::check::ValidConfig;
pub use self::choices::{
    AugmentMode, DensityCount, EarlyStopping, EpochSize, Holdout, LossKind, ObjectiveKind, OverfitMeasure, Portion,
    RewardKind, SearchMethod, SearchSpace, Sizes, TandaGenerator, Translator,
};
pub use self::cluster::ClusterConfig;
use self::keys::{line_of, line_of_key, names, unknown};
use crate::config::auto::Auto;
use crate::config::colour::Colour;
use crate::error::ConfigError;
use crate::subsample::Choice;

/// Epochs per training unless given: DeepAugment 1.1.2's.
const EPOCHS: usize = 50;

/// A custom child, instead of a named model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Child {
    /// A program and its arguments, started for every training: see [`Program`].
    pub command: Vec<String>,
    /// The folder it is started in; a new study records where it was made.
    pub folder: String,
    /// Layers of a net; the dense layer to the classes is added to them.
    pub layers: Vec<Layer>,
}

/// The configuration of a search. [`Config::default`] is DeepAugment 1.1.2's; [`Config::quickstart`] ends in
/// minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every key once, for the command and the files too")]
pub struct Config {
    pub data: String,
    pub data_format: Auto<String>,
    pub image_size: Auto<u32>,
    pub fit: Fit,
    pub channels: Channels,
    pub background: Colour,
    pub value_range: Auto<[f64; 2]>,
    pub image_column: String,
    pub label_column: String,
    pub split_column: String,
    pub group_column: String,
    pub subgroup_column: String,
    pub subgroup_table: String,
    pub on_bad_image: OnBadImage,
    pub data_cache: bool,
    pub sizes: Sizes,
    pub train_set_size: Amount,
    pub validation_set_size: Amount,
    pub test_set_size: Amount,
    pub holdout: Holdout,
    pub method: SearchMethod,
    pub iters: u64,
    pub seed: u64,
    pub reward: RewardKind,
    pub objective: ObjectiveKind,
    pub density_copies: usize,
    pub density_count: DensityCount,
    pub opt_initial_points: usize,
    pub opt_samples: usize,
    pub opt_last_n_epochs: usize,
    pub overfit_measure: OverfitMeasure,
    pub overfit_tolerance: f64,
    pub confirm_policies: usize,
    pub confirm_samples: usize,
    pub early_stopping: EarlyStopping,
    pub patience: usize,
    pub workers: Auto<usize>,
    pub in_order: bool,
    pub controller_units: usize,
    pub controller_batch: usize,
    pub controller_passes: usize,
    pub controller_learning_rate: f64,
    pub controller_entropy: f64,
    pub controller_baseline: f64,
    pub population: usize,
    pub interval: usize,
    pub resample_probability: f64,
    pub slots_per_op: usize,
    pub explore_all_at_start: bool,
    pub adversarial_policies: usize,
    pub adversarial_updates: usize,
    pub adversarial_learning_rate: f64,
    pub adversarial_entropy: f64,
    pub adversarial_clean: f64,
    pub adversarial_largest_level: u32,
    pub tanda_functions: Vec<Step>,
    pub tanda_length: usize,
    pub tanda_generator: TandaGenerator,
    pub tanda_steps: usize,
    pub tanda_warm_up: usize,
    pub tanda_batch: usize,
    pub tanda_sequences: usize,
    pub tanda_learning_rate: f64,
    pub tanda_discriminator_learning_rate: f64,
    pub tanda_lambda: f64,
    pub space: SearchSpace,
    pub ranges: RangeTable,
    #[serde(deserialize_with = "selected")]
    pub ops: Vec<Op>,
    #[serde(deserialize_with = "selected")]
    pub exclude: Vec<Op>,
    pub sub_policies: usize,
    pub ops_per_sub_policy: usize,
    pub op_probability: Portion,
    pub portion: Portion,
    pub portion_by: Choice,
    pub augment: AugmentMode,
    pub candidates: usize,
    pub keep: usize,
    pub choose: Choose,
    pub selection_warm_up: f64,
    pub consistency: f64,
    pub consistency_views: usize,
    pub chance: f64,
    pub finish: bool,
    pub pad: f64,
    pub flip: bool,
    pub cutout: f64,
    pub model: Model,
    pub child_epochs: Auto<usize>,
    pub child_batch_size: usize,
    pub epoch_size: EpochSize,
    pub child_first_train_epochs: usize,
    pub pre_aug_weights_path: String,
    pub optimizer: Auto<Rule>,
    pub learning_rate: Auto<f64>,
    pub learning_rate_decay: Auto<f64>,
    pub schedule: Schedule,
    pub warmup_epochs: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub clip_norm: Auto<f64>,
    pub label_smoothing: f64,
    pub mixup: f64,
    pub entropy_loss: f64,
    pub loss: LossKind,
    pub robust_learning_rate: f64,
    pub robust_adjustment: f64,
    pub robust_within_class: bool,
    pub standardize: bool,
    pub child: Child,
    pub translator: Translator,
    pub translator_policies: Vec<String>,
    pub translator_command: Vec<String>,
    pub translator_steps: usize,
    pub translator_batch: usize,
    pub translator_width: usize,
    pub translator_learning_rate: f64,
    pub translator_discriminator_learning_rate: f64,
    pub translator_cycle: f64,
    pub translator_identity: f64,
    pub patch_consistency: f64,
    pub device: DeviceChoice,
    pub threads: usize,
    pub child_memory: Auto<u64>,
    pub notebook_path: String,
    pub cluster: ClusterConfig,
}

/// Keys whose value may change between two runs of a study: they do not affect how a trial is judged.
const FREE_KEYS: [&str; 14] = [
    "iters",
    "patience",
    "confirm_policies",
    "confirm_samples",
    "threads",
    "notebook_path",
    "child_memory",
    "device",
    // The journal identifies the images themselves; how they are found may change.
    "data_format",
    "image_column",
    "label_column",
    "on_bad_image",
    "data_cache",
    "cluster",
];

/// Keys of a population.
const POPULATION_KEYS: [&str; 5] =
    ["population", "interval", "resample_probability", "slots_per_op", "explore_all_at_start"];

/// Keys of an adversary.
const ADVERSARY_KEYS: [&str; 6] = [
    "adversarial_policies",
    "adversarial_updates",
    "adversarial_learning_rate",
    "adversarial_entropy",
    "adversarial_clean",
    "adversarial_largest_level",
];

/// Keys of learnt sequences.
const TANDA_KEYS: [&str; 10] = [
    "tanda_functions",
    "tanda_length",
    "tanda_generator",
    "tanda_steps",
    "tanda_warm_up",
    "tanda_batch",
    "tanda_sequences",
    "tanda_learning_rate",
    "tanda_discriminator_learning_rate",
    "tanda_lambda",
];

/// Keys of weighting groups.
const ROBUST_KEYS: [&str; 4] = ["loss", "robust_learning_rate", "robust_adjustment", "robust_within_class"];

/// Keys of translations between subgroups.
const TRANSLATOR_KEYS: [&str; 11] = [
    "translator",
    "translator_policies",
    "translator_command",
    "translator_steps",
    "translator_batch",
    "translator_width",
    "translator_learning_rate",
    "translator_discriminator_learning_rate",
    "translator_cycle",
    "translator_identity",
    "patch_consistency",
];

/// Keys of choosing among candidates.
const SELECTION_KEYS: [&str; 4] = ["candidates", "keep", "choose", "selection_warm_up"];

/// Keys of holding versions of an image together.
const CONSISTENCY_KEYS: [&str; 2] = ["consistency", "consistency_views"];

impl Default for Config {
    fn default() -> Self {
        Self {
            data: Sample::FashionMnist.name().into(),
            data_format: Auto::Auto,
            image_size: Auto::Given(0),
            fit: Fit::Crop,
            channels: Channels::Auto,
            background: Colour([255; 3]),
            value_range: Auto::Auto,
            image_column: String::new(),
            label_column: String::new(),
            split_column: String::new(),
            group_column: String::new(),
            subgroup_column: String::new(),
            subgroup_table: String::new(),
            on_bad_image: OnBadImage::Error,
            data_cache: true,
            sizes: Sizes::Given,
            train_set_size: Amount::Count(2000),
            validation_set_size: Amount::Count(1000),
            test_set_size: TEST_SHARE,
            holdout: Holdout::Fixed,
            method: SearchMethod::Searcher(Method::default()),
            iters: 300,
            seed: 0,
            reward: RewardKind::Accuracy,
            objective: ObjectiveKind::Training,
            density_copies: 5,
            density_count: DensityCount::Any,
            opt_initial_points: 10,
            opt_samples: 3,
            opt_last_n_epochs: 3,
            overfit_measure: OverfitMeasure::Evaluation,
            overfit_tolerance: 0.10,
            confirm_policies: 3,
            confirm_samples: 5,
            early_stopping: EarlyStopping::Off,
            patience: 0,
            workers: Auto::Auto,
            in_order: true,
            controller_units: 100,
            controller_batch: 20,
            controller_passes: 4,
            controller_learning_rate: 0.0035,
            controller_entropy: 1e-5,
            controller_baseline: 0.95,
            population: 16,
            interval: 3,
            resample_probability: 0.2,
            slots_per_op: 2,
            explore_all_at_start: false,
            adversarial_policies: 4,
            adversarial_updates: 4,
            adversarial_learning_rate: 0.002,
            adversarial_entropy: 1e-5,
            adversarial_clean: 0.2,
            adversarial_largest_level: 5,
            tanda_functions: Vec::new(),
            tanda_length: 5,
            tanda_generator: TandaGenerator::MeanField,
            tanda_steps: 300,
            tanda_warm_up: 60,
            tanda_batch: 32,
            tanda_sequences: 3,
            tanda_learning_rate: 0.002,
            tanda_discriminator_learning_rate: 0.0005,
            tanda_lambda: 0.001,
            space: SearchSpace::Policies,
            ranges: RangeTable::Monotone,
            ops: Op::DEEPAUGMENT.to_vec(),
            exclude: Vec::new(),
            sub_policies: 5,
            ops_per_sub_policy: 2,
            op_probability: Portion::Fixed(1.0),
            portion: Portion::Fixed(1.0),
            portion_by: Choice::Uniform,
            augment: AugmentMode::Once,
            candidates: 4,
            keep: 1,
            choose: Choose::Proportional,
            selection_warm_up: 0.25,
            consistency: 0.0,
            consistency_views: 1,
            chance: Online::STANDARD.chance,
            finish: true,
            pad: Online::STANDARD.pad * 32.0,
            flip: Online::STANDARD.flip,
            cutout: Online::STANDARD.cutout * 32.0,
            model: Model::BasicCnn,
            child_epochs: Auto::Given(EPOCHS),
            child_batch_size: 64,
            epoch_size: EpochSize::Fixed,
            child_first_train_epochs: 0,
            pre_aug_weights_path: "pre_aug_weights.safetensors".into(),
            optimizer: Auto::Auto,
            learning_rate: Auto::Auto,
            learning_rate_decay: Auto::Auto,
            schedule: Schedule::Constant,
            warmup_epochs: 0.0,
            momentum: 0.9,
            weight_decay: 0.0,
            clip_norm: Auto::Auto,
            label_smoothing: 0.0,
            mixup: 0.0,
            entropy_loss: 0.0,
            loss: LossKind::Mean,
            robust_learning_rate: 0.01,
            robust_adjustment: 1.0,
            robust_within_class: false,
            standardize: false,
            child: Child::default(),
            translator: Translator::Cyclegan,
            translator_policies: Vec::new(),
            translator_command: Vec::new(),
            translator_steps: 1500,
            translator_batch: 25,
            translator_width: 8,
            translator_learning_rate: 1e-3,
            translator_discriminator_learning_rate: 5e-4,
            translator_cycle: 5.0,
            translator_identity: 1.0,
            patch_consistency: 5.0,
            device: DeviceChoice::Auto,
            threads: 0,
            child_memory: Auto::Auto,
            notebook_path: "notebook.csv".into(),
            cluster: ClusterConfig::default(),
        }
    }
}

impl Config {
    /// Returns what runs without arguments: small enough for a few minutes on two CPU cores.
    pub fn quickstart() -> Self {
        Self::parse(include_str!("../../../../configs/quickstart.toml")).expect("the file is part of the tests")
    }

    /// Reads a TOML file; keys it leaves out keep their defaults.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let place = |error: ConfigError| ConfigError { file: Some(path.into()), ..error };
        let text = std::fs::read_to_string(path)
            .map_err(|error| place(ConfigError::new(format!("cannot read the configuration: {error}"))))?;
        Self::parse(&text).map_err(place)
    }

    /// Reads TOML text; keys it leaves out keep their defaults.
    ///
    /// # Errors
    /// [`ConfigError`] names the line and the key.
    ///
    /// ```
    /// # use deepaug::Config;
    /// assert_eq!(Config::parse("iters = 20").unwrap().iters, 20);
    /// let error = Config::parse("seed = 1\nopt_sample = 3").unwrap_err();
    /// assert_eq!(error.to_string(), "line 2: unknown key \"opt_sample\"; did you mean \"opt_samples\"?");
    /// ```
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |error: &toml::de::Error| ConfigError {
            line: error.span().map(|span| line_of(text, span.start)),
            ..ConfigError::new(in_words(error.message().trim()))
        };
        let table: toml::Table = toml::from_str(text).map_err(|error| wrong(&error))?;
        let known = |key: &str| ["child", "cluster"].contains(&key) || names().any(|name| name == key);
        if let Some(key) = table.keys().find(|key| !known(key)) {
            return Err(ConfigError { line: line_of_key(text, key), ..unknown(key) });
        }
        let values = toml::Deserializer::parse(text).map_err(|error| wrong(&error))?;
        let mut config: Self = serde_path_to_error::deserialize(values).map_err(|error| {
            let wrong = wrong(error.inner());
            ConfigError { why: format!("{}: {}", error.path(), wrong.why), ..wrong }
        })?;
        // Layers that are given are meant to be used.
        if !config.child.layers.is_empty() && !table.contains_key("model") {
            config.model = Model::Layers(Vec::new());
        }
        config.ops.retain(|op| !config.exclude.contains(op));
        if let Model::Layers(layers) = &mut config.model {
            layers.clone_from(&config.child.layers);
        }
        match config.fault() {
            None => Ok(config),
            Some((key, why)) => {
                Err(ConfigError { line: line_of_key(text, key), ..ConfigError::new(format!("{key}: {why}")) })
            }
        }
    }

    /// Returns the optimiser: what is given, and otherwise what is usual for it or for the model.
    pub fn optimiser(&self) -> Optimiser {
        let own = self.model.optimiser();
        let rule = self.optimizer.unwrap_or(own.rule);
        let usual = match rule {
            rule if rule == own.rule => own,
            Rule::Sgd => Optimiser { clip_norm: own.clip_norm, ..Optimiser::plain(rule, 0.05) },
            Rule::RmsProp | Rule::Adam => Optimiser { clip_norm: own.clip_norm, ..Optimiser::plain(rule, 1e-3) },
        };
        Optimiser {
            rule,
            learning_rate: self.learning_rate.unwrap_or(usual.learning_rate),
            decay: self.learning_rate_decay.unwrap_or(usual.decay),
            schedule: self.schedule,
            warmup_epochs: self.warmup_epochs,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm.unwrap_or(usual.clip_norm),
        }
    }

    /// Returns the epochs per training; in a study that has begun, those that were chosen for it.
    pub fn epochs(&self) -> usize {
        self.child_epochs.unwrap_or(EPOCHS)
    }

    /// Whether the best policies of a search can be used together, each image with a sub-policy of one of them; the
    /// policies of schemes, and those that come out of trainings, draw their own ops.
    pub(crate) fn policies_join(&self) -> bool {
        self.space == SearchSpace::Policies && !self.method.looks_into_trainings()
    }

    /// Returns how children are trained.
    pub fn settings(&self) -> Settings {
        Settings {
            epochs: self.epochs(),
            batch_size: self.child_batch_size,
            images_per_epoch: None,
            measured: 0,
            optimiser: self.optimiser(),
            label_smoothing: self.label_smoothing,
            mixup: self.mixup,
            standardize: self.standardize,
            augment: self.application(),
            strategy: self.strategy(),
            entropy_loss: self.entropy_loss,
            robust: match self.loss {
                LossKind::Mean => None,
                LossKind::GroupDro => Some(self.group_dro()),
            },
        }
    }

    /// Returns how policies are applied while children are trained.
    pub fn application(&self) -> Application {
        match self.augment {
            AugmentMode::Once => Application::Once,
            AugmentMode::Epoch => Application::Epoch,
            AugmentMode::Online | AugmentMode::Uncertain | AugmentMode::Entropy => Application::Online(self.online()),
        }
    }

    /// Returns how children use what a policy makes of an image.
    pub fn strategy(&self) -> Strategy {
        match self.augment {
            AugmentMode::Online if self.consistency > 0.0 => {
                Strategy::Consistent(Consistency { views: self.consistency_views, weight: self.consistency })
            }
            AugmentMode::Once | AugmentMode::Epoch | AugmentMode::Online => Strategy::Plain,
            AugmentMode::Uncertain => Strategy::Uncertain(self.selection()),
            AugmentMode::Entropy => Strategy::Entropy,
        }
    }

    /// Returns how groups are weighted, where they are.
    pub fn group_dro(&self) -> GroupDro {
        GroupDro {
            learning_rate: self.robust_learning_rate,
            adjustment: self.robust_adjustment,
            within_class: self.robust_within_class,
        }
    }

    /// Returns how candidates are chosen, where they are.
    pub fn selection(&self) -> Selection {
        let Self { candidates, keep, choose, selection_warm_up: warm_up, .. } = *self;
        Selection { candidates, keep, choose, warm_up }
    }

    /// Returns how policies are applied if images are augmented in place.
    pub fn online(&self) -> Online {
        let finish = if self.finish { self.finish_alone() } else { Online::NOTHING };
        Online { chance: self.chance, ..finish }
    }

    /// Returns the shift, mirror image and square without a policy, whether or not policies are finished by them.
    pub(crate) fn finish_alone(&self) -> Online {
        Online { chance: 0.0, pad: self.pad / 32.0, flip: self.flip, cutout: self.cutout / 32.0 }
    }

    /// Returns the number of images in an epoch with `train_images` training images, whatever the policy.
    pub(crate) fn epoch_of(&self, train_images: usize) -> usize {
        match self.augment {
            mode if mode.is_in_place() => train_images,
            _ => train_images * (1 + self.sub_policies),
        }
    }

    /// Returns the child to train, on its device.
    ///
    /// # Errors
    /// [`DeviceError`] if the device is not available.
    pub fn child_model(&self) -> Result<Box<dyn ChildModel>, DeviceError> {
        if !self.child.command.is_empty() {
            let program = Program::new(self.child.command.clone());
            let folder = if self.child.folder.is_empty() { "." } else { &self.child.folder };
            return Ok(Box::new(program.with_folder(folder.into())));
        }
        let net = Net::new(self.model.clone(), Device::open(self.device)?);
        Ok(Box::new(match self.child_memory {
            Auto::Auto => net,
            Auto::Given(mebibytes) => net.with_memory(mebibytes.saturating_mul(1 << 20)),
        }))
    }

    /// Does the same, on the CPU if other machines train.
    pub(crate) fn child_of(&self, elsewhere: bool) -> Result<Box<dyn ChildModel>, DeviceError> {
        match elsewhere {
            true => Self { device: DeviceChoice::Cpu, ..self.clone() }.child_model(),
            false => self.child_model(),
        }
    }

    /// Returns the device of the machines of a cluster.
    pub(crate) fn cluster_device(&self) -> DeviceChoice {
        match self.device {
            DeviceChoice::Auto if self.cluster.gpus > 0 => DeviceChoice::Wgpu,
            DeviceChoice::Auto => DeviceChoice::Cpu,
            given => given,
        }
    }

    /// Returns the number of threads that train: all cores unless given.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// Returns the most fresh seeds that one policy can get, with the share of those that fall behind.
    pub(crate) fn most_confirm_samples(&self) -> usize {
        2 * self.confirm_samples
    }

    /// Returns the trainings of a search of `trials` trials, including the one without a policy, and of its
    /// confirmation. If trials end early, the number is approximate.
    pub(crate) fn trainings(&self, trials: u64) -> usize {
        let of_a_trial = self.early_stopping.trainings(self.opt_samples);
        (trials as f64 * of_a_trial).round() as usize + self.confirmations(trials)
    }

    /// Returns the trainings with fresh seeds at the end of a search of `trials` trials, including the one without
    /// a policy.
    pub(crate) fn confirmations(&self, trials: u64) -> usize {
        match (trials as usize).saturating_sub(1).min(self.confirm_policies) {
            0 => 0,
            policies => (policies + 1) * self.confirm_samples,
        }
    }

    /// Returns the configuration with one key set, given as `key=value`: a value of TOML, or a word without quotes. Keys of a
    /// table are given as `child.command=...`.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    ///
    /// ```
    /// use deepaug::Config;
    ///
    /// let config = Config::default().with("portion=0.5")?.with("model=simplecnn")?.with("ops=[\"rotate\", \"shear\"]")?;
    /// assert_eq!((config.model.name().as_str(), config.ops.len()), ("simplecnn", 2));
    /// let error = Config::default().with("opt_sample=3").unwrap_err();
    /// assert_eq!(error.to_string(), "unknown key \"opt_sample\"; did you mean \"opt_samples\"?");
    /// # Ok::<(), deepaug::Error>(())
    /// ```
    pub fn with(&self, pair: &str) -> Result<Self, ConfigError> {
        self.with_all([pair])
    }

    /// Returns the configuration with other values for several keys, which are checked together: one may need another.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn with_all<'a>(&self, pairs: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        let mut keys: Vec<&str> = Vec::new();
        let mut table = toml::Table::try_from(self).map_err(|error| ConfigError::new(error.to_string()))?;
        for pair in pairs {
            let Some((key, text)) = pair.split_once('=') else {
                return Err(ConfigError::new(format!("\"{pair}\" sets no key; write key=value")));
            };
            let (key, text) = (key.trim(), text.trim());
            if !names().any(|name| name == key) {
                return Err(unknown(key));
            }
            let value = toml::from_str::<toml::Table>(&format!("value = {text}"));
            let value = value.ok().and_then(|mut table| table.remove("value"));
            let value = value.unwrap_or_else(|| toml::Value::String(text.into()));
            match key.split_once('.') {
                Some((outer, inner)) => {
                    let outer = table.entry(outer).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                    if let Some(outer) = outer.as_table_mut() {
                        outer.insert(inner.into(), value);
                    }
                }
                None => _ = table.insert(key.into(), value),
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Ok(self.clone());
        }
        let wrong = |error: &dyn fmt::Display| {
            let why = in_words(error.to_string().trim());
            // Which of several is meant is in the message, if the parser knows it.
            ConfigError::new(if let [key] = keys[..] { format!("{key}: {why}") } else { why })
        };
        // Through text, as a file would say it.
        let text = toml::to_string(&table).map_err(|error| wrong(&error))?;
        Self::parse(&text).map_err(|error| match keys.iter().any(|key| error.why.starts_with(key)) {
            true => ConfigError { line: None, ..error },
            false => wrong(&error.why),
        })
    }

    /// Returns how the images are read.
    pub fn read_options(&self) -> ReadOptions {
        let column = |name: &String| (!name.is_empty()).then(|| name.clone());
        ReadOptions {
            format: match &self.data_format {
                Auto::Auto => None,
                Auto::Given(name) => Some(name.clone()),
            },
            image_size: match self.image_size {
                Auto::Auto => ImageSize::Auto,
                Auto::Given(0) => ImageSize::Own,
                Auto::Given(side) => ImageSize::Side(side),
            },
            fit: self.fit,
            channels: self.channels,
            background: self.background.0,
            value_range: match self.value_range {
                Auto::Auto => None,
                Auto::Given(range) => Some(range),
            },
            columns: Columns {
                image: column(&self.image_column),
                label: column(&self.label_column),
                split: column(&self.split_column),
                group: column(&self.group_column),
                subgroup: column(&self.subgroup_column),
                subgroup_table: column(&self.subgroup_table).map(Into::into),
            },
            on_bad_image: self.on_bad_image,
            cache: if self.data_cache { cache_folder() } else { None },
        }
    }

    /// Returns the size of each split.
    pub fn split_sizes(&self) -> SplitSizes {
        SplitSizes { train: self.train_set_size, validation: self.validation_set_size, test: self.test_set_size }
    }

    /// Returns the values that affect a trial's trainings.
    pub(crate) fn fixed(&self) -> serde_json::Value {
        let mut values = serde_json::to_value(self).unwrap_or_default();
        if let Some(values) = values.as_object_mut() {
            values.retain(|key, _| !FREE_KEYS.contains(&key.as_str()));
            // The journal identifies the images themselves; where they are stored may change.
            values.remove("data");
            values.remove("subgroup_table");
            // Studies of versions without this key have this value.
            if self.reward == RewardKind::Accuracy {
                values.remove("reward");
            }
            if self.value_range == Auto::Auto {
                values.remove("value_range");
            }
            if self.in_order {
                values.remove("in_order");
            }
            // Only model patching has them.
            values.retain(|key, _| !TRANSLATOR_KEYS.contains(&key.as_str()));
            // Only a population has them, and studies of versions without it have none.
            if self.method != SearchMethod::Pba {
                values.retain(|key, _| !POPULATION_KEYS.contains(&key.as_str()));
            }
            if self.method != SearchMethod::Tanda {
                values.retain(|key, _| !TANDA_KEYS.contains(&key.as_str()));
            }
            if self.augment != AugmentMode::Uncertain {
                values.retain(|key, _| !SELECTION_KEYS.contains(&key.as_str()));
            }
            if self.loss == LossKind::Mean {
                values.retain(|key, _| !ROBUST_KEYS.contains(&key.as_str()));
            }
            if self.subgroup_column.is_empty() {
                values.remove("subgroup_column");
            }
            if self.portion_by == Choice::Uniform {
                values.remove("portion_by");
            }
            if self.consistency == 0.0 {
                values.retain(|key, _| !CONSISTENCY_KEYS.contains(&key.as_str()));
            }
            if self.entropy_loss == 0.0 {
                values.remove("entropy_loss");
            }
            // Of other methods, final trainings alone have one.
            if self.method != SearchMethod::Adversarial {
                values.retain(|key, _| !ADVERSARY_KEYS.contains(&key.as_str()));
            }
        }
        values
    }

    /// Returns the values that affect model patching.
    pub(crate) fn fixed_for_patching(&self) -> serde_json::Value {
        let (mut values, all) = (self.fixed(), serde_json::to_value(self).unwrap_or_default());
        if let Some(values) = values.as_object_mut() {
            for key in TRANSLATOR_KEYS.into_iter().chain(ROBUST_KEYS) {
                values.insert(key.into(), all[key].clone());
            }
        }
        values
    }
}

/// Reads ops by name, family or category; a single name needs no list.
fn selected<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Op>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the name of an op or of a group of ops, or a list of such names")]
    enum Names {
        One(String),
        Many(Vec<String>),
    }
    let names = match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::Many(names) => names,
    };
    selection::all_ops(names.iter().map(String::as_str)).map_err(serde::de::Error::custom)
}

/// Replaces Rust's names of number types in a parser message with words.
fn in_words(message: &str) -> String {
    let names =
        [("usize", "a whole number"), ("u64", "a whole number"), ("u32", "a whole number"), ("f64", "a number")];
    names.into_iter().fold(message.to_string(), |text, (name, words)| {
        text.replace(&format!("expected {name}"), &format!("expected {words}"))
    })
}

#[cfg(test)]
mod tests;
