//! Reads policies: from a file, from the study that found them, or published ones by name.

use std::path::{Path, PathBuf};

use deepaug_augmenter::export::{Target, export};
use deepaug_augmenter::{Application, Augmentation, Online, Op, Policy, Published, selection};
use serde::Deserialize;

use crate::config::ValidConfig;
use crate::error::{ConfigError, Error};
use crate::layout;
use crate::remedy::Remedy;
use crate::study::candidate::distinct;
use crate::study::folder::read_ledger;
use crate::study::journal::{Entry, Journal};
use crate::study::result::SearchResult;

/// Policies, and where they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Policies {
    /// The policies, best first.
    pub policies: Vec<Policy>,
    /// The configuration of the study that found them, if one did.
    pub config: Option<ValidConfig>,
    /// How they are applied: as in the search, as the file says, or in place for a published policy.
    pub application: Application,
    /// Where they come from and how they were judged, in sentences; empty if that is not known.
    pub origin: String,
}

impl Policies {
    /// Reads up to `top` policies from a JSON file, which holds one or a list, or from a study's folder, keeping
    /// the best of those with the same ops. A path that is neither a file nor a folder may be the name of a
    /// [published](Published) policy.
    ///
    /// # Errors
    /// [`Error::Config`] names the line of a file that holds no policy; [`Error::Study`] names a study without a
    /// result.
    pub fn read(path: &Path, top: usize) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::of_study(path, |found, config| match config.policies_join() {
                // The policy to use is one of them, or none.
                false => vec![found.policy()],
                true => best(found, top),
            });
        }
        if !path.exists()
            && let Some(published) = path.to_str().and_then(|name| name.parse::<Published>().ok())
        {
            let application = Application::Online(Online { chance: 1.0, ..Online::NOTHING });
            let origin = format!("Published as {published}; each image is changed in place.");
            return Ok(Self { policies: vec![published.policy()], config: None, application, origin });
        }
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                let names: Vec<String> = Published::ALL.iter().map(ToString::to_string).collect();
                let why = format!("no such file or folder, and no published policy, which are {}", names.join(", "));
                Error::file(path, std::io::Error::new(std::io::ErrorKind::NotFound, why))
            }
            _ => Error::file(path, source),
        })?;
        let OneOrMore { mut all } = parse(path, &text)?;
        all.truncate(top);
        let Some(application) = all.first().map(|first| first.application) else {
            return Err(wrong(path, None, "there is no policy in it".into()));
        };
        if all.iter().any(|other| other.application != application) {
            let why = "its policies are applied in different ways, so they cannot be used together";
            return Err(wrong(path, None, why.into()));
        }
        if all.len() > 1 && all.iter().any(|one| !one.policy.counts.is_empty() || !one.policy.earlier.is_empty()) {
            let why = "policies with counts, or that change during training, cannot be used together with others";
            return Err(wrong(path, None, why.into()));
        }
        let policies = all.into_iter().map(|one| one.policy).collect();
        Ok(Self { policies, config: None, application, origin: String::new() })
    }

    /// Does the same, but returns a study's answer where only one policy is asked for, which is that of
    /// `best_policy.json` and has no ops if the best policy came out no better than none; and the best of any study
    /// where several are.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn answer(path: &Path, top: usize) -> Result<Self, Error> {
        if !path.is_dir() {
            return Self::read(path, top);
        }
        Self::of_study(path, |found, config| match top {
            _ if !config.policies_join() => vec![found.policy()],
            1 => vec![found.policy()],
            _ => best(found, top),
        })
    }

    /// Returns the policies as code for another library.
    ///
    /// # Errors
    /// [`Error::Config`] names the ops that the library cannot express.
    pub fn export(&self, target: Target) -> Result<String, Error> {
        export(&self.policies, self.application, &self.origin, target)
            .map_err(|error| ConfigError::new(error.to_string()).into())
    }

    fn of_study(folder: &Path, choose: impl FnOnce(SearchResult, &ValidConfig) -> Vec<Policy>) -> Result<Self, Error> {
        if !folder.join(layout::CONFIG).exists() {
            return Err(Error::study(folder, "neither a policy nor the folder of a study"));
        }
        if !folder.join(layout::RESULT).exists() {
            let why = "the search has not finished, so it has no result";
            return Err(Error::study(folder, why).with(Remedy::FinishSearch { study: folder.into() }));
        }
        let (config, ledger) = read_ledger(folder)?;
        let found =
            SearchResult::new(folder, &ledger, None).ok_or_else(|| Error::study(folder, "it found no policy"))?;
        let application = config.application();
        let origin = origin(folder, &config, &found.answer)?;
        let policies = choose(found, &config);
        Ok(Self { policies, config: Some(config), application, origin })
    }
}

/// Returns up to `top` policies, keeping the best of those with the same ops.
fn best(found: SearchResult, top: usize) -> Vec<Policy> {
    let policies = distinct(found.top, |candidate| &candidate.policy);
    policies.into_iter().take(top).map(|candidate| candidate.policy).collect()
}

/// Says what a study found, and how it judged.
pub(crate) fn origin(folder: &Path, config: &ValidConfig, answer: &str) -> Result<String, Error> {
    let applied = match config.policies_join() {
        false => "with each image augmented in place, afresh every epoch".into(),
        true => format!("with {}", config.application()),
    };
    let judged = if Journal::<Entry>::is_outside(&folder.join(layout::JOURNAL))? {
        "Another program judged the policies, and applied them in its own way.".into()
    } else if config.child.command.is_empty() {
        format!("Judged by training deepaug's {}, {applied}.", config.model)
    } else {
        format!("Judged by the program `{}`, {applied}.", config.child.command.join(" "))
    };
    let name = folder.canonicalize().unwrap_or_else(|_| folder.into());
    Ok(format!("From the study {}: {answer} {judged}", name.file_name().unwrap_or_default().display()))
}

/// A policy, or a list of them.
struct OneOrMore {
    all: Vec<Augmentation>,
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Parsed as what it looks like, so that an error describes what is wrong with it.
        let value = serde_json::Value::deserialize(deserializer)?;
        let all = match value {
            serde_json::Value::Array(all) => all.into_iter().map(serde_json::from_value).collect::<Result<_, _>>(),
            one => serde_json::from_value(one).map(|one| vec![one]),
        };
        Ok(Self { all: all.map_err(serde::de::Error::custom)? })
    }
}

fn parse<'a, T: Deserialize<'a>>(path: &Path, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let why = error.to_string();
        // The line is stated once, as in all errors.
        let why = why.split(" at line ").next().unwrap_or(&why).to_owned();
        wrong(path, (error.line() > 0 && !error.is_data()).then_some(error.line()), format!("not a policy: {why}"))
    })
}

fn wrong(path: &Path, line: Option<usize>, why: String) -> Error {
    ConfigError { file: Some(PathBuf::from(path)), line, ..ConfigError::new(why) }.into()
}

/// Returns the ops, families or categories with the given names, each op once.
///
/// # Errors
/// [`Error::Config`] suggests the nearest name.
pub fn select_ops(names: &[String]) -> Result<Vec<Op>, Error> {
    let ops = selection::all_ops(names.iter().map(String::as_str));
    Ok(ops.map_err(|error| ConfigError::new(error.to_string()))?)
}
