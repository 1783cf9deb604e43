//! A study whose trials are judged by somebody else: any program that can train asks for policies and tells what they were
//! worth. It needs no images.

use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use serde::Serialize;

use crate::config::Config;
use crate::config::auto::Auto;
use crate::error::Error;
use crate::files::write_whole;
use crate::layout;
use crate::policies::space::Proposal;
use crate::study::core::Core;
use crate::study::folder::{claim, frozen, read_frozen, unmake};
use crate::study::journal::{Entry, Fingerprint, Journal, ReportedOutcome};
use crate::study::ledger::TrainingOutcome;
use crate::study::result::SearchResult;

/// A trial to be judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asked {
    /// Its number. Trial 0 has no policy, to compare with.
    pub trial: u64,
    /// Its policy.
    pub policy: Policy,
    /// The name of that policy, if it needs no search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

impl Asked {
    fn new(trial: u64, proposal: &Proposal) -> Self {
        Self { trial, policy: proposal.policy.clone(), scheme: proposal.scheme.clone() }
    }
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
    /// Makes a new study in a folder, which must be new or empty. Of the configuration only what concerns the search and its
    /// policies matters.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind.
    pub fn create(config: Config, folder: &Path) -> Result<Self, Error> {
        // Whoever asks decides how many trials are under way.
        let config = Config { workers: Auto::Given(1), ..config };
        config.validate()?;
        let folder = claim(folder)?;
        let found = || {
            let journal = Journal::create(&folder.join(layout::JOURNAL), Fingerprint::outside(config.fixed()))?;
            write_whole(&folder.join(layout::CONFIG), frozen(&config).as_bytes())?;
            Self::new(&config, folder.clone(), journal, Vec::new())
        };
        found().inspect_err(|_| unmake(&folder))
    }

    /// Opens a study that [`create`](Self::create) made.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none, another process has it open, or it is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let config = read_frozen(folder)?;
        let (journal, entries) =
            Journal::open(&folder.join(layout::JOURNAL), Some(&Fingerprint::outside(config.fixed())))?;
        Self::new(&config, folder.into(), journal, entries)
    }

    fn new(config: &Config, folder: PathBuf, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let mut core = Core::new(config, &folder, journal, entries)?.without_pruning();
        while core.is_known(core.asked()) {
            core.ask()?;
        }
        let complete: Vec<u64> = core.pending().filter(|&trial| core.wanted(trial).is_empty()).collect();
        complete.into_iter().try_for_each(|trial| core.settle(trial).map(drop))?;
        Ok(Self { folder, core })
    }

    /// Proposes trials, which are pending from then on: as many as there are policies left, if those are fewer.
    ///
    /// # Errors
    /// [`Error::Study`] when no policy is left; [`Error::File`].
    pub fn ask(&mut self, count: usize) -> Result<Vec<Asked>, Error> {
        let mut asked = Vec::new();
        while asked.len() < count
            && let Some((trial, proposal)) = self.core.ask()?
        {
            asked.push(Asked::new(trial, &proposal));
        }
        if asked.is_empty() && count > 0 {
            let pending = self.core.pending().count();
            let then = match pending {
                0 => "deepaug report shows what was found".into(),
                pending => format!("{pending} are still to be told"),
            };
            return Err(Error::study(&self.folder, format!("every policy of the space has been asked for; {then}")));
        }
        Ok(asked)
    }

    /// The trials that have been asked for and are not complete.
    pub fn pending(&self) -> Vec<Asked> {
        let proposal = |trial| Some(Asked::new(trial, self.core.ledger().proposal(trial)?));
        self.core.pending().filter_map(proposal).collect()
    }

    /// Takes what a trial was worth: as a whole, or one of `opt_samples` samples, counted from 0, whose rewards are averaged
    /// when all are there. To be told the same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Study`]: the trial was not asked for, or was told something else before.
    pub fn tell(&mut self, trial: u64, sample: Option<usize>, told: ReportedOutcome) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::study(&self.folder, why));
        let ledger = self.core.ledger();
        if ledger.proposal(trial).is_none() {
            return refuse(format!("trial {trial} has not been asked for; deepaug ask proposes one"));
        }
        if let ReportedOutcome::Reward(reward) = told
            && !reward.is_finite()
        {
            return refuse(format!("trial {trial}: a reward must be a finite number; tell what has none as failed"));
        }
        if let Some(sample) = sample.filter(|&sample| sample >= self.core.config().opt_samples) {
            let most = self.core.config().opt_samples;
            return refuse(format!("trial {trial} has the samples 0 to {}, not {sample}; see opt_samples", most - 1));
        }
        let ended = TrainingOutcome::ReportedOutcome { told, whole: sample.is_none() };
        match ledger.ended(trial, sample.unwrap_or(0)) {
            Some(known) if *known == ended => return Ok(()),
            Some(_) => return refuse(format!("trial {trial} was told something else before; what is known stays")),
            None if ledger.is_complete(trial, false) => return refuse(format!("trial {trial} is complete")),
            None if sample.is_none()
                && ledger.wanted(trial, false).any(|other| ledger.ended(trial, other).is_some()) =>
            {
                return refuse(format!("trial {trial} was told by samples before; go on with --sample"));
            }
            None => {}
        }
        self.core.record(trial, sample.unwrap_or(0), ended)?;
        if self.core.wanted(trial).is_empty() {
            self.core.settle(trial)?;
        }
        Ok(())
    }

    /// What has been found by now, which is also written into the study's folder; none before trial 0 and another have been
    /// told.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn result(&self) -> Result<Option<SearchResult>, Error> {
        self.core.result(None)
    }
}

/// What was rebuilt of a study, from its journal alone.
#[derive(Debug, Clone, Serialize)]
pub struct Rebuilt {
    /// The table of all trainings.
    pub notebook: PathBuf,
    /// Trials that have been proposed.
    pub trials: usize,
    /// Trainings that have ended.
    pub trainings: usize,
    /// What the study has found by now, if that can be said.
    pub result: Option<SearchResult>,
}

/// Writes a study's notebook anew, and its results as far as they go, from its journal. Neither images nor a device are
/// needed.
///
/// # Errors
/// [`Error::Study`]: there is none, a process is running it, or it is damaged; [`Error::File`].
pub fn rebuild(folder: &Path) -> Result<Rebuilt, Error> {
    let config = read_frozen(folder)?;
    let (journal, entries) = Journal::open(&folder.join(layout::JOURNAL), None)?;
    let core = Core::new(&config, folder, journal, entries)?;
    Ok(Rebuilt {
        notebook: folder.join(&config.notebook_path),
        trials: core.ledger().proposals().count(),
        trainings: core.ledger().counts().0,
        result: core.result(None)?,
    })
}
