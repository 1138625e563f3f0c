//! The committed inputs in `corpus/`: tests generate each of them with the crates' own writers.

use std::{collections::BTreeMap, fs, path::Path};

/// Maximum size of a committed input, in bytes.
const MAX_BYTES: usize = 4096;

/// Checks that a target's committed inputs have the names of the generated `files`, and that none is large. If
/// `FLAIR_BENCH_SEEDS` is set, writes them instead. The bytes may differ, since compressors change.
pub(crate) fn keep(target: &str, files: &BTreeMap<String, Vec<u8>>) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scoring/fuzz/corpus")).join(target);
    for (name, bytes) in files {
        assert!(bytes.len() < MAX_BYTES, "`{name}` has {} bytes", bytes.len());
        if std::env::var_os("FLAIR_BENCH_SEEDS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let mut committed: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    committed.sort();
    assert!(committed.iter().eq(files.keys()), "set FLAIR_BENCH_SEEDS and run again: {committed:?}");
}
