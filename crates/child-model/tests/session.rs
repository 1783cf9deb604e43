//! Inspecting training runs between their epochs, and changing them.

#[path = "support/mod.rs"]
mod support;

use std::path::PathBuf;

use deepaug_augmenter::{Application, Copies, Online, Op, Piece, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::{
    ChildModel, Device, DeviceChoice, EpochRecord, History, Model, Net, Observer, Optimiser, Rule, Session, Settings,
    State, StateFiles, TrainError, Training, TrainingSet,
};
use ndarray::{Array4, Axis};
use support::{CLASSES, images};

struct Case {
    images: (Array4<u8>, Vec<usize>),
    validation: (Array4<u8>, Vec<usize>),
    policies: [Policy; 2],
    settings: Settings,
    net: Net,
}

impl Case {
    fn new(augment: Application, rule: Rule) -> Self {
        let layers = r#"[{ "kind": "conv", "filters": 8 }, { "kind": "batch-norm", "momentum": 0.9, "activation": "relu" },
            { "kind": "max-pool" }, { "kind": "dropout", "rate": 0.2 }]"#;
        let model = Model::Layers(serde_json::from_str(layers).unwrap());
        let policy = |op, magnitude, portion| {
            Policy::new(RangeTable::Monotone, portion, vec![SubPolicy { ops: vec![Step::new(op, magnitude)] }])
        };
        Self {
            images: images(50, 1),
            validation: images(123, 2),
            policies: [policy(Op::Rotate, 0.3, 0.5), policy(Op::Brighten, 0.6, 0.5)],
            settings: Settings {
                batch_size: 16,
                images_per_epoch: Some(60),
                mixup: 0.3,
                augment,
                measured: 20,
                ..Settings::plain(6, Optimiser::plain(rule, 3e-3))
            },
            net: Net::new(model, Device::open(DeviceChoice::Cpu).unwrap()),
        }
    }

    fn training(&self, policy: usize, seed: u64) -> Training<'_> {
        let set = TrainingSet {
            images: self.images.0.view(),
            labels: &self.images.1,
            validation_images: self.validation.0.view(),
            validation_labels: &self.validation.1,
            classes: CLASSES,
            subgroups: None,
            translations: &[],
        };
        let (policy, settings) = (&self.policies[policy], &self.settings);
        Training::new(set, policy, settings, seed)
    }

    fn session<'a>(&self, trainings: &[Training<'a>]) -> Box<dyn Session + 'a> {
        let copies = trainings.iter().map(|training| training.augmented(0)).collect();
        self.net.session(trainings, copies).unwrap()
    }
}

/// Trains until this many epochs are done, with the copies for each.
fn train(session: &mut dyn Session, trainings: &[Training<'_>], until: usize) -> Vec<Vec<EpochRecord>> {
    let mut records = vec![Vec::new(); trainings.len()];
    while session.epochs_done() < until {
        for (child, training) in trainings.iter().enumerate() {
            if !training.settings.augment.is_once() {
                session.set_copies(child, training.augmented(session.epochs_done())).unwrap();
            }
        }
        for (records, record) in records.iter_mut().zip(session.epoch().unwrap()) {
            records.push(record.unwrap());
        }
    }
    records
}

fn augments() -> [Application; 3] {
    [Application::Once, Application::Epoch, Application::Online(Online::STANDARD)]
}

#[test]
fn epoch_by_epoch_is_the_training_as_a_whole() {
    for augment in augments() {
        let case = Case::new(augment, Rule::Adam);
        let trainings = [case.training(0, 5), case.training(1, 6)];
        let records = train(&mut *case.session(&trainings), &trainings, 6);
        for (training, records) in trainings.iter().zip(records) {
            assert_eq!(case.net.train(training, &|_| true).unwrap().epochs, records, "{augment}");
        }
    }
}

#[test]
fn a_state_goes_on_from_a_file_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    for rule in [Rule::RmsProp, Rule::Adam, Rule::Sgd] {
        for augment in augments() {
            let case = Case::new(augment, rule);
            let trainings = [case.training(0, 5), case.training(1, 6)];
            let mut whole = case.session(&trainings);
            let first = train(&mut *whole, &trainings, 2);
            let path = |child: usize| folder.path().join(format!("{child}.safetensors"));
            (0..2).for_each(|child| whole.state(child).unwrap().save(&path(child)).unwrap());
            let rest = train(&mut *whole, &trainings, 6);
            assert_eq!((first[0].len(), rest[0].len()), (2, 4));

            let mut resumed = case.session(&trainings);
            resumed.skip(2);
            for child in 0..2 {
                let state = State::read(&path(child)).unwrap();
                assert_eq!(state.epochs, 2);
                resumed.load(child, &state).unwrap();
            }
            assert_eq!(train(&mut *resumed, &trainings, 6), rest, "{rule:?}, {augment}");
        }
    }
}

#[test]
fn a_child_that_takes_anothers_net_over_goes_on_as_the_other() {
    let case = Case::new(Application::Epoch, Rule::Adam);
    // The same images, policy and seed from the third epoch on: only the nets differ.
    let trainings = [case.training(0, 5), case.training(0, 5)];
    let other = [case.training(1, 9)];
    let mut session = case.session(&trainings);
    let mut donor = case.session(&other);
    train(&mut *session, &trainings, 2);
    train(&mut *donor, &other, 2);
    session.load(1, &donor.state(0).unwrap()).unwrap();
    let apart = train(&mut *session, &trainings, 3);
    assert_ne!(apart[0], apart[1]);
    session.load(1, &session.state(0).unwrap()).unwrap();
    let together = train(&mut *session, &trainings, 5);
    assert_eq!(together[0], together[1]);
}

#[test]
fn losses_of_rows_are_those_that_the_records_sum_up() {
    let case = Case::new(Application::Once, Rule::Adam);
    let trainings = [case.training(0, 5), case.training(1, 6)];
    let mut session = case.session(&trainings);
    assert!(session.epoch().unwrap().iter().all(Result::is_ok) && session.losses(0).is_empty());
    session.keep_losses(true);
    let records: Vec<EpochRecord> = session.epoch().unwrap().into_iter().map(Result::unwrap).collect();
    let evaluated = session.evaluate(case.validation.0.view(), &case.validation.1).unwrap();
    for (child, record) in records.iter().enumerate() {
        // Whole batches: 60 images in 4 of 16 and 15 of 15.
        let trained = session.losses(child);
        assert!(trained.len() == 64 && trained.iter().all(|row| row.row < 75));
        let mean = |rows: &[deepaug_child_model::RowLoss]| {
            let sum: f64 = rows.iter().map(|row| f64::from(row.loss)).sum();
            let right = rows.iter().filter(|row| row.right).count();
            [sum / rows.len() as f64, right as f64 / rows.len() as f64]
        };
        let near = |found: [f64; 2], loss: f64, accuracy: f64| {
            assert!(
                (found[0] - loss).abs() < 1e-5 && (found[1] - accuracy).abs() < 1e-9,
                "{found:?} {loss} {accuracy}"
            );
        };
        near(mean(trained), record.loss, record.acc);
        assert_eq!(evaluated[child].iter().map(|row| row.row).collect::<Vec<_>>(), (0..123).collect::<Vec<_>>());
        near(mean(&evaluated[child]), record.val_loss, record.val_acc);
    }
}

#[test]
fn rows_come_in_order_where_that_is_wanted() {
    let case = Case::new(Application::Once, Rule::Adam);
    let trainings = [case.training(0, 5)];
    let mut session = case.session(&trainings);
    session.keep_losses(true);
    session.keep_order(true);
    for _ in 0..2 {
        session.epoch().unwrap();
        let rows: Vec<usize> = session.losses(0).iter().map(|row| row.row).collect();
        assert_eq!(rows, (0..64).collect::<Vec<_>>());
    }
    session.keep_order(false);
    session.epoch().unwrap();
    assert!(session.losses(0).windows(2).any(|rows| rows[1].row != rows[0].row + 1));
}

#[test]
fn several_equal_views_of_a_batch_teach_what_one_does() {
    let layers =
        r#"[{ "kind": "conv", "filters": 8 }, { "kind": "batch-norm", "momentum": 0.9, "activation": "relu" }]"#;
    let case = Case::new(Application::Online(Online::NOTHING), Rule::Sgd);
    let net = Net::new(Model::Layers(serde_json::from_str(layers).unwrap()), Device::open(DeviceChoice::Cpu).unwrap());
    let taught = |views: usize| {
        let settings = Settings {
            batch_size: 10 * views,
            images_per_epoch: Some(50 * views),
            mixup: 0.0,
            optimiser: Optimiser::plain(Rule::Sgd, 3e-3),
            ..case.settings
        };
        let trainings = [Training { settings: &settings, ..case.training(0, 5) }];
        let sources: Vec<usize> =
            (0..5).flat_map(|batch| std::iter::repeat_n(10 * batch..10 * (batch + 1), views).flatten()).collect();
        let copies = Copies { images: case.images.0.select(Axis(0), &sources), ops: Vec::new(), sources };
        let mut session = net.session(&trainings, vec![copies]).unwrap();
        session.keep_order(true);
        session.epoch().unwrap();
        session.epoch().unwrap();
        session.state(0).unwrap()
    };
    let (one, four) = (taught(1), taught(4));
    for (one, four) in one.parameters.iter().zip(&four.parameters) {
        for (a, b) in one.values.iter().zip(&four.values) {
            assert!((a - b).abs() < 1e-4, "{}: {a} {b}", one.name);
        }
    }
}

#[test]
fn logits_are_a_linear_function_of_features() {
    let case = Case::new(Application::Once, Rule::Adam);
    let training = case.training(0, 5);
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("net.safetensors");
    case.net.pretrain(&training, &weights, &|_| true).unwrap();
    let images = case.validation.0.view();
    let features = case.net.features(&weights, &training, images).unwrap();
    let logits = case.net.predict(&weights, &training, images).unwrap();
    // 8 filters at half of 11 x 13 pixels.
    assert_eq!((features.dim(), logits.dim()), ((123, 8 * 5 * 6), (123, CLASSES)));
    let bytes = std::fs::read(&weights).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let last = |what: &str| {
        let name = file.names().into_iter().find(|name| name.ends_with(&format!("dense.{what}"))).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap()));
        (tensor.shape().to_vec(), values.collect::<Vec<f32>>())
    };
    let ((shape, last_weights), (_, bias)) = (last("weights"), last("bias"));
    let last_weights = ndarray::Array2::from_shape_vec((shape[0], shape[1]), last_weights).unwrap();
    let expected = features.dot(&last_weights) + &ndarray::Array1::from(bias);
    assert!(logits.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3), "{logits} {expected}");
}

#[test]
fn looking_changes_nothing() {
    let case = Case::new(Application::Once, Rule::Adam);
    let trainings = [case.training(0, 5)];
    let mut looked_at = case.session(&trainings);
    looked_at.keep_losses(true);
    let mut records = Vec::new();
    for until in 1..=6 {
        records.extend(train(&mut *looked_at, &trainings, until).remove(0));
        looked_at.evaluate(case.images.0.view(), &case.images.1).unwrap();
        let state = looked_at.state(0).unwrap();
        looked_at.load(0, &state).unwrap();
    }
    assert_eq!(records, train(&mut *case.session(&trainings), &trainings, 6)[0]);
}

#[test]
fn rows_count_as_much_as_they_weigh() {
    let case = Case::new(Application::Once, Rule::Sgd);
    let case = Case { settings: Settings { mixup: 0.0, ..case.settings }, ..case };
    let trainings = [case.training(0, 5), case.training(0, 5), case.training(0, 5)];
    let mut session = case.session(&trainings);
    let copies = trainings[0].augmented(0);
    let labels: Vec<usize> =
        case.images.1.iter().copied().chain(copies.sources.iter().map(|&source| case.images.1[source])).collect();
    let ones = vec![1.0; labels.len()];
    let without_class_2: Vec<f32> = labels.iter().map(|&label| if label == 2 { 0.0 } else { 1.0 }).collect();
    session.set_weights(1, &ones).unwrap();
    session.set_weights(2, &without_class_2).unwrap();
    session.keep_losses(true);
    let records = train(&mut *session, &trainings, 6);
    assert_eq!(records[0], records[1], "weights of 1 are no weights");
    // What does not count has no loss; what counts has the loss it would have had.
    let learnt = session.losses(2);
    assert!(learnt.iter().all(|row| (row.loss == 0.0) == (labels[row.row] == 2)));
    let rows = session.evaluate(case.validation.0.view(), &case.validation.1).unwrap();
    let right_of_class_2 =
        |child: usize| rows[child].iter().filter(|row| case.validation.1[row.row] == 2 && row.right).count();
    assert!(right_of_class_2(0) > 20, "{}", right_of_class_2(0));
    assert_eq!(right_of_class_2(2), 0);
    // Half the weight gives half the mean loss, and the same loss for the row.
    let mut session = case.session(&trainings[..2]);
    session.keep_losses(true);
    session.set_weights(1, &vec![0.5; labels.len()]).unwrap();
    let records: Vec<_> = session.epoch().unwrap().into_iter().map(Result::unwrap).collect();
    let first: Vec<f32> = (0..2).map(|child| session.losses(child)[0].loss).collect();
    assert_eq!(first[0], first[1]);
    assert!(records[1].loss < 0.7 * records[0].loss, "{records:?}");
}

#[test]
fn only_what_has_changed_is_uploaded() {
    let image = 11 * 13 * 3;
    for (augment, [at_first, each]) in
        augments().into_iter().zip([[50 + 2 * 25, 0], [50 + 2 * 25, 2 * 25], [2 * 50, 2 * 50]])
    {
        let case = Case::new(augment, Rule::Adam);
        let trainings = [case.training(0, 5), case.training(1, 6)];
        let mut session = case.session(&trainings);
        // Validation images and measured training images are shared by both.
        let mut expected = image * (at_first + 123 + 20);
        assert_eq!(session.uploaded(), expected, "{augment}");
        for epoch in 1..=3 {
            session.epoch().unwrap();
            for (child, training) in trainings.iter().enumerate().filter(|_| !augment.is_once()) {
                session.set_copies(child, training.augmented(epoch)).unwrap();
            }
            expected += image * each;
            assert_eq!(session.uploaded(), expected, "{augment}");
        }
        session.set_weights(0, &vec![0.5; if augment.keeps_originals() { 75 } else { 50 }]).unwrap();
        session.epoch().unwrap();
        assert_eq!(session.uploaded(), expected, "{augment}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let case = Case::new(Application::Once, Rule::Adam);
    let short = Settings { epochs: 1, ..case.settings };
    let trainings = [case.training(0, 5)];
    let mut session = case.session(&trainings);
    let refused = |result: Result<(), TrainError>, why: &str| match result {
        Err(error @ TrainError::Session { .. }) => assert!(error.to_string().contains(why), "{error}"),
        other => panic!("{other:?}"),
    };
    let copies = || trainings[0].augmented(0);
    refused(session.set_copies(1, copies()), "there is no child 1");
    let mut wrong = copies();
    wrong.sources[3] = 50;
    refused(session.set_copies(0, wrong), "a source among the training images");
    let mut wrong = copies();
    wrong.images = Array4::zeros((25, 11, 12, 3));
    refused(session.set_copies(0, wrong), "[11, 12, 3], images [11, 13, 3]");
    refused(session.set_weights(0, &[1.0; 74]), "74 weights for 75 rows");
    refused(session.set_weights(0, &[f32::NAN; 75]), "NaN");
    refused(session.evaluate(case.validation.0.view(), &[3; 123]).map(drop), "label below 3");
    refused(session.evaluate(case.validation.0.view(), &[0; 122]).map(drop), "label below 3");
    assert_eq!(session.evaluate(case.validation.0.view().split_at(Axis(0), 0).0, &[]).unwrap(), [vec![]]);

    let mut state = session.state(0).unwrap();
    state.parameters[0].memories.pop();
    refused(session.load(0, &state), "not of this model and optimiser");
    state.parameters.remove(0);
    refused(session.load(0, &state), "has no");
    assert_eq!(train(&mut *session, &trainings, 6), train(&mut *case.session(&trainings), &trainings, 6));

    let unlike = [trainings[0], Training { settings: &short, ..trainings[0] }];
    let copies = unlike.iter().map(|training| training.augmented(0)).collect();
    refused(case.net.session(&unlike, copies).map(drop), "share their settings");
    refused(case.net.session(&[], Vec::new()).map(drop), "share their settings");
}

struct Nobody;

impl Observer for Nobody {}

/// Trains some epochs, from the states of files that were kept before.
fn part(
    net: &Net,
    trainings: &[Training<'_>],
    epochs: std::ops::Range<usize>,
    state: &dyn Fn(usize, usize) -> PathBuf,
) -> Vec<Result<History, TrainError>> {
    let paths: Vec<[PathBuf; 2]> =
        (0..trainings.len()).map(|child| [state(child, epochs.start), state(child, epochs.end)]).collect();
    let files = |[start, keep]: &'_ [PathBuf; 2]| (start.clone(), keep.clone());
    let owned: Vec<(PathBuf, PathBuf)> = paths.iter().map(files).collect();
    let states: Vec<StateFiles<'_>> = owned
        .iter()
        .map(|(start, keep)| StateFiles { start: (epochs.start > 0).then_some(start.as_path()), keep })
        .collect();
    net.train_part(trainings, epochs, &states, &Nobody)
}

#[test]
fn a_training_in_parts_is_the_whole_training() {
    let folder = tempfile::tempdir().unwrap();
    for augment in [Application::Once, Application::Epoch, Application::Online(Online::STANDARD)] {
        let case = Case::new(augment, Rule::Adam);
        let trainings = [case.training(0, 5), case.training(1, 9)];
        let whole = trainings.map(|training| case.net.train(&training, &|_| true).unwrap().epochs);
        let state = |child: usize, epoch: usize| folder.path().join(format!("{child}-{epoch}"));
        let mut epochs = [Vec::new(), Vec::new()];
        for range in [0..2, 2..3, 3..6] {
            for (epochs, history) in epochs.iter_mut().zip(part(&case.net, &trainings, range, &state)) {
                epochs.extend(history.unwrap().epochs);
            }
        }
        assert_eq!(epochs, whole, "{augment}");
        // Who takes over another's net with the same policy and seed does as the other does.
        let heir = part(&case.net, &trainings[..1], 3..6, &|_, epoch| match epoch {
            3 => state(0, 3),
            _ => folder.path().join("heir"),
        });
        assert_eq!(heir[0].as_ref().unwrap().epochs, whole[0][3..]);
    }
    let case = Case::new(Application::Once, Rule::Adam);
    let training = [case.training(0, 5)];
    let missing = part(&case.net, &training, 1..2, &|_, epoch| folder.path().join(format!("missing-{epoch}")));
    assert!(matches!(missing[0], Err(TrainError::Weights { .. })), "{missing:?}");
    let beyond = part(&case.net, &training, 5..7, &|_, epoch| folder.path().join(format!("0-{epoch}")));
    assert!(matches!(beyond[0], Err(TrainError::Session { .. })), "{beyond:?}");
}

#[test]
fn a_policy_that_changes_is_each_of_its_parts_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    for augment in [Application::Once, Application::Epoch, Application::Online(Online::STANDARD)] {
        let case = Case::new(augment, Rule::Adam);
        let state = |_: usize, epoch: usize| folder.path().join(epoch.to_string());
        let mut expected = Vec::new();
        for (policy, epochs) in [(0, 0..2), (1, 2..6)] {
            let history = part(&case.net, &[case.training(policy, 5)], epochs, &state).remove(0);
            expected.extend(history.unwrap().epochs);
        }
        // One epoch and two, stretched to two and four.
        let pieces = [(1, 0), (2, 1)].map(|(epochs, policy)| Piece { epochs, policy: case.policies[policy].clone() });
        let schedule = Policy::schedule(pieces.to_vec()).unwrap();
        let training = Training { policy: &schedule, ..case.training(0, 5) };
        assert_eq!(case.net.train(&training, &|_| true).unwrap().epochs, expected, "{augment}");
    }
}
