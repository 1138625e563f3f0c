//! The committed inputs in `corpus/`, each of which a test makes with a writer of ours.

use std::{collections::BTreeMap, fs, path::Path};

/// Largest input that is committed.
const MAX_BYTES: usize = 4096;

/// Holds a target's committed inputs against those that its writer makes: the same names, none of them large. Where
/// `FLAIR_BENCH_SEEDS` is set they are written instead. The bytes may differ, since compressors change.
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
