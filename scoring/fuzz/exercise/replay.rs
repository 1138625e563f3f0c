//! Runs a target on its committed inputs and on modifications of them, without libFuzzer. Each run must end soon, and
//! must not allocate memory that a file only claims to need.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Number of random modifications of one input, besides truncations.
const CHANGES: usize = 48;
/// Number of truncations of one input.
const CUTS: usize = 16;
/// Maximum duration of one run: thousands of times the usual one.
const LONGEST: Duration = Duration::from_secs(10);
/// Maximum size of one allocation, in bytes. The inputs have some kilobytes, the targets' limits are below one megabyte.
const LARGEST: usize = 8 << 20;

#[global_allocator]
static MEMORY: Watched = Watched { largest: AtomicUsize::new(0), held: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

/// The system's allocator, with the size of the largest allocation so far, of all present ones, and the most of these.
struct Watched {
    largest: AtomicUsize,
    held: AtomicUsize,
    peak: AtomicUsize,
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

/// Exercises the inputs in `corpus/TARGET` and `regressions/TARGET`: whole, truncated and modified, deterministically.
pub(crate) fn replay(target: &str, exercise: fn(&[u8])) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scoring/fuzz"));
    let inputs = files(&root.join("corpus").join(target));
    assert!(!inputs.is_empty(), "no input for {target}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for path in inputs.into_iter().chain(files(&root.join("regressions").join(target))) {
        let bytes = fs::read(&path).unwrap();
        let run = |change: &str, bytes: &[u8]| {
            let start = Instant::now();
            // The panic has already printed its message.
            let outcome = catch_unwind(AssertUnwindSafe(|| exercise(bytes)));
            let (took, asked) = (start.elapsed(), MEMORY.largest.load(Ordering::Relaxed));
            assert!(
                outcome.is_ok() && took < LONGEST && asked < LARGEST,
                "{}, {change}, {took:?}, {asked} bytes at once: {}",
                path.display(),
                bytes.escape_ascii()
            );
        };
        run("whole", &bytes);
        for cut in 0..CUTS {
            run("cut", &bytes[..bytes.len() * cut / CUTS]);
        }
        for _ in 0..CHANGES {
            let mut changed = bytes.clone();
            for _ in 0..=random.below(4) {
                random.change(&mut changed);
            }
            run("changed", &changed);
        }
    }
}

/// Exercises an input of megabytes that is made to cost its reader much memory; `most` is what it may, in bytes. Other
/// tests run beside it, which need little.
pub(crate) fn flood(name: &str, bytes: &[u8], most: usize, exercise: fn(&[u8])) {
    let before = MEMORY.held.load(Ordering::Relaxed);
    MEMORY.peak.store(before, Ordering::Relaxed);
    let start = Instant::now();
    exercise(bytes);
    let (took, used) = (start.elapsed(), MEMORY.peak.load(Ordering::Relaxed).saturating_sub(before));
    assert!(took < LONGEST && used < most, "{name}: {took:?}, {used} bytes, at most {most}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The generator xorshift64* (Vigna 2016), good enough to modify bytes.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    }

    /// Flips a bit, inserts an extreme number, removes bytes, or repeats some.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(8)).min(bytes.len());
        match self.below(6) {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at..end].fill([0, 1, 0x7f, 0x80, 0xff][self.below(5)]),
            3 => bytes[at] = self.below(256).to_le_bytes()[0],
            4 => drop(bytes.drain(at..end)),
            _ => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        }
    }
}
