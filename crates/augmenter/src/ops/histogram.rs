//! Ops that depend on the distribution of the values: auto-contrast and equalisation, separately for each channel.
//!
//! The result equals Pillow's `ImageOps.autocontrast` and `ImageOps.equalize`.

use deepaug_simd::for_every_instruction_set;

use super::{
    Image,
    math::byte_of_f64,
    table::{self, Table},
};

const IDENTITY: Table = {
    let mut table = [0; 256];
    let mut v = 0;
    while v < 256 {
        table[v] = v as u8;
        v += 1;
    }
    table
};

/// Stretches the values of each channel so that the smallest becomes 0 and the largest 255.
pub fn auto_contrast(image: &mut Image<'_>) {
    each_channel(image, |histogram, table| {
        let least = histogram.iter().position(|&n| n > 0).unwrap_or(0);
        let largest = histogram.iter().rposition(|&n| n > 0).unwrap_or(0);
        if least < largest {
            let scale = 255.0 / (largest - least) as f64;
            stretch(table, scale, -(least as f64) * scale);
        }
    });
}

for_every_instruction_set! {
    fn stretch(table: &mut Table, scale: f64, offset: f64) {
        for v in 0..256 {
            table[v] = byte_of_f64(v as f64 * scale + offset);
        }
    }
}

/// Spreads the values of each channel so that all are about equally frequent.
pub fn equalize(image: &mut Image<'_>) {
    each_channel(image, |histogram, table| {
        let last = histogram.iter().rposition(|&n| n > 0).unwrap_or(0);
        let step = histogram[..last].iter().sum::<u32>() / 255;
        if step > 0 {
            let mut before = [0; 256];
            let mut n = step / 2;
            for (before, count) in before.iter_mut().zip(histogram) {
                *before = n;
                n += count;
            }
            divide(table, &before, f64::from(step));
        }
    });
}

for_every_instruction_set! {
    /// Computes integer quotients; `f64` is exact for them.
    fn divide(table: &mut Table, dividends: &[u32; 256], divisor: f64) {
        for v in 0..256 {
            table[v] = byte_of_f64(f64::from(dividends[v]) / divisor);
        }
    }
}

/// Applies to each channel the table made from its histogram; the table starts as the identity.
fn each_channel(image: &mut Image<'_>, make: impl Fn(&[u32; 256], &mut Table)) {
    // Neighbouring pixels are counted separately: they are often equal, and incrementing the same counter twice in
    // a row stalls.
    let mut counts = [[0_u32; 256]; 6];
    match image.channels {
        1 => {
            let (pairs, rest) = image.pixels.as_chunks::<2>();
            for &[a, b] in pairs {
                counts[0][usize::from(a)] += 1;
                counts[3][usize::from(b)] += 1;
            }
            rest.iter().for_each(|&value| counts[0][usize::from(value)] += 1);
        }
        3 => {
            let (pairs, rest) = image.pixels.as_chunks::<6>();
            for pair in pairs {
                for (counts, &value) in counts.iter_mut().zip(pair) {
                    counts[usize::from(value)] += 1;
                }
            }
            counts.iter_mut().zip(rest).for_each(|(counts, &value)| counts[usize::from(value)] += 1);
        }
        channels => {
            for c in 0..channels {
                let mut histogram = [0; 256];
                image.pixels.iter().skip(c).step_by(channels).for_each(|&value| histogram[usize::from(value)] += 1);
                let mut table = IDENTITY;
                make(&histogram, &mut table);
                let values = image.pixels.iter_mut().skip(c).step_by(channels);
                values.for_each(|value| *value = table[usize::from(*value)]);
            }
            return;
        }
    }
    let mut tables = [IDENTITY; 3];
    for (c, table) in tables[..image.channels].iter_mut().enumerate() {
        let mut histogram = counts[c];
        histogram.iter_mut().zip(&counts[c + 3]).for_each(|(sum, more)| *sum += more);
        make(&histogram, table);
    }
    table::apply(image, &tables[..image.channels]);
}
