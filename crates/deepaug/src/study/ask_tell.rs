//! A study whose trials are judged by somebody else: any program that can train asks for policies and tells what they were
//! worth. It needs no images.

use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use deepaug_controller::{Outcome, Searcher};
use serde::Serialize;

use crate::config::Config;
use crate::config::auto::Auto;
use crate::error::Error;
use crate::files::write_whole;
use crate::layout;
use crate::policies::space::Codec;
use crate::policies::space::Known;
use crate::study::folder::{claim, frozen, read_frozen, unmake};
use crate::study::journal::{Entry, Journal, Pins, Told};
use crate::study::ledger::{Ended, Ledger, Proposal};
use crate::study::recorder::Recorder;
use crate::study::result::SearchResult;
use crate::study::searcher::searcher;

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
/// use deepaug::{AskTell, Config, Told};
///
/// # fn main() -> Result<(), deepaug::Error> {
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// # let folder = folder.path().join("study");
/// let mut study = AskTell::create(Config::default(), &folder)?;
/// for asked in study.ask(3)? {
///     let accuracy = 0.5; // train with asked.policy in your own way
///     study.tell(asked.trial, None, Told::Reward(accuracy))?;
/// }
/// let found = study.result()?.expect("trial 0 and two policies have been told");
/// assert_eq!(found.best.reward, 0.5);
/// # Ok(())
/// # }
/// ```
pub struct AskTell {
    config: Config,
    codec: Codec,
    folder: PathBuf,
    recorder: Recorder,
    searcher: Box<dyn Searcher>,
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
            let journal = Journal::create(&folder.join(layout::JOURNAL), Pins::outside(config.fixed()))?;
            write_whole(&folder.join(layout::CONFIG), frozen(&config).as_bytes())?;
            Self::new(config, folder.clone(), journal, Vec::new())
        };
        found().inspect_err(|_| unmake(&folder))
    }

    /// Opens a study that [`create`](Self::create) made.
    ///
    /// # Errors
    /// [`Error::Study`]: there is none, another process has it open, or it is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let config = read_frozen(folder)?;
        let (journal, entries) = Journal::open(&folder.join(layout::JOURNAL), Some(&Pins::outside(config.fixed())))?;
        Self::new(config, folder.into(), journal, entries)
    }

    fn new(config: Config, folder: PathBuf, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let codec = Codec::new(&config);
        let mut searcher = searcher(&config)?;
        let recorder = Recorder::new(&config, &folder, journal, entries)?;
        let ledger = recorder.ledger();
        for (trial, proposal) in ledger.proposals().filter(|&(trial, _)| codec.is_of_space(trial)) {
            searcher.register(trial, proposal.point.clone())?;
            if ledger.is_complete(trial, false) {
                searcher.tell(trial, outcome(ledger, trial))?;
            }
        }
        Ok(Self { config, codec, folder, recorder, searcher })
    }

    /// Proposes trials, which are pending from then on.
    ///
    /// # Errors
    /// [`Error::Search`] when no policy is left; [`Error::File`].
    pub fn ask(&mut self, count: usize) -> Result<Vec<Asked>, Error> {
        (0..count).map(|_| self.ask_one()).collect()
    }

    fn ask_one(&mut self) -> Result<Asked, Error> {
        let ledger = self.recorder.ledger();
        let trial = ledger.proposals().last().map_or(0, |(trial, _)| trial + 1);
        let proposal = self.codec.propose(trial, &Known::of(ledger, trial), self.searcher.as_mut())?;
        let asked = Asked::new(trial, &proposal);
        self.recorder.propose(trial, proposal)?;
        Ok(asked)
    }

    /// The trials that have been asked for and are not complete.
    pub fn pending(&self) -> Vec<Asked> {
        let ledger = self.recorder.ledger();
        let pending = ledger.proposals().filter(|&(trial, _)| !ledger.is_complete(trial, false));
        pending.map(|(trial, proposal)| Asked::new(trial, proposal)).collect()
    }

    /// Takes what a trial was worth: as a whole, or one of `opt_samples` samples, counted from 0, whose rewards are averaged
    /// when all are there. To be told the same again changes nothing.
    ///
    /// # Errors
    /// [`Error::Study`]: the trial was not asked for, or was told something else before.
    pub fn tell(&mut self, trial: u64, sample: Option<usize>, told: Told) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::study(&self.folder, why));
        let ledger = self.recorder.ledger();
        if ledger.proposal(trial).is_none() {
            return refuse(format!("trial {trial} has not been asked for; deepaug ask proposes one"));
        }
        if let Told::Reward(reward) = told
            && !reward.is_finite()
        {
            return refuse(format!("trial {trial}: a reward must be a finite number; tell what has none as failed"));
        }
        if let Some(sample) = sample.filter(|&sample| sample >= self.config.opt_samples) {
            let most = self.config.opt_samples;
            return refuse(format!("trial {trial} has the samples 0 to {}, not {sample}; see opt_samples", most - 1));
        }
        let ended = Ended::Told { told, whole: sample.is_none() };
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
        self.recorder.end(trial, sample.unwrap_or(0), ended)?;
        let ledger = self.recorder.ledger();
        if ledger.is_complete(trial, false) && self.codec.is_of_space(trial) {
            self.searcher.tell(trial, outcome(ledger, trial))?;
        }
        Ok(())
    }

    /// What has been found by now, which is also written into the study's folder; none before trial 0 and another have been
    /// told.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn result(&self) -> Result<Option<SearchResult>, Error> {
        write_result(&self.folder, self.recorder.ledger())
    }
}

fn outcome(ledger: &Ledger, trial: u64) -> Outcome {
    ledger.reward(trial).map_or(Outcome::Failed, |reward| Outcome::Cost(1.0 - reward))
}

fn write_result(folder: &Path, ledger: &Ledger) -> Result<Option<SearchResult>, Error> {
    let result = SearchResult::new(folder, ledger, None);
    if let Some(result) = &result {
        result.write()?;
    }
    Ok(result)
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
    let recorder = Recorder::new(&config, folder, journal, entries)?;
    let ledger = recorder.ledger();
    Ok(Rebuilt {
        notebook: folder.join(&config.notebook_path),
        trials: ledger.proposals().count(),
        trainings: ledger.counts().0,
        result: write_result(folder, ledger)?,
    })
}
