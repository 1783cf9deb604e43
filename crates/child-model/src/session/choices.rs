//! The random choices of each child.

use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use crate::Settings;
use crate::engine::Choices;
use crate::rng::{Stream, generator};
use crate::sampler::Sampler;

/// A child's own random choices.
pub(super) struct ChildRng {
    order: Sampler,
    /// Whether rows are taken in order instead.
    in_order: bool,
    /// The rows of each group, where as many are drawn of each.
    groups: Vec<(Vec<u32>, Sampler)>,
    seed: u64,
    dropout: ChaCha8Rng,
    mixup: ChaCha8Rng,
}

impl ChildRng {
    pub(super) fn new(seed: u64, pool: usize) -> Self {
        Self {
            order: Sampler::new(pool, generator(seed, Stream::Order)),
            in_order: false,
            groups: Vec::new(),
            seed,
            dropout: generator(seed, Stream::Dropout),
            mixup: generator(seed, Stream::Mixup),
        }
    }

    pub(super) fn set_pool(&mut self, pool: usize) {
        self.order.set_images(pool);
    }

    /// Draws as many rows of each of these groups from now on.
    pub(super) fn set_groups(&mut self, groups: Vec<Vec<u32>>) {
        if self.groups.len() != groups.len() {
            let sampler = |group: usize| {
                let mut rng = generator(self.seed, Stream::Order);
                // Groups do not share numbers.
                rng.set_word_pos((group as u128 + 1) << 40);
                (Vec::new(), Sampler::new(0, rng))
            };
            self.groups = (0..groups.len()).map(sampler).collect();
        }
        for ((rows, sampler), new) in self.groups.iter_mut().zip(groups) {
            sampler.set_images(new.len());
            *rows = new;
        }
    }

    pub(super) fn keep_order(&mut self, keep: bool) {
        self.in_order = keep;
    }

    /// Returns the rows of a step of `images` images.
    fn rows(&mut self, step: usize, images: usize) -> impl Iterator<Item = u32> {
        let first = step * images;
        (0..images).map(move |place| {
            if self.in_order {
                ((first + place) % self.order.images().max(1)) as u32
            } else if self.groups.is_empty() {
                self.order.next()
            } else {
                let group = (first + place) % self.groups.len();
                let (rows, sampler) = &mut self.groups[group];
                rows[sampler.next() as usize]
            }
        })
    }
}

/// Draws the choices of an epoch of `steps` steps, each with `images` images per child.
pub(super) fn choices(
    children: &mut [&mut ChildRng],
    settings: &Settings,
    dropouts: usize,
    [steps, images]: [usize; 2],
) -> Choices {
    let mut choices = Choices::default();
    // Nothing is mixed where the parameter is out of the distribution's range.
    let beta = (settings.mixup > 0.0).then(|| Beta::new(settings.mixup, settings.mixup).ok()).flatten();
    for step in 0..steps {
        for child in children.iter_mut() {
            choices.rows.extend(child.rows(step, images));
            if let Some(beta) = &beta {
                // One share per batch, as in the paper's code.
                let share = beta.sample(&mut child.mixup) as f32;
                let rows = 0..child.order.images() as u32;
                choices.partners.extend((0..images).map(|_| (child.mixup.random_range(rows.clone()), share)));
            }
        }
        for _ in 0..dropouts {
            choices.dropout.extend(children.iter_mut().map(|child| child.dropout.next_u32()));
        }
    }
    choices
}
