//! Images that children are measured on.

use ndarray::{Axis, CowArray, Ix4};

use super::RowLoss;
use crate::engine::{Batch, Choices, Engine, Loss, Rows};
use crate::input::Input;
use crate::network::Network;

/// Maximum number of images evaluated at once; about 100 keeps a batch's activations in cache (measured on two
/// AVX-512 cores).
pub(crate) const EVALUATION_BATCH: usize = 100;

/// Images on the device for measuring all children, or each of them: the same number for each, in batches of one
/// size, the last one padded with rows that count for nothing.
pub(crate) struct Evaluation<'a, E: Engine> {
    data: E::Data<'a>,
    count: usize,
    classes: usize,
    /// Per batch.
    images: usize,
    batches: usize,
}

/// How a child fares on a set.
pub(super) struct OfChild {
    /// Mean loss and accuracy.
    pub(super) means: [f64; 2],
    pub(super) rows: Vec<RowLoss>,
}

/// A set to measure on, and how its pixels are seen.
pub(crate) type Measured<'a, 'l> = (CowArray<'a, u8, Ix4>, &'l [usize], Input);

impl<'a, E: Engine> Evaluation<'a, E> {
    /// Creates a set for all children, or one for each. Returns nothing if there are no images.
    pub(crate) fn new(engine: &E, sets: Vec<Measured<'a, '_>>, classes: usize) -> Option<Self> {
        let count = sets.first().map_or(0, |(_, labels, _)| labels.len());
        if count == 0 {
            return None;
        }
        let one_hot = |&label: &usize| (0..classes).map(move |c| f32::from(u8::from(c == label)));
        let rows = sets.into_iter().map(|(images, labels, input)| {
            let targets = labels.iter().flat_map(one_hot).chain(std::iter::repeat_n(0.0, classes)).collect();
            let filler = images.view().split_at(Axis(0), 1).0.to_owned();
            let parts = vec![engine.pixels(images), engine.pixels(filler.into())];
            Rows { parts, targets: engine.upload(targets), input }
        });
        let data = engine.data(rows.collect());
        let batches = count.div_ceil(EVALUATION_BATCH).max(1);
        Some(Self { data, count, classes, images: count.div_ceil(batches), batches })
    }

    /// Calls `each` with the loss of every batch.
    fn batches(&self, network: &mut Network<E>, engine: &E, mut each: impl FnMut(Loss<E::Array>)) {
        let batch = Batch { children: network.children(), images: self.images };
        self.pass(network, engine, Network::evaluate, |logits, targets| {
            each(engine.cross_entropy(&logits, &targets, self.classes, 0.0, batch));
        });
    }

    /// Calls `each` with what a forward pass returns for every batch, and with its targets.
    fn pass(
        &self,
        network: &mut Network<E>,
        engine: &E,
        forward: impl Fn(&mut Network<E>, E::Array, usize) -> E::Array,
        mut each: impl FnMut(E::Array, E::Array),
    ) {
        let children = network.children();
        let batch = Batch { children, images: self.images };
        let last = self.count as u32;
        let rows = (0..self.batches * children).flat_map(|place| {
            let first = (place / children * self.images) as u32;
            (first..first + self.images as u32).map(move |row| row.min(last))
        });
        let draws = engine.draws(&self.data, Choices { rows: rows.collect(), ..Choices::default() }, batch);
        for step in 0..self.batches {
            let [x, targets] = engine.batch(&self.data, &draws, step, batch);
            let y = forward(network, x, self.images);
            each(y, targets);
        }
    }

    /// Returns the logits `[images, classes]` of a single child.
    pub(crate) fn outputs(&self, network: &mut Network<E>, engine: &E) -> Result<Vec<f32>, String> {
        self.values(network, engine, Network::evaluate)
    }

    /// Returns what the last layer receives, `[images, features]`, of a single child.
    pub(crate) fn features(&self, network: &mut Network<E>, engine: &E) -> Result<Vec<f32>, String> {
        self.values(network, engine, Network::features)
    }

    fn values(
        &self,
        network: &mut Network<E>,
        engine: &E,
        forward: impl Fn(&mut Network<E>, E::Array, usize) -> E::Array,
    ) -> Result<Vec<f32>, String> {
        let mut found = Vec::new();
        self.pass(network, engine, forward, |y, _| found.push(y));
        let mut values = Vec::new();
        for y in found {
            values.extend(engine.download(&y)?);
        }
        // The last batch is filled up.
        let of_image = values.len() / (self.batches * self.images);
        values.truncate(self.count * of_image);
        Ok(values)
    }

    /// Returns the mean loss and accuracy of each child.
    pub(super) fn means(&self, network: &mut Network<E>, engine: &E) -> Result<Vec<[f64; 2]>, String> {
        let mut sums = engine.upload(vec![0.0; 2 * network.children()]);
        self.batches(network, engine, |loss| sums = engine.add(sums.clone(), &loss.sums));
        Ok(means(&engine.download(&sums)?, self.count))
    }

    /// Returns the mean loss and accuracy of each child, and the loss of each image.
    pub(super) fn means_and_losses(&self, network: &mut Network<E>, engine: &E) -> Result<Vec<OfChild>, String> {
        let mut sums = engine.upload(vec![0.0; 2 * network.children()]);
        let mut found = Vec::new();
        self.batches(network, engine, |loss| {
            sums = engine.add(sums.clone(), &loss.sums);
            found.push(loss.rows);
        });
        let children = network.children();
        let means = means(&engine.download(&sums)?, self.count);
        let rows = self.of_children(children, &found, engine)?;
        Ok(means.into_iter().zip(rows).map(|(means, rows)| OfChild { means, rows }).collect())
    }

    /// Returns the loss of each image for each child.
    pub(super) fn losses(&self, network: &mut Network<E>, engine: &E) -> Result<Vec<Vec<RowLoss>>, String> {
        let mut found = Vec::new();
        self.batches(network, engine, |loss| found.push(loss.rows));
        self.of_children(network.children(), &found, engine)
    }

    fn of_children(&self, children: usize, found: &[E::Array], engine: &E) -> Result<Vec<Vec<RowLoss>>, String> {
        let mut losses = vec![Vec::with_capacity(self.count); children];
        for rows in found {
            let rows = engine.download(rows)?;
            for (losses, rows) in losses.iter_mut().zip(rows.chunks_exact(3 * self.images)) {
                let left = self.count - losses.len();
                losses.extend(row_losses(losses.len().., rows).take(left));
            }
        }
        Ok(losses)
    }
}

/// Pairs losses `[images, 3]` with the rows they belong to.
pub(super) fn row_losses<'l>(
    rows: impl IntoIterator<Item = usize> + 'l,
    losses: &'l [f32],
) -> impl Iterator<Item = RowLoss> + 'l {
    rows.into_iter().zip(losses.chunks_exact(3)).map(|(row, of_row)| RowLoss {
        row,
        loss: of_row[0],
        right: of_row[1] > 0.5,
        entropy: of_row[2],
    })
}

/// Computes the mean loss and accuracy of each child from sums over `count` images.
pub(super) fn means(sums: &[f32], count: usize) -> Vec<[f64; 2]> {
    sums.chunks_exact(2).map(|sums| [0, 1].map(|which| f64::from(sums[which]) / count as f64)).collect()
}
