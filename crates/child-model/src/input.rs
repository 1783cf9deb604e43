//! What a net sees of a pixel.

use ndarray::ArrayView4;

use crate::{Settings, TrainingSet};

/// Values of 0 to 255 are divided by 255; then a mean is subtracted and the result divided by a deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Input {
    pub(crate) mean: f32,
    pub(crate) deviation: f32,
}

impl Input {
    /// Values from 0 to 1.
    pub(crate) const UNIT: Self = Self { mean: 0.0, deviation: 1.0 };

    /// Images of a single value have no deviation to divide by.
    const MIN_DEVIATION: f64 = 1e-3;

    /// Returns the input of a training run.
    pub(crate) fn of(set: &TrainingSet<'_>, settings: &Settings) -> Self {
        if settings.standardize { Self::standard(set.images) } else { Self::UNIT }
    }

    /// Computes the mean and deviation of all values of these images.
    pub(crate) fn standard(images: ArrayView4<'_, u8>) -> Self {
        let (mut sum, mut squares) = (0_u64, 0_u64);
        for &value in images {
            sum += u64::from(value);
            squares += u64::from(value) * u64::from(value);
        }
        let count = images.len().max(1) as f64;
        let mean = sum as f64 / count;
        let deviation = (squares as f64 / count - mean * mean).max(0.0).sqrt();
        Self { mean: (mean / 255.0) as f32, deviation: (deviation / 255.0).max(Self::MIN_DEVIATION) as f32 }
    }

    /// Returns the factor and offset for a pixel that counts for a share.
    pub(crate) fn line(self, share: f32) -> [f32; 2] {
        [share / (255.0 * self.deviation), -share * self.mean / self.deviation]
    }
}

/// Returns the mean and deviation of all values of the images, each divided by 255. A net trained with
/// [`standardize`](Settings::standardize) on these images needs them in place of mean 0 and deviation 1.
pub fn standard_values(images: ArrayView4<'_, u8>) -> [f64; 2] {
    let Input { mean, deviation } = Input::standard(images);
    [mean, deviation].map(f64::from)
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn standard_images_have_mean_0_and_deviation_1() {
        let images = Array4::from_shape_fn((3, 5, 4, 3), |(n, y, x, c)| (83 * n + 31 * y + 17 * x + 5 * c) as u8);
        let [factor, summand] = Input::standard(images.view()).line(1.0);
        let values: Vec<f64> = images.iter().map(|&v| f64::from(f32::from(v) * factor + summand)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        assert_eq!(Input::UNIT.line(0.5), [0.5 / 255.0, -0.0]);
        assert!(Input::standard(Array4::from_elem((2, 2, 2, 1), 7).view()).line(1.0).iter().all(|v| v.is_finite()));
    }
}
