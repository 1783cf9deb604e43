//! Inception v3 (Szegedy et al. 2016), as Keras builds it, layers in Keras's order.

use crate::geometry::{Activation, Padding};
use crate::network::{KernelSize, Layer};

use super::head;

/// The smallest side that Keras accepts.
pub(super) const MIN_SIDE: usize = 75;

pub(super) fn layers() -> Vec<Layer> {
    let mut layers = [
        conv_valid(32, 3, 2),
        conv_valid(32, 3, 1),
        conv(64, [3, 3]),
        vec![Layer::MaxPool { size: 3, stride: 2 }],
        conv_valid(80, 1, 1),
        conv_valid(192, 3, 1),
        vec![Layer::MaxPool { size: 3, stride: 2 }],
    ]
    .concat();
    layers.extend([32, 64, 64].map(at_35));
    layers.push(branches([
        conv_valid(384, 3, 2),
        [conv(64, [1, 1]), conv(96, [3, 3]), conv_valid(96, 3, 2)].concat(),
        vec![Layer::MaxPool { size: 3, stride: 2 }],
    ]));
    layers.extend([128, 160, 160, 192].map(at_17));
    layers.push(branches([
        [conv(192, [1, 1]), conv_valid(320, 3, 2)].concat(),
        [conv(192, [1, 1]), conv(192, [1, 7]), conv(192, [7, 1]), conv_valid(192, 3, 2)].concat(),
        vec![Layer::MaxPool { size: 3, stride: 2 }],
    ]));
    layers.extend([at_8(), at_8()]);
    layers.extend(head());
    layers
}

/// A block for the stage where 299x299 images have become 35x35.
fn at_35(pooled: usize) -> Layer {
    branches([
        conv(64, [1, 1]),
        [conv(48, [1, 1]), conv(64, [5, 5])].concat(),
        [conv(64, [1, 1]), conv(96, [3, 3]), conv(96, [3, 3])].concat(),
        pool(pooled),
    ])
}

/// A block at 17x17, with windows of seven split in two.
fn at_17(inner: usize) -> Layer {
    let (wide, tall) = ([1, 7], [7, 1]);
    branches([
        conv(192, [1, 1]),
        [conv(inner, [1, 1]), conv(inner, wide), conv(192, tall)].concat(),
        [conv(inner, [1, 1]), conv(inner, tall), conv(inner, wide), conv(inner, tall), conv(192, wide)].concat(),
        pool(192),
    ])
}

/// A block at 8x8, with two further forks.
fn at_8() -> Layer {
    let fork = || branches([conv(384, [1, 3]), conv(384, [3, 1])]);
    branches([
        conv(320, [1, 1]),
        [conv(384, [1, 1]), vec![fork()]].concat(),
        [conv(448, [1, 1]), conv(384, [3, 3]), vec![fork()]].concat(),
        pool(192),
    ])
}

fn branches<const N: usize>(branches: [Vec<Layer>; N]) -> Layer {
    Layer::Branches { branches: branches.into() }
}

fn pool(filters: usize) -> Vec<Layer> {
    let average = Layer::AveragePool { size: 3, stride: 1, padding: Padding::Same };
    [vec![average], conv(filters, [1, 1])].concat()
}

/// A convolution and its normalisation, which has no scale factors.
fn conv(filters: usize, kernel: [usize; 2]) -> Vec<Layer> {
    vec![
        Layer::bare_conv(filters, kernel, 1),
        Layer::BatchNorm { momentum: 0.99, epsilon: 1e-3, scale: false, activation: Activation::Relu },
    ]
}

fn conv_valid(filters: usize, kernel: usize, stride: usize) -> Vec<Layer> {
    let mut layers = conv(filters, [kernel; 2]);
    if let Layer::Conv { kernel: side, stride: steps, padding, .. } = &mut layers[0] {
        (*side, *steps, *padding) = (KernelSize::Square(kernel), stride, Padding::Valid);
    }
    layers
}
