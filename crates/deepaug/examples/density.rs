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
use deepaug::{Config, Device, DeviceChoice, Fold, Net, Online, Policy, Split, Training, ValidConfig, read_data};

/// Children, each with its own split, and augmented copies of each validation image.
const CHILDREN: u64 = 3;
const COPIES: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "| study | policies | Spearman, all | Spearman, better half | of the best 5, in the better half by density |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for study in std::env::args().skip(1) {
        let study = Path::new(&study);
        let config = Config::read(&study.join("study.toml"))?.check()?;
        let policies = rewards(&study.join("notebook.csv"))?;
        let densities = densities(&config, &policies)?;
        let mut pairs: Vec<(f64, f64)> = policies.iter().map(|(_, reward)| *reward).zip(densities).collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let median = {
            let mut sorted: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        let kept = pairs.iter().take(5).filter(|pair| pair.1 >= median).count();
        println!(
            "| {} | {} | {:+.2} | {:+.2} | {kept} |",
            study.file_name().unwrap_or_default().to_string_lossy(),
            pairs.len(),
            correlation(&pairs),
            correlation(&pairs[..pairs.len() / 2]),
        );
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

/// Returns the accuracy of children trained without a policy on validation images augmented by each policy.
fn densities(config: &ValidConfig, policies: &[(Policy, f64)]) -> Result<Vec<f64>, Box<dyn Error>> {
    let dataset = read_data(config, &|_, _| ())?;
    let none = Policy::none(Default::default());
    let settings = config.settings();
    let online = Online { chance: 1.0, pad: 0.0, flip: false, cutout: 0.0 };
    let mut sums = vec![0.0; policies.len()];
    for seed in 0..CHILDREN {
        let split = Split::draw(&dataset, config.split_sizes(), seed)?;
        let fold = Fold::new(&dataset, &split.train, &split.validation);
        let set = fold.set(dataset.classes().len());
        let others = set.validation_images;
        let training = Training::new(set, &none, &settings, seed);
        let net = Net::new(config.model.clone(), Device::open(DeviceChoice::Cpu)?);
        let augmented =
            policies.iter().flat_map(|(policy, _)| (0..COPIES).map(|copy| online.images(policy, others, copy)));
        let accuracies = net.accuracies(&training, augmented)?;
        sums.iter_mut().zip(accuracies.chunks(COPIES as usize)).for_each(|(sum, of)| *sum += of.iter().sum::<f64>());
    }
    Ok(sums)
}

/// Returns Spearman's correlation; 0 if there is nothing to rank.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let (rewards, densities): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    RankCorrelation::of(&rewards, &densities).map_or(0.0, |found| found.rho)
}
