//! Runs a target over its committed inputs, and over changes of them, without libFuzzer. Each must end soon, and none
//! may make the program reserve what a file merely claims.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// Changes of one input, beside the points where it is cut.
const CHANGES: usize = 48;
/// Points where one input is cut.
const CUTS: usize = 16;
/// Longest that one input may take: thousands of times what any takes.
const LONGEST: Duration = Duration::from_secs(10);
/// Largest piece of memory that may be asked for at once. The inputs have some kilobytes, the targets' limits are below
/// one megabyte.
const LARGEST: usize = 8 << 20;

#[global_allocator]
static MEMORY: Watched = Watched(AtomicUsize::new(0));

/// The system's allocator, which remembers the largest piece that was asked for.
struct Watched(AtomicUsize);

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands every call on as it is")]
// SAFETY: all of the contract is the system allocator's.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_max(size, Ordering::Relaxed);
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Exercises what is in `corpus/TARGET` and `regressions/TARGET`, whole, cut and changed; the same every time.
pub(crate) fn replay(target: &str, exercise: fn(&[u8])) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scoring/fuzz"));
    let inputs = files(&root.join("corpus").join(target));
    assert!(!inputs.is_empty(), "no input for {target}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for path in inputs.into_iter().chain(files(&root.join("regressions").join(target))) {
        let bytes = fs::read(&path).unwrap();
        let run = |change: &str, bytes: &[u8]| {
            let start = Instant::now();
            // The message of the panic itself is printed already.
            let outcome = catch_unwind(AssertUnwindSafe(|| exercise(bytes)));
            let (took, asked) = (start.elapsed(), MEMORY.0.load(Ordering::Relaxed));
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

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// xorshift64* (Vigna 2016): changes of bytes need nothing better.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    }

    /// Flips a bit, or puts in an extreme number, or takes bytes out, or repeats some.
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
