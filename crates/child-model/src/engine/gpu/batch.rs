//! The images and targets of a step, gathered on the device.

use std::rc::Rc;

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, place, threads};
use super::elementwise::{Strip, copy};
use crate::engine::{Batch, Choices, Rows};

/// Images, four bytes a number, because graphics APIs have no smaller numbers.
pub(crate) struct Packed {
    /// `[N, values / 4]`, rounded up.
    words: Buffer,
    count: usize,
    /// Height, width and channels of an image.
    shape: [usize; 3],
}

impl Packed {
    pub(super) fn new(client: &Client, bytes: &[u8], count: usize, shape: [usize; 3]) -> Self {
        let values: usize = shape.iter().product();
        let words = if values.is_multiple_of(4) {
            Buffer::of(client, bytes)
        } else {
            let length = 4 * values.div_ceil(4);
            let mut padded = vec![0; count * length];
            padded
                .chunks_exact_mut(length)
                .zip(bytes.chunks_exact(values))
                .for_each(|(to, from)| to[..values].copy_from_slice(from));
            Buffer::of(client, &padded)
        };
        Self { words, count, shape }
    }
}

/// Images and targets of all children, and where each child's are.
pub(crate) struct Data {
    /// As in [`Packed`].
    words: Buffer,
    /// `[rows, classes]`.
    targets: Buffer,
    /// One for each child, or one for all.
    places: Vec<Places>,
    /// Factor and offset of pixels, for each of the places.
    lines: Buffer,
    shape: [usize; 3],
    classes: usize,
}

/// Where a child's rows are among all rows.
struct Places {
    /// For each part, its number of rows and the index of its first image.
    parts: Vec<[usize; 2]>,
    first_target: usize,
}

impl Places {
    fn rows(&self) -> usize {
        self.parts.iter().map(|[count, _]| count).sum()
    }

    fn image(&self, row: u32) -> u32 {
        let mut row = row as usize;
        for &[count, first] in &self.parts {
            match row.checked_sub(count) {
                None => return (first + row) as u32,
                Some(left) => row = left,
            }
        }
        unreachable!("rows are drawn from those that there are")
    }
}

impl Data {
    pub(super) fn new(gpu: &super::Gpu, rows: &[Rows<'_, super::Gpu>]) -> Self {
        let client = &gpu.client;
        let shape = rows[0].parts[0].shape;
        // What children share is stored once.
        let (mut distinct, mut count): (Vec<(Rc<Packed>, usize)>, usize) = (Vec::new(), 0);
        let (mut places, mut target_rows) = (Vec::new(), 0);
        for rows in rows {
            let parts = rows.parts.iter().map(|part| {
                let known = distinct.iter().find(|(other, _)| Rc::ptr_eq(other, part)).map(|(_, first)| *first);
                let first = known.unwrap_or_else(|| {
                    distinct.push((part.clone(), count));
                    count += part.count;
                    count - part.count
                });
                [part.count, first]
            });
            let of_child = Places { parts: parts.collect(), first_target: target_rows };
            target_rows += of_child.rows();
            places.push(of_child);
        }
        let classes = rows[0].targets.length() / places[0].rows();
        let joined = |parts: &[(&Buffer, usize)]| {
            if let [(only, _)] = parts {
                return (*only).clone();
            }
            let whole = Buffer::new(client, parts.iter().map(|(part, _)| part.length).sum());
            for (part, first) in parts {
                let to = Strip { row: part.length, first: *first };
                copy(client, (part, Strip { row: part.length, first: 0 }), (&whole, to), [1, part.length]);
            }
            whole
        };
        let words = shape.iter().product::<usize>().div_ceil(4);
        let parts: Vec<_> = distinct.iter().map(|(part, first)| (&part.words, first * words)).collect();
        let targets: Vec<_> = rows.iter().map(|rows| rows.targets.buffer(gpu)).collect();
        let of_rows: Vec<_> =
            targets.iter().zip(&places).map(|(targets, places)| (targets, places.first_target * classes)).collect();
        let lines: Vec<f32> = rows.iter().flat_map(|rows| rows.input.line(1.0)).collect();
        Self {
            words: joined(&parts),
            targets: joined(&of_rows),
            lines: Buffer::of(client, bytemuck::cast_slice(&lines)),
            places,
            shape,
            classes,
        }
    }
}

/// Rows of an epoch's steps, `[steps, K, B]`.
struct Drawn {
    images: Buffer,
    targets: Buffer,
}

/// An epoch's choices.
pub(crate) struct Draws {
    rows: Drawn,
    /// Rows to mix with, and the share of the first.
    partners: Option<(Drawn, Buffer)>,
    pub(super) dropout: Buffer,
}

impl Draws {
    pub(super) fn new(client: &Client, data: &Data, choices: &Choices, batch: Batch) -> Self {
        let upload = |values: Vec<u32>| Buffer::of(client, bytemuck::cast_slice(&values));
        let drawn = |rows: &mut dyn Iterator<Item = u32>| {
            let (mut images, mut targets) = (Vec::new(), Vec::new());
            for (place, row) in rows.enumerate() {
                let places = &data.places[place / batch.images % batch.children % data.places.len()];
                images.push(places.image(row));
                targets.push(places.first_target as u32 + row);
            }
            Drawn { images: upload(images), targets: upload(targets) }
        };
        let partners = (!choices.partners.is_empty()).then(|| {
            let shares: Vec<f32> = choices.partners.iter().map(|(_, share)| *share).collect();
            let partners = drawn(&mut choices.partners.iter().map(|(row, _)| *row));
            (partners, Buffer::of(client, bytemuck::cast_slice(&shares)))
        });
        Self { rows: drawn(&mut choices.rows.iter().copied()), partners, dropout: upload(choices.dropout.clone()) }
    }
}

/// The fixed sizes of a gathering.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
struct Gather {
    images: usize,
    /// Values of an image, or classes.
    values: usize,
    mixed: bool,
    /// Whether each child's pixels have a factor and offset of their own.
    own_line: bool,
}

/// Returns the images, as their [`Input`](crate::input::Input) says, and the targets `[K, B, classes]` of a step.
pub(super) fn gather(client: &Client, data: &Data, draws: &Draws, step: usize, batch: Batch) -> [Buffer; 2] {
    let Batch { children, images } = batch;
    let values: usize = data.shape.iter().product();
    let [x, targets] = [values, data.classes].map(|values| Buffer::new(client, children * images * values));
    let first = (step * children * images) as u32;
    let sizes = Gather { images, values, mixed: draws.partners.is_some(), own_line: data.places.len() > 1 };
    // Where nothing is mixed, the kernels do not read these.
    let (partners, shares) =
        draws.partners.as_ref().map_or((&draws.rows, &data.lines), |(rows, shares)| (rows, shares));
    let (count, dim) = threads(images * values.div_ceil(4), children);
    // SAFETY: rows are those of the data, and x has room for every image of every child.
    unsafe {
        images_kernel::launch_unchecked(
            client,
            count,
            dim,
            data.words.arg(),
            draws.rows.images.arg(),
            partners.images.arg(),
            shares.arg(),
            data.lines.arg(),
            x.arg(),
            first,
            sizes,
        );
    }
    let sizes = Gather { values: data.classes, ..sizes };
    let (count, dim) = threads(images * data.classes, children);
    // SAFETY: as above.
    unsafe {
        targets_kernel::launch_unchecked(
            client,
            count,
            dim,
            data.targets.arg(),
            draws.rows.targets.arg(),
            partners.targets.arg(),
            shares.arg(),
            targets.arg(),
            first,
            sizes,
        );
    }
    [x, targets]
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn images_kernel(
    words: &[u32],
    rows: &[u32],
    partners: &[u32],
    shares: &[f32],
    lines: &[f32],
    x: &mut [f32],
    first: u32,
    #[comptime] sizes: Gather,
) {
    let per_image = comptime!(sizes.values.div_ceil(4));
    let i = place();
    if i < comptime!(sizes.images) * per_image {
        let child = CUBE_POS_Z as usize;
        let image = child * comptime!(sizes.images) + i / per_image;
        let word = i % per_image;
        let at = first as usize + image;
        let mut line = 0usize;
        if comptime!(sizes.own_line) {
            line = 2 * child;
        }
        let (factor, summand) = (lines[line], lines[line + 1]);
        let packed = words[rows[at] as usize * per_image + word];
        let mut other = 0u32;
        let mut share = 1.0f32;
        if comptime!(sizes.mixed) {
            other = words[partners[at] as usize * per_image + word];
            share = shares[at];
        }
        #[unroll]
        for j in 0..4usize {
            if comptime!(sizes.values % 4 == 0) || word * 4 + j < comptime!(sizes.values) {
                let mut value = byte(packed, j) * factor + summand;
                if comptime!(sizes.mixed) {
                    value = value * share + (byte(other, j) * factor + summand) * (1.0f32 - share);
                }
                x[image * comptime!(sizes.values) + word * 4 + j] = value;
            }
        }
    }
}

#[cube]
fn byte(word: u32, #[comptime] number: usize) -> f32 {
    f32::cast_from((word >> comptime!(8 * number as u32)) & 255u32)
}

#[cube(launch_unchecked)]
fn targets_kernel(
    all: &[f32],
    rows: &[u32],
    partners: &[u32],
    shares: &[f32],
    targets: &mut [f32],
    first: u32,
    #[comptime] sizes: Gather,
) {
    let classes = comptime!(sizes.values);
    let i = place();
    if i < comptime!(sizes.images * sizes.values) {
        let image = CUBE_POS_Z as usize * comptime!(sizes.images) + i / classes;
        let class = i % classes;
        let at = first as usize + image;
        let mut value = all[rows[at] as usize * classes + class];
        if comptime!(sizes.mixed) {
            let share = shares[at];
            value = value * share + all[partners[at] as usize * classes + class] * (1.0f32 - share);
        }
        targets[image * classes + class] = value;
    }
}
