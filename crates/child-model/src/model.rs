//! The registry of nets.

use serde::{Deserialize, Serialize};

use crate::{BasicCnn, TrainError};

/// A child model that can be named in a configuration. A new one is one file in `nets`, one variant here and one arm
/// where nets are built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Model {
    /// DeepAugment's basic CNN: 1,250,858 parameters for 32x32x3 images of ten classes.
    #[default]
    #[serde(rename = "basiccnn")]
    BasicCnn,
    /// The same layers, a fraction as wide: for checking an installation, not for judging policies.
    #[serde(rename = "tinycnn")]
    TinyCnn,
}

impl Model {
    /// The name used in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::BasicCnn => "basiccnn",
            Self::TinyCnn => "tinycnn",
        }
    }

    /// Whether the net can take images of `[height, width, channels]`.
    ///
    /// # Errors
    /// [`TrainError::TooSmall`].
    pub fn check(self, [height, width, _]: [usize; 3]) -> Result<(), TrainError> {
        let least = BasicCnn::LEAST_SIDE;
        if height.min(width) < least {
            return Err(TrainError::TooSmall { model: self.name(), least, height, width });
        }
        Ok(())
    }
}
