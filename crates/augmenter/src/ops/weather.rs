//! Fog and clouds: bright layers whose opacity and intensity vary as noise of low frequencies.
//!
//! The layers and their parameters are those of imgaug 0.4.0 (`CloudLayer`, `Fog`, `Clouds`). One difference: noise is
//! synthesised on a grid of at most 64 cells a side and enlarged from there, so that the cost stays linear in the pixels.

use std::{f32::consts::TAU, ops::RangeInclusive};

use rand::Rng;
use rand_distr::{Distribution, Normal};

use super::{Image, resample};

/// Grid cells a side of a noise map, at least and at most.
const LEAST_GRID: usize = 4;
const LARGEST_GRID: usize = 64;

/// The ranges from which a layer's parameters are drawn uniformly.
struct Layer {
    /// Brightness of the layer.
    intensity_mean: RangeInclusive<f32>,
    /// Exponent of the spectrum of its fine variation.
    intensity_exponent: RangeInclusive<f32>,
    /// Standard deviation of its coarse variation.
    intensity_coarse_sd: f32,
    /// Opacity where there is least of the layer.
    alpha_min: RangeInclusive<f32>,
    /// How much the noise adds to the opacity.
    alpha_multiplier: RangeInclusive<f32>,
    /// Grid cells a side of the opacity noise.
    alpha_grid: RangeInclusive<usize>,
    /// Exponent of the spectrum of the opacity noise.
    alpha_exponent: RangeInclusive<f32>,
    /// Exponent of the opacity.
    sparsity: RangeInclusive<f32>,
    /// Factor of the opacity, after the exponent.
    density: RangeInclusive<f32>,
}

const FOG: Layer = Layer {
    intensity_mean: 220.0..=255.0,
    intensity_exponent: -2.0..=-1.5,
    intensity_coarse_sd: 2.0,
    alpha_min: 0.7..=0.9,
    alpha_multiplier: 0.3..=0.3,
    alpha_grid: 2..=8,
    alpha_exponent: -4.0..=-2.0,
    sparsity: 0.9..=0.9,
    density: 0.4..=0.9,
};

const CLOUDS: [Layer; 2] = [
    Layer {
        intensity_mean: 196.0..=255.0,
        intensity_exponent: -2.5..=-2.0,
        intensity_coarse_sd: 10.0,
        alpha_min: 0.0..=0.0,
        alpha_multiplier: 0.25..=0.75,
        alpha_grid: 2..=8,
        alpha_exponent: -2.5..=-2.0,
        sparsity: 0.8..=1.0,
        density: 0.5..=1.0,
    },
    Layer {
        intensity_mean: 196.0..=255.0,
        intensity_exponent: -2.0..=-1.0,
        intensity_coarse_sd: 10.0,
        alpha_min: 0.0..=0.0,
        alpha_multiplier: 0.5..=1.0,
        alpha_grid: 64..=128,
        alpha_exponent: -2.0..=-1.0,
        sparsity: 1.0..=1.4,
        density: 0.8..=1.5,
    },
];

/// Covers the image with fog; `opacity` (0..=1) scales the fog's own.
pub fn fog(image: &mut Image<'_>, opacity: f64, rng: &mut (impl Rng + ?Sized)) {
    FOG.draw(image, opacity, rng);
}

/// Covers the image with large clouds, small ones or both; `opacity` (0..=1) scales the clouds' own.
pub fn clouds(image: &mut Image<'_>, opacity: f64, rng: &mut (impl Rng + ?Sized)) {
    let both = rng.random_bool(0.5);
    let one = rng.random_range(0..CLOUDS.len());
    for (i, layer) in CLOUDS.iter().enumerate() {
        if both || i == one {
            layer.draw(image, opacity, rng);
        }
    }
}

impl Layer {
    fn draw(&self, image: &mut Image<'_>, opacity: f64, rng: &mut (impl Rng + ?Sized)) {
        let size = (image.height, image.width);
        let mean = rng.random_range(self.intensity_mean.clone());
        let normal = Normal::new(mean, self.intensity_coarse_sd).expect("the deviation is finite");
        let coarse: Vec<f32> = normal.sample_iter(&mut *rng).take(8 * 8).collect();
        let coarse = resample::cubic(&coarse, (8, 8), size);
        let fine = noise(size, LARGEST_GRID, rng.random_range(self.intensity_exponent.clone()), rng);

        let alpha_min = rng.random_range(self.alpha_min.clone());
        let multiplier = rng.random_range(self.alpha_multiplier.clone());
        let sparsity = rng.random_range(self.sparsity.clone());
        let density = rng.random_range(self.density.clone());
        let grid = rng.random_range(self.alpha_grid.clone());
        let alpha = noise(size, grid, rng.random_range(self.alpha_exponent.clone()), rng);

        let opacity = opacity as f32;
        let pixels = image.pixels.chunks_exact_mut(image.channels);
        for (pixel, ((coarse, fine), alpha)) in pixels.zip(coarse.iter().zip(&fine).zip(&alpha)) {
            let intensity = (coarse + mean * (2.0 * fine - 1.0) / 5.0).clamp(0.0, 255.0);
            let alpha = ((alpha_min + multiplier * alpha).powf(sparsity) * density).clamp(0.0, 1.0) * opacity;
            for value in pixel {
                // Rounded down, as in imgaug.
                *value = ((1.0 - alpha) * f32::from(*value) + alpha * intensity) as u8;
            }
        }
    }
}

/// Noise from 0 to 1 whose amplitudes go as a power of the frequency, on a grid whose longer side has `grid` cells, enlarged
/// to `size`.
fn noise(size: (usize, usize), grid: usize, exponent: f32, rng: &mut (impl Rng + ?Sized)) -> Vec<f32> {
    let longer = size.0.max(size.1);
    let scale = (grid.min(LARGEST_GRID) as f64 / longer as f64).min(1.0);
    let cells = |side: usize| ((side as f64 * scale) as usize).max(LEAST_GRID);
    let (rows, columns) = (cells(size.0), cells(size.1));

    // Frequencies run up to half the grid and back down.
    let (halves, half) = (rows / 2 + 1, columns / 2 + 1);
    let mut scale: Vec<f32> =
        (0..halves * half).map(|i| ((i / half) as f32).hypot((i % half) as f32).powf(exponent)).collect();
    scale[0] = 0.0;

    // Amplitude and phase are uniform; that the imaginary part carries the cosine as well is imgaug's way.
    let (mut real, mut imaginary) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
    for y in 0..rows {
        for x in 0..columns {
            let (sin, cos) = (TAU * rng.random::<f32>()).sin_cos();
            let amplitude = rng.random::<f32>() * scale[y.min(rows - y) * half + x.min(columns - x)];
            real[y * columns + x] = amplitude * cos;
            imaginary[y * columns + x] = amplitude * cos * sin;
        }
    }
    let mut map = real_inverse_transform(&real, &imaginary, rows, columns);

    let (least, largest) = map.iter().fold((f32::MAX, f32::MIN), |(a, b), &v| (a.min(v), b.max(v)));
    let range = if largest > least { largest - least } else { 1.0 };
    map.iter_mut().for_each(|value| *value = (*value - least) / range);
    if (rows, columns) != size {
        map = resample::cubic(&map, (rows, columns), size);
        map.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
    }
    map
}

/// The real part of the inverse discrete Fourier transform of a rows x columns spectrum, unnormalised. On grids this small the
/// sums themselves, rows first and columns second, are fast enough.
fn real_inverse_transform(real: &[f32], imaginary: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let waves = |n: usize| -> Vec<(f32, f32)> {
        (0..n).map(|i| (TAU * i as f32 / n as f32).sin_cos()).map(|(sin, cos)| (cos, sin)).collect()
    };
    // Down the columns: complex to complex, whole rows at a time.
    let wave = waves(rows);
    let (mut re, mut im) = (vec![0.0_f32; rows * columns], vec![0.0_f32; rows * columns]);
    for y in 0..rows {
        let (re, im) = (&mut re[y * columns..][..columns], &mut im[y * columns..][..columns]);
        for v in 0..rows {
            let (cos, sin) = wave[v * y % rows];
            let (a, b) = (&real[v * columns..][..columns], &imaginary[v * columns..][..columns]);
            for x in 0..columns {
                re[x] += cos * a[x] - sin * b[x];
                im[x] += sin * a[x] + cos * b[x];
            }
        }
    }
    // Along the rows: only the real part is wanted.
    let wave = waves(columns);
    let mut map = vec![0.0_f32; rows * columns];
    for u in 0..columns {
        let line: Vec<(f32, f32)> = (0..columns).map(|x| wave[u * x % columns]).collect();
        for y in 0..rows {
            let (a, b) = (re[y * columns + u], im[y * columns + u]);
            for (value, (cos, sin)) in map[y * columns..][..columns].iter_mut().zip(&line) {
                *value += a * cos - b * sin;
            }
        }
    }
    map
}
