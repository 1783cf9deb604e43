//! Choosing among the candidates of each image, step by step.

use rand_chacha::ChaCha8Rng;

use super::Candidate;
use crate::engine::{Batch, Choices, Engine};
use crate::network::Network;
use crate::rng::{Stream, generator};
use crate::strategy::Selection;

/// Chooses for all children of an epoch.
pub(super) struct Chooser<'c> {
    selection: Selection,
    candidates: usize,
    of_children: Vec<OfChild<'c>>,
}

struct OfChild<'c> {
    rng: ChaCha8Rng,
    /// What each candidate would be, in the order of the pool: all images once for each candidate.
    pool: &'c mut Vec<Candidate>,
}

impl<'c> Chooser<'c> {
    /// Makes one for an epoch; `pools` are the candidates of each child, with the seed of its training run.
    pub(super) fn new(
        selection: Selection,
        candidates: usize,
        epoch: usize,
        pools: impl Iterator<Item = (u64, &'c mut Vec<Candidate>)>,
    ) -> Self {
        let of_children = pools.map(|(seed, pool)| {
            let mut rng = generator(seed, Stream::Selection);
            // Epochs do not share numbers, so that one can be trained without those before.
            rng.set_word_pos((epoch as u128) << 32);
            pool.iter_mut().for_each(|candidate| (candidate.loss, candidate.chosen) = (0.0, 0));
            OfChild { rng, pool }
        });
        Self { selection, candidates, of_children: of_children.collect() }
    }

    /// Returns how many candidates of each image are learnt from.
    pub(super) fn keep(&self) -> usize {
        self.selection.keep.clamp(1, self.candidates)
    }

    /// Returns the rows to learn from in place of a step's images, child by child: of each image, those chosen by the
    /// losses that the net has now, in evaluation mode.
    ///
    /// # Errors
    /// What the device says.
    pub(super) fn rows<E: Engine>(
        &mut self,
        images: &[u32],
        network: &mut Network<E>,
        engine: &E,
        data: &E::Data<'_>,
        classes: usize,
    ) -> Result<Vec<u32>, String> {
        let children = self.of_children.len();
        let batch = Batch { children, images: images.len() / children };
        let losses = match self.keep() == self.candidates {
            true => None,
            false => Some(self.losses(images, batch, network, engine, data, classes)?),
        };
        let mut rows = Vec::with_capacity(images.len() * self.keep());
        for (child, (of_child, images)) in
            self.of_children.iter_mut().zip(images.chunks_exact(batch.images)).enumerate()
        {
            let of_candidate = of_child.pool.len() / self.candidates;
            for (place, &image) in images.iter().enumerate() {
                let row = |candidate: usize| candidate * of_candidate + image as usize;
                let chosen = match &losses {
                    None => (0..self.candidates).collect(),
                    Some(losses) => {
                        let loss = |candidate: usize| losses[candidate][child * batch.images + place];
                        let of_image: Vec<f32> = (0..self.candidates).map(loss).collect();
                        for (candidate, &loss) in of_image.iter().enumerate() {
                            of_child.pool[row(candidate)].loss = loss;
                        }
                        self.selection.choose(&of_image, &mut of_child.rng)
                    }
                };
                for candidate in chosen {
                    of_child.pool[row(candidate)].chosen += 1;
                    rows.push(row(candidate) as u32);
                }
            }
        }
        Ok(rows)
    }

    /// Returns the losses of a step's images, candidate by candidate and child by child.
    fn losses<E: Engine>(
        &self,
        images: &[u32],
        batch: Batch,
        network: &mut Network<E>,
        engine: &E,
        data: &E::Data<'_>,
        classes: usize,
    ) -> Result<Vec<Vec<f32>>, String> {
        let of_child = |child: usize| self.of_children[child].pool.len() / self.candidates;
        let rows = (0..self.candidates).flat_map(|candidate| {
            let place =
                move |(place, &image): (usize, &u32)| (candidate * of_child(place / batch.images)) as u32 + image;
            images.iter().enumerate().map(place)
        });
        let draws = engine.draws(data, Choices { rows: rows.collect(), ..Choices::default() }, batch);
        // All are started before the first is waited for.
        let found: Vec<E::Array> = (0..self.candidates)
            .map(|candidate| {
                let [x, targets] = engine.batch(data, &draws, candidate, batch);
                let logits = network.evaluate(x, batch.images);
                engine.cross_entropy(&logits, &targets, classes, 0.0, batch).rows
            })
            .collect();
        found.iter().map(|rows| Ok(engine.download(rows)?.chunks_exact(3).map(|row| row[0]).collect())).collect()
    }
}
