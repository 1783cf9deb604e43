//! Custom search methods and schedulers.

use std::path::Path;

use deepaug::controller::{History as Trials, Point, SearchError, Searcher, Space, Value};
use deepaug::{
    AugmentMode, ChildModel, Config, Decision, EpochRecord, Error, Event, Finished, History, Policy, Portion,
    RangeTable, Scheduler, SearchMethod, StudyBuilder, TrainError, Training, TrialProgress,
};

/// Scores its policy's first magnitude, plus a little more each epoch; takes no time.
#[derive(Debug)]
struct Made;

impl ChildModel for Made {
    fn name(&self) -> String {
        "made".into()
    }

    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError> {
        let strength = training.policy.steps().next().map_or(0.0, |step| step.magnitude);
        let mut epochs = Vec::new();
        for epoch in 1..=training.settings.epochs {
            let val_acc = 0.5 + 0.4 * strength + 0.01 * epoch as f64 + (training.seed % 97) as f64 / 97_000.0;
            epochs.push(EpochRecord { epoch, acc: val_acc, loss: 1.0, val_acc, val_loss: 1.0, train_acc: None });
            if !on_epoch(&epochs[epoch - 1]) {
                return Err(TrainError::Stopped);
            }
        }
        Ok(History::new(epochs, 0.0))
    }
}

/// Proposes tenths, one after another.
struct Grid {
    space: Space,
    trials: Trials,
}

impl Searcher for Grid {
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError> {
        let of = |tenths: u64| {
            let values = self.space.parameters().iter().map(|parameter| match parameter.name.ends_with("magnitude") {
                true => Value::Real(0.1 * tenths as f64),
                false => Value::Category(0),
            });
            Point(values.collect())
        };
        let is_free = |point: &Point| !self.trials.has(&self.space, point) && !is_taken(point);
        let point = (1..=10).map(of).find(is_free).ok_or(SearchError::Exhausted)?;
        self.trials.register(&self.space, trial, point.clone())?;
        Ok(point)
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn history(&self) -> &Trials {
        &self.trials
    }

    fn history_mut(&mut self) -> (&Space, &mut Trials) {
        (&self.space, &mut self.trials)
    }
}

fn grid(space: Space, _: u64) -> Result<Box<dyn Searcher>, SearchError> {
    Ok(Box::new(Grid { space, trials: Trials::default() }))
}

/// Ends even-numbered trials after two epochs, and estimates them at a hundredth of their number.
struct Odd;

impl Scheduler for Odd {
    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
        let decide = |report: &TrialProgress<'_>| {
            assert!(report.trial > 0, "no policy is never reported");
            if report.trial.is_multiple_of(2) && report.epochs.len() == 2 { Decision::Stop } else { Decision::Continue }
        };
        reports.iter().map(decide).collect()
    }

    fn estimate(&self, stopped: &[EpochRecord], known: &[Finished<'_>]) -> f64 {
        assert_eq!(stopped.len(), 2);
        known.len() as f64 / 100.0
    }
}

/// Lets every trial take over from the first.
struct Heirs;

impl Scheduler for Heirs {
    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
        let policy = Policy::none(RangeTable::Monotone);
        reports.iter().map(|_| Decision::TakeOver { from: 1, policy: policy.clone() }).collect()
    }

    fn estimate(&self, _: &[EpochRecord], _: &[Finished<'_>]) -> f64 {
        0.0
    }
}

fn config() -> Config {
    Config {
        iters: 6,
        child_epochs: 5.into(),
        threads: 2,
        train_set_size: 40.into(),
        validation_set_size: 20.into(),
        opt_samples: 3,
        opt_last_n_epochs: 1,
        confirm_policies: 0,
        sub_policies: 1,
        ops_per_sub_policy: 1,
        portion: Portion::Fixed(1.0),
        ..Config::default()
    }
}

fn builder(out: &Path) -> StudyBuilder<'static> {
    StudyBuilder::new(config()).child(std::sync::Arc::new(Made) as std::sync::Arc<dyn ChildModel>).folder(out)
}

/// Returns columns of the notebook by name.
fn columns(study: &Path, names: &[&str]) -> Vec<String> {
    let mut table = csv::Reader::from_path(study.join("notebook.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let places: Vec<usize> =
        names.iter().map(|name| header.iter().position(|column| column == *name).unwrap()).collect();
    let row = |row: csv::StringRecord| places.iter().map(|&place| &row[place]).collect::<Vec<_>>().join(" ");
    table.into_records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn a_searcher_of_ones_own_proposes_what_it_likes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("study");
    let result = builder(&out).searcher("grid", grid).create().unwrap().run(&|_| {}).unwrap();
    let mut proposed = columns(&out, &["trial_no", "A_aug1_magnitude"]);
    proposed.dedup();
    let magnitude = |row: &String| row.split_once(' ').unwrap().1.parse::<f64>().unwrap();
    let steps: Vec<f64> = proposed[1..].windows(2).map(|rows| magnitude(&rows[1]) - magnitude(&rows[0])).collect();
    assert!(steps.iter().all(|step| (step - steps[0]).abs() < 1e-9 && *step > 0.05), "{proposed:?}");
    assert_eq!((proposed.len(), result.best.trial), (7, 6));
}

#[test]
fn a_scheduler_of_ones_own_ends_trainings_and_a_killed_study_ends_as_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let study = builder(&whole).searcher("grid", grid).scheduler("odd", || Box::new(Odd)).create().unwrap();
    let pruned = std::sync::Mutex::new(Vec::new());
    let note = |event: &Event| {
        if let Event::TrialFinished { trial, reward, pruned: true, .. } = event {
            pruned.lock().unwrap().push((*trial, reward.unwrap()));
        }
    };
    study.run(&note).unwrap();
    // Two epochs of one sample for each even trial, five epochs of three samples for the others.
    let names = ["trial_no", "sample_no", "epoch", "val_acc", "behind"];
    let rows = columns(&whole, &names);
    let of = |trial: usize| rows.iter().filter(|row| row.starts_with(&format!("{trial} "))).count();
    assert_eq!((0..7).map(of).collect::<Vec<_>>(), [15, 15, 2, 15, 2, 15, 2]);
    assert_eq!(rows.iter().filter(|row| row.ends_with(" true")).count(), 6);
    assert_eq!(*pruned.lock().unwrap(), [(2, 0.02), (4, 0.04), (6, 0.06)]);

    let study = builder(&cut).searcher("grid", grid).scheduler("odd", || Box::new(Odd)).create().unwrap();
    let cancel = study.cancel();
    let stop = |event: &Event| {
        if matches!(event, Event::TrialFinished { trial: 3, .. }) {
            cancel.cancel();
        }
    };
    assert!(matches!(study.run(&stop).unwrap_err(), Error::Interrupted { .. }));
    // It can be opened only with the methods that it was made with.
    let refused = |builder: StudyBuilder<'_>, why: &str| {
        let error = builder.resume().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(builder(&cut), r#"own_searcher = "grid", not none"#);
    refused(builder(&cut).searcher("grid", grid), r#"own_scheduler = "odd", not none"#);
    refused(builder(&cut).searcher("grid", grid).scheduler("even", || Box::new(Odd)), r#"not "even""#);
    let study = builder(&cut).searcher("grid", grid).scheduler("odd", || Box::new(Odd)).resume().unwrap();
    study.run(&|_| {}).unwrap();
    assert_eq!(columns(&cut, &names), rows);
}

#[test]
fn trials_of_a_search_cannot_take_one_another_over() {
    let folder = tempfile::tempdir().unwrap();
    let study = builder(&folder.path().join("study")).scheduler("heirs", || Box::new(Heirs)).create().unwrap();
    let error = study.run(&|_| {}).unwrap_err().to_string();
    assert!(error.contains("take over from trial 1, but trials are independent"), "{error}");
}

/// Stops member 1 after two epochs, and lets it take over member 0 after four; member 2 stops then for good.
struct Pause;

impl Scheduler for Pause {
    fn report(&mut self, reports: &[TrialProgress<'_>]) -> Vec<Decision> {
        let epoch = reports[0].epochs.len();
        let decide = |report: &TrialProgress<'_>| match (report.trial, epoch) {
            (1, 2) | (2, 4) => Decision::Stop,
            (1, 4) => {
                Decision::TakeOver { from: 0, policy: Policy { in_place: true, ..Policy::none(RangeTable::Monotone) } }
            }
            _ => Decision::Continue,
        };
        reports.iter().map(decide).collect()
    }

    fn estimate(&self, _: &[EpochRecord], _: &[Finished<'_>]) -> f64 {
        0.0
    }
}

#[test]
fn a_scheduler_may_stop_members_of_a_population_and_wake_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("study");
    let config = Config {
        method: SearchMethod::Pba,
        population: 3,
        interval: 2,
        augment: AugmentMode::Online,
        portion: Portion::Fixed(1.0),
        train_set_size: 40.into(),
        validation_set_size: 20.into(),
        model: deepaug::Model::TinyCnn,
        child_epochs: 6.into(),
        opt_samples: 1,
        confirm_policies: 0,
        device: deepaug::DeviceChoice::Cpu,
        ..Config::default()
    };
    let study = StudyBuilder::new(config).folder(&out).scheduler("pause", || Box::new(Pause)).create().unwrap();
    study.run(&|_| ()).unwrap();
    let mut table = csv::Reader::from_path(out.join("population.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let of = |member: &str| -> Vec<&str> { rows.iter().filter(|row| &row[1] == member).map(|row| &row[0]).collect() };
    assert_eq!(of("0"), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(of("1"), ["1", "2", "5", "6"]);
    assert_eq!(of("2"), ["1", "2", "3", "4"]);
}
