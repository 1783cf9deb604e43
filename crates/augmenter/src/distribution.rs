//! How a parameter is drawn, separately for each image.

use rand::Rng;

/// The distribution of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Always this value.
    Fixed(f64),
    /// Uniform between two ends, given in either order.
    Between(f64, f64),
    /// One of the integers from the first to the second, all equally likely.
    Whole(i32, i32),
    /// One of two values, equally likely.
    Either(f64, f64),
    /// The base raised to a power that is uniform between plus and minus `most`.
    Power {
        /// What is raised to the power.
        base: f64,
        /// The largest exponent.
        most: f64,
    },
}

impl Distribution {
    /// Returns a uniform distribution from 0 to `most`.
    pub(crate) fn to(most: f64) -> Self {
        Self::Between(0.0, most)
    }

    /// Returns a uniform distribution from `-most` to `most`.
    pub(crate) fn within(most: f64) -> Self {
        Self::Between(-most, most)
    }

    /// Returns `value` with either sign.
    pub(crate) fn signed(value: f64) -> Self {
        Self::Either(-value, value)
    }

    /// Draws a value.
    pub fn draw(self, rng: &mut (impl Rng + ?Sized)) -> f64 {
        match self {
            Self::Fixed(value) => value,
            Self::Between(a, b) => a + (b - a) * rng.random::<f64>(),
            Self::Whole(a, b) => f64::from(rng.random_range(a..=b)),
            Self::Either(a, b) => {
                if rng.random() {
                    a
                } else {
                    b
                }
            }
            Self::Power { base, most } => base.powf(Self::within(most).draw(rng)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn draws_fill_their_range() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        for (draw, least, mean, largest) in [
            (Distribution::Fixed(2.0), 2.0, 2.0, 2.0),
            (Distribution::Between(3.0, -1.0), -1.0, 1.0, 3.0),
            (Distribution::Whole(2, 4), 2.0, 3.0, 4.0),
            (Distribution::signed(0.5), -0.5, 0.0, 0.5),
            (Distribution::Power { base: 4.0, most: 1.0 }, 0.25, 3.75 / (2.0 * 4.0_f64.ln()), 4.0),
        ] {
            let values: Vec<f64> = (0..20_000).map(|_| draw.draw(rng)).collect();
            let range = largest - least;
            let close =
                |found: f64, expected: f64| assert!((found - expected).abs() <= 0.02 * range, "{draw:?} {found}");
            close(values.iter().copied().fold(f64::MAX, f64::min), least);
            close(values.iter().copied().fold(f64::MIN, f64::max), largest);
            close(values.iter().sum::<f64>() / 20_000.0, mean);
        }
    }
}
