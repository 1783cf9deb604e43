//! One search, from its first training to its result, in one folder.

pub(crate) mod adversary;
pub(crate) mod ask_tell;
pub(crate) mod builder;
pub(crate) mod candidate;
mod core;
pub(crate) mod event;
pub(crate) mod folder;
pub(crate) mod journal;
pub(crate) mod judged;
pub(crate) mod ledger;
pub(crate) mod lock;
pub(crate) mod methods;
pub(crate) mod notebook;
pub(crate) mod objective;
pub(crate) mod population;
mod race;
pub(crate) mod recorder;
pub(crate) mod result;
pub(crate) mod scheduler;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod sizing;
#[cfg(feature = "generative")]
pub(crate) mod tanda;
pub(crate) mod trials;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deepaug_augmenter::{Augmentation, Op, Policy};
use deepaug_child_model::{Capacity, ChildModel, DeviceChoice, TrainError};
use deepaug_dataset::{Dataset, Sample, Split};

use crate::cancel::Cancel;
use crate::cluster::{Cluster, Machines};
use crate::config::EarlyStopping;
use crate::config::auto::Auto;
use crate::config::{Config, ObjectiveKind, RewardKind, SearchMethod, Sizes, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::execute::{Executor, Local, Report, run_all};
use crate::files::{write_json, write_whole};
use crate::layout;
use crate::rng::{Purpose, derive};
use crate::study::builder::StudyBuilder;
use crate::study::core::Core;
use crate::study::event::Event;
use crate::study::folder::{Changes, claim, frozen, next_free, read_images, unmake};
use crate::study::journal::{Entry, Fingerprint, Journal};
use crate::study::lock::Holder;
use crate::study::methods::Methods;
use crate::study::objective::Objective;
use crate::study::population::{Population, pba};
use crate::study::result::SearchResult;
use crate::study::search::Search;
use crate::study::sizing::{Sizing, Wanted};
use crate::subsample::Choice;

/// One search in one folder: `study.toml` (the frozen configuration), `journal.jsonl` (everything that happened),
/// `notebook.csv` (the same as a table), and at the end `best_policy.json`, `top_policies.csv` and `result.json`.
#[derive(Debug)]
pub struct Study {
    config: ValidConfig,
    folder: PathBuf,
    split: Split,
    classes: usize,
    objective: Objective,
    core: Core,
    methods: Methods,
    cancel: Cancel,
    budget: Budget,
    /// The sizes chosen for it, if it was made in this process.
    sizing: Option<Sizing>,
    /// Ops that cannot affect its images, and are not searched.
    left_out: Vec<Op>,
}

/// The budget of a run. Once it is spent no trial is begun; running trials are finished, and the best are
/// confirmed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// Time for the run, including confirmation as far as the speed so far predicts it.
    pub time: Option<Duration>,
    /// Trainings of the study, including earlier runs and confirmation.
    pub trainings: Option<usize>,
}

impl Study {
    /// Makes a new study: reads the data, opens the device, and only then makes the folder, `out` or the next free
    /// one under `reports/experiments`.
    ///
    /// # Errors
    /// [`Error`]; a wrong configuration, data set or device leaves nothing behind.
    pub fn create(config: Config, out: Option<&Path>) -> Result<Self, Error> {
        let new = Self::builder(config);
        out.into_iter().fold(new, StudyBuilder::folder).create()
    }

    /// Opens a study that was stopped, killed or finished, with more iterations or on another device if `changes`
    /// say so. Finished work is not repeated, and the result is the same as if the study had never stopped.
    ///
    /// # Errors
    /// [`Error`]: no study there, one that another process is running, a damaged journal, or changed images.
    pub fn resume(folder: &Path, changes: &Changes) -> Result<Self, Error> {
        StudyBuilder::default().folder(folder).changes(*changes).resume()
    }

    /// Returns a builder for a study with custom images, child model or sizes, in any combination.
    pub fn builder<'a>(config: Config) -> StudyBuilder<'a> {
        StudyBuilder::new(config)
    }

    #[expect(clippy::too_many_arguments, reason = "the builder gathers them")]
    pub(crate) fn create_from(
        config: ValidConfig,
        dataset: &Dataset,
        child: Arc<dyn ChildModel>,
        device: DeviceChoice,
        methods: &Methods,
        out: Option<&Path>,
        wanted: Wanted,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let mut config = config.into_inner();
        if config.reward != RewardKind::Accuracy {
            let why = "reward: must be \"accuracy\" if deepaug trains; a study whose trials are judged elsewhere \
                       can have any kind";
            return Err(ConfigError::new(why).into());
        }
        // A study stays on the kind of device it began on, and can be resumed from any folder.
        config.device = device;
        if Sample::named(&config.data).is_none()
            && let Ok(path) = Path::new(&config.data).canonicalize()
        {
            config.data = path.to_string_lossy().into_owned();
        }
        if !config.subgroup_table.is_empty()
            && let Ok(path) = Path::new(&config.subgroup_table).canonicalize()
        {
            config.subgroup_table = path.to_string_lossy().into_owned();
        }
        if !config.child.command.is_empty()
            && let Ok(folder) = Path::new(".").join(&config.child.folder).canonicalize()
        {
            config.child.folder = folder.to_string_lossy().into_owned();
        }
        #[cfg(feature = "generative")]
        if config.method == SearchMethod::Tanda {
            let [.., channels] = dataset.image_shape();
            tanda::choose_functions(&mut config, channels == 3);
        }
        let left_out = leave_out_colour(&mut config, dataset)?;
        match config.method {
            SearchMethod::Searcher(_) => {}
            SearchMethod::Pba => config.iters = pba::CANDIDATES,
            SearchMethod::Adversarial => config.iters = adversary::CANDIDATES,
            #[cfg(feature = "generative")]
            SearchMethod::Tanda => config.iters = tanda::CANDIDATES,
            // Refused by the configuration.
            #[cfg(not(feature = "generative"))]
            SearchMethod::Tanda => {}
        }
        let sizing = match (config.sizes, config.child_epochs) {
            (Sizes::Given, Auto::Given(_)) => None,
            _ => {
                child.check(dataset.image_shape(), dataset.classes().len())?;
                let sizing = sizing::choose(&mut config, dataset, child.clone(), wanted, &cancel)?;
                config.sizes = Sizes::Given;
                Some(sizing)
            }
        };
        let (config, parts) = Parts::new(config, methods, dataset, child)?;
        let folder = match out {
            Some(out) => claim(out)?,
            None => next_free(Path::new(&config.data))?,
        };
        Self::found(config, methods, &folder, parts)
            .map(|study| Self { sizing, left_out, cancel, ..study })
            .inspect_err(|_| {
                unmake(&folder);
            })
    }

    fn found(config: ValidConfig, methods: &Methods, folder: &Path, parts: Parts) -> Result<Self, Error> {
        let journal = Journal::create(&folder.join(layout::JOURNAL), parts.fingerprint.clone(), Holder::Long)?;
        write_whole(&folder.join(layout::CONFIG), frozen(&config).as_bytes())?;
        Self::assemble(config, methods, folder.into(), parts, journal, Vec::new())
    }

    pub(crate) fn reopen(
        config: ValidConfig,
        dataset: &Dataset,
        child: Arc<dyn ChildModel>,
        methods: &Methods,
        folder: &Path,
    ) -> Result<Self, Error> {
        let (config, parts) = Parts::new(config.into_inner(), methods, dataset, child)?;
        let (journal, entries) = Journal::open(&folder.join(layout::JOURNAL), Some(&parts.fingerprint), Holder::Long)?;
        write_whole(&folder.join(layout::CONFIG), frozen(&config).as_bytes())?;
        Self::assemble(config, methods, folder.into(), parts, journal, entries)
    }

    fn assemble(
        config: ValidConfig,
        methods: &Methods,
        folder: PathBuf,
        parts: Parts,
        journal: Journal,
        entries: Vec<Entry>,
    ) -> Result<Self, Error> {
        let core = Core::new(&config, methods, &folder, journal, entries)?;
        let Parts { split, classes, objective, .. } = parts;
        let (cancel, budget, sizing, left_out) = Default::default();
        let methods = methods.clone();
        Ok(Self { config, folder, split, classes, objective, core, methods, cancel, budget, sizing, left_out })
    }

    /// Returns the study's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of its log: [`run`](Self::run) also sends its events to `tracing`, for a subscriber to
    /// write there.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join(layout::LOG)
    }

    /// Returns the configuration in force.
    pub fn config(&self) -> &ValidConfig {
        &self.config
    }

    /// Sets a budget for the next [`run`](Self::run).
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Lets a switch end its run.
    pub(crate) fn ended_by(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Returns a switch that ends [`run`](Self::run) with [`Error::Interrupted`]; trainings that are nearly done
    /// are finished.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Returns an executor that trains in this process.
    ///
    /// # Errors
    /// [`Error::Child`].
    pub fn executor(&self) -> Result<Local, Error> {
        Ok(self.objective.executor()?)
    }

    /// Returns an executor that trains on other machines, which must see the study's folder where this one does.
    ///
    /// # Errors
    /// [`Error`]: the folder cannot be written, another process trains for this study in this way, or no machine can be had.
    pub fn cluster(&self, machines: Machines) -> Result<Cluster, Error> {
        let folder = self.absolute()?;
        Cluster::new(&folder, self.objective.images(0), machines, || read_images(&folder, &self.config))
    }

    /// Returns the folder by a name for processes that run elsewhere: jobs name files in it.
    fn absolute(&self) -> Result<PathBuf, Error> {
        self.folder.canonicalize().map_err(|error| Error::file(&self.folder, error))
    }

    /// Runs the search to its end in this process. Events go into the log too.
    ///
    /// # Errors
    /// [`Error`]; everything that finished before it is kept, and the study can be resumed.
    pub fn run(self, on_event: &dyn Fn(&Event)) -> Result<SearchResult, Error> {
        let mut executor = self.executor()?;
        self.run_on(&mut executor, on_event)
    }

    /// Runs the search on an executor.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on(mut self, executor: &mut dyn Executor, on_event: &dyn Fn(&Event)) -> Result<SearchResult, Error> {
        if !executor.is_here() {
            self.folder = self.absolute()?;
        }
        let emit = |event: &Event| {
            match event {
                Event::Epoch { .. } => tracing::debug!("{event}"),
                event => tracing::info!("{event}"),
            }
            on_event(event);
        };
        let config = &self.config;
        let trainings = config.trainings(config.iters + 1);
        emit(&Event::Started {
            study: self.folder.clone(),
            images: [self.split.train.len(), self.split.validation.len(), self.split.test.len()],
            classes: self.classes,
            device: match executor.is_here() {
                true => self.objective.child().device(),
                false => format!("{} of other machines", config.device),
            },
            iters: config.iters,
            trainings,
            workers: config.workers.unwrap_or(1),
        });
        if !self.left_out.is_empty() {
            emit(&Event::OpsLeftOut { ops: self.left_out.clone() });
        }
        if let Some(sizing) = self.sizing {
            emit(&Event::Sized(sizing));
        }
        let todo = trainings.saturating_sub(self.core.ledger().counts().0) + self.looked_into()?;
        // Errors of the estimate are ignored: the real training reports them.
        if todo > 0
            && executor.is_here()
            && let Ok(Some((images_per_second, left))) = self.objective.estimate(todo)
        {
            emit(&Event::Estimated { images_per_second, left: Some(left) });
        }
        self.pretrain(executor, &emit)?;
        if self.config.objective == ObjectiveKind::Density {
            self.objective.judge_in(self.folder.clone());
        }
        if self.config.portion_by != Choice::Uniform {
            self.objective.score_in(self.folder.clone());
        }
        match self.config.method {
            SearchMethod::Searcher(_) => {}
            SearchMethod::Pba => self.evolve(executor, &emit)?,
            SearchMethod::Adversarial => self.oppose(executor, &emit)?,
            #[cfg(feature = "generative")]
            SearchMethod::Tanda => self.teach(&emit)?,
            #[cfg(not(feature = "generative"))]
            SearchMethod::Tanda => {}
        }
        let Self { folder, core, objective, cancel, budget, .. } = &mut self;
        let ended_by = Search::new(folder, core, objective, executor, cancel, *budget, &emit).run();
        if let Err(error) = &ended_by {
            tracing::error!("{error}");
        }
        let ended_by = ended_by?;
        let result = core.finish(ended_by)?;
        emit(&Event::SearchEnded { by: ended_by });
        Ok(result)
    }

    /// Returns how many trainings' time goes by before the first trial.
    fn looked_into(&self) -> Result<usize, Error> {
        let ledger = self.core.ledger();
        Ok(match self.config.method {
            // A member of a population takes as long as a training.
            SearchMethod::Pba if ledger.population().is_empty() => self.config.population,
            // A batch is there under each policy, and nothing else runs beside it.
            SearchMethod::Adversarial if ledger.opposed().is_none() => {
                self.config.adversarial_policies * self.objective.capacity()?.passes
            }
            _ => 0,
        })
    }

    /// Trains a child against an adversary, and has the policies tried that this one wrote.
    fn oppose(&mut self, executor: &mut dyn Executor, emit: &dyn Fn(&Event)) -> Result<(), Error> {
        let Self { folder, core, objective, cancel, .. } = self;
        let schedule = adversary::train(folder, core, objective, executor, cancel, emit)?;
        core.try_next(adversary::candidates(&schedule, &self.config)?);
        Ok(())
    }

    /// Trains a generator of sequences, and has those tried that it writes.
    #[cfg(feature = "generative")]
    fn teach(&mut self, emit: &dyn Fn(&Event)) -> Result<(), Error> {
        let Self { folder, core, objective, cancel, .. } = self;
        let policies = tanda::train(folder, core, objective, cancel, emit)?;
        core.try_next(policies);
        Ok(())
    }

    /// Trains the study's population, and has its schedule tried.
    fn evolve(&mut self, executor: &mut dyn Executor, emit: &dyn Fn(&Event)) -> Result<(), Error> {
        let first = pba::first_policies(&self.config);
        let Some(mut scheduler) = self.methods.of_population(&self.config, first.clone()) else { return Ok(()) };
        let Self { folder, core, objective, cancel, config, .. } = self;
        let population = Population { folder, core, objective, executor, cancel, emit, stopped: Default::default() };
        let schedule = population.run(scheduler.as_mut(), first)?;
        write_schedule(folder, &schedule, config)?;
        core.try_next(pba::candidates(&schedule, config));
        Ok(())
    }

    /// Trains the weights that every child starts from, if needed and not yet done.
    fn pretrain(&mut self, executor: &mut dyn Executor, emit: &dyn Fn(&Event)) -> Result<(), Error> {
        let (epochs, cancel) = (self.config.child_first_train_epochs, &self.cancel);
        if epochs == 0 {
            return Ok(());
        }
        let weights = self.folder.join(&self.config.pre_aug_weights_path);
        let job = self.objective.pretraining(&Policy::none(self.config.ranges), epochs, weights.clone());
        let mut hear = |report: Report| match report {
            Report::Epoch { record, .. } => {
                emit(&Event::Pretraining { epochs, record });
                Ok(())
            }
            Report::Ended { result: Err(why), .. } => Err(Error::Child(TrainError::Failed { why })),
            _ => Ok(()),
        };
        if !run_all(executor, vec![job], &|| cancel.is_cancelled(), &mut hear)? {
            return Err(Error::Interrupted { path: self.folder.clone() });
        }
        self.objective.start_from(weights);
        Ok(())
    }
}

/// Writes the policies by epoch that came out of a training.
fn write_schedule(folder: &Path, schedule: &Policy, config: &Config) -> Result<(), Error> {
    let whole = Augmentation { policy: schedule.clone(), application: config.application() };
    write_json(&folder.join(layout::SCHEDULE), &whole)
}

/// What a study needs before its folder exists.
struct Parts {
    split: Split,
    classes: usize,
    objective: Objective,
    fingerprint: Fingerprint,
}

impl Parts {
    /// Chooses how many trials run at once, if that is left open.
    fn new(
        config: Config,
        methods: &Methods,
        dataset: &Dataset,
        child: Arc<dyn ChildModel>,
    ) -> Result<(ValidConfig, Self), Error> {
        let mut config = config.check()?;
        child.check(dataset.image_shape(), dataset.classes().len())?;
        let split = Split::draw(dataset, config.split_sizes(), derive(config.seed, Purpose::Split, 0))?;
        let name = child.name();
        let objective = Objective::new(&config, dataset, &split, child)?;
        if config.workers == Auto::Auto {
            let Capacity { passes, children } = objective.capacity()?;
            let at_once = passes * children;
            let of_a_trial = if config.early_stopping == EarlyStopping::Off { config.opt_samples } else { 1 };
            // One more than needed, so that nobody waits for the slowest.
            let workers = Auto::Given(at_once.div_ceil(of_a_trial) + usize::from(at_once > 1));
            config = Config { workers, ..config.into_inner() }.check()?;
        }
        let mut fixed = config.fixed();
        fixed["child_model"] = name.into();
        methods.names().for_each(|(key, name)| fixed[key] = name.into());
        let fingerprint = Fingerprint { data: objective.fingerprint().into(), config: fixed };
        Ok((config, Self { split, classes: dataset.classes().len(), objective, fingerprint }))
    }
}

/// Removes the ops that change only colours from a search on grey images.
fn leave_out_colour(config: &mut Config, dataset: &Dataset) -> Result<Vec<Op>, ConfigError> {
    let [.., channels] = dataset.image_shape();
    let (left_out, ops): (Vec<Op>, Vec<Op>) = config.ops.iter().partition(|op| channels == 1 && op.needs_colour());
    if ops.is_empty() {
        return Err(ConfigError::new("ops: none of them changes grey images, and all images are grey; choose others"));
    }
    config.ops = ops;
    Ok(left_out)
}
