//! Dropout of pixels and of coarse cells, and coarse salt and pepper.

use rand::Rng;

use super::Image;

/// Sets each pixel to 0 with probability `p`: all its channels together, or each by itself.
pub fn dropout(image: &mut Image<'_>, p: f64, per_channel: bool, rng: &mut (impl Rng + ?Sized)) {
    let group = if per_channel { 1 } else { image.channels };
    for values in image.pixels.chunks_exact_mut(group) {
        if chance(p, rng) {
            values.fill(0);
        }
    }
}

/// Sets each cell of a grid of (rows, columns), at least 1 each, to 0 with probability `p`: all channels together, or each by
/// itself.
pub fn coarse_dropout(
    image: &mut Image<'_>,
    p: f64,
    grid: (usize, usize),
    per_channel: bool,
    rng: &mut (impl Rng + ?Sized),
) {
    let layers = if per_channel { image.channels } else { 1 };
    let mask: Vec<bool> = (0..grid.0 * grid.1 * layers).map(|_| chance(p, rng)).collect();
    each_cell(image, grid, |cell, pixel| {
        for (c, value) in pixel.iter_mut().enumerate() {
            if mask[cell * layers + c % layers] {
                *value = 0;
            }
        }
    });
}

/// Replaces each cell of a grid of (rows, columns), at least 1 each, with probability `p` by grey pixels, most of them nearly
/// black or nearly white: 255 times a Beta(1/2, 1/2) variable, drawn for each pixel.
pub fn coarse_salt_pepper(image: &mut Image<'_>, p: f64, grid: (usize, usize), rng: &mut (impl Rng + ?Sized)) {
    let mask: Vec<bool> = (0..grid.0 * grid.1).map(|_| chance(p, rng)).collect();
    each_cell(image, grid, |cell, pixel| {
        if mask[cell] {
            // The arcsine distribution: sin^2 of a uniform angle.
            let sine = (rng.random::<f32>() * std::f32::consts::FRAC_PI_2).sin();
            pixel.fill((255.0 * sine * sine).round_ties_even() as u8);
        }
    });
}

/// True with probability `p`, by one 32-bit draw whatever `p` is.
fn chance(p: f64, rng: &mut (impl Rng + ?Sized)) -> bool {
    f64::from(rng.next_u32()) < p * 2.0_f64.powi(32)
}

/// Visits every pixel with the index of its cell: nearest-neighbour enlargement of the grid.
fn each_cell(image: &mut Image<'_>, (rows, columns): (usize, usize), mut visit: impl FnMut(usize, &mut [u8])) {
    let (height, width, channels, stride) = (image.height, image.width, image.channels, image.stride());
    for (y, row) in image.pixels.chunks_exact_mut(stride).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            visit(y * rows / height * columns + x * columns / width, pixel);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn cells_are_dropped_whole_and_channels_together_or_apart() {
        for per_channel in [false, true] {
            let mut pixels = vec![9; 6 * 8 * 3];
            let rng = &mut ChaCha8Rng::seed_from_u64(2);
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
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        for _ in 0..1000 {
            assert!(!chance(0.0, rng) && chance(1.0, rng));
        }
    }
}
