//! The language in which nets are written: a list of layers.

use serde::{Deserialize, Serialize};

use crate::geometry::{Activation, Padding};

/// One layer of a net. Images are `[height, width, channels]`.
///
/// In a configuration a layer is a table with its kind:
///
/// ```
/// use deepaug_child_model::Layer;
/// # #[derive(serde::Deserialize)] struct File { layers: Vec<Layer> }
/// let file: File = toml::from_str(
///     r#"layers = [
///            { kind = "conv", filters = 16, bias = false },
///            { kind = "batch-norm", activation = "relu" },
///            { kind = "max-pool" },
///            { kind = "residual", layers = [{ kind = "conv", filters = 16 }] },
///            { kind = "dropout", rate = 0.5 },
///            { kind = "dense", units = 64, activation = "relu" },
///        ]"#,
/// )?;
/// assert_eq!(file.layers.len(), 6);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Layer {
    /// A convolution.
    Conv {
        /// Number of output channels.
        filters: usize,
        /// Height and width of its window: one number, or both.
        #[serde(default = "three")]
        kernel: KernelSize,
        /// Pixels between windows.
        #[serde(default = "one")]
        stride: usize,
        /// What surrounds the image.
        #[serde(default)]
        padding: Padding,
        /// Whether each channel has an offset.
        #[serde(default = "yes")]
        bias: bool,
        /// The activation that follows.
        #[serde(default)]
        activation: Activation,
    },
    /// A depthwise convolution: each channel separately.
    Depthwise {
        /// Height and width of its window.
        #[serde(default = "three")]
        kernel: KernelSize,
        /// Pixels between windows.
        #[serde(default = "one")]
        stride: usize,
        /// What surrounds the image.
        #[serde(default)]
        padding: Padding,
    },
    /// Batch normalisation (Ioffe & Szegedy 2015).
    BatchNorm {
        /// The share of the moving statistics that a step keeps; Keras's default is 0.99.
        #[serde(default = "keras_momentum")]
        momentum: f32,
        /// Added to the variance; Keras's default is 1e-3.
        #[serde(default = "keras_epsilon")]
        epsilon: f32,
        /// Whether each channel has a scale factor besides its offset.
        #[serde(default = "yes")]
        scale: bool,
        /// The activation that follows.
        #[serde(default)]
        activation: Activation,
    },
    /// The largest value of each window.
    MaxPool {
        /// Height and width of its window.
        #[serde(default = "two")]
        size: usize,
        /// Pixels between windows.
        #[serde(default = "two")]
        stride: usize,
    },
    /// The mean of each window, over the pixels inside the image.
    AveragePool {
        /// Height and width of its window.
        #[serde(default = "two")]
        size: usize,
        /// Pixels between windows.
        #[serde(default = "two")]
        stride: usize,
        /// What surrounds the image.
        #[serde(default = "valid")]
        padding: Padding,
    },
    /// The mean of each channel over the whole image.
    GlobalAverage {},
    /// Inverted dropout (Srivastava et al. 2014).
    Dropout {
        /// The share of values that are set to zero, in `[0, 1)`.
        rate: f32,
    },
    /// A fully connected layer; the image is flattened first, in the order row, column, channel.
    Dense {
        /// Number of output values.
        units: usize,
        /// The activation that follows.
        #[serde(default)]
        activation: Activation,
    },
    /// The sum of two paths through the net, which must end in the same shape.
    Residual {
        /// One path.
        layers: Vec<Layer>,
        /// The other path; empty for the image itself.
        #[serde(default)]
        shortcut: Vec<Layer>,
    },
    /// Several paths through the net, whose channels are concatenated.
    Branches {
        /// The paths; all must end in the same height and width.
        branches: Vec<Vec<Layer>>,
    },
}

/// Height and width of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KernelSize {
    /// The same for both.
    Square(usize),
    /// Height, then width.
    Both([usize; 2]),
}

impl KernelSize {
    pub(super) fn pair(self) -> [usize; 2] {
        match self {
            Self::Square(side) => [side, side],
            Self::Both(pair) => pair,
        }
    }
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn three() -> KernelSize {
    KernelSize::Square(3)
}

fn yes() -> bool {
    true
}

fn valid() -> Padding {
    Padding::Valid
}

fn keras_momentum() -> f32 {
    0.99
}

fn keras_epsilon() -> f32 {
    1e-3
}

/// Short forms for the layers that the nets here use.
impl Layer {
    pub(crate) fn conv(filters: usize, kernel: usize) -> Self {
        let kernel = KernelSize::Square(kernel);
        Self::Conv { filters, kernel, stride: 1, padding: Padding::Same, bias: true, activation: Activation::None }
    }

    pub(crate) fn conv_relu(filters: usize, pad: Padding) -> Self {
        Self::conv(filters, 3).padded(pad).then(Activation::Relu)
    }

    /// A convolution without offsets, which the batch normalisation that follows has.
    pub(crate) fn bare_conv(filters: usize, kernel: [usize; 2], stride: usize) -> Self {
        let (kernel, padding) = (KernelSize::Both(kernel), Padding::Same);
        Self::Conv { filters, kernel, stride, padding, bias: false, activation: Activation::None }
    }

    pub(crate) fn batch_norm(activation: Activation) -> Self {
        Self::BatchNorm { momentum: keras_momentum(), epsilon: keras_epsilon(), scale: true, activation }
    }

    pub(crate) fn dense_relu(units: usize) -> Self {
        Self::Dense { units, activation: Activation::Relu }
    }

    pub(crate) fn padded(mut self, with: Padding) -> Self {
        if let Self::Conv { padding, .. } | Self::Depthwise { padding, .. } | Self::AveragePool { padding, .. } =
            &mut self
        {
            *padding = with;
        }
        self
    }

    fn then(mut self, follows: Activation) -> Self {
        if let Self::Conv { activation, .. } = &mut self {
            *activation = follows;
        }
        self
    }
}
