//! Who tells transformed images from those of the set.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use ndarray::ArrayView4;
use rand::Rng;

use crate::Error;
use crate::net::{drawn, planes, softplus, values, zeros};

/// The convolution whose outputs images are compared by, counted from 0: the third.
const FEATURES: usize = 2;

const SLOPE: f64 = 0.2;

/// Convolutions of 5 x 5 with stride 2 and leaky rectifiers, and a logit: high for images of the set. It has no batch norm: in
/// evaluation mode an untrained one makes its verdicts meaningless, and in training mode it tells real from transformed
/// batches by their statistics alone (both measured).
#[derive(Module, Debug)]
struct Net {
    convolutions: Vec<Conv2d>,
    head: Conv2d,
}

impl Net {
    fn new(channels: usize, widths: [usize; 4], device: &Device, rng: &mut impl Rng) -> Self {
        let mut before = channels;
        let mut convolution = |width: usize, kernel: usize, stride: usize, gain: f64, device: &Device| {
            let pad = kernel / 2;
            let mut made = Conv2dConfig::new([before, width], [kernel, kernel])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .init(device);
            // K. He et al. 2015. burn draws from a generator that the whole process shares.
            let deviation = gain / ((kernel * kernel * before) as f64).sqrt();
            made.weight = drawn([width, before, kernel, kernel], deviation, device, rng);
            made.bias = Some(zeros(width, device));
            before = width;
            made
        };
        let convolutions = widths.iter().map(|&width| convolution(width, 5, 2, 2.0_f64.sqrt(), device)).collect();
        let head = convolution(1, 1, 1, 1.0, device);
        Self { convolutions, head }
    }

    /// Returns a logit for each image, and its features.
    fn forward(&self, images: Tensor<4>) -> (Tensor<1>, Tensor<2>) {
        let mut x = images;
        let mut features = None;
        for (number, convolution) in self.convolutions.iter().enumerate() {
            x = convolution.forward(x);
            if number == FEATURES {
                features = Some(x.clone().flatten::<2>(1, 3));
            }
            x = leaky_relu(x, SLOPE);
        }
        // The mean over what is left of the image is a dense layer whose weights all places share.
        let logits = self.head.forward(x).flatten::<2>(1, 3).mean_dim(1).flatten::<1>(0, 1);
        (logits, features.expect("there is a third convolution"))
    }
}

/// The discriminator and its training.
pub(super) struct Discriminator {
    net: Net,
    optimiser: ModuleOptimizer,
    learning_rate: f64,
    device: Device,
}

/// What it makes of an image: its logit, and its features.
pub(super) struct Verdicts {
    pub(super) logits: Vec<f64>,
    features: Vec<f32>,
}

impl Verdicts {
    /// Returns the mean squared difference of the features of two images.
    pub(super) fn distance(&self, a: usize, b: usize) -> f64 {
        let width = self.features.len() / self.logits.len().max(1);
        let [a, b] = [a, b].map(|image| &self.features[image * width..][..width]);
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / width.max(1) as f64
    }
}

impl Discriminator {
    /// `channels` of the images, `widths` of the convolutions.
    pub(super) fn new(
        channels: usize,
        widths: [usize; 4],
        learning_rate: f64,
        device: crate::Device,
        rng: &mut impl Rng,
    ) -> Self {
        let device = device.open();
        let optimiser = AdamConfig::new().with_epsilon(1e-8).init();
        Self { net: Net::new(channels, widths, &device, rng), optimiser, learning_rate, device }
    }

    /// Learns to tell images of the set from transformed ones, and returns the loss before that.
    pub(super) fn learn(&mut self, real: ArrayView4<'_, u8>, made: ArrayView4<'_, u8>) -> Result<f64, Error> {
        let count = real.dim().0;
        let images = Tensor::cat(vec![planes(real, &self.device), planes(made, &self.device)], 0);
        let (logits, _) = self.net.forward(images);
        let [real, made] = [logits.clone().slice(0..count), logits.slice(count..)];
        let loss = (softplus(real.neg()).mean() + softplus(made).mean()) / 2.0;
        let before = f64::from(values(loss.clone())?[0]);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.net);
        self.net = self.optimiser.step(self.learning_rate, self.net.clone(), gradients);
        Ok(before)
    }

    /// Looks at images without learning.
    pub(super) fn judge(&self, images: ArrayView4<'_, u8>) -> Result<Verdicts, Error> {
        let (logits, features) = self.net.valid().forward(planes(images, &self.device).inner());
        let logits = values(logits)?.into_iter().map(f64::from).collect();
        Ok(Verdicts { logits, features: values(features)? })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn bright(bright: bool) -> Array4<u8> {
        Array4::from_shape_fn((16, 9, 12, 3), |(n, y, x, c)| {
            ((n * 31 + y * 17 + x * 5 + c * 90) % 100) as u8 + if bright { 150 } else { 0 }
        })
    }

    #[test]
    fn it_learns_to_tell_images_apart_the_same_again() {
        let learnt = || {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut discriminator = Discriminator::new(3, [4, 6, 8, 8], 5e-3, crate::Device::Cpu, &mut rng);
            let losses: Vec<f64> =
                (0..40).map(|_| discriminator.learn(bright(true).view(), bright(false).view()).unwrap()).collect();
            (losses, discriminator.judge(bright(true).view()).unwrap().logits)
        };
        let (losses, logits) = learnt();
        assert!(losses[39] < 0.1 && losses[0] > 0.3, "{losses:?}");
        assert!(logits.iter().all(|&logit| logit > 0.0), "{logits:?}");
        assert_eq!((losses, logits), learnt());
    }

    #[test]
    fn an_image_is_at_no_distance_from_itself() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let verdicts =
            Discriminator::new(3, [4, 6, 8, 8], 1e-3, crate::Device::Cpu, rng).judge(bright(true).view()).unwrap();
        assert_eq!(verdicts.distance(3, 3), 0.0);
        assert!(verdicts.distance(3, 4) > 0.0);
        assert_eq!(verdicts.logits.len(), 16);
    }
}
