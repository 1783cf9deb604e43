//! Who changes an image of one subgroup into one of the other: a U-Net that says what to add.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::{Device, Tensor};
use rand::Rng;

use super::{DEVIATION, GROUPS, SLOPE};
use crate::net::{drawn, zeros};

/// Convolutions of 4 x 4 with stride 2 on the way down: each halves the sides.
const LEVELS: usize = 5;

/// Makes a smaller map of a map.
#[derive(Module, Debug)]
struct Down {
    conv: Conv2d,
    norm: Option<GroupNorm>,
}

/// Makes a larger map of a map.
#[derive(Module, Debug)]
struct Up {
    conv: ConvTranspose2d,
    norm: Option<GroupNorm>,
}

/// A U-Net: every map on the way up is beside the map of its size on the way down.
#[derive(Module, Debug)]
pub(super) struct Generator {
    down: Vec<Down>,
    up: Vec<Up>,
}

/// Returns how often images of this size are halved.
fn levels(height: usize, width: usize) -> usize {
    // A shorter side of 16 or less comes down to 1 earlier.
    let shorter = height.min(width).next_power_of_two().ilog2() as usize;
    shorter.clamp(1, LEVELS)
}

impl Generator {
    /// For images `[height, width, channels]`, with `width` outputs of the first convolution.
    pub(super) fn new([height, wide, channels]: [usize; 3], width: usize, device: &Device, rng: &mut impl Rng) -> Self {
        let widths: Vec<usize> = (0..levels(height, wide)).map(|level| width << level).collect();
        let norm = |width: usize| GroupNormConfig::new(GROUPS, width).init(device);
        let mut before = channels;
        let down = widths.iter().enumerate().map(|(level, &after)| {
            let mut conv = Conv2dConfig::new([before, after], [4, 4])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device);
            conv.weight = drawn([after, before, 4, 4], DEVIATION, device, rng);
            conv.bias = Some(zeros(after, device));
            before = after;
            Down { conv, norm: (level > 0).then(|| norm(after)) }
        });
        let down = down.collect();
        let afters: Vec<usize> = widths.iter().rev().skip(1).copied().chain([channels]).collect();
        let last = afters.len() - 1;
        let up = afters.into_iter().enumerate().map(|(level, after)| {
            let mut conv = ConvTranspose2dConfig::new([before, after], [4, 4])
                .with_stride([2, 2])
                .with_padding([1, 1])
                .init(device);
            conv.weight = drawn([before, after, 4, 4], DEVIATION, device, rng);
            conv.bias = Some(zeros(after, device));
            // What comes from the way down has the same width.
            before = 2 * after;
            Up { conv, norm: (level < last).then(|| norm(after)) }
        });
        Self { down, up: up.collect() }
    }

    /// Returns how often images are halved.
    pub(super) fn levels(&self) -> usize {
        self.down.len()
    }

    /// Changes images `[images, channels, height, width]` with values from -1 to 1. Results may lie beyond.
    pub(super) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let whole = |side: usize| side.next_multiple_of(1 << self.down.len()) - side;
        let (below, beside) = (whole(height), whole(width));
        let (above, left) = (below / 2, beside / 2);
        let mut x = images.clone().pad([(above, below - above), (left, beside - left)], -1.0);
        let mut maps = Vec::new();
        for Down { conv, norm } in &self.down {
            x = conv.forward(x);
            if let Some(norm) = norm {
                x = norm.forward(x);
            }
            x = leaky_relu(x, SLOPE);
            maps.push(x.clone());
        }
        maps.pop();
        for Up { conv, norm } in &self.up {
            x = conv.forward(x);
            if let Some(norm) = norm {
                x = relu(norm.forward(x));
            }
            if let Some(map) = maps.pop() {
                x = Tensor::cat(vec![x, map], 1);
            }
        }
        let [count, channels, ..] = x.dims();
        let change = x.slice([0..count, 0..channels, above..above + height, left..left + width]);
        // The change may turn black into white.
        images + change.tanh() * 2.0
    }
}
