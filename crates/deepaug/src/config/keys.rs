//! The configuration keys: what each means, and where a file sets it.

use super::Config;
use crate::error::ConfigError;

/// Every key with its documentation, in printing order. An entry that starts with `#` opens a group.
const KEYS: &[(&str, &str)] = &[
    ("# Data", ""),
    (
        "data",
        "A folder or file of labelled images, or a built-in data set: \"omniglot-sample\" or \"fashion-mnist-sample\".",
    ),
    (
        "data_format",
        "\"auto\", or \"folder\" (of class folders), \"csv\" (a table of paths and labels), \"parquet\", \"numpy\", \
         \"webdataset\", \"cifar\", \"idx\".",
    ),
    (
        "image_size",
        "Side in pixels that images are resized to; 0 keeps their size, \"auto\" takes the median size, at most 32.",
    ),
    ("fit", "Images that are not square: \"crop\" takes the central square, \"pad\" adds background beside them."),
    ("channels", "\"auto\" (grey if every image is), \"grey\" or \"rgb\"."),
    ("background", "The colour behind transparent images and beside padded ones."),
    (
        "value_range",
        "The values that mean black and white in arrays and in 16-bit image files, such as [0, 4095]; \"auto\" detects them.",
    ),
    (
        "image_column",
        "Column of a table, or name of an array, that holds images or their paths; empty for the usual ones.",
    ),
    ("label_column", "The same for labels ..."),
    ("split_column", "... for the words train, validation and test ..."),
    (
        "group_column",
        "... and for groups that belong together, such as a patient's images: never on both sides of a split.",
    ),
    (
        "subgroup_column",
        "... and for subgroups, such as the site an image comes from: accuracy is told for each of them in each class; \
         \"folder\" where class folders hold a folder for each.",
    ),
    (
        "subgroup_table",
        "A table of its own with that column, and one that names the image, where the data says nothing of subgroups.",
    ),
    ("on_bad_image", "Unreadable images: \"error\" stops at the first, \"skip\" leaves them out and lists them."),
    ("data_cache", "Whether decoded images are kept in the user's cache folder, so that the next start is quick."),
    (
        "sizes",
        "\"given\" below, or \"auto\": train_set_size, validation_set_size, iters, opt_samples, confirm_policies and \
         confirm_samples are chosen from the data and the time.",
    ),
    (
        "train_set_size",
        "Maximum number of training images for each child: a number, or a share of all images such as 0.5.",
    ),
    (
        "validation_set_size",
        "Maximum number of images that the reward is measured on: a number, or a share of all images.",
    ),
    ("test_set_size", "Images held out if the data has no test set of its own. No search touches them."),
    (
        "holdout",
        "\"fixed\": one validation set judges every training; \"repeated\": each training of a policy has its own \
         validation set, drawn anew from all images outside the test set, and the same for every policy.",
    ),
    ("# Search", ""),
    (
        "method",
        "\"bayesian_optimization\", \"lfbo\" (the same with a classifier of good policies), \"random\", or AutoAugment's \
         controller, a network that writes policies and learns by \"ppo\" or \"reinforce\": for 1,000 trials and more; after \
         100 it is no better than \"random\"; \"pba\", a population of children whose result is a policy for each epoch; \"adversarial\", \
         policies that a network writes to be hard for a child while it trains; or \"tanda\", sequences of fixed steps that a \
         generator learns to write so that a discriminator takes the results for images of the set.",
    ),
    ("iters", "Policies to try, besides trial 0, which has none."),
    ("seed", "Seed of all randomness: the same seed, data and kind of device give the same notebook."),
    (
        "reward",
        "What is told about a trial if deepaug does not train: an \"accuracy\" in [0, 1], a \"score\", or a \
         \"loss\", where less is better.",
    ),
    (
        "objective",
        "What a policy is judged by: \"training\" with it, or \"density\", as in Fast AutoAugment: children trained without \
         a policy, one a sample, read validation images that the policy has changed, which takes a second instead of a \
         training. The best are confirmed by training either way.",
    ),
    ("density_copies", "How often each validation image is changed, for \"density\"."),
    (
        "density_count",
        "An image counts if \"any\" of its copies is read right, or by the \"mean\" of them, which is highest for \
         policies that do nothing.",
    ),
    (
        "opt_initial_points",
        "Policies tried before the first proposal that uses earlier results; for schemes, the number that need no \
         search.",
    ),
    ("opt_samples", "Trainings per policy; their rewards are averaged."),
    ("opt_last_n_epochs", "The reward is the mean of this many highest validation accuracies ..."),
    (
        "overfit_measure",
        "... among epochs that do not overfit. \"evaluation\" measures training accuracy on original images after \
         the epoch, in the same way for every policy; \"deepaugment\" on the augmented images during it; \"off\" \
         counts all epochs.",
    ),
    (
        "overfit_tolerance",
        "An epoch overfits if its training accuracy exceeds its validation accuracy by more than this.",
    ),
    ("confirm_policies", "Best policies to train again with fresh seeds after the search; 0 for none."),
    ("confirm_samples", "Fresh trainings for each of them, and for no policy."),
    (
        "early_stopping",
        "\"off\"; \"samples\": a trial whose first sample is not in the best third of earlier trials gets no other \
         samples; \"median\" and \"halving\" also end trials early that are not in the better half or the best \
         third.",
    ),
    (
        "patience",
        "The search ends after this many proposals in a row that promise less than a reward's measured noise; 0 for \
         never.",
    ),
    (
        "workers",
        "Trials that run at once, so that proposals need not wait; \"auto\" for as many as keep the machine busy.",
    ),
    (
        "in_order",
        "Whether trials are told to the search in the order of their numbers, so that the notebook does not depend on timing; \
         false tells them as they end, so that no machine of a cluster waits for the slowest.",
    ),
    ("controller_units", "Of \"ppo\" and \"reinforce\": units of the network's recurrent layer."),
    ("controller_batch", "Trials after which it learns."),
    ("controller_passes", "Passes over them, of \"ppo\"."),
    ("controller_learning_rate", "Of Adam; the paper's 0.00035 has learnt nothing after 300 trials."),
    ("controller_entropy", "Weight of the entropy of a policy's decisions beside its reward."),
    ("controller_baseline", "Share of its old value that the moving average of rewards keeps at each trial."),
    ("population", "Of \"pba\": children that train side by side."),
    ("interval", "Epochs after which the worst quarter of them takes over from the best."),
    (
        "resample_probability",
        "Probability that a number of a policy taken over is drawn anew; otherwise it moves by 0 to 3.",
    ),
    ("slots_per_op", "How often each op is in a policy, each time with a probability and a magnitude of its own."),
    (
        "explore_all_at_start",
        "Whether all children but one begin with a changed policy instead of one that does nothing: for runs of few epochs.",
    ),
    (
        "adversarial_policies",
        "Of \"adversarial\", as a method and as a scheme of compare and train: policies in every batch.",
    ),
    ("adversarial_updates", "How often in an epoch their network learns, and writes new ones."),
    ("adversarial_learning_rate", "Its learning rate, of Adam."),
    ("adversarial_entropy", "Weight of the entropy of its decisions."),
    ("adversarial_clean", "Share of images that none of its policies changes."),
    ("adversarial_largest_level", "The largest magnitude that it writes, in tenths."),
    (
        "tanda_functions",
        "Of \"tanda\": the steps that sequences are made of, such as [{ op = \"rotate\", magnitude = 0.1 }], with magnitudes of \
         ranges; if empty, the authors' for photographs or for digits, in the ranges \"tanda\".",
    ),
    ("tanda_length", "Steps of a sequence."),
    (
        "tanda_generator",
        "How a step is chosen: \"mean-field\", whatever those before it are; \"lstm\" or \"gru\", a recurrent layer.",
    ),
    (
        "tanda_steps",
        "Batches that the generator learns from, at most; it ends when it has nearly decided for a few functions.",
    ),
    ("tanda_warm_up", "Batches that the discriminator learns from before that."),
    ("tanda_batch", "Images of a batch."),
    ("tanda_sequences", "Sequences of each of them."),
    ("tanda_learning_rate", "Of the generator; it multiplies a sum over the batch."),
    ("tanda_discriminator_learning_rate", "Of the discriminator."),
    ("tanda_lambda", "How much results must differ from their originals in the discriminator's eyes."),
    ("# Policies", ""),
    (
        "space",
        "\"policies\": sub-policies as in DeepAugment. \"schemes\": ops drawn for each image from families of ops, \
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
    ("exclude", "Ops or groups of ops to remove from those."),
    ("sub_policies", "Sub-policies (sequences of ops) in a policy; each adds its own augmented copies."),
    ("ops_per_sub_policy", "Ops in a sub-policy, applied in order."),
    ("op_probability", "Probability with which each op is applied: a number, or \"search\" (0 to 1)."),
    ("portion", "Share of the training images that each sub-policy copies: a number, or \"search\" (0.1 to 1)."),
    (
        "portion_by",
        "Which images those are: \"uniform\", any; \"loss\" and \"influence\", likelier those that a classifier on the features \
         of a child without a policy reads badly, or depends on. Only the search uses it, not best_policy.json.",
    ),
    (
        "augment",
        "Copies beside the originals, made \"once\" per training as in DeepAugment, or afresh each \"epoch\"; or \
         \"online\": each image in place, as compare and train do. In place as well: \"uncertain\", several candidates of each \
         image, of which those are learnt from that the child finds hard; \"entropy\", each image as strongly as the child is \
         sure of it, up to the policy's magnitudes.",
    ),
    (
        "candidates",
        "Of \"uncertain\", as a value of augment and as a scheme of compare and train: candidates of each image.",
    ),
    ("keep", "How many of them are learnt from."),
    (
        "choose",
        "Which: \"proportional\" draws them by their losses, \"highest\" takes those of highest loss, from which a short \
         training learns nothing.",
    ),
    (
        "selection_warm_up",
        "The share of the epochs, at the beginning, in which one candidate is made and nothing chosen.",
    ),
    (
        "consistency",
        "Above 0, versions of each image are learnt from together, online, and the squared distances between the child's logits \
         for them and for the image without its policy are added to the loss, times this; TANDA's authors use 0.1 to 0.5.",
    ),
    ("consistency_views", "How many versions."),
    ("chance", "Probability that a sub-policy augments an image, online."),
    (
        "finish",
        "Whether images are also shifted, mirrored and covered, online; false for policies alone, which may have to \
         find that.",
    ),
    ("pad", "Largest shift of an image, in pixels of 32."),
    ("flip", "Whether half of the images are mirrored; false for letters, road signs and the like."),
    ("cutout", "Side of the covered square, in pixels of 32; 0 for none."),
    ("# Child model", ""),
    (
        "model",
        "\"basiccnn\", \"simplecnn\", \"wrn_16_2\" (any depth and width), \"mobilenetv2\", \"inceptionv3\", or \"layers\".",
    ),
    (
        "child_epochs",
        "Epochs per training; \"auto\": as many as augmented children need, from a few trainings without a policy.",
    ),
    ("child_batch_size", "Images per step."),
    (
        "epoch_size",
        "\"fixed\": the same number of images per epoch for every policy. \"pool\": originals and copies once each.",
    ),
    ("child_first_train_epochs", "Epochs of one training without a policy, whose weights every child starts from."),
    ("pre_aug_weights_path", "The file in the study's folder that keeps those weights."),
    ("optimizer", "\"auto\" (the model's own), \"rmsprop\", \"adam\" or \"sgd\" (with Nesterov momentum)."),
    ("learning_rate", "Learning rate of the first step; \"auto\" for the optimizer's usual one."),
    (
        "learning_rate_decay",
        "The rate is divided by 1 + this times the number of earlier steps; \"auto\" for the model's own.",
    ),
    ("schedule", "\"constant\", \"step\" (a tenth at 1/2 and at 3/4 of the training) or \"cosine\"."),
    ("warmup_epochs", "Epochs in which the learning rate grows to its full value."),
    ("momentum", "Momentum of \"sgd\"."),
    ("weight_decay", "This multiple of each weight is added to its gradient."),
    (
        "clip_norm",
        "The norm of each parameter's gradient is clipped to this; 0 for never, \"auto\" for the model's own.",
    ),
    ("label_smoothing", "Share of each target that is spread over all classes, at least 0 and below 1."),
    ("mixup", "Images are mixed with weights from Beta(mixup, mixup); 0 for never."),
    (
        "entropy_loss",
        "Weight of the entropy of the net's probabilities beside the loss, as EntAugment has with 1; 0 for none.",
    ),
    (
        "loss",
        "\"mean\" over images, or \"group-dro\": groups, the images of one class and one subgroup, count the more the worse \
         they fare, and every batch has as many of each.",
    ),
    ("robust_learning_rate", "Of \"group-dro\": how fast weights follow losses; 0 weighs all groups alike."),
    (
        "robust_adjustment",
        "Added to the loss of a group, divided by the root of the number of its images: small groups are less certain.",
    ),
    ("robust_within_class", "Whether the groups of a class share its weight, instead of all groups theirs."),
    (
        "standardize",
        "Whether a child's inputs are standardised by the mean and the deviation of the training images' values.",
    ),
    (
        "child.command",
        "A program of your own that trains the child, such as [\"python3\", \"train.py\"]; empty for none.",
    ),
    ("child.folder", "The folder it is started in; empty for the folder that deepaug runs in when it makes the study."),
    ("child.layers", "Layers of your own net, such as [{ kind = \"conv\", filters = 16 }, { kind = \"max-pool\" }]."),
    ("# Model patching", ""),
    (
        "translator",
        "Of deepaug patch: how an image is made to look like those of another subgroup: \"cyclegan\" learns it from the images, \
         \"policy\" and \"program\" know it.",
    ),
    (
        "translator_policies",
        "Of \"policy\": for each subgroup, in alphabetical order, the policy that makes others' images look like its own: a file, \
         or \"none\".",
    ),
    (
        "translator_command",
        "Of \"program\": it is started for each subgroup with a NumPy file of images, the name of the file to write, and the \
         subgroup's name.",
    ),
    (
        "translator_steps",
        "Of \"cyclegan\": batches to learn from at most; it ends when judges take the results for real.",
    ),
    ("translator_batch", "Images of each subgroup in a batch."),
    ("translator_width", "Outputs of the first convolution, a multiple of 4; the authors' 32."),
    ("translator_learning_rate", "Of the generators."),
    ("translator_discriminator_learning_rate", "Of the discriminators."),
    ("translator_cycle", "What the difference of an image from its translation there and back counts."),
    (
        "translator_identity",
        "What, halved, the difference of an image from its translation into its own subgroup counts.",
    ),
    (
        "patch_consistency",
        "What it counts that the child's probabilities for an image and for its translations differ; the authors' 5.",
    ),
    ("# Machine", ""),
    ("device", "\"auto\" (a GPU if there is one), \"cpu\" or \"wgpu\"."),
    ("threads", "Children trained at once on the CPU; 0 for one per core. Results do not depend on it."),
    (
        "child_memory",
        "MiB for all children together; \"auto\" for 4096 on a GPU, and for 3/4 of the free memory on the CPU.",
    ),
    ("notebook_path", "The file in the study's folder that holds the table of all trainings."),
    ("# Cluster, of --on", ""),
    ("cluster.agents", "Programs that train on other machines; each has the CPUs and the GPU below."),
    ("cluster.cpus", "CPUs of an agent; 0 for what the machine or Slurm gives it."),
    ("cluster.gpus", "1 if an agent has a GPU: a node of 8 GPUs has room for 8 agents."),
    ("cluster.slots", "Trainings at once on an agent; 0 for as many as suit its CPUs or its GPU."),
    ("cluster.partition", "Slurm's partition; empty for its default. The same holds for ..."),
    ("cluster.account", "... the account, and ..."),
    ("cluster.time", "... the time limit of an agent, such as \"8:00:00\". One that reaches it is queued again."),
    ("cluster.sbatch", "Other options of sbatch, such as [\"--mem=16G\", \"--constraint=a100\"]."),
    ("cluster.prolog", "Shell commands before the agent starts, such as \"module load vulkan\"."),
    (
        "cluster.silence",
        "Seconds without a sign of life after which an agent is given up, and its trainings go to others.",
    ),
    ("cluster.idle", "Seconds after which an agent ends that hears nothing from the study."),
    ("cluster.cache", "A folder on each machine's own disk for the images; empty for that of temporary files."),
    // Closes the last group.
    ("#", ""),
];

impl Config {
    /// Returns the configuration as a TOML file in which every key is explained.
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
