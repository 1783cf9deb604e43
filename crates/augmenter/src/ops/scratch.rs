//! Memory for intermediate results, which each thread keeps from one image to the next: kernels do not allocate
//! once their buffers have been used.

use std::{
    cell::RefCell,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use bytemuck::Pod;

thread_local! {
    /// Currently unused buffers; words of eight bytes, so that every kind of number is aligned.
    static FREE: RefCell<Vec<Vec<u64>>> = const { RefCell::new(Vec::new()) };
}

/// Numbers that return to their thread's store when dropped.
pub(crate) struct Buffer<T> {
    words: Vec<u64>,
    len: usize,
    kind: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// Returns `len` numbers left over from earlier uses.
    pub(crate) fn any(len: usize) -> Self {
        let mut words = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        let needed = (len * size_of::<T>()).div_ceil(size_of::<u64>());
        if words.len() < needed {
            words.resize(needed, 0);
        }
        Self { words, len, kind: PhantomData }
    }

    /// Returns `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::any(len);
        buffer.fill(T::zeroed());
        buffer
    }

    /// Returns a copy.
    pub(crate) fn copy(values: &[T]) -> Self {
        let mut buffer = Self::any(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&bytemuck::cast_slice::<_, u8>(&self.words)[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes = bytemuck::cast_slice_mut::<_, u8>(&mut self.words);
        bytemuck::cast_slice_mut(&mut bytes[..self.len * size_of::<T>()])
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        FREE.with_borrow_mut(|free| free.push(std::mem::take(&mut self.words)));
    }
}
