//! DeepAugment's basic CNN (release 1.1.2): two blocks of a padded and an unpadded 3x3 convolution, max-pooling and
//! dropout, then one hidden layer.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;

use super::Net;
use crate::cpu::ops;
use crate::noise::{Dropout, glorot_uniform};

/// Dropout after a block and after the hidden layer (DeepAugment 1.1.2).
const BLOCK_DROPOUT: f64 = 0.6;
const HIDDEN_DROPOUT: f64 = 0.5;

/// The sizes of a basic CNN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasicCnn {
    /// Channels of the first and of the second block.
    pub filters: [usize; 2],
    /// Units of the hidden layer.
    pub hidden: usize,
}

impl BasicCnn {
    /// DeepAugment's sizes.
    pub const STANDARD: Self = Self { filters: [32, 64], hidden: 512 };
    /// Sizes for a check that takes seconds.
    pub const TINY: Self = Self { filters: [4, 8], hidden: 16 };

    /// The least height and width: two blocks leave one pixel of ten.
    pub const LEAST_SIDE: usize = 10;

    /// Number of trainable parameters for images of `[height, width, channels]`.
    ///
    /// ```
    /// assert_eq!(deepaug_child_model::BasicCnn::STANDARD.parameters([32, 32, 3], 10), 1_250_858);
    /// ```
    pub fn parameters(&self, [height, width, channels]: [usize; 3], classes: usize) -> usize {
        let [a, b] = self.filters;
        let conv = |input: usize, output: usize| 9 * input * output + output;
        let dense = |input: usize, output: usize| input * output + output;
        let flat = b * after_blocks(height) * after_blocks(width);
        conv(channels, a)
            + conv(a, a)
            + conv(a, b)
            + conv(b, b)
            + dense(flat, self.hidden)
            + dense(self.hidden, classes)
    }

    /// The net with first weights, for images of at least [`Self::LEAST_SIDE`].
    pub(crate) fn init(
        &self,
        [height, width, channels]: [usize; 3],
        classes: usize,
        rng: &mut ChaCha8Rng,
        device: &Device,
        on_cpu: bool,
    ) -> BasicCnnNet {
        let [a, b] = self.filters;
        let flat = b * after_blocks(height) * after_blocks(width);
        BasicCnnNet {
            conv1: conv(rng, channels, a, PaddingConfig2d::Same, device),
            conv2: conv(rng, a, a, PaddingConfig2d::Valid, device),
            conv3: conv(rng, a, b, PaddingConfig2d::Same, device),
            conv4: conv(rng, b, b, PaddingConfig2d::Valid, device),
            on_cpu,
            hidden: dense(rng, flat, self.hidden, device),
            output: dense(rng, self.hidden, classes, device),
        }
    }
}

/// The side that is left of `side` after both blocks.
fn after_blocks(side: usize) -> usize {
    ((side - 2) / 2 - 2) / 2
}

fn conv(rng: &mut ChaCha8Rng, input: usize, output: usize, padding: PaddingConfig2d, device: &Device) -> Conv2d {
    let mut layer = Conv2dConfig::new([input, output], [3, 3]).with_padding(padding).init(device);
    layer.weight = Param::from_tensor(glorot_uniform(rng, [output, input, 3, 3], 9 * input, 9 * output, device));
    layer.bias = Some(Param::from_tensor(Tensor::zeros([output], device)));
    layer
}

fn dense(rng: &mut ChaCha8Rng, input: usize, output: usize, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(input, output).init(device);
    layer.weight = Param::from_tensor(glorot_uniform(rng, [input, output], input, output, device));
    layer.bias = Some(Param::from_tensor(Tensor::zeros([output], device)));
    layer
}

/// The net itself.
#[derive(Module, Debug)]
pub(crate) struct BasicCnnNet {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    conv4: Conv2d,
    #[module(skip)]
    on_cpu: bool,
    hidden: Linear,
    output: Linear,
}

impl BasicCnnNet {
    /// Two convolutions, pooling and dropout; `[B, H, W, C]` in and out.
    fn block(&self, x: Tensor<4>, first: &Conv2d, second: &Conv2d, dropout: &mut Dropout<'_>) -> Tensor<4> {
        let x = if self.on_cpu {
            ops::max_pool(ops::conv_relu(ops::conv_relu(x, first, 1), second, 0))
        } else {
            let x = relu(second.forward(relu(first.forward(x.permute([0, 3, 1, 2])))));
            MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init().forward(x).permute([0, 2, 3, 1])
        };
        dropout.apply(x, BLOCK_DROPOUT)
    }
}

impl Net for BasicCnnNet {
    fn forward(&self, images: Tensor<4>, dropout: &mut Dropout<'_>) -> Tensor<2> {
        let x = self.block(images, &self.conv1, &self.conv2, dropout);
        let x = self.block(x, &self.conv3, &self.conv4, dropout);
        let x = relu(self.hidden.forward(x.flatten(1, 3)));
        self.output.forward(dropout.apply(x, HIDDEN_DROPOUT))
    }
}
