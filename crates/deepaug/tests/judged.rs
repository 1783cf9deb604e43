//! Searches whose trainings the caller carries out.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use deepaug::execute::{Executor, Job, JobId, Report, epoch_of_value};
use deepaug::{
    AskTell, Auto, Config, EarlyStopping, Error, Event, JudgedStudy, ReportedOutcome, RewardKind, SearchResult,
    TrialRecord, TrialState,
};

/// Judges policies by a formula, epoch by epoch. What is to be reported waits in a queue, and a job that is stopped
/// notices one epoch too late.
#[derive(Default)]
struct Formula {
    kind: RewardKind,
    reports: VecDeque<Report>,
    stopped: Vec<JobId>,
    judged: usize,
    epochs: usize,
}

impl Formula {
    /// Better the nearer magnitudes are to 0.3; seeds differ a little.
    fn merit(job: &Job, epoch: usize) -> f64 {
        let off = |step: &deepaug::Step| (step.magnitude - 0.3).abs();
        let steps: Vec<f64> = job.policy.steps().map(off).collect();
        let mean = if steps.is_empty() { 0.4 } else { steps.iter().sum::<f64>() / steps.len() as f64 };
        let noise = (job.seed % 1000) as f64 / 1e5;
        (0.9 - 0.5 * mean + noise) * (1.0 - 0.5 / epoch as f64)
    }
}

impl Executor for Formula {
    fn capacity(&self) -> usize {
        3
    }

    fn submit(&mut self, job: Job) -> Result<(), Error> {
        self.judged += 1;
        let told = |epoch| self.kind.merit(Self::merit(&job, epoch));
        let record = |epoch| epoch_of_value(epoch, told(epoch));
        let epochs = (1..=9).map(|epoch| Report::Epoch { id: job.id, record: record(epoch) });
        let result = if job.id.trial == 3 { Err("out of memory".into()) } else { Ok(told(9)) };
        // The newest first: what is told must not depend on which ends first.
        let mut all: VecDeque<Report> = epochs.chain([Report::Judged { id: job.id, result }]).collect();
        all.append(&mut self.reports);
        self.reports = all;
        Ok(())
    }

    fn next(&mut self, _: Duration) -> Result<Option<Report>, Error> {
        let report = self.reports.pop_front();
        if let Some(Report::Epoch { id, .. }) = &report {
            self.epochs += 1;
            if let Some(at) = self.stopped.iter().position(|stopped| stopped == id) {
                self.stopped.remove(at);
                let is_epoch = |other: &Report| matches!(other, Report::Epoch { id: of, .. } if of == id);
                self.reports.retain(|other| !is_epoch(other));
            }
        }
        Ok(report)
    }

    fn stop(&mut self, jobs: &[JobId]) {
        self.stopped.extend(jobs);
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        self.reports = jobs.iter().map(|&id| Report::Cancelled { id }).collect();
    }
}

fn config(kind: RewardKind) -> Config {
    Config {
        iters: 14,
        reward: kind,
        early_stopping: EarlyStopping::Halving,
        child_epochs: Auto::Given(9),
        opt_last_n_epochs: 1,
        confirm_policies: 2,
        workers: Auto::Given(3),
        ..Config::default()
    }
}

fn finish(study: JudgedStudy, kind: RewardKind) -> (SearchResult, usize) {
    let mut executor = Formula { kind, ..Formula::default() };
    let result = study.run_on(&mut executor, &|_| ()).unwrap();
    (result, executor.judged)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_search_that_others_carry_out_prunes_confirms_and_resumes() {
    let root = tempfile::tempdir().unwrap();
    for kind in [RewardKind::Accuracy, RewardKind::Score, RewardKind::Loss] {
        let whole = root.path().join(format!("{kind:?}"));
        let (result, judged) = finish(JudgedStudy::create(config(kind), Some(&whole)).unwrap(), kind);
        let gain = result.best.fresh_gain.expect("fresh seeds decide");
        assert!(gain.mean > 0.0 && gain.pairs >= 3, "{gain}");
        assert!(result.epochs_spared > 0, "nothing was pruned");
        let trials = TrialRecord::read(&whole).unwrap();
        assert_eq!(trials.len(), 15);
        assert!(!trials[3].failed.is_empty() && trials[3].failed.iter().all(|why| why == "out of memory"));
        assert_eq!(trials[3].state, TrialState::Failed);
        let pruned: Vec<&TrialRecord> = trials.iter().filter(|trial| trial.state == TrialState::Pruned).collect();
        assert!(!pruned.is_empty() && pruned.iter().all(|trial| trial.curves[0].len() <= 9 && trial.reward.is_some()));
        let told = trials[0].reward.unwrap();
        assert_eq!(told, kind.merit(kind.merit(told)));
        assert_eq!(told < 0.0, kind == RewardKind::Loss, "rewards are as told");
        assert!(trials.iter().any(|trial| trial.is_confirmed));

        // Broken off at every ninth event, and gone on: the same files.
        let broken = root.path().join(format!("{kind:?}-broken"));
        let mut study = JudgedStudy::create(config(kind), Some(&broken)).unwrap();
        let mut again = 0;
        for _ in 0..100 {
            let (cancel, events) = (study.cancel(), std::cell::Cell::new(0));
            let mut executor = Formula { kind, ..Formula::default() };
            let run = study.run_on(&mut executor, &|event| {
                if let Event::TrialFinished { trial, reward: Some(reward), .. } = event {
                    assert_eq!(
                        trials[*trial as usize].state == TrialState::Pruned,
                        *reward != trials[*trial as usize].reward.unwrap()
                    );
                }
                events.set(events.get() + usize::from(matches!(event, Event::Judged { .. })));
                if events.get() == 3 {
                    cancel.cancel();
                }
            });
            again += executor.judged;
            match run {
                Ok(found) => {
                    assert_eq!(found.best, result.best);
                    break;
                }
                Err(Error::Interrupted { .. }) => study = JudgedStudy::resume(&broken, None).unwrap(),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(again >= judged);
        assert_eq!(read(&broken, "notebook.csv"), read(&whole, "notebook.csv"));
        assert_eq!(read(&broken, "best_policy.json"), read(&whole, "best_policy.json"));

        // More trials, and the same folder by asking and telling.
        let (more, judged) = finish(JudgedStudy::resume(&whole, Some(16)).unwrap(), kind);
        assert!(judged >= 2 && more.trainings > result.trainings);
        let mut asked = AskTell::open(&whole).unwrap();
        let next = asked.ask(1).unwrap();
        assert_eq!(next[0].trial, 17);
        asked.tell(17, None, ReportedOutcome::Reward(kind.merit(0.5))).unwrap();
    }
}

#[test]
fn what_trains_by_itself_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("study");
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/pba-small.toml");
    let config = Config::read(&preset).unwrap();
    let error = JudgedStudy::create(config, Some(&folder)).unwrap_err();
    assert!(error.to_string().contains("must not be \"pba\""), "{error}");
    assert!(!folder.exists());
}
