//! Training that chooses among candidates, or augments by how sure the net is.

#[path = "support/mod.rs"]
mod support;

use deepaug_augmenter::{Application, Online, Op, Policy, RangeTable, Step, SubPolicy, published};
use deepaug_child_model::{
    ChildModel, Choose, Consistency, Device, DeviceChoice, GroupDro, History, Model, Net, Optimiser, Rule, Selection,
    Session, Settings, State, Strategy, StrategyRecord, TrainError, Training, TrainingSet,
};
use ndarray::Array4;
use support::{CLASSES, images};

struct Case {
    images: (Array4<u8>, Vec<usize>),
    validation: (Array4<u8>, Vec<usize>),
    policy: Policy,
    net: Net,
}

impl Case {
    fn new(policy: Policy) -> Self {
        let layers = r#"[{ "kind": "conv", "filters": 8 }, { "kind": "batch-norm", "momentum": 0.9, "activation": "relu" },
            { "kind": "max-pool" }, { "kind": "dropout", "rate": 0.2 }]"#;
        let model = Model::Layers(serde_json::from_str(layers).unwrap());
        let net = Net::new(model, Device::open(DeviceChoice::Cpu).unwrap());
        Self { images: images(50, 1), validation: images(60, 2), policy, net }
    }

    fn training<'a>(&'a self, settings: &'a Settings) -> Training<'a> {
        let set = TrainingSet {
            images: self.images.0.view(),
            labels: &self.images.1,
            validation_images: self.validation.0.view(),
            validation_labels: &self.validation.1,
            classes: CLASSES,
            subgroups: None,
            translations: &[],
        };
        Training::new(set, &self.policy, settings, 8)
    }

    /// Trains epoch by epoch, and returns the state that is reached; `look` sees the session after each epoch.
    fn state(&self, settings: &Settings, mut look: impl FnMut(&dyn Session)) -> State {
        let training = self.training(settings);
        let mut session = self.net.session(&[training], vec![training.augmented(0)]).unwrap();
        for epoch in 0..settings.epochs {
            if epoch > 0 {
                session.set_copies(0, training.augmented(epoch)).unwrap();
            }
            session.epoch().unwrap().remove(0).unwrap();
            look(session.as_ref());
        }
        session.state(0).unwrap()
    }

    fn history(&self, settings: &Settings) -> History {
        self.net.train(&self.training(settings), &|_| true).unwrap()
    }
}

fn settings(strategy: Strategy, online: Online) -> Settings {
    Settings {
        batch_size: 16,
        images_per_epoch: Some(50),
        augment: Application::Online(online),
        strategy,
        ..Settings::plain(6, Optimiser::plain(Rule::Adam, 3e-3))
    }
}

fn uncertain(candidates: usize, keep: usize, choose: Choose, warm_up: f64) -> Strategy {
    Strategy::Uncertain(Selection { candidates, keep, choose, warm_up })
}

fn uniform() -> Policy {
    published::Published::UniformAugment.policy()
}

#[test]
fn one_candidate_is_plain_augmentation_bit_for_bit() {
    let case = Case::new(uniform());
    let plain = settings(Strategy::Plain, Online::STANDARD);
    let (state, history) = (case.state(&plain, |_| {}), case.history(&plain));
    for strategy in [
        uncertain(1, 1, Choose::Proportional, 0.0),
        uncertain(1, 1, Choose::Highest, 0.3),
        uncertain(4, 1, Choose::Proportional, 1.0),
    ] {
        let settings = settings(strategy, Online::STANDARD);
        assert_eq!(case.state(&settings, |session| assert!(session.candidates(0).is_empty())), state);
        assert_eq!(case.history(&settings).epochs, history.epochs);
    }
    let chosen = settings(uncertain(2, 1, Choose::Proportional, 0.0), Online::STANDARD);
    assert_ne!(case.state(&chosen, |_| {}), state);
}

fn consistent(views: usize, weight: f64) -> Strategy {
    Strategy::Consistent(Consistency { views, weight })
}

/// A net in which an image is not changed by the others of its batch.
fn without_norm() -> Net {
    let layers = r#"[{ "kind": "conv", "filters": 8, "activation": "relu" }, { "kind": "max-pool" }]"#;
    Net::new(Model::Layers(serde_json::from_str(layers).unwrap()), Device::open(DeviceChoice::Cpu).unwrap())
}

#[test]
fn versions_that_nothing_holds_together_are_learnt_from_as_they_come() {
    // One version of each image, whatever the policy draws.
    let invert = SubPolicy { ops: vec![Step::new(Op::Invert, 1.0)] };
    let policy = Policy { in_place: true, ..Policy::new(RangeTable::Monotone, 1.0, vec![invert]) };
    let case = Case { net: without_norm(), ..Case::new(policy) };
    let plain = case.history(&settings(Strategy::Plain, Online::NOTHING));
    for views in [1, 3] {
        let history = case.history(&settings(consistent(views, 0.0), Online::NOTHING));
        assert_eq!(history.strategy, None);
        for (a, b) in plain.epochs.iter().zip(&history.epochs) {
            assert!((a.loss - b.loss).abs() < 1e-3 * a.loss, "{views}: {a:?} {b:?}");
            assert!((a.acc - b.acc).abs() < 0.03 && (a.val_loss - b.val_loss).abs() < 1e-2 * a.val_loss);
        }
    }
}

#[test]
fn logits_of_versions_are_drawn_together_and_a_rerun_is_the_same() {
    let case = Case { net: without_norm(), ..Case::new(uniform()) };
    let apart = |weight: f64| {
        let settings = settings(consistent(2, weight), Online::NOTHING);
        let training = case.training(&settings);
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("net.safetensors");
        case.net.pretrain(&training, &weights, &|_| true).unwrap();
        let logits = |images: &Array4<u8>| case.net.predict(&weights, &training, images.view()).unwrap();
        let versions = training.augmented(0).images;
        let (n, both) = (case.images.0.dim().0, logits(&versions));
        assert_eq!(versions.dim().0, 3 * n, "the image without its policy, and two versions");
        assert_eq!(versions.slice(ndarray::s![..n, .., .., ..]), case.images.0);
        let squares = (0..n).map(|i| (&both.row(i) - &both.row(n + i)).mapv(|d| f64::from(d * d)).sum());
        squares.sum::<f64>() / n as f64
    };
    let (free, held) = (apart(0.0), apart(0.5));
    assert!(held < 0.5 * free, "{held} {free}");
    let held = settings(consistent(2, 0.5), Online::STANDARD);
    let history = case.history(&held);
    assert_eq!(history.epochs, case.history(&held).epochs);
    assert!(history.epochs.iter().all(|epoch| epoch.acc <= 1.0));
    assert!((held.strategy.cost(4) - 3.0).abs() < 1e-12);
    let robust = Some(GroupDro { learning_rate: 0.01, adjustment: 1.0, within_class: false });
    let both = case.net.train(&case.training(&Settings { robust, ..held }), &|_| true);
    assert!(both.unwrap_err().to_string().contains("needs the subgroups of images"));
}

#[test]
fn choosing_leaves_no_trace() {
    // All candidates are the image itself, because a rotation by nothing changes nothing: it does not matter which is chosen.
    let still = SubPolicy { ops: vec![Step::new(Op::Rotate, 0.0)] };
    let case = Case::new(Policy::new(RangeTable::Monotone, 1.0, vec![still]));
    let plain = case.state(&settings(Strategy::Plain, Online::NOTHING), |_| {});
    let none = Case::new(Policy::none(RangeTable::Monotone));
    let unchanged = settings(uncertain(3, 1, Choose::Highest, 0.0), Online::NOTHING);
    assert_eq!(none.state(&unchanged, |session| assert!(session.candidates(0).is_empty())), plain);
    for choose in [Choose::Proportional, Choose::Highest] {
        let mut epochs = 0;
        let state = case.state(&settings(uncertain(3, 1, choose, 0.0), Online::NOTHING), |session| {
            assert_eq!(session.candidates(0).len(), 150);
            epochs += 1;
        });
        assert_eq!((state, epochs), (plain.clone(), 6), "weights, moving statistics and memories");
    }
}

#[test]
fn candidates_that_the_net_finds_hard_are_learnt_from() {
    let case = Case::new(uniform());
    for (choose, keep) in
        [(Choose::Proportional, 1), (Choose::Proportional, 2), (Choose::Highest, 1), (Choose::Highest, 2)]
    {
        let settings = settings(uncertain(4, keep, choose, 0.34), Online::NOTHING);
        let mut epoch = 0;
        case.state(&settings, |session| {
            epoch += 1;
            let candidates = session.candidates(0);
            if epoch <= 2 {
                return assert!(candidates.is_empty(), "the warm-up");
            }
            // Fifty images in steps of sixteen: all but those of the next pass come up once or twice.
            let chosen: usize = candidates.iter().map(|candidate| candidate.chosen).sum();
            assert_eq!(chosen, 64 * keep);
            let judged = candidates.iter().filter(|candidate| candidate.loss > 0.0).count();
            assert!(judged >= 4 * 40);
            let total = |weight: &dyn Fn(usize) -> f64| {
                let sums = candidates.iter().map(|c| (weight(c.chosen), weight(c.chosen) * f64::from(c.loss)));
                let (weights, losses) = sums.fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
                losses / weights
            };
            let hard = total(&|chosen| chosen as f64);
            let easy = total(&|chosen| f64::from(u8::from(chosen == 0)));
            assert!(hard > easy, "{choose:?}, epoch {epoch}: {hard} {easy}");
        });
    }
}

#[test]
fn all_candidates_are_learnt_from_if_all_are_kept() {
    let case = Case::new(uniform());
    let settings = Settings { measured: 5, ..settings(uncertain(3, 3, Choose::Proportional, 0.0), Online::NOTHING) };
    case.state(&settings, |session| {
        let candidates = session.candidates(0);
        let (first, rest) = candidates.split_at(50);
        assert!(rest.chunks(50).all(|others| others.iter().zip(first).all(|(a, b)| a.chosen == b.chosen)));
        assert!(candidates.iter().all(|candidate| candidate.loss == 0.0), "the net was not asked");
    });
}

#[test]
fn what_was_chosen_is_recorded_by_op() {
    let steps = [Op::Brightness, Op::Rotate].map(|op| SubPolicy { ops: vec![Step::new(op, 1.0)] });
    let case = Case::new(Policy::new(RangeTable::Monotone, 1.0, steps.to_vec()));
    let strategy = uncertain(4, 1, Choose::Proportional, 0.34);
    let online = Online { chance: 0.7, ..Online::NOTHING };
    let history = case.history(&settings(strategy, online));
    assert_eq!(history, History { seconds: history.seconds, ..case.history(&settings(strategy, online)) });
    let Some(StrategyRecord::Selection(tallies)) = &history.strategy else { panic!("no record") };
    assert_eq!(tallies.len(), 4 * 3, "none and two ops in each of the epochs after the warm-up");
    for epoch in tallies.chunks(3) {
        assert_eq!(epoch[0].op, None);
        assert_eq!(epoch.iter().map(|tally| tally.proposed).sum::<usize>(), 200);
        assert_eq!(epoch.iter().map(|tally| tally.chosen).sum::<usize>(), 64);
        let share = epoch[0].proposed as f64 / 200.0;
        assert!((share - 0.3).abs() < 0.15, "{share}");
    }
    assert_eq!(case.history(&settings(Strategy::Plain, online)).strategy, None);
}

#[test]
fn sure_images_are_augmented_strongly() {
    let case = Case::new(published::entaugment());
    let settings = settings(Strategy::Entropy, Online::NOTHING);
    let history = case.history(&Settings { epochs: 12, ..settings });
    assert_eq!(history.epochs, case.history(&Settings { epochs: 12, ..settings }).epochs);
    let Some(StrategyRecord::Sureness(record)) = &history.strategy else { panic!("no record") };
    assert_eq!((record.classes.len(), record.classes[0].len(), record.least.len()), (12, CLASSES, 30));
    let mean = |epoch: &Vec<Option<f64>>| epoch.iter().flatten().sum::<f64>() / CLASSES as f64;
    let [first, last] = [mean(&record.classes[0]), mean(&record.classes[11])];
    assert!(first < last && (0.0..=1.0).contains(&first) && last <= 1.0, "{first} {last}");
    assert!(record.least.is_sorted_by(|a, b| a.1 <= b.1));

    // The net's first look is at images of drawn strengths, as in any other training that has seen none.
    let unseen = case.training(&settings).augmented(3);
    assert_eq!(unseen.images.dim(), case.images.0.dim());
    let plain = case.history(&Settings { epochs: 12, strategy: Strategy::Plain, ..settings });
    assert_ne!(plain.epochs[0], history.epochs[0]);
}

#[test]
fn a_strategy_needs_images_in_place() {
    let case = Case::new(uniform());
    for strategy in [Strategy::Entropy, uncertain(4, 1, Choose::Highest, 0.0)] {
        let settings = Settings { augment: Application::Once, ..settings(strategy, Online::NOTHING) };
        let error = case.net.train(&case.training(&settings), &|_| true).unwrap_err();
        assert!(matches!(&error, TrainError::Session { why } if why.contains("in place")), "{error}");
    }
}

#[test]
fn the_entropy_of_outputs_falls_with_its_weight() {
    let case = Case::new(Policy::none(RangeTable::Monotone));
    let entropy = |weight: f64| {
        let settings = Settings { entropy_loss: weight, ..settings(Strategy::Plain, Online::NOTHING) };
        let training = case.training(&settings);
        let mut session = case.net.session(&[training], vec![training.augmented(0)]).unwrap();
        (0..4).for_each(|_| _ = session.epoch().unwrap());
        let rows = session.evaluate(case.validation.0.view(), &case.validation.1).unwrap().remove(0);
        rows.iter().map(|row| f64::from(row.entropy)).sum::<f64>() / rows.len() as f64
    };
    let [without, with] = [entropy(0.0), entropy(2.0)];
    assert!(with < without && (0.0..=(CLASSES as f64).ln()).contains(&without), "{with} {without}");
}
