//! Bending: bilinear interpolation between positions rounded to 32nds of a pixel.

use rand::Rng;

use super::{Fill, Image, affine::remap, random, scratch::Buffer};

/// How far from the centre a swirl has fallen to 1/e, as a part of the shorter side: scikit-image's 100 / 5 ln 2 pixels
/// for its default radius, on the 32 pixels of the images that TANDA was made for.
const SWIRL_DECAY: f64 = 13.862_943_611_198_906 / 32.0;

/// Cells along each side of the grid of an elastic deformation.
const CELLS: usize = 5;

/// A cubic spline has three coefficients more than cells.
const COEFFICIENTS: usize = CELLS + 3;

/// Twists about the centre by an angle in radians, which falls exponentially with the distance, as scikit-image's `swirl`
/// does.
pub fn swirl(image: &mut Image<'_>, radians: f64, fill: Fill) {
    let decay = SWIRL_DECAY * image.height.min(image.width) as f64;
    let (cx, cy) = (image.width as f64 / 2.0 - 0.5, image.height as f64 / 2.0 - 0.5);
    remap(image, fill, |row, xs, ys| {
        let v = row as f64 - cy;
        for (column, (x, y)) in xs.iter_mut().zip(ys).enumerate() {
            let u = column as f64 - cx;
            let (sin, cos) = (radians * (-(u * u + v * v).sqrt() / decay).exp()).sin_cos();
            (*x, *y) = (cx + cos * u - sin * v, cy + sin * u + cos * v);
        }
    });
}

/// Bends by a smooth random field: a uniform cubic B-spline over five cells a side, whose coefficients are normal numbers of
/// deviation `sd`, in pixels (after P. Simard, D. Steinkraus, J. Platt, ICDAR 2003, who smooth the displacement of every
/// pixel). Pixels move by about half as much.
pub fn elastic(image: &mut Image<'_>, sd: f64, fill: Fill, rng: &mut (impl Rng + ?Sized)) {
    let numbers = random::numbers(2 * COEFFICIENTS * COEFFICIENTS, rng);
    let mut field = Buffer::<f64>::any(2 * COEFFICIENTS * COEFFICIENTS);
    field.iter_mut().zip(&*numbers).for_each(|(value, &number)| *value = sd * f64::from(random::normal(number)));
    let (rows, columns) = (basis(image.height), basis(image.width));
    remap(image, fill, |row, xs, ys| {
        let [cell, of_row @ ..] = at(&rows, row);
        for (axis, positions) in [xs, ys].into_iter().enumerate() {
            let of_column: [f64; COEFFICIENTS] = std::array::from_fn(|column| {
                let of_cell = (axis * COEFFICIENTS + cell as usize) * COEFFICIENTS + column;
                (0..4).map(|k| of_row[k] * field[of_cell + k * COEFFICIENTS]).sum()
            });
            for (column, position) in positions.iter_mut().enumerate() {
                let [cell, weights @ ..] = at(&columns, column);
                let own = if axis == 0 { column } else { row } as f64;
                *position = own + (0..4).map(|k| weights[k] * of_column[cell as usize + k]).sum::<f64>();
            }
        }
    });
}

/// Returns for each pixel of a side its cell and the weights of that cell's four coefficients.
fn basis(side: usize) -> Buffer<f64> {
    let mut all = Buffer::any(5 * side);
    for (pixel, numbers) in all.as_chunks_mut::<5>().0.iter_mut().enumerate() {
        let at = (pixel as f64 + 0.5) * CELLS as f64 / side as f64;
        let cell = at.floor().min(CELLS as f64 - 1.0);
        let t = at - cell;
        let weights =
            [(1.0 - t).powi(3), (3.0 * t - 6.0) * t * t + 4.0, ((-3.0 * t + 3.0) * t + 3.0) * t + 1.0, t * t * t];
        numbers[0] = cell;
        numbers[1..].copy_from_slice(&weights.map(|weight| weight / 6.0));
    }
    all
}

fn at(basis: &[f64], pixel: usize) -> [f64; 5] {
    basis.as_chunks().0[pixel]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn ramp() -> Vec<u8> {
        (0..9 * 12).map(|i| (20 + (i % 12) * 9 + i / 12 * 11) as u8).collect()
    }

    /// Expected: scikit-image 0.25.2, `swirl(image, center=(5.5, 4), strength=0.9, radius=28.125, order=1)` of the same
    /// 9 x 12 pixels, in 255ths; it does not round positions.
    #[test]
    fn a_swirl_is_that_of_scikit_image() {
        let mut pixels = ramp();
        swirl(&mut Image::new(&mut pixels, 9, 12, 1), 0.9, Fill::Black);
        for (y, x, expected) in SWIRLED {
            assert!(
                (f64::from(pixels[y * 12 + x]) - expected).abs() < 1.5,
                "{y} {x}: {} {expected}",
                pixels[y * 12 + x]
            );
        }
    }

    const SWIRLED: [(usize, usize, f64); 7] =
        [(2, 3, 68.78), (4, 5, 106.42), (4, 9, 156.71), (6, 7, 144.4), (8, 2, 108.67), (1, 10, 137.87), (7, 4, 115.44)];

    #[test]
    fn weights_are_a_partition_of_unity_and_the_field_is_smooth() {
        for side in [1, 4, 28, 224] {
            for pixel in basis(side).as_chunks::<5>().0 {
                assert!((pixel[1..].iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!((0.0..CELLS as f64).contains(&pixel[0]));
            }
        }
        // Equal brightness everywhere but at the border stays so, and neighbours stay neighbours.
        let mut pixels: Vec<u8> = (0..64 * 64).map(|i| (i % 64 * 3) as u8).collect();
        elastic(&mut Image::new(&mut pixels, 64, 64, 1), 3.0, Fill::Black, &mut Xoshiro256PlusPlus::seed_from_u64(1));
        let inner = |y: usize, x: usize| i32::from(pixels[y * 64 + x]);
        let steps = (16..48).flat_map(|y| (16..48).map(move |x| (y, x))).map(|(y, x)| inner(y, x + 1) - inner(y, x));
        assert!(steps.clone().all(|step| (-3..=9).contains(&step)), "{:?}", steps.collect::<Vec<_>>());
    }

    #[test]
    fn outside_is_black_or_the_nearest_pixel() {
        let shifted = |fill: Fill| {
            let mut pixels: Vec<u8> = (0..5 * 4 * 3).map(|i| 50 + i as u8).collect();
            super::super::affine::translate(&mut Image::new(&mut pixels, 5, 4, 3), 2.0, -9.0, fill);
            pixels
        };
        assert!(shifted(Fill::Black).iter().all(|&value| value == 0));
        // The last row, from its first pixel on: that of column 0 three times, and that of column 1.
        let last: Vec<u8> = [0, 0, 0, 1].iter().flat_map(|x| (0..3).map(move |c| 50 + 4 * 12 + x * 3 + c)).collect();
        assert!(shifted(Fill::Edge).chunks_exact(12).all(|row| row == last), "{:?}", shifted(Fill::Edge));
    }
}
