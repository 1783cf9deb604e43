//! Memory that a training run reuses. A step's arrays have the same lengths as those of the step before, so each
//! step takes what the last one gave back, without asking the system for pages or clearing them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

thread_local! {
    static FREE: RefCell<HashMap<usize, Vec<Vec<f32>>>> = RefCell::default();
}

/// Numbers that return to this thread's store when dropped.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<f32>);

impl Buffer {
    /// Returns numbers left over from an earlier use, to be overwritten.
    pub(super) fn uninit(length: usize) -> Self {
        let found = FREE.with_borrow_mut(|free| free.get_mut(&length).and_then(Vec::pop));
        let mut values = found.unwrap_or_else(|| vec![0.0; length]);
        // A kernel that leaves a place unwritten shows up in the tests.
        if cfg!(test) {
            values.fill(f32::NAN);
        }
        Self(values)
    }

    pub(super) fn zeros(length: usize) -> Self {
        let mut buffer = Self::uninit(length);
        buffer.fill(0.0);
        buffer
    }

    pub(super) fn copy(values: &[f32]) -> Self {
        let mut buffer = Self::uninit(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(values: Vec<f32>) -> Self {
        Self(values)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.0);
        if !values.is_empty() {
            // Fails while the thread is ending; the memory is then freed normally.
            let _ = FREE.try_with(|free| free.borrow_mut().entry(values.len()).or_default().push(values));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}
