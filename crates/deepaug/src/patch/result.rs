//! The result of model patching.

use std::path::{Path, PathBuf};

use deepaug_child_model::{GroupRecord, History, Settings};
use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::translator::TranslatorRecord;
use crate::compare::WorstGroup;
use crate::error::Error;
use crate::files::{write_json, write_table};
use crate::layout;
use crate::statistics::{LEVEL, Paired, interval_of_mean, mean};

/// The version of a result's format.
pub(super) const FORMAT: u32 = 1;

/// The trainings of one arm. Accuracies are on test images, in the epoch in which the worst group of validation images fared
/// best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmResult {
    /// The arm.
    pub arm: Arm,
    /// What it does, in words.
    pub what: String,
    /// How its worst group fares; the gain is over plain training, corrected for the number of arms (Bonferroni).
    pub worst: Option<WorstGroup>,
    /// The accuracy of the worst group of validation images, on average: what the best arm is chosen by.
    pub validation: Option<f64>,
    /// The mean over groups, on average.
    pub mean: Option<f64>,
    /// For each class, how much better its best subgroup fares than its worst, on average.
    pub gaps: Vec<f64>,
    /// How each group fares.
    pub groups: Vec<Group>,
    /// The epoch chosen in each training, counted from 1.
    pub epochs: Vec<Option<usize>>,
    /// The mean time of a training.
    pub seconds: Option<f64>,
}

/// The images of one class and one subgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The class.
    pub class: String,
    /// The subgroup.
    pub subgroup: String,
    /// Images to learn from, to choose the epoch by, and to test on.
    pub images: [usize; 3],
    /// The accuracy on test images in each training.
    pub accuracies: Vec<Option<f64>>,
    /// Their mean.
    pub mean: Option<f64>,
    /// Its 95 % interval over seeds, by Student's t.
    pub interval: Option<(f64, f64)>,
    /// What its loss counted at the end of each epoch, on average; empty if groups were not weighted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// The accuracy on validation images after each epoch, on average.
    pub course: Vec<f64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchResult {
    /// The version of this format.
    pub format: u32,
    /// What to use, and what it gives, in words.
    pub sentence: String,
    /// The arm whose worst group of validation images fares best; absent if all trainings failed.
    pub best: Option<Arm>,
    /// The model.
    pub model: String,
    /// How plain training trains it.
    pub settings: Settings,
    /// Images to learn from, to choose the epoch by, and to test on.
    pub images: [usize; 3],
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The names of the subgroups.
    pub subgroups: Vec<String>,
    /// How translators came about, if any arm needs them.
    pub translator: Option<TranslatorRecord>,
    /// What was compared.
    pub arms: Vec<ArmResult>,
    /// The time of all trainings.
    pub seconds: f64,
    /// Trainings that failed.
    pub failed: usize,
    /// What should be known before the result is trusted.
    pub warnings: Vec<String>,
    /// The files of the model that was kept, and of translators as code.
    pub files: Vec<PathBuf>,
}

/// The epoch of a training in which the worst group of validation images fares best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Best {
    /// Counted from 0.
    pub(super) epoch: usize,
    /// The accuracy of that group.
    pub(super) worst: f64,
}

/// Chooses an epoch by validation images, of which groups are the first `subgroups` of each class; of equals, the first of
/// those with the highest mean over groups.
pub(super) fn best_epoch(groups: &GroupRecord, subgroups: usize) -> Option<Best> {
    let judged = groups.accuracies.iter().enumerate().filter_map(|(epoch, accuracies)| {
        let of: Vec<f64> = part(accuracies, subgroups, 0).into_iter().flatten().collect();
        let worst = of.iter().copied().min_by(f64::total_cmp)?;
        Some((Best { epoch, worst }, mean(&of)))
    });
    let better = |a: &(Best, f64), b: &(Best, f64)| (b.0.worst, b.1) > (a.0.worst, a.1);
    judged.reduce(|a, b| if better(&a, &b) { b } else { a }).map(|(best, _)| best)
}

/// Returns those of validation images, part 0, or of test images, part 1.
fn part<T: Copy>(of_all: &[T], subgroups: usize, part: usize) -> Vec<T> {
    of_all.chunks(2 * subgroups).flat_map(|class| class[part * subgroups..].iter().take(subgroups).copied()).collect()
}

impl PatchResult {
    /// Writes the accuracies of groups and the course of their weights as tables.
    pub(super) fn write_tables(&self, folder: &Path) -> Result<(), Error> {
        let each = self.arms.iter().flat_map(|arm| arm.groups.iter().map(move |group| (arm, group)));
        let rows = each.clone().flat_map(|(arm, group)| {
            group.accuracies.iter().enumerate().filter_map(move |(seed, accuracy)| {
                let (class, subgroup) = (group.class.clone(), group.subgroup.clone());
                let [.., test] = group.images;
                let accuracy = (*accuracy)?.to_string();
                Some(vec![arm.arm.to_string(), seed.to_string(), class, subgroup, test.to_string(), accuracy])
            })
        });
        write_table(
            &folder.join(layout::GROUPS),
            &["arm", "seed", "class", "subgroup", "test_images", "accuracy"],
            rows,
        )?;
        let rows = each.flat_map(|(arm, group)| {
            group.course.iter().enumerate().map(move |(epoch, accuracy)| {
                let weight = group.weights.get(epoch).map_or_else(String::new, f64::to_string);
                let (class, subgroup) = (group.class.clone(), group.subgroup.clone());
                vec![arm.arm.to_string(), (epoch + 1).to_string(), class, subgroup, weight, accuracy.to_string()]
            })
        });
        write_table(
            &folder.join(layout::WEIGHTS),
            &["arm", "epoch", "class", "subgroup", "weight", "validation_accuracy"],
            rows,
        )
    }

    /// Reads the result in a folder, if there is one.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(layout::PATCH_RESULT)).ok()?).ok()
    }

    /// Writes the result.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        write_json(&folder.join(layout::PATCH_RESULT), self)
    }
}

/// A training, in the epoch chosen.
struct Trained<'h> {
    best: Best,
    /// The accuracy on test images of each group.
    test: Vec<Option<f64>>,
    record: &'h GroupRecord,
}

impl ArmResult {
    /// Summarises an arm's trainings, by seed.
    pub(super) fn of(arm: Arm, histories: &[Option<&History>], classes: &[String], subgroups: &[String]) -> Self {
        let count = subgroups.len();
        let chosen: Vec<Option<Trained<'_>>> = histories
            .iter()
            .map(|history| {
                let record = (*history)?.groups.as_ref()?;
                let best = best_epoch(record, count)?;
                Some(Trained { best, test: part(&record.accuracies[best.epoch], count, 1), record })
            })
            .collect();
        let trained: Vec<&Trained<'_>> = chosen.iter().flatten().collect();
        let over = |of: &dyn Fn(&Trained<'_>) -> Option<f64>| {
            let found: Vec<f64> = trained.iter().filter_map(|training| of(training)).collect();
            (!found.is_empty()).then(|| mean(&found))
        };
        let present = |accuracies: &[Option<f64>]| accuracies.iter().flatten().copied().collect::<Vec<f64>>();
        let lowest = |accuracies: &[Option<f64>]| present(accuracies).into_iter().min_by(f64::total_cmp);
        let worst: Vec<Option<f64>> = chosen.iter().map(|training| lowest(&training.as_ref()?.test)).collect();
        let gap = |class: usize| {
            over(&|training| {
                let of_class = present(&training.test[class * count..][..count]);
                let highest = of_class.iter().copied().max_by(f64::total_cmp)?;
                Some(highest - of_class.into_iter().min_by(f64::total_cmp)?)
            })
        };
        let all_worst = present(&worst);
        let seconds: Vec<f64> = histories.iter().flatten().map(|history| history.seconds).collect();
        let names = classes.iter().flat_map(|class| subgroups.iter().map(move |subgroup| (class, subgroup)));
        Self {
            arm,
            what: arm.words().into(),
            worst: (!all_worst.is_empty()).then(|| WorstGroup {
                mean: mean(&all_worst),
                interval: interval_of_mean(&all_worst, LEVEL),
                accuracies: worst.clone(),
                gain: None,
            }),
            validation: over(&|training| Some(training.best.worst)),
            mean: over(&|training| Some(mean(&present(&training.test)))),
            gaps: (0..classes.len()).filter_map(gap).collect(),
            groups: names
                .enumerate()
                .map(|(number, (class, subgroup))| {
                    let accuracies: Vec<Option<f64>> =
                        chosen.iter().map(|training| training.as_ref()?.test[number]).collect();
                    let known = present(&accuracies);
                    let place = (number / count) * 2 * count + number % count;
                    let records: Vec<&GroupRecord> = trained.iter().map(|training| training.record).collect();
                    let at = |of: &dyn Fn(&GroupRecord) -> Option<f64>| {
                        mean(&records.iter().filter_map(|record| of(record)).collect::<Vec<_>>())
                    };
                    let epochs = records.first().map_or(0, |record| record.accuracies.len());
                    let weighted = records.first().map_or(0, |record| record.weights.len());
                    Group {
                        class: class.clone(),
                        subgroup: subgroup.clone(),
                        images: records.first().map_or([0; 3], |record| {
                            [record.images[place], record.validation[place], record.validation[place + count]]
                        }),
                        mean: (!known.is_empty()).then(|| mean(&known)),
                        interval: interval_of_mean(&known, LEVEL),
                        accuracies,
                        weights: (0..weighted)
                            .map(|epoch| at(&|record| record.weights.get(epoch)?.get(place).copied()))
                            .collect(),
                        course: (0..epochs)
                            .map(|epoch| at(&|record| *record.accuracies.get(epoch)?.get(place)?))
                            .collect(),
                    }
                })
                .collect(),
            epochs: chosen.iter().map(|training| Some(training.as_ref()?.best.epoch + 1)).collect(),
            seconds: (!seconds.is_empty()).then(|| mean(&seconds)),
        }
    }
}

/// Compares the worst group of each arm with that of plain training.
pub(super) fn with_gains(mut arms: Vec<ArmResult>) -> Vec<ArmResult> {
    let erm = arms.iter().find(|arm| arm.arm == Arm::Erm).and_then(|arm| Some(arm.worst.as_ref()?.accuracies.clone()));
    let comparisons = arms.len().saturating_sub(1);
    if let Some(erm) = erm {
        let others = arms.iter_mut().filter(|arm| arm.arm != Arm::Erm);
        for worst in others.filter_map(|arm| arm.worst.as_mut()) {
            worst.gain = Paired::of_several(&worst.accuracies, &erm, comparisons);
        }
    }
    arms
}

/// Returns the arm whose worst group of validation images fares best.
pub(super) fn best_arm(arms: &[ArmResult]) -> Option<Arm> {
    let judged = arms.iter().filter_map(|arm| Some((arm.arm, arm.validation?)));
    judged.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(arm, _)| arm)
}

/// Says what to use.
pub(super) fn sentence(arms: &[ArmResult], best: Option<Arm>) -> String {
    let of = |arm: Arm| arms.iter().find(|result| result.arm == arm);
    let Some((best, worst)) = best.and_then(of).and_then(|best| Some((best, best.worst.as_ref()?))) else {
        return "No training succeeded.".into();
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let between = |paired: &Paired| {
        let gain = format!("{:.1} points", 100.0 * paired.mean);
        paired
            .interval
            .map_or(gain.clone(), |(low, high)| format!("{gain} ({:.1} to {:.1})", 100.0 * low, 100.0 * high))
    };
    let erm = of(Arm::Erm).and_then(|erm| Some(erm.worst.as_ref()?.mean));
    let found = match (best.arm, worst.gain, erm) {
        (Arm::Erm, ..) => {
            return format!(
                "Use plain training (erm): no other arm lifts the worst group of validation images above it. Of test images, its \
                 worst group is read right in {}.",
                percent(worst.mean)
            );
        }
        (arm, Some(gain), Some(erm)) if gain.interval.is_some_and(|(low, _)| low > 0.0) => format!(
            "Use {arm}: its worst group of test images is read right in {}, {} more than under plain training, where it is {}",
            percent(worst.mean),
            between(&gain),
            percent(erm)
        ),
        (arm, Some(gain), Some(erm)) => format!(
            "{arm} fares best on validation images, but is not shown to be better than plain training: its worst group of test \
             images is read right in {}, {} above {}",
            percent(worst.mean),
            between(&gain),
            percent(erm)
        ),
        (arm, ..) => {
            format!("{arm} fares best: its worst group of test images is read right in {}", percent(worst.mean))
        }
    };
    // Translations have their price.
    let cheaper = arms
        .iter()
        .filter(|other| best.arm.needs_translations() && !other.arm.needs_translations() && other.arm != Arm::Erm)
        .filter_map(|other| Some((other, other.validation?)))
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .and_then(|(other, _)| {
            let paired = Paired::of(&worst.accuracies, &other.worst.as_ref()?.accuracies)?;
            Some(format!("; {} more than under {}, the best that needs no translations", between(&paired), other.arm))
        });
    format!("{found}{}.", cheaper.unwrap_or_default())
}

/// Says what should be known before the result is trusted.
pub(super) fn warnings(arms: &[ArmResult], translator: Option<&TranslatorRecord>) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(first) = arms.first() {
        let named = |group: &Group| format!("{}, {}", group.class, group.subgroup);
        let few = |part: usize, least: usize| -> Vec<String> {
            first.groups.iter().filter(|group| group.images[part] < least).map(named).collect()
        };
        for (part, what, least) in [(1, "to choose the epoch by", 20), (2, "to test on", 50)] {
            let groups = few(part, least);
            if !groups.is_empty() {
                all.push(format!("fewer than {least} images {what} of: {}", groups.join("; ")));
            }
        }
    }
    if let Some(judged) = translator.and_then(|translator| translator.judged.last())
        && !judged.passes()
    {
        all.push(
            "judges do not take translated images for those of their new subgroup, or do not read their class: see translator"
                .into(),
        );
    }
    all
}
