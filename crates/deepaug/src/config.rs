//! What a search is told.

use std::path::Path;

use deepaug_augmenter::{Op, RangeTable};
use deepaug_child_model::{DeviceChoice, Model};
use deepaug_controller::Method;
use serde::{Deserialize, Serialize};

use crate::ConfigError;

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
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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

/// What a search is told. [`Config::default`] is DeepAugment 1.1.2's; [`Config::quickstart`] ends in minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every key once, for the command and the files too")]
pub struct Config {
    pub data: String,
    pub image_size: u32,
    pub train_set_size: usize,
    pub validation_set_size: usize,
    pub method: Method,
    pub iters: u64,
    pub seed: u64,
    pub opt_initial_points: usize,
    pub opt_samples: usize,
    pub opt_last_n_epochs: usize,
    pub overfit_tolerance: f64,
    pub confirm_policies: usize,
    pub confirm_samples: usize,
    pub ranges: RangeTable,
    pub ops: Vec<Op>,
    pub sub_policies: usize,
    pub ops_per_sub_policy: usize,
    pub portion: Portion,
    pub model: Model,
    pub child_epochs: usize,
    pub child_batch_size: usize,
    pub epoch_size: EpochSize,
    pub child_first_train_epochs: usize,
    pub pre_aug_weights_path: String,
    pub device: DeviceChoice,
    pub threads: usize,
    pub notebook_path: String,
}

/// Every key with its documentation, in the order in which it is printed. A line that starts with `#` opens a group.
const KEYS: [(&str, &str); 33] = [
    ("# Data", ""),
    ("data", "A folder or file of labelled images, or \"fashion-mnist-sample\", the set inside the program."),
    ("image_size", "Side in pixels that images are brought to; 0 keeps them as they are."),
    ("train_set_size", "Images each child is trained on, at most."),
    ("validation_set_size", "Images the reward is measured on, at most. The test part is never touched."),
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
    ("# Policies", ""),
    ("ranges", "What magnitudes mean: \"monotone\" or \"deepaugment-1.1.2\"."),
    ("ops", "The ops to choose from."),
    ("sub_policies", "Sequences of ops in a policy; each adds its own augmented copies."),
    ("ops_per_sub_policy", "Ops in a sequence, applied in order."),
    ("portion", "Share of the training images each sequence copies: a number, or \"search\"."),
    ("# Child model", ""),
    ("model", "\"basiccnn\"; \"tinycnn\" only checks an installation."),
    ("child_epochs", "Epochs a training."),
    ("child_batch_size", "Images a step."),
    ("epoch_size", "\"fixed\": as many images an epoch for every policy. \"pool\": originals and copies once each."),
    ("child_first_train_epochs", "Epochs trained once without augmentation, whose weights every child starts from."),
    ("pre_aug_weights_path", "The file in the study's folder that keeps those weights."),
    ("# Machine", ""),
    ("device", "\"auto\" (a GPU if there is one), \"cpu\" or \"wgpu\"."),
    ("threads", "Children trained at once on the CPU; 0 for one a core. Results do not depend on it."),
    ("notebook_path", "The file in the study's folder that holds the table of all trainings."),
    // Closes the last group.
    ("#", ""),
];

/// Names of files in a study's folder that are not the user's to choose.
const RESERVED: [&str; 5] =
    [crate::study::FROZEN_CONFIG, crate::study::JOURNAL, "best_policy.json", "top_policies.csv", "result.json"];

/// Keys whose value may change between two runs of a study: they do not decide how a trial is judged.
const FREE_KEYS: [&str; 5] = ["iters", "confirm_policies", "confirm_samples", "threads", "notebook_path"];

impl Default for Config {
    fn default() -> Self {
        Self {
            data: deepaug_dataset::SAMPLE_NAME.into(),
            image_size: 0,
            train_set_size: 2000,
            validation_set_size: 1000,
            method: Method::BayesianOptimization,
            iters: 300,
            seed: 0,
            opt_initial_points: 10,
            opt_samples: 3,
            opt_last_n_epochs: 3,
            overfit_tolerance: 0.10,
            confirm_policies: 3,
            confirm_samples: 5,
            ranges: RangeTable::Monotone,
            ops: Op::ALL.to_vec(),
            sub_policies: 5,
            ops_per_sub_policy: 2,
            portion: Portion::Fixed(1.0),
            model: Model::BasicCnn,
            child_epochs: 50,
            child_batch_size: 64,
            epoch_size: EpochSize::Fixed,
            child_first_train_epochs: 0,
            pre_aug_weights_path: "pre_aug_weights.bpk".into(),
            device: DeviceChoice::Auto,
            threads: 0,
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
        if let Some(key) = table.keys().find(|key| !names().any(|name| name == key.as_str())) {
            return Err(ConfigError { line: line_of_key(text, key), ..unknown(key) });
        }
        let config: Self = toml::from_str(text).map_err(|error| wrong(&error))?;
        config.check().map_err(|(key, why)| ConfigError {
            file: None,
            line: line_of_key(text, key),
            why: format!("{key}: {why}"),
        })?;
        Ok(config)
    }

    /// Whether every value makes sense; the key and the reason where one does not.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        // The upper limits are far beyond use; they keep a slip of the finger from asking for all memory there is.
        let counts = [
            ("image_size", self.image_size as usize, 0, 1024),
            ("train_set_size", self.train_set_size, 1, 100_000_000),
            ("validation_set_size", self.validation_set_size, 1, 100_000_000),
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
        if self.ops.is_empty() {
            return Err(("ops", "must name at least one op".into()));
        }
        if let Some(op) = self.ops.iter().enumerate().find(|(i, op)| self.ops[..*i].contains(op)) {
            return Err(("ops", format!("names {} twice", op.1)));
        }
        if self.confirm_policies > 0 && self.confirm_samples == 0 {
            return Err(("confirm_samples", "must be at least 1 when policies are confirmed".into()));
        }
        Ok(())
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
        for (key, doc) in KEYS {
            match values.get(key) {
                Some(value) => text.push_str(&format!("# {doc}\n{key} = {value}\n")),
                None if key != "#" => text.push_str(&format!("{}{key}\n\n", if text.is_empty() { "" } else { "\n" })),
                None => {}
            }
        }
        text
    }
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
        let mut fields: Vec<_> = values.keys().map(String::as_str).collect();
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
        assert!(error("ops = [\"rotate\", \"rotate\"]").contains("names rotate twice"));
        assert!(error("model = \"wrn_40_2\"").contains("basiccnn"));
        assert!(error("iters = \n").starts_with("line 1: "));
        assert!(error("[child]\nepochs = 3").starts_with("line 1: unknown key \"child\""));
        assert!(error("opt_samples = 1000000000000").contains("opt_samples: must be at most 1000"));
        for name in ["/tmp/n.csv", "../n.csv", "journal.jsonl", ""] {
            assert!(error(&format!("notebook_path = {name:?}")).contains("a file of its own"), "{name}");
        }
        assert!(error("overfit_tolerance = nan").contains("overfit_tolerance"));
    }
}
