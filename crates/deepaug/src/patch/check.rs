//! What can be patched, and how its images are divided.

use deepaug_dataset::{Amount, DataError, Dataset, Part, Split, SplitSizes, Subgroups};

use super::Patch;
use super::translator::Translate;
use crate::config::{Config, Sizes, Translator, ValidConfig};
use crate::error::{ConfigError, Error};
use crate::remedy::Remedy;
use crate::rng::{Purpose, derive};

/// Validation images where the configuration leaves that open, as a share of all.
const VALIDATION: f64 = 0.15;

impl Patch {
    /// Refuses what cannot be compared, before anything is trained.
    pub(super) fn check<'d>(&self, config: &Config, dataset: &'d Dataset) -> Result<&'d Subgroups, Error> {
        let wrong = |why: String| Err(Error::from(ConfigError::new(why)));
        if self.arms.is_empty() || self.seeds == 0 {
            return wrong("there is nothing to train: give at least one arm and one seed".into());
        }
        let Some(subgroups) = dataset.subgroups() else {
            return wrong(
                "the images have no subgroups; name what says which subgroup each is of, as subgroup_column = \"site\" \
                 (group_column is for images that must stay on one side of a split)"
                    .into(),
            );
        };
        let unusable = |why: String| Err(DataError::Unusable { path: dataset.origin().into(), why }.into());
        let names = &subgroups.names;
        if let [only] = &names[..] {
            return unusable(format!("all images are of the subgroup \"{only}\"; model patching needs two"));
        }
        for (label, class) in dataset.classes().iter().enumerate() {
            let has = |number: usize| {
                dataset.labels().iter().zip(&subgroups.of).any(|(&of, &subgroup)| of == label && subgroup == number)
            };
            if let Some(missing) = (0..names.len()).find(|&number| !has(number)) {
                return unusable(format!(
                    "there is no image of class \"{class}\" in the subgroup \"{}\": add some, or leave the class out",
                    names[missing]
                ));
            }
        }
        if config.mixup > 0.0 {
            return wrong("mixup: must be 0 for model patching, which does not mix images of several groups".into());
        }
        if !config.child.command.is_empty() {
            let why = "child.command: a program does not say how groups of images fare";
            return Err(ConfigError { remedy: Some(Remedy::NameNet), ..ConfigError::new(why) }.into());
        }
        if !self.arms.iter().any(|arm| arm.needs_translations()) {
            return Ok(subgroups);
        }
        let listed = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        match config.translator {
            Translator::Cyclegan if !cfg!(feature = "generative") => wrong(
                "translator: \"cyclegan\" needs a deepaug that is built with the feature \"generative\"; use \"policy\" or \
                 \"program\""
                    .into(),
            ),
            Translator::Cyclegan if names.len() != 2 => wrong(format!(
                "translator: \"cyclegan\" translates between two subgroups, and there are {}: {listed}; use \"policy\" or \
                 \"program\", or join some",
                names.len()
            )),
            Translator::Policy if config.translator_policies.len() != names.len() => wrong(format!(
                "translator_policies: there must be one for each subgroup, {listed}; there are {}",
                config.translator_policies.len()
            )),
            Translator::Program if config.translator_command.is_empty() => {
                wrong("translator_command: must name a program where translator is \"program\"".into())
            }
            // Policies that cannot be read are said now.
            _ => Translate::known(config).map(|_| subgroups),
        }
    }
}

/// Divides images so that each part has its share of every group.
pub(super) fn split(config: &ValidConfig, dataset: &Dataset, subgroups: &Subgroups) -> Result<Split, Error> {
    let count = subgroups.names.len();
    let group = |image: usize| dataset.labels()[image] * count + subgroups.of[image];
    let names: Vec<String> = dataset
        .classes()
        .iter()
        .flat_map(|class| subgroups.names.iter().map(move |name| format!("{class}, {name}")))
        .collect();
    let labels = (0..dataset.len()).map(group).collect();
    let (images, parts) = (dataset.images().to_owned(), dataset.parts().to_vec());
    let by_group = Dataset::new(dataset.origin(), images, labels, names, parts)?;
    let by_group = match dataset.groups() {
        Some(together) => by_group.with_groups(together.to_vec())?,
        None => by_group,
    };
    let sizes = match config.sizes {
        Sizes::Given => config.split_sizes(),
        // Everything that is not held out is learnt from.
        Sizes::Auto => SplitSizes {
            train: Amount::Count(dataset.len()),
            validation: match dataset.parts().contains(&Part::Validation) {
                true => Amount::Count(dataset.len()),
                false => Amount::Share(VALIDATION),
            },
            test: config.test_set_size,
        },
    };
    Ok(Split::draw(&by_group, sizes, derive(config.seed, Purpose::Split, 0))?)
}
