//! Times an ask and its tell.

use std::error::Error;
use std::time::Instant;

use clap::Args;
use deepaug_controller::{Method, Outcome, Settings, searcher};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::instance;

#[derive(Args)]
pub struct Speed {
    /// The family of functions.
    #[arg(long, default_value = "policies")]
    function: String,
    /// The search method.
    #[arg(long, default_value = "bayesian_optimization")]
    method: Method,
    /// Settings that differ from the defaults, as JSON.
    #[arg(long, default_value = "{}")]
    settings: String,
    /// Numbers of known trials before the ask.
    #[arg(long, value_delimiter = ',', default_value = "100,300,1000,3000")]
    trials: Vec<u64>,
    /// Number of asks timed for each.
    #[arg(long, default_value_t = 20)]
    repeats: u64,
}

impl Speed {
    /// Prints the median milliseconds of asks, after random trials and one after another.
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        println!("function,method,trials,milliseconds");
        for &trials in &self.trials {
            let mut measured = instance(&self.function, 0)?;
            let mut settings: Settings = serde_json::from_str(&self.settings)?;
            (settings.initial_points, settings.random_interleave) = (0, 0.0);
            let space = measured.function.space().clone();
            let mut searcher = searcher(self.method, space.clone(), settings, 0)?;
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            for trial in 0..trials {
                let point = space.sample(&mut rng);
                searcher.observe(trial, point.clone(), Outcome::Cost(measured.measure(&point)))?;
            }
            let mut times = Vec::new();
            for trial in trials..trials + self.repeats {
                let start = Instant::now();
                let point = searcher.ask(trial)?;
                let asked = start.elapsed();
                let cost = measured.measure(&point);
                let start = Instant::now();
                searcher.tell(trial, Outcome::Cost(cost))?;
                times.push((asked + start.elapsed()).as_secs_f64());
            }
            times.sort_by(f64::total_cmp);
            println!("{},{},{trials},{:.2}", self.function, self.method, 1e3 * times[times.len() / 2]);
        }
        Ok(())
    }
}
