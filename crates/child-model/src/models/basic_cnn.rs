//! DeepAugment 1.1.2's basic CNN: two blocks of a padded and an unpadded 3x3 convolution, max-pooling and dropout, then
//! one hidden layer.

use crate::geometry::Padding;
use crate::network::Layer;

/// Two blocks reduce ten pixels to one.
pub(super) const MIN_SIDE: usize = 10;

pub(super) fn layers(filters: [usize; 2], hidden: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    for filters in filters {
        layers.push(Layer::conv_relu(filters, Padding::Same));
        layers.push(Layer::conv_relu(filters, Padding::Valid));
        layers.push(Layer::MaxPool { size: 2, stride: 2 });
        layers.push(Layer::Dropout { rate: 0.6 });
    }
    layers.push(Layer::dense_relu(hidden));
    layers.push(Layer::Dropout { rate: 0.5 });
    layers
}
