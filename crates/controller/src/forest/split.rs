//! The best split of one node on one feature.

use rand::Rng;

use super::{
    data::{Column, Data},
    params::FeatureKind,
};

/// How often a row was drawn, and its target times that number.
#[derive(Clone, Copy, Default)]
pub(super) struct Draw {
    pub(super) weight: f64,
    pub(super) sum: f64,
}

/// A node about to be split. Gains at most `least` count as none.
pub(super) struct Open<'a> {
    pub(super) draws: &'a [Draw],
    pub(super) mean: f64,
    pub(super) weight: f64,
    pub(super) rows: usize,
    pub(super) min_leaf: usize,
    pub(super) least: f64,
}

/// A split by its gain, the decrease of the sum of squared errors, and the place of the cut: the codes on both sides of the
/// gap, or the number of categories to the left.
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

/// Sums over rows, of targets from which the node's mean is subtracted. The node's own sum is then zero, and the gain
/// `l^2 / w_l + r^2 / w_r` needs the left sum alone.
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

    /// The gain of a cut to the right of these rows, if it exceeds `least`. The division comes after the comparison, which
    /// most cuts fail.
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

/// The categories of a node in the order of their mean target, kept from node to node to save allocations.
#[derive(Default)]
pub(super) struct Categories {
    groups: Vec<Sums>,
    order: Vec<(i64, u32)>,
}

impl Categories {
    /// Orders the categories that the rows have.
    fn fill(&mut self, column: &Column, categories: usize, node: &Open<'_>, rows: &[u32]) {
        self.groups.clear();
        self.groups.resize(categories, Sums::default());
        for &row in rows {
            self.groups[column.codes[row as usize] as usize].add(node.sums(row));
        }
        self.order.clear();
        let seen = self.groups.iter().enumerate().filter(|(_, group)| group.rows > 0);
        self.order.extend(seen.map(|(category, group)| (sortable(group.sum / group.weight), category as u32)));
        self.order.sort_unstable();
    }
}

/// An integer in the order of `f64::total_cmp`, cheaper to compare many times.
fn sortable(number: f64) -> i64 {
    let bits = number.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The best split on a feature, of a node with at least twice the smallest leaf's rows. The rows are those of the node, for a continuous feature in ascending order.
pub(super) fn best(
    data: &Data,
    feature: usize,
    node: &Open<'_>,
    rows: &[u32],
    categories: &mut Categories,
) -> Option<Split> {
    let column = &data.columns[feature];
    let mut best = Split { gain: node.least, place: (0, 0) };
    let mut left = Sums::default();
    match column.kind {
        FeatureKind::Continuous => {
            // Each row counts one, so the cuts that leave enough on both sides are a range.
            let (first, rest) = rows.split_at(node.min_leaf - 1);
            first.iter().for_each(|&row| left.add(node.sums(row)));
            for pair in rest[..rest.len() - (node.min_leaf - 1)].windows(2) {
                left.add(node.sums(pair[0]));
                if let Some(gain) = left.gain(node, best.gain) {
                    let place = (column.codes[pair[0] as usize], column.codes[pair[1] as usize]);
                    if place.0 != place.1 {
                        best = Split { gain, place };
                    }
                }
            }
        }
        FeatureKind::Categorical(n) => {
            categories.fill(column, n, node, rows);
            for (count, &(_, category)) in (1..).zip(&categories.order) {
                left.add(categories.groups[category as usize]);
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
    /// The test of the split, with all that is left to chance.
    pub(super) fn test<R: Rng>(
        self,
        column: &Column,
        node: &Open<'_>,
        rows: &[u32],
        categories: &mut Categories,
        rng: &mut R,
    ) -> Test {
        match column.kind {
            FeatureKind::Continuous => {
                // Uniform in the gap, so that trees disagree where no data are.
                let (low, high) = (column.values[self.place.0 as usize], column.values[self.place.1 as usize]);
                let share: f64 = rng.random();
                let cut = low * (1.0 - share) + high * share;
                Test::AtMost(if low <= cut && cut < high { cut } else { low }) // against rounding
            }
            FeatureKind::Categorical(n) => {
                categories.fill(column, n, node, rows);
                let mut set = vec![0_u64; n.div_ceil(64)];
                let left = categories.order[..self.place.0 as usize].iter().map(|&(_, category)| category as usize);
                // Categories the node has not seen take a side by a coin, so that trees disagree about them.
                let unseen = (0..n).filter(|&category| categories.groups[category].rows == 0 && rng.random());
                for category in left.chain(unseen) {
                    set[category / 64] |= 1 << (category % 64);
                }
                Test::In(set)
            }
        }
    }
}
