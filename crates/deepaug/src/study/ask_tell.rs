//! A study whose trials are judged elsewhere: any program that can train asks for policies and tells their
//! rewards. It needs no images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deepaug_augmenter::Policy;
use serde::Serialize;

use crate::config::auto::Auto;
use crate::config::{Config, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::files::write_whole;
use crate::layout;
use crate::policies::space::Proposal;
use crate::remedy::Remedy;
use crate::study::core::Core;
use crate::study::folder::{claim, frozen, read_frozen, unmake};
use crate::study::journal::{Entry, Fingerprint, Journal, ReportedOutcome, trial_of};
use crate::study::ledger::TrainingOutcome;
use crate::study::lock::{Holder, PATIENCE};
use crate::study::methods::Methods;
use crate::study::recorder::Recorder;
use crate::study::result::SearchResult;

/// A trial to be judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asked {
    /// Its number. Trial 0 has no policy; it is the baseline.
    pub trial: u64,
    /// Its policy.
    pub policy: Policy,
    /// The name of the policy, if it needs no search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

impl Asked {
    fn new(trial: u64, proposal: &Proposal) -> Self {
        Self { trial, policy: proposal.policy.clone(), scheme: proposal.scheme.clone() }
    }
}

/// A reported result of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The trial's number.
    pub trial: u64,
    /// Which of its `opt_samples` trainings, counted from 0; all of them together unless given.
    pub sample: Option<usize>,
    /// Its outcome.
    pub outcome: ReportedOutcome,
}

/// A study, open for asking and telling.
///
/// ```
/// use deepaug::{AskTell, Config, ReportedOutcome};
///
/// # fn main() -> Result<(), deepaug::Error> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let folder = folder.path().join("study");
/// let mut study = AskTell::create(Config::default(), &folder)?;
/// for asked in study.ask(3)? {
///     let accuracy = 0.5; // train with asked.policy in your own way
///     study.tell(asked.trial, None, ReportedOutcome::Reward(accuracy))?;
/// }
/// let found = study.result()?.expect("trial 0 and two policies have been told");
/// assert_eq!(found.best.reward, 0.5);
/// # Ok(())
/// # }
/// ```
pub struct AskTell {
    folder: PathBuf,
    core: Core,
}

impl AskTell {
    /// Makes a new study in a folder, which must be new or empty. Only the parts of the configuration that concern
    /// the search and its policies matter.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind.
    pub fn create(config: Config, folder: &Path) -> Result<Self, Error> {
        // The caller decides how many trials run at once, and what else happens to images.
        let config = Config { workers: Auto::Given(1), finish: false, ..config }.check()?;
        let folder = claim(folder)?;
        let made = || {
            let journal = found(&config, &folder, Holder::Short(PATIENCE))?;
            Self::new(&config, folder.clone(), journal, Vec::new())
        };
        made().inspect_err(|_| unmake(&folder))
    }

    /// Returns whether the trials of the study in a folder are judged elsewhere.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none.
    pub fn is_one(folder: &Path) -> Result<bool, Error> {
        read_frozen(folder)?;
        Journal::<Entry>::is_outside(&folder.join(layout::JOURNAL))
    }

    /// Opens a study that [`create`](Self::create) made, for a short time: others that do so too wait for one
    /// another.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none, another process has it open for long, or it is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::open_within(folder, PATIENCE)
    }

    /// Opens the study, waiting for others for at most `patience`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(folder: &Path, patience: Duration) -> Result<Self, Error> {
        Self::open_as(folder, Holder::Short(patience))
    }

    /// Opens the study for a long time: other processes that try are told so at once.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_to_serve(folder: &Path) -> Result<Self, Error> {
        Self::open_as(folder, Holder::Long)
    }

    fn open_as(folder: &Path, holder: Holder) -> Result<Self, Error> {
        let config = read_frozen(folder)?;
        let fingerprint = Fingerprint::outside(config.fixed());
        let (journal, entries) = Journal::open(&folder.join(layout::JOURNAL), Some(&fingerprint), holder)?;
        Self::new(&config, folder.into(), journal, entries)
    }

    fn new(config: &ValidConfig, folder: PathBuf, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let mut core = Core::outside(config, &folder, Recorder::reopen(config, &folder, journal, entries)?)?;
        while core.is_known(core.asked()) {
            core.ask()?;
        }
        let complete: Vec<u64> =
            core.pending().iter().copied().filter(|&trial| core.wanted(trial).is_empty()).collect();
        complete.into_iter().try_for_each(|trial| core.settle(trial).map(drop))?;
        Ok(Self { folder, core })
    }

    /// Proposes trials, which are pending from then on; fewer than `count` if fewer policies are left.
    ///
    /// # Errors
    /// [`Error::Study`] if no policy is left; [`Error::File`].
    pub fn ask(&mut self, count: usize) -> Result<Vec<Asked>, Error> {
        let asked: Vec<Asked> =
            self.core.ask_several(count)?.iter().map(|(trial, proposal)| Asked::new(*trial, proposal)).collect();
        if asked.is_empty() && count > 0 {
            let pending = self.core.pending().len();
            let then = match pending {
                0 => "the search has ended".into(),
                pending => format!("{pending} are still to be told"),
            };
            return Err(Error::study(&self.folder, format!("every policy of the space has been asked for; {then}")));
        }
        Ok(asked)
    }

    /// Returns the trials that have been asked for and are not complete.
    pub fn pending(&self) -> Vec<Asked> {
        let proposal = |trial| Some(Asked::new(trial, self.core.ledger().proposal(trial)?));
        self.core.pending().iter().copied().filter_map(proposal).collect()
    }

    /// Takes the result of a trial: as a whole, or of one of `opt_samples` samples, counted from 0, whose rewards
    /// are averaged once all have arrived. Telling the same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Study`]: the trial was not asked for, or was told something else before.
    pub fn tell(&mut self, trial: u64, sample: Option<usize>, told: ReportedOutcome) -> Result<(), Error> {
        self.tell_several(vec![Observation { trial, sample, outcome: told }]).pop().unwrap_or(Ok(()))
    }

    /// Takes several results, which reach the disk together; each is accepted or refused by itself.
    pub fn tell_several(&mut self, told: Vec<Observation>) -> Vec<Result<(), Error>> {
        let mut answers: Vec<Result<(), Error>> = Vec::with_capacity(told.len());
        let mut taken: Vec<(u64, usize, TrainingOutcome)> = Vec::new();
        for Observation { trial, sample, outcome } in told {
            let outcome =
                TrainingOutcome::Reported { told: outcome, whole: sample.is_none(), epochs: Vec::new(), pruned: false };
            let earlier =
                |at: usize| taken.iter().find(|(t, s, _)| (*t, *s) == (trial, at)).map(|(.., outcome)| outcome);
            let is_new = self.check(trial, sample, &outcome, &earlier);
            if let Ok(true) = is_new {
                taken.push((trial, sample.unwrap_or(0), outcome));
            }
            answers.push(is_new.map(drop));
        }
        let trials: BTreeSet<u64> = taken.iter().map(|(trial, ..)| *trial).collect();
        let mut record = || {
            if !taken.is_empty() {
                self.core.record_several(std::mem::take(&mut taken))?;
            }
            // A searcher that has not been asked need not be told.
            let complete = |trial: &u64| *trial < self.core.asked() && self.core.wanted(*trial).is_empty();
            let complete: Vec<u64> = trials.iter().copied().filter(complete).collect();
            complete.into_iter().try_for_each(|trial| self.core.settle(trial).map(drop))
        };
        if let Err(error) = record() {
            // None of them is known to be on disk.
            let why = error.to_string();
            let mut first = Some(error);
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(first.take().unwrap_or_else(|| Error::study(&self.folder, why.clone())));
            }
        }
        answers
    }

    /// Returns whether a result is new; `earlier` returns samples accepted in this call and not yet known.
    fn check<'a>(
        &'a self,
        trial: u64,
        sample: Option<usize>,
        outcome: &TrainingOutcome,
        earlier: &dyn Fn(usize) -> Option<&'a TrainingOutcome>,
    ) -> Result<bool, Error> {
        let refuse = |why: String| Err(Error::study(&self.folder, why));
        let ledger = self.core.ledger();
        if ledger.proposal(trial).is_none() {
            let why = format!("trial {trial} has not been asked for");
            return Err(Error::study(&self.folder, why).with(Remedy::AskFirst));
        }
        if let TrainingOutcome::Reported { told: ReportedOutcome::Reward(reward), .. } = outcome
            && let Err(why) = self.core.config().reward.check(*reward)
        {
            return refuse(format!("trial {trial}: {why}"));
        }
        let samples = self.core.config().opt_samples;
        if let Some(sample) = sample.filter(|&sample| sample >= samples) {
            return refuse(format!("trial {trial} has samples 0 to {}, not {sample}; see opt_samples", samples - 1));
        }
        let ended = |sample: usize| ledger.ended(trial, sample).or_else(|| earlier(sample));
        let is_whole = |outcome: &TrainingOutcome| matches!(outcome, TrainingOutcome::Reported { whole: true, .. });
        match ended(sample.unwrap_or(0)) {
            Some(known) if known == outcome => Ok(false),
            Some(_) => refuse(format!("trial {trial} was told something else before; the known result stays")),
            None if ended(0).is_some_and(is_whole) => refuse(format!("trial {trial} is complete")),
            None if sample.is_none() && (0..samples).any(|other| ended(other).is_some()) => {
                refuse(format!("trial {trial} was told sample by sample before; continue that way"))
            }
            None => Ok(true),
        }
    }

    /// Tells a study about several trials without reading all of it, so that the time does not grow with the
    /// study. Waits for other short users for at most `patience`. Returns what
    /// [`tell_several`](Self::tell_several) returns.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn tell_within(
        folder: &Path,
        told: Vec<Observation>,
        patience: Duration,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let config = read_frozen(folder)?;
        if !folder.join(&config.notebook_path).exists() {
            return Ok(Self::open_within(folder, patience)?.tell_several(told));
        }
        let trials: BTreeSet<u64> = told.iter().map(|observation| observation.trial).collect();
        let is_wanted = |line: &str| trial_of(line).is_none_or(|trial| trials.contains(&trial));
        let fingerprint = Fingerprint::outside(config.fixed());
        let path = folder.join(layout::JOURNAL);
        let (journal, entries) = Journal::open_some(&path, Some(&fingerprint), Holder::Short(patience), &is_wanted)?;
        let core = Core::outside(&config, folder, Recorder::add_to(&config, folder, journal, entries)?)?;
        Ok(Self { folder: folder.into(), core }.tell_several(told))
    }

    /// Returns what has been found so far, and writes it into the study's folder; `None` before trial 0 and
    /// another have been told.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn result(&self) -> Result<Option<SearchResult>, Error> {
        self.core.result(None)
    }
}

/// Makes the files of a study whose trials are judged elsewhere.
///
/// # Errors
/// [`Error::Config`]: the method trains by itself; [`Error::File`].
pub(crate) fn found(config: &ValidConfig, folder: &Path, holder: Holder) -> Result<Journal, Error> {
    if config.method.looks_into_trainings() {
        let name = config.method.name();
        let why =
            format!("method: must not be \"{name}\" if trials are judged elsewhere: it trains its children itself");
        return Err(ConfigError::new(why).into());
    }
    let journal = Journal::create(&folder.join(layout::JOURNAL), Fingerprint::outside(config.fixed()), holder)?;
    write_whole(&folder.join(layout::CONFIG), frozen(config).as_bytes())?;
    Ok(journal)
}

/// What was rebuilt from a study's journal alone.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// The table of all trainings.
    pub notebook: PathBuf,
    /// Trials that have been proposed.
    pub trials: usize,
    /// Trainings that have ended.
    pub trainings: usize,
    /// What the study has found so far, if anything.
    pub result: Option<SearchResult>,
}

/// Rebuilds a study's notebook, and its results so far, from its journal. Needs neither images nor a device.
///
/// # Errors
/// [`Error::Study`]: there is none, a process is running it, or it is damaged; [`Error::File`].
pub fn rebuild(folder: &Path) -> Result<Rebuilt, Error> {
    let config = read_frozen(folder)?;
    let (journal, entries) = Journal::open(&folder.join(layout::JOURNAL), None, Holder::Short(PATIENCE))?;
    let core = Core::new(&config, &Methods::default(), folder, journal, entries)?;
    core.ledger().population().write(folder)?;
    if let Some(opposed) = core.ledger().opposed() {
        opposed.write(folder)?;
    }
    #[cfg(feature = "generative")]
    if let Some(taught) = core.ledger().taught() {
        taught.write(folder)?;
    }
    Ok(Rebuilt {
        notebook: folder.join(&config.notebook_path),
        trials: core.ledger().proposals().count(),
        trainings: core.ledger().counts().0,
        result: core.result(None)?,
    })
}
