use super::keys::{line_of_key, names};
use super::*;
use crate::config::OverfitMeasure;

#[test]
fn every_key_is_documented_and_every_document_has_a_key() {
    let values = toml::Table::try_from(Config::default()).unwrap();
    let mut documented: Vec<_> = names().collect();
    documented.sort_unstable();
    let mut fields: Vec<String> = Vec::new();
    for (key, value) in &values {
        match value.as_table() {
            Some(table) => fields.extend(table.keys().map(|inner| format!("{key}.{inner}"))),
            None => fields.push(key.clone()),
        }
    }
    fields.sort_unstable();
    assert_eq!(documented, fields);
}

#[test]
fn what_is_printed_reads_back_the_same() {
    for config in [Config::default(), Config { seed: 7, ..Config::quickstart() }] {
        assert_eq!(Config::parse(&config.documented()).unwrap(), config);
    }
}

#[test]
fn a_net_of_layers_and_an_optimiser_are_read() {
    let config = Config::parse(
        "optimizer = \"sgd\"\nweight_decay = 5e-4\nschedule = \"cosine\"\n\
         [child]\nlayers = [{ kind = \"conv\", filters = 4 }, { kind = \"global-average\" }]",
    )
    .unwrap();
    assert_eq!(config.model.layers().len(), 2);
    assert_eq!(config.optimiser().learning_rate, 0.05);
    assert_eq!(Config::parse(&config.documented()).unwrap(), config);
    let wide = Config::parse("model = \"wrn_16_2\"").unwrap();
    assert_eq!((wide.optimiser().rule, wide.optimiser().clip_norm), (Rule::Adam, 1.0));
}

#[test]
fn ops_are_chosen_by_family_and_category() {
    let ops = |text: &str| Config::parse(text).unwrap().ops;
    assert_eq!(ops("").len(), 20);
    assert_eq!(ops("ops = \"all\"").len(), 40);
    assert_eq!(ops("ops = [\"deepaugment\", \"autoaugment\"]").len(), 35);
    assert_eq!(ops("ranges = \"randaugment\"\nops = \"autoaugment\"\nexclude = [\"samplepairing\"]").len(), 15);
    assert_eq!(ops("ops = [\"weather\", \"rotate\"]"), [Op::Fog, Op::Clouds, Op::Rotate]);
    let config = Config::parse("exclude = [\"geometric\", \"invert\"]").unwrap();
    assert_eq!(config.ops.len(), 12);
    assert_eq!(Config::parse(&config.documented()).unwrap(), config);
}

#[test]
fn the_file_of_defaults_holds_the_defaults() {
    let text = include_str!("../../../../configs/deepaugment.toml");
    // Except for DeepAugment's own measure of overfitting, which depends on how strong a policy is.
    let deepaugment = Config { overfit_measure: OverfitMeasure::DeepAugment, ..Config::default() };
    assert_eq!(Config::parse(text).unwrap(), deepaugment);
    for key in names() {
        assert!(line_of_key(text, key).is_some(), "{key} is not in configs/deepaugment.toml");
    }
}

#[test]
fn values_that_need_one_another_can_be_set_together() {
    let config = Config::quickstart();
    let pairs =
        ["method=pba", "space=policies", "augment=online", "sizes=given", "child_epochs=5", "early_stopping=off"];
    assert_eq!(config.with_all(pairs).unwrap().check().unwrap().method.name(), "pba");
    let message = |pairs: &[&str]| config.with_all(pairs.iter().copied()).unwrap_err().to_string();
    assert_eq!(message(&["opt_samples=2", "keep=9"]), "keep: must be at most candidates, which is 4");
    assert!(message(&["method=pba", "opt_samples=2"]).starts_with("space: must be \"policies\""));
    assert!(
        message(&["opt_samples=two", "seed=1"]).starts_with("opt_samples: "),
        "{}",
        message(&["opt_samples=two", "seed=1"])
    );
    assert_eq!(config.with_all([]).unwrap(), config);
}

#[test]
fn the_other_files_are_valid() {
    let paper = Config::parse(include_str!("../../../../configs/autoaugment.toml")).unwrap().check().unwrap();
    let space = crate::PolicySpace::new(&paper).space().unwrap();
    // 16 ops, 11 probabilities and 10 magnitudes for each of ten places.
    assert_eq!(space.parameters().len(), 30);
    assert_eq!(paper.ops.len(), 16);
    let few = Config::parse(include_str!("../../../../configs/autoaugment-small.toml")).unwrap().check().unwrap();
    assert_eq!(crate::PolicySpace::new(&few).space().unwrap().parameters().len(), 30);
    let fast = Config::parse(include_str!("../../../../configs/fast-autoaugment.toml")).unwrap().check().unwrap();
    assert_eq!(fast.objective, crate::ObjectiveKind::Density);
    for (policies, text) in [
        (8, include_str!("../../../../configs/adversarial.toml")),
        (4, include_str!("../../../../configs/adversarial-small.toml")),
    ] {
        let adversarial = Config::parse(text).unwrap().check().unwrap();
        assert_eq!((adversarial.method.name(), adversarial.adversarial_policies), ("adversarial", policies));
    }
    #[cfg(feature = "generative")]
    for (generator, text) in [
        (crate::TandaGenerator::Gru, include_str!("../../../../configs/tanda.toml")),
        (crate::TandaGenerator::MeanField, include_str!("../../../../configs/tanda-small.toml")),
    ] {
        let tanda = Config::parse(text).unwrap().check().unwrap();
        assert_eq!((tanda.method.name(), tanda.tanda_generator), ("tanda", generator));
    }
    for (name, text) in [
        ("uncertain", include_str!("../../../../configs/uncertain.toml")),
        ("entropy", include_str!("../../../../configs/entropy.toml")),
    ] {
        let config = Config::parse(text).unwrap().check().unwrap();
        assert_eq!(serde_json::to_value(config.augment).unwrap(), name);
        assert!(!config.strategy().is_plain());
    }
    for (width, text) in [
        (32, include_str!("../../../../configs/patch.toml")),
        (8, include_str!("../../../../configs/patch-small.toml")),
    ] {
        let patch = Config::parse(text).unwrap().check().unwrap();
        assert_eq!((patch.translator, patch.translator_width), (crate::Translator::Cyclegan, width));
    }
    for text in [include_str!("../../../../configs/pba.toml"), include_str!("../../../../configs/pba-small.toml")] {
        let population = Config::parse(text).unwrap().check().unwrap();
        // Fifteen ops, as in the paper.
        assert_eq!((population.method.name(), population.ops.len()), ("pba", 15));
    }
}

#[test]
fn wrong_values_are_refused_by_line_and_key() {
    let error = |text: &str| Config::parse(text).unwrap_err().to_string();
    assert_eq!(error("seed = 2\niters = 0"), "line 2: iters: must be at least 1");
    assert!(error("portion = 1.5").starts_with("line 1: portion: must be above 0"));
    assert!(error("portion = \"all\"").contains("line 1: portion: must be a number"));
    assert!(error("op_probability = \"often\"").contains("line 1: op_probability: must be a number"));
    assert!(error("method = \"pppo\"").contains("line 1: method: unknown variant `pppo`"));
    assert!(
        error("iters = 3\nchild.layers = [{ kind = \"conv\", filters = \"x\" }]").contains("line 2: child.layers[0]")
    );
    for (key, value) in [("translator_width", "6"), ("translator_cycle", "-1.0"), ("patch_consistency", "nan")] {
        assert!(error(&format!("{key} = {value}")).starts_with(&format!("line 1: {key}: must ")));
    }
    assert!(error("ops = [\"rotat\"]").contains("rotate"), "{}", error("ops = [\"rotat\"]"));
    assert!(error("ops = \"geometrik\"").contains("`geometric`"), "{}", error("ops = \"geometrik\""));
    assert!(error("ops = [\"fog\"]\nexclude = \"weather\"").contains("line 2: exclude: must leave"));
    assert!(error("ranges = \"autoaugment\"\nops = [\"rotate\"]").contains("do not have rotate"));
    assert!(error("model = \"wrn_41_2\"").contains("multiple of 6"));
    assert!(error("model = \"resnet\"").contains("basiccnn"));
    assert!(error("learning_rate = -1.0").contains("learning_rate: must be above 0"));
    assert!(error("learning_rate = \"fast\"").contains("or \"auto\""));
    assert_eq!(
        error("child_epochs = \"many\""),
        "line 1: child_epochs: invalid type: string \"many\", expected a whole number; or \"auto\""
    );
    assert!(error("child_epochs = \"auto\"\nchild.command = [\"train\"]").contains("child_epochs: must be a number"));
    assert!(error("mixup = 0.2\nchild.command = [\"train\"]").contains("line 1: mixup: is left to the program"));
    assert!(error("model = \"layers\"").contains("child.layers has none"));
    assert!(error("iters = \n").starts_with("line 1: "));
    assert!(error("[child]\nepochs = 3").contains("unknown field `epochs`"));
    assert!(error("child.layers = [{ kind = \"convolution\" }]").contains("conv"));
    assert!(error("opt_samples = 1000000000000").contains("opt_samples: must be at most 1000"));
    for name in ["/tmp/n.csv", "../n.csv", "journal.jsonl", ""] {
        assert!(error(&format!("notebook_path = {name:?}")).contains("a file of its own"), "{name}");
    }
    assert!(error("overfit_tolerance = nan").contains("overfit_tolerance"));
}
