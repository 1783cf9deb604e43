//! How directly computed convolutions are divided among workgroups and threads: a rule from shapes, among whose best
//! three choices for the basic CNN are those that a prototype found fast on an H100.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cubecl::client::Client;

/// How a workgroup's output is divided among its threads.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
pub(super) struct Tile {
    /// Pixels of a thread, and its quads of channels.
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) quads: usize,
    /// Threads side by side.
    pub(super) down: usize,
    pub(super) across: usize,
    pub(super) deep: usize,
    /// Tiles of a workgroup.
    pub(super) tiles: usize,
    /// Input channels at a time.
    pub(super) channels: usize,
}

impl Tile {
    pub(super) fn threads(&self) -> usize {
        self.down * self.across * self.deep * self.tiles
    }

    pub(super) fn outputs(&self) -> usize {
        4 * self.quads * self.deep
    }

    pub(super) fn height(&self) -> usize {
        self.rows * self.down
    }

    pub(super) fn width(&self) -> usize {
        self.columns * self.across
    }

    /// The length of an input row in memory, odd so that rows begin in different banks.
    pub(super) fn stride(&self) -> usize {
        (self.width() + 2) | 1
    }

    /// The length of an input channel in memory.
    pub(super) fn plane(&self) -> usize {
        ((self.height() + 2) * self.stride()) | 1
    }

    pub(super) fn input_length(&self) -> usize {
        self.tiles * self.channels * self.plane()
    }

    pub(super) fn weight_length(&self) -> usize {
        9 * self.channels * self.outputs() / 4
    }

    fn bytes(&self) -> usize {
        4 * self.input_length() + 16 * self.weight_length()
    }

    /// How much of the time goes into sums that are wanted: the share of computed pixels that exist, times the share
    /// of instructions that are sums, times the share of loaded pixels that are not loaded again by a neighbour.
    fn worth(&self, out: [usize; 2], images: usize) -> f64 {
        let [height, width] = out;
        let cover = |size: usize, tile: usize| size as f64 / (size.div_ceil(tile) * tile) as f64;
        let tiles = images * height.div_ceil(self.height()) * width.div_ceil(self.width());
        let exist = cover(height, self.height()) * cover(width, self.width()) * cover(tiles, self.tiles);
        let sums = (36 * self.rows * self.columns * self.quads) as f64;
        // A quad takes the bandwidth of four numbers, where a number is shared by the threads of all its channels.
        let loads = ((self.rows + 2) * (self.columns + 2) + 4 * 9 * self.quads) as f64;
        let area = (self.height() * self.width()) as f64;
        let loaded = ((self.height() + 2) * (self.width() + 2)) as f64;
        // Few threads hide no latency, many wait for one another; registers for more than 30 quads of sums are too many.
        let threads = self.threads() as f64;
        let busy = (threads / 96.0).min(1.0) * if threads > 160.0 { 0.95 } else { 1.0 };
        let held = if self.rows * self.columns * self.quads > 30 { 0.5 } else { 1.0 };
        let proven = if self.quads == 2 { 1.0 } else { 0.95 };
        exist * sums / (sums + 2.0 * loads) * (area / loaded).powf(0.2) * busy * held * proven
    }

    /// Returns the best tile for an output; none if no tile fits the memory of a workgroup.
    fn best(out: [usize; 2], [inputs, outputs]: [usize; 2], images: usize, pools: bool, memory: usize) -> Option<Self> {
        let channels = if inputs % 8 == 0 { 8 } else { 4 };
        let mut best: Option<(f64, Self)> = None;
        for quads in [1, 2].into_iter().filter(|quads| outputs % (4 * quads) == 0) {
            let groups = outputs / (4 * quads);
            let Some(deep) = (1..=groups.min(8)).rev().find(|deep| groups % deep == 0) else { continue };
            for (rows, columns) in (1..=5).flat_map(|rows| (2..=8).map(move |columns| (rows, columns))) {
                if pools && (rows % 2 == 1 || columns % 2 == 1) {
                    continue;
                }
                for (down, across) in (1..=8).flat_map(|down| (1..=8).map(move |across| (down, across))) {
                    // No more threads than the image has pixels for.
                    if (down - 1) * rows >= out[0] || (across - 1) * columns >= out[1] {
                        continue;
                    }
                    for tiles in [1, 2, 4, 8] {
                        let tile = Self { rows, columns, quads, down, across, deep, tiles, channels };
                        if tile.threads() > 256 || tile.bytes() > memory || (tiles > 1 && tile.threads() > 160) {
                            continue;
                        }
                        let worth = tile.worth(out, images);
                        if best.is_none_or(|(other, _)| worth > other) {
                            best = Some((worth, tile));
                        }
                    }
                }
            }
        }
        best.map(|(_, tile)| tile)
    }
}

/// The best tile of every shape met so far.
#[derive(Debug, Default)]
pub(super) struct Tiles(Mutex<HashMap<Shape, Option<Tile>>>);

/// What a tile depends on.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) out: [usize; 2],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) images: usize,
    pub(super) pools: bool,
}

impl Tiles {
    pub(super) fn best(&self, client: &Client, shape: Shape) -> Option<Tile> {
        let memory = client.properties().hardware.max_shared_memory_size;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shape { out, inputs, outputs, images, pools } = shape;
        *known.entry(shape).or_insert_with(|| Tile::best(out, [inputs, outputs], images, pools, memory))
    }
}
