//! The best split of one node on one feature.

use rand::Rng;

use super::{data::Column, params::FeatureKind};

/// How often a row was drawn, and its target times that number.
#[derive(Clone, Copy, Default)]
pub(super) struct Draw {
    pub(super) weight: f64,
    pub(super) sum: f64,
}

/// A node about to be split. Gains of at most `least` count as none.
pub(super) struct Open<'a> {
    pub(super) draws: &'a [Draw],
    pub(super) mean: f64,
    pub(super) weight: f64,
    pub(super) rows: usize,
    pub(super) min_leaf: usize,
    pub(super) least: f64,
}

/// A split with its gain, the decrease of the sum of squared errors, and the position of the cut: the codes on
/// both sides of the gap, or the number of categories to the left.
#[derive(Clone, Copy)]
pub(super) struct Split {
    pub(super) gain: f64,
    place: (u32, u32),
}

/// A test that sends a row left or right.
pub(super) enum Test {
    /// Left if the value is at most this.
    AtMost(f64),
    /// Left if the category is in the set, one bit each.
    In(Vec<u64>),
}

/// Sums over rows, of targets with the node's mean subtracted. The node's own sum is then zero, and the gain `l^2
/// / w_l + r^2 / w_r` needs only the left sum.
#[derive(Clone, Copy, Default)]
struct Sums {
    sum: f64,
    weight: f64,
    rows: usize,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.weight += other.weight;
        self.rows += other.rows;
    }

    /// Returns the gain of a cut to the right of these rows, if it exceeds `least`. The division comes after the
    /// comparison, which most cuts fail.
    #[inline]
    fn gain(&self, node: &Open<'_>, least: f64) -> Option<f64> {
        let numerator = self.sum * self.sum * node.weight;
        let denominator = self.weight * (node.weight - self.weight);
        (numerator > least * denominator).then(|| numerator / denominator)
    }

    fn leaves_enough(&self, node: &Open<'_>) -> bool {
        self.rows >= node.min_leaf && node.rows - self.rows >= node.min_leaf
    }
}

impl Open<'_> {
    fn sums(&self, row: u32) -> Sums {
        let Draw { weight, sum } = self.draws[row as usize];
        Sums { sum: sum - weight * self.mean, weight, rows: 1 }
    }
}

/// Buffers for a split search, kept from node to node to save allocations.
#[derive(Default)]
pub(super) struct Scratch {
    /// Sums by code.
    groups: Vec<Sums>,
    /// Categories by their mean target.
    order: Vec<(i64, u32)>,
    /// Codes with their rows.
    sorted: Vec<(u32, u32)>,
}

impl Scratch {
    /// Sums the rows of each code.
    fn group(&mut self, column: &Column, codes: usize, node: &Open<'_>, rows: &[u32]) {
        self.groups.clear();
        self.groups.resize(codes, Sums::default());
        for &row in rows {
            self.groups[column.codes[row as usize] as usize].add(node.sums(row));
        }
    }

    /// Orders the categories that occur in the rows.
    fn rank(&mut self, column: &Column, categories: usize, node: &Open<'_>, rows: &[u32]) {
        self.group(column, categories, node, rows);
        self.order.clear();
        let seen = self.groups.iter().enumerate().filter(|(_, group)| group.rows > 0);
        self.order.extend(seen.map(|(category, group)| (sortable(group.sum / group.weight), category as u32)));
        self.order.sort_unstable();
    }
}

/// Returns an integer in the order of `f64::total_cmp`, cheaper to compare many times.
fn sortable(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Returns the best split of a node's rows on a feature.
pub(super) fn best(column: &Column, node: &Open<'_>, rows: &[u32], scratch: &mut Scratch) -> Option<Split> {
    let mut best = Split { gain: node.least, place: (0, 0) };
    let mut left = Sums::default();
    match column.kind {
        FeatureKind::Continuous => {
            // The cut is between a code and the next one that occurs.
            let mut before = None;
            let mut next = |code: u32, sums: Sums| {
                if let Some(before) = before.replace(code)
                    && left.leaves_enough(node)
                    && let Some(gain) = left.gain(node, best.gain)
                {
                    best = Split { gain, place: (before, code) };
                }
                left.add(sums);
            };
            if column.values.len() <= 2 * rows.len() {
                scratch.group(column, column.values.len(), node, rows);
                (0..).zip(&scratch.groups).filter(|(_, sums)| sums.rows > 0).for_each(|(code, &sums)| next(code, sums));
            } else {
                scratch.sorted.clear();
                scratch.sorted.extend(rows.iter().map(|&row| (column.codes[row as usize], row)));
                scratch.sorted.sort_unstable();
                for group in scratch.sorted.chunk_by(|a, b| a.0 == b.0) {
                    let mut sums = Sums::default();
                    group.iter().for_each(|&(_, row)| sums.add(node.sums(row)));
                    next(group[0].0, sums);
                }
            }
        }
        FeatureKind::Categorical(n) => {
            scratch.rank(column, n, node, rows);
            for (count, &(_, category)) in (1..).zip(&scratch.order) {
                left.add(scratch.groups[category as usize]);
                if left.leaves_enough(node)
                    && let Some(gain) = left.gain(node, best.gain)
                {
                    best = Split { gain, place: (count, 0) };
                }
            }
        }
    }
    (best.gain > node.least).then_some(best)
}

impl Split {
    /// Returns the test of the split, with everything that is left to chance.
    pub(super) fn test<R: Rng>(
        self,
        column: &Column,
        node: &Open<'_>,
        rows: &[u32],
        scratch: &mut Scratch,
        rng: &mut R,
    ) -> Test {
        match column.kind {
            FeatureKind::Continuous => {
                // Uniform in the gap, so that trees disagree where there are no data.
                let (low, high) = (column.values[self.place.0 as usize], column.values[self.place.1 as usize]);
                let share: f64 = rng.random();
                let cut = low * (1.0 - share) + high * share;
                Test::AtMost(if low <= cut && cut < high { cut } else { low }) // against rounding
            }
            FeatureKind::Categorical(n) => {
                scratch.rank(column, n, node, rows);
                let mut set = vec![0_u64; n.div_ceil(64)];
                let left = scratch.order[..self.place.0 as usize].iter().map(|&(_, category)| category as usize);
                // A coin decides the side of categories that the node has not seen, so that trees disagree about
                // them.
                let unseen = (0..n).filter(|&category| scratch.groups[category].rows == 0 && rng.random());
                for category in left.chain(unseen) {
                    set[category / 64] |= 1 << (category % 64);
                }
                Test::In(set)
            }
        }
    }
}
