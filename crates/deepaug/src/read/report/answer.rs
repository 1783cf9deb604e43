//! The answer at the top of a page: does it help?

use maud::{Markup, html};

use super::material::Material;
use super::words::points;
use crate::compare::{self, ComparisonResult, Versus};

/// The answer in a few words, its basis, and its colour.
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) why: String,
    pub(super) class: &'static str,
}

impl Answer {
    pub(super) fn of(material: &Material) -> Self {
        match (material.comparisons.first(), &material.found) {
            (Some(comparison), _) => compared(comparison),
            (None, Some(found)) => {
                let class = match found.verdict {
                    crate::study::result::Verdict::Better => "good",
                    crate::study::result::Verdict::Worse => "bad",
                    crate::study::result::Verdict::NoDifference | crate::study::result::Verdict::Unconfirmed => "none",
                };
                let why = format!("{} Not yet tested on unseen images; deepaug compare does that.", found.verdict);
                Self { head: found.answer.clone(), why, class }
            }
            (None, None) => Self {
                head: "The search has not finished.".into(),
                why: format!(
                    "{} trainings are done. Continue with deepaug optimize --resume.",
                    material.notebook.trainings
                ),
                class: "none",
            },
        }
    }

    pub(super) fn show(&self) -> Markup {
        html! {
            div class=(format!("answer {}", self.class)) {
                p.head { (self.head) }
                p { (self.why) }
            }
        }
    }
}

/// Returns the policies found compared with the best scheme that needs no search.
pub(super) fn best_baseline(comparison: &ComparisonResult) -> Option<&Versus> {
    let best = compare::best_free(&comparison.schemes)?;
    comparison.versus.iter().find(|versus| versus.baseline == best.name)
}

fn compared(comparison: &ComparisonResult) -> Answer {
    use compare::Finding::{Better, NoDifference, Unknown, Worse};
    let none = comparison.versus.iter().find(|versus| versus.baseline == "none");
    let best = best_baseline(comparison);
    let name = best.map_or("", |best| best.baseline.as_str());
    let gain = none.map(|none| format!("{} points", points(none.difference.mean, 1))).unwrap_or_default();
    let (head, class) = match (none.map(|none| none.verdict), best.map(|best| best.verdict)) {
        (Some(Better), Some(Better)) => {
            (format!("Yes: {gain}, and better than any scheme that needs no search."), "good")
        }
        (Some(Better), Some(Worse)) => {
            (format!("It helps ({gain}), but {name} helps more and needs no search."), "mixed")
        }
        (Some(Better), Some(_)) => (format!("It helps ({gain}); so does {name}, without a search."), "mixed"),
        (Some(Better), None) => (format!("Yes: {gain} over no augmentation."), "good"),
        (Some(Worse), Some(Better | NoDifference)) | (Some(Worse), None) => {
            (format!("No: the policies do harm ({gain})."), "bad")
        }
        (Some(Worse), _) => (format!("No: the policies do harm ({gain}); {name} is better."), "bad"),
        (Some(NoDifference), Some(Worse)) => (format!("No gain shown ({gain}); {name} is better."), "none"),
        (Some(NoDifference), _) => (format!("No gain that {} seeds can show ({gain}).", comparison.seeds), "none"),
        (Some(Unknown), _) => ("Not known: one seed shows nothing.".into(), "none"),
        (None, Some(Better)) => (format!("Better than {name}, the best baseline."), "good"),
        (None, Some(Worse)) => (format!("Worse than {name}, the best baseline."), "bad"),
        (None, _) => ("No difference from the baselines that these seeds can show.".into(), "none"),
    };
    Answer { head, why: comparison.sentence.clone(), class }
}
