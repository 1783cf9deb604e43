//! The material of a page: everything in a study's folder, and the study's images.

use std::path::{Path, PathBuf};

use deepaug_child_model::StrategyRecord;
use deepaug_controller::{Learnt, Method, Outcome};
use ndarray::Array4;
use serde::Deserialize;

use crate::compare::ComparisonResult;
use crate::config::SearchMethod;
use crate::config::ValidConfig;
use crate::error::Error;
use crate::explain::Explanation;
use crate::images::preview::of_each_class;
use crate::layout;
use crate::policies::space::PolicySpace;
use crate::read::inspect::Inspection;
use crate::study::adversary::Opposed;
use crate::study::folder::{read_images, read_ledger};
use crate::study::ledger::Ledger;
use crate::study::methods::Methods;
use crate::study::population::record::PopulationRecord;
use crate::study::result::SearchResult;

/// The material.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) study: PathBuf,
    pub(super) config: ValidConfig,
    pub(super) notebook: Inspection,
    /// Absent until the search has finished.
    pub(super) found: Option<SearchResult>,
    /// The comparisons in the study's folder, starting with the one with the most seeds, and of those the most schemes.
    pub(super) comparisons: Vec<ComparisonResult>,
    /// An image of each class, or why there is none.
    pub(super) images: Result<Array4<u8>, String>,
    pub(super) sizes: Option<(usize, usize)>,
    /// What is known about the population; empty for other methods.
    pub(super) population: PopulationRecord,
    /// What is known about the training against an adversary; absent for other methods.
    pub(super) opposed: Option<Opposed>,
    /// What a generator of sequences learnt; absent for other methods.
    #[cfg(feature = "generative")]
    pub(super) taught: Option<crate::study::tanda::Taught>,
    /// What ops do to a net, if that has been asked for.
    pub(super) explanation: Option<Explanation>,
    /// What the strategy of the trainings found; absent for plain ones.
    pub(super) strategy: Option<StrategyRecord>,
    /// The names of the classes, if the images can be read.
    pub(super) classes: Vec<String>,
    /// How the network stood that writes policies; empty for other methods.
    pub(super) course: Vec<Learnt>,
}

impl Material {
    pub(super) fn gather(study: &Path) -> Result<Self, Error> {
        let path = study.join(layout::CONFIG);
        if !path.is_file() {
            return Err(Error::study(study, format!("not a study: there is no {} in it", layout::CONFIG)));
        }
        let (config, ledger) = read_ledger(study)?;
        let dataset = read_images(study, &config);
        let sizes = dataset.as_ref().ok().map(|dataset| (dataset.len(), dataset.classes().len()));
        let result = study.join(layout::RESULT);
        let course = course(&config, &ledger)?;
        Ok(Self {
            course,
            population: ledger.population().clone(),
            opposed: ledger.opposed().cloned(),
            #[cfg(feature = "generative")]
            taught: ledger.taught().cloned(),
            explanation: Explanation::read(study)?,
            strategy: ledger.strategy(),
            classes: dataset.as_ref().map(|dataset| dataset.classes().to_vec()).unwrap_or_default(),
            notebook: Inspection::read(study)?,
            found: SearchResult::new(study, &ledger, None).filter(|_| result.is_file()),
            comparisons: comparisons(study)?,
            images: dataset.map(|dataset| of_each_class(&dataset)).map_err(|error| error.to_string()),
            sizes,
            study: study.into(),
            config,
        })
    }
}

/// Returns how a network that writes policies stood after each batch of trials.
fn course(config: &ValidConfig, ledger: &Ledger) -> Result<Vec<Learnt>, Error> {
    if !matches!(config.method, SearchMethod::Searcher(Method::Ppo | Method::Reinforce)) {
        return Ok(Vec::new());
    }
    let space = PolicySpace::new(config);
    let mut searcher = Methods::default().searcher(config)?;
    for (trial, proposal) in ledger.proposals().filter(|(trial, _)| space.is_of_space(*trial)) {
        searcher.register(trial, proposal.point.clone())?;
        if ledger.ended(trial, 0).is_some() {
            let cost = ledger.reward(trial).map_or(Outcome::Failed, |reward| Outcome::Cost(1.0 - reward));
            searcher.tell(trial, cost)?;
        }
    }
    Ok(searcher.course())
}

fn comparisons(study: &Path) -> Result<Vec<ComparisonResult>, Error> {
    let inside = std::fs::read_dir(study).map_err(|error| Error::file(study, error))?;
    let mut paths: Vec<PathBuf> = inside.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_result = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        layout::is_comparison_result(&name)
    };
    paths.retain(is_result);
    paths.sort();
    let mut found = paths.iter().map(|path| parse(path)).collect::<Result<Vec<ComparisonResult>, _>>()?;
    found.sort_by_key(|comparison| std::cmp::Reverse((comparison.seeds, comparison.schemes.len())));
    Ok(found)
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    serde_json::from_str(&text).map_err(|error| Error::study(path, format!("not a file that deepaug wrote: {error}")))
}
