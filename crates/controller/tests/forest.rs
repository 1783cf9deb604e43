//! The regression forest: bounds that always hold, and its accuracy compared with scikit-learn's.

use deepaug_controller::{
    ForestError,
    forest::{FeatureKind, Forest, ForestParams},
};
use linfa::{Dataset, traits::Fit, traits::Predict};
use ndarray::{Array1, Array2, s};
use proptest::prelude::*;

fn mixed(rows: usize, numbers: &[f64]) -> (Array2<f64>, Array1<f64>) {
    let at = |index: usize| numbers[index % numbers.len()];
    let records = Array2::from_shape_fn((rows, 3), |(row, column)| match column {
        0 => (at(row * 7 + 1).abs() * 1e3).floor() % 5.0,
        1 => at(row * 3 + 2),
        _ => (at(row * 5) * 4.0).round(), // many ties
    });
    let targets = Array1::from_shape_fn(rows, |row| at(row * 11 + 5) * 10.0 + records[[row, 0]]);
    (records, targets)
}

fn kinds() -> Vec<FeatureKind> {
    vec![FeatureKind::Categorical(5), FeatureKind::Continuous, FeatureKind::Continuous]
}

fn rmse(forest: &Forest, records: &Array2<f64>, targets: &Array1<f64>) -> f64 {
    let errors = forest.predict(records) - targets;
    (errors.mapv(|error| error * error).mean().unwrap()).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn predictions_stay_in_range_and_variance_above_the_floor(
        rows in 1_usize..80,
        numbers in prop::collection::vec(-1.0..1.0_f64, 1..60),
        seed: u64,
        leaf_variance: bool,
        floor in 1e-6..1.0_f64,
        min_leaf in 1_usize..6,
    ) {
        let (records, targets) = mixed(rows, &numbers);
        let params = ForestParams::new(kinds()).trees(20).seed(seed).min_leaf(min_leaf)
            .variance_floor(floor).leaf_variance(leaf_variance);
        let forest = params.fit(&Dataset::new(records.clone(), targets.clone())).unwrap();
        // Also unseen rows, with values that are not categories.
        let mut probes = records;
        probes.push_row(ndarray::aview1(&[7.0, 100.0, -100.0])).unwrap();
        probes.push_row(ndarray::aview1(&[f64::NAN, f64::NAN, f64::INFINITY])).unwrap();
        let (mean, variance) = forest.predict_with_variance(&probes.view());
        let low = targets.iter().copied().fold(f64::INFINITY, f64::min);
        let high = targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let slack = 1e-12 * (high - low + high.abs());
        prop_assert!(mean.iter().all(|&m| low - slack <= m && m <= high + slack));
        prop_assert!(variance.iter().all(|&v| v >= floor));
        prop_assert_eq!(mean, forest.predict(&probes));
        let again = params.fit(&Dataset::new(probes.slice(s![..rows, ..]).to_owned(), targets)).unwrap();
        prop_assert_eq!(again, forest);
    }
}

#[test]
fn one_thread_fits_what_many_fit() {
    let (records, targets) = mixed(60, &[0.3, -0.8, 0.1, 0.7, -0.4, 0.9, -0.2]);
    let data = Dataset::new(records, targets);
    let params = ForestParams::new(kinds()).seed(5);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let many = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    assert_eq!(one.install(|| params.fit(&data).unwrap()), many.install(|| params.fit(&data).unwrap()));
    assert_ne!(params.clone().seed(6).fit(&data).unwrap(), params.fit(&data).unwrap());
}

fn friedman() -> (Array2<f64>, Array1<f64>) {
    let numbers: Vec<f64> = include_str!("reference/friedman.csv")
        .lines()
        .flat_map(|line| line.split(',').map(|field| field.parse::<f64>().unwrap()))
        .collect();
    let table = Array2::from_shape_vec((600, 8), numbers).unwrap();
    (table.slice(s![.., ..7]).to_owned(), table.column(7).to_owned())
}

fn friedman_kinds() -> Vec<FeatureKind> {
    let mut kinds = vec![FeatureKind::Continuous; 7];
    kinds[5] = FeatureKind::Categorical(8);
    kinds
}

fn friedman_error(params: ForestParams, relabel: [f64; 8]) -> f64 {
    let (mut records, targets) = friedman();
    records.column_mut(5).mapv_inplace(|category| relabel[category as usize]);
    let train = Dataset::new(records.slice(s![..300, ..]).to_owned(), targets.slice(s![..300]).to_owned());
    let forest = params.fit(&train).unwrap();
    rmse(&forest, &records.slice(s![300.., ..]).to_owned(), &targets.slice(s![300..]).to_owned())
}

const LABELS: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];

/// On this data set, scikit-learn 1.9.1 with the same parameters and the category one-hot encoded reaches 3.24 to
/// 3.34 over five seeds, and predicting the mean gives 6.41 (tests/reference/forest.py).
#[test]
fn is_more_accurate_than_one_hot() {
    for seed in 0..3 {
        let error = friedman_error(ForestParams::new(friedman_kinds()).seed(seed), LABELS);
        assert!(error < 3.2, "seed {seed}: {error}");
    }
}

#[test]
fn category_labels_have_no_meaning_but_numbers_have() {
    let params = ForestParams::new(friedman_kinds());
    let straight = friedman_error(params.clone(), LABELS);
    let relabelled = friedman_error(params.clone(), [5.0, 2.0, 7.0, 0.0, 4.0, 6.0, 1.0, 3.0]);
    assert!((straight - relabelled).abs() < 0.1, "{straight} against {relabelled}");
    // The same column treated as a number is worse: the effect has no order.
    let as_number = friedman_error(params.kinds(vec![FeatureKind::Continuous; 7]), LABELS);
    assert!(as_number > straight + 0.1, "{as_number} against {straight}");
}

#[test]
fn a_planted_category_is_found() {
    // Only category 3 of 100 (more than one word of bits) differs, and nothing else matters.
    let records = Array2::from_shape_fn((400, 1), |(row, _)| (row % 100) as f64);
    let targets = records.column(0).mapv(|category| if category == 93.0 { 1.0 } else { 0.0 });
    let forest =
        ForestParams::new(vec![FeatureKind::Categorical(100)]).fit(&Dataset::new(records.clone(), targets)).unwrap();
    let mean = forest.predict(&records);
    assert!(mean[93] > 0.4, "{}", mean[93]);
    assert!(mean.iter().enumerate().all(|(row, &m)| row % 100 == 93 || m < 0.35));
}

#[test]
fn variance_grows_away_from_the_data() {
    let records = Array2::from_shape_fn((100, 1), |(row, _)| if row < 50 { row as f64 } else { row as f64 + 100.0 });
    let targets = records.column(0).mapv(|x| (x / 10.0).sin() * 0.1 + if x > 75.0 { 5.0 } else { 0.0 });
    let forest = ForestParams::new(vec![FeatureKind::Continuous]).fit(&Dataset::new(records, targets)).unwrap();
    let (_, variance) = forest.predict_with_variance(&ndarray::arr2(&[[25.0], [100.0], [175.0]]).view());
    assert!(variance[1] > 10.0 * variance[0] && variance[1] > 10.0 * variance[2], "{variance}");
}

#[test]
fn refuses_bad_data() {
    let fit = |records: Array2<f64>, targets: Array1<f64>, kinds: Vec<FeatureKind>| {
        ForestParams::new(kinds).fit(&Dataset::new(records, targets)).map(|_| ()).unwrap_err()
    };
    let one = || vec![FeatureKind::Continuous];
    let error = fit(Array2::zeros((0, 1)), Array1::zeros(0), one());
    assert!(matches!(error, ForestError::Empty { rows: 0, columns: 1 }));
    assert!(matches!(fit(Array2::zeros((3, 2)), Array1::zeros(3), one()), ForestError::Kinds { .. }));
    let error = fit(Array2::from_elem((2, 1), f64::NAN), Array1::zeros(2), one());
    assert!(matches!(error, ForestError::Feature { row: 0, column: 0, .. }));
    let error = fit(Array2::from_elem((2, 1), 2.0), Array1::zeros(2), vec![FeatureKind::Categorical(2)]);
    assert!(matches!(error, ForestError::Feature { .. }));
    assert!(matches!(fit(Array2::zeros((1, 1)), Array1::from_elem(1, 1e200), one()), ForestError::Target { .. }));
    let weighted = Dataset::new(Array2::zeros((2, 1)), Array1::zeros(2)).with_weights(Array1::ones(2));
    assert!(matches!(ForestParams::new(one()).fit(&weighted), Err(ForestError::Weights)));
    let params = ForestParams::new(one()).variance_floor(0.0);
    assert!(matches!(
        params.fit(&Dataset::new(Array2::zeros((2, 1)), Array1::zeros(2))),
        Err(ForestError::Parameter(_))
    ));
}
