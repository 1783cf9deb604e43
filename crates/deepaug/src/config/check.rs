//! Checks the values of a configuration, one by one and in combination.

use std::ops::Deref;
use std::path::Path;

use deepaug_augmenter::RangeTable;
use deepaug_child_model::Model;
use deepaug_dataset::{Amount, format_names};

use super::{
    AugmentMode, Config, EarlyStopping, Holdout, LossKind, ObjectiveKind, Portion, RewardKind, SearchMethod,
    SearchSpace, Sizes,
};
use crate::config::auto::Auto;
use crate::error::ConfigError;
use crate::layout;
use crate::subsample::Choice;

/// A configuration whose values are valid, one by one and in combination. [`Config::check`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidConfig(Config);

impl ValidConfig {
    /// Returns the configuration, to be changed and checked again.
    pub fn into_inner(self) -> Config {
        self.0
    }
}

impl Deref for ValidConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Config {
    /// Checks every value of a configuration that a program made or changed.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    ///
    /// ```
    /// use deepaug::{Config, PolicySpace};
    ///
    /// let config = Config { sub_policies: 2, ..Config::default() }.check()?;
    /// let space = PolicySpace::new(&config);
    /// let error = Config { sub_policies: 0, ..Config::default() }.check().unwrap_err();
    /// assert_eq!(error.to_string(), "sub_policies: must be at least 1");
    /// # Ok::<(), deepaug::Error>(())
    /// ```
    pub fn check(self) -> Result<ValidConfig, ConfigError> {
        match self.fault() {
            None => Ok(ValidConfig(self)),
            Some((key, why)) => Err(ConfigError::new(format!("{key}: {why}"))),
        }
    }

    /// Returns the key of an invalid value and the reason.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        self.check_values().err()
    }

    fn check_values(&self) -> Result<(), (&'static str, String)> {
        let ends_early = matches!(self.early_stopping, EarlyStopping::Median | EarlyStopping::Halving);
        if self.child_epochs == Auto::Auto && !self.child.command.is_empty() {
            return Err(("child_epochs", "must be a number if a program of your own trains".into()));
        }
        if self.sizes == Sizes::Auto && (!self.child.command.is_empty() || ends_early) {
            let why =
                "must be \"given\" if a program of your own trains, or if early_stopping is \"median\" or \"halving\"";
            return Err(("sizes", why.into()));
        }
        if self.objective == ObjectiveKind::Density {
            let taken = [
                (!self.child.command.is_empty(), "a program of your own trains"),
                (self.sizes == Sizes::Auto, "sizes is \"auto\""),
                (ends_early, "early_stopping is \"median\" or \"halving\""),
                (self.child_first_train_epochs > 0, "child_first_train_epochs is set"),
            ];
            if let Some((_, when)) = taken.into_iter().find(|(is, _)| *is) {
                return Err(("objective", format!("must be \"training\" when {when}")));
            }
            if self.confirm_policies == 0 || self.confirm_samples == 0 {
                let why =
                    "must be at least 1 when objective is \"density\": only training shows whether a policy helps";
                let key = if self.confirm_policies == 0 { "confirm_policies" } else { "confirm_samples" };
                return Err((key, why.into()));
            }
        }
        // The upper limits are far beyond any use; they keep a typo from exhausting memory.
        let counts = [
            ("image_size", self.image_size.unwrap_or(0) as usize, 0, 1024),
            ("iters", usize::try_from(self.iters).unwrap_or(usize::MAX), 1, 1_000_000),
            ("opt_initial_points", self.opt_initial_points, 1, 10_000),
            ("opt_samples", self.opt_samples, 1, 1000),
            ("patience", self.patience, 0, 1_000_000),
            ("density_copies", self.density_copies, 1, 1000),
            ("opt_last_n_epochs", self.opt_last_n_epochs, 1, 100_000),
            ("confirm_policies", self.confirm_policies, 0, 1000),
            ("confirm_samples", self.confirm_samples, 0, 1000),
            // The notebook names each by one letter.
            ("sub_policies", self.sub_policies, 1, 26),
            ("ops_per_sub_policy", self.ops_per_sub_policy, 1, 20),
            ("child_epochs", self.epochs(), 1, 100_000),
            ("child_batch_size", self.child_batch_size, 1, 100_000),
            ("child_first_train_epochs", self.child_first_train_epochs, 0, 100_000),
            ("workers", self.workers.unwrap_or(1), 1, 4096),
            ("controller_units", self.controller_units, 1, 10_000),
            ("controller_batch", self.controller_batch, 1, 100_000),
            ("controller_passes", self.controller_passes, 1, 1000),
            ("cluster.agents", self.cluster.agents, 1, 10_000),
            ("cluster.cpus", self.cluster.cpus, 0, 4096),
            // wgpu cannot be told which of several to take.
            ("cluster.gpus", self.cluster.gpus, 0, 1),
            ("cluster.slots", self.cluster.slots, 0, 4096),
            ("cluster.silence", self.cluster.silence as usize, 5, 86_400),
            ("cluster.idle", self.cluster.idle as usize, 5, 864_000),
            ("population", self.population, 2, 4096),
            ("interval", self.interval, 1, 100_000),
            ("candidates", self.candidates, 1, 1000),
            ("keep", self.keep, 1, 1000),
            ("consistency_views", self.consistency_views, 1, 100),
            ("slots_per_op", self.slots_per_op, 1, 100),
            ("adversarial_policies", self.adversarial_policies, 1, 1000),
            ("adversarial_updates", self.adversarial_updates, 1, 10_000),
            ("adversarial_largest_level", self.adversarial_largest_level as usize, 1, 10),
            ("tanda_length", self.tanda_length, 1, 20),
            ("tanda_steps", self.tanda_steps, 1, 1_000_000),
            ("tanda_warm_up", self.tanda_warm_up, 0, 1_000_000),
            ("tanda_batch", self.tanda_batch, 1, 10_000),
            ("tanda_sequences", self.tanda_sequences, 2, 1000),
            ("translator_steps", self.translator_steps, 1, 1_000_000),
            ("translator_batch", self.translator_batch, 1, 10_000),
            ("translator_width", self.translator_width, 4, 1024),
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
        if let Auto::Given([low, high]) = self.value_range
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(("value_range", "must be two numbers, the lower first, or \"auto\"".into()));
        }
        if let Auto::Given(format) = &self.data_format
            && !format_names().any(|name| name == format)
        {
            let names: Vec<_> = format_names().collect();
            return Err(("data_format", format!("must be \"auto\" or one of {}", names.join(", "))));
        }
        // All files of a study are in its folder, under names that do not collide.
        for (key, name) in
            [("notebook_path", &self.notebook_path), ("pre_aug_weights_path", &self.pre_aug_weights_path)]
        {
            let plain = Path::new(name).file_name().is_some_and(|file| file == name.as_str());
            if !plain || layout::RESERVED.contains(&name.as_str()) {
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
            return Err(("overfit_tolerance", "must lie in 0..1, like accuracies".into()));
        }
        if let Portion::Fixed(share) = self.portion
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(("portion", "must be above 0 and at most 1, or \"search\"".into()));
        }
        if let Portion::Fixed(probability) = self.op_probability
            && !(probability > 0.0 && probability <= 1.0)
        {
            return Err(("op_probability", "must be above 0 and at most 1, or \"search\"".into()));
        }
        if !(0.0..=1.0).contains(&self.resample_probability) {
            return Err(("resample_probability", "must lie in 0..1".into()));
        }
        if self.method.looks_into_trainings() {
            self.check_looking_into_trainings()?;
        }
        if self.method == SearchMethod::Tanda && !cfg!(feature = "generative") {
            let why = "\"tanda\" needs a deepaug that is built with the feature \"generative\"";
            return Err(("method", why.into()));
        }
        self.check_tanda()?;
        self.check_translator()?;
        let (rate, entropy) = (self.adversarial_learning_rate, self.adversarial_entropy);
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(("adversarial_learning_rate", format!("must be above 0, not {rate}")));
        }
        if !(entropy >= 0.0 && entropy.is_finite()) {
            return Err(("adversarial_entropy", format!("must be at least 0, not {entropy}")));
        }
        if !(0.0..1.0).contains(&self.adversarial_clean) {
            return Err(("adversarial_clean", "must be at least 0 and below 1".into()));
        }
        let (rate, entropy) = (self.controller_learning_rate, self.controller_entropy);
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(("controller_learning_rate", format!("must be above 0, not {rate}")));
        }
        if !(entropy >= 0.0 && entropy.is_finite()) {
            return Err(("controller_entropy", format!("must be at least 0, not {entropy}")));
        }
        if !(0.0..1.0).contains(&self.controller_baseline) {
            return Err(("controller_baseline", "must be at least 0 and below 1".into()));
        }
        if self.space == SearchSpace::Schemes {
            if !self.augment.is_in_place() {
                return Err((
                    "augment",
                    "must be \"online\" when space is \"schemes\": schemes augment each image in place".into(),
                ));
            }
            if self.finish {
                return Err(("finish", "must be false when space is \"schemes\": each has its own finish".into()));
            }
        }
        if self.augment.is_in_place() && self.portion == Portion::Searched {
            let why = "has no meaning where images are augmented in place, as augment says; use chance instead";
            return Err(("portion", why.into()));
        }
        if !self.subgroup_table.is_empty() && self.subgroup_column.is_empty() {
            return Err(("subgroup_column", "must name the column of subgroup_table".into()));
        }
        if self.loss == LossKind::GroupDro {
            let taken = [
                (self.subgroup_column.is_empty(), "subgroup_column is empty, so that there are no groups"),
                (!self.child.command.is_empty(), "a program of your own trains"),
                (self.mixup > 0.0, "mixup is above 0, because images of several groups cannot be mixed"),
                (self.method.looks_into_trainings(), "method is \"pba\", \"adversarial\" or \"tanda\""),
            ];
            if let Some((_, when)) = taken.into_iter().find(|(is, _)| *is) {
                return Err(("loss", format!("must be \"mean\" when {when}")));
            }
        }
        for (key, value) in
            [("robust_learning_rate", self.robust_learning_rate), ("robust_adjustment", self.robust_adjustment)]
        {
            if !(0.0..=1000.0).contains(&value) {
                return Err((key, "must lie in 0..1000".into()));
            }
        }
        if self.portion_by != Choice::Uniform {
            let taken = [
                (
                    !self.child.command.is_empty(),
                    "a program of your own trains, which does not say what it makes of an image",
                ),
                (self.augment.is_in_place(), "images are augmented in place, as augment says"),
                (self.portion == Portion::Fixed(1.0), "portion is 1, so that all images are copied"),
            ];
            if let Some((_, when)) = taken.into_iter().find(|(is, _)| *is) {
                return Err(("portion_by", format!("must be \"uniform\" when {when}")));
            }
        }
        if self.keep > self.candidates {
            return Err(("keep", format!("must be at most candidates, which is {}", self.candidates)));
        }
        if !(0.0..=1.0).contains(&self.selection_warm_up) {
            return Err(("selection_warm_up", "must lie in 0..1".into()));
        }
        if !(0.0..=1000.0).contains(&self.consistency) {
            return Err(("consistency", "must lie in 0..1000".into()));
        }
        if self.consistency > 0.0 {
            let taken = [
                (self.augment != AugmentMode::Online, "augment is not \"online\""),
                (self.mixup > 0.0, "mixup is above 0, because mixed images have no versions"),
                (
                    matches!(self.method, SearchMethod::Pba | SearchMethod::Adversarial),
                    "method is \"pba\" or \"adversarial\"",
                ),
                (!self.child.command.is_empty(), "a program of your own trains"),
            ];
            if let Some((_, when)) = taken.into_iter().find(|(is, _)| *is) {
                return Err(("consistency", format!("must be 0 when {when}")));
            }
        }
        if !(0.0..=100.0).contains(&self.entropy_loss) {
            return Err(("entropy_loss", "must lie in 0..100".into()));
        }
        if self.augment == AugmentMode::Entropy
            && matches!(self.ranges, RangeTable::AutoAugment | RangeTable::DeepAugment112)
        {
            let why = format!(
                "must be \"monotone\", \"randaugment\" or \"trivialaugment-wide\" when augment is \"entropy\": in the {} \
                 ranges a smaller magnitude is not always weaker",
                self.ranges
            );
            return Err(("ranges", why));
        }
        for (key, value, most) in [("chance", self.chance, 1.0), ("pad", self.pad, 32.0), ("cutout", self.cutout, 32.0)]
        {
            if !(0.0..=most).contains(&value) {
                return Err((key, format!("must lie in 0..{most}")));
            }
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
            return Err(("child", "has both a command and layers; only one of them can train".into()));
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
        if self.patience > 0 && self.opt_samples < 2 {
            return Err((
                "patience",
                "needs opt_samples of at least 2: one training per policy does not show its noise".into(),
            ));
        }
        if self.holdout == Holdout::Repeated && self.child_first_train_epochs > 0 {
            return Err((
                "holdout",
                "must be \"fixed\" when child_first_train_epochs is set: its weights would have seen validation images"
                    .into(),
            ));
        }
        if self.confirm_policies > 0 && self.confirm_samples == 0 {
            return Err(("confirm_samples", "must be at least 1 when policies are confirmed".into()));
        }
        Ok(())
    }

    /// Refuses settings that do not go with a population, which trains its own children and changes policies between
    /// epochs.
    fn check_translator(&self) -> Result<(), (&'static str, String)> {
        if !self.translator_width.is_multiple_of(4) {
            return Err(("translator_width", "must be a multiple of 4".into()));
        }
        for (key, rate) in [
            ("translator_learning_rate", self.translator_learning_rate),
            ("translator_discriminator_learning_rate", self.translator_discriminator_learning_rate),
        ] {
            if !(rate > 0.0 && rate.is_finite()) {
                return Err((key, format!("must be above 0, not {rate}")));
            }
        }
        for (key, weight) in [
            ("translator_cycle", self.translator_cycle),
            ("translator_identity", self.translator_identity),
            ("patch_consistency", self.patch_consistency),
        ] {
            if !(0.0..=1000.0).contains(&weight) {
                return Err((key, "must lie in 0..1000".into()));
            }
        }
        Ok(())
    }

    fn check_tanda(&self) -> Result<(), (&'static str, String)> {
        for (number, step) in self.tanda_functions.iter().enumerate() {
            if !self.ranges.has(step.op) {
                return Err(("tanda_functions", format!("the {} ranges do not have the op {}", self.ranges, step.op)));
            }
            if !(0.0..=1.0).contains(&step.magnitude) || step.probability != 1.0 {
                let why = format!("function {}: magnitude must lie in 0..1, and there is no probability", number + 1);
                return Err(("tanda_functions", why));
            }
        }
        if self.tanda_functions.len() == 1 {
            return Err(("tanda_functions", "must be two at least to choose from, or none for the authors'".into()));
        }
        for (key, rate) in [
            ("tanda_learning_rate", self.tanda_learning_rate),
            ("tanda_discriminator_learning_rate", self.tanda_discriminator_learning_rate),
        ] {
            if !(rate > 0.0 && rate.is_finite()) {
                return Err((key, format!("must be above 0, not {rate}")));
            }
        }
        if !(self.tanda_lambda >= 0.0 && self.tanda_lambda.is_finite()) {
            return Err(("tanda_lambda", format!("must be at least 0, not {}", self.tanda_lambda)));
        }
        Ok(())
    }

    fn check_looking_into_trainings(&self) -> Result<(), (&'static str, String)> {
        let wanted = [
            ("augment", self.augment == AugmentMode::Online, "\"online\""),
            ("space", self.space == SearchSpace::Policies, "\"policies\""),
            ("child.command", self.child.command.is_empty(), "left out"),
            ("sizes", self.sizes == Sizes::Given, "\"given\""),
            ("child_epochs", self.child_epochs != Auto::Auto, "a number"),
            ("reward", self.reward == RewardKind::Accuracy, "\"accuracy\""),
            ("objective", self.objective == ObjectiveKind::Training, "\"training\""),
            ("early_stopping", self.early_stopping == EarlyStopping::Off, "\"off\""),
            ("patience", self.patience == 0, "0"),
            ("child_first_train_epochs", self.child_first_train_epochs == 0, "0"),
        ];
        match wanted.into_iter().find(|(_, is, _)| !is) {
            Some((key, _, wanted)) => Err((key, format!("must be {wanted} when method is \"{}\"", self.method.name()))),
            None => Ok(()),
        }
    }

    /// Refuses settings that a program, which does its own training, would ignore.
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
            ("entropy_loss", self.entropy_loss == default.entropy_loss),
            ("standardize", self.standardize == default.standardize),
            ("augment", self.augment == default.augment),
        ];
        match unheard.into_iter().find(|(_, unset)| !unset) {
            Some((key, _)) => Err((key, "is left to the program of child.command; remove it".into())),
            None => Ok(()),
        }
    }
}
