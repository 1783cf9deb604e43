//! The names of the files in a study's folder, all of them.

/// The frozen configuration.
pub(crate) const CONFIG: &str = "study.toml";
/// All that happened; everything else can be rebuilt from it.
pub(crate) const JOURNAL: &str = "journal.jsonl";
/// Who runs the study, for whoever finds its journal locked.
pub(crate) const LOCK: &str = "lock";
/// The same for its comparisons.
pub(crate) const COMPARE_LOCK: &str = "compare-lock";
/// What the command writes its log into.
pub(crate) const LOG: &str = "deepaug.log";
/// The policy to use.
pub(crate) const BEST_POLICY: &str = "best_policy.json";
/// The best policies as a table.
pub(crate) const TOP_POLICIES: &str = "top_policies.csv";
/// What the search found.
pub(crate) const RESULT: &str = "result.json";

/// Names that are not the user's to choose for the notebook and the first weights.
pub(crate) const RESERVED: [&str; 8] = [CONFIG, JOURNAL, LOCK, COMPARE_LOCK, LOG, BEST_POLICY, TOP_POLICIES, RESULT];

const COMPARISON: &str = "compare-";

/// The journal of the comparison of a name.
pub(crate) fn comparison_journal(name: &str) -> String {
    format!("{COMPARISON}{name}.jsonl")
}

/// The result of the comparison of a name.
pub(crate) fn comparison_result(name: &str) -> String {
    format!("{COMPARISON}{name}.json")
}

/// Whether a file is the result of a comparison.
pub(crate) fn is_comparison_result(file_name: &str) -> bool {
    file_name.starts_with(COMPARISON) && file_name.ends_with(".json")
}
