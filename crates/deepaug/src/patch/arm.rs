//! What model patching compares.

use std::fmt;
use std::str::FromStr;

use deepaug_augmenter::{Application, Online};
use deepaug_child_model::{GroupDro, Patching, Settings, Strategy};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// A way of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// Every image counts alike: empirical risk minimisation.
    Erm,
    /// Every batch has as many images of each group.
    Balanced,
    /// The same, and groups count the more the worse they fare.
    GroupDro,
    /// Balanced, and each image is replaced by one of its translations.
    Translated,
    /// Groups count the more the worse they fare among those of their class, and what the net makes of an image and of its
    /// translations is drawn together.
    Clamp,
}

impl Arm {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Erm, Self::Balanced, Self::GroupDro, Self::Translated, Self::Clamp];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Erm => "erm",
            Self::Balanced => "balanced",
            Self::GroupDro => "group-dro",
            Self::Translated => "translated",
            Self::Clamp => "clamp",
        }
    }

    /// Returns what it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Erm => "every image counts alike",
            Self::Balanced => "as many images of each group in every batch",
            Self::GroupDro => "the same, and the groups that fare worst count most",
            Self::Translated => "balanced, with each image as it would look in one of the subgroups",
            Self::Clamp => {
                "the groups that fare worst in their class count most, and an image is read like its translations"
            }
        }
    }

    /// Whether it needs translations of images.
    pub fn needs_translations(self) -> bool {
        matches!(self, Self::Translated | Self::Clamp)
    }

    /// Returns how it trains on so many images of so many subgroups.
    pub(super) fn settings(self, config: &Config, images: usize, subgroups: usize) -> Settings {
        let robust = config.group_dro();
        let alike = GroupDro { learning_rate: 0.0, ..robust };
        let (robust, strategy) = match self {
            Self::Erm => (None, Strategy::Plain),
            Self::Balanced => (Some(alike), Strategy::Plain),
            Self::GroupDro => (Some(robust), Strategy::Plain),
            Self::Translated => (Some(alike), Strategy::Translated),
            Self::Clamp => {
                let patching = Patching { translations: subgroups, weight: config.patch_consistency };
                (Some(GroupDro { within_class: true, ..robust }), Strategy::Patched(patching))
            }
        };
        Settings {
            images_per_epoch: Some(images),
            augment: Application::Online(Online { chance: 0.0, ..config.online() }),
            strategy,
            robust,
            ..config.settings()
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|arm| arm.name() == name).ok_or(format!("unknown arm: there are {names}"))
    }
}
