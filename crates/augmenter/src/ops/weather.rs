//! Fog and clouds: bright layers whose opacity and intensity vary as low-frequency noise.
//!
//! The layers and their parameters are those of imgaug 0.4.0 (`CloudLayer`, `Fog`, `Clouds`), with one difference:
//! noise is synthesised on a grid of at most 64 cells per side and enlarged, so that the cost stays linear in the
//! pixels.

use std::{f32::consts::TAU, ops::RangeInclusive, sync::LazyLock};

use deepaug_simd::for_every_instruction_set;
use rand::Rng;

use super::{Image, math, random, resample, scratch::Buffer};

/// Minimum and maximum number of grid cells per side of a noise map.
const MIN_GRID: usize = 4;
const MAX_GRID: usize = 64;

/// The ranges from which a layer's parameters are drawn uniformly.
struct Layer {
    /// Brightness of the layer.
    intensity_mean: RangeInclusive<f32>,
    /// Exponent of the spectrum of its fine variation.
    intensity_exponent: RangeInclusive<f32>,
    /// Standard deviation of its coarse variation.
    intensity_coarse_sd: f32,
    /// Opacity where the layer is thinnest.
    alpha_min: RangeInclusive<f32>,
    /// How much the noise adds to the opacity.
    alpha_multiplier: RangeInclusive<f32>,
    /// Grid cells per side of the opacity noise.
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
        let coarse: [f32; 8 * 8] =
            std::array::from_fn(|_| mean + self.intensity_coarse_sd * random::normal(rng.next_u32()));
        let mut intensity = resample::cubic(&coarse, (8, 8), size);
        let fine = noise(size, MAX_GRID, rng.random_range(self.intensity_exponent.clone()), rng);

        let alpha_min = rng.random_range(self.alpha_min.clone());
        let multiplier = rng.random_range(self.alpha_multiplier.clone());
        let sparsity = rng.random_range(self.sparsity.clone());
        let density = rng.random_range(self.density.clone());
        let grid = rng.random_range(self.alpha_grid.clone());
        let mut alpha = noise(size, grid, rng.random_range(self.alpha_exponent.clone()), rng);

        vary(&mut intensity, &fine, mean);
        shape(&mut alpha, [alpha_min, multiplier, sparsity, density * opacity as f32, opacity as f32]);
        cover(image.pixels, &intensity, &alpha, image.channels);
    }
}

for_every_instruction_set! {
    /// Computes the brightness of the layer: its coarse variation, with a fine one around it.
    fn vary(intensity: &mut [f32], fine: &[f32], mean: f32) {
        for (intensity, fine) in intensity.iter_mut().zip(fine) {
            *intensity = (*intensity + mean * (2.0 * fine - 1.0) / 5.0).max(0.0).min(255.0);
        }
    }
}

for_every_instruction_set! {
    /// Computes the opacity from its noise: a power of it, at most `opacity`.
    fn shape(alpha: &mut [f32], parameters: [f32; 5]) {
        let [least, multiplier, sparsity, density, opacity] = parameters;
        for alpha in alpha {
            let power = math::exp2(f64::from(sparsity * math::log2(least + multiplier * *alpha))) as f32;
            *alpha = (power * density).max(0.0).min(opacity);
        }
    }
}

fn cover(values: &mut [u8], intensity: &[f32], alpha: &[f32], channels: usize) {
    if channels == 3 {
        cover_rgb(values, intensity, alpha);
    } else {
        for (pixel, (intensity, alpha)) in values.chunks_exact_mut(channels).zip(intensity.iter().zip(alpha)) {
            pixel.iter_mut().for_each(|value| *value = covered(*value, *intensity, *alpha));
        }
    }
}

for_every_instruction_set! {
    fn cover_rgb(values: &mut [u8], intensity: &[f32], alpha: &[f32]) {
        for ((pixel, intensity), alpha) in values.as_chunks_mut::<3>().0.iter_mut().zip(intensity).zip(alpha) {
            for value in pixel {
                *value = covered(*value, *intensity, *alpha);
            }
        }
    }
}

/// Blends a value with the layer, rounding down as in imgaug.
#[inline(always)]
fn covered(value: u8, intensity: f32, alpha: f32) -> u8 {
    math::byte((1.0 - alpha) * f32::from(value) + alpha * intensity)
}

/// Returns noise from 0 to 1 whose amplitudes follow a power of the frequency, on a grid whose longer side has
/// `grid` cells, enlarged to `size`.
fn noise(size: (usize, usize), grid: usize, exponent: f32, rng: &mut (impl Rng + ?Sized)) -> Buffer<f32> {
    let longer = size.0.max(size.1);
    let scale = (grid.min(MAX_GRID) as f64 / longer as f64).min(1.0);
    let cells = |side: usize| ((side as f64 * scale) as usize).max(MIN_GRID);
    let (rows, columns) = (cells(size.0), cells(size.1));

    // Frequencies run up to half the grid and back down.
    let (halves, half) = (rows / 2 + 1, columns / 2 + 1);
    let mut amplitudes = Buffer::<f32>::any(halves * half);
    for (i, amplitude) in amplitudes.iter_mut().enumerate() {
        *amplitude = ((i / half).pow(2) + (i % half).pow(2)) as f32;
    }
    raise(&mut amplitudes, exponent);
    amplitudes[0] = 0.0;

    // Amplitude and phase are uniform; the imaginary part also carries the cosine, as in imgaug.
    let count = rows * columns;
    let numbers = random::numbers(2 * count, rng);
    let (phases, sizes) = numbers[..2 * count].split_at(count);
    let (mut real, mut imaginary) = (Buffer::<f32>::any(count), Buffer::<f32>::any(count));
    let turns = &*TURNS;
    for y in 0..rows {
        let amplitudes = &amplitudes[y.min(rows - y) * half..][..half];
        for x in 0..columns {
            let i = y * columns + x;
            let [cos, sin] = turns[(phases[i] >> (32 - TURN_BITS)) as usize];
            let amplitude = (sizes[i] >> 8) as f32 / (1 << 24) as f32 * amplitudes[x.min(columns - x)];
            (real[i], imaginary[i]) = (amplitude * cos, amplitude * cos * sin);
        }
    }
    let mut map = real_inverse_transform(&real, &imaginary, rows, columns);
    stretch(&mut map);
    if (rows, columns) != size {
        map = resample::cubic(&map, (rows, columns), size);
        clamp(&mut map);
    }
    map
}

const TURN_BITS: u32 = 12;

/// Cosines and sines of integer fractions of a turn.
static TURNS: LazyLock<Vec<[f32; 2]>> = LazyLock::new(|| {
    let turn = |i: u32| (TAU * i as f32 / (1 << TURN_BITS) as f32).sin_cos();
    (0..1 << TURN_BITS).map(turn).map(|(sin, cos)| [cos, sin]).collect()
});

for_every_instruction_set! {
    /// Raises squares to powers of their roots.
    fn raise(squares: &mut [f32], exponent: f32) {
        for value in squares {
            *value = math::exp2(f64::from(0.5 * exponent * math::log2(*value))) as f32;
        }
    }
}

for_every_instruction_set! {
    /// Scales the values to the range from 0 to 1.
    fn stretch(map: &mut [f32]) {
        let (mut least, mut largest) = (f32::MAX, f32::MIN);
        for &value in map.iter() {
            (least, largest) = (least.min(value), largest.max(value));
        }
        let range = if largest > least { largest - least } else { 1.0 };
        for value in map {
            *value = (*value - least) / range;
        }
    }
}

for_every_instruction_set! {
    fn clamp(map: &mut [f32]) {
        for value in map {
            *value = value.max(0.0).min(1.0);
        }
    }
}

/// Returns the real part of the inverse discrete Fourier transform of a rows x columns spectrum, unnormalised. On
/// grids this small, direct sums, rows first and columns second, are fast enough.
fn real_inverse_transform(real: &[f32], imaginary: &[f32], rows: usize, columns: usize) -> Buffer<f32> {
    // Along columns: complex to complex, whole rows at a time.
    let wave = waves(rows);
    let (mut re, mut im) = (Buffer::<f32>::zeros(rows * columns), Buffer::<f32>::zeros(rows * columns));
    for y in 0..rows {
        let (re, im) = (&mut re[y * columns..][..columns], &mut im[y * columns..][..columns]);
        for v in 0..rows {
            turn(re, im, &real[v * columns..][..columns], &imaginary[v * columns..][..columns], wave[v * y % rows]);
        }
    }
    // Along rows: only the real part is needed.
    let wave = waves(columns);
    let mut map = Buffer::<f32>::zeros(rows * columns);
    let mut cosines = Buffer::<f32>::any(columns);
    let mut sines = Buffer::<f32>::any(columns);
    for u in 0..columns {
        for (x, (cos, sin)) in cosines.iter_mut().zip(sines.iter_mut()).enumerate() {
            [*cos, *sin] = wave[u * x % columns];
        }
        for y in 0..rows {
            let at = y * columns + u;
            add_wave(&mut map[y * columns..][..columns], re[at], im[at], &cosines, &sines);
        }
    }
    map
}

/// Returns the roots of unity.
fn waves(n: usize) -> Buffer<[f32; 2]> {
    let mut waves = Buffer::<[f32; 2]>::any(n);
    for (i, wave) in waves.iter_mut().enumerate() {
        let (sin, cos) = (TAU * i as f32 / n as f32).sin_cos();
        *wave = [cos, sin];
    }
    waves
}

for_every_instruction_set! {
    /// Adds complex numbers rotated by an angle.
    fn turn(re: &mut [f32], im: &mut [f32], a: &[f32], b: &[f32], wave: [f32; 2]) {
        let [cos, sin] = wave;
        for (((re, im), a), b) in re.iter_mut().zip(im).zip(a).zip(b) {
            *re += cos * a - sin * b;
            *im += sin * a + cos * b;
        }
    }
}

for_every_instruction_set! {
    fn add_wave(line: &mut [f32], re: f32, im: f32, cosines: &[f32], sines: &[f32]) {
        for ((value, cos), sin) in line.iter_mut().zip(cosines).zip(sines) {
            *value += re * cos - im * sin;
        }
    }
}
