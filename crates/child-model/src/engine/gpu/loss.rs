//! The loss and its gradient.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, THREADS, groups, place, threads};
use crate::engine::{Batch, Loss};

/// Computes the cross-entropy of the softmax against class weights, and of its sum with `entropy` times the entropy of
/// the probabilities the gradient.
pub(super) fn cross_entropy(
    client: &Client,
    logits: &Buffer,
    targets: &Buffer,
    classes: usize,
    entropy: f32,
    batch: Batch,
) -> Loss<Buffer> {
    let Batch { children, images } = batch;
    let gradient = Buffer::new(client, logits.length);
    let [rows, losses] = [3, 1].map(|values| Buffer::new(client, values * children * images));
    let sums = Buffer::new(client, 2 * children);
    let (count, dim) = threads(children * images, 1);
    // SAFETY: all have the images of all children, and logits, targets and gradient the classes of each.
    unsafe {
        rows_kernel::launch_unchecked(
            client,
            count,
            dim,
            logits.arg(),
            targets.arg(),
            gradient.arg(),
            rows.arg(),
            losses.arg(),
            (children * images) as u32,
            1.0 / images as f32,
            entropy,
            classes,
        );
    }
    let (count, dim) = (groups(1, children), CubeDim::new_1d(THREADS));
    // SAFETY: as above.
    unsafe {
        sums_kernel::launch_unchecked(client, count, dim, rows.arg(), losses.arg(), sums.arg(), images as u32);
    }
    Loss { gradient, sums, rows }
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn rows_kernel(
    logits: &[f32],
    targets: &[f32],
    gradient: &mut [f32],
    rows: &mut [f32],
    losses: &mut [f32],
    count: u32,
    share: f32,
    entropy: f32,
    #[comptime] classes: usize,
) {
    let row = place();
    if row < count as usize {
        let first = row * classes;
        let mut greatest = logits[first];
        let mut heaviest = targets[first];
        let mut weight = targets[first];
        let mut predicted = 0u32;
        let mut label = 0u32;
        for class in 1..classes {
            let (logit, target) = (logits[first + class], targets[first + class]);
            weight += target;
            if logit > greatest {
                greatest = logit;
                predicted = class as u32;
            }
            if target > heaviest {
                heaviest = target;
                label = class as u32;
            }
        }
        let mut total = 0.0f32;
        for class in 0..classes {
            total += (logits[first + class] - greatest).exp();
        }
        let log_total = total.ln() + greatest;
        let mut loss = 0.0f32;
        let mut below = 0.0f32;
        for class in 0..classes {
            let (logit, target) = (logits[first + class], targets[first + class]);
            loss += target * (log_total - logit);
            below += (logit - greatest).exp() * (logit - greatest);
        }
        let of_probabilities = total.ln() - below / total;
        for class in 0..classes {
            let (logit, target) = (logits[first + class], targets[first + class]);
            let probability = (logit - greatest).exp() / total;
            let of_entropy = probability * (logit - log_total + of_probabilities);
            let slope = ((probability - entropy * of_entropy) * weight - target) * share;
            gradient[first + class] = select(weight == 0.0f32, 0.0f32, slope);
        }
        // A row without weights only pads the batch.
        let counts = weight != 0.0f32;
        losses[row] = select(counts, loss, 0.0f32);
        rows[3 * row] = select(counts, loss / weight, 0.0f32);
        rows[3 * row + 1] = select(counts && predicted == label, 1.0f32, 0.0f32);
        rows[3 * row + 2] = select(counts, of_probabilities, 0.0f32);
    }
}

/// Sums of one child: of its losses, and of the images that are right.
#[cube(launch_unchecked)]
fn sums_kernel(rows: &[f32], losses: &[f32], sums: &mut [f32], images: u32) {
    let child = CUBE_POS_Z;
    let thread = UNIT_POS;
    let mut loss = 0.0f32;
    let mut right = 0.0f32;
    let mut image = thread;
    while image < images {
        let row = (child * images + image) as usize;
        loss += losses[row];
        right += rows[3 * row + 1];
        image += comptime!(THREADS);
    }
    let mut shared = Shared::<[f32]>::new_slice(comptime!(2 * THREADS as usize));
    shared[thread as usize] = loss;
    shared[(thread + comptime!(THREADS)) as usize] = right;
    sync_cube();
    if thread < 2 {
        let mut sum = 0.0f32;
        for other in 0..comptime!(THREADS) {
            sum += shared[(thread * comptime!(THREADS) + other) as usize];
        }
        sums[(2 * child + thread) as usize] = sum;
    }
}
