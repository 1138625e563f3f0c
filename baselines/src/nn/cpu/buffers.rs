//! Memory of maps that is used again: a fresh page costs more than the arithmetic on it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use super::lanes::{Block, ZEROS};

/// Buffers that no map uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<Vec<Block>>>>);

impl Buffers {
    /// A buffer of `length` blocks with arbitrary values.
    pub(crate) fn take(&self, length: usize) -> Buffer {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not much larger than needed: a larger map would then find none.
        let fitting = free.iter().enumerate().filter(|(_, b)| (length..=2 * length).contains(&b.len()));
        let smallest = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(index, _)| index);
        let values = smallest.map_or_else(|| vec![ZEROS; length], |index| free.swap_remove(index));
        Buffer { values, length, home: self.clone() }
    }
}

/// A buffer, which goes back to where it was taken from.
#[derive(Debug)]
pub(crate) struct Buffer {
    values: Vec<Block>,
    length: usize,
    home: Buffers,
}

impl Buffer {
    /// Where it was taken from.
    pub(crate) fn home(&self) -> &Buffers {
        &self.home
    }
}

impl Deref for Buffer {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        &self.values[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Block] {
        &mut self.values[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_by_what_is_nearly_as_large() {
        let buffers = Buffers::default();
        let place = |buffer: &Buffer| buffer.as_ptr();
        let (large, small) = (buffers.take(100), buffers.take(10));
        let (at_large, at_small) = (place(&large), place(&small));
        drop((large, small));
        let again = buffers.take(8);
        assert_eq!((place(&again), again.len()), (at_small, 8));
        assert_ne!(place(&buffers.take(8)), at_large, "a tenth of it would be used");
        assert_eq!(place(&buffers.take(60)), at_large);
    }
}
