//! Runs searches on functions with known optima, and serves the same functions to programs in other languages.

mod function;
mod policy;
mod real;
mod run;
mod schemes;
mod serve;
mod speed;
mod synthetic;

use std::error::Error;

use clap::{Parser, Subcommand};
use deepaug_controller::SpaceError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::function::{Descent, Function, Measured, lowest};

/// The families of functions.
const FUNCTIONS: [&str; 8] =
    ["fashion-mnist", "cifar10", "policies", "policy", "slots", "learners", "valley", "categories"];

/// Creates the instance of a family with a seed.
fn instance(name: &str, seed: u64) -> Result<Measured, Box<dyn Error>> {
    Ok(Measured::new(function(name, seed)?, seed))
}

fn function(name: &str, seed: u64) -> Result<Box<dyn Function>, Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let function: Result<Box<dyn Function>, SpaceError> = match name {
        "fashion-mnist" => real::Real::fashion_mnist().map(|f| Box::new(f) as _),
        "cifar10" => real::Real::cifar10().map(|f| Box::new(f) as _),
        "policies" => policy::Policies::new(5, &mut rng).map(|f| Box::new(f) as _),
        "policy" => policy::Policies::new(1, &mut rng).map(|f| Box::new(f) as _),
        "slots" => synthetic::Slots::new(&mut rng).map(|f| Box::new(f) as _),
        "learners" => synthetic::Learners::new(&mut rng).map(|f| Box::new(f) as _),
        "valley" => synthetic::Valley::new(&mut rng).map(|f| Box::new(f) as _),
        "categories" => synthetic::Categories::new(&mut rng).map(|f| Box::new(f) as _),
        _ => return Err(format!("unknown function `{name}`; known are {}", FUNCTIONS.join(", ")).into()),
    };
    Ok(function?)
}

/// Functions with known optima and noise, and searches on them.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Searches, and prints the regret of the recommended point after every tenth evaluation, as CSV.
    Run(run::Run),
    /// Searches among simulated augmentation schemes, like a search without a configuration.
    Schemes(schemes::Schemes),
    /// Times one ask and tell, as CSV.
    Speed(speed::Speed),
    /// Searches long for the lowest cost of a function, and prints it.
    Lowest {
        /// The family of functions.
        function: String,
    },
    /// Answers requests from standard input on standard output, one line each: first the space as JSON; then, for
    /// `measure` and a number for each parameter, a noisy cost; for `regret` and the numbers, the regret without
    /// noise.
    Serve {
        /// The family of functions.
        function: String,
        /// The instance.
        seed: u64,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Run(run) => run.run(),
        Command::Schemes(schemes) => schemes.run(),
        Command::Speed(speed) => speed.run(),
        Command::Lowest { function: family } => {
            let descent = Descent { starts: 30, pairs: true };
            println!("{}", lowest(&*self::function(&family, 0)?, 0, descent));
            Ok(())
        }
        Command::Serve { function, seed } => serve::serve(instance(&function, seed)?),
    }
}
