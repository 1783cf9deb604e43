//! Table lookups.

use super::Image;

/// The result for every value.
pub type Table = [u8; 256];

/// Replaces every value by its entry: `tables` holds one table for all channels, or one for each.
pub fn apply(image: &mut Image<'_>, tables: &[Table]) {
    match tables {
        [table] => look_up(image.pixels, table),
        [red, green, blue] if image.channels == 3 => look_up_rgb(image.pixels, [red, green, blue]),
        _ => {
            for pixel in image.pixels.chunks_exact_mut(image.channels) {
                for (value, table) in pixel.iter_mut().zip(tables.iter().cycle()) {
                    *value = table[usize::from(*value)];
                }
            }
        }
    }
}

/// Applies `ops` to an image as a single lookup; `ops` is called once, on an image of all values. Only correct for
/// ops that map each value on its own, whatever the size of the image.
pub(crate) fn compose(image: &mut Image<'_>, ops: impl FnOnce(&mut Image<'_>)) {
    if !matches!(image.channels, 1 | 3) {
        return ops(image);
    }
    let mut values: [u8; 768] = std::array::from_fn(|i| (i / image.channels) as u8);
    let values = &mut values[..256 * image.channels];
    ops(&mut Image::new(values, 1, 256, image.channels));
    let mut tables = [[0; 256]; 3];
    for (v, pixel) in values.chunks_exact(image.channels).enumerate() {
        pixel.iter().zip(&mut tables).for_each(|(&value, table)| table[v] = value);
    }
    apply(image, &tables[..image.channels]);
}

fn look_up(values: &mut [u8], table: &Table) {
    #[cfg(target_arch = "x86_64")]
    if deepaug_simd::instruction_set() == deepaug_simd::InstructionSet::Avx512Vbmi {
        // SAFETY: the features of the level were detected.
        return unsafe { permute::one(values, table) };
    }
    values.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

fn look_up_rgb(values: &mut [u8], tables: [&Table; 3]) {
    #[cfg(target_arch = "x86_64")]
    if deepaug_simd::instruction_set() == deepaug_simd::InstructionSet::Avx512Vbmi {
        // SAFETY: the features of the level were detected.
        return unsafe { permute::rgb(values, tables) };
    }
    for pixel in values.as_chunks_mut::<3>().0 {
        for (value, table) in pixel.iter_mut().zip(tables) {
            *value = table[usize::from(*value)];
        }
    }
}

/// Lookups by byte permutations: a table takes four registers.
#[cfg(target_arch = "x86_64")]
mod permute {
    use std::arch::x86_64::*;

    use super::Table;

    /// A table in registers.
    type Registers = [__m512i; 4];

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
    fn load(table: &Table) -> Registers {
        // SAFETY: each reads 64 of the table's 256 bytes.
        [0, 1, 2, 3].map(|i| unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * i).cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
    fn entries(values: __m512i, [a, b, c, d]: Registers) -> __m512i {
        let low = _mm512_permutex2var_epi8(a, values, b);
        let high = _mm512_permutex2var_epi8(c, values, d);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(values), low, high)
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
    pub(super) fn one(values: &mut [u8], table: &Table) {
        let registers = load(table);
        let (whole, rest) = values.as_chunks_mut::<64>();
        for values in whole {
            // SAFETY: reads and writes the 64 values.
            unsafe {
                let found = entries(_mm512_loadu_si512(values.as_ptr().cast()), registers);
                _mm512_storeu_si512(values.as_mut_ptr().cast(), found);
            }
        }
        rest.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
    }

    /// Returns which of the 64 values of a vector belong to a channel, for each of the three vectors that hold 64
    /// pixels.
    const fn of_channel(channel: usize) -> [u64; 3] {
        let mut masks = [0; 3];
        let mut i = 0;
        while i < 192 {
            if i % 3 == channel {
                masks[i / 64] |= 1 << (i % 64);
            }
            i += 1;
        }
        masks
    }
    const GREEN: [u64; 3] = of_channel(1);
    const BLUE: [u64; 3] = of_channel(2);

    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vbmi")]
    pub(super) fn rgb(values: &mut [u8], tables: [&Table; 3]) {
        let [red, green, blue] = [load(tables[0]), load(tables[1]), load(tables[2])];
        let (whole, rest) = values.as_chunks_mut::<192>();
        for values in whole {
            for (i, values) in values.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                // SAFETY: reads and writes the 64 values.
                unsafe {
                    let from = _mm512_loadu_si512(values.as_ptr().cast());
                    let found = entries(from, red);
                    let found = _mm512_mask_mov_epi8(found, GREEN[i], entries(from, green));
                    let found = _mm512_mask_mov_epi8(found, BLUE[i], entries(from, blue));
                    _mm512_storeu_si512(values.as_mut_ptr().cast(), found);
                }
            }
        }
        for pixel in rest.as_chunks_mut::<3>().0 {
            for (value, table) in pixel.iter_mut().zip(tables) {
                *value = table[usize::from(*value)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_finds_the_entries() {
        let tables: [Table; 3] = [7, 31, 101].map(|k| std::array::from_fn(|v| (v * k + k) as u8));
        for pixels in [1, 20, 64, 65, 200] {
            let values: Vec<u8> = (0..pixels * 3).map(|i| (i * 89) as u8).collect();
            deepaug_simd::with_every_instruction_set(|level| {
                for tables in [&tables[..1], &tables[..]] {
                    let mut found = values.clone();
                    apply(&mut Image::new(&mut found, 1, pixels, 3), tables);
                    for (i, (found, value)) in found.iter().zip(&values).enumerate() {
                        assert_eq!(*found, tables[i % 3 % tables.len()][usize::from(*value)], "{level:?} {pixels} {i}");
                    }
                }
            });
        }
    }
}
