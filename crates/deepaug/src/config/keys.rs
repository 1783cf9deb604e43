//! Every key of a configuration: what it means, and where a file sets it.

use super::Config;
use crate::error::ConfigError;

/// Every key with its documentation, in the order in which it is printed. A line that starts with `#` opens a group.
const KEYS: &[(&str, &str)] = &[
    ("# Data", ""),
    (
        "data",
        "A folder or file of labelled images, or \"omniglot-sample\" or \"fashion-mnist-sample\", sets inside the program.",
    ),
    (
        "data_format",
        "\"auto\", or \"folder\" (of class folders), \"csv\" (a table of paths and labels), \"parquet\", \"numpy\", \
         \"webdataset\", \"cifar\", \"idx\".",
    ),
    (
        "image_size",
        "Side in pixels that images are brought to; 0 keeps them as they are, \"auto\" takes the middle one, at most 32.",
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
    (
        "sizes",
        "\"given\" below, or \"auto\": train_set_size, validation_set_size, iters, opt_samples, confirm_policies and confirm_samples \
         are chosen from the data and the time.",
    ),
    ("train_set_size", "Images each child is trained on, at most: a number, or a share of all such as 0.5."),
    ("validation_set_size", "Images the reward is measured on, at most; a number or a share of all."),
    ("test_set_size", "Images held out where the data has no test part of its own. No search touches them."),
    (
        "holdout",
        "\"fixed\": one validation part judges every training; \"repeated\": each of a policy's trainings has a validation part of \
         its own, drawn anew from all that is not the test part, and the same for every policy.",
    ),
    ("# Search", ""),
    ("method", "\"bayesian_optimization\", \"lfbo\" (the same with a classifier of good policies) or \"random\"."),
    ("iters", "Policies to try, besides trial 0 without one."),
    ("seed", "Decides everything random: the same seed, data and kind of device give the same notebook."),
    (
        "reward",
        "What is told of a trial where deepaug does not train: an \"accuracy\" in [0, 1], a \"score\", or a \"loss\", of which less is \
         better.",
    ),
    (
        "opt_initial_points",
        "Policies tried before the first one that is proposed from what was learnt; of schemes, so many that need no search.",
    ),
    ("opt_samples", "Trainings a policy; their rewards are averaged."),
    ("opt_last_n_epochs", "The reward is the mean of this many highest validation accuracies ..."),
    (
        "overfit_measure",
        "... among epochs that do not overfit. \"evaluation\": the training accuracy is that on original images after the epoch, alike \
         for every policy; \"deepaugment\": on the augmented images during it; \"off\": all epochs count.",
    ),
    ("overfit_tolerance", "An epoch overfits when its training accuracy is more than this above validation accuracy."),
    ("confirm_policies", "Best policies trained again with fresh seeds after the search; 0 for none."),
    ("confirm_samples", "Fresh trainings for each of them, and for no policy."),
    (
        "early_stopping",
        "\"off\"; \"samples\": trials that are not in the best third of those before by their first sample get no others; or end trials \
         early that are not in the better half (\"median\") or the best third (\"halving\").",
    ),
    (
        "patience",
        "Proposals in a row that promise less than a reward's measured noise, after which the search ends; 0 for never.",
    ),
    (
        "workers",
        "Trials under way at once: proposals do not wait for so many; \"auto\" for as many as keep the machine busy.",
    ),
    ("# Policies", ""),
    (
        "space",
        "\"policies\": sequences of ops as DeepAugment has them. \"schemes\": so many ops drawn for each image from families of ops, \
         at one strength, with or without shifts and mirror images; the schemes that need no search are tried first.",
    ),
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
    (
        "augment",
        "Copies beside the originals, made \"once\" a training as DeepAugment does, or afresh each \"epoch\"; or \"online\": each \
         image in its own place, as compare and train do.",
    ),
    ("chance", "Probability that an image is augmented by a sequence, online."),
    (
        "finish",
        "Whether images are shifted, mirrored and covered too, online; false for policies alone, which may have to find that.",
    ),
    ("pad", "How far they are shifted, in pixels of 32."),
    ("flip", "Whether half of them are mirrored; false for letters, road signs and the like."),
    ("cutout", "Side of the square that is covered, in pixels of 32; 0 for none."),
    ("# Child model", ""),
    (
        "model",
        "\"basiccnn\", \"simplecnn\", \"wrn_16_2\" (any depth and width), \"mobilenetv2\", \"inceptionv3\", or \"layers\".",
    ),
    (
        "child_epochs",
        "Epochs a training; \"auto\": as many as augmented children need, by a few trainings without a policy.",
    ),
    ("child_batch_size", "Images a step."),
    ("epoch_size", "\"fixed\": as many images an epoch for every policy. \"pool\": originals and copies once each."),
    ("child_first_train_epochs", "Epochs trained once without a policy, whose weights every child starts from."),
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
    (
        "standardize",
        "Whether the mean of the training images' values is taken out of what a child sees, and their deviation divided by.",
    ),
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

impl Config {
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

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key).filter(|key| !key.starts_with('#'))
}

pub(super) fn unknown(key: &str) -> ConfigError {
    let nearest = names().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    ConfigError::new(format!("unknown key \"{key}\"; did you mean \"{}\"?", nearest.unwrap_or_default()))
}

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

pub(super) fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let sets_it = |line: &str| {
        let line = line.trim_start().trim_start_matches('[').trim_start_matches('"');
        line.strip_prefix(key).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    text.lines().position(sets_it).map(|index| index + 1)
}
