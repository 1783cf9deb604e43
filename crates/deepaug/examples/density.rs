//! Can children trained without a policy judge policies? For each study, prints the rank correlation of its
//! policies' rewards with the accuracy of such children on validation images augmented by the policy (density
//! matching: S. Lim et al., Fast AutoAugment, NeurIPS 2019):
//!
//!     cargo run --release --example density STUDY...

#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use deepaug::statistics::RankCorrelation;
use deepaug::{
    Application, ChildModel, Config, Device, DeviceChoice, Fold, Net, Online, Policy, Split, Strategy, Training,
    ValidConfig, read_data,
};

/// Children, each with its own split, and augmented copies of each validation image.
const CHILDREN: u64 = 3;
const COPIES: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "| study | policies | counted | Spearman, all | Spearman, better half | of the best 5, in the better half by density |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for study in std::env::args().skip(1) {
        let study = Path::new(&study);
        let config = Config::read(&study.join("study.toml"))?.check()?;
        let policies = rewards(&study.join("notebook.csv"))?;
        let name = study.file_name().unwrap_or_default().to_string_lossy();
        let of = |which: usize, densities: &[[f64; 2]]| -> Vec<f64> { densities.iter().map(|of| of[which]).collect() };
        let densities = densities(&config, &policies)?;
        for (which, counted) in ["mean", "any"].into_iter().enumerate() {
            let densities = of(which, &densities);
            let mut pairs: Vec<(f64, f64)> = policies.iter().map(|(_, reward)| *reward).zip(densities).collect();
            pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
            let median = {
                let mut sorted: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
                sorted.sort_by(f64::total_cmp);
                sorted[sorted.len() / 2]
            };
            let kept = pairs.iter().take(5).filter(|pair| pair.1 >= median).count();
            println!(
                "| {name} | {} | {counted} | {:+.2} | {:+.2} | {kept} |",
                pairs.len(),
                correlation(&pairs),
                correlation(&pairs[..pairs.len() / 2]),
            );
        }
    }
    Ok(())
}

/// Returns the policies of a study, except none, and the reward of the first sample of each, whose seed is the
/// same for all.
fn rewards(notebook: &Path) -> Result<Vec<(Policy, f64)>, Box<dyn Error>> {
    let mut found = BTreeMap::new();
    for row in csv::Reader::from_path(notebook)?.deserialize() {
        let row: BTreeMap<String, String> = row?;
        let of = |column: &str| row.get(column).map(String::as_str).unwrap_or_default();
        if of("sample_no") == "0" && of("trial_no") != "0" && of("failed").is_empty() {
            let trial: u64 = of("trial_no").parse()?;
            found.insert(trial, (serde_json::from_str(of("policy"))?, of("top_k_val_acc").parse()?));
        }
    }
    Ok(found.into_values().collect())
}

/// Returns how many validation images, changed by each policy, children read right that were trained without one: by the share of
/// their copies that are right, and by whether any is.
fn densities(config: &ValidConfig, policies: &[(Policy, f64)]) -> Result<Vec<[f64; 2]>, Box<dyn Error>> {
    let dataset = read_data(config, &|_, _| ())?;
    let none = Policy::none(Default::default());
    let plain = Online { chance: 1.0, pad: 0.0, flip: false, cutout: 0.0 };
    let settings = deepaug::Settings { augment: Application::Online(plain), ..config.settings() };
    let settings = deepaug::Settings { strategy: Strategy::Plain, ..settings };
    let folder = tempfile::tempdir()?;
    let mut sums = vec![[0.0; 2]; policies.len()];
    for seed in 0..CHILDREN {
        let split = Split::draw(&dataset, config.split_sizes(), seed)?;
        let fold = Fold::new(&dataset, &split.train, &split.validation);
        let set = fold.set(dataset.classes().len());
        let (others, labels) = (set.validation_images, set.validation_labels);
        let training = Training::new(set, &none, &settings, seed);
        let net = Net::new(config.model.clone(), Device::open(DeviceChoice::Cpu)?);
        let weights = folder.path().join(seed.to_string());
        net.pretrain(&training, &weights, &|_| true)?;
        for ((policy, _), [mean, any]) in policies.iter().zip(&mut sums) {
            let mut right = vec![0u64; labels.len()];
            for copy in 0..COPIES {
                let logits = net.predict(&weights, &training, plain.images(policy, others, copy).view())?;
                for ((right, logits), &label) in right.iter_mut().zip(logits.outer_iter()).zip(labels) {
                    *right += u64::from(logits.iter().all(|&logit| logit <= logits[label]));
                }
            }
            *mean += right.iter().map(|&right| right as f64 / COPIES as f64).sum::<f64>();
            *any += right.iter().filter(|&&right| right > 0).count() as f64;
        }
    }
    Ok(sums)
}

/// Returns Spearman's correlation; 0 if there is nothing to rank.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let (rewards, densities): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    RankCorrelation::of(&rewards, &densities).map_or(0.0, |found| found.rho)
}
