//! A study as it runs: policies are asked for, trained by the workers, and told, in an order that does not depend on timing.
//!
//! With W workers, W trials are under way: trial n is proposed when trial n - W has been told, and trials are told in the
//! order of their numbers, whichever ends first.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use deepaug_augmenter::{Policy, Step};
use deepaug_child_model::{EpochRecord, TrainError};
use deepaug_controller::{Outcome, SearchError, Searcher};

use crate::config::Config;
use crate::error::Error;
use crate::execute::workers::{Job, Report, Workers, locked};
use crate::policies::space::Codec;
use crate::policies::space::Known;
use crate::statistics::{Paired, mean};
use crate::study::Budget;
use crate::study::candidate::{Candidate, distinct};
use crate::study::event::{Event, Progress};
use crate::study::ledger::{Ended, Ledger, Proposal};
use crate::study::objective::Objective;
use crate::study::pruning::{Hurdles, Rungs};
use crate::study::recorder::Recorder;
use crate::study::result::Termination;

/// Fresh seeds that every finalist gets before any is left behind.
const FEWEST_SEEDS: usize = 3;

/// A finalist is behind when a paired t test against the leader has a p below this.
const DROPPED_BELOW: f64 = 0.1;

/// How often a search that waits looks whether it is to stop.
const PULSE: Duration = Duration::from_millis(50);

/// Everything a search needs.
pub(crate) struct Search<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) config: &'a Config,
    pub(crate) codec: &'a Codec,
    pub(crate) objective: &'a Objective,
    pub(crate) recorder: &'a Mutex<Recorder>,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) budget: Budget,
    pub(crate) emit: &'a (dyn Fn(&Event) + Sync),
}

impl Search<'_> {
    /// Runs the search and the confirmation to their end, and says what ended the search. What has ended by then, or was
    /// nearly done when it broke off, is written down.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) fn run(&self, searcher: &mut dyn Searcher) -> Result<Termination, Error> {
        let Self { config, objective, stop, recorder, emit, .. } = *self;
        let rungs = Rungs::new(config);
        let capacity = objective.capacity()?;
        let workers = Workers::new(objective, rungs.as_ref(), config.epochs(), stop, recorder, emit);
        let (sender, reports) = channel();
        std::thread::scope(|scope| {
            for _ in 0..capacity.passes {
                let (sender, workers) = (sender.clone(), &workers);
                scope.spawn(move || workers.work(capacity.children, &sender));
            }
            drop(sender);
            let _closing = Closing(&workers);
            let running = Running {
                search: self,
                rungs: rungs.as_ref(),
                workers: &workers,
                reports,
                queued: HashSet::new(),
                hurdles: BTreeMap::new(),
                asked: 0,
                told: 0,
                hopeless: 0,
                meter: Meter::new(),
            };
            running.run(searcher)
        })
    }
}

/// Lets the workers end whatever happens, for the scope waits for them.
struct Closing<'a, 'w>(&'a Workers<'w>);

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Running<'a, 'w> {
    search: &'a Search<'a>,
    rungs: Option<&'a Rungs>,
    workers: &'a Workers<'w>,
    reports: Receiver<Report>,
    /// Trainings that the workers have been given.
    queued: HashSet<(u64, usize)>,
    /// What each trial has to reach.
    hurdles: BTreeMap<u64, Hurdles>,
    /// Trials 0 to this have been asked for.
    asked: u64,
    /// Trials 0 to this have been told.
    told: u64,
    /// Proposals in a row that promised less than the noise of a reward.
    hopeless: usize,
    meter: Meter,
}

impl Running<'_, '_> {
    fn run(mut self, searcher: &mut dyn Searcher) -> Result<Termination, Error> {
        let config = self.search.config;
        let workers = config.workers.unwrap_or(1) as u64;
        let mut ended_by = Termination::Iterations;
        while self.asked <= config.iters {
            if self.asked - self.told == workers {
                self.tell(searcher)?;
            }
            if let Some(spent) = self.spent() {
                ended_by = spent;
                break;
            }
            if config.patience > 0 && self.is_hopeless(searcher)? {
                ended_by = Termination::Patience;
                break;
            }
            match self.ask(searcher) {
                // A space of few policies has been tried through.
                Err(Error::Search(SearchError::Exhausted)) => {
                    ended_by = Termination::Exhausted;
                    break;
                }
                asked => asked?,
            }
        }
        while self.told < self.asked {
            self.tell(searcher)?;
        }
        self.confirm()?;
        Ok(ended_by)
    }

    /// Whether the budget is spent, so that no other trial can be begun.
    fn spent(&self) -> Option<Termination> {
        let Budget { time, trainings } = self.search.budget;
        if self.asked == 0 {
            return None;
        }
        let samples = self.search.config.opt_samples;
        let confirmations = self.search.config.confirmations(self.asked);
        if let Some(most) = trainings {
            // Counted without regard to what happens to have ended by now.
            let recorder = locked(self.search.recorder);
            let told = recorder.ledger().trainings().filter(|&(trial, ..)| trial < self.told).count();
            let wanted = told + (self.asked - self.told + 1) as usize * samples + confirmations;
            if wanted > most {
                return Some(Termination::Trainings);
            }
        }
        let time = time?;
        let fresh = locked(self.search.recorder).fresh();
        let reserve = self.meter.start.elapsed().div_f64(fresh.max(1) as f64).mul_f64(confirmations as f64);
        (self.meter.start.elapsed() + reserve >= time).then_some(Termination::Time)
    }

    /// Whether the last proposals, and the next one, promise less than chance gives and takes (A. Makarova et al., Automatic
    /// termination for hyperparameter optimization, AutoML 2022, stop by a bound on the regret in the same way).
    fn is_hopeless(&mut self, searcher: &dyn Searcher) -> Result<bool, Error> {
        let noise = locked(self.search.recorder).ledger().noise(self.told);
        self.hopeless = match searcher.prospect(self.asked)?.zip(noise) {
            Some((prospect, noise)) if prospect < noise => self.hopeless + 1,
            _ => 0,
        };
        Ok(self.hopeless >= self.search.config.patience)
    }

    /// Proposes the next trial, or takes what was proposed for it before, and has it trained.
    fn ask(&mut self, searcher: &mut dyn Searcher) -> Result<(), Error> {
        let Search { codec, recorder, emit, .. } = *self.search;
        let trial = self.asked;
        // A copy, for the trainings under way are written down while the surrogate is fitted.
        let known = Known::of(locked(recorder).ledger(), trial);
        let proposal = codec.propose(trial, &known, searcher)?;
        let (policy, scheme) = (proposal.policy.clone(), proposal.scheme.clone());
        locked(recorder).propose(trial, proposal)?;
        emit(&Event::TrialStarted { trial, policy, scheme });
        if let Some(rungs) = self.rungs.filter(|_| trial > 0) {
            let recorder = locked(recorder);
            let scouts: Vec<&[EpochRecord]> =
                (0..self.told).filter_map(|told| scout(recorder.ledger(), told)).map(|(epochs, _)| epochs).collect();
            self.hurdles.insert(trial, rungs.hurdles(&scouts));
        }
        self.asked += 1;
        self.schedule(trial);
        Ok(())
    }

    /// Gives the workers what a trial still needs, and returns whether that is nothing.
    fn schedule(&mut self, trial: u64) -> bool {
        let recorder = locked(self.search.recorder);
        let samples = recorder.ledger().wanted(trial, self.rungs.is_some() && trial > 0);
        self.give(recorder.ledger(), trial, samples)
    }

    /// Gives the workers those of a trial's samples that have not ended, and returns whether all have.
    fn give(&mut self, ledger: &Ledger, trial: u64, samples: std::ops::Range<usize>) -> bool {
        let mut complete = true;
        for sample in samples.filter(|&sample| ledger.ended(trial, sample).is_none()) {
            complete = false;
            if self.queued.insert((trial, sample))
                && let Some(Proposal { policy, .. }) = ledger.proposal(trial)
            {
                let hurdles = self.hurdles.get(&trial).filter(|_| sample == 0).cloned().unwrap_or_default();
                self.workers.add(Job { trial, sample, policy: policy.clone(), hurdles, again: false });
            }
        }
        complete
    }

    /// Waits for the next trial to be complete, and tells the searcher.
    fn tell(&mut self, searcher: &mut dyn Searcher) -> Result<(), Error> {
        let Search { codec, recorder, emit, .. } = *self.search;
        let trial = self.told;
        while !self.schedule(trial) {
            // A scout that has ended may leave more to do for its trial, whichever trial is waited for.
            (trial + 1..self.asked).for_each(|other| _ = self.schedule(other));
            self.listen()?;
        }
        let (reward, behind, proposal) = {
            let recorder = locked(recorder);
            let ledger = recorder.ledger();
            let behind = ledger.ended(trial, 0).filter(|ended| ended.is_behind()).and_then(Ended::history);
            let estimate = self.rungs.zip(behind).map(|(rungs, stopped)| {
                let others: Vec<_> = (0..trial)
                    .filter_map(|told| {
                        let (epochs, behind) = scout(ledger, told)?;
                        Some((epochs, ledger.reward(told).filter(|_| !behind)))
                    })
                    .collect();
                rungs.estimate(&stopped.epochs, &others)
            });
            (estimate.or_else(|| ledger.reward(trial)), estimate.is_some(), ledger.proposal(trial).cloned())
        };
        let outcome = reward.map_or(Outcome::Failed, |reward| Outcome::Cost(1.0 - reward));
        if trial == 0 && reward.is_none() {
            let why = "the trainings without a policy failed, so nothing can be compared; journal.jsonl says why";
            return Err(Error::Child(TrainError::Failed { why: why.into() }));
        }
        if codec.is_of_space(trial) {
            searcher.tell(trial, outcome)?;
        }
        self.told += 1;
        let progress = self.progress(trial, reward.filter(|_| !behind));
        let (policy, scheme) = proposal
            .map_or_else(|| (Policy::none(Default::default()), None), |proposal| (proposal.policy, proposal.scheme));
        emit(&Event::TrialFinished { trial, policy, scheme, reward, behind, progress });
        Ok(())
    }

    /// Waits for a training to end.
    fn listen(&self) -> Result<(), Error> {
        loop {
            if self.search.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted { path: self.search.folder.into() });
            }
            match self.reports.recv_timeout(PULSE) {
                Ok(Report::Ended) => return Ok(()),
                Ok(Report::Broken(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "the threads that train have ended before their work".into();
                    return Err(Error::Child(TrainError::Panicked { why }));
                }
            }
        }
    }

    /// Trains the best policies of the search, the best scheme that needs none, and no policy, with seeds the search has not used.
    ///
    /// It is a race: what is clearly behind the leader gets no further seeds, and the others get those that it would have had. No policy and the best free scheme stay, for the answer is beside them.
    fn confirm(&mut self) -> Result<(), Error> {
        let Search { config, recorder, emit, .. } = *self.search;
        let chosen = {
            let recorder = locked(recorder);
            let candidates = (1..self.asked).filter_map(|trial| recorder.ledger().candidate(trial));
            finalists(candidates.filter(Candidate::is_usable).collect(), config.confirm_policies)
        };
        if chosen.is_empty() {
            return Ok(());
        }
        let samples = config.confirm_samples;
        emit(&Event::Confirming { trials: chosen.iter().map(|candidate| candidate.trial).collect(), samples });
        let free = chosen.iter().find(|candidate| candidate.scheme.is_some()).map(|candidate| candidate.trial);
        let stays = |trial: u64| trial == 0 || Some(trial) == free;
        let mut alive: Vec<u64> = std::iter::once(0).chain(chosen.iter().map(|candidate| candidate.trial)).collect();
        let mut left = alive.len() * samples;
        let first = config.opt_samples;
        let mut until = first;
        while left >= alive.len() && until < first + config.most_confirm_samples() {
            // The first seeds show no spread one by one.
            let more = if until == first { FEWEST_SEEDS.min(samples).max(1) } else { 1 };
            left = left.saturating_sub(more * alive.len());
            until += more;
            self.wait_for(&alive, first..until)?;
            let recorder = locked(recorder);
            let worth = |trial: u64| -> Vec<Option<f64>> {
                let of =
                    |sample| recorder.ledger().ended(trial, sample).and_then(|ended| recorder.ledger().worth(ended));
                (first..until).map(|sample| of(sample).map(|reward| reward.top_k)).collect()
            };
            let accuracy = |trial: u64| mean(&worth(trial).into_iter().flatten().collect::<Vec<_>>());
            let Some(leader) = alive.iter().copied().max_by(|&a, &b| accuracy(a).total_cmp(&accuracy(b))) else {
                break;
            };
            let is_behind = |trial: u64| {
                let paired = Paired::of(&worth(trial), &worth(leader));
                paired.is_some_and(|paired| paired.mean < 0.0 && paired.p.is_some_and(|p| p < DROPPED_BELOW))
            };
            alive.retain(|&trial| stays(trial) || !is_behind(trial));
        }
        Ok(())
    }

    /// Has some samples of some trials trained, and waits until they are.
    fn wait_for(&mut self, trials: &[u64], samples: std::ops::Range<usize>) -> Result<(), Error> {
        loop {
            let complete = {
                let recorder = locked(self.search.recorder);
                // All of them are given to the workers, whether or not the first is complete.
                trials.iter().filter(|&&trial| !self.give(recorder.ledger(), trial, samples.clone())).count() == 0
            };
            if complete {
                return Ok(());
            }
            self.listen()?;
        }
    }

    fn progress(&mut self, trial: u64, reward: Option<f64>) -> Progress {
        let Search { config, recorder, .. } = *self.search;
        match reward {
            Some(reward) if trial == 0 => self.meter.baseline = Some(reward),
            Some(reward) if self.meter.best.is_none_or(|(_, best)| reward > best) => {
                self.meter.best = Some((trial, reward))
            }
            _ => {}
        }
        let trials = config.iters + 1;
        let confirmations = config.confirmations(trials);
        let (fresh, done) = {
            let recorder = locked(recorder);
            (recorder.fresh(), recorder.ledger().counts().0)
        };
        let elapsed = self.meter.start.elapsed();
        // Trials that earlier runs had judged took no time.
        self.meter.fresh_trials += u64::from(fresh > self.meter.fresh);
        self.meter.fresh = fresh;
        let left = trials - self.told;
        let trials_left = left as f64 + confirmations as f64 / config.early_stopping.trainings(config.opt_samples);
        Progress {
            trainings_done: done,
            trainings: config.trainings(trials).max(done),
            left: (self.meter.fresh_trials > 0)
                .then(|| elapsed.div_f64(self.meter.fresh_trials as f64).mul_f64(trials_left)),
            images_per_second: (fresh > 0).then(|| self.workers.images() as f64 / elapsed.as_secs_f64()),
            baseline: self.meter.baseline,
            best: self.meter.best,
        }
    }
}

/// The candidates that are worth fresh seeds, by their rewards in the search: the best, and the best that needs no search, if there
/// is one.
fn finalists(mut candidates: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.reward.total_cmp(&a.reward).then(a.trial.cmp(&b.trial)));
    let is_in_place = candidates.iter().any(|candidate| candidate.policy.in_place);
    // Variants of one add nothing to a race, nor to policies that make copies and are used together.
    let candidates = match is_in_place {
        true => without_variants(candidates),
        false => distinct(candidates, |candidate| &candidate.policy),
    };
    let free = candidates.iter().position(|candidate| candidate.scheme.is_some());
    let last = count.saturating_sub(1);
    let mut chosen: Vec<Candidate> = candidates.iter().take(count).cloned().collect();
    if let Some(free) = free.filter(|&free| free >= count && count > 1) {
        chosen[last] = candidates[free].clone();
    }
    chosen
}

/// Schemes whose magnitudes are no farther apart than this are variants of one.
const VARIANT: f64 = 0.1;

/// The candidates that are no variant of an earlier one; those that need no search stay.
fn without_variants(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let is_variant = |a: &Policy, b: &Policy| {
        let is_close = |(a, b): (&Step, &Step)| a.op == b.op && (a.magnitude - b.magnitude).abs() < VARIANT;
        (a.ranges, a.draws, a.sub_policies.len()) == (b.ranges, b.draws, b.sub_policies.len())
            && a.steps().count() == b.steps().count()
            && a.steps().zip(b.steps()).all(is_close)
    };
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        let is_new = || kept.iter().all(|earlier| !is_variant(&earlier.policy, &candidate.policy));
        if candidate.scheme.is_some() || is_new() {
            kept.push(candidate);
        }
    }
    kept
}

/// A trial's first sample: its epochs, and whether it was stopped at a rung.
fn scout(ledger: &Ledger, trial: u64) -> Option<(&[EpochRecord], bool)> {
    let ended = ledger.ended(trial, 0)?;
    Some((&ended.history()?.epochs, ended.is_behind()))
}

/// How far a search has come and how fast it goes.
struct Meter {
    start: Instant,
    /// Trials with trainings of this run.
    fresh_trials: u64,
    fresh: usize,
    baseline: Option<f64>,
    best: Option<(u64, f64)>,
}

impl Meter {
    fn new() -> Self {
        Self { start: Instant::now(), fresh_trials: 0, fresh: 0, baseline: None, best: None }
    }
}
