//! A study with a custom child model, and one whose device fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deepaug::{
    Changes, ChildModel, Config, EpochRecord, Error, History, Portion, Study, StudyBuilder, TrainError, Training,
};

/// Learns nothing: its accuracy is a number derived from the seed and the amount of augmentation. After
/// `trainings` trainings its device is gone.
#[derive(Debug)]
struct Made {
    trainings: usize,
    done: Arc<AtomicUsize>,
}

impl Made {
    fn lasting(trainings: usize) -> Box<Self> {
        Box::new(Self { trainings, done: Arc::default() })
    }
}

impl ChildModel for Made {
    fn name(&self) -> String {
        "made".into()
    }

    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError> {
        if self.done.fetch_add(1, Ordering::Relaxed) >= self.trainings {
            return Err(TrainError::Device { why: "it is gone".into() });
        }
        let noise = (training.seed % 97) as f64 / 970.0;
        let accuracy = 0.5 + noise + 0.2 * training.policy.portion * training.policy.sub_policies.len() as f64;
        let mut epochs = Vec::new();
        for epoch in 1..=training.settings.epochs {
            let record =
                EpochRecord { epoch, acc: accuracy, loss: 1.0, val_acc: accuracy, val_loss: 1.0, train_acc: None };
            epochs.push(record);
            if !on_epoch(&record) {
                return Err(TrainError::Stopped);
            }
        }
        Ok(History::new(epochs, 0.0))
    }
}

fn config() -> Config {
    Config {
        iters: 3,
        child_epochs: 2.into(),
        threads: 1,
        train_set_size: 40.into(),
        validation_set_size: 20.into(),
        opt_samples: 2,
        confirm_policies: 2,
        confirm_samples: 4,
        sub_policies: 1,
        portion: Portion::Searched,
        child_batch_size: 32,
        ..Config::default()
    }
}

fn boxed(child: Box<dyn ChildModel>) -> Arc<dyn ChildModel> {
    child.into()
}

fn made(child: Box<dyn ChildModel>, out: &Path) -> Result<Study, Error> {
    Study::builder(config()).child(child).folder(out).create()
}

fn notebook(study: &Path) -> String {
    std::fs::read_to_string(study.join("notebook.csv")).unwrap()
}

#[test]
fn a_lost_device_stops_the_study_and_what_is_left_is_trained_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let study = made(Made::lasting(usize::MAX), &whole).unwrap();
    let best = study.run(&|_| {}).unwrap().best;
    assert!(best.reward > 0.5);

    let study = made(Made::lasting(5), &broken).unwrap();
    let error = study.run(&|_| {}).unwrap_err();
    assert_eq!(error.code(), 5, "{error}");
    assert!(matches!(error, Error::Child(TrainError::Device { .. })) && error.to_string().contains("it is gone"));
    assert_eq!(notebook(&broken).lines().count(), 1 + 5 * 2, "what was trained is kept, what failed is not a result");

    let study = StudyBuilder::default().child(boxed(Made::lasting(usize::MAX))).folder(&broken).resume().unwrap();
    study.run(&|_| {}).unwrap();
    assert_eq!(notebook(&broken), notebook(&whole));
}

#[test]
fn a_study_is_resumed_with_the_child_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("study");
    drop(made(Made::lasting(9), &out).unwrap());
    let error = Study::resume(&out, &Changes::default()).unwrap_err().to_string();
    assert!(error.contains("child_model = \"made\""), "{error}");
}

/// Panics in the trainings that `fails` names, counted from 0 in the order in which they begin.
#[derive(Debug)]
struct Fragile {
    inner: Made,
    begun: AtomicUsize,
    fails: fn(usize) -> bool,
}

impl Fragile {
    fn boxed(fails: fn(usize) -> bool) -> Box<Self> {
        Box::new(Self { inner: *Made::lasting(usize::MAX), begun: AtomicUsize::new(0), fails })
    }
}

impl ChildModel for Fragile {
    fn name(&self) -> String {
        "made".into()
    }

    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError> {
        assert!(!(self.fails)(self.begun.fetch_add(1, Ordering::Relaxed)), "a fragile child");
        self.inner.train(training, on_epoch)
    }
}

#[test]
fn a_worker_that_panics_costs_its_training_one_more_try_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, child: Box<dyn ChildModel>| {
        let out = folder.path().join(out);
        let repeated = AtomicUsize::new(0);
        let study = made(child, &out).unwrap();
        let result = study.run(&|event| {
            if let deepaug::Event::TrainingRepeated { why, .. } = event {
                assert!(why.contains("a fragile child"), "{why}");
                repeated.fetch_add(1, Ordering::Relaxed);
            }
        });
        (notebook(&out), result.unwrap().failed, repeated.into_inner())
    };
    let (whole, ..) = run("whole", Made::lasting(usize::MAX));
    // One in three trainings panics; on the second try, another training's turn has come.
    let (found, failed, repeated) = run("fragile", Fragile::boxed(|begun| begun % 3 == 2));
    assert_eq!((found, failed), (whole, 0));
    assert!(repeated >= 3, "{repeated}");
    // After two panics in a row the training has failed; its trial continues with what it has.
    let (found, failed, repeated) = run("broken", Fragile::boxed(|begun| begun == 2 || begun == 3));
    assert_eq!((failed, repeated), (1, 1));
    assert_eq!(found.matches("a fragile child").count(), 1, "{found}");
}
