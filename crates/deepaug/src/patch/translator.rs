//! How an image is made to look like those of another subgroup: by nets that learn it, or as the user says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use deepaug_augmenter::{Online, Policy};
#[cfg(feature = "generative")]
use deepaug_child_model::TrainError;
use deepaug_dataset::Subgroups;
#[cfg(feature = "generative")]
use deepaug_generative::cyclegan::Translators;
use ndarray::{Array4, ArrayView4, Axis};
use serde::{Deserialize, Serialize};

use super::judges::Judged;
use crate::config::{Config, Translator};
use crate::error::{ConfigError, Error};
use crate::policies::read::Policies;
use crate::rng::{Purpose, derive};

/// How one batch of learning went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LearningStep {
    /// Its number, counted from 1.
    pub step: usize,
    /// What the generators minimise.
    pub loss: f64,
    /// The mean difference of images of each subgroup from their translation there and back, with pixels from -1 to 1.
    pub cycle: [f64; 2],
    /// The loss of each subgroup's discriminator: ln 2 if it cannot tell, 0 if it sees through everything.
    pub discriminators: [f64; 2],
}

/// How translators came about, and how good they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranslatorRecord {
    /// What they are.
    pub translator: Translator,
    /// How long it took, with their judges.
    pub seconds: f64,
    /// How they learnt, if they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<LearningStep>,
    /// What judges made of their translations, in the course of learning; the last is what they are now.
    pub judged: Vec<Judged>,
}

/// Translations into every subgroup.
pub(super) enum Translate {
    #[cfg(feature = "generative")]
    Learnt(Translators),
    Policies {
        policies: Vec<Policy>,
        seed: u64,
    },
    Program(Vec<String>),
}

impl Translate {
    /// Makes the translations that the user knows; nothing if they are to be learnt.
    pub(super) fn known(config: &Config) -> Result<Option<Self>, Error> {
        match config.translator {
            Translator::Cyclegan => Ok(None),
            Translator::Program => Ok(Some(Self::Program(config.translator_command.clone()))),
            Translator::Policy => {
                let read = |name: &String| match name.as_str() {
                    "none" => Ok(Policy::none(config.ranges)),
                    path => Ok(Policies::answer(Path::new(path), 1)?.policies.remove(0)),
                };
                let policies = config.translator_policies.iter().map(read).collect::<Result<_, Error>>()?;
                Ok(Some(Self::Policies { policies, seed: derive(config.seed, Purpose::Patch, 1) }))
            }
        }
    }

    /// Makes images, of these subgroups, look like those of the subgroup `into`.
    pub(super) fn apply(
        &self,
        images: ArrayView4<'_, u8>,
        of: &[usize],
        into: usize,
        subgroups: &Subgroups,
    ) -> Result<Array4<u8>, Error> {
        match self {
            #[cfg(feature = "generative")]
            Self::Learnt(translators) => {
                let failed = |error: deepaug_generative::Error| TrainError::Failed { why: error.to_string() };
                Ok(translators.translate(images, into).map_err(failed)?)
            }
            Self::Policies { policies, seed } => {
                let always = Online { chance: 1.0, ..Online::NOTHING };
                let mut changed = always.images(&policies[into], images, seed.wrapping_add(into as u64));
                // Those of the subgroup are what they should be.
                for (number, mut image) in
                    changed.outer_iter_mut().enumerate().filter(|(number, _)| of[*number] == into)
                {
                    image.assign(&images.index_axis(Axis(0), number));
                }
                Ok(changed)
            }
            Self::Program(command) => run(command, images, &subgroups.names[into]),
        }
    }
}

/// Has a program translate images.
fn run(command: &[String], images: ArrayView4<'_, u8>, into: &str) -> Result<Array4<u8>, Error> {
    let wrong = |why: String| Error::from(ConfigError::new(format!("translator_command: {why}")));
    let folder = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
    let [input, output] = ["images.npy", "translated.npy"].map(|name| folder.path().join(name));
    let images = images.as_standard_layout();
    ndarray_npy::write_npy(&input, &images.to_owned()).map_err(|error| wrong(error.to_string()))?;
    let Some((program, arguments)) = command.split_first() else {
        return Err(wrong("it is empty; give a program and its arguments, as [\"python3\", \"translate.py\"]".into()));
    };
    let arguments: Vec<PathBuf> =
        arguments.iter().map(PathBuf::from).chain([input, output.clone(), into.into()]).collect();
    let ended = Command::new(program).args(&arguments).stdin(Stdio::null()).output();
    let ended = ended.map_err(|error| wrong(format!("{program:?} could not be started: {error}")))?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        let mut last: Vec<String> = words.lines().rev().take(5).map(|line| line.chars().take(200).collect()).collect();
        last.reverse();
        return Err(wrong(format!("{program:?} ended with {} for \"{into}\": {}", ended.status, last.join("\n"))));
    }
    let translated: Array4<u8> = ndarray_npy::read_npy(&output).map_err(|error| {
        wrong(format!("{program:?} must write uint8 images of the same shape for \"{into}\": {error}"))
    })?;
    match translated.dim() == images.dim() {
        true => Ok(translated),
        false => Err(wrong(format!(
            "{program:?} made {:?} of {:?} for \"{into}\"; it must keep the shape",
            translated.shape(),
            images.shape()
        ))),
    }
}
