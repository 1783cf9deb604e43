//! Runs a study: asks for trials, gives their trainings to an executor, and tells their rewards, in an order that
//! does not depend on timing.
//!
//! With W workers, W trials run at once: trial n is proposed once trial n - W has been told, and trials are told
//! in the order of their numbers, whichever ends first. If they need not be told in order, each is told as it ends, and the
//! journal keeps the order for the next time that the study is opened.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use deepaug_augmenter::Policy;
use deepaug_child_model::{EpochRecord, History, TrainError};

use crate::cancel::Cancel;
use crate::error::Error;
use crate::execute::{Executor, Job, JobId, PULSE, Report};
use crate::reward::mean_of_highest;
use crate::study::Budget;
use crate::study::core::{Core, Settled};
use crate::study::event::{Event, Progress};
use crate::study::journal::ReportedOutcome;
use crate::study::ledger::TrainingOutcome;
use crate::study::result::Termination;

/// Told as they end, there is one more trial pending for each so many trainings at once, so that a machine whose training has
/// ended finds the next.
const SPARE: usize = 8;

/// Makes the trainings of a search.
pub(crate) trait Trainings {
    /// Returns a training of a trial.
    fn job(&self, id: JobId, policy: &Policy) -> Job;

    /// Returns the seed of a sample, the same in every trial.
    fn sample_seed(&self, sample: usize) -> u64;

    /// Returns the images per epoch of a training; 0 if that is not known.
    fn images_per_epoch(&self) -> usize;
}

/// A running search.
pub(crate) struct Search<'a> {
    folder: &'a Path,
    core: &'a mut Core,
    objective: &'a dyn Trainings,
    executor: &'a mut dyn Executor,
    cancel: &'a Cancel,
    budget: Budget,
    emit: &'a dyn Fn(&Event),
    /// Trainings given to the executor and not yet reported, with their epochs so far.
    under_way: BTreeMap<JobId, Vec<EpochRecord>>,
    /// Those that the scheduler has stopped, and after how many epochs: whatever they do before they stop does not
    /// count.
    stopped: BTreeMap<JobId, usize>,
    /// Proposals in a row that promised less than the noise of a reward.
    hopeless: usize,
    meter: Meter,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        core: &'a mut Core,
        objective: &'a dyn Trainings,
        executor: &'a mut dyn Executor,
        cancel: &'a Cancel,
        budget: Budget,
        emit: &'a dyn Fn(&Event),
    ) -> Self {
        let (under_way, stopped, hopeless, meter) = (BTreeMap::new(), BTreeMap::new(), 0, Meter::new());
        Self { folder, core, objective, executor, cancel, budget, emit, under_way, stopped, hopeless, meter }
    }

    /// Runs the search and the confirmation to their end, and returns what ended the search. Everything that has
    /// ended by then, or was nearly done when it broke off, is recorded.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn run(mut self) -> Result<Termination, Error> {
        let ended_by = self.search().and_then(|ended_by| self.confirm().map(|()| ended_by));
        if ended_by.is_err() {
            self.wind_down();
        }
        ended_by
    }

    fn search(&mut self) -> Result<Termination, Error> {
        let iters = self.core.config().iters;
        if !self.core.config().in_order {
            // What was proposed before is pending before anything of it is told, so that it is told as it ended.
            while self.core.asked() <= iters && self.core.is_known(self.core.asked()) {
                self.begin()?;
            }
        }
        let mut ended_by = None;
        loop {
            if ended_by.is_none() && self.core.asked() > iters {
                ended_by = Some(Termination::Iterations);
            }
            if ended_by.is_none() && self.core.pending().len() < self.at_once() {
                ended_by = match self.stops()? {
                    Some(why) => Some(why),
                    None => (!self.begin()?).then_some(Termination::Exhausted),
                };
                continue;
            }
            match self.next_complete()? {
                Some(trial) => self.tell(trial)?,
                None if self.core.pending().is_empty() => return Ok(ended_by.unwrap_or(Termination::Iterations)),
                None => self.listen()?,
            }
        }
    }

    /// Returns how many trials are pending at once. Told in order, their number decides the proposals, and is fixed; otherwise no
    /// machine is to be idle.
    fn at_once(&self) -> usize {
        let config = self.core.config();
        let workers = config.workers.unwrap_or(1);
        if config.in_order {
            return workers;
        }
        let capacity = self.executor.capacity();
        workers.max((capacity + capacity / SPARE + 1).div_ceil(config.opt_samples))
    }

    /// Returns why no other trial is to be begun, if so.
    fn stops(&mut self) -> Result<Option<Termination>, Error> {
        if let Some(spent) = self.spent() {
            return Ok(Some(spent));
        }
        let is_hopeless = self.core.config().patience > 0 && self.is_hopeless()?;
        Ok(is_hopeless.then_some(Termination::Patience))
    }

    /// Begins the next trial, and returns whether there was one.
    fn begin(&mut self) -> Result<bool, Error> {
        let Some((trial, proposal)) = self.core.ask()? else { return Ok(false) };
        (self.emit)(&Event::TrialStarted { trial, policy: proposal.policy, scheme: proposal.scheme });
        self.schedule(trial)?;
        Ok(true)
    }

    /// Returns why no other trial can be begun, if the budget is spent.
    fn spent(&self) -> Option<Termination> {
        let Budget { time, trainings } = self.budget;
        let (asked, config) = (self.core.asked(), self.core.config());
        if asked == 0 {
            return None;
        }
        let confirmations = config.confirmations(asked);
        if let Some(most) = trainings {
            // Does not depend on which trainings happen to have ended by now.
            let pending = self.core.pending();
            let told = self.core.ledger().trainings().filter(|(trial, ..)| !pending.contains(trial)).count();
            let wanted = told + (pending.len() + 1) * config.opt_samples + confirmations;
            if wanted > most {
                return Some(Termination::Trainings);
            }
        }
        let time = time?;
        let elapsed = self.meter.start.elapsed();
        let reserve = elapsed.div_f64(self.core.fresh().max(1) as f64).mul_f64(confirmations as f64);
        (elapsed + reserve >= time).then_some(Termination::Time)
    }

    /// Returns whether the last proposals, and the next one, promise less than random variation (A. Makarova et
    /// al., Automatic termination for hyperparameter optimization, AutoML 2022, stop in the same way by a bound on
    /// the regret).
    fn is_hopeless(&mut self) -> Result<bool, Error> {
        self.hopeless = match self.core.prospect()? {
            Some((prospect, noise)) if prospect < noise => self.hopeless + 1,
            _ => 0,
        };
        Ok(self.hopeless >= self.core.config().patience)
    }

    /// Gives the executor what a trial still needs, and returns whether that is nothing.
    fn schedule(&mut self, trial: u64) -> Result<bool, Error> {
        let wanted = self.core.wanted(trial);
        for &sample in &wanted {
            self.submit(trial, sample)?;
        }
        Ok(wanted.is_empty())
    }

    fn submit(&mut self, trial: u64, sample: usize) -> Result<(), Error> {
        let id = JobId { trial, sample };
        let Some(proposal) = self.core.ledger().proposal(trial) else { return Ok(()) };
        if !self.under_way.contains_key(&id) {
            let job = self.objective.job(id, &proposal.policy);
            self.under_way.insert(id, Vec::new());
            self.executor.submit(job)?;
        }
        Ok(())
    }

    /// Gives the executor what pending trials still need, and returns the one to be told next, if it is complete.
    fn next_complete(&mut self) -> Result<Option<u64>, Error> {
        let (in_order, pending) = (self.core.config().in_order, self.core.pending().clone());
        let mut complete = Vec::new();
        // A finished first sample may create work for its trial, whichever trial is waited for.
        for &trial in &pending {
            if self.schedule(trial)? {
                complete.push(trial);
            }
        }
        Ok(match in_order {
            true => complete.first().filter(|&trial| Some(trial) == pending.first()).copied(),
            false => complete.into_iter().min_by_key(|&trial| self.core.ledger().completed(trial)),
        })
    }

    /// Tells the searcher about a trial.
    fn tell(&mut self, trial: u64) -> Result<(), Error> {
        let Settled { proposal, reward, pruned } = self.core.settle(trial)?;
        if trial == 0 && reward.is_none() {
            let why = "the trainings without a policy failed, so nothing can be compared; journal.jsonl says why";
            return Err(Error::Child(TrainError::Failed { why: why.into() }));
        }
        let progress = self.progress(trial, reward.filter(|_| !pruned));
        let (policy, scheme) = (proposal.policy, proposal.scheme);
        (self.emit)(&Event::TrialFinished { trial, policy, scheme, reward, pruned, progress });
        Ok(())
    }

    /// Waits until a training has ended, which is recorded, or until another number of trials may be pending.
    fn listen(&mut self) -> Result<(), Error> {
        let at_once = self.at_once();
        loop {
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted { path: self.folder.into() });
            }
            if self.at_once() != at_once {
                return Ok(());
            }
            if let Some(report) = self.executor.next(PULSE)?
                && self.hear(report)?
            {
                return Ok(());
            }
        }
    }

    /// Handles a report, and returns whether a training has ended.
    fn hear(&mut self, report: Report) -> Result<bool, Error> {
        match report {
            Report::Epoch { id, record } => {
                self.meter.images += self.objective.images_per_epoch() as u64;
                self.follow(id, record)?;
                Ok(false)
            }
            Report::Repeated { id: JobId { trial, sample }, why } => {
                (self.emit)(&Event::TrainingRepeated { trial, sample, why });
                Ok(false)
            }
            Report::Ended { id, device, result } => {
                self.under_way.remove(&id);
                let stopped = self.stopped.remove(&id);
                // A training that failed and was repeated may be stopped too early; it is wanted again.
                if result.as_ref().is_ok_and(|history| history.epochs.len() < stopped.unwrap_or(0)) {
                    return Ok(true);
                }
                self.end(id, device, result, stopped)?;
                Ok(true)
            }
            Report::Judged { id, result } => {
                let epochs = self.under_way.remove(&id).unwrap_or_default();
                let stopped = self.stopped.remove(&id);
                self.judged(id, result, epochs, stopped)?;
                Ok(true)
            }
            Report::Cancelled { id } => {
                self.under_way.remove(&id);
                self.stopped.remove(&id);
                Ok(true)
            }
            Report::Broken { error } => Err(error),
        }
    }

    /// Lets the scheduler decide about a training after an epoch.
    fn follow(&mut self, id: JobId, record: EpochRecord) -> Result<(), Error> {
        let JobId { trial, sample } = id;
        let Some(epochs) = self.under_way.get_mut(&id).filter(|_| !self.stopped.contains_key(&id)) else {
            return Ok(());
        };
        // A repeated training starts over.
        epochs.truncate(record.epoch.saturating_sub(1));
        let val_acc = self.core.config().reward.merit(record.val_acc);
        epochs.push(EpochRecord { val_acc, ..record });
        if self.core.is_stopped(trial, sample, epochs)? {
            self.stopped.insert(id, epochs.len());
            self.executor.stop(&[id]);
        }
        (self.emit)(&Event::Epoch { trial, sample, epochs: self.core.config().epochs(), record });
        Ok(())
    }

    /// Records a training that was judged by whoever carried it out.
    fn judged(
        &mut self,
        JobId { trial, sample }: JobId,
        result: Result<f64, String>,
        mut epochs: Vec<EpochRecord>,
        stopped: Option<usize>,
    ) -> Result<(), Error> {
        epochs.truncate(stopped.unwrap_or(usize::MAX));
        let config = self.core.config();
        let (kind, last_n_epochs) = (config.reward, config.opt_last_n_epochs);
        let told = match (stopped, result) {
            (Some(_), _) => {
                let values = epochs.iter().map(|epoch| epoch.val_acc).collect();
                ReportedOutcome::Reward(kind.merit(mean_of_highest(values, last_n_epochs)))
            }
            (None, Ok(reward)) => match kind.check(reward) {
                Ok(()) => ReportedOutcome::Reward(reward),
                Err(why) => ReportedOutcome::Failed(why),
            },
            (None, Err(why)) => ReportedOutcome::Failed(why),
        };
        let event = match &told {
            ReportedOutcome::Failed(why) => Event::TrainingFailed { trial, sample, why: why.clone() },
            ReportedOutcome::Reward(reward) => {
                let (phase, pruned) = (self.core.ledger().phase(sample), stopped.is_some());
                Event::Judged { trial, sample, phase, reward: *reward, pruned }
            }
        };
        let outcome = TrainingOutcome::Reported { told, whole: false, epochs, pruned: stopped.is_some() };
        self.core.record(trial, sample, outcome)?;
        (self.emit)(&event);
        Ok(())
    }

    fn end(
        &mut self,
        JobId { trial, sample }: JobId,
        device: String,
        result: Result<History, String>,
        stopped: Option<usize>,
    ) -> Result<(), Error> {
        let seed = self.objective.sample_seed(sample);
        let outcome = match result {
            Ok(mut history) => {
                history.epochs.truncate(stopped.unwrap_or(usize::MAX));
                TrainingOutcome::Trained { seed, device, history, pruned: stopped.is_some() }
            }
            Err(why) => TrainingOutcome::Failed { seed, device, why },
        };
        let ledger = self.core.ledger();
        let event = match (&outcome, ledger.worth(&outcome)) {
            (TrainingOutcome::Failed { why, .. }, _) => Event::TrainingFailed { trial, sample, why: why.clone() },
            (_, worth) => {
                let accuracy = worth.map(|worth| worth.top_k).unwrap_or_default();
                Event::Trained { trial, sample, phase: ledger.phase(sample), accuracy, pruned: outcome.is_pruned() }
            }
        };
        self.core.record(trial, sample, outcome)?;
        (self.emit)(&event);
        Ok(())
    }

    /// Trains the best policies of the search, the best scheme that needs no search, and no policy, with seeds
    /// that the search has not used.
    fn confirm(&mut self) -> Result<(), Error> {
        let Some(mut race) = self.core.race() else { return Ok(()) };
        (self.emit)(&Event::Confirming { trials: race.finalists().to_vec(), samples: race.samples() });
        loop {
            let wanted = self.core.wanted_by(&mut race);
            if wanted.is_empty() {
                return Ok(());
            }
            for (trial, sample) in wanted {
                self.submit(trial, sample)?;
            }
            self.listen()?;
        }
    }

    /// Lets trainings that are nearly done end, and records them. The error that broke off the search is reported,
    /// not those that follow from it.
    fn wind_down(&mut self) {
        let jobs: Vec<JobId> = self.under_way.keys().copied().collect();
        self.executor.cancel(&jobs);
        while !self.under_way.is_empty() {
            match self.executor.next(PULSE) {
                Ok(Some(report)) => {
                    if self.hear(report).is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn progress(&mut self, trial: u64, reward: Option<f64>) -> Progress {
        let meter = &mut self.meter;
        match reward {
            Some(reward) if trial == 0 => meter.baseline = Some(reward),
            Some(reward) if meter.best.is_none_or(|(_, best)| reward > best) => meter.best = Some((trial, reward)),
            _ => {}
        }
        let config = self.core.config();
        let trials = config.iters + 1;
        let confirmations = config.confirmations(trials);
        let (fresh, done) = (self.core.fresh(), self.core.ledger().counts().0);
        let elapsed = meter.start.elapsed();
        // Trials judged by earlier runs took no time.
        meter.fresh_trials += u64::from(fresh > meter.fresh);
        meter.fresh = fresh;
        let left = trials - self.core.told();
        let trials_left = left as f64 + confirmations as f64 / config.early_stopping.trainings(config.opt_samples);
        Progress {
            trainings_done: done,
            trainings: config.trainings(trials).max(done),
            left: (meter.fresh_trials > 0).then(|| elapsed.div_f64(meter.fresh_trials as f64).mul_f64(trials_left)),
            images_per_second: (fresh > 0 && meter.images > 0).then(|| meter.images as f64 / elapsed.as_secs_f64()),
            baseline: meter.baseline,
            best: meter.best,
        }
    }
}

/// The progress and speed of a search.
struct Meter {
    start: Instant,
    /// Trials with trainings in this run.
    fresh_trials: u64,
    fresh: usize,
    /// Training images processed in this run.
    images: u64,
    baseline: Option<f64>,
    best: Option<(u64, f64)>,
}

impl Meter {
    fn new() -> Self {
        Self { start: Instant::now(), fresh_trials: 0, fresh: 0, images: 0, baseline: None, best: None }
    }
}
