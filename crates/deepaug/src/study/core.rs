//! Asking and telling, whoever trains: the one place that proposes trials, knows which trainings each still needs,
//! tells the searcher their rewards, and decides who is in the final race. It trains nothing and never waits.
//!
//! A trial is proposed once, and told once, when all trainings that it needs have ended. A search tells trials in
//! the order of their numbers, whichever ends first, so that its proposals do not depend on timing, unless told otherwise;
//! programs that judge trials elsewhere tell them as they finish.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use deepaug_augmenter::Policy;
use deepaug_child_model::EpochRecord;
use deepaug_controller::{Outcome, SearchError, Searcher};

use crate::config::ValidConfig;
use crate::error::Error;
use crate::policies::space::{PolicySpace, Proposal};
use crate::strategies;
use crate::study::candidate::Candidate;
use crate::study::journal::{Entry, Journal};
use crate::study::ledger::{Ledger, TrainingOutcome};
use crate::study::methods::Methods;
use crate::study::race::Race;
use crate::study::recorder::Recorder;
use crate::study::result::{SearchResult, Termination};
use crate::study::scheduler::{Decision, Finished, Scheduler, TrialProgress};

/// A search without the training.
pub(crate) struct Core {
    folder: PathBuf,
    config: ValidConfig,
    policy_space: PolicySpace,
    scheduler: Option<Box<dyn Scheduler>>,
    searcher: Box<dyn Searcher>,
    recorder: Recorder,
    /// Trials below this have been asked for.
    asked: u64,
    /// Trials that have been asked for and not told.
    pending: BTreeSet<u64>,
    /// Trials that the searcher has been told about, or need not be.
    told: BTreeSet<u64>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("folder", &self.folder).field("asked", &self.asked).finish_non_exhaustive()
    }
}

/// The outcome of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settled {
    pub(crate) proposal: Proposal,
    /// Its reward, or an estimate of what it would have been; `None` if all of its trainings failed.
    pub(crate) reward: Option<f64>,
    /// Whether the reward is an estimate.
    pub(crate) pruned: bool,
}

impl Core {
    /// Makes a search whose journal contains these entries. Trials are asked for and told anew; known ones come
    /// out as before.
    pub(crate) fn new(
        config: &ValidConfig,
        methods: &Methods,
        folder: &Path,
        journal: Journal,
        entries: Vec<Entry>,
    ) -> Result<Self, Error> {
        Self::of(config, methods, folder, Recorder::new(config, folder, journal, entries)?)
    }

    /// Does the same for a study whose trials are judged elsewhere: they are complete, so none is pruned. With a
    /// recorder that knows only some trials it can record their results, but not be asked.
    pub(crate) fn outside(config: &ValidConfig, folder: &Path, recorder: Recorder) -> Result<Self, Error> {
        Ok(Self { scheduler: None, ..Self::of(config, &Methods::default(), folder, recorder)? })
    }

    fn of(config: &ValidConfig, methods: &Methods, folder: &Path, recorder: Recorder) -> Result<Self, Error> {
        Ok(Self {
            folder: folder.into(),
            policy_space: PolicySpace::new(config),
            scheduler: methods.scheduler(config),
            searcher: methods.searcher(config)?,
            recorder,
            config: config.clone(),
            asked: 0,
            pending: BTreeSet::new(),
            told: BTreeSet::new(),
        })
    }

    pub(crate) fn config(&self) -> &ValidConfig {
        &self.config
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.recorder.ledger()
    }

    /// Returns how many trainings ended in this run.
    pub(crate) fn fresh(&self) -> usize {
        self.recorder.fresh()
    }

    /// Returns how many trials have been asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// Returns the trials that have been asked for and not told.
    pub(crate) fn pending(&self) -> &BTreeSet<u64> {
        &self.pending
    }

    /// Returns how many trials have been told.
    pub(crate) fn told(&self) -> u64 {
        self.told.len() as u64
    }

    /// Returns whether a trial is known from before, so that asking for it makes no new proposal.
    pub(crate) fn is_known(&self, trial: u64) -> bool {
        self.ledger().proposal(trial).is_some()
    }

    /// Proposes the next trial, or returns its earlier proposal; `None` if every policy has been proposed.
    pub(crate) fn ask(&mut self) -> Result<Option<(u64, Proposal)>, Error> {
        Ok(self.ask_several(1)?.pop())
    }

    /// Proposes `count` trials, which are recorded together; fewer if fewer policies are left.
    pub(crate) fn ask_several(&mut self, count: usize) -> Result<Vec<(u64, Proposal)>, Error> {
        let ledger = self.recorder.ledger();
        let mut new: HashSet<u64> = HashSet::new();
        let mut proposals: Vec<(u64, Proposal)> = Vec::new();
        for trial in self.asked..self.asked + count as u64 {
            let is_proposed = |policy: &Policy| ledger.has_proposed(policy) || new.contains(&policy.digest());
            let searcher = self.searcher.as_mut();
            match self.policy_space.propose(trial, ledger.proposal(trial), &is_proposed, searcher) {
                Err(SearchError::Exhausted) => break,
                proposal => {
                    let proposal = proposal?;
                    new.insert(proposal.policy.digest());
                    proposals.push((trial, proposal));
                }
            }
        }
        self.recorder.propose(&proposals)?;
        if let Some(scheduler) = &mut self.scheduler {
            let known = finished(self.recorder.ledger(), self.told.iter().copied());
            // No policy is the reference for others.
            let trials = proposals.iter().map(|(trial, _)| *trial).filter(|&trial| trial > 0);
            trials.for_each(|trial| scheduler.begin(trial, &known));
        }
        self.pending.extend(proposals.iter().map(|(trial, _)| *trial).filter(|trial| !self.told.contains(trial)));
        self.asked += proposals.len() as u64;
        Ok(proposals)
    }

    /// Returns the samples of a trial that should be trained by now: if trials are pruned, its first decides about
    /// the others.
    pub(crate) fn wanted(&self, trial: u64) -> Vec<usize> {
        self.of_range(trial, self.ledger().wanted(trial, self.scheduler.is_some() && trial > 0))
    }

    fn of_range(&self, trial: u64, samples: Range<usize>) -> Vec<usize> {
        samples.filter(|&sample| self.ledger().ended(trial, sample).is_none()).collect()
    }

    /// Returns whether a training ends after these epochs.
    pub(crate) fn is_stopped(&mut self, trial: u64, sample: usize, epochs: &[EpochRecord]) -> Result<bool, Error> {
        let Some(scheduler) = self.scheduler.as_mut().filter(|_| sample == 0 && trial > 0) else { return Ok(false) };
        match scheduler.report(&[TrialProgress { trial, epochs }]).pop().unwrap_or_default() {
            Decision::Continue => Ok(false),
            Decision::Stop => Ok(true),
            Decision::TakeOver { from, .. } => {
                let why =
                    format!("the scheduler lets trial {trial} take over from trial {from}, but trials are independent");
                Err(Error::study(&self.folder, why))
            }
        }
    }

    /// Records an entry about a population.
    pub(crate) fn note(&mut self, entry: Entry) -> Result<(), Error> {
        self.recorder.note(entry)
    }

    /// Adds policies to be tried, after those that need no search and before the first proposal.
    pub(crate) fn try_next(&mut self, policies: Vec<Policy>) {
        self.policy_space.try_next(policies);
    }

    /// Records how a training ended.
    pub(crate) fn record(&mut self, trial: u64, sample: usize, outcome: TrainingOutcome) -> Result<(), Error> {
        self.record_several(vec![(trial, sample, outcome)])
    }

    /// Records several, which reach the disk together.
    pub(crate) fn record_several(&mut self, ended: Vec<(u64, usize, TrainingOutcome)>) -> Result<(), Error> {
        self.recorder.end(ended)
    }

    /// Tells the searcher the reward of a trial that needs no further training.
    pub(crate) fn settle(&mut self, trial: u64) -> Result<Settled, Error> {
        let ledger = self.ledger();
        let stopped = ledger.first_sample(trial).filter(|(_, is_pruned)| *is_pruned).map(|(epochs, _)| epochs);
        let estimate = self.scheduler.as_ref().zip(stopped);
        let estimate = estimate
            .map(|(scheduler, stopped)| scheduler.estimate(stopped, &finished(ledger, self.told.iter().copied())));
        let reward = estimate.or_else(|| ledger.reward(trial));
        let proposal = ledger
            .proposal(trial)
            .cloned()
            .ok_or_else(|| Error::study(&self.folder, format!("trial {trial} has not been asked for")))?;
        if self.policy_space.is_of_space(trial) {
            self.searcher.tell(trial, reward.map_or(Outcome::Failed, |reward| Outcome::Cost(1.0 - reward)))?;
        }
        self.pending.remove(&trial);
        self.told.insert(trial);
        Ok(Settled { proposal, reward, pruned: estimate.is_some() })
    }

    /// Returns the improvement that the searcher expects of the next trial, and the noise of a reward, if both are
    /// known.
    pub(crate) fn prospect(&self) -> Result<Option<(f64, f64)>, Error> {
        let noise = self.ledger().noise(self.told.iter().copied());
        Ok(self.searcher.prospect(self.asked)?.zip(noise))
    }

    /// Returns the final race of the best policies among those that have been told.
    pub(crate) fn race(&self) -> Option<Race> {
        let candidates =
            self.told.iter().filter(|&&trial| trial > 0).filter_map(|&trial| self.ledger().candidate(trial));
        Race::new(candidates.filter(Candidate::is_usable).collect(), &self.config)
    }

    /// Returns the trainings that a race is waiting for, as (trial, sample); there are none once it has ended.
    pub(crate) fn wanted_by(&self, race: &mut Race) -> Vec<(u64, usize)> {
        race.advance(self.ledger());
        race.wanted()
            .flat_map(|(trial, samples)| self.of_range(trial, samples).into_iter().map(move |sample| (trial, sample)))
            .collect()
    }

    /// Sorts the notebook's rows, which arrived as trainings ended, by trial and sample.
    fn sort_notebook(&mut self) -> Result<(), Error> {
        self.recorder.sort_notebook()
    }

    /// Ends a search: sorts its notebook, and returns and writes what has been found.
    pub(crate) fn finish(&mut self, ended_by: Termination) -> Result<SearchResult, Error> {
        self.sort_notebook()?;
        let result = self.result(Some(ended_by))?;
        result.ok_or_else(|| {
            let why = match self.told.iter().any(|&trial| trial > 0) {
                true => "every training with a policy failed; journal.jsonl says why",
                false => "no policy was tried, so that nothing can be compared with none; allow more time or trainings",
            };
            Error::study(&self.folder, why)
        })
    }

    /// Returns what has been found so far, and writes it into the study's folder; `None` before trial 0 and
    /// another are complete.
    pub(crate) fn result(&self, ended_by: Option<Termination>) -> Result<Option<SearchResult>, Error> {
        let result = SearchResult::new(&self.folder, self.ledger(), ended_by);
        if let Some(result) = &result {
            result.write()?;
            if let Some(found) = self.ledger().strategy() {
                strategies::write_of_study(&found, &self.folder)?;
            }
        }
        Ok(result)
    }
}

/// Returns the trials that have ended, as a scheduler sees them.
fn finished(ledger: &Ledger, trials: impl Iterator<Item = u64>) -> Vec<Finished<'_>> {
    let finished = |trial| {
        let (epochs, is_pruned) = ledger.first_sample(trial)?;
        Some(Finished { epochs, reward: ledger.reward(trial).filter(|_| !is_pruned) })
    };
    trials.filter_map(finished).collect()
}
