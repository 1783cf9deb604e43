//! Who tells images of a subgroup from those made to look like it, patch by patch.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use rand::Rng;

use super::{DEVIATION, GROUPS, SLOPE};
use crate::net::{drawn, zeros};

/// Convolutions of 4 x 4, two or three of which halve the sides, and logits for patches.
#[derive(Module, Debug)]
pub(super) struct Discriminator {
    convs: Vec<Conv2d>,
    norm: GroupNorm,
    head: Conv2d,
}

impl Discriminator {
    /// For images `[height, width, channels]`; `width` is that of the generators.
    pub(super) fn new([height, wide, channels]: [usize; 3], width: usize, device: &Device, rng: &mut impl Rng) -> Self {
        let mut before = channels;
        let mut conv = |after: usize, stride: usize| {
            let mut conv = Conv2dConfig::new([before, after], [4, 4])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device);
            conv.weight = drawn([after, before, 4, 4], DEVIATION, device, rng);
            conv.bias = Some(zeros(after, device));
            before = after;
            conv
        };
        // Of small images, three halvings would leave no patch.
        let third = if height.min(wide) < 24 { 1 } else { 2 };
        let convs = [(2, 2), (4, 2), (8, third), (16, 1)].map(|(times, stride)| conv(times * width, stride)).to_vec();
        let head = conv(1, 1);
        Self { convs, norm: GroupNormConfig::new(GROUPS, 16 * width).init(device), head }
    }

    /// Returns a logit for each patch, high for images of the subgroup.
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut x = images;
        for (number, conv) in self.convs.iter().enumerate() {
            x = conv.forward(x);
            if number + 1 == self.convs.len() {
                x = self.norm.forward(x);
            }
            x = leaky_relu(x, SLOPE);
        }
        self.head.forward(x)
    }
}
