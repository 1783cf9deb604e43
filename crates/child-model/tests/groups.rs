//! Training with the subgroups of images known, and for the group that fares worst.

use deepaug_augmenter::{Application, Online, Policy, RangeTable};
use deepaug_child_model::{
    ChildModel, Device, DeviceChoice, GroupDro, GroupRecord, Model, Net, Optimiser, Patching, Rule, Settings, Strategy,
    Subgroups, TrainError, Training, TrainingSet,
};
use ndarray::Array4;

/// Two classes that differ in a row, and two subgroups whose brightness says the class of most images, but not of all.
struct Case {
    images: Array4<u8>,
    labels: Vec<usize>,
    subgroups: Vec<usize>,
    policy: Policy,
    net: Net,
}

/// Images of each class and subgroup.
const SIZES: [usize; 4] = [60, 6, 6, 60];

impl Case {
    fn new() -> Self {
        let groups: Vec<usize> = SIZES.iter().enumerate().flat_map(|(group, &size)| vec![group; size]).collect();
        let images = Array4::from_shape_fn((groups.len(), 10, 10, 1), |(n, r, c, _)| {
            let noise = (n * 31 + r * 17 + c * 23).wrapping_mul(2_654_435_761) >> 7 & 63;
            let row = if r == 2 + 5 * (groups[n] / 2) { 60 } else { 0 };
            (noise + row + 120 * (groups[n] % 2)) as u8
        });
        let layers = r#"[{ "kind": "conv", "filters": 8 }, { "kind": "max-pool" }]"#;
        let model = Model::Layers(serde_json::from_str(layers).unwrap());
        Self {
            images,
            labels: groups.iter().map(|group| group / 2).collect(),
            subgroups: groups.iter().map(|group| group % 2).collect(),
            policy: Policy::none(RangeTable::Monotone),
            net: Net::new(model, Device::open(DeviceChoice::Cpu).unwrap()),
        }
    }

    fn training<'a>(&'a self, settings: &'a Settings, known: bool) -> Training<'a> {
        let subgroups = Subgroups { images: &self.subgroups, validation: &self.subgroups, count: 2 };
        let set = TrainingSet {
            images: self.images.view(),
            labels: &self.labels,
            validation_images: self.images.view(),
            validation_labels: &self.labels,
            classes: 2,
            subgroups: known.then_some(subgroups),
            translations: &[],
        };
        Training::new(set, &self.policy, settings, 3)
    }

    fn groups(&self, settings: &Settings) -> GroupRecord {
        self.net.train(&self.training(settings, true), &|_| true).unwrap().groups.unwrap()
    }
}

fn settings(robust: Option<GroupDro>) -> Settings {
    Settings {
        batch_size: 16,
        images_per_epoch: Some(128),
        augment: Application::Online(Online::NOTHING),
        robust,
        ..Settings::plain(6, Optimiser::plain(Rule::Adam, 2e-3))
    }
}

const ROBUST: GroupDro = GroupDro { learning_rate: 0.1, adjustment: 1.0, within_class: false };

#[test]
fn every_group_is_measured_and_measuring_changes_nothing() {
    let case = Case::new();
    let plain = settings(None);
    let known = case.net.train(&case.training(&plain, true), &|_| true).unwrap();
    let unknown = case.net.train(&case.training(&plain, false), &|_| true).unwrap();
    assert_eq!(known.epochs, unknown.epochs);
    assert_eq!(unknown.groups, None);
    let groups = known.groups.unwrap();
    assert_eq!((groups.subgroups, &groups.images[..], groups.weights.len()), (2, &SIZES[..], 0));
    assert_eq!(groups.accuracies.len(), 6);
    for (epoch, accuracies) in known.epochs.iter().zip(&groups.accuracies) {
        let right: f64 = accuracies.iter().zip(SIZES).map(|(accuracy, size)| accuracy.unwrap() * size as f64).sum();
        assert!((right / 132.0 - epoch.val_acc).abs() < 1e-6);
    }
    let lowest = groups.accuracies[5].iter().flatten().copied().fold(1.0, f64::min);
    assert_eq!(groups.worst(), Some(lowest));
}

#[test]
fn weights_go_to_the_groups_that_fare_worst_and_lift_them() {
    let case = Case::new();
    let [plain, balanced, robust] = [None, Some(GroupDro { learning_rate: 0.0, ..ROBUST }), Some(ROBUST)]
        .map(|robust| case.groups(&Settings { epochs: 4, ..settings(robust) }));
    assert!(balanced.weights.iter().flatten().all(|&weight| weight == 0.25));
    for weights in &robust.weights {
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let last = robust.weights.last().unwrap();
    assert!(last[1] + last[2] > last[0] + last[3], "{last:?}");
    let worst = |record: &GroupRecord| record.worst().unwrap();
    assert!(worst(&balanced) > worst(&plain), "{} {}", worst(&balanced), worst(&plain));
    assert!(worst(&robust) > worst(&plain), "{} {}", worst(&robust), worst(&plain));
    let within = case.groups(&Settings { epochs: 4, ..settings(Some(GroupDro { within_class: true, ..ROBUST })) });
    for weights in &within.weights {
        assert!((weights[0] + weights[1] - 0.5).abs() < 1e-12);
    }
    assert_eq!(case.groups(&settings(Some(ROBUST))), case.groups(&settings(Some(ROBUST))));
}

/// Where every group counts alike, only which images make up a batch differs from a plain training: it is one on batches with
/// as many images of each.
#[test]
fn alike_groups_are_plain_training_on_balanced_batches() {
    let case = Case::new();
    let how = Settings {
        batch_size: 8,
        images_per_epoch: Some(40),
        ..settings(Some(GroupDro { learning_rate: 0.0, ..ROBUST }))
    };
    let training = case.training(&how, true);
    let mut balanced = case.net.session(&[training], vec![training.augmented(0)]).unwrap();
    balanced.keep_losses(true);
    balanced.epoch().unwrap().remove(0).unwrap();
    let rows: Vec<usize> = balanced.losses(0).iter().map(|row| row.row).collect();
    for step in rows.chunks(8) {
        let mut groups: Vec<usize> = step.iter().map(|&row| 2 * case.labels[row] + case.subgroups[row]).collect();
        groups.sort_unstable();
        assert_eq!(groups, [0, 0, 1, 1, 2, 2, 3, 3]);
    }
    // The same rows, in order, without any weighting.
    let plain = Settings { robust: None, ..how };
    let training = case.training(&plain, true);
    let copies = deepaug_augmenter::Copies {
        images: case.images.select(ndarray::Axis(0), &rows),
        sources: rows.clone(),
        ops: Vec::new(),
    };
    let mut ordered = case.net.session(&[training], vec![copies]).unwrap();
    ordered.keep_order(true);
    ordered.epoch().unwrap().remove(0).unwrap();
    assert_eq!(ordered.state(0).unwrap(), balanced.state(0).unwrap());
}

/// Each image as bright as those of the first subgroup, and of the second.
fn translations(case: &Case) -> Vec<Array4<u8>> {
    let into = |bright: usize| {
        let mut images = case.images.clone();
        for (mut image, &subgroup) in images.outer_iter_mut().zip(&case.subgroups) {
            image
                .mapv_inplace(|value| (i32::from(value) + 120 * (bright as i32 - subgroup as i32)).clamp(0, 255) as u8);
        }
        images
    };
    vec![into(0), into(1)]
}

fn patched(weight: f64) -> Strategy {
    Strategy::Patched(Patching { translations: 2, weight })
}

#[test]
fn images_are_read_like_their_translations() {
    let case = Case::new();
    let known = translations(&case);
    let groups = |settings: &Settings| {
        let training = case.training(settings, true);
        let training = Training { set: TrainingSet { translations: &known, ..training.set }, ..training };
        let history = case.net.train(&training, &|_| true).unwrap();
        assert!(history.epochs.iter().all(|epoch| epoch.acc <= 1.0 && epoch.loss < 2.0), "{:?}", history.epochs);
        (history.groups.unwrap(), history.epochs)
    };
    let within = Some(GroupDro { within_class: true, ..ROBUST });
    // Before weighting alone has come as far.
    let alone = Settings { epochs: 2, ..settings(within) };
    let held = Settings { strategy: patched(5.0), ..alone };
    let alike = Some(GroupDro { learning_rate: 0.0, ..ROBUST });
    let replaced = Settings { strategy: Strategy::Translated, robust: alike, ..alone };
    let worst = |settings: &Settings| groups(settings).0.worst().unwrap();
    assert!(worst(&held) > worst(&alone) + 0.05, "{} {}", worst(&held), worst(&alone));
    assert!(worst(&replaced) > worst(&alone) + 0.05, "{} {}", worst(&replaced), worst(&alone));
    assert_eq!(groups(&held), groups(&held));
    assert_eq!((held.strategy.cost(2), replaced.strategy.cost(2)), (3.0, 1.0));
    // Where nothing counts that they differ, nothing else is different.
    assert_eq!(groups(&Settings { strategy: patched(0.0), ..alone }), groups(&alone));
    // Groups need not be weighted.
    let unweighted = groups(&Settings { robust: None, ..held });
    let plain = groups(&Settings { robust: None, ..alone });
    assert!(unweighted.0.weights.is_empty() && unweighted.0.worst() > plain.0.worst(), "{unweighted:?} {plain:?}");
}

#[test]
fn every_version_is_learnt_from_in_each_step_and_each_translation_comes_up() {
    let case = Case::new();
    let known = translations(&case);
    for (strategy, versions) in [(patched(1.0), 3), (Strategy::Translated, 1)] {
        let settings = Settings { strategy, ..settings(None) };
        let training = case.training(&settings, true);
        let training = Training { set: TrainingSet { translations: &known, ..training.set }, ..training };
        let [first, second] = [0, 1].map(|epoch| training.augmented(epoch));
        assert_eq!(first.images.dim().0, versions * case.labels.len());
        if versions == 3 {
            let of = |version: usize| {
                let count = case.labels.len();
                first.images.slice(ndarray::s![version * count..(version + 1) * count, .., .., ..]).to_owned()
            };
            assert_eq!([of(0), of(1), of(2)], [case.images.clone(), known[0].clone(), known[1].clone()]);
            assert_eq!(first.images, second.images);
        } else {
            let into = |image: usize| {
                let is = |known: &Array4<u8>| {
                    known.index_axis(ndarray::Axis(0), image) == first.images.index_axis(ndarray::Axis(0), image)
                };
                (is(&known[0]), is(&known[1]))
            };
            let chosen: Vec<(bool, bool)> = (0..case.labels.len()).map(into).collect();
            assert!(chosen.contains(&(true, false)) && chosen.contains(&(false, true)));
            assert!(chosen.iter().all(|&(a, b)| a || b));
            assert_ne!(first.images, second.images);
        }
    }
}

#[test]
fn translations_that_are_not_there_are_missed() {
    let case = Case::new();
    for strategy in [patched(1.0), Strategy::Translated] {
        let settings = Settings { strategy, ..settings(None) };
        let error = case.net.train(&case.training(&settings, true), &|_| true).unwrap_err().to_string();
        assert!(error.contains("as they would look in each subgroup"), "{error}");
    }
}

#[test]
fn what_cannot_be_weighted_is_refused() {
    let case = Case::new();
    let error = |settings: &Settings, known: bool| {
        let error = case.net.train(&case.training(settings, known), &|_| true).unwrap_err();
        let TrainError::Session { why } = error else { panic!("{error}") };
        why
    };
    assert!(error(&settings(Some(ROBUST)), false).contains("needs the subgroups"));
    assert!(error(&Settings { mixup: 0.2, ..settings(Some(ROBUST)) }, true).contains("cannot be mixed"));
}
