//! Prefetching: worker threads make items, and the consumer gets them in order.
//!
//! The threads are separate from the global pool of candle's kernels: loading there would starve the network.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Number of threads and items of a prefetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefetch {
    /// Threads that make items; 0 counts as 1.
    pub workers: usize,
    /// Maximum number of items in progress or waiting, which limits the memory; 0 counts as 1.
    pub ahead: usize,
}

/// Makes items `0..count` with `make`, and passes an iterator over them, in order, to `take`. Returns the result of
/// `take`. If `take` stops early, the remaining items are not all made.
///
/// # Panics
/// If `make` or `take` panics, with the same panic.
pub fn in_order<T: Send, R>(
    count: usize,
    prefetch: Prefetch,
    make: impl Fn(usize) -> T + Sync,
    take: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
) -> R {
    let queue = Queue {
        state: Mutex::new(State { slots: Vec::new(), claimed: 0, taken: 0, closed: false }),
        changed: Condvar::new(),
    };
    queue.lock().slots.resize_with(prefetch.ahead.max(1), || None);
    thread::scope(|scope| {
        // Any exit from this scope closes the queue.
        let _closing = Closing(&queue);
        for _ in 0..prefetch.workers.clamp(1, prefetch.ahead.max(1)).min(count) {
            scope.spawn(|| {
                while let Some(item) = queue.claim(count) {
                    queue.put(item, catch_unwind(AssertUnwindSafe(|| make(item))));
                }
            });
        }
        take(&mut (0..count).map(|item| match queue.take(item) {
            Ok(made) => made,
            Err(panic) => resume_unwind(panic),
        }))
    })
}

/// Finished items that are not yet taken, a ring buffer: item `i` is in slot `i % slots`.
struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    slots: Vec<Option<thread::Result<T>>>,
    /// Number of items that a worker has begun.
    claimed: usize,
    /// Number of items that the consumer has taken.
    taken: usize,
    closed: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code panics while holding the lock, so a poisoned lock still has valid data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, waits: impl FnMut(&mut State<T>) -> bool) -> MutexGuard<'_, State<T>> {
        self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free slot, and returns the next item to make; `None` if there are no more items.
    fn claim(&self, count: usize) -> Option<usize> {
        let mut state = self.wait_while(|s| !s.closed && s.claimed < count && s.claimed >= s.taken + s.slots.len());
        if state.closed || state.claimed >= count {
            return None;
        }
        state.claimed += 1;
        Some(state.claimed - 1)
    }

    fn put(&self, item: usize, made: thread::Result<T>) {
        let mut state = self.lock();
        let slot = item % state.slots.len();
        state.slots[slot] = Some(made);
        self.changed.notify_all();
    }

    fn take(&self, item: usize) -> thread::Result<T> {
        loop {
            let mut state = self.wait_while(|s| s.slots[item % s.slots.len()].is_none());
            let slot = item % state.slots.len();
            if let Some(made) = state.slots[slot].take() {
                state.taken += 1;
                self.changed.notify_all();
                return made;
            }
        }
    }
}

/// Closes the queue when dropped, so that the workers end.
struct Closing<'a, T>(&'a Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    const FEW: Prefetch = Prefetch { workers: 3, ahead: 4 };

    #[test]
    fn items_come_in_order_however_long_each_takes() {
        let make = |i: usize| {
            thread::sleep(Duration::from_micros(((i * 7) % 5) as u64 * 200));
            i
        };
        let items: Vec<_> = in_order(100, FEW, make, |items| items.collect());
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        assert_eq!(in_order(0, FEW, make, |items| items.count()), 0);
    }

    #[test]
    fn at_most_ahead_items_are_in_progress_or_waiting() {
        let made = AtomicUsize::new(0);
        in_order(
            1_000,
            FEW,
            |_| made.fetch_add(1, Ordering::SeqCst),
            |items| {
                for taken in 1..=10 {
                    items.next();
                    thread::sleep(Duration::from_millis(2));
                    assert!(made.load(Ordering::SeqCst) <= taken + FEW.ahead);
                }
            },
        );
        assert!(made.load(Ordering::SeqCst) <= 10 + FEW.ahead);
    }

    #[test]
    fn a_panic_in_a_worker_reaches_the_caller() {
        let run = || in_order(10, FEW, |i| assert!(i != 5, "the sixth"), |items| items.count());
        assert!(catch_unwind(run).is_err());
    }
}
