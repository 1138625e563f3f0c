//! Whether a file is still the one that an earlier run read.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::UNIX_EPOCH,
};

use flair_scoring::files::sha256;

/// Size up to which a file is hashed whole, in bytes: masks and lists of products.
const WHOLE: u64 = 256 << 10;
/// Size from which three large blocks are hashed, in bytes: series; below it three small ones: aerial images.
const LARGE: u64 = 16 << 20;
const SMALL_BLOCK: u64 = 4 << 10;
const LARGE_BLOCK: u64 = 64 << 10;

/// A text that changes with the file's content. Of files up to 256 KiB it is a hash of all bytes. Of larger ones, which
/// would take too long, it is a hash of size, modification time, and blocks at the start, in the middle and at the end.
/// The file's location does not matter.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn fingerprint(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let size = metadata.len();
    if size <= WHOLE {
        return sha256(file.take(WHOLE + 1));
    }
    let modified = metadata.modified()?;
    // A time before 1970 is negative.
    let nanoseconds = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()),
        Err(before) => i128::try_from(before.duration().as_nanos()).map(|nanoseconds| -nanoseconds),
    };
    let nanoseconds = nanoseconds.map_err(io::Error::other)?;
    let block = if size < LARGE { SMALL_BLOCK } else { LARGE_BLOCK };
    let mut bytes = format!("{size} {nanoseconds} ").into_bytes();
    for start in [0, (size - block) / 2, size - block] {
        file.seek(SeekFrom::Start(start))?;
        (&mut file).take(block).read_to_end(&mut bytes)?;
    }
    sha256(bytes.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Duration};

    /// Writes a file with a modification time, in seconds, and returns its fingerprint.
    fn of(path: &Path, bytes: &[u8], modified: u64) -> String {
        fs::write(path, bytes).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(modified)).unwrap();
        fingerprint(path).unwrap()
    }

    #[test]
    fn of_small_files_every_byte_counts_and_the_time_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("products.txt");
        let mut bytes = vec![7; 100_000];
        let first = of(&path, &bytes, 1);
        assert_eq!(of(&path, &bytes, 2), first);
        assert_eq!(of(&dir.path().join("other"), &bytes, 1), first);
        bytes[1234] = 8;
        assert_ne!(of(&path, &bytes, 1), first);
        assert_ne!(of(&path, b"", 1), first);
    }

    #[test]
    fn of_large_files_size_time_and_blocks_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.npy");
        for size in [1 << 20, 17 << 20] {
            let mut bytes = vec![7; size];
            let first = of(&path, &bytes, 1);
            assert_eq!(of(&path, &bytes, 1), first);
            assert_ne!(of(&path, &bytes, 2), first);
            assert_ne!(of(&path, &bytes[1..], 1), first);
            for index in [0, size / 2, size - 1] {
                bytes[index] = 8;
                assert_ne!(of(&path, &bytes, 1), first, "{index}");
                bytes[index] = 7;
            }
        }
    }
}
