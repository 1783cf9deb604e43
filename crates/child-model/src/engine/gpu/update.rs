//! One step of an optimiser.

use cubecl::client::Client;
use cubecl::prelude::*;

use super::buffer::{Buffer, THREADS, groups, place, threads};
use crate::optimiser::{BETA1, BETA2, EPSILON, RHO, Update, UpdateRule};

/// The rule, without its numbers.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Kind {
    RmsProp,
    Adam,
    Sgd,
    Nesterov,
}

/// The most workgroups that measure one child's gradient.
const MAX_PARTS: usize = 16;

/// Changes a parameter and what is remembered about it, in place.
pub(super) fn update(
    client: &Client,
    parameter: &Buffer,
    gradient: &Buffer,
    slots: &[Buffer],
    update: &Update,
    children: usize,
) {
    let length = parameter.length / children;
    let (kind, momentum) = match update.rule {
        UpdateRule::RmsProp => (Kind::RmsProp, 0.0),
        UpdateRule::Adam => (Kind::Adam, 0.0),
        UpdateRule::Sgd { momentum: 0.0 } => (Kind::Sgd, 0.0),
        UpdateRule::Sgd { momentum } => (Kind::Nesterov, momentum),
    };
    let clips = update.clip_norm > 0.0;
    let parts = length.div_ceil(16 * THREADS as usize).clamp(1, MAX_PARTS);
    let squares = Buffer::new(client, if clips { parts * children } else { 1 });
    if clips {
        let (count, dim) = (groups(parts, children), CubeDim::new_1d(THREADS));
        // SAFETY: each child has so many values, and a sum for each part.
        unsafe {
            squares_kernel::launch_unchecked(client, count, dim, gradient.arg(), squares.arg(), length as u32, parts)
        };
    }
    let first = slots.first().unwrap_or(parameter);
    let second = slots.get(1).unwrap_or(first);
    let (count, dim) = threads(length, children);
    // SAFETY: all have as many values as the parameter, as far as the rule uses them.
    unsafe {
        update_kernel::launch_unchecked(
            client,
            count,
            dim,
            parameter.arg(),
            gradient.arg(),
            first.arg(),
            second.arg(),
            squares.arg(),
            length as u32,
            update.rate,
            update.weight_decay,
            update.clip_norm,
            momentum,
            kind,
            if clips { parts } else { 0 },
        );
    }
}

/// Sums of squares of the parts of a child's gradient, `[K, parts]`.
#[cube(launch_unchecked)]
fn squares_kernel(gradient: &[f32], squares: &mut [f32], length: u32, #[comptime] parts: usize) {
    let child = CUBE_POS_Z;
    let thread = UNIT_POS;
    let part = CUBE_POS_X;
    let mut sum = 0.0f32;
    let mut i = part * comptime!(THREADS) + thread;
    while i < length {
        let value = gradient[(child * length + i) as usize];
        sum += value * value;
        i += comptime!(parts as u32 * THREADS);
    }
    let mut shared = Shared::<[f32]>::new_slice(comptime!(THREADS as usize));
    shared[thread as usize] = sum;
    sync_cube();
    if thread == 0 {
        let mut total = 0.0f32;
        for other in 0..comptime!(THREADS) {
            total += shared[other as usize];
        }
        squares[child as usize * parts + part as usize] = total;
    }
}

#[cube(launch_unchecked)]
#[expect(clippy::too_many_arguments, reason = "the arguments of a kernel")]
fn update_kernel(
    parameter: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    squares: &[f32],
    length: u32,
    rate: f32,
    weight_decay: f32,
    clip_norm: f32,
    momentum: f32,
    #[comptime] kind: Kind,
    #[comptime] parts: usize,
) {
    let i = place();
    if i < length as usize {
        let child = CUBE_POS_Z as usize;
        let at = child * length as usize + i;
        let mut scale = 1.0f32;
        if comptime!(parts > 0) {
            let mut sum = 0.0f32;
            for part in 0..parts {
                sum += squares[child * parts + part];
            }
            scale = min(clip_norm / (sum.sqrt() + f32::new(f32::MIN_POSITIVE)), 1.0f32);
        }
        let value = parameter[at];
        let slope = gradient[at] * scale + weight_decay * value;
        let mut step = slope;
        match kind {
            Kind::RmsProp => {
                let mean = RHO * first[at] + (1.0f32 - RHO) * slope * slope;
                first[at] = mean;
                step = slope / (mean.sqrt() + EPSILON);
            }
            Kind::Adam => {
                let mean = BETA1 * first[at] + (1.0f32 - BETA1) * slope;
                let square = BETA2 * second[at] + (1.0f32 - BETA2) * slope * slope;
                first[at] = mean;
                second[at] = square;
                step = mean / (square.sqrt() + EPSILON);
            }
            Kind::Sgd => {}
            Kind::Nesterov => {
                let speed = momentum * first[at] + slope;
                first[at] = speed;
                step = slope + momentum * speed;
            }
        }
        parameter[at] = value - rate * step;
    }
}
