//! The names of all files in a study's folder.

/// The frozen configuration.
pub(crate) const CONFIG: &str = "study.toml";
/// Everything that happened; all other files can be rebuilt from it.
pub(crate) const JOURNAL: &str = "journal.jsonl";
/// The process that runs the study, shown to others that find its journal locked.
pub(crate) const LOCK: &str = "lock";
/// The same for its comparisons.
pub(crate) const COMPARE_LOCK: &str = "compare-lock";
/// The folder of trainings on other machines.
pub(crate) const CLUSTER: &str = "cluster";
/// Images that were given in memory.
pub(crate) const IMAGES: &str = "images.npz";
/// The command's log.
pub(crate) const LOG: &str = "deepaug.log";
/// The policies of a training by epoch, from a population.
pub(crate) const SCHEDULE: &str = "schedule.json";
/// A population's children by epoch, as a table.
pub(crate) const POPULATION: &str = "population.csv";
/// The folder of their states, while they train.
pub(crate) const POPULATION_STATES: &str = "population";
/// The record of a training against an adversary, while it runs, with its net beside it.
pub(crate) const ADVERSARY_RECORD: &str = "adversary.json";
/// The weights of its net, until they are converted.
pub(crate) const ADVERSARY_WEIGHTS: &str = "adversary.safetensors";
/// What an adversary wrote and learnt from, as a table.
pub(crate) const ADVERSARY: &str = "adversary.csv";
/// A generator of sequences, and how it learnt, as a table.
pub(crate) const GENERATOR: &str = "generator.json";
pub(crate) const TANDA: &str = "tanda.csv";
/// The net that a search has trained, and its module for PyTorch.
pub(crate) const MODEL: [&str; 2] = ["model.safetensors", "model.py"];
/// The weights of a child without a policy, with which images are looked at.
pub(crate) const PROBE: &str = "probe.safetensors";
/// What ops do to it, for programs and reports, and as a table.
pub(crate) const EXPLANATION: &str = "explanation.json";
pub(crate) const EXPLANATION_TABLE: &str = "explanation.csv";
/// The policy to use.
pub(crate) const BEST_POLICY: &str = "best_policy.json";
/// The best policies as a table.
pub(crate) const TOP_POLICIES: &str = "top_policies.csv";
/// What the search found.
pub(crate) const RESULT: &str = "result.json";

/// What the net found hard, of `augment = "uncertain"` and `"entropy"`, as tables.
pub(crate) const SELECTION: &str = "selection.csv";
pub(crate) const SURENESS: &str = "sureness.csv";

/// Names that the user may not choose for the notebook and the first weights.
pub(crate) const RESERVED: [&str; 25] = [
    CONFIG,
    CLUSTER,
    IMAGES,
    JOURNAL,
    LOCK,
    COMPARE_LOCK,
    LOG,
    BEST_POLICY,
    TOP_POLICIES,
    RESULT,
    SCHEDULE,
    POPULATION,
    POPULATION_STATES,
    ADVERSARY_RECORD,
    ADVERSARY_WEIGHTS,
    ADVERSARY,
    GENERATOR,
    TANDA,
    MODEL[0],
    MODEL[1],
    PROBE,
    EXPLANATION,
    EXPLANATION_TABLE,
    SELECTION,
    SURENESS,
];

/// Returns the name of the weights of a child without a policy, which judges policies of a sample.
pub(crate) fn judge(sample: usize) -> String {
    format!("judge-{sample}.safetensors")
}

/// Returns the name of the weights of a child without a policy, by which a sample's images are chosen.
pub(crate) fn scorer(sample: usize) -> String {
    format!("scores-{sample}.safetensors")
}

/// Everything that happened in model patching.
pub(crate) const PATCH_JOURNAL: &str = "patch.jsonl";
/// Its configuration.
pub(crate) const PATCH_CONFIG: &str = "patch.toml";
/// Its result.
pub(crate) const PATCH_RESULT: &str = "patch.json";
/// The accuracy of every group under every arm.
pub(crate) const GROUPS: &str = "groups.csv";
/// What the loss of every group counted, epoch by epoch.
pub(crate) const WEIGHTS: &str = "weights.csv";
/// Translations between subgroups, as pictures.
pub(crate) const TRANSLATIONS: &str = "translations.png";
/// Nets that translate between subgroups.
#[cfg(feature = "generative")]
pub(crate) const TRANSLATORS: &str = "translators.safetensors";
/// The same as code for PyTorch.
#[cfg(feature = "generative")]
pub(crate) const TRANSLATORS_MODULE: &str = "translators.py";
/// The net that model patching keeps.
pub(crate) const PATCHED: &str = "model.safetensors";
/// The same as code for PyTorch.
pub(crate) const PATCHED_MODULE: &str = "model.py";

/// Returns the file with a policy that translates into a subgroup, as code.
pub(crate) fn translator_code(into: usize) -> String {
    format!("translator-{into}.py")
}

/// Returns the file of what a program translated into a subgroup.
pub(crate) fn translation(into: usize) -> String {
    format!("translation-{into}.npy")
}

const COMPARISON: &str = "compare-";

/// Returns the name of a comparison's journal.
pub(crate) fn comparison_journal(name: &str) -> String {
    format!("{COMPARISON}{name}.jsonl")
}

/// Returns the name of a comparison's result.
pub(crate) fn comparison_result(name: &str) -> String {
    format!("{COMPARISON}{name}.json")
}

/// Returns the name of a table of what a scheme's nets found hard, in a comparison.
pub(crate) fn comparison_table(name: &str, scheme: &str, table: &str) -> String {
    format!("{COMPARISON}{name}-{scheme}-{table}")
}

/// Returns whether a file is the result of a comparison.
pub(crate) fn is_comparison_result(file_name: &str) -> bool {
    file_name.starts_with(COMPARISON) && file_name.ends_with(".json")
}
