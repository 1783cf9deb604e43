//! The named nets, one family per file: each is a list of layers.

mod basic_cnn;
mod inception_v3;
mod mobilenet_v2;
mod simple_cnn;
mod wide_resnet;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::{Layer, Plan};
use crate::{Optimiser, Rule, TrainError};

/// A net. A new family is one file here, one variant, and a line in each function below.
///
/// ```
/// use deepaug_child_model::Model;
///
/// let wrn: Model = "wrn_28_10".parse()?;
/// assert_eq!(wrn.parameters([32, 32, 3], 10)?, 36_479_194);
/// assert_eq!(Model::BasicCnn.parameters([32, 32, 3], 10)?, 1_250_858);
/// assert_eq!(Model::SimpleCnn.parameters([32, 32, 3], 10)?, 620_362);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Model {
    /// DeepAugment 1.1.2's basic CNN: two blocks of two convolutions, and a hidden layer.
    #[default]
    BasicCnn,
    /// The basic CNN's layers, a fraction as wide: for checking an installation, not for judging policies.
    TinyCnn,
    /// DeepAugment 2's child: three convolutions and a hidden layer.
    SimpleCnn,
    /// A wide residual network (Zagoruyko & Komodakis 2016).
    WideResNet {
        /// Number of layers, 4 more than a multiple of 6.
        depth: usize,
        /// Factor on the channels.
        width: usize,
    },
    /// MobileNetV2 (Sandler et al. 2018) with DeepAugment's head.
    MobileNetV2,
    /// Inception v3 (Szegedy et al. 2016) with DeepAugment's head.
    InceptionV3,
    /// The user's own layers; the dense layer to the classes is added.
    Layers(Vec<Layer>),
}

/// How the families are written in a configuration.
pub(crate) const NAMES: &str = "basiccnn, simplecnn, wrn_<depth>_<width>, mobilenetv2, inceptionv3, tinycnn, layers";

impl Model {
    /// The name used in configurations.
    pub fn name(&self) -> String {
        match self {
            Self::BasicCnn => "basiccnn".into(),
            Self::TinyCnn => "tinycnn".into(),
            Self::SimpleCnn => "simplecnn".into(),
            Self::WideResNet { depth, width } => format!("wrn_{depth}_{width}"),
            Self::MobileNetV2 => "mobilenetv2".into(),
            Self::InceptionV3 => "inceptionv3".into(),
            Self::Layers(_) => "layers".into(),
        }
    }

    /// Returns its layers, except the last.
    pub fn layers(&self) -> Vec<Layer> {
        match self {
            Self::BasicCnn => basic_cnn::layers([32, 64], 512),
            Self::TinyCnn => basic_cnn::layers([4, 8], 16),
            Self::SimpleCnn => simple_cnn::layers(),
            Self::WideResNet { depth, width } => wide_resnet::layers(*depth, *width),
            Self::MobileNetV2 => mobilenet_v2::layers(),
            Self::InceptionV3 => inception_v3::layers(),
            Self::Layers(layers) => layers.clone(),
        }
    }

    /// Returns the smallest height and width of its images.
    pub fn least_side(&self) -> usize {
        match self {
            Self::BasicCnn | Self::TinyCnn => basic_cnn::MIN_SIDE,
            Self::SimpleCnn => simple_cnn::MIN_SIDE,
            Self::WideResNet { .. } => wide_resnet::MIN_SIDE,
            Self::MobileNetV2 => mobilenet_v2::MIN_SIDE,
            Self::InceptionV3 => inception_v3::MIN_SIDE,
            Self::Layers(_) => 1,
        }
    }

    /// Returns the optimiser that its authors, or DeepAugment, used.
    pub fn optimiser(&self) -> Optimiser {
        let adam = Optimiser::plain(Rule::Adam, 1e-3);
        match self {
            Self::BasicCnn | Self::TinyCnn => Optimiser { decay: 1e-6, ..Optimiser::plain(Rule::RmsProp, 1e-3) },
            Self::SimpleCnn | Self::Layers(_) => adam,
            Self::WideResNet { .. } => Optimiser { clip_norm: 1.0, ..adam },
            Self::MobileNetV2 | Self::InceptionV3 => Optimiser { learning_rate: 1e-5, clip_norm: 1.0, ..adam },
        }
    }

    /// Returns the number of learnt values for images of `[height, width, channels]`.
    ///
    /// # Errors
    /// [`TrainError::TooSmall`] and [`TrainError::Layers`].
    pub fn parameters(&self, image: [usize; 3], classes: usize) -> Result<usize, TrainError> {
        Ok(self.plan(image, classes)?.trainable())
    }

    /// Returns the net for images of `[height, width, channels]`.
    pub(crate) fn plan(&self, image: [usize; 3], classes: usize) -> Result<Plan, TrainError> {
        let ([height, width, _], least) = (image, self.least_side());
        if height.min(width) < least {
            return Err(TrainError::TooSmall { model: self.name(), least, height, width });
        }
        if matches!(self, Self::Layers(layers) if layers.is_empty()) {
            return Err(TrainError::Layers {
                why: "there are none; child.layers in a configuration lists them".into(),
            });
        }
        Plan::new(&self.layers(), image, classes).map_err(|why| TrainError::Layers { why })
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(sizes) = text.strip_prefix("wrn_") {
            return wide_resnet::parse(sizes)
                .map(|(depth, width)| Self::WideResNet { depth, width })
                .map_err(|why| format!("\"{text}\" is not a wide residual network: {why}"));
        }
        match text {
            "basiccnn" => Ok(Self::BasicCnn),
            "tinycnn" => Ok(Self::TinyCnn),
            "simplecnn" => Ok(Self::SimpleCnn),
            "mobilenetv2" => Ok(Self::MobileNetV2),
            "inceptionv3" => Ok(Self::InceptionV3),
            "layers" => Ok(Self::Layers(Vec::new())),
            _ => Err(format!("unknown model \"{text}\"; known are {NAMES}")),
        }
    }
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Model {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What DeepAugment 1.1.2 adds to the two big nets: the mean of each channel, a hidden layer, and dropout.
fn head() -> [Layer; 3] {
    [Layer::GlobalAverage {}, Layer::dense_relu(256), Layer::Dropout { rate: 0.7 }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in ["basiccnn", "tinycnn", "simplecnn", "wrn_16_2", "wrn_40_10", "mobilenetv2", "inceptionv3"] {
            assert_eq!(name.parse::<Model>().unwrap().name(), name);
        }
        for wrong in ["wrn_17_2", "wrn_16", "wrn_16_0", "wrn_4_1", "wrn_16_2_1", "wrn_x_2", "resnet"] {
            assert!(wrong.parse::<Model>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn images_too_small_are_refused_and_the_least_are_taken() {
        for name in ["basiccnn", "tinycnn", "simplecnn", "wrn_10_1", "mobilenetv2", "inceptionv3"] {
            let model: Model = name.parse().unwrap();
            let least = model.least_side();
            assert!(model.plan([least, least, 3], 2).is_ok(), "{name}");
            let error = model.plan([least - 1, least, 3], 2).unwrap_err().to_string();
            assert!(error.contains(&format!("at least {least}x{least} pixels")), "{error}");
        }
    }
}
