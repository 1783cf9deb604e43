//! The result of a comparison, and how reliable it is.

use std::fmt;
use std::path::PathBuf;

use deepaug_augmenter::Online;
use deepaug_child_model::{GroupRecord, History, Settings, StrategyRecord};
use serde::{Deserialize, Serialize};

use super::Comparison;
use super::scheme::{SEARCHED, Scheme};
use crate::statistics::{
    LEVEL, Paired, RankCorrelation, detectable, interval_of_mean, mean, pairs_needed, ratio_interval,
};
use crate::strategies;

/// A difference counts as shown if its corrected p-value is below this.
const ALPHA: f64 = 1.0 - LEVEL;

/// The version of a result's format.
pub(crate) const FORMAT: u32 = 2;

/// The cost of trainings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Number of trainings.
    pub trainings: usize,
    /// The sum of their times, if known.
    pub seconds: Option<f64>,
}

/// The trainings under one scheme. Accuracies are on test images, after the last epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemeResult {
    /// Its name.
    pub name: String,
    /// What it does, in words.
    pub what: String,
    /// What happens to each image: the probability of getting a policy, and the finish; absent in comparisons of
    /// format 1.
    #[serde(default)]
    pub online: Option<Online>,
    /// Whether it comes from a search: this study's, or one it is compared with.
    #[serde(default)]
    pub needs_search: bool,
    /// By seed; absent if a training failed.
    pub accuracies: Vec<Option<f64>>,
    /// Their mean; absent if all failed.
    pub mean: Option<f64>,
    /// The 95 % interval of the mean over seeds, by Student's t.
    pub interval: Option<(f64, f64)>,
    /// The difference from no augmentation, paired by seed; absent if that was not trained.
    pub gain: Option<Paired>,
    /// The share of no augmentation's errors that it removes.
    pub error_reduction: Option<f64>,
    /// The 95 % interval of that share, by Fieller's theorem.
    pub error_reduction_interval: Option<(f64, f64)>,
    /// The mean time of a training.
    pub seconds: Option<f64>,
    /// The mean accuracy on test images by epoch.
    pub curve: Vec<f64>,
    /// What its strategy found, over all trainings, if it was not a plain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyRecord>,
    /// The accuracy of each group of test images, class by class, if their subgroups are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupAccuracy>,
    /// The accuracy of the worst of them in each training, if their subgroups are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_group: Option<WorstGroup>,
}

/// The accuracy of a group: the test images of one class and one subgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupAccuracy {
    /// The class.
    pub class: String,
    /// The subgroup.
    pub subgroup: String,
    /// Training images of the group.
    pub train_images: usize,
    /// Test images of the group.
    pub test_images: usize,
    /// The mean over trainings; absent without test images.
    pub mean: Option<f64>,
    /// Its 95 % interval over seeds, by Student's t.
    pub interval: Option<(f64, f64)>,
    /// What its loss counted by epoch, on average over trainings; empty if groups were not weighted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
}

/// How the worst group fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstGroup {
    /// By seed: the lowest accuracy of any group; absent if the training failed.
    pub accuracies: Vec<Option<f64>>,
    /// Their mean.
    pub mean: f64,
    /// Its 95 % interval over seeds, by Student's t.
    pub interval: Option<(f64, f64)>,
    /// The difference from no augmentation, paired by seed; absent if that was not trained.
    pub gain: Option<Paired>,
}

/// What the seeds say about the searched policies compared with a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// They are better.
    Better,
    /// They are worse.
    Worse,
    /// These seeds show no difference.
    NoDifference,
    /// There are fewer than two pairs.
    Unknown,
}

/// The searched policies compared with a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// The baseline.
    pub baseline: String,
    /// The accuracy of the searched policies above the baseline's, paired by seed. Both p and the interval are
    /// corrected for the number of baselines (Bonferroni).
    pub difference: Paired,
    /// The same p; in comparisons of format 1 that of Holm's correction, beside an uncorrected interval.
    pub p_corrected: Option<f64>,
    /// The finding.
    pub verdict: Finding,
    /// Number of seeds that would show the measured difference four times in five, if it is the true one; absent
    /// if these are enough, and if it would take more than 100,000.
    pub seeds_needed: Option<usize>,
    /// The smallest difference that these seeds show four times in five.
    pub detectable: Option<f64>,
}

/// A policy of the search, trained by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankedTrial {
    /// Its trial.
    pub trial: u64,
    /// Its reward in the search.
    pub reward: f64,
    /// The final model's mean accuracy on test images.
    pub accuracy: Option<f64>,
}

impl RankedTrial {
    /// Returns the name of the scheme that it is trained as.
    pub(super) fn scheme(&self) -> String {
        format!("trial-{}", self.trial)
    }
}

/// Whether the final model ranks policies as the child did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankCheck {
    /// The best and the worst of the search, best first.
    pub trials: Vec<RankedTrial>,
    /// The rank correlation of rewards and accuracies; absent for fewer than three.
    pub correlation: Option<RankCorrelation>,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonResult {
    /// The version of this format. In format 1, for a study with `finish = false`, the baselines were finished but
    /// its policies were not.
    pub format: u32,
    /// The study's folder.
    pub study: PathBuf,
    /// The comparison's name.
    pub name: String,
    /// One plain sentence.
    pub sentence: String,
    /// The model.
    pub model: String,
    /// How each model was trained, except for the augmentation.
    pub settings: Settings,
    /// Number of training images.
    pub train_images: usize,
    /// Number of test images.
    pub test_images: usize,
    /// Requested trainings of each scheme.
    pub seeds: usize,
    /// What is compared, with the searched policies last.
    pub schemes: Vec<SchemeResult>,
    /// The searched policies compared with each baseline.
    pub versus: Vec<Versus>,
    /// Whether the child's ranking holds, if requested.
    pub rank_check: Option<RankCheck>,
    /// The cost of the search.
    pub search_cost: Cost,
    /// The cost of the comparison.
    pub comparison_cost: Cost,
    /// Trainings that failed.
    pub failed: usize,
}

/// Returns what a training is judged by: the accuracy after its last epoch. Taking the best epoch's would select
/// on the test images.
pub(super) fn accuracy(history: &History) -> f64 {
    history.epochs.last().map_or(0.0, |record| record.val_acc)
}

impl Comparison {
    pub(super) fn result(&self) -> ComparisonResult {
        let mut schemes: Vec<SchemeResult> = self
            .schemes
            .iter()
            .filter(|scheme| self.trials.iter().all(|trial| trial.scheme() != scheme.name))
            .map(|s| self.scheme(s))
            .collect();
        let none = schemes.iter().find(|scheme| scheme.name == "none").cloned();
        if let Some(none) = none {
            let others = schemes.iter_mut().filter(|scheme| scheme.name != "none");
            others.for_each(|scheme| scheme.beside(&none.accuracies, none.worst_group.as_ref()));
        }
        let versus = versus(&schemes);
        let ended: Vec<_> = self.known.values().collect();
        let seconds = ended.iter().filter_map(|outcome| Some(outcome.as_ref().ok()?.seconds)).sum();
        let [train_images, test_images] = self.training.sizes();
        ComparisonResult {
            format: FORMAT,
            study: self.study.clone(),
            name: self.name.clone(),
            sentence: sentence(&schemes, &versus),
            model: self.training.child.name(),
            settings: self.training.settings(),
            train_images,
            test_images,
            seeds: self.compare.seeds,
            rank_check: (!self.trials.is_empty()).then(|| self.rank_check()),
            schemes,
            versus,
            search_cost: Cost { trainings: self.search.trainings, seconds: self.search.seconds },
            comparison_cost: Cost { trainings: ended.len(), seconds: Some(seconds) },
            failed: ended.iter().filter(|outcome| outcome.is_err()).count(),
        }
    }

    fn histories(&self, scheme: &str) -> Vec<Option<&History>> {
        let of = |sample| self.known.get(&(scheme.to_string(), sample)).and_then(|outcome| outcome.as_ref().ok());
        (0..self.compare.seeds).map(of).collect()
    }

    fn scheme(&self, scheme: &Scheme) -> SchemeResult {
        let histories = self.histories(&scheme.name);
        let accuracies: Vec<Option<f64>> = histories.iter().map(|history| Some(accuracy((*history)?))).collect();
        let present: Vec<f64> = accuracies.iter().flatten().copied().collect();
        let trained: Vec<&History> = histories.into_iter().flatten().collect();
        let epochs = trained.first().map_or(0, |history| history.epochs.len());
        let at = |epoch: usize| mean(&trained.iter().map(|history| history.epochs[epoch].val_acc).collect::<Vec<_>>());
        let seconds: Vec<f64> = trained.iter().map(|history| history.seconds).collect();
        SchemeResult {
            name: scheme.name.clone(),
            what: scheme.what.clone(),
            online: scheme.online_augmentation(),
            needs_search: scheme.needs_search,
            mean: (!present.is_empty()).then(|| mean(&present)),
            interval: (!present.is_empty()).then(|| interval_of_mean(&present, LEVEL)).flatten(),
            accuracies,
            gain: None,
            error_reduction: None,
            error_reduction_interval: None,
            seconds: (!seconds.is_empty()).then(|| mean(&seconds)),
            curve: (0..epochs).map(at).collect(),
            strategy: strategies::joined(trained.iter().copied()),
            groups: self.groups(&trained),
            worst_group: worst_group(&self.histories(&scheme.name)),
        }
    }

    /// Returns the accuracy of each group over trainings.
    fn groups(&self, trained: &[&History]) -> Vec<GroupAccuracy> {
        let records: Vec<&GroupRecord> = trained.iter().filter_map(|history| history.groups.as_ref()).collect();
        let Some(first) = records.first() else { return Vec::new() };
        let names =
            self.training.classes.iter().flat_map(|class| {
                self.training.subgroups.iter().map(move |subgroup| (class.clone(), subgroup.clone()))
            });
        let weight = |group: usize, epoch: usize| {
            let found = records.iter().filter_map(|record| record.weights.get(epoch)?.get(group).copied());
            mean(&found.collect::<Vec<_>>())
        };
        let of = |(number, (class, subgroup)): (usize, (String, String))| {
            let last = |record: &&GroupRecord| *record.accuracies.last()?.get(number)?;
            let accuracies: Vec<f64> = records.iter().filter_map(last).collect();
            let (train_images, test_images) = (first.images[number], first.validation[number]);
            (train_images + test_images > 0).then(|| GroupAccuracy {
                class,
                subgroup,
                train_images,
                test_images,
                mean: (!accuracies.is_empty()).then(|| mean(&accuracies)),
                interval: (!accuracies.is_empty()).then(|| interval_of_mean(&accuracies, LEVEL)).flatten(),
                weights: (0..first.weights.len()).map(|epoch| weight(number, epoch)).collect(),
            })
        };
        names.enumerate().filter_map(of).collect()
    }

    fn rank_check(&self) -> RankCheck {
        let mut trials = self.trials.clone();
        for trial in &mut trials {
            let histories = self.histories(&trial.scheme());
            let accuracies: Vec<f64> = histories.into_iter().flatten().map(accuracy).collect();
            trial.accuracy = (!accuracies.is_empty()).then(|| mean(&accuracies));
        }
        let both: Vec<(f64, f64)> = trials.iter().filter_map(|trial| Some((trial.reward, trial.accuracy?))).collect();
        let (rewards, accuracies): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        RankCheck { trials, correlation: RankCorrelation::of(&rewards, &accuracies) }
    }
}

impl SchemeResult {
    /// Compares it with no augmentation, and its worst group with that one's.
    fn beside(&mut self, none: &[Option<f64>], worst: Option<&WorstGroup>) {
        if let (Some(own), Some(worst)) = (&mut self.worst_group, worst) {
            own.gain = Paired::of(&own.accuracies, &worst.accuracies);
        }
        self.gain = Paired::of(&self.accuracies, none);
        let pairs = self.accuracies.iter().zip(none).filter_map(|(&a, &b)| Some((1.0 - a?, 1.0 - b?)));
        let (errors, base): (Vec<f64>, Vec<f64>) = pairs.unzip();
        if !errors.is_empty() && mean(&base) > 0.0 {
            let (ratio, interval) = ratio_interval(&errors, &base, LEVEL);
            self.error_reduction = Some(1.0 - ratio);
            self.error_reduction_interval = interval.map(|(low, high)| (1.0 - high, 1.0 - low));
        }
    }
}

/// Returns how the worst group fared in each training; nothing if subgroups are not known.
fn worst_group(histories: &[Option<&History>]) -> Option<WorstGroup> {
    let accuracies: Vec<Option<f64>> =
        histories.iter().map(|history| history.and_then(|history| history.groups.as_ref()?.worst())).collect();
    let present: Vec<f64> = accuracies.iter().flatten().copied().collect();
    (!present.is_empty()).then(|| WorstGroup {
        mean: mean(&present),
        interval: interval_of_mean(&present, LEVEL),
        gain: None,
        accuracies,
    })
}

/// Compares the searched policies with each of the others.
fn versus(schemes: &[SchemeResult]) -> Vec<Versus> {
    let Some(searched) = schemes.iter().find(|scheme| scheme.name == SEARCHED) else { return Vec::new() };
    let others = schemes.iter().filter(|scheme| scheme.name != SEARCHED);
    let comparisons = others.clone().count();
    let pairs = others.filter_map(|other| {
        let paired = Paired::of_several(&searched.accuracies, &other.accuracies, comparisons)?;
        Some((other.name.as_str(), paired))
    });
    let alpha = ALPHA / comparisons.max(1) as f64;
    let one = |(baseline, difference): (&str, Paired)| {
        let p_corrected = difference.p;
        let verdict = match p_corrected {
            None => Finding::Unknown,
            Some(p) if p >= ALPHA => Finding::NoDifference,
            Some(_) if difference.mean > 0.0 => Finding::Better,
            Some(_) => Finding::Worse,
        };
        let needed = |deviation| pairs_needed(difference.mean, deviation, alpha).map(|n| n.max(difference.pairs + 1));
        Versus {
            baseline: baseline.into(),
            difference,
            p_corrected,
            verdict,
            seeds_needed: difference.deviation.filter(|_| verdict == Finding::NoDifference).and_then(needed),
            detectable: difference.deviation.map(|deviation| detectable(deviation, difference.pairs, alpha)),
        }
    };
    pairs.map(one).collect()
}

impl fmt::Display for Versus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { baseline, difference, .. } = self;
        let baseline = if baseline == "none" { "no augmentation" } else { baseline };
        let (points, pairs) = (100.0 * difference.mean, difference.pairs);
        let interval = match difference.interval {
            Some((low, high)) => format!(" (95 %: {:+.2} to {:+.2})", 100.0 * low, 100.0 * high),
            None => String::new(),
        };
        match self.verdict {
            Finding::Better => write!(f, "better than {baseline} by {points:.2} points{interval}"),
            Finding::Worse => write!(f, "worse than {baseline} by {:.2} points{interval}", -points),
            Finding::NoDifference => {
                write!(f, "no different from {baseline} as far as {pairs} seeds show: {points:+.2} points{interval}")?;
                match self.seeds_needed {
                    Some(needed) => write!(f, ", and about {needed} seeds would be needed to show that much"),
                    None => write!(f, ", too small to be shown by any number of seeds"),
                }
            }
            Finding::Unknown if pairs == 1 => {
                write!(f, "{points:+.2} points relative to {baseline} on one seed, which shows nothing")
            }
            Finding::Unknown => {
                write!(
                    f,
                    "{points:+.2} points relative to {baseline} on each of {pairs} seeds, too few for an interval"
                )
            }
        }
    }
}

/// Returns the best scheme that needs no search, other than no augmentation.
pub(crate) fn best_free(schemes: &[SchemeResult]) -> Option<&SchemeResult> {
    let free = schemes.iter().filter(|scheme| !scheme.needs_search && scheme.name != "none");
    free.max_by(|a, b| a.mean.unwrap_or(0.0).total_cmp(&b.mean.unwrap_or(0.0)))
}

/// Returns one sentence: the searched policies compared with no augmentation, and with the best scheme that needs
/// no search.
fn sentence(schemes: &[SchemeResult], versus: &[Versus]) -> String {
    let of = |name: &str| versus.iter().find(|versus| versus.baseline == name);
    let parts: Vec<String> = [of("none"), best_free(schemes).and_then(|best| of(&best.name))]
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    match parts.as_slice() {
        [] => "Nothing can be compared: the trainings failed, or there was no baseline.".into(),
        [one] => format!("The searched policies are {one}."),
        [none, best, ..] => {
            format!(
                "The searched policies are {none}; compared with the best scheme that needs no search, they are {best}."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(name: &str, accuracies: &[f64]) -> SchemeResult {
        SchemeResult {
            name: name.into(),
            what: String::new(),
            online: None,
            needs_search: name == SEARCHED,
            accuracies: accuracies.iter().copied().map(Some).collect(),
            mean: Some(mean(accuracies)),
            interval: interval_of_mean(accuracies, LEVEL),
            gain: None,
            error_reduction: None,
            error_reduction_interval: None,
            seconds: None,
            curve: Vec::new(),
            strategy: None,
            groups: Vec::new(),
            worst_group: None,
        }
    }

    #[test]
    fn verdicts_follow_the_corrected_test_and_say_how_many_seeds_are_needed() {
        let schemes = [
            scheme("none", &[0.70, 0.71, 0.69, 0.70, 0.72]),
            scheme("trivialaugment", &[0.75, 0.77, 0.74, 0.76, 0.75]),
            scheme("random-policy", &[0.80, 0.81, 0.80, 0.80, 0.82]),
            scheme(SEARCHED, &[0.76, 0.76, 0.75, 0.75, 0.77]),
        ];
        let found = versus(&schemes);
        let verdicts: Vec<_> = found.iter().map(|versus| (versus.baseline.as_str(), versus.verdict)).collect();
        let expected =
            [("none", Finding::Better), ("trivialaugment", Finding::NoDifference), ("random-policy", Finding::Worse)];
        assert_eq!(verdicts, expected);
        assert!(found[1].seeds_needed.unwrap() > 5 && found[0].seeds_needed.is_none());
        for versus in &found {
            let (low, high) = versus.difference.interval.unwrap();
            assert_eq!(
                versus.p_corrected.unwrap() < 0.05,
                low > 0.0 || high < 0.0,
                "interval and p say the same: {versus:?}"
            );
        }
        let words = sentence(&schemes, &found);
        assert!(
            words.starts_with("The searched policies are better than no augmentation by 5.40 points (95 %: "),
            "{words}"
        );
        let of_the_best =
            "compared with the best scheme that needs no search, they are worse than random-policy by 4.80 points";
        assert!(words.contains(of_the_best), "{words}");
        let other = SchemeResult { needs_search: true, ..scheme("other-study", &[0.90, 0.91, 0.90, 0.92, 0.93]) };
        let more = [&schemes[..], &[other]].concat();
        assert!(sentence(&more, &versus(&more)).contains("random-policy"), "another search is not free");
        assert!(found[1].to_string().contains("seeds would be needed to show that much"), "{}", found[1]);
    }

    #[test]
    fn a_scheme_is_set_beside_no_augmentation() {
        let none = scheme("none", &[0.8, 0.7]);
        let mut better = scheme("cutout", &[0.9, 0.8]);
        better.beside(&none.accuracies, None);
        assert!((better.gain.unwrap().mean - 0.1).abs() < 1e-12);
        assert!((better.error_reduction.unwrap() - 0.4).abs() < 1e-12);
    }

    #[test]
    fn one_seed_shows_nothing() {
        let schemes = [scheme("none", &[0.7]), scheme(SEARCHED, &[0.9])];
        assert_eq!(versus(&schemes)[0].verdict, Finding::Unknown);
        assert!(sentence(&schemes, &versus(&schemes)).contains("which shows nothing"));
        assert!(sentence(&schemes[..1], &[]).contains("Nothing can be compared"));
    }
}
