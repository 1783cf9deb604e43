//! Dropout of pixels and of coarse cells, and coarse salt and pepper.

use std::sync::LazyLock;

use deepaug_simd::for_every_instruction_set;
use rand::Rng;

use super::{Image, random, scratch::Buffer};

/// Sets each pixel to 0 with probability `p`: all its channels together, or each separately.
pub fn dropout(image: &mut Image<'_>, p: f64, per_channel: bool, rng: &mut (impl Rng + ?Sized)) {
    let group = if per_channel { 1 } else { image.channels };
    let numbers = random::numbers(image.pixels.len() / group, rng);
    // Probability 1 becomes 2^32 - 1, so a number of 2^32 - 1 is never below it.
    let below = u32::try_from(random::threshold(p)).unwrap_or(u32::MAX);
    if group == 3 {
        drop_pixels(image.pixels, &numbers, below);
    } else {
        image
            .pixels
            .chunks_exact_mut(group)
            .zip(numbers.iter())
            .filter(|(_, n)| **n < below)
            .for_each(|(v, _)| v.fill(0));
    }
}

for_every_instruction_set! {
    fn drop_pixels(values: &mut [u8], numbers: &[u32], below: u32) {
        for (pixel, number) in values.as_chunks_mut::<3>().0.iter_mut().zip(numbers) {
            let kept = if *number < below { 0 } else { 0xff };
            for value in pixel {
                *value &= kept;
            }
        }
    }
}

/// Sets each cell of a grid of (rows, columns), at least 1 each, to 0 with probability `p`: all channels together,
/// or each separately.
pub fn coarse_dropout(
    image: &mut Image<'_>,
    p: f64,
    grid: (usize, usize),
    per_channel: bool,
    rng: &mut (impl Rng + ?Sized),
) {
    let layers = if per_channel { image.channels } else { 1 };
    let numbers = random::numbers(grid.0 * grid.1 * layers, rng);
    let (threshold, channels) = (random::threshold(p), image.channels);
    let dropped = |cell: usize, layer: usize| u64::from(numbers[cell * layers + layer]) < threshold;
    each_cell(image, grid, |cell, values| {
        if layers == 1 {
            if dropped(cell, 0) {
                values.fill(0);
            }
        } else {
            for layer in (0..layers).filter(|&layer| dropped(cell, layer)) {
                values.iter_mut().skip(layer).step_by(channels).for_each(|value| *value = 0);
            }
        }
    });
}

/// Replaces each cell of a grid of (rows, columns), at least 1 each, with probability `p` by grey pixels, most of
/// them nearly black or nearly white: 255 times a Beta(1/2, 1/2) variable, drawn for each pixel.
pub fn coarse_salt_pepper(image: &mut Image<'_>, p: f64, grid: (usize, usize), rng: &mut (impl Rng + ?Sized)) {
    let cells = random::numbers(grid.0 * grid.1, rng);
    let pixels = random::numbers(image.height * image.width, rng);
    let (threshold, channels, arcsine) = (random::threshold(p), image.channels, &*ARCSINE);
    let mut pixels = pixels.iter();
    each_cell(image, grid, |cell, values| {
        if u64::from(cells[cell]) < threshold {
            for (pixel, number) in values.chunks_exact_mut(channels).zip(&mut pixels) {
                pixel.fill(arcsine[(number >> (32 - ARCSINE_BITS)) as usize]);
            }
        }
    });
}

const ARCSINE_BITS: u32 = 12;

/// Quantiles of 255 times a Beta(1/2, 1/2) variable, the arcsine distribution: the squared sine of a uniform angle.
static ARCSINE: LazyLock<[u8; 1 << ARCSINE_BITS]> = LazyLock::new(|| {
    std::array::from_fn(|i| {
        let sine = ((i as f64 + 0.5) / f64::from(1 << ARCSINE_BITS) * std::f64::consts::FRAC_PI_2).sin();
        (255.0 * sine * sine).round_ties_even() as u8
    })
});

/// Fills a square of `side` pixels, centred at (x, y) and clipped at the edges, with mid-grey: 128, as in
/// AutoAugment's code.
pub fn cutout(image: &mut Image<'_>, side: usize, x: usize, y: usize) {
    let range = |centre: usize, length: usize| {
        let start = centre.saturating_sub(side / 2).min(length);
        start..(centre + side.div_ceil(2)).min(length)
    };
    let (rows, columns) = (range(y, image.height), range(x, image.width));
    let (stride, channels) = (image.stride(), image.channels);
    for row in image.pixels[rows.start * stride..rows.end * stride].chunks_exact_mut(stride) {
        row[columns.start * channels..columns.end * channels].fill(128);
    }
}

/// Visits the values of every row of every cell, row by row: nearest-neighbour enlargement of the grid.
fn each_cell(image: &mut Image<'_>, (rows, columns): (usize, usize), mut visit: impl FnMut(usize, &mut [u8])) {
    let (height, width, channels, stride) = (image.height, image.width, image.channels, image.stride());
    // Where each column of cells ends: pixel x belongs to column x * columns / width.
    let mut ends = Buffer::<usize>::any(columns);
    ends.iter_mut().enumerate().for_each(|(column, end)| *end = ((column + 1) * width).div_ceil(columns) * channels);
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        let first = y * rows / height * columns;
        let mut start = 0;
        for (column, &end) in ends.iter().enumerate() {
            visit(first + column, &mut row[start..end]);
            start = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn cells_are_dropped_whole_and_channels_together_or_apart() {
        for per_channel in [false, true] {
            let mut pixels = vec![9; 6 * 8 * 3];
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
            coarse_dropout(&mut Image::new(&mut pixels, 6, 8, 3), 0.5, (3, 2), per_channel, rng);
            let pixel = |y: usize, x: usize| &pixels[(y * 8 + x) * 3..][..3];
            for y in 0..6 {
                for x in 0..8 {
                    assert_eq!(pixel(y, x), pixel(y / 2 * 2, x / 4 * 4));
                }
            }
            let partly = pixels.chunks(3).filter(|pixel| pixel.contains(&0) && pixel.contains(&9)).count();
            assert_eq!(partly > 0, per_channel);
            assert!(pixels.contains(&0) && pixels.contains(&9));
        }
    }

    #[test]
    fn probabilities_0_and_1_are_certain() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
        for per_channel in [false, true] {
            for (p, left) in [(0.0, 9), (1.0, 0)] {
                let mut pixels = vec![9; 40 * 40 * 3];
                dropout(&mut Image::new(&mut pixels, 40, 40, 3), p, per_channel, rng);
                assert!(pixels.iter().all(|&value| value == left));
                let mut pixels = vec![9; 40 * 40 * 3];
                coarse_dropout(&mut Image::new(&mut pixels, 40, 40, 3), p, (7, 3), per_channel, rng);
                assert!(pixels.iter().all(|&value| value == left));
            }
        }
    }

    #[test]
    fn cutouts_are_squares_that_end_at_the_edges() {
        for (side, x, y, covered) in
            [(0, 3, 3, 0), (1, 3, 3, 1), (4, 3, 3, 16), (4, 0, 0, 4), (5, 7, 0, 9), (99, 2, 2, 64)]
        {
            let mut pixels = vec![9; 8 * 8];
            cutout(&mut Image::new(&mut pixels, 8, 8, 1), side, x, y);
            assert_eq!(pixels.iter().filter(|&&value| value == 128).count(), covered, "{side} {x} {y}");
        }
    }
}
