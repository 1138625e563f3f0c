//! Runs a target on one large input, and measures its memory.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::memory::MEMORY;

/// Maximum duration of one run.
const LONGEST: Duration = Duration::from_secs(10);

/// Exercises an input of megabytes that is made to cost its reader much memory; `most` is what it may cost, in bytes. It
/// must be the only test of its program.
pub(crate) fn flood(name: &str, bytes: &[u8], most: usize, exercise: fn(&[u8])) {
    let before = MEMORY.held.load(Ordering::Relaxed);
    MEMORY.peak.store(before, Ordering::Relaxed);
    let start = Instant::now();
    exercise(bytes);
    let (took, used) = (start.elapsed(), MEMORY.peak.load(Ordering::Relaxed).saturating_sub(before));
    assert!(took < LONGEST && used < most, "{name}: {took:?}, {used} bytes, at most {most}");
}
