//! Writes files atomically, reads files of bounded size, and computes SHA-256 digests.

use std::{
    fmt::Write as _,
    fs::{self, File, FileType},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest, Sha256};

use crate::unfinished::{Unfinished, is_abandoned};

/// Maximum size of a record (a score, a timing, a run), in bytes; those of a whole challenge are much smaller.
pub const MAX_RECORD: u64 = 64 << 20;

/// Opens a regular file for reading. Symbolic links are followed; other file types are not opened, since a pipe would
/// block and a device such as `/dev/zero` has no end.
///
/// # Errors
/// Errors of the file system; [`io::ErrorKind::IsADirectory`] for a folder, [`io::ErrorKind::InvalidInput`] for a pipe,
/// a socket, a device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, not a file"));
    }
    if !kind.is_file() {
        let message = format!("it is {}, not a regular file", kind_of(kind));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    File::open(path)
}

/// The type of a file that is neither a regular file nor a folder, in words.
fn kind_of(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    let _ = kind;
    "something else"
}

/// Reads a regular file. Holds at most `limit` + 1 bytes in memory, for any size that the file system reports.
///
/// # Errors
/// As [`open_regular`]; [`io::ErrorKind::FileTooLarge`] beyond the limit.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let size = file.metadata()?.len();
    read_up_to(file, size, limit)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes")))
}

/// Maximum number of bytes reserved for a claimed size.
const RESERVED: u64 = 1 << 20;

/// Reads to the end; `None` if there are more bytes than `limit`. `size` is only a hint.
pub(crate) fn read_up_to(reader: impl Read, size: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit).min(RESERVED)).unwrap_or(0));
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Reads a regular file as text, as [`read_limited`] does.
///
/// # Errors
/// As [`read_limited`]; [`io::ErrorKind::InvalidData`] if the bytes are not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let bytes = read_limited(path, limit)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// SHA-256 of all bytes of `reader`, in hex.
///
/// # Errors
/// Errors of the reader.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut sum = Sha256Sum::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(sum.finish()),
            count => sum.update(&buffer[..count]),
        }
    }
}

/// SHA-256 of bytes in memory, in hex.
pub fn sha256_of(bytes: &[u8]) -> String {
    let mut sum = Sha256Sum::default();
    sum.update(bytes);
    sum.finish()
}

/// SHA-256 of bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct Sha256Sum(Sha256);

impl Sha256Sum {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum, in hex.
    pub fn finish(self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// A writer that keeps its first error, and from then on drops everything and reports success. `ZipWriter` needs it: it
/// tries to complete its archive when it is dropped after an error, and prints the next error to standard error.
#[derive(Debug)]
pub struct Latched<W> {
    inner: W,
    error: Latch,
}

/// The first error of a [`Latched`] writer.
#[derive(Clone, Debug, Default)]
pub struct Latch(Arc<Mutex<Option<io::Error>>>);

impl Latch {
    /// # Errors
    /// The writer's first error, if there was one since the last call.
    pub fn check(&self) -> io::Result<()> {
        let error = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.map_or(Ok(()), Err)
    }
}

impl<W> Latched<W> {
    /// The writer, and its latch to check.
    pub fn new(inner: W) -> (Self, Latch) {
        let error = Latch::default();
        (Self { inner, error: error.clone() }, error)
    }

    /// The inner writer.
    pub fn into_inner(self) -> W {
        self.inner
    }

    fn attempt<T>(&mut self, otherwise: T, act: impl FnOnce(&mut W) -> io::Result<T>) -> T {
        let mut latched = self.error.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latched.is_some() {
            return otherwise;
        }
        act(&mut self.inner).unwrap_or_else(|error| {
            *latched = Some(error);
            otherwise
        })
    }
}

impl<W: Write> Write for Latched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.attempt(bytes.len(), |inner| inner.write_all(bytes).map(|()| bytes.len())))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt((), Write::flush);
        Ok(())
    }
}

impl<W: Seek> Seek for Latched<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        Ok(self.attempt(0, |inner| inner.seek(to)))
    }
}

/// Removes the temporary files that a killed [`write_atomically`] left in a folder, for files whose names begin with
/// `prefix`; returns their number, 0 for a missing folder. Files that a running process writes stay.
///
/// # Errors
/// If the folder cannot be read, or a file cannot be removed.
pub fn remove_parts(folder: &Path, prefix: &str) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let is_of_prefix =
            final_name(&entry.file_name().to_string_lossy()).is_some_and(|name| name.starts_with(prefix));
        if is_of_prefix && entry.file_type()?.is_file() && is_abandoned(&entry.path()) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// The temporary name of a file. Two runs, or two threads of one run, may write the same path: process ID and file
/// number keep the names distinct.
fn temporary_name(name: &str) -> String {
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    format!(".{name}.{}-{number}.part", std::process::id())
}

/// The name of the file that has this temporary name; `None` for other names.
fn final_name(temporary: &str) -> Option<&str> {
    let (name, number) = temporary.strip_prefix('.')?.strip_suffix(".part")?.rsplit_once('.')?;
    let (process, number) = number.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(process) && is_number(number)).then_some(name)
}

/// Whether [`write_atomically`] waits until the disk has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the system leaves the new file or the previous one. This waits for the disk.
    Synced,
    /// A crash of the system may leave an incomplete file; one of the process does not.
    Unsynced,
}

/// Writes a file under a temporary name in the same folder, then renames it to `path`. So `path` always has the
/// complete new file or its previous content, never a part, also after a crash of the system. Missing parent folders
/// are created.
///
/// A pipe or a device (`/dev/stdout`, `/dev/full`) is written directly, since a rename would replace it.
///
/// # Errors
/// Errors of `write` or of the file system; the temporary file is then removed. [`io::ErrorKind::IsADirectory`] if
/// `path` is a folder.
pub fn write_atomically<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    write_with(path, Durability::Synced, write)
}

/// Writes a file as [`write_atomically`] does, with or without waiting for the disk.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_with<E: From<io::Error>>(
    path: &Path,
    durability: Durability,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(file) = open_in_place(path)? {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        return Ok(file.flush()?);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let (part, file) = Unfinished::file(folder.join(temporary_name(&name.to_string_lossy())))?;
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    if durability == Durability::Synced {
        sync(&file)?;
    }
    fs::rename(part.path(), path)?;
    part.finish();
    if durability == Durability::Synced && cfg!(unix) {
        // The rename itself is durable once the folder is. A folder that cannot be read can be written all the same.
        if let Ok(folder) = File::open(folder) {
            sync(&folder)?;
        }
    }
    Ok(())
}

/// Waits until the disk has the file. Some file systems cannot be asked to.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Opens a pipe or device at `path` for writing; `None` if `path` is free or has a regular file, which may be replaced.
fn open_in_place(path: &Path) -> io::Result<Option<File>> {
    let kind = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?.file_type(),
    };
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, format!("`{}` is a folder", path.display())));
    }
    // `/dev/stdout` is a symbolic link, possibly to a regular file; the link must not be replaced.
    let is_of_system = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder)) && path.is_symlink();
    if kind.is_file() && !is_of_system {
        return Ok(None);
    }
    File::options().write(true).open(path).map(Some)
}

/// Creates a named pipe without a writer; opening it for reading blocks forever.
#[cfg(all(test, unix))]
pub(crate) fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().is_ok_and(|status| status.success()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&b"abc"[..]).unwrap(), expected);
        assert_eq!(sha256_of(b"abc"), expected);
    }

    #[test]
    fn a_latched_writer_reports_its_first_error_to_its_latch_alone() {
        let mut buffer = [0; 4];
        let (mut out, latch) = Latched::new(io::Cursor::new(&mut buffer[..]));
        out.write_all(b"abc").unwrap();
        latch.check().unwrap();
        out.write_all(b"de").unwrap();
        out.write_all(b"f").unwrap();
        out.flush().unwrap();
        assert_eq!(latch.check().unwrap_err().kind(), io::ErrorKind::WriteZero);
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
    }

    #[test]
    fn a_folder_is_neither_read_nor_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(open_regular(dir.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        let error = write_atomically::<io::Error>(dir.path(), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_not_opened_and_links_to_files_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fifo(&path("pipe"));
        std::os::unix::fs::symlink("pipe", path("link to a pipe")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zeros")).unwrap();
        for (name, kind) in [("pipe", "a pipe"), ("link to a pipe", "a pipe"), ("zeros", "a device")] {
            let error = read_limited(&path(name), 6).unwrap_err();
            assert_eq!(error.to_string(), format!("it is {kind}, not a regular file"), "{name}");
        }
        fs::write(path("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        assert_eq!(read_text(&path("link"), 6).unwrap(), "text");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_written_into_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, null) = (dir.path().join("pipe"), dir.path().join("null"));
        fifo(&pipe);
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write_atomically::<io::Error>(&pipe, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(reader.join().unwrap(), b"whole");
        assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        write_atomically::<io::Error>(&null, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(fs::read_link(&null).unwrap(), Path::new("/dev/null"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["PRED_000001.tif", ".PRED_000002.tif.77-3.part", ".other.part", ".PRED_x", ".PRED_mine.part"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        // A process that is still there.
        let (_part, _open) = Unfinished::file(dir.path().join(temporary_name("PRED_000003.tif"))).unwrap();
        assert_eq!(remove_parts(dir.path(), "PRED_").unwrap(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
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
