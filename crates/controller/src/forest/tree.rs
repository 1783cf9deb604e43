//! One regression tree.

use std::ops::Range;

use rand::{Rng, seq::SliceRandom};

use super::{
    data::{Data, category},
    params::{FeatureKind, Options},
    split::{self, Draw, Open, Scratch, Split, Test},
};

/// Mean and (population) variance of the training targets in a leaf, each row counted as often as it was drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Leaf {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// A node; the right child follows the left one.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Leaf(Leaf),
    Cut { feature: u32, left: u32, at_most: f64 },
    Subset { feature: u32, left: u32, set: u32 },
}

/// The root is node 0. A set of categories is `words` 64-bit words from its offset in `sets`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    sets: Vec<u64>,
}

impl Tree {
    /// Fits a tree to a bootstrap sample of the rows.
    pub(super) fn fit<R: Rng>(data: &Data, options: &Options, rng: &mut R) -> Self {
        let mut sample = Sample::draw(data, rng);
        let mut features: Vec<usize> = (0..data.columns.len()).collect();
        let tried = ((features.len() as f64 * options.features_per_split).round() as usize).max(1);
        let mut scratch = Scratch::default();

        let mut tree = Self { nodes: vec![Node::Leaf(Leaf { mean: 0.0, variance: 0.0 })], sets: Vec::new() };
        let mut open = vec![(0, 0..sample.rows.len())];
        while let Some((index, range)) = open.pop() {
            let (weight, leaf) = sample.summary(data, range.clone());
            tree.nodes[index] = Node::Leaf(leaf);
            if range.len() / 2 < options.min_leaf {
                continue;
            }
            let node = Open {
                draws: &sample.draws,
                mean: leaf.mean,
                weight,
                rows: range.len(),
                min_leaf: options.min_leaf,
                // A gain below the rounding error of the node's sum of squares counts as none.
                least: 1e-12 * leaf.variance * weight,
            };
            let mut best: Option<(usize, Split)> = None;
            let rows = &sample.rows[range.clone()];
            // Try the sampled features first, then others only until one of them splits.
            let (sampled, others) = features.partial_shuffle(rng, tried);
            for (rank, &feature) in sampled.iter().chain(others.iter()).enumerate() {
                if rank >= tried && best.is_some() {
                    break;
                }
                if let Some(split) = split::best(&data.columns[feature], &node, rows, &mut scratch)
                    && best.is_none_or(|(_, best)| split.gain > best.gain)
                {
                    best = Some((feature, split));
                }
            }
            let Some((feature, split)) = best else { continue };
            let column = &data.columns[feature];
            let test = split.test(column, &node, rows, &mut scratch, rng);
            let middle = sample.partition(range.clone(), |row| {
                let code = column.codes[row as usize] as usize;
                match &test {
                    Test::AtMost(cut) => column.values[code] <= *cut,
                    Test::In(set) => holds(set, code),
                }
            });
            let left = tree.nodes.len();
            tree.nodes.extend([Node::Leaf(leaf), Node::Leaf(leaf)]);
            open.extend([(left, range.start..middle), (left + 1, middle..range.end)]);
            let (feature, left) = (feature as u32, left as u32);
            tree.nodes[index] = match test {
                Test::AtMost(at_most) => Node::Cut { feature, left, at_most },
                Test::In(bits) => {
                    let set = tree.sets.len() as u32;
                    tree.sets.extend(bits);
                    Node::Subset { feature, left, set }
                }
            };
        }
        tree
    }

    /// Returns the leaf that a row falls into. A value that is NaN or not a category of its column goes right.
    pub(super) fn leaf(&self, row: &[f64], kinds: &[FeatureKind]) -> Leaf {
        let mut index = 0;
        loop {
            index = match self.nodes[index] {
                Node::Leaf(leaf) => return leaf,
                Node::Cut { feature, left, at_most } => {
                    let inside = row[feature as usize] <= at_most;
                    left as usize + usize::from(!inside)
                }
                Node::Subset { feature, left, set } => {
                    let n = kinds[feature as usize].categories();
                    let inside = category(row[feature as usize], n)
                        .is_some_and(|category| holds(&self.sets[set as usize..], category));
                    left as usize + usize::from(!inside)
                }
            };
        }
    }
}

fn holds(set: &[u64], category: usize) -> bool {
    set[category / 64] >> (category % 64) & 1 == 1
}

/// A bootstrap sample, n draws of n rows.
struct Sample {
    /// By row.
    draws: Vec<Draw>,
    /// The rows drawn; those of a node are contiguous.
    rows: Vec<u32>,
    spare: Vec<u32>,
}

impl Sample {
    fn draw<R: Rng>(data: &Data, rng: &mut R) -> Self {
        let n = data.targets.len();
        let mut draws = vec![Draw::default(); n];
        for _ in 0..n {
            draws[rng.random_range(0..n)].weight += 1.0;
        }
        for (draw, target) in draws.iter_mut().zip(&data.targets) {
            draw.sum = draw.weight * target;
        }
        let rows = (0..n as u32).filter(|&row| draws[row as usize].weight > 0.0).collect();
        Self { draws, rows, spare: Vec::new() }
    }

    /// Returns the weight, mean and variance of a node.
    fn summary(&self, data: &Data, range: Range<usize>) -> (f64, Leaf) {
        let rows = || self.rows[range.clone()].iter().map(|&row| row as usize);
        let weight: f64 = rows().map(|row| self.draws[row].weight).sum();
        let mean = rows().map(|row| self.draws[row].sum).sum::<f64>() / weight;
        let squares = rows().map(|row| self.draws[row].weight * (data.targets[row] - mean).powi(2));
        (weight, Leaf { mean, variance: squares.sum::<f64>() / weight })
    }

    /// Partitions a node's rows into those that go left and those that go right, keeping the order on each side,
    /// and returns where the right side starts.
    fn partition(&mut self, range: Range<usize>, goes_left: impl Fn(u32) -> bool) -> usize {
        let rows = &mut self.rows[range.clone()];
        self.spare.clear();
        let mut kept = 0;
        for index in 0..rows.len() {
            let row = rows[index];
            if goes_left(row) {
                rows[kept] = row;
                kept += 1;
            } else {
                self.spare.push(row);
            }
        }
        rows[kept..].copy_from_slice(&self.spare);
        range.start + kept
    }
}
