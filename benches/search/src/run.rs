//! One search on one function, and many.

use std::error::Error;
use std::time::Instant;

use clap::Args;
use deepaug_controller::{Domain, Method, Outcome, Parameter, Settings, Space, SpaceError, searcher};
use rayon::prelude::*;

use crate::instance;

#[derive(Args)]
pub struct Run {
    /// Families of functions, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    function: Vec<String>,
    /// The search method.
    #[arg(long, default_value = "bayesian_optimization")]
    method: Method,
    /// The method's label in the output; defaults to its name.
    #[arg(long)]
    label: Option<String>,
    /// Settings that differ from the defaults, as JSON.
    #[arg(long, default_value = "{}")]
    settings: String,
    /// Seeds, from 0.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Evaluations per search.
    #[arg(long, default_value_t = 300)]
    evaluations: u64,
    /// Hide from the method which choices of different parameters are the same, and which groups are exchangeable.
    #[arg(long)]
    alone: bool,
    /// Print the median regret at 50, 100, 150, 200 and 300 evaluations instead.
    #[arg(long)]
    summary: bool,
}

impl Run {
    #[allow(clippy::print_stdout)]
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        let label = self.label.clone().unwrap_or_else(|| self.method.to_string());
        let settings: Settings = serde_json::from_str(&self.settings)?;
        if !self.summary {
            println!("function,method,seed,evaluations,regret,seconds");
        }
        for function in &self.function {
            let start = Instant::now();
            let searches = (self.first..self.first + self.seeds)
                .into_par_iter()
                .map(|seed| self.search(function, settings.clone(), seed).map_err(|error| error.to_string()))
                .collect::<Result<Vec<_>, String>>()?;
            if self.summary {
                let median = |evaluations: usize| {
                    let mut regrets: Vec<f64> = searches.iter().map(|rows| rows[evaluations / 10 - 1].0).collect();
                    regrets.sort_by(f64::total_cmp);
                    let n = regrets.len();
                    0.5 * (regrets[n / 2] + regrets[(n - 1) / 2])
                };
                let marks: Vec<usize> =
                    [50, 100, 150, 200, 300].into_iter().filter(|&at| at as u64 <= self.evaluations).collect();
                let medians: Vec<String> = marks.iter().map(|&at| format!("{:.4}", median(at))).collect();
                println!("{function:11} {label:16} {}  {:.0?}", medians.join(" "), start.elapsed());
                continue;
            }
            for (seed, rows) in (self.first..).zip(searches) {
                for (index, (regret, seconds)) in rows.into_iter().enumerate() {
                    println!("{function},{label},{seed},{},{regret:.6},{seconds:.3}", 10 * (index + 1));
                }
            }
        }
        Ok(())
    }

    /// Returns the regret of the recommended point and the seconds spent in the searcher, after every tenth
    /// evaluation.
    fn search(&self, function: &str, settings: Settings, seed: u64) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
        let mut measured = instance(function, seed)?;
        let space = measured.function.space().clone();
        let space = if self.alone { alone(space)? } else { space };
        let mut searcher = searcher(self.method, space, settings, seed)?;
        let mut rows = Vec::new();
        let mut seconds = 0.0;
        for trial in 0..self.evaluations {
            let start = Instant::now();
            let point = searcher.ask(trial)?;
            let cost = measured.measure(&point);
            searcher.tell(trial, Outcome::Cost(cost))?;
            seconds += start.elapsed().as_secs_f64();
            if trial % 10 == 9 {
                let best = searcher.incumbent()?.ok_or("no trial has a cost")?;
                let finished = searcher.finished();
                let (_, point, _) = finished.iter().find(|(trial, ..)| *trial == best).ok_or("unknown incumbent")?;
                rows.push((measured.regret(point), seconds));
            }
        }
        Ok(rows)
    }
}

/// Returns the space with different names for the choices of each parameter, and no exchangeable groups.
fn alone(space: Space) -> Result<Space, SpaceError> {
    let mut parameters: Vec<Parameter> = space.into();
    for Parameter { name, domain, place, .. } in &mut parameters {
        *place = None;
        if let Domain::Categorical { choices } = domain {
            choices.iter_mut().for_each(|choice| *choice = format!("{name} {choice}"));
        }
    }
    parameters.try_into()
}
