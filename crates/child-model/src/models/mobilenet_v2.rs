//! MobileNetV2 (Sandler et al. 2018), as Keras builds it.

use crate::geometry::{Activation, Padding};
use crate::network::Layer;

use super::head;

/// Five halvings reduce 32 pixels, the smallest side that Keras accepts, to one.
pub(super) const MIN_SIDE: usize = 32;

/// Expansion, channels, blocks, and stride of the first block (table 2 of the paper).
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

pub(super) fn layers() -> Vec<Layer> {
    let mut layers = vec![Layer::bare_conv(32, [3, 3], 2), norm(Activation::Relu6)];
    let mut channels = 32;
    for [expansion, output, blocks, first_stride] in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let bottleneck = bottleneck(channels, expansion, output, stride);
            if stride == 1 && channels == output {
                layers.push(Layer::Residual { layers: bottleneck, shortcut: Vec::new() });
            } else {
                layers.extend(bottleneck);
            }
            channels = output;
        }
    }
    layers.extend([Layer::bare_conv(1280, [1, 1], 1), norm(Activation::Relu6)]);
    layers.extend(head());
    layers
}

fn bottleneck(input: usize, expansion: usize, output: usize, stride: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    if expansion > 1 {
        layers.extend([Layer::bare_conv(expansion * input, [1, 1], 1), norm(Activation::Relu6)]);
    }
    let kernel = crate::network::KernelSize::Square(3);
    layers.extend([Layer::Depthwise { kernel, stride, padding: Padding::Same }, norm(Activation::Relu6)]);
    layers.extend([Layer::bare_conv(output, [1, 1], 1), norm(Activation::None)]);
    layers
}

/// A normalisation with the momentum that Keras uses for this net.
fn norm(activation: Activation) -> Layer {
    Layer::BatchNorm { momentum: 0.999, epsilon: 1e-3, scale: true, activation }
}
