//! Runs a target on its committed inputs and on modifications of them, without libFuzzer. Each run must end soon, and
//! must not allocate memory that a file only claims to need.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::memory::MEMORY;

/// Number of random modifications of one input, besides truncations.
const CHANGES: usize = 48;
/// Number of truncations of one input.
const CUTS: usize = 16;
/// Maximum duration of one run: thousands of times the usual one.
const LONGEST: Duration = Duration::from_secs(10);
/// Maximum size of one allocation, in bytes. The inputs have some kilobytes, the targets' limits are below one megabyte.
const LARGEST: usize = 8 << 20;

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
