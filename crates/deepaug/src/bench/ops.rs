//! Measures how fast ops are applied.

use std::time::Duration;

use deepaug_augmenter::{Op, Policy, RangeTable, Step, SubPolicy, measure};
use serde::Serialize;

/// What to measure: every op under the monotone ranges, on images with three channels.
#[derive(Debug, Clone, PartialEq)]
pub struct OpBench {
    /// The ops.
    pub ops: Vec<Op>,
    /// Heights and widths of the images.
    pub sizes: Vec<usize>,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// Minimum time of each measurement.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpSpeed {
    /// The op.
    pub op: Op,
    /// Height and width of the images.
    pub size: usize,
    /// Threads that shared the work.
    pub threads: usize,
    /// Augmented copies per second.
    pub images_per_second: f64,
}

/// Returns the images per batch: 1000 small ones, since a training copies them all at once, and at least 64 large
/// ones.
fn batch(size: usize) -> usize {
    (32 * 32 * 1000 / (size * size)).clamp(64, 1000)
}

impl OpBench {
    /// Measures, calling `each` with every result.
    pub fn run(&self, mut each: impl FnMut(&OpSpeed)) -> Vec<OpSpeed> {
        let mut speeds = Vec::new();
        for &size in &self.sizes {
            let images = measure::example_images(batch(size), size, 3);
            for &threads in &self.threads {
                // Without its own threads the work would stay on this one.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                for &op in &self.ops {
                    let policy = alone(op);
                    let measure = || measure::images_per_second(&policy, images.view(), self.time);
                    let images_per_second = pool.as_ref().map_or_else(|_| measure(), |pool| pool.install(measure));
                    let speed = OpSpeed { op, size, threads, images_per_second };
                    each(&speed);
                    speeds.push(speed);
                }
            }
        }
        speeds
    }
}

/// Returns a policy of the op at magnitude 1/2; ops whose magnitude is a probability always apply.
fn alone(op: Op) -> Policy {
    let always = matches!(op, Op::Invert | Op::HorizontalFlip | Op::VerticalFlip | Op::AutoContrast | Op::Equalize);
    let ops = vec![Step::new(op, if always { 1.0 } else { 0.5 })];
    Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops }])
}
