//! Checkpoints: `.safetensors`, archives of `torch.save`, and the pickles within these.

use std::io::{Cursor, Write};

use flair_baselines::weights;
use tempfile::NamedTempFile;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The storage that is packed with a bare pickle.
const STORAGE: [u8; 64] = *b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Reads the bytes as a checkpoint. A bare pickle is first packed into an archive: because of the archive's checksums,
/// mutated archives hardly ever reach the pickle.
pub(crate) fn exercise(bytes: &[u8]) {
    let archive = bytes.starts_with(b"\x80").then(|| archive(bytes));
    let bytes = archive.as_deref().unwrap_or(bytes);
    let mut file = NamedTempFile::new().expect("the temporary folder is writable");
    file.write_all(bytes).expect("the temporary folder is writable");
    let Ok(checkpoint) = weights::read(file.path()) else { return };
    assert!(!checkpoint.tensors.is_empty() && checkpoint.sha256.len() == 64);
    let held = |tensor: &candle_core::Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
    let held: usize = checkpoint.tensors.values().map(held).sum();
    assert!(held <= 4 * bytes.len() + (1 << 20), "{held} bytes of tensors in a file of {}", bytes.len());
    let names = checkpoint.tensors.len();
    assert!(weights::adapted(checkpoint.tensors).len() <= names);
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("x/data.pkl", pickle), ("x/byteorder", b"little"), ("x/data/0", &STORAGE)] {
        zip.start_file(name, stored).expect("memory takes it");
        zip.write_all(bytes).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}
