//! Random numbers for all pixels of an image, many at a time.

use deepaug_simd::for_every_instruction_set;
use rand::Rng;

use super::{math, scratch::Buffer};

/// Number of generators side by side, so that one instruction advances many.
const LANES: usize = 16;

/// Sixteen xoshiro128++ generators (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021).
struct Generators {
    state: [[u32; LANES]; 4],
}

for_every_instruction_set! {
    /// Fills the numbers; their count is a multiple of [`LANES`].
    fn fill(generators: &mut Generators, numbers: &mut [u32]) {
        let [mut a, mut b, mut c, mut d] = generators.state;
        for numbers in numbers.as_chunks_mut::<LANES>().0 {
            for i in 0..LANES {
                numbers[i] = a[i].wrapping_add(d[i]).rotate_left(7).wrapping_add(a[i]);
                let shifted = b[i] << 9;
                c[i] ^= a[i];
                d[i] ^= b[i];
                b[i] ^= c[i];
                a[i] ^= d[i];
                c[i] ^= shifted;
                d[i] = d[i].rotate_left(11);
            }
        }
        generators.state = [a, b, c, d];
    }
}

/// Returns `count` random numbers, with all 2^32 values equally likely.
pub(super) fn numbers(count: usize, rng: &mut (impl Rng + ?Sized)) -> Buffer<u32> {
    let mut numbers = Buffer::any(count.next_multiple_of(LANES));
    // So few numbers that starting the generators would cost more.
    if count <= 4 * LANES {
        numbers.fill_with(|| rng.next_u32());
    } else {
        let mut generators = Generators { state: [[0; LANES]; 4] };
        generators.state.as_flattened_mut().fill_with(|| rng.next_u32());
        fill(&mut generators, &mut numbers);
    }
    numbers
}

/// Converts a probability to a share of the 2^32 values: a random number is below it with probability `p`.
pub(super) fn threshold(p: f64) -> u64 {
    (p * 2.0_f64.powi(32)) as u64
}

/// Returns a standard normal number from a random one: its quantile, by Giles' single-precision approximation of
/// the inverse error function ("Approximating the erfinv function", 2010). The largest is 5.4.
#[inline(always)]
pub(super) fn normal(number: u32) -> f32 {
    const CENTRE: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        0.000_218_580_87,
        -0.001_253_725,
        -0.004_177_681_6,
        0.246_640_73,
        1.501_409_4,
    ];
    const TAIL: [f32; 9] = [
        -0.000_200_214_26,
        0.000_100_950_56,
        0.001_349_343_2,
        -0.003_673_428_4,
        0.005_739_508,
        -0.007_622_461,
        0.009_438_871,
        1.001_674,
        2.832_976_8,
    ];
    // Uniform between -1 and 1, both excluded.
    let x = (number as i32 >> 8) as f32 * (1.0 / (1 << 23) as f32) + 0.5 / (1 << 23) as f32;
    let w = -std::f32::consts::LN_2 * math::log2((1.0 - x) * (1.0 + x));
    let is_centre = w < 5.0;
    let w = if is_centre { w - 2.5 } else { w.sqrt() - 3.0 };
    let mut sum = 0.0;
    for k in 0..9 {
        sum = sum * w + if is_centre { CENTRE[k] } else { TAIL[k] };
    }
    std::f32::consts::SQRT_2 * sum * x
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;

    #[test]
    fn normal_numbers_are_the_quantiles_of_statrs() {
        let reference = Normal::standard();
        let to_the_ends = [1 << 31, (1 << 31) + 99_999, (1 << 31) - 1, (1 << 31) - 99_999];
        for number in (0..u32::MAX - 4_000_000).step_by(3_999_971).chain(to_the_ends) {
            let p = 0.5 + (f64::from(number as i32 >> 8) + 0.5) / 2.0_f64.powi(24);
            let expected = reference.inverse_cdf(p);
            assert!((f64::from(normal(number)) - expected).abs() < 1e-3, "{number}: {} {expected}", normal(number));
        }
    }

    #[test]
    fn numbers_are_uniform_independent_and_the_same_for_every_instruction_set() {
        let make = || numbers(100_000, &mut Xoshiro256PlusPlus::seed_from_u64(5)).to_vec();
        let made = make();
        deepaug_simd::with_every_instruction_set(|level| assert!(made == make(), "{level:?}"));
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / made.len() as f64;
        let unit = |number: u32| f64::from(number) / 2.0_f64.powi(32) - 0.5;
        // Five standard errors: 0.289 for a uniform number, 1/12 for a product of two.
        assert!(mean(&mut made.iter().map(|&n| unit(n))).abs() < 5.0 * 0.289 / 316.0);
        for apart in [1, 16, 17] {
            let products = mean(&mut made.iter().zip(&made[apart..]).map(|(&a, &b)| unit(a) * unit(b)));
            assert!(products.abs() < 5.0 / 12.0 / 316.0, "{apart}: {products}");
        }
        let below = made.iter().filter(|&&n| u64::from(n) < threshold(0.3)).count() as f64 / made.len() as f64;
        assert!((below - 0.3).abs() < 5.0 * 0.458 / 316.0);
        assert_eq!((threshold(0.0), threshold(1.0)), (0, 1 << 32));
    }
}
