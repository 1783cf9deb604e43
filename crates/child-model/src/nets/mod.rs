//! The nets, one a file.

pub(crate) mod basic_cnn;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::noise::Dropout;

/// A classifier of images.
pub(crate) trait Net: Module {
    /// Logits `[batch, classes]` of images `[batch, height, width, channels]` in [0, 1].
    fn forward(&self, images: Tensor<4>, dropout: &mut Dropout<'_>) -> Tensor<2>;
}
