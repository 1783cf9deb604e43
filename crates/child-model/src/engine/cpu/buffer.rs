//! Memory that a training run reuses. A step's arrays have the same lengths as those of the step before, so each
//! step takes what the last one gave back, without asking the system for pages or clearing them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

thread_local! {
    static FREE: RefCell<HashMap<usize, Vec<Vec<f32>>>> = RefCell::default();
}

/// Numbers that return to this thread's store when dropped, if they come from it.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    values: Vec<f32>,
    /// What was made elsewhere, such as the weights of every net that a thread reads, would fill the store for good.
    is_stored: bool,
}

impl Buffer {
    /// Returns numbers left over from an earlier use, to be overwritten.
    pub(super) fn uninit(length: usize) -> Self {
        let found = FREE.with_borrow_mut(|free| free.get_mut(&length).and_then(Vec::pop));
        let mut values = found.unwrap_or_else(|| vec![0.0; length]);
        // A kernel that leaves a place unwritten shows up in the tests.
        if cfg!(test) {
            values.fill(f32::NAN);
        }
        Self { values, is_stored: true }
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
        Self { values, is_stored: false }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if self.is_stored && !values.is_empty() {
            // Fails while the thread is ending; the memory is then freed normally.
            let _ = FREE.try_with(|free| free.borrow_mut().entry(values.len()).or_default().push(values));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> usize {
        FREE.with_borrow(|free| free.values().map(Vec::len).sum())
    }

    #[test]
    fn only_what_came_from_the_store_returns_to_it() {
        std::thread::spawn(|| {
            for _ in 0..5 {
                drop(Buffer::from(vec![1.0; 100]));
            }
            assert_eq!(stored(), 0);
            for _ in 0..5 {
                drop((Buffer::zeros(100), Buffer::uninit(100), Buffer::copy(&[2.0; 7])));
            }
            assert_eq!(stored(), 3);
        })
        .join()
        .unwrap();
    }
}
