//! The terms that describe a layer to an engine: what a window moves over, what a convolution sums, what follows
//! it.

use serde::{Deserialize, Serialize};

/// The activation applied to a layer's sums, element by element.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// What surrounds an image when a window moves over it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Enough to make the output `ceil(side / stride)`; an odd pixel goes to the bottom and right, as in
    /// TensorFlow.
    #[default]
    Same,
    /// Nothing.
    Valid,
}

/// A window that moves over images of `[height, width]`, surrounded by zeros, or by nothing for a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    pub(crate) image: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
    /// Padding above and to the left.
    pub(crate) before: [usize; 2],
    /// Height and width of the output.
    pub(crate) out: [usize; 2],
}

impl Window {
    pub(crate) fn new(image: [usize; 2], kernel: [usize; 2], stride: usize, padding: Padding) -> Option<Self> {
        let one = |d: usize| match padding {
            Padding::Same => {
                let out = image[d].div_ceil(stride);
                let total = ((out - 1) * stride + kernel[d]).saturating_sub(image[d]);
                Some((total / 2, out))
            }
            Padding::Valid => Some((0, image[d].checked_sub(kernel[d])? / stride + 1)),
        };
        let ((top, rows), (left, columns)) = (one(0)?, one(1)?);
        Some(Self { image, kernel, stride, before: [top, left], out: [rows, columns] })
    }

    /// A window of one pixel over an image of one pixel, which is what a dense layer is.
    pub(crate) fn point() -> Self {
        Self { image: [1, 1], kernel: [1, 1], stride: 1, before: [0, 0], out: [1, 1] }
    }

    /// Padding below and to the right; negative where the last pixels are not reached.
    pub(crate) fn after(&self, d: usize) -> isize {
        ((self.out[d] - 1) * self.stride + self.kernel[d]) as isize - (self.image[d] + self.before[d]) as isize
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(crate) fn in_pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    pub(crate) fn out_pixels(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Whether each output pixel depends only on the input pixel at the same position.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1
    }
}

/// A convolution: weights `[taps * input, output]`, in the order row, column, input channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Conv {
    pub(crate) window: Window,
    pub(crate) input: usize,
    pub(crate) output: usize,
}
