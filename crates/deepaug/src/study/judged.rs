//! A search whose trainings the caller carries out and judges, in this process. It needs no images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deepaug_augmenter::Policy;

use crate::cancel::Cancel;
use crate::config::auto::Auto;
use crate::config::{Config, RewardKind, ValidConfig};
use crate::error::Error;
use crate::execute::{Executor, ImagesPart, ImagesRef, Job, JobId, Task};
use crate::files::write_whole;
use crate::layout;
use crate::rng::{Purpose, derive};
use crate::study::Budget;
use crate::study::ask_tell::found;
use crate::study::core::Core;
use crate::study::event::Event;
use crate::study::folder::{Changes, claim, frozen, next_free, thaw, unmake};
use crate::study::journal::{Entry, Fingerprint, Journal, OUTSIDE};
use crate::study::lock::Holder;
use crate::study::methods::Methods;
use crate::study::result::SearchResult;
use crate::study::search::{Search, Trainings};

/// The name of their folders where none is given, instead of a data set's.
const NAME: &str = "judged";

/// A study whose trainings an [`Executor`] carries out in its own way, with any model and any data: it gets jobs with
/// policies and seeds, and answers each with [`Report::Judged`](crate::execute::Report::Judged). If it reports epochs as
/// well, trials that fall behind end early as the configuration says. The best policies are confirmed with fresh seeds.
///
/// Its folder is that of an [`AskTell`](crate::AskTell), and can be continued as either.
#[derive(Debug)]
pub struct JudgedStudy {
    folder: PathBuf,
    config: ValidConfig,
    core: Core,
    cancel: Cancel,
    budget: Budget,
}

impl JudgedStudy {
    /// Makes a new study in a folder, which must be new or empty, or in the next free one under `reports/experiments`.
    /// Only the parts of the configuration that concern the search and its policies matter; `workers` is how many trials
    /// run at once.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind.
    pub fn create(config: Config, folder: Option<&Path>) -> Result<Self, Error> {
        let workers = Auto::Given(config.workers.unwrap_or(1));
        // The caller decides what else happens to images.
        let config = Config { workers, finish: false, ..config }.check()?;
        let folder = match folder {
            Some(folder) => claim(folder)?,
            None => next_free(Path::new(NAME))?,
        };
        let made = || {
            let journal = found(&config, &folder, Holder::Long)?;
            Self::new(config.clone(), folder.clone(), journal, Vec::new())
        };
        made().inspect_err(|_| unmake(&folder))
    }

    /// Opens a study that was stopped, killed or finished, with more iterations if there are any.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none, another process has it open, or it is damaged.
    pub fn resume(folder: &Path, iters: Option<u64>) -> Result<Self, Error> {
        let config = thaw(folder, &Changes { iters, device: None })?;
        let fingerprint = Fingerprint::outside(config.fixed());
        let (journal, entries) = Journal::open(&folder.join(layout::JOURNAL), Some(&fingerprint), Holder::Long)?;
        write_whole(&folder.join(layout::CONFIG), frozen(&config).as_bytes())?;
        Self::new(config, folder.into(), journal, entries)
    }

    fn new(config: ValidConfig, folder: PathBuf, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let core = Core::new(&config, &Methods::default(), &folder, journal, entries)?;
        Ok(Self { folder, config, core, cancel: Cancel::new(), budget: Budget::default() })
    }

    /// Returns the study's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the configuration in force.
    pub fn config(&self) -> &ValidConfig {
        &self.config
    }

    /// Sets a budget for the next [`run_on`](Self::run_on).
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Returns a switch that ends [`run_on`](Self::run_on) with [`Error::Interrupted`].
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Runs the search to its end. Rewards in events are as the executor told them.
    ///
    /// # Errors
    /// [`Error`]; everything that finished before it is kept, and the study can be resumed.
    pub fn run_on(self, executor: &mut dyn Executor, on_event: &dyn Fn(&Event)) -> Result<SearchResult, Error> {
        let Self { folder, config, mut core, cancel, budget } = self;
        let kind = config.reward;
        let emit = |event: &Event| {
            let event = as_told(event, kind);
            tracing::info!("{event}");
            on_event(&event);
        };
        let (iters, workers) = (config.iters, config.workers.unwrap_or(1));
        emit(&Event::JudgingStarted { study: folder.clone(), iters, trainings: config.trainings(iters + 1), workers });
        let elsewhere = Elsewhere { config: Arc::new(config.into_inner()) };
        let ended_by = Search::new(&folder, &mut core, &elsewhere, executor, &cancel, budget, &emit).run();
        if let Err(error) = &ended_by {
            tracing::error!("{error}");
        }
        let ended_by = ended_by?;
        let result = core.finish(ended_by)?;
        emit(&Event::SearchEnded { by: ended_by });
        Ok(result)
    }
}

/// Turns the rewards of an event, of which more is better, back into the form in which they were told.
fn as_told(event: &Event, kind: RewardKind) -> Event {
    let mut event = event.clone();
    if kind == RewardKind::Loss
        && let Event::TrialFinished { reward, progress, .. } = &mut event
    {
        let best = progress.best.as_mut().map(|(_, best)| best);
        let rewards = reward.iter_mut().chain(progress.baseline.iter_mut()).chain(best);
        rewards.for_each(|reward| *reward = kind.merit(*reward));
    }
    event
}

/// Trainings that are carried out by whoever executes them.
struct Elsewhere {
    config: Arc<Config>,
}

impl Trainings for Elsewhere {
    fn job(&self, id: JobId, policy: &Policy) -> Job {
        let part = ImagesPart::Search { sample: id.sample };
        Job {
            id,
            policy: policy.clone(),
            settings: self.config.settings(),
            seed: self.sample_seed(id.sample),
            images: ImagesRef { config: self.config.clone(), fingerprint: OUTSIDE.into(), part },
            start: None,
            scored: None,
            task: Task::Train,
        }
    }

    fn sample_seed(&self, sample: usize) -> u64 {
        derive(self.config.seed, Purpose::Sample, sample as u64)
    }

    fn images_per_epoch(&self) -> usize {
        0
    }
}
