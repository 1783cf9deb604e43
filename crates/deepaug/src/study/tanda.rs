//! A generator of sequences that learns before anything is tried (TANDA), and what comes of it: policies.

use std::path::Path;
use std::time::Instant;

use deepaug_augmenter::{Op, Piece, Policy, RangeTable};
use deepaug_generative::tanda::{self, Kind, Learnt, Settings, StepRecord};
use ndarray::ArrayView4;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::config::{Config, TandaGenerator};
use crate::error::Error;
use crate::files::{write_json, write_table};
use crate::generative::device;
use crate::layout;
use crate::rng::{Purpose, derive};
use crate::study::core::Core;
use crate::study::event::Event;
use crate::study::journal::Entry;
use crate::study::objective::Objective;
use crate::study::write_schedule;

/// What is tried after it has learnt: a scheme that needs no search, and the three [candidates].
pub(crate) const CANDIDATES: u64 = 4;

/// Sequences of a policy, of which every image gets one.
const SEQUENCES: usize = 100;

/// Images are transformed until the last fifteenth of a training, and then as they are: epochs 140 to 150 of the authors'
/// script for CIFAR-10.
const TRANSFORMED: usize = 14;

/// Every so many batches it is told how it learns: a batch takes a tenth of a second or two.
const TOLD: usize = 10;

/// What is known about the generator, once it has learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taught {
    pub(crate) seconds: f64,
    pub(crate) learnt: Learnt,
}

impl Taught {
    /// Writes the generator and its table.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        write_json(&folder.join(layout::GENERATOR), &Learnt { steps: Vec::new(), ..self.learnt.clone() })?;
        let names = names(&self.learnt);
        let head: Vec<&str> = ["step", "discriminator_loss", "loss", "entropy"]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .collect();
        let rows = self.learnt.steps.iter().map(|step| {
            let loss = step.loss.map_or_else(String::new, |loss| loss.to_string());
            let cells = [step.step.to_string(), step.discriminator_loss.to_string(), loss, step.entropy.to_string()];
            cells.into_iter().chain(step.probabilities.iter().map(f64::to_string)).collect()
        });
        write_table(&folder.join(layout::TANDA), &head, rows)
    }
}

/// Returns the functions by name, such as `rotate 0.63`.
pub(crate) fn names(learnt: &Learnt) -> Vec<String> {
    learnt.functions.iter().map(|step| format!("{} {:.2}", step.op, step.magnitude)).collect()
}

/// Puts the authors' functions into a configuration that names none, for images with or without colour. Its ops are then those
/// of its functions.
pub(crate) fn choose_functions(config: &mut Config, has_colour: bool) {
    if config.tanda_functions.is_empty() {
        config.tanda_functions = tanda::functions(has_colour);
        config.ranges = RangeTable::Tanda;
    }
    let is_used = |op: &Op| config.tanda_functions.iter().any(|step| step.op == *op);
    config.ops = Op::ALL.into_iter().filter(is_used).collect();
}

/// Returns the settings of a study's configuration.
fn settings(config: &Config) -> Settings {
    Settings {
        length: config.tanda_length,
        generator: match config.tanda_generator {
            TandaGenerator::MeanField => Kind::MeanField,
            TandaGenerator::Lstm => Kind::Lstm,
            TandaGenerator::Gru => Kind::Gru,
        },
        steps: config.tanda_steps,
        batch: config.tanda_batch,
        sequences: config.tanda_sequences,
        warm_up: config.tanda_warm_up,
        generator_learning_rate: config.tanda_learning_rate,
        discriminator_learning_rate: config.tanda_discriminator_learning_rate,
        lambda: config.tanda_lambda,
        ..Settings::small(config.tanda_functions.clone(), config.ranges)
    }
}

/// Trains the generator on the images of the first sample, unless that has been done, and returns the policies to try.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::Study`] if it diverged; errors of files.
pub(crate) fn train(
    folder: &Path,
    core: &mut Core,
    objective: &Objective,
    cancel: &Cancel,
    emit: &dyn Fn(&Event),
) -> Result<Vec<Policy>, Error> {
    let config = core.config().clone();
    if core.ledger().taught().is_none() {
        let (settings, begun) = (settings(&config), Instant::now());
        let steps = settings.warm_up + settings.steps;
        let mut hear = |record: &StepRecord| {
            let left = begun.elapsed().div_f64(record.step as f64).mul_f64((steps - record.step) as f64);
            let (step, entropy) = (record.step, record.entropy);
            if step.is_multiple_of(TOLD) || step == steps {
                emit(&Event::TandaStep { steps, step, loss: record.discriminator_loss, entropy, left: Some(left) });
            }
            !cancel.is_cancelled()
        };
        let seed = derive(config.seed, Purpose::Tanda, 0);
        let learn =
            |images: ArrayView4<'_, u8>| tanda::train(images, &settings, device(config.device), seed, &mut hear);
        let learnt = objective.with_training_images(learn).map_err(|error| match error {
            deepaug_generative::Error::Stopped => Error::Interrupted { path: folder.into() },
            error => Error::study(folder, format!("the generator could not be trained: {error}")),
        })?;
        core.note(Entry::Taught(Taught { seconds: begun.elapsed().as_secs_f64(), learnt }))?;
    }
    let Some(taught) = core.ledger().taught() else { return Err(Error::Interrupted { path: folder.into() }) };
    taught.write(folder)?;
    let candidates = candidates(&taught.learnt, &config);
    let (end, steps) = (taught.learnt.end, taught.learnt.steps.len());
    emit(&Event::TandaEnded { steps, why: ending(end).into(), likeliest: likeliest(&taught.learnt) });
    write_schedule(folder, &candidates[0], &config)?;
    Ok(candidates)
}

/// Returns why learning ended, in words.
pub(crate) fn ending(end: tanda::End) -> &'static str {
    match end {
        tanda::End::Steps => "after all steps",
        tanda::End::Decided => "when it had nearly decided for a few functions",
        tanda::End::Lost => "when the discriminator saw through everything, so that it could learn no more",
    }
}

/// Returns the three likeliest functions, with how likely they are.
fn likeliest(learnt: &Learnt) -> Vec<(String, f64)> {
    let last = learnt.steps.last().map(|step| step.probabilities.clone()).unwrap_or_default();
    let mut all: Vec<(String, f64)> = names(learnt).into_iter().zip(last).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.truncate(3);
    all
}

/// Returns the generator's sequences until the last epochs, its sequences in all epochs, and sequences in which every
/// function is equally likely until the last epochs.
fn candidates(learnt: &Learnt, config: &Config) -> Vec<Policy> {
    let taught = learnt.policy(SEQUENCES, derive(config.seed, Purpose::Tanda, 1));
    vec![until_the_last(taught.clone()), taught, random_policy(config)]
}

/// Returns sequences in which every function is equally likely, until the last epochs.
pub(crate) fn random_policy(config: &Config) -> Policy {
    let mut config = config.clone();
    choose_functions(&mut config, true);
    let Config { tanda_functions, ranges, tanda_length, .. } = &config;
    let seed = derive(config.seed, Purpose::Tanda, 1);
    until_the_last(tanda::untaught_policy(tanda_functions, *ranges, *tanda_length, SEQUENCES, seed))
}

fn until_the_last(policy: Policy) -> Policy {
    let none = Policy { in_place: true, ..Policy::none(policy.ranges) };
    let pieces = [(TRANSFORMED, policy), (1, none.clone())];
    Policy::schedule(pieces.map(|(epochs, policy)| Piece { epochs, policy }).to_vec()).unwrap_or(none)
}
