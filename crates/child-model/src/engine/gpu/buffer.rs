//! Numbers on the device, and how kernels get hold of them.

use std::rc::Rc;

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// Numbers of four bytes each, in the device's memory. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Buffer {
    pub(super) handle: Handle,
    pub(super) length: usize,
    /// Of the result of a max pool: which pixel of its window each value came from.
    pub(super) origins: Option<Rc<Buffer>>,
}

impl Buffer {
    /// Panics if the device has no buffers of this size; trainings that fail so are repeated with fewer children.
    pub(super) fn new(client: &Client, length: usize) -> Self {
        check_size(client, 4 * length);
        Self { handle: client.empty(4 * length.max(1)), length, origins: None }
    }

    /// Panics as [`new`](Self::new) does.
    pub(super) fn of(client: &Client, bytes: &[u8]) -> Self {
        check_size(client, bytes.len());
        let bytes = if bytes.is_empty() { &[0; 4] } else { bytes };
        Self { handle: client.create_from_slice(bytes), length: bytes.len() / 4, origins: None }
    }

    /// Returns the buffer as an argument of a kernel.
    pub(super) fn arg(&self) -> BufferArg {
        // SAFETY: the buffer has this many numbers of four bytes.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

fn check_size(client: &Client, bytes: usize) {
    let most = client.properties().memory.max_page_size;
    assert!(
        bytes as u64 <= most,
        "a buffer of {} MiB is needed, and the device has none of more than {} MiB; fewer or smaller images, or smaller \
         batches, need less",
        bytes >> 20,
        most >> 20
    );
}

/// Threads of a workgroup of the kernels that compute one value, or vector of values, a thread.
pub(super) const THREADS: u32 = 256;

/// Workgroups of each child with which a launch for a few children keeps a large GPU busy. Sums that have fewer are
/// split. That depends on nothing but one child's sizes, so that its results do not depend on how many train with it.
pub(super) const ENOUGH_GROUPS: usize = 64;

/// The largest number of workgroups along one axis, of 65,535 that every graphics API allows.
const MAX_GROUPS: usize = 1 << 15;

/// Returns how to start so many workgroups for each child; [`group`] is the number of each.
pub(super) fn groups(count: usize, children: usize) -> CubeCount {
    let columns = count.clamp(1, MAX_GROUPS);
    CubeCount::Static(columns as u32, count.div_ceil(columns).max(1) as u32, children as u32)
}

/// Returns how to start a thread for each of `count` values of each child; [`place`] is the number of each.
pub(super) fn threads(count: usize, children: usize) -> (CubeCount, CubeDim) {
    (groups(count.div_ceil(THREADS as usize), children), CubeDim::new_1d(THREADS))
}

/// The number of a workgroup among those of its child.
#[cube]
pub(super) fn group() -> usize {
    (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize
}

/// The number of a thread among those of its child.
#[cube]
pub(super) fn place() -> usize {
    group() * comptime!(THREADS as usize) + UNIT_POS as usize
}

/// Values that a kernel loads at once, where rows of so many values allow it.
pub(super) fn width(sizes: &[usize]) -> usize {
    if sizes.iter().all(|size| size % 4 == 0) { 4 } else { 1 }
}
