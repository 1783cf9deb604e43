//! Making and opening studies of anything: images, a child model, a folder of the caller's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deepaug_child_model::ChildModel;
use deepaug_controller::{SearchError, Searcher, Space};
use deepaug_dataset::Dataset;

use crate::config::{Config, ValidConfig};
use crate::error::Error;
use crate::images::data::read;
use crate::study::Study;
use crate::study::folder::{Changes, thaw};
use crate::study::methods::Methods;
use crate::study::scheduler::Scheduler;
use crate::study::sizing::Wanted;

/// What a study is made of, or opened with. What is not given is as the configuration says.
///
/// ```
/// use deepaug::prelude::*;
///
/// # fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let out = folder.path().join("first");
/// # let mut config = Config { iters: 1, train_set_size: 40.into(), validation_set_size: 20.into(), ..Config::default() };
/// # config.model = deepaug::Model::TinyCnn;
/// # config.child_epochs = 1.into();
/// let images = Dataset::sample(); // or Dataset::new of pixels in memory
/// Study::builder(config).dataset(&images).folder(&out).create()?.run(&|_| ())?;
/// let again = deepaug::StudyBuilder::default().dataset(&images).folder(&out).resume()?;
/// # drop(again);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct StudyBuilder<'a> {
    config: Config,
    dataset: Option<&'a Dataset>,
    child: Option<Arc<dyn ChildModel>>,
    methods: Methods,
    folder: Option<PathBuf>,
    wanted: Wanted,
    changes: Changes,
}

impl<'a> StudyBuilder<'a> {
    /// Of a configuration.
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// Images that are already in memory; `config.data` only names them.
    pub fn dataset(self, dataset: &'a Dataset) -> Self {
        Self { dataset: Some(dataset), ..self }
    }

    /// A child model of the caller's own, in place of the configuration's. A study is only resumed with one of the same name.
    pub fn child(self, child: impl Into<Arc<dyn ChildModel>>) -> Self {
        Self { child: Some(child.into()), ..self }
    }

    /// A search method of the caller's own, in place of the configuration's: from the space of the policies and a seed to a searcher.
    /// A study is only resumed with one of the same name.
    pub fn searcher(
        self,
        name: &str,
        make: impl Fn(Space, u64) -> Result<Box<dyn Searcher>, SearchError> + Send + Sync + 'static,
    ) -> Self {
        Self { methods: self.methods.with_searcher(name, Arc::new(make)), ..self }
    }

    /// A [`Scheduler`] of the caller's own, in place of the configuration's `early_stopping`. A study is only resumed with one of
    /// the same name.
    pub fn scheduler(self, name: &str, make: impl Fn() -> Box<dyn Scheduler> + Send + Sync + 'static) -> Self {
        Self { methods: self.methods.with_scheduler(name, Arc::new(make)), ..self }
    }

    /// The study's folder; a new one must not exist, or be empty. The next free one under `reports/experiments` unless given.
    pub fn folder(self, folder: &Path) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// What sizes that the configuration leaves open are chosen for.
    pub fn wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// What changes of a study that is resumed.
    pub fn changes(self, changes: Changes) -> Self {
        Self { changes, ..self }
    }

    /// Makes a new study, as [`Study::create`] does.
    ///
    /// # Errors
    /// As [`Study::create`].
    pub fn create(self) -> Result<Study, Error> {
        let Self { config, dataset, child, methods, folder, wanted, .. } = self;
        let config = config.check()?;
        with(&config, dataset, child, |dataset, child| {
            Study::create_from(config.clone(), dataset, child, &methods, folder.as_deref(), wanted)
        })
    }

    /// Opens the study in the folder, whose configuration takes the place of this one's, as [`Study::resume`] does.
    ///
    /// # Errors
    /// As [`Study::resume`].
    pub fn resume(self) -> Result<Study, Error> {
        let Self { dataset, child, methods, folder, changes, .. } = self;
        let folder = folder.unwrap_or_default();
        let config = thaw(&folder, &changes)?;
        with(&config, dataset, child, |dataset, child| Study::reopen(config.clone(), dataset, child, &methods, &folder))
    }
}

/// The images and the child, those of the configuration where there are no others.
fn with<T>(
    config: &ValidConfig,
    dataset: Option<&Dataset>,
    child: Option<Arc<dyn ChildModel>>,
    then: impl FnOnce(&Dataset, Arc<dyn ChildModel>) -> Result<T, Error>,
) -> Result<T, Error> {
    let own;
    let dataset = match dataset {
        Some(dataset) => dataset,
        None => {
            own = read(config)?;
            &own
        }
    };
    let child = match child {
        Some(child) => child,
        None => config.child_model()?.into(),
    };
    then(dataset, child)
}
