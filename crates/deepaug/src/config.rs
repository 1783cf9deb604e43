//! What a search is told.

use std::path::Path;

use deepaug_augmenter::{Op, RangeTable, selection};
use deepaug_child_model::{
    Augment, ChildModel, Device, DeviceChoice, DeviceError, Layer, Model, Net, Optimiser, Program, Rule, Schedule,
    Settings,
};
use deepaug_controller::Method;
use deepaug_dataset::{
    Amount, Channels, Columns, Fit, ImageSize, OnBadImage, ReadOptions, SplitSizes, TEST_SHARE, cache_folder,
    format_names,
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Auto, Colour, ConfigError, EarlyStopping};

/// Whether the share of images that a sub-policy augments is searched or given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Portion {
    /// The search chooses it in [0, 1].
    Searched,
    /// Always this share, in (0, 1].
    Fixed(f64),
}

impl Serialize for Portion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Searched => serializer.serialize_str("search"),
            Self::Fixed(share) => serializer.serialize_f64(*share),
        }
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Share(f64),
            Word(String),
        }
        match Given::deserialize(deserializer) {
            Ok(Given::Share(share)) => Ok(Self::Fixed(share)),
            Ok(Given::Word(word)) if word == "search" => Ok(Self::Searched),
            _ => Err(serde::de::Error::custom("portion must be a number above 0 and at most 1, or \"search\"")),
        }
    }
}

/// How many images a training sees an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EpochSize {
    /// As many for every policy, and for none, as portion 1 gives: no policy wins by training longer.
    Fixed,
    /// Originals and copies once each, as DeepAugment does.
    Pool,
}

/// A child of the user's own, instead of a named model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Child {
    /// A program and its arguments, which is started for every training: see [`Program`].
    pub command: Vec<String>,
    /// The folder it is started in; a new study writes down where it was made.
    pub folder: String,
    /// Layers of a net; the dense layer to the classes is added to them.
    pub layers: Vec<Layer>,
}

/// What a search is told. [`Config::default`] is DeepAugment 1.1.2's; [`Config::quickstart`] ends in minutes.
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
    pub image_column: String,
    pub label_column: String,
    pub split_column: String,
    pub group_column: String,
    pub on_bad_image: OnBadImage,
    pub data_cache: bool,
    pub train_set_size: Amount,
    pub validation_set_size: Amount,
    pub test_set_size: Amount,
    pub method: Method,
    pub iters: u64,
    pub seed: u64,
    pub opt_initial_points: usize,
    pub opt_samples: usize,
    pub opt_last_n_epochs: usize,
    pub overfit_tolerance: f64,
    pub confirm_policies: usize,
    pub confirm_samples: usize,
    pub early_stopping: EarlyStopping,
    pub workers: Auto<usize>,
    pub ranges: RangeTable,
    #[serde(deserialize_with = "selected")]
    pub ops: Vec<Op>,
    #[serde(deserialize_with = "selected")]
    pub exclude: Vec<Op>,
    pub sub_policies: usize,
    pub ops_per_sub_policy: usize,
    pub portion: Portion,
    pub model: Model,
    pub child_epochs: usize,
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
    pub augment: Augment,
    pub child: Child,
    pub device: DeviceChoice,
    pub threads: usize,
    pub child_memory: Auto<u64>,
    pub notebook_path: String,
}

/// Every key with its documentation, in the order in which it is printed. A line that starts with `#` opens a group.
const KEYS: &[(&str, &str)] = &[
    ("# Data", ""),
    ("data", "A folder or file of labelled images, or \"fashion-mnist-sample\", the set inside the program."),
    (
        "data_format",
        "\"auto\", or \"folder\" (of class folders), \"csv\" (a table of paths and labels), \"parquet\", \"numpy\", \
         \"webdataset\", \"cifar\", \"idx\".",
    ),
    (
        "image_size",
        "Side in pixels that images are brought to; 0 keeps them as they are, \"auto\" takes the middle one, at most 64.",
    ),
    ("fit", "Images of other shapes: \"crop\" takes the central square, \"pad\" puts background beside them."),
    ("channels", "\"auto\" (grey where every image is), \"grey\" or \"rgb\"."),
    ("background", "The colour behind transparent images and beside padded ones."),
    (
        "image_column",
        "Column of a table, or name of an array, that holds images or their paths; empty for the usual ones.",
    ),
    ("label_column", "The same for labels ..."),
    ("split_column", "... for the words train, validation and test ..."),
    ("group_column", "... and for what belongs together, such as a patient's images: never on both sides of a split."),
    (
        "on_bad_image",
        "Images that cannot be read: \"error\" stops at the first, \"skip\" leaves them out and lists them.",
    ),
    ("data_cache", "Whether decoded images are kept in the user's cache folder, for a quick next start."),
    ("train_set_size", "Images each child is trained on, at most: a number, or a share of all such as 0.5."),
    ("validation_set_size", "Images the reward is measured on, at most; a number or a share of all."),
    ("test_set_size", "Images held out where the data has no test part of its own. No search touches them."),
    ("# Search", ""),
    ("method", "\"bayesian_optimization\" or \"random\"."),
    ("iters", "Policies to try, besides trial 0 without augmentation."),
    ("seed", "Decides everything random: the same seed, data and kind of device give the same notebook."),
    ("opt_initial_points", "Policies tried before the first one that is proposed from what was learnt."),
    ("opt_samples", "Trainings a policy; their rewards are averaged."),
    ("opt_last_n_epochs", "The reward is the mean of this many highest validation accuracies ..."),
    ("overfit_tolerance", "... among epochs whose training accuracy is at most this much above validation accuracy."),
    ("confirm_policies", "Best policies trained again with fresh seeds after the search; 0 for none."),
    ("confirm_samples", "Fresh trainings for each of them, and for no augmentation."),
    (
        "early_stopping",
        "\"off\", or end trials early that are not in the better half (\"median\") or the best third (\"halving\") of those before.",
    ),
    (
        "workers",
        "Trials under way at once: proposals do not wait for so many; \"auto\" for as many as keep the machine busy.",
    ),
    ("# Policies", ""),
    (
        "ranges",
        "What magnitudes mean: \"monotone\", \"deepaugment-1.1.2\", \"autoaugment\", \"randaugment\" or \
         \"trivialaugment-wide\".",
    ),
    (
        "ops",
        "The ops to choose from: names, \"geometric\", \"colour\", \"blur-noise\", \"occlusion\" or \"weather\", \
         \"deepaugment\" (twenty), \"autoaugment\" (sixteen) or \"all\".",
    ),
    ("exclude", "Ops or groups of ops taken away from those again."),
    ("sub_policies", "Sequences of ops in a policy; each adds its own augmented copies."),
    ("ops_per_sub_policy", "Ops in a sequence, applied in order."),
    ("portion", "Share of the training images each sequence copies: a number, or \"search\" (0.1 to 1)."),
    ("# Child model", ""),
    (
        "model",
        "\"basiccnn\", \"simplecnn\", \"wrn_16_2\" (any depth and width), \"mobilenetv2\", \"inceptionv3\", or \"layers\".",
    ),
    ("child_epochs", "Epochs a training."),
    ("child_batch_size", "Images a step."),
    ("epoch_size", "\"fixed\": as many images an epoch for every policy. \"pool\": originals and copies once each."),
    ("child_first_train_epochs", "Epochs trained once without augmentation, whose weights every child starts from."),
    ("pre_aug_weights_path", "The file in the study's folder that keeps those weights."),
    ("optimizer", "\"auto\" (the model's own), \"rmsprop\", \"adam\" or \"sgd\" (with Nesterov's momentum)."),
    ("learning_rate", "Of the first step; \"auto\" for the optimizer's usual one."),
    ("learning_rate_decay", "The rate is divided by 1 + this for each step before; \"auto\" for the model's own."),
    ("schedule", "\"constant\", \"step\" (a tenth at 1/2 and at 3/4 of the training) or \"cosine\"."),
    ("warmup_epochs", "Epochs in which the learning rate grows to its full value."),
    ("momentum", "Of \"sgd\"."),
    ("weight_decay", "The gradient of each weight is increased by this much of the weight."),
    ("clip_norm", "The norm of each parameter's gradient is cut to this; 0 for never, \"auto\" for the model's own."),
    ("label_smoothing", "Share of each target that is spread over all classes, at least 0 and below 1."),
    ("mixup", "Images are mixed by shares from Beta(mixup, mixup); 0 for never."),
    ("augment", "\"once\" a training, as DeepAugment does, or afresh each \"epoch\"."),
    (
        "child.command",
        "A program of your own that trains the child, such as [\"python3\", \"train.py\"]; empty for none.",
    ),
    ("child.folder", "The folder it is started in; empty for the one deepaug is started in when the study is made."),
    (
        "child.layers",
        "Layers of a net of your own, such as [{ kind = \"conv\", filters = 16 }, { kind = \"max-pool\" }].",
    ),
    ("# Machine", ""),
    ("device", "\"auto\" (a GPU if there is one), \"cpu\" or \"wgpu\"."),
    ("threads", "Children trained at once on the CPU; 0 for one a core. Results do not depend on it."),
    ("child_memory", "MiB for all children together; \"auto\" for 4096 on a GPU, for 3/4 of what is free on the CPU."),
    ("notebook_path", "The file in the study's folder that holds the table of all trainings."),
    // Closes the last group.
    ("#", ""),
];

/// Names of files in a study's folder that are not the user's to choose.
const RESERVED: [&str; 7] = [
    crate::study::FROZEN_CONFIG,
    crate::study::JOURNAL,
    crate::study::LOG,
    crate::journal::LOCK,
    "best_policy.json",
    "top_policies.csv",
    "result.json",
];

/// Keys whose value may change between two runs of a study: they do not decide how a trial is judged.
const FREE_KEYS: [&str; 12] = [
    "iters",
    "confirm_policies",
    "confirm_samples",
    "threads",
    "notebook_path",
    "child_memory",
    "device",
    // The journal knows the images themselves; how they were found may change.
    "data_format",
    "image_column",
    "label_column",
    "on_bad_image",
    "data_cache",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            data: deepaug_dataset::SAMPLE_NAME.into(),
            data_format: Auto::Auto,
            image_size: Auto::Given(0),
            fit: Fit::Crop,
            channels: Channels::Auto,
            background: Colour([255; 3]),
            image_column: String::new(),
            label_column: String::new(),
            split_column: String::new(),
            group_column: String::new(),
            on_bad_image: OnBadImage::Error,
            data_cache: true,
            train_set_size: Amount::Count(2000),
            validation_set_size: Amount::Count(1000),
            test_set_size: TEST_SHARE,
            method: Method::BayesianOptimization,
            iters: 300,
            seed: 0,
            opt_initial_points: 10,
            opt_samples: 3,
            opt_last_n_epochs: 3,
            overfit_tolerance: 0.10,
            confirm_policies: 3,
            confirm_samples: 5,
            early_stopping: EarlyStopping::Off,
            workers: Auto::Auto,
            ranges: RangeTable::Monotone,
            ops: Op::DEEPAUGMENT.to_vec(),
            exclude: Vec::new(),
            sub_policies: 5,
            ops_per_sub_policy: 2,
            portion: Portion::Fixed(1.0),
            model: Model::BasicCnn,
            child_epochs: 50,
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
            augment: Augment::Once,
            child: Child::default(),
            device: DeviceChoice::Auto,
            threads: 0,
            child_memory: Auto::Auto,
            notebook_path: "notebook.csv".into(),
        }
    }
}

impl Config {
    /// What runs without arguments: small enough for a few minutes on two CPU cores.
    pub fn quickstart() -> Self {
        Self::parse(include_str!("../../../configs/quickstart.toml")).expect("the file is part of the tests")
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
            file: None,
            line: error.span().map(|span| line_of(text, span.start)),
            why: error.message().trim().to_string(),
        };
        let table: toml::Table = toml::from_str(text).map_err(|error| wrong(&error))?;
        let known = |key: &str| key == "child" || names().any(|name| name == key);
        if let Some(key) = table.keys().find(|key| !known(key)) {
            return Err(ConfigError { line: line_of_key(text, key), ..unknown(key) });
        }
        let mut config: Self = toml::from_str(text).map_err(|error| wrong(&error))?;
        // Layers that are given are meant.
        if !config.child.layers.is_empty() && !table.contains_key("model") {
            config.model = Model::Layers(Vec::new());
        }
        config.ops.retain(|op| !config.exclude.contains(op));
        if let Model::Layers(layers) = &mut config.model {
            layers.clone_from(&config.child.layers);
        }
        config.check().map_err(|(key, why)| ConfigError {
            file: None,
            line: line_of_key(text, key),
            why: format!("{key}: {why}"),
        })?;
        Ok(config)
    }

    /// Whether every value makes sense, of a configuration that was made or changed by a program.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check().map_err(|(key, why)| ConfigError::new(format!("{key}: {why}")))
    }

    /// Whether every value makes sense; the key and the reason where one does not.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        // The upper limits are far beyond use; they keep a slip of the finger from asking for all memory there is.
        let counts = [
            ("image_size", self.image_size.unwrap_or(0) as usize, 0, 1024),
            ("iters", usize::try_from(self.iters).unwrap_or(usize::MAX), 1, 1_000_000),
            ("opt_initial_points", self.opt_initial_points, 1, 10_000),
            ("opt_samples", self.opt_samples, 1, 1000),
            ("opt_last_n_epochs", self.opt_last_n_epochs, 1, 100_000),
            ("confirm_policies", self.confirm_policies, 0, 1000),
            ("confirm_samples", self.confirm_samples, 0, 1000),
            // One letter each in the notebook.
            ("sub_policies", self.sub_policies, 1, 26),
            ("ops_per_sub_policy", self.ops_per_sub_policy, 1, 20),
            ("child_epochs", self.child_epochs, 1, 100_000),
            ("child_batch_size", self.child_batch_size, 1, 100_000),
            ("child_first_train_epochs", self.child_first_train_epochs, 0, 100_000),
            ("workers", self.workers.unwrap_or(1), 1, 4096),
            ("threads", self.threads, 0, 4096),
        ];
        for (key, value, least, most) in counts {
            if value < least {
                return Err((key, format!("must be at least {least}")));
            }
            if value > most {
                return Err((key, format!("must be at most {most}")));
            }
        }
        for (key, size) in [
            ("train_set_size", self.train_set_size),
            ("validation_set_size", self.validation_set_size),
            ("test_set_size", self.test_set_size),
        ] {
            match size {
                Amount::Count(count) if (1..=100_000_000).contains(&count) => {}
                Amount::Share(share) if share > 0.0 && share < 1.0 => {}
                _ => return Err((key, "must be a number from 1 to 100000000, or a share between 0 and 1".into())),
            }
        }
        if let Auto::Given(format) = &self.data_format
            && !format_names().any(|name| name == format)
        {
            let names: Vec<_> = format_names().collect();
            return Err(("data_format", format!("must be \"auto\" or one of {}", names.join(", "))));
        }
        if self.data == deepaug_dataset::SAMPLE_NAME && ![0, 28].contains(&self.image_size.unwrap_or(0)) {
            return Err((
                "image_size",
                "must be 0 for the images inside the program: they are 28x28 and stay so".into(),
            ));
        }
        // Everything of a study lies in its folder, under names that do not collide.
        for (key, name) in
            [("notebook_path", &self.notebook_path), ("pre_aug_weights_path", &self.pre_aug_weights_path)]
        {
            let plain = Path::new(name).file_name().is_some_and(|file| file == name.as_str());
            if !plain || RESERVED.contains(&name.as_str()) {
                return Err((
                    key,
                    format!("must be the name of a file of its own in the study's folder, not {name:?}"),
                ));
            }
        }
        if self.notebook_path == self.pre_aug_weights_path {
            return Err(("notebook_path", "must differ from pre_aug_weights_path".into()));
        }
        if i64::try_from(self.seed).is_err() {
            return Err(("seed", format!("must be at most {}", i64::MAX)));
        }
        if !(0.0..=1.0).contains(&self.overfit_tolerance) {
            return Err(("overfit_tolerance", "must lie in 0..1, as accuracies do".into()));
        }
        if let Portion::Fixed(share) = self.portion
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(("portion", "must be above 0 and at most 1, or \"search\"".into()));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(("label_smoothing", "must be at least 0 and below 1".into()));
        }
        if !(0.0..=100.0).contains(&self.mixup) {
            return Err(("mixup", "must lie in 0..100".into()));
        }
        self.optimiser()
            .check()
            .map_err(|(key, why)| (if key == "decay" { "learning_rate_decay" } else { key }, why))?;
        if matches!(&self.model, Model::Layers(layers) if layers.is_empty()) {
            return Err(("model", "is \"layers\", but child.layers has none".into()));
        }
        if !self.child.layers.is_empty() && !matches!(self.model, Model::Layers(_)) {
            return Err(("model", "must be \"layers\" when child.layers are given".into()));
        }
        if !self.child.command.is_empty() && !self.child.layers.is_empty() {
            return Err(("child", "has a command and layers; only one of them can train".into()));
        }
        if !self.child.command.is_empty() {
            self.check_program()?;
        }
        if self.child_memory == Auto::Given(0) {
            return Err(("child_memory", "must be at least 1".into()));
        }
        if self.ops.is_empty() {
            let key = if self.exclude.is_empty() { "ops" } else { "exclude" };
            return Err((key, "must leave at least one op".into()));
        }
        if let Some(op) = self.ops.iter().find(|&&op| !self.ranges.has(op)) {
            return Err((
                "ops",
                format!("the {} ranges do not have {op}; choose other ranges or exclude it", self.ranges),
            ));
        }
        if let Some(op) = self.ops.iter().enumerate().find(|(i, op)| self.ops[..*i].contains(op)) {
            return Err(("ops", format!("names {} twice", op.1)));
        }
        if self.confirm_policies > 0 && self.confirm_samples == 0 {
            return Err(("confirm_samples", "must be at least 1 when policies are confirmed".into()));
        }
        Ok(())
    }

    /// A program does its own training: what it would not hear of must not be set.
    fn check_program(&self) -> Result<(), (&'static str, String)> {
        let default = Self::default();
        let unheard = [
            ("child_first_train_epochs", self.child_first_train_epochs == 0),
            ("optimizer", self.optimizer == default.optimizer),
            ("learning_rate", self.learning_rate == default.learning_rate),
            ("learning_rate_decay", self.learning_rate_decay == default.learning_rate_decay),
            ("schedule", self.schedule == default.schedule),
            ("warmup_epochs", self.warmup_epochs == default.warmup_epochs),
            ("momentum", self.momentum == default.momentum),
            ("weight_decay", self.weight_decay == default.weight_decay),
            ("clip_norm", self.clip_norm == default.clip_norm),
            ("label_smoothing", self.label_smoothing == default.label_smoothing),
            ("mixup", self.mixup == default.mixup),
            ("augment", self.augment == default.augment),
        ];
        match unheard.into_iter().find(|(_, unset)| !unset) {
            Some((key, _)) => Err((key, "is left to the program of child.command; remove it".into())),
            None => Ok(()),
        }
    }

    /// The optimiser: what is given, and for the rest what is usual for it or for the model.
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

    /// How children are trained.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            epochs: self.child_epochs,
            batch_size: self.child_batch_size,
            images_per_epoch: None,
            optimiser: self.optimiser(),
            label_smoothing: self.label_smoothing,
            mixup: self.mixup,
            augment: self.augment,
        }
    }

    /// The child that is to be trained, on its device.
    ///
    /// # Errors
    /// [`DeviceError`] when the device cannot be had.
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

    /// Trainings with fresh seeds at the end of a search of so many trials, the one without augmentation counted.
    pub(crate) fn confirmations(&self, trials: u64) -> usize {
        match (trials as usize).saturating_sub(1).min(self.confirm_policies) {
            0 => 0,
            policies => (policies + 1) * self.confirm_samples,
        }
    }

    /// How the images are read.
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
            columns: Columns {
                image: column(&self.image_column),
                label: column(&self.label_column),
                split: column(&self.split_column),
                group: column(&self.group_column),
            },
            on_bad_image: self.on_bad_image,
            cache: if self.data_cache { cache_folder() } else { None },
        }
    }

    /// How many images go into each part.
    pub fn split_sizes(&self) -> SplitSizes {
        SplitSizes { train: self.train_set_size, validation: self.validation_set_size, test: self.test_set_size }
    }

    /// The values that decide what a trial's trainings are.
    pub(crate) fn fixed(&self) -> serde_json::Value {
        let mut values = serde_json::to_value(self).unwrap_or_default();
        if let Some(values) = values.as_object_mut() {
            values.retain(|key, _| !FREE_KEYS.contains(&key.as_str()));
            // The journal knows the images themselves; where they lie may change.
            values.remove("data");
        }
        values
    }

    /// The configuration as a TOML file in which every key is explained.
    pub fn documented(&self) -> String {
        let values = toml::Table::try_from(self).expect("every value has a TOML form");
        let mut text = String::new();
        for &(key, doc) in KEYS {
            let value = match key.split_once('.') {
                Some((table, key)) => values.get(table).and_then(|table| table.get(key)),
                None => values.get(key),
            };
            match value {
                Some(value) => text.push_str(&format!("# {doc}\n{key} = {value}\n")),
                None if key != "#" => text.push_str(&format!("{}{key}\n\n", if text.is_empty() { "" } else { "\n" })),
                None => {}
            }
        }
        text
    }
}

/// Ops by name, family or category; one name may stand without a list.
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

fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key).filter(|key| !key.starts_with('#'))
}

fn unknown(key: &str) -> ConfigError {
    let nearest = names().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    ConfigError::new(format!("unknown key \"{key}\"; did you mean \"{}\"?", nearest.unwrap_or_default()))
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let sets_it = |line: &str| {
        let line = line.trim_start().trim_start_matches('[').trim_start_matches('"');
        line.strip_prefix(key).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    text.lines().position(sets_it).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented_and_every_document_has_a_key() {
        let values = toml::Table::try_from(Config::default()).unwrap();
        let mut documented: Vec<_> = names().collect();
        documented.sort_unstable();
        let mut fields: Vec<String> = Vec::new();
        for (key, value) in &values {
            match value.as_table() {
                Some(table) => fields.extend(table.keys().map(|inner| format!("{key}.{inner}"))),
                None => fields.push(key.clone()),
            }
        }
        fields.sort_unstable();
        assert_eq!(documented, fields);
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        for config in [Config::default(), Config { portion: Portion::Searched, seed: 7, ..Config::quickstart() }] {
            assert_eq!(Config::parse(&config.documented()).unwrap(), config);
        }
    }

    #[test]
    fn a_net_of_layers_and_an_optimiser_are_read() {
        let config = Config::parse(
            "optimizer = \"sgd\"\nweight_decay = 5e-4\nschedule = \"cosine\"\n\
             [child]\nlayers = [{ kind = \"conv\", filters = 4 }, { kind = \"global-average\" }]",
        )
        .unwrap();
        assert_eq!(config.model.layers().len(), 2);
        assert_eq!(config.optimiser().learning_rate, 0.05);
        assert_eq!(Config::parse(&config.documented()).unwrap(), config);
        let wide = Config::parse("model = \"wrn_16_2\"").unwrap();
        assert_eq!((wide.optimiser().rule, wide.optimiser().clip_norm), (Rule::Adam, 1.0));
    }

    #[test]
    fn ops_are_chosen_by_family_and_category() {
        let ops = |text: &str| Config::parse(text).unwrap().ops;
        assert_eq!(ops("").len(), 20);
        assert_eq!(ops("ops = \"all\"").len(), 35);
        assert_eq!(ops("ops = [\"deepaugment\", \"autoaugment\"]").len(), 35);
        assert_eq!(ops("ranges = \"randaugment\"\nops = \"autoaugment\"\nexclude = [\"samplepairing\"]").len(), 15);
        assert_eq!(ops("ops = [\"weather\", \"rotate\"]"), [Op::Fog, Op::Clouds, Op::Rotate]);
        let config = Config::parse("exclude = [\"geometric\", \"invert\"]").unwrap();
        assert_eq!(config.ops.len(), 12);
        assert_eq!(Config::parse(&config.documented()).unwrap(), config);
    }

    #[test]
    fn the_file_of_defaults_holds_the_defaults() {
        let text = include_str!("../../../configs/deepaugment.toml");
        assert_eq!(Config::parse(text).unwrap(), Config::default());
        for key in names() {
            assert!(line_of_key(text, key).is_some(), "{key} is not in configs/deepaugment.toml");
        }
    }

    #[test]
    fn wrong_values_are_refused_by_line_and_key() {
        let error = |text: &str| Config::parse(text).unwrap_err().to_string();
        assert_eq!(error("seed = 2\niters = 0"), "line 2: iters: must be at least 1");
        assert!(error("portion = 1.5").starts_with("line 1: portion: must be above 0"));
        assert!(error("portion = \"all\"").contains("portion must be a number"));
        assert!(error("ops = [\"rotat\"]").contains("rotate"), "{}", error("ops = [\"rotat\"]"));
        assert!(error("ops = \"geometrik\"").contains("`geometric`"), "{}", error("ops = \"geometrik\""));
        assert!(error("ops = [\"fog\"]\nexclude = \"weather\"").contains("line 2: exclude: must leave"));
        assert!(error("ranges = \"autoaugment\"\nops = [\"rotate\"]").contains("do not have rotate"));
        assert!(error("model = \"wrn_41_2\"").contains("multiple of 6"));
        assert!(error("model = \"resnet\"").contains("basiccnn"));
        assert!(error("learning_rate = -1.0").contains("learning_rate: must be above 0"));
        assert!(error("learning_rate = \"fast\"").contains("or \"auto\""));
        assert!(error("mixup = 0.2\nchild.command = [\"train\"]").contains("line 1: mixup: is left to the program"));
        assert!(error("model = \"layers\"").contains("child.layers has none"));
        assert!(error("iters = \n").starts_with("line 1: "));
        assert!(error("[child]\nepochs = 3").contains("unknown field `epochs`"));
        assert!(error("child.layers = [{ kind = \"convolution\" }]").contains("conv"));
        assert!(error("opt_samples = 1000000000000").contains("opt_samples: must be at most 1000"));
        for name in ["/tmp/n.csv", "../n.csv", "journal.jsonl", ""] {
            assert!(error(&format!("notebook_path = {name:?}")).contains("a file of its own"), "{name}");
        }
        assert!(error("overfit_tolerance = nan").contains("overfit_tolerance"));
    }
}
