//! Writing files so that a run that is stopped leaves none half written, reading texts of a bounded size, and telling
//! files apart by their content.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

/// Largest record that is read, in bytes: a score, a timing, a run. Those of a whole challenge are far below it.
pub const MAX_RECORD: u64 = 64 << 20;

/// A file's text, of which at most `limit` bytes are ever held, whatever the file system says of its size.
///
/// # Errors
/// What the file system says; [`io::ErrorKind::FileTooLarge`] beyond the limit, [`io::ErrorKind::InvalidData`] for what
/// is no UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// SHA-256 of all that `reader` gives, in hex.
///
/// # Errors
/// What the reader returns.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

/// Removes what a killed [`write_atomically`] left in a folder of files that begin with `prefix`; returns how many.
///
/// # Errors
/// If the folder cannot be read, or a file not be removed. A folder that is not there holds none.
pub fn remove_parts(folder: &Path, prefix: &str) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_part = Path::new(&name).extension().is_some_and(|extension| extension == "part");
        if is_part && name.starts_with(&format!(".{prefix}")) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes a file under a temporary name beside its place, then renames it: at `path` there is the whole file or what
/// was there before, never a part. Missing parent folders are made.
///
/// # Errors
/// What `write` returns, or the file system; the temporary file is removed then.
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    // Two runs, or two threads of one, may write the same place: the number of the process and of the file part them.
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!(".{}.{}-{number}.part", name.to_string_lossy(), std::process::id()));
    let part = Part(&part);
    let mut file = BufWriter::new(File::create(part.0)?);
    write(&mut file)?;
    file.flush()?;
    drop(file);
    fs::rename(part.0, path)?;
    // There is nothing left to remove.
    std::mem::forget(part);
    Ok(())
}

/// A file that goes with its writer, also where the writer unwinds.
struct Part<'a>(&'a Path);

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // The error to report is the writer's; a left-over part is harmless.
        let _ = fs::remove_file(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&b"abc"[..]).unwrap(), expected);
    }

    #[test]
    fn a_text_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        fs::write(&path, "{\"é\"}").unwrap();
        assert_eq!(read_text(&path, 6).unwrap(), "{\"é\"}");
        // The limit falls into a letter of two bytes.
        assert_eq!(read_text(&path, 2).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 6).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read_text(&dir.path().join("none"), 6).unwrap_err().kind(), io::ErrorKind::NotFound);
        // A file without an end, of which the file system says that it is empty.
        #[cfg(target_os = "linux")]
        assert_eq!(read_text(Path::new("/dev/zero"), 6).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["PRED_000001.tif", ".PRED_000002.tif.77-3.part", ".other.part", ".PRED_x"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(remove_parts(dir.path(), "PRED_").unwrap(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(remove_parts(&dir.path().join("none"), "PRED_").unwrap(), 0);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.txt");
        write_atomically::<io::Error>(&path, |f| f.write_all(b"whole")).unwrap();
        let failed = write_atomically::<io::Error>(&path, |f| {
            f.write_all(b"half")?;
            Err(io::Error::other("stopped"))
        });
        assert!(failed.is_err());
        let stopped = std::panic::catch_unwind(|| {
            write_atomically::<io::Error>(&path, |_| std::panic::resume_unwind(Box::new("stopped")))
        });
        assert!(stopped.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
