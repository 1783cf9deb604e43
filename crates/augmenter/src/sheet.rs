//! Contact sheets: what ops and policies do to images, in one picture with text beside the rows.

use font8x8::{BASIC_FONTS, UnicodeFonts};
use ndarray::{Array3, Array4, ArrayView3, ArrayView4, ArrayViewMut1, ArrayViewMut3, Axis, s};

use crate::{CopySpec, Online, Op, Policy, RangeTable, Step, SubPolicy};

/// Small images are enlarged to at least this height and width.
const MIN_TILE: usize = 64;
/// Large images are reduced to at most this height and width, because a sheet is viewed as a whole.
const MAX_TILE: usize = 160;
const GAP: usize = 4;
/// Height and width of a letter: twice those of the font.
const LETTER: usize = 16;
/// Distance between lines of text.
const LINE: usize = LETTER + 1;
const PAPER: u8 = 255;
const INK: u8 = 30;

/// Draws a sheet of what a policy does to each of a few images: the originals, each of its ops alone, and each
/// sub-policy, drawn `draws` times. Returns height x width x 3, to be written as a picture. The images are NHWC
/// with 1 or 3 channels.
pub fn policy(policy: &Policy, images: ArrayView4<'_, u8>, draws: usize, seed: u64) -> Array3<u8> {
    let mut rows = vec![("original".to_owned(), images.to_owned())];
    let mut seen: Vec<Step> = Vec::new();
    for step in policy.steps().filter(|step| step.probability > 0.0) {
        if !seen.contains(step) {
            seen.push(*step);
            let alone = SubPolicy { ops: vec![Step { probability: 1.0, ..*step }] };
            rows.push((step.to_string(), applied(&alone, policy.ranges, images, seed)));
        }
    }
    if policy.draws > 1 || !policy.counts.is_empty() || !policy.always.ops.is_empty() {
        for draw in 0..draws as u64 {
            let words = if draw == 0 { format!("all together: {policy}") } else { String::new() };
            let whole = Policy { portion: 1.0, in_place: true, ..policy.clone() };
            rows.push((words, Online::NOTHING.images(&whole, images, seed.wrapping_add(draw))));
        }
        return table(&[], &rows);
    }
    for sub_policy in &policy.sub_policies {
        for draw in 0..draws as u64 {
            let words = if draw == 0 { sub_policy.to_string() } else { String::new() };
            rows.push((words, applied(sub_policy, policy.ranges, images, seed.wrapping_add(draw))));
        }
    }
    table(&[], &rows)
}

/// Draws a sheet of what each op does to the first of a few images as the magnitude grows from 0 to 1, with a row
/// for each op that the table has. Along a row only the magnitude changes; random parameters come from the
/// stronger ones of several draws, so that there is something to see. [`Op::SamplePairing`] blends with any of the
/// images.
pub fn ops(ranges: RangeTable, ops: &[Op], images: ArrayView4<'_, u8>, seed: u64) -> Array3<u8> {
    const STEPS: u32 = 10;
    const TRIES: u64 = 9;
    let magnitudes: Vec<f64> = (0..=STEPS).map(|i| f64::from(i) / f64::from(STEPS)).collect();
    let (_, height, width, channels) = images.dim();
    let first = images.index_axis(Axis(0), 0);
    let draw = |op: Op, magnitude: f64, seed: u64| {
        let sub_policies = vec![SubPolicy { ops: vec![Step::new(op, magnitude)] }];
        let mut image = first.to_owned();
        let copy = CopySpec { sub_policy: 0, source: 0 };
        Policy::new(ranges, 1.0, sub_policies).apply(copy, image.view_mut(), images, seed);
        image
    };
    let row = |&op: &Op| {
        let change = |&seed: &u64| -> u64 {
            draw(op, 1.0, seed).iter().zip(&first).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum()
        };
        let mut seeds: Vec<u64> = (0..TRIES).map(|i| seed.wrapping_add(i)).collect();
        seeds.sort_by_key(change);
        let strong = seeds[TRIES as usize * 3 / 4];
        let mut tiles = Array4::zeros((magnitudes.len(), height, width, channels));
        for (mut tile, &magnitude) in tiles.outer_iter_mut().zip(&magnitudes) {
            tile.assign(&draw(op, magnitude, strong));
        }
        (op.to_string(), tiles)
    };
    let rows: Vec<_> = ops.iter().filter(|&&op| ranges.has(op)).map(row).collect();
    table(&magnitudes.iter().map(|magnitude| format!("{magnitude:.1}")).collect::<Vec<_>>(), &rows)
}

/// Draws a sheet of images in rows, each with text beside it; images are NHWC of one size, with 1 or 3 channels.
pub fn rows(rows: &[(String, Array4<u8>)]) -> Array3<u8> {
    table(&[], rows)
}

fn applied(sub_policy: &SubPolicy, ranges: RangeTable, images: ArrayView4<'_, u8>, seed: u64) -> Array4<u8> {
    Policy::new(ranges, 1.0, vec![sub_policy.clone()]).copies(images, seed).images
}

/// Draws rows of text and tiles below a line of column heads. Long text is wrapped.
fn table(heads: &[String], rows: &[(String, Array4<u8>)]) -> Array3<u8> {
    const LETTERS: usize = 26;
    let columns = rows.iter().map(|(_, tiles)| tiles.dim().0).max().unwrap_or(0);
    let (_, height, width, _) = rows.first().map_or((0, 1, 1, 1), |(_, tiles)| tiles.dim());
    let (tile_height, tile_width) = match height.max(width) {
        longer if longer > MAX_TILE => {
            let part = |side: usize| (side * MAX_TILE / longer).max(1);
            (part(height), part(width))
        }
        longer => {
            let scale = MIN_TILE.div_ceil(longer.max(1));
            (height * scale, width * scale)
        }
    };
    let left = LETTERS * LETTER + GAP;
    let top = if heads.is_empty() { GAP } else { LETTER + 2 * GAP };
    let shape = (top + rows.len() * (tile_height + GAP), left + columns * (tile_width + GAP), 3);
    let mut sheet = Array3::from_elem(shape, PAPER);
    for (i, head) in heads.iter().enumerate() {
        write(&mut sheet, GAP, left + i * (tile_width + GAP), head);
    }
    for (i, (words, tiles)) in rows.iter().enumerate() {
        let y = top + i * (tile_height + GAP);
        let lines = lines(words, LETTERS);
        let middle = y + tile_height.saturating_sub(lines.len() * LINE) / 2;
        for (i, words) in lines.iter().enumerate().filter(|(i, _)| (i + 1) * LINE <= tile_height) {
            write(&mut sheet, middle + i * LINE, GAP, words);
        }
        for (k, tile) in tiles.outer_iter().enumerate() {
            let x = left + k * (tile_width + GAP);
            draw(sheet.slice_mut(s![y..y + tile_height, x..x + tile_width, ..]), tile);
        }
    }
    sheet
}

/// Draws the image at the area's size, using nearest pixels.
fn draw(mut area: ArrayViewMut3<'_, u8>, image: ArrayView3<'_, u8>) {
    let (height, width, channels) = image.dim();
    let (tile_height, tile_width, _) = area.dim();
    for ((y, x, c), value) in area.indexed_iter_mut() {
        *value = image[[y * height / tile_height, x * width / tile_width, c.min(channels - 1)]];
    }
}

fn write(sheet: &mut Array3<u8>, top: usize, left: usize, words: &str) {
    for (i, letter) in words.chars().enumerate() {
        let rows = BASIC_FONTS.get(letter).unwrap_or_default();
        for y in 0..LETTER {
            for x in 0..LETTER {
                if rows[y / 2] >> (x / 2) & 1 == 1
                    && let Some(mut pixel) = pixel(sheet, top + y, left + i * LETTER + x)
                {
                    pixel.fill(INK);
                }
            }
        }
    }
}

fn pixel(sheet: &mut Array3<u8>, y: usize, x: usize) -> Option<ArrayViewMut1<'_, u8>> {
    let (height, width, _) = sheet.dim();
    (y < height && x < width).then(|| sheet.slice_mut(s![y, x, ..]))
}

/// Breaks text at spaces into lines of at most `letters`.
fn lines(words: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= letters {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(lines("rotate 0.31 + gaussian-blur 0.10", 16), ["rotate 0.31 +", "gaussian-blur", "0.10"]);
        assert_eq!(lines("", 5), [""]);
        assert_eq!(lines("additive-gaussian-noise", 5), ["additive-gaussian-noise"]);
    }

    #[test]
    fn a_sheet_shows_the_originals_and_what_becomes_of_them() {
        let images = crate::measure::example_images(3, 32, 3);
        let ops = vec![Step::new(Op::Invert, 1.0), Step::new(Op::HorizontalFlip, 1.0)];
        let policy = Policy::new(RangeTable::Monotone, 0.2, vec![SubPolicy { ops }]);
        let sheet = super::policy(&policy, images.view(), 2, 1);
        // The original, two ops, two draws; tiles of twice the size.
        assert_eq!(sheet.dim(), (4 + 5 * 68, 26 * 16 + 4 + 3 * 68, 3));
        let at = |row: usize, y: usize, x: usize| sheet[[4 + row * 68 + 2 * y, 420 + 68 + 2 * x, 0]];
        for (y, x) in [(0, 0), (5, 7), (31, 30)] {
            let original = images[[1, y, x, 0]];
            assert_eq!((at(0, y, x), at(1, y, x), at(2, y, 31 - x)), (original, 255 - original, original));
            assert_eq!(at(3, y, 31 - x), 255 - original);
        }
        assert!(sheet.slice(s![..150, ..400, ..]).iter().any(|&value| value == INK), "there are words");
    }

    #[test]
    fn every_size_of_image_fits() {
        for (height, width, channels) in [(1, 1, 1), (2, 900, 3), (20, 300, 3), (300, 20, 1), (28, 28, 1)] {
            let images = Array4::from_elem((2, height, width, channels), 7);
            let sheet = ops(RangeTable::AutoAugment, &Op::ALL, images.view(), 1);
            assert!(sheet.dim().0 > 16 * 5 && sheet.dim().1 > 400 + 11 * 4, "{:?}", sheet.dim());
        }
    }
}
