//! An allocator that counts: what a test allocated at once, and in all.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

#[global_allocator]
pub(crate) static MEMORY: Watched =
    Watched { largest: AtomicUsize::new(0), held: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

/// The system's allocator, with the size of the largest allocation so far, of all present ones, and the most of these.
pub(crate) struct Watched {
    pub(crate) largest: AtomicUsize,
    pub(crate) held: AtomicUsize,
    pub(crate) peak: AtomicUsize,
}

impl Watched {
    fn add(&self, size: usize) {
        self.largest.fetch_max(size, Ordering::Relaxed);
        let held = self.held.fetch_add(size, Ordering::Relaxed) + size;
        self.peak.fetch_max(held, Ordering::Relaxed);
    }

    fn remove(&self, size: usize) {
        self.held.fetch_sub(size, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one forwards every call unchanged")]
// SAFETY: every call is forwarded to the system's allocator, which fulfils the contract.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while the bytes are copied.
        self.add(size);
        self.remove(layout.size());
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.remove(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }
}
