//! What nets on burn have in common here.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array4, ArrayView4};
use rand::Rng;
use rand_distr::{Distribution, Normal};

use crate::Error;

/// Draws the weights of a layer from a normal distribution around 0. burn draws from a generator that the whole process
/// shares.
pub(crate) fn drawn<const D: usize>(
    shape: [usize; D],
    deviation: f64,
    device: &Device,
    rng: &mut impl Rng,
) -> Param<Tensor<D>> {
    let normal = Normal::new(0.0, deviation).expect("a deviation is positive");
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal.sample(rng) as f32).collect();
    Param::from_data(TensorData::new(values, shape), device)
}

/// Returns a layer's biases, all 0.
pub(crate) fn zeros(width: usize, device: &Device) -> Param<Tensor<1>> {
    Param::from_data(TensorData::new(vec![0.0_f32; width], [width]), device)
}

/// Computes ln(1 + e^x), in a form that does not overflow: the cross-entropy of a logit that should be low.
pub(crate) fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone().clamp_min(0.0) + (x.abs().neg().exp() + 1.0).log()
}

/// Reads the values of a tensor.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let failed = |error: &dyn std::fmt::Debug| Error::Device(format!("{error:?}"));
    let data: TensorData = tensor.try_into_data().map_err(|error| failed(&error))?;
    data.as_slice::<f32>().map(<[f32]>::to_vec).map_err(|error| failed(&error))
}

/// Returns images (NHWC) from -1 to 1, as `[images, channels, height, width]`.
pub(crate) fn planes(images: ArrayView4<'_, u8>, device: &Device) -> Tensor<4> {
    let (count, height, width, channels) = images.dim();
    let planes = images.permuted_axes([0, 3, 1, 2]);
    let scaled: Vec<f32> = planes.iter().map(|&value| f32::from(value) / 127.5 - 1.0).collect();
    Tensor::from_data(TensorData::new(scaled, [count, channels, height, width]), device)
}

/// Returns what [`planes`] made of images, as images; values beyond -1 and 1 are cut off.
pub(crate) fn images(planes: Tensor<4>) -> Result<Array4<u8>, Error> {
    let [count, channels, height, width] = planes.dims();
    let values = values(planes)?;
    let level = |value: f32| ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
    Ok(Array4::from_shape_fn((count, height, width, channels), |(n, y, x, c)| {
        level(values[((n * channels + c) * height + y) * width + x])
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_become_planes_and_images_again() {
        let all = Array4::from_shape_fn((2, 3, 5, 3), |(n, y, x, c)| (n * 100 + y * 40 + x * 7 + c * 3) as u8);
        let device = crate::Device::Cpu.open();
        let planes = planes(all.view(), &device);
        assert_eq!(planes.dims(), [2, 3, 3, 5]);
        let first = values(planes.clone()).unwrap()[..2].to_vec();
        assert_eq!(first, [-1.0, 7.0 / 127.5 - 1.0]);
        assert_eq!(images(planes.clone()).unwrap(), all);
        assert!(images(planes + 5.0).unwrap().iter().all(|&value| value == 255));
    }
}
