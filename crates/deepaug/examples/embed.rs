//! A search over images that are already in memory:
//!
//!     cargo run --release --example embed

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it found")]

use deepaug::{Config, Dataset, Error, Model, Study};

fn main() -> Result<(), Error> {
    // Any images will do: `Dataset::new` takes u8 pixels `[N, H, W, C]`, labels and class names.
    let dataset = Dataset::sample();
    let config = Config {
        iters: 3,
        child_epochs: 5.into(),
        model: Model::TinyCnn,
        data: "in-memory".into(),
        ..Config::default()
    };
    let study = Study::builder(config).dataset(&dataset).create()?;
    let result = study.run(&|event| eprintln!("{event}"))?;
    println!("{}\n{}", result.best.policy, result.verdict);
    Ok(())
}
