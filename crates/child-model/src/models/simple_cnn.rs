//! The child of DeepAugment 2: three convolutions, each with max-pooling, then one hidden layer.

use crate::geometry::Padding;
use crate::network::Layer;

/// Three pools reduce eight pixels to one.
pub(super) const MIN_SIDE: usize = 8;

pub(super) fn layers() -> Vec<Layer> {
    let mut layers = Vec::new();
    for filters in [32, 64, 128] {
        layers.push(Layer::conv_relu(filters, Padding::Same));
        layers.push(Layer::MaxPool { size: 2, stride: 2 });
    }
    layers.push(Layer::dense_relu(256));
    layers.push(Layer::Dropout { rate: 0.3 });
    layers
}
