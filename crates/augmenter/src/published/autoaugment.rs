//! The policies found by AutoAugment (Cubuk et al. 2019, tables 7 to 9): one line per sub-policy, with an op's
//! name in the paper, its probability in tenths and its level out of 10. `benches/peers/published.py` compares
//! them with torchvision's.

use crate::{Op, Step, SubPolicy};

pub(super) const CIFAR10: &str = "\
    Invert 1 0, Contrast 2 6\n\
    Rotate 7 2, TranslateX 3 9\n\
    Sharpness 8 1, Sharpness 9 3\n\
    ShearY 5 8, TranslateY 7 9\n\
    AutoContrast 5 0, Equalize 9 0\n\
    ShearY 2 7, Posterize 3 7\n\
    Color 4 3, Brightness 6 7\n\
    Sharpness 3 9, Brightness 7 9\n\
    Equalize 6 0, Equalize 5 0\n\
    Contrast 6 7, Sharpness 6 5\n\
    Color 7 7, TranslateX 5 8\n\
    Equalize 3 0, AutoContrast 4 0\n\
    TranslateY 4 3, Sharpness 2 6\n\
    Brightness 9 6, Color 2 8\n\
    Solarize 5 2, Invert 0 0\n\
    Equalize 2 0, AutoContrast 6 0\n\
    Equalize 2 0, Equalize 6 0\n\
    Color 9 9, Equalize 6 0\n\
    AutoContrast 8 0, Solarize 2 8\n\
    Brightness 1 3, Color 7 0\n\
    Solarize 4 5, AutoContrast 9 0\n\
    TranslateY 9 9, TranslateY 7 9\n\
    AutoContrast 9 0, Solarize 8 3\n\
    Equalize 8 0, Invert 1 0\n\
    TranslateY 7 9, AutoContrast 9 0\n\
";

pub(super) const SVHN: &str = "\
    ShearX 9 4, Invert 2 0\n\
    ShearY 9 8, Invert 7 0\n\
    Equalize 6 0, Solarize 6 6\n\
    Invert 9 0, Equalize 6 0\n\
    Equalize 6 0, Rotate 9 3\n\
    ShearX 9 4, AutoContrast 8 0\n\
    ShearY 9 8, Invert 4 0\n\
    ShearY 9 5, Solarize 2 6\n\
    Invert 9 0, AutoContrast 8 0\n\
    Equalize 6 0, Rotate 9 3\n\
    ShearX 9 4, Solarize 3 3\n\
    ShearY 8 8, Invert 7 0\n\
    Equalize 9 0, TranslateY 6 6\n\
    Invert 9 0, Equalize 6 0\n\
    Contrast 3 3, Rotate 8 4\n\
    Invert 8 0, TranslateY 0 2\n\
    ShearY 7 6, Solarize 4 8\n\
    Invert 6 0, Rotate 8 4\n\
    ShearY 3 7, TranslateX 9 3\n\
    ShearX 1 6, Invert 6 0\n\
    Solarize 7 2, TranslateY 6 7\n\
    ShearY 8 4, Invert 8 0\n\
    ShearX 7 9, TranslateY 8 3\n\
    ShearY 8 5, AutoContrast 7 0\n\
    ShearX 7 2, Invert 1 0\n\
";

pub(super) const IMAGENET: &str = "\
    Posterize 4 8, Rotate 6 9\n\
    Solarize 6 5, AutoContrast 6 0\n\
    Equalize 8 0, Equalize 6 0\n\
    Posterize 6 7, Posterize 6 6\n\
    Equalize 4 0, Solarize 2 4\n\
    Equalize 4 0, Rotate 8 8\n\
    Solarize 6 3, Equalize 6 0\n\
    Posterize 8 5, Equalize 10 0\n\
    Rotate 2 3, Solarize 6 8\n\
    Equalize 6 0, Posterize 4 6\n\
    Rotate 8 8, Color 4 0\n\
    Rotate 4 9, Equalize 6 0\n\
    Equalize 0 0, Equalize 8 0\n\
    Invert 6 0, Equalize 10 0\n\
    Color 6 4, Contrast 10 8\n\
    Rotate 8 8, Color 10 2\n\
    Color 8 8, Solarize 8 7\n\
    Sharpness 4 7, Invert 6 0\n\
    ShearX 6 5, Equalize 10 0\n\
    Color 4 0, Equalize 6 0\n\
    Equalize 4 0, Solarize 2 4\n\
    Solarize 6 5, AutoContrast 6 0\n\
    Invert 6 0, Equalize 10 0\n\
    Color 6 4, Contrast 10 8\n\
    Equalize 8 0, Equalize 6 0\n\
";

/// Reads a table.
pub(super) fn read(table: &str) -> Vec<SubPolicy> {
    table.lines().map(|line| SubPolicy { ops: line.split(", ").map(step).collect() }).collect()
}

fn step(words: &str) -> Step {
    let mut words = words.split(' ');
    let name = words.next().unwrap_or_default();
    let op = match name {
        "TranslateX" => Op::TranslateXNearest,
        "TranslateY" => Op::TranslateYNearest,
        "Rotate" => Op::RotateNearest,
        "Color" => Op::Saturation,
        name => name.parse().expect("the tables have known ops"),
    };
    let mut tenths =
        || words.next().and_then(|word| word.parse::<f64>().ok()).expect("the tables have two numbers") / 10.0;
    let probability = tenths();
    Step { op, probability, magnitude: tenths() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_25_sub_policies_of_two_ops() {
        for table in [CIFAR10, SVHN, IMAGENET] {
            let sub_policies = read(table);
            assert_eq!(sub_policies.len(), 25);
            assert!(sub_policies.iter().all(|sub_policy| sub_policy.ops.len() == 2));
        }
        let first = &read(CIFAR10)[1].ops;
        assert_eq!(first[0], Step { op: Op::RotateNearest, probability: 0.7, magnitude: 0.2 });
        assert_eq!(first[1], Step { op: Op::TranslateXNearest, probability: 0.3, magnitude: 0.9 });
    }
}
