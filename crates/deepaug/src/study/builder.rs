//! Makes and opens studies with custom images, child model or folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deepaug_child_model::{ChildModel, DeviceChoice};
use deepaug_controller::{SearchError, Searcher, Space};
use deepaug_dataset::Dataset;

use crate::cancel::Cancel;
use crate::config::{Config, ValidConfig};
use crate::error::Error;
use crate::images::data::read;
use crate::study::Study;
use crate::study::folder::{Changes, thaw};
use crate::study::methods::Methods;
use crate::study::scheduler::Scheduler;
use crate::study::sizing::Wanted;

/// Builds or opens a study. Anything not given is as the configuration says.
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
    cancel: Cancel,
    elsewhere: bool,
}

impl<'a> StudyBuilder<'a> {
    /// Starts from a configuration.
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// Uses images that are already in memory; `config.data` only names them.
    pub fn dataset(self, dataset: &'a Dataset) -> Self {
        Self { dataset: Some(dataset), ..self }
    }

    /// Uses a custom child model instead of the configuration's. A study can be resumed only with one of the same
    /// name.
    pub fn child(self, child: impl Into<Arc<dyn ChildModel>>) -> Self {
        Self { child: Some(child.into()), ..self }
    }

    /// Uses a custom search method instead of the configuration's: a function from the policy space and a seed to
    /// a searcher. A study can be resumed only with one of the same name.
    pub fn searcher(
        self,
        name: &str,
        make: impl Fn(Space, u64) -> Result<Box<dyn Searcher>, SearchError> + Send + Sync + 'static,
    ) -> Self {
        Self { methods: self.methods.with_searcher(name, Arc::new(make)), ..self }
    }

    /// Uses a custom [`Scheduler`] instead of the configuration's `early_stopping`. A study can be resumed only
    /// with one of the same name.
    pub fn scheduler(self, name: &str, make: impl Fn() -> Box<dyn Scheduler> + Send + Sync + 'static) -> Self {
        Self { methods: self.methods.with_scheduler(name, Arc::new(make)), ..self }
    }

    /// Sets the study's folder, which for a new study must not exist or must be empty. The default is the next
    /// free one under `reports/experiments`.
    pub fn folder(self, folder: &Path) -> Self {
        Self { folder: Some(folder.into()), ..self }
    }

    /// Sets the time and the iterations for which open sizes are chosen.
    pub fn wanted(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// Sets a switch that ends the choice of sizes with [`Error::Stopped`], and then the study's run, as
    /// [`Study::cancel`] does.
    pub fn cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Says whether other machines train, as with [`Study::cluster`]: their device is not opened here, where only sizes are
    /// chosen, on the CPU. It is the configuration's, and `"auto"` is the GPU if agents have one.
    pub fn elsewhere(self, elsewhere: bool) -> Self {
        Self { elsewhere, ..self }
    }

    /// Sets the changes to a resumed study.
    pub fn changes(self, changes: Changes) -> Self {
        Self { changes, ..self }
    }

    /// Makes a new study, as [`Study::create`] does.
    ///
    /// # Errors
    /// As [`Study::create`].
    pub fn create(self) -> Result<Study, Error> {
        let Self { config, dataset, child, methods, folder, wanted, cancel, elsewhere, .. } = self;
        let config = config.check()?;
        with(&config, elsewhere, dataset, child, |dataset, child| {
            let device = match elsewhere {
                true => config.cluster_device(),
                false => DeviceChoice::of_kind(child.device_kind()),
            };
            let config = config.clone();
            Study::create_from(config, dataset, child, device, &methods, folder.as_deref(), wanted, cancel)
        })
    }

    /// Opens the study in the folder, whose configuration replaces this one's, as [`Study::resume`] does.
    ///
    /// # Errors
    /// As [`Study::resume`].
    pub fn resume(self) -> Result<Study, Error> {
        let Self { dataset, child, methods, folder, changes, cancel, elsewhere, .. } = self;
        let folder = folder.unwrap_or_default();
        let config = thaw(&folder, &changes)?;
        let study = with(&config, elsewhere, dataset, child, |dataset, child| {
            Study::reopen(config.clone(), dataset, child, &methods, &folder)
        })?;
        Ok(study.ended_by(cancel))
    }
}

/// Provides the images and the child, from the configuration unless given.
fn with<T>(
    config: &ValidConfig,
    elsewhere: bool,
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
        None => config.child_of(elsewhere)?.into(),
    };
    then(dataset, child)
}
